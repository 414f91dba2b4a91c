//! Who has an account: found, made, changed and listed in the project `_accounts`.

use super::account::{Account, AccountId, OwnKey, Username, new_credential};
use super::error::AccountsError;
use crate::auth::password::PasswordHash;
use crate::limits::{ACCOUNTS_MAX, ENTRIES_PER_LOCK_MAX};
use crate::names::Key;
use crate::persist::live::project::{Project, View};
use crate::persist::live::transaction::Transaction;
use crate::store::change::Value;
use crate::store::commit::Commit;
use crate::store::commit::Pending;
use crate::store::entry::Entry;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What all keys of accounts begin with.
const ACCOUNTS: &str = "account/";
/// What all keys of deletions begin with.
const DELETIONS: &str = "deletion/";

/// The project `_accounts`.
pub struct Directory {
    project: Arc<Project>,
    /// The highest cost of a password hash that was stored since the start or before, 0 without one.
    cost_max: AtomicU32,
}

/// What an entry has of a password.
#[derive(Deserialize)]
struct StoredHash<'a> {
    #[serde(borrow)]
    password: Cow<'a, str>,
}

/// Why an account was not made. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// The name is somebody's, in whatever case.
    UsernameExists,
    /// The address is somebody's, in whatever case.
    EmailExists,
    /// There are [`ACCOUNTS_MAX`] accounts.
    Full,
}

/// What an operator changes of an account.
#[derive(Default)]
pub struct Update {
    /// The hash of another password.
    pub password: Option<PasswordHash>,
    /// Whether nobody may use it.
    pub is_disabled: Option<bool>,
}

/// Some accounts, in the order of their folded names.
pub struct Page {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

impl Directory {
    pub(super) fn new(project: Arc<Project>) -> Directory {
        Directory { project, cost_max: AtomicU32::new(0) }
    }

    /// The highest cost that a password check takes here; `None` before there was an account. Lower
    /// ones have to look like it. It sinks only with a restart.
    pub fn cost_max(&self) -> Option<u32> {
        Some(self.cost_max.load(Ordering::Relaxed)).filter(|&cost| cost > 0)
    }

