//! Repairs the end of a journal after a failed write or sync.
//!
//! ```text
//! no disk space ---> cut to the acknowledged end, write its last bytes again, sync ---> as before (507)
//!                    no disk space for that either ---> the same before the next append (507)
//! any other error -> cut to the acknowledged end; nothing more is written to the file (503)
//! ```
//! After a failed sync the kernel treats the pages that it could not write as clean: the next sync writes nothing,
//! and readers see them until they are evicted. Therefore a refused batch is cut off before its answer leaves,
//! and what the sync should have written is written again before anything depends on it.

use super::journal::Journal;
use crate::disk::is_disk_full;
use crate::limits::{CHECKPOINT_RETRY_MS, PAGE_BYTES_MAX};
use crate::persist::files::line_copy::{Lines, write_again};
use std::io;
use std::time::{Duration, Instant};

impl Journal {
    /// Whether acknowledged changes may not be on the disk.
    pub(super) fn is_unsure(&self) -> bool {
        self.unsure_from.is_some()
    }

    /// Ends the use of the file: nothing is synced or written again.
    pub(super) fn retire(&mut self) {
        (self.unsure_from, self.unsynced) = (None, false);
    }

    /// When to repeat a repair that found no disk space, even if there are no writes.
    pub(super) fn repair_due(&self, now: Instant) -> Option<Instant> {
        self.unsure_from.map(|_| now + Duration::from_millis(CHECKPOINT_RETRY_MS))
    }

    /// Notes that the changes may not be on the disk.
    pub(super) fn mark_unsure(&mut self) {
        self.synced_end = self.changes_start;
        self.unsure_from = Some(self.last_synced_page());
    }

    /// Notes that a write failed. None of it is acknowledged.
    pub(super) fn write_failed(&mut self, error: io::Error) -> io::Error {
        self.append_failed(error, self.synced_end)
    }

    /// Notes that the sync of an append failed. None of it is acknowledged.
    pub(super) fn sync_failed(&mut self, error: io::Error) -> io::Error {
        self.append_failed(error, self.last_synced_page())
    }

    fn append_failed(&mut self, error: io::Error, unsure_from: u64) -> io::Error {
        self.reserve_end = self.end;
        if !is_disk_full(&error) {
            return self.ended_by(error);
        }
        self.out_of_space = true;
        self.unsure_from = Some(unsure_from);
        match self.repair() {
            Err(failed) if !is_disk_full(&failed) => failed,
            Ok(()) | Err(_) => error,
        }
    }

    /// Syncs what was acknowledged before it was synced.
    pub(super) fn sync_acknowledged(&mut self) -> io::Result<()> {
        if !self.is_unsure() {
            match self.file.sync() {
                Ok(()) => {
                    self.synced_end = self.end;
                    return Ok(());
                }
                Err(error) if is_disk_full(&error) => {
                    self.out_of_space = true;
                    self.unsure_from = Some(self.last_synced_page());
                }
                Err(error) => return Err(self.ended_by(error)),
            }
        }
        self.repair()
    }

    /// Writes again the bytes that may not be on the disk after an earlier failure.
    pub(super) fn repair(&mut self) -> io::Result<()> {
        let Some(from) = self.unsure_from else { return Ok(()) };
        let lines =
            Lines { file: self.file.as_ref(), seed: self.header.seed, start: self.synced_end, end: self.end };
        let error = match write_again(&lines, from) {
            Ok(()) => {
                (self.synced_end, self.reserve_end, self.unsure_from) = (self.end, self.end, None);
                return Ok(());
            }
            Err(error) => error,
        };
        if is_disk_full(&error) {
            // It may have been the sync that failed.
            self.unsure_from = Some(self.last_synced_page());
            return Err(error);
        }
        Err(self.ended_by(error))
    }

    /// Offset of the memory page with the last synced byte: the next sync writes that page as a whole.
    fn last_synced_page(&self) -> u64 {
        self.synced_end - self.synced_end % PAGE_BYTES_MAX
    }

    /// Ends the use of the file and cuts off the part of a refused batch, which the next start would apply.
    fn ended_by(&mut self, error: io::Error) -> io::Error {
        self.retire();
        let cut = self.file.set_length(self.end).and_then(|()| self.file.sync());
        match cut {
            Ok(()) => error,
            Err(uncut) => io::Error::new(
                error.kind(),
                format!("{error}; the next start may find the writes that were refused ({uncut})"),
            ),
        }
    }
}
