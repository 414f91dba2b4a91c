//! Buffered reading of a file line by line, and buffered writing from front to back.

use crate::disk::{DiskFile, write_all_at};
use crate::limits::{FILE_BUFFER_BYTES, FIRST_READ_BYTES, JOURNAL_LINE_BYTES_MAX};
use std::io::{self, BufRead};

/// Reads lines and keeps the checksum of everything read so far.
pub(crate) struct LineReader<'f> {
    file: &'f dyn DiskFile,
    buffer: Vec<u8>,
    /// Index of the first unread byte of the buffer.
    start: usize,
    /// File offset of `start`.
    offset: u64,
    /// Bytes of the next read.
    piece_bytes: usize,
    at_end: bool,
    checksum: crc32fast::Hasher,
}

#[derive(Debug)]
pub(crate) struct RawLine<'b> {
    /// File offset of the line.
    pub offset: u64,
    /// The line without its line feed.
    pub bytes: &'b [u8],
    /// Whether it ends with a line feed; only the last line of a file may lack it.
    pub terminated: bool,
}

impl<'f> LineReader<'f> {
    pub(crate) fn new(file: &'f dyn DiskFile, offset: u64) -> LineReader<'f> {
        let checksum = crc32fast::Hasher::new();
        let piece_bytes = FIRST_READ_BYTES;
        LineReader { file, buffer: Vec::new(), start: 0, offset, piece_bytes, at_end: false, checksum }
    }

    /// The next line, `None` at the end of the file.
    ///
    /// # Errors
    /// As the file returns them; `InvalidData` for a line over [`JOURNAL_LINE_BYTES_MAX`].
    pub(crate) fn next_line(&mut self) -> io::Result<Option<RawLine<'_>>> {
        let mut searched = self.start;
        let end = loop {
            let unsearched = self.buffer.get(searched..).unwrap_or_default();
            if let Some(found) = find_line_feed(unsearched) {
                break Some(searched + found);
            }
            if self.at_end {
                break None;
            }
            let kept = self.buffer.len() - self.start;
            if kept > JOURNAL_LINE_BYTES_MAX {
                let text = "a line is longer than any that was written";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            self.fill()?;
            searched = self.start + kept;
        };
        let (line_start, line_offset) = (self.start, self.offset);
        let line_end = end.unwrap_or(self.buffer.len());
        if line_start == line_end && end.is_none() {
            return Ok(None);
        }
        let next = line_end + usize::from(end.is_some());
        self.offset += (next - line_start) as u64;
        self.start = next;
        let bytes = self.buffer.get(line_start..line_end).unwrap_or_default();
        Ok(Some(RawLine { offset: line_offset, bytes, terminated: end.is_some() }))
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// CRC-32 of everything from the first offset to the end of the file, once that was reached.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum.clone().finalize()
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + self.piece_bytes, 0);
        self.piece_bytes = (4 * self.piece_bytes).min(FILE_BUFFER_BYTES);
        let read =
            self.file.read_at(self.buffer.get_mut(kept..).unwrap_or_default(), self.offset + kept as u64);
        self.buffer.truncate(kept + *read.as_ref().unwrap_or(&0));
        self.at_end = read? == 0;
        self.checksum.update(self.buffer.get(kept..).unwrap_or_default());
        Ok(())
    }
}

pub(crate) fn checksum_of(file: &dyn DiskFile) -> io::Result<u32> {
    let (mut buffer, mut offset) = (vec![0; FILE_BUFFER_BYTES], 0);
    let mut checksum = crc32fast::Hasher::new();
    loop {
        let read = file.read_at(&mut buffer, offset)?;
        if read == 0 {
            return Ok(checksum.finalize());
        }
        offset += read as u64;
        checksum.update(buffer.get(..read).unwrap_or_default());
    }
}

/// The index of the first line feed. The search of the standard library compares many bytes at once.
pub(crate) fn find_line_feed(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let passed = rest.skip_until(b'\n').ok()?;
    let last = passed.checked_sub(1)?;
    (bytes.get(last) == Some(&b'\n')).then_some(last)
}

