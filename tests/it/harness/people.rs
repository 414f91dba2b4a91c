//! Callers with accounts: who registers, gets a token and sends it.

use crate::harness::{Response, Server, known_config};
use serde_json::{Value, json};

/// The password of everybody.
pub const PASSWORD: &str = "Right@123";

/// [`known_config`] for tests with accounts: cheap passwords, and no rate for `/item`.
pub fn people_config() -> Value {
    let mut config = known_config();
    config["accounts"] = json!({ "bcrypt_cost": 4 });
    config["item_api"] = json!({ "rate_limit": null });
    config
}

/// A body that registers `username`.
pub fn registration(username: &str) -> Value {
    json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": PASSWORD,
        "full_name": "Some Body",
        "age": 30,
        "gender": "other",
    })
}

/// Registers `username` with [`PASSWORD`].
#[track_caller]
pub fn register(server: &Server, username: &str) {
    send_json(server, "POST", "/api/register", &[], &registration(username).to_string()).expect(201);
}

/// Somebody with an account. Each call is a connection of its own.
#[derive(Clone)]
pub struct Person {
    /// An access token.
    pub token: String,
}

impl Person {
    /// Registers `username` with [`PASSWORD`] and gets a token.
    pub fn register(server: &Server, username: &str) -> Person {
        register(server, username);
        Person::sign_in(server, username)
    }

    /// Gets a token for the account `username`, whose password is [`PASSWORD`].
    pub fn sign_in(server: &Server, username: &str) -> Person {
        let body = json!({ "username": username, "password": PASSWORD }).to_string();
        let answer = send_json(server, "POST", "/api/token", &[], &body).expect(200).json();
        let token = answer["data"]["access_token"].as_str().unwrap().to_owned();
        Person { token }
    }

    /// Sends `body`, JSON where there is one, with the token as a bearer's.
    pub fn send(&self, server: &Server, method: &str, target: &str, body: &str) -> Response {
        let bearer = format!("Bearer {}", self.token);
        send_json(server, method, target, &[("Authorization", &bearer)], body)
    }

    pub fn get(&self, server: &Server, target: &str) -> Response {
        self.send(server, "GET", target, "")
    }

    pub fn post(&self, server: &Server, target: &str, body: &str) -> Response {
        self.send(server, "POST", target, body)
    }

    pub fn put(&self, server: &Server, target: &str, body: &str) -> Response {
        self.send(server, "PUT", target, body)
    }

    pub fn delete(&self, server: &Server, target: &str) -> Response {
        self.send(server, "DELETE", target, "")
    }
}

/// Sends `body`, JSON where there is one, without a credential of its own.
pub fn send_json(
    server: &Server,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut fields = fields.to_vec();
    if !body.is_empty() {
        fields.push(("Content-Type", "application/json"));
    }
    server.request(method, target, None, &fields, body.as_bytes())
}

impl Response {
    /// Fails unless this is `status` with JSON that is no problem of `/api/v1`.
    #[track_caller]
    pub fn expect_json(&self, status: u16) {
        let seen = (self.status, self.field("content-type"));
        assert_eq!(seen, (status, Some("application/json")), "{self:?}");
    }

    /// Fails unless this is `status` with exactly `body` and a line end, as JSON.
    #[track_caller]
    pub fn exactly(self, status: u16, body: &str) {
        self.expect_json(status);
        assert_eq!(self.text(), format!("{body}\n"));
    }

    /// The text of `{"error":…}`, which must be all there is, with `status`.
    #[track_caller]
    pub fn error(self, status: u16) -> String {
        self.expect_json(status);
        let body = self.json();
        let text = body["error"].as_str().unwrap_or_else(|| panic!("{body}"));
        assert_eq!(body, json!({ "error": text }));
        text.to_owned()
    }
}
