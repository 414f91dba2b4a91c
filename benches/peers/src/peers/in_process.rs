//! The rivals that are part of this crate (`servers/`), each run as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Target, key_path};
use crate::failure::{Outcome, failure};
use crate::http::Request;
use crate::process::Process;
use crate::records;

/// A running server of this crate.
#[derive(Debug)]
pub struct InProcess {
    name: &'static str,
    _process: Process,
    address: SocketAddr,
}

impl InProcess {
    /// Starts axum on tokio, which answers what PiKV answered: `head` and `body`.
    ///
    /// # Errors
    /// It does not say that it listens.
    pub fn start_axum(directory: &Path, head: &str, body: &str) -> Outcome<Self> {
        Self::start_with_answer("axum + Mutex<BTreeMap>", "axum", directory, head, body)
    }

    /// Starts the bare mio + httparse loop, which answers what PiKV answered: `head` and `body`.
    ///
    /// # Errors
    /// It does not say that it listens.
    pub fn start_bare(directory: &Path, head: &str, body: &str) -> Outcome<Self> {
        Self::start_with_answer("bare mio + httparse", "bare", directory, head, body)
    }

    /// Starts the bare group commit, which answers what PiKV answered to a write: `head` and `body`. Its
    /// journal lies in `directory`.
    ///
    /// # Errors
    /// It does not say that it listens.
    pub fn start_commit(directory: &Path, head: &str, body: &str) -> Outcome<Self> {
        Self::start_with_answer("bare group commit", "commit", directory, head, body)
    }

    /// Starts the whole-file rewrite with `keys` keys, its file in `directory`.
    ///
    /// # Errors
    /// It does not say that it listens.
    pub fn start_whole_file(directory: &Path, keys: u64) -> Outcome<Self> {
        fs::create_dir_all(directory)?;
        let file = directory.join("whole_file.json");
        let value = records::value(0);
        let lines: Vec<String> =
            (0..keys).map(|number| format!("\"{}\":{value}", records::key(number))).collect();
        fs::write(&file, format!("{{{}}}", lines.join(",")))?;
        Self::start("whole-file rewrite (tiny_http)", "whole-file", &file)
    }

    fn start_with_answer(
        name: &'static str,
        command: &str,
        directory: &Path,
        head: &str,
        body: &str,
    ) -> Outcome<Self> {
        let file = directory.join(format!("{command}-answer.txt"));
        fs::write(&file, format!("{head}{body}"))?;
        Self::start(name, command, &file)
    }

    fn start(name: &'static str, subcommand: &str, file: &Path) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", subcommand]).arg(file).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::start(name, &mut command)?;
        let output = process.child().stdout.take().ok_or_else(|| failure("a server without output"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| failure(format!("{name} did not start")))?;
        Ok(Self { name, _process: process, address })
    }

    /// What to ask it where `stored` keys are there. The bare loops do not look at it.
    pub fn target(&self, stored: u64) -> Target {
        let request = |method, path, body| Request { method, path, headers: Vec::new(), body };
        Target {
            name: self.name.to_owned(),
            address: self.address,
            get: request("GET", key_path(0), String::new()),
            puts: records::load_keys(stored)
                .map(|number| request("PUT", key_path(number), records::value(1)))
                .collect(),
        }
    }
}
