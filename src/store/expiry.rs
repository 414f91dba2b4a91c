//! The timers of keys with a time to live, in order of expiry, with the bytes of key and value.
//!
//! Timers are packed as the entries of an index:
//! ```text
//! | bytes of key and value, varint | expires u48 | revision u56 | key |
//! ```
//! Both numbers are big-endian, so the bytes from `expires` on sort as the timers do. To count or to remove the
//! timers that have ended takes one step for each run: microseconds for a million keys.

use super::change::Revision;
use super::index::{Index, Start};
use super::run::{Kind, Packed, Sums};
use super::varint::{GROUPS_MAX, groups_of, push_groups};

#[derive(Debug, Default)]
pub(crate) struct ExpiryIndex(Index<Timers>);

/// The expiry of the value that a change wrote to a key. The fields are in the order in which timers are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer<'k> {
    /// The key is absent from this instant on; below 2^48.
    pub expires_ms: u64,
    pub revision: Revision,
    pub key: &'k str,
}

#[derive(Debug)]
struct Timers;

/// A packed timer, with the number of bytes of its key and value.
#[derive(Clone, Copy)]
struct PackedTimer<'a>(&'a [u8]);

const EXPIRES_BYTES: usize = 6;
const REVISION_BYTES: usize = 7;

impl Kind for Timers {
    type Entry<'a> = PackedTimer<'a>;
}

impl<'a> Packed<'a> for PackedTimer<'a> {
    fn of(bytes: &'a [u8]) -> PackedTimer<'a> {
        PackedTimer(bytes)
    }

    fn bytes(self) -> &'a [u8] {
        self.0
    }

    fn key_bytes(self) -> &'a [u8] {
        groups_of(self.0).1
    }

    fn sums(self) -> Sums {
        Sums { keys: 1, bytes: self.counted_bytes(), ..Sums::default() }
    }
}

impl<'a> PackedTimer<'a> {
    fn counted_bytes(self) -> u64 {
        groups_of(self.0).0
    }

    fn timer(self) -> Timer<'a> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let (expires, rest) = self.key_bytes().split_at_checked(EXPIRES_BYTES).unwrap_or_default();
        let (revision, key) = rest.split_at_checked(REVISION_BYTES).unwrap_or_default();
        Timer {
            expires_ms: number(expires),
            // `pack` wrote a revision and a key.
            revision: Revision::new(number(revision)).unwrap_or(Revision::MAX),
            key: std::str::from_utf8(key).unwrap_or_default(),
        }
    }
}

impl Timer<'_> {
    fn pack(self, counted_bytes: u64) -> Vec<u8> {
        let mut packed = Vec::with_capacity(GROUPS_MAX + self.sort_key_bytes());
        push_groups(&mut packed, counted_bytes);
        self.push_sort_key(&mut packed);
        packed
    }

    /// The bytes of the packed timer that it is sorted by.
    fn sort_key(self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.sort_key_bytes());
        self.push_sort_key(&mut key);
        key
    }

    fn sort_key_bytes(self) -> usize {
        EXPIRES_BYTES + REVISION_BYTES + self.key.len()
    }

    fn push_sort_key(self, out: &mut Vec<u8>) {
        out.extend(self.expires_ms.to_be_bytes().last_chunk::<EXPIRES_BYTES>().into_iter().flatten());
        out.extend(self.revision.get().to_be_bytes().last_chunk::<REVISION_BYTES>().into_iter().flatten());
        out.extend_from_slice(self.key.as_bytes());
    }
}

impl ExpiryIndex {
    /// Adds a timer, whose key and value have `bytes` together.
    pub(crate) fn add(&mut self, timer: Timer<'_>, bytes: u64) {
        self.0.replace(PackedTimer(&timer.pack(bytes)));
    }

    /// Removes a timer. Returns whether it existed.
    pub(crate) fn remove(&mut self, timer: Timer<'_>) -> bool {
        self.0.remove(&timer.sort_key())
    }

    /// Removes the timer that ends first. Returns its key, and the bytes of key and value.
    pub(crate) fn pop(&mut self) -> Option<(Box<str>, u64)> {
        let first = self.0.range(Start::At(b"")).next()?;
        let popped = (first.timer().key.into(), first.counted_bytes());
        let key: Box<[u8]> = first.key_bytes().into();
        self.0.remove(&key);
        Some(popped)
    }

