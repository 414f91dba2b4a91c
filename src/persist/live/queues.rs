//! The work that the projects of a process have for its threads, and what they share beside it.

use super::long_lane::LongLane;
use super::unpoisoned::unpoisoned;
use super::writer_queue::WriterQueue;
use crate::clock::{self, JumpWatch};
use crate::limits::FILES_LOOK_INTERVAL_MS;
use crate::persist::files::guard::DirectoryGuard;
use crate::persist::files::watermark::Watermark;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Queues of projects that have work, of type `P`; and what all projects share.
pub struct Queues<P> {
    pub(super) writers: WriterQueue<P>,
    pub(super) long_lane: LongLane<P>,
    scheduled: Mutex<Schedule<P>>,
    schedule_signal: Condvar,
    /// The zero of `maintenance_due_ms`.
    epoch: Instant,
    /// Notices that the wall clock was set.
    jump_watch: JumpWatch,
    /// How many jumps there were.
    jumps: AtomicU64,
    /// How far revisions have gone.
    pub watermark: Watermark,
    /// The data directory, if this process has its lock.
    guard: Option<DirectoryGuard>,
    /// When the files of idle projects were last checked, on the clock of the queues.
    looked_ms: AtomicU64,
    /// Projects that wait to be rescued; `None` if no thread does that, see `rescue.rs`.
    pub(super) rescues: Mutex<Option<Vec<Arc<P>>>>,
    on_resolved: Box<dyn Fn() + Send + Sync>,
}

/// The value of [`Project::maintenance_due_ms`] if nothing is due.
pub(super) const NOT_SCHEDULED: u64 = u64::MAX;

/// Its value once a thread has been given the project and has not begun. That thread does whatever becomes due
/// until then, so nothing has to be scheduled.
const IN_HAND: u64 = 0;

/// What the queues know of a project.
pub trait Scheduled {
    /// When the maintenance thread next serves it, on the clock of the queues.
    fn due_ms(&self) -> &AtomicU64;
}

struct Schedule<P> {
    /// Every project whose `maintenance_due_ms` is not [`NOT_SCHEDULED`], once.
    projects: Vec<Arc<P>>,
    /// Until when the maintenance thread sleeps; 0 while it works and looks again by itself.
    sleeps_until_ms: u64,
    /// Whether the maintenance thread runs. Without it nothing is added: an engine and the projects in it keep each
    /// other alive, and nobody would take them out again.
    runs: bool,
}

impl<P: Scheduled> Queues<P> {
    /// An engine without threads; `on_resolved` is called after commits were resolved.
    pub fn new(on_resolved: Box<dyn Fn() + Send + Sync>) -> Arc<Queues<P>> {
        Queues::guarding(None, on_resolved)
    }

    /// As [`Queues::new`], for projects in the data directory of `guard`.
    pub fn guarding(
        guard: Option<DirectoryGuard>,
        on_resolved: Box<dyn Fn() + Send + Sync>,
    ) -> Arc<Queues<P>> {
        let epoch = clock::monotonic();
        Arc::new(Queues {
            jump_watch: JumpWatch::new(clock::wall_ms(), epoch),
            jumps: AtomicU64::new(0),
            writers: WriterQueue::new(),
            long_lane: LongLane::new(),
            scheduled: Mutex::new(Schedule { projects: Vec::new(), sleeps_until_ms: 0, runs: false }),
            schedule_signal: Condvar::new(),
            epoch,
            watermark: Watermark::default(),
            guard,
            looked_ms: AtomicU64::new(0),
            rescues: Mutex::default(),
            on_resolved,
        })
    }

    /// Puts a project into the queue of the writers.
    pub(super) fn queue(&self, project: Arc<P>) {
        self.writers.queue(project);
    }

    /// As [`Queues::queue`], for one that a writer left to the thread that held its journal.
    pub(super) fn queue_left(&self, project: Arc<P>) {
        self.writers.queue_left(project);
    }

    /// A writer leaves a project to the thread that holds its journal.
    pub(super) fn leave(&self) {
        self.writers.leave();
    }

