//! The right to put a project on a cell or to take it off: that of the last command that asked for it.
//!
//! | Key in etcd | Value |
//! |---|---|
//! | `m/PROJECT` | nothing; its `mod_revision` is compared by everything that its writer changes of the project |
//!
//! So a command that was interrupted and continues after another one has begun changes nothing. Keys are copied to a cell
//! before it has a record of the project, and no instance serves or writes them there until then.

use super::bucket::{EtcdBucket, Fence};
use super::cell::{Cell, CellError};
use super::gateway::{Bytes, Compare, Operation, Transaction};
use super::layout;
use super::record::{Record, Versioned, base_after};
use crate::clock;
use crate::names::ProjectId;
use crate::storage::bucket::Bucket;
use crate::storage::copy::{self, CopyError, Digest};
use crate::store::error::StorageError;
use std::fmt;
use std::sync::Arc;

/// The right to change what `cell` has of the project `id`.
#[derive(Clone, Debug)]
pub struct Claim {
    cell: Arc<Cell>,
    id: ProjectId,
    /// Of the marker.
    mod_revision: i64,
}

/// Why a project on a cell is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// Another command has claimed the project, or an instance has changed its record.
    Overtaken,
    Cell(CellError),
    Storage(StorageError),
    Copy(CopyError),
}

impl Claim {
    /// Claims the project `id` on `cell`, which need not have it.
    ///
    /// # Errors
    /// [`CellError`]
    pub fn new(cell: &Arc<Cell>, id: &ProjectId) -> Result<Claim, CellError> {
        let success = vec![Operation::Put { key: layout::claim(id), value: Bytes::default() }];
        let written = cell.commit(&Transaction { success, ..Transaction::default() })?;
        Ok(Claim { cell: Arc::clone(cell), id: id.clone(), mod_revision: written.header.revision })
    }

    pub fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    /// Replaces all keys by copies of those in `from`, and compares them. The cell must not have a record of the project.
    ///
    /// # Errors
    /// [`ClaimError`]. The cell may have a part of the keys then, which no instance serves.
    pub fn fill(&self, from: &Bucket) -> Result<Digest, ClaimError> {
        let to = Bucket::Etcd(Arc::new(self.without_record()));
        self.clear()?;
        copy::copy(from, &to, &clock::wall_ms)?;
        Ok(copy::compare(from, &to, &clock::wall_ms)?)
    }

    /// Removes all keys. The cell must not have a record of the project.
    ///
    /// # Errors
    /// [`ClaimError`]
    pub fn clear(&self) -> Result<(), ClaimError> {
        let bucket = self.without_record();
        loop {
            match bucket.clear(clock::wall_ms(), "") {
                // Each call removes some keys, or fails.
                Err(StorageError::PartlyCleared { .. }) => {}
                cleared => return Ok(cleared.map(drop)?),
            }
        }
    }

    /// The base of a project that was filled under this claim: no revision is one that the project had before, of which
    /// `latest` is the last.
    pub fn base_after(&self, latest: u64) -> u64 {
        base_after(clock::wall_ms(), self.mod_revision, latest)
    }

    /// Writes the record, if the cell has `known`; `None` is no record.
    ///
    /// # Errors
    /// [`ClaimError`]
    pub fn put_record(
        &self,
        known: Option<&Versioned<Record>>,
        record: Record,
    ) -> Result<Versioned<Record>, ClaimError> {
        let key = layout::record(&self.id);
        let compare = vec![Compare::unchanged(key.clone(), known.map_or(0, |known| known.mod_revision))];
        let success = vec![Operation::Put { key, value: record.encode() }];
        Ok(Versioned { value: record, mod_revision: self.commit(compare, success)? })
    }

    /// Removes the record, if it is still `known`.
    ///
    /// # Errors
    /// [`ClaimError`]
    pub fn remove_record(&self, known: &Versioned<Record>) -> Result<(), ClaimError> {
        let key = layout::record(&self.id);
        let compare = vec![Compare::unchanged(key.clone(), known.mod_revision)];
        self.commit(compare, vec![Operation::delete(key)]).map(drop)
    }

    /// Ends the claim.
    ///
    /// # Errors
    /// [`ClaimError`]
    pub fn release(&self) -> Result<(), ClaimError> {
        let left = [layout::claim(&self.id), layout::own_revision(&self.id)];
        self.commit(Vec::new(), left.into_iter().map(Operation::delete).collect()).map(drop)
    }

    /// The keys, as long as the claim is valid and the cell has no record.
    fn without_record(&self) -> EtcdBucket {
        let fence = Fence { base: 0, mod_revision: 0, is_sealed: false };
        let bucket = EtcdBucket::new(Arc::clone(&self.cell), self.id.clone(), fence);
        bucket.requiring_key(layout::claim(&self.id), self.mod_revision)
    }

    /// Applies `success` if the claim is valid and `compare` holds. Returns the revision of the cell.
    fn commit(&self, mut compare: Vec<Compare>, success: Vec<Operation>) -> Result<i64, ClaimError> {
        compare.push(Compare::unchanged(layout::claim(&self.id), self.mod_revision));
        let done = self.cell.commit(&Transaction { compare, success, failure: Vec::new() })?;
        if done.succeeded { Ok(done.header.revision) } else { Err(ClaimError::Overtaken) }
    }
}

impl From<CellError> for ClaimError {
    fn from(error: CellError) -> ClaimError {
        ClaimError::Cell(error)
    }
}

impl From<StorageError> for ClaimError {
    fn from(error: StorageError) -> ClaimError {
        if matches!(error, StorageError::Stale(_)) {
            ClaimError::Overtaken
        } else {
            ClaimError::Storage(error)
        }
    }
}

impl From<ClaimError> for StorageError {
    fn from(error: ClaimError) -> StorageError {
        match error {
            ClaimError::Overtaken => StorageError::Busy,
            ClaimError::Cell(error) => error.into(),
            ClaimError::Storage(error) => error,
            ClaimError::Copy(CopyError::Read(error) | CopyError::Write { error, .. }) => error,
            ClaimError::Copy(CopyError::Key { .. } | CopyError::Different { .. }) => StorageError::Unread,
        }
    }
}

impl From<CopyError> for ClaimError {
    fn from(error: CopyError) -> ClaimError {
        match error {
            CopyError::Read(StorageError::Stale(_))
            | CopyError::Write { error: StorageError::Stale(_), .. } => ClaimError::Overtaken,
            CopyError::Read(_)
            | CopyError::Write { .. }
            | CopyError::Key { .. }
            | CopyError::Different { .. } => ClaimError::Copy(error),
        }
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClaimError::Overtaken => f.write_str(
                "Another command or a server has changed the project at the same time. Run the command again; it \
                 continues.",
            ),
            ClaimError::Cell(error) => error.fmt(f),
            ClaimError::Storage(error) => error.fmt(f),
            ClaimError::Copy(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClaimError {}
