//! Copies of files that were replaced, under names that nothing reads, so that a mistake loses nothing.
//! They go with their project, or when their owner removes them.

use super::generation::Paths;
use crate::disk::{self, Disk};
use std::io;
use std::path::{Path, PathBuf};

/// Why a copy was made. Its name says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// A values' file that was edited while the server ran.
    Edited,
    /// A journal that an owner decided against.
    Discarded,
    /// A values' file that was there when a project in memory was written to disk.
    Replaced,
}

impl Aside {
    const ALL: [Aside; 3] = [Aside::Edited, Aside::Discarded, Aside::Replaced];

    fn infix(self) -> &'static str {
        match self {
            Aside::Edited => ".json.edited-",
            Aside::Discarded => ".journal.discarded-",
            Aside::Replaced => ".json.replaced-",
        }
    }

    fn path_of(self, paths: &Paths) -> &Path {
        match self {
            Aside::Edited | Aside::Replaced => &paths.json,
            Aside::Discarded => &paths.journal,
        }
    }
}

/// Copies a file of a project, durably. `number` tells copies of the same kind apart. Returns the
/// copy's path.
///
/// # Errors
/// As the disk says.
pub fn keep(disk: &dyn Disk, paths: &Paths, why: Aside, number: u64) -> io::Result<PathBuf> {
    let path = why.path_of(paths);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let copy = path.with_file_name(format!("{stem}{}{number}", why.infix()));
    let bytes = disk::load(disk, path, u64::MAX)?;
    disk::replace(disk, &copy, &bytes)?;
    Ok(copy)
}

/// Removes all copies of a project's files. Durable only after [`Disk::sync_directory`].
///
/// # Errors
/// As the disk says.
pub fn remove_all(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    let stem = paths.json.file_stem().unwrap_or_default().to_string_lossy();
    let begins = Aside::ALL.map(|why| format!("{stem}{}", why.infix()));
    for path in disk.list(paths.directory())? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if begins.iter().any(|begin| name.starts_with(begin)) {
            disk.remove(&path)?;
        }
    }
    Ok(())
}
