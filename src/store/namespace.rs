//! The keys of one project: what they hold now, what a change would be, and what it does.
//!
//! Time is an argument. The namespace remembers the latest instant up to which it has let keys
//! expire (its clock), so a clock that is set back brings nothing back to life.

use super::change::{Change, Meta, Revision, Value};
use super::entry::Entry;
use super::expiry::ExpiryIndex;
use crate::names::Key;
use std::collections::BTreeSet;
use std::ops::Bound;

/// All keys of a project, in the order of their bytes.
#[derive(Debug, Default)]
pub struct Namespace {
    entries: BTreeSet<Entry>,
    expiry: ExpiryIndex,
    revision: Revision,
    clock_ms: u64,
    counted_bytes: u64,
}

/// How many keys a project has, and the bytes of their names and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Keys that are not expired.
    pub keys: u64,
    /// Bytes of their names and minified values.
    pub bytes: u64,
}

/// What takes a change back. Undone in reverse order of the changes.
#[derive(Debug)]
pub enum Undo {
    /// The change did nothing, because a later one was there already.
    Nothing,
    /// The change made this key.
    Created(Box<str>),
    /// The change replaced or removed this entry.
    Gone(Entry),
    /// The change removed all these entries.
    Cleared(Vec<Entry>),
    /// The change emptied the namespace of these.
    Emptied(BTreeSet<Entry>),
    /// The change moved the clock on from here.
    Clock(u64),
}

impl Namespace {
    /// A namespace without keys whose next change gets the revision after `revision`.
    pub fn starting_at(revision: Revision, clock_ms: u64) -> Namespace {
        Namespace { revision, clock_ms, ..Namespace::default() }
    }

    /// Takes over entries that a checkpoint wrote, in key order. Faster than applying them one by one.
    pub fn with_entries(mut self, entries: Vec<Entry>) -> Namespace {
        for entry in &entries {
            self.revision = self.revision.max(entry.revision());
            self.counted_bytes += entry.counted_bytes();
            if let Some(expires_ms) = entry.expires_ms() {
                self.expiry.add(expires_ms, entry.key());
            }
        }
        self.entries = BTreeSet::from_iter(entries);
        self
    }

    /// The revision of the latest change.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The latest instant up to which keys were let expire, milliseconds since 1970.
    pub fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// The instant that counts: `now_ms`, or the namespace's clock where that is ahead.
    pub fn instant_ms(&self, now_ms: u64) -> u64 {
        now_ms.max(self.clock_ms)
    }

    /// The entry of `key`, where it is there at `now_ms`.
    pub fn get(&self, key: Key<'_>, now_ms: u64) -> Option<&Entry> {
        self.entries.get(key.as_str().as_bytes()).filter(|entry| is_live(entry, self.instant_ms(now_ms)))
    }

