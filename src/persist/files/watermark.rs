//! `pikv.revision`: an upper bound of all revisions in use. None is used twice, even if the clock is set back.
//!
//! ```text
//! start  revisions begin after the number, or at the clock; the file gets a higher number, for what follows
//! end    the file gets the number that was reached
//! ```
//! The files of a project record its revisions. If they do not (a deleted project, one in memory, changes that were
//! never synced, a `.json` without its journal) this file does: every revision that is assigned between two starts is
//! at most the number in it. See [decision 42].
//!
//! [decision 42]: ../../docs/decisions/0042-a-watermark-of-revisions.md

use super::own_files::REVISION_FILE;
use crate::disk::{self, Disk};
use crate::limits::{REVISIONS_RESERVED, WATERMARK_FILE_BYTES_MAX};
use crate::store::change::Revision;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The highest number in the file; a quarter of all revisions is above it.
const RESERVED_MAX: Revision = Revision::three_quarters();

pub fn path_in(directory: &Path) -> PathBuf {
    directory.join(REVISION_FILE)
}

/// The number in the file, `None` if there is no file.
///
/// # Errors
/// As the disk returns them; `InvalidData` if the file holds something else.
pub fn load(disk: &dyn Disk, directory: &Path) -> io::Result<Option<Revision>> {
    let text = match disk::load(disk, &path_in(directory), WATERMARK_FILE_BYTES_MAX) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        loaded => loaded?,
    };
    let number = str::from_utf8(&text).ok().and_then(|text| text.trim_ascii().parse().ok());
    let revision = number.and_then(Revision::new).filter(|revision| *revision <= RESERVED_MAX);
    let advice = || {
        let text = format!(
            "it must hold one whole number up to {RESERVED_MAX}; restore it from a backup. Without it revisions begin \
             at the clock: remove the file if the clock is right"
        );
        io::Error::new(ErrorKind::InvalidData, text)
    };
    revision.map(Some).ok_or_else(advice)
}

/// The revision after which a project begins at `now_ms` that has no revisions of its own.
pub fn begin(disk: &dyn Disk, directory: &Path, now_ms: u64) -> io::Result<Revision> {
    Ok(Revision::at_clock(now_ms).max(load(disk, directory)?.unwrap_or_default()))
}

/// The latest revisions of all projects of a process.
#[derive(Debug, Default)]
pub struct Watermark {
    /// The highest revision of the projects that were closed, at least the number that the start read.
    closed: AtomicU64,
    /// The highest revision that a project had when it was opened.
    opened: AtomicU64,
    /// The revision after which projects begin, once revisions are reserved. Until then they begin at the clock.
    begin: AtomicU64,
    /// The number in the file: an upper bound of the revisions that no other file remembers.
    reserved: AtomicU64,
}

impl Watermark {
    /// The revision after which a project begins that is opened at `now_ms` and has no revisions of its own.
    pub(crate) fn begin(&self, now_ms: u64) -> Revision {
        let clock = match revision(&self.begin) {
            Revision::ZERO => Revision::at_clock(now_ms),
            begin => begin, // the clock may have passed the reservation by now
        };
        clock.max(revision(&self.closed))
    }

    /// Notes the latest revision of a project that was opened.
    pub(crate) fn opened(&self, revision: Revision) {
        self.opened.fetch_max(revision.get(), Ordering::AcqRel);
    }

    /// Notes the last revision of a project that takes no more writes.
    pub(crate) fn closed(&self, revision: Revision) {
        self.closed.fetch_max(revision.get(), Ordering::AcqRel);
    }

    /// Makes all projects begin after the number in the file.
    pub fn read(&self, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
        if let Some(revision) = load(disk, directory)? {
            self.closed(revision);
        }
        Ok(())
    }

    /// Reserves the revisions after those of all open projects, before the first is assigned.
    pub fn reserve(&self, disk: &dyn Disk, directory: &Path, now_ms: u64) -> io::Result<()> {
        let begin = self.begin(now_ms);
        self.begin.store(begin.get(), Ordering::Release);
        let reached = begin.max(revision(&self.opened));
        self.save(disk, directory, reserve_after(reached))
    }

    /// Records the revisions of a project that was closed and is about to be deleted. Writes the file only if a run
    /// used more revisions than were reserved.
    pub fn keep(&self, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
        let closed = revision(&self.closed);
        if closed <= revision(&self.reserved) {
            return Ok(());
        }
        self.save(disk, directory, reserve_after(closed))
    }

    /// Returns the unused part of the reservation, after all projects are closed.
    ///
    /// # Errors
    /// As the disk returns them; the old number then stays, which is valid.
    pub fn release(&self, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
        self.save(disk, directory, self.begin(0).max(revision(&self.opened)))
    }

    fn save(&self, disk: &dyn Disk, directory: &Path, number: Revision) -> io::Result<()> {
        let number = number.min(RESERVED_MAX);
        disk::replace(disk, &path_in(directory), format!("{number}\n").as_bytes())?;
        self.reserved.store(number.get(), Ordering::Release);
        Ok(())
    }
}

fn revision(number: &AtomicU64) -> Revision {
    Revision::new(number.load(Ordering::Acquire)).unwrap_or(Revision::MAX)
}

fn reserve_after(revision: Revision) -> Revision {
    revision.advanced(REVISIONS_RESERVED).unwrap_or(RESERVED_MAX)
}
