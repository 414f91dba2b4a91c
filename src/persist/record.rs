//! The lines of a journal: bytes to meaning and back. No files here.
//!
//! A line is `crc32-hex SP compact-JSON LF`, the checksum being that of the JSON. Four kinds:
//!
//! ```text
//! 5d4c1a20 {"pikv_journal":1,"generation":3,"json_bytes":41,"json_crc32":"90ab12cd","keys":2,"revision":17,"clock_ms":0}
//! 0c3f7f35 {"key":"a","revision":5,"created":1764000000000,"updated":1764000000000}
//! 77aa3b19 {"synced":17}
//! e41c77d0 [{"put":"a","revision":18,"created":1764000000000,"updated":1764000000009,"value":"x"},{"delete":"b","revision":19}]
//! ```
//! A line of changes is atomic. docs/STORAGE-FORMAT.md has an example byte by byte.

use crate::digits::hex_digit;
use crate::json;
use crate::names::Key;
use crate::store::change::{Change, Meta, Revision, Value};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::Write;

/// Bytes of a header line: padded with spaces, because it is written before its numbers are known.
pub const HEADER_BYTES: usize = 256;
/// The journal format that this server writes and reads.
pub const FORMAT_VERSION: u64 = 1;
/// How the JSON of a header begins, in every format.
const HEADER_BEGIN: &[u8] = b"{\"pikv_journal\":";
/// Checksum and space in front of the JSON.
const PREFIX_BYTES: usize = 9;

/// The first line of a journal: which data file it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Counts the checkpoints of the project.
    pub generation: u64,
    /// Length of the data file, bytes.
    pub json_bytes: u64,
    /// CRC-32 (IEEE) of the data file.
    pub json_crc32: u32,
    /// Keys in the data file, which is the number of meta lines that follow.
    pub keys: u64,
    /// The latest revision whose change is not in this journal.
    pub revision: Revision,
    /// The instant of the project's latest change of the clock at the checkpoint, milliseconds since 1970.
    /// For who reads the file: nothing rests on it, and it may be earlier than in the journal before.
    pub clock_ms: u64,
}

/// A journal line that was understood.
#[derive(Debug)]
pub enum Line<'a> {
    /// The first line.
    Header(Header),
    /// What is known of a key of the data file.
    Meta {
        /// The key.
        key: Cow<'a, str>,
        /// Its revision and times.
        meta: Meta,
    },
    /// Every change up to this one was synced when the line was written.
    Synced(Revision),
    /// Changes that happen together.
    Changes(Vec<RecordedChange<'a>>),
}

/// A change as a line has it; the owner of what a [`Change`] borrows.
#[derive(Debug)]
pub struct RecordedChange<'a> {
    text: Cow<'a, str>,
    kind: Kind,
    revision: Revision,
    meta: Meta,
    value: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Delete,
    Clear,
    Clock { at_ms: u64 },
}

impl RecordedChange<'_> {
    /// The change; `None` where the key is none, which a line with a right checksum never has.
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
            Kind::Clock { at_ms } => Change::Clock { at_ms, revision },
        })
    }

    /// The value's text, empty for anything but a put. Borrowed from the line it was read from.
    pub fn value(&self) -> &[u8] {
        self.value
    }
}

/// A line under construction at the end of a buffer. Dropping it without [`LineBuilder::finish`]
/// leaves a torn line behind, so the owner of the buffer truncates it.
#[derive(Debug)]
pub struct LineBuilder {
    start: usize,
}

impl LineBuilder {
    /// Begins a line at the end of `out`.
    pub fn begin(out: &mut Vec<u8>) -> LineBuilder {
        let start = out.len();
        out.extend_from_slice(b"00000000 ");
        LineBuilder { start }
    }

    /// Ends the line: fills in the checksum and adds the line feed.
    pub fn finish(self, out: &mut Vec<u8>) {
        let crc = crc32fast::hash(out.get(self.start + PREFIX_BYTES..).unwrap_or_default());
        if let Some(place) = out.get_mut(self.start..self.start + 8) {
            place.copy_from_slice(&hex_of(crc));
        }
        out.push(b'\n');
    }
}

/// Eight lower-case hexadecimal digits.
fn hex_of(crc: u32) -> [u8; 8] {
    let [a, b, c, d] = crc.to_be_bytes();
    [a >> 4, a, b >> 4, b, c >> 4, c, d >> 4, d].map(hex_digit)
}

