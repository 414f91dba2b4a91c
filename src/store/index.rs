//! The entries of a namespace in the order of their keys.
//!
//! They lie in runs of up to [`RUN_ENTRIES_MAX`], each with its sums. So a range is counted, removed and
//! inserted again with a step for each run: less than a millisecond for ten million entries.

use super::entry::Entry;
use crate::limits::RUN_ENTRIES_MAX;
use std::collections::VecDeque;

/// Entries in key order, each key once.
#[derive(Debug, Default)]
pub struct Index {
    /// In order, none of them empty.
    runs: VecDeque<Run>,
    sums: Sums,
}

/// What some entries hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many there are.
    pub keys: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// How many have a time to live.
    pub timed: u64,
    /// Bytes of the keys and values of those.
    pub timed_bytes: u64,
}

#[derive(Debug, Default)]
struct Run {
    entries: Vec<Entry>,
    sums: Sums,
}

/// A position in an index: a run, and an entry in it.
type Position = (usize, usize);

impl Index {
    /// What all entries hold together.
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// The entry of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        let run = self.runs.get(self.run_of(key))?;
        run.entries.get(run.position(key).ok()?)
    }

    /// Inserts `entry` and returns the one of the same key that it replaces.
    pub fn replace(&mut self, entry: Entry) -> Option<Entry> {
        let added = Sums::of(&entry);
        let at = self.run_of(entry.key_bytes());
        let Some(run) = self.runs.get_mut(at) else {
            self.sums.add(added);
            self.runs.push_back(Run { entries: vec![entry], sums: added });
            return None;
        };
        let position = run.position(entry.key_bytes());
        self.sums.add(added);
        match position {
            Ok(position) => {
                run.sums.add(added);
                let replaced = run.entries.get_mut(position).map(|slot| std::mem::replace(slot, entry))?;
                let removed = Sums::of(&replaced);
                run.sums.remove(removed);
                self.sums.remove(removed);
                Some(replaced)
            }
            Err(position) => {
                self.insert(at, position, entry, added);
                None
            }
        }
    }

    /// Removes and returns the entry of `key`.
    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let at = self.run_of(key);
        let run = self.runs.get_mut(at)?;
        let entry = run.entries.remove(run.position(key).ok()?);
        let removed = Sums::of(&entry);
        run.sums.remove(removed);
        self.sums.remove(removed);
        if run.entries.len() < RUN_ENTRIES_MAX / 4 {
            self.merge(at);
        }
        Some(entry)
    }

    /// The entries from `from` on; from after it with [`Start::After`].
    pub fn range(&self, from: Start<'_>) -> impl Iterator<Item = &Entry> {
        let (at, position) = self.find(|key| from.is_before(key));
        let first = self.runs.get(at).and_then(|run| run.entries.get(position..)).unwrap_or_default();
        first.iter().chain(self.runs.iter().skip(at + 1).flat_map(|run| &run.entries))
    }

    /// The entries that have a time to live. Passes runs without one as a whole.
    pub fn timed(&self) -> impl Iterator<Item = &Entry> {
        let runs = self.runs.iter().filter(|run| run.sums.timed > 0);
        runs.flat_map(|run| &run.entries).filter(|entry| entry.expires_ms().is_some())
    }

    /// What the entries that begin with `prefix` hold together.
    pub fn sums_of(&self, prefix: &[u8]) -> Sums {
        let ((from, first), (to, last)) = (self.find(before(prefix)), self.find(up_to(prefix)));
        let part = |at: usize, range: std::ops::Range<usize>| {
            let entries = self.runs.get(at).and_then(|run| run.entries.get(range)).unwrap_or_default();
            entries.iter().map(Sums::of).fold(Sums::default(), Sums::with)
        };
        if from == to {
            return part(from, first..last);
        }
        let length = self.runs.get(from).map_or(0, |run| run.entries.len());
        let whole = self.runs.iter().skip(from + 1).take(to - from - 1);
        whole.map(|run| run.sums).fold(part(from, first..length).with(part(to, 0..last)), Sums::with)
    }

    /// Removes and returns the entries that begin with `prefix`.
    pub fn take_range(&mut self, prefix: &[u8]) -> Index {
        let from = self.cut(before(prefix));
        let to = self.cut(up_to(prefix));
        let runs: VecDeque<Run> = self.runs.drain(from..to).collect();
        let sums = runs.iter().map(|run| run.sums).fold(Sums::default(), Sums::with);
        self.sums.remove(sums);
        self.merge(from);
        Index { runs, sums }
    }

    /// Inserts the entries of `range`, which [`Index::take_range`] removed. There are none between them.
    pub fn put_back(&mut self, mut range: Index) {
        let Some(first) = range.runs.front().and_then(Run::first) else { return };
        let at = self.cut(before(first));
        let mut behind = self.runs.split_off(at);
        self.sums.add(range.sums);
        self.runs.append(&mut range.runs);
        self.runs.append(&mut behind);
    }

    /// Inserts an entry whose key is after all others, which costs less; any other as well.
    pub fn push(&mut self, entry: Entry) {
        let last = self.runs.back().and_then(|run| run.entries.last());
        if last.is_some_and(|last| last.key_bytes() >= entry.key_bytes()) {
            self.replace(entry);
            return;
        }
        let added = Sums::of(&entry);
        self.sums.add(added);
        match self.runs.back_mut().filter(|run| run.entries.len() < RUN_ENTRIES_MAX) {
            Some(run) => run.insert(run.entries.len(), entry, added),
            None => self.runs.push_back(Run { entries: vec![entry], sums: added }),
        }
    }

    /// Removes and returns the last entries, as many as one run has; none if there are none.
    pub fn pop_some(&mut self) -> Vec<Entry> {
        let Some(run) = self.runs.pop_back() else { return Vec::new() };
        self.sums.remove(run.sums);
        run.entries
    }

    fn insert(&mut self, at: usize, position: usize, entry: Entry, added: Sums) {
        let Some(run) = self.runs.get_mut(at) else { return };
        if run.entries.len() < RUN_ENTRIES_MAX {
            return run.insert(position, entry, added);
        }
        // Keys are often written in order: a run that is full stays so.
        let middle = if position == RUN_ENTRIES_MAX { position } else { RUN_ENTRIES_MAX / 2 };
        let mut behind = run.split_off(middle);
        match position.checked_sub(middle) {
            Some(position) => behind.insert(position, entry, added),
            None => run.insert(position, entry, added),
        }
        self.runs.insert(at + 1, behind);
    }

    /// The run that `key` is in, or belongs into.
    fn run_of(&self, key: &[u8]) -> usize {
        let begins = |run: &Run| run.first().is_some_and(|first| first <= key);
        self.runs.partition_point(begins).saturating_sub(1)
    }

    /// The first entry that is not before what `is_before` compares with.
    fn find(&self, is_before: impl Fn(&[u8]) -> bool) -> Position {
        let at = self.runs.partition_point(|run| run.first().is_some_and(&is_before)).saturating_sub(1);
        let position = self
            .runs
            .get(at)
            .map_or(0, |run| run.entries.partition_point(|entry| is_before(entry.key_bytes())));
        (at, position)
    }

    /// Has a run begin at the first entry that is not before, and returns that run.
    fn cut(&mut self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        let (at, position) = self.find(is_before);
        let Some(run) = self.runs.get_mut(at) else { return at };
        if position == 0 {
            return at;
        }
        if position < run.entries.len() {
            let behind = run.split_off(position);
            self.runs.insert(at + 1, behind);
        }
        at + 1
    }

    /// Joins a run with the one before or after it if both fit into three quarters of one, and removes an
    /// empty one.
    fn merge(&mut self, at: usize) {
        if self.runs.get(at).is_some_and(|run| run.entries.is_empty()) {
            self.runs.remove(at);
        }
        for before in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            let length = |at: usize| self.runs.get(at).map_or(RUN_ENTRIES_MAX, |run| run.entries.len());
            if length(before) + length(before + 1) > RUN_ENTRIES_MAX / 4 * 3 {
                continue;
            }
            let Some(behind) = self.runs.remove(before + 1) else { return };
            if let Some(run) = self.runs.get_mut(before) {
                run.sums.add(behind.sums);
                run.entries.extend(behind.entries);
            }
        }
    }
}

