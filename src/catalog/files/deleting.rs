//! Deleting projects, and finishing deletions that a crash interrupted.
//!
//! ```text
//! create marker ---> save config.json without it ---> remove its files ---> remove marker
//! ```
//! If config.json cannot be saved, the marker is removed and nothing has changed. A full disk is the exception:
//! the files are removed first, to free space for saving. If that is not enough, the marker stays and records the
//! deletion until config.json can be saved.

use super::FileCatalog;
use super::effective::Effective;
use crate::catalog::error::CatalogError;
use crate::catalog::error::{ChangeError, stopped};
use crate::catalog::keys;
use crate::catalog::served::{Deletion, OpenError, Served};
use crate::config::file;
use crate::config::mistake::ConfigError;
use crate::config::schema::{AuthenticationChoice, Config, ProjectConfig, StorageChoice};
use crate::disk::is_disk_full;
use crate::names::ProjectId;
use crate::persist::files::deletion::{self, BeginError, Marker, Phase};
use crate::persist::files::generation::Paths;
use crate::store::error::StorageError;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Why a project is not deleted.
enum DeleteError {
    NothingChanged(ChangeError),
    /// The deletion stopped halfway.
    Stopped(ChangeError),
}

/// Whether config.json was saved without the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConfigSaved {
    Yes,
    AfterTheFiles,
}

impl FileCatalog {
    /// Deletes a project and its files. If config.json cannot be saved, nothing has changed. If the disk fails later, the
    /// project is not served any more, and deleting it again or the next start finishes the deletion.
    pub fn delete(&self, id: &ProjectId) -> Result<(), ChangeError> {
        let mut config = self.lock_for_change()?;
        let old = self.registry().projects.get(id).cloned();
        let old = old.ok_or_else(|| ChangeError::Missing(id.clone()))?;
        let paths = Paths::new(&self.data_directory, id);
        let removed = self.begin_deletion(&mut config, &paths, &old).and_then(|saved| {
            self.replace(&config, id, Some(Arc::new(old.being_deleted(Deletion::UnderWay))));
            if let Ok(project) = old.open() {
                project.close_for_deletion();
            }
            let disk = self.disk.as_ref();
            let kept = self.engine.watermark.keep(disk, &self.data_directory);
            if saved == ConfigSaved::AfterTheFiles {
                deletion::free_space(disk, &paths);
            }
            let removed = deletion::remove_files(disk, &paths);
            removed.map_err(|error| DeleteError::Stopped(stopped(id, &error)))?;
            if kept.is_err() {
                // A full disk has space for it now.
                self.keep_watermark();
            }
            match saved {
                ConfigSaved::Yes => Ok(ConfigSaved::Yes),
                ConfigSaved::AfterTheFiles => self.save_or_forget(&mut config, id),
            }
        });
        let saved = match removed {
            Ok(saved) => saved,
            Err(DeleteError::NothingChanged(error)) => return Err(error),
            Err(DeleteError::Stopped(error)) => {
                if let Ok(project) = old.open() {
                    project.close_for_deletion();
                }
                self.replace(&config, id, Some(Arc::new(old.being_deleted(Deletion::Stopped))));
                return Err(error);
            }
        };
        self.replace(&config, id, None);
        if saved == ConfigSaved::AfterTheFiles {
            log::warn!(
                "project {id}: deleted; {} still lists it until there is disk space to save it",
                self.config_path.display()
            );
            return Ok(());
        }
        // The marker of the second phase removes no files of a later project of that name.
        self.end_deletion_or_warn(id);
        Ok(())
    }

    /// Whether a new project `id` would be in memory, although files with its name exist.
    pub fn would_leave_files(&self, id: &ProjectId, storage: StorageChoice) -> bool {
        let config = self.lock_config();
        let project = ProjectConfig::new(id.clone(), storage, AuthenticationChoice::default());
        let on_disk = config.storage_of(&project).on_disk;
        let (disk, paths) = (self.disk.as_ref(), Paths::new(&self.data_directory, id));
        // Files of an unfinished deletion are removed when the project is created.
        let are_left = || matches!(deletion::phase(disk, &paths), Ok(None | Some(Phase::FilesRemoved)));
        !on_disk && config.project(id).is_none() && paths.exist(disk).unwrap_or(false) && are_left()
    }

