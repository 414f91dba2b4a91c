//! The two threads behind all projects: the writer, which syncs, and maintenance, which
//! checkpoints and lets keys expire. Neither wakes up while there is nothing to do.

use super::flush::AfterFlush;
use super::project::Project;
use crate::clock;
use crate::limits::SYNC_INTERVAL_MS;
use crate::names::ProjectId;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What projects have for the two threads to do.
pub struct Engine {
    queued: Mutex<Queued>,
    queue_signal: Condvar,
    scheduled: Mutex<Scheduled>,
    schedule_signal: Condvar,
    on_resolved: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Queued {
    projects: Vec<Arc<Project>>,
    stopping: bool,
}

#[derive(Default)]
struct Scheduled {
    projects: BTreeMap<ProjectId, Arc<Project>>,
    /// Whether a project came that the maintenance thread has not looked at.
    news: bool,
    stopping: bool,
}

/// Whether a project that is looked after already has to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// It can wait for its turn.
    Routine,
    /// At once.
    Now,
}

/// The threads of an engine.
pub struct EngineThreads {
    engine: Arc<Engine>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// An engine without threads; `on_resolved` is called after tickets were resolved.
    pub fn new(on_resolved: Box<dyn Fn() + Send + Sync>) -> Arc<Engine> {
        Arc::new(Engine {
            queued: Mutex::default(),
            queue_signal: Condvar::new(),
            scheduled: Mutex::default(),
            schedule_signal: Condvar::new(),
            on_resolved,
        })
    }

    /// Starts the writer and the maintenance thread.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn start(self: &Arc<Self>) -> io::Result<EngineThreads> {
        let spawn = |name: &str, run: fn(&Engine)| {
            let engine = Arc::clone(self);
            let guarded = move || {
                // Without this thread nothing would ever be acknowledged again; what was acknowledged
                // is on disk, so the honest end is to stop as if killed.
                let run = std::panic::AssertUnwindSafe(|| run(&engine));
                if std::panic::catch_unwind(run).is_err() {
                    std::process::abort();
                }
            };
            std::thread::Builder::new().name(name.to_owned()).spawn(guarded)
        };
        let threads = vec![spawn("writer", Engine::write)?, spawn("maintenance", Engine::maintain)?];
        Ok(EngineThreads { engine: Arc::clone(self), threads })
    }

    /// Puts a project into the writer's queue.
    pub(super) fn queue(&self, project: Arc<Project>) {
        let mut queued = unpoisoned(self.queued.lock());
        queued.projects.push(project);
        if queued.projects.len() == 1 {
            self.queue_signal.notify_one();
        }
    }

    /// Has the maintenance thread look after a project until nothing of it is due any more.
    pub fn schedule(&self, project: &Arc<Project>, urgency: Urgency) {
        if project.scheduled.swap(true, Ordering::AcqRel) && urgency == Urgency::Routine {
            return;
        }
        let mut scheduled = unpoisoned(self.scheduled.lock());
        scheduled.news = true;
        scheduled.projects.insert(project.id().clone(), Arc::clone(project));
        self.schedule_signal.notify_one();
    }

    /// Tells the event loops that tickets were resolved.
    pub(super) fn resolved(&self) {
        (self.on_resolved)();
    }

    fn write(&self) {
        let mut to_sync: Vec<(Instant, Arc<Project>)> = Vec::new();
        loop {
            let due = to_sync.iter().map(|(due, _)| *due).min();
            let (projects, stopping) = self.next_queued(due);
            for project in &projects {
                let after = project.flush(clock::monotonic());
                let known = to_sync.iter().any(|(_, listed)| Arc::ptr_eq(listed, project));
                if after == AfterFlush::SyncLater && !known {
                    let due = clock::monotonic() + Duration::from_millis(SYNC_INTERVAL_MS);
                    to_sync.push((due, Arc::clone(project)));
                }
            }
            let now = clock::monotonic();
            let last = stopping && projects.is_empty();
            to_sync
                .extract_if(.., |(due, _)| *due <= now || last)
                .for_each(|(_, project)| project.sync_written());
            if last {
                return;
            }
        }
    }

    /// Waits for projects with pending changes, or until `due`.
    fn next_queued(&self, due: Option<Instant>) -> (Vec<Arc<Project>>, bool) {
        let mut queued = unpoisoned(self.queued.lock());
        while queued.projects.is_empty() && !queued.stopping {
            match due.map(|due| due.saturating_duration_since(clock::monotonic())) {
                Some(Duration::ZERO) => break,
                Some(left) => queued = unpoisoned(self.queue_signal.wait_timeout(queued, left)).0,
                None => queued = unpoisoned(self.queue_signal.wait(queued)),
            }
        }
        (std::mem::take(&mut queued.projects), queued.stopping)
    }

    fn maintain(&self) {
        let mut due: Option<Instant> = None;
        while let Some(projects) = self.next_scheduled(due) {
            due = None;
            for project in projects {
                // Cleared first: what happens from here on schedules the project anew.
                project.scheduled.store(false, Ordering::Release);
                let next = project.maintain();
                due = [due, next].into_iter().flatten().min();
                if next.is_some() {
                    project.scheduled.store(true, Ordering::Release);
                    let mut scheduled = unpoisoned(self.scheduled.lock());
                    scheduled.projects.insert(project.id().clone(), project);
                }
            }
        }
    }

    /// Waits for something new to look at, or until `due`. `None` when the engine stops.
    fn next_scheduled(&self, due: Option<Instant>) -> Option<Vec<Arc<Project>>> {
        let mut scheduled = unpoisoned(self.scheduled.lock());
        while !scheduled.stopping && !scheduled.news {
            match due.map(|due| due.saturating_duration_since(clock::monotonic())) {
                Some(Duration::ZERO) => break,
                Some(left) => scheduled = unpoisoned(self.schedule_signal.wait_timeout(scheduled, left)).0,
                None => scheduled = unpoisoned(self.schedule_signal.wait(scheduled)),
            }
        }
        if scheduled.stopping {
            return None;
        }
        scheduled.news = false;
        Some(std::mem::take(&mut scheduled.projects).into_values().collect())
    }
}

impl EngineThreads {
    /// Ends both threads once everything queued is written.
    pub fn stop(self) {
        unpoisoned(self.engine.queued.lock()).stopping = true;
        self.engine.queue_signal.notify_one();
        unpoisoned(self.engine.scheduled.lock()).stopping = true;
        self.engine.schedule_signal.notify_one();
        for thread in self.threads {
            // A thread that panicked has ended the process already.
            let _ = thread.join();
        }
    }
}

/// The queues hold nothing that a panic could leave half changed.
fn unpoisoned<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}
