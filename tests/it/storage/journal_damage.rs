//! Files cut and flipped at every byte, and edited by hand: refused or taken over by the rules, never
//! silently emptied and never a wrong value.

use crate::harness::sim_disk::SimDisk;
use crate::harness::workload::{Keys, Run, START_MS, open, paths, read_all};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::persist::files::header::{self, HEADER_BYTES};
use pikv::testing::persist::files::record;
use pikv::testing::persist::files::seed::Seed;
use pikv::testing::persist::start::import::{self, JournalChanges};
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::persist::start::recovery_error::{FileProblem, RecoveryError};
use pikv::testing::store::change::EntryMeta;
use pikv::testing::store::change::Revision;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A project with keys in its values' file and synced changes in its journal; every state it had since
/// the checkpoint, and where each one's changes end in the journal.
struct Damaged {
    disk: SimDisk,
    states: Vec<Keys>,
    ends: Vec<usize>,
}

impl Damaged {
    fn new() -> Damaged {
        let disk = SimDisk::default();
        let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
        run.put("a", "\"one\"", None);
        run.put("b", "[1,2]", Some(50_000));
        run.flush();
        run.project.checkpoint(START_MS, run.instant).unwrap();
        let (mut states, mut ends) = (Vec::new(), Vec::new());
        let mut note = |run: &Run| {
            states.push(read_all(&run.project, START_MS));
            ends.push(disk.content(&paths().journal).len());
        };
        note(&run);
        run.put("c", "null", None);
        run.flush();
        note(&run);
        run.batch(1);
        run.flush();
        note(&run);
        run.delete("a");
        run.flush();
        note(&run);
        Damaged { disk, states, ends }
    }

    fn journal(&self) -> Vec<u8> {
        self.disk.content(&paths().journal)
    }

    fn opened_with(&self, journal: &[u8], cache: ValueCache) -> (SimDisk, Result<Keys, RecoveryError>) {
        let disk = self.disk.after_kill();
        disk.place(&paths().journal, journal);
        let opened = open(Arc::new(disk.clone()), cache, SyncMode::Always, START_MS);
        (disk, opened.map(|(project, _)| read_all(&project, START_MS)))
    }
}

#[test]
fn a_journal_cut_anywhere_gives_whole_changes_or_is_refused() {
    let damaged = Damaged::new();
    let journal = damaged.journal();
    for cut in 0..=journal.len() {
        for cache in [ValueCache::Memory, ValueCache::Disk] {
            let (disk, found) = damaged.opened_with(&journal[..cut], cache);
            // The line "synced" in front of a batch may be there without it.
            match damaged.ends.iter().rposition(|&end| end <= cut) {
                Some(state) => assert_eq!(found.unwrap(), damaged.states[state], "cut at {cut}"),
                None => {
                    let is_named = matches!(
                        found,
                        Err(RecoveryError {
                            problem: FileProblem::Corrupt { .. } | FileProblem::NotAJournal(_),
                            ..
                        })
                    );
                    assert!(is_named, "cut at {cut}");
                    assert_eq!(disk.content(&paths().journal), &journal[..cut], "left as it was");
                }
            }
        }
    }
}

#[test]
fn a_reserve_is_cut_off_silently_and_does_not_count_as_a_torn_end() {
    let damaged = Damaged::new();
    let journal = damaged.journal();
    for (torn, notice) in [("", None), ("00000000 [{\"put\"", Some("torn end of 16 bytes"))] {
        let disk = damaged.disk.after_kill();
        let reserve = b" ".repeat(3_000);
        disk.place(&paths().journal, &[&journal, torn.as_bytes(), &reserve].concat());
        let opened = open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS);
        let (project, notices) = opened.unwrap();
        assert_eq!(Some(&read_all(&project, START_MS)), damaged.states.last());
        let renewed = disk.content(&paths().journal);
        assert_eq!((renewed.len(), seed_of(&renewed) != seed_of(&journal)), (journal.len(), true));
        match notice {
            None => assert!(notices.is_empty(), "{notices:?}"),
            Some(notice) => assert!(notices[0].contains(notice), "{notices:?}"),
        }
    }
}

