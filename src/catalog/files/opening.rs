//! Projects as config.json has them: opened, reopened with other settings, or written to disk for the first time.

use super::FileCatalog;
use crate::catalog::error::CatalogError;
use crate::catalog::error::ChangeError;
use crate::catalog::served::{Cause, Deletion, OpenError, Served};
use crate::clock;
use crate::config::file;
use crate::config::schema::{Config, ProjectConfig, StorageSettings};
use crate::disk::is_disk_full;
use crate::names::ProjectId;
use crate::persist::files::deletion::{self, Phase, SPARE_FILE};
use crate::persist::files::generation::Paths;
use crate::persist::files::{leftovers, watermark};
use crate::persist::live::checkpoint_error::CheckpointError;
use crate::persist::live::project::{Health, OpenOptions, OpenedProject, Project};
use crate::persist::live::reopening::NotReopened;
use crate::persist::start::recovery::ValueCache;
use crate::storage::Bucket;
use crate::store::error::StorageError;
use std::sync::Arc;
use std::time::Duration;

impl FileCatalog {
    /// Removes what an interrupted process left, reads the watermark of revisions, and creates the spare file for
    /// deletions.
    pub(super) fn prepare_directory(&self) -> Result<(), CatalogError> {
        let (disk, directory) = (self.disk.as_ref(), &self.data_directory);
        let path = watermark::path_in(directory);
        self.engine.watermark.read(disk, directory).map_err(|error| CatalogError::at(&path, error))?;
        // Not the temporary file of a process that is saving config.json.
        let lock = file::lock(disk, &self.config_path)?;
        let removed = leftovers::remove(disk, directory, &disk.follow_links(&self.config_path))
            .map_err(|error| CatalogError::at(directory, error))?;
        drop(lock);
        for (path, result) in removed {
            let path = path.display();
            match result {
                Ok(()) => log::info!("removed a temporary file that an earlier process left: {path}"),
                Err(error) => {
                    log::warn!("cannot remove {path}, a temporary file that an earlier process left: {error}")
                }
            }
        }
        if let Err(error) = deletion::keep_spare(disk, directory) {
            let path = directory.join(SPARE_FILE).display().to_string();
            log::warn!(
                "{path}: {error}; on some file systems no project can then be deleted while the disk is full"
            );
        }
        Ok(())
    }

    /// Reserves the revisions that will be assigned. On a full disk the projects are served without that.
    pub(super) fn reserve_revisions(&self) -> Result<(), CatalogError> {
        let reserved =
            self.engine.watermark.reserve(self.disk.as_ref(), &self.data_directory, clock::wall_ms());
        let path = watermark::path_in(&self.data_directory);
        match reserved {
            Err(error) if is_disk_full(&error) => {
                log::warn!(
                    "{}: {error}; if the clock is set back before the next start, revisions may be used twice",
                    path.display()
                );
                Ok(())
            }
            reserved => reserved.map_err(|error| CatalogError::at(&path, error)),
        }
    }

    /// Records the revisions of a project that was deleted. If that fails, they may be used twice after the clock is set
    /// back, which is no reason to keep the project.
    pub(super) fn keep_watermark(&self) {
        if let Err(error) = self.engine.watermark.keep(self.disk.as_ref(), &self.data_directory) {
            log::warn!("{}: {error}", watermark::path_in(&self.data_directory).display());
        }
    }

    /// Returns the unused part of the reserved revisions, after everything is closed.
    pub fn release_revisions(&self) {
        if let Err(error) = self.engine.watermark.release(self.disk.as_ref(), &self.data_directory) {
            let path = watermark::path_in(&self.data_directory);
            log::warn!("{}: {error}; the old number stays, which only skips some revisions", path.display());
        }
    }

    /// A project ready to serve: that of `old` if it is stored in the same way, else one that is opened now, unless
    /// `files` has the result of opening it.
    pub(super) fn serve(
        &self,
        config: &Config,
        project: &ProjectConfig,
        old: Option<&Arc<Served>>,
        files: Option<Result<OpenedProject, OpenError>>,
    ) -> Served {
        let mut storage = config.storage_of(project);
        let opened = match old.map(|old| (old.storage, old.open())) {
            Some((before, Ok(open))) if before == storage => Ok(Arc::clone(open)),
            Some((before, Ok(open))) => self.reopen_or_keep(open, before, &mut storage),
            Some((_, Err(_))) | None => match files {
                Some(files) => files.map(OpenedProject::start),
                None => self.open_project(&project.id, storage),
            },
        };
        if let Err(error) = &opened {
            log::error!("project {}: {}", project.id, error.reason);
        }
        Served::new(config, project, storage, opened.map(Bucket::Embedded))
    }

