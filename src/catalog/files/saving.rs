//! Saving config.json for a change, and reverting the change if that fails.

use super::FileCatalog;
use super::effective::Effective;
use super::opening::leaves_memory;
use crate::catalog::error::ChangeError;
use crate::catalog::keys::{self, HASH_ADVICE, KeyChanges};
use crate::catalog::served::Served;
use crate::config::file;
use crate::config::mistake::{ConfigError, LOCKED_ADVICE, save_advice};
use crate::config::schema::{Config, StoredKey};
use crate::disk::{DirectoryLock, Disk, is_disk_full};
use crate::limits::{CONFIG_RELOAD_WAIT_MS, CONFIG_RELOADS_MAX};
use crate::names::ProjectId;
use crate::persist::files::deletion;
use crate::persist::files::generation::{self, Paths};
use crate::store::error::StorageError;
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

/// A change that config.json has and the files do not have yet.
pub(super) struct BegunChange {
    before: Config,
    /// Whether the project had files before. They stay; otherwise files that the change wrote are removed if it fails.
    had_files: bool,
}

/// The configuration for a change. No other thread and no other process changes it meanwhile.
pub(super) struct LockedConfig<'a> {
    config: MutexGuard<'a, Effective>,
    _file: DirectoryLock,
}

impl Deref for LockedConfig<'_> {
    type Target = Effective;

    fn deref(&self) -> &Effective {
        &self.config
    }
}

impl DerefMut for LockedConfig<'_> {
    fn deref_mut(&mut self) -> &mut Effective {
        &mut self.config
    }
}

/// Saves the result of [`keys::ensure_keys`]. If only texts of keys were replaced by their hashes and that cannot be
/// saved, the keys are valid anyway, the texts stay in the file, and the error is returned for the log.
///
/// # Errors
/// [`ConfigError::Write`], if generated keys would be lost.
pub(crate) fn save_key_changes(
    disk: &dyn Disk,
    path: &Path,
    config: &Config,
    key_changes: &mut KeyChanges,
) -> Result<Option<ConfigError>, ConfigError> {
    if !key_changes.changed {
        return Ok(None);
    }
    match save_generated(disk, path, config, key_changes) {
        Err(error) if key_changes.issued.is_empty() => {
            key_changes.removed_text.clear();
            Ok(Some(error))
        }
        saved => saved.map(|()| None),
    }
}

/// Saves `config` with generated keys that were not shown yet. If that fails, the file keeps none of them: a later
/// start could not print them.
pub(crate) fn save_generated(
    disk: &dyn Disk,
    path: &Path,
    config: &Config,
    key_changes: &KeyChanges,
) -> Result<(), ConfigError> {
    let saved = file::save(disk, path, config);
    // If only the sync of the directory failed, the new file is in place.
    let is_in_file = || file::load(disk, path).is_ok_and(|found| found.as_ref() == Some(config));
    if saved.is_err() && !key_changes.issued.is_empty() && is_in_file() {
        let mut without = config.clone();
        for (owner, _) in &key_changes.issued {
            without.set_key(owner, StoredKey::default());
        }
        let _ = file::save(disk, path, &without); // the first error is the one to report
    }
    saved
}

/// The log text for texts of keys that stay in config.json, because `error` prevents saving it.
pub(crate) fn unsaved_texts(error: &ConfigError) -> String {
    format!("{error}. The keys in it are valid, but their texts stay in the file. {HASH_ADVICE}")
}

impl FileCatalog {
    /// Replaces config.json by `next`, which becomes effective.
    pub(super) fn save(&self, config: &mut Effective, next: Config) -> Result<(), ChangeError> {
        if let Err(error) = file::save(self.disk.as_ref(), &self.config_path, &next) {
            log::error!("{error}");
            self.write_back(config, next);
            if config.is_unsaved() {
                self.warn_of_refused_change();
            }
            return Err(answer(&error));
        }
        config.saved(next);
        self.end_saved_deletions(config);
        Ok(())
    }

