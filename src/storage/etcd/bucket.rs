//! A project on a cell: reads are linearizable, and every write is decided here and committed by one transaction that
//! compares what the decision depends on.

use super::cell::{Cell, CellError};
use super::gateway::{
    Bytes, Compare, Header, KeyValue, Operation, OperationResponse, Range, RangeResponse, Refused,
    Transaction, TransactionResponse,
};
use super::layout::{self, Layout, StoredEntry};
use crate::clock;
use crate::limits::{CELL_REQUEST_MS, CELL_SCAN_KEYS_MAX};
use crate::names::{Key, ProjectId};
use crate::storage::embedded::{self, DecidedAndRead, Found};
use crate::storage::read::{Item, Read, Scan, ScanEnd, Scanned};
use crate::store::batch::{Batch, OneOrMany, When};
use crate::store::change::{EntryMeta, Revision};
use crate::store::decide::{self, Entries, Existing, Step};
use crate::store::error::StorageError;
use crate::store::key_map::Totals;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The keys of a project on a cell, as its record was when it was read.
#[derive(Debug)]
pub struct EtcdBucket {
    cell: Arc<Cell>,
    layout: Layout,
    /// What every transaction requires: the fence, then the guards of [`EtcdBucket::requiring`].
    checks: Vec<Check>,
    fence: Fence,
}

/// The record of a project (`e/ID`), which every write of the record changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The number that is added to a revision of the cell, so that no revision of the project repeats.
    pub base: u64,
    pub mod_revision: i64,
}

/// A key that must be as it was.
#[derive(Clone, Debug)]
struct Check {
    key: Bytes,
    mod_revision: i64,
}

/// The entries that a batch is about, as they were at one moment.
struct Fetched<'r> {
    entries: BTreeMap<&'r str, FetchedEntry>,
    /// Keys of the project, if the batch bounds them.
    keys: u64,
    /// The latest revision of the cell.
    revision: Revision,
    now_ms: u64,
}

/// A key as the cell has it, also if its entry has expired.
struct FetchedEntry {
    mod_revision: i64,
    stored: Option<StoredEntry>,
}

/// What a key of a batch has afterwards.
enum After<'b> {
    Put(EntryMeta, &'b [u8]),
    Deleted,
}

