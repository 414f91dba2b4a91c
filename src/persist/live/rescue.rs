//! Writes what was acknowledged to a new pair of files after another program took the journal.
//!
//! If the journal was removed, replaced or cut, a restart would silently find an older state. The project takes
//! no more writes; its values, in memory or in the files that are still open, are written as a checkpoint writes
//! them. Nothing is written if the directory is another one by now, or if a second server may use it.

use super::checkpoint_error::CheckpointError;
use super::project::{Files, Project};
use super::unpoisoned::unpoisoned;
use super::worker_threads::ProjectQueues;
use crate::clock;
use crate::disk::{Open, is_not_regular};
use crate::persist::files::generation;
use crate::persist::files::preserved_copies::{self, PreservedCopy};
use std::io::ErrorKind;
use std::sync::Arc;

impl ProjectQueues {
    /// Starts to rescue a project on a thread of its own. Until that is done a crash loses acknowledged writes, and the
    /// writers and the maintenance thread may be busy for seconds.
    pub(super) fn rescue_soon(self: &Arc<Self>, project: &Arc<Project>) {
        let mut rescues = unpoisoned(self.rescues.lock());
        if let Some(waiting) = rescues.as_mut() {
            return waiting.push(Arc::clone(project));
        }
        let engine = Arc::clone(self);
        let spawned =
            std::thread::Builder::new().name("rescue".to_owned()).spawn(move || engine.rescue_all());
        if spawned.is_ok() {
            *rescues = Some(vec![Arc::clone(project)]);
        } else {
            self.schedule(project, clock::monotonic());
        }
    }

    /// Rescues the projects that wait for it, then returns.
    fn rescue_all(&self) {
        let next = || {
            let mut rescues = unpoisoned(self.rescues.lock());
            let project = rescues.as_mut().and_then(Vec::pop);
            if project.is_none() {
                *rescues = None;
            }
            project
        };
        while let Some(project) = next() {
            project.rescue();
        }
    }
}

impl Project {
    /// Writes what was acknowledged to new files, if the journal was taken and no other thread has done so yet.
    /// Blocks for the disk.
    pub(super) fn rescue(self: &Arc<Self>) {
        let Some(files) = &self.files else { return };
        let Ok(_turn) = files.checkpoint.lock() else { return };
        if self.lock().is_ok_and(|mut state| std::mem::take(&mut state.needs_rescue)) {
            self.rescue_in_turn(files);
        }
    }

    /// Writes what was acknowledged to new files. The caller holds the lock of checkpoints.
    pub(super) fn rescue_in_turn(self: &Arc<Self>, files: &Files) {
        let (id, directory) = (&self.id, files.paths.directory().display());
        match self.write_rescued(files) {
            Ok(()) => {
                if let Ok(mut state) = self.lock() {
                    state.is_unsaved = false;
                }
                log::warn!(
                    "project {id}: everything that was acknowledged is in new files in {directory}. Restart the server \
                     to write to the project again"
                );
            }
            Err(error) => log::error!(
                "project {id}: the acknowledged writes could not be written to new files in {directory}: {error}. A \
                 restart will not find all of them. Read the values over HTTP and save them while this server runs"
            ),
        }
    }

    fn write_rescued(self: &Arc<Self>, files: &Files) -> Result<(), CheckpointError> {
        let (disk, paths) = (files.disk.as_ref(), &files.paths);
        self.check_directory()?;
        self.keep_foreign_journal(files)?;
        let lineage = {
            let journal = files.journal.lock()?;
            self.keep_edit(files, &journal)?;
            journal.header.successor()
        };
        let at = self.lock()?.revision_and_watermark();
        let written = self.write_entries(disk, paths, lineage, at);
        let written = written.and_then(|pair| Ok(pair.journal.file.sync()?));
        // Checked again, because copying takes a while.
        self.check_directory()?;
        let swapped = written.and_then(|()| Ok(generation::swap(disk, paths)?));
        if !matches!(swapped, Ok(()) | Err(CheckpointError::HalfDone(_))) {
            let _ = generation::remove_temporaries(disk, paths); // the first error is the one to tell
        }
        swapped
    }

    /// Copies the file that has the journal's name now, because the new journal will replace it.
    fn keep_foreign_journal(&self, files: &Files) -> Result<(), CheckpointError> {
        let (disk, paths) = (files.disk.as_ref(), &files.paths);
        match disk.open(&paths.journal, Open::Read).and_then(|file| file.length()) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound || is_not_regular(&error) => return Ok(()),
            found => found?,
        };
        let copy = preserved_copies::preserve(disk, paths, PreservedCopy::Foreign, clock::wall_ms())?;
        log::warn!(
            "project {}: {} was replaced by another file, which is kept as {}",
            self.id,
            paths.journal.display(),
            copy.display()
        );
        Ok(())
    }

    /// Refuses to write in a directory that no longer belongs to this process.
    pub(super) fn check_directory(&self) -> Result<(), CheckpointError> {
        self.queues.check_directory().map_err(|_| CheckpointError::Stopped)
    }
}
