//! Failures: every one is a problem that says what was wrong and what would be right.

use crate::harness::Response;
use crate::harness::kv::{BATCH, KEYS, Kv, PROJECT, PROJECTS, key_path};
use std::collections::BTreeSet;

fn allowed(answer: &Response) -> BTreeSet<String> {
    let allow = answer.field("allow").unwrap_or_else(|| panic!("no Allow: {answer:?}"));
    allow.split(',').map(|method| method.trim().to_owned()).collect()
}

fn routes() -> Vec<(String, &'static [&'static str])> {
    let read: &[&str] = &["GET", "HEAD", "OPTIONS"];
    vec![
        (PROJECTS.to_owned(), &["GET", "HEAD", "POST", "OPTIONS"]),
        (PROJECT.to_owned(), &["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]),
        (format!("{PROJECT}/api-key/regenerate"), &["POST", "OPTIONS"]),
        (KEYS.to_owned(), &["GET", "HEAD", "DELETE", "OPTIONS"]),
        (key_path("a"), &["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]),
        (BATCH.to_owned(), &["POST", "OPTIONS"]),
        ("/healthz".to_owned(), read),
        ("/readyz".to_owned(), read),
    ]
}

#[test]
fn a_method_that_a_route_has_not_is_405_with_those_it_has() {
    let kv = Kv::new();
    for (target, methods) in routes() {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            if !methods.contains(&method) {
                let answer = kv.global().send(method, &target, &[], b"");
                let expected = methods.iter().map(|&method| method.to_owned()).collect();
                assert_eq!(allowed(&answer), expected, "{method} {target}");
                let problem = answer.problem(405, "method_not_allowed");
                assert!(problem["detail"].as_str().unwrap().contains(methods[0]), "{problem}");
            }
        }
        for method in ["TRACE", "CONNECT"] {
            kv.global().send(method, &target, &[], b"").expect(405);
        }
    }
}

#[test]
fn options_names_the_methods_of_a_route() {
    let kv = Kv::new();
    for (target, methods) in routes() {
        let answer = kv.global().send("OPTIONS", &target, &[], b"").expect(204);
        assert_eq!(allowed(&answer), methods.iter().map(|&method| method.to_owned()).collect(), "{target}");
    }
}

#[test]
fn a_method_that_nobody_knows_is_501() {
    let kv = Kv::new();
    kv.global().send("BREW", &key_path("a"), &[], b"").problem(501, "not_implemented");
    kv.global().send("get", &key_path("a"), &[], b"").problem(501, "not_implemented");
}

#[test]
fn a_path_that_is_no_route_is_404() {
    let kv = Kv::new();
    let targets = [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/projects/",
        "/api/v1/projects/first_project/",
        "/api/v1/projects/first_project/key",
        "/api/v1/projects/first_project/batch/",
        "/api/v1/projects/first_project/api-key",
        "/api/v1//projects",
        "/API/v1/projects",
        "/api/v2/projects",
        "/healthz/",
        "/favicon.ico",
    ];
    for target in targets {
        kv.global().get(target).problem(404, "not_found");
        assert!(kv.global().head(target).expect(404).body.is_empty());
    }
    kv.anonymous().get("/nothing").problem(404, "not_found");
}

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
    assert!(detail.contains("1048576") && detail.contains("1125899906842624"), "{detail}");
}

#[test]
fn a_target_or_head_above_the_limit_is_named() {
    let kv = Kv::new();
    kv.project().get(&format!("{KEYS}/{}", "x".repeat(9_000))).problem(414, "target_too_long");
    let long = "x".repeat(17_000);
    kv.project().send("GET", PROJECT, &[("X-Long", &long)], b"").problem(431, "head_too_large");
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
fn a_part_of_a_value_is_not_written_as_the_whole() {
    let kv = Kv::new();
    let part = [("Content-Range", "bytes 0-0/2")];
    kv.project().put(&key_path("a"), "12").expect(201);
    let global = [
        ("POST", PROJECTS, "{\"id\":\"part\"}"),
        ("PUT", PROJECT, "{}"),
        ("DELETE", PROJECT, ""),
        ("POST", BATCH, "{\"operations\":[]}"),
        ("DELETE", KEYS, ""),
        ("POST", "/api/v1/accounts", "{\"username\":\"part\",\"password\":\"Engine#1843\"}"),
    ];
    let key = key_path("a");
    let of_key = [("PUT", &*key, "1"), ("POST", &key, "{\"value\":1}"), ("DELETE", &key, "")];
    for (method, target, body) in global.into_iter().chain(of_key) {
        let answer = kv.global().send(method, target, &part, body.as_bytes());
        answer.problem(400, "content_range_not_supported");
    }
    let item = kv.project().send("PUT", "/item/a", &part, b"{\"value\":1}").expect(400);
    assert!(item.json()["error"].as_str().unwrap().contains("Content-Range"));
    assert_eq!(kv.project().send("GET", &key, &part, b"").expect(200).json()["value"], 12);
}

#[test]
fn a_line_break_behind_a_key_names_the_field_that_has_it() {
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
fn a_path_where_nothing_is_names_the_health_check_and_the_documentation() {
    let kv = Kv::new();
    for target in ["/", "/nothing", "/api", "/api/v1"] {
        let problem = kv.anonymous().get(target).problem(404, "not_found");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("/healthz") && detail.contains("docs/HTTP-API.md"), "{detail}");
    }
}

#[test]
fn every_answer_has_a_request_id_of_its_own() {
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

#[test]
fn a_failed_request_leaves_the_connection_usable() {
    let kv = Kv::new();
    let mut connection = kv.project().connect();
    connection.send("GET", &key_path("a"), &[], b"").problem(404, "key_not_found");
    connection.send("PUT", &key_path("a"), &[], b"{").problem(400, "invalid_json");
    connection.send("PATCH", &key_path("a"), &[], b"{}").problem(405, "method_not_allowed");
    connection.send("GET", "/nothing", &[], b"").problem(404, "not_found");
    connection.send("PUT", &key_path("a"), &[], b"1").expect(201);
}
