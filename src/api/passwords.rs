//! From a user name and a password to the account, in the lane where hashing stalls nobody.

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

/// An attempt to sign in. Dropped without a password having been checked, it does not count.
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

/// Checks the password of `username` and replies with what `then` makes of the account, or of why there
/// is none: [`AccountError::Credentials`], [`AccountError::TooManyAttempts`], or what kept the accounts
/// from being asked. An account that does not exist takes as long as one that does.
pub(crate) fn sign_in(
    context: &Context<'_>,
    username: &str,
    password: &str,
    then: impl FnOnce(Result<Account, ApiError>, u64) -> Reply + Send + 'static,
) -> Reply {
    // A registration drops the white space around the name as well.
    let folded = username.trim().to_ascii_lowercase();
    let (accounts, mut pending) = match begin(context, &folded) {
        Ok(begun) => begun,
        Err(error) => return then(Err(error), context.arrival.wall_ms),
    };
    let is_known = pending.attempt.as_ref().is_some_and(Attempt::is_known);
    let share = context.share(if is_known { Standing::Known } else { Standing::Stranger });
    // A text that cannot be a password costs what a wrong one costs, and counts as one: if it were
    // cheaper, the counters could be content for nothing.
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
            // Nobody has learned whether the password is right.
            (Err(_), Some(attempt)) => pending.app.throttle.forget(attempt),
            (Ok(_) | Err(_), None) => {}
        }
        then(checked, now_ms)
    };
    Reply::Job(Lane::Password(share), None, Box::new(job))
}

/// Counts an attempt to sign in, unless there were too many.
fn begin(context: &Context<'_>, folded: &str) -> Result<(Arc<Accounts>, Counted), ApiError> {
    let app = Arc::clone(context.app);
    let accounts = Arc::clone(context.accounts()?);
    let attempt = app.throttle.begin(folded, context.client().address, context.arrival.at);
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
    // Every refusal takes as long as the slowest: a time of its own would tell which names exist.
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
    // What was just registered or changed has to be on disk before anybody signs in with it.
    accounts.directory.wait(found.commit.as_ref())?;
    if account.password.cost() != cost {
        return hash_anew(accounts, account, password, cost, now_ms);
    }
    Ok(account)
}

/// Keeps a hash of the cost that is set now. Where that cannot be kept the old one serves on.
fn hash_anew(
    accounts: &Accounts,
    account: Account,
    password: &Password,
    cost: u32,
    now_ms: u64,
) -> Result<Account, ApiError> {
    let Ok(hash) = hash(password, cost) else { return Ok(account) };
    match accounts.directory.set_hash(&account, &hash, now_ms) {
        // The password that was checked has been replaced, or the name is somebody else's by now.
        Ok(Pending { answer: None, .. }) => Err(AccountError::Credentials.into()),
        Ok(Pending { answer: Some(_), .. }) => Ok(account),
        Err(error) => {
            log::warn!("a password was not hashed anew: {error}");
            Ok(account)
        }
    }
}

/// The hash of a password with a new salt. Takes a good part of a second.
///
/// # Errors
/// [`ApiError::Internal`] where the operating system has no randomness.
pub(crate) fn hash(password: &Password, cost: u32) -> Result<PasswordHash, ApiError> {
    Ok(password::hash(password, cost, random_bytes()?))
}
