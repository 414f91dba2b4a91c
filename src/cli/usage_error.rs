//! A command line that cannot be followed, and what is wrong with it.

use super::flag;
use crate::config::mistake::{HOST_ADVICE, shown};
use crate::config::nearest::nearest;
use crate::limits::USERNAME_BYTES_MAX;
use crate::names::ProjectIdError;
use std::fmt;

/// The exit code of a [`UsageError`].
pub const USAGE_EXIT_CODE: u8 = 2;

/// A command line that cannot be followed. Exit code [`USAGE_EXIT_CODE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// No such flag.
    UnknownFlag {
        /// As typed.
        text: String,
    },
    /// No such command.
    UnknownCommand {
        /// As typed.
        text: String,
        /// The commands that are possible there.
        known: Vec<&'static str>,
    },
    /// A word too many.
    Superfluous {
        /// As typed.
        text: String,
    },
    /// `config` without what to do with it, or `recover` without a project.
    Incomplete { command: String, missing: String },
    /// A flag without its value.
    ValueMissing { flag: &'static str },
    /// A flag that takes no value has one.
    ValueSuperfluous { flag: String },
    /// A flag that the command does not take.
    FlagOfOtherCommand { flag: &'static str, command: String },
    /// A value that is none.
    Value {
        /// The flag or variable.
        name: &'static str,
        /// As typed.
        text: String,
        /// What would be right.
        wanted: Wanted,
    },
    /// A user name that is none.
    Username {
        /// As typed.
        text: String,
    },
    /// A password as a word of the command line, where everybody sees it.
    PasswordTyped,
    /// A project id that is none.
    Project {
        /// As typed.
        text: String,
        /// The rule it breaks.
        error: ProjectIdError,
    },
}

/// What a value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// UTF-8.
    Unicode,
    /// A path that is not empty.
    Path,
    /// An IP address.
    Address,
    /// 0 to 65535.
    Port,
    /// One of these.
    OneOf(&'static [&'static str]),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::UnknownFlag { text } => {
                write!(f, "unknown flag `{}`", shown(text))?;
                write_nearest(f, text, &flag::names())
            }
            UsageError::UnknownCommand { text, known } => {
                write!(f, "unknown command `{text}`")?;
                write_nearest(f, text, known)
            }
            UsageError::Superfluous { text } => write!(f, "`{text}` is a word too many"),
            UsageError::Incomplete { command, missing } => write!(f, "`pikv {command}` needs {missing}"),
            UsageError::ValueMissing { flag } => write!(f, "`{flag}` needs a value"),
            UsageError::ValueSuperfluous { flag } => write!(f, "`{}` takes no value", shown(flag)),
            UsageError::FlagOfOtherCommand { flag, command } => {
                write!(f, "`pikv {command}` does not take `{flag}`")
            }
            UsageError::Value { name, text, wanted } => write!(f, "`{name}` is \"{text}\"; {wanted}"),
            UsageError::Username { text } => {
                write!(f, "user name \"{text}\": 1 to {USERNAME_BYTES_MAX} characters of A-Z a-z 0-9 . _ - @ +")
            }
            UsageError::PasswordTyped => f.write_str(
                "a password is not a word of the command line, where other users of this machine see it; it is \
                 asked for, or read from standard input",
            ),
            UsageError::Project { text, error } => write!(f, "project id \"{text}\": {error}"),
        }?;
        f.write_str("; see `pikv --help`")
    }
}

impl std::error::Error for UsageError {}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Unicode => f.write_str("it must be UTF-8"),
            Wanted::Path => f.write_str("it must name a file"),
            Wanted::Address => f.write_str(HOST_ADVICE),
            Wanted::Port => f.write_str("it must be a whole number, 0 to 65535; 0 takes any free port"),
            Wanted::OneOf(names) => write!(f, "it must be one of {}", names.join(", ")),
        }
    }
}

fn write_nearest(f: &mut fmt::Formatter<'_>, text: &str, known: &[&str]) -> fmt::Result {
    match nearest(text, known) {
        Some(name) => write!(f, "; did you mean `{name}`?"),
        None => write!(f, "; possible: {}", known.join(", ")),
    }
}
