//! From pending to acknowledged: one write and one sync for everything that waited.

use super::journal::Journal;
use super::journal_lock::{Attempt, JournalGuard, QueueAgain};
use super::ownership::NotOurs;
use super::project::{Batch, Files, Health, Project, State, SyncLater, Turn, WrittenValue};
use super::writer_queue::AfterTurn;
use crate::clock;
use crate::config::schema::SyncMode;
use crate::disk::is_disk_full;
use crate::limits::{
    FILES_LOOK_AFTER_MS, FREED_AT_ONCE_MAX, GROUP_COMMIT_ROUNDS_MAX, PENDING_BYTES_KEPT_MAX,
    RECLAIMED_PER_LOCK_MAX,
};
use crate::persist::files::generation::Paths;
use crate::persist::start::recovery::ValueCache;
use crate::store::change::Revision;
use crate::store::commit::{Commit, CommitState};
use crate::store::key_map::Undo;
use std::io::{self, ErrorKind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// The cause of "file too large" for a journal.
const FILE_SIZE_LIMIT: &str = ", which is the file-size limit of this process (`ulimit -f`, LimitFSIZE=)";

/// Which thread takes the pending changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    /// The writer whose turn it is.
    Writer,
    /// A thread that needs them on disk now, such as a checkpoint. The turn does not change.
    Other,
}

impl Project {
    /// Yields to other threads while more changes arrive: the change that woke the writer is often the first of
    /// many, and all of them share one sync.
    pub(super) fn group_commit_delay(&self) {
        let mut bytes_before = 0;
        for _ in 0..GROUP_COMMIT_ROUNDS_MAX {
            let Ok(bytes) = self.lock().map(|state| state.pending.bytes.len()) else { return };
            if bytes == bytes_before {
                return;
            }
            bytes_before = bytes;
            std::thread::yield_now();
        }
    }

    /// Writes and syncs what is pending and resolves its commit. Blocks for the disk.
    pub fn flush(self: &Arc<Self>, now: Instant) {
        let Some(files) = &self.files else { return };
        let Ok(journal) = files.journal.lock() else { return self.fail_waiting() };
        self.flush_into(files, journal, Taker::Other, now);
    }

    /// Does the turn of the project, on a writer that took it from the queue. Blocks for the disk, but not for another
    /// thread that holds the journal: that thread queues the project again.
    pub(super) fn write_in_turn(self: &Arc<Self>) -> AfterTurn {
        let Some(files) = &self.files else { return AfterTurn::default() };
        self.group_commit_delay();
        let journal = match files.journal.lock_or_leave(|| self.leave()) {
            Attempt::Locked(journal) => journal,
            Attempt::Left => return AfterTurn::default(),
            Attempt::Broken => {
                self.fail_waiting();
                return AfterTurn::default();
            }
        };
        let is_unsynced = self.flush_into(files, journal, Taker::Writer, clock::monotonic());
        let sync_after = is_unsynced.then_some(files.sync_interval);
        self.lock().map_or_else(|_| AfterTurn::default(), |mut state| state.end_turn(sync_after))
    }

    /// Leaves the project to the thread that holds its journal.
    fn leave(self: &Arc<Self>) -> QueueAgain {
        self.queues.writers.leave();
        let project = Arc::clone(self);
        Box::new(move || Arc::clone(&project.queues).writers.queue_left(project))
    }

