//! Instances of the server that share cells of etcd.

use super::etcd::EtcdCluster;
use super::{Connection, GLOBAL_KEY, Options, Response, Server, encode_request, known_config};
use pikv::testing::limits::CELL_REQUEST_MS;
use serde_json::{Value, json};
use std::io;
use std::time::Duration;

/// All projects.
const PROJECTS: &str = "/api/v1/projects";
/// A request is answered within this time, whatever happens to its cell.
pub const ANSWER_MAX: Duration = Duration::from_millis(CELL_REQUEST_MS + 500);

/// config.json of an instance on cells with these names and `host:port` of members. The first one is the home cell.
pub fn config_on(cells: &[(&str, Vec<String>)]) -> Value {
    let cell = |(name, authorities): &(&str, Vec<String>)| {
        let endpoints: Vec<_> = authorities.iter().map(|authority| format!("http://{authority}")).collect();
        json!({"name": name, "endpoints": endpoints})
    };
    let cells: Vec<Value> = cells.iter().map(cell).collect();
    let mut config = known_config();
    config["engine"] = json!({"type": "etcd", "cells": cells});
    config["projects"] = json!([]);
    config["log"] = json!({"level": "warn"});
    config
}

pub fn options_on(cells: &[(&str, Vec<String>)]) -> Options {
    Options { config: Some(config_on(cells)), ..Options::default() }
}

/// So many instances on one cell.
pub fn start_instances(cluster: &EtcdCluster, count: usize) -> Vec<Server> {
    let options = options_on(&[("home", cluster.authorities())]);
    (0..count).map(|_| Server::start_as(options.clone())).collect()
}

/// Sends a request on a connection of its own. The server may be gone.
///
/// # Errors
/// As the operating system returns them.
pub fn try_request(
    port: u16,
    (method, target): (&str, &str),
    key: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> io::Result<Response> {
    let mut connection = Connection::try_open(port)?;
    connection.try_send(&encode_request(method, target, Some(key), fields, body.as_bytes()))?;
    connection.try_read_response(method)
}

/// The target of `key` of a project.
pub fn key_target(project: &str, key: &str) -> String {
    format!("{PROJECTS}/{project}/keys/{key}")
}

impl Server {
    /// Creates a project, and returns its key.
    pub fn create_project(&self, id: &str) -> String {
        self.create_project_as(&json!({"id": id}))
    }

    /// Creates the project that `settings` describes, and returns its key.
    pub fn create_project_as(&self, settings: &Value) -> String {
        let body = settings.to_string();
        let created = self.request("POST", PROJECTS, Some(GLOBAL_KEY), &[], body.as_bytes()).expect(201);
        created.json()["api_key"].as_str().unwrap_or_default().to_owned()
    }

    /// Sends a request to a path of a project with the global key.
    pub fn manage(&self, method: &str, id: &str, path: &str, body: &str) -> Response {
        let target = format!("{PROJECTS}/{id}{path}");
        self.request(method, &target, Some(GLOBAL_KEY), &[], body.as_bytes())
    }

    pub fn put_key(&self, project: &str, key: &str, value: &str) -> Response {
        self.manage("PUT", project, &format!("/keys/{key}"), value)
    }

    pub fn get_key(&self, project: &str, key: &str) -> Response {
        self.manage("GET", project, &format!("/keys/{key}?raw"), "")
    }
}

/// What a refused request states about its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changed nothing.
    None,
    /// It was applied as a whole, or will be, or not at all.
    Unknown,
}

impl Response {
    /// The effect of a write that was answered 503.
    #[track_caller]
    pub fn effect(&self) -> Effect {
        assert_eq!(self.status, 503, "{self:?}");
        assert!(self.field("retry-after").is_some(), "no Retry-After: {self:?}");
        match self.json()["outcome"].as_str() {
            Some("unknown") => Effect::Unknown,
            Some("not_applied") => Effect::None,
            Some(_) | None => panic!("no outcome of a write: {self:?}"),
        }
    }
}
