//! The entries that a batch is about, fetched at one moment.

use super::bucket::{EtcdBucket, is_live, range_of, values_allowed};
use super::gateway::{Operation, OperationResponse, Range, RangeResponse};
use crate::limits::{CELL_FETCHED_KEYS_MAX, CELL_PIECE_KEYS_MAX};
use crate::names::Key;
use crate::storage::embedded::Found;
use crate::store::change::{EntryMeta, Revision};
use crate::store::decide::{Entries, Existing};
use crate::store::error::StorageError;
use std::collections::BTreeMap;

/// Entries as they were at one moment.
pub(super) struct Fetched<'r> {
    pub(super) entries: BTreeMap<&'r str, FetchedEntry>,
    /// Keys of the project, if they were counted.
    pub(super) keys: u64,
    /// The latest revision of the cell.
    pub(super) revision: Revision,
    /// The same as the cell has it.
    cell_revision: i64,
    now_ms: u64,
    /// Bytes of the values.
    pub(super) bytes: u64,
    /// Bytes of those that have not expired.
    live_bytes: u64,
}

/// A key as the cell has it, also if its entry has expired.
pub(super) struct FetchedEntry {
    pub(super) mod_revision: i64,
    pub(super) stored: Option<FetchedValue>,
}

pub(super) struct FetchedValue {
    pub(super) meta: EntryMeta,
    bytes: usize,
    /// `None` if it is not wanted.
    value: Option<Vec<u8>>,
}

/// Which keys to fetch.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'k, 'r> {
    pub(super) keys: &'k [&'r str],
    pub(super) values: Values,
    /// Whether all keys of the project are counted, too.
    pub(super) counts: bool,
    /// Once the values of keys that exist have more bytes, the other keys are not fetched.
    pub(super) bytes_max: u64,
}

/// What is done with the values that are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Kept,
    Dropped,
}

impl Entries for Fetched<'_> {
    fn get(&self, key: Key<'_>) -> Option<Existing> {
        let stored = self.live(key.as_str())?;
        Some(Existing { meta: stored.meta, value_bytes: stored.bytes })
    }

    fn keys(&self) -> u64 {
        self.keys
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

impl Fetched<'_> {
    fn live(&self, key: &str) -> Option<&FetchedValue> {
        let stored = self.entries.get(key)?.stored.as_ref()?;
        is_live(&stored.meta, self.now_ms).then_some(stored)
    }

    pub(super) fn found(&self, key: &str) -> Option<Found> {
        let stored = self.live(key)?;
        Some(Found::of_text(stored.meta, stored.value.clone().unwrap_or_default()))
    }
}

