//! The threads that serve all projects: the writers, which write and sync (`writers.rs`); maintenance, which
//! expires keys and checkpoints small projects; and the long lane (`long_lane.rs`), which does the same for large
//! ones. None of them wakes up without work.

use super::guard::DirectoryGuard;
use super::long_lane::{Long, LongLane};
use super::project::Project;
use super::watermark::Watermark;
use super::writers::Writers;
use crate::clock::{self, JumpWatch};
use crate::limits::{ENGINE_STACK_BYTES, FILES_LOOK_INTERVAL_MS};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The work that projects have for these threads.
pub struct Engine {
    pub(super) writers: Writers,
    pub(super) long_lane: LongLane,
    scheduled: Mutex<Scheduled>,
    schedule_signal: Condvar,
    /// The zero of `maintenance_due_ms`.
    epoch: Instant,
    /// Notices that the wall clock was set.
    jump_watch: JumpWatch,
    /// How many jumps there were.
    jumps: AtomicU64,
    /// How far revisions have gone.
    pub(super) watermark: Watermark,
    /// The data directory, if this process has its lock.
    guard: Option<DirectoryGuard>,
    /// When the files of idle projects were last checked, on the engine's clock.
    looked_ms: AtomicU64,
    /// Projects that wait to be rescued; `None` if no thread does that, see `rescue.rs`.
    pub(super) rescues: Mutex<Option<Vec<Arc<Project>>>>,
    on_resolved: Box<dyn Fn() + Send + Sync>,
}

/// The value of [`Project::maintenance_due_ms`] if nothing is due.
pub(super) const NOT_SCHEDULED: u64 = u64::MAX;

/// Its value once a thread has been given the project and has not begun. That thread does whatever becomes due
/// until then, so nothing has to be scheduled.
const IN_HAND: u64 = 0;

struct Scheduled {
    /// Every project whose `maintenance_due_ms` is not [`NOT_SCHEDULED`], once.
    projects: Vec<Arc<Project>>,
    /// Until when the maintenance thread sleeps; 0 while it works and looks again by itself.
    sleeps_until_ms: u64,
    /// Whether the maintenance thread runs. Without it nothing is added: an engine and the projects in it keep each
    /// other alive, and nobody would take them out again.
    runs: bool,
}

/// The threads of an engine.
pub struct EngineThreads {
    engine: Arc<Engine>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// An engine without threads; `on_resolved` is called after tickets were resolved.
    pub fn new(on_resolved: Box<dyn Fn() + Send + Sync>) -> Arc<Engine> {
        Engine::guarding(None, on_resolved)
    }

    /// As [`Engine::new`], for projects in the data directory of `guard`.
    pub fn guarding(guard: Option<DirectoryGuard>, on_resolved: Box<dyn Fn() + Send + Sync>) -> Arc<Engine> {
        let epoch = clock::monotonic();
        Arc::new(Engine {
            jump_watch: JumpWatch::new(clock::wall_ms(), epoch),
            jumps: AtomicU64::new(0),
            writers: Writers::new(),
            long_lane: LongLane::default(),
            scheduled: Mutex::new(Scheduled { projects: Vec::new(), sleeps_until_ms: 0, runs: false }),
            schedule_signal: Condvar::new(),
            epoch,
            watermark: Watermark::default(),
            guard,
            looked_ms: AtomicU64::new(0),
            rescues: Mutex::default(),
            on_resolved,
        })
    }

    /// Starts the first writer, the maintenance thread and that of the long lane.
    ///
    /// # Errors
    /// As the operating system returns them.
    pub fn start(self: &Arc<Self>) -> io::Result<EngineThreads> {
        unpoisoned(self.scheduled.lock()).runs = true;
        let threads = vec![
            self.spawn("maintenance", |engine| engine.maintain())?,
            self.spawn("long-lane", |engine| engine.work_on_long())?,
        ];
        self.start_writer(0)?;
        Ok(EngineThreads { engine: Arc::clone(self), threads })
    }

