//! Deletes the files of a project. A crash in between never leaves half of a project, and never removes files that
//! its owner restores afterwards.
//!
//! ```text
//! begin ---> ID.deleted: files are removed --- remove_files ---> ID.removed: they are gone --- end ---> no marker
//! ```
//! A start that finds the first marker continues the deletion. One that finds the second marker removes nothing:
//! files that exist were restored.
//!
//! Some file systems cannot create even an empty file on a full disk, but can rename one. [`SPARE_FILE`] is an
//! empty file that becomes the marker then.

use super::generation::{self, Paths};
use super::preserved_copies;
use crate::disk::{Disk, DiskFile, Open, is_disk_full, is_not_regular, with_path};
use crate::names::ProjectId;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

pub const SPARE_FILE: &str = "pikv.spare";

/// The state of a deletion that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Begun,
    FilesRemoved,
}

impl Phase {
    const ALL: [Phase; 2] = [Phase::Begun, Phase::FilesRemoved];

    fn extension(self) -> &'static str {
        match self {
            Phase::Begun => "deleted",
            Phase::FilesRemoved => "removed",
        }
    }

    fn marker(self, paths: &Paths) -> PathBuf {
        paths.json.with_extension(self.extension())
    }
}

#[derive(Debug)]
pub enum BeginError {
    /// There is no marker; the project is as it was.
    NotBegun(io::Error),
    /// The next start may find the marker and then deletes the project.
    Unknown(io::Error),
}

/// Which deletion created the marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// This one. It may be canceled.
    Created,
    /// An earlier one that stopped. Some of the files may be missing.
    Found,
}

/// Marks a project as being deleted, durably.
///
/// # Errors
/// [`BeginError`] tells whether a marker is left.
pub fn begin(disk: &dyn Disk, paths: &Paths) -> Result<Marker, BeginError> {
    let marker = Phase::Begun.marker(paths);
    if is_marker(disk, &marker).map_err(BeginError::NotBegun)? {
        let synced = disk.sync_directory(paths.directory());
        return synced.map(|()| Marker::Found).map_err(BeginError::Unknown);
    }
    check_names(disk, paths).map_err(BeginError::NotBegun)?;
    let created = match disk.open(&marker, Open::Create) {
        Err(error) if is_disk_full(&error) => rename_spare(disk, paths, &marker, error),
        created => created.map_err(BeginError::NotBegun).map(Some),
    }?;
    let synced = created.map_or(Ok(()), |file| file.sync());
    let synced = synced.and_then(|()| disk.sync_directory(paths.directory()));
    synced.map(|()| Marker::Created).map_err(|error| undone(disk, paths, error))
}

/// Renames the spare file to the marker that could not be created because of the error `full`.
fn rename_spare(
    disk: &dyn Disk,
    paths: &Paths,
    marker: &Path,
    full: io::Error,
) -> Result<Option<Box<dyn DiskFile>>, BeginError> {
    let spare = paths.directory().join(SPARE_FILE);
    match is_marker(disk, &spare) {
        Ok(true) => disk.rename(&spare, marker).map_err(|error| undone(disk, paths, error)).map(|()| None),
        Ok(false) | Err(_) => Err(BeginError::NotBegun(full)),
    }
}

/// Removes a marker that may not be durable.
fn undone(disk: &dyn Disk, paths: &Paths, error: io::Error) -> BeginError {
    if cancel(disk, paths).is_ok() { BeginError::NotBegun(error) } else { BeginError::Unknown(error) }
}

/// Creates the spare file in `directory` unless it exists.
pub fn keep_spare(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    let spare = directory.join(SPARE_FILE);
    if disk.exists(&spare)? { Ok(()) } else { disk.open(&spare, Open::Create).map(drop) }
}

