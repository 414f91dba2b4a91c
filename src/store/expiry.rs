//! Which keys expire when, in the order in which they do, and how much they hold.
//!
//! They lie in runs of up to [`RUN_KEYS_MAX`], each with the sum of its bytes. So counting what has
//! expired, and taking it out, costs a step for each run: microseconds for a million keys.

use super::change::Revision;
use crate::limits::RUN_KEYS_MAX;
use std::collections::VecDeque;

/// The keys of a project that have a time to live.
#[derive(Debug, Default)]
pub struct ExpiryIndex {
    /// In order, none of them empty. The first ones are those that are taken out.
    runs: VecDeque<Run>,
    keys: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Run {
    /// In the order of their timers.
    keys: Vec<Expiring>,
    bytes: u64,
}

#[derive(Debug)]
struct Expiring {
    expires_ms: u64,
    revision: Revision,
    bytes: u64,
    key: Box<str>,
}

/// When the value of a key expires that was written at a revision. Timers are ordered by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer<'k> {
    /// From when on the key is absent.
    pub expires_ms: u64,
    /// The change that wrote the value.
    pub revision: Revision,
    /// The key.
    pub key: &'k str,
}

impl ExpiryIndex {
    /// Notes a timer, whose key and value have `bytes`.
    pub fn add(&mut self, timer: Timer<'_>, bytes: u64) {
        let index = self.run_of(timer);
        let Timer { expires_ms, revision, key } = timer;
        let expiring = Expiring { expires_ms, revision, bytes, key: key.into() };
        let Some(run) = self.runs.get_mut(index) else {
            let mut first = Run::default();
            first.insert(0, expiring);
            (self.keys, self.bytes) = (1, bytes);
            return self.runs.push_back(first);
        };
        let Err(at) = run.position(timer) else { return };
        self.keys += 1;
        self.bytes += bytes;
        if run.keys.len() < RUN_KEYS_MAX {
            return run.insert(at, expiring);
        }
        // Most keys expire later than all before them: a run that is full stays so.
        let middle = if at == RUN_KEYS_MAX { at } else { RUN_KEYS_MAX / 2 };
        let mut behind = run.split_off(middle);
        match at.checked_sub(middle) {
            Some(at) => behind.insert(at, expiring),
            None => run.insert(at, expiring),
        }
        self.runs.insert(index + 1, behind);
    }

    /// Forgets a timer. Returns whether it was there.
    pub fn remove(&mut self, timer: Timer<'_>) -> bool {
        let index = self.run_of(timer);
        let Some(run) = self.runs.get_mut(index) else { return false };
        let Ok(at) = run.position(timer) else { return false };
        let bytes = run.keys.remove(at).bytes;
        run.bytes -= bytes;
        self.keys -= 1;
        self.bytes -= bytes;
        if run.keys.is_empty() {
            self.runs.remove(index);
        }
        true
    }

    /// Removes the timer that ends first: its key, and the bytes of key and value.
    pub fn pop(&mut self) -> Option<(Box<str>, u64)> {
        let run = self.runs.front_mut()?;
        let Expiring { key, bytes, .. } = run.keys.remove(0);
        run.bytes -= bytes;
        self.keys -= 1;
        self.bytes -= bytes;
        if run.keys.is_empty() {
            self.runs.pop_front();
        }
        Some((key, bytes))
    }