#[test]
fn a_flipped_byte_is_refused_before_the_watermark_and_cut_off_after_it() {
    let damaged = Damaged::new();
    let journal = damaged.journal();
    let lines: Vec<usize> = line_starts(&journal);
    // The last "synced" line speaks of everything before the last batch but one.
    let watermark = damaged.ends[2];
    for at in 0..journal.len() {
        for mask in [1, 0x80] {
            let mut flipped = journal.clone();
            flipped[at] ^= mask;
            let (disk, found) = damaged.opened_with(&flipped, ValueCache::Memory);
            match found {
                Ok(keys) => {
                    assert!(at >= watermark, "byte {at} was synced and is not missed");
                    assert_eq!(keys, damaged.states[2], "byte {at}");
                }
                Err(RecoveryError { problem: FileProblem::Corrupt { offset }, .. }) => {
                    assert!(at < watermark, "byte {at} is behind what was known to be synced");
                    let line = lines.iter().rposition(|&start| start <= at).unwrap();
                    assert_eq!(offset as usize, lines[line], "byte {at}");
                    assert_eq!(disk.content(&paths().journal), flipped, "left as it was");
                }
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    }
}

/// A line that was written whole is no torn end, whatever it says: a later version may have made it.
#[test]
fn a_complete_line_that_is_not_a_change_is_refused_and_left_unchanged() {
    let damaged = Damaged::new();
    for payload in
        ["{\"later\":1}", "[{\"later\":1}]", "{\"key\":\"a\",\"revision\":1,\"created\":1,\"updated\":1}"]
    {
        let mut journal = damaged.journal();
        let offset = journal.len() as u64;
        let mut line = format!("00000000 {payload}\n").into_bytes();
        record::seal(&mut line, seed_of(&journal));
        journal.extend(line);
        let (disk, found) = damaged.opened_with(&journal, ValueCache::Memory);
        let refused = found.map(|_| ()).unwrap_err();
        let is_named = if payload.starts_with("{\"key") {
            matches!(refused.problem, FileProblem::Corrupt { offset: at } if at == offset)
        } else {
            matches!(refused.problem, FileProblem::LaterVersion { offset: at, .. } if at == offset)
        };
        assert!(is_named, "{refused}");
        assert_eq!(disk.content(&paths().journal), journal, "left as it was");
    }
}

fn seed_of(journal: &[u8]) -> Seed {
    header::decode(&journal[..HEADER_BYTES - 1]).unwrap().seed
}

fn line_starts(bytes: &[u8]) -> Vec<usize> {
    let after = |(at, _): (usize, &u8)| at + 1;
    let feeds = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(after);
    [0].into_iter().chain(feeds).filter(|&start| start < bytes.len()).collect()
}

#[test]
fn damaged_values_with_changes_in_the_journal_are_refused() {
    let damaged = Damaged::new();
    let json = damaged.disk.content(&paths().json);
    for at in 0..json.len() {
        let mut flipped = json.clone();
        flipped[at] ^= 1;
        for text in [&flipped[..], &json[..at]] {
            let disk = damaged.disk.after_kill();
            disk.place(&paths().json, text);
            match open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS) {
                Err(RecoveryError { problem: FileProblem::EditedWithChanges { changes }, .. }) => {
                    assert_eq!(changes, 6)
                }
                Err(RecoveryError { problem: FileProblem::EditedBadly(_), .. }) => {}
                Err(other) => panic!("byte {at}: {other}"),
                Ok(_) => panic!("byte {at}: changes were put on top of other values"),
            }
            assert_eq!(disk.content(&paths().json), text, "left as it was");
        }
    }
}

#[test]
fn damaged_values_are_imported_as_they_read_or_refused_never_emptied() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    run.put("a", "\"one\"", None);
    run.put("b", "[1,2]", Some(50_000));
    run.close();
    let json = disk.content(&paths().json);
    for at in 0..json.len() {
        let mut flipped = json.clone();
        flipped[at] ^= 2;
        for text in [&flipped[..], &json[..at]] {
            let disk = disk.after_kill();
            disk.place(&paths().json, text);
            match open(Arc::new(disk.clone()), ValueCache::Disk, SyncMode::Always, START_MS) {
                Ok((project, notices)) => {
                    let found = read_all(&project, START_MS);
                    assert!(notices[0].contains("imported as an edit by hand"), "{notices:?}");
                    let values: serde_json::Value = serde_json::from_slice(text).unwrap();
                    assert_eq!(values.as_object().unwrap().len(), found.len());
                    assert_eq!(found.len(), 2, "a flipped bit removes no key");
                }
                Err(RecoveryError { problem: FileProblem::EditedBadly(_), .. }) => {
                    assert_eq!(disk.content(&paths().json), text, "left as it was");
                }
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    }
}

#[test]
fn edited_values_keep_their_times_and_get_revisions_of_their_own() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    run.put("a", "1", None);
    run.put("b", "2", Some(50_000));
    run.put("gone", "3", None);
    run.close();
    let before = read_all(&run.project, START_MS);
    let used: BTreeSet<_> = before.values().map(|(_, meta)| meta.revision).collect();
    disk.place(&paths().json, b"{\"b\": 2, \"a\": [ 10 ],\"new\":true}");
    let later_ms = START_MS + 9_000;
    let (project, _) = open(Arc::new(disk.clone()), ValueCache::Disk, SyncMode::Always, later_ms).unwrap();
    let found = read_all(&project, later_ms);
    let times = |meta: &EntryMeta| (meta.created_ms, meta.expires_ms);
    let seen: Vec<_> =
        found.iter().map(|(k, (value, meta))| (k.as_str(), value.as_str(), times(meta))).collect();
    assert_eq!(
        seen,
        [
            ("a", "[10]", (START_MS, None)),
            ("b", "2", (START_MS, Some(START_MS + 50_000))),
            ("new", "true", (later_ms, None)),
        ]
    );
    assert!(found.values().all(|(_, meta)| meta.revision > *used.last().unwrap()));
    // Also later than any that the journal may have lost.
    assert!(found.values().all(|(_, meta)| meta.revision.get() > later_ms * 1_000));
    let (again, notices) = open(Arc::new(disk), ValueCache::Memory, SyncMode::Always, later_ms).unwrap();
    assert_eq!((read_all(&again, later_ms), notices), (found, Vec::new()), "taken over once");
}

#[test]
fn edited_values_with_changes_wait_for_a_decision_of_the_operator() {
    for (choice, a, b) in [(JournalChanges::Replay, None, "5"), (JournalChanges::Discard, Some("10"), "2")] {
        let disk = SimDisk::default();
        let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
        run.put("a", "1", None);
        run.put("b", "2", None);
        run.flush();
        run.project.checkpoint(START_MS, run.instant).unwrap();
        run.delete("a");
        run.put("b", "5", None);
        run.flush();
        let used = run.history.lock().unwrap().revision_max;
        disk.place(&paths().json, b"{\"a\":10,\"b\":2,\"c\":3}");
        let journal = disk.content(&paths().journal);
        let refused = open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS);
        assert!(matches!(
            refused,
            Err(RecoveryError { problem: FileProblem::EditedWithChanges { changes: 2 }, .. })
        ));
        import::edited(&disk, &paths(), choice, Revision::at_clock(START_MS), START_MS).unwrap();
        let (project, _) =
            open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
        let found = read_all(&project, START_MS);
        let value = |name: &str| found.get(name).map(|(value, _)| value.as_str());
        assert_eq!((value("a"), value("b"), value("c")), (a, Some(b), Some("3")), "{choice:?}");
        assert!(found.values().all(|(_, meta)| meta.revision > used));
        let kept: Vec<_> =
            disk.names().into_iter().filter(|n| n.to_string_lossy().contains("discarded")).collect();
        match choice {
            JournalChanges::Discard => assert_eq!(disk.content(&kept[0]), journal, "kept aside"),
            JournalChanges::Replay | JournalChanges::Refuse => assert!(kept.is_empty()),
        }
    }
}

