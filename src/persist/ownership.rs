//! Whether a project's journal is still its own: in the directory that was opened, under its name, and as
//! long as it was left. Looked at before something is written, before each checkpoint, and once more a moment
//! after the last write, so that nothing stays for long in a file that no start finds.

use super::journal::{AppendError, Journal};
use super::project::{Durable, Health, Project};
use super::ticket::Outcome;
use crate::disk::Status;
use crate::limits::FILES_FRESH_MS;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a file is not the project's any more. Nothing more is written to it then, nor is it cut: it may belong
/// to somebody else. Travels in an [`io::Error`].
#[derive(Debug)]
pub(super) enum NotOurs {
    /// The directory, or its lock. The log has it already.
    Directory(String),
    /// The journal.
    Journal(String),
}

impl NotOurs {
    /// What `error` is, if it is one of these.
    pub(super) fn of(error: &io::Error) -> Option<&NotOurs> {
        error.get_ref()?.downcast_ref()
    }
}

impl Project {
    /// Appends to the journal if it is the project's, before and after.
    pub(super) fn append(
        &self,
        durable: &Durable,
        journal: &mut Journal,
        bytes: &mut [u8],
        now: Instant,
    ) -> Result<(), AppendError> {
        self.check_before_write(durable, journal, now)?;
        // Between the write and the sync: a second server that is not seen here creates its lock file later, and
        // then reads what was written.
        journal.append(bytes, durable.sync, || {
            self.engine.check_lock().map_err(|reason| NotOurs::Directory(reason.to_owned()).into())
        })
    }

    /// Whether the directory, its lock and the journal are what they were. None of the calls reaches the medium.
    pub(super) fn check_files(&self, durable: &Durable, journal: &Journal) -> Result<(), AppendError> {
        self.engine.check_directory().map_err(|reason| NotOurs::Directory(reason.to_owned()))?;
        check_journal(durable, journal)
    }

    /// Nothing is written to a file that is not ours, nor past the end of one that was cut. The names are looked
    /// at from time to time only: to ask for the state of a journal makes the next write to it slower, because
    /// the file system then records a new time for it. Measured on Linux 6.18; multigrain timestamps are the likely
    /// reason.
    fn check_before_write(
        &self,
        durable: &Durable,
        journal: &mut Journal,
        now: Instant,
    ) -> Result<(), AppendError> {
        let is_fresh =
            |at: Instant| now.saturating_duration_since(at) < Duration::from_millis(FILES_FRESH_MS);
        if journal.checked_at.is_some_and(is_fresh)
            && journal.has_length(journal.file.length().map_err(failed)?)
        {
            return Ok(());
        }
        self.check_files(durable, journal)?;
        journal.checked_at = Some(now);
        Ok(())
    }

    /// Has the maintenance thread look at the project's files, although nothing is written.
    pub fn look_soon(self: &Arc<Self>, now: Instant) {
        if self.durable.is_some() {
            self.engine.schedule(self, now);
        }
    }

    /// Looks at the files of a project that takes writes. One whose journal is not its own takes none from
    /// here on. Returns whether all is well. Blocks for the disk.
    pub(super) fn look_at_files(self: &Arc<Self>) -> bool {
        let Some(durable) = &self.durable else { return true };
        let Ok(mut journal) = durable.journal.lock() else { return false };
        if self.lock().map_or(true, |state| matches!(state.health, Health::Failed { .. })) {
            return false;
        }
        let Err(failure) = self.check_files(durable, &journal) else { return true };
        self.take_back(&durable.paths, &mut journal, &failure);
        self.engine.resolved();
        false
    }
}

/// Whether the journal has its name and the length that it was left with.
fn check_journal(durable: &Durable, journal: &Journal) -> Result<(), AppendError> {
    let path = &durable.paths.journal;
    let found = match durable.disk.status(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        found => Some(found.map_err(failed)?),
    };
    match found {
        Some(status) if status.identity == journal.identity && journal.has_length(status.length) => Ok(()),
        found => Err(NotOurs::Journal(what_happened(path, found, journal)).into()),
    }
}

fn failed(error: io::Error) -> AppendError {
    AppendError { outcome: Outcome::Failed, error }
}

/// What the log and the operator are told.
fn what_happened(path: &Path, found: Option<Status>, journal: &Journal) -> String {
    let path = path.display();
    match found {
        None => format!("{path}: was removed or moved while the server runs"),
        Some(status) if status.identity != journal.identity => {
            format!("{path}: was replaced by another file while the server runs")
        }
        Some(status) => format!(
            "{path}: has {} bytes and not those that the server left; something else wrote to it or cut it while the server runs",
            status.length
        ),
    }
}

impl From<NotOurs> for AppendError {
    fn from(not_ours: NotOurs) -> AppendError {
        AppendError { outcome: Outcome::Failed, error: io::Error::other(not_ours) }
    }
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (NotOurs::Directory(reason) | NotOurs::Journal(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for NotOurs {}
