//! The keys of one project: what they hold now, what a change would be, and what it does.
//!
//! Time is an argument. A change of the clock ends every key written before it that expires until
//! then, so a clock that is set back brings nothing back to life; what is written later counts from
//! the time that it is then, so a clock that was ahead once spoils nothing.
//!
//! ```text
//! put ---> expiry: to expire --- clock ---> expired: gone, still in memory --- purge ---> freed
//! ```

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
    /// The entries with a time to live that `seen` does not end.
    expiry: ExpiryIndex,
    /// Those that it ends.
    expired: ExpiryIndex,
    revision: Revision,
    seen: Seen,
    counted_bytes: u64,
}

/// The latest change of the clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    at_ms: u64,
    revision: Revision,
}

impl Seen {
    /// Whether `entry` was there at the change and is gone since.
    fn ends(self, entry: &Entry) -> bool {
        entry.expires_ms().is_some_and(|expires_ms| expires_ms <= self.at_ms)
            && entry.revision() <= self.revision
    }
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
    /// The change emptied the namespace of these. Their times are here only to be freed where the
    /// entries are.
    Emptied(BTreeSet<Entry>, Box<[ExpiryIndex; 2]>),
    /// The change of the clock came after this one.
    Clock {
        /// The change before.
        before: Seen,
        /// What that one had ended and was freed.
        purged: Vec<Entry>,
    },
}

impl Namespace {
    /// A namespace without keys whose next change gets the revision after `revision`, and whose
    /// clock was last changed to `clock_ms`.
    pub fn starting_at(revision: Revision, clock_ms: u64) -> Namespace {
        let seen = Seen { at_ms: clock_ms, revision: Revision::default() };
        Namespace { revision, seen, ..Namespace::default() }
    }

    /// Takes over entries that a checkpoint wrote, in key order. Faster than applying them one by one.
    pub fn with_entries(mut self, entries: Vec<Entry>) -> Namespace {
        for entry in &entries {
            self.revision = self.revision.max(entry.revision());
            self.counted_bytes += entry.counted_bytes();
            if let Some(expires_ms) = entry.expires_ms() {
                self.expiry.add(expires_ms, entry.key(), entry.counted_bytes());
            }
        }
        self.entries = BTreeSet::from_iter(entries);
        self
    }

    /// The revision of the latest change.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The instant of the latest change of the clock, milliseconds since 1970.
    pub fn clock_ms(&self) -> u64 {
        self.seen.at_ms
    }

    /// The entry of `key`, where it is there at `now_ms`.
    pub fn get(&self, key: Key<'_>, now_ms: u64) -> Option<&Entry> {
        self.entries.get(key.as_str().as_bytes()).filter(|entry| self.is_live(entry, now_ms))
    }

    /// Whether `entry` of this namespace is there at `now_ms`; at 0 whatever was not seen to expire.
    pub fn is_live(&self, entry: &Entry, now_ms: u64) -> bool {
        entry.expires_ms().is_none_or(|expires_ms| expires_ms > now_ms) && !self.seen.ends(entry)
    }

