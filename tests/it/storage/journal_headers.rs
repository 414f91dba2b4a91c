//! What the header of a journal has beside the numbers that a start needs.

use crate::harness::sim_disk::SimDisk;
use crate::harness::workload::{Run, START_MS, open, paths, recover_and_check};
use crate::simulation::stale_blocks::as_format_1;
use pikv::testing::config::schema::SyncMode;
use pikv::testing::persist::files::header::{self, HEADER_BYTES, Header};
use pikv::testing::persist::start::recovery::ValueCache;
use std::sync::Arc;

fn header_of(disk: &SimDisk) -> Header {
    header::decode(&disk.content(&paths().journal)[..HEADER_BYTES - 1]).unwrap()
}

fn json_crc32(disk: &SimDisk) -> u32 {
    crc32fast::hash(&disk.content(&paths().json))
}

#[test]
fn a_header_names_the_earlier_data_files_and_has_its_own_seed() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    let (mut before, mut seeds) = (Vec::new(), vec![header_of(&disk).seed]);
    assert_eq!(header_of(&disk).before, before);
    for number in 0..70 {
        before.insert(0, json_crc32(&disk));
        before.truncate(64);
        run.put("a", &format!("{number}"), None);
        run.project.checkpoint(START_MS, run.instant).unwrap();
        let header = header_of(&disk);
        assert_eq!((header.generation, &header.before), (number + 2, &before));
        assert!(!seeds.contains(&header.seed));
        seeds.push(header.seed);
    }
}

#[test]
fn hand_edited_values_are_among_the_earlier_versions() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    run.put("a", "1", None);
    run.close();
    let (first, written) = (header_of(&disk).before, json_crc32(&disk));
    disk.place(&paths().json, b"{\"a\":2}");
    let edited = json_crc32(&disk);
    open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
    assert_eq!(header_of(&disk).before, [vec![edited, written], first].concat());
    disk.take_away(&paths().journal);
    let alone = json_crc32(&disk);
    open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
    assert_eq!((header_of(&disk).generation, header_of(&disk).before), (1, vec![alone]));
}

/// Its changes lie somewhere else in the journal after the first start, values that lie there as well.
#[test]
fn journal_of_format_1_is_written_again_as_one_of_this_format() {
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        let disk = SimDisk::default();
        let run = Run::begin(&disk, cache, SyncMode::Always).unwrap();
        for with_changes in [false, true] {
            if with_changes {
                run.put("a", "\"before\"", None);
                run.batch(1);
                run.flush();
            }
            let old = disk.after_kill();
            old.place(&paths().journal, &as_format_1(&disk.content(&paths().journal)));
            let (project, _) = open(Arc::new(old.clone()), cache, SyncMode::Always, START_MS).unwrap();
            assert_eq!(header_of(&old).generation, 1);
            let state = run.history.lock().unwrap().last().clone();
            let next = Run::continued(project, &old, (cache, SyncMode::Always), START_MS, state);
            next.check_memory();
            next.put("b", "\"after\"", None);
            next.flush();
            next.check_memory();
            next.checkpoint();
            next.check_memory();
            recover_and_check(&next, &old.after_crash(0), START_MS, "after a checkpoint");
        }
    }
}
