//! Project ids, keys and user names: outside text that was parsed, and the names of the server's own projects.

use crate::digits::{grouped, hex_value};
use crate::limits::{
    ACCOUNT_PREFIX_BYTES, KEY_BYTES_MAX, PROJECT_ID_BYTES_MAX, STORED_KEY_BYTES_MAX, USERNAME_BYTES_MAX,
};
use std::fmt;

/// The key that signs access tokens. Without it all tokens are void and a new one is generated.
pub(crate) const SIGNING_KEY_FILE: &str = "jwt.key";

/// The name of a project, `[a-z0-9][a-z0-9_-]{0,62}` and not a Windows device name, because it
/// becomes a file name on case-insensitive disks too. Only the server's own begin with `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(String);

/// Why a text is not a project id, and the fix: `has …; use …`, without a subject and a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectIdError(String);

/// The projects in which the server stores accounts. The core API does not reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalProject {
    Accounts,
    /// The keys of all accounts.
    AccountData,
    /// Of browsers.
    Sessions,
}

impl InternalProject {
    pub const ALL: [InternalProject; 3] =
        [InternalProject::Accounts, InternalProject::AccountData, InternalProject::Sessions];

    fn name(self) -> &'static str {
        match self {
            InternalProject::Accounts => "_accounts",
            InternalProject::AccountData => "_account_data",
            InternalProject::Sessions => "_sessions",
        }
    }
}

impl From<InternalProject> for ProjectId {
    fn from(project: InternalProject) -> ProjectId {
        ProjectId(project.name().to_owned())
    }
}

impl ProjectId {
    pub fn parse(text: &str) -> Result<ProjectId, ProjectIdError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        let reason = if text.is_empty() {
            format!("is empty; it must have 1 to {PROJECT_ID_BYTES_MAX} characters")
        } else if text.len() > PROJECT_ID_BYTES_MAX {
            let characters = grouped(text.chars().count());
            format!("is {characters} characters long; the maximum is {PROJECT_ID_BYTES_MAX}")
        } else if let Some(character) = text.chars().find(|&c| !allowed(c)) {
            format!("has `{}`; use only a-z, 0-9, `-` and `_`", character.escape_debug())
        } else if let Some(first) = text.chars().next().filter(|first| matches!(first, '-' | '_')) {
            format!("begins with `{first}`; begin it with a letter or a digit")
        } else if is_device_name(text) {
            format!("is `{text}`, a device name on Windows; choose another id")
        } else {
            return Ok(ProjectId(text.to_owned()));
        };
        Err(ProjectIdError(reason))
    }

    /// Whether `text` is the id of a project, including the server's own.
    pub fn is_id(text: &str) -> bool {
        InternalProject::ALL.into_iter().any(|internal| internal.name() == text)
            || ProjectId::parse(text).is_ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn key_rule(&self) -> KeyRule {
        let internal = InternalProject::ALL.into_iter().find(|internal| internal.name() == self.0);
        match internal {
            None => KeyRule::Clients,
            Some(InternalProject::AccountData) => KeyRule::AccountData,
            Some(InternalProject::Accounts | InternalProject::Sessions) => KeyRule::Server,
        }
    }
}

/// The rule for the keys of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRule {
    /// That of [`Key::parse`].
    Clients,
    /// The id of an account, a slash, and a key as in [`Key::parse`], or nothing: the marker of the account.
    AccountData,
    /// That of [`Key::parse_stored`].
    Server,
}

impl KeyRule {
    pub fn parse(self, text: &str) -> Result<Key<'_>, KeyError> {
        match self {
            KeyRule::Clients => Key::parse(text),
            KeyRule::Server => Key::parse_stored(text),
            KeyRule::AccountData => {
                let is_id = |id: &str| id.bytes().all(|byte| hex_value(byte).is_some());
                match text.split_at_checked(ACCOUNT_PREFIX_BYTES) {
                    Some((prefix, key)) if prefix.strip_suffix('/').is_some_and(is_id) => {
                        if !key.is_empty() {
                            Key::parse(key)?;
                        }
                        Ok(Key(text))
                    }
                    Some(_) | None => Err(KeyError(
                        "does not begin with the id of an account and a slash; begin it with 16 hexadecimal digits \
                         and `/`"
                            .into(),
                    )),
                }
            }
        }
    }

    /// The length of the longest such key.
    pub fn bytes_max(self) -> usize {
        match self {
            KeyRule::Clients => KEY_BYTES_MAX,
            KeyRule::AccountData | KeyRule::Server => STORED_KEY_BYTES_MAX,
        }
    }
}

/// Windows reserves these names for devices in every directory.
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

impl ProjectIdError {
    /// The reason and the fix, to follow a subject in another sentence.
    pub fn predicate(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Project id {}.", self.0)
    }
}

impl std::error::Error for ProjectIdError {}

/// A key: 1 to [`KEY_BYTES_MAX`] bytes of UTF-8 without control characters, neither `.` nor `..`.
/// Up to [`STORED_KEY_BYTES_MAX`] with a prefix of the server. There is no normalisation, so NFC and
/// NFD are different keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a>(&'a str);

/// Why a text is not a key, and the fix: `is …; use …`, without a subject and a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError(String);

