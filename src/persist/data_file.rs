//! `{project}.json`: one JSON object, one line a key, which people read and may edit.
//!
//! ```text
//! {
//! "key1": "value1",
//! "key2": {"a":1}
//! }
//! ```
//! What the server wrote is read back line by line; what somebody edited goes through a full JSON parser.

use crate::config::mistake::Problem;
use crate::config::text::object_text;
use crate::json;
use crate::limits::VALUE_DEPTH_MAX;
use crate::names::Key;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// First line of a data file.
pub const OPENING: &[u8] = b"{\n";
/// Last line of a data file.
pub const CLOSING: &[u8] = b"}\n";

/// Appends the line of a key but for its end, and says where in `out` the value begins. The line
/// ends with `,\n`, or with `\n` where it is the last one.
pub fn encode_line(key: &str, value: &[u8], out: &mut Vec<u8>) -> usize {
    json::encode_string(key, out);
    out.extend_from_slice(b": ");
    let value_start = out.len();
    out.extend_from_slice(value);
    value_start
}

/// A line of a data file that the server wrote.
#[derive(Debug, PartialEq, Eq)]
pub enum DataLine<'a> {
    /// The first line.
    Opening,
    /// The last line.
    Closing,
    /// A key and where in the line its value is.
    Entry {
        /// The key.
        key: Cow<'a, str>,
        /// First byte of the value, counted from the start of the line.
        value_start: usize,
        /// The value's text.
        value: &'a [u8],
    },
}

/// Understands a line given without its line feed; `None` where the server did not write it so.
pub fn decode_line(line: &[u8]) -> Option<DataLine<'_>> {
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

/// What was found in a data file that was edited, or brought along, by its owner.
pub type EditedKeys = BTreeMap<String, Vec<u8>>;

/// What is wrong with a file without any content. An empty project is an empty object.
const EMPTY_ADVICE: &str = "it is empty, as an interrupted edit or a shell redirection leaves it; restore it from a backup, or write `{}` \
     into it to begin without keys";

/// Parses a data file that the server did not write. Values are minified.
///
/// # Errors
/// A sentence with line and column that says what is wrong: no JSON, not an object, a key twice,
/// a key or a value that the server would not take.
pub fn parse_edited(text: &[u8]) -> Result<EditedKeys, String> {
    let source = object_text(text).map_err(|mistake| {
        if mistake.problem == Problem::Empty { EMPTY_ADVICE.to_owned() } else { mistake.to_string() }
    })?;
    let mut deserializer = serde_json::Deserializer::from_str(source);
    deserializer.deserialize_map(EditedVisitor).map_err(|error| error.to_string())
}

struct EditedVisitor;

impl<'de> Visitor<'de> for EditedVisitor {
    type Value = EditedKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of keys and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EditedKeys, A::Error> {
        let mut keys = EditedKeys::new();
        while let Some(key) = map.next_key::<String>()? {
            Key::parse_stored(&key).map_err(|error| A::Error::custom(format!("key {key:?}: {error}")))?;
            let value: &RawValue = map.next_value()?;
            let mut minified = Vec::with_capacity(value.get().len());
            json::minify(value.get().as_bytes(), VALUE_DEPTH_MAX, &mut minified)
                .map_err(|error| A::Error::custom(format!("value of {key:?}: {error}")))?;
            if keys.contains_key(&key) {
                return Err(A::Error::custom(format!("key {key:?} is there twice; keep one of them")));
            }
            keys.insert(key, minified);
        }
        Ok(keys)
    }
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

    #[test]
    fn edited_file_may_be_laid_out_in_any_way() {
        let keys = parse_edited(b" {\"b\":[1, 2] , \"a\"\n:\"x\"}\n").unwrap();
        let expected = [("a", &b"\"x\""[..]), ("b", b"[1,2]")];
        assert_eq!(keys.iter().map(|(k, v)| (k.as_str(), v.as_slice())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn byte_order_mark_and_line_ends_of_an_editor_are_accepted() {
        let keys = parse_edited(b"\xef\xbb\xbf{\r\n\"a\": 1\r\n}\r\n").unwrap();
        assert_eq!(keys.get("a").unwrap(), b"1");
        for bytes in [&b"\xff\xfe{\0}\0"[..], b"{\"a\": \"M\xfcller\"}"] {
            assert!(parse_edited(bytes).unwrap_err().contains("as UTF-8"));
        }
    }

    #[test]
    fn edited_file_with_a_mistake_is_refused_with_its_place() {
        for (text, part) in [
            ("{\"a\":1,}", "trailing comma at line 1, column 7"),
            ("{\"a\":1\n\"b\":2}", "line 2, column 1"),
            ("[1]", "object"),
            ("{\"a\":1,\"a\":2}", "\"a\" is there twice"),
            ("{\"\":1}", "empty"),
            ("{\"..\":1}", "not keys"),
            ("{\"a\":1}}", "more text after the end of the object at line 1, column 8"),
            ("{\"a\":1}\n{\"b\":2}", "more text after the end of the object at line 2, column 1"),
            ("", "it is empty"),
            ("{\"a\":1,\n\"b\"", "cut off, at line 2, column 4"),
            ("{\"a\":1, // one\n}", "a comment at line 1, column 9"),
            ("{\"a\":1\0\0\0", "NUL bytes, as a power cut leaves them, at line 1, column 7"),
            ("{\n<<<<<<< HEAD\n\"a\":1}", "a conflict marker of a merge at line 2"),
            ("{\"a\":1,\n=======\n\"a\":2}", "a conflict marker of a merge at line 2"),
            ("<html></html>", "it is HTML or XML"),
            ("null", "`the file` is null and must be an object"),
        ] {
            let error = parse_edited(text.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