/// The state of a project's deletion, `None` if none was begun or it has ended.
pub fn phase(disk: &dyn Disk, paths: &Paths) -> io::Result<Option<Phase>> {
    for phase in Phase::ALL {
        if is_marker(disk, &phase.marker(paths))? {
            return Ok(Some(phase));
        }
    }
    Ok(None)
}

/// The projects whose deletion did not end, by their markers in `directory`, in the order of their names.
pub fn all_begun(disk: &dyn Disk, directory: &Path) -> io::Result<Vec<ProjectId>> {
    let is_named_so = |path: &&PathBuf| {
        let extension = path.extension().unwrap_or_default();
        Phase::ALL.iter().any(|phase| extension == phase.extension())
    };
    let paths = match disk.list(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(), // no directory, so no project yet
        listed => listed?,
    };
    let mut begun = Vec::new();
    for path in paths.iter().filter(is_named_so) {
        let id = path.file_stem().and_then(|stem| ProjectId::parse(stem.to_str()?).ok());
        if let Some(id) = id
            // Of a marker that cannot be read, `phase` returns the error.
            && is_marker(disk, path).unwrap_or(true)
        {
            begun.push(id);
        }
    }
    begun.sort_unstable();
    begun.dedup();
    Ok(begun)
}

/// Frees the space of a project's files, which are still open, before they are removed.
pub fn free_space(disk: &dyn Disk, paths: &Paths) {
    for path in [&paths.journal, &paths.json] {
        // A file that cannot be cut is removed anyway.
        let _ = disk.open(path, Open::Write).and_then(|file| file.set_length(0));
    }
}

/// Removes the files of a project and their copies, durably. A marker stays until [`end`].
///
/// # Errors
/// As the disk returns them; a second call continues.
pub fn remove_files(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    preserved_copies::remove_all(disk, paths)?;
    generation::remove_pair(disk, paths)?;
    check_names(disk, paths)?;
    let removed = Phase::FilesRemoved.marker(paths);
    disk.rename(&Phase::Begun.marker(paths), &removed).map_err(|error| with_path(&removed, &error))?;
    disk.sync_directory(paths.directory())
}

/// Removes the marker of a deletion that will not happen. The files have to be complete.
///
/// # Errors
/// As the disk returns them; the next start may find the marker and then deletes the project.
pub fn cancel(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    remove_marker(disk, paths, Phase::Begun)
}

/// Removes the marker of the second phase, once config.json no longer lists the project or its files were restored.
/// The marker of the first phase stays: the files that it stands for may still exist.
///
/// # Errors
/// As the disk returns them; the next start removes it.
pub fn end(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    remove_marker(disk, paths, Phase::FilesRemoved)
}

fn remove_marker(disk: &dyn Disk, paths: &Paths, phase: Phase) -> io::Result<()> {
    let marker = phase.marker(paths);
    if is_marker(disk, &marker)? {
        let spare = paths.directory().join(SPARE_FILE);
        if disk.exists(&spare)? {
            disk.remove(&marker)?;
        } else {
            disk.rename(&marker, &spare)?;
        }
    }
    disk.sync_directory(paths.directory())
}

/// The paths of the markers that a deletion may have.
pub(crate) fn markers(paths: &Paths) -> [PathBuf; 2] {
    Phase::ALL.map(|phase| phase.marker(paths))
}

/// Refuses to replace files that have the name of a marker and are not markers.
fn check_names(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    for path in markers(paths) {
        if disk.exists(&path)? && !is_marker(disk, &path)? {
            let text = "is not of this server, which needs the name. Move it away";
            return Err(io::Error::new(ErrorKind::AlreadyExists, format!("{} {text}", path.display())));
        }
    }
    Ok(())
}

/// Markers are empty regular files. Any other file with such a name belongs to another program.
fn is_marker(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    if !disk.exists(path)? {
        return Ok(false);
    }
    match disk.open(path, Open::Read) {
        Err(error) if is_not_regular(&error) => Ok(false),
        opened => Ok(opened.map_err(|error| with_path(path, &error))?.length()? == 0),
    }
}
