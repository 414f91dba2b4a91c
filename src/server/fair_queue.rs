//! A bounded queue that clients share by address: a flood from one address delays that address alone.
//!
//! ```text
//! push ---> [a: j j j j]                   pop takes one item of the first address of the ring,
//!           [b: j]        ring: a b c ---> which then moves to the end: a b c a a a
//!           [c: j]
//! ```
//! A full queue evicts the newest item of the address that has the most, for an address that has fewer. So one address
//! may use the whole queue while no other needs it.
//!
//! Not here: threads, and which addresses count as one.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// The items by address. No queue in the map is empty, and the ring has each address once.
pub(super) struct FairQueue<T> {
    waiting_max: usize,
    waiting: usize,
    by_address: HashMap<IpAddr, VecDeque<T>>,
    ring: VecDeque<IpAddr>,
}

impl<T> FairQueue<T> {
    pub(super) fn new(waiting_max: usize) -> FairQueue<T> {
        FairQueue { waiting_max, waiting: 0, by_address: HashMap::new(), ring: VecDeque::new() }
    }

    /// Adds `item` of `address`. If the queue is full, returns an item of the address that has the most, or `item`
    /// itself.
    pub(super) fn push(&mut self, address: IpAddr, item: T) -> Option<T> {
        let mut evicted = None;
        if self.waiting >= self.waiting_max {
            let own = self.waiting_of(address);
            match self.longest().filter(|&(_, most)| most > own + 1) {
                Some((longest, _)) => evicted = self.take_newest(longest),
                None => return Some(item),
            }
        }
        let queue = self.by_address.entry(address).or_default();
        if queue.is_empty() {
            self.ring.push_back(address);
        }
        queue.push_back(item);
        self.waiting += 1;
        evicted
    }

    /// Takes the oldest item of the address whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let address = self.ring.pop_front()?;
        let queue = self.by_address.get_mut(&address)?;
        let item = queue.pop_front()?;
        if queue.is_empty() {
            self.by_address.remove(&address);
        } else {
            self.ring.push_back(address);
        }
        self.waiting -= 1;
        Some(item)
    }

    fn waiting_of(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).map_or(0, VecDeque::len)
    }

    fn longest(&self) -> Option<(IpAddr, usize)> {
        let lengths = self.by_address.iter().map(|(address, queue)| (*address, queue.len()));
        lengths.max_by_key(|&(_, length)| length)
    }

    /// Of an address that has several items, so that its queue does not become empty.
    fn take_newest(&mut self, address: IpAddr) -> Option<T> {
        let item = self.by_address.get_mut(&address)?.pop_back()?;
        self.waiting -= 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    /// A queue for at most 4 items, with `items`.
    fn queue(items: &[(u8, &'static str)]) -> FairQueue<&'static str> {
        let mut queue = FairQueue::new(4);
        for &(number, item) in items {
            assert_eq!(queue.push(address(number), item), None);
        }
        queue
    }

    fn drained(mut queue: FairQueue<&'static str>) -> Vec<&'static str> {
        let items: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert!(queue.by_address.is_empty() && queue.ring.is_empty() && queue.waiting == 0);
        items
    }

    #[test]
    fn addresses_take_turns_and_one_address_is_served_in_order() {
        assert_eq!(drained(queue(&[(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1")])), ["a1", "b1", "a2", "a3"]);
        let mut half = queue(&[(1, "a1"), (1, "a2"), (2, "b1")]);
        assert_eq!(half.pop(), Some("a1"));
        assert_eq!(half.push(address(3), "c1"), None);
        assert_eq!(drained(half), ["b1", "a2", "c1"]);
    }

    #[test]
    fn one_address_may_fill_the_queue_and_is_refused_then() {
        let mut full = queue(&[(1, "a1"), (1, "a2"), (1, "a3"), (1, "a4")]);
        assert_eq!(full.push(address(1), "a5"), Some("a5"));
        assert_eq!(drained(full), ["a1", "a2", "a3", "a4"]);
    }

    #[test]
    fn a_full_queue_evicts_the_newest_item_of_the_address_that_has_the_most() {
        let mut full = queue(&[(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1")]);
        assert_eq!(full.push(address(3), "c1"), Some("a3"));
        assert_eq!(full.push(address(4), "d1"), Some("a2"));
        assert_eq!(full.push(address(5), "e1"), Some("e1"), "no address has more than one item");
        assert_eq!(full.push(address(1), "a4"), Some("a4"));
        assert_eq!(drained(full), ["a1", "b1", "c1", "d1"]);
    }

    #[test]
    fn nothing_is_evicted_for_an_address_that_would_have_as_many_items() {
        let mut full = queue(&[(1, "a1"), (1, "a2"), (2, "b1"), (2, "b2")]);
        assert_eq!(full.push(address(2), "b3"), Some("b3"));
        assert!(matches!(full.push(address(3), "c1"), Some("a2" | "b2")));
    }
}
