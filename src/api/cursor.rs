//! Cursors: where a listing goes on that was sent in pages.

use super::error::ApiError;
use crate::digits::{hex_digit, hex_value};
use crate::json;
use crate::names::Key;

/// The cursor of the page behind `key`, the last one of the page before: that key in hexadecimal.
pub fn encode(key: &str) -> String {
    key.bytes().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte)]).map(char::from).collect()
}

/// The last key of the page before.
///
/// # Errors
/// [`ApiError::Cursor`] for a text that [`encode`] makes of no key.
pub fn decode(text: &str) -> Result<String, ApiError> {
    let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(hex_value(*high)? << 4 | hex_value(*low)?),
        [..] => None,
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(ApiError::Cursor)?;
    if Key::parse(&key).is_ok() { Ok(key) } else { Err(ApiError::Cursor) }
}

/// Appends `"cursor":` and the cursor of the page behind `last`, or `null` where there is none.
pub fn push_member(last: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"cursor\":");
    match last {
        Some(key) => json::encode_string(&encode(key), out),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_the_key_and_nothing_else_is_one() {
        for key in ["a", "é/🔑", "..a"] {
            assert_eq!(decode(&encode(key)).unwrap(), key);
        }
        for bad in ["", "6", "6g", "zz", "2e2e", "00", "ff", "6A"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
