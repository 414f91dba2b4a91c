//! A project on a cell: its keys, and what every request for them requires.
//!
//! Every transaction compares the record of the project, so a bucket never answers for a project that was changed,
//! moved or deleted since its record was read. Reads are linearizable: a member that lags or has lost the others
//! answers none, so the next one is asked before a write is sent, which may be sent only once.

use super::cell::{ALLOWED, Allowed, Cell, CellError};
use super::gateway::{
    Bytes, Compare, KeyValue, Operation, OperationResponse, Range, RangeResponse, Refused, Transaction,
    TransactionResponse,
};
use super::layout::{self, Layout, StoredEntry};
use crate::limits::{CELL_DUE_KEYS_MAX, CELL_FETCHED_KEYS_MAX, CELL_FIRST_KEYS_MAX, CELL_PAGE_BYTES_MAX};
use crate::names::{Key, ProjectId};
use crate::storage::read::{BucketTotals, Item, Read};
use crate::store::batch::When;
use crate::store::change::{EntryMeta, Revision};
use crate::store::error::StorageError;
use std::sync::Arc;

/// The keys of a project on a cell, as its record was when it was read.
#[derive(Debug)]
pub struct EtcdBucket {
    pub(super) cell: Arc<Cell>,
    pub(super) layout: Layout,
    /// What every transaction requires: the fence, then the guards of [`EtcdBucket::requiring`].
    pub(super) checks: Vec<Check>,
    fence: Fence,
}

/// The record of a project (`e/ID`), which every write of the record changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The number that is added to a revision of the cell, so that no revision of the project repeats.
    pub base: u64,
    pub mod_revision: i64,
    /// Whether writes are refused, because the keys are being copied to another cell.
    pub is_sealed: bool,
}

/// A key that must be as it was.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) key: Bytes,
    mod_revision: i64,
}

/// Why a request for keys of the project has no result.
#[derive(Debug)]
pub(super) enum RequestError {
    Stale,
    Cell(CellError),
}

impl RequestError {
    /// Whether a request for the values of fewer keys than `keys` may succeed: the answer is too long, or it may have been
    /// too long to be sent in time.
    pub(super) fn is_of_size(&self, keys: usize) -> bool {
        match self {
            RequestError::Cell(CellError::AnswerTooLong) => keys > 1,
            RequestError::Cell(CellError::Unreachable { .. }) => keys > CELL_FIRST_KEYS_MAX,
            RequestError::Stale | RequestError::Cell(_) => false,
        }
    }
}

impl EtcdBucket {
    /// The project `id` on `cell`, whose record is at `fence`. Once the record has changed, every operation returns
    /// [`StorageError::Stale`].
    pub fn new(cell: Arc<Cell>, id: ProjectId, fence: Fence) -> EtcdBucket {
        let check = Check { key: layout::record(&id), mod_revision: fence.mod_revision };
        EtcdBucket { cell, layout: Layout::new(id, fence.base), checks: vec![check], fence }
    }

    /// The same keys. Every operation also requires that `key` of `other`, which is on the same cell, is still at
    /// `revision`. Otherwise: [`StorageError::Stale`].
    #[must_use]
    pub fn requiring(&self, other: &EtcdBucket, key: Key<'_>, revision: Revision) -> EtcdBucket {
        assert!(Arc::ptr_eq(&self.cell, &other.cell), "a transaction compares keys of one cell");
        let (key, revision) = (other.layout.entry(key.as_str()), other.layout.mod_revision(revision));
        self.requiring_key(key, revision)
    }

    /// The same keys. Every operation also requires that `key` of the cell is still at `mod_revision`. Otherwise:
    /// [`StorageError::Stale`].
    pub(super) fn requiring_key(&self, key: Bytes, mod_revision: i64) -> EtcdBucket {
        let checks = self.checks.iter().cloned().chain([Check { key, mod_revision }]).collect();
        let (cell, layout) = (Arc::clone(&self.cell), self.layout.clone());
        EtcdBucket { cell, layout, checks, fence: self.fence }
    }

    pub fn id(&self) -> &ProjectId {
        self.layout.id()
    }

    pub(super) fn stale(&self) -> StorageError {
        StorageError::Stale(self.id().clone())
    }