impl<'a> Key<'a> {
    pub fn parse(text: &'a str) -> Result<Key<'a>, KeyError> {
        let bytes_max = || grouped(KEY_BYTES_MAX);
        let reason = if text.is_empty() {
            format!("is empty; it must have 1 to {} bytes", bytes_max())
        } else if text.len() > KEY_BYTES_MAX {
            format!("is {} bytes long; the maximum is {}", grouped(text.len()), bytes_max())
        } else if matches!(text, "." | "..") {
            "is `.` or `..`, which clients remove from a URL; use another key".to_owned()
        } else {
            return check_characters(text).map(|()| Key(text));
        };
        Err(KeyError(reason))
    }

    /// Parses a key of a file of the server, which may have a prefix of the server.
    pub fn parse_stored(text: &'a str) -> Result<Key<'a>, KeyError> {
        if (KEY_BYTES_MAX + 1..=STORED_KEY_BYTES_MAX).contains(&text.len()) {
            check_characters(text)?;
            return Ok(Key(text));
        }
        Key::parse(text)
    }

    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// A key that owns its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBuf(String);

impl KeyBuf {
    pub fn parse(text: impl Into<String>) -> Result<KeyBuf, KeyError> {
        let text = text.into();
        Key::parse(&text)?;
        Ok(KeyBuf(text))
    }

    /// A key that the server composed of valid parts.
    pub fn own(text: String) -> KeyBuf {
        assert!(
            Key::parse_stored(&text).is_ok(),
            "the longest valid part fits after each prefix of the server"
        );
        KeyBuf(text)
    }

    pub fn as_key(&self) -> Key<'_> {
        Key(&self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Bytes of memory that it holds.
    pub fn bytes_held(&self) -> usize {
        size_of::<KeyBuf>() + self.0.capacity()
    }
}

fn check_characters(text: &str) -> Result<(), KeyError> {
    match text.chars().find(|c| c.is_control()) {
        Some(character) => {
            Err(KeyError(format!("has the control character U+{:04X}; remove it", u32::from(character))))
        }
        None => Ok(()),
    }
}

impl KeyError {
    /// The reason and the fix, to follow a subject in another sentence.
    pub fn predicate(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key {}.", self.0)
    }
}

impl std::error::Error for KeyError {}

/// A user name as it was registered: 1 to [`USERNAME_BYTES_MAX`] of `A-Z a-z 0-9 . _ - @ +`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// `None` if `text` is not a user name.
    pub fn parse(text: &str) -> Option<Username> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
        let fits = (1..=USERNAME_BYTES_MAX).contains(&text.len());
        // Clients remove "." and ".." from the path of a URL.
        let is_path = matches!(text, "." | "..");
        (fits && !is_path && text.bytes().all(is_allowed)).then(|| Username(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Two names are the same if this is equal.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
    fn internal_project_ids_are_refused() {
        for internal in InternalProject::ALL {
            let id = ProjectId::from(internal);
            let error = ProjectId::parse(id.as_str()).unwrap_err().to_string();
            assert_eq!(error, "Project id begins with `_`; begin it with a letter or a digit.", "{id}");
        }
    }

    #[test]
    fn stored_keys_may_be_longer_and_break_no_other_rule() {
        for length in [1024, 1025, STORED_KEY_BYTES_MAX] {
            assert!(Key::parse_stored(&"x".repeat(length)).is_ok(), "{length}");
        }
        for bad in ["", "..", &"x".repeat(STORED_KEY_BYTES_MAX + 1), &format!("{}\n", "x".repeat(1024))] {
            assert!(Key::parse_stored(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn key_of_account_data_is_a_key_of_an_account() {
        let rule = ProjectId::from(InternalProject::AccountData).key_rule();
        for good in
            ["9f1c6a3e5d7b2048/", "9f1c6a3e5d7b2048/a", &format!("9f1c6a3e5d7b2048/{}", "x".repeat(1024))]
        {
            assert_eq!(rule.parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["a", "9f1c6a3e5d7b2048", "9f1c6a3e5d7b2048/..", "9F1c6a3e5d7b2048/a", "9f1c6a3e5d7b2048-a"]
        {
            assert!(rule.parse(bad).is_err(), "{bad:?}");
        }
        let long = "x".repeat(1025);
        assert!(ProjectId::from(InternalProject::Accounts).key_rule().parse(&long).is_ok());
        assert!(ProjectId::parse("a").unwrap().key_rule().parse(&long).is_err());
    }

    #[test]
    fn errors_state_the_reason_the_limit_and_the_fix() {
        for (bad, text) in [
            ("", "Project id is empty; it must have 1 to 63 characters."),
            (&"é".repeat(70), "Project id is 70 characters long; the maximum is 63."),
            ("aBc", "Project id has `B`; use only a-z, 0-9, `-` and `_`."),
            ("-a", "Project id begins with `-`; begin it with a letter or a digit."),
            ("con", "Project id is `con`, a device name on Windows; choose another id."),
        ] {
            assert_eq!(ProjectId::parse(bad).unwrap_err().to_string(), text);
        }
        for (bad, text) in [
            ("", "Key is empty; it must have 1 to 1,024 bytes."),
            (&"x".repeat(1025), "Key is 1,025 bytes long; the maximum is 1,024."),
            ("..", "Key is `.` or `..`, which clients remove from a URL; use another key."),
            ("a\0", "Key has the control character U+0000; remove it."),
        ] {
            assert_eq!(Key::parse(bad).unwrap_err().to_string(), text);
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
