//! The lock of a project's journal, which is held across writes and syncs.
//!
//! A writer does not wait for it: it leaves the project here, and the thread that holds the lock queues the project
//! again when it releases the lock. So a project never occupies two writers.

use super::journal::Journal;
use super::unpoisoned::unpoisoned;
use crate::store::error::StorageError;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// Queues the project whose journal was released.
pub(super) type QueueAgain = Box<dyn FnOnce() + Send>;

pub(super) struct JournalLock {
    journal: Mutex<Journal>,
    /// Queues the project again, if a writer left it. Locked only to set or take it.
    left: Mutex<Option<QueueAgain>>,
}

pub(super) struct JournalGuard<'a> {
    // Dropped in this order: a project is queued again once its journal is free.
    guard: MutexGuard<'a, Journal>,
    _release: Release<'a>,
}

struct Release<'a> {
    lock: &'a JournalLock,
}

pub(super) enum Attempt<'a> {
    Locked(JournalGuard<'a>),
    /// Another thread holds it and will queue the project again.
    Left,
    /// A thread panicked while it held it.
    Broken,
}

impl JournalLock {
    pub(super) fn new(journal: Journal) -> JournalLock {
        JournalLock { journal: Mutex::new(journal), left: Mutex::new(None) }
    }

    /// Waits for the journal.
    ///
    /// # Errors
    /// [`StorageError::Poisoned`] if a thread panicked while it held it.
    pub(super) fn lock(&self) -> Result<JournalGuard<'_>, StorageError> {
        let guard = self.journal.lock().map_err(|_| StorageError::Poisoned)?;
        Ok(JournalGuard { guard, _release: Release { lock: self } })
    }

    /// Locks the journal if no other thread holds it. Otherwise that thread calls what `leave` returns when it
    /// releases the journal.
    pub(super) fn lock_or_leave(&self, leave: impl FnOnce() -> QueueAgain) -> Attempt<'_> {
        // Locked first: a thread that releases the journal from here on finds what is left.
        let mut left = unpoisoned(self.left.lock());
        match self.journal.try_lock() {
            Ok(guard) => Attempt::Locked(JournalGuard { guard, _release: Release { lock: self } }),
            Err(TryLockError::WouldBlock) => {
                *left = Some(leave());
                Attempt::Left
            }
            Err(TryLockError::Poisoned(_)) => Attempt::Broken,
        }
    }
}

impl Deref for JournalGuard<'_> {
    type Target = Journal;

    fn deref(&self) -> &Journal {
        &self.guard
    }
}

impl DerefMut for JournalGuard<'_> {
    fn deref_mut(&mut self) -> &mut Journal {
        &mut self.guard
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        let left = unpoisoned(self.lock.left.lock()).take();
        if let Some(queue_again) = left {
            queue_again();
        }
    }
}
