//! etcd, one node, asked over its JSON gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Target;
use crate::failure::{Outcome, failure};
use crate::http::{self, Request, free_port};
use crate::process::Process;
use crate::records;

/// A running etcd.
#[derive(Debug)]
pub struct Etcd {
    _process: Process,
    address: SocketAddr,
}

impl Etcd {
    /// Starts it in `directory`.
    ///
    /// # Errors
    /// It is not ready in time.
    pub fn start(directory: &Path) -> Outcome<Self> {
        let (clients, peers) = (free_port()?, free_port()?);
        let (clients_url, peers_url) =
            (format!("http://127.0.0.1:{clients}"), format!("http://127.0.0.1:{peers}"));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(directory.join("etcd"));
        command.args(["--name", "one", "--initial-cluster", &format!("one={peers_url}")]);
        command.args(["--listen-client-urls", &clients_url, "--advertise-client-urls", &clients_url]);
        command.args(["--listen-peer-urls", &peers_url, "--initial-advertise-peer-urls", &peers_url]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start("etcd", &mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], clients));
        let first = put(0);
        process.wait_until(30, || http::ask(address, &first).is_ok_and(|answer| answer.status == 200))?;
        Ok(Self { _process: process, address })
    }

    /// What to ask it.
    pub fn target(&self, stored: u64) -> Target {
        let body = format!(r#"{{"key":"{}"}}"#, STANDARD.encode(records::key(0)));
        Target {
            name: "etcd".to_owned(),
            address: self.address,
            get: post("/v3/kv/range", body),
            puts: records::load_keys(stored).map(put).collect(),
        }
    }

    /// Whether the value of key 0 is `value`, byte for byte.
    ///
    /// # Errors
    /// It is not.
    pub fn check_stored(&self, value: &str) -> Outcome<()> {
        let answer = http::ask(self.address, &self.target(1).get)?.success("etcd")?;
        if answer.body.contains(&format!(r#""value":"{}""#, STANDARD.encode(value))) {
            Ok(())
        } else {
            Err(failure(format!("etcd has another value than was written: {}", answer.body)))
        }
    }
}

fn put(number: u64) -> Request {
    let (key, value) = (STANDARD.encode(records::key(number)), STANDARD.encode(records::value(1)));
    post("/v3/kv/put", format!(r#"{{"key":"{key}","value":"{value}"}}"#))
}

fn post(path: &str, body: String) -> Request {
    Request { method: "POST", path: path.to_owned(), headers: Vec::new(), body }
}
