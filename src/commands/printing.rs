//! The output of commands on standard output. The log goes to standard error.

use super::error::RunError;
use super::reachability;
use super::setup::{ConfigFile, absolute};
use crate::catalog::keys::KeyChanges;
use crate::cli::help;
use crate::config::schema::KeyOwner;
use crate::disk;
use crate::secret::Secret;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;

/// Prints the result of a command. A reader that has closed its pipe, such as `head`, is not an error.
pub(super) fn print_result(text: &str) -> Result<(), RunError> {
    match print(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(RunError::NotPrinted),
    }
}

pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether what is printed is lost: standard output is closed or the null device.
pub(super) fn is_discarded() -> bool {
    disk::is_null_device(io::stdout().as_fd()).unwrap_or(false)
}

/// Prints a text of the server that contains the generated keys. They exist nowhere else, so if that fails, the
/// log states how to get new ones. The server continues: it serves clients that have a key, and the next start
/// would have no keys to print, because config.json has their hashes already.
pub(super) fn print_keys(text: &str, key_changes: &KeyChanges) {
    let reason = match print(text) {
        Err(error) => error.to_string(),
        Ok(()) if is_discarded() => "standard output is closed or /dev/null".to_owned(),
        Ok(()) => return,
    };
    let owners: Vec<String> = key_changes.issued.iter().map(|(owner, _)| owner_text(owner)).collect();
    if !owners.is_empty() {
        log::error!(
            "the new keys ({}) could not be printed: {reason}; to get new ones, connect standard output to a terminal, \
             a pipe or a file, set `api_key_hash` (and `api_key`) of their owners to null in config.json, and restart \
             the server",
            owners.join(", ")
        );
    }
}

pub(super) fn owner_text(owner: &KeyOwner) -> String {
    match owner {
        KeyOwner::Global => "global key".to_owned(),
        KeyOwner::Project(id) => format!("{id} key"),
    }
}

pub(super) fn keys_text(key_changes: &KeyChanges) -> String {
    let line = |(owner, key): &(KeyOwner, Secret)| {
        format!("{:<19} {}   (shown once; keep it)\n", owner_text(owner), key.reveal())
    };
    key_changes.issued.iter().map(line).collect()
}

/// The output of a start: the paths and the addresses, the generated keys, the commands for a first write and read, and
/// how to stop.
pub(super) fn banner(
    config_path: &Path,
    directory: &Path,
    listening: SocketAddr,
    key_changes: &KeyChanges,
    config_file: ConfigFile,
) -> String {
    let mut text = format!("{}\n", help::version());
    let config = match config_file {
        ConfigFile::Found => "config",
        ConfigFile::Created => "created config",
    };
    text.push_str(&format!("{config:<19} {}\n", absolute(config_path).display()));
    text.push_str(&format!("{:<19} {}\n", "data directory", absolute(directory).display()));
    text.push_str(&keys_text(key_changes));
    let addresses = reachability::addresses(listening);
    for (index, address) in addresses.iter().enumerate() {
        let label = if index == 0 { "listening on" } else { "" };
        text.push_str(&format!("{label:<19} http://{address}\n"));
    }
    let first = key_changes.issued.iter().find_map(|(owner, key)| match owner {
        KeyOwner::Project(id) => Some((id, key)),
        KeyOwner::Global => None,
    });
    if let (Some((id, key)), Some(address)) = (first, addresses.first()) {
        let (url, key) = (format!("http://{address}/api/v1/projects/{id}/keys/hello"), key.reveal());
        text.push_str(&format!(
            "\nOpen a second terminal, write a value and read it back:\n  curl -H 'X-API-Key: {key}' -X PUT {url} -d \
             '\"world\"'\n  curl -H 'X-API-Key: {key}' {url}\n"
        ));
    }
    text.push_str("\nPress Ctrl-C to stop the server.\n");
    text
}
