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
    pub(crate) end: u64,
}

pub(crate) struct Target<'f> {
    pub(crate) file: &'f dyn DiskFile,
    pub(crate) seed: Seed,
    /// File offset of the first one.
    pub(crate) start: u64,
}

/// There is no whole line with the right checksum at an offset. Carried in an [`io::Error`].
#[derive(Debug)]
struct DamagedLine {
    offset: u64,
}

/// The offset of the damaged line, if `error` is about one.
pub(crate) fn damaged_at(error: &io::Error) -> Option<u64> {
    error.get_ref()?.downcast_ref().map(|DamagedLine { offset }| *offset)
}

impl fmt::Display for DamagedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line at byte {} of the journal is damaged; its checksum is wrong", self.offset)
    }
}

impl std::error::Error for DamagedLine {}

/// Copies `source` to `target`. Returns the offset after the last line there. Blocks for the disk.
///
/// # Errors
/// As the files return them, or [`damaged_at`] an offset; some lines may be copied.
pub(crate) fn copy_lines(source: &Lines<'_>, target: &Target<'_>) -> io::Result<u64> {
    let mut lines = LineReader::new(source.file, source.start);
    let mut buffer = Vec::new();
    let mut at = target.start;
    while lines.offset() < source.end {
        let offset = lines.offset();
        let line = lines.next_line()?.filter(|line| {
            let ends_inside = offset + (line.bytes.len() as u64) < source.end;
            line.terminated && ends_inside && record::is_intact(line.bytes, source.seed)
        });
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, DamagedLine { offset });
        let line = line.ok_or_else(damaged)?;
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
/// As for [`copy_lines`]; it is then still unknown whether the bytes are on the disk.
pub(crate) fn write_again(lines: &Lines<'_>, from: u64) -> io::Result<()> {
    lines.file.set_length(lines.end)?;
    let before = lines.start.saturating_sub(from);
    let mut before = vec![0; usize::try_from(before).map_err(io::Error::other)?];
    read_exact_at(lines.file, &mut before, from)?;
    write_all_at(lines.file, &before, from)?;
    copy_lines(lines, &Target { file: lines.file, seed: lines.seed, start: lines.start })?;
    lines.file.sync()
}
