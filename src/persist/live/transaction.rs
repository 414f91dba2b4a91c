//! Changes a project: all of a transaction or nothing. Changes are encoded for the journal as they are applied.

use super::maintenance;
use super::project::{Health, Project, ReadTransaction, State, WrittenValue};
use crate::clock;
use crate::limits::{
    BATCH_OPERATIONS_MAX, EXPIRY_INTERVAL_MS, EXPIRY_ROUNDS_BEFORE_CLEAR_MAX, PENDING_BYTES_MAX,
};
use crate::persist::files::record;
use crate::store::batch::Batch;
use crate::store::change::{Change, Value};
use crate::store::commit::Pending;
use crate::store::decide::{Step, changes};
use crate::store::error::StorageError;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

/// Changes in progress under a project's lock. Each sees the effects of those before it.
pub struct Transaction<'a> {
    state: &'a mut State,
    now_ms: u64,
    recording: Option<Recording>,
    undo_start: usize,
}

/// The journal line that grows beside the changes of a project on disk.
struct Recording {
    /// Length of `pending.bytes` before the transaction.
    bytes_start: usize,
    /// Number of `pending.values` before the transaction; `None` if values are kept in memory.
    values_start: Option<usize>,
    changes: usize,
}

impl Project {
    /// Changes the project at `now_ms`. If `change` returns an error, nothing has changed; that answer waits, too,
    /// because it may depend on what is not on disk yet.
    ///
    /// # Errors
    /// [`StorageError`] if `change` was not called.
    pub fn write<T, E>(
        self: &Arc<Self>,
        now_ms: u64,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<Pending<Result<T, E>>, StorageError> {
        let mut guard = self.lock_for_write()?;
        let state = &mut *guard;
        self.advance_expiry_watermark(state, now_ms);
        state.reclaim(self.files.is_some());
        let undo_start = state.pending.undo.len();
        let expiry_before = state.key_map.next_expiry_ms();
        let mut transaction = self.begin(state, now_ms);
        let answer = match change(&mut transaction) {
            Ok(answer) => {
                if transaction.commit() {
                    self.queues.schedule(self, clock::monotonic()); // there is garbage
                }
                Ok(answer)
            }
            Err(error) => {
                transaction.abort();
                Err(error)
            }
        };
        let revision = state.key_map.revision();
        let commit = if self.waits(state) {
            self.commit_for(state, revision)
        } else {
            state.pending.acknowledged += (state.pending.undo.len() - undo_start) as u64;
            None
        };
        self.queue_pending(state);
        if let Some(next_ms) = state.key_map.next_expiry_ms()
            && expiry_before != Some(next_ms)
        {
            self.queues.schedule(self, maintenance::expiry_due(next_ms, now_ms, clock::monotonic()));
        }
        Ok(Pending { answer, commit })
    }

    /// Records that keys have expired by `now_ms` and frees them, unless that record may yet be rolled back. Returns
    /// when the next key expires, which is in the past if the project could not record it.
    pub fn expire(self: &Arc<Self>, now_ms: u64) -> Option<u64> {
        // Once: it takes a while to free many, and the clock may be set back in the meantime.
        self.advance_expiry_watermark(&mut *self.lock().ok()?, now_ms);
        while self.lock().ok()?.reclaim(self.files.is_some()) {
            self.yield_to_waiting();
        }
        self.lock().ok()?.key_map.next_expiry_ms()
    }

    /// Removes all keys that begin with `prefix` and returns their number. Keys that have expired and are still in
    /// memory are reclaimed first, if they are many. Blocks for the disk. The answer means nothing if the commit fails.
    ///
    /// # Errors
    /// [`StorageError`]; [`StorageError::Busy`] also if keys expire faster than they are reclaimed, or their expiry
    /// cannot be recorded.
    pub fn clear(self: &Arc<Self>, prefix: &str) -> Result<Pending<u64>, StorageError> {
        for _ in 0..EXPIRY_ROUNDS_BEFORE_CLEAR_MAX {
            let now_ms = clock::wall_ms();
            self.try_to_advance(&mut *self.lock()?, now_ms);
            let answered = self.write(now_ms, |transaction| transaction.clear(prefix).ok_or(()))?;
            if let Ok(answer) = answered.answer {
                return Ok(Pending { answer, commit: answered.commit });
            }
            // The record of their expiry has to be on disk before they are reclaimed.
            if !self.flush_and_confirm(answered.commit.as_ref()) {
                return Ok(Pending { answer: 0, commit: answered.commit });
            }
            self.flush(clock::monotonic());
            self.expire(now_ms);
        }
        Err(StorageError::Busy)
    }

    /// Sets the expiry watermark to `now_ms` if a key has expired; it may also move back. A project that cannot write
    /// leaves it as it is: reads continue, and the key is absent at that time.
    pub(super) fn advance_expiry_watermark(self: &Arc<Self>, state: &mut State, now_ms: u64) {
        if state.health == Health::Healthy {
            self.try_to_advance(state, now_ms);
        }
    }

    /// As [`Project::advance_expiry_watermark`], but also tries again after a full disk.
    fn try_to_advance(self: &Arc<Self>, state: &mut State, now_ms: u64) {
        let room = state.pending.bytes.len() < PENDING_BYTES_MAX;
        if !matches!(state.health, Health::Healthy | Health::DiskFull) || !room {
            return;
        }
        let jumps = self.queues.jumps();
        let has_jumped = std::mem::replace(&mut state.jumps_seen, jumps) != jumps;
        let Some(change) = state.key_map.decide_expiry(now_ms) else { return };
        let keys_before = has_jumped.then(|| state.key_map.totals(0).keys);
        let mut transaction = self.begin(state, now_ms);
        transaction.apply(&change);
        transaction.commit();
        if let Some(keys_before) = keys_before {
            let ended = keys_before.saturating_sub(state.key_map.totals(0).keys);
            let keys = if ended == 1 { "key" } else { "keys" };
            log::warn!("project {}: {ended} {keys} expired because the clock jumped", self.id);
        }
        self.queue_pending(state);
        // What has expired is freed soon, even if the clock was set ahead of what is scheduled.
        self.queues.schedule(self, clock::monotonic() + Duration::from_millis(EXPIRY_INTERVAL_MS));
    }

    fn lock_for_write(&self) -> Result<MutexGuard<'_, State>, StorageError> {
        if self.lost_directory().is_some() {
            return Err(StorageError::Failed);
        }
        let state = self.lock()?;
        match &state.health {
            Health::Healthy | Health::DiskFull => {}
            Health::Failed { .. } => return Err(StorageError::Failed),
            Health::Closed => return Err(StorageError::Closed),
            Health::Deleted => return Err(StorageError::Deleted(self.id.clone())),
        }
        if state.pending.bytes.len() >= PENDING_BYTES_MAX {
            return Err(StorageError::Busy);
        }
        let revisions = BATCH_OPERATIONS_MAX as u64 + 1;
        state.key_map.revision().advanced(revisions).ok_or(StorageError::RevisionsUsedUp)?;
        Ok(state)
    }

