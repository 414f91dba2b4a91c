//! Saving config.json for a change, and undoing the change if that fails.

use super::Catalog;
use super::opening::leaves_memory;
use super::served::Served;
use crate::api::error::ApiError;
use crate::auth::api_key::{self, Completed, HASH_ADVICE};
use crate::config::file;
use crate::config::mistake::{ConfigError, save_advice};
use crate::config::schema::Config;
use crate::disk::{Disk, is_disk_full};
use crate::names::ProjectId;
use crate::persist::generation::{self, Paths};
use crate::persist::project::Unavailable;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::MutexGuard;

/// Whether a project had files before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilesBefore {
    /// It had, and they stay.
    Found,
    /// It had none; what the change wrote goes with it.
    None,
}

/// Saves what [`api_key::complete`] changed. If only texts of keys were to be replaced by their hashes and
/// that cannot be saved, the keys are in force all the same, the texts stay in the file, and the error is
/// returned for the log.
///
/// # Errors
/// [`ConfigError::Write`], if keys were generated that would be lost.
pub fn save_completed(
    disk: &dyn Disk,
    path: &Path,
    config: &Config,
    completed: &mut Completed,
) -> Result<Option<ConfigError>, ConfigError> {
    if !completed.changed {
        return Ok(None);
    }
    match file::save(disk, path, config) {
        Err(error) if completed.issued.is_empty() => {
            completed.removed_text.clear();
            Ok(Some(error))
        }
        saved => saved.map(|()| None),
    }
}

/// The log text for texts of keys that stay in config.json, because `error` prevents saving it.
pub fn unsaved_texts(error: &ConfigError) -> String {
    format!("{error}. The keys in it are in force, but their texts stay in the file. {HASH_ADVICE}")
}

impl Catalog {
    /// Replaces config.json by `next` and puts `next` in force.
    pub(super) fn save(&self, config: &mut Config, next: Config) -> Result<(), ApiError> {
        file::save(self.disk.as_ref(), &self.config_path, &next).map_err(|error| {
            log::error!("{error}");
            // If only the sync of the directory failed, the new file has its name. The client is told of a
            // failure, so the old content is written back.
            let load = || file::load(self.disk.as_ref(), &self.config_path);
            if load().is_ok_and(|found| found.as_ref() == Some(&next)) {
                let _ = file::save(self.disk.as_ref(), &self.config_path, config);
            }
            match error {
                // The file-size limit of the process concerns this file alone; removing others does not help.
                ConfigError::Write { error, .. }
                    if is_disk_full(&error) && error.kind() != ErrorKind::FileTooLarge =>
                {
                    ApiError::DiskFull
                }
                ConfigError::Write { error, .. } => ApiError::ConfigNotSaved(save_advice(&error)),
                ConfigError::Invalid { .. } | ConfigError::TooLarge { .. } | ConfigError::Read { .. } => {
                    ApiError::Disk("saving config.json")
                }
            }
        })?;
        *config = next;
        Ok(())
    }

    /// The configuration, for a change that will be saved: refused if saving would lose an edit of its owner
    /// that was not read yet.
    pub(super) fn lock_for_change(&self) -> Result<MutexGuard<'_, Config>, ApiError> {
        let config = self.lock_config();
        if !self.has_directory() {
            // Its lock is what keeps other servers from config.json too.
            return Err(ApiError::Unavailable(Unavailable::Failed));
        }
        let found = file::load(self.disk.as_ref(), &self.config_path).map(|found| {
            found.map(|mut found| {
                // Texts of keys that could not be replaced by their hashes are no edit.
                api_key::follow_texts(&mut found);
                found
            })
        });
        match found {
            Ok(Some(found)) if found != *config => Err(ApiError::ConfigEdited),
            Ok(Some(_) | None) => Ok(config),
            Err(error) => {
                log::error!("nothing is saved: {error}");
                Err(match error {
                    ConfigError::Invalid { .. } | ConfigError::TooLarge { .. } => ApiError::ConfigEdited,
                    // Nobody knows whether it was edited.
                    ConfigError::Read { .. } | ConfigError::Write { .. } => {
                        ApiError::Disk("reading config.json")
                    }
                })
            }
        }
    }

    /// Writes the files of a project that leaves memory, then saves `next`. If one of them fails, nothing
    /// has changed.
    pub(super) fn move_and_save(
        &self,
        config: &mut Config,
        next: Config,
        old: &Served,
    ) -> Result<(), ApiError> {
        let Some(project) = leaves_memory(&next, old) else { return self.save(config, next) };
        let found = self.check_saving_if_files_exist(config, &old.id)?;
        let saved = self
            .write_from_memory(project)
            .and_then(|()| self.save(config, next).inspect_err(|_| project.resume()));
        saved.inspect_err(|_| self.undo_files(&old.id, found))
    }

    /// Whether files of `id` exist that a change would rewrite. If so, config.json is saved as it is, which
    /// fails before anything is touched if it cannot be saved at all.
    pub(super) fn check_saving_if_files_exist(
        &self,
        config: &mut Config,
        id: &ProjectId,
    ) -> Result<FilesBefore, ApiError> {
        let exist = Paths::new(&self.data_directory, id).exist(self.disk.as_ref());
        if !exist.map_err(|_| ApiError::Disk("looking for the project's files"))? {
            return Ok(FilesBefore::None);
        }
        let unchanged = config.clone();
        self.save(config, unchanged)?;
        Ok(FilesBefore::Found)
    }

    /// Removes the files that a change wrote for `id`, unless it had some before.
    pub(super) fn undo_files(&self, id: &ProjectId, before: FilesBefore) {
        if before == FilesBefore::Found || !self.has_directory() {
            return;
        }
        let paths = Paths::new(&self.data_directory, id);
        if let Err(error) = generation::remove_pair(self.disk.as_ref(), &paths) {
            let path = paths.json.display();
            log::warn!(
                "project {id}: {path}: not removed, though the change failed: {error}. Remove it by hand"
            );
        }
    }
}