    /// Returns whether `sync: interval` still has something to sync.
    fn flush_into(
        self: &Arc<Self>,
        files: &Files,
        mut journal: JournalGuard<'_>,
        taker: Taker,
        now: Instant,
    ) -> bool {
        let taken = self.lock().map(|mut state| {
            let is_sync_due = taker == Taker::Writer && state.later == SyncLater::Due;
            if is_sync_due {
                state.later = SyncLater::No;
            }
            (state.take_pending(taker), is_sync_due)
        });
        let Ok((pending, is_sync_due)) = taken else {
            self.fail_waiting();
            return false;
        };
        let look = pending.as_ref().map(|_| now + Duration::from_millis(FILES_LOOK_AFTER_MS));
        if let Some(mut bytes) = pending {
            match self.append(files, &mut journal, &mut bytes, now) {
                Ok(()) => {
                    journal.written_at = Some(now);
                    match files.cache {
                        ValueCache::Memory => drop(self.acknowledge(bytes, files.sync)),
                        ValueCache::Disk => {
                            let values = self.acknowledge(Vec::new(), files.sync);
                            self.locate_written(&journal, &bytes, values);
                            if let Ok(mut state) = self.lock() {
                                state.keep_buffer(bytes);
                            }
                        }
                    }
                }
                Err(failure) => self.rollback(&files.paths, &mut journal, &failure),
            }
        }
        if is_sync_due {
            self.sync_journal(files, &mut journal);
        }
        // Also if this call wrote nothing: a checkpoint may have written the changes without a sync.
        let is_unsynced = files.sync == SyncMode::Interval && journal.unsynced;
        let due = [self.journal_due(&journal, now), look].into_iter().flatten().min();
        drop(journal);
        if let Some(due) = due {
            self.queues.schedule(self, due);
        }
        is_unsynced
    }

    /// Queues the project for a writer, because of pending changes or a sync that is due.
    pub(super) fn want_turn(self: &Arc<Self>, state: &mut State) {
        match state.turn {
            Turn::Idle => {
                state.turn = Turn::Queued;
                self.queues.writers.queue(Arc::clone(self));
            }
            Turn::Writing => state.turn = Turn::WritingMore,
            Turn::Queued | Turn::WritingMore => {}
        }
    }

    /// Queues the project for a sync, because the interval of `sync: interval` is over.
    pub(super) fn want_sync(self: &Arc<Self>) {
        if let Ok(mut state) = self.lock() {
            state.later = SyncLater::Due;
            self.want_turn(&mut state);
        }
    }

    /// Writes the batch of `commit` unless that is done already. Returns whether it was written. Blocks for the
    /// disk.
    pub fn flush_and_confirm(self: &Arc<Self>, commit: Option<&Commit>) -> bool {
        let Some(commit) = commit else { return true };
        if commit.is_pending() {
            self.flush(clock::monotonic());
        }
        commit.outcome() == CommitState::Committed
    }

    /// Fails all commits, because a thread panicked while it changed the state or the journal.
    fn fail_waiting(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in state.in_flight.iter().chain([&state.pending]) {
            batch.commit.resolve(CommitState::Failed);
        }
        drop(state);
        self.queues.resolved();
    }

    /// Syncs what was acknowledged before it was synced, by `sync: interval` or on a full disk. Blocks for the disk.
    pub fn sync_written(self: &Arc<Self>) {
        let Some(files) = &self.files else { return };
        if let Ok(mut journal) = files.journal.lock() {
            self.sync_journal(files, &mut journal);
        }
    }

    fn sync_journal(self: &Arc<Self>, files: &Files, journal: &mut Journal) {
        if !journal.unsynced && !journal.is_unsure() {
            return;
        }
        let synced = self.check_files(files, journal).and_then(|()| journal.sync_acknowledged());
        match synced {
            Ok(()) => {
                journal.unsynced = false;
                if let Ok(mut state) = self.lock() {
                    state.synced = state.acknowledged;
                }
            }
            // Tried again, see `Journal::repair_due`. Nothing that was acknowledged is rolled back.
            Err(failure) if is_disk_full(&failure) => {
                if let Ok(mut state) = self.lock() {
                    self.note_disk_full(&mut state, &reason_of(&files.paths, &failure));
                }
            }
            Err(failure) => self.rollback(&files.paths, journal, &failure),
        }
    }