    /// The timer that ends first.
    pub fn first(&self) -> Option<Timer<'_>> {
        self.runs.front()?.keys.first().map(Expiring::timer)
    }

    /// How many keys there are, and their bytes.
    pub fn sums(&self) -> (u64, u64) {
        (self.keys, self.bytes)
    }

    /// How many keys have expired at `now_ms`, and their bytes.
    pub fn expired(&self, now_ms: u64) -> (u64, u64) {
        let count = self.whole_runs(now_ms);
        let whole = || self.runs.iter().take(count);
        let part = self.runs.get(count).map(|run| run.expired(now_ms)).unwrap_or_default();
        let keys = whole().map(|run| run.keys.len()).sum::<usize>() + part.len();
        let bytes = whole().map(|run| run.bytes).chain(part.iter().map(|key| key.bytes)).sum();
        (keys as u64, bytes)
    }

    /// The timers that have ended at `now_ms`, each with the bytes of key and value.
    pub fn expired_timers(&self, now_ms: u64) -> impl Iterator<Item = (Timer<'_>, u64)> {
        let runs = self.runs.iter().take(self.whole_runs(now_ms) + 1);
        runs.flat_map(move |run| run.expired(now_ms)).map(|key| (key.timer(), key.bytes))
    }

    /// Takes out what has expired at `now_ms`.
    pub fn take_expired(&mut self, now_ms: u64) -> ExpiryIndex {
        let mut runs: VecDeque<Run> = self.runs.drain(..self.whole_runs(now_ms)).collect();
        if let Some(run) = self.runs.front_mut() {
            let count = run.expired(now_ms).len();
            if count > 0 {
                let behind = run.split_off(count);
                runs.push_back(std::mem::replace(run, behind));
            }
        }
        self.without(runs)
    }

    /// Takes out `from` and all timers after it.
    pub fn split_off(&mut self, from: Timer<'_>) -> ExpiryIndex {
        let at = self.runs.partition_point(|run| run.keys.last().is_some_and(|last| last.timer() < from));
        let mut runs = self.runs.split_off(at);
        if let Some(run) = runs.front_mut() {
            let count = run.keys.partition_point(|key| key.timer() < from);
            if count > 0 {
                let behind = run.split_off(count);
                self.runs.push_back(std::mem::replace(run, behind));
            }
        }
        self.without(runs)
    }

    /// `runs`, which were taken out of this one, as an index of their own.
    fn without(&mut self, runs: VecDeque<Run>) -> ExpiryIndex {
        let keys = runs.iter().map(|run| run.keys.len() as u64).sum();
        let bytes = runs.iter().map(|run| run.bytes).sum();
        self.keys -= keys;
        self.bytes -= bytes;
        ExpiryIndex { runs, keys, bytes }
    }

    /// Whether all of `later` comes behind all of this.
    pub fn precedes(&self, later: &ExpiryIndex) -> bool {
        let last = self.runs.back().and_then(|run| run.keys.last()).map(Expiring::timer);
        last.zip(later.first()).is_none_or(|(last, first)| last < first)
    }

    /// Adds the timers of `later`, which this index [precedes](Self::precedes).
    pub fn append(&mut self, later: ExpiryIndex) {
        debug_assert!(self.precedes(&later));
        self.keys += later.keys;
        self.bytes += later.bytes;
        for run in later.runs {
            // Else many small additions would make as many runs.
            match self.runs.back_mut().filter(|last| last.keys.len() + run.keys.len() <= RUN_KEYS_MAX) {
                Some(last) => last.extend(run),
                None => self.runs.push_back(run),
            }
        }
    }

    /// How many runs have expired as a whole at `now_ms`.
    fn whole_runs(&self, now_ms: u64) -> usize {
        self.runs.partition_point(|run| run.keys.last().is_some_and(|key| key.expires_ms <= now_ms))
    }

    /// The run that a timer is in, or belongs into.
    fn run_of(&self, timer: Timer<'_>) -> usize {
        let begins = |run: &Run| run.keys.first().is_some_and(|first| first.timer() <= timer);
        self.runs.partition_point(begins).saturating_sub(1)
    }
}

impl Run {
    fn position(&self, timer: Timer<'_>) -> Result<usize, usize> {
        self.keys.binary_search_by(|expiring| expiring.timer().cmp(&timer))
    }

    fn insert(&mut self, at: usize, expiring: Expiring) {
        self.bytes += expiring.bytes;
        self.keys.insert(at, expiring);
    }

    fn extend(&mut self, behind: Run) {
        self.bytes += behind.bytes;
        self.keys.extend(behind.keys);
    }

    fn split_off(&mut self, at: usize) -> Run {
        let keys = self.keys.split_off(at);
        let bytes = keys.iter().map(|key| key.bytes).sum();
        self.bytes -= bytes;
        Run { keys, bytes }
    }

    fn expired(&self, now_ms: u64) -> &[Expiring] {
        let count = self.keys.partition_point(|key| key.expires_ms <= now_ms);
        self.keys.get(..count).unwrap_or_default()
    }
}

impl Expiring {
    fn timer(&self) -> Timer<'_> {
        Timer { expires_ms: self.expires_ms, revision: self.revision, key: &self.key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn timer(expires_ms: u64, key: &str) -> Timer<'_> {
        Timer { expires_ms, revision: Revision::default(), key }
    }

    fn names(index: &ExpiryIndex, now_ms: u64) -> impl Iterator<Item = &str> {
        index.expired_timers(now_ms).map(|(timer, _)| timer.key)
    }

