//! The projects that are served, and where they are listed: in config.json, or on the home cell.
//!
//! Reads take a short lock, for the event loops. Changes block, so they happen in the administration lane, at startup
//! and at a reload.

mod cells;
mod error;
mod files;
pub mod keys;
mod served;

pub use cells::{CellCatalog, HOME};
pub use error::ChangeError;
pub use files::FileCatalog;

pub(crate) use error::CatalogError;
pub(crate) use files::{save_generated, save_key_changes, unsaved_texts};
pub(crate) use served::Registry;
pub use served::Served;

use crate::config::schema::{AuthenticationChoice, Config, StorageChoice};
use crate::names::ProjectId;
use crate::secret::Secret;
use crate::store::error::StorageError;
use keys::KeyChanges;
use std::sync::Arc;
use std::time::Instant;

/// All projects.
pub enum Catalog {
    /// Of the embedded engine.
    Files(FileCatalog),
    /// Of the etcd engine.
    Cells(CellCatalog),
}

impl Catalog {
    pub fn registry(&self) -> Arc<Registry> {
        match self {
            Catalog::Files(catalog) => catalog.registry(),
            Catalog::Cells(catalog) => catalog.registry(),
        }
    }

    /// Reads the list of projects again, if another instance has changed it.
    pub fn refresh(&self) -> Result<bool, StorageError> {
        match self {
            Catalog::Files(_) => Ok(false),
            Catalog::Cells(catalog) => catalog.refresh(),
        }
    }

    /// Adds a project, on the cell of that name if one is given. Returns it and its key, if it has one. If this fails,
    /// nothing has changed.
    pub fn create(
        &self,
        id: ProjectId,
        storage: StorageChoice,
        authentication: AuthenticationChoice,
        cell: Option<&str>,
    ) -> Result<(Arc<Served>, Option<Secret>), ChangeError> {
        match (self, cell) {
            (Catalog::Files(catalog), None) => catalog.create(id, storage, authentication),
            (Catalog::Files(_), Some(_)) => Err(ChangeError::NoCells),
            (Catalog::Cells(catalog), cell) => catalog.create(id, storage, authentication, cell),
        }
    }

    /// Changes the given settings of a project. Returns it, and a key if it now requires one and had none. If this fails,
    /// nothing has changed.
    pub fn update(
        &self,
        id: &ProjectId,
        storage: StorageChoice,
        authentication: AuthenticationChoice,
    ) -> Result<(Arc<Served>, Option<Secret>), ChangeError> {
        match self {
            Catalog::Files(catalog) => catalog.update(id, storage, authentication),
            Catalog::Cells(catalog) => catalog.update(id, storage, authentication),
        }
    }

    /// Generates a new key for a project, and enables its authentication; the old key becomes invalid. If this fails,
    /// the old key stays valid.
    pub fn regenerate(&self, id: &ProjectId) -> Result<Secret, ChangeError> {
        match self {
            Catalog::Files(catalog) => catalog.regenerate(id),
            Catalog::Cells(catalog) => catalog.regenerate(id),
        }
    }

    /// Deletes a project and its keys.
    pub fn delete(&self, id: &ProjectId) -> Result<(), ChangeError> {
        match self {
            Catalog::Files(catalog) => catalog.delete(id),
            Catalog::Cells(catalog) => catalog.delete(id),
        }
    }

    /// Whether a new project `id` would be in memory, although files with its name exist.
    pub fn would_leave_files(&self, id: &ProjectId, storage: StorageChoice) -> bool {
        match self {
            Catalog::Files(catalog) => catalog.would_leave_files(id, storage),
            Catalog::Cells(_) => false,
        }
    }

    /// Reads config.json again and applies it. Returns its content and the keys that were generated. If this fails, the
    /// old configuration stays effective.
    pub(crate) fn reload(&self) -> Result<(Config, KeyChanges), CatalogError> {
        match self {
            Catalog::Files(catalog) => catalog.reload(),
            Catalog::Cells(catalog) => catalog.reload(),
        }
    }

    /// Has the files of all projects checked, unless they were just checked. Returns whether a check was due, also for
    /// projects of the caller.
    pub fn look_at_files(&self, now: Instant) -> bool {
        match self {
            Catalog::Files(catalog) => catalog.look_at_files(now),
            Catalog::Cells(_) => false,
        }
    }

    /// See [`crate::persist::live::worker_threads::ProjectQueues::look_at_clock`].
    pub fn look_at_clock(&self, wall_ms: u64, now: Instant) {
        if let Catalog::Files(catalog) = self {
            catalog.look_at_clock(wall_ms, now);
        }
    }

    /// Ends writing and writes the last checkpoint of each project.
    pub fn close(&self) {
        match self {
            Catalog::Files(catalog) => catalog.close(),
            Catalog::Cells(_) => {} // every change is committed when it is acknowledged
        }
    }

    /// The cells, if projects are on cells.
    pub fn cells(&self) -> Option<&CellCatalog> {
        match self {
            Catalog::Files(_) => None,
            Catalog::Cells(catalog) => Some(catalog),
        }
    }
}
