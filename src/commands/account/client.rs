//! Manages accounts through a running server: a client for `/api/v1/accounts`, one request for each connection.

use super::listing::{Line, done, table};
use crate::auth::password::Rule;
use crate::cli::account::{Act, GLOBAL_KEY_VARIABLE};
use crate::clock;
use crate::commands::reachability::local_address;
use crate::config::schema::PublicHost;
use crate::disk::{self, RealDisk};
use crate::http_client::{Answer, ClientRequest, ExchangeError, HttpClient};
use crate::limits::{ADDRESS_FILE_BYTES_MAX, CLIENT_ANSWER_BYTES_MAX, CLIENT_TIMEOUT_SECONDS};
use crate::persist::files::own_files::ADDRESS_FILE;
use crate::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// A running server.
pub(crate) struct Server<'a> {
    address: SocketAddr,
    /// The host that requests name: `public_hosts` may allow no other.
    host: String,
    key: Option<GlobalKey<'a>>,
}

#[derive(Clone, Copy)]
pub(crate) struct GlobalKey<'a> {
    pub key: &'a Secret,
    pub source: KeySource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    Variable,
    ConfigFile,
}

/// The credential that the server requires.
pub(crate) enum Credential<'a> {
    /// Authentication is off.
    None,
    /// Its global key, if it is known here.
    Key(Option<GlobalKey<'a>>),
}

#[derive(Debug)]
pub enum ClientError {
    /// The server has not written its address yet.
    AddressMissing {
        pid: String,
    },
    KeyMissing {
        pid: String,
        address: SocketAddr,
    },
    /// The server cannot be reached, or does not answer.
    Io {
        address: SocketAddr,
        error: io::Error,
    },
    /// The answer is not that of a PiKV server.
    Answer {
        address: SocketAddr,
    },
    KeyRefused {
        address: SocketAddr,
        source: KeySource,
    },
    Refused {
        status: u16,
        detail: String,
    },
}

#[derive(Deserialize)]
struct Listed {
    accounts: Vec<Line>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl<'a> Server<'a> {
    /// The server with process id `pid` that has the data directory `directory`.
    pub(crate) fn find(
        directory: &Path,
        pid: String,
        credential: Credential<'a>,
        public_hosts: &[PublicHost],
    ) -> Result<Server<'a>, ClientError> {
        let written = disk::load(&RealDisk, &directory.join(ADDRESS_FILE), ADDRESS_FILE_BYTES_MAX);
        let text = written.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let address: Option<SocketAddr> = text.and_then(|text| text.trim().parse().ok());
        let Some(address) = address else { return Err(ClientError::AddressMissing { pid }) };
        let address = SocketAddr::new(local_address(address.ip()), address.port());
        let host = public_hosts.first().map_or_else(|| address.to_string(), |host| host.as_str().to_owned());
        match credential {
            Credential::None => Ok(Server { address, host, key: None }),
            Credential::Key(Some(key)) => Ok(Server { address, host, key: Some(key) }),
            Credential::Key(None) => Err(ClientError::KeyMissing { pid, address }),
        }
    }

    /// Makes the server execute `act`. Returns the text to print.
    pub(crate) fn execute(&self, act: &Act, password: Option<&Secret>) -> Result<String, ClientError> {
        let password = password.map(Secret::reveal).unwrap_or_default();
        match act {
            Act::Add { username, email, rule } => {
                let mut body = json!({ "username": username.as_str(), "password": password });
                allow_weak(*rule, &mut body);
                if let (Some(email), Some(members)) = (email, body.as_object_mut()) {
                    members.insert("email".to_owned(), email.as_str().into());
                }
                self.send("POST", "", &body.to_string())?;
            }
            Act::SetPassword { username, rule } => {
                let mut body = json!({ "password": password });
                allow_weak(*rule, &mut body);
                self.send("PUT", &format!("/{username}"), &body.to_string())?;
            }
            Act::SetDisabled { username, is_disabled } => {
                self.send("PUT", &format!("/{username}"), &json!({ "disabled": is_disabled }).to_string())?;
            }
            Act::Delete { username } => drop(self.send("DELETE", &format!("/{username}"), "")?),
            Act::List => return self.list(),
        }
        Ok(done(act))
    }

