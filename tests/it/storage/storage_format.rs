//! docs/STORAGE-FORMAT.md and the files of each format in `tests/fixtures`, which never change: whatever
//! the server becomes, it reads them.

use crate::harness::{Options, Server, known_config};
use pikv::testing::persist::files::header::{self, Header};
use pikv::testing::persist::files::record::{self, Line};
use pikv::testing::persist::files::seed::Seed;
use pikv::testing::store::change::{Change, Revision, Value};
use std::fs;
use std::path::{Path, PathBuf};

fn package_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A format: its fixture, and the part of the document that has it byte by byte.
#[derive(Clone, Copy, Debug)]
struct Format {
    number: usize,
    heading: &'static str,
    header_bytes: usize,
}

const FORMATS: [Format; 2] = [
    Format { number: 1, heading: "## Format 1", header_bytes: 256 },
    Format { number: 2, heading: "## An example, byte by byte", header_bytes: 1024 },
];

impl Format {
    fn fixture(self, name: &str) -> Vec<u8> {
        fs::read(package_file(&format!("tests/fixtures/format-{}", self.number)).join(name)).unwrap()
    }

    fn header(self) -> Header {
        header::decode(&self.fixture("demo.journal")[..self.header_bytes - 1]).unwrap()
    }

    /// The texts of the blocks of its part of the document that are marked `language`.
    fn blocks(self, language: &str) -> Vec<String> {
        let document = document();
        let (_, rest) = document.split_once(&format!("\n{}\n", self.heading)).unwrap();
        blocks_of(rest.split("\n## ").next().unwrap(), language)
    }
}

fn document() -> String {
    fs::read_to_string(package_file("docs/STORAGE-FORMAT.md")).unwrap()
}

