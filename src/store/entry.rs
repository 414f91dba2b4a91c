//! One key with its value and times, packed.
//!
//! ```text
//! | flags and key length u16 | revision u56 | created u48 | updated u48 ? | expires u48 ? | key | value |
//! ```
//! All numbers are little-endian. `updated` exists only with [`HAS_UPDATE`], else it is the same as `created`;
//! `expires` exists only with [`HAS_EXPIRY`]. The value is its JSON text, or with [`IS_STORED`] a location: file,
//! offset and length as varints, then the checksum in 4 bytes. Entries are packed because millions of small ones
//! are most of the server's memory: one with a key of 16 bytes and a value in a file takes about 41 bytes.

use super::change::{EntryMeta, Location, Revision, Value};
use super::expiry::Timer;
use super::run::{Kind, Packed, Sums};
use super::varint::{GROUPS_MAX, groups_of, push_groups};
use crate::limits::STORED_KEY_BYTES_MAX;
use crate::names::Key;
use std::fmt;

const HAS_EXPIRY: u16 = 1 << 15;
const IS_STORED: u16 = 1 << 14;
const HAS_UPDATE: u16 = 1 << 13;
const KEY_LENGTH_MASK: u16 = HAS_UPDATE - 1;
/// The latest instant that an entry can have.
const INSTANT_MS_MAX: u64 = (1 << 48) - 1;
const FIXED_BYTES: usize = 2 + 7 + 6;
/// Bytes of the checksum of a value that lies in a file.
const CHECKSUM_BYTES: usize = 4;
const _: () = assert!(Revision::MAX.get() < 1 << 56);
const _: () = assert!(STORED_KEY_BYTES_MAX <= KEY_LENGTH_MASK as usize);

#[derive(Debug, Default)]
pub struct Entries;

impl Kind for Entries {
    type Entry<'a> = Entry<'a>;
}

#[derive(Clone, Copy)]
pub struct Entry<'a>(&'a [u8]);

#[derive(Clone)]
pub struct OwnedEntry(Box<[u8]>);

/// The maximum bytes that [`pack`] appends.
pub(crate) fn packed_bytes_max(key: Key<'_>, value: Value<'_>) -> usize {
    let value_bytes = match value {
        Value::Text(text) => text.len(),
        Value::Stored(_) => 3 * GROUPS_MAX + CHECKSUM_BYTES,
    };
    FIXED_BYTES + 2 * 6 + key.as_str().len() + value_bytes
}

/// Appends a packed key, its value and its times. Instants from 2^48 ms on (the year 10889) are clamped to the
/// largest below that.
pub(crate) fn pack(key: Key<'_>, value: Value<'_>, meta: &EntryMeta, out: &mut Vec<u8>) {
    let key = key.as_str().as_bytes();
    let updated_ms = Some(meta.updated_ms).filter(|updated_ms| *updated_ms != meta.created_ms);
    let mut head = u16::try_from(key.len()).unwrap_or(KEY_LENGTH_MASK);
    head |= if updated_ms.is_some() { HAS_UPDATE } else { 0 };
    head |= if meta.expires_ms.is_some() { HAS_EXPIRY } else { 0 };
    head |= if matches!(value, Value::Stored(_)) { IS_STORED } else { 0 };
    out.extend_from_slice(&head.to_le_bytes());
    push_low::<7>(out, meta.revision.get());
    push_low::<6>(out, meta.created_ms.min(INSTANT_MS_MAX));
    updated_ms
        .into_iter()
        .chain(meta.expires_ms)
        .for_each(|instant_ms| push_low::<6>(out, instant_ms.min(INSTANT_MS_MAX)));
    out.extend_from_slice(key);
    match value {
        Value::Text(text) => out.extend_from_slice(text),
        Value::Stored(location) => {
            numbers_of(location).into_iter().for_each(|number| push_groups(out, number));
            out.extend_from_slice(&location.crc32.to_le_bytes());
        }
    }
}

impl<'a> Packed<'a> for Entry<'a> {
    fn of(bytes: &'a [u8]) -> Entry<'a> {
        Entry(bytes)
    }

    fn bytes(self) -> &'a [u8] {
        self.0
    }

    fn key_bytes(self) -> &'a [u8] {
        let start = self.key_start();
        self.0.get(start..start + self.key_length()).unwrap_or_default()
    }

    fn sums(self) -> Sums {
        let bytes = self.counted_bytes();
        let timed = self.expires_ms().is_some();
        Sums { keys: 1, bytes, timed: u64::from(timed), timed_bytes: if timed { bytes } else { 0 } }
    }
}

impl OwnedEntry {
    pub fn of(bytes: Box<[u8]>) -> OwnedEntry {
        OwnedEntry(bytes)
    }

    pub fn view(&self) -> Entry<'_> {
        Entry(&self.0)
    }
}

