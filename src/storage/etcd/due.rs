//! When the answer to a client is due, for the thread that works on its request.
//!
//! A request waits for a thread of its cell, and then may need several requests to the cell. Together they must not take
//! longer than one of them may, however busy the threads are.

use crate::clock;
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static DUE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Sets the previous instant again, also after a panic.
struct Restore(Option<Instant>);

impl Drop for Restore {
    fn drop(&mut self) {
        DUE.set(self.0);
    }
}

/// Ends the requests to cells that `work` sends from this thread at `due` at the latest.
pub fn until<R>(due: Instant, work: impl FnOnce() -> R) -> R {
    let _restore = Restore(DUE.replace(Some(due)));
    work()
}

/// The deadline of a request to a cell that begins now and may take so many milliseconds alone.
pub(super) fn deadline(alone_ms: u64) -> Instant {
    let alone = clock::monotonic() + Duration::from_millis(alone_ms);
    DUE.get().map_or(alone, |due| due.min(alone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_a_cell_ends_when_the_answer_is_due_or_by_its_own_bound() {
        let now = clock::monotonic();
        let [early, late] = [500, 60_000].map(|ms| now + Duration::from_millis(ms));
        let by_own_bound = |deadline: Instant| deadline >= now + Duration::from_secs(2) && deadline < late;
        assert!(by_own_bound(deadline(2_000)));
        until(early, || {
            assert_eq!(deadline(2_000), early);
            until(late, || assert!(by_own_bound(deadline(2_000))));
            assert_eq!(deadline(2_000), early);
        });
        let panicked = std::panic::catch_unwind(|| until(early, || panic!("work")));
        assert!(panicked.is_err());
        assert!(by_own_bound(deadline(2_000)));
    }
}
