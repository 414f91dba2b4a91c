//! The catalog of the etcd engine: each project is on one cell, and the home cell lists them.
//!
//! ```text
//! create:  home: listed as creating ---> cell: record ---> home: listed as live
//! change:  cell: record, compared ---> home: copy
//! delete:  home: listed as deleting ---> cell: no record ---> cell: no keys ---> home: not listed
//! ```
//! The record in the cell decides: every transaction on the keys compares its version. The home cell has a list with
//! copies, for the look-up by API key. If an instance stops halfway, the next one that creates or deletes the project
//! completes what was begun.

use super::error::{CatalogError, ChangeError};
use super::files::save_key_changes;
use super::keys::{self, KeyChanges};
use super::served::{OpenError, Registry, Served};
use crate::auth::api_key::generate;
use crate::clock;
use crate::config::file;
use crate::config::schema::{AuthenticationChoice, Config, ProjectConfig, StorageChoice, StoredKey};
use crate::disk::Disk;
use crate::entropy::random_bytes;
use crate::limits::CATALOG_RACES_MAX;
use crate::names::ProjectId;
use crate::secret::{KeyHash, Secret};
use crate::storage::Bucket;
use crate::storage::etcd::EtcdBucket;
use crate::storage::etcd::cell::Cell;
use crate::storage::etcd::cells::Cells;
use crate::storage::etcd::claim::Claim;
use crate::storage::etcd::placement::{self, Addition, Placement, PlacementState};
use crate::storage::etcd::record::{self, Creation, Record, RecordError, Versioned};
use crate::storage::etcd::state::CellState;
use crate::store::error::StorageError;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The index of the home cell.
pub const HOME: usize = 0;

/// All projects, on cells.
pub struct CellCatalog {
    cells: Arc<Cells>,
    disk: Arc<dyn Disk>,
    config_path: PathBuf,
    config: Mutex<Config>,
    registry: RwLock<Arc<Registry>>,
    /// The revision of the list that the registry has. Locked while the registry is replaced, before `config`.
    loaded: Mutex<i64>,
}

impl CellCatalog {
    /// Reads the list of projects from the home cell. `config` is that of config.json.
    pub fn open(
        disk: Arc<dyn Disk>,
        config_path: PathBuf,
        config: Config,
        cells: Arc<Cells>,
    ) -> Result<CellCatalog, StorageError> {
        let registry = RwLock::new(Arc::new(Registry::new(&config, BTreeMap::new())));
        let config = Mutex::new(config);
        let catalog = CellCatalog { cells, disk, config_path, config, registry, loaded: Mutex::new(0) };
        catalog.load()?;
        Ok(catalog)
    }

    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number of cells, and the number of threads for each.
    pub fn lanes(&self) -> (usize, usize) {
        (self.cells.all().len(), self.lock_config().engine.threads)
    }

    /// The name of the home cell, if it is not ready. One without space is: it answers reads on every instance.
    pub fn unready(&self) -> Option<String> {
        let home = self.cells.home();
        let is_ready = matches!(home.state(), CellState::Ready | CellState::NoSpace);
        (!is_ready).then(|| home.name().to_owned())
    }

    /// Reads the list of projects again, if any instance has changed it. Returns whether one has.
    pub fn refresh(&self) -> Result<bool, StorageError> {
        if placement::revision(self.cells.home())? == *self.lock_loaded() {
            return Ok(false);
        }
        self.load()?;
        Ok(true)
    }

    /// Reads the record of `id` again, because a transaction found another one.
    pub fn renew(&self, id: &ProjectId) -> Result<(), StorageError> {
        if let Some(cell) = self.cell_of(id)
            && let Some(found) = record::read(&cell, id)?
        {
            return self.serve(&cell, found).map(drop).ok_or(StorageError::Unread);
        }
        // It was deleted, or it is on another cell now.
        self.load()?;
        let listed = placement::read(self.cells.home(), id)?.map(|listed| listed.value);
        let Some(listed) = listed.filter(|listed| listed.state == PlacementState::Moving) else {
            return Ok(());
        };
        // One of the two cells has the record at every moment.
        for name in [Some(listed.cell), listed.other].into_iter().flatten() {
            if let Some(cell) = self.cells.find(&name)
                && let Some(found) = record::read(cell, id)?
            {
                return self.serve(cell, found).map(drop).ok_or(StorageError::Unread);
            }
        }
        Ok(())
    }

