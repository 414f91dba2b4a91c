//! A map that stays small: what is counted about strangers, in an order in which to forget it.
//!
//! The table finds the entry that is oldest and the one that weighs least; when to drop which is
//! the caller's rule. Every call takes O(log n).

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What is kept under one key.
#[derive(Debug)]
pub(super) struct Entry<V> {
    /// From when its age is counted.
    pub since: Instant,
    /// How much it matters: the lowest goes first.
    pub weight: u32,
    /// The rest of it.
    pub value: V,
}

/// Entries by key, by age and by weight.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    entries: HashMap<K, (u64, Entry<V>)>,
    by_age: BTreeMap<(Instant, u64), K>,
    by_weight: BTreeMap<(u32, u64), K>,
    /// Entries inserted so far: a number for each, and the order among equals.
    inserted: u64,
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    pub(crate) fn new() -> Table<K, V> {
        Table { entries: HashMap::new(), by_age: BTreeMap::new(), by_weight: BTreeMap::new(), inserted: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&Entry<V>> {
        self.entries.get(key).map(|(_, entry)| entry)
    }

    /// The value under `key`, if the age of its entry is counted from `since`.
    pub(crate) fn value_since(&mut self, key: &K, since: Instant) -> Option<&mut V> {
        let (_, entry) = self.entries.get_mut(key)?;
        (entry.since == since).then_some(&mut entry.value)
    }

    /// Puts `entry` under `key`; what was there before is gone.
    pub(crate) fn insert(&mut self, key: K, entry: Entry<V>) {
        self.remove(&key);
        self.inserted += 1;
        self.by_age.insert((entry.since, self.inserted), key);
        self.by_weight.insert((entry.weight, self.inserted), key);
        self.entries.insert(key, (self.inserted, entry));
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<Entry<V>> {
        let (number, entry) = self.entries.remove(key)?;
        self.by_age.remove(&(entry.since, number));
        self.by_weight.remove(&(entry.weight, number));
        Some(entry)
    }

    /// Takes out the oldest entry if its age is `age_max` or more.
    pub(crate) fn pop_expired(&mut self, age_max: Duration, now: Instant) -> Option<Entry<V>> {
        let ((since, _), key) = self.by_age.first_key_value().map(|(order, key)| (*order, *key))?;
        if is_expired(since, age_max, now) { self.remove(&key) } else { None }
    }

    /// Takes out the entry with the lowest weight, of several the one that was inserted first.
    pub(crate) fn pop_lightest(&mut self) -> Option<Entry<V>> {
        let key = self.by_weight.first_key_value().map(|(_, key)| *key)?;
        self.remove(&key)
    }
}

/// Whether what began at `since` is `age_max` old or older. What has not begun is not.
pub(super) fn is_expired(since: Instant, age_max: Duration, now: Instant) -> bool {
    time_left(since, age_max, now).is_zero()
}

/// How long from `now` until what began at `since` is `age_max` old.
pub(super) fn time_left(since: Instant, age_max: Duration, now: Instant) -> Duration {
    age_max.saturating_sub(now.saturating_duration_since(since))
}

/// Time that does not go back, though threads read the clock before they wait for one another:
/// a reading older than the latest counts as the latest.
#[derive(Debug, Default)]
pub(super) struct SteadyTime {
    latest: Option<Instant>,
}

impl SteadyTime {
    pub(crate) fn advance(&mut self, now: Instant) -> Instant {
        let latest = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(latest);
        latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    const MINUTE: Duration = Duration::from_secs(60);

    /// a is oldest, b lightest; c and b weigh the same.
    fn table(start: Instant) -> Table<char, ()> {
        let mut table = Table::new();
        for (key, minutes, weight) in [('c', 2, 9), ('b', 1, 1), ('a', 0, 5), ('c', 2, 1)] {
            table.insert(key, Entry { since: start + MINUTE * minutes, weight, value: () });
        }
        table
    }

    #[test]
    fn a_table_forgets_the_lightest_first_and_of_equals_the_one_inserted_first() {
        let mut table = table(monotonic());
        for (left, gone) in [(3, 'b'), (2, 'c'), (1, 'a')] {
            assert!(table.get(&gone).is_some() && table.len() == left);
            table.pop_lightest();
            assert!(table.get(&gone).is_none(), "{gone}");
        }
        assert!(table.pop_lightest().is_none());
        assert!(table.by_age.is_empty() && table.by_weight.is_empty());
    }

    #[test]
    fn a_table_forgets_what_is_as_old_as_it_may_be_the_oldest_first() {
        let start = monotonic();
        let mut table = table(start);
        let until = start + MINUTE * 11;
        assert!(table.pop_expired(MINUTE * 10, until - MINUTE - Duration::from_millis(1)).is_none());
        assert_eq!(table.pop_expired(MINUTE * 10, until).map(|entry| entry.weight), Some(5), "a");
        assert_eq!(table.pop_expired(MINUTE * 10, until).map(|entry| entry.weight), Some(1), "b");
        assert!(table.pop_expired(MINUTE * 10, until).is_none() && table.get(&'c').is_some());
        assert_eq!((table.by_age.len(), table.by_weight.len()), (1, 1));
    }

    #[test]
    fn time_does_not_go_back() {
        let (start, mut time) = (monotonic(), SteadyTime::default());
        assert_eq!(time.advance(start + MINUTE), start + MINUTE);
        assert_eq!(time.advance(start), start + MINUTE);
        assert_eq!(time.advance(start + MINUTE * 2), start + MINUTE * 2);
    }
}
