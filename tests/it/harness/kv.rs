//! A server with its keys, and callers that speak the API: what the contract tests are written in.

use crate::harness::{Connection, Options, Response, Server, key_in};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

/// All projects.
pub const PROJECTS: &str = "/api/v1/projects";
/// The project that a first start makes.
pub const PROJECT: &str = "/api/v1/projects/first_project";
/// Its keys.
pub const KEYS: &str = "/api/v1/projects/first_project/keys";
/// Its batch route.
pub const BATCH: &str = "/api/v1/projects/first_project/batch";

/// A running server and the keys that its first start printed, empty where it printed none.
pub struct Kv {
    pub server: Server,
    pub global_key: String,
    pub project_key: String,
}

impl Kv {
    /// A first start.
    pub fn new() -> Kv {
        Kv::of(Server::start())
    }

    /// A start with the documented configuration, changed by `edit` before it.
    pub fn edited(edit: impl FnOnce(&mut Value)) -> Kv {
        let mut config = documented_config();
        edit(&mut config);
        Kv::of(Server::start_with(config))
    }

    /// A start in a directory that holds whatever the test put there.
    pub fn in_directory(directory: TempDir) -> Kv {
        Kv::of(Server::start_in(directory, Options::default()))
    }

    fn of(server: Server) -> Kv {
        let printed = server.stdout_text();
        let key = |owner| key_in(&printed, owner).unwrap_or_default();
        Kv { global_key: key("global key"), project_key: key("first_project key"), server }
    }

    pub fn crash_and_start(&mut self) {
        self.server.kill();
        self.server.start_again();
    }

    pub fn restart(&mut self) {
        self.server.restart();
    }

    pub fn config_text(&self) -> String {
        std::fs::read_to_string(self.server.config_path()).unwrap()
    }

    pub fn config(&self) -> Value {
        serde_json::from_str(&self.config_text()).unwrap()
    }

    /// Changes config.json. Nothing reads it while the server runs.
    pub fn edit_config(&self, edit: impl FnOnce(&mut Value)) {
        let mut config = self.config();
        edit(&mut config);
        std::fs::write(self.server.config_path(), config.to_string()).unwrap();
    }

    /// A file of the data directory.
    pub fn data_path(&self, name: &str) -> PathBuf {
        self.server.data_path(name)
    }

    pub fn global(&self) -> Caller {
        self.caller(&self.global_key)
    }

    pub fn project(&self) -> Caller {
        self.caller(&self.project_key)
    }

    pub fn caller(&self, key: &str) -> Caller {
        Caller { port: self.server.port, key: Some(key.to_owned()) }
    }

    pub fn anonymous(&self) -> Caller {
        Caller { port: self.server.port, key: None }
    }

    /// Makes the project that `settings` describes and returns its key, empty where it has none.
    pub fn create_project(&self, settings: &Value) -> String {
        let created = self.global().post(PROJECTS, &settings.to_string()).expect(201).json();
        created["api_key"].as_str().unwrap_or_default().to_owned()
    }
}

/// The configuration that the documentation shows, without what it leaves to be generated.
pub fn documented_config() -> Value {
    let authentication =
        json!({"enabled": true, "save_api_key_to_file": false, "api_key": null, "api_key_hash": null});
    json!({
        "version": 1,
        "server_port": 23849,
        "default": {"storage": {"persistent_file_path": "storage_data/"}, "authentication": authentication},
        "projects": [{
            "id": "first_project",
            "storage": {"on_disk": true, "cache_in_memory": true},
            "authentication": authentication,
        }],
    })
}

/// Percent-encodes everything that could mean something in a target.
pub fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// The target of a key of the first project.
pub fn key_path(key: &str) -> String {
    format!("{KEYS}/{}", encoded(key))
}

/// Somebody with or without a key. Each call is a connection of its own.
#[derive(Clone)]
pub struct Caller {
    port: u16,
    key: Option<String>,
}

impl Caller {
    pub fn get(&self, target: &str) -> Response {
        self.send("GET", target, &[], b"")
    }

    pub fn head(&self, target: &str) -> Response {
        self.send("HEAD", target, &[], b"")
    }

    pub fn delete(&self, target: &str) -> Response {
        self.send("DELETE", target, &[], b"")
    }

    pub fn put(&self, target: &str, json: &str) -> Response {
        self.send("PUT", target, &[("Content-Type", "application/json")], json.as_bytes())
    }

    pub fn post(&self, target: &str, json: &str) -> Response {
        self.send("POST", target, &[("Content-Type", "application/json")], json.as_bytes())
    }

    pub fn send(&self, method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Response {
        self.connect().send(method, target, fields, body)
    }

    /// A connection that stays open.
    pub fn connect(&self) -> KeyedConnection {
        KeyedConnection { connection: Connection::open(self.port), key: self.key.clone() }
    }
}

/// A connection of a [`Caller`] that carries one request after the other.
pub struct KeyedConnection {
    pub connection: Connection,
    key: Option<String>,
}

impl KeyedConnection {
    pub fn send(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Response {
        self.connection.request(method, target, self.key.as_deref(), fields, body)
    }
}

impl Response {
    /// The answer itself, which must have `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Response {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(2_000)]);
        assert_eq!(self.status, status, "{:?} {body}", self.fields);
        self
    }

    /// The problem in the answer, which must be a whole one with `status` and `code`.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        self.expect_problem(status, code);
        self.json()
    }

    /// The ETag.
    #[track_caller]
    pub fn etag(&self) -> String {
        self.field("etag").unwrap_or_else(|| panic!("no ETag: {self:?}")).to_owned()
    }

    /// The revision that the ETag names.
    #[track_caller]
    pub fn revision(&self) -> u64 {
        let etag = self.etag();
        let digits = etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{etag}"))
    }
}
