//! The catalog of the embedded engine: projects with files, and the config.json that lists them.
//!
//! Reads take a short lock, for the event loops. Changes save config.json first and block for the
//! disk, so they happen in the administration lane, at startup and at a reload.

mod deleting;
mod effective;
mod opening;
mod opening_many;
mod saving;

pub(crate) use saving::{save_generated, save_key_changes, unsaved_texts};

use super::error::{CatalogError, ChangeError, stopped};
use super::keys::{self, KeyChanges};
use super::served::{Registry, Served};
use crate::clock;
use crate::config::file;
use crate::config::schema::{
    AddProjectError, AuthenticationChoice, Config, KeyOwner, ProjectConfig, StorageChoice,
};
use crate::disk::{Disk, descriptors_max};
use crate::entropy::random_bytes;
use crate::names::ProjectId;
use crate::persist::files::own_files::{Collision, OwnFiles};
use crate::persist::live::project::Project;
use crate::persist::live::worker_threads::ProjectQueues;
use crate::secret::Secret;
use effective::Effective;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

/// All projects, each with files or in memory.
pub struct FileCatalog {
    disk: Arc<dyn Disk>,
    engine: Arc<ProjectQueues>,
    config_path: PathBuf,
    data_directory: PathBuf,
    config: Mutex<Effective>,
    /// Notified after a reload has changed `config`.
    reloaded: Condvar,
    registry: RwLock<Arc<Registry>>,
    /// Whether config.json lists projects that were deleted when it could not be saved.
    unsaved_deletions: AtomicBool,
}

impl FileCatalog {
    /// Finishes deletions that a crash interrupted, opens all projects of `config` and reserves revisions. Requests to a
    /// project that cannot be opened get an error; the others are served. Saves `config` if deletions changed it.
    pub fn open(
        disk: Arc<dyn Disk>,
        engine: Arc<ProjectQueues>,
        config_path: PathBuf,
        config: Config,
    ) -> Result<FileCatalog, CatalogError> {
        let data_directory = config.data_directory(&config_path);
        let registry = RwLock::new(Arc::new(Registry::new(&config, BTreeMap::new())));
        let catalog = FileCatalog {
            disk,
            engine,
            config_path,
            data_directory,
            config: Mutex::new(Effective::new(config)),
            reloaded: Condvar::new(),
            registry,
            unsaved_deletions: AtomicBool::new(false),
        };
        catalog.check_files(&catalog.lock_config())?;
        catalog.prepare_directory()?;
        catalog.finish_deletions()?;
        let config = catalog.lock_config();
        let projects = catalog.serve_all(&config, &catalog.registry());
        catalog.publish(&config, projects);
        drop(config);
        catalog.reserve_revisions()?;
        Ok(catalog)
    }

    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a project. Returns it and its key, if it has one. If this fails, nothing has changed.
    pub fn create(
        &self,
        id: ProjectId,
        storage: StorageChoice,
        authentication: AuthenticationChoice,
    ) -> Result<(Arc<Served>, Option<Secret>), ChangeError> {
        let mut config = self.lock_for_change()?;
        let mut next = config.clone();
        let added = ProjectConfig::new(id.clone(), storage, authentication);
        next.add_project(added).map_err(|error| match error {
            AddProjectError::Exists { id } => ChangeError::Exists(id),
            AddProjectError::TooMany => ChangeError::TooMany,
        })?;
        self.check_new_files(&config, &id)?;
        check_descriptors(&config, &next)?;
        let key = self.issue_if_needed(&mut next, &id)?;
        self.remove_deleted(&id).map_err(|error| stopped(&id, &error))?;
        let change = self.begin_change(&mut config, next, &id)?;
        // Not before: config.json may have listed the deleted project, whose key would be valid again.
        if let Err(error) = self.end_deletion(&id) {
            let _ = self.undo(&mut config, change, &id);
            return Err(stopped(&id, &error));
        }
        let project = config.project(&id).ok_or(ChangeError::Internal)?;
        let served = Arc::new(self.serve(&config, project, None, None));
        if let Err(error) = served.open() {
            let error = error.answer();
            let _ = self.undo(&mut config, change, &id);
            return Err(error);
        }
        self.replace(&config, &id, Some(Arc::clone(&served)));
        Ok((served, key))
    }

