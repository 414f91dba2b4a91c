//! The memory that all current requests and answers hold together.
//!
//! Stored data does not count, nor does the memory of idle connections, which their number bounds. The owner of the
//! bytes updates the count, which refuses nothing itself.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of bytes with a bound.
#[derive(Debug)]
pub struct Memory {
    bytes_max: usize,
    bytes: AtomicUsize,
}

impl Memory {
    pub fn new(bytes_max: usize) -> Memory {
        Memory { bytes_max, bytes: AtomicUsize::new(0) }
    }

    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether `more` bytes fit below the bound. Nothing is reserved, so callers on several threads may together exceed
    /// it.
    pub fn has_space_for(&self, more: u64) -> bool {
        (self.bytes() as u64).saturating_add(more) <= self.bytes_max as u64
    }

    /// Bytes that fit below the bound.
    pub fn bytes_left(&self) -> u64 {
        self.bytes_max.saturating_sub(self.bytes()) as u64
    }

    /// Notes that an owner of `before` bytes now has `after` bytes.
    pub fn recount(&self, before: usize, after: usize) {
        recount(&self.bytes, before, after);
    }
}

/// Replaces the part `before` of `sum` by `after`.
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
