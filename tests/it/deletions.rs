//! Deletions that meet others: one that a full disk left unfinished, one that stopped, and files that belong to
//! somebody else.

use crate::catalog_faults::{id, keys, put, start};
use crate::sim_disk::{ENOSPC, Failure, Lasting, SimDisk};
use pikv::api::catalog::Catalog;
use pikv::config::file;
use pikv::config::schema::{AuthenticationChoice, StorageChoice};
use pikv::persist::engine::EngineThreads;
use pikv::persist::ticket::Outcome;
use std::path::Path;

const STORED: StorageChoice = StorageChoice { on_disk: None, cache_in_memory: None, sync: None };
const KEYS: AuthenticationChoice = AuthenticationChoice { enabled: None, save_api_key_to_file: None };
const EIO: i32 = 5;
/// Seed 0 loses all that was not synced, seed 1 nothing; the others keep parts.
const SEEDS: u64 = 4;
/// More operations than any change of these tests takes.
const OPERATIONS_MAX: u64 = 60;

fn create(catalog: &Catalog, project: &str) {
    catalog.create(id(project), STORED, KEYS).unwrap();
}

fn has(catalog: &Catalog, project: &str) -> bool {
    catalog.registry().projects.contains_key(&id(project))
}

fn has_file(disk: &SimDisk, name: &str) -> bool {
    disk.names().contains(&Path::new("/storage_data").join(name))
}

fn is_listed(disk: &SimDisk, project: &str) -> bool {
    file::load(disk, Path::new("/config.json")).unwrap().unwrap().project(&id(project)).is_some()
}

/// A server with three projects of one key each, of which a full disk has left `first` in config.json after its
/// deletion. There is disk space again.
fn after_deletion_on_full_disk() -> (SimDisk, Catalog, EngineThreads) {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    for project in ["first", "second", "other"] {
        create(&catalog, project);
        assert_eq!(put(&catalog, project, "a"), Outcome::Synced);
    }
    disk.refuse("create /config.json.tmp", ENOSPC);
    catalog.delete(&id("first")).unwrap();
    disk.heal();
    assert!(has_file(&disk, "first.removed") && is_listed(&disk, "first"), "config.json could not be saved");
    (disk, catalog, threads)
}

/// `second` is whole, unless its deletion `is_done`, or it is gone for good. `first` stays deleted, and `other` is as
/// it was.
fn check_second(disk: &SimDisk, catalog: &Catalog, is_done: bool, what: &str) {
    assert!(!has(catalog, "first"), "{what}");
    assert_eq!(keys(catalog, "other"), 1, "{what}");
    assert!(!is_done || !has(catalog, "second"), "{what}");
    if !has(catalog, "second") {
        assert!(
            !has_file(disk, "second.json") && !has_file(disk, "second.journal"),
            "{what}: {:?}",
            disk.names()
        );
        create(catalog, "second");
        assert_eq!(keys(catalog, "second"), 0, "{what}: the deleted keys are back");
    } else {
        assert_eq!(keys(catalog, "second"), 1, "{what}");
    }
    create(catalog, "first");
    assert_eq!(keys(catalog, "first"), 0, "{what}");
}

#[test]
fn deletion_after_one_on_a_full_disk_keeps_its_own_mark() {
    let (disk, catalog, threads) = after_deletion_on_full_disk();
    catalog.delete(&id("second")).unwrap();
    check_second(&disk, &catalog, true, "at once");
    for mark in ["first.removed", "second.deleted", "second.removed"] {
        assert!(!has_file(&disk, mark), "{mark}");
    }
    threads.stop();
}

#[test]
fn deletion_after_one_on_a_full_disk_that_is_cut_off_leaves_the_whole_project_or_nothing() {
    for at in 0..OPERATIONS_MAX {
        let (disk, catalog, threads) = after_deletion_on_full_disk();
        disk.crash_at(disk.operations() + at);
        let is_done = catalog.delete(&id("second")).is_ok();
        threads.stop();
        let kill = std::iter::once(("kill".to_owned(), disk.after_kill()));
        let power = (0..SEEDS).map(|seed| (format!("power cut, seed {seed}"), disk.after_crash(seed)));
        for (how, disk) in kill.chain(power) {
            let (catalog, threads) = start(&disk);
            check_second(&disk, &catalog, is_done, &format!("{how} at operation {at}"));
            threads.stop();
        }
        if is_done {
            return;
        }
    }
    panic!("no deletion ended");
}

#[test]
fn deletion_after_one_on_a_full_disk_that_fails_may_be_tried_again() {
    let failures = [Failure::Eio, Failure::Enospc].into_iter();
    for (failure, at) in failures.flat_map(|failure| (0..OPERATIONS_MAX).map(move |at| (failure, at))) {
        let what = format!("{failure:?}, operation {at}");
        let (disk, catalog, threads) = after_deletion_on_full_disk();
        disk.fail_at(disk.operations() + at, failure, Lasting::Once);
        let is_done = catalog.delete(&id("second")).is_ok();
        disk.heal();
        // Any next change saves config.json and ends what can be ended.
        create(&catalog, "later");
        let killed = disk.after_kill();
        if has(&catalog, "second") {
            assert!(!is_done, "{what}");
            catalog.delete(&id("second")).unwrap();
        }
        check_second(&disk, &catalog, true, &what);
        threads.stop();
        let (catalog, threads) = start(&killed);
        check_second(&killed, &catalog, is_done, &format!("{what}, then a restart"));
        threads.stop();
    }
}

/// What is left of the project must not lose the mark that has it removed.
#[test]
fn deletion_that_stopped_keeps_its_mark_if_the_second_attempt_fails() {
    for at in 0..OPERATIONS_MAX {
        let disk = SimDisk::default();
        let (catalog, threads) = start(&disk);
        create(&catalog, "again");
        assert_eq!(put(&catalog, "again", "old"), Outcome::Synced);
        disk.refuse("remove /storage_data/again.journal", EIO);
        catalog.delete(&id("again")).unwrap_err();
        disk.heal();
        disk.fail_at(disk.operations() + at, Failure::Eio, Lasting::Once);
        let is_done = catalog.delete(&id("again")).is_ok();
        disk.heal();
        threads.stop();
        let (catalog, threads) = start(&disk.after_kill());
        assert!(!has(&catalog, "again"), "operation {at}");
        create(&catalog, "again");
        assert_eq!(keys(&catalog, "again"), 0, "operation {at}: the deleted keys are back");
        threads.stop();
        if is_done {
            return;
        }
    }
    panic!("no deletion ended");
}
