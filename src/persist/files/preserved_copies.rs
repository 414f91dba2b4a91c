//! Copies of files that were replaced, so that a mistake loses nothing. Nothing reads them. They are removed with their
//! project, or by the operator.

use super::generation::Paths;
use crate::disk::{self, Disk};
use crate::names::ProjectId;
use std::io;
use std::path::{Path, PathBuf};

/// Why a copy exists. The reason is part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreservedCopy {
    /// A data file that was edited while the server ran.
    Edited,
    /// A journal that the operator decided to discard.
    Discarded,
    /// A file that had replaced a journal while the server ran.
    Foreign,
    /// A data file that existed when a project in memory was written to disk.
    Replaced,
    /// A journal that existed then.
    ReplacedJournal,
    /// What could be read of damaged files.
    Salvaged,
}

impl PreservedCopy {
    const ALL: [PreservedCopy; 6] = [
        PreservedCopy::Edited,
        PreservedCopy::Discarded,
        PreservedCopy::Foreign,
        PreservedCopy::Replaced,
        PreservedCopy::ReplacedJournal,
        PreservedCopy::Salvaged,
    ];

    fn infix(self) -> &'static str {
        match self {
            PreservedCopy::Edited => ".json.edited-",
            PreservedCopy::Discarded => ".journal.discarded-",
            PreservedCopy::Foreign => ".journal.foreign-",
            PreservedCopy::Replaced => ".json.replaced-",
            PreservedCopy::ReplacedJournal => ".journal.replaced-",
            PreservedCopy::Salvaged => ".json.salvaged-",
        }
    }

    fn path_of(self, paths: &Paths) -> &Path {
        if self.infix().starts_with(".json.") { &paths.json } else { &paths.journal }
    }
}

/// Whether a file that has `rest` after the id of a project is such a copy.
pub(crate) fn is_copy(rest: &str) -> bool {
    PreservedCopy::ALL.iter().any(|why| rest.starts_with(why.infix()))
}

/// Copies a file of a project, durably, and returns the path of the copy. `number` distinguishes copies of one kind.
pub(crate) fn preserve(
    disk: &dyn Disk,
    paths: &Paths,
    why: PreservedCopy,
    number: u64,
) -> io::Result<PathBuf> {
    let copy = path_of_copy(paths, why, number);
    disk::replace_by_copy(disk, &copy, why.path_of(paths))?;
    Ok(copy)
}

pub(crate) fn path_of_copy(paths: &Paths, why: PreservedCopy, number: u64) -> PathBuf {
    let stem = paths.json.file_stem().unwrap_or_default().to_string_lossy();
    paths.json.with_file_name(format!("{stem}{}{number}", why.infix()))
}

/// Whether a copy has this name while it is written.
pub(crate) fn is_temporary_copy(name: &str) -> bool {
    PreservedCopy::ALL.into_iter().filter_map(|why| name.split_once(why.infix())).any(|(stem, rest)| {
        let number = rest.strip_suffix(".tmp").unwrap_or_default();
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number && ProjectId::is_id(stem)
    })
}

/// Removes all copies of a project's files. Durable only after [`Disk::sync_directory`].
pub(crate) fn remove_all(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    let stem = paths.json.file_stem().unwrap_or_default().to_string_lossy();
    let begins = PreservedCopy::ALL.map(|why| format!("{stem}{}", why.infix()));
    for path in disk.list(paths.directory())? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if begins.iter().any(|begin| name.starts_with(begin)) {
            disk.remove(&path).map_err(|error| disk::with_path(&path, &error))?;
        }
    }
    Ok(())
}
