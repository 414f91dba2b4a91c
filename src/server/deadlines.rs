//! The deadlines of connections.
//!
//! If a deadline moves to a later time, which happens with every request, its entry stays: it comes up at its old time
//! and is added again. So a busy connection costs the heap nothing. Entries of closed connections stay until their
//! time comes, or until there are too many.

use super::mailbox::ConnectionId;
use crate::limits::STALE_DEADLINES_MAX;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

#[derive(Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, ConnectionId)>>,
}

impl Deadlines {
    pub(super) fn add(&mut self, at: Instant, connection: ConnectionId) {
        self.heap.push(Reverse((at, connection)));
    }

    /// Removes the entries that are not current, once there are [`STALE_DEADLINES_MAX`] more than two for each of
    /// `connections`. At most one for each is current, so this costs little per entry.
    pub(super) fn forget_stale(
        &mut self,
        connections: usize,
        is_current: impl Fn(Instant, ConnectionId) -> bool,
    ) {
        if self.heap.len() > 2 * connections + STALE_DEADLINES_MAX {
            self.heap.retain(|Reverse((at, id))| is_current(*at, *id));
        }
    }

    /// The time of the earliest entry.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Removes and returns an entry whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, ConnectionId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::time::Duration;

    #[test]
    fn connections_that_come_and_go_leave_a_bounded_number_of_entries() {
        let now = clock::monotonic();
        let mut deadlines = Deadlines::default();
        let connections = 3;
        for slot_epoch in 0..10_000 {
            deadlines.add(now + Duration::from_millis(slot_epoch % 7), ConnectionId { token: 0, slot_epoch });
            deadlines.forget_stale(connections, |_, id| id.slot_epoch == slot_epoch);
            assert!(deadlines.heap.len() <= 2 * connections + STALE_DEADLINES_MAX);
        }
        let last = std::iter::from_fn(|| deadlines.pop_due(now + Duration::from_secs(1)));
        assert!(last.map(|(_, id)| id.slot_epoch).any(|slot_epoch| slot_epoch == 9_999), "the current one");
    }
}
