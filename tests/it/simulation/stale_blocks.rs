//! Blocks of other files at the end of a journal, as some file systems leave them after a power cut: a torn
//! end, of which nothing is applied and which refuses nothing.

use crate::harness::sim_disk::SimDisk;
use crate::harness::workload::{Keys, Run, START_MS, open, paths, read_all};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::persist::files::header::{self, HEADER_BYTES};
use pikv::testing::persist::files::record;
use pikv::testing::persist::files::seed::Seed;
use pikv::testing::persist::start::recovery::ValueCache;
use std::sync::Arc;

/// A project whose journal ends with changes, and journals whose blocks may follow them.
struct Stale {
    disk: SimDisk,
    keys: Keys,
    journals: Vec<Vec<u8>>,
}

impl Stale {
    fn new() -> Stale {
        let disk = SimDisk::default();
        let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
        write_some(&run);
        let earlier_generation = disk.content(&paths().journal);
        run.delete("gone");
        run.project.checkpoint(START_MS, run.instant).unwrap();
        run.put("a", "\"new\"", None);
        run.flush();
        let keys = read_all(&run.project, START_MS);
        assert!(!keys.contains_key("gone"));

        // Later revisions than the first project has, with lines that say they were synced.
        let other = SimDisk::default();
        let other_run = Run::begin(&other, ValueCache::Memory, SyncMode::Always).unwrap();
        other_run.step_clock(60_000);
        for _ in 0..50 {
            write_some(&other_run);
        }
        let journals = vec![earlier_generation, other.content(&paths().journal)];
        Stale { disk, keys, journals }
    }

    /// How often a start with blocks of the others after its own changes refuses or finds something else.
    fn wrong_starts(&self, of_format: fn(&[u8]) -> Vec<u8>) -> usize {
        let own = of_format(&self.disk.content(&paths().journal));
        let mut wrong = 0;
        for stale in &self.journals {
            let stale = of_format(stale).trim_ascii_end().to_vec(); // spaces are a reserve
            let line_ends =
                stale.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
            let starts = line_ends.chain([0]).chain((0..stale.len()).step_by(97));
            for start in starts.filter(|start| *start < stale.len()) {
                for cache in [ValueCache::Memory, ValueCache::Disk] {
                    wrong += usize::from(!self.is_right_start(&[&own, &stale[start..]].concat(), cache));
                }
            }
        }
        wrong
    }

    fn is_right_start(&self, journal: &[u8], cache: ValueCache) -> bool {
        let disk = self.disk.after_kill();
        disk.place(&paths().journal, journal);
        let start = || open(Arc::new(disk.clone()), cache, SyncMode::Always, START_MS);
        let Ok((project, notices)) = start() else { return false };
        let is_cut = notices.len() == 1 && notices[0].contains("torn end");
        let is_right = is_cut && read_all(&project, START_MS) == self.keys;
        drop(project);
        is_right && start().is_ok_and(|(project, _)| read_all(&project, START_MS) == self.keys)
    }
}

fn write_some(run: &Run) {
    run.put("a", "\"stale\"", None);
    run.flush();
    run.put("gone", "1", None);
    run.batch(7);
    run.flush();
}

fn as_it_is(journal: &[u8]) -> Vec<u8> {
    journal.to_vec()
}

/// The same journal in format 1, whose checksums have no seed.
pub fn as_format_1(journal: &[u8]) -> Vec<u8> {
    let header = header::decode(&journal[..HEADER_BYTES - 1]).unwrap();
    let payload = format!(
        "{{\"pikv_journal\":1,\"generation\":{},\"json_bytes\":{},\"json_crc32\":\"{:08x}\",\"keys\":{},\
         \"revision\":{},\"clock_ms\":{}}}",
        header.generation,
        header.json_bytes,
        header.json_crc32,
        header.keys,
        header.revision,
        header.expired_until_ms
    );
    let mut whole = format!("00000000 {payload:<246}\n").into_bytes();
    assert_eq!(whole.len(), 256);
    whole.extend_from_slice(&journal[HEADER_BYTES..]);
    record::seal(&mut whole, Seed::NONE);
    whole
}

#[test]
fn blocks_of_other_journals_at_the_end_are_a_torn_end() {
    let stale = Stale::new();
    assert_eq!(stale.wrong_starts(as_it_is), 0);
    assert!(stale.wrong_starts(as_format_1) > 50, "without a seed they are taken for the journal's own");
}
