//! The keys of one project: their values, the expiry change that is due, and the effect of a change.
//!
//! Time is an argument. Expiry uses a watermark that is logged. Keys written before a watermark and expiring at or
//! before it are gone for good, even if the clock is set back; keys written later are judged by the current time.
//!
//! ```text
//! put ---> expiry: to expire --- clock ---> expired: gone, still in memory --- reclaim ---> freed
//!
//! clear ---> out of the index at once, in an Undo --- finalize ---> garbage --- free_some ---> freed
//! ```
//! Work that takes a step for each of many keys is done later, in slices.

use super::change::{Change, EntryMeta, Revision, Value};
use super::entry::{self, Entries, Entry, OwnedEntry};
use super::index::{Index, Start};
use super::run::{Packed, Run};
use super::times::{ExpiryWatermark, Times, UndoExpiry};
use crate::limits::{ENDED_COUNTED_MAX, ENDED_LOOKED_AT_MAX, ENTRIES_PER_LOCK_MAX, EXPIRY_WATERMARKS_MAX};
use crate::names::Key;

/// All keys of a project, in the order of their bytes.
#[derive(Debug, Default)]
pub struct KeyMap {
    entries: Index<Entries>,
    times: Times,
    revision: Revision,
    /// Cleared keys whose undo was neither finalized nor rolled back.
    clears_open: usize,
    /// What was cleared for good and is still in memory.
    garbage: Vec<Cleared>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    pub keys: u64,
    /// Bytes of their names and minified values.
    pub bytes: u64,
}

/// Reverts a change. Applied in reverse order of the changes.
#[derive(Debug)]
pub enum Undo {
    /// The change did nothing, because a later one was applied already.
    Nothing,
    Remove(Box<str>),
    Restore(OwnedEntry),
    /// The change removed all these entries one by one.
    RestoreEach(Vec<OwnedEntry>),
    /// The change removed all these entries together.
    RestoreAll(Box<Cleared>),
    Expiry(UndoExpiry),
}

#[derive(Debug)]
pub struct Cleared {
    entries: Index<Entries>,
    timers: Timers,
}

/// The timers of entries that were removed together.
#[derive(Debug)]
enum Timers {
    /// They were few, and are removed.
    Removed,
    /// They are here, because no others were left.
    Taken(Box<Times>),
    /// They are stale, and still among those of the key map.
    Left,
}

/// Memory to be freed outside of any lock.
#[derive(Debug)]
pub enum Freed {
    Entries(Run<Entries>),
    Cleared(Cleared),
}

impl KeyMap {
    /// A map without keys, whose next change gets the revision after `revision`.
    pub fn starting_at(revision: Revision, expired_until_ms: u64) -> KeyMap {
        KeyMap { revision, times: Times::starting_at(expired_until_ms), ..KeyMap::default() }
    }

    /// Adds the entries of a checkpoint, faster than one by one.
    pub fn with_entries(mut self, entries: Index<Entries>) -> KeyMap {
        for entry in entries.range(Start::At(b"")) {
            self.revision = self.revision.max(entry.revision());
            self.times.add(entry);
        }
        self.entries = entries;
        self
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The instant of the expiry watermark, milliseconds since 1970.
    pub fn expired_until_ms(&self) -> u64 {
        self.times.expired_until_ms()
    }

    /// The entry of `key`, if it exists at `now_ms`.
    pub fn get(&self, key: Key<'_>, now_ms: u64) -> Option<Entry<'_>> {
        self.entries.get(key.as_str().as_bytes()).filter(|entry| self.is_live(*entry, now_ms))
    }

    /// Whether `entry` of this map exists at `now_ms`; at 0, unless the watermark covers it.
    pub fn is_live(&self, entry: Entry<'_>, now_ms: u64) -> bool {
        entry.expires_ms().is_none_or(|expires_ms| expires_ms > now_ms && !self.times.have_expired(entry))
    }

    /// The entries that begin with `prefix`, come after `after` and exist at `now_ms`. Passes any number of others.
    pub fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        now_ms: u64,
    ) -> impl Iterator<Item = Entry<'a>> {
        self.stored_range(prefix, after).filter(move |entry| self.is_live(*entry, now_ms))
    }

