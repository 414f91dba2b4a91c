//! Writes a project to a new pair of files while it is in use.
//!
//! ```text
//! begin     note where the journal ends                                locks: journal and state, for an instant
//! copy      entries, some at a time, into the new values and metas     lock: state, for microseconds
//! flush     everything that was copied is in the old journal, too, even if the checkpoint fails
//! tail      copy the old journal from that end on into the new one     lock: journal, for the last part
//! swap      sync, rename values, rename journal                        lock: journal
//! ```
//! Entries are copied while they change, so the copy is not of a single moment. Replaying the tail of the journal over
//! it still gives the right state (see `store::change`), and the tail is in the new journal before it replaces the old
//! one.

use super::checkpoint_error::CheckpointError;
use super::external_edit::{has_lost_values, has_values_in_place};
use super::journal_lock::JournalGuard;
use super::project::{Files, Health, Project};
use crate::disk::{Disk, DiskFile};
use crate::limits::{CHECKPOINT_RETRY_MS, ENTRIES_PER_LOCK_MAX, FILE_BUFFER_BYTES};
use crate::persist::files::generation::{self, GenerationWriter, Pair, Paths, SwapError};
use crate::persist::files::header::Lineage;
use crate::persist::files::line_copy::{Lines, Target, copy_lines, damaged_at};
use crate::persist::files::seed::Seed;
use crate::persist::files::value_reader::StoredValue;
use crate::persist::start::recovery::ValueCache;
use crate::store::change::{EntryMeta, Revision, Value};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The reason for a checkpoint, apart from changes in the journal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    /// The data file is not the one that was written.
    Edit,
    /// The project was closed: values that a start would not find, because their file is neither the one that was
    /// written nor an edit of it. An edit is left for the next start.
    Loss,
}

/// A key whose value lies in a file.
type StoredEntry = (String, EntryMeta, StoredValue);

/// The state at the start of the copying.
struct CheckpointStart {
    offset: u64,
    /// The latest revision, and the expiry watermark.
    at: (Revision, u64),
    rollbacks: u64,
}

impl Project {
    /// Writes a new pair of files if the journal has changes. Blocks for the disk.
    ///
    /// # Errors
    /// [`CheckpointError`]; nothing is lost, and the next checkpoint begins from the start.
    pub fn checkpoint(self: &Arc<Self>, now_ms: u64, now: Instant) -> Result<(), CheckpointError> {
        self.checkpoint_for(Need::Nothing, now_ms, now)
    }

