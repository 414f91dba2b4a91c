//! `{project}.json`: one JSON object, one line a key, which people read and may edit.
//!
//! ```text
//! {
//! "key1": "value1",
//! "key2": {"a":1}
//! }
//! ```
//! What the server wrote is read back line by line; `edited_file.rs` reads what somebody edited.

use crate::json;
use std::borrow::Cow;

/// First line of a data file.
pub(crate) const OPENING: &[u8] = b"{\n";
/// Last line of a data file.
pub(crate) const CLOSING: &[u8] = b"}\n";

/// Appends the line of a key but for its end, and says where in `out` the value begins. The line
/// ends with `,\n`, or with `\n` where it is the last one.
pub(crate) fn encode_line(key: &str, value: &[u8], out: &mut Vec<u8>) -> usize {
    json::encode_string(key, out);
    out.extend_from_slice(b": ");
    let value_start = out.len();
    out.extend_from_slice(value);
    value_start
}

/// A line of a data file that the server wrote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DataLine<'a> {
    /// The first line.
    Opening,
    /// The last line.
    Closing,
    /// A key and where in the line its value is.
    Entry {
        key: Cow<'a, str>,
        /// First byte of the value, counted from the start of the line.
        value_start: usize,
        /// The value's text.
        value: &'a [u8],
    },
}

/// Understands a line given without its line feed; `None` where the server did not write it so.
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

/// Where the JSON string that begins `line` ends, its quote included.
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
            let value_start = encode_line(key, b"{\"a\": \",\"}", &mut line);
            for end in [&b""[..], b","] {
                let whole = [&line, end].concat();
                let value = &b"{\"a\": \",\"}"[..];
                let expected = DataLine::Entry { key: key.into(), value_start, value };
                assert_eq!(decode_line(&whole), Some(expected));
            }
        }
    }
}
