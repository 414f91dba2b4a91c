//! `pikv migrate`: copies the projects, the accounts and the key that signs tokens from the files of the data directory
//! to cells of etcd, or from there to files.
//!
//! ```text
//! each project    absent ---> copied and compared ---> listed
//! ```
//! The original stays as it is. What an earlier run has completed is compared, and not copied again. A project that
//! exists there and is not the same ends the run, because one of the two would be lost.

pub(super) mod error;
mod to_cells;
mod to_files;

use super::engine::open_cells;
use super::error::RunError;
use super::printing::print_result;
use super::setup::{check_files, load_existing, lock};
use crate::cli::effective::Options;
use crate::clock;
use crate::config::schema::{Config, EngineType};
use crate::disk;
use crate::limits::CELL_IN_USE_MS;
use crate::names::ProjectId;
use crate::storage::copy::{self, CopyError, Digest};
use crate::storage::etcd::{Caretaker, Cells};
use crate::storage::{Bucket, Parts, Scan};
use error::MigrateError;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The command, under the lock of the data directory.
struct Migration<'m> {
    path: &'m Path,
    config: Config,
    directory: PathBuf,
    cells: &'m Cells,
}

/// What was done with a project.
struct Line {
    id: ProjectId,
    digest: Digest,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Copied,
    /// An earlier run has copied it.
    Present,
}

pub(super) fn migrate(options: &Options, to: EngineType) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let directory = load_existing(path)?.config.data_directory(path);
    disk::create_directory(&directory)
        .map_err(|error| RunError::DataDirectory { path: directory.clone(), error })?;
    let lock = lock(&directory).map_err(RunError::of_stopped_server)?;
    // A server may have changed it until now.
    let mut config = load_existing(path)?.config;
    let cells = open_cells(path, &config)?;
    // The files are those that the embedded engine uses.
    config.engine.kind = EngineType::Embedded;
    check_files(&config, path)?;
    check_unused(&cells)?;
    let caretaker = Caretaker::start(&cells).map_err(RunError::Start)?;
    let migration = Migration { path, config, directory, cells: &cells };
    let lines = match to {
        EngineType::Etcd => migration.to_cells(&lock)?,
        EngineType::Embedded => migration.to_files()?,
    };
    drop(caretaker);
    print_result(&report(&lines, to))
}

/// Refuses cells that a server keeps: what it writes would be lost or be mixed with what is copied.
fn check_unused(cells: &Cells) -> Result<(), MigrateError> {
    let before = cells.clock_revisions()?;
    std::thread::sleep(Duration::from_millis(CELL_IN_USE_MS));
    let after = cells.clock_revisions()?;
    let changed = before.iter().zip(after).position(|(before, after)| *before != after);
    match changed.and_then(|index| cells.all().get(index)) {
        Some(cell) => Err(MigrateError::InUse { cell: cell.name().to_owned() }),
        None => Ok(()),
    }
}

/// Compares a project that exists there. `None` if it has no keys there, and `from` has some.
fn compare_existing(
    id: &ProjectId,
    from: &Bucket,
    there: &Bucket,
    location: &str,
) -> Result<Option<Line>, MigrateError> {
    match copy::compare(from, there, &clock::wall_ms) {
        Ok(digest) => Ok(Some(Line { id: id.clone(), digest, outcome: Outcome::Present })),
        Err(CopyError::Different { .. }) if is_empty(id, there)? => Ok(None),
        Err(CopyError::Different { key }) => {
            Err(MigrateError::Different { id: id.clone(), key, location: location.to_owned() })
        }
        Err(error) => Err(MigrateError::Copy { id: id.clone(), error }),
    }
}

fn is_empty(id: &ProjectId, bucket: &Bucket) -> Result<bool, MigrateError> {
    let scan = Scan { keys_max: Some(1), parts: Parts::Names, ..Scan::under("") };
    let mut is_empty = true;
    let scanned = bucket.scan_through(clock::wall_ms(), &scan, &mut |_| is_empty = false);
    scanned.map_err(|error| MigrateError::Copy { id: id.clone(), error: CopyError::Read(error) })?;
    Ok(is_empty)
}

fn report(lines: &[Line], to: EngineType) -> String {
    let ids = lines.iter().map(|line| line.id.as_str().len()).max().unwrap_or(0).max("PROJECT".len());
    let keys =
        lines.iter().map(|line| line.digest.keys.to_string().len()).max().unwrap_or(0).max("KEYS".len());
    let mut text = format!("{:<ids$}  {:>keys$}  {:<16}  RESULT\n", "PROJECT", "KEYS", "DIGEST");
    for Line { id, digest, outcome } in lines {
        let result = match outcome {
            Outcome::Copied => "copied and compared",
            Outcome::Present => "is the same",
        };
        let (id, count) = (id.as_str(), digest.keys);
        text.push_str(&format!("{id:<ids$}  {count:>keys$}  {digest:<16}  {result}\n"));
    }
    text.push_str(match to {
        EngineType::Etcd => {
            "\nThe files are as they were. To use the cells, run `pikv config set engine.type etcd` and start the server. \
             Other machines need the section `engine` and the global key of this config.json.\n"
        }
        EngineType::Embedded => {
            "\nThe cells are as they were. To use the files, run `pikv config set engine.type embedded` and start the \
             server on this machine only.\n"
        }
    });
    text
}
