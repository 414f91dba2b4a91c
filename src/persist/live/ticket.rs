//! What a reply holds that may not leave before its change is on disk.

use crate::names::ProjectId;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

/// How the sync that a reply waits for ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    Pending,
    /// The change is on disk.
    Synced,
    /// There was no room; the change was taken back.
    DiskFull,
    /// The write or the sync failed; the change was taken back and the project stopped writing.
    Failed,
    /// The project was deleted before the change was written.
    Deleted,
}

/// Resolved once, for all changes of one batch. Clones share the outcome.
#[derive(Clone, Debug)]
pub struct Ticket(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outcome: AtomicU8,
    /// The project, if it was deleted. Set before the outcome.
    deleted: OnceLock<ProjectId>,
}

impl Ticket {
    /// A ticket whose batch is still to be written.
    pub fn pending() -> Ticket {
        let outcome = AtomicU8::new(Outcome::Pending as u8);
        Ticket(Arc::new(Shared { outcome, deleted: OnceLock::new() }))
    }

    /// Tells this ticket and its clones from all others that exist.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// How it stands.
    pub fn outcome(&self) -> Outcome {
        match self.0.outcome.load(Ordering::Acquire) {
            done if done == Outcome::Synced as u8 => Outcome::Synced,
            full if full == Outcome::DiskFull as u8 => Outcome::DiskFull,
            failed if failed == Outcome::Failed as u8 => Outcome::Failed,
            deleted if deleted == Outcome::Deleted as u8 => Outcome::Deleted,
            _ => Outcome::Pending,
        }
    }

    /// The project, if the outcome is [`Outcome::Deleted`].
    pub fn deleted(&self) -> Option<&ProjectId> {
        self.0.deleted.get()
    }

    /// Whether it has not ended.
    pub fn is_pending(&self) -> bool {
        self.outcome() == Outcome::Pending
    }

    /// Tells all holders of a clone how the batch ended.
    pub fn resolve(&self, outcome: Outcome) {
        self.0.outcome.store(outcome as u8, Ordering::Release);
    }

    /// Tells them that the project `id` was deleted before the batch was written.
    pub fn resolve_deleted(&self, id: &ProjectId) {
        self.0.deleted.get_or_init(|| id.clone());
        self.resolve(Outcome::Deleted);
    }
}
