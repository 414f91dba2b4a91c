//! Writes: decided here on fetched entries, then committed by one transaction that compares what the decision depends
//! on. If it has changed, the same transaction reads it again.

use super::bucket::{Check, EtcdBucket};
use super::fetch::{Fetched, FetchedEntry, Values, Wanted};
use super::gateway::{Bytes, Compare, Operation, Range, Transaction};
use super::layout::Layout;
use crate::clock;
use crate::limits::{CELL_COMMIT_MS_MIN, CELL_FETCHED_KEYS_MAX, CELL_PAGE_BYTES_MAX, CELL_REQUEST_MS};
use crate::storage::embedded::{self, DecidedAndRead, Found};
use crate::store::batch::{Act, Batch, OneOrMany, Op, Require, When};
use crate::store::change::{EntryMeta, Revision};
use crate::store::decide::{self, Step};
use crate::store::error::StorageError;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a key of a batch has afterwards.
enum After<'b> {
    Put(EntryMeta, &'b [u8]),
    Deleted,
}

impl EtcdBucket {
    /// Does what `batch` asks for, or nothing of it. Returns the values that its reads found, too, unless they are
    /// [`Values::Dropped`].
    ///
    /// # Errors
    /// [`StorageError`]. Nothing has changed then, except perhaps for [`StorageError::Unconfirmed`].
    pub(crate) fn write(
        &self,
        now_ms: u64,
        batch: &Batch<'_>,
        values: Values,
    ) -> Result<DecidedAndRead, StorageError> {
        let now_ms = self.cell.now_ms(now_ms);
        let deadline = clock::monotonic() + Duration::from_millis(CELL_REQUEST_MS);
        let keys = keys_of(batch);
        let wanted = Wanted {
            keys: &keys,
            values: if values == Values::Kept && reads(batch) { Values::Kept } else { Values::Dropped },
            counts: batch.require.keys_max.is_some(),
            bytes_max: bytes_max(batch),
        };
        let mut fetched = self.fetch(now_ms, wanted)?;
        loop {
            let mut steps = match decide::decide(batch, &fetched, now_ms) {
                Ok(steps) => steps,
                Err(conflict) => return Ok(Err(conflict)),
            };
            let mut found = match wanted.values {
                Values::Kept => embedded::find(batch, &steps, |key| fetched.found(key.as_str())),
                Values::Dropped => Vec::new(),
            };
            let after = after(batch, &steps);
            if after.is_empty() {
                return Ok(Ok((steps, found)));
            }
            self.check_writable()?;
            // A long answer would be cut, and then it would be unknown which branch was applied.
            let reads = (keys.len() <= CELL_FETCHED_KEYS_MAX
                && fetched.bytes <= CELL_PAGE_BYTES_MAX as u64 / 2)
                .then(|| self.reads_of(&keys, wanted.counts, 0));
            let has_read = reads.is_some();
            let transaction = self.transaction(&fetched, &after, reads.unwrap_or_default());
            let committed = self.commit(&transaction, ms_left(deadline))?;
            if committed.succeeded {
                let revision = self.revision(committed.header.revision)?;
                renumber(&mut steps, &mut found, fetched.revision, revision);
                return Ok(Ok((steps, found)));
            }
            // Another client was faster.
            let mut responses = committed.responses.into_iter();
            self.check(&mut responses)?;
            if clock::monotonic() >= deadline {
                return Err(StorageError::Contended);
            }
            fetched = match has_read {
                true => self.fetched(now_ms, wanted, committed.header.revision, responses)?,
                false => self.fetch(now_ms, wanted)?,
            };
        }
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
        Transaction { compare, success, failure: self.checks.iter().map(check).chain(reads).collect() }
    }
}

/// How long a commit may take so that the answer is in time. A commit that is not waited for would only be unconfirmed.
fn ms_left(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(clock::monotonic());
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(CELL_COMMIT_MS_MIN)
}

/// The keys of `batch`, each once, in the order in which it is decided.
fn keys_of<'r>(batch: &Batch<'r>) -> Vec<&'r str> {
    let required = batch.require.present.iter().map(|key| key.as_str());
    let mut keys: Vec<&str> = required.chain(batch.ops.iter().map(|op| op.key.as_str())).collect();
    if keys.len() > 1 {
        let mut known = BTreeSet::new();
        keys.retain(|key| known.insert(*key));
    }
    keys
}

fn reads(batch: &Batch<'_>) -> bool {
    batch.ops.iter().any(|op| matches!(op.act, Act::Get))
}

/// Once the values of the first keys have more bytes, `batch` is refused whatever the others are.
fn bytes_max(batch: &Batch<'_>) -> u64 {
    let reads = |op: &Op<'_>| {
        let When { matches, matches_none } = op.when;
        matches!(op.act, Act::Get) && matches.is_none() && matches_none.is_none()
    };
    let Require { present, read_bytes_max, memory_bytes_max, .. } = batch.require;
    // Then each key that exists is read at least once. The first value may exceed one of the bounds.
    let reads_all = present.is_none() && batch.ops.iter().all(reads);
    if reads_all { memory_bytes_max.max(read_bytes_max) } else { u64::MAX }
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

/// Gives all changes the revision of their transaction. Until now theirs are only later than `before`.
fn renumber(steps: &mut OneOrMany<Step>, found: &mut [Found], before: Revision, revision: Revision) {
    let steps: &mut [Step] = match steps {
        OneOrMany::One(step) => std::slice::from_mut(step),
        OneOrMany::Many(steps) => steps,
    };
    for step in steps {
        match step {
            Step::Put { meta, .. } | Step::Found(meta, _) if meta.revision > before => {
                meta.revision = revision;
            }
            Step::Deleted(deleted) => *deleted = revision,
            Step::Put { .. } | Step::Found(..) | Step::Skipped | Step::Absent => {}
        }
    }
    for found in found.iter_mut().filter(|found| found.meta.revision > before) {
        found.meta.revision = revision;
    }
}