    /// Adds a project, on the cell of that name if one is given. Returns it and its key, if it has one.
    pub fn create(
        &self,
        id: ProjectId,
        storage: StorageChoice,
        authentication: AuthenticationChoice,
        cell: Option<&str>,
    ) -> Result<(Arc<Served>, Option<Secret>), ChangeError> {
        let (home, cell) = (self.cells.home(), self.cell_for_new(cell)?);
        let mut listed = self.list(&id, PlacementState::Creating, &cell)?;
        let mut project = ProjectConfig::new(id.clone(), storage, authentication);
        let key = self.issue_if_needed(&mut project)?;
        // A record that is found is of an instance that stopped, or that this one has overtaken.
        let created = match record::create(&cell, &id, Some(project), clock::wall_ms())? {
            Creation::Created(created) => created,
            Creation::Existing(_) => return Err(ChangeError::Storage(StorageError::Busy)),
        };
        listed.value = live(&cell, &created);
        if placement::replace(home, &id, &listed.value, listed.mod_revision)?.is_none() {
            return Err(ChangeError::Storage(StorageError::Busy));
        }
        let served = self.serve(&cell, created).ok_or(ChangeError::Internal)?;
        Ok((served, key))
    }

    /// Changes the given settings of a project. Returns it, and a key if it now requires one and had none.
    pub fn update(
        &self,
        id: &ProjectId,
        storage: StorageChoice,
        authentication: AuthenticationChoice,
    ) -> Result<(Arc<Served>, Option<Secret>), ChangeError> {
        self.change(id, |catalog, project| {
            project.storage = storage.or(project.storage);
            project.authentication = authentication.or(project.authentication);
            catalog.issue_if_needed(project)
        })
    }

    /// Generates a new key for a project, and enables its authentication; the old key becomes invalid on all instances.
    pub fn regenerate(&self, id: &ProjectId) -> Result<Secret, ChangeError> {
        let (_, key) = self.change(id, |_, project| {
            project.authentication.enabled = Some(true);
            issue(project).map(Some)
        })?;
        key.ok_or(ChangeError::Internal)
    }

    /// Deletes a project and its keys. If this fails, it is not served any more, and deleting it again completes that.
    pub fn delete(&self, id: &ProjectId) -> Result<(), ChangeError> {
        let cell = self.cell_of(id).ok_or_else(|| ChangeError::Missing(id.clone()))?;
        let listed = self.list(id, PlacementState::Deleting, &cell)?;
        let removed = placement::remove(self.cells.home(), id, listed.mod_revision)?;
        self.load()?;
        if removed { Ok(()) } else { Err(ChangeError::Storage(StorageError::Busy)) }
    }

    /// Reads config.json again and applies it: the global key and the settings of this instance.
    pub(crate) fn reload(&self) -> Result<(Config, KeyChanges), CatalogError> {
        let mut config = self.lock_config();
        let (disk, path) = (self.disk.as_ref(), &self.config_path);
        let found = file::load_synced(disk, path)?.ok_or_else(|| CatalogError::at(path, "not found"))?;
        found.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let mut next = found.config;
        let mut key_changes =
            keys::ensure_keys(&mut next, &mut random_bytes).map_err(|error| CatalogError::at(path, error))?;
        let unsaved = save_key_changes(disk, path, &next, &mut key_changes)
            .map_err(|error| CatalogError::keys_not_saved(&error))?;
        unsaved.iter().for_each(|error| log::warn!("{}", super::unsaved_texts(error)));
        *config = next.clone();
        drop(config);
        let loaded = self.lock_loaded();
        self.publish(&next, self.registry().projects.clone());
        drop(loaded);
        if let Err(error) = self.load() {
            log::warn!(
                "projects keep what they inherited from the old config.json: {error} Send SIGHUP again later"
            );
        }
        Ok((next, key_changes))
    }
}

/// The steps of changes.
impl CellCatalog {
    /// Lists `id` on `cell` in the state of an unfinished change, after whatever another one has left is removed.
    fn list(
        &self,
        id: &ProjectId,
        state: PlacementState,
        cell: &Arc<Cell>,
    ) -> Result<Versioned<Placement>, ChangeError> {
        let home = self.cells.home();
        let mut value =
            Placement { cell: cell.name().to_owned(), state, other: None, fence: 0, record: None };
        for _ in 0..CATALOG_RACES_MAX {
            let found = match state {
                PlacementState::Creating => match placement::add(home, id, &value)? {
                    Addition::Added { mod_revision } => return Ok(Versioned { value, mod_revision }),
                    Addition::Full => return Err(ChangeError::TooMany),
                    Addition::Existing(found) => found,
                },
                PlacementState::Live | PlacementState::Deleting | PlacementState::Moving => {
                    let found = placement::read(home, id)?;
                    found.ok_or_else(|| ChangeError::Missing(id.clone()))?
                }
            };
            match (state, found.value.state) {
                (PlacementState::Creating, PlacementState::Live | PlacementState::Moving) => {
                    return Err(ChangeError::Exists(id.clone()));
                }
                (_, PlacementState::Moving) => return Err(ChangeError::Storage(StorageError::Closed)),
                (_, _) => {}
            }
            let old =
                self.cells.find(&found.value.cell).ok_or_else(|| unknown_cell(id, &found.value.cell))?;
            if state == PlacementState::Deleting {
                value.cell.clone_from(&found.value.cell);
            }
            let replaced = placement::replace(home, id, &value, found.mod_revision)?;
            if let Some(mod_revision) = replaced {
                remove_all(old, id)?;
                return Ok(Versioned { value, mod_revision });
            }
        }
        Err(ChangeError::Storage(StorageError::Busy))
    }

