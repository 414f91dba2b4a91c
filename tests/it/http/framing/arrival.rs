//! A refusal reaches its client, also one that sends its whole body before it reads, and comes alone.

use super::{head, put_five};
use crate::harness::{DEMO_KEY, DEMO_KEYS, Response, Server, encode_request, known_config_with};
use serde_json::json;
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;

/// Sends `wire` to its last byte and only then reads the answer, which the server follows by an orderly end.
fn send_all_then_read(server: &Server, wire: &[u8]) -> Response {
    let mut connection = server.connect();
    connection.try_send(wire).unwrap_or_else(|error| panic!("interrupted while sending: {error}"));
    let response = connection.read_response();
    connection.finish_sending();
    connection.expect_closed();
    response
}

#[test]
fn a_client_that_sends_all_before_it_reads_finds_every_refusal() {
    let server = Server::start_known();
    let check = |status: u16, method: &str, path: &str, key: &str, fields: &[(&str, &str)]| {
        for bytes in [900_000, 3 * MIB, 20 * MIB] {
            let wire = encode_request(method, path, Some(key), fields, &vec![b'1'; bytes]);
            let response = send_all_then_read(&server, &wire);
            let expected = if bytes > MIB { [status, 413] } else { [status, status] };
            assert!(expected.contains(&response.status), "{method} {path} {bytes}: {response:?}");
        }
    };
    let one = format!("{DEMO_KEYS}/a");
    check(401, "PUT", &one, "wrong-key-0123456789abcdef", &[]);
    check(401, "POST", &one, "wrong-key-0123456789abcdef", &[]);
    check(401, "POST", "/api/v1/projects/nobody/batch", "wrong-key-0123456789abcdef", &[]);
    check(404, "PUT", "/nothing/here", DEMO_KEY, &[]);
    check(405, "PUT", "/healthz", DEMO_KEY, &[]);
    check(403, "PUT", "/item/a", "wrong-key-0123456789abcdef", &[]);
    check(401, "PUT", "/api/object/a", "wrong-key-0123456789abcdef", &[]);
    check(501, "BREW", &one, DEMO_KEY, &[]);
    check(400, "PUT", &one, DEMO_KEY, &[("content-length", "5")]);
    check(400, "PUT", &one, DEMO_KEY, &[("transfer-encoding", "gzip")]);
    check(417, "PUT", &one, DEMO_KEY, &[("expect", "the-unexpected")]);
}

#[test]
fn a_refused_chunked_body_is_read_to_its_end() {
    let server = Server::start_known();
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, "1".repeat(100_000));
    let path = format!("{DEMO_KEYS}/a");
    let wire = format!(
        "{}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        head("PUT", &path).replace(DEMO_KEY, "wrong-key-0123456789abcdef"),
        chunk.repeat(9)
    );
    assert_eq!(send_all_then_read(&server, wire.as_bytes()).status, 401);
    let wire = format!("{}Transfer-Encoding: chunked\r\n\r\n{}", head("PUT", &path), chunk.repeat(30));
    assert_eq!(send_all_then_read(&server, wire.as_bytes()).status, 413);
}

#[test]
fn a_connection_whose_client_trickles_after_a_refusal_is_drained_for_five_seconds() {
    let server = Server::start_known();
    let mut connection = server.connect();
    let since = Instant::now();
    connection.send(head("PUT", "/nothing").as_bytes());
    connection.send(b"Content-Length: 1000000\r\n\r\n");
    assert_eq!(connection.read_response().status, 404);
    while connection.try_send(b"1").is_ok() {
        assert!(since.elapsed() < Duration::from_secs(20), "the connection is still drained");
        std::thread::sleep(Duration::from_millis(100)); // the pace of the trickle
    }
    assert!(since.elapsed() >= Duration::from_secs(4), "{:?} is too early", since.elapsed());
}

/// What the server answers to `wire`, which arrives at once, until it closes.
fn answers(server: &Server, wire: &str) -> Vec<Response> {
    let mut connection = server.connect();
    connection.send(wire.as_bytes());
    connection.finish_sending();
    let mut answers = Vec::new();
    while let Ok(response) = connection.try_read_response("PUT") {
        answers.push(response);
    }
    answers
}

