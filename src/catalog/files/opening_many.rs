//! Opening the files of many projects in parallel, so that their syncs overlap.
//!
//! Nothing is logged here, so that the log has the projects in the order of config.json.

use super::FileCatalog;
use crate::catalog::served::{OpenError, Registry};
use crate::config::schema::{Config, StorageSettings};
use crate::limits::{OPENING_THREADS_MAX, PROJECTS_PER_OPENING_THREAD_MIN};
use crate::names::ProjectId;
use crate::persist::live::project::OpenedProject;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub(super) type OpenedProjects = BTreeMap<ProjectId, Result<OpenedProject, OpenError>>;

impl FileCatalog {
    /// Opens those projects of `config` that are on disk and that `before` does not have open.
    pub(super) fn open_files_of_all(&self, config: &Config, before: &Registry) -> OpenedProjects {
        let is_open = |id| before.projects.get(id).is_some_and(|served| served.open().is_ok());
        let to_open: Vec<_> = config
            .projects()
            .iter()
            .map(|project| (&project.id, config.storage_of(project)))
            .filter(|(id, storage)| storage.on_disk && !is_open(*id))
            .collect();
        let opening = Opening { to_open, next: AtomicUsize::new(0), opened: Mutex::default() };
        // A few projects are opened by this thread alone: each further thread costs an arena of memory.
        let threads = (opening.to_open.len() / PROJECTS_PER_OPENING_THREAD_MIN).min(OPENING_THREADS_MAX);
        std::thread::scope(|scope| {
            for number in 1..threads {
                let thread = std::thread::Builder::new().name(format!("opening-{number}"));
                if thread.spawn_scoped(scope, || self.open_next_ones(&opening)).is_err() {
                    break; // the running threads open all projects
                }
            }
            self.open_next_ones(&opening);
        });
        opening.opened.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_next_ones(&self, opening: &Opening<'_>) {
        while let Some(&(id, storage)) = opening.to_open.get(opening.next.fetch_add(1, Ordering::Relaxed)) {
            let open = AssertUnwindSafe(|| self.open_files(id, storage));
            let opened = catch_unwind(open).unwrap_or_else(|_| Err(OpenError::of_panic()));
            opening.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), opened);
        }
    }
}

/// The projects to open, the next one, and the results.
struct Opening<'a> {
    to_open: Vec<(&'a ProjectId, StorageSettings)>,
    next: AtomicUsize,
    opened: Mutex<OpenedProjects>,
}