    /// Acknowledges the batch in flight, which is in the journal. Keeps its buffer for the next batch, and returns its
    /// values.
    pub(super) fn acknowledge(self: &Arc<Self>, bytes: Vec<u8>, sync: SyncMode) -> Vec<WrittenValue> {
        let Ok(mut state) = self.lock() else {
            self.fail_waiting();
            return Vec::new();
        };
        let Some(mut batch) = state.in_flight.take() else { return Vec::new() };
        state.acknowledged = state.acknowledged.max(batch.revision);
        let replaced = std::mem::take(&mut state.replaced);
        let has_garbage = state.finalize(&mut batch.undo);
        if sync == SyncMode::Always {
            state.synced = state.acknowledged;
        }
        if state.health == Health::DiskFull {
            log::info!("project {}: there is disk space again; writes resume", self.id);
            state.health = Health::Healthy;
        }
        state.keep_buffer(bytes);
        drop(state);
        if has_garbage {
            self.queues.schedule(self, clock::monotonic());
        }
        batch.commit.resolve(CommitState::Committed);
        self.queues.resolved();
        // The replaced values are freed outside the lock, and by another thread if that takes long.
        if batch.undo.len() > FREED_AT_ONCE_MAX {
            self.queues.long_lane.free(Box::new(batch.undo));
        }
        if replaced.len() > FREED_AT_ONCE_MAX {
            self.queues.long_lane.free(Box::new(replaced));
        }
        batch.values
    }

    /// Reverts everything in memory that is not in the journal and fails the commits that wait for it. If the journal
    /// no longer belongs to the project, schedules a rescue of what was acknowledged. Changes that were acknowledged
    /// before they were written then stay in memory, because the rescue writes them, too.
    pub(super) fn rollback(self: &Arc<Self>, paths: &Paths, journal: &mut Journal, failure: &io::Error) {
        let (not_ours, reason) = (NotOurs::of(failure), reason_of(paths, failure));
        if not_ours.is_some() {
            journal.retire();
        }
        let Ok(mut state) = self.lock() else { return };
        let is_deleted = state.health == Health::Deleted;
        let outcome = if is_deleted {
            CommitState::Deleted(self.id.clone())
        } else if is_disk_full(failure) {
            CommitState::DiskFull
        } else {
            CommitState::Failed
        };
        if is_deleted || state.is_released {
            state.rollback(&outcome);
            return self.queues.resolved();
        }
        if outcome == CommitState::DiskFull {
            self.note_disk_full(&mut state, &reason);
        } else {
            if !matches!(not_ours, Some(NotOurs::Directory(_))) {
                log::error!(
                    "project {}: {reason}; it takes no more writes until the server is restarted",
                    self.id
                );
            }
            state.fail(reason);
        }
        let is_taken = matches!(not_ours, Some(NotOurs::Journal(_)));
        if is_taken && state.unwritten_acknowledged() > 0 {
            keep_unwritten(&mut state);
        } else {
            self.log_rolled_back(state.unwritten_acknowledged(), &outcome);
            state.rollback(&outcome);
        }
        if is_taken {
            (state.needs_rescue, state.is_unsaved) = (true, true);
        }
        drop(state);
        self.queues.resolved();
        if is_taken {
            self.queues.rescue_soon(self);
        }
    }

    fn log_rolled_back(&self, acknowledged: u64, outcome: &CommitState) {
        let id = &self.id;
        let changes = if acknowledged == 1 { "change" } else { "changes" };
        if acknowledged == 0 {
        } else if *outcome == CommitState::DiskFull {
            log::error!(
                "project {id}: rolled back {acknowledged} acknowledged {changes} that could not be written. Send them \
                 again."
            );
        } else {
            // They may be in a file that this process may not cut, or on a disk that failed to cut it.
            log::error!(
                "project {id}: rolled back {acknowledged} acknowledged {changes} that may not be on the disk. A \
                 restart may find some of them. Restart the server, then send again what is missing."
            );
        }
    }

    fn note_disk_full(&self, state: &mut State, reason: &str) {
        if state.health == Health::Healthy {
            log::error!("project {}: no disk space ({reason}); writes get 507 until there is some", self.id);
            state.health = Health::DiskFull;
        }
    }
}