    fn open_project(&self, id: &ProjectId, storage: StorageSettings) -> Result<Arc<Project>, OpenError> {
        if !storage.on_disk {
            let paths = Paths::new(&self.data_directory, id);
            self.check_deletion(&paths)?;
            if self.disk.exists(&paths.json).unwrap_or(false) {
                log::warn!("project {id}: {} is not read, because on_disk is false", paths.json.display());
            }
            let engine = Arc::clone(&self.engine);
            return Ok(Arc::new(Project::in_memory(id.clone(), engine, clock::wall_ms())));
        }
        Ok(self.open_files(id, storage)?.start())
    }

    /// Opens the files of a project. Nothing is logged, and maintenance is not scheduled yet.
    pub(super) fn open_files(
        &self,
        id: &ProjectId,
        storage: StorageSettings,
    ) -> Result<OpenedProject, OpenError> {
        let paths = Paths::new(&self.data_directory, id);
        self.check_directory()?;
        self.check_deletion(&paths)?;
        let opening = opening_of(id.clone(), storage);
        let (disk, engine) = (Arc::clone(&self.disk), Arc::clone(&self.engine));
        Ok(Project::open(disk, paths, opening, engine, clock::wall_ms())?)
    }

    /// Refuses to open or create files in a directory that no longer belongs to this process.
    fn check_directory(&self) -> Result<(), OpenError> {
        let lost = |reason: &str| OpenError { reason: reason.to_owned(), cause: Cause::Other };
        self.engine.check_directory().map_err(lost)
    }

    /// Refuses a project whose deletion has not ended: the next start would continue it and remove later writes. Files
    /// that were restored after the deletion had removed them are opened.
    fn check_deletion(&self, paths: &Paths) -> Result<(), OpenError> {
        let disk = self.disk.as_ref();
        let stopped = |_| OpenError::of_deletion(Deletion::Stopped);
        match deletion::phase(disk, paths).map_err(stopped)? {
            None => Ok(()),
            Some(Phase::FilesRemoved) if paths.exist(disk).map_err(stopped)? => {
                deletion::end(disk, paths).map_err(stopped)
            }
            Some(Phase::Begun | Phase::FilesRemoved) => Err(OpenError::of_deletion(Deletion::Stopped)),
        }
    }

    /// Refuses other storage settings to a project that would lose values by them.
    pub(super) fn check_reopening(&self, open: &Arc<Project>) -> Result<(), ChangeError> {
        open.prepare_reopening(clock::wall_ms(), clock::monotonic()).map_err(|error| match error {
            // Its files may differ from the cache; only a restart reads them again.
            NotReopened::Failed => ChangeError::Storage(StorageError::Failed),
            NotReopened::Unsaved(reason) => {
                log_not_reopened(open.id(), &reason);
                ChangeError::ValuesUnsaved
            }
            NotReopened::Blocked(error) => {
                log_blocked(open.id(), &error);
                ChangeError::Disk("removing a temporary file of the project")
            }
        })
    }

    /// Refuses a configuration without a project that would lose values by that. A project in memory has no files.
    pub(super) fn check_removed(&self, next: &Config) -> Result<(), CatalogError> {
        for (id, served) in &self.registry().projects {
            if next.project(id).is_none()
                && let Ok(open) = served.open()
                && open.health() != Health::Deleted
                && let Err(NotReopened::Unsaved(reason)) =
                    open.prepare_removal(clock::wall_ms(), clock::monotonic())
            {
                return Err(CatalogError(format!(
                    "config.json no longer lists the project {id}, and its values are not all in its files: {reason}. \
                     The project is served as before. Put its files in order, or list it again, then send SIGHUP"
                )));
            }
        }
        Ok(())
    }

