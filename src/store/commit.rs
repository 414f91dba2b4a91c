//! A handle for a reply that may not be sent before its change is on disk.

use super::error::StorageError;
use crate::names::ProjectId;
use std::sync::{Arc, OnceLock};

/// The result of the sync that a reply waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitState {
    Pending,
    Committed,
    /// There was no disk space; the change was rolled back.
    DiskFull,
    /// The write or the sync failed; the change was rolled back and the project stopped writing.
    Failed,
    /// This project was deleted before the change was written.
    Deleted(ProjectId),
}

/// Resolved once, for all changes of one batch. Clones share the outcome.
#[derive(Clone, Debug, Default)]
pub struct Commit(Arc<OnceLock<CommitState>>);

impl Commit {
    /// Distinguishes this commit and its clones from all others that exist.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    pub fn outcome(&self) -> CommitState {
        self.0.get().cloned().unwrap_or(CommitState::Pending)
    }

    /// Why its changes were rolled back; `None` if they are on disk. A pending commit counts as failed.
    pub fn failure(&self) -> Option<StorageError> {
        match self.outcome() {
            CommitState::Committed => None,
            CommitState::DiskFull => Some(StorageError::Full),
            CommitState::Deleted(id) => Some(StorageError::Deleted(id)),
            CommitState::Failed | CommitState::Pending => Some(StorageError::Failed),
        }
    }

    pub fn is_pending(&self) -> bool {
        self.0.get().is_none()
    }

    /// Sets the result for all clones. Only the first call counts.
    pub fn resolve(&self, outcome: CommitState) {
        self.0.get_or_init(|| outcome);
    }
}

/// A result, and the commit that its reply has to wait for.
#[derive(Debug)]
pub struct Pending<T> {
    pub answer: T,
    /// `None` if everything that the result depends on is on disk, or need not be.
    pub commit: Option<Commit>,
}

impl<T> Pending<T> {
    /// A result that waits for nothing.
    pub fn now(answer: T) -> Pending<T> {
        Pending { answer, commit: None }
    }
}
