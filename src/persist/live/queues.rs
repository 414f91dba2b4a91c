//! The queues of projects that have work for the threads of a process, and what all projects share.

use super::long_lane::LongLane;
use super::unpoisoned::unpoisoned;
use super::writer_queue::WriterQueue;
use crate::clock::{self, JumpWatch};
use crate::limits::FILES_LOOK_INTERVAL_MS;
use crate::persist::files::guard::DirectoryGuard;
use crate::persist::files::watermark::Watermark;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Queues of projects that have work, of type `P`; and what all projects share.
pub struct Queues<P> {
    pub(super) writers: WriterQueue<P>,
    pub(super) long_lane: LongLane<P>,
    schedule: Mutex<Schedule<P>>,
    schedule_signal: Condvar,
    jump_watch: JumpWatch,
    /// How often the clock jumped.
    jumps: AtomicU64,
    pub watermark: Watermark,
    /// The data directory, if this process has its lock.
    guard: Option<DirectoryGuard>,
    /// When the files of idle projects were last checked.
    looked: Mutex<Instant>,
    /// Projects that wait to be rescued; `None` if no thread does that, see `rescue.rs`.
    pub(super) rescues: Mutex<Option<Vec<Arc<P>>>>,
    on_resolved: Box<dyn Fn() + Send + Sync>,
}

/// The projects that the maintenance thread has to serve.
struct Schedule<P> {
    /// By address, each project and when it is served next. `None` once a thread has been given it and has not begun:
    /// that thread does whatever becomes due until then.
    projects: HashMap<usize, (Arc<P>, Option<Instant>)>,
    /// Until when the maintenance thread sleeps; `None` until something is scheduled.
    sleeps_until: Option<Instant>,
    /// Whether the maintenance thread runs. Without it nothing is added: the queues and the projects in them keep each
    /// other alive, and nothing would remove them.
    runs: bool,
}

impl<P> Queues<P> {
    /// Queues without threads. `on_resolved` is called after commits were resolved.
    pub fn new(on_resolved: Box<dyn Fn() + Send + Sync>) -> Arc<Queues<P>> {
        Queues::guarding(None, on_resolved)
    }

    /// As [`Queues::new`], for projects in the data directory of `guard`.
    pub fn guarding(
        guard: Option<DirectoryGuard>,
        on_resolved: Box<dyn Fn() + Send + Sync>,
    ) -> Arc<Queues<P>> {
        let now = clock::monotonic();
        Arc::new(Queues {
            jump_watch: JumpWatch::new(clock::wall_ms(), now),
            jumps: AtomicU64::new(0),
            writers: WriterQueue::new(),
            long_lane: LongLane::new(),
            schedule: Mutex::new(Schedule { projects: HashMap::new(), sleeps_until: None, runs: false }),
            schedule_signal: Condvar::new(),
            watermark: Watermark::default(),
            guard,
            looked: Mutex::new(now),
            rescues: Mutex::default(),
            on_resolved,
        })
    }

    /// Schedules maintenance of a project at `due` or earlier.
    pub(super) fn schedule(&self, project: &Arc<P>, due: Instant) {
        let mut schedule = unpoisoned(self.schedule.lock());
        let Schedule { projects, sleeps_until, runs } = &mut *schedule;
        match projects.entry(Arc::as_ptr(project).addr()) {
            Entry::Occupied(mut scheduled) => match &mut scheduled.get_mut().1 {
                Some(later) if due < *later => *later = due,
                Some(_) | None => return,
            },
            Entry::Vacant(vacant) if *runs => drop(vacant.insert((Arc::clone(project), Some(due)))),
            Entry::Vacant(_) => return,
        }
        if sleeps_until.is_none_or(|until| due < until) {
            self.schedule_signal.notify_one();
        }
    }

    /// A thread begins to serve a project: what becomes due from here on is scheduled again.
    pub(super) fn begin(&self, project: &Arc<P>) {
        unpoisoned(self.schedule.lock()).projects.remove(&Arc::as_ptr(project).addr());
    }

