//! What belongs to an account: its keys in `_account_data`, and its end.

use super::account::{Account, AccountId, OwnKey};
use super::{Accounts, AccountsError};
use crate::names::Key;
use crate::persist::live::project::Project;
use crate::store::error::StorageError;
use std::sync::Arc;

/// Whose keys are meant: an account as it was when the request was let through.
#[derive(Clone, Debug)]
pub struct Owner {
    id: AccountId,
    folded: String,
}

/// The key of an account as it is stored, with the account before it.
pub struct DataKey(OwnKey);

impl Owner {
    /// `account` as the owner of keys.
    pub fn of(account: &Account) -> Owner {
        Owner { id: account.id.clone(), folded: account.username.folded() }
    }

    /// What all its keys begin with where they are stored.
    pub fn prefix(&self) -> String {
        prefix(&self.id)
    }

    /// Where its key `key` is stored.
    pub fn key(&self, key: Key<'_>) -> DataKey {
        DataKey(OwnKey::data(&self.id, key))
    }
}

impl DataKey {
    /// As the project knows it.
    pub fn as_key(&self) -> Key<'_> {
        self.0.as_key()
    }
}

fn prefix(id: &AccountId) -> String {
    format!("{}/", id.as_str())
}

impl Accounts {
    /// The project that holds the keys of all accounts.
    pub fn data(&self) -> &Arc<Project> {
        &self.data
    }

    /// Whether `owner` still is there. Asked within a change of its data: a deletion takes the account
    /// out first and clears the data then, so whoever is told yes there writes nothing that stays.
    ///
    /// # Errors
    /// [`AccountsError`]; also once the disk has failed under the accounts: what it took of a deletion
    /// that was not acknowledged, the next start may find and carry out.
    pub fn has(&self, owner: &Owner, now_ms: u64) -> Result<bool, AccountsError> {
        if self.directory.project().has_failed() {
            return Err(StorageError::Failed.into());
        }
        self.directory.has(&owner.folded, &owner.id, now_ms)
    }

    /// Deletes the account `username` and all its keys, and says whether there was one. Its tokens
    /// and sessions end first. Blocks for the disk; what a crash or a full disk interrupts, the next
    /// deletion or the next start finishes.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn delete(&self, username: &str, now_ms: u64) -> Result<bool, AccountsError> {
        let removed = self.directory.remove(username, now_ms)?;
        if !self.directory.project().wait_written(removed.commit.as_ref()) {
            return Err(AccountsError::NotWritten);
        }
        self.finish_deletions(now_ms)?;
        Ok(removed.answer.is_some())
    }

    /// Deletes the data of all accounts that were taken out; how many there were.
    pub(super) fn finish_deletions(&self, now_ms: u64) -> Result<usize, AccountsError> {
        let deletions = self.directory.deletions(now_ms)?;
        // A removal that may yet be taken back is no reason to clear anything.
        if !self.directory.wait_written(deletions.commit.as_ref()) {
            return Err(AccountsError::NotWritten);
        }
        for id in &deletions.answer {
            self.finish_deletion(id, now_ms)?;
        }
        Ok(deletions.answer.len())
    }

    fn finish_deletion(&self, id: &AccountId, now_ms: u64) -> Result<(), AccountsError> {
        let prefix = prefix(id);
        let cleared = self.data.clear(&prefix)?;
        if !self.data.wait_written(cleared.commit.as_ref()) {
            return Err(AccountsError::NotWritten);
        }
        let ended = self.directory.end_deletion(id, now_ms)?;
        if !self.directory.project().wait_written(ended.commit.as_ref()) {
            return Err(AccountsError::NotWritten);
        }
        Ok(())
    }
}
