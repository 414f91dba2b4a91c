//! A bucket: all operations on the keys of a project, and the engine that does them.

use super::embedded::{self, DecidedAndRead, Found, Project};
use super::etcd::{EtcdBucket, Values};
use super::outcome::Outcome;
use super::read::{BucketTotals, Decided, Item, Read, Scan, ScanEnd, Scanned};
use crate::names::{Key, ProjectId};
use crate::store::batch::{Batch, OneOrMany, Op, When};
use crate::store::change::Revision;
use crate::store::commit::{Commit, Pending};
use crate::store::decide::{Conflict, Step};
use crate::store::error::StorageError;
use crate::store::key_map::Totals;
use std::sync::Arc;
use std::time::Instant;

/// The keys of a project, or of all accounts. Clones are the same bucket.
#[derive(Clone, Debug)]
pub enum Bucket {
    /// In this process and its files.
    Embedded(Arc<Project>),
    /// On a cell of etcd. Every call blocks.
    Etcd(Arc<EtcdBucket>),
}

/// What the operations of a bucket may wait for, beside commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    Never,
    /// Reading values, which may lie on disk only.
    OnDisk,
    /// Every operation, for the cell with this index.
    OnCell(usize),
}

impl Bucket {
    /// Reads `key` at `now_ms` and returns the result of `render`. `when` is a condition on a key that exists.
    pub fn get<R: 'static>(
        &self,
        now_ms: u64,
        key: Key<'_>,
        when: When<'_>,
        render: impl FnOnce(Read<'_>) -> R + Send + 'static,
    ) -> Result<Outcome<R>, StorageError> {
        match self {
            Bucket::Embedded(project) => embedded::get(project, now_ms, key, when, render),
            Bucket::Etcd(bucket) => bucket.get(now_ms, key, when, render).map(Outcome::now),
        }
    }

