//! From cells to files, in the format that a checkpoint writes. An interrupted run leaves temporary files at most.

use super::error::MigrateError;
use super::{Line, Migration, Outcome, compare_existing};
use crate::accounts::signing_key;
use crate::clock;
use crate::commands::error::RunError;
use crate::config::file;
use crate::config::schema::{Config, ProjectConfig, StoredKey, SyncMode};
use crate::disk::{self, Disk, RealDisk};
use crate::names::{InternalProject, ProjectId};
use crate::persist::files::deletion;
use crate::persist::files::generation::{self, GenerationWriter, Paths};
use crate::persist::files::header::Lineage;
use crate::persist::files::watermark;
use crate::persist::live::project::OpenOptions;
use crate::persist::live::worker_threads::ProjectQueues;
use crate::storage::Bucket;
use crate::storage::copy::{self, Entries};
use crate::storage::embedded::{Project, ValueCache};
use crate::storage::etcd::EtcdBucket;
use crate::storage::etcd::cell::Cell;
use crate::storage::etcd::placement::{self, Placement, PlacementState};
use crate::storage::etcd::record::{self, Record, Versioned};
use crate::store::change::{EntryMeta, Revision};
use crate::store::error::StorageError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A project on a cell.
struct Original {
    id: ProjectId,
    bucket: Bucket,
    /// `None` for one of the server's own.
    settings: Option<ProjectConfig>,
}

impl Migration<'_> {
    /// Copies everything to the data directory and config.json.
    pub(super) fn to_files(&self) -> Result<Vec<Line>, RunError> {
        let originals = self.originals()?;
        let mut revision = self.begin(&originals)?;
        self.copy_signing_key_to_file()?;
        let mut lines = Vec::new();
        for original in &originals {
            lines.push(self.copy_to_files(original, &mut revision)?);
        }
        self.keep(revision)?;
        self.list_in_config(&originals)?;
        Ok(lines)
    }

    fn originals(&self) -> Result<Vec<Original>, MigrateError> {
        let home = self.cells.home();
        let mut originals = Vec::new();
        for internal in InternalProject::ALL {
            let id = ProjectId::from(internal);
            if let Some(found) = record::read(home, &id)? {
                originals.push(Original { bucket: bucket(home, &id, &found), id, settings: None });
            }
        }
        let mut list = placement::load(home)?;
        if let Some(error) = list.unread.pop() {
            return Err(error.into());
        }
        for (id, Versioned { value: Placement { cell: name, state, .. }, .. }) in list.projects {
            let cell = self.cells.find(&name);
            let cell = cell.ok_or_else(|| MigrateError::CellMissing { id: id.clone(), cell: name })?;
            let found = record::read(cell, &id)?.filter(|_| state == PlacementState::Live);
            let found = found.ok_or_else(|| MigrateError::Unfinished { id: id.clone() })?;
            let bucket = bucket(cell, &id, &found);
            let settings = found.value.project.ok_or_else(|| MigrateError::Unfinished { id: id.clone() })?;
            if !self.config.storage_of(&settings).on_disk {
                return Err(MigrateError::NotOnDisk { id });
            }
            originals.push(Original { id, bucket, settings: Some(settings) });
        }
        Ok(originals)
    }

    /// A revision that is not before any other, there or in the files.
    fn begin(&self, originals: &[Original]) -> Result<Revision, MigrateError> {
        let now_ms = clock::wall_ms();
        let begin = watermark::begin(&RealDisk, &self.directory, now_ms);
        let mut begin = begin.map_err(|error| self.disk_error(error))?;
        for Original { id, bucket, .. } in originals {
            begin = begin.max(bucket.latest_revision(now_ms).map_err(MigrateError::storage(id))?);
        }
        Ok(begin)
    }

    /// Has the next start begin revisions after `revision`.
    fn keep(&self, revision: Revision) -> Result<(), MigrateError> {
        let queues = ProjectQueues::new(Box::new(|| {}));
        let read = queues.watermark.read(&RealDisk, &self.directory);
        queues.watermark.closed(revision);
        read.and_then(|()| queues.watermark.keep(&RealDisk, &self.directory))
            .map_err(|error| self.disk_error(error))
    }

    fn copy_signing_key_to_file(&self) -> Result<(), MigrateError> {
        let Some(there) = record::read_signing_key(self.cells.home())? else { return Ok(()) };
        let path = signing_key::path_in(&self.directory);
        let failed = |error| MigrateError::Disk { path: path.clone(), error };
        if RealDisk.exists(&path).map_err(failed)? {
            let (own, _) =
                signing_key::load_or_create(&RealDisk, &self.directory).map_err(MigrateError::SigningKey)?;
            if own.encode().reveal() == there.reveal() {
                return Ok(());
            }
            let accounts = Paths::new(&self.directory, &InternalProject::Accounts.into());
            if accounts.exist(&RealDisk).map_err(failed)? {
                let location = self.directory.display().to_string();
                return Err(MigrateError::SigningKeyDiffers { location });
            }
        }
        disk::replace(&RealDisk, &path, format!("{}\n", there.reveal()).as_bytes()).map_err(failed)
    }

    fn copy_to_files(&self, original: &Original, revision: &mut Revision) -> Result<Line, MigrateError> {
        let Original { id, bucket: from, .. } = original;
        let paths = Paths::new(&self.directory, id);
        let failed = |error| MigrateError::Disk { path: paths.json.clone(), error };
        if deletion::phase(&RealDisk, &paths).map_err(failed)?.is_some() {
            return Err(MigrateError::DeletionBegun { id: id.clone() });
        }
        if paths.exist(&RealDisk).map_err(failed)? {
            let there = open(id, paths.clone())?;
            let location = paths.json.display().to_string();
            if let Some(line) = compare_existing(id, from, &there, &location)? {
                return Ok(line);
            }
            generation::remove_pair(&RealDisk, &paths).map_err(failed)?;
        }
        let written = write(from, &paths, revision);
        if written.is_err() {
            let _ = generation::remove_temporaries(&RealDisk, &paths); // the first error is the one to tell
        }
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(error)),
            Err(error) => return Err(MigrateError::storage(id)(error)),
        }
        let compared = copy::compare(from, &open(id, paths)?, &clock::wall_ms);
        let digest = compared.map_err(|error| MigrateError::Copy { id: id.clone(), error })?;
        Ok(Line { id: id.clone(), digest, outcome: Outcome::Copied })
    }

    /// Lists the projects in config.json, with the settings and keys that they have on the cells.
    fn list_in_config(&self, originals: &[Original]) -> Result<(), RunError> {
        let _lock = file::lock(&RealDisk, self.path)?;
        let loaded = file::load_synced(&RealDisk, self.path)?;
        let mut config = loaded.ok_or_else(|| RunError::ConfigMissing { path: self.path.to_owned() })?.config;
        let before = config.clone();
        for settings in originals.iter().filter_map(|original| original.settings.as_ref()) {
            put_settings(&mut config, settings)?;
        }
        if config != before {
            file::save(&RealDisk, self.path, &config)?;
        }
        Ok(())
    }

    fn disk_error(&self, error: io::Error) -> MigrateError {
        MigrateError::Disk { path: self.directory.clone(), error }
    }
}

