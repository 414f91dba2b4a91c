//! The keys of an account in `_account_data`, and the deletion of accounts.
//!
//! The keys of an account begin with its id and a slash. The key that is only that is its marker: the keys of the
//! account may be written as long as the marker exists. It is created before the account and cleared with its keys.

use super::account::{Account, AccountId};
use super::{Accounts, AccountsError};
use crate::limits::ENTRIES_PER_LOCK_MAX;
use crate::names::KeyBuf;
use crate::storage::{Bucket, Keyspace};
use crate::store::batch::{Batch, Op, Otherwise, When};
use crate::store::commit::Pending;
use crate::store::decide::Step;
use crate::store::error::StorageError;
use std::sync::atomic::Ordering;

const MARKER_VALUE: &[u8] = b"true";

/// The marker of an account, which is also the prefix of its keys.
fn marker_of(id: &AccountId) -> KeyBuf {
    KeyBuf::own(format!("{}/", id.as_str()))
}

impl Accounts {
    /// The keys of `account`. On a cell, every operation fails with [`StorageError::Stale`] once the account has
    /// changed: another instance may have disabled it, or replaced its password.
    pub fn keys_of(&self, account: &Account) -> Keyspace {
        let has_markers = !self.lacks_markers.load(Ordering::Relaxed);
        let data = self.while_unchanged(&self.data, account);
        Keyspace::under(marker_of(&account.id), data, self.directory.bucket(), has_markers)
    }

    /// The keys of all accounts.
    pub fn data(&self) -> &Bucket {
        &self.data
    }

    /// Creates the marker of an account that is about to be created. Blocks for the disk.
    pub(super) fn create_marker(&self, id: &AccountId, now_ms: u64) -> Result<(), AccountsError> {
        let marker = marker_of(id);
        let created = self.data.write_one(now_ms, Op::put(marker.as_key(), MARKER_VALUE, None))?;
        Ok(self.data.wait(created.commit.as_ref())?)
    }

    /// Removes the marker of an account that was not created after all.
    pub(super) fn remove_marker(&self, id: &AccountId, now_ms: u64) -> Result<(), StorageError> {
        self.data.write_one(now_ms, Op::delete(marker_of(id).as_key())).map(drop)
    }

    /// Creates the markers of accounts that have none: the accounts are from a version without markers, or
    /// `_account_data` was restored. Returns how many there were.
    pub(super) fn create_missing_markers(&self, now_ms: u64) -> Result<usize, AccountsError> {
        let mut created = 0;
        self.directory.for_each_page(now_ms, |ids| {
            for ids in ids.chunks(ENTRIES_PER_LOCK_MAX) {
                let markers: Vec<KeyBuf> = ids.iter().map(marker_of).collect();
                let keys = markers.iter().map(KeyBuf::as_key);
                let ops = keys.map(|key| Op::put(key, MARKER_VALUE, None).when(When::ABSENT));
                let batch = Batch::many(ops.collect(), Otherwise::Skip);
                let Pending { answer: decided, commit } = self.data.write(now_ms, &batch)?;
                self.data.wait(commit.as_ref())?;
                let steps = decided.iter().flat_map(|steps| steps.iter());
                created += steps.filter(|step| matches!(step, Step::Put { .. })).count();
            }
            Ok(())
        })?;
        Ok(created)
    }

    /// Deletes the account `username` and all its keys. Returns whether it existed. Its tokens and sessions end
    /// first. Blocks for the disk; what a crash or a full disk interrupts, the next deletion or the next start
    /// finishes, of any instance.
    pub fn delete(&self, username: &str, now_ms: u64) -> Result<bool, AccountsError> {
        let removed = self.directory.remove(username, now_ms)?;
        self.directory.bucket().wait(removed.commit.as_ref())?;
        self.finish_deletions(now_ms)?;
        Ok(removed.answer.is_some())
    }

    /// Deletes the data of all accounts that were removed. Returns how many there were. Several instances may do it for
    /// the same account: the marker goes first, so that no key is added later, and the record goes last.
    pub(super) fn finish_deletions(&self, now_ms: u64) -> Result<usize, AccountsError> {
        let deletions = self.directory.deletions(now_ms)?;
        // A removal that may yet be rolled back is no reason to clear anything.
        self.directory.bucket().wait(deletions.commit.as_ref())?;
        for id in &deletions.answer {
            let cleared = self.data.clear(now_ms, marker_of(id).as_str())?.wait()?;
            self.data.wait(cleared.commit.as_ref())?;
            let commit = self.directory.end_deletion(id, now_ms)?;
            self.directory.bucket().wait(commit.as_ref())?;
        }
        Ok(deletions.answer.len())
    }
}