    /// Changes the record of a project by `edit`, which returns the key that it generated.
    fn change(
        &self,
        id: &ProjectId,
        edit: impl Fn(&CellCatalog, &mut ProjectConfig) -> Result<Option<Secret>, ChangeError>,
    ) -> Result<(Arc<Served>, Option<Secret>), ChangeError> {
        let missing = || ChangeError::Missing(id.clone());
        for _ in 0..CATALOG_RACES_MAX {
            let cell = self.cell_of(id).ok_or_else(missing)?;
            let Some(found) = record::read(&cell, id)? else {
                self.renew(id)?;
                continue;
            };
            if found.value.is_sealed {
                return Err(ChangeError::Storage(StorageError::Closed));
            }
            let mut record = found.value;
            let key = edit(self, record.project.as_mut().ok_or(ChangeError::Internal)?)?;
            let replaced = record::replace(&cell, id, &record, found.mod_revision)?;
            if let Some(mod_revision) = replaced {
                let changed = Versioned { value: record, mod_revision };
                self.copy_to_home(id, &cell, &changed);
                let served = self.serve(&cell, changed).ok_or(ChangeError::Internal)?;
                return Ok((served, key));
            }
        }
        Err(ChangeError::Storage(StorageError::Busy))
    }

    /// Updates the copy of a record in the list. Without that the change is effective, but other instances find a new
    /// key of the project only once they have used the project.
    fn copy_to_home(&self, id: &ProjectId, cell: &Cell, changed: &Versioned<Record>) {
        let home = self.cells.home();
        let copy = || -> Result<(), RecordError> {
            for _ in 0..CATALOG_RACES_MAX {
                let Some(listed) = placement::read(home, id)? else { return Ok(()) };
                let is_newer = listed.value.fence >= changed.mod_revision;
                if is_newer || listed.value.state != PlacementState::Live || listed.value.cell != cell.name()
                {
                    return Ok(());
                }
                if placement::replace(home, id, &live(cell, changed), listed.mod_revision)?.is_some() {
                    return Ok(());
                }
            }
            Err(RecordError::Busy)
        };
        if let Err(error) = copy() {
            log::warn!("project {id}: changed, but the home cell has no copy of that yet: {error}");
        }
    }

    /// The cell of that name, or the one with the fewest keys.
    fn cell_for_new(&self, name: Option<&str>) -> Result<Arc<Cell>, ChangeError> {
        let Some(name) = name else {
            let count = |cell: &&Arc<Cell>| record::count_keys(cell).unwrap_or(u64::MAX);
            return Ok(Arc::clone(self.cells.all().iter().min_by_key(count).unwrap_or(self.cells.home())));
        };
        let found = self.cells.find(name).cloned();
        found.ok_or_else(|| ChangeError::CellMissing {
            name: name.to_owned(),
            known: self.cells.all().iter().map(|cell| cell.name()).collect::<Vec<&str>>().join(", "),
        })
    }

    /// The cell of a project that this instance knows.
    fn cell_of(&self, id: &ProjectId) -> Option<Arc<Cell>> {
        match &self.registry().projects.get(id)?.bucket {
            Ok(Bucket::Etcd(bucket)) => Some(Arc::clone(bucket.cell())),
            Ok(Bucket::Embedded(_)) | Err(_) => None,
        }
    }

    fn issue_if_needed(&self, project: &mut ProjectConfig) -> Result<Option<Secret>, ChangeError> {
        let is_needed = self.lock_config().authentication_enabled(project) && project.key.hash.is_none();
        is_needed.then(|| issue(project)).transpose()
    }

