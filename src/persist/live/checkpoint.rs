//! Writes a project to a new pair of files while it is in use.
//!
//! ```text
//! begin     note where the journal ends                                locks: journal and state, for an instant
//! copy      entries, some at a time, into the new values and metas     lock: state, for microseconds
//! flush     everything that was copied is in the old journal, too, even if the checkpoint fails
//! tail      copy the old journal from that end on into the new one     lock: journal, for the last part
//! swap      sync, rename values, rename journal                        lock: journal
//! ```
//! Entries are copied while they change, so the copy shows no single moment. Replaying the tail of the
//! journal over it still gives the right state (see `store::change`), and all of them are in the new
//! journal before it replaces the old one.

use super::checkpoint_error::CheckpointError;
use super::external_edit::{has_lost_values, has_values_in_place};
use super::journal_lock::JournalGuard;
use super::project::{Files, Health, Project};
use crate::disk::{DiskFile, Stamp};
use crate::limits::{CHECKPOINT_RETRY_MS, ENTRIES_PER_LOCK_MAX, FILE_BUFFER_BYTES};
use crate::persist::files::generation::{self, GenerationWriter, SwapError, WrittenGeneration};
use crate::persist::files::header::Header;
use crate::persist::files::line_copy::{CopyError, Lines, Target, copy_lines};
use crate::persist::files::seed::Seed;
use crate::persist::files::value_reader::StoredValue;
use crate::persist::start::recovery::ValueCache;
use crate::store::change::{Meta, Revision, Value};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The files that a checkpoint installed.
pub(super) struct NewPair {
    pub(super) json: Arc<dyn DiskFile>,
    pub(super) journal: Arc<dyn DiskFile>,
    /// The journal's header.
    pub(super) header: Header,
    /// The journal's number; the values' is one less.
    pub(super) number: u32,
    /// The changes that were copied from the old journal lie from here to `end`.
    pub(super) changes_start: u64,
    pub(super) end: u64,
}

/// A value of a project that keeps only an index in memory.
enum FoundValue {
    /// It is not written yet.
    Text(Box<[u8]>),
    /// It lies in a file.
    Stored(StoredValue),
}

/// What a checkpoint is written for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Changes in the journal.
    Changes,
    /// Those, or values that a start would not find: their file is neither the one that was written nor an edit of it.
    ChangesOrLoss,
    /// Changes, or a values' file that is not the one that was written.
    ChangesOrEdit,
}

/// Where the old journal ended when the copying began.
struct CheckpointStart {
    offset: u64,
    revision: Revision,
    clock_ms: u64,
    rollbacks: u64,
}

impl Project {
    /// Writes a new pair of files if the journal has changes. Blocks for the disk.
    ///
    /// # Errors
    /// [`CheckpointError`]; nothing is lost, and the next checkpoint begins from the start.
    pub fn checkpoint(self: &Arc<Self>, now_ms: u64, now: Instant) -> Result<(), CheckpointError> {
        self.checkpoint_where(|health| *health != Health::Closed, Need::Changes, now_ms, now)
    }

    /// As [`Project::checkpoint`], also if the journal has no changes and the values' file is not in place.
    pub(super) fn put_values_in_place(
        self: &Arc<Self>,
        now_ms: u64,
        now: Instant,
    ) -> Result<(), CheckpointError> {
        self.checkpoint_where(|health| *health != Health::Closed, Need::ChangesOrEdit, now_ms, now)
    }

    /// The last checkpoint, of a project that was closed. An edit of values that did not change since is left for the
    /// next start.
    pub(super) fn checkpoint_closed(
        self: &Arc<Self>,
        now_ms: u64,
        now: Instant,
    ) -> Result<(), CheckpointError> {
        self.checkpoint_where(|health| *health == Health::Closed, Need::ChangesOrLoss, now_ms, now)
    }

