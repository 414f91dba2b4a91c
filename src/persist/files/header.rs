//! The first line of a journal: its format, and which data file it belongs to.
//!
//! ```text
//! 5d4c1a20 {"pikv_journal":2,"seed":"9e3779b9","generation":3,"json_bytes":41,"json_crc32":"90ab12cd","keys":2,…}
//! ```
//! Its checksum has no seed, so a version that does not know the format still recognizes a header.

use super::record;
use super::seed::{Seed, from_hex};
use crate::limits::PREDECESSORS_MAX;
use crate::store::change::Revision;
use serde::Deserialize;
use std::io::Write;

/// The journal format that this server writes. It reads format 1 as well.
pub const FORMAT_VERSION: u64 = 2;
/// Bytes of a header line of [`FORMAT_VERSION`]: padded with spaces, because it is written before its numbers
/// are known.
pub const HEADER_BYTES: usize = 1024;
const HEADER_BYTES_OF_FORMAT_1: usize = 256;
/// The beginning of the JSON of a header, in every format.
const HEADER_BEGIN: &[u8] = b"{\"pikv_journal\":";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the checksums of all other lines start from; [`Seed::NONE`] in format 1.
    pub seed: Seed,
    /// Counts the checkpoints of the project.
    pub generation: u64,
    /// The data file: its length in bytes, and its CRC-32 (IEEE).
    pub json_bytes: u64,
    pub json_crc32: u32,
    /// Keys in the data file, which is the number of meta lines that follow.
    pub keys: u64,
    /// The latest revision whose change is not in this journal.
    pub revision: Revision,
    /// The expiry watermark at the checkpoint, milliseconds since 1970. For people who read the file: nothing depends
    /// on it, and it may be earlier than in the journal before.
    pub expired_until_ms: u64,
    /// CRC-32 (IEEE) of the data files that this one and those before it replaced, the newest first: at most
    /// [`PREDECESSORS_MAX`]. Empty in format 1.
    pub before: Vec<u32>,
}

impl Header {
    /// Bytes of the line with its line feed: the offset of the meta lines.
    pub fn bytes(&self) -> u64 {
        let bytes = if self.seed == Seed::NONE { HEADER_BYTES_OF_FORMAT_1 } else { HEADER_BYTES };
        bytes as u64
    }

    /// The pair of files after the one with this header.
    pub fn successor(&self) -> Lineage {
        let generation = self.generation.saturating_add(1);
        Lineage { generation, before: self.before.clone() }.replacing(self.json_crc32)
    }
}

/// The position of a pair of files among those of its project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// As [`Header::generation`].
    pub generation: u64,
    /// As [`Header::before`].
    pub before: Vec<u32>,
}

impl Lineage {
    /// The first pair of files of a project.
    pub fn first() -> Lineage {
        Lineage { generation: 1, before: Vec::new() }
    }

    /// The same for a pair that replaces a data file with the checksum `json_crc32`.
    pub fn replacing(mut self, json_crc32: u32) -> Lineage {
        self.before.insert(0, json_crc32);
        self.before.truncate(PREDECESSORS_MAX);
        self
    }
}

/// The line of exactly [`HEADER_BYTES`], of a journal that has a seed.
pub fn encode(header: &Header) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    record::begin_line(&mut out);
    let written = write!(
        out,
        "{{\"pikv_journal\":{FORMAT_VERSION},\"seed\":\"{}\",\"generation\":{},\"json_bytes\":{},\
         \"json_crc32\":\"{:08x}\",\"keys\":{},\"revision\":{},\"clock_ms\":{},\"before\":\"",
        header.seed,
        header.generation,
        header.json_bytes,
        header.json_crc32,
        header.keys,
        header.revision,
        header.expired_until_ms
    );
    let written = header.before.iter().fold(written, |so_far, crc| so_far.and(write!(out, "{crc:08x}")));
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
    out.extend_from_slice(b"\"}");
    out.resize(HEADER_BYTES - 1, b' ');
    record::end_line(&mut out);
    record::seal(&mut out, Seed::NONE);
    out
}

/// Whether a line is an intact header, of this version or of another.
pub fn is_header(line: &[u8]) -> bool {
    record::payload_of(line, Seed::NONE).is_some_and(|payload| payload.starts_with(HEADER_BEGIN))
}