    /// The entries of the first of `keys` at one moment: at least one, then until their values have `bytes_max` bytes.
    /// `None` for a key that does not exist.
    pub fn get_first(
        &self,
        now_ms: u64,
        keys: &[Key<'_>],
        bytes_max: usize,
    ) -> Result<Pending<Vec<Option<Found>>>, StorageError> {
        match self {
            Bucket::Embedded(project) => embedded::get_first(project, now_ms, keys, bytes_max),
            Bucket::Etcd(bucket) => bucket.get_first(now_ms, keys, bytes_max).map(Pending::now),
        }
    }

    /// Applies `batch`, or nothing of it. A conflict waits for its commit, too: it may depend on changes that are not
    /// on disk yet. A batch of reads changes nothing.
    ///
    /// # Errors
    /// [`StorageError`]; nothing has changed then, but for [`StorageError::Unconfirmed`].
    pub fn write(&self, now_ms: u64, batch: &Batch<'_>) -> Result<Pending<Decided>, StorageError> {
        match self {
            Bucket::Embedded(project) => embedded::write(project, now_ms, batch),
            Bucket::Etcd(bucket) => {
                let decided = bucket.write(now_ms, batch, Values::Dropped)?;
                Ok(Pending::now(decided.map(|(steps, _)| steps)))
            }
        }
    }

    /// As [`Bucket::write`], for one operation.
    pub fn write_one(
        &self,
        now_ms: u64,
        op: Op<'_>,
    ) -> Result<Pending<Result<Step, Conflict>>, StorageError> {
        Ok(first_of(self.write(now_ms, &Batch::one(op))?))
    }

    /// As [`Bucket::write`], with the values that its reads found, in order.
    pub fn write_and_read(
        &self,
        now_ms: u64,
        batch: &Batch<'_>,
    ) -> Result<Pending<DecidedAndRead>, StorageError> {
        match self {
            Bucket::Embedded(project) => embedded::write_and_read(project, now_ms, batch),
            Bucket::Etcd(bucket) => bucket.write(now_ms, batch, Values::Kept).map(Pending::now),
        }
    }

    /// Removes all keys that begin with `prefix`, and returns their number.
    ///
    /// # Errors
    /// [`StorageError`]; nothing has changed then, but for [`StorageError::PartlyCleared`] and
    /// [`StorageError::Unconfirmed`].
    pub fn clear(&self, now_ms: u64, prefix: &str) -> Result<Outcome<u64>, StorageError> {
        match self {
            Bucket::Embedded(project) => embedded::clear(project, now_ms, prefix),
            Bucket::Etcd(bucket) => bucket.clear(now_ms, prefix).map(Outcome::now),
        }
    }

    /// Passes some entries to `sink`, in key order. Blocks if values are wanted and lie on disk.
    ///
    /// # Errors
    /// [`StorageError`], also if a value cannot be read.
    pub fn scan(
        &self,
        now_ms: u64,
        scan: &Scan<'_>,
        sink: &mut dyn FnMut(Item<'_>),
    ) -> Result<Pending<Scanned>, StorageError> {
        match self {
            Bucket::Embedded(project) => embedded::scan(project, now_ms, scan, sink),
            Bucket::Etcd(bucket) => bucket.scan(now_ms, scan, sink).map(Pending::now),
        }
    }

    /// As [`Bucket::scan`], until the keys that are wanted are found or there are no more. `bytes_max` bounds each
    /// critical section only.
    pub fn scan_through(
        &self,
        now_ms: u64,
        scan: &Scan<'_>,
        sink: &mut dyn FnMut(Item<'_>),
    ) -> Result<Pending<ScanEnd>, StorageError> {
        let (mut after, mut keys, mut continuation) = (scan.after.map(str::to_owned), 0, scan.continuation);
        let mut earlier: Vec<Commit> = Vec::new();
        loop {
            let keys_max = scan.keys_max.map(|keys_max| keys_max - keys);
            let part = Scan { after: after.as_deref(), keys_max, continuation, ..*scan };
            let mut count = |item: Item<'_>| {
                keys += 1;
                sink(item);
            };
            let Pending { answer: scanned, commit } = self.scan(now_ms, &part, &mut count)?;
            if scanned.end != ScanEnd::Paused {
                // An earlier part may depend on a change that was rolled back since. A change that is still pending is
                // rolled back together with those that the last part depends on.
                let failed = earlier.iter().filter(|commit| !commit.is_pending()).find_map(Commit::failure);
                let commit = commit.or(earlier.into_iter().find(Commit::is_pending));
                return failed.map_or(Ok(Pending { answer: scanned.end, commit }), Err);
            }
            earlier.extend(commit.filter(|commit| {
                earlier.last().is_none_or(|last: &Commit| last.address() != commit.address())
            }));
            (after, continuation) = (scanned.last, scanned.continuation);
        }
    }

    /// The number of keys, and their bytes if the engine knows them.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn totals(&self, now_ms: u64) -> Result<Pending<BucketTotals>, StorageError> {
        match self {
            Bucket::Embedded(project) => project.read(now_ms, |view| {
                let Totals { keys, bytes } = view.totals();
                (BucketTotals { keys, bytes: Some(bytes) }, view.revision())
            }),
            Bucket::Etcd(bucket) => bucket.totals(now_ms).map(Pending::now),
        }
    }

    /// No revision until now is after this one.
    ///
    /// # Errors
    /// [`StorageError`]
    pub fn latest_revision(&self, now_ms: u64) -> Result<Revision, StorageError> {
        match self {
            Bucket::Embedded(project) => {
                Ok(project.read(now_ms, |view| (view.revision(), view.revision()))?.answer)
            }
            Bucket::Etcd(bucket) => bucket.latest_revision(),
        }
    }

    /// Waits until `commit` is resolved. Blocks.
    ///
    /// # Errors
    /// [`StorageError`] if its changes were rolled back.
    pub fn wait(&self, commit: Option<&Commit>) -> Result<(), StorageError> {
        if let Bucket::Embedded(project) = self {
            project.flush_and_confirm(commit);
        }
        commit.and_then(Commit::failure).map_or(Ok(()), Err)
    }

    /// What an operation may wait for.
    pub fn blocks(&self) -> Blocks {
        match self {
            Bucket::Embedded(project) if project.reads_disk() => Blocks::OnDisk,
            Bucket::Embedded(_) => Blocks::Never,
            Bucket::Etcd(bucket) => Blocks::OnCell(bucket.cell().index()),
        }
    }

    pub fn id(&self) -> &ProjectId {
        match self {
            Bucket::Embedded(project) => project.id(),
            Bucket::Etcd(bucket) => bucket.id(),
        }
    }

    pub fn is_healthy(&self) -> bool {
        match self {
            Bucket::Embedded(project) => embedded::is_healthy(project),
            Bucket::Etcd(_) => true,
        }
    }

    /// Whether it takes no writes until the server is restarted: a disk failed, or its files are no longer its own.
    pub fn has_failed(&self) -> bool {
        match self {
            Bucket::Embedded(project) => project.has_failed(),
            Bucket::Etcd(_) => false,
        }
    }

    /// Schedules a check of its files although nothing is written.
    pub fn look_at_files(&self, now: Instant) {
        if let Bucket::Embedded(project) = self {
            project.look_soon(now);
        }
    }

    /// Writes everything to its files and ends writing.
    pub fn close(&self, now_ms: u64, now: Instant) {
        if let Bucket::Embedded(project) = self {
            project.close(now_ms, now);
        }
    }
}

/// The result of the first operation of a batch.
pub(super) fn first_of(pending: Pending<Decided>) -> Pending<Result<Step, Conflict>> {
    let first = |steps: OneOrMany<Step>| steps.first().copied().unwrap_or(Step::Skipped);
    Pending { answer: pending.answer.map(first), commit: pending.commit }
}