    fn index() -> ExpiryIndex {
        let mut index = ExpiryIndex::default();
        for (expires_ms, key, bytes) in [(20, "b", 1), (10, "c", 2), (20, "a", 4), (30, "a", 8)] {
            index.add(timer(expires_ms, key), bytes);
        }
        index
    }

    #[test]
    fn keys_come_in_the_order_in_which_they_expire() {
        let mut index = index();
        assert_eq!(index.first(), Some(timer(10, "c")));
        assert!(index.remove(timer(10, "c")));
        assert_eq!(index.first(), Some(timer(20, "a")));
        assert!(!index.remove(timer(20, "other")));
        assert_eq!(names(&index, 99).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(ExpiryIndex::default().first(), None);
    }

    #[test]
    fn the_instant_itself_has_expired() {
        let expired = [0, 9, 10, 19, 20, u64::MAX].map(|now_ms| index().expired(now_ms));
        assert_eq!(expired, [(0, 0), (0, 0), (1, 2), (1, 2), (3, 7), (4, 15)]);
        let mut index = index();
        let taken = index.take_expired(20);
        assert_eq!(
            (taken.expired(20), index.expired(99), index.first()),
            ((3, 7), (1, 8), Some(timer(30, "a")))
        );
    }

    /// Keys in any order, so that runs are split in the middle and at the end, and emptied.
    #[test]
    fn runs_hold_what_a_map_holds() {
        let (mut index, mut map) = (ExpiryIndex::default(), BTreeMap::new());
        let check = |index: &ExpiryIndex, map: &BTreeMap<(u64, String), u64>| {
            for at_ms in (0..=1_000).step_by(83) {
                let until = || map.iter().filter(|((expires_ms, _), _)| *expires_ms <= at_ms);
                assert_eq!(
                    index.expired(at_ms),
                    (until().count() as u64, until().map(|(_, bytes)| bytes).sum())
                );
                let names = until().map(|((_, key), _)| key.as_str());
                assert!(self::names(index, at_ms).eq(names), "at {at_ms}");
            }
        };
        for step in 0..20 * RUN_KEYS_MAX as u64 {
            let expires_ms = if step % 3 == 0 { step / 6 } else { step * 7_919 % 997 };
            index.add(timer(expires_ms, &format!("k{step}")), step);
            map.insert((expires_ms, format!("k{step}")), step);
        }
        assert!(index.runs.iter().all(|run| run.keys.len() <= RUN_KEYS_MAX));
        assert!(index.runs.len() <= 40, "half full on the average at least");
        check(&index, &map);
        map.retain(|(expires_ms, key), bytes| {
            let stays = *bytes % 5 == 0 || (300..310).contains(expires_ms);
            if !stays {
                index.remove(timer(*expires_ms, key));
            }
            stays
        });
        assert!(index.runs.iter().all(|run| !run.keys.is_empty()));
        check(&index, &map);
        let mut taken = index.take_expired(400);
        assert_eq!(
            taken.first().map(|first| first.expires_ms),
            map.keys().next().map(|(expires_ms, _)| *expires_ms)
        );
        assert!(index.first().is_some_and(|first| first.expires_ms > 400));
        assert!(taken.precedes(&index) && !index.precedes(&taken));
        taken.append(index);
        check(&taken, &map);
        assert_eq!(taken.sums(), taken.expired(u64::MAX));
        for (expires_ms, key) in map.keys().cloned().step_by(97).collect::<Vec<_>>() {
            let later = taken.split_off(timer(expires_ms, &key));
            let mut rest = map.clone();
            let of_later = rest.split_off(&(expires_ms, key.clone()));
            assert_eq!(later.first(), Some(timer(expires_ms, &key)));
            check(&taken, &rest);
            check(&later, &of_later);
            taken.append(later);
        }
        assert_eq!(taken.sums(), taken.expired(u64::MAX));
    }

    #[test]
    fn many_small_additions_make_few_runs() {
        let (mut index, keys) = (ExpiryIndex::default(), 10 * RUN_KEYS_MAX as u64);
        for instant_ms in 0..keys {
            let mut later = ExpiryIndex::default();
            later.add(timer(instant_ms, "k"), 1);
            index.append(later);
        }
        assert_eq!((index.runs.len(), index.expired(u64::MAX)), (10, (keys, keys)));
    }
}