/// Appends `change` as the JSON object that stands in a line of changes. Returns where in `out`
/// the value begins, for a put.
pub fn encode_change(change: &Change<'_>, out: &mut Vec<u8>) -> Option<usize> {
    match change {
        Change::Put { key, value, meta } => {
            out.extend_from_slice(b"{\"put\":");
            json::encode_string(key.as_str(), out);
            encode_meta_members(meta, out);
            out.extend_from_slice(b",\"value\":");
            let value_start = out.len();
            match value {
                Value::Text(text) => out.extend_from_slice(text),
                Value::Stored(_) => unreachable!("a change is recorded with its value's text"),
            }
            out.push(b'}');
            return Some(value_start);
        }
        Change::Delete { key, .. } => {
            out.extend_from_slice(b"{\"delete\":");
            json::encode_string(key.as_str(), out);
        }
        Change::Clear { prefix, .. } => {
            out.extend_from_slice(b"{\"clear\":");
            json::encode_string(prefix, out);
        }
        Change::Clock { at_ms, .. } => {
            out.extend_from_slice(b"{\"clock\":");
            json::encode_u64(*at_ms, out);
        }
    }
    out.extend_from_slice(b",\"revision\":");
    json::encode_u64(change.revision().get(), out);
    out.push(b'}');
    None
}

fn encode_meta_members(meta: &Meta, out: &mut Vec<u8>) {
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

/// Appends the meta line of a key.
pub fn encode_meta(key: &str, meta: &Meta, out: &mut Vec<u8>) {
    let line = LineBuilder::begin(out);
    out.extend_from_slice(b"{\"key\":");
    json::encode_string(key, out);
    encode_meta_members(meta, out);
    out.push(b'}');
    line.finish(out);
}

/// Appends the line that says up to where the journal is synced.
pub fn encode_synced(revision: Revision, out: &mut Vec<u8>) {
    let line = LineBuilder::begin(out);
    out.extend_from_slice(b"{\"synced\":");
    json::encode_u64(revision.get(), out);
    out.push(b'}');
    line.finish(out);
}

/// The header as a line of exactly [`HEADER_BYTES`].
pub fn encode_header(header: &Header) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    let line = LineBuilder::begin(&mut out);
    let written = write!(
        out,
        "{{\"pikv_journal\":{FORMAT_VERSION},\"generation\":{},\"json_bytes\":{},\"json_crc32\":\"{:08x}\",\
         \"keys\":{},\"revision\":{},\"clock_ms\":{}}}",
        header.generation,
        header.json_bytes,
        header.json_crc32,
        header.keys,
        header.revision,
        header.clock_ms
    );
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
    out.resize(HEADER_BYTES - 1, b' ');
    line.finish(&mut out);
    out
}

/// Whether a line, given without its line feed, is as it was written: its checksum is right.
pub fn is_intact(line: &[u8]) -> bool {
    payload_of(line).is_some()
}

/// The format that a header names, if it is not [`FORMAT_VERSION`] and the line is as it was written. The
/// rest of such a line may be anything.
pub fn other_format(line: &[u8]) -> Option<String> {
    let rest = payload_of(line)?.strip_prefix(HEADER_BEGIN)?;
    let end = rest.iter().position(|byte| matches!(byte, b',' | b'}')).unwrap_or(rest.len());
    let format = String::from_utf8_lossy(rest.get(..end)?).trim().to_owned();
    (format != FORMAT_VERSION.to_string()).then_some(format)
}

/// Whether a line is an intact header, of this version or of another.
pub fn is_header(line: &[u8]) -> bool {
    payload_of(line).is_some_and(|payload| payload.starts_with(HEADER_BEGIN))
}

fn payload_of(line: &[u8]) -> Option<&[u8]> {
    let (hex, rest) = line.split_at_checked(8)?;
    let payload = rest.strip_prefix(b" ")?;
    (hex_of(crc32fast::hash(payload)) == hex).then_some(payload)
}

/// Understands a line, given without its line feed. `None` where the checksum or the content is wrong.
pub fn decode_line(line: &[u8]) -> Option<Line<'_>> {
    let payload = payload_of(line)?;
    if payload.first() == Some(&b'[') {
        let parts: Vec<ChangeParts<'_>> = serde_json::from_slice(payload).ok()?;
        return parts.into_iter().map(recorded_change).collect::<Option<Vec<_>>>().map(Line::Changes);
    }
    if payload.starts_with(b"{\"key\":") {
        let parts: MetaParts<'_> = serde_json::from_slice(payload).ok()?;
        let key = json::decode_string(parts.key.get().as_bytes())?;
        let meta = Meta {
            revision: Revision::new(parts.revision)?,
            created_ms: parts.created,
            updated_ms: parts.updated,
            expires_ms: parts.expires,
        };
        return Some(Line::Meta { key, meta });
    }
    if payload.starts_with(b"{\"synced\":") {
        let parts: SyncedParts = serde_json::from_slice(payload).ok()?;
        return Some(Line::Synced(Revision::new(parts.synced)?));
    }
    let parts: HeaderParts<'_> = serde_json::from_slice(payload).ok()?;
    (parts.pikv_journal == FORMAT_VERSION).then_some(())?;
    Some(Line::Header(Header {
        generation: parts.generation,
        json_bytes: parts.json_bytes,
        json_crc32: u32::from_str_radix(parts.json_crc32, 16).ok()?,
        keys: parts.keys,
        revision: Revision::new(parts.revision)?,
        clock_ms: parts.clock_ms,
    }))
}

