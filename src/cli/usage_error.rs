//! A usage error: a command line that is not valid.

use crate::config::nearest::nearest;
use std::fmt;

/// The exit code of a [`UsageError`].
pub const USAGE_EXIT_CODE: u8 = 2;

/// What is wrong with a command line, and the fix, in sentences. Exit code [`USAGE_EXIT_CODE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(pub(super) String);

impl UsageError {
    /// A `kind` of word, `text`, that is none of `known`.
    pub(super) fn unknown(kind: &str, text: &str, known: &[&str]) -> UsageError {
        let help = match nearest(text, known) {
            Some(name) => format!("Did you mean `{name}`?"),
            None => format!("Possible: {}.", known.join(", ")),
        };
        UsageError(format!("Unknown {kind} `{}`. {help}", crate::config::mistake::shown(text)))
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} See `pikv --help`.", self.0)
    }
}

impl std::error::Error for UsageError {}
