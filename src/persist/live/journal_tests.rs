use super::*;
use crate::clock;
use crate::disk::{Disk, Open, RealDisk};
use crate::limits::CHECKPOINT_RETRY_MS;
use crate::persist::files::seed::Seed;
use crate::store::change::Revision;

const KIB: u64 = 1024;

/// A journal of a project whose data file and meta lines have `rewritten` bytes.
fn journal(rewritten: u64, changes: u64) -> Journal {
    let directory = tempfile::tempdir().unwrap();
    let file: Arc<dyn DiskFile> = RealDisk.open(&directory.path().join("a"), Open::Create).unwrap().into();
    let identity = file.status().unwrap().identity;
    let header = Header {
        seed: Seed::NONE,
        generation: 1,
        json_bytes: rewritten - KIB,
        json_crc32: 0,
        keys: 0,
        revision: Revision::default(),
        expired_until_ms: 0,
        before: Vec::new(),
    };
    let json_stamp = Stamp { length: header.json_bytes, modified_ns: 0 };
    let json = Arc::clone(&file);
    let journal = JournalFile { file, header, changes_start: KIB, end: KIB + changes };
    Journal::opened(&Pair { json, json_stamp, journal }, identity)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn nothing_is_due_without_changes() {
    assert_eq!(journal(2 * KIB, 0).checkpoint_due(clock::monotonic()), None);
}

#[test]
fn a_small_file_is_due_a_second_after_the_last_write_but_ten_after_the_last_time() {
    let now = clock::monotonic();
    let mut journal = journal(2 * KIB, KIB);
    journal.written_at = Some(now);
    assert_eq!(journal.checkpoint_due(now + ms(300)), Some(now + ms(CHECKPOINT_QUIET_MS)));
    journal.checkpointed_at = Some(now);
    assert_eq!(journal.checkpoint_due(now + ms(300)), Some(now + ms(CHECKPOINT_INTERVAL_MS)));
}

#[test]
fn changes_found_at_the_start_are_due_at_once() {
    let now = clock::monotonic();
    assert_eq!(journal(2 * KIB, KIB).checkpoint_due(now), Some(now));
}

#[test]
fn a_large_file_is_due_when_the_changes_have_outgrown_it() {
    let now = clock::monotonic();
    let file = 2 * CHECKPOINT_CHANGES_BYTES_MIN;
    assert_eq!(journal(file, KIB).checkpoint_due(now), None);
    assert_eq!(journal(file, file - KIB).checkpoint_due(now), None);
    assert_eq!(journal(file, file).checkpoint_due(now), Some(now));
}

#[test]
fn a_small_file_that_changes_all_the_time_is_due_after_many_changes() {
    let now = clock::monotonic();
    let mut journal = journal(2 * KIB, 4 * CHECKPOINT_SMALL_BYTES);
    journal.written_at = Some(now);
    assert_eq!(journal.checkpoint_due(now), Some(now + ms(CHECKPOINT_QUIET_MS)));
    journal.end = journal.changes_start + CHECKPOINT_CHANGES_BYTES_MIN;
    assert_eq!(journal.checkpoint_due(now), Some(now));
}

#[test]
fn a_journal_with_many_changes_has_spaces_ahead_of_its_end() {
    let mut journal = journal(2 * KIB, 0);
    let many = vec![b'a'; 5 * 1024];
    let appended = |journal: &mut Journal, bytes: &[u8], sync| {
        assert!(journal.append(&mut bytes.to_vec(), sync, || Ok(())).is_ok());
        let mut behind = vec![0; usize::try_from(journal.file.length().unwrap() - journal.end).unwrap()];
        crate::disk::read_exact_at(journal.file.as_ref(), &mut behind, journal.end).unwrap();
        assert!(behind.iter().all(|&byte| byte == b' '));
        behind.len()
    };
    assert_eq!(appended(&mut journal, b"few", SyncMode::Always), 0);
    assert_eq!(appended(&mut journal, &many, SyncMode::Interval), 0, "nothing syncs each write");
    assert_eq!(appended(&mut journal, b"-", SyncMode::Always), many.len() + 4, "as much as there is");
    assert_eq!(appended(&mut journal, &many, SyncMode::Always), 4, "overwritten");
    assert_eq!(appended(&mut journal, b"12345", SyncMode::Always), 2 * many.len() + 9, "used up");
}

#[test]
fn a_checkpoint_that_failed_is_not_tried_again_at_once() {
    let now = clock::monotonic();
    let mut journal = journal(2 * KIB, 100 * KIB);
    journal.retry_at = Some(now + ms(CHECKPOINT_RETRY_MS));
    assert_eq!(journal.checkpoint_due(now), Some(now + ms(CHECKPOINT_RETRY_MS)));
}
