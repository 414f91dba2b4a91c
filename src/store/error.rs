//! Why a project does not process a request.

use crate::digits::grouped;
use crate::names::ProjectId;
use std::fmt;

/// Why a project did not process a request. Nothing has changed, but for [`StorageError::Unconfirmed`] and
/// [`StorageError::PartlyCleared`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// More changes wait for the disk than [`crate::limits::PENDING_BYTES_MAX`].
    Busy,
    /// Its disk failed, or its files no longer belong to it.
    Failed,
    /// It is being closed, reopened or moved.
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
    /// Its cell refuses the requests of the server.
    Refused {
        reason: String,
    },
    /// The request is larger than its cell allows.
    TooLarge,
    /// The batch has more operations than its cell allows in a transaction.
    TooManyOperations,
    /// Other clients changed the keys of the write again and again.
    Contended,
    /// Its cell has no space.
    CellFull,
    /// A deletion of many keys removed some of them, or more if `reason` is that its last step is not confirmed.
    PartlyCleared {
        removed: u64,
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
            StorageError::Closed => "The project is being closed, reopened or moved. Try again shortly.",
            StorageError::Full => "The disk is full. Nothing was changed.",
            StorageError::Unread => "A value could not be read from the disk. The server's log has the reason.",
            StorageError::Poisoned => "The project stopped after an internal error. Restart the server.",
            StorageError::RevisionsUsedUp => {
                "The project has no revisions left, so it takes no more writes. Copy its keys to a new project."
            }
            StorageError::Stale(_) => "The project was changed, moved or deleted at this moment. Try again shortly.",
            StorageError::Unreachable { reason }
            | StorageError::Unconfirmed { reason }
            | StorageError::Refused { reason } => reason,
            StorageError::TooLarge => {
                "The request is larger than `--max-request-bytes` of the etcd members allows. Nothing was changed."
            }
            StorageError::TooManyOperations => {
                "The batch has more operations than `--max-txn-ops` of the etcd members allows. Nothing was changed."
            }
            StorageError::Contended => {
                "Other clients changed the same keys each time before this write was applied. Nothing was changed. \
                 Try again shortly."
            }
            StorageError::CellFull => {
                "The cell has no space left (`--quota-backend-bytes`). Nothing was changed. Compact and defragment \
                 its members, then disarm the alarm."
            }
            StorageError::PartlyCleared { removed, reason } => {
                return write!(f, "{} keys were removed, and others were not. {reason}", grouped(removed));
            }
        })
    }
}

impl std::error::Error for StorageError {}
