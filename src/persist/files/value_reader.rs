//! Values that only lie in a file: which files a project has open, and reading one value.

use crate::disk::{DiskFile, Stamp, read_exact_at};
use crate::store::change::Location;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

/// The number of the values' file that a start finds. Checkpoints continue from the journal's.
pub const JSON_FILE: u32 = 1;
/// The number of the journal that a start finds.
pub const JOURNAL_FILE: u32 = 2;
/// The number of the journal that a start appends to, if the changes have other offsets there than in the one
/// that it found.
pub const MOVED_JOURNAL_FILE: u32 = 3;

/// Where `text`, a value, lies in a file.
pub fn location_of(file: u32, offset: u64, text: &[u8]) -> Location {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    Location { file, offset, length, crc32: crc32fast::hash(text) }
}

/// The open files that locations of a project refer to.
#[derive(Default)]
pub struct FileTable {
    files: Vec<Numbered>,
}

struct Numbered {
    number: u32,
    file: Arc<dyn DiskFile>,
    /// What the log calls it: its project and its path.
    name: Arc<str>,
    /// The stamp of a values' file when it was written; `None` for a journal, which grows.
    stamp: Option<Stamp>,
    /// Shared with the values that were located before, because readers that wait for a sync have located theirs.
    diverted: Arc<OnceLock<Diversion>>,
}

/// Changes were meant for a new journal that did not come to be, and went into the old one instead:
/// offset `from` of a location is offset `to` of that file.
struct Diversion {
    file: Arc<dyn DiskFile>,
    from: u64,
    to: u64,
}

impl FileTable {
    /// Adds a journal under a number that is not in use. `name` is what the log calls it.
    pub fn add_journal(&mut self, number: u32, file: Arc<dyn DiskFile>, name: Arc<str>) {
        self.files.push(Numbered { number, file, name, stamp: None, diverted: Arc::default() });
    }

    /// Adds a values' file under a number that is not in use. `stamp` is what it was when it was written,
    /// `name` what the log calls it.
    pub fn add_values(&mut self, number: u32, file: Arc<dyn DiskFile>, stamp: Stamp, name: Arc<str>) {
        self.files.push(Numbered { number, file, name, stamp: Some(stamp), diverted: Arc::default() });
    }

    /// Points the locations under `number` at another file, offset `from` at its offset `to`, those that
    /// were given out before among them. A number is diverted once at most.
    pub fn divert(&mut self, number: u32, file: Arc<dyn DiskFile>, from: u64, to: u64) {
        if let Some(known) = self.files.iter().find(|known| known.number == number) {
            let first = known.diverted.set(Diversion { file, from, to }).is_ok();
            assert!(first, "each checkpoint has numbers of its own");
        }
    }

    /// The values' files that are open, with the stamps that they had when they were written.
    pub fn values(&self) -> Vec<(Arc<dyn DiskFile>, Stamp)> {
        let files = self.files.iter();
        files.filter_map(|known| Some((Arc::clone(&known.file), known.stamp?))).collect()
    }

    /// Closes one file. Reads that have begun continue.
    pub fn forget(&mut self, number: u32) {
        self.files.retain(|known| known.number != number);
    }

    /// Closes all files below `number`, once no location refers to them. Reads that have begun continue.
    pub fn forget_below(&mut self, number: u32) {
        self.files.retain(|known| known.number >= number);
    }

    /// The value at `location`, to be read without a lock.
    pub fn locate(&self, location: Location) -> Option<StoredValue> {
        let known = self.files.iter().find(|known| known.number == location.file)?;
        let (file, diverted) = (Arc::clone(&known.file), Arc::clone(&known.diverted));
        let Location { offset, length, crc32, .. } = location;
        Some(StoredValue {
            file,
            name: Arc::clone(&known.name),
            offset,
            length,
            crc32,
            stamp: known.stamp,
            diverted,
        })
    }
}

/// A value that lies in an open file, which stays readable even where it was replaced since.
#[derive(Clone)]
pub struct StoredValue {
    file: Arc<dyn DiskFile>,
    name: Arc<str>,
    offset: u64,
    length: u32,
    crc32: u32,
    stamp: Option<Stamp>,
    diverted: Arc<OnceLock<Diversion>>,
}

impl StoredValue {
    /// Appends the value's text to `out`; blocks for the disk.
    ///
    /// # Errors
    /// As the disk returns them; `InvalidData` if other bytes lie there now: the file was edited, or is damaged. `out`
    /// is then as it was.
    pub fn read_into(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + self.length as usize, 0);
        let (file, offset) = match self.diverted.get() {
            None => (self.file.as_ref(), self.offset),
            Some(diversion) => {
                (diversion.file.as_ref(), diversion.to + self.offset.saturating_sub(diversion.from))
            }
        };
        let read = read_exact_at(file, out.get_mut(start..).unwrap_or_default(), offset);
        let is_right = read.is_ok() && crc32fast::hash(out.get(start..).unwrap_or_default()) == self.crc32;
        let ends_early = read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
        let read = if is_right || !(read.is_ok() || ends_early) { read } else { Err(damaged(offset)) };
        // If the file was edited, that is what is wrong, and not what lies there now.
        let read = self.check_stamp().and(read);
        if read.is_err() {
            out.truncate(start);
        }
        read
    }

    /// Logs that the value could not be read because of `error`, with the file and the fix.
    pub fn log_unread(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::InvalidData {
            log::error!("{}: {error}", self.name); // it says what to do
            return;
        }
        log::error!(
            "{}: a value could not be read: {error}; check the disk, and if this continues, restore both files of the \
             project from a backup",
            self.name
        );
    }

    /// Asked after reading: an edit before that has changed the stamp.
    fn check_stamp(&self) -> io::Result<()> {
        match self.stamp {
            Some(stamp) if self.file.stamp()? != stamp => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "was edited while the server runs, so no value is read from it; stop the server, correct the file, start again",
            )),
            Some(_) | None => Ok(()),
        }
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
        write!(f, "StoredValue {{ offset: {}, length: {} }}", self.offset, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, Open, RealDisk, write_all_at};

    #[test]
    fn a_value_that_was_located_before_its_file_was_given_up_is_read_from_where_it_went() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| -> Arc<dyn DiskFile> {
            RealDisk.open(&directory.path().join(name), Open::Create).unwrap().into()
        };
        let (old, new) = (file("old"), file("new"));
        let mut table = FileTable::default();
        table.add_journal(4, new, "new".into());
        let location = location_of(4, 103, b"value");
        let located = table.locate(location).unwrap();
        write_all_at(old.as_ref(), b"0123456value", 0).unwrap();
        table.divert(4, old, 100, 4);
        for value in [located, table.locate(location).unwrap()] {
            let mut text = Vec::new();
            value.read_into(&mut text).unwrap();
            assert_eq!(text, b"value");
        }
    }
}