    /// Changes the given settings of a project. Returns it, and a key if it now requires one and had none. If this fails,
    /// nothing has changed.
    pub fn update(
        &self,
        id: &ProjectId,
        storage: StorageChoice,
        authentication: AuthenticationChoice,
    ) -> Result<(Arc<Served>, Option<Secret>), ChangeError> {
        let mut config = self.lock_for_change()?;
        let mut next = config.clone();
        let old = self.served_for_change(id)?;
        let before = next.project(id).ok_or_else(|| ChangeError::Missing(id.clone()))?;
        let storage = storage.or(before.storage);
        let authentication = authentication.or(before.authentication);
        next.replace_settings(id, storage, authentication);
        let is_on_disk = next.project(id).is_some_and(|project| next.storage_of(project).on_disk);
        if old.storage.on_disk && !is_on_disk && old.open().is_err() {
            // It would be empty until a start with `on_disk` reads its files.
            return Err(ChangeError::Unreadable);
        }
        self.check_new_files(&config, id)?;
        check_descriptors(&config, &next)?;
        let key = self.issue_if_needed(&mut next, id)?;
        let changed = next.project(id).map(|project| next.storage_of(project)) != Some(old.storage);
        if let Ok(open) = old.open()
            && changed
        {
            self.check_reopening(open)?;
        }
        let before = config.clone();
        self.move_and_save(&mut config, next, &old)?;
        let project = config.project(id).ok_or(ChangeError::Internal)?;
        // Served even if it could not be opened with the new settings: its requests then return the reason.
        let served = Arc::new(self.serve(&config, project, Some(&old), None));
        let is_kept = served.storage != config.storage_of(project);
        self.replace(&config, id, Some(Arc::clone(&served)));
        if is_kept {
            // Its files were removed or edited while config.json was saved.
            self.put_back(&mut config, before)?;
            return Err(ChangeError::ValuesUnsaved);
        }
        Ok((served, key))
    }

    /// Generates a new key for a project, and enables its authentication; the old key becomes invalid. If this fails,
    /// the old key stays valid.
    pub fn regenerate(&self, id: &ProjectId) -> Result<Secret, ChangeError> {
        let mut config = self.lock_for_change()?;
        let mut next = config.clone();
        let old = self.served_for_change(id)?;
        switch_authentication_on(&mut next, id);
        let key = self.issue(&mut next, id)?;
        let project = next.project(id).ok_or(ChangeError::Internal)?;
        let served = Arc::new(self.serve(&next, project, Some(&old), None));
        self.save(&mut config, next)?;
        self.replace(&config, id, Some(served));
        Ok(key)
    }

