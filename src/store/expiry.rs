//! Which keys expire when, in the order in which they do, and how much they hold.
//!
//! They lie in runs of up to [`RUN_KEYS_MAX`], each with the sum of its bytes. So counting what has
//! expired, and taking it out, costs a step for each run: microseconds for a million keys.

use crate::limits::RUN_KEYS_MAX;
use std::collections::VecDeque;

/// The keys of a project that have a time to live.
#[derive(Debug, Default)]
pub struct ExpiryIndex {
    /// In order, none of them empty. The first ones are those that are taken out.
    runs: VecDeque<Run>,
}

#[derive(Debug, Default)]
struct Run {
    /// In the order of instants, then of keys.
    keys: Vec<Expiring>,
    bytes: u64,
}

#[derive(Debug)]
struct Expiring {
    expires_ms: u64,
    bytes: u64,
    key: Box<str>,
}

impl ExpiryIndex {
    /// Notes that `key`, which with its value has `bytes`, expires at `expires_ms`.
    pub fn add(&mut self, expires_ms: u64, key: &str, bytes: u64) {
        let index = self.run_of(expires_ms, key);
        let expiring = Expiring { expires_ms, bytes, key: key.into() };
        let Some(run) = self.runs.get_mut(index) else {
            let mut first = Run::default();
            first.insert(0, expiring);
            return self.runs.push_back(first);
        };
        let Err(at) = run.position(expires_ms, key) else { return };
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

    /// Forgets that `key` expires at `expires_ms`.
    pub fn remove(&mut self, expires_ms: u64, key: &str) {
        let index = self.run_of(expires_ms, key);
        let Some(run) = self.runs.get_mut(index) else { return };
        let Ok(at) = run.position(expires_ms, key) else { return };
        run.bytes -= run.keys.remove(at).bytes;
        if run.keys.is_empty() {
            self.runs.remove(index);
        }
    }

    /// The next instant at which a key expires, and that key.
    pub fn first(&self) -> Option<(u64, &str)> {
        self.runs.front()?.keys.first().map(Expiring::order)
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

    /// The keys that have expired at `now_ms`.
    pub fn expired_keys(&self, now_ms: u64) -> impl Iterator<Item = &str> {
        let runs = self.runs.iter().take(self.whole_runs(now_ms) + 1);
        runs.flat_map(move |run| run.expired(now_ms)).map(|key| &*key.key)
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
        ExpiryIndex { runs }
    }

    /// Whether all of `later` comes behind all of this.
    pub fn precedes(&self, later: &ExpiryIndex) -> bool {
        let last = self.runs.back().and_then(|run| run.keys.last()).map(Expiring::order);
        last.zip(later.first()).is_none_or(|(last, first)| last < first)
    }

    /// Takes over the keys of `later`, which this index [precedes](Self::precedes).
    pub fn append(&mut self, later: ExpiryIndex) {
        debug_assert!(self.precedes(&later));
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

    /// The run that a key is in, or belongs into.
    fn run_of(&self, expires_ms: u64, key: &str) -> usize {
        let begins = |run: &Run| run.keys.first().is_some_and(|first| first.order() <= (expires_ms, key));
        self.runs.partition_point(begins).saturating_sub(1)
    }
}

impl Run {
    fn position(&self, expires_ms: u64, key: &str) -> Result<usize, usize> {
        self.keys.binary_search_by(|expiring| expiring.order().cmp(&(expires_ms, key)))
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
    fn order(&self) -> (u64, &str) {
        (self.expires_ms, &self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn index() -> ExpiryIndex {
        let mut index = ExpiryIndex::default();
        for (expires_ms, key, bytes) in [(20, "b", 1), (10, "c", 2), (20, "a", 4), (30, "a", 8)] {
            index.add(expires_ms, key, bytes);
        }
        index
    }

    #[test]
    fn keys_come_in_the_order_in_which_they_expire() {
        let mut index = index();
        assert_eq!(index.first(), Some((10, "c")));
        index.remove(10, "c");
        assert_eq!(index.first(), Some((20, "a")));
        index.remove(20, "other");
        assert_eq!(index.expired_keys(99).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(ExpiryIndex::default().first(), None);
    }

    #[test]
    fn the_instant_itself_has_expired() {
        let expired = [0, 9, 10, 19, 20, u64::MAX].map(|now_ms| index().expired(now_ms));
        assert_eq!(expired, [(0, 0), (0, 0), (1, 2), (1, 2), (3, 7), (4, 15)]);
        let mut index = index();
        let taken = index.take_expired(20);
        assert_eq!((taken.expired(20), index.expired(99), index.first()), ((3, 7), (1, 8), Some((30, "a"))));
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
                assert!(index.expired_keys(at_ms).eq(names), "at {at_ms}");
            }
        };
        for step in 0..20 * RUN_KEYS_MAX as u64 {
            let expires_ms = if step % 3 == 0 { step / 6 } else { step * 7_919 % 997 };
            index.add(expires_ms, &format!("k{step}"), step);
            map.insert((expires_ms, format!("k{step}")), step);
        }
        assert!(index.runs.iter().all(|run| run.keys.len() <= RUN_KEYS_MAX));
        assert!(index.runs.len() <= 40, "half full on the average at least");
        check(&index, &map);
        map.retain(|(expires_ms, key), bytes| {
            let stays = *bytes % 5 == 0 || (300..310).contains(expires_ms);
            if !stays {
                index.remove(*expires_ms, key);
            }
            stays
        });
        assert!(index.runs.iter().all(|run| !run.keys.is_empty()));
        check(&index, &map);
        let mut taken = index.take_expired(400);
        assert_eq!(taken.first().map(|first| first.0), map.keys().next().map(|(expires_ms, _)| *expires_ms));
        assert!(index.first().is_some_and(|(expires_ms, _)| expires_ms > 400));
        assert!(taken.precedes(&index) && !index.precedes(&taken));
        taken.append(index);
        check(&taken, &map);
    }

    #[test]
    fn many_small_additions_make_few_runs() {
        let (mut index, keys) = (ExpiryIndex::default(), 10 * RUN_KEYS_MAX as u64);
        for instant_ms in 0..keys {
            let mut later = ExpiryIndex::default();
            later.add(instant_ms, "k", 1);
            index.append(later);
        }
        assert_eq!((index.runs.len(), index.expired(u64::MAX)), (10, (keys, keys)));
    }
}
