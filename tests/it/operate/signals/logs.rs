//! What the log says of requests, and what it must never say.

use crate::harness::{
    DEMO_KEY, DEMO_KEYS, GLOBAL_KEY, Options, Response, Server, known_config, refused_start, wait_until,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn server_with_args(args: &[&str]) -> Server {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Server::start_as(Options { config: Some(known_config()), args, ..Options::default() })
}

fn request_id(response: &Response) -> String {
    response.field("x-request-id").expect("X-Request-Id").to_owned()
}

/// The log line of `response`.
fn line_of(server: &Server, response: &Response) -> String {
    let id = request_id(response);
    let mut found = None;
    wait_until("the request is in the log", || {
        let text = server.stderr_text();
        let whole_lines = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        found = whole_lines.lines().find(|line| line.contains(&id)).map(str::to_owned);
        found.is_some()
    });
    found.unwrap()
}

fn assert_is_time(text: &str) {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
}

#[test]
fn a_request_is_one_line_of_text_with_all_fields() {
    let server = server_with_args(&["--log-format", "text"]);
    let put = server.put_demo("a", "[1,2,3]");
    let get = server.get_demo("a");
    let absent = server.get_demo("absent");
    for (response, method, key) in [(&put, "PUT", "a"), (&get, "GET", "a"), (&absent, "GET", "absent")] {
        let line = line_of(&server, response);
        let words: Vec<_> = line.split(' ').collect();
        let path = format!("{DEMO_KEYS}/{key}");
        let (status, bytes) = (response.status.to_string(), response.body.len().to_string());
        assert_is_time(words[0]);
        assert_eq!(words[1..6], ["127.0.0.1", method, &path, &status, &bytes], "{line}");
        let micros: u64 = words[6].strip_suffix("us").expect("us").parse().unwrap();
        assert!(micros < 30_000_000, "{line}");
        assert_eq!(words[7..], [request_id(response)], "{line}");
    }
}

#[test]
fn a_request_is_one_json_object_with_all_fields() {
    let mut config = known_config();
    config["log"] = json!({ "format": "json", "level": "debug" });
    let server = Server::start_with(config);
    let response = server.put_demo("a", "[1,2,3]");
    let line: Value = serde_json::from_str(&line_of(&server, &response)).unwrap();
    assert_is_time(line["time"].as_str().unwrap());
    assert_eq!(line["address"], "127.0.0.1");
    assert_eq!(line["method"], "PUT");
    assert_eq!(line["path"], format!("{DEMO_KEYS}/a"));
    assert_eq!(line["status"], 201);
    assert_eq!(line["bytes"], response.body.len());
    assert!(line["micros"].is_u64(), "{line}");
    assert_eq!(line["request_id"], request_id(&response));
    for line in server.stderr_text().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_is_time(line["time"].as_str().unwrap());
    }
}

#[test]
fn the_log_level_of_a_flag_outlives_sighup() {
    let mut server = server_with_args(&["--log-level", "error"]);
    let mut config = known_config();
    config["projects"][0]["authentication"]["api_key"] = json!("other-key-0123456789abcdef");
    std::fs::write(server.config_path(), config.to_string()).unwrap();
    server.signal("HUP");
    wait_until("the file is taken", || server.get_demo("a").status == 401);
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(server.stderr_text(), "", "neither requests nor messages at this level");
}

#[test]
fn every_request_even_a_refused_one_has_its_own_id_and_log_line() {
    let server = Server::start_known();
    let mut ids = BTreeSet::new();
    let mut connection = server.connect();
    for _ in 0..50 {
        ids.insert(request_id(&connection.request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"")));
    }
    connection.send(b"GET  nonsense\r\n\r\n");
    let refused = connection.read_response();
    ids.insert(request_id(&refused));
    assert_eq!(ids.len(), 51);
    for id in ids {
        server.await_stderr(&id);
    }
    assert!(line_of(&server, &refused).contains(" 400 "), "{}", line_of(&server, &refused));
}

