//! The threads that write and sync what projects have changed.
//!
//! Projects wait in one queue. A writer takes the first one, writes it and syncs it, so the syncs of different
//! projects overlap. A project is with one writer at most. A change during its turn puts it at the end of the
//! queue, after the others that wait:
//!
//! ```text
//!        change             a writer takes it                 written
//!  Idle --------> Queued ---------------------> Writing ------------------> Idle
//!                   ^                              | change
//!                   |                              v
//!                   +----------------------- WritingMore
//!                            written
//! ```
//! The states are those of `project::Turn`. A writer never waits for a journal that another thread holds: it leaves
//! the project to that thread, which queues it again when it is done (`journal_lock.rs`).
//!
//! The first writer always runs. When all writers are busy, one more is started: a slow sync delays no other
//! project. Each writer but the first ends after a quiet time. The idle writer with the lowest number is woken
//! first, so one busy project always keeps the same writer busy.

use super::unpoisoned::unpoisoned;
use crate::clock;
use crate::limits::{WRITER_QUIET_MS, WRITERS_MAX};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::{Duration, Instant};

pub(super) struct WriterQueue<P> {
    queue: Mutex<Queue<P>>,
    /// One for each writer.
    signals: [Condvar; WRITERS_MAX],
    ended: Condvar,
}

struct Queue<P> {
    projects: VecDeque<Arc<P>>,
    /// Projects with `sync: interval` that are written and not synced, by the time at which the sync is due; the
    /// number distinguishes those of one instant. `Weak`, because an interval may be an hour: a project that was
    /// closed or deleted in the meantime is freed at once.
    syncs: BTreeMap<(Instant, u64), Weak<P>>,
    syncs_added: u64,
    /// How many projects wait for the thread that holds their journal to queue them again.
    left: usize,
    slots: [Slot; WRITERS_MAX],
    /// No thread is started before this instant, because the operating system refused one.
    start_after: Option<Instant>,
    stopping: bool,
}

/// The state of the writer with one number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Absent,
    /// It works, or was woken or started and is about to take work.
    Busy,
    /// It waits for work, and for the sync that is due at `until`.
    Idle {
        until: Option<Instant>,
    },
}

/// The next task of a writer.
pub(super) enum Work<P> {
    Write(Arc<P>),
    /// The interval of a project with `sync: interval` is over.
    SyncDue(Arc<P>),
}

/// The other writer that is needed when one has found work.
pub(super) enum Call {
    NoWriter,
    Wake(usize),
    Start(usize),
}

/// What is left to do for a project after its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AfterTurn {
    /// There is more to write.
    pub(super) again: bool,
    /// After which time it has to be synced, if it has `sync: interval`.
    pub(super) sync_after: Option<Duration>,
}

impl<P> WriterQueue<P> {
    pub(super) fn new() -> WriterQueue<P> {
        let queue = Queue {
            projects: VecDeque::new(),
            syncs: BTreeMap::new(),
            syncs_added: 0,
            left: 0,
            slots: [Slot::Absent; WRITERS_MAX],
            start_after: None,
            stopping: false,
        };
        WriterQueue {
            queue: Mutex::new(queue),
            signals: std::array::from_fn(|_| Condvar::new()),
            ended: Condvar::new(),
        }
    }

    /// Appends a project to the queue. The caller has set its turn to `Queued`.
    pub(super) fn queue(&self, project: Arc<P>) {
        self.enqueue(project, 0);
    }

    /// As [`WriterQueue::queue`], for a project that was left to the thread that held its journal.
    pub(super) fn queue_left(&self, project: Arc<P>) {
        self.enqueue(project, 1);
    }

    fn enqueue(&self, project: Arc<P>, no_longer_left: usize) {
        let mut queue = unpoisoned(self.queue.lock());
        queue.left -= no_longer_left;
        if !queue.is_served() {
            return;
        }
        queue.projects.push_back(project);
        let call = queue.wake_one();
        drop(queue);
        self.wake(call);
    }

    /// A project is left to the thread that holds its journal; [`WriterQueue::queue_left`] follows.
    pub(super) fn leave(&self) {
        unpoisoned(self.queue.lock()).left += 1;
    }

    /// Ends all writers after everything that is queued is written and synced.
    pub(super) fn stop(&self) {
        let mut queue = unpoisoned(self.queue.lock());
        queue.stopping = true;
        self.signals.iter().for_each(Condvar::notify_one);
        while queue.is_served() {
            queue = unpoisoned(self.ended.wait(queue));
        }
    }

