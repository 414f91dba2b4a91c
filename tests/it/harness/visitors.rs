//! Visitors of `/api/register` to `/api/data`: scripts that send JSON, and browsers that keep
//! cookies and send forms; and what their answers have to look like.

use crate::harness::people::PASSWORD;
use crate::harness::{Response, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the names of session cookies begin with; what follows tells the installation.
pub const SESSION: &str = "pikv_session_";
/// What a browser sends with a form of the same site.
pub const SAME_ORIGIN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
/// The `Accept` field of browsers.
pub const HTML: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
/// The `Content-Type` field of forms.
pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A form as browsers encode it.
pub fn form(fields: &[(&str, &str)]) -> String {
    fields
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// `text` with everything percent-encoded but letters and digits.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").unwrap(),
        }
        out
    })
}

/// A browser with its cookies.
#[derive(Clone, Default)]
pub struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Somebody's browser, who has just logged in.
    pub fn signed_in(server: &Server, username: &str) -> Browser {
        let mut browser = Browser::default();
        let answer = browser.log_in(server, username);
        assert_eq!((answer.status, answer.field("location")), (302, Some("/dashboard")), "{answer:?}");
        browser
    }

    /// Sends the login form.
    pub fn log_in(&mut self, server: &Server, username: &str) -> Response {
        self.post(server, "/api/login", &[("username", username), ("password", PASSWORD)])
    }

    /// Opens a page.
    pub fn get(&mut self, server: &Server, target: &str) -> Response {
        self.send(server, "GET", target, &[HTML], "")
    }

    /// Sends a form of this server's.
    pub fn post(&mut self, server: &Server, target: &str, fields: &[(&str, &str)]) -> Response {
        self.send(server, "POST", target, &[HTML, FORM, SAME_ORIGIN], &form(fields))
    }

    /// Sends whatever it is told, with its cookies, and keeps those of the answer.
    pub fn send(
        &mut self,
        server: &Server,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let cookies = self.cookie_field();
        let mut fields = fields.to_vec();
        if !cookies.is_empty() {
            fields.push(("Cookie", &cookies));
        }
        let answer = server.request(method, target, None, &fields, body.as_bytes());
        for (_, cookie) in answer.fields.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// What it sends as `Cookie`.
    pub fn cookie_field(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The token of its session.
    pub fn session(&self) -> Option<&str> {
        let mut cookies = self.cookies.iter().filter(|(name, _)| name.starts_with(SESSION));
        let (_, token) = cookies.next()?;
        assert!(cookies.next().is_none(), "two sessions: {:?}", self.cookies);
        Some(token)
    }

    /// Whether it is signed in, as the server sees it.
    pub fn is_signed_in(&mut self, server: &Server) -> bool {
        let answer = self.get(server, "/dashboard");
        if answer.status == 200 {
            return true;
        }
        assert_eq!((answer.status, answer.field("location")), (302, Some("/api/login")), "{answer:?}");
        false
    }
}

/// The `data` of a JSON answer that says that something was done.
#[track_caller]
pub fn expect_done(answer: &Response, status: u16) -> Value {
    answer.expect_json(status);
    let body = answer.json();
    assert_eq!(body["status"], "success", "{body}");
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    let known = ["status", "message", "data", "token", "access_token"];
    assert!(body.as_object().unwrap().keys().all(|name| known.contains(&name.as_str())), "{body}");
    body["data"].clone()
}

/// The message of a JSON answer that says what went wrong.
#[track_caller]
pub fn expect_failed(answer: &Response, status: u16, code: &str) -> String {
    answer.expect_json(status);
    let body = answer.json();
    let message = body["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{body}");
    assert_eq!(body, json!({"status": "error", "code": code, "message": message}));
    assert_eq!(answer.field("www-authenticate").is_some(), status == 401, "{answer:?}");
    message.to_owned()
}

/// The text of an answer that is a page: with all the fields that pages have, and no script.
#[track_caller]
pub fn expect_page(answer: &Response, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    for (name, expected) in [
        ("content-type", "text/html; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.field(name), Some(expected), "{name}: {answer:?}");
    }
    let policy = answer.field("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    let text = answer.text();
    assert!(!text.to_ascii_lowercase().contains("<script"), "{text}");
    assert_eq!(text.contains("<title>Error: "), status >= 400, "{text}");
    assert_eq!(text.contains("role=\"alert\""), status >= 400, "{text}");
    text.to_owned()
}

/// Fails unless the answer leads to `target`.
#[track_caller]
pub fn expect_redirect(answer: &Response, target: &str) {
    assert_eq!((answer.status, answer.field("location")), (302, Some(target)), "{answer:?}");
    assert_eq!(answer.field("cache-control"), Some("no-store"), "{answer:?}");
    assert!(answer.body.is_empty(), "{answer:?}");
}
