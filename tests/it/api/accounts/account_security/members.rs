//! A server with accounts, and how somebody gets one, a token and a session.

pub use crate::harness::people::{PASSWORD, register};
use crate::harness::people::{Person, people_config};
use crate::harness::{Connection, GLOBAL_KEY, Options, Response, Server};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pikv::testing::auth::jwt::{Claims, SigningKey, issue};
use serde_json::{Value, json};

/// [`people_config`] with a second project, and this machine as the proxy.
pub fn config() -> Value {
    let mut config = people_config();
    config["trusted_proxies"] = json!(["127.0.0.1/32"]);
    config["projects"].as_array_mut().unwrap().push(json!({
        "id": "other",
        "authentication": { "enabled": true, "api_key": OTHER_KEY },
    }));
    config
}

/// The key of the project `other` of [`config`].
pub const OTHER_KEY: &str = "other-key-0123456789abcdef";

/// A server with [`config`].
pub fn server() -> Server {
    Server::start_with(config())
}

/// A server with [`config`] and flags.
pub fn server_with_args(args: &[&str]) -> Server {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Server::start_as(Options { config: Some(config()), args, ..Options::default() })
}

/// What `name` types to register.
pub fn registration(name: &str, email: &str) -> String {
    let mut typed = crate::harness::people::registration(name);
    typed["email"] = json!(email);
    typed.to_string()
}

/// Sends a body of JSON.
pub fn send(connection: &mut Connection, method: &str, path: &str, body: &str) -> Response {
    connection.request(method, path, None, &[("Content-Type", "application/json")], body.as_bytes())
}

/// A body with a name and a password.
pub fn login_body(name: &str, password: &str) -> String {
    json!({ "username": name, "password": password }).to_string()
}

/// Tries to log in at `path` as a client behind the proxy at `address`.
pub fn attempt(server: &Server, path: &str, name: &str, password: &str, address: &str) -> Response {
    let fields = [("Content-Type", "application/json"), ("X-Forwarded-For", address)];
    server.request("POST", path, None, &fields, login_body(name, password).as_bytes())
}

/// A token of `name`.
pub fn token(server: &Server, name: &str) -> String {
    Person::sign_in(server, name).token
}

/// The `Cookie` field of a new session of `name`.
pub fn session(server: &Server, name: &str) -> String {
    let begun = attempt(server, "/api/login", name, PASSWORD, "10.0.0.1");
    assert_eq!(begun.status, 200, "{begun:?}");
    cookie_of(&begun)
}

/// The session cookie that `response` sets, as a `Cookie` field.
pub fn cookie_of(response: &Response) -> String {
    let set = response.fields.iter().filter(|(name, _)| name == "set-cookie");
    let mut cookies = set.filter_map(|(_, value)| value.split(';').next());
    cookies.find(|cookie| cookie.starts_with("pikv_session_")).expect("a session").to_owned()
}

/// One request with a token.
pub fn with_token(server: &Server, token: &str, method: &str, path: &str, body: &str) -> Response {
    with_token_on(&mut server.connect(), token, method, path, body)
}

/// The same on a connection.
pub fn with_token_on(
    connection: &mut Connection,
    token: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Response {
    let authorization = format!("Bearer {token}");
    let fields = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    connection.request(method, path, None, &fields, body.as_bytes())
}

/// What the operator changes of `name`.
pub fn update(server: &Server, name: &str, change: &Value) -> Response {
    let path = format!("/api/v1/accounts/{name}");
    server.request("PUT", &path, Some(GLOBAL_KEY), &[], change.to_string().as_bytes())
}

/// The operator deletes `name`.
pub fn delete(server: &Server, name: &str) -> Response {
    server.request("DELETE", &format!("/api/v1/accounts/{name}"), Some(GLOBAL_KEY), &[], b"")
}

/// The key that signs the tokens of `server`.
pub fn signing_key(server: &Server) -> SigningKey {
    SigningKey::parse(&std::fs::read_to_string(server.data_path("jwt.key")).unwrap()).unwrap()
}

/// What `token` says.
pub fn claims(token: &str) -> Claims {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    Claims {
        subject: payload["sub"].as_str().unwrap().to_owned(),
        credential: payload["cid"].as_str().unwrap().to_owned(),
        issued_s: payload["iat"].as_u64().unwrap(),
        expires_s: payload["exp"].as_u64().unwrap(),
    }
}

/// `token` as it would be after its time.
pub fn expired(server: &Server, token: &str) -> String {
    let claims = claims(token);
    let (issued_s, expires_s) = (claims.issued_s - 7_200, claims.issued_s - 3_600);
    issue(&signing_key(server), &Claims { issued_s, expires_s, ..claims }).reveal().to_owned()
}
