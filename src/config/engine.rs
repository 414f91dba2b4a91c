//! `engine`: what keeps the keys, and the cells of etcd that it uses.

use super::cors::check_host_and_port;
use crate::disk::{self, Disk, Open};
use crate::limits::{CELL_NAME_BYTES_MAX, CELL_PASSWORD_BYTES_MAX};
use crate::secret::Secret;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// The name of the first cell, which has the list of projects and the accounts.
pub const HOME: &str = "home";

/// The name of a cell, `[a-z0-9-]{1,32}`. Created only by [`CellName::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellName(String);

/// The address at which a member of etcd serves clients, `http://127.0.0.1:2379`. Created only by [`Endpoint::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port`.
    authority: String,
}

/// One of `engine.cells`: a cluster of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellConfig {
    pub name: CellName,
    pub endpoints: Vec<Endpoint>,
    /// The user of etcd, if it wants one. Exactly then there is a password file.
    pub username: Option<String>,
    /// Relative to the directory of config.json.
    pub password_file: Option<String>,
}

/// Why the password of a cell cannot be read.
#[derive(Debug)]
pub struct PasswordError {
    pub cell: CellName,
    pub path: PathBuf,
    pub error: io::Error,
}

const TLS_ADVICE: &str = "PiKV speaks plain HTTP to etcd and has no TLS, because the member runs on the same machine: \
                          write http:// and let the member listen there, `--listen-client-urls http://127.0.0.1:2379`. \
                          Members encrypt among themselves (`--peer-cert-file`)";
const ENDPOINT_ADVICE: &str = "an endpoint is http://HOST:PORT in lower case, without a path, IPv6 in brackets: \
                               http://127.0.0.1:2379 or http://[::1]:2379";

impl CellName {
    pub fn parse(text: &str) -> Option<CellName> {
        let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = (1..=CELL_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_of_name);
        is_name.then(|| CellName(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Endpoint {
    /// Parses `http://HOST:PORT`, or returns the fix.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        if text.starts_with("https://") {
            return Err(TLS_ADVICE.to_owned());
        }
        let authority = text.strip_prefix("http://").filter(|authority| {
            let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
            has_port && check_host_and_port(authority, "").is_ok()
        });
        let authority = authority.ok_or(ENDPOINT_ADVICE)?.to_owned();
        Ok(Endpoint { authority })
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether what is sent there stays on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = match v6 {
            Some(v6) => v6.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
            None => host.parse().ok(),
        };
        address.map_or(host == "localhost", |address| address.to_canonical().is_loopback())
    }
}

impl CellConfig {
    pub(super) fn new(name: CellName) -> CellConfig {
        CellConfig { name, endpoints: Vec::new(), username: None, password_file: None }
    }

    /// Reads the password, if the cell has a user. `config_path` is the path of config.json.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn load_password(
        &self,
        disk: &dyn Disk,
        config_path: &Path,
    ) -> Result<Option<Secret>, PasswordError> {
        let Some(file) = &self.password_file else { return Ok(None) };
        let path = disk::parent_directory(config_path).join(file);
        match read_password(disk, &path) {
            Ok(password) => Ok(Some(password)),
            Err(error) => Err(PasswordError { cell: self.name.clone(), path, error }),
        }
    }
}

fn read_password(disk: &dyn Disk, path: &Path) -> io::Result<Secret> {
    let refused = |problem: String| io::Error::new(ErrorKind::InvalidData, problem);
    let file = disk.open(path, Open::ReadThroughLinks)?;
    let too_long = || refused(format!("it is longer than {CELL_PASSWORD_BYTES_MAX} bytes"));
    let bytes = disk::load_from(file.as_ref(), CELL_PASSWORD_BYTES_MAX + 2).map_err(|error| {
        let is_too_long = error.kind() == ErrorKind::FileTooLarge;
        if is_too_long { too_long() } else { error }
    })?;
    let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".to_owned()))?;
    let password =
        text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() {
        return Err(refused("it is empty".to_owned()));
    }
    if password.len() as u64 > CELL_PASSWORD_BYTES_MAX {
        return Err(too_long());
    }
    if password.contains(['\n', '\0']) {
        return Err(refused("it has more than one line, or a NUL".to_owned()));
    }
    Ok(Secret::new(password.to_owned()))
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: the password of cell `{}` cannot be read: {}. `password_file` must name a file that this user may \
             read and that has the password in one line; its path is relative to the directory of config.json.",
            self.path.display(),
            self.cell,
            self.error
        )
    }
}

impl std::error::Error for PasswordError {}

impl fmt::Display for CellName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
pub(super) mod tests;
