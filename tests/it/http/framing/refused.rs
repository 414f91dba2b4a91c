//! Every row of the framing table that ends the connection: the answer says why, nothing is
//! applied, and what stands behind the bad request is never read as another one.

use super::{expect_nothing_applied, head, put_chunked, put_five};
use crate::harness::{DEMO_KEYS, Server, known_config_with};
use serde_json::json;

/// Sends each of `wires` with a good write behind it, and expects one refusal and the end.
fn check(status: u16, code: &str, wires: &[String]) {
    let server = Server::start_with(known_config_with(json!({ "limits": { "body_bytes_max": 1000 } })));
    for wire in wires {
        check_refused(&server, status, code, wire.as_bytes());
    }
    expect_nothing_applied(&server);
}

fn check_refused(server: &Server, status: u16, code: &str, wire: &[u8]) {
    let shown = String::from_utf8_lossy(wire.get(..300).unwrap_or(wire)).into_owned();
    let mut connection = server.connect();
    let behind = put_five("smuggled", "Content-Length: 5\r\n");
    connection.send(&[wire, behind.as_bytes()].concat());
    let response =
        connection.try_read_response("GET").unwrap_or_else(|error| panic!("{error} for {shown:?}"));
    assert_eq!(response.status, status, "{shown:?}: {response:?}");
    response.expect_problem(status, code);
    assert_eq!(response.field("connection"), Some("close"), "{shown:?}");
    assert!(response.field("x-request-id").is_some(), "{shown:?}");
    assert!(response.interim.is_empty(), "{shown:?} was told to go on");
    connection.expect_closed();
}

fn texts(wires: &[&str]) -> Vec<String> {
    wires.iter().map(|wire| (*wire).to_owned()).collect()
}

/// A write that every one of `fields` spoils; its length is good unless they say otherwise.
fn sized(fields: &[&str]) -> Vec<String> {
    fields.iter().map(|field| put_five("spoilt", &format!("{field}\r\nContent-Length: 5\r\n"))).collect()
}

fn alone(fields: &[&str]) -> Vec<String> {
    fields.iter().map(|field| put_five("spoilt", &format!("{field}\r\n"))).collect()
}

fn chunked(bodies: &[&str]) -> Vec<String> {
    bodies.iter().map(|body| put_chunked("spoilt", body)).collect()
}

