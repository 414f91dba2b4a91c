//! Deletions that meet others: one that a full disk left unfinished, one that stopped, and files that belong to
//! somebody else.

use crate::harness::sim_disk::{ENOSPC, Failure, Lasting, SimDisk};
use crate::simulation::catalog_faults::{id, keys, put, start};
use pikv::testing::api::error::ApiError;
use pikv::testing::catalog::{ChangeError, FileCatalog};
use pikv::testing::config::file;
use pikv::testing::config::schema::{AuthenticationChoice, StorageChoice};
use pikv::testing::disk::RealDisk;
use pikv::testing::persist::live::worker_threads::{ProjectQueues, WorkerThreads};
use pikv::testing::store::commit::CommitState;
use std::path::Path;
use std::sync::Arc;

const STORED: StorageChoice =
    StorageChoice { on_disk: None, cache_in_memory: None, sync: None, sync_interval_seconds: None };
const KEYS: AuthenticationChoice = AuthenticationChoice { enabled: None, save_api_key_to_file: None };
const EIO: i32 = 5;
const EPERM: i32 = 1;
/// Seed 0 loses all that was not synced, seed 1 nothing; the others keep parts.
const SEEDS: u64 = 4;
/// More operations than any change of these tests takes.
const OPERATIONS_MAX: u64 = 60;

fn create(catalog: &FileCatalog, project: &str) {
    catalog.create(id(project), STORED, KEYS).unwrap();
}