    /// As [`KeyMap::range`], with the entries that have expired and are not reclaimed yet.
    pub fn stored_range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = Entry<'a>> {
        let start = match after {
            Some(after) if after >= prefix => Start::After(after.as_bytes()),
            Some(_) | None => Start::At(prefix.as_bytes()),
        };
        self.entries.range(start).take_while(move |entry| entry.key_bytes().starts_with(prefix.as_bytes()))
    }

    /// The keys that exist at `now_ms`. While many keys that had times to live and were cleared wait to be freed, this
    /// may include keys that have expired, if those are more than [`ENDED_COUNTED_MAX`].
    pub fn totals(&self, now_ms: u64) -> Totals {
        let (sums, (stale_keys, stale_bytes)) = (self.entries.sums(), self.times.stale());
        let (mut keys, mut bytes) = self.times.ended(now_ms);
        if stale_keys > 0 && keys <= ENDED_COUNTED_MAX {
            (keys, bytes) = self.expired_of("", now_ms);
        } else {
            keys = keys.saturating_sub(stale_keys);
            bytes = bytes.saturating_sub(stale_bytes);
        }
        Totals { keys: sums.keys - keys, bytes: sums.bytes - bytes }
    }

    /// The number of keys that begin with `prefix` and exist at `now_ms`. `None` if more than [`ENDED_LOOKED_AT_MAX`]
    /// have expired and are still in memory, because each of them would have to be examined.
    pub fn count(&self, prefix: &str, now_ms: u64) -> Option<u64> {
        let sums = self.entries.sums_of(prefix.as_bytes());
        let (ended, _) = self.times.ended(now_ms);
        match (sums.timed, ended) {
            (0, _) | (_, 0) => Some(sums.keys),
            (_, ..=ENDED_LOOKED_AT_MAX) => Some(sums.keys - self.expired_of(prefix, now_ms).0),
            (_, _) => None,
        }
    }

    /// The keys in memory, including those that have expired or were cleared and are not freed yet.
    pub fn totals_in_memory(&self) -> Totals {
        let sums = self.garbage.iter().map(|cleared| cleared.entries.sums()).chain([self.entries.sums()]);
        let none = Totals { keys: 0, bytes: 0 };
        sums.fold(none, |sum, of| Totals { keys: sum.keys + of.keys, bytes: sum.bytes + of.bytes })
    }

    /// The number of entries that begin with `prefix` and have expired at `now_ms`, and the bytes of their keys and
    /// values. Examines each timer that has ended.
    fn expired_of(&self, prefix: &str, now_ms: u64) -> (u64, u64) {
        let timers = self.times.ended_timers(now_ms).filter(|(timer, _)| timer.key.starts_with(prefix));
        let expired = timers.filter(|(timer, _)| self.has(timer.key, timer.revision));
        expired.fold((0, 0), |(keys, sum), (_, bytes)| (keys + 1, sum + bytes))
    }

    fn has(&self, key: &str, revision: Revision) -> bool {
        self.entries.get(key.as_bytes()).is_some_and(|entry| entry.revision() == revision)
    }

    /// The change that is due before any answer at `now_ms`: a key has expired that no watermark covers. `None` if no
    /// key has, and while too many earlier watermarks wait for their keys to be reclaimed.
    pub fn decide_expiry(&self, now_ms: u64) -> Option<Change<'static>> {
        let next_ms =
            self.next_expiry_ms().filter(|_| !self.times.are_watermarks_full(EXPIRY_WATERMARKS_MAX))?;
        let revision = self.revision.advanced(1)?;
        (next_ms <= now_ms).then_some(Change::ExpireUntil { at_ms: now_ms, revision })
    }

    /// When the next key expires that no watermark covers.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.times.next().map(|timer| timer.expires_ms)
    }

    /// Applies `change`. This is the only way to change the keys, live and in recovery.
    pub fn apply(&mut self, change: &Change<'_>) -> Undo {
        self.revision = self.revision.max(change.revision());
        match *change {
            Change::Put { key, value, meta } => self.put(key, value, &meta),
            Change::Delete { key, revision } => {
                match self.entries.get(key.as_str().as_bytes()) {
                    Some(entry) if entry.revision() < revision => {}
                    Some(_) | None => return Undo::Nothing,
                }
                self.take(key.as_str()).map_or(Undo::Nothing, Undo::Restore)
            }
            Change::Clear { prefix, revision } => self.clear(prefix, revision),
            Change::ExpireUntil { at_ms, revision } => self.advance(ExpiryWatermark { at_ms, revision }),
        }
    }

    /// Applies a change that nothing will roll back, and frees what it removed.
    pub fn apply_for_good(&mut self, change: &Change<'_>) {
        let undo = self.apply(change);
        self.finalize(undo);
        while self.free_some().is_some() {}
    }

    /// Reverts the change that returned `undo`. Its revision stays used.
    pub fn rollback(&mut self, undo: Undo) {
        match undo {
            Undo::Nothing => {}
            Undo::Remove(key) => drop(self.take(&key)),
            Undo::Restore(entry) => {
                self.take(entry.view().key());
                self.insert(entry.view());
            }
            Undo::RestoreEach(entries) => entries.iter().for_each(|entry| self.insert(entry.view())),
            Undo::RestoreAll(cleared) => {
                self.clears_open -= 1;
                let Cleared { entries, timers } = *cleared;
                match timers {
                    Timers::Removed => entries.timed().for_each(|entry| self.times.add(entry)),
                    Timers::Taken(times) => self.times = *times,
                    Timers::Left => {
                        self.times.discount_stale(entries.sums().timed, entries.sums().timed_bytes);
                    }
                }
                self.entries.put_back(entries);
            }
            Undo::Expiry(undo) => self.times.forget(undo),
        }
    }

    /// Makes the change that returned `undo` final. Keys that were cleared become garbage, which is freed in slices;
    /// any other undo is returned, to be freed by the caller.
    pub fn finalize(&mut self, undo: Undo) -> Option<Undo> {
        match undo {
            Undo::RestoreAll(cleared) => {
                self.clears_open -= 1;
                self.garbage.push(*cleared);
                None
            }
            Undo::Nothing | Undo::Remove(_) | Undo::Restore(_) | Undo::RestoreEach(_) | Undo::Expiry(_) => {
                Some(undo)
            }
        }
    }

    /// Removes some garbage, to be freed outside of any lock. `None` if there is none.
    pub fn free_some(&mut self) -> Option<Freed> {
        let garbage = self.garbage.last_mut()?;
        if !matches!(garbage.timers, Timers::Left) {
            return self.garbage.pop().map(Freed::Cleared);
        }
        let Some(entries) = garbage.entries.pop_run() else {
            self.garbage.pop();
            return self.free_some();
        };
        entries.entries().for_each(|entry| self.times.remove_stale(entry));
        if garbage.entries.sums().keys == 0 {
            self.garbage.pop();
        }
        Some(Freed::Entries(entries))
    }

    /// Removes up to `entries_max` entries that a watermark up to revision `until` covers. If that watermark is final,
    /// no reader can tell: they were absent already. Returns the number of timers that it removed.
    pub fn reclaim(&mut self, entries_max: usize, until: Revision) -> usize {
        for count in 0..entries_max {
            let Some(timer) = self.times.first_ended(until) else { return count };
            let is_stale = !self.has(timer.key, timer.revision);
            if is_stale && self.clears_open > 0 {
                return count; // the entry may come back
            }
            let Some((key, bytes)) = self.times.pop_ended(until) else { return count };
            match is_stale {
                true => self.times.discount_stale(1, bytes),
                false => drop(self.entries.remove(key.as_bytes())),
            }
        }
        entries_max
    }

    /// Whether there are entries that a watermark covers.
    pub fn has_ended(&self) -> bool {
        self.times.first_ended(Revision::MAX).is_some()
    }

    /// Makes the next change get a revision after `revision`.
    pub fn skip_to(&mut self, revision: Revision) {
        self.revision = self.revision.max(revision);
    }

    /// Replaces a value by its location, or that by another location, unless the key has changed since `revision`.
    /// Returns the revision of the key's entry.
    pub fn relocate(&mut self, key: Key<'_>, revision: Revision, value: Value<'_>) -> Option<Revision> {
        let entry = self.entries.get(key.as_str().as_bytes())?;
        let (found, meta) = (entry.revision(), entry.meta());
        if found == revision {
            let mut packed = Vec::with_capacity(entry::packed_bytes_max(key, value));
            entry::pack(key, value, &meta, &mut packed);
            self.entries.update(Entry::of(&packed));
        }
        Some(found)
    }

    fn put(&mut self, key: Key<'_>, value: Value<'_>, meta: &EntryMeta) -> Undo {
        let before = self.entries.get(key.as_str().as_bytes());
        if before.is_some_and(|before| before.revision() >= meta.revision) {
            return Undo::Nothing;
        }
        let replaced = self.write(key, value, meta);
        if let Some(replaced) = &replaced {
            self.times.remove(replaced.view());
        }
        if meta.expires_ms.is_some()
            && let Some(entry) = self.entries.get(key.as_str().as_bytes())
        {
            self.times.add(entry);
        }
        replaced.map_or_else(|| Undo::Remove(key.as_str().into()), Undo::Restore)
    }

    fn write(&mut self, key: Key<'_>, value: Value<'_>, meta: &EntryMeta) -> Option<OwnedEntry> {
        let mut packed = Vec::with_capacity(entry::packed_bytes_max(key, value));
        entry::pack(key, value, meta, &mut packed);
        self.entries.replace(Entry::of(&packed)).map(OwnedEntry::of)
    }

    fn advance(&mut self, watermark: ExpiryWatermark) -> Undo {
        if self.revision == watermark.revision {
            return Undo::Expiry(self.times.advance(watermark));
        }
        // Only a recovery has a change that is not the newest: it affects only older entries.
        let until =
            self.times.running_until(watermark.at_ms).filter(|timer| timer.revision <= watermark.revision);
        let keys: Vec<Box<str>> = until.map(|timer| timer.key.into()).collect();
        Undo::RestoreEach(keys.iter().filter_map(|key| self.take(key)).collect())
    }

    fn clear(&mut self, prefix: &str, revision: Revision) -> Undo {
        if self.revision != revision {
            // As above.
            let older = self.stored_range(prefix, None).filter(|entry| entry.revision() < revision);
            let keys: Vec<Box<str>> = older.map(|entry| entry.key().into()).collect();
            return Undo::RestoreEach(keys.iter().filter_map(|key| self.take(key)).collect());
        }
        // Nothing is newer than the newest change, so nothing has to be looked at.
        let entries = self.entries.take_range(prefix.as_bytes());
        let sums = entries.sums();
        let timers = if sums.timed <= ENTRIES_PER_LOCK_MAX as u64 {
            entries.timed().for_each(|entry| self.times.remove(entry));
            Timers::Removed
        } else if self.times.are_all(sums.timed) {
            Timers::Taken(Box::new(self.times.take_all()))
        } else {
            self.times.add_stale(sums.timed, sums.timed_bytes);
            Timers::Left
        };
        self.clears_open += 1;
        Undo::RestoreAll(Box::new(Cleared { entries, timers }))
    }

    fn insert(&mut self, entry: Entry) {
        self.times.add(entry);
        self.entries.replace(entry);
    }

    fn take(&mut self, key: &str) -> Option<OwnedEntry> {
        let entry = OwnedEntry::of(self.entries.take(key.as_bytes())?);
        self.times.remove(entry.view());
        Some(entry)
    }
}

#[cfg(test)]
#[path = "key_map_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "key_map_model_tests.rs"]
mod model_tests;
