//! From files to cells. The projects go to the home cell; `pikv project move` brings them to others.

use super::error::MigrateError;
use super::{Line, Migration, Outcome, compare_existing};
use crate::accounts::signing_key;
use crate::catalog::FileCatalog;
use crate::catalog::keys;
use crate::clock;
use crate::commands::error::RunError;
use crate::commands::setup::guard;
use crate::config::schema::{Config, KeyOwner, ProjectConfig, StoredKey};
use crate::disk::{Disk, LockFile, RealDisk};
use crate::entropy::random_bytes;
use crate::names::{InternalProject, ProjectId};
use crate::persist::files::generation::Paths;
use crate::persist::live::worker_threads::ProjectQueues;
use crate::storage::Bucket;
use crate::storage::embedded::{Home, Project, ValueCache};
use crate::storage::etcd::EtcdBucket;
use crate::storage::etcd::cell::Cell;
use crate::storage::etcd::claim::Claim;
use crate::storage::etcd::placement::{self, Addition, Placement, PlacementState};
use crate::storage::etcd::record::{self, Record, Versioned};
use std::sync::Arc;

impl Migration<'_> {
    /// Copies everything to the cells.
    pub(super) fn to_cells(&self, lock: &LockFile) -> Result<Vec<Line>, RunError> {
        let config = with_hashes(&self.config)?;
        let queues = ProjectQueues::guarding(Some(guard(lock)?), Box::new(|| {}));
        let threads = queues.start().map_err(RunError::Start)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let opened =
            FileCatalog::open(Arc::clone(&disk), Arc::clone(&queues), self.path.to_owned(), config.clone());
        let copied = match &opened {
            Ok(catalog) => self.copy_from_files(&disk, &queues, &config, catalog),
            Err(_) => Ok(Vec::new()),
        };
        let closed = opened.map(|catalog| {
            catalog.close();
            threads.stop();
            catalog.release_revisions();
        });
        closed.map_err(RunError::Catalog)?;
        Ok(copied?)
    }

    fn copy_from_files(
        &self,
        disk: &Arc<dyn Disk>,
        queues: &Arc<ProjectQueues>,
        config: &Config,
        catalog: &FileCatalog,
    ) -> Result<Vec<Line>, MigrateError> {
        let mut lines = Vec::new();
        self.copy_signing_key(disk.as_ref())?;
        let home = Home::new(disk, queues, self.directory.clone())?;
        for internal in InternalProject::ALL {
            let id = ProjectId::from(internal);
            let exist = Paths::new(&self.directory, &id).exist(disk.as_ref());
            if !exist.map_err(|error| MigrateError::Disk { path: self.directory.clone(), error })? {
                continue;
            }
            let project = home.open(internal, ValueCache::Disk)?;
            let copied = copy_internal(self.cells.home(), &id, &project);
            project.close(clock::wall_ms(), clock::monotonic());
            lines.push(copied?);
        }
        let registry = catalog.registry();
        for project in config.projects() {
            let id = &project.id;
            let served =
                registry.projects.get(id).ok_or_else(|| MigrateError::DeletionBegun { id: id.clone() })?;
            let Ok(bucket) = &served.bucket else {
                let reason = served.unread_reason().unwrap_or_default().to_owned();
                return Err(MigrateError::NotOpened { id: id.clone(), reason });
            };
            lines.push(self.copy_project(project, bucket)?);
        }
        Ok(lines)
    }

    /// Tokens that were signed before stay valid.
    fn copy_signing_key(&self, disk: &dyn Disk) -> Result<(), MigrateError> {
        let path = signing_key::path_in(&self.directory);
        match disk.exists(&path) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(MigrateError::Disk { path, error }),
        }
        let (key, _) =
            signing_key::load_or_create(disk, &self.directory).map_err(MigrateError::SigningKey)?;
        let (home, text) = (self.cells.home(), key.encode());
        let (there, _) = record::signing_key(home, &text)?;
        if there.reveal() == text.reveal() {
            return Ok(());
        }
        // A server that was started without accounts has created one.
        let accounts = ProjectId::from(InternalProject::Accounts);
        if let Some(found) = record::read(home, &accounts)?
            && !super::is_empty(&accounts, &bucket(home, &accounts, &found))?
        {
            let location = format!("cell `{}`", home.name());
            return Err(MigrateError::SigningKeyDiffers { location });
        }
        Ok(record::replace_signing_key(home, &text)?)
    }

    fn copy_project(&self, project: &ProjectConfig, from: &Bucket) -> Result<Line, MigrateError> {
        let (home, id) = (self.cells.home(), &project.id);
        let listed = self.list(id)?;
        let name = &listed.value.cell;
        let cell = self.cells.find(name);
        let cell = cell.ok_or_else(|| MigrateError::CellMissing { id: id.clone(), cell: name.clone() })?;
        let found = record::read(cell, id)?;
        let claim = match (listed.value.state, found) {
            (PlacementState::Live, Some(found)) => {
                let there = bucket(cell, id, &found);
                let same = compare_existing(id, from, &there, &format!("cell `{name}`"))?;
                let is_same = found.value.project.as_ref() == Some(&without_text(project));
                match same {
                    Some(line) if is_same => return Ok(line),
                    Some(_) | None => return Err(MigrateError::SettingsDiffer { id: id.clone() }),
                }
            }
            (PlacementState::Creating, found) => {
                // An earlier run was interrupted.
                let claim = Claim::new(cell, id)?;
                if let Some(found) = found {
                    claim.remove_record(&found).map_err(MigrateError::claim(id))?;
                }
                claim
            }
            (PlacementState::Live | PlacementState::Deleting | PlacementState::Moving, _) => {
                return Err(MigrateError::Unfinished { id: id.clone() });
            }
        };
        let (line, record) = fill(&claim, id, from, Some(without_text(project)))?;
        let live = Placement {
            cell: name.clone(),
            state: PlacementState::Live,
            other: None,
            fence: record.mod_revision,
            record: Some(record.value),
        };
        let replaced = placement::replace(home, id, &live, listed.mod_revision)?;
        replaced.ok_or_else(|| MigrateError::Unfinished { id: id.clone() })?;
        claim.release().map_err(MigrateError::claim(id))?;
        Ok(line)
    }

    /// The entry of the list, which is added unless it exists.
    fn list(&self, id: &ProjectId) -> Result<Versioned<Placement>, MigrateError> {
        let home = self.cells.home();
        let value = Placement {
            cell: home.name().to_owned(),
            state: PlacementState::Creating,
            other: None,
            fence: 0,
            record: None,
        };
        match placement::add(home, id, &value)? {
            Addition::Added { mod_revision } => Ok(Versioned { value, mod_revision }),
            Addition::Existing(found) => Ok(found),
            Addition::Full => Err(MigrateError::Full { id: id.clone() }),
        }
    }
}