    fn list(&self) -> Result<String, ClientError> {
        let mut lines = Vec::new();
        let mut query = String::new();
        loop {
            let body = self.send("GET", &query, "")?;
            let listed: Listed =
                serde_json::from_slice(&body).map_err(|_| ClientError::Answer { address: self.address })?;
            lines.extend(listed.accounts);
            let Some(cursor) = listed.cursor else { return Ok(table(&lines)) };
            query = format!("?cursor={cursor}");
        }
    }

    /// The body of a success.
    fn send(&self, method: &str, rest: &str, body: &str) -> Result<Vec<u8>, ClientError> {
        let address = self.address;
        let exchanged = self.exchange(method, rest, body);
        let Answer { status, body, .. } = exchanged.map_err(|error| {
            if error.kind() == ErrorKind::InvalidData {
                return ClientError::Answer { address };
            }
            ClientError::Io { address, error }
        })?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        if let (401 | 403, Some(GlobalKey { source, .. })) = (status, self.key) {
            return Err(ClientError::KeyRefused { address: self.address, source });
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let detail = problem.map_or_else(|| "No reason was given.".to_owned(), |problem| problem.detail);
        Err(ClientError::Refused { status, detail })
    }

    fn exchange(&self, method: &str, rest: &str, body: &str) -> io::Result<Answer> {
        let timeout = Duration::from_secs(CLIENT_TIMEOUT_SECONDS);
        let target = format!("/api/v1/accounts{rest}");
        let key = self.key.map(|key| ("x-api-key", key.key.reveal()));
        let request =
            ClientRequest { method, target: &target, fields: key.as_slice(), body: body.as_bytes() };
        let mut client = HttpClient::connect(self.address, self.host.clone(), timeout)?;
        client.exchange(&request, clock::monotonic() + timeout, CLIENT_ANSWER_BYTES_MAX).map_err(|error| {
            match error {
                ExchangeError::NotSent(error) | ExchangeError::Unanswered(error) => error,
            }
        })
    }
}

/// Adds the member that allows a weak password.
fn allow_weak(rule: Rule, body: &mut serde_json::Value) {
    if let (Rule::Weak, Some(members)) = (rule, body.as_object_mut()) {
        members.insert("weak_password".to_owned(), true.into());
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::AddressMissing { pid } => write!(
                f,
                "The process with id {pid} uses the data directory, but has not written its address \
                 ({ADDRESS_FILE}). Wait until it has started or ended, then try again. If the file does not appear, \
                 the log of the server has the reason."
            ),
            ClientError::KeyMissing { pid, address } => write!(
                f,
                "The server with process id {pid} has the accounts. Set {GLOBAL_KEY_VARIABLE} to its global key and \
                 try again, or send the request yourself: curl -H \"X-API-Key: $GLOBAL\" http://{address}/api/v1/accounts"
            ),
            ClientError::Io { address, error } => write!(
                f,
                "Cannot reach the running server at {address}, which has the accounts: {error}. Check that the server \
                 runs, then try again."
            ),
            ClientError::Answer { address } => write!(
                f,
                "The program that listens on {address} is not the PiKV server that has the accounts. Stop that \
                 program, or restart the server."
            ),
            ClientError::KeyRefused { address, source } => write!(
                f,
                "{source} is not the global key of the server at {address}, which has the accounts. Set \
                 {GLOBAL_KEY_VARIABLE} to its global key."
            ),
            ClientError::Refused { status, detail } => {
                write!(f, "The server refused the command ({status}): {detail}")
            }
        }
    }
}

impl std::error::Error for ClientError {}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Variable => write!(f, "The environment variable {GLOBAL_KEY_VARIABLE}"),
            KeySource::ConfigFile => f.write_str("`default.authentication.api_key` in config.json"),
        }
    }
}