    /// Compares the clocks, on any activity. A jump is logged, and every project with times to live is checked
    /// now: the log then has the number of keys that expired because of it.
    pub fn look_at_clock(&self, wall_ms: u64, now: Instant) {
        let Some(jump) = self.jump_watch.look(wall_ms, now) else { return };
        let effect = if jump.by_ms < 0 {
            "keys, sessions and tokens expire that much later"
        } else {
            "keys, sessions and tokens that are due by the new time expire now"
        };
        log::warn!("{jump}; {effect} (the clock was set, or the machine slept)");
        self.jumps.fetch_add(1, Ordering::AcqRel);
        let mut schedule = unpoisoned(self.schedule.lock());
        for (_, due) in schedule.projects.values_mut() {
            *due = due.map(|due| due.min(now));
        }
        self.schedule_signal.notify_one();
    }

    /// Checks that the data directory still belongs to this process. See [`DirectoryGuard::check`].
    ///
    /// # Errors
    /// The reason why it does not.
    pub fn check_directory(&self) -> Result<(), &str> {
        self.guard.as_ref().map_or(Ok(()), DirectoryGuard::check)
    }

    /// As [`Queues::check_directory`], for its lock alone, in half the time. See [`DirectoryGuard::check_lock`].
    ///
    /// # Errors
    /// The reason why it does not.
    pub(super) fn check_lock(&self) -> Result<(), &str> {
        self.guard.as_ref().map_or(Ok(()), DirectoryGuard::check_lock)
    }

    /// Why the data directory no longer belongs to this process, once a check has found that.
    pub(super) fn lost_directory(&self) -> Option<&str> {
        self.guard.as_ref().and_then(DirectoryGuard::lost)
    }

    /// Whether a check of the files of idle projects is due: at most every [`FILES_LOOK_INTERVAL_MS`]. Returns true
    /// once each time.
    pub fn is_look_due(&self, now: Instant) -> bool {
        let mut looked = unpoisoned(self.looked.lock());
        let is_due = now >= *looked + Duration::from_millis(FILES_LOOK_INTERVAL_MS);
        if is_due {
            *looked = now;
        }
        is_due
    }

    /// How often the clock jumped.
    pub(super) fn jumps(&self) -> u64 {
        self.jumps.load(Ordering::Acquire)
    }

    /// Tells the event loops that commits were resolved.
    pub(super) fn resolved(&self) {
        (self.on_resolved)();
    }

    /// The maintenance thread is about to run: projects may be scheduled.
    pub(super) fn begin_schedule(&self) {
        unpoisoned(self.schedule.lock()).runs = true;
    }

    pub(super) fn end_schedule(&self) {
        unpoisoned(self.schedule.lock()).runs = false;
        self.schedule_signal.notify_one();
    }

    /// Waits for projects that are due. `None` if the thread has to end.
    pub(super) fn next_scheduled(&self) -> Option<Vec<Arc<P>>> {
        let mut schedule = unpoisoned(self.schedule.lock());
        while schedule.runs {
            let now = clock::monotonic();
            let next = schedule.projects.values().filter_map(|(_, due)| *due).min();
            // While the thread works it needs no signal: it checks again before it sleeps.
            schedule.sleeps_until = next.map(|next| next.max(now));
            schedule = match next.map(|next| next.saturating_duration_since(now)) {
                Some(Duration::ZERO) => {
                    let scheduled = schedule.projects.values_mut();
                    let due = scheduled.filter(|(_, due)| due.is_some_and(|due| due <= now));
                    return Some(
                        due.map(|(project, due)| {
                            *due = None;
                            Arc::clone(project)
                        })
                        .collect(),
                    );
                }
                Some(left) => unpoisoned(self.schedule_signal.wait_timeout(schedule, left)).0,
                None => unpoisoned(self.schedule_signal.wait(schedule)),
            };
        }
        None
    }
}
