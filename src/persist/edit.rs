//! An edit of the values' file while the server runs, which is unsupported and must not be lost.

use super::aside::{self, Aside};
use super::checkpoint_error::CheckpointError;
use super::journal::Journal;
use super::project::{Durable, Project};
use super::recovery::Keep;
use crate::disk::Open;
use std::io::{self, ErrorKind};

/// What somebody did to the values' file.
enum Edit {
    Removed,
    Changed,
}

impl Project {
    /// Checks that the values' file is still the one that was written, before a checkpoint replaces it. With the
    /// values in memory an edit is kept as a copy and the checkpoint continues. If the values are read from that
    /// file they are lost: the project stops, and the next start imports the edit or asks for a decision.
    pub(super) fn notice_edit(&self, durable: &Durable, journal: &Journal) -> Result<(), CheckpointError> {
        if durable.keep == Keep::Values {
            return self.keep_edit(durable, journal);
        }
        if find_edit(durable, journal)?.is_none() {
            return Ok(());
        }
        let path = durable.paths.json.display();
        let reason = format!("{path}: was edited or removed while the server runs");
        log::error!("project {}: {reason}; it takes no more writes until the server is restarted", self.id);
        if let Ok(mut state) = self.lock() {
            state.fail(reason);
        }
        Err(CheckpointError::Stopped)
    }

    /// Copies an edited values' file, which is about to be replaced.
    pub(super) fn keep_edit(&self, durable: &Durable, journal: &Journal) -> Result<(), CheckpointError> {
        let (id, path) = (&self.id, durable.paths.json.display());
        match find_edit(durable, journal)? {
            None => {}
            Some(Edit::Removed) => {
                log::warn!("project {id}: {path} was removed while the server runs; it is written again");
            }
            Some(Edit::Changed) => {
                let number = journal.header.generation;
                let copy = aside::keep(durable.disk.as_ref(), &durable.paths, Aside::Edited, number)?;
                log::warn!(
                    "project {id}: {path} was edited while the server runs; the edit is kept as {}, and the server \
                     keeps using what it has",
                    copy.display()
                );
            }
        }
        Ok(())
    }
}

/// Whether the values' file is still the one that was written with `journal`.
pub(super) fn has_values_in_place(durable: &Durable, journal: &Journal) -> bool {
    matches!(find_edit(durable, journal), Ok(None))
}

/// Compares the values' file with the one that was written with `journal`.
fn find_edit(durable: &Durable, journal: &Journal) -> io::Result<Option<Edit>> {
    match durable.disk.open(&durable.paths.json, Open::Read).and_then(|file| file.stamp()) {
        Ok(stamp) if stamp == journal.json_stamp => Ok(None),
        Ok(_) => Ok(Some(Edit::Changed)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(Edit::Removed)),
        Err(error) => Err(error),
    }
}
