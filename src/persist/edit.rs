//! An edit of the values' file while the server runs, which is not how it is meant, and must not be lost.

use super::aside::{self, Aside};
use super::checkpoint::CheckpointError;
use super::journal::Journal;
use super::project::{Durable, Health, Project};
use super::recovery::Keep;
use crate::disk::Open;
use std::io::ErrorKind;

impl Project {
    /// Looks whether the values' file is still the one that was written, before a checkpoint puts a new
    /// one in its place. With the values in memory the edit is kept aside and the checkpoint goes
    /// on. Where the values lie in that file they are gone: the project stops, and the next start
    /// takes the edit over or asks for a decision.
    pub(super) fn notice_edit(&self, durable: &Durable, journal: &Journal) -> Result<(), CheckpointError> {
        let path = &durable.paths.json;
        let stamp = match durable.disk.open(path, Open::Read).and_then(|file| file.stamp()) {
            Ok(stamp) => Some(stamp),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        if stamp == Some(journal.json_stamp) {
            return Ok(());
        }
        if durable.keep == Keep::Index {
            let reason = format!("{}: was edited or removed while the server runs", path.display());
            log::error!(
                "project {}: {reason}; it takes no more writes until the server is restarted",
                self.id
            );
            if let Ok(mut state) = self.lock() {
                state.health = Health::Failed { reason };
            }
            return Err(CheckpointError::Stopped);
        }
        if stamp.is_none() {
            log::warn!(
                "project {}: {} was removed while the server runs; it is written again",
                self.id,
                path.display()
            );
            return Ok(());
        }
        let aside =
            aside::keep(durable.disk.as_ref(), &durable.paths, Aside::Edited, journal.header.generation)?;
        log::warn!(
            "project {}: {} was edited while the server runs; the edit is kept as {}, and the server goes on with \
             what it has",
            self.id,
            path.display(),
            aside.display()
        );
        Ok(())
    }
}