    /// Has the maintenance thread serve a project at `due` or earlier.
    pub(super) fn schedule(&self, project: &Arc<P>, due: Instant) {
        let due_ms = self.ms_of(due);
        let before_ms = project.due_ms().fetch_min(due_ms, Ordering::AcqRel);
        if before_ms <= due_ms {
            return;
        }
        let mut scheduled = unpoisoned(self.scheduled.lock());
        if before_ms == NOT_SCHEDULED && scheduled.runs {
            scheduled.projects.push(Arc::clone(project));
        }
        // Another thread may have scheduled it for an earlier time.
        if project.due_ms().load(Ordering::Acquire) < scheduled.sleeps_until_ms {
            self.schedule_signal.notify_one();
        }
    }

    /// Rounded up, so that what was waited for is due.
    fn ms_of(&self, instant: Instant) -> u64 {
        let elapsed = instant.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(elapsed).unwrap_or(NOT_SCHEDULED - 1).saturating_add(1).min(NOT_SCHEDULED - 1)
    }

    /// Compares the clocks, on any activity. A jump is logged, and every project with times to live is checked
    /// now: the log then has the keys that the jump ended.
    pub fn look_at_clock(&self, wall_ms: u64, now: Instant) {
        let Some(jump) = self.jump_watch.look(wall_ms, now) else { return };
        let effect = if jump.by_ms < 0 {
            "keys, sessions and tokens with a time to live last so much longer"
        } else {
            "keys, sessions and tokens whose time to live is over by this clock end now"
        };
        log::warn!("{jump}; {effect} (the clock was set, or the machine slept)");
        self.jumps.fetch_add(1, Ordering::AcqRel);
        let now_ms = self.ms_of(now);
        let mut scheduled = unpoisoned(self.scheduled.lock());
        for project in &scheduled.projects {
            project.due_ms().fetch_min(now_ms, Ordering::AcqRel);
        }
        scheduled.sleeps_until_ms = scheduled.sleeps_until_ms.min(now_ms);
        drop(scheduled);
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

    /// Whether the files of projects without writes are due to be checked: at most every
    /// [`FILES_LOOK_INTERVAL_MS`]. Returns true once for each time.
    pub fn is_look_due(&self, now: Instant) -> bool {
        let (now_ms, looked_ms) = (self.ms_of(now), self.looked_ms.load(Ordering::Relaxed));
        now_ms >= looked_ms.saturating_add(FILES_LOOK_INTERVAL_MS)
            && self
                .looked_ms
                .compare_exchange(looked_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
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
        unpoisoned(self.scheduled.lock()).runs = true;
    }

    /// Has the maintenance thread end.
    pub(super) fn end_schedule(&self) {
        unpoisoned(self.scheduled.lock()).runs = false;
        self.schedule_signal.notify_one();
    }

    /// Waits for projects that are due. `None` when the engine stops.
    pub(super) fn next_scheduled(&self) -> Option<Vec<Arc<P>>> {
        let due_of = |project: &Arc<P>| project.due_ms().load(Ordering::Acquire);
        let mut scheduled = unpoisoned(self.scheduled.lock());
        while scheduled.runs {
            let now = clock::monotonic();
            let now_ms = u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(0);
            let next_ms = scheduled.projects.iter().map(due_of).min().unwrap_or(NOT_SCHEDULED);
            if next_ms <= now_ms {
                scheduled.sleeps_until_ms = 0;
                let due = scheduled.projects.extract_if(.., |project| due_of(project) <= now_ms);
                let give = |project: &Arc<P>| {
                    project.due_ms().store(IN_HAND, Ordering::Release);
                };
                return Some(due.inspect(give).collect());
            }
            scheduled.sleeps_until_ms = next_ms;
            let left = Duration::from_millis(next_ms - now_ms);
            scheduled = match next_ms {
                NOT_SCHEDULED => unpoisoned(self.schedule_signal.wait(scheduled)),
                _ => unpoisoned(self.schedule_signal.wait_timeout(scheduled, left)).0,
            };
        }
        None
    }
}
