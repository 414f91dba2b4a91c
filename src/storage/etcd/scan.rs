//! Listings: pages of entries in the order of their keys, all at the revision of the first page.
//!
//! etcd has no limit in bytes, so the number of keys that a request asks for follows the sizes seen so far, and an
//! answer that is too long is asked for again in parts.

use super::bucket::{EtcdBucket, RequestError, is_live, range_of, values_allowed};
use super::cell::CellError;
use super::gateway::{Bytes, Operation, Range, RangeResponse, Refused};
use super::layout::{self, StoredEntry};
use crate::limits::{
    CELL_DUE_KEYS_MAX, CELL_FIRST_KEYS_MAX, CELL_PAGE_BYTES, CELL_PAGE_KEYS_MAX, CELL_PAGE_NAMES_MAX,
    ENTRIES_PER_LOCK_MAX,
};
use crate::storage::read::{Continuation, Item, Parts, Scan, ScanEnd, Scanned};
use crate::store::change::EntryMeta;
use crate::store::error::StorageError;
use std::collections::BTreeSet;

/// How much of a scan is done.
struct Progress {
    scanned: Scanned,
    /// Live entries.
    keys: usize,
    /// Entries, also expired ones.
    passed: usize,
    bytes: usize,
}

/// A page as the cell returned it.
struct Page {
    found: RangeResponse,
    /// Whether the stored entries are complete, or only their keys.
    has_values: bool,
}

