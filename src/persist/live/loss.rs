//! Writes the data file again if it was removed, replaced or cut, also if the project receives no writes.
//!
//! ```text
//! in place ................. nothing to do
//! removed, or not a file ... written again at once
//! changed .................. looked at again a second later, because another program may still write to it
//! changed, an edit ......... left to the next checkpoint, which keeps it as a copy
//! changed, not an edit ..... written again
//! ```
//! Until then a crash loses the values: a start refuses the journal without them.

use super::checkpoint::Need;
use super::checkpoint_error::CheckpointError;
use super::external_edit::{self, Content, Edit};
use super::journal::SeenEdit;
use super::maintenance::RETRY_ADVICE;
use super::project::{Files, Project};
use crate::limits::FILES_LOOK_AFTER_MS;
use crate::persist::start::recovery::ValueCache;
use std::sync::Arc;
use std::time::{Duration, Instant};

enum Look {
    Fine,
    /// The check is to be repeated then.
    Early(Instant),
    /// A start would not find the values.
    Lost,
}

impl Project {
    /// Checks the data file and writes it again if a start would not find the values in it. Returns when to check
    /// again. Blocks for the disk.
    pub(super) fn look_at_values(self: &Arc<Self>, now_ms: u64, now: Instant) -> Option<Instant> {
        let files = self.files.as_ref()?;
        match self.look(files, now)? {
            Look::Fine => None,
            Look::Early(due) => Some(due),
            Look::Lost => {
                match self.checkpoint_for(Need::Edit, now_ms, now) {
                    // Why it stopped is logged.
                    Ok(()) | Err(CheckpointError::Stopped) => {}
                    Err(error) => self.log_unwritten("values", &error, RETRY_ADVICE),
                }
                files.journal.lock().ok()?.retry_at
            }
        }
    }

    /// `None` if a thread panicked while it held the journal.
    fn look(&self, files: &Files, now: Instant) -> Option<Look> {
        let (stamp, header) = {
            let mut journal = files.journal.lock().ok()?;
            let found = external_edit::find_edit(files, &journal);
            if matches!(found, Ok(None)) {
                journal.seen_edit = None;
                return Some(Look::Fine);
            }
            if let Some(retry) = journal.retry_at.filter(|&retry| retry > now) {
                return Some(Look::Early(retry));
            }
            let Ok(Some(Edit::Changed(stamp))) = found else { return Some(Look::Lost) };
            match journal.seen_edit {
                Some(seen) if seen == (SeenEdit { stamp, is_edit: true }) => return Some(Look::Fine),
                Some(seen) if seen.stamp == stamp => {}
                Some(_) | None => {
                    journal.seen_edit = Some(SeenEdit { stamp, is_edit: false });
                    return Some(Look::Early(now + Duration::from_millis(FILES_LOOK_AFTER_MS)));
                }
            }
            (stamp, journal.header.clone())
        };
        // Read without the lock, because it may be large.
        if !external_edit::content_of(files, &header).is_ok_and(|content| content == Content::Edited) {
            return Some(Look::Lost);
        }
        files.journal.lock().ok()?.seen_edit = Some(SeenEdit { stamp, is_edit: true });
        self.log_edit(files);
        Some(Look::Fine)
    }

    fn log_edit(&self, files: &Files) {
        let (id, path) = (&self.id, files.paths.json.display());
        let effect = match files.cache {
            ValueCache::Memory => {
                "the next checkpoint keeps the edit as a copy, and writes what the server has"
            }
            ValueCache::Disk => {
                "the next checkpoint ends all writes to the project until the server is restarted"
            }
        };
        log::warn!("project {id}: {path} was edited while the server was running; {effect}");
    }
}