#[test]
fn a_missing_duplicate_or_malformed_host_is_refused() {
    let mut wires = texts(&["GET /healthz HTTP/1.1\r\n\r\n", "GET /healthz HTTP/1.1\r\nX: y\r\n\r\n"]);
    for host in ["a b", "u@a", "a/b", "a:x", "[::1", "", " ", ":", ":80"] {
        wires.push(format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    wires.extend(texts(&[
        "GET http://a/healthz HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /healthz HTTP/1.0\r\nHost:\r\n\r\n",
    ]));
    wires.extend(sized(&["Host: localhost", "HOST: b"]));
    check(400, "invalid_request", &wires);
}

#[test]
fn an_asterisk_with_get_is_refused() {
    check(400, "invalid_request", &[format!("{}\r\n", head("GET", "*"))]);
}

#[test]
fn ambiguous_field_lines_are_refused() {
    let fields = [
        "X : y",
        "X\t: y",
        "X: y\r\n z",
        "X: y\r\n\tz",
        ": y",
        "X Y: z",
        "X(: y",
        "X",
        "Host a",
        "X: a\0b",
        "X: \u{1}",
        "X: a\u{7f}",
        "X: a\rb",
        "X: a\nY: b",
        "X\0: y",
    ];
    let mut wires = sized(&fields);
    wires.push("GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n".to_owned());
    wires.extend(alone(&["Content-Length : 5", "Content-Length\t: 5", " Content-Length: 5"]));
    check(400, "invalid_request", &wires);
}

#[test]
fn bare_line_feeds_and_carriage_returns_are_refused_anywhere() {
    let mut wires = texts(&[
        "\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\n",
        "GET /healthz HTTP/1.1\r\r\nHost: a\r\n\r\n",
        "GET /heal\rthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
    let bodies = [
        "5\n12345\r\n0\r\n\r\n",
        "5\r\n12345\n0\r\n\r\n",
        "5;x\n12345\r\n0\r\n\r\n",
        "5\r12345\r\n0\r\n\r\n",
        "5\r\n12345\r\n0\n\r\n",
        "5\r\n12345\r\n0\r\n\n",
        "5\r\n12345\r\n0\r\nX: y\n\r\n",
        "5\r\n12345\r\n0\r\n\rx",
    ];
    wires.extend(chunked(&bodies));
    check(400, "invalid_request", &wires);
}

#[test]
fn more_than_two_empty_lines_before_a_request_are_refused() {
    check(400, "invalid_request", &[format!("\r\n\r\n\r\n{}", put_five("spoilt", "Content-Length: 5\r\n"))]);
}

#[test]
fn request_lines_that_are_not_three_parts_are_refused() {
    let rest = "\r\nHost: a\r\n\r\n";
    let lines = [
        "GET  /healthz HTTP/1.1",
        "GET /healthz  HTTP/1.1",
        "GET\t/healthz HTTP/1.1",
        "GET /healthz\tHTTP/1.1",
        " GET /healthz HTTP/1.1",
        "GET /healthz",
        "GET",
        "GET /healthz ",
        "GET /healthz http/1.1",
        "GET /healthz HTTP/01.1",
        "GET /healthz HTTP/1",
        "GET /healthz HTTP/1.10",
        "GET /healthz HTTP/1.1 ",
        "GET /health z HTTP/1.1",
        "G(T /healthz HTTP/1.1",
        "\u{16}\u{3}\u{1}\u{2}",
        "{\"a\":1}",
    ];
    let wires: Vec<_> = lines.iter().map(|line| format!("{line}{rest}")).collect();
    check(400, "invalid_request", &wires);
}

#[test]
fn other_versions_are_refused() {
    let wires = texts(&[
        "GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/0.9\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]);
    check(505, "http_version_not_supported", &wires);
}

#[test]
fn a_target_over_8_kib_is_refused_and_one_of_8_kib_is_not() {
    let target = |bytes: usize| format!("/{}", "x".repeat(bytes - 1));
    let endless = format!("GET {}", target(9000));
    check(414, "target_too_long", &[format!("{}\r\n", head("GET", &target(8193))), endless]);
    let server = Server::start_known();
    let mut connection = server.connect();
    connection.send(format!("{}\r\n", head("GET", &target(8192))).as_bytes());
    assert_eq!(connection.read_response().code(), "not_found");
    connection.still_open();
}

#[test]
fn a_head_over_16_kib_or_100_fields_is_refused_and_one_at_the_bound_is_not() {
    let start = format!("{}X: ", head("GET", "/healthz"));
    let of_bytes = |bytes: usize| format!("{start}{}\r\n\r\n", "x".repeat(bytes - start.len() - 4));
    let with_fields =
        |count: usize| format!("{}{}\r\n", head("GET", "/healthz"), "X: y\r\n".repeat(count - 2));
    let wires = [
        of_bytes(16 * 1024 + 1),
        of_bytes(40_000),
        with_fields(101),
        format!("{start}{}", "x".repeat(20_000)),
        with_fields(5_000),
    ];
    check(431, "head_too_large", &wires);
    let server = Server::start_known();
    for wire in [of_bytes(16 * 1024), with_fields(100)] {
        let mut connection = server.connect();
        connection.send(wire.as_bytes());
        assert_eq!(connection.read_response().status, 200);
        connection.still_open();
    }
}

#[test]
fn a_content_length_that_is_not_a_plain_number_is_refused() {
    let lengths = [
        "+5",
        "-1",
        "5a",
        "0x5",
        "1_0",
        "",
        "5 5",
        "5, 5",
        "5,5",
        "005",
        "00",
        "18446744073709551616",
        "99999999999999999999",
    ];
    let fields: Vec<_> = lengths.iter().map(|length| format!("Content-Length: {length}")).collect();
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    let mut wires = alone(&fields);
    wires
        .extend(alone(&["Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5\r\ncontent-length: 6"]));
    check(400, "invalid_request", &wires);
}

#[test]
fn a_length_with_a_transfer_coding_is_refused_in_any_order() {
    let body = "\r\n5\r\n12345\r\n0\r\n\r\n";
    let both = ["Content-Length: 15\r\n", "Transfer-Encoding: chunked\r\n"];
    let start = head("PUT", &format!("{DEMO_KEYS}/spoilt"));
    let wires =
        [format!("{start}{}{}{body}", both[0], both[1]), format!("{start}{}{}{body}", both[1], both[0])];
    check(400, "invalid_request", &wires);
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let mut wires = alone(&[
        "Content-Length: 1001",
        "Content-Length: 1125899906842624",
        "Content-Length: 18446744073709551615",
        "Content-Length: 1001\r\nExpect: 100-continue",
    ]);
    wires.extend(chunked(&["3e9\r\n", "5\r\n12345\r\n3e4\r\n", "ffffffffffffffff\r\n"]));
    check(413, "body_too_large", &wires);
}

#[test]
fn transfer_codings_that_are_empty_duplicate_or_of_http_1_0_are_refused() {
    let codings = [
        "Transfer-Encoding:",
        "Transfer-Encoding: ,",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ];
    let mut wires = alone(&codings);
    let old = head("PUT", &format!("{DEMO_KEYS}/spoilt")).replace("HTTP/1.1", "HTTP/1.0");
    wires.push(format!("{old}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"));
    check(400, "invalid_request", &wires);
}

#[test]
fn unknown_transfer_codings_are_not_implemented() {
    let codings = ["xchunked", "gzip, chunked", "gzip", "identity", "\"chunked\""];
    let wires: Vec<_> = codings
        .iter()
        .map(|coding| put_five("spoilt", &format!("Transfer-Encoding: {coding}\r\n")))
        .collect();
    check(501, "not_implemented", &wires);
}

#[test]
fn chunk_sizes_that_are_not_plain_hexadecimal_are_refused() {
    let sizes =
        ["", " ", ";x", "+5", "0x5", " 5", "5 ", "5 ;x", "5_0", "5\t", "g", "-5", "00000000000000005"];
    let bodies: Vec<_> = sizes.iter().map(|size| format!("{size}\r\n12345\r\n0\r\n\r\n")).collect();
    let mut bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
    bodies.extend(["10000000000000000\r\n", "5\r\n123450\r\n\r\n", "5\r\n1234567\r\n0\r\n\r\n"]);
    check(400, "invalid_request", &chunked(&bodies));
}

#[test]
fn chunk_extensions_and_trailers_are_bounded_and_well_formed() {
    let extension = |bytes: usize| format!("5;{}\r\n12345\r\n0\r\n\r\n", "e".repeat(bytes - 1));
    let bodies = [
        extension(4097),
        "5;\0\r\n12345\r\n0\r\n\r\n".to_owned(),
        "5;a\u{1}\r\n12345\r\n0\r\n\r\n".to_owned(),
        "5;\r\n12345\r\n0\r\n\r\n".to_owned(),
        "5;bad[=x\r\n12345\r\n0\r\n\r\n".to_owned(),
        "5;a=\r\n12345\r\n0\r\n\r\n".to_owned(),
        "5\r\n12345\r\n0;\r\n\r\n".to_owned(),
        "5\r\n12345\r\n0\r\nX y\r\n\r\n".to_owned(),
        "5\r\n12345\r\n0\r\n X\r\n\r\n".to_owned(),
        "5\r\n12345\r\n0\r\nX : y\r\n\r\n".to_owned(),
        "5\r\n12345\r\n0\r\nX: y\r\n Z: y\r\n\r\n".to_owned(),
        "5\r\n12345\r\n0\r\nX: \0\r\n\r\n".to_owned(),
        format!("5\r\n12345\r\n0\r\nX: {}\r\n\r\n", "t".repeat(8192)),
    ];
    let bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
    check(400, "invalid_request", &chunked(&bodies));
}

#[test]
fn a_content_type_that_appears_twice_is_refused() {
    let fields = [
        "Content-Type: text/plain\r\ncontent-type: application/json",
        "Content-Type: text/plain\r\nContent-Type: text/plain",
    ];
    check(400, "invalid_request", &sized(&fields));
}

#[test]
fn other_expectations_are_refused() {
    check(417, "expectation_failed", &sized(&["Expect: whatever", "Expect: 100-continue, x"]));
}

#[test]
fn a_too_long_method_is_not_implemented() {
    check(501, "not_implemented", &[format!("{}\r\n", head(&"A".repeat(40), "/healthz"))]);
}

#[test]
fn a_request_whose_body_never_ends_changes_nothing() {
    let server = Server::start_known();
    let whole = [
        put_five("cut", "Content-Length: 6\r\n"),
        put_chunked("cut", "5\r\n12345\r\n"),
        put_chunked("cut", "5\r\n12345\r\n0\r\n"),
        put_chunked("cut", "5\r\n123"),
        head("PUT", &format!("{DEMO_KEYS}/cut")),
    ];
    for wire in whole {
        let mut connection = server.connect();
        connection.send(wire.as_bytes());
        connection.finish_sending();
        let answer = connection.read_to_end().unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{wire:?}: {}", String::from_utf8_lossy(&answer));
    }
    expect_nothing_applied(&server);
}

#[test]
fn requests_before_a_refused_one_are_answered_and_those_after_it_are_not() {
    let server = Server::start_known();
    let mut connection = server.connect();
    let good = put_five("before", "Content-Length: 5\r\n");
    let bad = put_five("bad", "Content-Length: +5\r\n");
    let behind = put_five("behind", "Content-Length: 5\r\n");
    connection.send(format!("{good}{bad}{behind}").as_bytes());
    assert_eq!(connection.read_response().status, 201);
    connection.read_response().expect_problem(400, "invalid_request");
    connection.expect_closed();
    assert_eq!(server.get_demo("before").text(), "12345");
    assert_eq!(server.get_demo("bad").status, 404);
    assert_eq!(server.get_demo("behind").status, 404);
}

#[test]
fn a_client_that_keeps_sending_after_a_refusal_still_reads_it() {
    let server = Server::start_known();
    for bytes in [50_000, 10 * 1024 * 1024] {
        let mut connection = server.connect();
        let start = head("PUT", &format!("{DEMO_KEYS}/huge"));
        connection.send(format!("{start}Content-Length: 99999999\r\n\r\n").as_bytes());
        // Beyond what is drained the server may hang up on the sender.
        let sent = connection.try_send(&vec![b'1'; bytes]);
        assert!(sent.is_ok() || bytes > 64 * 1024, "{sent:?}");
        connection.read_response().expect_problem(413, "body_too_large");
    }
    expect_nothing_applied(&server);
}