    /// The entries that begin with `prefix` and come after `after`, as far as they are there at `now_ms`.
    pub fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        now_ms: u64,
    ) -> impl Iterator<Item = &'a Entry> {
        let instant_ms = self.instant_ms(now_ms);
        self.stored_range(prefix, after).filter(move |entry| is_live(entry, instant_ms))
    }

    /// As [`Namespace::range`], with the entries that have expired and are not purged yet.
    pub fn stored_range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Entry> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.as_bytes()),
            Some(_) | None => Bound::Included(prefix.as_bytes()),
        };
        self.entries
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(move |entry| entry.key().starts_with(prefix))
    }

    /// How much there is at `now_ms`.
    pub fn totals(&self, now_ms: u64) -> Totals {
        let mut totals = Totals { keys: self.entries.len() as u64, bytes: self.counted_bytes };
        for key in self.expiry.expired(self.instant_ms(now_ms)) {
            totals.keys -= 1;
            totals.bytes -= self.entries.get(key.as_bytes()).map_or(0, Entry::counted_bytes);
        }
        totals
    }

    /// The clock change that is due before anything is answered at `now_ms`: a key has expired
    /// since the clock was last moved on. `None` where nothing has.
    pub fn decide_clock(&self, now_ms: u64) -> Option<Change<'static>> {
        let next_ms = self.expiry.first_after(self.clock_ms)?;
        let revision = self.revision.advanced(1)?;
        (next_ms <= now_ms).then_some(Change::Clock { at_ms: now_ms, revision })
    }

    /// The change that gives `key` a value at `now_ms`, for ever or for `ttl_ms`. A key that is
    /// there keeps its creation time. `None` where the revisions are used up.
    pub fn decide_put<'a>(
        &self,
        key: Key<'a>,
        value: Value<'a>,
        ttl_ms: Option<u64>,
        now_ms: u64,
    ) -> Option<Change<'a>> {
        let instant_ms = self.instant_ms(now_ms);
        let created_ms = self.get(key, now_ms).map_or(instant_ms, |entry| entry.meta().created_ms);
        let meta = Meta {
            revision: self.revision.advanced(1)?,
            created_ms,
            updated_ms: instant_ms,
            expires_ms: ttl_ms.map(|ttl_ms| instant_ms.saturating_add(ttl_ms)),
        };
        Some(Change::Put { key, value, meta })
    }

    /// When the next key expires that the clock has not passed yet.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.expiry.first_after(self.clock_ms)
    }

    /// Carries out `change`; the only mutation of what a namespace holds.
    pub fn apply(&mut self, change: &Change<'_>) -> Undo {
        self.revision = self.revision.max(change.revision());
        match *change {
            Change::Put { key, value, meta } => self.put(Entry::new(key, value, &meta)),
            Change::Delete { key, revision } => {
                match self.entries.get(key.as_str().as_bytes()) {
                    Some(entry) if entry.revision() < revision => {}
                    Some(_) | None => return Undo::Nothing,
                }
                self.take(key.as_str()).map_or(Undo::Nothing, Undo::Gone)
            }
            Change::Clear { prefix, revision } => self.clear(prefix, revision),
            Change::Clock { at_ms, .. } => {
                let before_ms = self.clock_ms;
                self.clock_ms = before_ms.max(at_ms);
                Undo::Clock(before_ms)
            }
        }
    }

    /// Takes back the change that `undo` came from. The revision stays used.
    pub fn revert(&mut self, undo: Undo) {
        match undo {
            Undo::Nothing => {}
            Undo::Created(key) => drop(self.take(&key)),
            Undo::Gone(entry) => {
                self.take(entry.key());
                self.insert(entry);
            }
            Undo::Cleared(entries) => entries.into_iter().for_each(|entry| self.insert(entry)),
            Undo::Emptied(entries) => entries.into_iter().for_each(|entry| self.insert(entry)),
            Undo::Clock(before_ms) => self.clock_ms = before_ms,
        }
    }

    /// Takes out up to `entries_max` entries that expired before the clock. Nobody can tell the
    /// difference, they were absent already, unless the clock itself is taken back: then
    /// [`Undo::Cleared`] puts them back.
    pub fn purge(&mut self, entries_max: usize) -> Vec<Entry> {
        let mut purged = Vec::new();
        while purged.len() < entries_max {
            let Some((expires_ms, key)) = self.expiry.first() else { break };
            if expires_ms > self.clock_ms {
                break;
            }
            let key = key.to_owned();
            let Some(entry) = self.take(&key) else { break };
            purged.push(entry);
        }
        purged
    }

    /// Lets the next change get a revision after `revision` at least.
    pub fn skip_to(&mut self, revision: Revision) {
        self.revision = self.revision.max(revision);
    }

    /// Puts a stored entry in the place of the one with the same key and revision, which is how a
    /// value's location moves to a new file. Does nothing where the key has changed since.
    pub fn relocate(&mut self, key: Key<'_>, revision: Revision, value: Value<'_>) {
        let Some(entry) = self.entries.get(key.as_str().as_bytes()) else { return };
        if entry.revision() == revision {
            let moved = Entry::new(key, value, &entry.meta());
            self.entries.replace(moved);
        }
    }

    fn put(&mut self, entry: Entry) -> Undo {
        let (expires_ms, revision, bytes) = (entry.expires_ms(), entry.revision(), entry.counted_bytes());
        let key: Box<str> = entry.key().into();
        let replaced = self.entries.replace(entry);
        if let Some(before) = &replaced {
            if before.revision() >= revision {
                self.entries.replace(before.clone());
                return Undo::Nothing;
            }
            self.counted_bytes -= before.counted_bytes();
            if let Some(expires_ms) = before.expires_ms() {
                self.expiry.remove(expires_ms, &key);
            }
        }
        self.counted_bytes += bytes;
        if let Some(expires_ms) = expires_ms {
            self.expiry.add(expires_ms, &key);
        }
        replaced.map_or(Undo::Created(key), Undo::Gone)
    }

    fn clear(&mut self, prefix: &str, revision: Revision) -> Undo {
        // Nothing is newer than the newest change, so nothing has to be looked at.
        let everything = prefix.is_empty() && self.revision == revision;
        if everything {
            self.expiry.clear();
            self.counted_bytes = 0;
            return Undo::Emptied(std::mem::take(&mut self.entries));
        }
        let older = self.stored_range(prefix, None).filter(|entry| entry.revision() < revision);
        let keys: Vec<Box<str>> = older.map(|entry| entry.key().into()).collect();
        Undo::Cleared(keys.iter().filter_map(|key| self.take(key)).collect())
    }

    fn insert(&mut self, entry: Entry) {
        self.counted_bytes += entry.counted_bytes();
        if let Some(expires_ms) = entry.expires_ms() {
            self.expiry.add(expires_ms, entry.key());
        }
        self.entries.insert(entry);
    }

    fn take(&mut self, key: &str) -> Option<Entry> {
        let entry = self.entries.take(key.as_bytes())?;
        self.counted_bytes -= entry.counted_bytes();
        if let Some(expires_ms) = entry.expires_ms() {
            self.expiry.remove(expires_ms, key);
        }
        Some(entry)
    }
}

fn is_live(entry: &Entry, instant_ms: u64) -> bool {
    entry.expires_ms().is_none_or(|expires_ms| expires_ms > instant_ms)
}

#[cfg(test)]
#[path = "namespace_tests.rs"]
mod tests;
