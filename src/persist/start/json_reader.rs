//! Reads a JSON text from a file without holding more of it than one token or one value.
//!
//! It finds the ends of strings and values. [`crate::json::minify`] checks what is between.

use crate::disk::DiskFile;
use crate::json;
use crate::limits::{FILE_BUFFER_BYTES, FIRST_READ_BYTES};
use std::io;

/// Reads a file forward, from its start or from the offset of the latest [`JsonReader::seek`].
pub(crate) struct JsonReader<'f> {
    file: &'f dyn DiskFile,
    buffer: Vec<u8>,
    /// File offset of the first byte of the buffer.
    begin: u64,
    /// Index of the next byte in the buffer.
    at: usize,
    /// Bytes of the next read. Few after a seek, because most values are small.
    piece_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Arrays and objects that are open.
    depth: usize,
    in_string: bool,
    /// Whether the byte before was a `\` that escapes the next one.
    escaped: bool,
}

impl<'f> JsonReader<'f> {
    pub(crate) fn new(file: &'f dyn DiskFile) -> JsonReader<'f> {
        JsonReader { file, buffer: Vec::new(), begin: 0, at: 0, piece_bytes: FIRST_READ_BYTES }
    }

    pub(crate) fn position(&self) -> u64 {
        self.begin + self.at as u64
    }

    pub(crate) fn seek(&mut self, offset: u64) {
        match offset.checked_sub(self.begin).and_then(|at| usize::try_from(at).ok()) {
            Some(at) if at <= self.buffer.len() => self.at = at,
            Some(_) | None => {
                self.buffer.clear();
                (self.begin, self.at) = (offset, 0);
                self.piece_bytes = FIRST_READ_BYTES;
            }
        }
    }

    /// The next byte, `None` at the end of the file.
    pub(crate) fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.at == self.buffer.len() {
            self.fill()?;
        }
        Ok(self.buffer.get(self.at).copied())
    }

    fn fill(&mut self) -> io::Result<()> {
        self.begin = self.position();
        self.at = 0;
        self.buffer.resize(self.piece_bytes, 0);
        self.piece_bytes = (4 * self.piece_bytes).min(FILE_BUFFER_BYTES);
        let read = loop {
            match self.file.read_at(&mut self.buffer, self.begin) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        read.map(drop)
    }

    /// Skips the next byte if it is `byte`. Returns whether it was.
    pub(crate) fn take_if(&mut self, byte: u8) -> io::Result<bool> {
        let is_it = self.peek()? == Some(byte);
        self.at += usize::from(is_it);
        Ok(is_it)
    }

    pub(crate) fn skip_whitespace(&mut self) -> io::Result<()> {
        while self.peek()?.is_some_and(is_whitespace) {
            self.at += 1;
        }
        Ok(())
    }

    /// Appends the string that begins here to `out`, with its quotes, up to about `bytes_max`. Returns false if it is
    /// longer.
    pub(crate) fn collect_string(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> io::Result<bool> {
        let mut progress = Progress::default();
        while let Some(byte) = self.next_of_value(&mut progress)? {
            out.push(byte);
            if !progress.in_string {
                break;
            }
            if out.len() >= bytes_max {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Appends the value that begins here to `out`, up to the `,`, `}` or `]` that ends it, with one space in
    /// place of each run of white space. Returns false if it is longer than `bytes_max` without those spaces.
    pub(crate) fn collect_value(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> io::Result<bool> {
        let mut progress = Progress::default();
        let mut spaces = 0;
        loop {
            if progress.in_string && !progress.escaped {
                self.collect_plain(out);
            }
            if out.len() - spaces > bytes_max {
                return Ok(false);
            }
            let Some(byte) = self.next_of_value(&mut progress)? else { return Ok(true) };
            spaces += usize::from(byte == b' ' && !progress.in_string);
            out.push(byte);
        }
    }

    /// Appends the part of a string that is in the buffer, up to the next `"`, `\` or control character.
    fn collect_plain(&mut self, out: &mut Vec<u8>) {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
        let length = rest.iter().position(is_special).unwrap_or(rest.len());
        out.extend_from_slice(rest.get(..length).unwrap_or_default());
        self.at += length;
    }

    /// Skips what [`JsonReader::collect_value`] turns into the first `count` bytes of the value here.
    pub(crate) fn skip_collected(&mut self, count: usize) -> io::Result<()> {
        let mut progress = Progress::default();
        for _ in 0..count {
            self.next_of_value(&mut progress)?;
        }
        Ok(())
    }

    /// The next byte of a value; `None` at its end and at a control character, which no value contains. A string
    /// without its closing quote thus ends with its line.
    fn next_of_value(&mut self, progress: &mut Progress) -> io::Result<Option<u8>> {
        let Some(byte) = self.peek()? else { return Ok(None) };
        if byte < 0x20 && (progress.in_string || !is_whitespace(byte)) {
            return Ok(None);
        }
        if progress.in_string {
            progress.in_string = byte != b'"' || progress.escaped;
            progress.escaped = byte == b'\\' && !progress.escaped;
            self.at += 1;
            return Ok(Some(byte));
        }
        if is_whitespace(byte) {
            self.skip_whitespace()?;
            let is_over = match self.peek()? {
                None => true,
                Some(next) => progress.depth == 0 && matches!(next, b',' | b'}' | b']'),
            };
            return Ok((!is_over).then_some(b' '));
        }
        match byte {
            b',' | b'}' | b']' if progress.depth == 0 => return Ok(None),
            b'"' => progress.in_string = true,
            b'{' | b'[' => progress.depth += 1,
            b'}' | b']' => progress.depth -= 1,
            _ => {}
        }
        self.at += 1;
        Ok(Some(byte))
    }
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Line and column, both from 1, of the byte at `offset` of a text in UTF-8, for a message. Columns count characters;
/// a byte order mark at the start of the file is not counted.
pub(crate) fn place_of(file: &dyn DiskFile, offset: u64) -> io::Result<String> {
    let mut reader = JsonReader::new(file);
    skip_byte_order_mark(&mut reader)?;
    let (mut line, mut column) = (1, 1);
    while reader.position() < offset {
        match reader.peek()? {
            Some(b'\n') => (line, column) = (line + 1, 1),
            Some(0x80..=0xBF) => {} // within a character
            Some(_) => column += 1,
            None => break,
        }
        reader.at += 1;
    }
    Ok(format!("at line {line}, column {column}"))
}

/// Skips the byte order mark that some editors write at the start of a file.
pub(crate) fn skip_byte_order_mark(reader: &mut JsonReader<'_>) -> io::Result<()> {
    if !take_byte_order_mark(reader)? {
        reader.seek(0);
    }
    Ok(())
}

pub(crate) fn is_byte_order_mark(file: &dyn DiskFile, offset: u64) -> io::Result<bool> {
    let mut reader = JsonReader::new(file);
    reader.seek(offset);
    take_byte_order_mark(&mut reader)
}

fn take_byte_order_mark(reader: &mut JsonReader<'_>) -> io::Result<bool> {
    for byte in json::BYTE_ORDER_MARK {
        if !reader.take_if(*byte)? {
            return Ok(false);
        }
    }
    Ok(true)
}
