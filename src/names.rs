//! Project ids and keys: outside text that became a name by being parsed.

use crate::limits::{KEY_BYTES_MAX, PROJECT_ID_BYTES_MAX};
use std::fmt;

/// The name of a project, `[a-z0-9][a-z0-9_-]{0,62}` and no Windows device name, because it
/// becomes a file name on case-insensitive disks too. Made only by [`ProjectId::parse`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(String);

/// Why a text is not a project id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectIdError {
    /// Empty, or longer than [`PROJECT_ID_BYTES_MAX`].
    Length {
        /// Bytes of the text.
        bytes: usize,
    },
    /// A character that ids do not have.
    Character {
        /// The first such character.
        character: char,
    },
    /// The first character is `-` or `_`.
    Start,
    /// A device name of Windows, where no file can be called that.
    DeviceName,
}

impl ProjectId {
    /// Takes `text` as a project id.
    ///
    /// # Errors
    /// [`ProjectIdError`] says which rule `text` breaks.
    pub fn parse(text: &str) -> Result<ProjectId, ProjectIdError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if text.is_empty() || text.len() > PROJECT_ID_BYTES_MAX {
            return Err(ProjectIdError::Length { bytes: text.len() });
        }
        if let Some(character) = text.chars().find(|&c| !allowed(c)) {
            return Err(ProjectIdError::Character { character });
        }
        if text.starts_with(['-', '_']) {
            return Err(ProjectIdError::Start);
        }
        if is_device_name(text) {
            return Err(ProjectIdError::DeviceName);
        }
        Ok(ProjectId(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Windows keeps these names for devices in every directory.
fn is_device_name(text: &str) -> bool {
    matches!(text, "con" | "prn" | "aux" | "nul")
        || (text.len() == 4
            && (text.starts_with("com") || text.starts_with("lpt"))
            && text.ends_with(|c: char| c.is_ascii_digit()))
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ProjectIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProjectIdError::Length { bytes } => {
                write!(f, "a project id has 1 to {PROJECT_ID_BYTES_MAX} characters, this one has {bytes}")
            }
            ProjectIdError::Character { character } => {
                write!(f, "a project id has only a-z, 0-9, '-' and '_', not {character:?}")
            }
            ProjectIdError::Start => f.write_str("a project id begins with a letter or a digit"),
            ProjectIdError::DeviceName => {
                f.write_str("this id is a device name on Windows and cannot be a file there")
            }
        }
    }
}

impl std::error::Error for ProjectIdError {}

/// A key: 1 to [`KEY_BYTES_MAX`] bytes of UTF-8 without control characters, neither `.` nor `..`.
/// Borrowed text that was checked; no normalisation, so NFC and NFD are different keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a>(&'a str);

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No bytes at all.
    Empty,
    /// More than [`KEY_BYTES_MAX`] bytes.
    TooLong {
        /// Bytes of the text.
        bytes: usize,
    },
    /// A control character (C0, DEL or C1).
    Control {
        /// The first one.
        character: char,
    },
    /// `.` or `..`, which many clients take out of a URL before they send it.
    Dots,
}

impl<'a> Key<'a> {
    /// Takes `text` as a key.
    ///
    /// # Errors
    /// [`KeyError`] says which rule `text` breaks.
    pub fn parse(text: &'a str) -> Result<Key<'a>, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong { bytes: text.len() });
        }
        if let Some(character) = text.chars().find(|c| c.is_control()) {
            return Err(KeyError::Control { character });
        }
        if matches!(text, "." | "..") {
            return Err(KeyError::Dots);
        }
        Ok(Key(text))
    }

    /// The key as text.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Empty => write!(f, "the key is empty; a key has 1 to {KEY_BYTES_MAX} bytes of UTF-8"),
            KeyError::TooLong { bytes } => {
                write!(f, "a key has at most {KEY_BYTES_MAX} bytes of UTF-8, this one has {bytes}")
            }
            KeyError::Control { character } => {
                write!(f, "a key has no control characters, this one has U+{:04X}", u32::from(*character))
            }
            KeyError::Dots => f.write_str("\".\" and \"..\" are not keys: clients remove them from a URL"),
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_ids_are_file_names_everywhere() {
        for good in ["a", "0", "first_project", "a-b_c", &"x".repeat(63)] {
            assert_eq!(ProjectId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "_a", "-a", "a.b", "a/b", "é", "con", "com1", "lpt9", &"x".repeat(64)] {
            assert!(ProjectId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_are_any_text_without_control_characters() {
        for good in ["a", "a/b", "..a", "a/../b", "...", "é", "e\u{301}", "🔑", &"x".repeat(1024)] {
            assert_eq!(Key::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a\0", "a\n", "\u{7f}", "\u{85}", &"x".repeat(1025)] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
    }
}