    pub(super) fn wake(&self, number: Option<usize>) {
        if let Some(signal) = number.and_then(|number| self.signals.get(number)) {
            signal.notify_one();
        }
    }

    /// Waits for a task. `None` if the writer has to end.
    pub(super) fn next(
        &self,
        number: usize,
        written: Option<(Arc<P>, AfterTurn)>,
    ) -> Option<(Work<P>, Call)> {
        let signal = self.signals.get(number)?;
        let mut queue = unpoisoned(self.queue.lock());
        if let Some((project, after)) = written {
            queue.add(project, after);
        }
        let mut quiet_end = None;
        loop {
            if let Some(work) = queue.take() {
                queue.set(number, Slot::Busy);
                return Some((work, queue.call()));
            }
            let sync_due = queue.sync_due();
            let now = clock::monotonic();
            let quiet_end = *quiet_end.get_or_insert_with(|| now + Duration::from_millis(WRITER_QUIET_MS));
            let is_over = if queue.stopping { queue.left == 0 } else { number > 0 && quiet_end <= now };
            if is_over {
                let other = queue.end(number);
                self.wake(other);
                if queue.stopping {
                    // The others may have waited for the last project, which this one has written.
                    self.signals.iter().for_each(Condvar::notify_one);
                    self.ended.notify_all();
                }
                return None;
            }
            queue.set(number, Slot::Idle { until: sync_due });
            let quiet_end = (number > 0 && !queue.stopping).then_some(quiet_end);
            queue = match [sync_due, quiet_end].into_iter().flatten().min() {
                Some(until) => {
                    let left = until.saturating_duration_since(now);
                    unpoisoned(signal.wait_timeout(queue, left)).0
                }
                None => unpoisoned(signal.wait(queue)),
            };
        }
    }

    pub(super) fn starting(&self, number: usize) {
        unpoisoned(self.queue.lock()).set(number, Slot::Busy);
    }

    /// Notes that a thread could not be started. The others do its work, and the next attempt is later.
    pub(super) fn not_started(&self, number: usize) {
        let mut queue = unpoisoned(self.queue.lock());
        queue.set(number, Slot::Absent);
        queue.start_after = Some(clock::monotonic() + Duration::from_millis(WRITER_QUIET_MS));
        self.ended.notify_all();
    }
}

impl<P> Queue<P> {
    fn set(&mut self, number: usize, state: Slot) {
        if let Some(slot) = self.slots.get_mut(number) {
            *slot = state;
        }
    }

    /// Whether a writer runs. Without it nothing is added, as in `queues::Schedule`.
    fn is_served(&self) -> bool {
        self.slots.iter().any(|slot| *slot != Slot::Absent)
    }

    /// Queues what is left to do for a project after its turn.
    fn add(&mut self, project: Arc<P>, after: AfterTurn) {
        if let Some(sync_after) = after.sync_after {
            self.sync_at(clock::monotonic() + sync_after, &project);
        }
        if after.again {
            self.projects.push_back(project);
        }
    }

    fn sync_at(&mut self, due: Instant, project: &Arc<P>) {
        self.syncs_added += 1;
        self.syncs.insert((due, self.syncs_added), Arc::downgrade(project));
    }

    fn sync_due(&self) -> Option<Instant> {
        self.syncs.first_key_value().map(|((due, _), _)| *due)
    }

    /// The writer `number` ends. Returns the writer that has to wait for the next sync instead, for the caller to wake.
    fn end(&mut self, number: usize) -> Option<usize> {
        self.set(number, Slot::Absent);
        if self.is_timed() { None } else { self.wake_one() }
    }

    /// Whether an idle writer waits for the next sync, if there is one. One that waits for a later sync would miss it.
    fn is_timed(&self) -> bool {
        self.sync_due().is_none_or(|due| {
            let waits = |slot: &Slot| matches!(slot, Slot::Idle { until: Some(until) } if *until <= due);
            self.slots.iter().any(waits)
        })
    }

    fn take(&mut self) -> Option<Work<P>> {
        while let Some(due) = self.sync_due()
            && (self.stopping || due <= clock::monotonic())
        {
            let first = self.syncs.pop_first();
            if let Some(project) = first.and_then(|(_, project)| project.upgrade()) {
                return Some(Work::SyncDue(project));
            }
        }
        self.projects.pop_front().map(Work::Write)
    }