    /// Reads config.json again and applies it: keys, switches, new and removed projects, storage. Returns its content and
    /// the keys that were generated. If this fails, the old configuration stays effective.
    pub fn reload(&self) -> Result<(Config, KeyChanges), CatalogError> {
        // Read under the lock: otherwise a change that was saved in between would be reverted.
        let mut config = self.lock_config();
        let lock = file::lock(self.disk.as_ref(), &self.config_path)?;
        let _ = self.save_after_refused_change(&mut config); // which logs the error
        let missing = || CatalogError::at(&self.config_path, "not found");
        let loaded = file::load_synced(self.disk.as_ref(), &self.config_path)?.ok_or_else(missing)?;
        loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let found = loaded.config;
        // A change that was refused is not an edit.
        let mut next = if config.is_refused(&found) { config.clone() } else { found.clone() };
        let deleted = self.forget_deleted(&mut next);
        for id in deleted.map_err(|error| CatalogError::at(&self.data_directory, error))? {
            log::warn!(
                "project {id}: {} still lists it, but it was deleted and is not served; to have a project of that name \
                 again, create it over the API",
                self.config_path.display()
            );
        }
        if next.data_directory(&self.config_path) != self.data_directory {
            return Err(CatalogError(
                "persistent_file_path changed; restart the server to use it".to_owned(),
            ));
        }
        self.check_files(&next)?;
        let descriptors = next.held_descriptors().check(descriptors_max());
        descriptors.map_err(|error| CatalogError(error.to_string()))?;
        self.check_removed(&next)?;
        let mut key_changes = keys::ensure_keys(&mut next, &mut random_bytes)
            .map_err(|error| CatalogError::at(&self.config_path, error))?;
        if key_changes.changed
            && let Err(reason) = self.engine.check_directory()
        {
            // Another server may use this config.json by now, with the keys in it.
            return Err(CatalogError(format!("{reason}. Restart the server")));
        }
        let unsaved = save_key_changes(self.disk.as_ref(), &self.config_path, &next, &mut key_changes)
            .map_err(|error| CatalogError::keys_not_saved(&error))?;
        drop(lock);
        unsaved.iter().for_each(|error| log::warn!("{}", unsaved_texts(error)));
        let before = self.registry();
        before.projects.values().for_each(|served| warn_of_edit(served, &next));
        let projects = self.serve_all(&next, &before);
        self.publish(&next, projects.clone());
        config.reloaded(&found, next.clone());
        self.reloaded.notify_all();
        for (id, gone) in before.projects.iter().filter(|(id, _)| !projects.contains_key(*id)) {
            if let Ok(project) = gone.open() {
                project.close(clock::wall_ms(), clock::monotonic());
                log_removed(id, project);
            }
        }
        Ok((next, key_changes))
    }

    /// Has the files of all projects checked, unless they were just checked. Returns whether a check was due, also for
    /// projects of the caller.
    pub fn look_at_files(&self, now: Instant) -> bool {
        let is_due = self.engine.is_look_due(now);
        if is_due {
            let registry = self.registry();
            let opened = registry.projects.values().filter_map(|served| served.open().ok());
            opened.for_each(|project| project.look_soon(now));
        }
        is_due
    }

    /// Whether the data directory still belongs to this process, which may then write its files.
    pub fn has_directory(&self) -> bool {
        self.engine.check_directory().is_ok()
    }

    /// See [`ProjectQueues::look_at_clock`].
    pub fn look_at_clock(&self, wall_ms: u64, now: Instant) {
        self.engine.look_at_clock(wall_ms, now);
    }

    /// Ends writing and writes the last checkpoint of each project.
    pub fn close(&self) {
        let mut config = self.lock_config();
        let saved = self.lock_and_save_after_refused_change(&mut config);
        for served in self.registry().projects.values() {
            if let Ok(project) = served.open() {
                project.close(clock::wall_ms(), clock::monotonic());
            }
        }
        // A file descriptor or disk space that was missing may be free now.
        if saved.is_err() && self.lock_and_save_after_refused_change(&mut config).is_err() {
            log::error!(
                "{}: the next start applies a change that was refused, unless you remove it from the file",
                self.config_path.display()
            );
        }
    }

    /// All projects of `config`, with those that are open in `before`.
    fn serve_all(&self, config: &Config, before: &Registry) -> BTreeMap<ProjectId, Arc<Served>> {
        let mut opened = self.open_files_of_all(config, before);
        let serve = |project: &ProjectConfig| {
            let old = before.projects.get(&project.id);
            let files = opened.remove(&project.id);
            (project.id.clone(), Arc::new(self.serve(config, project, old, files)))
        };
        let mut projects: BTreeMap<_, _> = config.projects().iter().map(serve).collect();
        let stopped = self.stopped_deletions(config).into_iter();
        projects.extend(stopped.map(|served| (served.id.clone(), Arc::new(served))));
        projects
    }

    /// The project whose settings or key are to be changed: refused if its deletion has begun, because config.json may
    /// not list it any more.
    fn served_for_change(&self, id: &ProjectId) -> Result<Arc<Served>, ChangeError> {
        let served = self.registry().projects.get(id).cloned();
        let served = served.ok_or_else(|| ChangeError::Missing(id.clone()))?;
        if served.is_being_deleted() {
            served.bucket().map(drop)?;
        }
        Ok(served)
    }

