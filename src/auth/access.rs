//! Who may do what: the credential of a request against the keys of the server.
//!
//! A credential that is present and wrong is an error, never "anonymous". A caller without the
//! global key cannot tell an unknown project from a wrong key.

use super::api_key::Presented;
use crate::secret::KeyHash;
use std::fmt;

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is no credential.
    Missing,
    /// It begins like a key of this server, and its checksum is wrong.
    Mistyped,
    /// It is no key for this.
    Wrong,
    /// Two fields have different credentials.
    Conflict,
    /// `Authorization` with a scheme other than Bearer and Basic.
    SchemeUnknown,
    /// There is none but a Basic that belongs to a proxy, since a session cookie is present.
    BasicIgnored,
    /// `Authorization: Basic` without a name, a colon and a key in base64.
    BasicMalformed,
    /// A project's key for what needs the global one.
    GlobalRequired,
    /// There is no credential, and only the global key is accepted.
    GlobalMissing,
    /// It is no key of this server, and only the global key is accepted.
    GlobalWrong,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denied::Missing => "an API key is needed here; send it as `X-API-Key: KEY` or `Authorization: Bearer KEY`",
            Denied::Mistyped => {
                "this API key was not copied whole: its checksum is wrong; a key has 54 characters and begins with pikv_"
            }
            Denied::Wrong => "this API key is not the right one here, or there is no such project",
            Denied::Conflict => "two header fields have different credentials; send one",
            Denied::SchemeUnknown => {
                "Authorization has a scheme other than Bearer and Basic. Send `Authorization: Bearer KEY`."
            }
            Denied::BasicIgnored => {
                "Authorization: Basic is ignored beside a session cookie, because a proxy may need it. Send the key as `X-API-Key: KEY`."
            }
            Denied::BasicMalformed => {
                "Authorization: Basic is not the base64 form of NAME:KEY. Send the key as the password (curl -u :KEY)."
            }
            Denied::GlobalRequired => "This needs the global API key. The key that was sent is a project's.",
            Denied::GlobalMissing => {
                "This needs the global API key. Send it as `X-API-Key: KEY` or `Authorization: Bearer KEY`."
            }
            Denied::GlobalWrong => "This needs the global API key. The key that was sent is another one.",
        })
    }
}

impl std::error::Error for Denied {}

/// What a request was let through with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// No credential was looked at.
    Nothing,
    ProjectKey,
    GlobalKey,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Grant::Nothing => "no key, because authentication is off",
            Grant::ProjectKey => "the project's key",
            Grant::GlobalKey => "the global key",
        })
    }
}

/// Lets a request through that only the global key may make. `is_projects` says whether a key is some project's.
pub(crate) fn global(
    presented: Option<Presented>,
    global: Option<&KeyHash>,
    is_projects: impl FnOnce(&KeyHash) -> bool,
) -> Result<Grant, Denied> {
    if presented.is_none() {
        return Err(Denied::GlobalMissing);
    }
    let candidate = candidate(presented)?;
    if is_key(global, &candidate) {
        Ok(Grant::GlobalKey)
    } else if is_projects(&candidate) {
        Err(Denied::GlobalRequired)
    } else {
        Err(Denied::GlobalWrong)
    }
}

/// Lets a request for a project through that asks for a key; `project` is the project's own key.
/// `Ok` with the global key says nothing about whether the project exists.
///
/// # Errors
/// [`Denied`]; for an unknown project as for one whose key is another.
pub(crate) fn project(
    presented: Option<Presented>,
    global: Option<&KeyHash>,
    project: Option<&KeyHash>,
) -> Result<Grant, Denied> {
    let candidate = candidate(presented)?;
    // Both are always compared, so that the time tells nothing about which of them there is.
    let is_global = is_key(global, &candidate);
    let is_project = is_key(project, &candidate);
    match (is_global, is_project) {
        (true, _) => Ok(Grant::GlobalKey),
        (false, true) => Ok(Grant::ProjectKey),
        (false, false) => Err(Denied::Wrong),
    }
}

fn candidate(presented: Option<Presented>) -> Result<KeyHash, Denied> {
    match presented {
        None => Err(Denied::Missing),
        Some(Presented::Mistyped) => Err(Denied::Mistyped),
        Some(Presented::Hash(hash)) => Ok(hash),
    }
}

fn is_key(key: Option<&KeyHash>, candidate: &KeyHash) -> bool {
    key.is_some_and(|key| key.matches(candidate))
}
