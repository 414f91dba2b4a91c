//! The engine of a server: opened before it listens, and closed after it has stopped.

use super::error::RunError;
use crate::accounts::Accounts;
use crate::api::state::App;
use crate::catalog::{Catalog, CatalogError, CellCatalog, FileCatalog};
use crate::config::schema::{Config, EngineType};
use crate::disk::{Disk, RealDisk};
use crate::persist::files::guard::DirectoryGuard;
use crate::persist::live::worker_threads::{ProjectQueues, WorkerThreads};
use crate::persist::start::recovery::ValueCache;
use crate::storage::etcd::caretaker::Caretaker;
use crate::storage::etcd::cells::Cells;
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// An engine with everything that it keeps.
pub(super) struct Engine {
    pub catalog: Catalog,
    /// `None` if accounts are disabled, an error if they cannot be read.
    pub accounts: Option<Result<Arc<Accounts>, String>>,
    pub threads: Threads,
}

/// The threads of an engine.
pub(super) enum Threads {
    Embedded(WorkerThreads),
    Etcd(Caretaker),
}

impl Engine {
    /// Opens the engine of `config`, which was read from `path`. `resolved` is called when commits are resolved.
    pub(super) fn open(
        path: &Path,
        config: Config,
        guard: DirectoryGuard,
        resolved: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Engine, RunError> {
        match config.engine.kind {
            EngineType::Embedded => Engine::open_embedded(path, config, guard, resolved),
            EngineType::Etcd => Engine::open_etcd(path, config),
        }
    }

    fn open_embedded(
        path: &Path,
        config: Config,
        guard: DirectoryGuard,
        resolved: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Engine, RunError> {
        let queues = ProjectQueues::guarding(Some(guard), resolved);
        let threads = queues.start().map_err(RunError::Start)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let directory = config.data_directory(path);
        let cache = if config.storage.cache_in_memory { ValueCache::Memory } else { ValueCache::Disk };
        let accounts = config.accounts.enabled.then(|| Accounts::open(&disk, &queues, &directory, cache));
        let catalog = FileCatalog::open(disk, queues, path.to_owned(), config).map_err(RunError::Catalog)?;
        Ok(Engine {
            catalog: Catalog::Files(catalog),
            accounts: accounts.map(shared),
            threads: Threads::Embedded(threads),
        })
    }

    fn open_etcd(path: &Path, config: Config) -> Result<Engine, RunError> {
        if !config.listed_projects().is_empty() {
            log::warn!(
                "{}: `projects` is not used, because engine.type is etcd; the home cell lists the projects",
                path.display()
            );
        }
        let cells = open_cells(path, &config)?;
        let caretaker = Caretaker::start(&cells).map_err(RunError::Start)?;
        let accounts = config.accounts.enabled.then(|| shared(Accounts::open_on(cells.home())));
        if let Some(Ok(accounts)) = &accounts {
            let accounts = Arc::clone(accounts);
            let thread = thread::Builder::new().name("accounts".to_owned());
            thread.spawn(move || accounts.tidy_up()).map_err(RunError::Start)?;
        }
        let catalog = CellCatalog::open(Arc::new(RealDisk), path.to_owned(), config, cells)
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Engine { catalog: Catalog::Cells(catalog), accounts, threads: Threads::Etcd(caretaker) })
    }
}

impl Threads {
    /// Writes everything, after the server has stopped. Returns whether the data directory still belongs to this
    /// process.
    pub(super) fn close(self, app: &App) -> bool {
        app.close();
        match (self, &app.catalog) {
            (Threads::Embedded(threads), Catalog::Files(catalog)) => {
                threads.stop();
                let is_own = catalog.has_directory();
                if is_own {
                    catalog.release_revisions();
                }
                is_own
            }
            (Threads::Etcd(caretaker), _) => {
                drop(caretaker);
                true
            }
            (Threads::Embedded(_), Catalog::Cells(_)) => {
                unreachable!("threads and catalog are of one engine")
            }
        }
    }
}

/// The cells of `config`, of which the home cell answers.
pub(super) fn open_cells(path: &Path, config: &Config) -> Result<Arc<Cells>, RunError> {
    let loaded = Cells::load(&RealDisk, path, &config.engine);
    let cells = loaded.map_err(|error| unusable(error.to_string()))?;
    // The configuration was refused if there is none.
    let cells = cells.ok_or_else(|| unusable("engine.cells is empty.".to_owned()))?;
    cells.prepare().map_err(unusable)?;
    Ok(Arc::new(cells))
}

fn unusable(reason: String) -> RunError {
    RunError::Catalog(CatalogError::of_cells(reason))
}

/// If accounts cannot be read, the projects are served without them.
fn shared(opened: Result<Accounts, String>) -> Result<Arc<Accounts>, String> {
    opened.map(Arc::new).inspect_err(|error| log::error!("accounts are unavailable: {error}"))
}
