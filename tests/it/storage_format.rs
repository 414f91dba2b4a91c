//! docs/STORAGE-FORMAT.md and the files of format 1 in `tests/fixtures`, which never change: whatever
//! the server becomes, it reads them.

use super::harness::{Options, Server, known_config};
use pikv::persist::record::{self, Line};
use pikv::store::change::{Change, Revision, Value};
use std::fs;
use std::path::{Path, PathBuf};

fn package_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(package_file("tests/fixtures/format-1").join(name)).unwrap()
}

/// The texts of the blocks of the document that are marked `language`.
fn blocks_of_the_document(language: &str) -> Vec<String> {
    let document = fs::read_to_string(package_file("docs/STORAGE-FORMAT.md")).unwrap();
    let opening = format!("\n```{language}\n");
    let behind = document.split(&opening).skip(1);
    behind.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A line as `hexdump -C` prints it: offset and bytes.
fn parse_hexdump(line: &str) -> (usize, Vec<u8>) {
    let (offset, rest) = line.split_once("  ").unwrap();
    let (bytes, _) = rest.split_once('|').unwrap();
    let bytes = bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    (usize::from_str_radix(offset, 16).unwrap(), bytes)
}

#[test]
fn bytes_in_the_document_are_those_of_the_fixture() {
    let journal = fixture("demo.journal");
    let mut seen = 0;
    for line in blocks_of_the_document("hexdump").iter().flat_map(|block| block.lines()) {
        let (offset, bytes) = parse_hexdump(line);
        assert_eq!(journal[offset..offset + bytes.len()], bytes, "{line}");
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} lines of bytes");
}

#[test]
fn text_in_the_document_is_that_of_the_fixture() {
    let journal = String::from_utf8(fixture("demo.journal")).unwrap();
    let (header, rest) = journal.split_once('\n').unwrap();
    assert_eq!(blocks_of_the_document("journal"), [format!("{} …\n{rest}", header.trim_end())]);
    let values = String::from_utf8(fixture("demo.json")).unwrap();
    assert!(blocks_of_the_document("text").contains(&values), "{values}");
}

#[test]
fn every_kind_of_line_is_decoded_as_the_document_says() {
    let journal = fixture("demo.journal");
    let revision = |number| Revision::new(number).unwrap();
    let mut lines = journal.split_inclusive(|&byte| byte == b'\n');
    let header_line = lines.next().unwrap();
    assert_eq!(header_line.len(), 256);
    let mut decoded = std::iter::once(header_line)
        .chain(lines)
        .map(|line| record::decode_line(&line[..line.len() - 1]).unwrap());

    let Some(Line::Header(header)) = decoded.next() else { panic!("no header") };
    assert_eq!((header.generation, header.keys, header.clock_ms), (2, 2, 0));
    assert_eq!((header.json_bytes, header.json_crc32), (31, 0xfeb8_dc10));
    assert_eq!(header.revision, revision(1_795_233_915_619));
    assert_eq!(header.json_crc32, crc_of(&fixture("demo.json")));

    let Some(Line::Meta { key, meta }) = decoded.next() else { panic!("no meta") };
    assert_eq!((&*key, meta.revision, meta.expires_ms), ("a", revision(1_795_233_915_618), None));
    let Some(Line::Meta { key, meta }) = decoded.next() else { panic!("no second meta") };
    assert_eq!((&*key, meta.created_ms, meta.expires_ms), ("bé", 1_795_233_916_048, Some(2_110_593_916_048)));

    let (mut synced, mut batches) = (Vec::new(), Vec::new());
    for line in decoded {
        match line {
            Line::Synced(revision) => synced.push(revision.get() - 1_795_233_915_600),
            Line::Changes(changes) => {
                batches.push(changes.iter().map(|c| summary(c.change().unwrap())).collect())
            }
            Line::Header(_) | Line::Meta { .. } => panic!("a header or meta line among the changes"),
        }
    }
    let batches: Vec<Vec<String>> = batches;
    assert_eq!(synced, [19, 20, 22, 23, 24, 25]);
    assert_eq!(
        batches,
        [
            &["put c \"x\""][..],
            &["put d/1 [true,null]", "delete a"],
            &["clock 1795233918671"],
            &["put x1 1"],
            &["clear x"],
            &["put e -0"],
        ]
    );
}

fn summary(change: Change<'_>) -> String {
    match change {
        Change::Put { key, value: Value::Text(text), .. } => {
            format!("put {} {}", key.as_str(), String::from_utf8_lossy(text))
        }
        Change::Put { value: Value::Stored(_), .. } => panic!("a journal has values as text"),
        Change::Delete { key, .. } => format!("delete {}", key.as_str()),
        Change::Clear { prefix, .. } => format!("clear {prefix}"),
        Change::Clock { at_ms, .. } => format!("clock {at_ms}"),
    }
}

/// CRC-32 (IEEE), by the book and bit by bit: the document has to be enough to read the files.
fn crc_of(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn checksums_are_crc_32_of_what_follows_the_space() {
    let journal = fixture("demo.journal");
    for line in journal.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        assert_eq!(line[..9], *format!("{:08x} ", crc_of(&line[9..])).as_bytes());
    }
}

#[test]
fn server_reads_the_files_of_format_1() {
    for cache_in_memory in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let mut config = known_config();
        config["projects"][0]["storage"]["cache_in_memory"] = cache_in_memory.into();
        fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        fs::create_dir(directory.path().join("storage_data")).unwrap();
        for name in ["demo.json", "demo.journal"] {
            fs::write(directory.path().join("storage_data").join(name), fixture(name)).unwrap();
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
