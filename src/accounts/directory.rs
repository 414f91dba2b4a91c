//! The project `_accounts`: accounts are found, created, changed and listed here.

use super::account::{Account, AccountId, account_key, deletion_key, email_key, new_identifier};
use super::error::AccountsError;
use crate::auth::password::PasswordHash;
use crate::digits::grouped;
use crate::json;
use crate::limits::ACCOUNTS_MAX;
use crate::names::{Key, Username};
use crate::storage::{Bucket, Decided, Item, Read, Scan, ScanEnd};
use crate::store::batch::{Batch, Op, Otherwise, When};
use crate::store::change::Revision;
use crate::store::commit::{Commit, Pending};
use crate::store::decide::{Conflict, Step};
use crate::store::error::StorageError;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// The prefix of the keys of accounts.
const ACCOUNTS: &str = "account/";
/// The prefix of the keys of deletions.
const DELETIONS: &str = "deletion/";

/// The project `_accounts`.
pub struct Directory {
    bucket: Bucket,
    /// The highest cost of a stored password hash since the start, 0 without any.
    cost_max: AtomicU32,
}

/// The parts of an entry that a start needs.
#[derive(Deserialize)]
struct StoredParts<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    password: Cow<'a, str>,
}

/// Why an account was not created. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// In whatever case.
    UsernameExists,
    /// In whatever case.
    EmailExists,
    /// There are [`ACCOUNTS_MAX`] accounts.
    Full,
}

/// What an operator changes of an account.
#[derive(Default)]
pub struct Update {
    pub password: Option<PasswordHash>,
    pub is_disabled: Option<bool>,
}

/// Some accounts, in the order of their folded names.
pub struct Page {
    pub accounts: Vec<Account>,
    /// Whether there are more after the last one.
    pub more: bool,
}

impl Directory {
    pub(super) fn new(bucket: Bucket) -> Directory {
        Directory { bucket, cost_max: AtomicU32::new(0) }
    }

    /// The highest cost of a password check; `None` before there was an account. Checks with a lower cost must take
    /// equally long. It decreases only with a restart. A cost of another instance counts once an account with it was
    /// read here.
    pub fn cost_max(&self) -> Option<u32> {
        Some(self.cost_max.load(Ordering::Relaxed)).filter(|&cost| cost > 0)
    }

    fn note_cost(&self, cost: u32) {
        self.cost_max.fetch_max(cost, Ordering::Relaxed);
    }

