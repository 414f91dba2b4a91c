//! Closing a project for good, or moving it to another kind of storage.

use super::checkpoint::Need;
use super::checkpoint_error::CheckpointError;
use super::external_edit;
use super::journal::Journal;
use super::project::{Files, Health, Project};
use crate::clock;
use crate::disk::Disk;
use crate::persist::files::generation::{self, Paths};
use crate::persist::files::header::Lineage;
use crate::persist::files::preserved_copies::{self, PreservedCopy};
use crate::store::commit::CommitState;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Why a project cannot be read from its files again while the server runs.
#[derive(Debug)]
pub enum NotReopened {
    /// It takes no writes until the server is restarted. [`Project::health`] has the reason.
    Failed,
    /// Its files do not have all of its values: the reason.
    Unsaved(String),
    /// A start would not open its files, because a temporary one cannot be removed.
    Blocked(io::Error),
}

impl Project {
    /// Checks that opening the files again would find everything, and writes the data file again if it is not in place.
    /// Blocks for the disk.
    ///
    /// # Errors
    /// [`NotReopened`]; the project continues as it is.
    pub fn prepare_reopening(self: &Arc<Self>, now_ms: u64, now: Instant) -> Result<(), NotReopened> {
        self.prepare(external_edit::has_values_in_place, now_ms, now)?;
        self.remove_temporaries().map_err(NotReopened::Blocked)
    }

    /// Removes what would keep the files from being opened. Not during a checkpoint, which writes such files.
    fn remove_temporaries(&self) -> io::Result<()> {
        let Some(files) = &self.files else { return Ok(()) };
        // After a panic during a checkpoint, the files may be half swapped.
        let Ok(_turn) = files.checkpoint.lock() else { return Ok(()) };
        generation::remove_temporaries(files.disk.as_ref(), &files.paths)
    }

    /// As [`Project::prepare_reopening`], but leaves an edit of the data file, which a later start imports.
    ///
    /// # Errors
    /// [`NotReopened`]; the project continues as it is.
    pub fn prepare_removal(self: &Arc<Self>, now_ms: u64, now: Instant) -> Result<(), NotReopened> {
        self.prepare(|files, journal| !external_edit::has_lost_values(files, journal), now_ms, now)
    }

    /// `is_good` returns whether the data file may be left as it is.
    fn prepare(
        self: &Arc<Self>,
        is_good: impl Fn(&Files, &Journal) -> bool,
        now_ms: u64,
        now: Instant,
    ) -> Result<(), NotReopened> {
        let Some(files) = &self.files else { return Ok(()) };
        let is_good = || files.journal.lock().is_ok_and(|journal| is_good(files, &journal));
        let mut written = Ok(());
        if self.look_at_files() && !is_good() {
            written = self.checkpoint_for(Need::Edit, now_ms, now);
        }
        if let Health::Failed { reason } = self.health() {
            return Err(if self.is_unsaved() { NotReopened::Unsaved(reason) } else { NotReopened::Failed });
        }
        if is_good() {
            return Ok(());
        }
        let path = files.paths.json.display();
        let cause = written.err().map(|error| format!(" ({error})")).unwrap_or_default();
        Err(NotReopened::Unsaved(format!("{path}: is not the file that this server wrote{cause}")))
    }

    pub fn is_in_memory(&self) -> bool {
        self.files.is_none()
    }

    /// Whether a write or sync failed, or the file that has its values was edited, so that only a restart
    /// may read the files again. [`Project::health`] has the reason.
    pub fn has_failed(&self) -> bool {
        matches!(self.health(), Health::Failed { .. })
    }

    /// Whether the project takes no more writes and its files do not have all of its values.
    pub fn is_unsaved(&self) -> bool {
        self.lock().map_or(true, |state| state.is_unsaved)
    }

    pub(super) fn begin_maintenance(self: &Arc<Self>) {
        self.queues.schedule(self, clock::monotonic());
    }

    /// Ends writing at once and for good, without a last checkpoint: the files are about to be deleted. Changes
    /// that are not in the journal yet are refused.
    pub fn close_for_deletion(self: &Arc<Self>) {
        if let Ok(mut state) = self.lock() {
            state.health = Health::Deleted;
            state.needs_rescue = false;
        }
        self.release_files();
    }

    /// Ends the use of the project's files: nothing writes, syncs or cuts them afterwards, because they may belong to a
    /// successor of the same name. Only the latest revision is kept. The project is dropped from the schedule, which
    /// would otherwise keep it until the expiry of a key in ten years.
    pub(super) fn release_files(self: &Arc<Self>) {
        // A checkpoint or rescue that is under way ends first, and then a write or a sync.
        let turn = self.files.as_ref().map(|files| (files, files.checkpoint.lock()));
        let mut journal = self.files.as_ref().and_then(|files| files.journal.lock().ok());
        let needs_rescue = self.lock().is_ok_and(|mut state| {
            state.is_released = true;
            self.queues.watermark.closed(state.key_map.revision());
            if let Some(journal) = &mut journal {
                journal.retire();
                let is_deleted = state.health == Health::Deleted;
                let deleted = is_deleted.then(|| CommitState::Deleted(self.id.clone()));
                state.rollback(&deleted.unwrap_or(CommitState::Failed));
            }
            std::mem::take(&mut state.needs_rescue)
        });
        drop(journal);
        self.queues.resolved();
        if needs_rescue && let Some((files, Ok(_))) = &turn {
            self.rescue_in_turn(files);
        }
        drop(turn);
        self.queues.schedule(self, clock::monotonic());
    }

    /// Writes a closed project that lives in memory as files. Files of that name, which this project never read,
    /// are kept as copies. Reads continue. Blocks for the disk.
    ///
    /// # Errors
    /// As the disk returns them; [`CheckpointError::Stopped`] if a thread panicked during a change.
    pub fn save_as(self: &Arc<Self>, disk: &dyn Disk, paths: &Paths) -> Result<(), CheckpointError> {
        for (path, why) in
            [(&paths.json, PreservedCopy::Replaced), (&paths.journal, PreservedCopy::ReplacedJournal)]
        {
            if disk.exists(path)? {
                let copy = preserved_copies::preserve(disk, paths, why, clock::wall_ms())?;
                let (id, old, copy) = (&self.id, path.display(), copy.display());
                log::warn!("project {id}: {old} existed already and is replaced; it is kept as {copy}");
            }
        }
        let at = self.lock()?.revision_and_watermark();
        let written = self.write_entries(disk, paths, Lineage::first(), at).inspect_err(|_| {
            let _ = generation::remove_temporaries(disk, paths); // the first error is the one to tell
        })?;
        written.install(disk, paths)?;
        Ok(())
    }

    /// Takes writes again after [`Project::close`]. Only for a project that lives in memory: files
    /// may belong to another program by now.
    pub fn resume(self: &Arc<Self>) {
        if !self.is_in_memory() {
            return;
        }
        if let Ok(mut state) = self.lock()
            && state.health == Health::Closed
        {
            state.health = Health::Healthy;
        }
        self.begin_maintenance();
    }
}