#[test]
fn a_content_length_that_is_too_small_is_refused_once_with_that_reason() {
    let server = Server::start_known();
    let path = format!("{DEMO_KEYS}/short");
    for (length, body) in [
        (18, r#"{"value":"forty-2"}}}"#),
        (18, "{\"value\":\"forty\",}\n\n"),
        (1, "1}"),
        (0, r#"{"value":1}"#),
        (2, "12\n"),
        (4, "true, and more"),
    ] {
        let wire = format!("{}Content-Length: {length}\r\n\r\n{body}", head("PUT", &path));
        let answers = answers(&server, &wire);
        let [answer] = answers.as_slice() else { panic!("{body}: {answers:?}") };
        answer.expect_problem(400, "invalid_request");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(&format!("Content-Length is {length}")), "{body}: {detail}");
    }
    super::expect_nothing_applied(&server);
}

#[test]
fn the_rest_of_a_refused_request_gets_no_answer_of_its_own() {
    let server = Server::start_known();
    let mut connection = server.connect();
    let path = format!("{DEMO_KEYS}/short");
    connection
        .send(format!("{}Content-Length: 18\r\n\r\n{{\"value\":\"forty-2\"", head("PUT", &path)).as_bytes());
    assert_eq!(connection.read_response().status, 400);
    connection.send(b"}}}");
    connection.finish_sending();
    connection.expect_closed();
    let mut connection = server.connect();
    connection.send(format!("{}\r\n", head("POST", &path)).as_bytes());
    assert_eq!(connection.read_response().status, 411);
    connection.send(b"{\"value\":1}");
    connection.finish_sending();
    connection.expect_closed();
}

#[test]
fn the_rest_of_an_accepted_request_is_refused_with_its_likely_cause() {
    let server = Server::start_known();
    let mut connection = server.connect();
    connection.send(put_five("five", "Content-Length: 5\r\n").as_bytes());
    assert_eq!(connection.read_response().status, 201);
    connection.send(b"\"}");
    let response = connection.read_response();
    response.expect_problem(400, "invalid_request");
    assert!(response.json()["detail"].to_string().contains("Content-Length is 5"), "{response:?}");
    connection.finish_sending();
    connection.expect_closed();
}

#[test]
fn an_empty_line_or_another_request_may_follow_a_body() {
    let server = Server::start_known();
    let put = put_five("five", "Content-Length: 5\r\n");
    let statuses = |wire: &str| answers(&server, wire).iter().map(|answer| answer.status).collect::<Vec<_>>();
    assert_eq!(statuses(&format!("{put}\r\n\r\n{put}\r\n")), [201, 200]);
    assert_eq!(statuses(&format!("{put}{put}BREW / HTTP/1.1\r\nHost: a\r\n\r\n")), [200, 200, 501]);
    assert_eq!(statuses(&format!("{put}GET")), [200], "it may become a request");
}

#[test]
fn only_a_client_that_speaks_tls_gets_the_error_about_tls() {
    let server = Server::start_known();
    let detail = |wire: &[u8]| {
        let mut connection = server.connect();
        connection.send(wire);
        let response = connection.read_response();
        response.expect_problem(400, "invalid_request");
        response.json()["detail"].to_string()
    };
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    assert!(detail(hello).contains("TLS"), "{}", detail(hello));
    assert!(!detail(b"{\"value\": 1}").contains("TLS"), "{}", detail(b"{\"value\": 1}"));
}

#[test]
fn a_body_that_does_not_arrive_is_reported_as_incomplete() {
    let server = Server::start_with(known_config_with(json!({ "timeouts": { "body_grace_seconds": 1 } })));
    let mut connection = server.connect();
    connection.send(put_five("slow", "Content-Length: 600\r\n").as_bytes());
    let response = connection.read_response();
    response.expect_problem(408, "request_timeout");
    assert!(response.json()["detail"].to_string().contains("Only 5 bytes"), "{response:?}");
}
