//! The bounded queue between the threads that log and the thread that writes.

use crate::clock;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whole lines that wait to be written. Its lock is held for a copy, never during a write. With the batch that is being
/// written it holds at most twice its bound.
pub(super) struct Queue {
    bytes_max: usize,
    state: Mutex<State>,
    /// There is something to write, or it is urgent.
    filled: Condvar,
    /// Everything is written.
    drained: Condvar,
}

struct State {
    lines: Vec<u8>,
    lines_dropped: u64,
    /// A batch was taken and may not be written yet.
    is_writing: bool,
    /// A thread waits until everything is written.
    is_awaited: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lines_dropped == 0
    }
}

impl Queue {
    pub(super) const fn new(bytes_max: usize) -> Queue {
        let state = State { lines: Vec::new(), lines_dropped: 0, is_writing: false, is_awaited: false };
        Queue { bytes_max, state: Mutex::new(state), filled: Condvar::new(), drained: Condvar::new() }
    }

    /// Adds the first of `lines`, as many as fit, and counts the others as dropped.
    pub(super) fn append(&self, lines: &[u8]) {
        let mut state = self.lock();
        let (was_empty, was_urgent) = (state.is_empty(), self.is_urgent(&state));
        let (kept, dropped) = split_lines(lines, self.bytes_max - state.lines.len());
        state.lines.extend_from_slice(kept);
        state.lines_dropped += dropped.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
        let is_filled = was_empty && !state.is_empty();
        let is_urgent = !was_urgent && self.is_urgent(&state);
        drop(state);
        if is_filled || is_urgent {
            self.filled.notify_one();
        }
    }

    /// Marks the previous batch as written, waits for lines, and moves them into `batch`. Collects until `earliest`, or
    /// until half the space is used or a thread waits for the lines. Returns how many lines were dropped after them.
    pub(super) fn take(&self, batch: &mut Vec<u8>, earliest: Instant) -> u64 {
        batch.clear();
        let mut state = self.lock();
        state.is_writing = false;
        if state.is_empty() {
            self.drained.notify_all();
        }
        while state.is_empty() {
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let left = earliest.saturating_duration_since(clock::monotonic());
        let collected = self.filled.wait_timeout_while(state, left, |state| !self.is_urgent(state));
        let mut state = collected.unwrap_or_else(PoisonError::into_inner).0;
        state.is_writing = true;
        state.is_awaited = false;
        std::mem::swap(&mut state.lines, batch);
        std::mem::take(&mut state.lines_dropped)
    }

    /// Waits until everything is written. `false` if that takes longer than `timeout`.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let is_busy = |state: &mut State| state.is_writing || !state.is_empty();
        let mut state = self.lock();
        state.is_awaited = is_busy(&mut state);
        self.filled.notify_one();
        let waited = self.drained.wait_timeout_while(state, timeout, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn is_urgent(&self, state: &State) -> bool {
        state.is_awaited || state.lines.len() >= self.bytes_max / 2
    }

    /// The lines are whole even after a panic, so a poisoned lock can be used.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Splits `lines` after as many whole lines as fit into `space` bytes.
fn split_lines(lines: &[u8], space: usize) -> (&[u8], &[u8]) {
    if lines.len() <= space {
        return (lines, &[]);
    }
    let fitting = lines.get(..space).unwrap_or_default();
    let end = fitting.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    lines.split_at_checked(end).unwrap_or((&[], lines))
}
