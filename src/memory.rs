//! How much memory requests and answers under way hold, all of them together.
//!
//! What is stored does not count, nor what a connection has while it is idle: the number of connections
//! bounds that. The owner of the bytes keeps the count, which refuses nothing by itself.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of bytes with a bound.
#[derive(Debug)]
pub struct Memory {
    bytes_max: usize,
    bytes: AtomicUsize,
}

impl Memory {
    /// Nothing is held, and at most `bytes_max` should be.
    pub fn new(bytes_max: usize) -> Memory {
        Memory { bytes_max, bytes: AtomicUsize::new(0) }
    }

    /// The bound, bytes.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether `more` bytes fit below the bound. Nothing is reserved: callers on several threads may exceed it
    /// by what each of them asked for.
    pub fn has_space_for(&self, more: u64) -> bool {
        (self.bytes() as u64).saturating_add(more) <= self.bytes_max as u64
    }

    /// Bytes that fit below the bound.
    pub fn bytes_left(&self) -> u64 {
        self.bytes_max.saturating_sub(self.bytes()) as u64
    }

    /// An owner that held `before` bytes holds `after` bytes.
    pub fn recount(&self, before: usize, after: usize) {
        recount(&self.bytes, before, after);
    }
}

/// Replaces the `before` that one of several has added to `sum` by `after`.
pub(crate) fn recount(sum: &AtomicUsize, before: usize, after: usize) {
    if after > before {
        sum.fetch_add(after - before, Ordering::Relaxed);
    } else {
        sum.fetch_sub(before - after, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_given_back() {
        let memory = Memory::new(100);
        memory.recount(0, 60);
        assert!(memory.has_space_for(40));
        assert!(!memory.has_space_for(41));
        assert!(!memory.has_space_for(u64::MAX));
        memory.recount(60, 10);
        assert_eq!(memory.bytes(), 10);
        assert!(memory.has_space_for(90));
    }
}