    /// Finds the highest cost that is stored.
    pub(super) fn find_cost_max(&self, now_ms: u64) -> Result<(), AccountsError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.project.read(now_ms, |view| {
                let entries = view.range(ACCOUNTS, after.as_deref()).take(ENTRIES_PER_LOCK_MAX);
                let (mut cost_max, mut last) = (None, None);
                for entry in entries {
                    cost_max = cost_max.max(cost_of(entry));
                    last = Some(entry.key().to_owned());
                }
                ((cost_max, last), view.revision())
            })?;
            let (cost_max, last) = page.answer;
            if let Some(cost) = cost_max {
                self.note_cost(cost);
            }
            if last.is_none() {
                return Ok(());
            }
            after = last;
        }
    }

    fn note_cost(&self, cost: u32) {
        self.cost_max.fetch_max(cost, Ordering::Relaxed);
    }

    pub(super) fn project(&self) -> &Arc<Project> {
        &self.project
    }

    /// Waits until the batch of `commit` is on disk; false where it was taken back. Blocks.
    pub fn wait_written(&self, commit: Option<&Commit>) -> bool {
        self.project.wait_written(commit)
    }

    /// Whether nobody has an account.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub(super) fn is_empty(&self, now_ms: u64) -> Result<bool, AccountsError> {
        let any = |view: &View<'_>| view.range(ACCOUNTS, None).next().is_some();
        Ok(!self.project.read(now_ms, |view| (any(view), view.revision()))?.answer)
    }

    /// The account called `username`, in whatever case.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn find(&self, username: &str, now_ms: u64) -> Result<Pending<Option<Account>>, AccountsError> {
        let Some(username) = Username::parse(username) else {
            return Ok(Pending { answer: None, commit: None });
        };
        let key = OwnKey::account(&username.folded());
        let answered = self.project.read(now_ms, |view| {
            let Some(entry) = view.get(key.as_key()) else { return (Ok(None), view.revision()) };
            (decode(entry).map(Some), entry.meta().revision)
        })?;
        Ok(Pending { answer: answered.answer?, commit: answered.commit })
    }

    /// Makes `account`, unless its name or its address is somebody's.
    ///
    /// # Errors
    /// [`CreateError`] inside, where that rests on changes that are on disk once the commit says so.
    pub fn create(
        &self,
        account: &Account,
        now_ms: u64,
    ) -> Result<Pending<Result<(), CreateError>>, AccountsError> {
        let folded = account.username.folded();
        let key = OwnKey::account(&folded);
        let email = account.profile.email.as_deref().map(OwnKey::email);
        self.note_cost(account.password.cost());
        Ok(self.project.write(now_ms, |transaction| {
            if transaction.get(key.as_key()).is_some() {
                return Err(CreateError::UsernameExists);
            }
            if let Some(email) = &email {
                if transaction.get(email.as_key()).is_some() {
                    return Err(CreateError::EmailExists);
                }
                let mut owner = Vec::new();
                crate::json::encode_string(&folded, &mut owner);
                transaction.put(email.as_key(), &owner, None);
            }
            // Each account has an address beside it, at most.
            if transaction.namespace().totals(now_ms).keys >= 2 * ACCOUNTS_MAX {
                return Err(CreateError::Full);
            }
            transaction.put(key.as_key(), &account.encode(), None);
            Ok(())
        })?)
    }

    /// Changes what is given of the account `username`. Another password, and being disabled or enabled,
    /// end its tokens and sessions. `None` where there is no such account.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn update(
        &self,
        username: &str,
        update: Update,
        now_ms: u64,
    ) -> Result<Pending<Option<Account>>, AccountsError> {
        let credential = new_credential()?;
        self.change(username, now_ms, |account| {
            let is_disabled = update.is_disabled.unwrap_or(account.is_disabled);
            if update.password.is_some() || is_disabled != account.is_disabled {
                account.credential = credential;
            }
            account.is_disabled = is_disabled;
            if let Some(password) = update.password {
                account.password = password;
            }
        })
    }

    /// Keeps another hash of the same password. `None` where the account of `before` is gone, or has
    /// another credential by now: whoever knew its password then need not know it now.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn set_hash(
        &self,
        before: &Account,
        password: PasswordHash,
        now_ms: u64,
    ) -> Result<Pending<Option<Account>>, AccountsError> {
        let changed = self.change(before.username.as_str(), now_ms, |account| {
            if account.credential == before.credential {
                account.password = password;
            }
        })?;
        let is_same = |account: &Account| account.credential == before.credential;
        Ok(Pending { answer: changed.answer.filter(is_same), commit: changed.commit })
    }

    /// Whether the account with this name and id is still there.
    pub(super) fn has(&self, folded: &str, id: &AccountId, now_ms: u64) -> Result<bool, AccountsError> {
        let found = self.find(folded, now_ms)?.answer;
        Ok(found.is_some_and(|account| account.id == *id))
    }

    /// The accounts whose folded names come after `after`, `limit` at most.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn list(
        &self,
        after: Option<&str>,
        limit: usize,
        now_ms: u64,
    ) -> Result<Pending<Page>, AccountsError> {
        let after = after.map(|folded| format!("{ACCOUNTS}{folded}"));
        let answered = self.project.read(now_ms, |view| {
            let mut entries = view.range(ACCOUNTS, after.as_deref());
            let accounts: Result<Vec<Account>, _> = entries.by_ref().take(limit).map(decode).collect();
            let more = entries.next().is_some();
            (accounts.map(|accounts| Page { accounts, more }), view.revision())
        })?;
        Ok(Pending { answer: answered.answer?, commit: answered.commit })
    }

    /// Takes the account out and notes that its data is to be deleted. `None` where there is none.
    pub(super) fn remove(
        &self,
        username: &str,
        now_ms: u64,
    ) -> Result<Pending<Option<AccountId>>, AccountsError> {
        let Some(username) = Username::parse(username) else {
            return Ok(Pending { answer: None, commit: None });
        };
        let key = OwnKey::account(&username.folded());
        let answered = self.project.write::<_, AccountsError>(now_ms, |transaction| {
            let Some(account) = stored(transaction, key.as_key())? else { return Ok(None) };
            transaction.delete(key.as_key());
            if let Some(email) = &account.profile.email {
                transaction.delete(OwnKey::email(email).as_key());
            }
            transaction.put(OwnKey::deletion(&account.id).as_key(), b"true", None);
            Ok(Some(account.id))
        })?;
        Ok(Pending { answer: answered.answer?, commit: answered.commit })
    }

    /// The ids of accounts that were taken out and whose data may still be there.
    pub(super) fn deletions(&self, now_ms: u64) -> Result<Pending<Vec<AccountId>>, AccountsError> {
        Ok(self.project.read(now_ms, |view| {
            let keys = view.range(DELETIONS, None);
            let ids = keys.filter_map(|entry| AccountId::parse(entry.key().strip_prefix(DELETIONS)?));
            (ids.collect(), view.revision())
        })?)
    }

    /// Forgets that the data of an account is to be deleted.
    pub(super) fn end_deletion(&self, id: &AccountId, now_ms: u64) -> Result<Pending<()>, AccountsError> {
        let key = OwnKey::deletion(id);
        let answered = self.project.write(now_ms, |transaction| {
            transaction.delete(key.as_key());
            Ok::<(), AccountsError>(())
        })?;
        Ok(Pending { answer: answered.answer?, commit: answered.commit })
    }

    fn change(
        &self,
        username: &str,
        now_ms: u64,
        change: impl FnOnce(&mut Account),
    ) -> Result<Pending<Option<Account>>, AccountsError> {
        let Some(username) = Username::parse(username) else {
            return Ok(Pending { answer: None, commit: None });
        };
        let key = OwnKey::account(&username.folded());
        let answered = self.project.write::<_, AccountsError>(now_ms, |transaction| {
            let Some(mut account) = stored(transaction, key.as_key())? else { return Ok(None) };
            change(&mut account);
            self.note_cost(account.password.cost());
            transaction.put(key.as_key(), &account.encode(), None);
            Ok(Some(account))
        })?;
        Ok(Pending { answer: answered.answer?, commit: answered.commit })
    }
}

fn stored(transaction: &Transaction<'_>, key: Key<'_>) -> Result<Option<Account>, AccountsError> {
    transaction.get(key).map(decode).transpose()
}

/// The cost of the password hash of an account; the rest of it is not looked at.
fn cost_of(entry: Entry<'_>) -> Option<u32> {
    let Value::Text(text) = entry.value() else { return None };
    let stored: StoredHash<'_> = serde_json::from_slice(text).ok()?;
    PasswordHash::cost_in(&stored.password)
}

fn decode(entry: Entry<'_>) -> Result<Account, AccountsError> {
    let account = match entry.value() {
        Value::Text(text) => Account::decode(text),
        Value::Stored(_) => None,
    };
    account.ok_or_else(|| {
        log::error!(
            "_accounts: the entry `{}` is not as it was written; see the project's .json",
            entry.key()
        );
        AccountsError::Damaged
    })
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::UsernameExists => f.write_str("this user name is taken"),
            CreateError::EmailExists => f.write_str("this email address belongs to another account"),
            CreateError::Full => write!(f, "there are {ACCOUNTS_MAX} accounts, and no more fit"),
        }
    }
}

impl std::error::Error for CreateError {}
