//! The framing of HTTP/1.1 over real sockets: what is refused, what is kept, in which pieces it
//! may arrive and how long it may take.

mod arrival;
mod deadlines;
mod kept;
mod pieces;
mod refused;

use crate::harness::{DEMO_KEY, DEMO_KEYS, Server};
use serde_json::json;

/// A request line and fields up to, but without, the empty line; more fields go behind it.
fn head(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {DEMO_KEY}\r\n")
}

/// A write of five bytes to `key`, with `fields` (each ended by CR LF) in its head.
fn put_five(key: &str, fields: &str) -> String {
    format!("{}{fields}\r\n12345", head("PUT", &format!("{DEMO_KEYS}/{key}")))
}

/// A chunked write to `key` with `body` as it goes over the wire.
fn put_chunked(key: &str, body: &str) -> String {
    format!("{}Transfer-Encoding: chunked\r\n\r\n{body}", head("PUT", &format!("{DEMO_KEYS}/{key}")))
}

/// Fails unless nothing at all is stored.
fn expect_nothing_applied(server: &Server) {
    let listing = server.request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"");
    assert_eq!(listing.status, 200, "{listing:?}");
    assert_eq!(listing.json()["keys"], json!({}), "something was applied");
}
