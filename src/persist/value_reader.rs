//! Values that only lie in a file: which files a project has open, and reading one value.

use crate::disk::{DiskFile, Stamp, read_exact_at};
use crate::store::change::Location;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The open files that locations of a project speak of.
#[derive(Default)]
pub struct FileTable {
    files: Vec<Numbered>,
}

struct Numbered {
    number: u32,
    file: Arc<dyn DiskFile>,
    /// Offset `from` of a location is offset `to` of the file; they differ only where changes were
    /// meant for a new journal that did not come to be, and went into the old one instead.
    from: u64,
    to: u64,
    /// What the file was when its locations were made, where nobody writes it from then on.
    stamp: Option<Stamp>,
}

impl FileTable {
    /// Adds a journal under a number that is not in use.
    pub fn add_journal(&mut self, number: u32, file: Arc<dyn DiskFile>) {
        self.files.push(Numbered { number, file, from: 0, to: 0, stamp: None });
    }

    /// Adds a values' file under a number that is not in use. `stamp` is what it was when it was written.
    pub fn add_values(&mut self, number: u32, file: Arc<dyn DiskFile>, stamp: Stamp) {
        self.files.push(Numbered { number, file, from: 0, to: 0, stamp: Some(stamp) });
    }

    /// Points the locations under `number` at another file, offset `from` at its offset `to`.
    pub fn divert(&mut self, number: u32, file: Arc<dyn DiskFile>, from: u64, to: u64) {
        self.forget(number);
        self.files.push(Numbered { number, file, from, to, stamp: None });
    }

    /// Closes one file. Reads that have begun go on.
    pub fn forget(&mut self, number: u32) {
        self.files.retain(|known| known.number != number);
    }

    /// Closes all files below `number`, once nothing speaks of them. Reads that have begun go on.
    pub fn forget_below(&mut self, number: u32) {
        self.files.retain(|known| known.number >= number);
    }

    /// The value at `location`, to be read without a lock.
    pub fn locate(&self, location: Location) -> Option<StoredValue> {
        let known = self.files.iter().find(|known| known.number == location.file)?;
        let offset = known.to + location.offset.checked_sub(known.from)?;
        let (file, stamp) = (Arc::clone(&known.file), known.stamp);
        Some(StoredValue { file, offset, length: location.length, stamp })
    }
}

/// A value that lies in an open file, which stays readable even where it was replaced since.
#[derive(Clone)]
pub struct StoredValue {
    file: Arc<dyn DiskFile>,
    offset: u64,
    length: u32,
    stamp: Option<Stamp>,
}

impl StoredValue {
    /// Appends the value's text to `out`; blocks for the disk.
    ///
    /// # Errors
    /// As the disk says; `InvalidData` where somebody has written into the file since, so that other
    /// bytes lie there now. `out` is then as it was.
    pub fn read_into(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + self.length as usize, 0);
        let read = read_exact_at(self.file.as_ref(), out.get_mut(start..).unwrap_or_default(), self.offset)
            .and_then(|()| self.check_stamp());
        if read.is_err() {
            out.truncate(start);
        }
        read
    }

    /// Asked after reading: an edit before that has changed the stamp.
    fn check_stamp(&self) -> io::Result<()> {
        match self.stamp {
            Some(stamp) if self.file.stamp()? != stamp => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the .json was edited while the server runs; stop the server, correct the file, start again",
            )),
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredValue {{ offset: {}, length: {} }}", self.offset, self.length)
    }
}
