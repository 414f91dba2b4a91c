//! Failures of storage.
//!
//! A text names no endpoint and nothing else of a cell but the flags that bound a request: a client cannot change
//! anything else, and may have no global key. The log has the reason.

use crate::catalog::ChangeError;
use crate::digits::grouped;
use crate::store::error::StorageError;

/// What a request that failed has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing.
    NotApplied,
    /// Everything that it asked for, or nothing.
    Unknown,
    /// A part of it.
    Partial,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Outcome::NotApplied => "not_applied",
            Outcome::Unknown => "unknown",
            Outcome::Partial => "partial",
        }
    }
}

pub(super) fn status_and_code(error: &StorageError) -> (u16, &'static str) {
    match error {
        StorageError::Busy => (503, "busy"),
        StorageError::Deleted(_) => (404, "project_not_found"),
        StorageError::Full => (507, "disk_full"),
        StorageError::Unread => (500, "disk_error"),
        StorageError::Failed
        | StorageError::Closed
        | StorageError::Poisoned
        | StorageError::RevisionsUsedUp
        | StorageError::Refused { .. } => (503, "project_unavailable"),
        StorageError::Stale(_) => (503, "project_changed"),
        StorageError::Unreachable { .. } => (503, "storage_unreachable"),
        StorageError::Unconfirmed { .. } => (503, "write_unconfirmed"),
        StorageError::PartlyCleared { .. } => (503, "partly_deleted"),
        StorageError::Contended => (503, "write_contended"),
        StorageError::CellFull => (507, "storage_full"),
        StorageError::TooLarge => (413, "too_large_for_storage"),
        StorageError::TooManyOperations => (400, "too_many_operations"),
    }
}

/// The text for the client.
pub(super) fn detail(error: &StorageError) -> String {
    let text = match error {
        StorageError::Full => {
            "The server's disk is full, or a quota or the file-size limit of its process is reached. Nothing was \
             changed. Reads work, and writes work again once there is space."
        }
        StorageError::Unread => return ChangeError::Disk("reading the value").to_string(),
        StorageError::Busy
        | StorageError::Deleted(_)
        | StorageError::Failed
        | StorageError::Closed
        | StorageError::Poisoned
        | StorageError::RevisionsUsedUp
        | StorageError::Stale(_)
        | StorageError::Contended => return error.to_string(),
        StorageError::Unreachable { .. } => {
            "The storage of this project does not answer. Nothing was changed. Try again shortly."
        }
        StorageError::Unconfirmed { .. } => {
            "The storage of this project did not confirm the write in time. It was applied as a whole, or will be, or \
             not at all. Read the keys before you send it again."
        }
        StorageError::Refused { .. } => {
            "The storage of this project refuses the requests of the server. Nothing was changed. The server's log has \
             the reason."
        }
        StorageError::PartlyCleared { removed, .. } => {
            return format!(
                "At least {} keys were deleted, and others were not. Send the request again to delete the rest.",
                grouped(removed)
            );
        }
        StorageError::CellFull => {
            "The storage of this project has no space left. Nothing was changed. Reads work. Ask the operator, who \
             finds the fix in the server's log."
        }
        StorageError::TooLarge => {
            "The request is larger than the storage of this project accepts; the maximum is etcd's \
             `--max-request-bytes`, 1.5 MiB by default. Nothing was changed. Send smaller values or fewer operations, \
             or ask the operator to raise it."
        }
        StorageError::TooManyOperations => {
            "The batch has more operations than the storage of this project accepts at once; the maximum is etcd's \
             `--max-txn-ops`, 128 by default, and a key that expires takes up to three. Nothing was changed. Send \
             several batches, or ask the operator to raise it."
        }
    };
    text.to_owned()
}

/// What a failed request has changed, as far as an engine states it. `None` of a read, which changes nothing.
pub(super) fn outcome(error: &StorageError, writes_keys: bool) -> Option<Outcome> {
    match error {
        StorageError::Unconfirmed { .. } => Some(Outcome::Unknown),
        StorageError::PartlyCleared { .. } => Some(Outcome::Partial),
        StorageError::Unreachable { .. }
        | StorageError::Refused { .. }
        | StorageError::Stale(_)
        | StorageError::Contended
        | StorageError::CellFull
        | StorageError::TooLarge
        | StorageError::TooManyOperations => writes_keys.then_some(Outcome::NotApplied),
        StorageError::Busy
        | StorageError::Deleted(_)
        | StorageError::Full
        | StorageError::Unread
        | StorageError::Failed
        | StorageError::Closed
        | StorageError::Poisoned
        | StorageError::RevisionsUsedUp => None,
    }
}
