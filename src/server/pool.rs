//! Threads for jobs that would stall an event loop, and the jobs that wait for them.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Runs a job, or refuses it, and reports the result to its client.
pub(super) type Work = Box<dyn FnOnce(Turn) + Send>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Run,
    /// Too much work is waiting.
    Refused,
}

/// Work that waits, and the order in which it is done.
pub(super) trait Queue: Send + 'static {
    fn pop(&mut self) -> Option<Work>;
}

impl Queue for VecDeque<Work> {
    fn pop(&mut self) -> Option<Work> {
        self.pop_front()
    }
}

/// The threads of one lane.
pub(super) struct Pool<Q> {
    state: Mutex<State<Q>>,
    changed: Condvar,
}

struct State<Q> {
    queue: Q,
    idle_threads: usize,
    is_stopping: bool,
}

impl<Q: Queue> Pool<Q> {
    pub(super) fn new(queue: Q) -> Arc<Pool<Q>> {
        let state = State { queue, idle_threads: 0, is_stopping: false };
        Arc::new(Pool { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Starts `count` threads, which run until [`Pool::stop`].
    pub(super) fn spawn(self: &Arc<Self>, name: &str, count: usize) -> io::Result<Vec<JoinHandle<()>>> {
        let spawn = |number| {
            let pool = Arc::clone(self);
            let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
            thread.spawn(move || {
                while let Some(work) = pool.next() {
                    work(Turn::Run);
                }
            })
        };
        (0..count).map(spawn).collect()
    }

    /// Has `add` put work into the queue. What `add` returns did not fit and is refused.
    pub(super) fn push(&self, add: impl FnOnce(&mut Q) -> Option<Work>) {
        let mut state = self.lock();
        let refused = add(&mut state.queue);
        let is_awaited = state.idle_threads > 0;
        drop(state);
        if is_awaited {
            self.changed.notify_one();
        }
        if let Some(work) = refused {
            work(Turn::Refused);
        }
    }

    /// Lets the threads end after the work that they are doing. Nothing that is only queued is done any more.
    pub(super) fn stop(&self) {
        self.lock().is_stopping = true;
        self.changed.notify_all();
    }

    /// Waits for the next work. `None` once the pool stops.
    pub(super) fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.is_stopping {
                return None;
            }
            if let Some(work) = state.queue.pop() {
                return Some(work);
            }
            state.idle_threads += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle_threads -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<Q>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
