//! Whatever is secret is in no log line, no error and no file that shows it, also where it was sent
//! in the wrong place.

use super::members::{
    PASSWORD, attempt, delete, register, server_with_args, session, token, update, with_token,
};
use crate::harness::{GLOBAL_KEY, Response, Server};
use serde_json::json;

/// A password that is nowhere else.
const WRONG: &str = "Canary-Wrong-Pw-1";
const NEW: &str = "Canary-New-Pw-2";

/// Everything that is secret by now.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn check_absent(&self, what: &str, text: &str) {
        for (name, secret) in &self.0 {
            assert!(!text.contains(secret), "{name} in {what}: {text}");
        }
    }

    /// An answer may give out nothing but what it is for.
    fn check_answer(&self, what: &str, response: &Response) {
        let body = String::from_utf8_lossy(&response.body);
        self.check_absent(what, &format!("{:?} {body}", response.fields));
    }
}

/// What `_accounts` keeps that nobody may see: hashes, credentials, and the hashes of sessions.
fn stored_secrets(server: &Server) -> Vec<(&'static str, String)> {
    let mut secrets = vec![("the signing key", {
        std::fs::read_to_string(server.data_path("jwt.key")).unwrap().trim().to_owned()
    })];
    for file in ["_accounts.journal", "_accounts.json", "_sessions.journal", "_sessions.json"] {
        let text = std::fs::read_to_string(server.data_path(file)).unwrap_or_default();
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && !"$./:".contains(c)) {
            if word.starts_with("$2b$") {
                secrets.push(("a hash", word.to_owned()));
            } else if let Some(hash) = word.strip_prefix("sha256:").filter(|hash| hash.len() == 64) {
                secrets.push(("the hash of a session", hash.to_owned()));
            }
        }
    }
    assert!(secrets.len() > 3, "{secrets:?}");
    secrets
}

fn json_body(server: &Server, method: &str, path: &str, body: &str) -> Response {
    server.request(method, path, None, &[("Content-Type", "application/json")], body.as_bytes())
}

/// Requests with `secret` where it does not belong. What is a name or a key is data and comes back.
fn misplaced(server: &Server, secret: &str) -> Vec<(String, Response)> {
    let quoted = json!(secret).to_string();
    let mut answers = Vec::new();
    let bodies = [
        ("POST", "/login", format!("{{\"username\":[{quoted}],\"password\":1}}")),
        ("POST", "/login", format!("{{\"username\":\"x\",\"password\":{{\"a\":{quoted}}}}}")),
        ("POST", "/login", quoted.clone()),
        ("POST", "/login", format!("{{\"password\":{quoted}")),
        ("POST", "/api/token", format!("{{\"username\":{quoted}}}")),
        ("POST", "/api/token", format!("{{\"username\":{quoted},\"password\":\"x\"}}")),
        ("POST", "/api/login", format!("{{\"access_token\":{quoted},\"password\":{quoted}}}")),
        (
            "POST",
            "/api/register",
            format!(
                "{{\"username\":\" {secret}!\",\"email\":{quoted},\"age\":{quoted},\"password\":\"a {secret}\"}}"
            ),
        ),
        (
            "POST",
            "/api/register",
            format!("{{\"username\":\"x\",\"gender\":{quoted},\"password\":[{quoted}]}}"),
        ),
        ("POST", "/api/data", format!("{{\"key\":[{quoted}],\"value\":1}}")),
        ("POST", "/api/object", format!("{{\"key\":{quoted}}}")),
        ("POST", "/item/x", format!("{{\"value\":{quoted}}}")),
        ("POST", "/api/batch/object/get", format!("{{\"keys\":{quoted}}}")),
    ];
    for (method, path, body) in bodies {
        answers.push((format!("{method} {path} {body}"), json_body(server, method, path, &body)));
    }
    for body in [
        format!("{{\"disabled\":{quoted}}}"),
        format!("{{\"password\":[{quoted}]}}"),
        format!("{{\"password\":\"{secret}{secret}{secret}{secret}{secret}\"}}"),
        format!("{{\"username\":\"a b\",\"password\":{quoted}}}"),
        quoted.clone(),
    ] {
        let put = server.request("PUT", "/api/v1/accounts/one", Some(GLOBAL_KEY), &[], body.as_bytes());
        answers.push((format!("PUT {body}"), put));
        let post = server.request("POST", "/api/v1/accounts", Some(GLOBAL_KEY), &[], body.as_bytes());
        answers.push((format!("POST {body}"), post));
    }
    for (name, value) in [
        ("X-API-Key", secret.to_owned()),
        ("Authorization", format!("Basic {secret}")),
        ("Authorization", secret.to_owned()),
        ("Cookie", format!("pikv_session={secret}; pikv_session_00000000={secret}")),
        ("X-Forwarded-For", secret.to_owned()),
        ("Origin", secret.to_owned()),
        ("If-Match", secret.to_owned()),
    ] {
        for path in
            ["/item/x", "/api/object/x", "/api/data/x", "/api/v1/accounts", "/dashboard", "/api/logout"]
        {
            let answer = server.request("GET", path, None, &[(name, &value)], b"");
            answers.push((format!("GET {path} with {name}"), answer));
        }
        let answer = server.request("POST", "/api/login", None, &[(name, &value)], b"{}");
        answers.push((format!("POST /api/login with {name}"), answer));
    }
    for query in ["?token=", "?access_token=", "?key=a&cursor=", "?password="] {
        for path in ["/item/x", "/api/data", "/api/data/retrieve", "/login", "/api/login", "/api/v1/accounts"]
        {
            let answer = server.request("GET", &format!("{path}{query}{secret}"), None, &[], b"");
            answers.push((format!("GET {path}{query}"), answer));
        }
    }
    answers
}

