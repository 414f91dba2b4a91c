//! What a reply holds that may not leave before its change is on disk.

use super::error::StorageError;
use crate::names::ProjectId;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

/// How the sync that a reply waits for ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitState {
    /// It has not ended.
    Pending,
    /// The change is on disk.
    Committed,
    /// There was no room; the change was taken back.
    DiskFull,
    /// The write or the sync failed; the change was taken back and the project stopped writing.
    Failed,
    /// The project was deleted before the change was written.
    Deleted,
}

/// Resolved once, for all changes of one batch. Clones share the outcome.
#[derive(Clone, Debug)]
pub struct Commit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outcome: AtomicU8,
    /// The project, if it was deleted. Set before the outcome.
    deleted: OnceLock<ProjectId>,
}

impl Commit {
    /// A commit whose batch is still to be written.
    pub fn pending() -> Commit {
        let outcome = AtomicU8::new(CommitState::Pending as u8);
        Commit(Arc::new(Shared { outcome, deleted: OnceLock::new() }))
    }

    /// Tells this commit and its clones from all others that exist.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// How it stands.
    pub fn outcome(&self) -> CommitState {
        match self.0.outcome.load(Ordering::Acquire) {
            done if done == CommitState::Committed as u8 => CommitState::Committed,
            full if full == CommitState::DiskFull as u8 => CommitState::DiskFull,
            failed if failed == CommitState::Failed as u8 => CommitState::Failed,
            deleted if deleted == CommitState::Deleted as u8 => CommitState::Deleted,
            _ => CommitState::Pending,
        }
    }

    /// The project, if the outcome is [`CommitState::Deleted`].
    pub fn deleted(&self) -> Option<&ProjectId> {
        self.0.deleted.get()
    }

    /// Why its changes were rolled back; `None` if they are on disk. One that has not ended counts as failed.
    pub fn failure(&self) -> Option<StorageError> {
        match self.outcome() {
            CommitState::Committed => None,
            CommitState::DiskFull => Some(StorageError::Full),
            CommitState::Deleted => self.deleted().cloned().map(StorageError::Deleted),
            CommitState::Failed | CommitState::Pending => Some(StorageError::Failed),
        }
    }

    /// Whether it has not ended.
    pub fn is_pending(&self) -> bool {
        self.outcome() == CommitState::Pending
    }

    /// Tells all holders of a clone how the batch ended.
    pub fn resolve(&self, outcome: CommitState) {
        self.0.outcome.store(outcome as u8, Ordering::Release);
    }

    /// Tells them that the project `id` was deleted before the batch was written.
    pub fn resolve_deleted(&self, id: &ProjectId) {
        self.0.deleted.get_or_init(|| id.clone());
        self.resolve(CommitState::Deleted);
    }
}

/// A result, and the commit that its reply has to wait for.
#[derive(Debug)]
pub struct Pending<T> {
    /// The result.
    pub answer: T,
    /// `None` where everything the result rests on is on disk, or need not be.
    pub commit: Option<Commit>,
}