    /// The entries that begin with `prefix` and come after `after`, as far as they are there at `now_ms`.
    /// Passes any number of others.
    pub fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        now_ms: u64,
    ) -> impl Iterator<Item = &'a Entry> {
        self.stored_range(prefix, after).filter(move |entry| self.is_live(entry, now_ms))
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
        let gone = [self.expired.expired(u64::MAX), self.expiry.expired(now_ms)];
        let [(gone_keys, gone_bytes), (expired_keys, expired_bytes)] = gone;
        Totals {
            keys: self.entries.len() as u64 - gone_keys - expired_keys,
            bytes: self.counted_bytes - gone_bytes - expired_bytes,
        }
    }

    /// The clock change that is due before anything is answered at `now_ms`: a key has expired that
    /// no change of the clock has ended. `None` where none has.
    pub fn decide_clock(&self, now_ms: u64) -> Option<Change<'static>> {
        let next_ms = self.next_expiry_ms()?;
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
        let created_ms = self.get(key, now_ms).map_or(now_ms, |entry| entry.meta().created_ms);
        let meta = Meta {
            revision: self.revision.advanced(1)?,
            created_ms,
            updated_ms: now_ms,
            expires_ms: ttl_ms.map(|ttl_ms| now_ms.saturating_add(ttl_ms)),
        };
        Some(Change::Put { key, value, meta })
    }

    /// When the next key expires that no change of the clock has ended.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.expiry.first().map(|(expires_ms, _)| expires_ms)
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
            Change::Clock { at_ms, revision } => self.see(Seen { at_ms, revision }),
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
            Undo::Emptied(entries, _) => entries.into_iter().for_each(|entry| self.insert(entry)),
            Undo::Clock { before, purged } => {
                self.seen = before;
                for key in std::mem::take(&mut self.expired).expired_keys(u64::MAX) {
                    let Some(entry) = self.entries.get(key.as_bytes()) else { continue };
                    let Some(expires_ms) = entry.expires_ms() else { continue };
                    let index = if before.ends(entry) { &mut self.expired } else { &mut self.expiry };
                    index.add(expires_ms, key, entry.counted_bytes());
                }
                purged.into_iter().for_each(|entry| self.insert(entry));
            }
        }
    }

    /// Takes out up to `entries_max` entries that a change of the clock has ended. Nobody can tell the
    /// difference, they were absent already, unless that change is taken back: then
    /// [`Undo::Cleared`] puts them back.
    pub fn purge(&mut self, entries_max: usize) -> Vec<Entry> {
        let mut purged = Vec::new();
        while purged.len() < entries_max {
            let Some(key) = self.expired.first().map(|(_, key)| key.to_owned()) else { break };
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
        let (key, is_gone) = (Box::<str>::from(entry.key()), self.seen.ends(&entry));
        let replaced = self.entries.replace(entry);
        if let Some(before) = &replaced {
            if before.revision() >= revision {
                self.entries.replace(before.clone());
                return Undo::Nothing;
            }
            self.discount(before);
        }
        self.counted_bytes += bytes;
        if let Some(expires_ms) = expires_ms {
            let index = if is_gone { &mut self.expired } else { &mut self.expiry };
            index.add(expires_ms, &key, bytes);
        }
        replaced.map_or(Undo::Created(key), Undo::Gone)
    }

    fn see(&mut self, seen: Seen) -> Undo {
        // One that is not the newest, which only a recovery meets, ends what is older and no more.
        if self.revision != seen.revision {
            let is_ended =
                |key: &&str| self.entries.get(key.as_bytes()).is_some_and(|entry| seen.ends(entry));
            let keys = self.expiry.expired_keys(seen.at_ms).filter(is_ended).map(Box::from);
            let keys: Vec<Box<str>> = keys.collect();
            return Undo::Cleared(keys.iter().filter_map(|key| self.take(key)).collect());
        }
        let newly = self.expiry.take_expired(seen.at_ms);
        // `seen` says for all of `expired` that it is gone. Where it could not, because the clock was set
        // back within the second that a sweep takes, what the change before had ended goes at once.
        let holds_for_all = seen.at_ms >= self.seen.at_ms && self.expired.precedes(&newly);
        let purged = if holds_for_all { Vec::new() } else { self.purge(usize::MAX) };
        self.expired.append(newly);
        Undo::Clock { before: std::mem::replace(&mut self.seen, seen), purged }
    }

    fn clear(&mut self, prefix: &str, revision: Revision) -> Undo {
        // Nothing is newer than the newest change, so nothing has to be looked at.
        let everything = prefix.is_empty() && self.revision == revision;
        if everything {
            self.counted_bytes = 0;
            let times = [&mut self.expiry, &mut self.expired].map(std::mem::take);
            return Undo::Emptied(std::mem::take(&mut self.entries), Box::new(times));
        }
        let older = self.stored_range(prefix, None).filter(|entry| entry.revision() < revision);
        let keys: Vec<Box<str>> = older.map(|entry| entry.key().into()).collect();
        Undo::Cleared(keys.iter().filter_map(|key| self.take(key)).collect())
    }

    fn insert(&mut self, entry: Entry) {
        self.counted_bytes += entry.counted_bytes();
        if let Some(expires_ms) = entry.expires_ms() {
            self.times_of(&entry).add(expires_ms, entry.key(), entry.counted_bytes());
        }
        self.entries.insert(entry);
    }

    fn take(&mut self, key: &str) -> Option<Entry> {
        let entry = self.entries.take(key.as_bytes())?;
        self.discount(&entry);
        Some(entry)
    }

    /// Takes an entry that is gone from `entries` out of what is counted and expires.
    fn discount(&mut self, entry: &Entry) {
        self.counted_bytes -= entry.counted_bytes();
        if let Some(expires_ms) = entry.expires_ms() {
            self.times_of(entry).remove(expires_ms, entry.key());
        }
    }

    /// The index that `entry` is in, or belongs into, where it has a time to live.
    fn times_of(&mut self, entry: &Entry) -> &mut ExpiryIndex {
        if self.seen.ends(entry) { &mut self.expired } else { &mut self.expiry }
    }
}

#[cfg(test)]
#[path = "namespace_tests.rs"]
mod tests;
