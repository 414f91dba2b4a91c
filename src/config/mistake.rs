//! Mistakes in config.json, with the fix.
//!
//! No message contains the text of a key or a hash.

use super::nearest::nearest;
use crate::disk;
use crate::limits::{
    CONFIG_BYTES_MAX, DIRECTORY_LOCK_LOOK_INTERVAL_MS, DIRECTORY_LOCK_LOOKS_MAX, SHOWN_CHARACTERS_MAX,
};
use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The problem of a file without text.
pub(crate) const EMPTY: &str = "the file is empty";
/// The beginning of problems with the grammar.
const NOT_JSON: &str = "not JSON";

/// A mistake in the text of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    pub(crate) problem: String,
    /// The fix; empty if the problem states it.
    pub(super) advice: String,
}

impl Mistake {
    /// Whether it is an error of the JSON grammar without a more specific text.
    pub(crate) fn is_of_grammar(&self) -> bool {
        self.advice.is_empty() && self.problem.starts_with(NOT_JSON)
    }

    /// The problem and the fix, for a value that is not in a file.
    pub fn without_location(&self) -> String {
        format!("{}{}", self.problem, self.suffix())
    }

    fn suffix(&self) -> String {
        if self.advice.is_empty() { String::new() } else { format!("; {}", self.advice) }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}{}", self.problem, self.line, self.column, self.suffix())
    }
}

impl std::error::Error for Mistake {}

/// The rule that the host `text` breaks, in config.json and on the command line.
pub(crate) fn host_advice(text: &str) -> String {
    let address = text.split(['[', ']', '%']).find(|part| !part.is_empty()).unwrap_or_default();
    if text.parse::<SocketAddr>().is_ok() {
        "it must be an IP address without a port, which has a setting of its own (server_port, --port)"
            .to_owned()
    } else if address.parse::<Ipv6Addr>().is_err() {
        HOST_ADVICE.to_owned()
    } else if text.contains('%') {
        format!("it must be an IP address without a zone (`%{}`); {LINK_LOCAL_ADVICE}", shown(zone_of(text)))
    } else {
        format!("it must be an IP address without brackets: {address}")
    }
}

/// The zone of an address such as `fe80::1%eth0`.
fn zone_of(text: &str) -> &str {
    text.split_once('%').map_or("", |(_, zone)| zone.trim_end_matches(']'))
}

/// What to listen on instead of a link-local address, which is valid on one network interface only.
pub(crate) const LINK_LOCAL_ADVICE: &str = "use :: for every network, or an address of this machine that is not \
                                     link-local (fe80::…), because an interface cannot be named";

const HOST_ADVICE: &str = "it must be an IP address, because names are not looked up: 127.0.0.1 or ::1 for this \
                               machine only (localhost), 0.0.0.0 or :: for every network";

/// The advice for an unknown `text`: the nearest of the `known` ones, and all of them after `intro`.
pub(super) fn nearest_advice(text: &str, known: &[&str], intro: &str) -> String {
    let nearest = nearest(text, known).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    format!("{nearest}{intro}: {}", known.join(", "))
}

/// Outside text for a message, without control characters and cut to [`SHOWN_CHARACTERS_MAX`].
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A path for a message, without control characters.
pub(crate) fn shown_path(path: &Path) -> String {
    let mut shown = String::new();
    for character in path.to_string_lossy().chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Why config.json could not be loaded or saved. The file is unchanged then.
#[derive(Debug)]
pub enum ConfigError {
    Invalid {
        path: PathBuf,
        mistake: Mistake,
    },
    TooLarge {
        path: PathBuf,
    },
    Read {
        path: PathBuf,
        error: io::Error,
    },
    Write {
        path: PathBuf,
        error: io::Error,
    },
    /// Another process holds its lock for too long.
    Locked {
        path: PathBuf,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Invalid { path, mistake } => {
                write!(
                    f,
                    "{}: {mistake}. The file is unchanged; correct it, then start again or send SIGHUP",
                    shown_path(path)
                )
            }
            ConfigError::TooLarge { path } => write!(
                f,
                "{}: the file is too large for a configuration; the maximum is {CONFIG_BYTES_MAX} bytes. \
                 Check the path",
                shown_path(path)
            ),
            ConfigError::Read { path, error } => {
                write!(
                    f,
                    "{}: cannot be read: {error}. Check that it is a file that this user may read",
                    shown_path(path)
                )
            }
            ConfigError::Write { path, error } => {
                write!(f, "{}: cannot be saved: {error}. {}", shown_path(path), save_advice(error))
            }
            ConfigError::Locked { path } => write!(
                f,
                "{}: another process has locked its directory for more than {} seconds. {LOCKED_ADVICE}",
                shown_path(path),
                DIRECTORY_LOCK_LOOKS_MAX as u64 * DIRECTORY_LOCK_LOOK_INTERVAL_MS / 1_000
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The fix for a config.json that another process has locked.
pub(crate) const LOCKED_ADVICE: &str =
    "Wait for that process, such as `pikv config set`, or end it. Then try again";

/// Why a file cannot be replaced, and the fix.
pub(crate) fn save_advice(error: &io::Error) -> &'static str {
    let kind = error.kind();
    if matches!(kind, io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices) {
        "The file is a mount of its own (a bind mount of a single file), which cannot be replaced. Mount its \
         directory instead of the file"
    } else if kind == io::ErrorKind::ReadOnlyFilesystem {
        "Its directory is mounted read-only. Mount the directory writable"
    } else if kind == io::ErrorKind::PermissionDenied {
        "This user may not create files in its directory. Change the owner or the mode of the directory"
    } else if kind == io::ErrorKind::NotFound {
        "Its directory does not exist. Create it"
    } else if kind == io::ErrorKind::FileTooLarge {
        "It is larger than the file-size limit of the process. Raise the limit (`ulimit -f`, LimitFSIZE=)"
    } else if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        "Free disk space"
    } else if disk::is_out_of_descriptors(error) {
        "The process has no free file descriptor. Raise the limit (`ulimit -n`, LimitNOFILE=)"
    } else if disk::is_not_regular(error) {
        "Move the file or directory away that has its name with `.tmp`"
    } else {
        "Check the disk, and that this user may write in its directory"
    }
}
