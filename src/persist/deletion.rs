//! Deleting the files of a project so that a crash in between never brings half of it back.
//!
//! A marker file is made first. Where a start finds one, the deletion was begun and is finished.

use super::generation::{self, Paths};
use crate::disk::{Disk, Open};
use std::io;
use std::path::PathBuf;

fn marker(paths: &Paths) -> PathBuf {
    paths.json.with_extension("deleted")
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

/// Removes the files of a project, durably. The marker stays until [`end`].
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
    disk.sync_directory(paths.directory())
}

/// Removes the marker, once nothing speaks of the project any more.
///
/// # Errors
/// As the disk says; a start then removes it.
pub fn end(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    disk.remove(&marker(paths))?;
    disk.sync_directory(paths.directory())
}
