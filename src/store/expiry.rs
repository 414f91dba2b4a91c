//! Which keys expire when, in the order in which they do.

use std::collections::BTreeSet;

/// The keys of a project that have a time to live.
#[derive(Debug, Default)]
pub struct ExpiryIndex {
    by_instant: BTreeSet<(u64, Box<str>)>,
}

impl ExpiryIndex {
    /// Notes that `key` expires at `expires_ms`.
    pub fn add(&mut self, expires_ms: u64, key: &str) {
        self.by_instant.insert((expires_ms, key.into()));
    }

    /// Forgets that `key` expires at `expires_ms`.
    pub fn remove(&mut self, expires_ms: u64, key: &str) {
        self.by_instant.remove(&(expires_ms, key.into()));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.by_instant.clear();
    }

    /// The next instant at which a key expires, and that key.
    pub fn first(&self) -> Option<(u64, &str)> {
        self.by_instant.first().map(|(expires_ms, key)| (*expires_ms, &**key))
    }

    /// The first instant after `after_ms` at which a key expires.
    pub fn first_after(&self, after_ms: u64) -> Option<u64> {
        let from = (after_ms.saturating_add(1), Box::from(""));
        self.by_instant.range(from..).next().map(|(expires_ms, _)| *expires_ms)
    }

    /// The keys that have expired at `now_ms`.
    pub fn expired(&self, now_ms: u64) -> impl Iterator<Item = &str> {
        let until = (now_ms.saturating_add(1), Box::from(""));
        self.by_instant.range(..until).map(|(_, key)| &**key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> ExpiryIndex {
        let mut index = ExpiryIndex::default();
        for (expires_ms, key) in [(20, "b"), (10, "c"), (20, "a"), (30, "a")] {
            index.add(expires_ms, key);
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
        assert_eq!(index.expired(99).collect::<Vec<_>>(), ["a", "b", "a"]);
        index.clear();
        assert_eq!((index.first(), index.first_after(0)), (None, None));
    }

    #[test]
    fn the_instant_itself_has_expired() {
        let index = index();
        let expired = |now_ms| index.expired(now_ms).count();
        assert_eq!((expired(9), expired(10), expired(19), expired(20), expired(u64::MAX)), (0, 1, 1, 3, 4));
        let after = [0, 9, 10, 19, 20, 30, u64::MAX].map(|after_ms| index.first_after(after_ms));
        assert_eq!(after, [Some(10), Some(10), Some(20), Some(20), Some(30), None, None]);
    }
}
