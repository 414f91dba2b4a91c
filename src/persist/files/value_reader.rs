//! Values that lie only in a file: the open files of a project, and reading one value.

use super::generation::Pair;
use crate::disk::{DiskFile, Stamp, read_exact_at};
use crate::store::change::Location;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The number of the data file that a start finds. Checkpoints count up from that of the journal.
pub(crate) const JSON_FILE: u32 = 1;
/// The number of the journal that a start finds.
pub(crate) const JOURNAL_FILE: u32 = 2;

/// The location of the value `text`.
pub(crate) fn location_of(file: u32, offset: u64, text: &[u8]) -> Location {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    Location { file, offset, length, crc32: crc32fast::hash(text) }
}

/// The open files that locations of a project refer to.
#[derive(Default)]
pub(crate) struct FileTable {
    files: Vec<Arc<OpenFile>>,
}

/// A file with values. It stays readable after it was replaced.
pub(crate) struct OpenFile {
    number: u32,
    file: Arc<dyn DiskFile>,
    /// The project and the path, for the log.
    name: String,
    /// The stamp of a data file when it was written; `None` for a journal, which grows.
    stamp: Option<Stamp>,
}

impl OpenFile {
    /// Whether the file is as it was written. Always true of a journal.
    pub(crate) fn is_unchanged(&self) -> io::Result<bool> {
        self.stamp.map_or(Ok(true), |stamp| Ok(self.file.stamp()? == stamp))
    }
}

impl FileTable {
    /// Adds the files of `pair`: the journal under `number`, the data file under the one before. Neither number is
    /// in use. `names` are for the log.
    pub(crate) fn add(&mut self, number: u32, pair: &Pair, [json, journal]: [String; 2]) {
        let (json_file, journal_file) = (Arc::clone(&pair.json), Arc::clone(&pair.journal.file));
        let stamp = Some(pair.json_stamp);
        self.files.push(Arc::new(OpenFile { number: number - 1, file: json_file, name: json, stamp }));
        self.files.push(Arc::new(OpenFile { number, file: journal_file, name: journal, stamp: None }));
    }

    pub(crate) fn files(&self) -> Vec<Arc<OpenFile>> {
        self.files.clone()
    }

    /// Closes all files below `number`, once no location refers to them. Reads that have begun continue.
    pub(crate) fn forget_below(&mut self, number: u32) {
        self.files.retain(|file| file.number >= number);
    }

    /// The value at `location`, to be read without a lock.
    pub(crate) fn locate(&self, location: Location) -> Option<StoredValue> {
        let file = self.files.iter().find(|file| file.number == location.file)?;
        Some(StoredValue { file: Arc::clone(file), location })
    }
}

#[derive(Clone)]
pub struct StoredValue {
    file: Arc<OpenFile>,
    location: Location,
}

impl StoredValue {
    /// Appends the value's text to `out`; blocks for the disk.
    ///
    /// # Errors
    /// As the disk returns them; `InvalidData` if other bytes lie there now: the file was edited, or is damaged. `out`
    /// is then as it was.
    pub fn read_into(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let (start, Location { offset, length, crc32, .. }) = (out.len(), self.location);
        out.resize(start + length as usize, 0);
        let read = read_exact_at(self.file.file.as_ref(), out.get_mut(start..).unwrap_or_default(), offset);
        let is_right = read.is_ok() && crc32fast::hash(out.get(start..).unwrap_or_default()) == crc32;
        let ends_early = read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
        let read = if is_right || !(read.is_ok() || ends_early) { read } else { Err(damaged(offset)) };
        // If the file was edited, that is the problem to report.
        let read = self.check_stamp().and(read);
        if read.is_err() {
            out.truncate(start);
        }
        read
    }

    /// Logs that the value could not be read because of `error`, with the file and the fix.
    pub fn log_unread(&self, error: &io::Error) {
        let name = &self.file.name;
        if error.kind() == io::ErrorKind::InvalidData {
            log::error!("{name}: {error}"); // it has the fix
            return;
        }
        log::error!(
            "{name}: a value could not be read: {error}; check the disk, and if this continues, restore both files of \
             the project from a backup"
        );
    }

    /// Called after reading: an edit before that has changed the stamp.
    fn check_stamp(&self) -> io::Result<()> {
        if self.file.is_unchanged()? {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "was edited while the server was running, so no value is read from it; stop the server, correct the file, start again",
        ))
    }
}

/// The error for bytes at `offset` that are not the value that was written there.
fn damaged(offset: u64) -> io::Error {
    let problem = format!(
        "the value at byte {offset} is damaged, its checksum is wrong; check the disk, and restore both files of the \
         project from a backup, or write the value again"
    );
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredValue {{ offset: {}, length: {} }}", self.location.offset, self.location.length)
    }
}