fn reason_of(paths: &Paths, failure: &io::Error) -> String {
    if let Some(not_ours) = NotOurs::of(failure) {
        return not_ours.to_string();
    }
    let limit = if failure.kind() == ErrorKind::FileTooLarge { FILE_SIZE_LIMIT } else { "" };
    format!("{}: {}{limit}", paths.journal.display(), failure)
}

impl State {
    /// Keeps the buffer of a written batch for the next one, unless that has begun or the buffer is large.
    fn keep_buffer(&mut self, mut bytes: Vec<u8>) {
        if self.pending.bytes.capacity() == 0 && bytes.capacity() <= PENDING_BYTES_KEPT_MAX {
            bytes.clear();
            self.pending.bytes = bytes;
        }
    }

    /// Removes some keys that have expired, unless their expiry may still be rolled back. Returns whether there are more.
    pub(super) fn reclaim(&mut self, is_durable: bool) -> bool {
        let until = if is_durable { self.acknowledged } else { Revision::MAX };
        self.key_map.reclaim(RECLAIMED_PER_LOCK_MAX, until) == RECLAIMED_PER_LOCK_MAX
    }

    /// The changes of `undo` are final. Returns whether they left garbage.
    pub(super) fn finalize(&mut self, undo: &mut Vec<Undo>) -> bool {
        let cleared = undo.extract_if(.., |undo| matches!(undo, Undo::RestoreAll(_)));
        let finalized = cleared.map(|undo| self.key_map.finalize(undo)).count();
        finalized > 0
    }

    /// Rolls back all changes that are not in the journal, newest first, and resolves their commits with `outcome`. The
    /// caller holds the journal.
    pub(super) fn rollback(&mut self, outcome: &CommitState) {
        let pending = std::mem::replace(&mut self.pending, Batch::empty());
        for batch in [Some(pending), self.in_flight.take()].into_iter().flatten() {
            batch.undo.into_iter().rev().for_each(|undo| self.key_map.rollback(undo));
            batch.commit.resolve(outcome.clone());
        }
        self.rollbacks += 1;
        self.locate_restored();
    }

    /// How many changes were acknowledged and are not in the journal.
    pub(super) fn unwritten_acknowledged(&self) -> u64 {
        self.in_flight.iter().chain([&self.pending]).map(|batch| batch.acknowledged).sum()
    }

    fn end_turn(&mut self, sync_after: Option<Duration>) -> AfterTurn {
        let again = self.turn == Turn::WritingMore;
        self.turn = if again { Turn::Queued } else { Turn::Idle };
        // A sync that became due in the meantime is part of the next turn.
        let sync_after = sync_after.filter(|_| self.later == SyncLater::No);
        if sync_after.is_some() {
            self.later = SyncLater::Scheduled;
        }
        AfterTurn { again, sync_after }
    }

    /// Moves the pending batch into flight and returns its bytes.
    pub(super) fn take_pending(&mut self, taker: Taker) -> Option<Vec<u8>> {
        if taker == Taker::Writer {
            self.turn = Turn::Writing;
        }
        if self.pending.bytes.is_empty() {
            return None;
        }
        let mut batch = std::mem::replace(&mut self.pending, Batch::empty());
        let bytes = std::mem::take(&mut batch.bytes);
        self.in_flight = Some(batch);
        Some(bytes)
    }
}

/// Keeps all changes that are not in the journal, which takes no more. Newer ones may depend on those that were
/// acknowledged, so the changes of waiting commits stay, too; the commits fail, because nothing is written yet.
fn keep_unwritten(state: &mut State) {
    let pending = std::mem::replace(&mut state.pending, Batch::empty());
    let batches = [state.in_flight.take(), Some(pending)];
    for mut batch in batches.into_iter().flatten() {
        state.acknowledged = state.acknowledged.max(batch.revision);
        state.finalize(&mut batch.undo);
        batch.commit.resolve(CommitState::Failed);
    }
}