    /// Creates the marker and saves config.json without the project.
    fn begin_deletion(
        &self,
        config: &mut Effective,
        paths: &Paths,
        old: &Served,
    ) -> Result<ConfigSaved, DeleteError> {
        let disk = self.disk.as_ref();
        let marker = deletion::begin(disk, paths).map_err(|error| match error {
            BeginError::NotBegun(error) if is_disk_full(&error) => {
                DeleteError::NothingChanged(ChangeError::Storage(StorageError::Full))
            }
            BeginError::NotBegun(error) => DeleteError::NothingChanged(not_deleted(&old.id, &error)),
            BeginError::Unknown(error) => DeleteError::Stopped(stopped(&old.id, &error)),
        })?;
        match self.save_without(config, &old.id) {
            Ok(()) => Ok(ConfigSaved::Yes),
            // Removing the files frees the space for saving.
            Err(ChangeError::Storage(StorageError::Full)) => Ok(ConfigSaved::AfterTheFiles),
            Err(error) if marker == Marker::Created && deletion::cancel(disk, paths).is_ok() => {
                Err(DeleteError::NothingChanged(error))
            }
            Err(error) => Err(DeleteError::Stopped(error)),
        }
    }

    /// Saves config.json without a project whose files are removed. If the disk is still too full, the marker records the
    /// deletion instead.
    fn save_or_forget(&self, config: &mut Effective, id: &ProjectId) -> Result<ConfigSaved, DeleteError> {
        match self.save_without(config, id) {
            Ok(()) => Ok(ConfigSaved::Yes),
            Err(ChangeError::Storage(StorageError::Full)) => {
                config.forget(id);
                self.unsaved_deletions.store(true, Ordering::Relaxed);
                Ok(ConfigSaved::AfterTheFiles)
            }
            Err(error) => Err(DeleteError::Stopped(error)),
        }
    }

    /// Removes the projects from `config`, as read from config.json, that were deleted when it could not be saved.
    /// Returns their ids.
    pub(super) fn forget_deleted(&self, config: &mut Config) -> std::io::Result<Vec<ProjectId>> {
        let disk = self.disk.as_ref();
        let mut forgotten = Vec::new();
        for id in deletion::all_begun(disk, &self.data_directory)? {
            let paths = Paths::new(&self.data_directory, &id);
            if deletion::phase(disk, &paths)? == Some(Phase::FilesRemoved) && !paths.exist(disk)? {
                let is_listed = config.remove_project(&id).is_some();
                forgotten.extend(is_listed.then_some(id));
            }
        }
        Ok(forgotten)
    }

    /// Removes the markers of deletions that config.json reflects, after it was saved as `config`.
    pub(super) fn end_saved_deletions(&self, config: &Config) {
        if !self.unsaved_deletions.swap(false, Ordering::Relaxed) {
            return;
        }
        let begun = deletion::all_begun(self.disk.as_ref(), &self.data_directory).unwrap_or_default();
        let is_deleted = |id: &&ProjectId| config.project(id).is_none();
        begun.iter().filter(is_deleted).for_each(|id| self.end_deletion_or_warn(id));
    }

    fn save_without(&self, config: &mut Effective, id: &ProjectId) -> Result<(), ChangeError> {
        let mut next = config.clone();
        next.remove_project(id); // absent if a deletion stopped after this
        self.save(config, next)
    }

    /// Removes the files of a project whose deletion did not end, before a new project of that name is created.
    /// Files that were restored since stay.
    pub(super) fn remove_deleted(&self, id: &ProjectId) -> std::io::Result<()> {
        let (disk, paths) = (self.disk.as_ref(), Paths::new(&self.data_directory, id));
        match deletion::phase(disk, &paths)? {
            Some(Phase::Begun) => deletion::remove_files(disk, &paths),
            Some(Phase::FilesRemoved) | None => Ok(()),
        }
    }

