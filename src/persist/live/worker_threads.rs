//! The threads that serve all projects: the writers, which write and sync (`writer_queue.rs`); maintenance, which
//! expires keys and checkpoints small projects; and the long lane (`long_lane.rs`), which does the same for large ones.
//! A thread without work does not wake up.

use super::long_lane::Long;
use super::project::Project;
use super::queues::Queues;
use super::writer_queue::{AfterTurn, Call, Work};
use crate::limits::{ENGINE_STACK_BYTES, LONG_BYTES_MIN, LONG_KEYS_MIN};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// The queues of all projects, and the threads that serve them.
pub type ProjectQueues = Queues<Project>;

pub struct WorkerThreads {
    engine: Arc<ProjectQueues>,
    threads: Vec<JoinHandle<()>>,
}

impl ProjectQueues {
    /// Starts the first writer, the maintenance thread and that of the long lane.
    pub fn start(self: &Arc<Self>) -> io::Result<WorkerThreads> {
        self.begin_schedule();
        let threads = vec![
            self.spawn("maintenance", |engine| engine.maintain())?,
            self.spawn("long-lane", |engine| engine.work_on_long())?,
        ];
        self.start_writer(0)?;
        Ok(WorkerThreads { engine: Arc::clone(self), threads })
    }

    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &str,
        run: impl FnOnce(&Arc<ProjectQueues>) + Send + 'static,
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

    pub(super) fn start_writer(self: &Arc<Self>, number: usize) -> std::io::Result<()> {
        self.writers.starting(number);
        let name = if number == 0 { "writer".to_owned() } else { format!("writer-{number}") };
        let started = self.spawn(&name, move |engine| engine.write(number));
        started.map(drop).inspect_err(|_| self.writers.not_started(number))
    }

    fn write(self: &Arc<Self>, number: usize) {
        let mut written = None;
        while let Some((work, call)) = self.writers.next(number, written.take()) {
            match call {
                Call::NoWriter => {}
                Call::Wake(other) => self.writers.wake(Some(other)),
                Call::Start(other) => {
                    if let Err(error) = self.start_writer(other) {
                        log::warn!(
                            "No further writer thread could be started: {error}. The running ones do its work."
                        );
                    }
                }
            }
            match work {
                Work::Write(project) => {
                    let after = project.write_in_turn();
                    if after == AfterTurn::default() {
                        self.let_go(project);
                    } else {
                        written = Some((project, after));
                    }
                }
                Work::SyncDue(project) => project.want_sync(),
            }
        }
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
        self.begin(project);
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

    pub(super) fn work_on_long(&self) {
        while let Some(work) = self.long_lane.next() {
            match work {
                Long::Maintain(project) => {
                    // What becomes due in the meantime waits for this.
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
            let stored = state.key_map.totals_in_memory();
            stored.keys >= LONG_KEYS_MIN || stored.bytes >= LONG_BYTES_MIN
        });
        self.is_in_long_lane.store(is_large, Ordering::Release);
        is_large
    }
}

impl WorkerThreads {
    /// Ends the threads once everything queued is written.
    pub fn stop(self) {
        self.engine.writers.stop();
        self.engine.end_schedule();
        self.engine.long_lane.stop();
        for thread in self.threads {
            // A thread that panicked has ended the process already.
            let _ = thread.join();
        }
    }
}