fn check_everything(format: &str) {
    let mut server = server_with_args(&["--log-level", "debug", "--log-format", format]);
    ["one", "off", "gone"].iter().for_each(|name| register(&server, name));
    let (token_one, cookie) = (token(&server, "one"), session(&server, "one"));
    let cookie_value = cookie.split_once('=').unwrap().1.to_owned();
    let mut secrets = Secrets(stored_secrets(&server));
    secrets.0.extend([
        ("the password", PASSWORD.to_owned()),
        ("a wrong password", WRONG.to_owned()),
        ("a new password", NEW.to_owned()),
        ("a token", token_one.clone()),
        ("the claims of a token", token_one.split('.').nth(1).unwrap()[..60].to_owned()),
        ("the signature of a token", token_one.rsplit('.').next().unwrap().to_owned()),
        ("a session", cookie_value.clone()),
        ("the global key", GLOBAL_KEY.to_owned()),
        ("the key of demo", crate::harness::DEMO_KEY.to_owned()),
    ]);
    for secret in [WRONG, PASSWORD, &token_one, &cookie_value, GLOBAL_KEY] {
        for (what, response) in misplaced(&server, secret) {
            assert_ne!(response.status, 500, "{what}: {response:?}");
            // The global key opens what it is for; that is no mistake.
            secrets.check_answer(&what, &response);
        }
    }
    assert_eq!(attempt(&server, "/login", "one", WRONG, "10.5.0.1").status, 401);
    assert_eq!(attempt(&server, "/api/login", WRONG, WRONG, "10.5.0.2").status, 401);
    let page = server.request(
        "POST",
        "/api/login",
        None,
        &[("Content-Type", "application/x-www-form-urlencoded")],
        format!("username=one&password={WRONG}&access_token={token_one}").as_bytes(),
    );
    secrets.check_answer("the form, shown again", &page);
    secrets.check_answer("PUT", &update(&server, "off", &json!({ "disabled": true, "password": NEW })));
    secrets.check_answer("DELETE", &delete(&server, "gone"));
    let listed = server.request("GET", "/api/v1/accounts", Some(GLOBAL_KEY), &[], b"");
    secrets.check_answer("the list of accounts", &listed);
    // Keys are data: they are in the log, as all paths are. A credential is no key of anybody's.
    for secret in [&token_one, GLOBAL_KEY_LIKE] {
        for base in ["/api/data", "/item", "/api/object", "/api/v1/projects/demo/keys", "/login"] {
            drop(with_token(&server, &token_one, "GET", &format!("{base}/{secret}"), ""));
        }
    }
    secrets.0.push(("a key of this server's form", GLOBAL_KEY_LIKE.to_owned()));
    assert_eq!(server.terminate().code(), Some(0));
    let (log, printed) = (server.stderr_text(), server.stdout_text());
    assert!(log.contains("/api/data/***"), "what looks like a credential is masked: {log}");
    secrets.check_absent("the log of the first start", &log);
    secrets.check_absent("its standard output", &printed);
    server.start_again();
    drop(with_token(&server, &token_one, "GET", "/item/end", ""));
    assert_eq!(server.terminate().code(), Some(0));
    secrets.check_absent("the log", &server.stderr_text());
    secrets.check_absent("standard output", &server.stdout_text());
    assert!(!server.stderr_text().contains("internal error"), "{}", server.stderr_text());
}

/// An API key as this server makes them.
const GLOBAL_KEY_LIKE: &str = "pikv_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf05vj4U";

#[test]
fn no_secret_is_in_the_log_in_lines_of_text_or_in_any_error() {
    check_everything("text");
}

#[test]
fn no_secret_is_in_the_log_in_lines_of_json_or_in_any_error() {
    check_everything("json");
}
