//! One key with its value and times, packed into a single allocation.
//!
//! ```text
//! | flags and key length u16 | revision u48 | created u48 | updated u48 | expires u48 ? | key | value |
//! ```
//! All numbers are little-endian; `expires` is there only with [`HAS_EXPIRY`]. The value is its JSON
//! text, or with [`IS_STORED`] a location: file u32, offset u48, length u32. A million small
//! entries are the bulk of the server's memory, hence the packing.

use super::change::{Location, Meta, Revision, Value};
use crate::limits::STORED_KEY_BYTES_MAX;
use crate::names::Key;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;

const HAS_EXPIRY: u16 = 1 << 15;
const IS_STORED: u16 = 1 << 14;
const KEY_LENGTH_MASK: u16 = IS_STORED - 1;
const FIXED_BYTES: usize = 2 + 3 * 6;
const _: () = assert!(STORED_KEY_BYTES_MAX <= KEY_LENGTH_MASK as usize);

/// A key with its value and times. Ordered and looked up by the bytes of its key.
#[derive(Clone)]
pub struct Entry(Box<[u8]>);

impl Entry {
    /// Packs a key, its value and its times. Instants above 2^48 ms (the year 10889) are cut to that.
    pub fn new(key: Key<'_>, value: Value<'_>, meta: &Meta) -> Entry {
        let key = key.as_str().as_bytes();
        let value_bytes = match value {
            Value::Text(text) => text.len(),
            Value::Stored(_) => 14,
        };
        let expiry_bytes = if meta.expires_ms.is_some() { 6 } else { 0 };
        let mut packed = Vec::with_capacity(FIXED_BYTES + expiry_bytes + key.len() + value_bytes);
        let mut head = u16::try_from(key.len()).unwrap_or(KEY_LENGTH_MASK);
        head |= if meta.expires_ms.is_some() { HAS_EXPIRY } else { 0 };
        head |= if matches!(value, Value::Stored(_)) { IS_STORED } else { 0 };
        packed.extend_from_slice(&head.to_le_bytes());
        push_u48(&mut packed, meta.revision.get());
        push_u48(&mut packed, meta.created_ms);
        push_u48(&mut packed, meta.updated_ms);
        if let Some(expires_ms) = meta.expires_ms {
            push_u48(&mut packed, expires_ms);
        }
        packed.extend_from_slice(key);
        match value {
            Value::Text(text) => packed.extend_from_slice(text),
            Value::Stored(location) => {
                packed.extend_from_slice(&location.file.to_le_bytes());
                push_u48(&mut packed, location.offset);
                packed.extend_from_slice(&location.length.to_le_bytes());
            }
        }
        Entry(packed.into_boxed_slice())
    }

    /// The key.
    pub fn key(&self) -> &str {
        // Packed from a `Key` in `new`, and never changed since.
        std::str::from_utf8(self.key_bytes()).unwrap_or_default()
    }

    /// The value, or where it lies.
    pub fn value(&self) -> Value<'_> {
        let rest = self.0.get(self.key_start() + self.key_length()..).unwrap_or_default();
        if self.head() & IS_STORED == 0 {
            return Value::Text(rest);
        }
        let file = u32::from_le_bytes(array_at(rest, 0));
        let length = u32::from_le_bytes(array_at(rest, 10));
        Value::Stored(Location { file, offset: u48_at(rest, 4), length })
    }

    /// Revision and times.
    pub fn meta(&self) -> Meta {
        Meta {
            revision: self.revision(),
            created_ms: u48_at(&self.0, 8),
            updated_ms: u48_at(&self.0, 14),
            expires_ms: self.expires_ms(),
        }
    }

    /// The change that wrote the value.
    pub fn revision(&self) -> Revision {
        // 48 bits never exceed `Revision::MAX`.
        Revision::new(u48_at(&self.0, 2)).unwrap_or(Revision::MAX)
    }

    /// From when on the key is absent.
    pub fn expires_ms(&self) -> Option<u64> {
        (self.head() & HAS_EXPIRY != 0).then(|| u48_at(&self.0, FIXED_BYTES))
    }

    /// Bytes of key and value, as projects count them.
    pub fn counted_bytes(&self) -> u64 {
        (self.key_length() + self.value().length()) as u64
    }

    fn head(&self) -> u16 {
        u16::from_le_bytes(array_at(&self.0, 0))
    }

    fn key_length(&self) -> usize {
        usize::from(self.head() & KEY_LENGTH_MASK)
    }

    fn key_start(&self) -> usize {
        FIXED_BYTES + if self.head() & HAS_EXPIRY != 0 { 6 } else { 0 }
    }

    fn key_bytes(&self) -> &[u8] {
        let start = self.key_start();
        self.0.get(start..start + self.key_length()).unwrap_or_default()
    }
}

fn push_u48(out: &mut Vec<u8>, number: u64) {
    let number = number.min((1 << 48) - 1);
    let [a, b, c, d, e, f, ..] = number.to_le_bytes();
    out.extend_from_slice(&[a, b, c, d, e, f]);
}

fn u48_at(bytes: &[u8], at: usize) -> u64 {
    let [a, b, c, d, e, f] = array_at(bytes, at);
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// `N` bytes from `at` on. An entry always has them: `new` is the only place that packs one.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.key_bytes()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key_bytes() == other.key_bytes()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        self.key_bytes().cmp(other.key_bytes())
    }
}

impl fmt::Debug for Entry {
    /// Without the value, which may be a secret of the user's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key()).field("meta", &self.meta()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: Value<'_>, expires_ms: Option<u64>) {
        let meta = Meta {
            revision: Revision::new(1_764_000_000_001).unwrap(),
            created_ms: 1_764_000_000_000,
            updated_ms: 1_764_000_000_999,
            expires_ms,
        };
        let entry = Entry::new(Key::parse(key).unwrap(), value, &meta);
        assert_eq!((entry.key(), entry.value(), entry.meta()), (key, value, meta));
        assert_eq!(entry.counted_bytes(), (key.len() + value.length()) as u64);
    }

    #[test]
    fn entry_gives_back_what_was_packed() {
        let stored = Value::Stored(Location { file: 7, offset: 1 << 40, length: u32::MAX });
        for key in ["k", "🔑/a", &"x".repeat(1024)] {
            for value in [Value::Text(b"{\"a\":1}"), Value::Text(b"0"), stored] {
                check(key, value, None);
                check(key, value, Some(1_764_000_009_999));
            }
        }
    }

    #[test]
    fn entries_are_ordered_by_key_bytes() {
        let meta = Meta { revision: Revision::default(), created_ms: 0, updated_ms: 0, expires_ms: None };
        let entry = |key| Entry::new(Key::parse(key).unwrap(), Value::Text(b"1"), &meta);
        assert!(entry("a") < entry("a/"));
        assert!(entry("Z") < entry("a"));
        assert!(entry("z") < entry("é"));
    }
}