    /// Reads all of the list.
    fn load(&self) -> Result<(), StorageError> {
        let list = placement::load(self.cells.home())?;
        list.unread.iter().for_each(|error| log::error!("{error}"));
        let mut loaded = self.lock_loaded();
        if list.revision < *loaded {
            return Ok(()); // another thread has read a later one
        }
        let config = self.lock_config();
        let before = self.registry();
        let mut projects = BTreeMap::new();
        for (id, Versioned { value: placement, .. }) in list.projects {
            let (PlacementState::Live | PlacementState::Moving, Some(record)) =
                (placement.state, placement.record)
            else {
                continue;
            };
            let found = Versioned { value: record, mod_revision: placement.fence };
            let served = match self.cells.find(&placement.cell) {
                Some(cell) => latest(before.projects.get(&id), served(&config, cell, found)),
                None => found.value.project.map(|project| out_of_reach(&config, &project, &placement.cell)),
            };
            projects.extend(served.map(|served| (id, served)));
        }
        self.publish(&config, projects);
        *loaded = list.revision;
        Ok(())
    }

    /// Serves a project as its record is.
    fn serve(&self, cell: &Arc<Cell>, found: Versioned<Record>) -> Option<Arc<Served>> {
        let _loaded = self.lock_loaded();
        let config = self.lock_config();
        let served = served(&config, cell, found)?;
        let mut projects = self.registry().projects.clone();
        projects.insert(served.id.clone(), Arc::clone(&served));
        self.publish(&config, projects);
        Some(served)
    }

    fn publish(&self, config: &Config, projects: BTreeMap<ProjectId, Arc<Served>>) {
        let registry = Arc::new(Registry::new(config, projects));
        *self.registry.write().unwrap_or_else(PoisonError::into_inner) = registry;
    }

    fn lock_config(&self) -> MutexGuard<'_, Config> {
        // Replaced as a whole, so a panic leaves the old one.
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_loaded(&self) -> MutexGuard<'_, i64> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the record of a project, then its keys.
fn remove_all(cell: &Arc<Cell>, id: &ProjectId) -> Result<(), ChangeError> {
    for _ in 0..CATALOG_RACES_MAX {
        let Some(found) = record::read(cell, id)? else {
            // Without a record no instance writes keys, and with the claim no command that copies keys to the cell.
            let claim = Claim::new(cell, id).map_err(StorageError::from)?;
            let cleared = claim.clear().and_then(|()| claim.release());
            return cleared.map_err(|error| ChangeError::Storage(error.into()));
        };
        record::remove(cell, id, found.mod_revision)?;
    }
    Err(ChangeError::Storage(StorageError::Busy))
}

/// The entry of the list for a project with this record.
fn live(cell: &Cell, found: &Versioned<Record>) -> Placement {
    Placement {
        cell: cell.name().to_owned(),
        state: PlacementState::Live,
        other: None,
        fence: found.mod_revision,
        record: Some(found.value.clone()),
    }
}

fn served(config: &Config, cell: &Arc<Cell>, found: Versioned<Record>) -> Option<Arc<Served>> {
    let fence = found.fence();
    let project = found.value.project?;
    let bucket = EtcdBucket::new(Arc::clone(cell), project.id.clone(), fence);
    let storage = config.storage_of(&project);
    Some(Arc::new(Served::new(config, &project, storage, Ok(Bucket::Etcd(Arc::new(bucket))))))
}

/// What this instance has read from the cell may be newer than the copy in the list.
fn latest(known: Option<&Arc<Served>>, listed: Option<Arc<Served>>) -> Option<Arc<Served>> {
    let fence = |served: &Arc<Served>| match &served.bucket {
        Ok(Bucket::Etcd(bucket)) => Some((bucket.cell().index(), bucket.fence().mod_revision)),
        Ok(Bucket::Embedded(_)) | Err(_) => None,
    };
    let (known_at, listed_at) = (known.and_then(fence), listed.as_ref().and_then(fence));
    match (known_at, listed_at) {
        (Some((cell, known_at)), Some((other, listed_at))) if cell == other && known_at > listed_at => {
            known.cloned()
        }
        (_, _) => listed,
    }
}

fn issue(project: &mut ProjectConfig) -> Result<Secret, ChangeError> {
    let key = generate(&mut random_bytes).map_err(|error| {
        log::error!("project {}: no key generated: {error}", project.id);
        ChangeError::Internal
    })?;
    project.key = StoredKey { text: None, hash: Some(KeyHash::of(key.reveal().as_bytes())) };
    Ok(key)
}

fn out_of_reach(config: &Config, project: &ProjectConfig, cell: &str) -> Arc<Served> {
    let reason = format!("it is on cell `{cell}`, which engine.cells does not have");
    log::error!("project {}: {reason}", project.id);
    Arc::new(Served::new(config, project, config.storage_of(project), Err(OpenError::other(reason))))
}

fn unknown_cell(id: &ProjectId, cell: &str) -> ChangeError {
    log::error!("project {id}: it is on cell `{cell}`, which engine.cells does not have");
    ChangeError::Unreadable
}

impl From<RecordError> for ChangeError {
    fn from(error: RecordError) -> ChangeError {
        ChangeError::Storage(error.into())
    }
}
