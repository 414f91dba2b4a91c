//! Writes a journal again at a start, so that all of it is known to be on the disk.
//!
//! After a failed sync the page cache may hold data that never reached the disk: a start reads it, and no later
//! sync writes it. Therefore a journal with changes is copied, line by line, to a new file, which is synced and
//! renamed. A crash in between leaves the old file or the new one; both have the same content.
//!
//! A journal without changes was synced before it got its name, and is used as it is.

use super::recovery_error::{FileProblem, RecoveryError, io_error};
use crate::disk::{Disk, DiskFile, Open, Others, is_disk_full, write_all_at};
use crate::persist::files::generation::{JournalFile, Paths, remove_if_exists, renewed_path, was_refused};
use crate::persist::files::header::{self, Header};
use crate::persist::files::line_copy::{Lines, Target, copy_lines, damaged_at, write_again};
use crate::persist::files::seed::Seed;
use std::io;
use std::sync::Arc;

pub(crate) struct RenewedJournal {
    pub(crate) journal: JournalFile,
    /// Whether its changes may not be on the disk yet, because the disk is full.
    pub(crate) is_unsure: bool,
    /// Text for the log, if the journal could not be copied.
    pub(crate) notice: Option<String>,
}

/// Writes a journal again if needed. It has `length` bytes; a torn tail and a reserve may follow the changes.
///
/// # Errors
/// As the disk returns them; [`FileProblem::Corrupt`] if it is damaged by now.
pub(crate) fn renew(
    disk: &dyn Disk,
    paths: &Paths,
    old: JournalFile,
    length: u64,
) -> Result<RenewedJournal, RecoveryError> {
    // With a second name it is part of a hard-linked copy of the directory, which must not change.
    let is_shared = old.file.status().map_err(io_error(&paths.journal))?.links > 1;
    let is_whole = length == old.changes_start && old.header.seed != Seed::NONE;
    if is_whole && !is_shared {
        return Ok(RenewedJournal { journal: old, is_unsure: false, notice: None });
    }
    let refused = match copy_to_new(disk, paths, &old) {
        Ok(journal) => {
            disk.sync_directory(paths.directory()).map_err(io_error(paths.directory()))?;
            return Ok(RenewedJournal { journal, is_unsure: false, notice: None });
        }
        Err(error) if was_refused(&error) && !is_shared => error,
        Err(error) => return Err(recovery_error(paths, &error)),
    };
    let path = renewed_path(paths);
    remove_if_exists(disk, &path).map_err(io_error(&path))?;
    let lines = old.changes();
    let is_unsure = match write_again(&lines, lines.start) {
        Ok(()) => false,
        // Reads are served. The first write tries again, and is refused until there is disk space.
        Err(error) if is_disk_full(&error) => true,
        Err(error) => return Err(recovery_error(paths, &error)),
    };
    let outcome = if is_unsure {
        "nor in place; writes get 507 until there is disk space"
    } else {
        "so it was written again in place"
    };
    let path = paths.journal.display();
    let notice = format!("{path}: could not be written again to a new file ({refused}), {outcome}");
    Ok(RenewedJournal { journal: old, is_unsure, notice: Some(notice) })
}

/// Copies the journal and renames the copy. The rename is not durable yet.
fn copy_to_new(disk: &dyn Disk, paths: &Paths, old: &JournalFile) -> io::Result<JournalFile> {
    let path = renewed_path(paths);
    let header = Header { seed: Seed::draw(old.header.generation), ..old.header.clone() };
    let file: Arc<dyn DiskFile> = disk.open(&path, Open::Create)?.into();
    write_all_at(file.as_ref(), &header::encode(&header), 0)?;
    let source = Lines { start: old.header.bytes(), ..old.changes() };
    let target = Target { file: file.as_ref(), seed: header.seed, start: header.bytes() };
    let end = copy_lines(&source, &target)?;
    disk.keep_permissions(&path, &paths.journal, Others::Kept);
    file.sync()?;
    disk.rename(&path, &paths.journal)?;
    let changes_start = end - (old.end - old.changes_start);
    Ok(JournalFile { file, header, changes_start, end })
}

fn recovery_error(paths: &Paths, error: &io::Error) -> RecoveryError {
    let problem = match damaged_at(error) {
        Some(offset) => FileProblem::Corrupt { offset },
        None => {
            let text = format!("it could not be written again at the start: {error}");
            FileProblem::Io(io::Error::new(error.kind(), text))
        }
    };
    problem.of(&paths.journal)
}
