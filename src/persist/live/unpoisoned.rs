//! Locks of what no panic can leave half changed.

use std::sync::PoisonError;

/// What is locked, also if a thread panicked while it held the lock.
pub(super) fn unpoisoned<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}
