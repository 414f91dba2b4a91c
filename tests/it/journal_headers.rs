//! What the header of a journal has beside the numbers that a start needs.

use crate::sim_disk::SimDisk;
use crate::workload::{Run, START_MS, open, paths};
use pikv::config::schema::SyncMode;
use pikv::persist::header::{self, HEADER_BYTES, Header};
use pikv::persist::recovery::Keep;
use std::sync::Arc;

fn header_of(disk: &SimDisk) -> Header {
    header::decode(&disk.content(&paths().journal)[..HEADER_BYTES - 1]).unwrap()
}

fn json_crc32(disk: &SimDisk) -> u32 {
    crc32fast::hash(&disk.content(&paths().json))
}

#[test]
fn a_header_names_the_values_files_before_its_own_and_a_seed_of_its_own() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, Keep::Values, SyncMode::Always).unwrap();
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
fn values_that_were_edited_by_hand_are_among_those_before() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, Keep::Values, SyncMode::Always).unwrap();
    run.put("a", "1", None);
    run.close();
    let (first, written) = (header_of(&disk).before, json_crc32(&disk));
    disk.place(&paths().json, b"{\"a\":2}");
    let edited = json_crc32(&disk);
    open(Arc::new(disk.clone()), Keep::Values, SyncMode::Always, START_MS).unwrap();
    assert_eq!(header_of(&disk).before, [vec![edited, written], first].concat());
    disk.take_away(&paths().journal);
    let alone = json_crc32(&disk);
    open(Arc::new(disk.clone()), Keep::Values, SyncMode::Always, START_MS).unwrap();
    assert_eq!((header_of(&disk).generation, header_of(&disk).before), (1, vec![alone]));
}