    /// Reopens a project with other storage settings. If that would lose values that are only in memory, the project is
    /// served as before, and `storage` becomes `before`.
    fn reopen_or_keep(
        &self,
        open: &Arc<Project>,
        before: StorageSettings,
        storage: &mut StorageSettings,
    ) -> Result<Arc<Project>, OpenError> {
        let id = open.id();
        match open.prepare_reopening(clock::wall_ms(), clock::monotonic()) {
            Err(NotReopened::Failed) => {
                if let Health::Failed { reason } = open.health() {
                    log::error!("project {id}: {reason}; changing its storage settings requires a restart");
                }
            }
            Err(NotReopened::Unsaved(reason)) => log_not_reopened(id, &reason),
            Err(NotReopened::Blocked(error)) => log_blocked(id, &error),
            Ok(()) => match self.reopen(open, *storage) {
                Err(error) if open.is_in_memory() && open.health() != Health::Closed => {
                    log::error!("project {id}: stays in memory: {}", error.reason);
                }
                Err(error) if open.is_unsaved() => log_not_reopened(id, &error.reason),
                reopened => return reopened,
            },
        }
        *storage = before;
        Ok(Arc::clone(open))
    }

    fn reopen(&self, old: &Arc<Project>, storage: StorageSettings) -> Result<Arc<Project>, OpenError> {
        let (now_ms, now) = (clock::wall_ms(), clock::monotonic());
        let id = old.id().clone();
        if old.is_in_memory() && !storage.on_disk {
            return Ok(Arc::clone(old)); // the other settings are about files
        }
        if !old.is_in_memory() {
            old.close(now_ms, now);
            if let (true, Health::Failed { reason }) = (old.is_unsaved(), old.health()) {
                return Err(OpenError { reason, cause: Cause::Other });
            }
        } else if old.health() != Health::Closed {
            self.save_from_memory(old)?;
        }
        if storage.on_disk {
            return self.open_project(&id, storage);
        }
        let paths = Paths::new(&self.data_directory, &id);
        let opening = OpenOptions { cache: ValueCache::Memory, ..opening_of(id, storage) };
        let (disk, engine) = (Arc::clone(&self.disk), Arc::clone(&self.engine));
        Ok(Project::open(disk, paths, opening, engine, now_ms)?.in_memory().start())
    }

    /// Writes the files of a project in memory and closes it.
    pub(super) fn write_from_memory(&self, project: &Arc<Project>) -> Result<(), ChangeError> {
        self.save_from_memory(project).map_err(|error| {
            log::error!("project {}: stays in memory: {}", project.id(), error.reason);
            match error.cause {
                Cause::DiskFull => ChangeError::Storage(StorageError::Full),
                Cause::Deletion(_) | Cause::Other => ChangeError::Disk("writing the project's files"),
            }
        })
    }

    /// Closes a project in memory and writes it as files. If that fails it stays in use as it was.
    fn save_from_memory(&self, project: &Arc<Project>) -> Result<(), OpenError> {
        self.check_directory()?;
        let paths = Paths::new(&self.data_directory, project.id());
        project.close(clock::wall_ms(), clock::monotonic());
        project.save_as(self.disk.as_ref(), &paths).map_err(|error| {
            project.resume();
            let is_full = matches!(&error, CheckpointError::Io(error) if is_disk_full(error));
            let cause = if is_full { Cause::DiskFull } else { Cause::Other };
            OpenError { reason: format!("not written to disk: {error}"), cause }
        })
    }
}

fn log_not_reopened(id: &ProjectId, reason: &str) {
    log::error!(
        "project {id}: not reopened with other storage settings: {reason}. Its values are not all in its files; read \
         them over HTTP and save them, or put the files in order, then change the settings"
    );
}

fn log_blocked(id: &ProjectId, error: &std::io::Error) {
    log::error!(
        "project {id}: not reopened with other storage settings, because a temporary file cannot be removed: {error}. \
         Remove what has its name, then change the settings again"
    );
}

/// The project, if it is in memory and `next` stores it on disk.
pub(super) fn leaves_memory<'a>(next: &Config, old: &'a Served) -> Option<&'a Arc<Project>> {
    let is_on_disk = next.project(&old.id).is_some_and(|project| next.storage_of(project).on_disk);
    old.open().ok().filter(|project| is_on_disk && project.is_in_memory())
}

fn opening_of(id: ProjectId, storage: StorageSettings) -> OpenOptions {
    let cache = if storage.cache_in_memory { ValueCache::Memory } else { ValueCache::Disk };
    let sync_interval = Duration::from_secs(storage.sync_interval_seconds);
    OpenOptions { id, cache, sync: storage.sync, sync_interval }
}
