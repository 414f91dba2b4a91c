//! A bounded map for counts about unknown clients. It finds the oldest entry and the one with the lowest weight;
//! the caller decides when to drop which. Every call takes O(log n).

use crate::limits::EXPIRED_PER_CALL_MAX;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Entry<V> {
    /// The time from which its age is counted.
    pub since: Instant,
    /// Of entries in a full table, the lowest is dropped first.
    pub weight: u32,
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

impl<K, V> Default for Table<K, V> {
    fn default() -> Table<K, V> {
        Table { entries: HashMap::new(), by_age: BTreeMap::new(), by_weight: BTreeMap::new(), inserted: 0 }
    }
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
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

    /// Inserts `entry`, in place of the one that `key` has.
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

    /// Drops entries whose age is `age_max` or more, the oldest first, up to [`EXPIRED_PER_CALL_MAX`].
    pub(crate) fn drop_expired(&mut self, age_max: Duration, now: Instant) {
        for _ in 0..EXPIRED_PER_CALL_MAX {
            match self.by_age.first_key_value() {
                Some(((since, _), &key)) if is_expired(*since, age_max, now) => drop(self.remove(&key)),
                Some(_) | None => return,
            }
        }
    }

    /// Removes the entry with the lowest weight, of several the one that was inserted first.
    pub(crate) fn pop_lightest(&mut self) -> Option<Entry<V>> {
        let key = self.by_weight.first_key_value().map(|(_, key)| *key)?;
        self.remove(&key)
    }
}

/// Whether `now` is `age_max` or more after `since`.
pub(super) fn is_expired(since: Instant, age_max: Duration, now: Instant) -> bool {
    time_left(since, age_max, now).is_zero()
}

/// The time from `now` until `age_max` after `since`.
pub(super) fn time_left(since: Instant, age_max: Duration, now: Instant) -> Duration {
    age_max.saturating_sub(now.saturating_duration_since(since))
}

/// Time that does not go back, although threads read the clock before they wait for a lock: a reading that is
/// older than the latest counts as the latest.
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
        let mut table = Table::default();
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
    fn entries_that_are_too_old_are_dropped() {
        let start = monotonic();
        let mut table = table(start);
        let until = start + MINUTE * 11;
        table.drop_expired(MINUTE * 10, until - MINUTE - Duration::from_millis(1));
        assert_eq!(table.len(), 3);
        table.drop_expired(MINUTE * 10, until - MINUTE);
        assert!(table.get(&'a').is_none() && table.len() == 2);
        table.drop_expired(MINUTE * 10, until);
        assert!(table.get(&'b').is_none() && table.get(&'c').is_some());
        assert_eq!((table.by_age.len(), table.by_weight.len()), (1, 1));
    }

    #[test]
    fn one_call_drops_a_bounded_number_of_entries_the_oldest_first() {
        let (start, mut table) = (monotonic(), Table::default());
        for age in 0..EXPIRED_PER_CALL_MAX + 1 {
            let since = start + Duration::from_millis(age as u64);
            table.insert(EXPIRED_PER_CALL_MAX - age, Entry { since, weight: 0, value: () });
        }
        table.drop_expired(MINUTE, start + MINUTE * 2);
        assert!(table.get(&0).is_some() && table.len() == 1);
    }

    #[test]
    fn time_does_not_go_back() {
        let (start, mut time) = (monotonic(), SteadyTime::default());
        assert_eq!(time.advance(start + MINUTE), start + MINUTE);
        assert_eq!(time.advance(start), start + MINUTE);
        assert_eq!(time.advance(start + MINUTE * 2), start + MINUTE * 2);
    }
}
