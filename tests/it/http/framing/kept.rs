//! What is unusual or wrong, but leaves no doubt where the next request begins: the connection
//! goes on (or ends because the client asked for it).

use super::{expect_nothing_applied, head, put_chunked, put_five};
use crate::harness::{DEMO_KEY, DEMO_KEYS, Response, Server, encode_request};

/// Sends `wire`, expects `status` and one more request to be answered on the connection.
fn check_kept(server: &Server, status: u16, method: &str, wire: &[u8]) -> Response {
    let shown = String::from_utf8_lossy(wire).into_owned();
    let mut connection = server.connect();
    connection.send(wire);
    let response = connection.try_read_response(method).unwrap_or_else(|e| panic!("{e} for {shown:?}"));
    assert_eq!(response.status, status, "{shown:?}: {response:?}");
    assert_ne!(response.field("connection"), Some("close"), "{shown:?}");
    assert!(response.field("x-request-id").is_some(), "{shown:?}");
    connection.still_open();
    response
}

fn simple(method: &str, target: &str) -> Vec<u8> {
    format!("{}\r\n", head(method, target)).into_bytes()
}

#[test]
fn an_http_1_0_request_without_host_is_served_and_the_connection_ends() {
    let server = Server::start_known();
    let mut connection = server.connect();
    connection.send(b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(connection.read_response().status, 200);
    connection.expect_closed();
    let mut listing = server.connect();
    listing.send(format!("GET {DEMO_KEYS} HTTP/1.0\r\nX-API-Key: {DEMO_KEY}\r\n\r\n").as_bytes());
    let response = listing.read_response();
    assert_eq!(response.field("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
    assert_eq!(response.json()["count"], 0);
    listing.expect_closed();
}

#[test]
fn connection_close_is_obeyed_and_announced() {
    let server = Server::start_known();
    let mut connection = server.connect();
    let response = connection.request("GET", "/healthz", None, &[("Connection", "close")], b"");
    assert_eq!((response.status, response.field("connection")), (200, Some("close")));
    connection.expect_closed();
}

#[test]
fn an_absolute_target_is_accepted() {
    let server = Server::start_known();
    check_kept(&server, 200, "GET", &simple("GET", "http://elsewhere:80/healthz"));
    check_kept(&server, 404, "GET", &simple("GET", &format!("http://elsewhere{DEMO_KEYS}/absent")));
}

#[test]
fn options_of_the_server_and_of_a_route_has_no_body_and_no_length() {
    let server = Server::start_known();
    for target in ["*", DEMO_KEYS] {
        let response = check_kept(&server, 204, "OPTIONS", &simple("OPTIONS", target));
        assert_eq!(response.field("content-length"), None);
        assert_eq!(response.field("transfer-encoding"), None);
    }
    let allow = check_kept(&server, 204, "OPTIONS", &simple("OPTIONS", DEMO_KEYS));
    let allow = allow.field("allow").expect("Allow");
    for method in ["GET", "HEAD", "DELETE"] {
        assert!(allow.contains(method), "{method} in {allow}");
    }
}

#[test]
fn two_empty_lines_before_a_request_are_ignored() {
    let server = Server::start_known();
    for lines in ["\r\n", "\r\n\r\n"] {
        check_kept(&server, 200, "GET", format!("{lines}{}\r\n", head("GET", "/healthz")).as_bytes());
    }
}

#[test]
fn an_invalid_target_fails_only_that_request() {
    let server = Server::start_known();
    let tails: [&[u8]; 13] = [
        b"a#b",
        b"a\\b",
        b"a\"b",
        b"\xC3\xA9",
        b"\xFF",
        b"%zz",
        b"%",
        b"%a",
        b"%C0%AF",
        b"%ff",
        b"a?raw=%E2%82",
        b"%ED%A0%80",
        b"a<b",
    ];
    for tail in tails {
        let mut wire = format!("PUT {DEMO_KEYS}/").into_bytes();
        wire.extend_from_slice(tail);
        let rest = format!(" HTTP/1.1\r\nHost: a\r\nX-API-Key: {DEMO_KEY}\r\nContent-Length: 5\r\n\r\n12345");
        wire.extend_from_slice(rest.as_bytes());
        check_kept(&server, 400, "PUT", &wire).expect_problem(400, "invalid_target");
    }
    expect_nothing_applied(&server);
}

#[test]
fn chunked_bodies_are_accepted_in_any_spelling_with_extensions_and_trailers() {
    let server = Server::start_known();
    let bodies = [
        "5\r\n12345\r\n0\r\n\r\n",
        "5;a=\"b\tc\"\r\n12345\r\n0;x\r\nX: y\r\nAnything:\r\n\r\n",
        "1\r\n1\r\n0000000000000004\r\n2345\r\n000\r\n\r\n",
        "2\r\n12\r\n3\r\n345\r\n0\r\nContent-Length: 99\r\nX-API-Key: z\r\n\r\n",
    ];
    for (number, body) in bodies.iter().enumerate() {
        let key = format!("chunked{number}");
        check_kept(&server, 201, "PUT", put_chunked(&key, body).as_bytes());
        assert_eq!(server.get_demo(&key).text(), "12345", "{body:?}");
    }
    let spelt = put_chunked("spelt", bodies[0]).replace("chunked\r\n\r\n", "\tCHunked \r\n\r\n");
    check_kept(&server, 201, "PUT", spelt.as_bytes());
    let most = format!("5;{}\r\n12345\r\n0\r\nX: {}\r\n\r\n", "e".repeat(4095), "t".repeat(8000));
    check_kept(&server, 201, "PUT", put_chunked("most", &most).as_bytes());
}

#[test]
fn a_continue_is_sent_to_a_client_that_waits_for_it() {
    let server = Server::start_known();
    let mut connection = server.connect();
    let start = head("PUT", &format!("{DEMO_KEYS}/a"));
    connection.send(format!("{start}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n").as_bytes());
    let mut interim = vec![0; 25];
    connection.read_exact(&mut interim);
    assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.send(b"12345");
    assert_eq!(connection.read_response().status, 201);
    connection.still_open();
    let mut chunked = server.connect();
    chunked.send(
        format!("{start}Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n54321\r\n0\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(chunked.read_response().status, 200);
    chunked.still_open();
}

#[test]
fn a_client_that_waits_for_a_continue_need_not_send_the_body_after_a_final_status() {
    let server = Server::start_known();
    let mut connection = server.connect();
    let start = head("PUT", &format!("{DEMO_KEYS}/a")).replace(DEMO_KEY, "a-wrong-key-that-is-long-enough");
    connection.send(format!("{start}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n").as_bytes());
    let response = connection.read_response();
    response.expect_problem(401, "api_key_wrong");
    assert!(response.interim.is_empty(), "no 100 before a refusal");
    expect_nothing_applied(&server);
}

#[test]
fn http_1_0_gets_no_continue() {
    let server = Server::start_known();
    let mut connection = server.connect();
    let start = head("PUT", &format!("{DEMO_KEYS}/a")).replace("HTTP/1.1", "HTTP/1.0");
    connection.send(format!("{start}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n").as_bytes());
    assert!(!connection.has_input_within(std::time::Duration::from_millis(100)), "an interim answer to 1.0");
    connection.send(b"12345");
    let response = connection.read_response();
    assert_eq!((response.status, response.interim.as_slice()), (201, [].as_slice()));
    connection.expect_closed();
}

#[test]
fn a_head_request_has_the_fields_of_get_and_no_body() {
    let server = Server::start_known();
    assert_eq!(server.put_demo("a", "[1,2]").status, 201);
    for target in [format!("{DEMO_KEYS}/a"), format!("{DEMO_KEYS}/a?raw"), format!("{DEMO_KEYS}/absent")] {
        let mut connection = server.connect();
        let get = connection.request("GET", &target, Some(DEMO_KEY), &[], b"");
        let without_body = connection.request("HEAD", &target, Some(DEMO_KEY), &[], b"");
        assert_eq!(get.status, without_body.status);
        for name in ["content-length", "content-type", "etag"] {
            // The detail of a problem may differ, and with it the length.
            if get.status == 200 || name != "content-length" {
                assert_eq!(get.field(name), without_body.field(name), "{name} of {target}");
            }
        }
        connection.still_open();
    }
    check_kept(&server, 200, "HEAD", &simple("HEAD", DEMO_KEYS));
    check_kept(&server, 200, "HEAD", &simple("HEAD", "/healthz"));
}

#[test]
fn a_deletion_answers_204_without_length_or_body() {
    let server = Server::start_known();
    assert_eq!(server.put_demo("a", "1").status, 201);
    let response = check_kept(&server, 204, "DELETE", &simple("DELETE", &format!("{DEMO_KEYS}/a")));
    assert_eq!(response.field("content-length"), None);
    assert_eq!(response.field("transfer-encoding"), None);
}

#[test]
fn upgrades_are_ignored() {
    let server = Server::start_known();
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
    ] {
        check_kept(&server, 200, "GET", format!("{}{fields}\r\n", head("GET", "/healthz")).as_bytes());
    }
}

#[test]
fn unknown_and_unsupported_methods_are_refused_differently() {
    let server = Server::start_known();
    let path = format!("{DEMO_KEYS}/a");
    for (method, target, status, code) in [
        ("CONNECT", "localhost:80", 405, "method_not_allowed"),
        ("TRACE", path.as_str(), 405, "method_not_allowed"),
        ("PATCH", path.as_str(), 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("BREW", path.as_str(), 501, "not_implemented"),
        ("get", path.as_str(), 501, "not_implemented"),
    ] {
        let wire = format!("{}Content-Length: 0\r\n\r\n", head(method, target));
        let response = check_kept(&server, status, method, wire.as_bytes());
        response.expect_problem(status, code);
        assert_eq!(response.field("allow").is_some(), status == 405, "Allow to {method}");
    }
}

#[test]
fn the_body_of_a_get_is_never_the_next_request() {
    let server = Server::start_known();
    let inner = put_five("smuggled", "Content-Length: 5\r\n");
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "BREW", "PATCH"] {
        let mut connection = server.connect();
        connection.send(&encode_request(method, DEMO_KEYS, Some(DEMO_KEY), &[], inner.as_bytes()));
        connection.read_response_to(method);
        connection.still_open();
    }
    expect_nothing_applied(&server);
}

#[test]
fn errors_of_a_handler_keep_the_connection() {
    let server = Server::start_known();
    let mut connection = server.connect();
    let path = format!("{DEMO_KEYS}/a");
    for (method, path, key, body, status, code) in [
        ("GET", path.as_str(), Some(DEMO_KEY), "", 404, "key_not_found"),
        ("PUT", path.as_str(), Some(DEMO_KEY), "{", 400, "invalid_json"),
        ("PUT", path.as_str(), None, "1", 401, "api_key_missing"),
        ("GET", "/nowhere", None, "", 404, "not_found"),
    ] {
        let response = connection.request(method, path, key, &[], body.as_bytes());
        response.expect_problem(status, code);
    }
    connection.send(format!("{}\r\n", head("PUT", &path)).as_bytes());
    connection.read_response().expect_problem(411, "length_required");
    connection.still_open();
    expect_nothing_applied(&server);
}
