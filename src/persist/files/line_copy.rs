//! Copies journal lines from one file to another, or over themselves: every line is checked with the seed of
//! the file it is read from and sealed with that of the file it goes to. Nothing unchecked is copied.

use super::record;
use super::seed::Seed;
use super::sequential::LineReader;
use crate::disk::{DiskFile, read_exact_at, write_all_at};
use crate::limits::FILE_BUFFER_BYTES;
use std::fmt;
use std::io;

/// Whole lines in a journal.
pub(crate) struct Lines<'f> {
    pub(crate) file: &'f dyn DiskFile,
    pub(crate) seed: Seed,
    /// File offset of the first one.
    pub(crate) start: u64,
    /// File offset after the last one.
    pub(crate) end: u64,
}

/// Where copied lines go.
pub(crate) struct Target<'f> {
    pub(crate) file: &'f dyn DiskFile,
    pub(crate) seed: Seed,
    /// File offset of the first one.
    pub(crate) start: u64,
}

/// Why lines were not copied, or not all of them.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// A file could not be read or written.
    Io(io::Error),
    /// There is no whole line with a right checksum at this offset.
    Damaged {
        /// File offset of the line.
        offset: u64,
    },
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> CopyError {
        CopyError::Io(error)
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyError::Io(error) => error.fmt(f),
            CopyError::Damaged { offset } => {
                write!(f, "the line at byte {offset} of the journal is damaged; its checksum is wrong")
            }
        }
    }
}

/// Copies `source` to `target`. Returns the offset after the last line there. Blocks for the disk.
///
/// # Errors
/// [`CopyError`]; some lines may be copied.
pub(crate) fn copy_lines(source: &Lines<'_>, target: &Target<'_>) -> Result<u64, CopyError> {
    let mut lines = LineReader::new(source.file, source.start);
    let mut buffer = Vec::new();
    let mut at = target.start;
    while lines.offset() < source.end {
        let offset = lines.offset();
        let line = lines.next_line()?.filter(|line| {
            let ends_inside = offset + (line.bytes.len() as u64) < source.end;
            line.terminated && ends_inside && record::is_intact(line.bytes, source.seed)
        });
        let line = line.ok_or(CopyError::Damaged { offset })?;
        let line_start = buffer.len();
        buffer.extend_from_slice(line.bytes);
        record::end_line(&mut buffer);
        if source.seed != target.seed {
            record::seal(buffer.get_mut(line_start..).unwrap_or_default(), target.seed);
        }
        if buffer.len() >= FILE_BUFFER_BYTES || lines.offset() >= source.end {
            write_all_at(target.file, &buffer, at)?;
            at += buffer.len() as u64;
            buffer.clear();
        }
    }
    Ok(at)
}

/// Cuts the file to the end of `lines`, writes them and the bytes between `from` and their start again, which are
/// fewer than [`crate::limits::PAGE_BYTES_MAX`], and syncs the file. The bytes are then on the disk even if an
/// earlier sync failed. Blocks for the disk.
///
/// # Errors
/// [`CopyError`]; it is then still unknown whether the bytes are on the disk.
pub(crate) fn write_again(lines: &Lines<'_>, from: u64) -> Result<(), CopyError> {
    lines.file.set_length(lines.end)?;
    let before = lines.start.saturating_sub(from);
    let mut before = vec![0; usize::try_from(before).map_err(io::Error::other)?];
    read_exact_at(lines.file, &mut before, from)?;
    write_all_at(lines.file, &before, from)?;
    copy_lines(lines, &Target { file: lines.file, seed: lines.seed, start: lines.start })?;
    Ok(lines.file.sync()?)
}