/// Writes a file from front to back and keeps the checksum of what was written.
pub(crate) struct SequentialWriter {
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    offset: u64,
    checksum: crc32fast::Hasher,
}

impl SequentialWriter {
    pub(crate) fn new(file: Box<dyn DiskFile>, offset: u64) -> SequentialWriter {
        let checksum = crc32fast::Hasher::new();
        // With space for what is appended before the next check.
        let buffer = Vec::with_capacity(FILE_BUFFER_BYTES + FILE_BUFFER_BYTES / 4);
        SequentialWriter { file, buffer, offset, checksum }
    }

    /// The buffer, for appending; [`SequentialWriter::flush_if_full`] after each piece bounds it.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(crate) fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= FILE_BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        write_all_at(self.file.as_ref(), &self.buffer, self.offset)?;
        self.checksum.update(&self.buffer);
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// File offset after everything written and buffered.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// CRC-32 of everything flushed.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum.clone().finalize()
    }

    pub(crate) fn into_file(self) -> Box<dyn DiskFile> {
        self.file
    }

    pub(crate) fn file(&self) -> &dyn DiskFile {
        self.file.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, Open, RealDisk};

    fn file(bytes: &[u8]) -> Box<dyn DiskFile> {
        let directory = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&directory.path().join("a"), Open::Create).unwrap();
        write_all_at(file.as_ref(), bytes, 0).unwrap();
        file
    }

    fn lines(bytes: &[u8], from: u64) -> Vec<(u64, Vec<u8>, bool)> {
        let file = file(bytes);
        let mut reader = LineReader::new(file.as_ref(), from);
        let mut found = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            found.push((line.offset, line.bytes.to_vec(), line.terminated));
        }
        assert_eq!(reader.offset(), bytes.len() as u64);
        assert_eq!(reader.checksum(), crc32fast::hash(&bytes[usize::try_from(from).unwrap()..]));
        found
    }

    #[test]
    fn only_the_last_line_may_lack_its_line_feed() {
        let line = |offset, text: &str, terminated| (offset, text.as_bytes().to_vec(), terminated);
        assert_eq!(lines(b"", 0), []);
        assert_eq!(lines(b"a\n\nbc", 0), [line(0, "a", true), line(2, "", true), line(3, "bc", false)]);
        assert_eq!(lines(b"a\n\nbc\n", 2), [line(2, "", true), line(3, "bc", true)]);
    }

    #[test]
    fn lines_are_whole_wherever_the_buffer_ends() {
        let first = [FIRST_READ_BYTES - 1, FIRST_READ_BYTES, FIRST_READ_BYTES + 1, 5 * FIRST_READ_BYTES];
        let whole = [FILE_BUFFER_BYTES - 1, FILE_BUFFER_BYTES, FILE_BUFFER_BYTES + 1, 3 * FILE_BUFFER_BYTES];
        for around in first.into_iter().chain(whole) {
            let texts =
                ["x".repeat(around), "y".to_owned(), "z".repeat(around), String::new(), "end".to_owned()];
            let whole = texts.join("\n") + "\n";
            let found: Vec<Vec<u8>> =
                lines(whole.as_bytes(), 0).into_iter().map(|(_, text, _)| text).collect();
            assert_eq!(found, texts.map(String::into_bytes));
        }
    }

    #[test]
    fn written_file_has_what_was_appended_and_its_checksum() {
        let directory = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&directory.path().join("a"), Open::Create).unwrap();
        let mut writer = SequentialWriter::new(file, 3);
        let mut expected = Vec::new();
        for number in 0..90_000_u32 {
            let text = number.to_string();
            writer.buffer().extend_from_slice(text.as_bytes());
            expected.extend_from_slice(text.as_bytes());
            writer.flush_if_full().unwrap();
            assert!(writer.buffer().len() < FILE_BUFFER_BYTES);
        }
        assert_eq!(writer.position(), expected.len() as u64 + 3);
        writer.flush().unwrap();
        assert_eq!(writer.checksum(), crc32fast::hash(&expected));
        let mut found = vec![0; expected.len()];
        crate::disk::read_exact_at(writer.file(), &mut found, 3).unwrap();
        assert_eq!(found, expected);
    }
}
