//! A data file that was edited, removed, replaced or cut while the server runs, which is unsupported and must not
//! lose anything.

use super::checkpoint_error::CheckpointError;
use super::journal::Journal;
use super::project::{Files, Project};
use crate::disk::{Open, Stamp};
use crate::persist::files::header::Header;
use crate::persist::files::preserved_copies::{self, PreservedCopy};
use crate::persist::files::sequential::checksum_of;
use crate::persist::start::edited_file::{EditedFile, EditedFileError};
use crate::persist::start::recovery::ValueCache;
use std::io::{self, ErrorKind};

/// A change to the data file by another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Removed,
    /// The file with its name was written later, and has this stamp.
    Changed(Stamp),
}

/// The content of a changed data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// What the server wrote: it is a copy, which may not be on the disk.
    Same,
    /// An edit, which a start imports.
    Edited,
    /// What a start refuses: it was cut, or it is no data file, or an earlier one of this project.
    Unusable,
}

impl Project {
    /// Checks that a checkpoint loses nothing when it replaces the data file, and keeps an edit as a copy. If there is
    /// an edit and the values are read from that file, the project stops, and the next start imports the edit or asks
    /// for a decision.
    pub(super) fn detect_external_edit(
        &self,
        files: &Files,
        journal: &Journal,
    ) -> Result<(), CheckpointError> {
        self.check_values(files, journal)?;
        self.keep_edit(files, journal)
    }

    /// If the values are read from their file, checks that all of them can still be read. If not, or if the file was
    /// edited, the project stops. A file that was removed or replaced is still open, and has them.
    pub(super) fn check_values(&self, files: &Files, journal: &Journal) -> Result<(), CheckpointError> {
        if files.cache == ValueCache::Memory {
            return Ok(());
        }
        let is_edited = match find_edit(files, journal)? {
            None => return Ok(()),
            Some(Edit::Removed) => false,
            Some(Edit::Changed(_)) => content_of(files, &journal.header)? == Content::Edited,
        };
        if !is_edited && self.has_open_values()? {
            return Ok(());
        }
        let path = files.paths.json.display();
        let reason = format!("{path}: was edited or cut while the server was running");
        log::error!("project {}: {reason}; it takes no more writes until the server is restarted", self.id);
        if let Ok(mut state) = self.lock() {
            state.fail(reason);
        }
        Err(CheckpointError::Stopped)
    }

    /// Whether the open files that values are read from are as they were written.
    fn has_open_values(&self) -> io::Result<bool> {
        let files = self.lock().map(|state| state.open_files.files()).unwrap_or_default();
        for file in files {
            if !file.is_unchanged()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies a changed data file, which is about to be replaced.
    pub(super) fn keep_edit(&self, files: &Files, journal: &Journal) -> Result<(), CheckpointError> {
        let (id, path) = (&self.id, files.paths.json.display());
        match find_edit(files, journal)? {
            None => {}
            Some(Edit::Removed) => {
                log::warn!(
                    "project {id}: {path} was removed while the server was running; it is written again"
                );
            }
            Some(Edit::Changed(stamp)) if stamp.length == 0 => {
                log::warn!(
                    "project {id}: {path} was cut to 0 bytes while the server was running; it is written again"
                );
            }
            Some(Edit::Changed(_)) => {
                let content = content_of(files, &journal.header)?;
                if content == Content::Same {
                    log::warn!(
                        "project {id}: {path} was replaced by a copy while the server was running; it is written again"
                    );
                    return Ok(());
                }
                let number = journal.header.generation;
                let copy = preserved_copies::preserve(
                    files.disk.as_ref(),
                    &files.paths,
                    PreservedCopy::Edited,
                    number,
                )?;
                let copy = copy.display();
                if content == Content::Edited {
                    log::warn!(
                        "project {id}: {path} was edited while the server was running; the edit is kept as {copy}, and the \
                         server keeps using what it has"
                    );
                } else {
                    log::warn!(
                        "project {id}: {path} was cut or replaced while the server was running; what was found is kept as \
                         {copy}, and the file is written again"
                    );
                }
            }
        }
        Ok(())
    }
}

/// Whether the data file is still the one that was written with `journal`.
pub(super) fn has_values_in_place(files: &Files, journal: &Journal) -> bool {
    matches!(find_edit(files, journal), Ok(None))
}

/// Whether a start would find neither the values that were written with `journal` nor an edit of them.
pub(super) fn has_lost_values(files: &Files, journal: &Journal) -> bool {
    match find_edit(files, journal) {
        Ok(None) => false,
        Ok(Some(Edit::Changed(_))) => {
            !content_of(files, &journal.header).is_ok_and(|content| content == Content::Edited)
        }
        Ok(Some(Edit::Removed)) | Err(_) => true,
    }
}

/// Compares the data file with the one that was written with `journal`, by its stamp.
pub(super) fn find_edit(files: &Files, journal: &Journal) -> io::Result<Option<Edit>> {
    match files.disk.open(&files.paths.json, Open::Read).and_then(|file| file.stamp()) {
        Ok(stamp) if stamp == journal.json_stamp => Ok(None),
        Ok(stamp) => Ok(Some(Edit::Changed(stamp))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(Edit::Removed)),
        Err(error) => Err(error),
    }
}

/// Reads a data file that was changed. `header` is that of the journal.
pub(super) fn content_of(files: &Files, header: &Header) -> io::Result<Content> {
    let file = files.disk.open(&files.paths.json, Open::Read)?;
    let crc32 = checksum_of(file.as_ref())?;
    if crc32 == header.json_crc32 && file.length()? == header.json_bytes {
        return Ok(Content::Same);
    }
    if header.before.contains(&crc32) {
        return Ok(Content::Unusable);
    }
    match EditedFile::new(file.as_ref(), files.paths.key_rule).read_keys() {
        Ok(_) => Ok(Content::Edited),
        Err(EditedFileError::Invalid(_)) => Ok(Content::Unusable),
        Err(EditedFileError::Io(error)) => Err(error),
    }
}