impl Entries for Fetched<'_> {
    fn get(&self, key: Key<'_>) -> Option<Existing> {
        let stored = self.live(key.as_str())?;
        Some(Existing { meta: stored.meta, value_bytes: stored.value.len() })
    }

    fn keys(&self) -> u64 {
        self.keys
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

impl Fetched<'_> {
    fn live(&self, key: &str) -> Option<&StoredEntry> {
        let stored = self.entries.get(key)?.stored.as_ref()?;
        is_live(&stored.meta, self.now_ms).then_some(stored)
    }

    fn found(&self, key: &str) -> Option<Found> {
        self.live(key).map(|entry| Found::of_text(entry.meta, entry.value.clone()))
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
        let check = Check {
            key: other.layout.entry(key.as_str()),
            mod_revision: other.layout.mod_revision(revision),
        };
        let checks = self.checks.iter().cloned().chain([check]).collect();
        EtcdBucket { cell: Arc::clone(&self.cell), layout: self.layout.clone(), checks, fence: self.fence }
    }

    pub fn id(&self) -> &ProjectId {
        self.layout.id()
    }

    fn stale(&self) -> StorageError {
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
            Read::Found(Item { key: key.as_str(), meta, value: &value })
        } else {
            Read::Refused(meta)
        }))
    }

    /// The entries of the first of `keys`, at one moment.
    pub(crate) fn get_first(
        &self,
        now_ms: u64,
        keys: &[Key<'_>],
        bytes_max: usize,
    ) -> Result<Vec<Option<Found>>, StorageError> {
        let now_ms = self.cell.now_ms(now_ms);
        let keys: Vec<&str> = keys.iter().take(CELL_SCAN_KEYS_MAX).map(|key| key.as_str()).collect();
        let fetched = self.fetch(now_ms, &keys)?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        for key in keys {
            if bytes >= bytes_max {
                break;
            }
            bytes += fetched.live(key).map_or(0, |entry| entry.value.len());
            found.push(fetched.found(key));
        }
        Ok(found)
    }

    /// Does what `batch` asks for, or nothing of it. Returns the values that its reads found, too.
    ///
    /// # Errors
    /// [`StorageError`]. Nothing has changed then, except perhaps for [`StorageError::Unconfirmed`].
    pub(crate) fn write(&self, now_ms: u64, batch: &Batch<'_>) -> Result<DecidedAndRead, StorageError> {
        let now_ms = self.cell.now_ms(now_ms);
        let deadline = clock::monotonic() + Duration::from_millis(CELL_REQUEST_MS);
        let mut keys: Vec<&str> = batch.ops.iter().map(|op| op.key.as_str()).collect();
        keys.extend(batch.require.present.iter().map(|key| key.as_str()));
        keys.sort_unstable();
        keys.dedup();
        let reads = self.reads_of(&keys, batch.require.keys_max.is_some());
        let read = self.read(reads.clone())?;
        let mut fetched = self.fetched(now_ms, &keys, &read.header, read.responses)?;
        loop {
            let mut steps = match decide::decide(batch, &fetched, now_ms) {
                Ok(steps) => steps,
                Err(conflict) => return Ok(Err(conflict)),
            };
            let mut found = embedded::find(batch, &steps, |key| fetched.found(key.as_str()));
            let after = after(batch, &steps);
            if after.is_empty() {
                return Ok(Ok((steps, found)));
            }
            let transaction = self.transaction(&fetched, &after, reads.clone());
            let committed = self.cell.commit(&transaction)?;
            if committed.succeeded {
                let revision = self.revision(committed.header.revision)?;
                let steps_of_batch: &mut [Step] = match &mut steps {
                    OneOrMany::One(step) => std::slice::from_mut(step),
                    OneOrMany::Many(steps) => steps,
                };
                // Until now the revisions of changes were only later than all others.
                let is_new = |other: Revision| other > fetched.revision;
                for step in steps_of_batch {
                    match step {
                        Step::Put { meta, .. } | Step::Found(meta, _) if is_new(meta.revision) => {
                            meta.revision = revision;
                        }
                        Step::Deleted(deleted) => *deleted = revision,
                        Step::Put { .. } | Step::Found(..) | Step::Skipped | Step::Absent => {}
                    }
                }
                for found in found.iter_mut().filter(|found| is_new(found.meta.revision)) {
                    found.meta.revision = revision;
                }
                return Ok(Ok((steps, found)));
            }
            // Another client was faster, and the entries are now as the other branch has read them.
            let mut responses = committed.responses.into_iter();
            self.check(&mut responses)?;
            fetched = self.fetched(now_ms, &keys, &committed.header, responses)?;
            if clock::monotonic() >= deadline {
                return Err(StorageError::Busy);
            }
        }
    }

    /// Removes all keys that begin with `prefix`, and returns how many there were.
    pub(crate) fn clear(&self, now_ms: u64, prefix: &str) -> Result<u64, StorageError> {
        // Otherwise expired entries would be counted.
        super::sweep::sweep(&self.cell, self.cell.now_ms(now_ms))?;
        let key = self.layout.entry(prefix);
        let range_end = Some(key.prefix_end());
        let success = vec![Operation::DeleteRange { key, range_end }];
        let done =
            self.cell.commit(&Transaction { compare: self.compares(), success, failure: Vec::new() })?;
        if !done.succeeded {
            return Err(self.stale());
        }
        match done.responses.first() {
            Some(OperationResponse::DeleteRange(deleted)) => Ok(deleted.deleted),
            Some(OperationResponse::Range(_) | OperationResponse::Put(_)) | None => Err(unexpected()),
        }
    }

    /// Gives a page of entries to `sink`, in the order of their keys.
    pub(crate) fn scan(
        &self,
        now_ms: u64,
        scan: &Scan<'_>,
        sink: &mut dyn FnMut(Item<'_>),
    ) -> Result<Scanned, StorageError> {
        let now_ms = self.cell.now_ms(now_ms);
        let prefix = self.layout.entry(scan.prefix);
        let range_end = Some(prefix.prefix_end());
        // The key after `after` is the one with a zero byte more.
        let after = scan.after.map(|after| self.layout.entry(&format!("{after}\0")));
        let key = after.map_or(prefix.clone(), |after| after.max(prefix));
        let mut scanned = Scanned { last: None, end: ScanEnd::Exhausted };
        if range_end.as_ref().is_some_and(|end| key >= *end) {
            return Ok(scanned);
        }
        let keys_max = scan.keys_max.unwrap_or(usize::MAX);
        let limit = keys_max.saturating_add(1).min(CELL_SCAN_KEYS_MAX);
        let range = Range { key, range_end, limit: limit as i64, ..Range::default() };
        let page = self.range(range)?;
        let (mut keys, mut bytes) = (0, 0);
        if page.more {
            scanned.end = ScanEnd::Paused;
        }
        for stored in &page.kvs {
            let Some(key) = self.layout.key_of(&stored.key) else { return Err(unexpected()) };
            let StoredEntry { meta, value } = self.decode(stored)?;
            if is_live(&meta, now_ms) {
                if keys == keys_max {
                    scanned.end = ScanEnd::Limit;
                    break;
                }
                if bytes >= scan.bytes_max {
                    scanned.end = ScanEnd::Paused;
                    break;
                }
                keys += 1;
                bytes += key.len() + if scan.with_values { value.len() } else { 0 };
                sink(Item { key, meta, value: &value });
            }
            scanned.last = Some(key.to_owned());
        }
        Ok(scanned)
    }

    /// How many keys there are. Expired ones count until they are swept, and bytes are not known.
    pub(crate) fn totals(&self) -> Result<Totals, StorageError> {
        let range = Range { count_only: true, ..Range::prefix(self.layout.entry("")) };
        Ok(Totals { keys: self.range(range)?.count, bytes: 0 })
    }

    /// Reads if the record and the guards are as they were.
    fn read(&self, success: Vec<Operation>) -> Result<TransactionResponse, StorageError> {
        let transaction = Transaction { compare: self.compares(), success, failure: Vec::new() };
        let read = self.cell.read(&transaction)?;
        if read.succeeded { Ok(read) } else { Err(self.stale()) }
    }

    fn range(&self, range: Range) -> Result<RangeResponse, StorageError> {
        match self.read(vec![Operation::Range(range)])?.responses.into_iter().next() {
            Some(OperationResponse::Range(found)) => Ok(found),
            Some(OperationResponse::Put(_) | OperationResponse::DeleteRange(_)) | None => Err(unexpected()),
        }
    }

    fn compares(&self) -> Vec<Compare> {
        let unchanged = |check: &Check| Compare::unchanged(check.key.clone(), check.mod_revision);
        self.checks.iter().map(unchanged).collect()
    }

    /// Whether the record and the guards are as they were, which the first of `responses` tell.
    fn check(&self, responses: &mut impl Iterator<Item = OperationResponse>) -> Result<(), StorageError> {
        for check in &self.checks {
            let Some(OperationResponse::Range(found)) = responses.next() else { return Err(unexpected()) };
            let mod_revision = found.kvs.first().map_or(0, |stored| stored.mod_revision);
            if mod_revision != check.mod_revision {
                return Err(self.stale());
            }
        }
        Ok(())
    }

    /// The entries of `keys`, at one moment.
    fn fetch<'r>(&self, now_ms: u64, keys: &[&'r str]) -> Result<Fetched<'r>, StorageError> {
        let read = self.read(self.reads_of(keys, false))?;
        self.fetched(now_ms, keys, &read.header, read.responses)
    }

    /// What reads `keys`, and counts all keys of the project.
    fn reads_of(&self, keys: &[&str], counts: bool) -> Vec<Operation> {
        let reads = keys.iter().map(|key| Operation::Range(Range::key(self.layout.entry(key))));
        let count = Range { count_only: true, ..Range::prefix(self.layout.entry("")) };
        reads.chain(counts.then_some(Operation::Range(count))).collect()
    }

    /// The responses to [`EtcdBucket::reads_of`].
    fn fetched<'r>(
        &self,
        now_ms: u64,
        keys: &[&'r str],
        header: &Header,
        responses: impl IntoIterator<Item = OperationResponse>,
    ) -> Result<Fetched<'r>, StorageError> {
        let revision = self.revision(header.revision)?;
        let mut fetched = Fetched { entries: BTreeMap::new(), keys: 0, revision, now_ms };
        let mut responses = responses.into_iter();
        for key in keys {
            let Some(OperationResponse::Range(found)) = responses.next() else { return Err(unexpected()) };
            let entry = match found.kvs.first() {
                None => FetchedEntry { mod_revision: 0, stored: None },
                Some(stored) => {
                    FetchedEntry { mod_revision: stored.mod_revision, stored: Some(self.decode(stored)?) }
                }
            };
            fetched.entries.insert(key, entry);
        }
        if let Some(OperationResponse::Range(counted)) = responses.next() {
            fetched.keys = counted.count;
        }
        Ok(fetched)
    }

    /// The transaction that changes keys to `after`, if nothing that was fetched has changed. Otherwise it reads the
    /// keys of the checks, then `reads`.
    fn transaction(
        &self,
        fetched: &Fetched<'_>,
        after: &BTreeMap<&str, After<'_>>,
        reads: Vec<Operation>,
    ) -> Transaction {
        let unchanged = |(key, entry): (&&str, &FetchedEntry)| {
            Compare::unchanged(self.layout.entry(key), entry.mod_revision)
        };
        let compare = self.compares().into_iter().chain(fetched.entries.iter().map(unchanged)).collect();
        let mut success = Vec::new();
        for (key, after) in after {
            let stored = fetched.entries.get(key).and_then(|entry| entry.stored.as_ref());
            let expired_before = stored.and_then(|stored| stored.meta.expires_ms);
            let expires_after = match after {
                After::Put(meta, _) => meta.expires_ms,
                After::Deleted => None,
            };
            let key_of_entry = self.layout.entry(key);
            success.push(match after {
                After::Put(meta, value) => {
                    Operation::Put { key: key_of_entry, value: Layout::encode(*meta, value) }
                }
                After::Deleted => Operation::delete(key_of_entry),
            });
            if expired_before != expires_after {
                let delist = expired_before.map(|ms| Operation::delete(self.layout.expiry(ms, key)));
                let list = expires_after
                    .map(|ms| Operation::Put { key: self.layout.expiry(ms, key), value: Bytes::default() });
                success.extend(delist.into_iter().chain(list));
            }
        }
        let is_change = |(key, after): (&&str, &After<'_>)| {
            matches!(after, After::Put(..))
                || fetched.entries.get(key).is_some_and(|entry| entry.stored.is_some())
        };
        if !after.iter().any(is_change) {
            // It created a key and deleted it again.
            success.push(Operation::Put { key: self.layout.own_revision(), value: Bytes::default() });
        }
        let check =
            |check: &Check| Operation::Range(Range { keys_only: true, ..Range::key(check.key.clone()) });
        let failure = self.checks.iter().map(check).chain(reads).collect();
        Transaction { compare, success, failure }
    }

    fn decode(&self, stored: &KeyValue) -> Result<StoredEntry, StorageError> {
        self.layout.decode(stored.mod_revision, &stored.value).ok_or_else(|| {
            let key = String::from_utf8_lossy(&stored.key.0);
            log::error!("cell {}: `{key}` is not an entry that this version writes", self.cell.name());
            StorageError::Unread
        })
    }

    fn revision(&self, mod_revision: i64) -> Result<Revision, StorageError> {
        self.layout.revision(mod_revision).ok_or(StorageError::RevisionsUsedUp)
    }
}

