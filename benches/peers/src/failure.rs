//! Why a measurement could not be made, in words for the person who runs it.

use std::fmt;

/// What went wrong, with the program, file or answer it went wrong with.
#[derive(Debug)]
pub struct Failure(pub String);

/// A result whose failure is a sentence.
pub type Outcome<T> = Result<T, Failure>;

/// A failure that says `text`.
pub fn failure(text: impl Into<String>) -> Failure {
    Failure(text.into())
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}
