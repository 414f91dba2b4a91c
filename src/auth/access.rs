//! Authorization: the API key of a request against the keys of the server.
//!
//! A credential that is present and wrong is an error, never "anonymous". A caller without the
//! global key cannot tell an unknown project from a wrong key.

use crate::secret::KeyHash;
use std::fmt;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    Missing,
    /// The key begins like a generated one, and its length or checksum is wrong.
    Mistyped,
    Wrong,
    /// Two fields have different credentials.
    Conflict,
    /// `Authorization` with a scheme other than Bearer and Basic.
    SchemeUnknown,
    /// The only credential is a Basic that belongs to a proxy, because a session cookie is present.
    BasicIgnored,
    /// `Authorization: Basic` without a name, a colon and a key in base64.
    BasicMalformed,
    /// A project's key, and only the global key is accepted.
    GlobalRequired,
    /// No credential, and only the global key is accepted.
    GlobalMissing,
    /// No key of this server, and only the global key is accepted.
    GlobalWrong,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denied::Missing => {
                "An API key is required. Send it as `X-API-Key: KEY` or `Authorization: Bearer KEY`."
            }
            Denied::Mistyped => {
                "The checksum of this API key is wrong. Copy the whole key: it has 54 characters and begins with pikv_."
            }
            Denied::Wrong => "This API key is not valid here, or the project does not exist. Check the project id in the path, and the key.",
            Denied::Conflict => "Two header fields have different credentials. Send one of them.",
            Denied::SchemeUnknown => {
                "Authorization has a scheme other than Bearer and Basic. Send `Authorization: Bearer KEY`."
            }
            Denied::BasicIgnored => {
                "Authorization: Basic is ignored if a session cookie is present, because a proxy may need it. Send the key as `X-API-Key: KEY`."
            }
            Denied::BasicMalformed => {
                "Authorization: Basic is not the base64 form of NAME:KEY. Send the key as the password (curl -u :KEY)."
            }
            Denied::GlobalRequired => "This needs the global API key, and the key that was sent is a project's. Send the global key.",
            Denied::GlobalMissing => {
                "This needs the global API key. Send it as `X-API-Key: KEY` or `Authorization: Bearer KEY`."
            }
            Denied::GlobalWrong => "This needs the global API key, and the key that was sent is another one. Send the global key.",
        })
    }
}

impl std::error::Error for Denied {}

/// The kind of credential that a request was authorized with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// No credential was needed.
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

/// Authorizes a request that needs the global key. `is_projects` tells whether a key is a project's.
pub(crate) fn global(
    sent: Option<KeyHash>,
    global: Option<&KeyHash>,
    is_projects: impl FnOnce(&KeyHash) -> bool,
) -> Result<Grant, Denied> {
    let candidate = sent.ok_or(Denied::GlobalMissing)?;
    if is_key(global, &candidate) {
        Ok(Grant::GlobalKey)
    } else if is_projects(&candidate) {
        Err(Denied::GlobalRequired)
    } else {
        Err(Denied::GlobalWrong)
    }
}

/// Authorizes a request for a project that requires a key; `project` is the project's own key. The global key is
/// granted also if the project does not exist.
///
/// # Errors
/// [`Denied`]; the same for an unknown project and for a wrong key.
pub(crate) fn project(
    sent: Option<KeyHash>,
    global: Option<&KeyHash>,
    project: Option<&KeyHash>,
) -> Result<Grant, Denied> {
    let candidate = sent.ok_or(Denied::Missing)?;
    // Both are always compared, so that the time does not tell which of them exists.
    let is_global = is_key(global, &candidate);
    let is_project = is_key(project, &candidate);
    match (is_global, is_project) {
        (true, _) => Ok(Grant::GlobalKey),
        (false, true) => Ok(Grant::ProjectKey),
        (false, false) => Err(Denied::Wrong),
    }
}

fn is_key(key: Option<&KeyHash>, candidate: &KeyHash) -> bool {
    key.is_some_and(|key| key.matches(candidate))
}
