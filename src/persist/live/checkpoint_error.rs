//! Why a checkpoint was not written.

use crate::persist::files::generation::SwapError;
use crate::store::error::StorageError;
use std::io;

/// Why there is no new pair of files. The old one stays in use, unless the project has failed.
#[derive(Debug)]
pub enum CheckpointError {
    Io(io::Error),
    /// The new data file may be in place and its journal is not: the project has failed, and the next start completes
    /// the swap.
    HalfDone(io::Error),
    /// Changes were rolled back while they were copied.
    RolledBack,
    /// The project takes no writes any more. Nothing is rolled back because of that.
    Stopped,
}

impl From<io::Error> for CheckpointError {
    fn from(error: io::Error) -> CheckpointError {
        CheckpointError::Io(error)
    }
}

impl From<StorageError> for CheckpointError {
    /// A thread panicked while it held a lock.
    fn from(_: StorageError) -> CheckpointError {
        CheckpointError::Stopped
    }
}

impl From<SwapError> for CheckpointError {
    fn from(error: SwapError) -> CheckpointError {
        match error {
            SwapError::NotBegun(error) => CheckpointError::Io(error),
            SwapError::HalfDone(error) => CheckpointError::HalfDone(error),
        }
    }
}

impl std::fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CheckpointError::Io(error) | CheckpointError::HalfDone(error) => error.fmt(f),
            CheckpointError::RolledBack => f.write_str("changes were rolled back while they were copied"),
            CheckpointError::Stopped => f.write_str("the project stopped taking writes"),
        }
    }
}