    fn begin<'a>(&self, state: &'a mut State, now_ms: u64) -> Transaction<'a> {
        let recording = self.files.as_ref().map(|_| {
            let bytes_start = state.pending.bytes.len();
            if state.synced > state.synced_recorded {
                record::encode_synced(state.synced, &mut state.pending.bytes);
            }
            record::begin_line(&mut state.pending.bytes);
            state.pending.bytes.push(b'[');
            let values_start = self.reads_disk().then_some(state.pending.values.len());
            Recording { bytes_start, values_start, changes: 0 }
        });
        let undo_start = state.pending.undo.len();
        Transaction { state, now_ms, recording, undo_start }
    }

    /// Queues the project for a writer, if changes are pending.
    fn queue_pending(self: &Arc<Self>, state: &mut State) {
        if !state.pending.bytes.is_empty() {
            self.want_turn(state);
        }
    }
}

impl Transaction<'_> {
    pub fn view(&self) -> ReadTransaction<'_> {
        ReadTransaction {
            key_map: &self.state.key_map,
            open_files: &self.state.open_files,
            now_ms: self.now_ms,
        }
    }

    /// Applies the `steps` that were decided for `batch`.
    pub fn apply_steps(&mut self, batch: &Batch<'_>, steps: &[Step]) {
        changes(batch, steps).for_each(|change| self.apply(&change));
    }

    /// Removes all keys that begin with `prefix` and returns their number. `None` if so many keys have expired and are
    /// still in memory that counting the others takes long; [`Project::clear`] waits for that.
    pub fn clear(&mut self, prefix: &str) -> Option<u64> {
        let key_map = &self.state.key_map;
        let keys = key_map.count(prefix, self.now_ms)?;
        if let (1.., Some(revision)) = (keys, key_map.revision().advanced(1)) {
            self.apply(&Change::Clear { prefix, revision });
        }
        Some(keys)
    }

    fn apply(&mut self, change: &Change<'_>) {
        let state = &mut *self.state;
        if let Some(recording) = &mut self.recording {
            let out = &mut state.pending.bytes;
            if recording.changes > 0 {
                out.push(b',');
            }
            recording.changes += 1;
            record::encode_change(change, out);
            if let Change::Put { key, value: Value::Text(text), meta } = change
                && recording.values_start.is_some()
            {
                let end = out.len() - 1; // the value is the last member
                let (key, text) = (key.as_str().to_owned(), end - text.len()..end);
                state.pending.values.push(WrittenValue { key, revision: meta.revision, text });
            }
        }
        let undo = state.key_map.apply(change);
        state.pending.undo.push(undo);
    }

    /// Keeps the changes. Returns whether they left garbage.
    fn commit(self) -> bool {
        let pending = &mut self.state.pending;
        match self.recording {
            // Nothing is written, so nothing is ever rolled back.
            None => {
                let mut undo = std::mem::take(&mut pending.undo);
                let has_garbage = self.state.finalize(&mut undo);
                undo.clear();
                self.state.pending.undo = undo;
                return has_garbage;
            }
            Some(recording) if recording.changes == 0 => pending.bytes.truncate(recording.bytes_start),
            Some(_) => {
                pending.bytes.push(b']');
                record::end_line(&mut pending.bytes);
                pending.revision = self.state.key_map.revision();
                self.state.synced_recorded = self.state.synced;
            }
        }
        false
    }

    fn abort(self) {
        for undo in self.state.pending.undo.drain(self.undo_start..).rev() {
            self.state.key_map.rollback(undo);
        }
        if let Some(recording) = self.recording {
            self.state.pending.bytes.truncate(recording.bytes_start);
            self.state.pending.values.truncate(recording.values_start.unwrap_or_default());
        }
    }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