#[test]
fn a_path_cannot_forge_a_log_line() {
    let server = Server::start_known();
    let path = format!("{DEMO_KEYS}/%0A2026-01-01T00:00:00.000Z%20forged%1B[31m");
    let response = server.request("GET", &path, Some(DEMO_KEY), &[], b"");
    let line = line_of(&server, &response);
    assert!(line.contains("127.0.0.1 GET"), "{line}");
    let text = server.stderr_text();
    assert!(!text.contains('\u{1b}'));
    assert!(!text.lines().any(|line| line.contains("forged") && !line.contains("127.0.0.1 GET")), "{text}");
}

const CANARY: &str = "CANARY-5f1c9a7e";

/// Requests that carry the canary wherever a secret or a value may stand.
fn send_canaries(server: &Server) {
    let path = format!("{DEMO_KEYS}/a");
    let json_value = format!("\"{CANARY}\"");
    let broken = format!("{{\"value\": \"{CANARY}\"");
    let wrong = format!("pikv_{CANARY}-a-key-that-is-wrong");
    let bearer = format!("Bearer {wrong}");
    let query = format!("{path}?api_key={CANARY}");
    let batch =
        format!("{{\"operations\":[{{\"op\":\"set\",\"key\":\"b\",\"value\":\"{CANARY}\"}},{{\"op\":1}}]}}");
    let mut last = server.request("PUT", &path, Some(DEMO_KEY), &[], json_value.as_bytes());
    assert_eq!(last.status, 201);
    for (method, path, key, fields, body) in [
        ("GET", path.as_str(), Some(DEMO_KEY), vec![], ""),
        ("POST", &path, Some(DEMO_KEY), vec![], broken.as_str()),
        ("POST", &path, Some(GLOBAL_KEY), vec![], &json_value),
        ("PUT", &path, Some(&wrong), vec![], &json_value),
        ("PUT", &path, None, vec![("Authorization", bearer.as_str())], &json_value),
        ("PUT", &path, None, vec![("Cookie", bearer.as_str())], &json_value),
        ("PUT", &path, Some(DEMO_KEY), vec![("If-Match", CANARY)], &json_value),
        ("PUT", &path, Some(DEMO_KEY), vec![("Content-Type", CANARY)], &json_value),
        ("PUT", &path, Some(DEMO_KEY), vec![("X : y", CANARY)], &json_value),
        ("GET", &query, None, vec![], ""),
        ("POST", "/api/v1/projects/demo/batch", Some(DEMO_KEY), vec![], &batch),
        ("POST", "/api/v1/projects/demo/api-key/regenerate", Some(GLOBAL_KEY), vec![], ""),
        ("POST", "/api/v1/projects", Some(GLOBAL_KEY), vec![], "{\"id\":\"made\"}"),
    ] {
        last = server.request(method, path, key, &fields, body.as_bytes());
    }
    line_of(server, &last);
}

#[test]
fn no_key_and_no_value_is_ever_logged() {
    for format in ["text", "json"] {
        let mut server = server_with_args(&["--log-level", "debug", "--log-format", format]);
        send_canaries(&server);
        let mut stderr = server.stderr_text();
        server.signal("HUP");
        server.connect().still_open();
        assert_eq!(server.terminate().code(), Some(0));
        stderr.push_str(&server.stderr_text());
        server.start_again();
        stderr.push_str(&server.stderr_text());
        for secret in [CANARY, DEMO_KEY, GLOBAL_KEY, "pikv_"] {
            let line = stderr.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is in the log");
        }
    }
}

#[test]
fn a_mistake_in_the_configuration_is_reported_without_the_key() {
    for wrong_key in [json!("CANARY-5f1c9a7"), json!([CANARY]), json!(format!("{CANARY} with a space"))] {
        let directory = tempfile::tempdir().unwrap();
        let mut config = known_config();
        config["projects"][0]["authentication"]["api_key"] = wrong_key;
        std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        let finished = refused_start(directory.path());
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(!finished.stderr.contains("CANARY"), "{}", finished.stderr);
        assert!(!finished.stdout.contains("CANARY"), "{}", finished.stdout);
    }
}

