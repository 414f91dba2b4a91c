//! The thread for long tasks: checkpoints and expiry of large projects, and freeing many entries. Small projects
//! never wait for it.

use super::unpoisoned::unpoisoned;
use crate::limits::FREED_LATER_MAX;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

/// The tasks of the thread, first come, first served.
pub(super) struct LongLane<P> {
    queue: Mutex<Queue<P>>,
    signal: Condvar,
}

struct Queue<P> {
    work: VecDeque<Long<P>>,
    /// How many of them are [`Long::Free`].
    to_free: usize,
    stopping: bool,
}

pub(super) enum Long<P> {
    /// Maintenance of a project. While it waits here nothing else is scheduled for it, so a project is queued once.
    Maintain(Arc<P>),
    Free(Box<dyn Send>),
}

impl<P> LongLane<P> {
    pub(super) fn new() -> LongLane<P> {
        let queue = Queue { work: VecDeque::new(), to_free: 0, stopping: false };
        LongLane { queue: Mutex::new(queue), signal: Condvar::new() }
    }

    pub(super) fn push(&self, work: Long<P>) {
        let mut queue = unpoisoned(self.queue.lock());
        queue.to_free += usize::from(matches!(work, Long::Free(_)));
        queue.work.push_back(work);
        drop(queue);
        self.signal.notify_one();
    }

    /// Frees `memory` later, or at once if too much is queued already.
    pub(super) fn free(&self, memory: Box<dyn Send>) {
        let is_full = unpoisoned(self.queue.lock()).to_free >= FREED_LATER_MAX;
        if !is_full {
            self.push(Long::Free(memory));
        }
    }

    pub(super) fn stop(&self) {
        unpoisoned(self.queue.lock()).stopping = true;
        self.signal.notify_one();
    }

    /// Waits for a task. `None` if the thread has to end.
    pub(super) fn next(&self) -> Option<Long<P>> {
        let mut queue = unpoisoned(self.queue.lock());
        while !queue.stopping {
            if let Some(work) = queue.work.pop_front() {
                queue.to_free -= usize::from(matches!(work, Long::Free(_)));
                return Some(work);
            }
            queue = unpoisoned(self.signal.wait(queue));
        }
        None
    }
}