/// Writes the keys of `from` to new files, with revisions after `revision`, which becomes the last of them.
fn write(from: &Bucket, paths: &Paths, revision: &mut Revision) -> Result<io::Result<()>, StorageError> {
    let mut writer = match GenerationWriter::create(&RealDisk, paths, Lineage::first()) {
        Ok(writer) => writer,
        Err(error) => return Ok(Err(error)),
    };
    let mut entries = Entries::of(from, &clock::wall_ms);
    while let Some(entry) = entries.next()? {
        *revision = revision.advanced(1).ok_or(StorageError::RevisionsUsedUp)?;
        writer.encode(&entry.key, &entry.value, &EntryMeta { revision: *revision, ..entry.meta });
        if let Err(error) = writer.flush_if_full() {
            return Ok(Err(error));
        }
    }
    Ok(writer.finish(*revision, 0).and_then(|pair| pair.install(&RealDisk, paths)))
}

/// The project in these files, for reading.
fn open(id: &ProjectId, paths: Paths) -> Result<Bucket, MigrateError> {
    let (cache, sync, sync_interval) = (ValueCache::Disk, SyncMode::Always, Duration::ZERO);
    let options = OpenOptions { id: id.clone(), cache, sync, sync_interval };
    let queues = ProjectQueues::new(Box::new(|| {}));
    let opened = Project::open(Arc::new(RealDisk), paths, options, queues, clock::wall_ms())?;
    Ok(Bucket::Embedded(Arc::new(opened.project)))
}

fn bucket(cell: &Arc<Cell>, id: &ProjectId, record: &Versioned<Record>) -> Bucket {
    Bucket::Etcd(Arc::new(EtcdBucket::new(Arc::clone(cell), id.clone(), record.fence())))
}

/// Lists a project with these settings. The text of its key stays if it is that of the key.
fn put_settings(config: &mut Config, settings: &ProjectConfig) -> Result<(), MigrateError> {
    let listed = config.listed_projects().iter().find(|listed| listed.id == settings.id);
    let same_key = listed.map(|listed| &listed.key).filter(|key| key.hash == settings.key.hash);
    let text = same_key.and_then(|key| key.text.clone());
    let key = StoredKey { text, ..settings.key.clone() };
    let project = ProjectConfig { key, ..settings.clone() };
    if listed == Some(&project) {
        return Ok(());
    }
    config.remove_project(&settings.id);
    config.add_project(project).map_err(|_| MigrateError::Full { id: settings.id.clone() })
}