impl EtcdBucket {
    /// The entries of the first of `keys`, at one moment.
    pub(crate) fn get_first(
        &self,
        now_ms: u64,
        keys: &[Key<'_>],
        bytes_max: usize,
    ) -> Result<Vec<Option<Found>>, StorageError> {
        let keys: Vec<&str> = keys.iter().take(CELL_PIECE_KEYS_MAX).map(|key| key.as_str()).collect();
        let wanted = Wanted { keys: &keys, values: Values::Kept, counts: false, bytes_max: bytes_max as u64 };
        let fetched = self.fetch(self.cell.now_ms(now_ms), wanted)?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        for key in keys {
            if bytes >= bytes_max || !fetched.entries.contains_key(key) {
                break;
            }
            bytes += fetched.live(key).map_or(0, |entry| entry.bytes);
            found.push(fetched.found(key));
        }
        Ok(found)
    }

    /// Fetches the keys that are `wanted`, in their order. Several requests show the state at the first of them.
    pub(super) fn fetch<'r>(&self, now_ms: u64, wanted: Wanted<'_, 'r>) -> Result<Fetched<'r>, StorageError> {
        let mut keys_at_once = CELL_FETCHED_KEYS_MAX;
        let mut fetched: Option<Fetched<'r>> = None;
        let mut rest = wanted.keys;
        loop {
            let (keys, later) = rest.split_at_checked(keys_at_once).unwrap_or((rest, &[]));
            // The count comes with the first keys.
            let counts = wanted.counts && fetched.is_none();
            let revision = fetched.as_ref().map_or(0, |fetched| fetched.cell_revision);
            let read = match self.request(self.reads_of(keys, counts, revision), values_allowed(keys.len())) {
                Ok(read) => read,
                Err(error) if error.is_of_size(keys.len()) => {
                    keys_at_once = keys.len().div_ceil(8);
                    continue;
                }
                Err(error) => return Err(self.failed(error)),
            };
            let part = Wanted { keys, counts, ..wanted };
            let mut all = match fetched.take() {
                Some(fetched) => fetched,
                None => self.nothing_at(read.header.revision, now_ms)?,
            };
            self.add(&mut all, part, read.responses)?;
            rest = later;
            if rest.is_empty() || all.live_bytes > wanted.bytes_max {
                return Ok(all);
            }
            fetched = Some(all);
        }
    }

    /// What reads `keys`, and counts all keys of the project, as of a revision of the cell, or now if it is 0.
    pub(super) fn reads_of(&self, keys: &[&str], counts: bool, revision: i64) -> Vec<Operation> {
        let read = |key: &&str| Operation::Range(Range { revision, ..Range::key(self.layout.entry(key)) });
        let count = Range { count_only: true, revision, ..Range::prefix(self.layout.entry("")) };
        keys.iter().map(read).chain(counts.then_some(Operation::Range(count))).collect()
    }

    /// The responses to [`EtcdBucket::reads_of`], after a request after which the cell was at `revision`.
    pub(super) fn fetched<'r>(
        &self,
        now_ms: u64,
        wanted: Wanted<'_, 'r>,
        revision: i64,
        responses: impl IntoIterator<Item = OperationResponse>,
    ) -> Result<Fetched<'r>, StorageError> {
        let mut fetched = self.nothing_at(revision, now_ms)?;
        self.add(&mut fetched, wanted, responses)?;
        Ok(fetched)
    }

    fn nothing_at<'r>(&self, cell_revision: i64, now_ms: u64) -> Result<Fetched<'r>, StorageError> {
        let revision = self.revision(cell_revision)?;
        Ok(Fetched {
            entries: BTreeMap::new(),
            keys: 0,
            revision,
            cell_revision,
            now_ms,
            bytes: 0,
            live_bytes: 0,
        })
    }

    fn add<'r>(
        &self,
        fetched: &mut Fetched<'r>,
        wanted: Wanted<'_, 'r>,
        responses: impl IntoIterator<Item = OperationResponse>,
    ) -> Result<(), StorageError> {
        let mut responses = responses.into_iter();
        for key in wanted.keys {
            let entry = self.entry(range_of(responses.next())?, wanted.values)?;
            if let Some(stored) = &entry.stored {
                fetched.bytes += stored.bytes as u64;
                let is_live = is_live(&stored.meta, fetched.now_ms);
                fetched.live_bytes += if is_live { stored.bytes as u64 } else { 0 };
            }
            fetched.entries.insert(key, entry);
        }
        if wanted.counts {
            fetched.keys = range_of(responses.next())?.count;
        }
        Ok(())
    }

    fn entry(&self, mut found: RangeResponse, values: Values) -> Result<FetchedEntry, StorageError> {
        let Some(mut stored) = found.kvs.pop() else {
            return Ok(FetchedEntry { mod_revision: 0, stored: None });
        };
        let entry = self.decode(&stored)?;
        let (meta, bytes) = (entry.meta, entry.value.len());
        let value = (values == Values::Kept).then(|| {
            // The value is the end of what is stored.
            stored.value.0.drain(..stored.value.0.len() - bytes);
            std::mem::take(&mut stored.value.0)
        });
        Ok(FetchedEntry {
            mod_revision: stored.mod_revision,
            stored: Some(FetchedValue { meta, bytes, value }),
        })
    }
}