    pub(crate) fn first(&self) -> Option<Timer<'_>> {
        self.0.range(Start::At(b"")).next().map(PackedTimer::timer)
    }

    /// The number of keys, and their bytes.
    pub(crate) fn sums(&self) -> (u64, u64) {
        let Sums { keys, bytes, .. } = self.0.sums();
        (keys, bytes)
    }

    /// The number of keys that have expired at `now_ms`, and their bytes.
    pub(crate) fn expired(&self, now_ms: u64) -> (u64, u64) {
        let Sums { keys, bytes, .. } = self.0.sums_before(&end_of(now_ms));
        (keys, bytes)
    }

    /// The timers that have ended at `now_ms`, each with the bytes of key and value.
    pub(crate) fn expired_timers(&self, now_ms: u64) -> impl Iterator<Item = (Timer<'_>, u64)> {
        let end = end_of(now_ms);
        let expired = self.0.range(Start::At(b"")).take_while(move |timer| timer.key_bytes() < &end[..]);
        expired.map(|timer| (timer.timer(), timer.counted_bytes()))
    }

    /// Removes and returns the timers that have ended at `now_ms`.
    pub(crate) fn take_expired(&mut self, now_ms: u64) -> ExpiryIndex {
        ExpiryIndex(self.0.take_before(&end_of(now_ms)))
    }

    /// Removes and returns `from` and all timers after it.
    pub(crate) fn split_off(&mut self, from: Timer<'_>) -> ExpiryIndex {
        ExpiryIndex(self.0.take_from(&from.sort_key()))
    }

    /// Whether all timers of `later` come after all timers of this index.
    pub(crate) fn precedes(&self, later: &ExpiryIndex) -> bool {
        let first = later.0.range(Start::At(b"")).next().map(PackedTimer::key_bytes);
        self.0.last().zip(first).is_none_or(|(last, first)| last < first)
    }

    /// Adds the timers of `later`, which this index [precedes](Self::precedes).
    pub(crate) fn append(&mut self, later: ExpiryIndex) {
        debug_assert!(self.precedes(&later));
        self.0.put_back(later.0);
    }
}

/// A sort key after the timers that have ended at `now_ms` and before all others.
fn end_of(now_ms: u64) -> [u8; EXPIRES_BYTES + 1] {
    const LAST: [u8; EXPIRES_BYTES + 1] = [0xff; EXPIRES_BYTES + 1]; // above the first byte of every revision
    let next = now_ms.checked_add(1).and_then(|next_ms| next_ms.checked_mul(1 << 8));
    let Some([0, next @ ..]) = next.map(u64::to_be_bytes) else { return LAST };
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RUN_ENTRIES_MAX;
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
        for step in 0..3_000 {
            let expires_ms = if step % 3 == 0 { step / 6 } else { step * 7_919 % 997 };
            index.add(timer(expires_ms, &format!("k{step}")), step);
            map.insert((expires_ms, format!("k{step}")), step);
        }
        check(&index, &map);
        map.retain(|(expires_ms, key), bytes| {
            let stays = *bytes % 5 == 0 || (300..310).contains(expires_ms);
            if !stays {
                index.remove(timer(*expires_ms, key));
            }
            stays
        });
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
        let (mut index, keys) = (ExpiryIndex::default(), 10 * RUN_ENTRIES_MAX as u64);
        for instant_ms in 0..keys {
            let mut later = ExpiryIndex::default();
            later.add(timer(instant_ms, "k"), 1);
            index.append(later);
        }
        assert_eq!(index.expired(u64::MAX), (keys, keys));
        assert!(index.0.runs() <= 15, "{} runs", index.0.runs());
    }

    #[test]
    fn timers_are_read_as_they_were_packed() {
        let mut index = ExpiryIndex::default();
        let timers = [(0, 0, "k"), (1, 1, ""), (1, 2, "key"), ((1 << 48) - 1, Revision::MAX.get(), "🔑")];
        let timers = timers.map(|(expires_ms, revision, key)| {
            let timer = Timer { expires_ms, revision: Revision::new(revision).unwrap(), key };
            index.add(timer, expires_ms);
            timer
        });
        let expected = timers.map(|timer| (timer, timer.expires_ms));
        assert!(index.expired_timers(u64::MAX).eq(expected));
        assert!(index.expired_timers((1 << 48) - 1).eq(expected));
        assert!(index.expired_timers((1 << 48) - 2).eq(expected.into_iter().take(3)));
    }
}