impl EtcdBucket {
    /// Passes entries to `sink`, in the order of their keys.
    pub(crate) fn scan(
        &self,
        now_ms: u64,
        scan: &Scan<'_>,
        sink: &mut dyn FnMut(Item<'_>),
    ) -> Result<Scanned, StorageError> {
        let now_ms = self.cell.now_ms(now_ms);
        let prefix = self.layout.entry(scan.prefix);
        let range_end = prefix.prefix_end();
        let mut from = scan.after.map_or(prefix.clone(), |after| self.layout.entry(after).next().max(prefix));
        let scanned = Scanned { last: None, end: ScanEnd::Exhausted, continuation: scan.continuation };
        let mut progress = Progress { scanned, keys: 0, passed: 0, bytes: 0 };
        while from < range_end {
            let left = scan.keys_max.map(|keys_max| keys_max.saturating_sub(progress.keys).saturating_add(1));
            let range = Range { key: from, range_end: Some(range_end.clone()), ..Range::default() };
            let page = self.page(now_ms, scan, range, left, &mut progress.scanned.continuation)?;
            if self.pass(now_ms, scan, &page, &mut progress, sink)? || !page.found.more {
                break;
            }
            let Some(last) = page.found.kvs.last() else { break };
            // Of another page most would not fit.
            if progress.passed >= ENTRIES_PER_LOCK_MAX || progress.bytes >= scan.bytes_max / 4 * 3 {
                progress.scanned.end = ScanEnd::Paused;
                break;
            }
            from = last.key.next();
        }
        Ok(progress.scanned)
    }

    /// Passes the entries of `page` to `sink`. Returns whether the scan ends before the end of the page.
    fn pass(
        &self,
        now_ms: u64,
        scan: &Scan<'_>,
        page: &Page,
        progress: &mut Progress,
        sink: &mut dyn FnMut(Item<'_>),
    ) -> Result<bool, StorageError> {
        let mut last = None;
        let mut end = None;
        for stored in &page.found.kvs {
            let Some(key) = self.layout.key_of(&stored.key) else { return Err(super::bucket::unexpected()) };
            let StoredEntry { meta, value } = match page.has_values {
                true => self.decode(stored)?,
                // It has not expired.
                false => StoredEntry { meta: self.meta_of_name(stored.mod_revision)?, value: b"" },
            };
            if is_live(&meta, now_ms) {
                if scan.keys_max == Some(progress.keys) {
                    end = Some(ScanEnd::Limit);
                    break;
                }
                if progress.bytes >= scan.bytes_max {
                    end = Some(ScanEnd::Paused);
                    break;
                }
                progress.keys += 1;
                progress.bytes += key.len() + if scan.parts == Parts::Values { value.len() } else { 0 };
                sink(Item { key, meta, value });
            }
            progress.passed += 1;
            last = Some(key);
        }
        if let Some(last) = last {
            progress.scanned.last = Some(last.to_owned());
        }
        progress.scanned.end = end.unwrap_or(ScanEnd::Exhausted);
        Ok(end.is_some())
    }

    /// Reads the first keys of `range`, at most `keys_max`.
    fn page(
        &self,
        now_ms: u64,
        scan: &Scan<'_>,
        range: Range,
        keys_max: Option<usize>,
        continuation: &mut Continuation,
    ) -> Result<Page, StorageError> {
        let mut has_values = scan.parts != Parts::Names;
        if continuation.keys == 0 {
            // Names have a bound, values have none that is worth the memory.
            continuation.keys = if has_values { CELL_FIRST_KEYS_MAX } else { CELL_PAGE_NAMES_MAX };
        }
        loop {
            let at_once_max = if has_values { CELL_PAGE_KEYS_MAX } else { CELL_PAGE_NAMES_MAX };
            let keys = continuation.keys.min(keys_max.unwrap_or(usize::MAX)).clamp(1, at_once_max);
            let revision = continuation.revision;
            let entries = Range { revision, keys_only: !has_values, ..range.clone() }.at_most(keys);
            let due = Range { revision, ..layout::due(now_ms, CELL_DUE_KEYS_MAX) };
            let reads = [entries].into_iter().chain((!has_values).then_some(due)).map(Operation::Range);
            match self.request(reads.collect(), values_allowed(keys)) {
                Ok(read) => {
                    let mut responses = read.responses.into_iter();
                    let found = range_of(responses.next())?;
                    if !has_values && self.may_have_expired(&found, &range_of(responses.next())?) {
                        has_values = true;
                        continue;
                    }
                    if revision == 0 {
                        continuation.revision = read.header.revision;
                    }
                    continuation.keys = keys_of_next(&found, keys, scan.bytes_max.min(CELL_PAGE_BYTES));
                    return Ok(Page { found, has_values });
                }
                // What is older is gone. The present is as good as any other moment.
                Err(RequestError::Cell(CellError::Refused(Refused::Compacted))) if revision != 0 => {
                    continuation.revision = 0;
                }
                Err(error) if has_values && error.is_of_size(keys) => continuation.keys = keys.div_ceil(8),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Whether one of the keys that were `found` may have expired, given the listed expiries that are due. A listing may
    /// be older than the entry, so only the entry can tell.
    fn may_have_expired(&self, found: &RangeResponse, due: &RangeResponse) -> bool {
        let own: BTreeSet<Bytes> =
            due.kvs.iter().filter_map(|listed| self.layout.entry_of_expiry(&listed.key)).collect();
        due.more || !own.is_empty() && found.kvs.iter().any(|stored| own.contains(&stored.key))
    }

    /// What a scan for names returns beside a name.
    fn meta_of_name(&self, mod_revision: i64) -> Result<EntryMeta, StorageError> {
        let revision = self.revision(mod_revision)?;
        Ok(EntryMeta { revision, created_ms: 0, updated_ms: 0, expires_ms: None })
    }
}

/// How many keys to ask for after a page of at most `keys`, so that they have about `bytes_wanted`. Grows slowly, because
/// larger values may follow.
fn keys_of_next(found: &RangeResponse, keys: usize, bytes_wanted: usize) -> usize {
    let bytes: usize = found.kvs.iter().map(|stored| stored.key.0.len() + stored.value.0.len()).sum();
    let fitting = bytes_wanted.checked_mul(found.kvs.len()).and_then(|total| total.checked_div(bytes));
    fitting.unwrap_or(keys).min(keys.saturating_mul(4)).max(1)
}