impl<'a> Entry<'a> {
    pub fn key(self) -> &'a str {
        // `pack` wrote a `Key`, which is UTF-8.
        std::str::from_utf8(self.key_bytes()).unwrap_or_default()
    }

    /// The value, or its location in a file.
    pub fn value(self) -> Value<'a> {
        let rest = self.0.get(self.key_start() + self.key_length()..).unwrap_or_default();
        if !self.has(IS_STORED) {
            return Value::Text(rest);
        }
        let (file, rest) = groups_of(rest);
        let (offset, rest) = groups_of(rest);
        let (length, rest) = groups_of(rest);
        let crc32 = u32::from_le_bytes(array_at(rest, 0));
        let [file, length] = [file, length].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Value::Stored(Location { file, offset, length, crc32 })
    }

    pub fn meta(self) -> EntryMeta {
        let created_ms = u48_at(self.0, 9);
        let updated_ms = if self.has(HAS_UPDATE) { u48_at(self.0, FIXED_BYTES) } else { created_ms };
        EntryMeta { revision: self.revision(), created_ms, updated_ms, expires_ms: self.expires_ms() }
    }

    pub fn revision(self) -> Revision {
        let [a, b, c, d, e, f, g] = array_at(self.0, 2);
        // `pack` wrote a revision.
        Revision::new(u64::from_le_bytes([a, b, c, d, e, f, g, 0])).unwrap_or(Revision::MAX)
    }

    pub fn expires_ms(self) -> Option<u64> {
        let start = FIXED_BYTES + if self.has(HAS_UPDATE) { 6 } else { 0 };
        self.has(HAS_EXPIRY).then(|| u48_at(self.0, start))
    }

    /// Bytes of key and value, as projects count them.
    pub fn counted_bytes(self) -> u64 {
        (self.key_length() + self.value().length()) as u64
    }

    pub fn timer(self) -> Option<Timer<'a>> {
        let expires_ms = self.expires_ms()?;
        Some(Timer { expires_ms, revision: self.revision(), key: self.key() })
    }

    fn head(self) -> u16 {
        u16::from_le_bytes(array_at(self.0, 0))
    }

    fn has(self, flag: u16) -> bool {
        self.head() & flag != 0
    }

    fn key_length(self) -> usize {
        usize::from(self.head() & KEY_LENGTH_MASK)
    }

    fn key_start(self) -> usize {
        let times = usize::from(self.has(HAS_UPDATE)) + usize::from(self.has(HAS_EXPIRY));
        FIXED_BYTES + 6 * times
    }
}

fn push_low<const BYTES: usize>(out: &mut Vec<u8>, number: u64) {
    if let Some(low) = number.to_le_bytes().first_chunk::<BYTES>() {
        out.extend_from_slice(low);
    }
}

fn numbers_of(location: Location) -> [u64; 3] {
    [u64::from(location.file), location.offset, u64::from(location.length)]
}

fn u48_at(bytes: &[u8], at: usize) -> u64 {
    let [a, b, c, d, e, f] = array_at(bytes, at);
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// `N` bytes from `at` on. An entry always has them, because `pack` writes all of its fields.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

impl fmt::Debug for Entry<'_> {
    /// Without the value, which may be a secret of the user's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key()).field("meta", &self.meta()).finish()
    }
}

impl fmt::Debug for OwnedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(key: &str, value: Value<'_>, meta: &EntryMeta) -> Vec<u8> {
        let mut packed = Vec::new();
        pack(Key::parse(key).unwrap(), value, meta, &mut packed);
        packed
    }

    fn check(key: &str, value: Value<'_>, expires_ms: Option<u64>) {
        for updated_ms in [1_764_000_000_000, 1_764_000_000_999] {
            let revision = if expires_ms.is_some() { Revision::MAX } else { Revision::at_clock(updated_ms) };
            let meta = EntryMeta { revision, created_ms: 1_764_000_000_000, updated_ms, expires_ms };
            let packed = packed(key, value, &meta);
            let entry = Entry::of(&packed);
            assert_eq!((entry.key(), entry.value(), entry.meta()), (key, value, meta));
            assert_eq!(entry.counted_bytes(), (key.len() + value.length()) as u64);
        }
    }

    #[test]
    fn a_small_entry_whose_value_lies_in_a_file_is_small() {
        let meta =
            EntryMeta { revision: Revision::default(), created_ms: 1, updated_ms: 1, expires_ms: None };
        let value = Value::Stored(Location { file: 2, offset: 120_000_000, length: 100, crc32: u32::MAX });
        assert_eq!(packed("sixteen bytes...", value, &meta).len(), 41);
    }

    #[test]
    fn entry_gives_back_what_was_packed() {
        let stored =
            Value::Stored(Location { file: 7, offset: 1 << 40, length: u32::MAX, crc32: 0x8000_0001 });
        let nearest = Value::Stored(Location { file: 0x7f, offset: 0x80, length: 0, crc32: 0 });
        let furthest =
            Value::Stored(Location { file: u32::MAX, offset: u64::MAX, length: u32::MAX, crc32: u32::MAX });
        for key in ["k", "🔑/a", &"x".repeat(1024)] {
            for value in [Value::Text(b"{\"a\":1}"), Value::Text(b"0"), stored, nearest, furthest] {
                check(key, value, None);
                check(key, value, Some(1_764_000_009_999));
            }
        }
    }
}
