//! What `pikv recover --salvage` saves of damaged files, and that it changes nothing else.

use crate::harness::kv::{Kv, key_path};
use crate::harness::run_to_end;
use crate::harness::sim_disk::{Failure, Lasting, SimDisk};
use crate::harness::workload::{Run, START_MS, paths, read_all};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::persist::start::recovery_error::{FileProblem, RecoveryError};
use pikv::testing::persist::start::salvage::{Damage, Problem, Salvage, salvage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

type Values = BTreeMap<String, String>;

/// A project with some keys in its values' file, some changes in its journal, and all that it holds.
fn project() -> (SimDisk, Values) {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    for number in 0..5 {
        run.put(&format!("old{number}"), &format!("{{\"n\":{number}}}"), None);
    }
    run.put("session", "true", Some(60_000));
    run.put("gone", "1", Some(1_000));
    run.flush();
    run.project.checkpoint(START_MS, run.instant).unwrap();
    for number in 0..5 {
        run.put(&format!("new{number}"), &format!("\"{number}\""), None);
        run.flush();
    }
    run.delete("old0");
    run.flush();
    let values = read_all(&run.project, START_MS).into_iter().map(|(key, (value, _))| (key, value));
    let values = values.filter(|(key, _)| key != "gone").collect();
    (disk, values)
}

/// The clock at the salvage: one key has expired by then.
const NOW_MS: u64 = START_MS + 2_000;

#[track_caller]
fn salvaged(disk: &SimDisk) -> (Salvage, Values) {
    let before: Vec<_> = disk.names().into_iter().map(|path| (disk.content(&path), path)).collect();
    let salvage = salvage(disk, &paths(), NOW_MS).unwrap();
    for (content, path) in before {
        assert_eq!(disk.content(&path), content, "{} is left as it was", path.display());
    }
    let found: BTreeMap<String, Value> =
        serde_json::from_slice(&disk.after_crash(0).content(&salvage.path)).unwrap();
    assert_eq!(salvage.keys, found.len() as u64);
    (salvage, found.into_iter().map(|(key, value)| (key, value.to_string())).collect())
}

/// The lines of a file: where each begins, and where the next one does.
fn lines(content: &[u8]) -> Vec<(usize, usize)> {
    let ends = content.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    ends.scan(0, |start, end| Some((std::mem::replace(start, end), end))).collect()
}

fn damage(path: &Path, (start, end): (usize, usize), problem: Problem) -> Damage {
    Damage { path: path.to_owned(), start: start as u64, end: end as u64, problem }
}

#[test]
fn undamaged_files_are_saved_whole() {
    let (disk, values) = project();
    let (salvage, found) = salvaged(&disk);
    assert_eq!((found, salvage.damages, salvage.keys_with_expiry), (values, Vec::new(), 1));
}

#[test]
fn only_what_a_damaged_line_of_the_journal_changed_is_lost() {
    let (disk, values) = project();
    let journal = disk.content(&paths().journal);
    let mut lost = Vec::new();
    for line in lines(&journal).into_iter().skip(1) {
        let disk = disk.after_kill();
        let mut content = journal.clone();
        content[(line.0 + line.1) / 2] ^= 1;
        disk.place(&paths().journal, &content);
        let (salvage, found) = salvaged(&disk);
        assert_eq!(salvage.damages, [damage(&paths().journal, line, Problem::Lines)]);
        let text = String::from_utf8_lossy(&journal[line.0..line.1]).into_owned();
        let (mut expected, mut differs) = (values.clone(), true);
        match text.split('"').nth(1) {
            Some("put") => drop(expected.remove(text.split('"').nth(3).unwrap())),
            Some("delete") => drop(expected.insert("old0".to_owned(), "{\"n\":0}".to_owned())),
            // Its times are lost, so nobody knows that it has expired.
            Some("key") if text.contains("gone") => drop(expected.insert("gone".to_owned(), "1".to_owned())),
            _ => differs = false,
        }
        assert_eq!(found, expected, "{text}");
        lost.push(differs);
    }
    assert_eq!(lost.iter().filter(|differs| **differs).count(), 7, "five puts, a delete and an expiry");
}

#[test]
fn adjacent_damage_is_one_part() {
    let (disk, _) = project();
    let mut content = disk.content(&paths().journal);
    let lines = lines(&content);
    let (start, end) = (lines[lines.len() - 5].0, lines[lines.len() - 3].1);
    content[start + 20..end - 20].fill(0);
    disk.place(&paths().journal, &content);
    let (salvage, _) = salvaged(&disk);
    assert_eq!(salvage.damages, [damage(&paths().journal, (start, end), Problem::Lines)]);
}

#[test]
fn a_journal_without_a_readable_header_is_read_anyway() {
    let (disk, values) = project();
    let mut content = disk.content(&paths().journal);
    let header = lines(&content)[0];
    content[header.0 + 40] ^= 1;
    disk.place(&paths().journal, &content);
    let (salvage, found) = salvaged(&disk);
    assert_eq!(
        (found, salvage.damages),
        (values.clone(), vec![damage(&paths().journal, header, Problem::Header)])
    );
    // Not even its line feed is left: the line after it, the times of a key, goes with it.
    let disk = disk.after_kill();
    disk.take_away(&salvage.path);
    content[..header.1].fill(0);
    disk.place(&paths().journal, &content);
    let (salvage, found) = salvaged(&disk);
    assert_eq!(salvage.damages.iter().map(|damage| damage.problem).collect::<Vec<_>>(), [Problem::Header]);
    assert!(values.iter().all(|(key, value)| found.get(key) == Some(value)), "{found:?}");
}

#[test]
fn only_a_damaged_line_of_the_values_is_lost() {
    let (disk, values) = project();
    let json = disk.content(&paths().json);
    // The first byte of each line, and the last one of each value.
    let last =
        |line: (usize, usize)| json[line.0..line.1].iter().rposition(|byte| !b"\n,".contains(byte)).unwrap();
    for (line, at) in lines(&json).into_iter().flat_map(|line| [(line, line.0), (line, line.0 + last(line))])
    {
        let disk = disk.after_kill();
        let mut content = json.clone();
        content[at] = b'x';
        disk.place(&paths().json, &content);
        let (salvage, found) = salvaged(&disk);
        assert_eq!(salvage.damages, [damage(&paths().json, line, Problem::Lines)]);
        let text = String::from_utf8_lossy(&json[line.0..line.1]).into_owned();
        let expected = values.iter().filter(|(key, _)| !text.contains(key.as_str()));
        assert!(expected.eq(found.iter()), "{text}: {found:?}");
    }
}

#[test]
fn damage_inside_a_value_is_reported() {
    let (disk, _) = project();
    let mut content = disk.content(&paths().json);
    let at = content.windows(5).position(|window| window == b"\"n\":3").unwrap() + 4;
    content[at] = b'8';
    disk.place(&paths().json, &content);
    let (salvage, found) = salvaged(&disk);
    assert_eq!(salvage.damages, [damage(&paths().json, (0, content.len()), Problem::OtherContent)]);
    assert_eq!(found["old3"], "{\"n\":8}");
}

#[test]
fn one_file_alone_is_saved_and_none_is_an_error() {
    let (disk, values) = project();
    let alone = disk.after_kill();
    alone.take_away(&paths().json);
    let (salvage, found) = salvaged(&alone);
    assert_eq!(salvage.damages, [damage(&paths().json, (0, 0), Problem::Missing)]);
    assert!(found.keys().eq(values.keys().filter(|key| key.starts_with("new"))), "{found:?}");
    alone.take_away(&paths().journal);
    assert!(matches!(salvage_error(&alone).problem, FileProblem::ValuesMissing));
    disk.take_away(&paths().journal);
    let (salvage, found) = salvaged(&disk);
    assert_eq!(salvage.damages, [damage(&paths().journal, (0, 0), Problem::Missing)]);
    assert_eq!(found.len(), 7, "as of the checkpoint: {found:?}");
}

#[test]
fn journal_of_a_later_version_is_left_to_that_version() {
    let (disk, _) = project();
    let payload = b"{\"pikv_journal\":3}";
    let header = format!("{:08x} {{\"pikv_journal\":3}}\n", crc32fast::hash(payload));
    disk.place(&paths().journal, header.as_bytes());
    assert!(matches!(salvage_error(&disk).problem, FileProblem::LaterVersion { .. }));
}

#[test]
fn nothing_is_left_of_a_file_that_cannot_be_written() {
    let (disk, _) = project();
    let counted = disk.after_kill();
    let start = counted.operations();
    salvage(&counted, &paths(), NOW_MS).unwrap();
    for at in start..counted.operations() {
        let disk = disk.after_kill();
        disk.fail_at(at, Failure::Eio, Lasting::Once);
        assert!(salvage(&disk, &paths(), NOW_MS).is_err(), "{}", counted.operation(at));
        assert_eq!(disk.names().len(), 2, "{}: {:?}", counted.operation(at), disk.names());
    }
}

#[track_caller]
fn salvage_error(disk: &SimDisk) -> RecoveryError {
    salvage(disk, &paths(), NOW_MS).unwrap_err()
}

/// The whole way: a start that is refused, the command that it names, the steps that the command prints.
#[test]
fn the_advice_of_a_refused_start_saves_the_changes_after_the_damage() {
    let mut kv = Kv::new();
    for number in 0..20 {
        kv.project().put(&key_path(&format!("k{number}")), "\"value\"").expect(201);
    }
    let server = &mut kv.server;
    server.kill();
    let journal = server.data_path("first_project.journal");
    let mut content = std::fs::read(&journal).unwrap();
    let at = content.windows(4).position(|window| window == b"\"k5\"").unwrap();
    content[at + 1] = b'x';
    std::fs::write(&journal, &content).unwrap();
    server.start_again();
    let advice = "run `pikv recover first_project --salvage`";
    server.await_stderr(advice);
    server.terminate();
    let config = server.config_path();
    let words = ["recover", "first_project", "--salvage", "--config", config.to_str().unwrap()];
    let finished = run_to_end(server.directory(), &words);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.starts_with("Wrote 19 keys to "), "{finished:?}");
    let saved = finished.stdout.split_whitespace().nth(4).unwrap().trim_end_matches('.');
    let json = server.data_path("first_project.json");
    std::fs::rename(&json, server.directory().join("moved.json")).unwrap();
    std::fs::rename(&journal, server.directory().join("moved.journal")).unwrap();
    std::fs::rename(saved, &json).unwrap();
    server.start_again();
    for number in 0..20 {
        let expected = if number == 5 { 404 } else { 200 };
        kv.project().get(&key_path(&format!("k{number}"))).expect(expected);
    }
}