/// Copies one of the server's own projects, which are not listed.
fn copy_internal(home: &Arc<Cell>, id: &ProjectId, project: &Arc<Project>) -> Result<Line, MigrateError> {
    let from = Bucket::Embedded(Arc::clone(project));
    let claim = Claim::new(home, id)?;
    if let Some(found) = record::read(home, id)? {
        let there = bucket(home, id, &found);
        if let Some(line) = compare_existing(id, &from, &there, &format!("cell `{}`", home.name()))? {
            claim.release().map_err(MigrateError::claim(id))?;
            return Ok(line);
        }
        claim.remove_record(&found).map_err(MigrateError::claim(id))?;
    }
    let (line, _) = fill(&claim, id, &from, None)?;
    claim.release().map_err(MigrateError::claim(id))?;
    Ok(line)
}

/// Copies the keys of a project, compares them, and gives the copy its record.
fn fill(
    claim: &Claim,
    id: &ProjectId,
    from: &Bucket,
    project: Option<ProjectConfig>,
) -> Result<(Line, Versioned<Record>), MigrateError> {
    let latest = from.latest_revision(clock::wall_ms()).map_err(MigrateError::storage(id))?;
    let digest = claim.fill(from).map_err(MigrateError::claim(id))?;
    let record = Record { base: claim.base_after(latest.get()), is_sealed: false, project };
    let put = claim.put_record(None, record).map_err(MigrateError::claim(id))?;
    Ok((Line { id: id.clone(), digest, outcome: Outcome::Copied }, put))
}

fn bucket(cell: &Arc<Cell>, id: &ProjectId, record: &Versioned<Record>) -> Bucket {
    Bucket::Etcd(Arc::new(EtcdBucket::new(Arc::clone(cell), id.clone(), record.fence())))
}

/// The configuration with the hashes of the keys that are in it as texts.
fn with_hashes(config: &Config) -> Result<Config, MigrateError> {
    let mut config = config.clone();
    let changes = keys::ensure_keys(&mut config, &mut random_bytes).map_err(MigrateError::Key)?;
    let owners: Vec<KeyOwner> = changes.issued.into_iter().map(|(owner, _)| owner).collect();
    if owners.is_empty() { Ok(config) } else { Err(MigrateError::KeysMissing { owners }) }
}

fn without_text(project: &ProjectConfig) -> ProjectConfig {
    let key = StoredKey { text: None, ..project.key.clone() };
    ProjectConfig { key, ..project.clone() }
}
