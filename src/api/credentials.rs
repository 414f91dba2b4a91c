//! The keys that a request to a compatibility API may use: those of its token, or of its API key.
//!
//! A grant depends on an account that is on disk, because its token was issued after that. A denial may depend on a
//! change that is not on disk yet, which is the safe side.

use super::context::Context;
use super::cross_site::Trusted;
use super::error::{AccountError, ApiError};
use crate::accounts::Accounts;
use crate::accounts::account::Account;
use crate::auth::access::Denied;
use crate::auth::jwt;
use crate::catalog::{Registry, Served};
use crate::secret::KeyHash;
use crate::storage::Keyspace;
use std::sync::Arc;

/// The account of the token in the header fields.
///
/// # Errors
/// [`AccountError::Token`] if it is not valid; [`Part::Site`](super::error::Part::Site).
pub(crate) fn token(context: &Context<'_>) -> Result<Account, ApiError> {
    let sent = context.credential().map_err(|_| AccountError::Token)?.ok_or(AccountError::Token)?;
    let account = account_of_token(context.accounts()?, &sent.text, context.origin.wall_ms)?;
    context.check_sender(sent.sent_as)?;
    Ok(account)
}

/// The keys for a request to `/item`: those of a token's account, of a key's project, or with the global key
/// those of `item_api.project`. Calls `count` unless the request has a valid API key, and before a token is verified:
/// each wrong one uses up a request of the rate.
pub(crate) fn item(
    context: &Context<'_>,
    count: impl FnOnce() -> Result<(), ApiError>,
) -> Result<Keyspace, ApiError> {
    let registry = context.registry;
    let project = registry.item_project.as_ref().and_then(|id| registry.projects.get(id));
    let is_open = !registry.authentication_enabled || project.is_some_and(|served| !served.asks_for_key);
    let sent = context.credential();
    if let Ok(Some(sent)) = &sent
        && let Ok(hash) = sent.key_hash()
        && let Some(owner) = owner_of(registry, &hash)
    {
        context.check_sender(sent.sent_as)?;
        return keys_of(match owner {
            KeyOf::Global => project,
            KeyOf::Project(served) => Some(served),
        });
    }
    count()?;
    match sent {
        // Also without authentication: a token selects the keys of its account.
        Ok(Some(sent)) if jwt::looks_like_token(&sent.text) => {
            let accounts = match context.accounts() {
                // No valid token exists.
                Err(ApiError::Account(AccountError::Disabled)) => return Err(Denied::Wrong.into()),
                accounts => accounts?,
            };
            let account = account_of_token(accounts, &sent.text, context.origin.wall_ms)?;
            context.check_sender(sent.sent_as)?;
            Ok(accounts.keys_of(&account))
        }
        Ok(_) | Err(_) if is_open => {
            context.check_site(Trusted::Configured)?;
            keys_of(project)
        }
        Ok(Some(sent)) => Err(sent.key_hash().err().unwrap_or(Denied::Wrong).into()),
        Ok(None) => Err(Denied::Missing.into()),
        Err(denied) => Err(denied.into()),
    }
}

fn keys_of(served: Option<&Arc<Served>>) -> Result<Keyspace, ApiError> {
    Ok(Keyspace::of(served.ok_or(ApiError::ItemProjectMissing)?.bucket()?))
}

/// The owner of an API key.
enum KeyOf<'a> {
    Global,
    Project(&'a Arc<Served>),
}

/// Compares all keys, so that the time does not tell which of them exist.
fn owner_of<'a>(registry: &'a Registry, candidate: &KeyHash) -> Option<KeyOf<'a>> {
    let mut found = None;
    for served in registry.projects.values() {
        if served.key.as_ref().is_some_and(|key| key.matches(candidate)) {
            found = Some(KeyOf::Project(served));
        }
    }
    let is_global = registry.global_key.as_ref().is_some_and(|key| key.matches(candidate));
    if is_global { Some(KeyOf::Global) } else { found }
}

/// The account that `token` was issued to.
pub(crate) fn account_of_token(accounts: &Accounts, token: &[u8], now_ms: u64) -> Result<Account, ApiError> {
    let claims =
        jwt::verify(&accounts.signing_key, token, now_ms / 1_000).map_err(|_| AccountError::Token)?;
    account_under(accounts, &claims.subject, &claims.credential, now_ms)
}

/// The account of the session `token`.
pub(crate) fn account_of_session(accounts: &Accounts, token: &str, now_ms: u64) -> Result<Account, ApiError> {
    let session = accounts.sessions.find(token, now_ms)?.ok_or(AccountError::Token)?;
    account_under(accounts, &session.username, &session.credential, now_ms)
}

fn account_under(
    accounts: &Accounts,
    username: &str,
    credential: &str,
    now_ms: u64,
) -> Result<Account, ApiError> {
    let found = accounts.directory.find(username, now_ms)?.answer;
    let usable = found.filter(|account| !account.is_disabled && account.credential == credential);
    usable.ok_or_else(|| AccountError::Token.into())
}
