//! Who may do what: the credential of a request against the keys of the server.
//!
//! A credential that is present and wrong is an error, never "anonymous". A caller without the
//! global key cannot tell an unknown project from a wrong key.

use super::api_key::{self, Presented};
use crate::http::request::Head;
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
    /// `Authorization` with another scheme than Bearer.
    SchemeUnknown,
    /// A project's key where only the global one will do.
    GlobalRequired,
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
            Denied::SchemeUnknown => "Authorization has a scheme other than Bearer; send `Authorization: Bearer KEY`",
            Denied::GlobalRequired => "this needs the global API key; the one sent is a project's",
        })
    }
}

impl std::error::Error for Denied {}

/// The keys that decide about a project.
#[derive(Clone, Copy, Debug)]
pub struct ProjectKeys<'a> {
    /// Whether the project asks for a key at all.
    pub authentication_enabled: bool,
    /// The project's own key, where it has one.
    pub key: Option<&'a KeyHash>,
}

/// The credential of a request, taken as an API key.
///
/// # Errors
/// [`Denied::Conflict`], [`Denied::SchemeUnknown`].
pub fn presented(head: &Head<'_>) -> Result<Option<Presented>, Denied> {
    Ok(credential(head)?.map(api_key::present))
}

/// The credential of a request as it was sent: an API key or a token.
///
/// # Errors
/// [`Denied::Conflict`], [`Denied::SchemeUnknown`].
pub fn credential<'b>(head: &Head<'b>) -> Result<Option<&'b [u8]>, Denied> {
    let mut found: Option<&[u8]> = None;
    let plain = head.fields("x-api-key").chain(head.fields("api-key")).map(Ok);
    let authorization = head.fields("authorization").map(credential_of_authorization);
    for value in plain.chain(authorization) {
        let value = value?;
        match found {
            Some(before) if before != value => return Err(Denied::Conflict),
            Some(_) | None => found = Some(value),
        }
    }
    Ok(found)
}

/// `Bearer K` or just `K`.
fn credential_of_authorization(value: &[u8]) -> Result<&[u8], Denied> {
    let Some(space) = value.iter().position(|&byte| byte == b' ') else { return Ok(value) };
    match value.split_at_checked(space) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer") => Ok(rest.trim_ascii()),
        Some(_) | None => Err(Denied::SchemeUnknown),
    }
}

/// Lets a request through that only the global key may make. `is_projects` says whether a key is some project's.
///
/// # Errors
/// [`Denied`].
pub fn global(
    presented: Option<Presented>,
    global: Option<&KeyHash>,
    is_projects: impl FnOnce(&KeyHash) -> bool,
) -> Result<(), Denied> {
    let candidate = candidate(presented)?;
    if is_key(global, &candidate) {
        Ok(())
    } else if is_projects(&candidate) {
        Err(Denied::GlobalRequired)
    } else {
        Err(Denied::Wrong)
    }
}

/// Lets a request for a project through; `project` is `None` where there is no such project.
/// `Ok` with the global key says nothing about whether the project exists.
///
/// # Errors
/// [`Denied`]; for an unknown project as for one whose key is another.
pub fn project(
    head: &Head<'_>,
    global: Option<&KeyHash>,
    project: Option<ProjectKeys<'_>>,
) -> Result<(), Denied> {
    if project.is_some_and(|keys| !keys.authentication_enabled) {
        return Ok(());
    }
    let candidate = candidate(presented(head)?)?;
    // Both are always compared, so that the time tells nothing about which of them there is.
    let is_global = is_key(global, &candidate);
    let is_project = is_key(project.and_then(|keys| keys.key), &candidate);
    if is_global || is_project { Ok(()) } else { Err(Denied::Wrong) }
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