const KEY: &str = "pikv_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf05vj4V";
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJwaWt2In0.kW9rr8vWzy396rMHsGVDBho";

/// Sends `head` and an empty line; its request target in the log must be `shown`.
fn check_logged_target(server: &Server, head: &str, shown: &str) {
    let mut connection = server.connect();
    connection.send(format!("{head}\r\n\r\n").as_bytes());
    let line = line_of(server, &connection.read_response());
    let target = line.split(' ').nth(3);
    assert_eq!(target, Some(shown), "{head}");
}

#[test]
fn a_secret_in_a_target_is_masked_for_any_result_of_the_request() {
    let server = server_with_args(&["--log-format", "text"]);
    let encoded = KEY.replace('_', "%5F");
    let long = "x".repeat(240);
    for (head, shown) in [
        (format!("GET /item/a{KEY} HTTP/1.1\r\nHost: a"), "/item/a***".to_owned()),
        (format!("GET /item/{encoded} HTTP/1.1\r\nHost: a"), "/item/***".to_owned()),
        (format!("GET /x/Bearer%20{TOKEN} HTTP/1.1\r\nHost: a"), "/x/Bearer%20***".to_owned()),
        ("GET /x/Basic%20YTpjaG9zZW4tYnktaGFuZA HTTP/1.1\r\nHost: a".to_owned(), "/x/Basic%20***".to_owned()),
        (format!("GET /healthz?key={KEY} HTTP/1.1\r\nHost: a"), "/healthz".to_owned()),
        (format!("GET /healthz#{KEY} HTTP/1.1\r\nHost: a"), "/healthz".to_owned()),
        (format!("GET /%zz{KEY} HTTP/1.1\r\nHost: a"), "/%zz***".to_owned()),
        (format!("BREW /{TOKEN} HTTP/1.1\r\nHost: a"), "/***".to_owned()),
        (format!("{KEY} /a HTTP/1.1\r\nHost: a"), "-".to_owned()),
        (format!("PUT /{KEY} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999"), "/***".to_owned()),
        (format!("GET /{KEY} HTTP/1.1\r\nHost: a\r\nX-Request-Id: {KEY}"), "/***".to_owned()),
        (format!("GET /{long}{KEY} HTTP/1.1\r\nHost: a"), format!("/{long}***")),
        (format!("GET http://a/{KEY} HTTP/1.1\r\nHost: a"), "http://a/***".to_owned()),
        ("GET http://user:password@a/x HTTP/1.1\r\nHost: a".to_owned(), "***@a/x".to_owned()),
        ("GET user:password@a/x HTTP/1.1\r\nHost: a".to_owned(), "***@a/x".to_owned()),
        ("CONNECT user:password@a:1 HTTP/1.1\r\nHost: a".to_owned(), "***@a:1".to_owned()),
    ] {
        check_logged_target(&server, &head, &shown);
    }
    let log = server.stderr_text();
    assert!(!log.contains("password") && !log.contains(&KEY[5..20]) && !log.contains(&TOKEN[..20]), "{log}");
}

#[test]
fn a_secret_in_a_message_is_masked() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = known_config();
    config[KEY] = json!(1);
    std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    let finished = refused_start(directory.path());
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("***") && !finished.stderr.contains(&KEY[5..20]), "{}", finished.stderr);

    let mut server = Server::start_known();
    std::fs::write(server.config_path(), config.to_string()).unwrap();
    server.signal("HUP");
    server.await_stderr("reload failed");
    let edited = server.request("PUT", "/api/v1/projects/demo", Some(DEMO_KEY), &[], b"{}");
    edited.expect_problem(409, "config_edited");
    assert_eq!(server.terminate().code(), Some(0));
    let log = server.stderr_text();
    assert!(log.contains("***") && !log.contains(&KEY[5..20]), "{log}");
}
