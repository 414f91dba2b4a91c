//! Deleting the files of a project so that a crash in between never brings half of it back.
//!
//! A marker file is made first. Where a start finds one beside a project of config.json, the deletion was
//! begun and is finished. Where config.json does not have the project any more its files were removed
//! already: what is there now its owner has put back, and only the marker goes.

use super::aside;
use super::generation::{self, Paths};
use crate::disk::{Disk, Open};
use crate::names::ProjectId;
use std::io;
use std::path::{Path, PathBuf};

const MARKER_EXTENSION: &str = "deleted";

fn marker(paths: &Paths) -> PathBuf {
    paths.json.with_extension(MARKER_EXTENSION)
}

/// Marks a project as being deleted, durably.
///
/// # Errors
/// As the disk says; the project is then not deleted.
pub fn begin(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    disk.open(&marker(paths), Open::Create)?.sync()?;
    disk.sync_directory(paths.directory())
}

/// Whether the deletion of a project was begun and not finished.
///
/// # Errors
/// As the disk says.
pub fn is_begun(disk: &dyn Disk, paths: &Paths) -> io::Result<bool> {
    disk.exists(&marker(paths))
}

/// The projects that have a marker in `directory`, in the order of their names.
///
/// # Errors
/// As the disk says.
pub fn all_begun(disk: &dyn Disk, directory: &Path) -> io::Result<Vec<ProjectId>> {
    let mut begun: Vec<ProjectId> = disk
        .list(directory)?
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == MARKER_EXTENSION))
        .filter_map(|path| ProjectId::parse(path.file_stem()?.to_str()?).ok())
        .collect();
    begun.sort_unstable();
    Ok(begun)
}

/// Removes the files of a project and their copies, durably. The marker stays until [`end`].
///
/// # Errors
/// As the disk says; a start tries again.
pub fn remove_files(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    generation::remove_temporaries(disk, paths)?;
    for path in [&paths.journal, &paths.json] {
        if disk.exists(path)? {
            disk.remove(path)?;
        }
    }
    aside::remove_all(disk, paths)?;
    disk.sync_directory(paths.directory())
}

/// Removes the marker, once nothing speaks of the project any more.
///
/// # Errors
/// As the disk says; the next start removes it.
pub fn end(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    disk.remove(&marker(paths))?;
    disk.sync_directory(paths.directory())
}