fn blocks_of(text: &str, language: &str) -> Vec<String> {
    let blocks = text.split(&format!("\n```{language}\n")).skip(1).map(str::to_owned).collect::<Vec<_>>();
    blocks.iter().map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A line as `hexdump -C` prints it: offset and bytes.
fn parse_hexdump(line: &str) -> (usize, Vec<u8>) {
    let (offset, rest) = line.split_once("  ").unwrap();
    let (bytes, _) = rest.split_once('|').unwrap();
    let bytes = bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    (usize::from_str_radix(offset, 16).unwrap(), bytes)
}

#[test]
fn bytes_in_the_document_are_those_of_the_fixtures() {
    for format in FORMATS {
        let journal = format.fixture("demo.journal");
        let mut seen = 0;
        for line in format.blocks("hexdump").iter().flat_map(|block| block.lines()) {
            let (offset, bytes) = parse_hexdump(line);
            assert_eq!(journal[offset..offset + bytes.len()], bytes, "{format:?}: {line}");
            seen += 1;
        }
        assert!(seen >= 20, "{format:?}: only {seen} lines of bytes");
    }
}

#[test]
fn text_in_the_document_is_that_of_the_fixtures() {
    for format in FORMATS {
        let journal = String::from_utf8(format.fixture("demo.journal")).unwrap();
        let (header, rest) = journal.split_once('\n').unwrap();
        assert_eq!(format.blocks("journal"), [format!("{} …\n{rest}", header.trim_end())]);
        let values = String::from_utf8(format.fixture("demo.json")).unwrap();
        assert!(blocks_of(&document(), "text").contains(&values), "{values}");
    }
}

#[test]
fn headers_are_decoded_as_documented() {
    for format in FORMATS {
        let header = format.header();
        assert_eq!((header.generation, header.keys, header.expired_until_ms), (2, 2, 0));
        assert_eq!((header.json_bytes, header.json_crc32), (31, 0xfeb8_dc10));
        assert_eq!(header.json_crc32, crc_of(0, &format.fixture("demo.json")));
        assert_eq!(header.bytes() as usize, format.header_bytes);
    }
    let [first, second] = FORMATS.map(Format::header);
    assert_eq!((first.seed, first.before), (Seed::NONE, Vec::new()));
    assert_eq!((second.seed, second.before), (Seed::new(0x564d_bc59).unwrap(), vec![crc_of(0, b"{\n}\n")]));
}

#[test]
fn every_kind_of_line_is_decoded_as_documented() {
    for (format, first_revision, expires_ms, expired_until_ms) in [
        (FORMATS[0], 1_795_233_915_618, 2_110_593_916_048, 1_795_233_918_671_u64),
        (FORMATS[1], 1_795_803_754_356_001, 2_111_163_755_840, 1_795_803_758_473),
    ] {
        let journal = format.fixture("demo.journal");
        let header = format.header();
        let revision = |number| Revision::new(number).unwrap();
        assert_eq!(header.revision, revision(first_revision + 1));
        let lines = journal[format.header_bytes..].split_inclusive(|&byte| byte == b'\n');
        let mut decoded =
            lines.map(|line| record::decode_line(&line[..line.len() - 1], header.seed).unwrap());

        let Some(Line::Meta { key, meta }) = decoded.next() else { panic!("no meta") };
        assert_eq!((&*key, meta.revision, meta.expires_ms), ("a", revision(first_revision), None));
        let Some(Line::Meta { key, meta }) = decoded.next() else { panic!("no second meta") };
        assert_eq!((&*key, meta.revision, meta.expires_ms), ("bé", header.revision, Some(expires_ms)));

        let (mut synced, mut batches) = (Vec::new(), Vec::new());
        for line in decoded {
            match line {
                Line::Synced(revision) => synced.push(revision.get() - first_revision),
                Line::Changes(changes) => {
                    batches.push(changes.iter().map(|c| summary(c.change().unwrap())).collect())
                }
                Line::Meta { .. } => panic!("a meta line among the changes"),
            }
        }
        let batches: Vec<Vec<String>> = batches;
        assert_eq!(synced, [1, 2, 4, 5, 6, 7]);
        let clock = format!("clock {expired_until_ms}");
        let expected = [
            &["put c \"x\""][..],
            &["put d/1 [true,null]", "delete a"],
            &[&clock],
            &["put x1 1"],
            &["clear x"],
            &["put e -0"],
        ];
        assert_eq!(batches, expected, "{format:?}");
    }
}

fn summary(change: Change<'_>) -> String {
    match change {
        Change::Put { key, value: Value::Text(text), .. } => {
            format!("put {} {}", key.as_str(), String::from_utf8_lossy(text))
        }
        Change::Put { value: Value::Stored(_), .. } => panic!("a journal has values as text"),
        Change::Delete { key, .. } => format!("delete {}", key.as_str()),
        Change::Clear { prefix, .. } => format!("clear {prefix}"),
        Change::ExpireUntil { at_ms, .. } => format!("clock {at_ms}"),
    }
}

/// CRC-32 (IEEE) continued from `seed`, by the book and bit by bit: the document has to be enough to read
/// the files.
fn crc_of(seed: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!seed, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn checksums_are_crc_32_of_the_text_after_the_space_continued_from_the_seed() {
    for (format, seed_of_lines) in [(FORMATS[0], 0), (FORMATS[1], 0x564d_bc59)] {
        let journal = format.fixture("demo.journal");
        for (number, line) in journal.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let seed = if number == 0 { 0 } else { seed_of_lines };
            let checksum = format!("{:08x} ", crc_of(seed, &line[9..line.len() - 1]));
            assert_eq!(line[..9], *checksum.as_bytes(), "{format:?}: line {number}");
        }
    }
}

#[test]
fn server_reads_the_files_of_every_format() {
    for (format, cache_in_memory) in FORMATS.into_iter().flat_map(|format| [(format, true), (format, false)])
    {
        let directory = tempfile::tempdir().unwrap();
        let mut config = known_config();
        config["projects"][0]["storage"]["cache_in_memory"] = cache_in_memory.into();
        fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        fs::create_dir(directory.path().join("storage_data")).unwrap();
        for name in ["demo.json", "demo.journal"] {
            fs::write(directory.path().join("storage_data").join(name), format.fixture(name)).unwrap();
        }
        let mut server = Server::start_in(directory, Options::default());
        for _ in 0..2 {
            for (key, value) in [("d/1", "[true,null]"), ("e", "-0")] {
                assert_eq!(server.get_demo(key).text(), value, "{key}");
            }
            for key in ["a", "c", "x1"] {
                assert_eq!(server.get_demo(key).status, 404, "{key}");
            }
            let log = server.stderr_text();
            assert!(!log.lines().any(|line| line.contains(" WARN ") && line.contains("/demo.")), "{log}");
            server.restart();
        }
    }
}