    /// The record as it was when it was read.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    pub fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    pub(crate) fn get<R>(
        &self,
        now_ms: u64,
        key: Key<'_>,
        when: When<'_>,
        render: impl FnOnce(Read<'_>) -> R,
    ) -> Result<R, StorageError> {
        let now_ms = self.cell.now_ms(now_ms);
        let found = self.range(Range::key(self.layout.entry(key.as_str())))?;
        let Some(stored) = found.kvs.first() else { return Ok(render(Read::Absent)) };
        let StoredEntry { meta, value } = self.decode(stored)?;
        Ok(render(if !is_live(&meta, now_ms) {
            Read::Absent
        } else if when.holds(Some(meta.revision)) {
            Read::Found(Item { key: key.as_str(), meta, value })
        } else {
            Read::Refused(meta)
        }))
    }

    /// Refuses a write of a sealed project. If its record has changed, the project may take writes again.
    pub(super) fn check_writable(&self) -> Result<(), StorageError> {
        if !self.fence.is_sealed {
            return Ok(());
        }
        self.latest_revision().and(Err(StorageError::Closed))
    }

    /// How many keys there are; their bytes are not known. Expired keys that are not swept are not counted, unless the
    /// cell has more than [`CELL_DUE_KEYS_MAX`] of them, because each costs a look at its entry.
    pub(crate) fn totals(&self, now_ms: u64) -> Result<BucketTotals, StorageError> {
        let now_ms = self.cell.now_ms(now_ms);
        let count = Range { count_only: true, ..Range::prefix(self.layout.entry("")) };
        let due = layout::due(now_ms, CELL_DUE_KEYS_MAX);
        let read = self.read(vec![Operation::Range(count), Operation::Range(due)])?;
        let mut responses = read.responses.into_iter();
        let (counted, due) = (range_of(responses.next())?, range_of(responses.next())?);
        let mut keys = counted.count;
        if !due.more {
            let own = due.kvs.iter().filter_map(|listed| self.layout.entry_of_expiry(&listed.key));
            // An entry that expired more than once would be listed more than once.
            let own: std::collections::BTreeSet<Bytes> = own.collect();
            let own: Vec<Bytes> = own.into_iter().collect();
            for entries in own.chunks(CELL_FETCHED_KEYS_MAX) {
                keys = keys.saturating_sub(self.expired_among(entries, now_ms, read.header.revision)?);
            }
        }
        Ok(BucketTotals { keys, bytes: None })
    }

    /// How many of `entries` have expired, as of a revision of the cell.
    fn expired_among(&self, entries: &[Bytes], now_ms: u64, revision: i64) -> Result<u64, StorageError> {
        let look = |entry: &Bytes| Operation::Range(Range { revision, ..Range::key(entry.clone()) });
        let read = self.read(entries.iter().map(look).collect())?;
        let mut expired = 0;
        for response in read.responses {
            let found = range_of(Some(response))?;
            let Some(stored) = found.kvs.first() else { continue };
            expired += u64::from(!is_live(&self.decode(stored)?.meta, now_ms));
        }
        Ok(expired)
    }

    /// No revision until now is after this one.
    pub(crate) fn latest_revision(&self) -> Result<Revision, StorageError> {
        let id = self.layout.id();
        let key = Operation::Range(Range { keys_only: true, ..Range::key(layout::record(id)) });
        self.revision(self.read(vec![key])?.header.revision)
    }

    /// Reads if the record and the guards are as they were.
    pub(super) fn request(
        &self,
        success: Vec<Operation>,
        allowed: Allowed,
    ) -> Result<TransactionResponse, RequestError> {
        let transaction = Transaction { compare: self.compares(), success, failure: Vec::new() };
        let read = self.cell.read_within(&transaction, allowed).map_err(RequestError::Cell)?;
        if read.succeeded { Ok(read) } else { Err(RequestError::Stale) }
    }

    fn read(&self, success: Vec<Operation>) -> Result<TransactionResponse, StorageError> {
        self.request(success, ALLOWED).map_err(|error| self.failed(error))
    }

    pub(super) fn range(&self, range: Range) -> Result<RangeResponse, StorageError> {
        let read = self.read(vec![Operation::Range(range)])?;
        range_of(read.responses.into_iter().next())
    }