fn has(catalog: &FileCatalog, project: &str) -> bool {
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
fn after_deletion_on_full_disk() -> (SimDisk, FileCatalog, WorkerThreads) {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    for project in ["first", "second", "other"] {
        create(&catalog, project);
        assert_eq!(put(&catalog, project, "a"), CommitState::Committed);
    }
    disk.refuse("create /config.json.tmp", ENOSPC);
    catalog.delete(&id("first")).unwrap();
    disk.heal();
    assert!(has_file(&disk, "first.removed") && is_listed(&disk, "first"), "config.json could not be saved");
    (disk, catalog, threads)
}

/// `second` is whole, unless its deletion `is_done`, or it is gone for good. `first` stays deleted, and `other` is as
/// it was.
fn check_second(disk: &SimDisk, catalog: &FileCatalog, is_done: bool, what: &str) {
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
fn a_failed_deletion_after_one_on_a_full_disk_can_be_repeated() {
    let failures = [Failure::Eio, Failure::Enospc].into_iter();
    let failures = failures.flat_map(|failure| [(failure, Lasting::Once), (failure, Lasting::ForGood)]);
    for ((failure, lasting), at) in failures.flat_map(|how| (0..OPERATIONS_MAX).map(move |at| (how, at))) {
        let what = format!("{failure:?}, {lasting:?}, operation {at}");
        let (disk, catalog, threads) = after_deletion_on_full_disk();
        disk.fail_at(disk.operations() + at, failure, lasting);
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
        assert_eq!(put(&catalog, "again", "old"), CommitState::Committed);
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

/// What a server that was killed finds, with a project `again` whose deletion stopped at a file that stays.
fn after_deletion_that_stopped() -> SimDisk {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    for project in ["again", "other"] {
        create(&catalog, project);
        assert_eq!(put(&catalog, project, "a"), CommitState::Committed);
    }
    disk.refuse("remove /storage_data/again.j", EPERM);
    catalog.delete(&id("again")).unwrap_err();
    threads.stop();
    disk.after_kill()
}

/// The status that a client gets.
fn status<T>(refused: Result<T, ChangeError>) -> u16 {
    ApiError::from(refused.err().unwrap()).status()
}

#[test]
fn file_that_cannot_be_removed_keeps_only_its_own_project_from_being_served() {
    let disk = after_deletion_that_stopped();
    disk.refuse("remove /storage_data/again.j", EPERM);
    let (catalog, threads) = start(&disk);
    assert_eq!(put(&catalog, "other", "b"), CommitState::Committed);
    for _ in 0..2 {
        let served = Arc::clone(&catalog.registry().projects[&id("again")]);
        assert!(served.bucket().is_err() && !served.is_ready());
        let refused = [
            status(catalog.delete(&id("again"))),
            status(catalog.create(id("again"), STORED, KEYS)),
            status(catalog.update(&id("again"), STORED, KEYS)),
            status(catalog.regenerate(&id("again"))),
        ];
        assert_eq!(refused, [500, 500, 503, 503]);
        catalog.reload().unwrap();
    }
    disk.heal();
    catalog.delete(&id("again")).unwrap();
    assert!(
        !has(&catalog, "again") && !has_file(&disk, "again.deleted") && !has_file(&disk, "again.removed")
    );
    create(&catalog, "again");
    assert_eq!(keys(&catalog, "again"), 0);
    threads.stop();
}

#[test]
fn deletion_that_stopped_is_continued_by_the_start_after_its_obstacle_is_gone() {
    let disk = after_deletion_that_stopped();
    let (catalog, threads) = start(&disk);
    assert!(!has(&catalog, "again") && !has_file(&disk, "again.json") && !has_file(&disk, "again.deleted"));
    assert_eq!(keys(&catalog, "other"), 1);
    threads.stop();
}

/// A start that meets the failure at any operation serves the other project, or the disk is too broken to start.
#[test]
fn start_that_cannot_finish_a_deletion_serves_the_others() {
    for what in ["remove /storage_data/again", "rename to /storage_data/again", "rename to /config.json"] {
        let disk = after_deletion_that_stopped();
        disk.refuse(what, EPERM);
        let (catalog, threads) = start(&disk);
        assert_eq!(keys(&catalog, "other"), 1, "{what}");
        threads.stop();
        let (catalog, threads) = start(&disk.after_kill());
        assert!(!has(&catalog, "again"), "{what}");
        threads.stop();
    }
}

#[test]
fn file_that_has_the_name_of_a_mark_is_never_replaced() {
    for name in ["again.deleted", "again.removed"] {
        let disk = SimDisk::default();
        let (catalog, threads) = start(&disk);
        create(&catalog, "again");
        assert_eq!(put(&catalog, "again", "a"), CommitState::Committed);
        let path = Path::new("/storage_data").join(name);
        disk.place(&path, b"of its owner");
        catalog.delete(&id("again")).unwrap_err();
        assert_eq!(put(&catalog, "again", "b"), CommitState::Committed, "{name}: it is as it was");
        assert_eq!(disk.content(&path), b"of its owner");
        disk.take_away(&path);
        catalog.delete(&id("again")).unwrap();
        threads.stop();
        // The same if it appears while the deletion is stopped.
        let disk = after_deletion_that_stopped();
        if name == "again.removed" {
            disk.place(&path, b"of its owner");
            let (catalog, threads) = start(&disk);
            assert!(catalog.registry().projects[&id("again")].bucket().is_err());
            assert_eq!(disk.content(&path), b"of its owner");
            threads.stop();
        }
    }
}

/// Directories with the names of a project's files, on a real file system.
#[test]
fn directory_with_the_name_of_a_file_keeps_only_its_own_project_from_being_served() {
    let names = ["p.json", "p.journal", "p.json.tmp", "p.journal.tmp", "p.removed", "p.deleted"];
    for (name, is_empty) in names.iter().flat_map(|name| [(name, true), (name, false)]) {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join("storage_data").join(name);
        let config_path = directory.path().join("config.json");
        std::fs::create_dir_all(path(name)).unwrap();
        if !is_empty {
            std::fs::write(path(name).join("kept"), "").unwrap();
        }
        if *name != "p.deleted" {
            std::fs::write(path("p.deleted"), "").unwrap();
        }
        let engine = ProjectQueues::new(Box::new(|| {}));
        let threads = engine.start().unwrap();
        let opened = FileCatalog::open(Arc::new(RealDisk), engine, config_path, file::default_config());
        let catalog = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(path(name).is_dir(), "{name}");
        assert!(keys(&catalog, "first_project") == 0, "{name}");
        threads.stop();
    }
}

/// A creation that was refused is not served, and can be repeated once the disk works.
#[test]
fn a_refused_creation_that_cannot_be_undone_is_not_served() {
    for (failure, at) in [Failure::Eio, Failure::Enospc]
        .into_iter()
        .flat_map(|failure| (0..OPERATIONS_MAX).map(move |at| (failure, at)))
    {
        let what = format!("{failure:?}, operation {at}");
        let disk = SimDisk::default();
        let (catalog, threads) = start(&disk);
        create(&catalog, "before");
        assert_eq!(put(&catalog, "first_project", "a"), CommitState::Committed);
        disk.fail_at(disk.operations() + at, failure, Lasting::ForGood);
        if catalog.create(id("new"), STORED, KEYS).is_ok() {
            threads.stop();
            continue;
        }
        assert!(!has(&catalog, "new"), "{what}");
        assert_eq!(keys(&catalog, "first_project"), 1, "{what}");
        if let Err(error) = catalog.create(id("new"), STORED, KEYS) {
            assert!(
                !matches!(error, ChangeError::ConfigEdited | ChangeError::Exists(_)),
                "{what}: {error:?}"
            );
        } else {
            // The failed operation was the last of its kind that a creation takes.
            catalog.delete(&id("new")).unwrap();
        }
        disk.heal();
        // Each way that ends the state: another change, a signal, a clean shutdown, or the same request again.
        match at % 4 {
            0 => create(&catalog, "later"),
            1 => drop(catalog.reload().unwrap()),
            2 => catalog.close(),
            _ => create(&catalog, "new"),
        }
        assert_eq!(is_listed(&disk, "new"), at % 4 == 3, "{what}");
        assert_eq!(has(&catalog, "new"), at % 4 == 3, "{what}");
        threads.stop();
        let (catalog, threads) = start(&disk.after_kill());
        assert_eq!(has(&catalog, "new"), at % 4 == 3, "{what}");
        if !has(&catalog, "new") {
            create(&catalog, "new");
        }
        assert_eq!(keys(&catalog, "new"), 0, "{what}");
        threads.stop();
    }
}
