//! What belongs to an account: its keys in `_account_data`, and its end.

use super::account::{Account, AccountId, OwnKey};
use super::{Accounts, AccountsError};
use crate::names::Key;
use crate::persist::project::Project;
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
    /// [`AccountsError`].
    pub fn has(&self, owner: &Owner, now_ms: u64) -> Result<bool, AccountsError> {
        self.directory.has(&owner.folded, &owner.id, now_ms)
    }

    /// Deletes the account `username` and all its keys, and says whether there was one. Its tokens
    /// and sessions end first. Blocks for the disk; what a crash interrupts, the next start finishes.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn delete(&self, username: &str, now_ms: u64) -> Result<bool, AccountsError> {
        let removed = self.directory.remove(username, now_ms)?;
        if !self.directory.project().wait_written(removed.ticket.as_ref()) {
            return Err(AccountsError::NotWritten);
        }
        match removed.answer {
            Some(id) => self.finish_deletion(&id, now_ms).map(|()| true),
            None => Ok(false),
        }
    }

    /// Deletes the data of accounts whose deletion was interrupted.
    pub(super) fn finish_deletions(&self, now_ms: u64) -> Result<(), AccountsError> {
        for id in self.directory.deletions(now_ms)? {
            self.finish_deletion(&id, now_ms)?;
            log::warn!("an account's deletion was interrupted and is finished now");
        }
        Ok(())
    }

    fn finish_deletion(&self, id: &AccountId, now_ms: u64) -> Result<(), AccountsError> {
        let prefix = prefix(id);
        let cleared = self.data.write(now_ms, |transaction| {
            transaction.clear(&prefix);
            Ok::<(), AccountsError>(())
        })?;
        if !self.data.wait_written(cleared.ticket.as_ref()) {
            return Err(AccountsError::NotWritten);
        }
        let ended = self.directory.end_deletion(id, now_ms)?;
        if !self.directory.project().wait_written(ended.ticket.as_ref()) {
            return Err(AccountsError::NotWritten);
        }
        Ok(())
    }
}