    /// Commits a transaction whose compares begin with [`EtcdBucket::compares`], within `ms` milliseconds.
    pub(super) fn commit(
        &self,
        transaction: &Transaction,
        ms: u64,
    ) -> Result<TransactionResponse, StorageError> {
        self.cell.commit_within(transaction, Allowed { ms, ..ALLOWED }).map_err(|error| {
            self.cell.log_failure(&error);
            error.into()
        })
    }

    pub(super) fn compares(&self) -> Vec<Compare> {
        let unchanged = |check: &Check| Compare::unchanged(check.key.clone(), check.mod_revision);
        self.checks.iter().map(unchanged).collect()
    }

    /// Whether the record and the guards are as they were, which the first of `responses` tell.
    pub(super) fn check(
        &self,
        responses: &mut impl Iterator<Item = OperationResponse>,
    ) -> Result<(), StorageError> {
        for check in &self.checks {
            let found = range_of(responses.next())?;
            let mod_revision = found.kvs.first().map_or(0, |stored| stored.mod_revision);
            if mod_revision != check.mod_revision {
                return Err(self.stale());
            }
        }
        Ok(())
    }

    /// The error for those above, of a request that changes nothing. The log has the reason, which names endpoints.
    pub(super) fn failed(&self, error: RequestError) -> StorageError {
        let RequestError::Cell(error) = error else { return self.stale() };
        self.cell.log_failure(&error);
        let error = error.into();
        if let StorageError::Unconfirmed { reason } = error {
            return StorageError::Unreachable { reason };
        }
        error
    }

    pub(super) fn decode<'s>(&self, stored: &'s KeyValue) -> Result<StoredEntry<'s>, StorageError> {
        self.layout.decode(stored.mod_revision, &stored.value).ok_or_else(|| {
            let key = String::from_utf8_lossy(&stored.key.0);
            log::error!("cell {}: `{key}` is not an entry that this version writes", self.cell.name());
            StorageError::Unread
        })
    }

    pub(super) fn revision(&self, mod_revision: i64) -> Result<Revision, StorageError> {
        self.layout.revision(mod_revision).ok_or(StorageError::RevisionsUsedUp)
    }
}

pub(super) fn is_live(meta: &EntryMeta, now_ms: u64) -> bool {
    meta.expires_ms.is_none_or(|expires_ms| expires_ms > now_ms)
}

/// What a read of the values of so many keys may use. One value has no other bound than that of any answer. Many are
/// asked for in parts if their answer takes long, and not sent to another member as a whole.
pub(super) fn values_allowed(keys: usize) -> Allowed {
    let answer_bytes = if keys > 1 { CELL_PAGE_BYTES_MAX } else { ALLOWED.answer_bytes };
    let attempt_ms = if keys > CELL_FIRST_KEYS_MAX { ALLOWED.ms } else { ALLOWED.attempt_ms };
    Allowed { attempt_ms, answer_bytes, ..ALLOWED }
}

pub(super) fn range_of(response: Option<OperationResponse>) -> Result<RangeResponse, StorageError> {
    match response {
        Some(OperationResponse::Range(found)) => Ok(found),
        Some(OperationResponse::Put(_) | OperationResponse::DeleteRange(_)) | None => Err(unexpected()),
    }
}

/// Of an answer to a read.
pub(super) fn unexpected() -> StorageError {
    StorageError::Unreachable { reason: "etcd returned another kind of answer than was asked for".to_owned() }
}

impl From<CellError> for StorageError {
    fn from(error: CellError) -> StorageError {
        let reason = error.to_string();
        match error {
            CellError::Refused(Refused::NoSpace) => StorageError::CellFull,
            CellError::Refused(Refused::TooLarge) => StorageError::TooLarge,
            CellError::Refused(Refused::TooManyOperations) => StorageError::TooManyOperations,
            CellError::Unconfirmed { .. } | CellError::WrongCluster { .. } | CellError::Restored => {
                StorageError::Unconfirmed { reason }
            }
            CellError::Unreachable { .. } | CellError::Closed { .. } | CellError::AnswerTooLong => {
                StorageError::Unreachable { reason }
            }
            CellError::Refused(
                Refused::Compacted
                | Refused::Unauthenticated
                | Refused::Unavailable { .. }
                | Refused::Unconfirmed { .. }
                | Refused::Other { .. },
            ) => StorageError::Refused { reason },
        }
    }
}
