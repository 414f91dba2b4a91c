//! Scripts of other origins: nothing is said to them unless config.json names their very origin.

use crate::harness::{DEMO_KEY, DEMO_KEYS, Response, Server, known_config, known_config_with};
use serde_json::json;

const ORIGIN: &str = "https://app.example.com";

fn server() -> Server {
    Server::start_with(known_config_with(json!({ "cors": { "origins": [ORIGIN, "http://localhost:3000"] } })))
}

fn send(server: &Server, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Response {
    server.request(method, target, None, fields, body.as_bytes())
}

fn allowed(response: &Response) -> Option<&str> {
    response.field("access-control-allow-origin")
}

#[test]
fn nothing_is_said_to_other_origins_where_none_is_configured() {
    let server = Server::start_with(known_config());
    for method in ["GET", "OPTIONS"] {
        let fields = [("origin", ORIGIN), ("access-control-request-method", "PUT"), ("x-api-key", DEMO_KEY)];
        let response = send(&server, method, DEMO_KEYS, &fields, "");
        assert_eq!(allowed(&response), None, "{method}");
        assert_eq!(response.field("vary"), None, "{method}");
    }
}

#[test]
fn answers_of_all_kinds_name_a_configured_origin_and_no_other() {
    let server = server();
    let key = format!("{DEMO_KEYS}/a");
    let check = |method: &str, target: &str, body: &str, status: u16| {
        for (origin, expected) in [
            (ORIGIN, Some(ORIGIN)),
            ("http://localhost:3000", Some("http://localhost:3000")),
            ("https://app.example.com.evil.example", None),
            ("https://evil.example", None),
            ("http://app.example.com", None),
            ("https://app.example.com:8443", None),
            ("null", None),
            ("*", None),
        ] {
            let fields = [("origin", origin), ("x-api-key", DEMO_KEY)];
            let response = send(&server, method, target, &fields, body);
            assert_eq!(response.status / 100, status / 100, "{method} {target} {origin}");
            assert_eq!(allowed(&response), expected, "{method} {target} {origin}");
            assert_eq!(response.field("vary"), Some("origin"), "{method} {target} {origin}");
            assert_eq!(response.field("access-control-allow-credentials"), None);
        }
    };
    check("PUT", &key, "1", 201);
    check("GET", &key, "", 200);
    check("GET", DEMO_KEYS, "", 200);
    check("GET", "/nowhere", "", 404);
    check("GET", "/api/v1/projects", "", 403);
    check("POST", "/login", "{\"username\":\"nobody\",\"password\":\"x\"}", 401);
}

#[test]
fn two_origins_are_none() {
    let server = server();
    let fields = [("origin", ORIGIN), ("origin", ORIGIN), ("x-api-key", DEMO_KEY)];
    assert_eq!(allowed(&send(&server, "GET", DEMO_KEYS, &fields, "")), None);
}

#[test]
fn a_preflight_is_answered_for_a_configured_origin_only() {
    let server = server();
    let asked = |origin| {
        let fields = [("origin", origin), ("access-control-request-method", "PUT")];
        send(&server, "OPTIONS", &format!("{DEMO_KEYS}/a"), &fields, "")
    };
    let granted = asked(ORIGIN);
    assert_eq!(granted.status, 204);
    assert_eq!(allowed(&granted), Some(ORIGIN));
    assert_eq!(granted.field("access-control-allow-methods"), Some("GET, HEAD, POST, PUT, DELETE"));
    assert!(granted.field("access-control-allow-headers").unwrap().contains("authorization"));
    let refused = asked("https://evil.example");
    assert_eq!(refused.status, 204);
    assert_eq!(allowed(&refused), None);
    assert_eq!(refused.field("access-control-allow-methods"), None);
}

#[test]
fn a_script_of_a_configured_origin_may_ask_for_a_token_and_no_other_may() {
    let server = server();
    let body = "{\"username\":\"nobody\",\"password\":\"Wrong@123\"}";
    let asked = |origin| {
        let fields =
            [("origin", origin), ("sec-fetch-site", "cross-site"), ("content-type", "application/json")];
        send(&server, "POST", "/api/token", &fields, body).status
    };
    assert_eq!(asked(ORIGIN), 401, "asked, and refused for the password only");
    assert_eq!(asked("https://evil.example"), 403);
}
