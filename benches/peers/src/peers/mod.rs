//! The servers that are measured, each started as a process of its own.

use std::net::SocketAddr;

use crate::failure::{Outcome, failure};
use crate::http::{self, Request};
use crate::records;

pub mod etcd;
pub mod in_process;
pub mod nginx;
pub mod pikv;
pub mod redis;
pub mod webdis;

/// Where a server listens and what it is asked, whatever its protocol looks like.
#[derive(Clone, Debug)]
pub struct Target {
    /// For tables and charts.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Reads one key that is there.
    pub get: Request,
    /// Write keys that are there, one after the other.
    pub puts: Vec<Request>,
}

impl Target {
    /// Looks at one answer to a read: the value has to be in it. Returns it.
    ///
    /// # Errors
    /// It is not.
    pub fn check_get(&self, value: &str) -> Outcome<http::Answer> {
        let answer = http::ask(self.address, &self.get)?.success(&self.name)?;
        let letters = value.trim_matches('"');
        if !answer.body.contains(letters) {
            return Err(failure(format!("{}: the value is not in the answer {}", self.name, answer.body)));
        }
        Ok(answer)
    }

    /// Sends each write once, so that the keys are there. Returns the last answer.
    ///
    /// # Errors
    /// One was refused, or there is nothing to write.
    pub fn put_all(&self) -> Outcome<http::Answer> {
        let mut connection = http::Connection::open(self.address)?;
        let mut last = None;
        for request in &self.puts {
            last = Some(connection.ask(request)?.success(&self.name)?);
        }
        last.ok_or_else(|| failure(format!("{}: nothing to write", self.name)))
    }
}

/// The path of a key in PiKV's API, which the servers of this crate answer on too.
pub fn key_path(number: u64) -> String {
    format!("/api/v1/projects/{}/keys/{}", pikv::PROJECT, records::key(number))
}
