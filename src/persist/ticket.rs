//! What a reply holds that may not leave before its change is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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
pub struct Ticket(Arc<AtomicU8>);

impl Ticket {
    /// A ticket whose batch is still to be written.
    pub fn pending() -> Ticket {
        Ticket(Arc::new(AtomicU8::new(Outcome::Pending as u8)))
    }

    /// How it stands.
    pub fn outcome(&self) -> Outcome {
        match self.0.load(Ordering::Acquire) {
            done if done == Outcome::Synced as u8 => Outcome::Synced,
            full if full == Outcome::DiskFull as u8 => Outcome::DiskFull,
            failed if failed == Outcome::Failed as u8 => Outcome::Failed,
            deleted if deleted == Outcome::Deleted as u8 => Outcome::Deleted,
            _ => Outcome::Pending,
        }
    }

    /// Whether it has not ended.
    pub fn is_pending(&self) -> bool {
        self.outcome() == Outcome::Pending
    }

    /// Says how the batch ended, to everybody who holds a clone.
    pub fn resolve(&self, outcome: Outcome) {
        self.0.store(outcome as u8, Ordering::Release);
    }
}