fn is_live(meta: &EntryMeta, now_ms: u64) -> bool {
    meta.expires_ms.is_none_or(|expires_ms| expires_ms > now_ms)
}

/// What each key has after all `steps`: a transaction of etcd may change a key once.
fn after<'b>(batch: &'b Batch<'_>, steps: &[Step]) -> BTreeMap<&'b str, After<'b>> {
    let mut after = BTreeMap::new();
    for (op, step) in batch.ops.iter().zip(steps) {
        let after_op = match *step {
            Step::Put { meta, .. } => op.act.stored().map(|value| After::Put(meta, value)),
            Step::Deleted(_) => Some(After::Deleted),
            Step::Skipped | Step::Absent | Step::Found(..) => None,
        };
        after.extend(after_op.map(|after_op| (op.key.as_str(), after_op)));
    }
    after
}

fn unexpected() -> StorageError {
    StorageError::Unreachable { reason: "etcd returned another kind of answer than was asked for".to_owned() }
}

impl From<CellError> for StorageError {
    fn from(error: CellError) -> StorageError {
        let reason = error.to_string();
        match error {
            CellError::Refused(Refused::NoSpace) => StorageError::Full,
            CellError::Refused(Refused::TooLarge | Refused::TooManyOperations) => {
                StorageError::TooLarge { reason }
            }
            CellError::Unconfirmed { .. } | CellError::WrongCluster { .. } | CellError::Restored => {
                StorageError::Unconfirmed { reason }
            }
            CellError::Unreachable { .. } | CellError::Closed { .. } | CellError::Refused(_) => {
                StorageError::Unreachable { reason }
            }
        }
    }
}
