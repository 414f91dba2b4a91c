//! webdis, the HTTP front of Redis, with two threads, on a Redis of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Target;
use super::redis::{Client, Redis};
use crate::failure::{Outcome, failure};
use crate::http::{Request, free_port};
use crate::process::Process;
use crate::records;

/// A running webdis and its Redis.
#[derive(Debug)]
pub struct Webdis {
    // Fields are dropped in this order: the front first.
    process: Process,
    redis: Redis,
    address: SocketAddr,
}

impl Webdis {
    /// Starts both in `directory`.
    ///
    /// # Errors
    /// One of them is not ready.
    pub fn start(directory: &Path) -> Outcome<Self> {
        let redis = Redis::start_ready(&directory.join("redis"))?;
        let port = free_port()?;
        // As the package's file has it, but for addresses, the foreground and where the log goes.
        let config = serde_json::json!({
            "redis_host": "127.0.0.1", "redis_port": redis.address.port(), "redis_auth": null,
            "http_host": "127.0.0.1", "http_port": port, "threads": 2, "daemonize": false,
            "database": 0, "acl": [{"disabled": ["DEBUG"]}],
            "verbosity": 3, "logfile": directory.join("webdis.log"),
        });
        let path = directory.join("webdis.json");
        fs::write(&path, serde_json::to_vec_pretty(&config)?)?;
        let mut command = Command::new("webdis");
        command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start("webdis", &mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        process.wait_until(20, || TcpStream::connect(address).is_ok())?;
        Ok(Self { process, redis, address })
    }

    /// The ids of both processes.
    pub fn process_ids(&self) -> Vec<u32> {
        vec![self.process.id(), self.redis.id()]
    }

    /// The Redis behind it.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// What to ask it where `stored` keys are there.
    pub fn target(&self, stored: u64) -> Target {
        let request = |method, path, body| Request { method, path, headers: Vec::new(), body };
        let put = |number| request("PUT", format!("/SET/{}", records::key(number)), records::value(1));
        Target {
            name: "webdis + Redis".to_owned(),
            address: self.address,
            get: request("GET", format!("/GET/{}", records::key(0)), String::new()),
            puts: records::load_keys(stored).map(put).collect(),
        }
    }

    /// Whether the value of key 0, asked past webdis, is `value`, byte for byte.
    ///
    /// # Errors
    /// It is not.
    pub fn check_stored(&self, value: &str) -> Outcome<()> {
        let stored = Client::open(self.redis.address)?.ask(&["GET", &records::key(0)])?;
        if stored.lines().nth(1) == Some(value) {
            Ok(())
        } else {
            Err(failure(format!("redis-server has another value than was written: {stored}")))
        }
    }
}
