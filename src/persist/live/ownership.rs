//! Whether a project's journal still belongs to it: it is in the directory that was opened, has its name, and has
//! the length that the server left. Checked before each write and each checkpoint, and a moment after the last
//! write, because a file without its name is found by no start.

use super::journal::Journal;
use super::project::{Files, Project};
use crate::disk::Status;
use crate::limits::FILES_FRESH_MS;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a file no longer belongs to the project. It is neither written nor cut from then on, because it may belong to
/// another process. Carried in an [`io::Error`].
#[derive(Debug)]
pub(super) enum NotOurs {
    /// The directory or its lock was replaced. That is logged already.
    Directory(String),
    /// The journal was removed, replaced or cut.
    Journal(String),
}

impl NotOurs {
    /// The cause in `error`, if it is one of these.
    pub(super) fn of(error: &io::Error) -> Option<&NotOurs> {
        error.get_ref()?.downcast_ref()
    }
}

impl Project {
    /// Appends to the journal if it belongs to the project, both before and after the write.
    pub(super) fn append(
        &self,
        files: &Files,
        journal: &mut Journal,
        bytes: &mut [u8],
        now: Instant,
    ) -> io::Result<()> {
        self.check_before_write(files, journal, now)?;
        // Checked between the write and the sync: a second server that creates its lock file after this check reads the
        // journal even later, and finds what was written.
        journal.append(bytes, files.sync, || {
            self.queues.check_lock().map_err(|reason| NotOurs::Directory(reason.to_owned()).into())
        })
    }

    /// Checks that the directory, its lock and the journal are the ones that were opened. No call accesses the device.
    pub(super) fn check_files(&self, files: &Files, journal: &Journal) -> io::Result<()> {
        self.queues.check_directory().map_err(|reason| NotOurs::Directory(reason.to_owned()))?;
        check_journal(files, journal)
    }

    /// Refuses to write to a file that is not ours, or past the end of one that was cut. The names are checked
    /// only from time to time: `stat` on a journal makes the next write to it slower, because the file system
    /// then records a new timestamp. Measured on Linux 6.18; multigrain timestamps are the likely reason.
    fn check_before_write(&self, files: &Files, journal: &mut Journal, now: Instant) -> io::Result<()> {
        let is_fresh =
            |at: Instant| now.saturating_duration_since(at) < Duration::from_millis(FILES_FRESH_MS);
        if journal.checked_at.is_some_and(is_fresh) && journal.has_length(journal.file.length()?) {
            return Ok(());
        }
        self.check_files(files, journal)?;
        journal.checked_at = Some(now);
        Ok(())
    }

    /// Schedules a check of the project's files although nothing is written.
    pub fn look_soon(self: &Arc<Self>, now: Instant) {
        if self.files.is_some() {
            self.queues.schedule(self, now);
        }
    }

    /// Checks the files of a project that takes writes. If the journal no longer belongs to it, the project stops
    /// taking writes. Returns whether the project is sound. Blocks for the disk.
    pub(super) fn look_at_files(self: &Arc<Self>) -> bool {
        let Some(files) = &self.files else { return true };
        let Ok(mut journal) = files.journal.lock() else { return false };
        if self.lock().map_or(true, |state| state.health.has_ended()) {
            return false;
        }
        let Err(failure) = self.check_files(files, &journal) else { return true };
        self.rollback(&files.paths, &mut journal, &failure);
        false
    }
}

/// Checks that the journal has its name and the length that the server left.
fn check_journal(files: &Files, journal: &Journal) -> io::Result<()> {
    let path = &files.paths.journal;
    let found = match files.disk.status(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        found => Some(found?),
    };
    match found {
        Some(status) if status.identity == journal.identity && journal.has_length(status.length) => Ok(()),
        found => Err(NotOurs::Journal(what_happened(path, found, journal)).into()),
    }
}

fn what_happened(path: &Path, found: Option<Status>, journal: &Journal) -> String {
    let path = path.display();
    match found {
        None => format!("{path}: was removed or moved while the server was running"),
        Some(status) if status.identity != journal.identity => {
            format!("{path}: was replaced by another file while the server was running")
        }
        Some(status) => format!(
            "{path}: has {} bytes, but the server left {}; another program wrote to it or cut it while the server was running",
            status.length,
            journal.end.max(journal.reserve_end)
        ),
    }
}

impl From<NotOurs> for io::Error {
    fn from(not_ours: NotOurs) -> io::Error {
        io::Error::other(not_ours)
    }
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (NotOurs::Directory(reason) | NotOurs::Journal(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for NotOurs {}
