//! Copies the keys of a bucket to another one, of any engine, and compares two.
//!
//! Values and times stay, revisions are new ones. Keys that have expired are left out. No other writer may change either
//! bucket meanwhile.

use super::bucket::Bucket;
use super::read::{Continuation, Item, Scan, ScanEnd};
use crate::clock;
use crate::limits::{
    COPY_BATCH_BYTES, COPY_BATCH_KEYS, COPY_BATCH_OPERATIONS_FEW, COPY_RETRY_MS, COPY_RETRY_PAUSE_MS,
    PROJECT_ID_BYTES_MAX,
};
use crate::names::KeyError;
use crate::store::batch::{Batch, Op, Otherwise};
use crate::store::change::EntryMeta;
use crate::store::error::StorageError;
use sha2::{Digest as _, Sha256};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The clock of this machine, milliseconds since 1970.
pub type Clock<'c> = &'c dyn Fn() -> u64;

/// What two buckets have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    pub keys: u64,
    /// SHA-256 over the keys, in their order, with values and times.
    pub hash: [u8; 32],
}

/// Why keys were not copied, or are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyError {
    Read(StorageError),
    Write {
        /// The first key of the batch.
        key: String,
        error: StorageError,
    },
    /// A key is not one that the other bucket may have.
    Key {
        key: String,
        error: KeyError,
    },
    /// A key is in one bucket only, or has another value or other times there.
    Different {
        key: String,
    },
}

/// An entry that was read.
#[derive(Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub meta: EntryMeta,
    pub value: Vec<u8>,
}

/// The entries of a bucket in key order, page by page, without those that have expired.
pub(crate) struct Entries<'b> {
    bucket: &'b Bucket,
    now: Clock<'b>,
    page: VecDeque<Entry>,
    after: Option<String>,
    continuation: Continuation,
    is_last_page: bool,
}

/// Keys that wait to be written, and what is known of the bucket that takes them.
struct Writer<'b> {
    to: &'b Bucket,
    now: Clock<'b>,
    batch: Vec<Entry>,
    bytes: usize,
    operations: usize,
    operations_max: usize,
    /// Keys that the bucket takes at once. Halved each time that it refuses a batch.
    keys_max: usize,
}

/// Copies all keys of `from` to `to`, which has none. Returns how many.
///
/// # Errors
/// [`CopyError`]. A part of the keys may be copied then.
pub fn copy(from: &Bucket, to: &Bucket, now: Clock<'_>) -> Result<u64, CopyError> {
    let mut entries = Entries::of(from, now);
    let mut writer = Writer::new(to, now);
    let mut keys = 0;
    while let Some(entry) = entries.next().map_err(CopyError::Read)? {
        writer.push(entry)?;
        keys += 1;
    }
    writer.flush()?;
    Ok(keys)
}

/// Compares the keys, values and times of two buckets, but not their revisions. A key that expires meanwhile may have
/// been removed from one of them.
///
/// # Errors
/// [`CopyError::Different`] names the first key that is not the same in both.
pub fn compare(one: &Bucket, other: &Bucket, now: Clock<'_>) -> Result<Digest, CopyError> {
    let (mut ones, mut others) = (Entries::of(one, now), Entries::of(other, now));
    let (mut keys, mut hash) = (0, Sha256::new());
    let mut pair = (ones.next().map_err(CopyError::Read)?, others.next().map_err(CopyError::Read)?);
    loop {
        let order = match &pair {
            (None, None) => return Ok(Digest { keys, hash: hash.finalize().into() }),
            (Some(one), Some(other)) => one.key.cmp(&other.key),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
        };
        match &pair {
            (Some(one), Some(other)) if one.is_same(other) => {
                one.update(&mut hash);
                keys += 1;
            }
            (mine, theirs) => {
                let now_ms = now_of(one, now()).max(now_of(other, now()));
                let mine = mine.iter().filter(|_| order != Ordering::Greater);
                let theirs = theirs.iter().filter(|_| order != Ordering::Less);
                if let Some(entry) = mine.chain(theirs).find(|entry| !entry.has_expired(now_ms)) {
                    return Err(CopyError::Different { key: entry.key.clone() });
                }
            }
        }
        if order != Ordering::Greater {
            pair.0 = ones.next().map_err(CopyError::Read)?;
        }
        if order != Ordering::Less {
            pair.1 = others.next().map_err(CopyError::Read)?;
        }
    }
}

/// The time for the entries of `bucket`, if the clock of this machine shows `own_ms`.
fn now_of(bucket: &Bucket, own_ms: u64) -> u64 {
    match bucket {
        Bucket::Embedded(_) => own_ms,
        Bucket::Etcd(bucket) => bucket.cell().now_ms(own_ms),
    }
}

