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
    Closed,
    Deleted(ProjectId),
    /// There is no disk space; the changes are rolled back.
    Full,
    /// A value could not be read from its file. The log has the reason.
    Unread,
    /// A bug stopped a change halfway; a restart recovers from the files.
    Poisoned,
    /// The next revision would be above [`crate::store::change::Revision::MAX`].
    RevisionsUsedUp,
    /// Its record on the cell has changed, or a guard, since it was read. Read it, then process the request again.
    Stale(ProjectId),
    /// Its cell does not answer.
    Unreachable {
        reason: String,
    },
    /// Its cell did not confirm a write, which was applied as a whole, or will be, or not at all.
    Unconfirmed {
        reason: String,
    },
    /// The batch is larger than its cell allows.
    TooLarge {
        reason: String,
    },
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StorageError::Deleted(id) => {
                return write!(f, "Project `{id}` was deleted. POST /api/v1/projects creates a new one.");
            }
            StorageError::Busy => "Too many writes of the project are queued for the disk. Try again shortly.",
            StorageError::Failed => {
                "The project takes no more writes, because its disk failed or its files were edited, replaced or \
                 removed. The server's log has the reason. Fix that, then restart the server."
            }
            StorageError::Closed => "The project is being closed or reopened. Try again shortly.",
            StorageError::Full => "The disk is full. Nothing was changed.",
            StorageError::Unread => "A value could not be read from the disk. The server's log has the reason.",
            StorageError::Poisoned => "The project stopped after an internal error. Restart the server.",
            StorageError::RevisionsUsedUp => {
                "The project has no revisions left, so it takes no more writes. Copy its keys to a new project."
            }
            StorageError::Stale(_) => "The project was changed, moved or deleted at this moment. Try again shortly.",
            StorageError::Unreachable { reason }
            | StorageError::Unconfirmed { reason }
            | StorageError::TooLarge { reason } => reason,
        })
    }
}

impl std::error::Error for StorageError {}
