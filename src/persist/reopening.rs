//! Giving a project up, or taking it to another kind of storage.

use super::generation::{self, Paths};
use super::project::{Health, Project};
use crate::clock;
use crate::disk::Disk;
use std::io;
use std::sync::Arc;

impl Project {
    /// Whether the project has no files.
    pub fn is_in_memory(&self) -> bool {
        self.durable.is_none()
    }

    /// Has the maintenance thread look after a project that was just opened.
    pub fn begin_maintenance(self: &Arc<Self>) {
        self.engine.schedule(self, clock::monotonic());
    }

    /// Ends writing at once and for good, without bringing the files up to date: they are about to
    /// be deleted. No checkpoint writes them again afterwards.
    pub fn abandon(&self) {
        let turn = self.durable.as_ref().map(|durable| durable.checkpoint.lock());
        if let Ok(mut state) = self.lock() {
            state.health = Health::Failed { reason: "the project was deleted".to_owned() };
        }
        drop(turn);
    }

    /// Writes a project that lives in memory as files, in the place of any that are there.
    ///
    /// # Errors
    /// As the disk says.
    pub fn save_as(&self, disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
        match self.lock() {
            Ok(state) => generation::install(disk, paths, 1, &state.namespace),
            Err(unavailable) => Err(io::Error::other(unavailable.to_string())),
        }
    }

    /// Goes on in memory only. The files stay as they are.
    #[must_use]
    pub fn into_memory(mut self) -> Project {
        self.durable = None;
        self
    }
}
