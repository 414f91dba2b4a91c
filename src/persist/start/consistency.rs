//! Whether the two files of a project belong together.
//!
//! The header of a journal identifies its values by length and checksum. The only repair here is to complete an
//! interrupted swap of files; edits are not imported.

use super::recovery_error::{FileProblem, RecoveryError, bad_line, io_error};
use crate::disk::{Disk, DiskFile, Open, temporary_path};
use crate::json;
use crate::limits::FIRST_READ_BYTES;
use crate::persist::files::generation::Paths;
use crate::persist::files::header::{self, Header};
use crate::persist::files::record::{self, Line};
use crate::persist::files::seed::Seed;
use crate::persist::files::sequential::{LineReader, checksum_of};
use std::path::Path;

/// Whether the files of a project are consistent, so that a start needs no decision of the operator.
pub(crate) fn is_consistent(disk: &dyn Disk, paths: &Paths) -> Result<bool, RecoveryError> {
    if !disk.exists(&paths.json).map_err(io_error(&paths.json))? {
        return Err(FileProblem::ValuesMissing.of(&paths.json));
    }
    let journal = disk.open(&paths.journal, Open::Read).map_err(io_error(&paths.journal))?;
    let header = read_header(journal.as_ref(), &paths.journal)?;
    Ok(fits(disk, &paths.json, &header)? || complete_interrupted_checkpoint(disk, paths)?)
}

/// Does the second rename of a checkpoint that was interrupted before it. Returns whether there was one.
pub(crate) fn complete_interrupted_checkpoint(disk: &dyn Disk, paths: &Paths) -> Result<bool, RecoveryError> {
    let temporary = temporary_path(&paths.journal);
    if !disk.exists(&temporary).map_err(io_error(&temporary))? {
        return Ok(false);
    }
    let journal = disk.open(&temporary, Open::Read).map_err(io_error(&temporary))?;
    let header = match read_header(journal.as_ref(), &temporary) {
        Ok(header) => header,
        Err(later @ RecoveryError { problem: FileProblem::LaterVersion { .. }, .. }) => return Err(later),
        Err(_) => return Ok(false),
    };
    if !fits(disk, &paths.json, &header)? || !has_metas(journal.as_ref(), &header, &temporary)? {
        return Ok(false);
    }
    disk.rename(&temporary, &paths.journal)
        .and_then(|()| disk.sync_directory(paths.directory()))
        .map_err(io_error(&paths.journal))?;
    Ok(true)
}

/// Whether the data file is the one that `header` describes.
fn fits(disk: &dyn Disk, json: &Path, header: &Header) -> Result<bool, RecoveryError> {
    let file = disk.open(json, Open::Read).map_err(io_error(json))?;
    if file.length().map_err(io_error(json))? != header.json_bytes {
        return Ok(false);
    }
    Ok(checksum_of(file.as_ref()).map_err(io_error(json))? == header.json_crc32)
}

/// Whether all meta lines exist. An import that was interrupted before it synced its journal may have left a header
/// without them, and values that equal the edited ones.
fn has_metas(journal: &dyn DiskFile, header: &Header, path: &Path) -> Result<bool, RecoveryError> {
    let mut lines = LineReader::new(journal, header.bytes());
    for _ in 0..header.keys {
        let line = lines.next_line().map_err(io_error(path))?.filter(|line| line.terminated);
        let Some(Line::Meta { .. }) = line.and_then(|line| record::decode_line(line.bytes, header.seed))
        else {
            return Ok(false);
        };
    }
    Ok(true)
}

/// Reads the header of a journal.
///
/// # Errors
/// [`FileProblem::LaterVersion`] for the header of another format, [`FileProblem::NotAJournal`] for a file that is
/// something else, [`FileProblem::Corrupt`] for a damaged header.
pub(crate) fn read_header(journal: &dyn DiskFile, path: &Path) -> Result<Header, RecoveryError> {
    let mut lines = LineReader::new(journal, 0);
    let line = lines.next_line().map_err(io_error(path))?;
    let line = line.filter(|line| line.terminated).map(|line| line.bytes).unwrap_or_default();
    if header::is_header(line) {
        return header::decode(line).ok_or_else(|| bad_line(line, Seed::NONE, path, 0));
    }
    if line.strip_suffix(b"\r").is_some_and(header::is_header) {
        let found = "its line ends were changed to CR LF, as some editors and git do";
        return Err(FileProblem::NotAJournal(found).of(path));
    }
    let mut begin = vec![0; FIRST_READ_BYTES];
    let count = journal.read_at(&mut begin, 0).map_err(io_error(path))?;
    let found = json::foreign_content(begin.get(..count).unwrap_or_default());
    Err(found.map_or(FileProblem::Corrupt { offset: 0 }, FileProblem::NotAJournal).of(path))
}