    /// Starts a thread of the engine.
    ///
    /// # Errors
    /// As the operating system returns them.
    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &str,
        run: impl FnOnce(&Arc<Engine>) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let engine = Arc::clone(self);
        let guarded = move || {
            // Without this thread some changes would never be acknowledged; what was acknowledged is on disk,
            // so the process ends as if killed.
            let run = std::panic::AssertUnwindSafe(|| run(&engine));
            if std::panic::catch_unwind(run).is_err() {
                log::logger().flush(); // the lines about the panic are still being collected
                std::process::abort();
            }
        };
        std::thread::Builder::new().name(name.to_owned()).stack_size(ENGINE_STACK_BYTES).spawn(guarded)
    }

    /// Puts a project into the queue of the writers.
    pub(super) fn queue(&self, project: Arc<Project>) {
        self.writers.queue(project);
    }

    /// As [`Engine::queue`], for one that a writer left to the thread that held its journal.
    pub(super) fn queue_left(&self, project: Arc<Project>) {
        self.writers.queue_left(project);
    }

    /// A writer leaves a project to the thread that holds its journal.
    pub(super) fn leave(&self) {
        self.writers.leave();
    }

    /// Has the maintenance thread serve a project at `due` or earlier.
    pub(super) fn schedule(&self, project: &Arc<Project>, due: Instant) {
        let due_ms = self.ms_of(due);
        let before_ms = project.maintenance_due_ms.fetch_min(due_ms, Ordering::AcqRel);
        if before_ms <= due_ms {
            return;
        }
        let mut scheduled = unpoisoned(self.scheduled.lock());
        if before_ms == NOT_SCHEDULED && scheduled.runs {
            scheduled.projects.push(Arc::clone(project));
        }
        // Another thread may have scheduled it for an earlier time.
        if project.maintenance_due_ms.load(Ordering::Acquire) < scheduled.sleeps_until_ms {
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
            project.maintenance_due_ms.fetch_min(now_ms, Ordering::AcqRel);
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

    /// As [`Engine::check_directory`], for its lock alone, in half the time. See [`DirectoryGuard::check_lock`].
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

    /// Tells the event loops that tickets were resolved.
    pub(super) fn resolved(&self) {
        (self.on_resolved)();
    }

    fn maintain(&self) {
        while let Some(projects) = self.next_scheduled() {
            for project in projects {
                if project.needs_long_lane() {
                    self.long_lane.push(Long::Maintain(project));
                } else {
                    self.maintain_one(&project);
                    self.let_go(project);
                }
            }
        }
    }

    /// Does the maintenance that is due for a project.
    pub(super) fn maintain_one(&self, project: &Arc<Project>) {
        // Before it begins: what becomes due from here on is scheduled again.
        project.maintenance_due_ms.store(NOT_SCHEDULED, Ordering::Release);
        if let Some(due) = project.maintain() {
            self.schedule(project, due);
        }
    }

    /// Drops a reference to a project. The long lane drops the last one, because freeing many keys takes long.
    pub(super) fn let_go(&self, project: Arc<Project>) {
        if let Some(project) = Arc::into_inner(project) {
            self.long_lane.free(Box::new(project));
        }
    }

    /// Waits for projects that are due. `None` when the engine stops.
    fn next_scheduled(&self) -> Option<Vec<Arc<Project>>> {
        let due_of = |project: &Arc<Project>| project.maintenance_due_ms.load(Ordering::Acquire);
        let mut scheduled = unpoisoned(self.scheduled.lock());
        while scheduled.runs {
            let now = clock::monotonic();
            let now_ms = u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(0);
            let next_ms = scheduled.projects.iter().map(due_of).min().unwrap_or(NOT_SCHEDULED);
            if next_ms <= now_ms {
                scheduled.sleeps_until_ms = 0;
                let due = scheduled.projects.extract_if(.., |project| due_of(project) <= now_ms);
                let give = |project: &Arc<Project>| {
                    project.maintenance_due_ms.store(IN_HAND, Ordering::Release);
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

impl EngineThreads {
    /// Ends the threads once everything queued is written.
    pub fn stop(self) {
        self.engine.writers.stop();
        unpoisoned(self.engine.scheduled.lock()).runs = false;
        self.engine.schedule_signal.notify_one();
        self.engine.long_lane.stop();
        for thread in self.threads {
            // A thread that panicked has ended the process already.
            let _ = thread.join();
        }
    }
}

/// The queues hold nothing that a panic could leave half changed.
pub(super) fn unpoisoned<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}