/// What expired was recorded in the journal; that alone is no reason to bother the owner.
#[test]
fn edited_values_are_imported_if_the_journal_has_only_watermarks() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    run.put("a", "1", None);
    run.put("b", "2", Some(1_000));
    run.flush();
    run.project.checkpoint(START_MS, run.instant).unwrap();
    run.step_clock(2_000);
    run.look();
    run.flush();
    disk.place(&paths().json, b"{\"a\":10,\"b\":2}");
    let (project, _) = open(Arc::new(disk), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
    let found = read_all(&project, START_MS);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a"], "the expired key stays away");
}

#[test]
fn values_without_a_journal_are_imported_with_revisions_from_the_clock() {
    let disk = SimDisk::default();
    disk.place(&paths().json, b"{\"a\": {\"x\": null}}");
    let (project, notices) = open(Arc::new(disk), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
    let found = read_all(&project, START_MS);
    assert_eq!(found["a"].0, "{\"x\":null}");
    assert_eq!(found["a"].1.revision.get(), START_MS * 1_000 + 1);
    assert!(notices[0].contains("no journal"), "{notices:?}");
}

#[test]
fn a_journal_without_values_is_refused() {
    let damaged = Damaged::new();
    damaged.disk.take_away(&paths().json);
    let refused = open(Arc::new(damaged.disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS);
    let refused = refused.map(drop).unwrap_err();
    assert!(matches!(refused.problem, FileProblem::ValuesMissing));
    let text = refused.to_string();
    assert!(text.contains("move it back") && text.contains("`pikv recover p --salvage`"), "{text}");
    assert_eq!(damaged.disk.names(), [paths().journal], "nothing was made in its place");
}

/// A journal whose first line is `payload` with a right checksum.
fn journal_with_header(damaged: &Damaged, payload: &str) -> Vec<u8> {
    let header = format!("{:08x} {payload}\n", crc32fast::hash(payload.as_bytes()));
    [header.as_bytes(), &damaged.journal()[HEADER_BYTES..]].concat()
}

#[test]
fn a_journal_of_a_later_version_is_reported_as_such_and_left_unchanged() {
    let damaged = Damaged::new();
    let whole = String::from_utf8(damaged.journal()[9..HEADER_BYTES - 1].to_vec()).unwrap();
    for payload in [
        whole.replacen("\"pikv_journal\":2", "\"pikv_journal\":3", 1),
        whole.replacen("\"keys\"", "\"salt\":7,\"keys\"", 1),
        "{\"pikv_journal\":3}".to_owned(),
        "{\"pikv_journal\":\"2b\", what follows is anything".to_owned(),
        format!("{{\"pikv_journal\":3,\"more\":\"{}\"}}", "x".repeat(10_000)),
    ] {
        let journal = journal_with_header(&damaged, &payload);
        for cache in [ValueCache::Memory, ValueCache::Disk] {
            let (disk, found) = damaged.opened_with(&journal, cache);
            let text = found.map(|_| ()).unwrap_err().to_string();
            assert!(text.contains("was written by a later version of PiKV"), "{text}");
            assert!(!text.contains("move") && !text.contains("damaged"), "{text}");
            assert_eq!(disk.content(&paths().journal), journal, "left as it was");
        }
    }
}

#[test]
fn temporary_journal_of_a_later_version_is_named_and_left() {
    let damaged = Damaged::new();
    let later = journal_with_header(&damaged, "{\"pikv_journal\":3}");
    let temporary = pikv::testing::disk::temporary_path(&paths().journal);
    let disk = damaged.disk.after_kill();
    disk.place(&temporary, &later);
    disk.place(&paths().json, b"{\n\"of the later\": 1\n}\n");
    disk.take_away(&paths().journal);
    let refused = open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS).map(|_| ());
    assert!(matches!(refused, Err(RecoveryError { problem: FileProblem::LaterVersion { .. }, .. })));
    assert_eq!(disk.content(&temporary), later);
}

#[test]
fn a_file_that_is_not_a_journal_is_named_by_its_content() {
    let damaged = Damaged::new();
    let crlf = String::from_utf8(damaged.journal()).unwrap().replace('\n', "\r\n").into_bytes();
    for (journal, words) in
        [(&crlf[..], "CR LF"), (b"", "it is empty"), (&[0; 600], "NUL bytes"), (b"\x1f\x8b\x08", "gzip")]
    {
        let (disk, found) = damaged.opened_with(journal, ValueCache::Memory);
        let text = found.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("is not a journal") && text.contains(words), "{text}");
        assert_eq!(disk.content(&paths().journal), journal);
    }
}
