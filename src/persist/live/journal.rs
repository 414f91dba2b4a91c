//! The journal that a project appends to, and when it has grown enough for a checkpoint.

use crate::config::schema::SyncMode;
use crate::disk::{DiskFile, Identity, Stamp, is_disk_full, write_all_at};
use crate::limits::{
    CHECKPOINT_CHANGES_BYTES_MIN, CHECKPOINT_INTERVAL_MS, CHECKPOINT_QUIET_MS, CHECKPOINT_SMALL_BYTES,
    RESERVE_BYTES_MAX, RESERVE_CHANGES_BYTES_MIN,
};
use crate::persist::files::generation::{JournalFile, Pair};
use crate::persist::files::header::Header;
use crate::persist::files::record;
use crate::persist::files::value_reader::JOURNAL_FILE;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The content of a reserve. Shared by all writers: a buffer that each allocated would stay in its arena.
static SPACES: [u8; 64 * 1024] = [b' '; 64 * 1024];

pub(super) struct Journal {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) identity: Identity,
    /// The number in locations that refer to it.
    pub(super) number: u32,
    /// The offset for the next bytes.
    pub(super) end: u64,
    /// The end of the reserve: spaces after `end`, which the next changes overwrite. At most `end` if there is none.
    pub(super) reserve_end: u64,
    /// Everything up to here is known to be on the disk.
    pub(super) synced_end: u64,
    /// After a failure: the bytes from here to `end` may not be on the disk, and others may follow them; see
    /// `repair.rs`.
    pub(super) unsure_from: Option<u64>,
    /// The offset of the changes since the last checkpoint.
    pub(super) changes_start: u64,
    pub(super) header: Header,
    /// The stamp of the data file when it was written.
    pub(super) json_stamp: Stamp,
    /// A changed file that has the name of the data file.
    pub(super) seen_edit: Option<SeenEdit>,
    /// A write or sync found no disk space since the last checkpoint.
    pub(super) out_of_space: bool,
    /// Whether something was written that `sync: interval` still has to sync.
    pub(super) unsynced: bool,
    pub(super) written_at: Option<Instant>,
    /// The last check of its name and its directory before a write.
    pub(super) checked_at: Option<Instant>,
    pub(super) checkpointed_at: Option<Instant>,
    /// No checkpoint is tried before this, because one failed.
    pub(super) retry_at: Option<Instant>,
}

/// A changed data file, as the last check found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeenEdit {
    pub(super) stamp: Stamp,
    /// Whether it was read and is an edit.
    pub(super) is_edit: bool,
}

impl Journal {
    pub(super) fn opened(pair: &Pair, identity: Identity) -> Journal {
        let JournalFile { file, header, changes_start, end } = pair.journal.clone();
        Journal {
            file,
            identity,
            number: JOURNAL_FILE,
            end,
            reserve_end: end,
            synced_end: end,
            unsure_from: None,
            changes_start,
            header,
            json_stamp: pair.json_stamp,
            seen_edit: None,
            out_of_space: false,
            unsynced: false,
            written_at: None,
            checked_at: None,
            checkpointed_at: None,
            retry_at: None,
        }
    }

    /// Whether `length` is the length that the server left. Any length is, while a full disk leaves that unknown.
    pub(super) fn has_length(&self, length: u64) -> bool {
        self.is_unsure() || length == self.end.max(self.reserve_end)
    }

    /// Seals the lines in `bytes`, writes them at the end, and syncs them if `sync` is `Always`. `is_ours` is
    /// called between the two, and before anything is cut off; if it fails, the file is not touched again. A full
    /// disk leaves the journal as it was, and the caller may try again; any other failure ends its use.
    pub(super) fn append(
        &mut self,
        bytes: &mut [u8],
        sync: SyncMode,
        is_ours: impl Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        self.repair()?;
        record::seal(bytes, self.header.seed);
        let end = self.end + bytes.len() as u64;
        let written = write_all_at(self.file.as_ref(), bytes, self.end).and_then(|()| match sync {
            SyncMode::Always => self.reserve(end),
            SyncMode::Interval => Ok(()),
        });
        is_ours()?;
        if let Err(error) = written {
            return Err(self.write_failed(error));
        }
        if sync == SyncMode::Always {
            if let Err(error) = self.file.sync() {
                is_ours()?;
                return Err(self.sync_failed(error));
            }
            self.synced_end = end;
        } else {
            self.unsynced = true;
        }
        self.end = end;
        Ok(())
    }

    /// Fills the file with spaces after `end`, if the reserve is used up and the journal is large enough for one. A
    /// sync of bytes in a reserve has no new length and no new blocks to record in the file system, which halves its
    /// time, and on an SD card the bytes that it writes.
    fn reserve(&mut self, end: u64) -> io::Result<()> {
        let changes = end - self.changes_start;
        if end <= self.reserve_end || changes < RESERVE_CHANGES_BYTES_MIN || self.out_of_space {
            return Ok(());
        }
        let spaces = usize::try_from(changes).map_or(RESERVE_BYTES_MAX, |bytes| bytes.min(RESERVE_BYTES_MAX));
        let reserve_end = end + spaces as u64;
        match self.write_spaces(end, reserve_end) {
            Ok(()) => self.reserve_end = reserve_end,
            // The last space of a disk is for data.
            Err(error) if is_disk_full(&error) => {
                self.out_of_space = true;
                self.file.set_length(end)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn write_spaces(&self, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let left = usize::try_from(to - at).unwrap_or(usize::MAX);
            let piece = SPACES.get(..left).unwrap_or(&SPACES);
            write_all_at(self.file.as_ref(), piece, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    pub(super) fn begin_generation(&mut self, pair: &Pair, identity: Identity, now: Instant) {
        *self = Journal {
            number: self.number + 2,
            written_at: self.written_at,
            checkpointed_at: Some(now),
            ..Journal::opened(pair, identity)
        };
    }

    /// Bytes of changes since the last checkpoint.
    fn changes_bytes(&self) -> u64 {
        self.end - self.changes_start
    }

    /// When a checkpoint is due. A large one waits until the changes are larger than what it rewrites, so it writes at
    /// most twice the bytes of the journal.
    pub(super) fn checkpoint_due(&self, now: Instant) -> Option<Instant> {
        let (changes, rewritten) = (self.changes_bytes(), self.json_stamp.length + self.changes_start);
        if changes == 0 {
            return None;
        }
        let due = if changes >= rewritten.max(CHECKPOINT_CHANGES_BYTES_MIN) {
            now
        } else if rewritten <= CHECKPOINT_SMALL_BYTES {
            // Changes from before the project was opened do not wait.
            let quiet = self.written_at.map_or(now, |at| at + Duration::from_millis(CHECKPOINT_QUIET_MS));
            let apart = Duration::from_millis(CHECKPOINT_INTERVAL_MS);
            self.checkpointed_at.map_or(quiet, |last| quiet.max(last + apart))
        } else {
            return None;
        };
        Some(self.retry_at.map_or(due, |retry| due.max(retry)))
    }

    /// Whether there are changes that the data file does not have.
    pub(super) fn has_changes(&self) -> bool {
        self.changes_bytes() > 0
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