    fn checkpoint_where(
        self: &Arc<Self>,
        is_wanted: fn(&Health) -> bool,
        need: Need,
        now_ms: u64,
        now: Instant,
    ) -> Result<(), CheckpointError> {
        let Some(files) = &self.files else { return Ok(()) };
        let Ok(_turn) = files.checkpoint.lock() else { return Err(CheckpointError::Stopped) };
        // Read under the lock: after the last checkpoint of a closed project its files may be gone, or belong to a successor.
        let health = self.health();
        if health.has_ended() {
            return Err(CheckpointError::Stopped); // it may have failed halfway through a swap
        }
        if !is_wanted(&health) {
            return Ok(());
        }
        if !self.look_at_files() {
            return Err(CheckpointError::Stopped);
        }
        self.expire(now_ms);
        self.flush(now);
        let is_needed = |journal: JournalGuard<'_>| {
            let is_wanted_again = match need {
                Need::Changes => false,
                Need::ChangesOrLoss => has_lost_values(files, &journal),
                Need::ChangesOrEdit => !has_values_in_place(files, &journal),
            };
            journal.has_changes() || is_wanted_again
        };
        if !files.journal.lock().is_ok_and(is_needed) {
            return Ok(());
        }
        let mut result = self.write_new_pair(files, now);
        if let Err(CheckpointError::Damaged { offset }) = result {
            result = self.replace_damaged(files, offset, now);
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
            let journal = files.journal.lock().map_err(|_| CheckpointError::Stopped)?;
            self.check_values(files, &journal)?;
        }
        let start = self.begin_checkpoint(files)?;
        let pair = self.write_since(files, &start, now)?;
        if files.cache == ValueCache::Disk {
            self.relocate(&pair, now)?;
        }
        Ok(())
    }

    fn write_since(
        self: &Arc<Self>,
        files: &Files,
        start: &CheckpointStart,
        now: Instant,
    ) -> Result<NewPair, CheckpointError> {
        let old = files.journal.lock().map_err(|_| CheckpointError::Stopped)?.header.clone();
        let mut writer = GenerationWriter::create(files.disk.as_ref(), &files.paths, old.successor())?;
        self.copy_entries(files.cache, &mut writer)?;
        let mut written = writer.finish(start.revision, start.clock_ms)?;
        self.flush(now);
        let copied = self.copy_tail_unlocked(files, start, &mut written)?;
        self.switch_files(files, start, written, copied, now)
    }

    /// Writes a new pair of files after a bad line was found at `offset` of the journal. Its change is in memory,
    /// so a checkpoint that begins now does not read it. If this one fails too, the project stops: the next start
    /// would refuse everything after that line.
    fn replace_damaged(
        self: &Arc<Self>,
        files: &Files,
        offset: u64,
        now: Instant,
    ) -> Result<(), CheckpointError> {
        let (id, path) = (&self.id, files.paths.journal.display());
        let damage = CopyError::Damaged { offset };
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

    /// Every change before that offset is in memory, and none is being written.
    fn begin_checkpoint(&self, files: &Files) -> Result<CheckpointStart, CheckpointError> {
        let journal = files.journal.lock().map_err(|_| CheckpointError::Stopped)?;
        let state = self.lock().map_err(|_| CheckpointError::Stopped)?;
        if state.health.has_ended() {
            return Err(CheckpointError::Stopped);
        }
        Ok(CheckpointStart {
            offset: journal.end,
            revision: state.namespace.revision(),
            clock_ms: state.namespace.clock_ms(),
            rollbacks: state.rollbacks,
        })
    }

    /// Returns an error if changes were rolled back since `start`, because entries may have been copied with them.
    /// The caller holds the journal, without which nothing is rolled back.
    fn check_rollbacks(&self, start: &CheckpointStart) -> Result<(), CheckpointError> {
        let state = self.lock().map_err(|_| CheckpointError::Stopped)?;
        if state.health.has_ended() {
            return Err(CheckpointError::Stopped);
        }
        if state.rollbacks == start.rollbacks { Ok(()) } else { Err(CheckpointError::RolledBack) }
    }

    /// Copies all entries, a few under each hold of the lock.
    pub(super) fn copy_entries(
        self: &Arc<Self>,
        cache: ValueCache,
        writer: &mut GenerationWriter,
    ) -> Result<(), CheckpointError> {
        let mut after: Option<String> = None;
        loop {
            let next = match cache {
                ValueCache::Memory => self.copy_some_values(after.as_deref(), writer)?,
                ValueCache::Disk => self.copy_some_stored(after.as_deref(), writer)?,
            };
            writer.flush_if_full()?;
            match next {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
            self.give_way();
        }
    }

    /// Encodes the next entries under the lock. Returns the last key, `None` if there are no more.
    fn copy_some_values(
        &self,
        after: Option<&str>,
        writer: &mut GenerationWriter,
    ) -> Result<Option<String>, CheckpointError> {
        let state = self.lock().map_err(|_| CheckpointError::Stopped)?;
        let bytes_before = writer.buffered_bytes();
        let mut last = None;
        for entry in state.namespace.stored_range("", after).take(ENTRIES_PER_LOCK_MAX) {
            last = Some(entry.key());
            if !state.namespace.is_live(entry, 0) {
                continue;
            }
            match entry.value() {
                Value::Text(text) => writer.encode(entry.key(), text, &entry.meta()),
                Value::Stored(_) => unreachable!("this project keeps its values in memory"),
            }
            if writer.buffered_bytes() - bytes_before >= FILE_BUFFER_BYTES {
                break;
            }
        }
        Ok(last.map(str::to_owned))
    }

    /// Copies the next values that are not written yet, and looks up the locations of the others, which are read
    /// without the lock.
    fn copy_some_stored(
        &self,
        after: Option<&str>,
        writer: &mut GenerationWriter,
    ) -> Result<Option<String>, CheckpointError> {
        let mut found: Vec<(String, Meta, FoundValue)> = Vec::new();
        let last = {
            let (mut last, mut text_bytes) = (None, 0);
            let state = self.lock().map_err(|_| CheckpointError::Stopped)?;
            for entry in state.namespace.stored_range("", after).take(ENTRIES_PER_LOCK_MAX) {
                last = Some(entry);
                if !state.namespace.is_live(entry, 0) {
                    continue;
                }
                let value = match entry.value() {
                    Value::Text(text) => {
                        text_bytes += text.len();
                        FoundValue::Text(text.into())
                    }
                    Value::Stored(location) => {
                        let stored = state.open_files.locate(location);
                        FoundValue::Stored(
                            stored.ok_or_else(|| io::Error::other("a value's file is not open"))?,
                        )
                    }
                };
                found.push((entry.key().to_owned(), entry.meta(), value));
                if text_bytes >= FILE_BUFFER_BYTES {
                    break;
                }
            }
            last.map(|entry| entry.key().to_owned())
        };
        let mut read = Vec::new();
        for (key, meta, value) in &found {
            let text = match value {
                FoundValue::Text(text) => text,
                FoundValue::Stored(stored) => {
                    read.clear();
                    stored.read_into(&mut read)?;
                    read.as_slice()
                }
            };
            writer.encode(key, text, meta);
            writer.flush_if_full()?;
        }
        Ok(last)
    }

    /// Copies what was appended to the old journal since `start`, while it keeps growing, and syncs the copy. That
    /// leaves little for the moment when writers wait. Returns the offset up to which the old journal is copied.
    fn copy_tail_unlocked(
        &self,
        files: &Files,
        start: &CheckpointStart,
        written: &mut WrittenGeneration,
    ) -> Result<u64, CheckpointError> {
        let (old, seed, end) = {
            let journal = files.journal.lock().map_err(|_| CheckpointError::Stopped)?;
            self.check_rollbacks(start)?;
            (Arc::clone(&journal.file), journal.header.seed, journal.end)
        };
        copy_tail((old.as_ref(), seed), (start.offset, end), written)?;
        written.journal.sync()?;
        Ok(end)
    }

    /// The moment when writers wait: the rest of the old journal is copied, then the new pair is installed.
    fn switch_files(
        self: &Arc<Self>,
        files: &Files,
        start: &CheckpointStart,
        mut written: WrittenGeneration,
        copied: u64,
        now: Instant,
    ) -> Result<NewPair, CheckpointError> {
        let mut guard = files.journal.lock().map_err(|_| CheckpointError::Stopped)?;
        let journal = &mut *guard;
        self.check_rollbacks(start)?;
        let changes_start = written.journal_end - (copied - start.offset);
        let identity = written.journal.status()?.identity;
        copy_tail((journal.file.as_ref(), journal.header.seed), (copied, journal.end), &mut written)?;
        self.detect_external_edit(files, journal)?;
        written.journal.sync()?;
        // No file of another process may be replaced.
        self.check_files(files, journal)?;
        generation::swap(files.disk.as_ref(), &files.paths).map_err(|error| match error {
            SwapError::NotBegun(error) => CheckpointError::Io(error),
            SwapError::HalfDone(error) => {
                journal.retire(); // all of it is in the new one, which was synced
                let failure = io::Error::other(error); // the project stops, also if the disk was full
                self.rollback(&files.paths, journal, &failure);
                CheckpointError::HalfDone(failure)
            }
        })?;
        let number = journal.number + 2;
        let (changes, json_stamp) = ((changes_start, written.journal_end), written.json_stamp);
        let WrittenGeneration { json, journal: file, header, .. } = written;
        let pair = NewPair {
            json,
            journal: Arc::clone(&file),
            header: header.clone(),
            number,
            changes_start: changes.0,
            end: changes.1,
        };
        journal.begin_generation((file, identity, header), number, changes, json_stamp, now);
        self.use_new_files(files, &pair, json_stamp);
        Ok(pair)
    }

    /// The new pair is in place, and everything that was acknowledged is synced. With the values in memory no file
    /// is needed for reading. Otherwise the old ones stay open until all locations have been moved.
    fn use_new_files(&self, files: &Files, pair: &NewPair, json_stamp: Stamp) {
        let Ok(mut state) = self.lock() else { return };
        state.synced = state.acknowledged;
        if files.cache == ValueCache::Disk {
            let [json_name, journal_name] = files.paths.names(&self.id);
            state.open_files.add_values(pair.number - 1, Arc::clone(&pair.json), json_stamp, json_name);
            state.open_files.add_journal(pair.number, Arc::clone(&pair.journal), journal_name);
        }
    }
}

/// Copies the lines from offset `from` to the end of the old journal to the end of the new one.
fn copy_tail(
    old: (&dyn DiskFile, Seed),
    (from, to): (u64, u64),
    written: &mut WrittenGeneration,
) -> Result<(), CheckpointError> {
    let (file, seed) = old;
    let source = Lines { file, seed, start: from, end: to };
    let (file, seed, start) = (written.journal.as_ref(), written.header.seed, written.journal_end);
    written.journal_end = copy_lines(&source, &Target { file, seed, start })?;
    Ok(())
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
