//! `pikv.revision`: how far revisions may have gone, so that none is used twice although the clock was set back.
//!
//! ```text
//! start  revisions begin after the number, or at the clock; the file gets a higher number, for what follows
//! end    the file gets the number that was reached
//! ```
//! A project remembers its own revisions in its files. What has none to remember them (a project that was
//! deleted, one in memory, changes that were never synced, a `.json` without its journal) is covered by this
//! file: everything given out between two starts is at most the number in it. See [decision 42].
//!
//! [decision 42]: ../../docs/decisions/0042-a-watermark-of-revisions.md

use super::engine::Engine;
use super::own_files::REVISION_FILE;
use crate::disk::{self, Disk};
use crate::limits::{REVISIONS_RESERVED, WATERMARK_FILE_BYTES_MAX};
use crate::store::change::Revision;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The highest number in the file: a quarter of all revisions is left after it.
const RESERVED_MAX: Revision = Revision::three_quarters();

/// The file in `directory`.
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

/// Where revisions begin at `now_ms` that nothing else is known of.
///
/// # Errors
/// As [`load`].
pub fn begin(disk: &dyn Disk, directory: &Path, now_ms: u64) -> io::Result<Revision> {
    Ok(Revision::at_clock(now_ms).max(load(disk, directory)?.unwrap_or_default()))
}

/// How far the revisions of all projects of a process have gone.
#[derive(Debug, Default)]
pub struct Watermark {
    /// The highest one of the projects that were given up, or the number in the file.
    given_up: AtomicU64,
    /// The highest one that a project had when it was opened.
    opened: AtomicU64,
    /// Where they begin from the reservation on. Until then they begin at the clock.
    begin: AtomicU64,
    /// The number in the file: none is given out above it and lost.
    reserved: AtomicU64,
}

impl Watermark {
    /// Where the revisions of a project begin that is opened at `now_ms` and knows nothing of its own.
    pub(super) fn begin(&self, now_ms: u64) -> Revision {
        let clock = match revision(&self.begin) {
            Revision::ZERO => Revision::at_clock(now_ms),
            begin => begin, // the clock may have left behind by now what is reserved
        };
        clock.max(revision(&self.given_up))
    }

    /// Notes how far the revisions of a project are that was opened.
    pub(super) fn opened(&self, revision: Revision) {
        self.opened.fetch_max(revision.get(), Ordering::AcqRel);
    }

    /// Notes how far the revisions of a project went that takes no more writes.
    pub(super) fn given_up(&self, revision: Revision) {
        self.given_up.fetch_max(revision.get(), Ordering::AcqRel);
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

impl Engine {
    /// Has the revisions of all projects begin after the number in the file.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load_watermark(&self, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
        if let Some(revision) = load(disk, directory)? {
            self.watermark.given_up(revision);
        }
        Ok(())
    }

    /// Reserves the revisions that follow those of all projects that are open, before the first is given out.
    ///
    /// # Errors
    /// As the disk returns them.
    pub fn reserve_revisions(&self, disk: &dyn Disk, directory: &Path, now_ms: u64) -> io::Result<()> {
        let watermark = &self.watermark;
        let begin = watermark.begin(now_ms);
        watermark.begin.store(begin.get(), Ordering::Release);
        let reached = begin.max(revision(&watermark.opened));
        watermark.save(disk, directory, reserve_after(reached))
    }

    /// Has the file remember the revisions of a project that was given up and is about to be deleted. A run that
    /// makes fewer changes than are reserved never writes the file for it.
    ///
    /// # Errors
    /// As the disk returns them.
    pub fn keep_watermark(&self, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
        let watermark = &self.watermark;
        let given_up = revision(&watermark.given_up);
        if given_up <= revision(&watermark.reserved) {
            return Ok(());
        }
        watermark.save(disk, directory, reserve_after(given_up))
    }

    /// Gives back what was reserved and not used, once all projects are closed.
    ///
    /// # Errors
    /// As the disk returns them; the file is then as it was, and as good.
    pub fn release_revisions(&self, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
        let watermark = &self.watermark;
        watermark.save(disk, directory, watermark.begin(0).max(revision(&watermark.opened)))
    }
}
