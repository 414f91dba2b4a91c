//! Copies of a running server's directory whose two files are of different moments: recognised and refused.

use crate::harness::sim_disk::SimDisk;
use crate::harness::workload::{Run, START_MS, open, paths, read_all};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::disk::temporary_path;
use pikv::testing::limits::FILE_BUFFER_BYTES;
use pikv::testing::persist::start::import::{self, JournalChanges};
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::persist::start::recovery_error::{FileProblem, RecoveryError};
use pikv::testing::store::change::Revision;
use std::sync::Arc;

/// The two files after each checkpoint, of which each follows a change.
fn generations(count: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    let checkpoint = |number: usize| {
        run.put("n", &number.to_string(), None);
        run.flush();
        run.project.checkpoint(START_MS, run.instant).unwrap();
        (disk.content(&paths().json), disk.content(&paths().journal))
    };
    (0..count).map(checkpoint).collect()
}

fn placed(json: &[u8], journal: &[u8]) -> SimDisk {
    let disk = SimDisk::default();
    disk.place(&paths().json, json);
    disk.place(&paths().journal, journal);
    disk
}

fn opened(disk: &SimDisk, cache: ValueCache) -> Result<String, RecoveryError> {
    let (project, _) = open(Arc::new(disk.clone()), cache, SyncMode::Always, START_MS)?;
    Ok(read_all(&project, START_MS)["n"].0.clone())
}

#[test]
fn values_older_than_their_journal_are_refused_and_left_unchanged() {
    let generations = generations(70);
    let (newest_json, newest_journal) = generations.last().unwrap();
    for (age, (json, _)) in generations.iter().rev().enumerate() {
        let disk = placed(json, newest_journal);
        for cache in [ValueCache::Memory, ValueCache::Disk] {
            match (age, opened(&disk, cache)) {
                (0, found) => assert_eq!(found.unwrap(), "69"),
                (1..=64, Err(RecoveryError { problem: FileProblem::MixedPair { checkpoints }, .. })) => {
                    assert_eq!(checkpoints, age)
                }
                // Nobody remembers further back than that.
                (65.., Ok(found)) => assert_eq!(found, (69 - age).to_string()),
                (_, found) => panic!("{age} checkpoints older: {found:?}"),
            }
        }
        if (1..=64).contains(&age) {
            assert_eq!(disk.content(&paths().json), *json);
            assert_eq!(disk.content(&paths().journal), *newest_journal);
        }
    }
    assert_eq!(opened(&placed(newest_json, newest_journal), ValueCache::Memory).unwrap(), "69");
}

#[test]
fn operator_can_choose_the_older_values() {
    let generations = generations(3);
    let disk = placed(&generations[0].0, &generations[2].1);
    let error = opened(&disk, ValueCache::Memory).unwrap_err().to_string();
    assert!(error.contains("older than the .journal beside it, by 2 checkpoints"), "{error}");
    assert!(error.contains("pikv recover p --journal discard"), "{error}");
    import::edited(&disk, &paths(), JournalChanges::Discard, Revision::at_clock(START_MS), START_MS).unwrap();
    assert_eq!(opened(&disk, ValueCache::Memory).unwrap(), "0");
}

#[test]
fn edit_of_the_present_values_is_no_older_copy() {
    let generations = generations(3);
    let (json, journal) = &generations[2];
    let edited = String::from_utf8(json.clone()).unwrap().replace("\"n\": 2", "\"n\": 7");
    let disk = placed(edited.as_bytes(), journal);
    assert_eq!(opened(&disk, ValueCache::Memory).unwrap(), "7");
    // What was there before the edit is older from then on.
    let copied = placed(json, &disk.content(&paths().journal));
    assert!(matches!(
        opened(&copied, ValueCache::Memory),
        Err(RecoveryError { problem: FileProblem::MixedPair { checkpoints: 2 }, .. })
    ));
}

/// The other order: the journal was copied first. If it had changes, a decision is asked for, and the text
/// names the copy as a cause.
#[test]
fn changes_beside_newer_values_are_refused_with_both_causes() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    run.put("n", "1", None);
    run.flush();
    let journal = disk.content(&paths().journal);
    run.put("n", "2", None);
    run.flush();
    run.project.checkpoint(START_MS, run.instant).unwrap();
    let error = opened(&placed(&disk.content(&paths().json), &journal), ValueCache::Memory).unwrap_err();
    assert!(matches!(error.problem, FileProblem::EditedWithChanges { changes: 1 }), "{error}");
    assert!(error.to_string().contains("a copy of a running server's directory"), "{error}");
}

/// In place, as some editors write.
#[test]
fn edit_that_is_edited_while_it_is_imported_is_refused_and_left() {
    let (json, journal) = generations(1).remove(0);
    let disk = placed(&json, &journal);
    let long = |byte: &str| format!("\"{}\"", byte.repeat(FILE_BUFFER_BYTES));
    disk.place(&paths().json, format!("{{\"a\":{},\"b\":{}}}", long("x"), long("y")).as_bytes());
    let handle = disk.clone();
    disk.set_between(Some(Box::new(move || {
        let last = handle.operation(handle.operations().saturating_sub(1));
        if last.starts_with("write ") && last.ends_with("/data/p.json.tmp") {
            handle.flip(&paths().json, 10); // in the value that has been copied
        }
    })));
    let refused = opened(&disk, ValueCache::Memory).unwrap_err().to_string();
    disk.set_between(None);
    assert!(refused.contains("it was changed while it was read"), "{refused}");
    assert!(disk.content(&paths().json).starts_with(b"{\"a\":\"xxxx"));
}

/// As an import leaves it that a power cut ended before it synced its journal.
#[test]
fn temporary_journal_without_the_times_of_the_keys_completes_no_swap() {
    let generations = generations(2);
    let (json, journal) = (&generations[1].0, &generations[1].1);
    let header_end = journal.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for (length, is_finished) in [(journal.len(), true), (header_end, false)] {
        let disk = placed(json, &generations[0].1);
        disk.place(&temporary_path(&paths().journal), &journal[..length]);
        assert_eq!(opened(&disk, ValueCache::Memory).unwrap(), "1");
        assert_eq!(disk.content(&paths().journal) == *journal, is_finished);
    }
}