/// The format that a header names, if this version does not read it and the line is as it was written. The
/// rest of such a line may be anything.
pub fn other_format(line: &[u8]) -> Option<String> {
    let rest = record::payload_of(line, Seed::NONE)?.strip_prefix(HEADER_BEGIN)?;
    let end = rest.iter().position(|byte| matches!(byte, b',' | b'}')).unwrap_or(rest.len());
    let format = String::from_utf8_lossy(rest.get(..end)?).trim().to_owned();
    (!["1", "2"].contains(&format.as_str())).then_some(format)
}

/// Decodes the first line of a journal, given without its line feed. `None` if its checksum, its length or
/// its content is wrong.
pub fn decode(line: &[u8]) -> Option<Header> {
    let payload = record::payload_of(line, Seed::NONE)?;
    let parts: HeaderParts<'_> = serde_json::from_slice(payload).ok()?;
    let (seed, before) = match (parts.pikv_journal, parts.seed, parts.before) {
        (1, None, None) => (Seed::NONE, Vec::new()),
        (FORMAT_VERSION, Some(seed), Some(before)) => {
            (Seed::new(from_hex(seed.as_bytes())?)?, decode_predecessors(before.as_bytes())?)
        }
        (_, _, _) => return None,
    };
    let header = Header {
        seed,
        generation: parts.generation,
        json_bytes: parts.json_bytes,
        json_crc32: from_hex(parts.json_crc32.as_bytes())?,
        keys: parts.keys,
        revision: Revision::new(parts.revision)?,
        expired_until_ms: parts.clock_ms,
        before,
    };
    (line.len() as u64 + 1 == header.bytes()).then_some(header)
}

fn decode_predecessors(text: &[u8]) -> Option<Vec<u32>> {
    let numbers = text.chunks(8).map(from_hex).collect::<Option<Vec<u32>>>()?;
    (numbers.len() <= PREDECESSORS_MAX).then_some(numbers)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderParts<'a> {
    pikv_journal: u64,
    #[serde(default)]
    seed: Option<&'a str>,
    generation: u64,
    json_bytes: u64,
    json_crc32: &'a str,
    keys: u64,
    revision: u64,
    clock_ms: u64,
    #[serde(default)]
    before: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest() -> Header {
        Header {
            seed: Seed::new(u32::MAX).unwrap(),
            generation: u64::MAX,
            json_bytes: u64::MAX,
            json_crc32: 0x00ab_cdef,
            keys: u64::MAX,
            revision: Revision::MAX,
            expired_until_ms: u64::MAX,
            before: (0..).take(PREDECESSORS_MAX).collect(),
        }
    }

    #[test]
    fn the_largest_header_fits_and_comes_back() {
        let line = encode(&largest());
        assert_eq!((line.len(), line.last()), (HEADER_BYTES, Some(&b'\n')));
        assert_eq!(decode(&line[..HEADER_BYTES - 1]), Some(largest()));
        assert!(is_header(&line[..HEADER_BYTES - 1]));
    }

    #[test]
    fn predecessors_are_the_newest_first_and_bounded() {
        let before = largest().successor().before;
        assert_eq!((before.len(), before[0], before[1]), (PREDECESSORS_MAX, 0x00ab_cdef, 0));
        let first = Header { generation: 1, before: Vec::new(), ..largest() };
        assert_eq!(first.successor(), Lineage { generation: 2, before: vec![0x00ab_cdef] });
    }

    #[test]
    fn header_of_a_known_format_with_other_content_is_none() {
        let line = String::from_utf8(encode(&largest())).unwrap();
        for (from, to) in [
            ("\"seed\":\"ffffffff\"", "\"seed\":\"00000000\""),
            ("\"seed\":\"ffffffff\"", "\"seed\":\"FFFFFFFF\""),
            ("\"seed\":\"ffffffff\",", ""),
            (":2,", ":1,"),
            (":2,", ":3,"),
            ("\"before\":\"00000000", "\"before\":\"0000000"),
            ("\"before\":\"", "\"before\":\"00000000"),
        ] {
            assert!(line.contains(from), "{from}");
            let mut changed = line.replacen(from, to, 1).into_bytes();
            changed.truncate(changed.trim_ascii_end().len());
            changed.resize(HEADER_BYTES - 1, b' ');
            changed.push(b'\n');
            record::seal(&mut changed, Seed::NONE);
            assert!(is_header(&changed[..HEADER_BYTES - 1]), "{to}");
            assert_eq!(decode(&changed[..HEADER_BYTES - 1]), None, "{to}");
        }
    }
}