/// Where a range begins.
#[derive(Clone, Copy, Debug)]
pub enum Start<'k> {
    /// With this key.
    At(&'k [u8]),
    /// After this key.
    After(&'k [u8]),
}

impl Start<'_> {
    fn is_before(self, key: &[u8]) -> bool {
        match self {
            Start::At(from) => key < from,
            Start::After(from) => key <= from,
        }
    }
}

fn before(prefix: &[u8]) -> impl Fn(&[u8]) -> bool {
    move |key| key < prefix
}

fn up_to(prefix: &[u8]) -> impl Fn(&[u8]) -> bool {
    move |key| key < prefix || key.starts_with(prefix)
}

impl Run {
    fn first(&self) -> Option<&[u8]> {
        self.entries.first().map(Entry::key_bytes)
    }

    fn position(&self, key: &[u8]) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.key_bytes().cmp(key))
    }

    fn insert(&mut self, at: usize, entry: Entry, added: Sums) {
        self.sums.add(added);
        self.entries.insert(at, entry);
    }

    fn split_off(&mut self, at: usize) -> Run {
        let entries = self.entries.split_off(at);
        let sums = entries.iter().map(Sums::of).fold(Sums::default(), Sums::with);
        self.sums.remove(sums);
        Run { entries, sums }
    }
}

impl Sums {
    fn of(entry: &Entry) -> Sums {
        let bytes = entry.counted_bytes();
        let timed = entry.expires_ms().is_some();
        Sums { keys: 1, bytes, timed: u64::from(timed), timed_bytes: if timed { bytes } else { 0 } }
    }

    fn with(mut self, other: Sums) -> Sums {
        self.add(other);
        self
    }

    fn add(&mut self, other: Sums) {
        self.keys += other.keys;
        self.bytes += other.bytes;
        self.timed += other.timed;
        self.timed_bytes += other.timed_bytes;
    }

    fn remove(&mut self, other: Sums) {
        self.keys -= other.keys;
        self.bytes -= other.bytes;
        self.timed -= other.timed;
        self.timed_bytes -= other.timed_bytes;
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
