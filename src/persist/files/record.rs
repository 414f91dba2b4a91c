//! Encodes and decodes the lines of a journal after its header. It reads and writes no files.
//!
//! A line is `crc32-hex SP compact-JSON LF`. The checksum is that of the JSON and starts from the [`Seed`] of
//! the file. There are three kinds:
//!
//! ```text
//! 0c3f7f35 {"key":"a","revision":5,"created":1764000000000,"updated":1764000000000}
//! 77aa3b19 {"synced":17}
//! e41c77d0 [{"put":"a","revision":18,"created":1764000000000,"updated":1764000000009,"value":"x"},{"delete":"b","revision":19}]
//! ```
//! A line of changes is atomic. docs/STORAGE-FORMAT.md has an example byte by byte.
//!
//! A line is encoded without its checksum. [`seal`] adds it once the file is known.

use super::seed::{self, Seed, from_hex, hex_of};
use super::sequential::find_line_feed;
use crate::json;
use crate::names::Key;
use crate::store::change::{Change, EntryMeta, Revision, Value};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

const UNSEALED_PREFIX: &[u8; PREFIX_BYTES] = b"00000000 ";
/// The checksum and the space before the JSON.
const PREFIX_BYTES: usize = 9;

#[derive(Debug)]
pub enum Line<'a> {
    /// What is known of a key of the data file.
    Meta { key: Cow<'a, str>, meta: EntryMeta },
    /// Every change up to this one was synced when the line was written.
    Synced(Revision),
    /// Changes that are applied together or not at all.
    Changes(Vec<RecordedChange<'a>>),
}

/// A change that was read from a line. A [`Change`] borrows from it.
#[derive(Debug)]
pub struct RecordedChange<'a> {
    text: Cow<'a, str>,
    kind: Kind,
    revision: Revision,
    meta: EntryMeta,
    value: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Delete,
    Clear,
    ExpireUntil { at_ms: u64 },
}

impl RecordedChange<'_> {
    /// The change. `None` if its key is not valid, which a line with the right checksum never has.
    pub fn change(&self) -> Option<Change<'_>> {
        let revision = self.revision;
        Some(match self.kind {
            Kind::Put => Change::Put {
                key: Key::parse_stored(&self.text).ok()?,
                value: Value::Text(self.value),
                meta: self.meta,
            },
            Kind::Delete => Change::Delete { key: Key::parse_stored(&self.text).ok()?, revision },
            Kind::Clear => Change::Clear { prefix: &self.text, revision },
            Kind::ExpireUntil { at_ms } => Change::ExpireUntil { at_ms, revision },
        })
    }

    /// The value's text, empty for anything but a put. A slice of the line, so that its offset can be told.
    pub fn value(&self) -> &[u8] {
        self.value
    }
}

/// Begins a line at the end of `out`. If the line is not completed, the caller has to truncate the buffer.
pub fn begin_line(out: &mut Vec<u8>) {
    out.extend_from_slice(UNSEALED_PREFIX);
}

/// Ends a line, which still has to be sealed.
pub fn end_line(out: &mut Vec<u8>) {
    out.push(b'\n');
}

/// Writes the checksums of complete lines. JSON that was encoded or minified here contains no line feed, so each line
/// feed ends a line.
pub fn seal(lines: &mut [u8], seed: Seed) {
    let mut rest = lines;
    while let Some(end) = find_line_feed(rest) {
        let Some((line, after)) = std::mem::take(&mut rest).split_at_mut_checked(end + 1) else { return };
        let checksum = hex_of(seed.checksum(line.get(PREFIX_BYTES..end).unwrap_or_default()));
        if let Some(place) = line.get_mut(..checksum.len()) {
            place.copy_from_slice(&checksum);
        }
        rest = after;
    }
}

pub fn encode_change(change: &Change<'_>, out: &mut Vec<u8>) {
    match change {
        Change::Put { key, value, meta } => {
            out.extend_from_slice(b"{\"put\":");
            json::encode_string(key.as_str(), out);
            encode_meta_members(meta, out);
            out.extend_from_slice(b",\"value\":");
            match value {
                Value::Text(text) => out.extend_from_slice(text),
                Value::Stored(_) => unreachable!("a change is recorded with its value's text"),
            }
            out.push(b'}');
            return;
        }
        Change::Delete { key, .. } => {
            out.extend_from_slice(b"{\"delete\":");
            json::encode_string(key.as_str(), out);
        }
        Change::Clear { prefix, .. } => {
            out.extend_from_slice(b"{\"clear\":");
            json::encode_string(prefix, out);
        }
        Change::ExpireUntil { at_ms, .. } => {
            out.extend_from_slice(b"{\"clock\":");
            json::encode_u64(*at_ms, out);
        }
    }
    out.extend_from_slice(b",\"revision\":");
    json::encode_u64(change.revision().get(), out);
    out.push(b'}');
}

