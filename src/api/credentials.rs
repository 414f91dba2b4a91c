//! Whose keys a request of the seed APIs is about: those of its token, or of its API key.
//!
//! A grant rests on an account that is on disk: its token was made after that. A denial may rest
//! on a change that is not on disk yet, which is the safe side.

use super::context::Context;
use super::cross_site::Trusted;
use super::error::{AccountError, ApiError};
use crate::accounts::Accounts;
use crate::accounts::account::Account;
use crate::auth::access::Denied;
use crate::auth::api_key::Presented;
use crate::auth::jwt;
use crate::catalog::{Registry, Served};
use crate::secret::KeyHash;
use crate::storage::Keyspace;
use std::sync::Arc;

/// The account of the token in the header fields.
///
/// # Errors
/// [`AccountError::Token`] for what is no valid token; [`ApiError::Forgery`].
pub(crate) fn token(context: &Context<'_>) -> Result<Account, ApiError> {
    let sent = context.credential().map_err(|_| AccountError::Token)?.ok_or(AccountError::Token)?;
    let account = account_of_token(context.accounts()?, &sent.text, context.arrival.wall_ms)?;
    context.check_sender(sent.sent_as)?;
    Ok(account)
}

/// The keys that a request to `/item` is about: those of a token's account, of a key's project, or
/// with the global key of `item_api.project`. Calls `count` unless the request has a valid API key,
/// and before it looks at a token: each wrong one costs a request of the rate.
pub(crate) fn item(
    context: &Context<'_>,
    count: impl FnOnce() -> Result<(), ApiError>,
) -> Result<Keyspace, ApiError> {
    let registry = context.registry;
    let project = registry.item_project.as_ref().and_then(|id| registry.projects.get(id));
    let is_open = !registry.authentication_enabled || project.is_some_and(|served| !served.asks_for_key);
    let sent = context.credential();
    let presented = sent.as_ref().map(|sent| sent.as_ref().map(|sent| (sent, sent.present())));
    if let Ok(Some((sent, Presented::Hash(hash)))) = &presented
        && let Some(owner) = owner_of(registry, hash)
    {
        context.check_sender(sent.sent_as)?;
        return keys_of(match owner {
            KeyOf::Global => project,
            KeyOf::Project(served) => Some(served),
        });
    }
    count()?;
    match presented {
        // Also without authentication: a token names the account whose keys are meant.
        Ok(Some((sent, Presented::Hash(_)))) if jwt::looks_like_token(&sent.text) => {
            let accounts = match context.accounts() {
                // Nobody has a token, so this is none.
                Err(ApiError::Account(AccountError::Disabled)) => return Err(Denied::Wrong.into()),
                accounts => accounts?,
            };
            let account = account_of_token(accounts, &sent.text, context.arrival.wall_ms)?;
            context.check_sender(sent.sent_as)?;
            Ok(accounts.keys_of(&account))
        }
        Ok(_) | Err(_) if is_open => {
            context.check_site(Trusted::Configured)?;
            keys_of(project)
        }
        Ok(Some((_, Presented::Hash(_)))) => Err(Denied::Wrong.into()),
        Ok(Some((_, Presented::Mistyped))) => Err(Denied::Mistyped.into()),
        Ok(None) => Err(Denied::Missing.into()),
        Err(denied) => Err((*denied).into()),
    }
}

fn keys_of(served: Option<&Arc<Served>>) -> Result<Keyspace, ApiError> {
    Ok(Keyspace::of(served.ok_or(ApiError::ItemProjectMissing)?.bucket()?))
}

/// Whose API key something is.
enum KeyOf<'a> {
    Global,
    Project(&'a Arc<Served>),
}

/// All keys are compared, so that the time tells nothing about which there are.
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

/// The account that `token` was made for.
pub(crate) fn account_of_token(accounts: &Accounts, token: &[u8], now_ms: u64) -> Result<Account, ApiError> {
    let claims =
        jwt::verify(&accounts.signing_key, token, now_ms / 1_000).map_err(|_| AccountError::Token)?;
    account_under(accounts, &claims.subject, &claims.credential, now_ms)
}

/// The account that the session `token` was begun for.
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
