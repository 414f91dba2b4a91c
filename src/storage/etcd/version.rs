//! Which versions of etcd are used.

use std::fmt;

/// Why a version is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionFault {
    /// It has no JSON gateway at `/v3/`.
    TooOld { version: String },
    /// It can lose acknowledged writes and make members differ.
    Corrupts { version: String },
    /// It is not a version.
    Unknown { version: String },
}

/// Refuses versions that lack the gateway or damage data. Source: the release notes of etcd 3.5.3, which advise
/// against 3.5.0 to 3.5.2.
pub(super) fn check(version: &str) -> Result<(), VersionFault> {
    let version_text = || version.to_owned();
    let Some(numbers) = parse(version) else { return Err(VersionFault::Unknown { version: version_text() }) };
    match numbers {
        (3, 5, 0..=2) => Err(VersionFault::Corrupts { version: version_text() }),
        (3, 4.., _) | (4.., _, _) => Ok(()),
        _ => Err(VersionFault::TooOld { version: version_text() }),
    }
}

/// The numbers of `3.5.9` or `3.6.0-rc.1`.
fn parse(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.splitn(3, '.');
    let (major, minor, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, minor.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

impl fmt::Display for VersionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VersionFault::TooOld { version } => write!(
                f,
                "runs etcd {version}; PiKV needs 3.4 or later, whose JSON gateway it uses. Upgrade the member"
            ),
            VersionFault::Corrupts { version } => write!(
                f,
                "runs etcd {version}; 3.5.0 to 3.5.2 can corrupt data after a crash. Upgrade the member to 3.5.3 or \
                 later"
            ),
            VersionFault::Unknown { version } => write!(
                f,
                "has the version `{}`, which is not one of etcd. Correct `engine.cells` in config.json",
                version.chars().take(SHOWN_CHARACTERS).collect::<String>().escape_debug()
            ),
        }
    }
}

const SHOWN_CHARACTERS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_corrupting_versions_are_refused() {
        for good in ["3.4.0", "3.4.23", "3.5.3", "3.5.21", "3.6.0", "3.6.0-rc.1", "3.10.0", "4.0.0"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for old in ["3.3.27", "2.3.8", "3.3.99", "0.0.1"] {
            assert!(matches!(check(old), Err(VersionFault::TooOld { .. })), "{old}");
        }
        for wrong in ["3.5.0", "3.5.1", "3.5.2", "3.5.2+git", "3.5.0-rc.1"] {
            assert!(matches!(check(wrong), Err(VersionFault::Corrupts { .. })), "{wrong}");
        }
        for none in ["", "3", "3.5", "x.y.z", "3.4.", "-3.4.1"] {
            assert!(matches!(check(none), Err(VersionFault::Unknown { .. })), "{none}");
        }
    }
}
