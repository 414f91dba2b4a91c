//! The thread for long tasks: checkpoints and expiry of large projects, and freeing many entries. Small projects
//! never wait for it.

use super::engine::{Engine, unpoisoned};
use super::project::Project;
use crate::limits::{FREED_LATER_MAX, LONG_BYTES_MIN, LONG_KEYS_MIN};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};

/// The tasks of the thread, first come, first served.
#[derive(Default)]
pub(super) struct LongLane {
    queue: Mutex<Queue>,
    signal: Condvar,
}

#[derive(Default)]
struct Queue {
    work: VecDeque<Long>,
    /// How many of them are [`Long::Free`].
    to_free: usize,
    stopping: bool,
}

/// A long task.
pub(super) enum Long {
    /// Maintenance of a project. While it waits here the engine schedules nothing for it (`IN_HAND`), so a project
    /// is queued once.
    Maintain(Arc<Project>),
    /// Memory to free.
    Free(Box<dyn Send>),
}

impl LongLane {
    pub(super) fn push(&self, work: Long) {
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

    /// Has the thread end after its current task.
    pub(super) fn stop(&self) {
        unpoisoned(self.queue.lock()).stopping = true;
        self.signal.notify_one();
    }

    /// Waits for a task. `None` if the engine stops.
    fn next(&self) -> Option<Long> {
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

impl Engine {
    /// The thread of the long lane.
    pub(super) fn work_on_long(&self) {
        while let Some(work) = self.long_lane.next() {
            match work {
                Long::Maintain(project) => {
                    // What becomes due meanwhile waits for this.
                    project.is_in_long_lane.store(true, Ordering::Release);
                    self.maintain_one(&project);
                    project.is_in_long_lane.store(false, Ordering::Release);
                }
                Long::Free(memory) => drop(memory),
            }
        }
    }
}

impl Project {
    /// Whether maintenance of the project takes long, or the long lane has the project already. If so, the lane has
    /// it from now on. Called by the maintenance thread only.
    pub(super) fn needs_long_lane(&self) -> bool {
        if self.is_in_long_lane.load(Ordering::Acquire) {
            return true;
        }
        let is_large = self.lock().is_ok_and(|state| {
            let stored = state.namespace.totals_in_memory();
            stored.keys >= LONG_KEYS_MIN || stored.bytes >= LONG_BYTES_MIN
        });
        self.is_in_long_lane.store(is_large, Ordering::Release);
        is_large
    }
}
