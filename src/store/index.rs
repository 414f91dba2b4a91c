//! Entries in key order.
//!
//! They lie in runs, each with its sums. Counting, removing or inserting a range takes one step for each run, less than
//! a millisecond for ten million entries.

use super::run::{Kind, Packed, Run, Sums, slot_bytes};
use crate::limits::{MERGED_BYTES_MAX, MERGED_ENTRIES_MAX, PAGE_BYTES};
use std::collections::VecDeque;
use std::ops::Range;

/// Entries in key order, each key once.
#[derive(Debug)]
pub struct Index<K> {
    /// In order, none of them empty.
    runs: VecDeque<Run<K>>,
    sums: Sums,
}

/// The beginning of a range.
#[derive(Clone, Copy, Debug)]
pub enum Start<'k> {
    At(&'k [u8]),
    After(&'k [u8]),
}

/// A position in an index: a run, and an entry in it.
type Position = (usize, usize);

impl<K> Default for Index<K> {
    fn default() -> Index<K> {
        Index { runs: VecDeque::new(), sums: Sums::default() }
    }
}

impl<K: Kind> Index<K> {
    pub fn sums(&self) -> Sums {
        self.sums
    }

    #[cfg(test)]
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    pub fn get(&self, key: &[u8]) -> Option<K::Entry<'_>> {
        let run = self.runs.get(self.run_of(key))?;
        run.entry(run.position(key).ok()?)
    }

    /// Inserts `entry` and returns a copy of the one of the same key that it replaces.
    pub fn replace(&mut self, entry: K::Entry<'_>) -> Option<Box<[u8]>> {
        let at = self.run_of(entry.key_bytes());
        self.sums.add(entry.sums());
        let Some(run) = self.runs.get_mut(at) else {
            self.push_run(Run::of(entry));
            return None;
        };
        match run.position(entry.key_bytes()) {
            Err(index) => {
                self.insert((at, index), entry);
                None
            }
            Ok(index) => {
                let before: Box<[u8]> = run.entry(index)?.bytes().into();
                self.overwrite((at, index), entry);
                self.sums.remove(K::Entry::of(&before).sums());
                Some(before)
            }
        }
    }

    /// Replaces the entry of the same key by `entry`, without a copy of the old one. Does nothing if there is none.
    pub fn update(&mut self, entry: K::Entry<'_>) {
        let at = self.run_of(entry.key_bytes());
        let Some(run) = self.runs.get(at) else { return };
        let Ok(index) = run.position(entry.key_bytes()) else { return };
        let Some(before) = run.entry(index).map(Packed::sums) else { return };
        self.overwrite((at, index), entry);
        self.sums.add(entry.sums());
        self.sums.remove(before);
        self.merge_small(at);
    }

    fn overwrite(&mut self, (at, index): Position, entry: K::Entry<'_>) {
        let Some(run) = self.runs.get_mut(at) else { return };
        if !run.overwrite(index, entry) {
            run.remove(index);
            self.insert((at, index), entry);
        }
    }

    /// Removes the entry of `key` and returns a copy of it.
    pub fn take(&mut self, key: &[u8]) -> Option<Box<[u8]>> {
        let taken = self.get(key)?.bytes().into();
        self.remove(key);
        Some(taken)
    }

    /// Removes the entry of `key`. Returns whether there was one.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let at = self.run_of(key);
        let Some(run) = self.runs.get_mut(at) else { return false };
        let Ok(index) = run.position(key) else { return false };
        self.sums.remove(run.remove(index).unwrap_or_default());
        self.merge_small(at);
        true
    }

    pub fn range(&self, start: Start<'_>) -> impl Iterator<Item = K::Entry<'_>> {
        let (at, index) = self.find(|key| start.is_before(key));
        let first = self.runs.get(at).into_iter().flat_map(move |run| run.entries().skip(index));
        first.chain(self.runs.iter().skip(at + 1).flat_map(Run::entries))
    }

    /// The entries that have a time to live. Passes runs without one as a whole.
    pub fn timed(&self) -> impl Iterator<Item = K::Entry<'_>> {
        let runs = self.runs.iter().filter(|run| run.sums().timed > 0);
        runs.flat_map(Run::entries).filter(|entry| entry.sums().timed > 0)
    }

    /// What the entries that begin with `prefix` hold together.
    pub fn sums_of(&self, prefix: &[u8]) -> Sums {
        self.sums_between(self.find(before(prefix)), self.find(up_to(prefix)))
    }

    /// What the entries before `key` hold together.
    pub fn sums_before(&self, key: &[u8]) -> Sums {
        self.sums_between((0, 0), self.find(before(key)))
    }

    fn sums_between(&self, (from, first): Position, (to, last): Position) -> Sums {
        let part = |at: usize, from: usize, to: usize| {
            let entries = self.runs.get(at).into_iter().flat_map(Run::entries);
            entries.take(to).skip(from).map(Packed::sums).fold(Sums::default(), Sums::with)
        };
        if from == to {
            return part(from, first, last);
        }
        let whole = self.runs.iter().skip(from + 1).take(to - from - 1);
        whole.map(Run::sums).fold(part(from, first, usize::MAX).with(part(to, 0, last)), Sums::with)
    }

    /// Removes and returns the entries that begin with `prefix`.
    pub fn take_range(&mut self, prefix: &[u8]) -> Index<K> {
        let from = self.cut(before(prefix));
        let to = self.cut(up_to(prefix));
        self.take_runs(from..to)
    }

    pub fn take_before(&mut self, key: &[u8]) -> Index<K> {
        let to = self.cut(before(key));
        self.take_runs(0..to)
    }

    /// Removes and returns the entry of `key` and those after it.
    pub fn take_from(&mut self, key: &[u8]) -> Index<K> {
        let from = self.cut(before(key));
        self.take_runs(from..self.runs.len())
    }

    fn take_runs(&mut self, range: Range<usize>) -> Index<K> {
        let from = range.start;
        let runs: VecDeque<Run<K>> = self.runs.drain(range).collect();
        let sums = runs.iter().map(Run::sums).fold(Sums::default(), Sums::with);
        self.sums.remove(sums);
        self.merge(from);
        Index { runs, sums }
    }

    /// Inserts the entries of `range`. There are none between them here.
    pub fn put_back(&mut self, mut range: Index<K>) {
        let Some(first) = range.runs.front().and_then(Run::first) else { return };
        let at = self.cut(before(first));
        let mut later = self.runs.split_off(at);
        self.sums.add(range.sums);
        self.runs.append(&mut range.runs);
        let end = self.runs.len();
        self.runs.append(&mut later);
        self.merge(end);
        self.merge(at);
    }

    pub fn last(&self) -> Option<&[u8]> {
        self.runs.back().and_then(Run::last)
    }

    /// Inserts an entry. Faster than [`Index::replace`] if its key is after all others.
    pub fn push(&mut self, entry: K::Entry<'_>) {
        if self.last().is_some_and(|last| last >= entry.key_bytes()) {
            self.replace(entry);
            return;
        }
        self.sums.add(entry.sums());
        let pushed = self.runs.back_mut().is_some_and(|run| run.insert(run.len(), entry));
        if !pushed {
            self.push_run(Run::of(entry));
        }
    }

    /// Removes and returns the last run; `None` if there are no entries.
    pub fn pop_run(&mut self) -> Option<Run<K>> {
        let run = self.runs.pop_back()?;
        self.sums.remove(run.sums());
        Some(run)
    }

    fn push_run(&mut self, run: Run<K>) {
        if self.runs.is_empty() {
            self.runs.reserve_exact(1); // most projects are small
        }
        self.runs.push_back(run);
    }

    fn insert(&mut self, (mut at, mut index): Position, entry: K::Entry<'_>) {
        while let Some(run) = self.runs.get_mut(at) {
            if run.insert(index, entry) {
                return;
            }
            if run.is_empty() {
                *run = Run::of(entry);
                return;
            }
            // Keys are often written in order: a full run is not split then.
            if index == run.len() {
                return self.runs.insert(at + 1, Run::of(entry));
            }
            if index == 0 {
                return self.runs.insert(at, Run::of(entry));
            }
            // A long entry gets a run of its own. Any other fits into one half.
            let is_long = slot_bytes(entry) > PAGE_BYTES / 4;
            let middle = if is_long { index } else { run.len() / 2 };
            let later = run.split_off(middle);
            self.runs.insert(at + 1, later);
            if index > middle {
                at += 1;
                index -= middle;
            }
        }
    }

    /// The run that has `key`, or in which it belongs.
    fn run_of(&self, key: &[u8]) -> usize {
        self.runs.partition_point(|run| run.begins_by(key)).saturating_sub(1)
    }

    /// The first entry for which `is_before` is false.
    fn find(&self, is_before: impl Fn(&[u8]) -> bool) -> Position {
        let at = self.runs.partition_point(|run| run.first().is_some_and(&is_before)).saturating_sub(1);
        (at, self.runs.get(at).map_or(0, |run| run.partition(is_before)))
    }

    /// Splits the run of the first entry for which `is_before` is false. Returns the run that begins with that entry.
    fn cut(&mut self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        let (at, index) = self.find(is_before);
        let Some(run) = self.runs.get_mut(at) else { return at };
        if index == 0 {
            return at;
        }
        if index < run.len() {
            let later = run.split_off(index);
            self.runs.insert(at + 1, later);
        }
        at + 1
    }

    fn merge_small(&mut self, at: usize) {
        if self.runs.get(at).is_some_and(|run| run.live_bytes() < PAGE_BYTES / 4) {
            self.merge(at);
        }
    }

    /// Merges a run with the one before or after it if both fit into three quarters of one, and removes an empty
    /// one. A quarter stays free, so that the next insertion does not split the run again.
    fn merge(&mut self, at: usize) {
        if self.runs.get(at).is_some_and(Run::is_empty) {
            self.runs.remove(at);
        }
        for before in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            let (Some(run), Some(next)) = (self.runs.get(before), self.runs.get(before + 1)) else {
                continue;
            };
            if run.live_bytes() + next.live_bytes() > MERGED_BYTES_MAX
                || run.len() + next.len() > MERGED_ENTRIES_MAX
            {
                continue;
            }
            let Some(next) = self.runs.remove(before + 1) else { return };
            if let Some(run) = self.runs.get_mut(before) {
                run.append(&next);
            }
        }
    }
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

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
