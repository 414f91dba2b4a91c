//! Periodic work of a project: expiry, checkpoints, repairs; and closing it.

use super::checkpoint::Need;
use super::checkpoint_error::CheckpointError;
use super::external_edit;
use super::journal::Journal;
use super::journal_lock::JournalGuard;
use super::project::{Health, Project};
use crate::clock;
use crate::limits::EXPIRY_INTERVAL_MS;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The fix for a data file that cannot be written again while the server runs.
pub(super) const RETRY_ADVICE: &str =
    "Move away what has that name while the server runs; a later checkpoint writes the file again";
/// The fate of values that the last checkpoint did not write.
const CLOSED_ADVICE: &str =
    "Values that are only in memory are lost when the server ends or no longer lists the project";

/// When to expire keys, the first of which expires at `next_ms`. Not at once even if that has passed: the project could
/// not record it.
pub(super) fn expiry_due(next_ms: u64, now_ms: u64, now: Instant) -> Instant {
    now + Duration::from_millis(next_ms.saturating_sub(now_ms).max(EXPIRY_INTERVAL_MS))
}

impl Project {
    /// Does what is due and returns when the next work is due. Blocks for the disk.
    pub(super) fn maintain(self: &Arc<Self>) -> Option<Instant> {
        match self.health() {
            Health::Healthy | Health::DiskFull => {}
            Health::Failed { .. } => {
                self.rescue(); // if no thread could be started for that
                return None;
            }
            Health::Closed | Health::Deleted => return None,
        }
        if !self.look_at_files() {
            return None;
        }
        let (now_ms, now) = (clock::wall_ms(), clock::monotonic());
        self.queues.look_at_clock(now_ms, now);
        let expiry = self.expire(now_ms).map(|next_ms| expiry_due(next_ms, now_ms, now));
        let reclaim = self.reclaim_due(now);
        self.free_garbage();
        let look = self.look_at_values(now_ms, now);
        if self.checkpoint_due(now).is_some_and(|due| due <= now)
            // The clock is read again: freeing many keys takes a while, and it may have been set back.
            && let Err(error) = self.checkpoint(clock::wall_ms(), now)
        {
            self.log_unwritten("checkpoint", &error, RETRY_ADVICE);
        }
        let dues = [expiry, reclaim, self.checkpoint_due(now), self.repair(now), look];
        dues.into_iter().flatten().min()
    }

    /// Repeats a repair that found no disk space. Returns when to do so again.
    fn repair(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let files = self.files.as_ref()?;
        if files.journal.lock().ok()?.is_unsure() {
            self.sync_written();
        }
        files.journal.lock().ok()?.repair_due(now)
    }

    /// When to reclaim keys that cannot be reclaimed now, because the record of their expiry is not on disk yet.
    fn reclaim_due(&self, now: Instant) -> Option<Instant> {
        let has_ended = self.lock().is_ok_and(|state| state.key_map.has_ended());
        has_ended.then(|| now + Duration::from_millis(EXPIRY_INTERVAL_MS))
    }

    /// Frees keys that were deleted together, some in each critical section.
    pub fn free_garbage(&self) {
        while let Some(freed) = self.lock().ok().and_then(|mut state| state.key_map.free_some()) {
            drop(freed);
            self.yield_to_waiting();
        }
    }

    fn checkpoint_due(&self, now: Instant) -> Option<Instant> {
        match self.health() {
            Health::Healthy | Health::DiskFull => {}
            Health::Failed { .. } | Health::Closed | Health::Deleted => return None,
        }
        let journal = self.files.as_ref()?.journal.lock().ok()?;
        [journal.checkpoint_due(now), self.space_due(&journal, now)].into_iter().flatten().min()
    }

    /// When the journal needs the maintenance thread.
    pub(super) fn journal_due(&self, journal: &Journal, now: Instant) -> Option<Instant> {
        let due = [journal.checkpoint_due(now), self.space_due(journal, now), journal.repair_due(now)];
        due.into_iter().flatten().min()
    }

    /// When to checkpoint to free disk space: after the disk was full, once the remaining values take at most half
    /// of what the files take.
    pub(super) fn space_due(&self, journal: &Journal, now: Instant) -> Option<Instant> {
        if !journal.out_of_space || !journal.has_changes() {
            return None;
        }
        let left = self.lock().ok()?.key_map.totals(0).bytes;
        let taken = journal.json_stamp.length + journal.end;
        (left <= taken / 2).then(|| journal.retry_at.map_or(now, |retry| retry.max(now)))
    }

    /// Ends writing for good and writes a last checkpoint, for a shutdown, other settings, or a project that
    /// config.json no longer lists. Reads continue. Blocks for the disk.
    pub fn close(self: &Arc<Self>, now_ms: u64, now: Instant) {
        self.look_at_files();
        self.expire(now_ms); // recorded while it still can be
        self.flush(now);
        if self.end_writing() {
            self.flush(now);
            if let Err(error) = self.checkpoint_for(Need::Loss, now_ms, now) {
                self.log_unwritten("last checkpoint", &error, CLOSED_ADVICE);
                if self.has_lost_values(&error)
                    && let Ok(mut state) = self.lock()
                {
                    state.is_unsaved = true;
                    if state.health == Health::Closed {
                        state.health =
                            Health::Failed { reason: format!("last checkpoint not written: {error}") };
                    }
                }
            }
        }
        // Also for a project that failed: its journal may be sound, and its next sync an hour away.
        self.sync_written();
        self.release_files();
    }

    /// Whether values are in no file that a start finds, after a checkpoint failed with `error`.
    fn has_lost_values(&self, error: &CheckpointError) -> bool {
        let Some(files) = &self.files else { return false };
        let is_in_place = |journal: JournalGuard<'_>| external_edit::has_values_in_place(files, &journal);
        // The next start completes a swap that is half done; the data file may be the new one.
        !matches!(error, CheckpointError::HalfDone(_)) && !files.journal.lock().is_ok_and(is_in_place)
    }

    /// Logs that `what` was not written, and the `advice` if that may lose values.
    pub(super) fn log_unwritten(&self, what: &str, error: &CheckpointError, advice: &str) {
        if let Some((level, text)) = self.unwritten_text(what, error, advice) {
            log::log!(level, "{text}");
        }
    }

    /// The log text for `what`, which was not written. It states whether a start still finds everything. `None` after a
    /// deletion: no file is needed any more.
    pub(super) fn unwritten_text(
        &self,
        what: &str,
        error: &CheckpointError,
        advice: &str,
    ) -> Option<(log::Level, String)> {
        if self.health() == Health::Deleted {
            return None;
        }
        let id = &self.id;
        if !self.has_lost_values(error) {
            let text = format!("project {id}: {what} not written ({error}); the journal has all changes");
            return Some((log::Level::Warn, text));
        }
        let path = self.files.as_ref().map(|files| files.paths.json.display());
        let path = path.map(|path| path.to_string()).unwrap_or_default();
        let text = format!(
            "project {id}: {what} not written ({error}). {path} is not the file that this server wrote, so a restart \
             does not find the values in it. {advice}"
        );
        Some((log::Level::Error, text))
    }

    /// Refuses writes from here on. Returns false if they were refused already.
    fn end_writing(&self) -> bool {
        match self.lock() {
            Ok(mut state) if matches!(state.health, Health::Healthy | Health::DiskFull) => {
                state.health = Health::Closed;
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}