    pub(super) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Whether other instances of the server read and change the same accounts.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.bucket, Bucket::Etcd(_))
    }

    /// Waits until `commit` is resolved, which blocks. Fails if its changes were rolled back.
    pub fn wait(&self, commit: Option<&Commit>) -> Result<(), AccountsError> {
        Ok(self.bucket.wait(commit)?)
    }

    /// Calls `look` with the ids of all accounts, some at a time, and finds the highest cost of their passwords.
    pub(super) fn for_each_page(
        &self,
        now_ms: u64,
        mut look: impl FnMut(&[AccountId]) -> Result<(), AccountsError>,
    ) -> Result<(), AccountsError> {
        let (mut after, mut looked) = (None::<String>, Ok(()));
        loop {
            let (mut ids, mut cost_max) = (Vec::new(), None);
            let scan = Scan { after: after.as_deref(), ..Scan::under(ACCOUNTS) };
            let scanned = self.bucket.scan(now_ms, &scan, &mut |item| {
                if let Ok(stored) = serde_json::from_slice::<StoredParts<'_>>(item.value) {
                    cost_max = cost_max.max(PasswordHash::cost_in(&stored.password));
                    ids.extend(AccountId::parse(&stored.id));
                }
            })?;
            if let Some(cost) = cost_max {
                self.note_cost(cost);
            }
            // The costs of all are needed, even if `look` fails for some.
            looked = looked.and_then(|()| look(&ids));
            match scanned.answer.end {
                ScanEnd::Paused => after = scanned.answer.last,
                ScanEnd::Exhausted | ScanEnd::Limit => return looked,
            }
        }
    }

    pub(super) fn is_empty(&self, now_ms: u64) -> Result<bool, AccountsError> {
        let none_wanted = Scan { keys_max: Some(0), ..Scan::under(ACCOUNTS) };
        Ok(self.bucket.scan_through(now_ms, &none_wanted, &mut |_| ())?.answer == ScanEnd::Exhausted)
    }

    /// The account called `username`, in whatever case.
    pub fn find(&self, username: &str, now_ms: u64) -> Result<Pending<Option<Account>>, AccountsError> {
        let Some(username) = Username::parse(username) else {
            return Ok(Pending { answer: None, commit: None });
        };
        let key = account_key(&username.folded());
        let read = self.bucket.get(now_ms, key.as_key(), When::ALWAYS, |read| match read {
            Read::Absent | Read::Refused(_) => Ok(None),
            Read::Found(item) => decode(item).map(Some),
        });
        let Pending { answer, commit } = read?.wait()?;
        let answer = answer?;
        if self.is_shared()
            && let Some(account) = &answer
        {
            self.note_cost(account.password.cost());
        }
        Ok(Pending { answer, commit })
    }

    /// Creates `account`, unless its name or its address is taken. Returns the revision of its entry. Also a refusal
    /// depends on the commit.
    pub(super) fn create(
        &self,
        account: &Account,
        now_ms: u64,
    ) -> Result<Pending<Result<Revision, CreateError>>, AccountsError> {
        let folded = account.username.folded();
        let (key, text) = (account_key(&folded), account.encode());
        let email = account.profile.email.as_deref().map(email_key);
        let mut owner = Vec::new();
        json::encode_string(&folded, &mut owner);
        self.note_cost(account.password.cost());
        let mut ops = vec![Op::put(key.as_key(), &text, None).when(When::ABSENT)];
        ops.extend(email.iter().map(|email| Op::put(email.as_key(), &owner, None).when(When::ABSENT)));
        let mut batch = Batch::many(ops, Otherwise::Abort);
        // Each account has at most one address.
        batch.require.keys_max = Some(2 * ACCOUNTS_MAX);
        let Pending { answer, commit } = self.bucket.write(now_ms, &batch)?;
        let answer = answer.map(|steps| written_revision(&steps).unwrap_or_default());
        let answer = answer.map_err(|conflict| match conflict {
            Conflict::Condition { index: 0, .. } => CreateError::UsernameExists,
            Conflict::Condition { .. } => CreateError::EmailExists,
            Conflict::Full | Conflict::NotPresent | Conflict::ReadTooLarge { .. } => CreateError::Full,
        });
        Ok(Pending { answer, commit })
    }

    /// Changes what `update` has of the account `username`. A new password, disabling and enabling end its tokens and
    /// sessions. `None` if the account does not exist.
    pub fn update(
        &self,
        username: &str,
        update: &Update,
        now_ms: u64,
    ) -> Result<Pending<Option<Account>>, AccountsError> {
        let credential = new_identifier()?;
        self.change(username, now_ms, |account| {
            let is_disabled = update.is_disabled.unwrap_or(account.is_disabled);
            if update.password.is_some() || is_disabled != account.is_disabled {
                account.credential.clone_from(&credential);
            }
            account.is_disabled = is_disabled;
            if let Some(password) = &update.password {
                account.password = password.clone();
            }
        })
    }

    /// Stores another hash of the same password. `None` if the account of `before` no longer exists or has another
    /// credential: the client may not know its new password.
    pub fn set_hash(
        &self,
        before: &Account,
        password: &PasswordHash,
        now_ms: u64,
    ) -> Result<Pending<Option<Account>>, AccountsError> {
        let changed = self.change(before.username.as_str(), now_ms, |account| {
            if account.credential == before.credential {
                account.password = password.clone();
            }
        })?;
        let is_same = |account: &Account| account.credential == before.credential;
        Ok(Pending { answer: changed.answer.filter(is_same), commit: changed.commit })
    }

    /// The accounts whose folded names come after `after`, `limit` at most.
    pub fn list(
        &self,
        after: Option<&str>,
        limit: usize,
        now_ms: u64,
    ) -> Result<Pending<Page>, AccountsError> {
        let after = after.map(|folded| format!("{ACCOUNTS}{folded}"));
        let scan = Scan { after: after.as_deref(), keys_max: Some(limit), ..Scan::under(ACCOUNTS) };
        let mut accounts = Vec::new();
        let scanned = self.bucket.scan_through(now_ms, &scan, &mut |item| accounts.push(decode(item)))?;
        let accounts = accounts.into_iter().collect::<Result<_, _>>()?;
        let more = scanned.answer == ScanEnd::Limit;
        Ok(Pending { answer: Page { accounts, more }, commit: scanned.commit })
    }

    /// Removes the account and records that its data is to be deleted. `None` if the account does not exist.
    pub(super) fn remove(
        &self,
        username: &str,
        now_ms: u64,
    ) -> Result<Pending<Option<Account>>, AccountsError> {
        self.rewrite(username, now_ms, |account, key, when| {
            let email = account.profile.email.as_deref().map(email_key);
            let deletion = deletion_key(&account.id);
            let mut ops = vec![Op::delete(key).when(when), Op::put(deletion.as_key(), b"true", None)];
            ops.extend(email.iter().map(|email| Op::delete(email.as_key())));
            self.bucket.write(now_ms, &Batch::many(ops, Otherwise::Abort))
        })
    }

    /// The ids of accounts that were removed and whose data may still exist.
    pub(super) fn deletions(&self, now_ms: u64) -> Result<Pending<Vec<AccountId>>, AccountsError> {
        let mut ids = Vec::new();
        let scanned = self.bucket.scan_through(now_ms, &Scan::under(DELETIONS), &mut |item| {
            ids.extend(item.key.strip_prefix(DELETIONS).and_then(AccountId::parse));
        })?;
        Ok(Pending { answer: ids, commit: scanned.commit })
    }

    /// Removes the record that the data of an account is to be deleted.
    pub(super) fn end_deletion(&self, id: &AccountId, now_ms: u64) -> Result<Option<Commit>, AccountsError> {
        Ok(self.bucket.write_one(now_ms, Op::delete(deletion_key(id).as_key()))?.commit)
    }

    fn change(
        &self,
        username: &str,
        now_ms: u64,
        change: impl Fn(&mut Account),
    ) -> Result<Pending<Option<Account>>, AccountsError> {
        self.rewrite(username, now_ms, |account, key, when| {
            change(account);
            self.note_cost(account.password.cost());
            self.bucket.write(now_ms, &Batch::one(Op::put(key, &account.encode(), None).when(when)))
        })
    }

    /// Calls `write` to write the account `username`, on the condition that its entry has not changed since it was
    /// read; reads it again if another request changed it. `None` if the account does not exist.
    fn rewrite(
        &self,
        username: &str,
        now_ms: u64,
        write: impl Fn(&mut Account, Key<'_>, When<'_>) -> Result<Pending<Decided>, StorageError>,
    ) -> Result<Pending<Option<Account>>, AccountsError> {
        loop {
            let Pending { answer, commit } = self.find(username, now_ms)?;
            let Some(mut account) = answer else { return Ok(Pending { answer: None, commit }) };
            let (key, before) = (account_key(&account.username.folded()), [account.revision]);
            let written = write(&mut account, key.as_key(), When::revision_in(&before))?;
            if let Ok(steps) = written.answer {
                account.revision = written_revision(&steps).unwrap_or(account.revision);
                return Ok(Pending { answer: Some(account), commit: written.commit });
            }
        }
    }
}

/// The revision of the entry that the first of `steps` wrote.
fn written_revision(steps: &[Step]) -> Option<Revision> {
    match steps.first()? {
        Step::Put { meta, .. } => Some(meta.revision),
        Step::Skipped | Step::Absent | Step::Found(..) | Step::Deleted(_) => None,
    }
}

fn decode(item: Item<'_>) -> Result<Account, AccountsError> {
    Account::decode(item.value, item.meta.revision).ok_or_else(|| {
        log::error!("_accounts: the entry `{}` is damaged; stop the server and restore _accounts.json and _accounts.journal from one backup, or the home cell from a snapshot", item.key);
        AccountsError::Damaged
    })
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::UsernameExists => f.write_str("This user name is taken. Choose another one."),
            CreateError::EmailExists => {
                f.write_str("This email address belongs to another account. Use another one, or log in.")
            }
            CreateError::Full => write!(
                f,
                "The server has {} accounts, which is the maximum. Delete one first.",
                grouped(ACCOUNTS_MAX)
            ),
        }
    }
}

impl std::error::Error for CreateError {}
