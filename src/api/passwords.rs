//! From a user name and a password to the account, in the password lane.

use super::context::Context;
use super::error::{AccountError, ApiError};
use super::reply::{Lane, Reply, Standing};
use super::state::App;
use crate::accounts::Accounts;
use crate::accounts::account::Account;
use crate::auth::password::{self, Password, PasswordHash};
use crate::auth::throttle::Attempt;
use crate::clock;
use crate::entropy::random_bytes;
use crate::store::commit::Pending;
use std::sync::Arc;

/// A login attempt. It is refunded when this is dropped, unless a password was checked.
struct Counted {
    app: Arc<App>,
    attempt: Option<Attempt>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.app.throttle.forget(attempt);
        }
    }
}

/// Checks the password of `username` and replies with the result of `then` for the account, or for the error:
/// [`AccountError::Credentials`], [`AccountError::TooManyAttempts`], or why the accounts cannot be read. An account
/// that does not exist takes as long as one that does.
pub(crate) fn sign_in(
    context: &Context<'_>,
    username: &str,
    password: &str,
    then: impl FnOnce(Result<Account, ApiError>, u64) -> Reply + Send + 'static,
) -> Reply {
    // A registration trims the name too.
    let folded = username.trim().to_ascii_lowercase();
    let (accounts, mut pending) = match begin(context, &folded) {
        Ok(begun) => begun,
        Err(error) => return then(Err(error), context.origin.wall_ms),
    };
    let is_known = pending.attempt.as_ref().is_some_and(Attempt::is_known);
    let share = context.share(if is_known { Standing::Known } else { Standing::Unknown });
    // A text that cannot be a password costs as much as a wrong one: otherwise the counters could be filled for free.
    let password = Password::parse(password).ok();
    let cost = context.registry.accounts.bcrypt_cost;
    let job = move || {
        let now_ms = clock::wall_ms();
        let checked = check(&accounts, cost, &folded, password.as_ref(), now_ms);
        match (&checked, pending.attempt.take()) {
            (Ok(_), Some(attempt)) => pending.app.throttle.succeeded(attempt, clock::monotonic()),
            (Err(ApiError::Account(AccountError::Credentials)), Some(attempt)) => {
                pending.app.throttle.failed(attempt);
            }
            // The client has not learned whether the password is right.
            (Err(_), Some(attempt)) => pending.app.throttle.forget(attempt),
            (Ok(_) | Err(_), None) => {}
        }
        then(checked, now_ms)
    };
    Reply::Job(Lane::Password(share), None, Box::new(job))
}

/// Counts a login attempt, unless there were too many.
fn begin(context: &Context<'_>, folded: &str) -> Result<(Arc<Accounts>, Counted), ApiError> {
    let app = Arc::clone(context.app);
    let accounts = Arc::clone(context.accounts()?);
    let attempt = app.throttle.begin(folded, context.client().address, context.origin.at);
    let attempt = Some(attempt.map_err(AccountError::TooManyAttempts)?);
    Ok((accounts, Counted { app, attempt }))
}

fn check(
    accounts: &Accounts,
    cost: u32,
    folded: &str,
    password: Option<&Password>,
    now_ms: u64,
) -> Result<Account, ApiError> {
    // Every refusal takes as long as the slowest: otherwise the time would tell which names exist.
    let cost_max = accounts.directory.cost_max().unwrap_or(cost);
    let found = accounts.directory.find(folded, now_ms)?;
    let (Some(account), Some(password)) = (found.answer, password) else {
        password::verify_dummy(cost_max);
        return Err(AccountError::Credentials.into());
    };
    if !password::verify(password, &account.password) || account.is_disabled {
        password::verify_dummy_up_to(account.password.cost(), cost_max);
        return Err(AccountError::Credentials.into());
    }
    // A registration or a change must be on disk before anyone can log in with it.
    accounts.directory.wait(found.commit.as_ref())?;
    if account.password.cost() != cost {
        return rehash(accounts, account, password, cost, now_ms);
    }
    Ok(account)
}

/// Stores a hash with the configured cost. If that fails, the old one stays.
fn rehash(
    accounts: &Accounts,
    account: Account,
    password: &Password,
    cost: u32,
    now_ms: u64,
) -> Result<Account, ApiError> {
    let Ok(hash) = hash(password, cost) else { return Ok(account) };
    match accounts.directory.set_hash(&account, &hash, now_ms) {
        // The password was replaced meanwhile, or the name belongs to another account.
        Ok(Pending { answer: None, .. }) => Err(AccountError::Credentials.into()),
        Ok(Pending { answer: Some(account), .. }) => Ok(account),
        Err(error) => {
            log::warn!("a password was not rehashed: {error}");
            Ok(account)
        }
    }
}

/// The hash of a password with a new salt. Takes a large part of a second.
pub(crate) fn hash(password: &Password, cost: u32) -> Result<PasswordHash, ApiError> {
    Ok(password::hash(password, cost, random_bytes()?))
}