/// What a "synced" line says that is this line or, where its line feed was damaged, the end of it.
pub fn synced_at_end(line: &[u8]) -> Option<Revision> {
    let begins = |window: &[u8]| window == b"{\"synced\":";
    let payload_start = line.windows(b"{\"synced\":".len()).rposition(begins)?;
    let synced = line.get(payload_start.checked_sub(PREFIX_BYTES)?..)?;
    match decode_line(synced)? {
        Line::Synced(revision) => Some(revision),
        Line::Header(_) | Line::Meta { .. } | Line::Changes(_) => None,
    }
}

/// Where `part`, a piece of `whole`, begins in it: tells the place of a value in its line.
pub fn offset_within(whole: &[u8], part: &[u8]) -> u64 {
    (part.as_ptr().addr() as u64).saturating_sub(whole.as_ptr().addr() as u64)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderParts<'a> {
    pikv_journal: u64,
    generation: u64,
    json_bytes: u64,
    json_crc32: &'a str,
    keys: u64,
    revision: u64,
    clock_ms: u64,
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
    let meta =
        Meta { revision, created_ms: parts.created, updated_ms: parts.updated, expires_ms: parts.expires };
    let (kind, text, value) = match (parts.put, parts.delete, parts.clear, parts.clock) {
        (Some(key), None, None, None) => {
            (Kind::Put, json::decode_string(key.get().as_bytes())?, parts.value?.get().as_bytes())
        }
        (None, Some(key), None, None) => (Kind::Delete, text(key)?.into(), &[][..]),
        (None, None, Some(prefix), None) => (Kind::Clear, text(prefix)?.into(), &[][..]),
        (None, None, None, Some(at_ms)) => (Kind::Clock { at_ms }, "".into(), &[][..]),
        (_, _, _, _) => return None,
    };
    Some(RecordedChange { text, kind, revision, meta, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(expires_ms: Option<u64>) -> Meta {
        Meta { revision: Revision::new(18).unwrap(), created_ms: 1, updated_ms: 2, expires_ms }
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
            Change::Clock { at_ms: 1_764_000_000_000, revision },
        ];
        let mut out = Vec::new();
        let line = LineBuilder::begin(&mut out);
        out.push(b'[');
        for (index, change) in changes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            encode_change(change, &mut out);
        }
        out.push(b']');
        line.finish(&mut out);
        assert_eq!(out.pop(), Some(b'\n'));
        let Some(Line::Changes(recorded)) = decode_line(&out) else { panic!("not a line of changes") };
        let decoded: Vec<Change<'_>> = recorded.iter().map(|recorded| recorded.change().unwrap()).collect();
        assert_eq!(decoded, changes);
    }

    #[test]
    fn value_offset_points_at_the_value() {
        let mut out = b"xyz".to_vec();
        let change =
            Change::Put { key: Key::parse("k").unwrap(), value: Value::Text(b"[1]"), meta: meta(None) };
        let start = encode_change(&change, &mut out).unwrap();
        assert_eq!(&out[start..start + 3], b"[1]");
    }

    #[test]
    fn header_meta_and_synced_lines_come_back() {
        let header = Header {
            generation: u64::MAX,
            json_bytes: u64::MAX,
            json_crc32: 0x00ab_cdef,
            keys: u64::MAX,
            revision: Revision::MAX,
            clock_ms: u64::MAX,
        };
        let line = encode_header(&header);
        assert_eq!(line.len(), HEADER_BYTES);
        let Some(Line::Header(decoded)) = decode_line(&line[..HEADER_BYTES - 1]) else { panic!() };
        assert_eq!(decoded, header);
        let mut out = Vec::new();
        encode_meta("k\n", &meta(Some(9)), &mut out);
        encode_synced(Revision::new(5).unwrap(), &mut out);
        let mut lines = out.split(|&byte| byte == b'\n');
        let Some(Line::Meta { key, meta: decoded }) = decode_line(lines.next().unwrap()) else { panic!() };
        assert_eq!((&*key, decoded), ("k\n", meta(Some(9))));
        let Some(Line::Synced(revision)) = decode_line(lines.next().unwrap()) else { panic!() };
        assert_eq!(revision.get(), 5);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut out = Vec::new();
        encode_meta("key", &meta(None), &mut out);
        out.pop();
        for bit in 0..out.len() * 8 {
            let mut flipped = out.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_line(&flipped).is_none(), "bit {bit}");
        }
    }
}
