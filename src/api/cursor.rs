//! Cursors: the start of the next page of a listing, and the prefix of the listing.
//!
//! A cursor is the number of bytes of the prefix, a point, and the last key of the page in
//! hexadecimal: the prefix is the beginning of the key. Cursors of earlier versions had the key alone;
//! they are refused, because their prefix is unknown.

use super::error::{ApiError, Part};
use crate::digits::{decode_u64, encode_u64, hex_digit, hex_value};
use crate::json;
use crate::names::Key;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last key of the page before.
    pub after: String,
    prefix_bytes: usize,
}

impl Cursor {
    /// The cursor of the page after `after`, which begins with `prefix`.
    pub(crate) fn new(prefix: &str, after: &str) -> Cursor {
        Cursor { after: after.to_owned(), prefix_bytes: prefix.len() }
    }

    /// Decodes a text from [`Cursor::encode`].
    pub(crate) fn decode(text: &str) -> Result<Cursor, ApiError> {
        let parts = text.split_once('.').and_then(|(prefix_bytes, key)| {
            let prefix_bytes = usize::try_from(decode_u64(prefix_bytes.as_bytes())?).ok()?;
            Some(Cursor { after: decode_hex(key)?, prefix_bytes })
        });
        let cursor = parts.filter(|cursor| cursor.after.is_char_boundary(cursor.prefix_bytes));
        cursor.filter(|cursor| Key::parse(&cursor.after).is_ok()).ok_or_else(Cursor::unknown)
    }

    pub(crate) fn unknown() -> ApiError {
        Part::Cursor.invalid(
            "This cursor is not from this version of the server, or belongs to another kind of listing. Start the \
             listing again without a cursor.",
        )
    }

    /// The cursor as text. It needs no percent-encoding.
    pub(crate) fn encode(&self) -> String {
        let mut text = Vec::with_capacity(2 * self.after.len() + 6);
        encode_u64(self.prefix_bytes as u64, &mut text);
        text.push(b'.');
        text.extend(self.after.bytes().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte)]));
        text.into_iter().map(char::from).collect()
    }

    /// The prefix of its listing.
    pub(crate) fn prefix(&self) -> &str {
        self.after.get(..self.prefix_bytes).unwrap_or_default()
    }
}

fn decode_hex(text: &str) -> Option<String> {
    let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(hex_value(*high)? << 4 | hex_value(*low)?),
        [..] => None,
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// Appends `"cursor":` and the cursor, or `null` after the last page.
pub(crate) fn push_member(cursor: Option<&Cursor>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"cursor\":");
    match cursor {
        Some(cursor) => json::encode_string(&cursor.encode(), out),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_keeps_key_and_prefix_and_other_texts_are_refused() {
        for (prefix, key) in [("", "a"), ("a", "a"), ("é/", "é/🔑"), ("..", "..a")] {
            let cursor = Cursor::new(prefix, key);
            let decoded = Cursor::decode(&cursor.encode()).unwrap();
            assert_eq!((decoded.prefix(), &*decoded.after), (prefix, key));
            assert_eq!(decoded, cursor);
        }
        for bad in [
            "",
            ".",
            "0.",
            "61",
            "0.6",
            "0.6g",
            "0.zz",
            "0.2e2e",
            "0.00",
            "0.ff",
            "0.6A",
            "2.61",
            "01.61",
            "+1.61",
            ".61",
            "1.c3a9",
            "0.61.61",
            "99999999999999999999.61",
        ] {
            assert!(Cursor::decode(bad).is_err(), "{bad}");
        }
    }
}