    fn warn_of_refused_change(&self) {
        log::warn!(
            "{} has, or may have, a change that was refused. The next change over the API, SIGHUP or clean shutdown \
             that can save the file removes the change from it; a start before that applies the change",
            self.config_path.display()
        );
    }

    /// Saves the effective configuration after `next` could not be saved. If only the sync of the directory failed,
    /// `next` is already in place.
    fn write_back(&self, config: &mut Effective, next: Config) {
        let found = file::load(self.disk.as_ref(), &self.config_path);
        if matches!(&found, Ok(found) if found.as_ref() != Some(&next)) {
            return;
        }
        config.not_saved(next);
        // An unreadable file may have an edit, which must not be overwritten.
        if found.is_ok() && file::save(self.disk.as_ref(), &self.config_path, config).is_ok() {
            config.saved(config.clone());
        }
    }

    /// The configuration, for a change that will be saved: refused if saving would lose an edit that was not read yet. If
    /// the edit is just being reloaded, as after `pikv config set`, waits for that.
    pub(super) fn lock_for_change(&self) -> Result<LockedConfig<'_>, ChangeError> {
        let mut config = self.lock_config();
        for _ in 0..CONFIG_RELOADS_MAX {
            if !self.has_directory() {
                // The lock of the directory also keeps other servers from config.json.
                return Err(ChangeError::Storage(StorageError::Failed));
            }
            let file = file::lock(self.disk.as_ref(), &self.config_path).map_err(|error| answer(&error))?;
            if !self.is_edited(&mut config)? {
                return Ok(LockedConfig { config, _file: file });
            }
            drop(file);
            let edited = config.clone();
            let wait = Duration::from_millis(CONFIG_RELOAD_WAIT_MS);
            let is_same = |config: &mut Effective| **config == edited;
            let waited = self.reloaded.wait_timeout_while(config, wait, is_same);
            let (again, ended) = waited.unwrap_or_else(PoisonError::into_inner);
            if ended.timed_out() {
                break;
            }
            config = again;
        }
        Err(ChangeError::ConfigEdited)
    }

    /// Whether config.json has an edit that is not effective.
    fn is_edited(&self, config: &mut Effective) -> Result<bool, ChangeError> {
        match file::load(self.disk.as_ref(), &self.config_path) {
            Ok(Some(found)) => {
                config.found(&found);
                Ok(!config.is_refused(&found) && !self.is_effective(config, found)?)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                log::error!("config.json was not saved: {error}");
                Err(match error {
                    ConfigError::Invalid { .. } | ConfigError::TooLarge { .. } => ChangeError::ConfigEdited,
                    // It is unknown whether it was edited.
                    ConfigError::Read { .. } | ConfigError::Write { .. } | ConfigError::Locked { .. } => {
                        ChangeError::Disk("reading config.json")
                    }
                })
            }
        }
    }

    /// Whether `found`, as read from config.json, is effective.
    fn is_effective(&self, config: &Effective, mut found: Config) -> Result<bool, ChangeError> {
        // Texts of keys that could not be replaced by their hashes are not an edit.
        keys::follow_texts(&mut found);
        if found != **config {
            self.forget_deleted(&mut found).map_err(|_| ChangeError::Disk("looking for deleted projects"))?;
        }
        Ok(found == **config)
    }

    /// Saves `next`, then writes the files of a project that leaves memory. If that fails, nothing has changed.
    pub(super) fn move_and_save(
        &self,
        config: &mut Effective,
        next: Config,
        old: &Served,
    ) -> Result<(), ChangeError> {
        let Some(project) = leaves_memory(&next, old) else { return self.save(config, next) };
        let change = self.begin_change(config, next, &old.id)?;
        self.write_from_memory(project).inspect_err(|_| {
            let _ = self.undo(config, change, &old.id); // it stays in memory either way
        })
    }

    /// Saves `next` before files of `id` are written: config.json lists every project that has files, also if the change
    /// is interrupted.
    pub(super) fn begin_change(
        &self,
        config: &mut Effective,
        next: Config,
        id: &ProjectId,
    ) -> Result<BegunChange, ChangeError> {
        let exist = Paths::new(&self.data_directory, id).exist(self.disk.as_ref());
        let had_files = exist.map_err(|_| ChangeError::Disk("looking for the project's files"))?;
        let before = config.clone();
        self.save(config, next)?;
        Ok(BegunChange { before, had_files })
    }

    /// Removes the files that a change wrote for `id`, unless it had some before, and reverts the configuration. If this
    /// fails, config.json has the change until the next save.
    pub(super) fn undo(
        &self,
        config: &mut Effective,
        change: BegunChange,
        id: &ProjectId,
    ) -> Result<(), ChangeError> {
        if !self.has_directory() {
            return Err(ChangeError::Storage(StorageError::Failed));
        }
        let (disk, paths) = (self.disk.as_ref(), Paths::new(&self.data_directory, id));
        if !change.had_files
            && let Err(error) = generation::remove_pair(disk, &paths)
        {
            // The next start, or the next project with that name, removes files with a marker.
            let is_marked = change.before.project(id).is_none() && deletion::begin(disk, &paths).is_ok();
            let advice = if is_marked { "The next start removes it" } else { "Remove it by hand" };
            log::warn!("project {id}: not removed, though the change failed: {error}. {advice}");
        }
        self.put_back(config, change.before)
    }

    /// Reverts the configuration to `before`, and saves it. If this fails, config.json has the change until the next
    /// save.
    pub(super) fn put_back(&self, config: &mut Effective, before: Config) -> Result<(), ChangeError> {
        config.undo(before.clone());
        if !self.has_directory() {
            // Another server may use config.json by now.
            self.warn_of_refused_change();
            return Err(ChangeError::Storage(StorageError::Failed));
        }
        self.save(config, before)
    }

    /// As [`FileCatalog::save_after_refused_change`], for a caller that has not locked the file.
    pub(super) fn lock_and_save_after_refused_change(
        &self,
        config: &mut Effective,
    ) -> Result<(), ChangeError> {
        if !config.is_unsaved() {
            return Ok(());
        }
        let _file = file::lock(self.disk.as_ref(), &self.config_path).map_err(|error| answer(&error))?;
        self.save_after_refused_change(config)
    }

    /// Saves the effective configuration, if config.json has or may have a change that was refused. Keeps an edit. An
    /// error is logged, and a later call tries again.
    pub(super) fn save_after_refused_change(&self, config: &mut Effective) -> Result<(), ChangeError> {
        if !config.is_unsaved() || !self.has_directory() {
            return Ok(());
        }
        match file::load(self.disk.as_ref(), &self.config_path) {
            Ok(Some(found)) if found == **config || config.is_refused(&found) => {
                let effective = config.clone();
                self.save(config, effective)
            }
            Ok(_) | Err(ConfigError::Invalid { .. } | ConfigError::TooLarge { .. }) => Ok(()),
            Err(error) => {
                log::error!("config.json was not saved: {error}");
                self.warn_of_refused_change();
                Err(answer(&error))
            }
        }
    }
}

/// The error for the client if `error` prevents saving config.json.
fn answer(error: &ConfigError) -> ChangeError {
    match error {
        ConfigError::Locked { .. } => {
            log::error!("{error}");
            ChangeError::ConfigLocked(LOCKED_ADVICE)
        }
        // The file-size limit of the process concerns this file alone; removing others does not help.
        ConfigError::Write { error, .. }
            if is_disk_full(error) && error.kind() != ErrorKind::FileTooLarge =>
        {
            ChangeError::Storage(StorageError::Full)
        }
        ConfigError::Write { error, .. } => ChangeError::ConfigNotSaved(save_advice(error)),
        ConfigError::Invalid { .. } | ConfigError::TooLarge { .. } | ConfigError::Read { .. } => {
            ChangeError::Disk("saving config.json")
        }
    }
}
