//! The result of a read: known now, or after a value is read from the disk.

use crate::store::commit::{Commit, Pending};
use crate::store::error::StorageError;

pub enum Outcome<T> {
    /// It is known. It may be sent once its commit, if there is one, is resolved.
    Ready(Pending<T>),
    /// A value lies only on disk. The closure blocks; it may run once the commit, if there is one, is resolved.
    Blocking(Option<Commit>, Blocking<T>),
}

/// Reads values from the disk and computes the result.
pub(crate) type Blocking<T> = Box<dyn FnOnce() -> Result<T, StorageError> + Send>;

impl<T: 'static> Outcome<T> {
    /// A result that waits for nothing.
    pub(super) fn now(answer: T) -> Outcome<T> {
        Outcome::Ready(Pending::now(answer))
    }

    pub fn map<U: 'static>(self, then: impl FnOnce(T) -> U + Send + 'static) -> Outcome<U> {
        match self {
            Outcome::Ready(Pending { answer, commit }) => {
                Outcome::Ready(Pending { answer: then(answer), commit })
            }
            Outcome::Blocking(commit, run) => Outcome::Blocking(commit, Box::new(move || run().map(then))),
        }
    }

    /// This outcome, but it waits for `commit`, if there is one, instead of its own commit.
    #[must_use]
    pub fn after(self, commit: Option<Commit>) -> Outcome<T> {
        match self {
            Outcome::Ready(pending) => {
                Outcome::Ready(Pending { commit: commit.or(pending.commit), ..pending })
            }
            Outcome::Blocking(own, run) => Outcome::Blocking(commit.or(own), run),
        }
    }

    /// The result. Blocks if it has to be read.
    ///
    /// # Errors
    /// [`StorageError`] of the value that could not be read.
    pub fn wait(self) -> Result<Pending<T>, StorageError> {
        match self {
            Outcome::Ready(pending) => Ok(pending),
            Outcome::Blocking(commit, run) => Ok(Pending { answer: run()?, commit }),
        }
    }
}