    /// Removes the marker of a project whose files are removed, once config.json does not list it, or lists a new
    /// one with that name.
    pub(super) fn end_deletion(&self, id: &ProjectId) -> std::io::Result<()> {
        let (disk, paths) = (self.disk.as_ref(), Paths::new(&self.data_directory, id));
        if deletion::phase(disk, &paths)?.is_some() { deletion::end(disk, &paths) } else { Ok(()) }
    }

    /// Finishes deletions that were interrupted.
    pub(super) fn finish_deletions(&self) -> Result<(), CatalogError> {
        let mut config = self.lock_config();
        let mut next = config.clone();
        let disk = self.disk.as_ref();
        let begun = deletion::all_begun(disk, &self.data_directory)
            .map_err(|error| CatalogError::at(&self.data_directory, error))?;
        let mut removed = Vec::new();
        for id in &begun {
            match self.finish_deletion(id) {
                Ok(true) if next.remove_project(id).is_some() => removed.push(id),
                Ok(_) => {}
                Err(error) => drop(stopped(id, &error)),
            }
        }
        if **config != next {
            let _file = file::lock(disk, &self.config_path)?;
            match file::save(disk, &self.config_path, &self.without(&config, &next, &removed)) {
                Err(ConfigError::Write { path, error }) if is_disk_full(&error) => log::warn!(
                    "{}: {error}; it still lists projects that were deleted, until there is disk space to save it",
                    path.display()
                ),
                saved => {
                    saved?;
                    removed.clear();
                }
            }
            self.unsaved_deletions.store(!removed.is_empty(), Ordering::Relaxed);
            *config = Effective::new(next);
        }
        let is_ended = |id: &&ProjectId| !removed.contains(id);
        begun.iter().filter(is_ended).for_each(|id| self.end_deletion_or_warn(id));
        Ok(())
    }

    /// What config.json has once `removed` are deleted from `config`: `next`, unless the file was edited since the start
    /// read it.
    fn without(&self, config: &Config, next: &Config, removed: &[&ProjectId]) -> Config {
        let Ok(Some(mut found)) = file::load(self.disk.as_ref(), &self.config_path) else {
            return next.clone();
        };
        keys::follow_texts(&mut found);
        if found == *config {
            return next.clone();
        }
        removed.iter().for_each(|id| drop(found.remove_project(id)));
        found
    }

    /// Continues a deletion at the start. Returns whether the project has no files.
    fn finish_deletion(&self, id: &ProjectId) -> std::io::Result<bool> {
        let (disk, paths) = (self.disk.as_ref(), Paths::new(&self.data_directory, id));
        let phase = deletion::phase(disk, &paths)?;
        self.remove_deleted(id)?;
        if phase == Some(Phase::Begun) {
            log::warn!("project {id}: its deletion was interrupted and is finished now");
        }
        Ok(!paths.exist(disk)?)
    }

    fn end_deletion_or_warn(&self, id: &ProjectId) {
        if let Err(error) = self.end_deletion(id) {
            log::warn!("project {id}: deleted; its marker file stays until the next start: {error}");
        }
    }

    /// The projects whose deletion stopped and that `config` does not list. They are served as such until the rest of
    /// their files is removed.
    pub(super) fn stopped_deletions(&self, config: &Config) -> Vec<Served> {
        let disk = self.disk.as_ref();
        let begun = deletion::all_begun(disk, &self.data_directory).unwrap_or_default();
        let is_stopped = |id: &ProjectId| {
            let phase = deletion::phase(disk, &Paths::new(&self.data_directory, id));
            config.project(id).is_none() && !matches!(phase, Ok(None | Some(Phase::FilesRemoved)))
        };
        let serve = |id: ProjectId| {
            let project = ProjectConfig::new(id, StorageChoice::default(), AuthenticationChoice::default());
            let stopped = OpenError::of_deletion(Deletion::Stopped);
            Served::new(config, &project, config.storage_of(&project), Err(stopped))
        };
        begun.into_iter().filter(is_stopped).map(serve).collect()
    }
}

fn not_deleted(id: &ProjectId, error: &std::io::Error) -> ChangeError {
    log::error!("project {id}: not deleted: {error}");
    ChangeError::Disk("deleting the project's files")
}