    fn own_files(&self) -> OwnFiles<'_> {
        OwnFiles::new(self.disk.as_ref(), &self.config_path, &self.data_directory)
    }

    /// Refuses projects if one of their files is also another file of the server.
    fn check_files(&self, config: &Config) -> Result<(), CatalogError> {
        self.own_files().check(&ids_of(config)).map_err(|collision| CatalogError(collision.to_string()))
    }

    /// The same for one project that is created or gets other storage settings.
    fn check_new_files(&self, config: &Config, id: &ProjectId) -> Result<(), ChangeError> {
        self.own_files().check_new(id, &ids_of(config)).map_err(|collision| {
            log::error!("project {id}: {collision}");
            let what = match collision {
                Collision::WithConfig { .. } => "the configuration file",
                Collision::InDirectory { .. } => "a file of another project (the server's log names both)",
            };
            ChangeError::FilesTaken { id: id.clone(), by: what }
        })
    }

    fn issue_if_needed(&self, next: &mut Config, id: &ProjectId) -> Result<Option<Secret>, ChangeError> {
        let project = next.project(id).ok_or(ChangeError::Internal)?;
        let asked = next.authentication_enabled(project) && project.key.hash.is_none();
        asked.then(|| self.issue(next, id)).transpose()
    }

    fn issue(&self, next: &mut Config, id: &ProjectId) -> Result<Secret, ChangeError> {
        keys::issue(next, &KeyOwner::Project(id.clone()), &mut random_bytes).map_err(|error| {
            log::error!("project {id}: no key generated: {error}");
            ChangeError::Internal
        })
    }

    fn replace(&self, config: &Config, id: &ProjectId, served: Option<Arc<Served>>) {
        let mut projects = self.registry().projects.clone();
        match served {
            Some(served) => drop(projects.insert(id.clone(), served)),
            None => drop(projects.remove(id)),
        }
        self.publish(config, projects);
    }

    fn publish(&self, config: &Config, projects: BTreeMap<ProjectId, Arc<Served>>) {
        let registry = Registry::new(config, projects);
        *self.registry.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(registry);
    }

    fn lock_config(&self) -> MutexGuard<'_, Effective> {
        // Replaced as a whole, so a panic leaves the old one.
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ids_of(config: &Config) -> Vec<&ProjectId> {
    config.projects().iter().map(|project| &project.id).collect()
}

/// An edit of config.json needs no confirmation: who edits the file owns it.
fn warn_of_edit(before: &Served, next: &Config) {
    if let Some(project) = next.project(&before.id) {
        let loses_protection = before.asks_for_key && !next.authentication_enabled(project);
        before.warn_of_losses(loses_protection, next.storage_of(project).on_disk, "in config.json");
    }
}

/// Logs that a project was closed, because config.json no longer lists it.
fn log_removed(id: &ProjectId, project: &Project) {
    let removed = format!("project {id} was removed from config.json and is no longer served");
    if project.is_in_memory() {
        log::info!("{removed}; its values were only in memory and are lost");
    } else if project.is_unsaved() {
        log::error!("{removed}; values that were only in memory are lost");
    } else {
        log::info!("{removed}; its files are kept");
    }
}

/// Refuses `next` if the next start could not open its projects. It is allowed if it needs no more descriptors than now.
fn check_descriptors(config: &Config, next: &Config) -> Result<(), ChangeError> {
    let (before, after) = (config.held_descriptors(), next.held_descriptors());
    if after.descriptors <= before.descriptors {
        return Ok(());
    }
    after.check(descriptors_max()).map_err(ChangeError::TooFewDescriptors)
}

/// Also if `default.authentication` applies to the project: a project protected by `regenerate` stays protected.
fn switch_authentication_on(config: &mut Config, id: &ProjectId) {
    let Some(project) = config.project(id) else { return };
    if !config.authentication_of(project).enabled {
        let authentication = AuthenticationChoice { enabled: Some(true), ..project.authentication };
        config.replace_settings(id, project.storage, authentication);
    }
}