    /// As [`Project::checkpoint`], also if the journal has no changes and there is another `need`.
    pub(super) fn checkpoint_for(
        self: &Arc<Self>,
        need: Need,
        now_ms: u64,
        now: Instant,
    ) -> Result<(), CheckpointError> {
        let Some(files) = &self.files else { return Ok(()) };
        let Ok(_turn) = files.checkpoint.lock() else { return Err(CheckpointError::Stopped) };
        // Read under the lock: after the last checkpoint of a closed project, its files may be gone or belong to a
        // successor.
        let health = self.health();
        if health.has_ended() {
            return Err(CheckpointError::Stopped); // it may have failed halfway through a swap
        }
        if (health == Health::Closed) != (need == Need::Loss) {
            return Ok(());
        }
        if !self.look_at_files() {
            return Err(CheckpointError::Stopped);
        }
        self.expire(now_ms);
        self.flush(now);
        let is_needed = |journal: JournalGuard<'_>| {
            let is_wanted_again = match need {
                Need::Nothing => false,
                Need::Edit => !has_values_in_place(files, &journal),
                Need::Loss => has_lost_values(files, &journal),
            };
            journal.has_changes() || is_wanted_again
        };
        if !files.journal.lock().is_ok_and(is_needed) {
            return Ok(());
        }
        let mut result = self.write_new_pair(files, now);
        if let Err(CheckpointError::Io(error)) = &result
            && damaged_at(error).is_some()
        {
            result = self.replace_damaged(files, error, now);
        }
        if let Err(error) = &result {
            // If foreign files were the cause, the project stops now.
            self.look_at_files();
            // After half a swap the temporary journal belongs to the values in place. And in a directory
            // that is not ours, no file is.
            if !matches!(error, CheckpointError::HalfDone(_)) && self.lost_directory().is_none() {
                let _ = generation::remove_temporaries(files.disk.as_ref(), &files.paths);
            }
            if let Ok(mut journal) = files.journal.lock() {
                journal.retry_at = Some(now + Duration::from_millis(CHECKPOINT_RETRY_MS));
            }
        }
        result
    }

    fn write_new_pair(self: &Arc<Self>, files: &Files, now: Instant) -> Result<(), CheckpointError> {
        if files.cache == ValueCache::Disk {
            // Before a value is read from that file.
            let journal = files.journal.lock()?;
            self.check_values(files, &journal)?;
        }
        let start = self.begin_checkpoint(files)?;
        let lineage = files.journal.lock()?.header.successor();
        let mut written = self.write_entries(files.disk.as_ref(), &files.paths, lineage, start.at)?;
        self.flush(now);
        let copied = self.copy_tail_unlocked(files, &start, &mut written)?;
        let number = self.switch_files(files, &start, &mut written, copied, now)?;
        if files.cache == ValueCache::Disk {
            self.relocate(&written, number, now)?;
        }
        Ok(())
    }

    /// Writes a new pair of files after `damage` was found in a line of the journal. Its change is in memory, so a checkpoint that begins now does not read it. If this one fails too, the project stops: the next start
    /// would refuse everything after that line.
    fn replace_damaged(
        self: &Arc<Self>,
        files: &Files,
        damage: &io::Error,
        now: Instant,
    ) -> Result<(), CheckpointError> {
        let (id, path) = (&self.id, files.paths.journal.display());
        log::error!(
            "project {id}: {path}: {damage}. Both files are written again from memory. Check the disk"
        );
        let error = match self.write_new_pair(files, now) {
            Ok(()) => return Ok(()),
            Err(error @ CheckpointError::HalfDone(_)) => return Err(error),
            Err(error) => error,
        };
        let failed = io::Error::other(format!("{damage}, and writing both files again failed: {error}"));
        if let Ok(mut journal) = files.journal.lock() {
            self.rollback(&files.paths, &mut journal, &failed);
        }
        Err(CheckpointError::Stopped)
    }

    /// Every change before the offset that it notes is in memory, and no change is being written.
    fn begin_checkpoint(&self, files: &Files) -> Result<CheckpointStart, CheckpointError> {
        let journal = files.journal.lock()?;
        let state = self.lock()?;
        if state.health.has_ended() {
            return Err(CheckpointError::Stopped);
        }
        Ok(CheckpointStart {
            offset: journal.end,
            at: state.revision_and_watermark(),
            rollbacks: state.rollbacks,
        })
    }

    /// Returns an error if changes were rolled back since `start`, because entries may have been copied with them.
    /// The caller holds the journal, without which nothing is rolled back.
    fn check_rollbacks(&self, start: &CheckpointStart) -> Result<(), CheckpointError> {
        let state = self.lock()?;
        if state.health.has_ended() {
            return Err(CheckpointError::Stopped);
        }
        if state.rollbacks == start.rollbacks { Ok(()) } else { Err(CheckpointError::RolledBack) }
    }

    /// Writes all entries to a pair of temporary files, a few in each critical section. `revision` and `expired_until_ms` go
    /// into the header.
    pub(super) fn write_entries(
        &self,
        disk: &dyn Disk,
        paths: &Paths,
        lineage: Lineage,
        (revision, expired_until_ms): (Revision, u64),
    ) -> Result<Pair, CheckpointError> {
        let mut writer = GenerationWriter::create(disk, paths, lineage)?;
        let (mut after, mut text) = (None, Vec::new());
        loop {
            let (last, stored) = self.copy_some(after.as_deref(), &mut writer)?;
            for (key, meta, value) in &stored {
                text.clear();
                value.read_into(&mut text)?;
                writer.encode(key, &text, meta);
                writer.flush_if_full()?;
            }
            writer.flush_if_full()?;
            if last.is_none() {
                break;
            }
            after = last;
            self.yield_to_waiting();
        }
        Ok(writer.finish(revision, expired_until_ms)?)
    }

    /// Encodes the next entries with texts, then finds the next values that lie in files, which are read without the
    /// lock. Returns the last key, `None` if there are no more, and those values.
    fn copy_some(
        &self,
        after: Option<&str>,
        writer: &mut GenerationWriter,
    ) -> Result<(Option<String>, Vec<StoredEntry>), CheckpointError> {
        let state = self.lock()?;
        let bytes_before = writer.buffered_bytes();
        let (mut last, mut stored) = (None, Vec::new());
        for entry in state.key_map.stored_range("", after).take(ENTRIES_PER_LOCK_MAX) {
            match entry.value() {
                _ if !state.key_map.is_live(entry, 0) => {}
                // Entries are written in the order of their keys.
                Value::Text(_) if !stored.is_empty() => break,
                Value::Text(text) => writer.encode(entry.key(), text, &entry.meta()),
                Value::Stored(location) => {
                    let value = state.open_files.locate(location);
                    let value = value.ok_or_else(|| io::Error::other("a value's file is not open"))?;
                    stored.push((entry.key().to_owned(), entry.meta(), value));
                }
            }
            last = Some(entry);
            if writer.buffered_bytes() - bytes_before >= FILE_BUFFER_BYTES {
                break;
            }
        }
        Ok((last.map(|entry| entry.key().to_owned()), stored))
    }

    /// Copies what was appended to the old journal since `start`, while it keeps growing, and syncs the copy. That
    /// leaves little for the moment when writers wait. Returns the offset up to which the old journal is copied.
    fn copy_tail_unlocked(
        &self,
        files: &Files,
        start: &CheckpointStart,
        written: &mut Pair,
    ) -> Result<u64, CheckpointError> {
        let (old, seed, end) = {
            let journal = files.journal.lock()?;
            self.check_rollbacks(start)?;
            (Arc::clone(&journal.file), journal.header.seed, journal.end)
        };
        copy_tail((old.as_ref(), seed), (start.offset, end), written)?;
        written.journal.file.sync()?;
        Ok(end)
    }

    /// Copies the rest of the old journal and installs the new pair, while writers wait. Returns the number of its
    /// journal.
    fn switch_files(
        self: &Arc<Self>,
        files: &Files,
        start: &CheckpointStart,
        written: &mut Pair,
        copied: u64,
        now: Instant,
    ) -> Result<u32, CheckpointError> {
        let mut guard = files.journal.lock()?;
        let journal = &mut *guard;
        self.check_rollbacks(start)?;
        let identity = written.journal.file.status()?.identity;
        copy_tail((journal.file.as_ref(), journal.header.seed), (copied, journal.end), written)?;
        self.detect_external_edit(files, journal)?;
        written.journal.file.sync()?;
        // No file of another process may be replaced.
        self.check_files(files, journal)?;
        if let Err(error) = generation::swap(files.disk.as_ref(), &files.paths) {
            if let SwapError::HalfDone(error) = &error {
                journal.retire(); // all of it is in the new one, which was synced
                // Not an error of a full disk, after which the project would continue.
                self.rollback(&files.paths, journal, &io::Error::other(error.to_string()));
            }
            return Err(error.into());
        }
        journal.begin_generation(written, identity, now);
        if let Ok(mut state) = self.lock() {
            state.synced = state.acknowledged;
            if files.cache == ValueCache::Disk {
                // The old files stay open until all locations have been moved.
                state.open_files.add(journal.number, written, files.paths.names(&self.id));
            }
        }
        Ok(journal.number)
    }
}

/// Copies the lines from offset `from` to the end of the old journal to the end of the new one.
fn copy_tail(
    old: (&dyn DiskFile, Seed),
    (from, to): (u64, u64),
    written: &mut Pair,
) -> Result<(), CheckpointError> {
    let (file, seed) = old;
    let source = Lines { file, seed, start: from, end: to };
    let new = &mut written.journal;
    new.end =
        copy_lines(&source, &Target { file: new.file.as_ref(), seed: new.header.seed, start: new.end })?;
    Ok(())
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