fn encode_meta_members(meta: &EntryMeta, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"revision\":");
    json::encode_u64(meta.revision.get(), out);
    out.extend_from_slice(b",\"created\":");
    json::encode_u64(meta.created_ms, out);
    out.extend_from_slice(b",\"updated\":");
    json::encode_u64(meta.updated_ms, out);
    if let Some(expires_ms) = meta.expires_ms {
        out.extend_from_slice(b",\"expires\":");
        json::encode_u64(expires_ms, out);
    }
}

/// Appends the meta line of a key, not sealed.
pub fn encode_meta(key: &str, meta: &EntryMeta, out: &mut Vec<u8>) {
    begin_line(out);
    out.extend_from_slice(b"{\"key\":");
    json::encode_string(key, out);
    encode_meta_members(meta, out);
    out.push(b'}');
    end_line(out);
}

/// Appends the line that states up to which revision the journal is synced, not sealed.
pub fn encode_synced(revision: Revision, out: &mut Vec<u8>) {
    begin_line(out);
    out.extend_from_slice(b"{\"synced\":");
    json::encode_u64(revision.get(), out);
    out.push(b'}');
    end_line(out);
}

/// Whether a line, given without its line feed, has the right checksum.
pub fn is_intact(line: &[u8], seed: Seed) -> bool {
    payload_of(line, seed).is_some()
}

/// The JSON of a line, given without its line feed. `None` if the checksum is wrong.
pub(crate) fn payload_of(line: &[u8], seed: Seed) -> Option<&[u8]> {
    let (hex, rest) = line.split_at_checked(8)?;
    let payload = rest.strip_prefix(b" ")?;
    (hex_of(seed.checksum(payload)) == hex).then_some(payload)
}

/// The seed that gives a line, without its line feed, the checksum that it has. Every line has one. `None` if it does
/// not begin with a checksum.
pub(crate) fn seed_of(line: &[u8]) -> Option<u32> {
    let (hex, rest) = line.split_at_checked(8)?;
    Some(seed::which_gives(from_hex(hex)?, rest.strip_prefix(b" ")?))
}

/// Decodes a line, given without its line feed. `None` if the checksum or the content is wrong.
pub fn decode_line(line: &[u8], seed: Seed) -> Option<Line<'_>> {
    let payload = payload_of(line, seed)?;
    if payload.first() == Some(&b'[') {
        let parts: Vec<ChangeParts<'_>> = serde_json::from_slice(payload).ok()?;
        return parts.into_iter().map(recorded_change).collect::<Option<Vec<_>>>().map(Line::Changes);
    }
    if payload.starts_with(b"{\"key\":") {
        let parts: MetaParts<'_> = serde_json::from_slice(payload).ok()?;
        let key = json::decode_string(parts.key.get().as_bytes())?;
        let meta = EntryMeta {
            revision: Revision::new(parts.revision)?,
            created_ms: parts.created,
            updated_ms: parts.updated,
            expires_ms: parts.expires,
        };
        return Some(Line::Meta { key, meta });
    }
    let parts: SyncedParts = serde_json::from_slice(payload).ok()?;
    Some(Line::Synced(Revision::new(parts.synced)?))
}

/// The revision of the `synced` line that `line` is, or ends with if the line feed before that was damaged.
pub fn synced_at_end(line: &[u8], seed: Seed) -> Option<Revision> {
    let begins = |window: &[u8]| window == b"{\"synced\":";
    let payload_start = line.windows(b"{\"synced\":".len()).rposition(begins)?;
    let synced = line.get(payload_start.checked_sub(PREFIX_BYTES)?..)?;
    match decode_line(synced, seed)? {
        Line::Synced(revision) => Some(revision),
        Line::Meta { .. } | Line::Changes(_) => None,
    }
}

