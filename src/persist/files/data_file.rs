//! `{project}.json`: one JSON object, one line a key, which people read and may edit.
//!
//! ```text
//! {
//! "key1": "value1",
//! "key2": {"a":1}
//! }
//! ```
//! What the server wrote is read line by line; `edited_file.rs` reads an edited file.

use super::sequential::SequentialWriter;
use crate::disk::DiskFile;
use crate::json;
use std::borrow::Cow;
use std::io;

/// Writes a data file, key by key in key order.
pub(crate) struct DataFileWriter {
    pub(crate) file: SequentialWriter,
    pub(crate) keys: u64,
}

impl DataFileWriter {
    pub(crate) fn new(file: Box<dyn DiskFile>) -> DataFileWriter {
        let mut file = SequentialWriter::new(file, 0);
        file.buffer().extend_from_slice(b"{\n");
        DataFileWriter { file, keys: 0 }
    }

    /// Appends a key, in the buffer only.
    pub(crate) fn encode(&mut self, key: &str, value: &[u8]) {
        let out = self.file.buffer();
        if self.keys > 0 {
            out.extend_from_slice(b",\n");
        }
        self.keys += 1;
        encode_line(key, value, out);
    }

    /// Completes the file and syncs it.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let end: &[u8] = if self.keys > 0 { b"\n}\n" } else { b"}\n" };
        self.file.buffer().extend_from_slice(end);
        self.file.flush()?;
        self.file.file().sync()
    }
}

/// Appends the line of a key without its end, which is `,\n`, or `\n` after the last key.
fn encode_line(key: &str, value: &[u8], out: &mut Vec<u8>) {
    json::encode_string(key, out);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
}

/// A line of a data file that the server wrote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DataLine<'a> {
    Opening,
    Closing,
    Entry {
        key: Cow<'a, str>,
        /// First byte of the value, counted from the start of the line.
        value_start: usize,
        value: &'a [u8],
    },
}

/// Decodes a line, given without its line feed. `None` if the server did not write it.
pub(crate) fn decode_line(line: &[u8]) -> Option<DataLine<'_>> {
    match line {
        b"{" => return Some(DataLine::Opening),
        b"}" => return Some(DataLine::Closing),
        [..] => {}
    }
    let key_end = end_of_string(line)?;
    let (key, rest) = line.split_at_checked(key_end)?;
    let value = rest.strip_prefix(b": ")?;
    let value = value.strip_suffix(b",").unwrap_or(value);
    Some(DataLine::Entry { key: json::decode_string(key)?, value_start: key_end + 2, value })
}

/// The offset after the JSON string that begins `line`.
fn end_of_string(line: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let inside = line.strip_prefix(b"\"")?;
    let closing = inside.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    Some(closing + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_line_is_read_back() {
        for key in ["a", "a\"b", "back\\", "\\\"", "é: x", "a,"] {
            let mut line = Vec::new();
            encode_line(key, b"{\"a\": \",\"}", &mut line);
            let value_start = line.len() - b"{\"a\": \",\"}".len();
            for end in [&b""[..], b","] {
                let whole = [&line, end].concat();
                let value = &b"{\"a\": \",\"}"[..];
                let expected = DataLine::Entry { key: key.into(), value_start, value };
                assert_eq!(decode_line(&whole), Some(expected));
            }
        }
    }
}