    /// Picks the idle writer with the lowest number, for the caller to wake.
    fn wake_one(&mut self) -> Option<usize> {
        let number = self.slots.iter().position(|slot| matches!(slot, Slot::Idle { .. }))?;
        self.set(number, Slot::Busy);
        Some(number)
    }

    /// Which writer is needed when one has become busy: one for the rest of the queue, or an idle one for later
    /// changes.
    fn call(&mut self) -> Call {
        if self.slots.iter().any(|slot| matches!(slot, Slot::Idle { .. })) {
            let is_needed = !self.projects.is_empty() || !self.is_timed();
            return is_needed.then(|| self.wake_one()).flatten().map_or(Call::NoWriter, Call::Wake);
        }
        let may_start = self.start_after.is_none_or(|start_after| start_after <= clock::monotonic());
        match self.slots.iter().position(|slot| *slot == Slot::Absent) {
            Some(number) if may_start && !self.stopping => {
                self.set(number, Slot::Busy);
                Call::Start(number)
            }
            Some(_) | None => Call::NoWriter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn add(queue: &mut Queue<String>, project: &Arc<String>, after: Duration) {
        queue.add(Arc::clone(project), AfterTurn { again: false, sync_after: Some(after) });
    }

    fn due(work: Option<Work<String>>) -> Option<String> {
        match work {
            Some(Work::SyncDue(project)) => Some(project.to_string()),
            Some(Work::Write(project)) => panic!("{project} has no changes"),
            None => None,
        }
    }

    /// An interval may be longer than a writer stays without work.
    #[test]
    fn a_writer_that_ends_hands_the_next_sync_to_one_that_stays() {
        let writers = WriterQueue::new();
        let mut queue = writers.queue.lock().unwrap();
        let project = Arc::new("hourly".to_owned());
        let due = clock::monotonic() + HOUR;
        queue.sync_at(due, &project);
        for (stays, woken) in [
            (Slot::Idle { until: None }, Some(0)),
            (Slot::Idle { until: Some(due + HOUR) }, Some(0)),
            (Slot::Idle { until: Some(due) }, None),
            (Slot::Busy, None), // it looks before it sleeps
        ] {
            queue.set(0, stays);
            queue.set(1, Slot::Idle { until: Some(due) });
            assert_eq!(queue.end(1), woken);
        }
    }

    #[test]
    fn a_short_interval_ends_before_a_longer_one_that_began_earlier() {
        let writers = WriterQueue::new();
        let mut queue = writers.queue.lock().unwrap();
        let (hourly, quick) = (Arc::new("hourly".to_owned()), Arc::new("quick".to_owned()));
        add(&mut queue, &hourly, HOUR);
        add(&mut queue, &quick, Duration::ZERO);
        assert_eq!(due(queue.take()), Some("quick".to_owned()));
        assert_eq!(due(queue.take()), None);
        queue.stopping = true;
        assert_eq!(due(queue.take()), Some("hourly".to_owned()), "an orderly stop waits for no interval");
    }

    #[test]
    fn syncs_of_one_instant_are_all_kept() {
        let writers = WriterQueue::new();
        let mut queue = writers.queue.lock().unwrap();
        let projects = ["a", "b", "c"].map(|name| Arc::new(name.to_owned()));
        let now = clock::monotonic();
        projects.iter().for_each(|project| queue.sync_at(now, project));
        let found: Vec<_> = std::iter::from_fn(|| due(queue.take())).collect();
        assert_eq!(found, ["a", "b", "c"]);
    }

    #[test]
    fn a_project_that_is_gone_is_not_kept_for_its_interval() {
        let writers = WriterQueue::new();
        let mut queue = writers.queue.lock().unwrap();
        let project = Arc::new("closed".to_owned());
        add(&mut queue, &project, Duration::ZERO);
        assert!(Arc::into_inner(project).is_some(), "the queue does not keep it alive");
        assert_eq!(due(queue.take()), None);
    }

    #[test]
    fn an_idle_writer_that_waits_for_a_later_sync_is_woken_for_an_earlier_one() {
        let writers = WriterQueue::new();
        let mut queue = writers.queue.lock().unwrap();
        let project = Arc::new("p".to_owned());
        add(&mut queue, &project, HOUR);
        let until = queue.sync_due();
        queue.set(0, Slot::Idle { until });
        queue.set(1, Slot::Busy);
        assert!(matches!(queue.call(), Call::NoWriter), "a writer waits for it already");
        add(&mut queue, &project, Duration::from_secs(1));
        assert!(matches!(queue.call(), Call::Wake(0)));
    }
}