/// The offset of `part`, a slice of `whole`, in `whole`.
pub fn offset_within(whole: &[u8], part: &[u8]) -> u64 {
    (part.as_ptr().addr() as u64).saturating_sub(whole.as_ptr().addr() as u64)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaParts<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
    revision: u64,
    created: u64,
    updated: u64,
    #[serde(default)]
    expires: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncedParts {
    synced: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeParts<'a> {
    #[serde(borrow, default)]
    put: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delete: Option<&'a RawValue>,
    #[serde(borrow, default)]
    clear: Option<&'a RawValue>,
    #[serde(default)]
    clock: Option<u64>,
    revision: u64,
    #[serde(default)]
    created: u64,
    #[serde(default)]
    updated: u64,
    #[serde(default)]
    expires: Option<u64>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    value: Option<&'a RawValue>,
}

fn recorded_change(parts: ChangeParts<'_>) -> Option<RecordedChange<'_>> {
    let text = |raw: &'_ RawValue| json::decode_string(raw.get().as_bytes()).map(Cow::into_owned);
    let revision = Revision::new(parts.revision)?;
    let meta = EntryMeta {
        revision,
        created_ms: parts.created,
        updated_ms: parts.updated,
        expires_ms: parts.expires,
    };
    let (kind, text, value) = match (parts.put, parts.delete, parts.clear, parts.clock) {
        (Some(key), None, None, None) => {
            (Kind::Put, json::decode_string(key.get().as_bytes())?, parts.value?.get().as_bytes())
        }
        (None, Some(key), None, None) => (Kind::Delete, text(key)?.into(), &[][..]),
        (None, None, Some(prefix), None) => (Kind::Clear, text(prefix)?.into(), &[][..]),
        (None, None, None, Some(at_ms)) => (Kind::ExpireUntil { at_ms }, "".into(), &[][..]),
        (_, _, _, _) => return None,
    };
    Some(RecordedChange { text, kind, revision, meta, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        Seed::new(0x9e37_79b9).unwrap()
    }

    fn meta(expires_ms: Option<u64>) -> EntryMeta {
        EntryMeta { revision: Revision::new(18).unwrap(), created_ms: 1, updated_ms: 2, expires_ms }
    }

    #[test]
    fn changes_come_back_as_they_were_recorded() {
        let key = Key::parse("a\"b/é").unwrap();
        let revision = Revision::new(19).unwrap();
        let changes = [
            Change::Put { key, value: Value::Text(b"{\"n\":1e400}"), meta: meta(Some(7)) },
            Change::Put { key, value: Value::Text(b"-0"), meta: meta(None) },
            Change::Put { key, value: Value::Text(b"null"), meta: meta(None) },
            Change::Delete { key, revision },
            Change::Clear { prefix: "", revision },
            Change::ExpireUntil { at_ms: 1_764_000_000_000, revision },
        ];
        let mut out = Vec::new();
        begin_line(&mut out);
        out.push(b'[');
        for (index, change) in changes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            encode_change(change, &mut out);
        }
        out.push(b']');
        end_line(&mut out);
        seal(&mut out, seed());
        assert_eq!(out.pop(), Some(b'\n'));
        let Some(Line::Changes(recorded)) = decode_line(&out, seed()) else {
            panic!("not a line of changes")
        };
        let decoded: Vec<Change<'_>> = recorded.iter().map(|recorded| recorded.change().unwrap()).collect();
        assert_eq!(decoded, changes);
    }

    #[test]
    fn meta_and_synced_lines_come_back_from_the_file_they_were_sealed_for() {
        let mut out = Vec::new();
        encode_meta("k\n", &meta(Some(9)), &mut out);
        encode_synced(Revision::new(5).unwrap(), &mut out);
        for sealed_for in [Seed::NONE, seed()] {
            seal(&mut out, sealed_for);
            let mut lines = out.split(|&byte| byte == b'\n');
            let [first, second] = [lines.next().unwrap(), lines.next().unwrap()];
            let Some(Line::Meta { key, meta: decoded }) = decode_line(first, sealed_for) else { panic!() };
            assert_eq!((&*key, decoded), ("k\n", meta(Some(9))));
            assert_eq!(synced_at_end(second, sealed_for), Revision::new(5));
            let another = Seed::new(7).unwrap();
            assert!(decode_line(first, another).is_none() && synced_at_end(second, another).is_none());
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut out = Vec::new();
        encode_meta("key", &meta(None), &mut out);
        seal(&mut out, seed());
        out.pop();
        assert!(is_intact(&out, seed()));
        for bit in 0..out.len() * 8 {
            let mut flipped = out.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_line(&flipped, seed()).is_none(), "bit {bit}");
        }
    }
}
