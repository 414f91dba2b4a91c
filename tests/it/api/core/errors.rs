//! Failures: every one is a problem that says what was wrong and what would be right.

use crate::harness::kv::{BATCH, KEYS, Kv, PROJECT, PROJECTS, key_path};
use std::collections::BTreeSet;

#[test]
fn a_write_without_a_length_is_411() {
    let kv = Kv::new();
    for (method, target) in [
        ("PUT", key_path("a")),
        ("POST", key_path("a")),
        ("POST", BATCH.to_owned()),
        ("POST", PROJECTS.to_owned()),
    ] {
        let mut connection = kv.global().connect().connection;
        let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", kv.global_key);
        connection.send(head.as_bytes());
        connection.read_response().problem(411, "length_required");
    }
    kv.project().get(&key_path("a")).expect(404);
}

#[test]
fn a_chunked_body_needs_no_length() {
    let kv = Kv::new();
    let mut connection = kv.project().connect().connection;
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        key_path("a"),
        kv.project_key
    );
    connection.send(head.as_bytes());
    connection.send(b"2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n");
    connection.read_response().expect(201);
    connection.still_open();
    assert_eq!(kv.project().get(&key_path("a")).json()["value"], serde_json::json!([1]));
}

#[test]
fn a_body_above_the_limit_is_413_with_limit_and_size() {
    let kv = Kv::new();
    let mut connection = kv.project().connect().connection;
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nContent-Length: 1125899906842624\r\n\r\n",
        key_path("a"),
        kv.project_key
    );
    connection.send(head.as_bytes());
    let problem = connection.read_response().problem(413, "body_too_large");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("1,048,576 (limits.body_bytes_max)") && detail.contains("1,125,899,906,842,624"),
        "{detail}"
    );
}

#[test]
fn more_fields_than_a_head_has_are_431() {
    let kv = Kv::new();
    let many = vec![("X-Many", "1"); 101];
    kv.project().send("GET", PROJECT, &many, b"").problem(431, "head_too_large");
}

#[test]
fn a_version_or_expectation_that_is_not_supported_is_named() {
    let kv = Kv::new();
    let mut connection = kv.project().connect().connection;
    connection.send(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n");
    connection.read_response().problem(505, "http_version_not_supported");
    kv.project()
        .send("PUT", &key_path("a"), &[("Expect", "200-ok")], b"1")
        .problem(417, "expectation_failed");
    let mut connection = kv.project().connect().connection;
    connection.send(b"GET /healthz HTTP/1.1\r\n\r\n");
    connection.read_response().problem(400, "invalid_request");
    for target in ["/%zz", "/%C3%28", "/a\"b", "/a\\b"] {
        let problem = kv.project().get(target).expect(400);
        let code = problem.code();
        assert!(["invalid_target", "invalid_request"].contains(&code.as_str()), "{target}: {code}");
        problem.problem(400, &code);
    }
}

#[test]
fn a_line_break_after_a_key_is_refused_with_the_name_of_the_field() {
    let kv = Kv::new();
    for (line, name) in [
        ("X-API-Key: s3cret\r", "X-API-Key"),
        ("X-API-Key: s3cret\n", "X-API-Key"),
        ("Authorization: Bearer s3cret\r", "Authorization"),
        ("api-key: s3\u{0}cret", "api-key"),
        ("X-API-Key: s3\u{1b}cret", "X-API-Key"),
    ] {
        let mut connection = kv.anonymous().connect().connection;
        connection.send(format!("GET {KEYS} HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n").as_bytes());
        let problem = connection.read_response().problem(400, "invalid_request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(name) && !detail.contains("s3"), "{detail}");
    }
}

#[test]
fn every_answer_has_its_own_request_id() {
    let kv = Kv::new();
    let answers = [
        kv.project().put(&key_path("a"), "1"),
        kv.project().get(&key_path("a")),
        kv.project().get(KEYS),
        kv.anonymous().get(PROJECT),
        kv.global().get("/nothing"),
        kv.project().delete(&key_path("a")),
        kv.anonymous().get("/healthz"),
        kv.anonymous().send("GET", "/a b", &[], b""),
    ];
    let ids: Vec<&str> = answers
        .iter()
        .map(|answer| answer.field("x-request-id").unwrap_or_else(|| panic!("{answer:?}")))
        .collect();
    assert!(ids.iter().all(|id| !id.is_empty()));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}
