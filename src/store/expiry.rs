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
