//! Why a project does not process a request.

use crate::names::ProjectId;
use std::fmt;

/// Why a project did not process a request. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// More changes wait for the disk than [`crate::limits::PENDING_BYTES_MAX`].
    Busy,
    /// Its disk failed, or its files no longer belong to it.
    Failed,
    /// It is being reopened, or the server ends.
    Closed,
    /// This project was deleted.
    Deleted(ProjectId),
    /// There is no disk space; the changes are rolled back.
    Full,
    /// A value could not be read from its file. The log has the reason.
    Unread,
    /// A bug stopped a change halfway; a restart recovers from the files.
    Poisoned,
    /// The next revision would be above [`crate::store::change::Revision::MAX`].
    RevisionsUsedUp,
    /// Its cell does not answer.
    Unreachable { reason: String },
    /// Its cell did not confirm a write, which was applied as a whole, or will be, or not at all.
    Unconfirmed { reason: String },
    /// The batch is larger than its cell allows.
    TooLarge { reason: String },
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageError::Busy => {
                f.write_str("more changes wait for the disk than may wait; try again shortly")
            }
            StorageError::Failed => f.write_str(
                "the project stopped taking writes, because its disk failed or its files were edited, replaced or \
                 removed; the server's log says which, and the server has to be restarted",
            ),
            StorageError::Closed => f.write_str("the project is being closed or reopened; try again shortly"),
            StorageError::Deleted(id) => {
                write!(f, "Project `{id}` was deleted. POST /api/v1/projects creates a new one.")
            }
            StorageError::Full => f.write_str("the disk is full; nothing was changed"),
            StorageError::Unread => f.write_str("a value could not be read from the disk; the log says why"),
            StorageError::Poisoned => {
                f.write_str("the project stopped after an internal error; its server has to be restarted")
            }
            StorageError::RevisionsUsedUp => f.write_str("the project's revisions are used up"),
            StorageError::Unreachable { reason }
            | StorageError::Unconfirmed { reason }
            | StorageError::TooLarge { reason } => f.write_str(reason),
        }
    }
}

impl std::error::Error for StorageError {}
