//! The name of a header field in an error, which outlives the request.

use crate::limits::SHOWN_NAME_CHARACTERS_MAX;
use std::fmt;

/// The first [`SHOWN_NAME_CHARACTERS_MAX`] characters of a field name. A field name is a token, so
/// each character is one byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FieldName {
    bytes: [u8; SHOWN_NAME_CHARACTERS_MAX],
    length: usize,
}

impl FieldName {
    /// Keeps the beginning of `name`, which is a token.
    pub fn of(name: &[u8]) -> FieldName {
        let mut bytes = [0; SHOWN_NAME_CHARACTERS_MAX];
        let mut length = 0;
        for (kept, byte) in bytes.iter_mut().zip(name) {
            *kept = *byte;
            length += 1;
        }
        FieldName { bytes, length }
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.bytes.get(..self.length).unwrap_or_default();
        f.write_str(str::from_utf8(kept).unwrap_or_default())
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