impl<'b> Writer<'b> {
    fn new(to: &'b Bucket, now: Clock<'b>) -> Writer<'b> {
        let operations_max = match to {
            Bucket::Etcd(bucket) if bucket.cell().has_few_operations() => COPY_BATCH_OPERATIONS_FEW,
            Bucket::Etcd(_) | Bucket::Embedded(_) => 2 * COPY_BATCH_KEYS,
        };
        let (batch, keys_max) = (Vec::new(), COPY_BATCH_KEYS);
        Writer { to, now, batch, bytes: 0, operations: 0, operations_max, keys_max }
    }

    fn push(&mut self, entry: Entry) -> Result<(), CopyError> {
        let (bytes, operations) = (self.bytes + entry.bytes(), self.operations + entry.operations());
        if self.batch.len() == self.keys_max || bytes > COPY_BATCH_BYTES || operations > self.operations_max {
            self.flush()?;
        }
        self.bytes += entry.bytes();
        self.operations += entry.operations();
        self.batch.push(entry);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CopyError> {
        let batch = std::mem::take(&mut self.batch);
        (self.bytes, self.operations) = (0, 0);
        let mut rest = batch.as_slice();
        while let Some(first) = rest.first() {
            let (part, others) = rest.split_at(self.keys_max.min(rest.len()));
            match self.write(part)? {
                Ok(()) => rest = others,
                // The operations of a transaction, or its bytes, are bounded by flags of etcd.
                Err(StorageError::TooLarge | StorageError::TooManyOperations) if part.len() > 1 => {
                    self.keys_max = part.len() / 2;
                }
                Err(error) => return Err(CopyError::Write { key: first.key.clone(), error }),
            }
        }
        Ok(())
    }

    fn write(&self, entries: &[Entry]) -> Result<Result<(), StorageError>, CopyError> {
        let rule = self.to.id().key_rule();
        let ops = entries.iter().map(|entry| match rule.parse(&entry.key) {
            Ok(key) => Ok(Op::restore(key, &entry.value, entry.meta)),
            Err(error) => Err(CopyError::Key { key: entry.key.clone(), error }),
        });
        let batch = Batch::many(ops.collect::<Result<_, _>>()?, Otherwise::Abort);
        // It has the same effect each time, so it may be repeated after an unknown outcome.
        Ok(persistently(|| {
            let written = self.to.write((self.now)(), &batch)?;
            self.to.wait(written.commit.as_ref())
        }))
    }
}

/// Repeats `act`, which has the same effect each time, while a cell elects a leader or a queue is full.
fn persistently<T>(mut act: impl FnMut() -> Result<T, StorageError>) -> Result<T, StorageError> {
    let deadline = clock::monotonic() + Duration::from_millis(COPY_RETRY_MS);
    loop {
        match act() {
            Err(
                StorageError::Busy
                | StorageError::Contended
                | StorageError::Unreachable { .. }
                | StorageError::Unconfirmed { .. },
            ) if clock::monotonic() < deadline => {
                std::thread::sleep(Duration::from_millis(COPY_RETRY_PAUSE_MS));
            }
            acted => return acted,
        }
    }
}

impl<'b> Entries<'b> {
    pub(crate) fn of(bucket: &'b Bucket, now: Clock<'b>) -> Entries<'b> {
        let (page, continuation) = (VecDeque::new(), Continuation::default());
        Entries { bucket, now, page, after: None, continuation, is_last_page: false }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Entry>, StorageError> {
        while self.page.is_empty() && !self.is_last_page {
            self.page = persistently(|| self.read_page())?;
        }
        Ok(self.page.pop_front())
    }

    fn read_page(&mut self) -> Result<VecDeque<Entry>, StorageError> {
        let after = self.after.as_deref();
        let (bytes_max, continuation) = (COPY_BATCH_BYTES, self.continuation);
        let scan = Scan { after, bytes_max, continuation, ..Scan::under("") };
        let mut page = VecDeque::new();
        let mut sink = |item: Item<'_>| {
            let (key, value) = (item.key.to_owned(), item.value.to_vec());
            page.push_back(Entry { key, meta: item.meta, value });
        };
        let scanned = self.bucket.scan((self.now)(), &scan, &mut sink)?;
        self.bucket.wait(scanned.commit.as_ref())?;
        self.is_last_page = scanned.answer.end == ScanEnd::Exhausted;
        self.continuation = scanned.answer.continuation;
        self.after = scanned.answer.last.or(self.after.take());
        Ok(page)
    }
}

impl Entry {
    /// Operations that it adds to a transaction of a cell: the entry, and the listing of its expiry.
    fn operations(&self) -> usize {
        if self.meta.expires_ms.is_some() { 2 } else { 1 }
    }

    /// Bytes that it adds to a transaction of a cell, at most: its key is in the condition, the write, the listing, and what is
    /// read if the condition fails.
    fn bytes(&self) -> usize {
        self.value.len() + 4 * (self.key.len() + PROJECT_ID_BYTES_MAX) + 128
    }

    fn is_same(&self, other: &Entry) -> bool {
        self.key == other.key && self.value == other.value && self.times() == other.times()
    }

    fn has_expired(&self, now_ms: u64) -> bool {
        self.meta.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms)
    }

    fn times(&self) -> [u64; 3] {
        [self.meta.created_ms, self.meta.updated_ms, self.meta.expires_ms.unwrap_or(0)]
    }

    fn update(&self, hash: &mut Sha256) {
        for text in [self.key.as_bytes(), &self.value] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        self.times().iter().for_each(|instant_ms| hash.update(instant_ms.to_be_bytes()));
    }
}

impl fmt::Display for Digest {
    /// The hash, abbreviated for a person who compares two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hash.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyError::Read(error) => write!(f, "The keys cannot be read: {error}"),
            CopyError::Write { key, error } => write!(f, "Key `{key}` is not copied: {error}"),
            CopyError::Key { key, error } => {
                write!(f, "Key `{key}` is not copied, because it {}", error.predicate())
            }
            CopyError::Different { key } => write!(f, "Key `{key}` is not the same in both places."),
        }
    }
}

impl std::error::Error for CopyError {}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
