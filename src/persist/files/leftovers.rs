//! Temporary files of a process that ended while it wrote them, if opening a project does not remove them: those of
//! copies, and those of a project without files.
//!
//! `ID.json.tmp` and `ID.journal.tmp` beside one of `ID.json` and `ID.journal` stay: they may complete a swap
//! (`consistency.rs`). Without either there is nothing to complete.

use super::generation::Paths;
use super::header;
use super::preserved_copies;
use crate::disk::{Disk, Open, is_not_regular, read_exact_at, temporary_path};
use crate::limits::FIRST_READ_BYTES;
use crate::names::ProjectId;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Removes such files from `directory`, but never `config`. Returns their paths, each with the error if it stays.
///
/// # Errors
/// As the disk returns them for the directory.
pub(crate) fn remove(
    disk: &dyn Disk,
    directory: &Path,
    config: &Path,
) -> io::Result<Vec<(PathBuf, io::Result<()>)>> {
    let found = match disk.list(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut leftovers = Vec::new();
    for path in found.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "tmp"))
    {
        if path.file_name() == config.file_name() {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match is_leftover(disk, directory, &path, name) {
            Ok(false) => {}
            is_leftover => leftovers.push((path, is_leftover.map(drop))),
        }
    }
    // Removed last, because the files of a pair identify each other.
    for (path, result) in leftovers.iter_mut().filter(|(_, result)| result.is_ok()) {
        *result = disk.remove(path);
    }
    if !leftovers.is_empty() {
        disk.sync_directory(directory)?;
    }
    Ok(leftovers)
}

fn is_leftover(disk: &dyn Disk, directory: &Path, path: &Path, name: &str) -> io::Result<bool> {
    let is_ours = preserved_copies::is_temporary_copy(name) || is_of_no_project(disk, directory, path, name)?;
    Ok(is_ours && is_regular(disk, path)?)
}

/// Whether `path` is a temporary file of a project that has no files, and certainly of this server: the two are
/// created empty, one after the other, and the journal begins with its header or with the space for it.
fn is_of_no_project(disk: &dyn Disk, directory: &Path, path: &Path, name: &str) -> io::Result<bool> {
    let Some((stem, "json.tmp" | "journal.tmp")) = name.split_once('.') else { return Ok(false) };
    let Ok(id) = ProjectId::parse(stem) else { return Ok(false) };
    let paths = Paths::new(directory, &id);
    if paths.exist(disk)? {
        return Ok(false);
    }
    let journal = temporary_path(&paths.journal);
    if disk.exists(&journal)? && is_regular(disk, &journal)? {
        return is_begun_journal(disk, &journal);
    }
    Ok(is_regular(disk, path)? && disk.open(path, Open::Read)?.length()? == 0)
}

fn is_begun_journal(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    let file = disk.open(path, Open::Read)?;
    let length = usize::try_from(file.length()?).unwrap_or(usize::MAX).min(FIRST_READ_BYTES);
    let mut begin = vec![0; length];
    read_exact_at(file.as_ref(), &mut begin, 0)?;
    let line = begin.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(begin.first().is_none_or(|&byte| byte == 0) || header::is_header(line))
}

fn is_regular(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    match disk.open(path, Open::Read) {
        Err(error) if is_not_regular(&error) => Ok(false),
        opened => opened.map(|_| true),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make files as an operator would")]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn configuration_file_links_and_directories_are_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |number: u32| directory.path().join(format!("p.json.edited-{number}.tmp"));
        std::fs::write(path(1), "a copy").unwrap();
        std::fs::write(path(2), "the configuration").unwrap();
        std::os::unix::fs::symlink(path(2), path(3)).unwrap();
        std::fs::create_dir(path(4)).unwrap();
        let removed = remove(&RealDisk, directory.path(), &path(2)).unwrap();
        assert!(matches!(&removed[..], [(removed, Ok(()))] if *removed == path(1)), "{removed:?}");
        assert!(!path(1).exists());
        assert!((2..=4).all(|number| path(number).symlink_metadata().is_ok()));
    }
}
