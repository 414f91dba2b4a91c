//! Changes that are acknowledged before they are written, as `sync: interval` does, and then find that the
//! files were taken or the disk failed.

use crate::harness::Writes as _;
use crate::harness::sim_disk::{ENOSPC, SimDisk};
use crate::harness::wait_until;
use crate::harness::workload::{START_MS, key, open, paths, read_all};
use crate::simulation::foreign_files::{LOST, TAKEN, found, guarding, opened_with, reason};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::limits::FILES_FRESH_MS;
use pikv::testing::persist::live::project::{Health, Project};
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::store::commit::{Commit, CommitState};
use pikv::testing::store::error::StorageError;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const EIO: i32 = 5;
const CACHES: [ValueCache; 2] = [ValueCache::Memory, ValueCache::Disk];

/// A project that acknowledges at once, with values in its `.json` and in its journal.
fn written(disk: &SimDisk, cache: ValueCache) -> Arc<Project> {
    let project = opened_with(disk, &guarding(disk), "p", cache, SyncMode::Interval);
    assert!(put(&project, "old").is_none());
    project.checkpoint(START_MS, Instant::now()).unwrap();
    assert!(put(&project, "new").is_none());
    flush(&project);
    project
}

/// Writes a value, in memory only.
fn put(project: &Arc<Project>, name: &str) -> Option<Commit> {
    project.write(START_MS, |t| Ok::<_, ()>(t.put(key(name), b"1", None))).unwrap().commit
}

/// Writes what is pending, so much later each time that all files are checked.
fn flush(project: &Arc<Project>) {
    static FLUSHES: AtomicU64 = AtomicU64::new(1);
    let later_ms = 2 * FILES_FRESH_MS * FLUSHES.fetch_add(1, Ordering::Relaxed);
    project.flush(Instant::now() + Duration::from_millis(later_ms));
}

fn names(project: &Arc<Project>) -> Vec<String> {
    read_all(project, START_MS).into_keys().collect()
}

#[test]
fn acknowledged_changes_stay_and_are_rescued_if_the_journal_is_taken_before_they_are_written() {
    for ((said, take, _), cache) in TAKEN.into_iter().flat_map(|taken| CACHES.map(|cache| (taken, cache))) {
        if cache == ValueCache::Disk && said == "has 0 bytes" {
            continue; // the values that were written are gone
        }
        let disk = SimDisk::default();
        let project = written(&disk, cache);
        take(&disk);
        assert!(put(&project, "late").is_none(), "it is acknowledged");
        project.write(START_MS, |t| Ok::<_, ()>(t.delete(key("new")))).unwrap().answer.unwrap();
        flush(&project);
        assert!(reason(&project).contains(said), "{}", reason(&project));
        assert_eq!(names(&project), ["late", "old"], "{cache:?} {said}");
        let read = project.read(START_MS, |view| ((), view.revision())).unwrap();
        assert!(read.commit.is_none(), "a read waits for nothing");
        project.close(START_MS, Instant::now()); // waits for the rescue
        assert_eq!(found(&disk, cache), ["late", "old"], "{cache:?} {said}");
    }
}

#[test]
fn interval_sync_that_finds_the_journal_taken_keeps_what_is_not_written_yet() {
    for cache in CACHES {
        let disk = SimDisk::default();
        let project = written(&disk, cache);
        assert!(put(&project, "late").is_none());
        TAKEN[0].1(&disk);
        project.sync_written();
        assert!(matches!(project.health(), Health::Failed { .. }));
        project.close(START_MS, Instant::now());
        assert_eq!(found(&disk, cache), ["late", "new", "old"], "{cache:?}");
    }
}

#[test]
fn checkpoint_and_shutdown_that_find_the_journal_taken_keep_what_is_not_written_yet() {
    for (shut_down, cache) in CACHES.into_iter().flat_map(|cache| [(false, cache), (true, cache)]) {
        let disk = SimDisk::default();
        let project = written(&disk, cache);
        assert!(put(&project, "late").is_none());
        TAKEN[2].1(&disk);
        if !shut_down {
            project.checkpoint(START_MS, Instant::now()).unwrap_err();
        }
        project.close(START_MS, Instant::now());
        assert_eq!(found(&disk, cache), ["late", "new", "old"], "{shut_down} {cache:?}");
    }
}

#[test]
fn rescued_files_have_the_revision_and_the_removals_of_unwritten_changes() {
    let disk = SimDisk::default();
    let project = written(&disk, ValueCache::Memory);
    TAKEN[0].1(&disk);
    project.write(START_MS, |t| Ok::<_, ()>(t.clear("n"))).unwrap().answer.unwrap();
    let revision = |project: &Arc<Project>| {
        project.read(START_MS, |view| (view.revision().get(), view.revision())).unwrap().answer
    };
    let before = revision(&project);
    flush(&project);
    project.close(START_MS, Instant::now());
    // The clock is set back, so only the files know.
    let (next, _) = open(Arc::new(disk.after_crash(0)), ValueCache::Memory, SyncMode::Always, 1).unwrap();
    assert!(revision(&next) >= before, "{} after {before}", revision(&next));
    assert_eq!(names(&next), ["old"]);
}

/// All of them wait while the disk is full, so none is acknowledged.
#[test]
fn pending_changes_are_refused_if_the_journal_is_removed() {
    let disk = SimDisk::default();
    let project = written(&disk, ValueCache::Memory);
    disk.refuse("write ", ENOSPC);
    assert!(put(&project, "rolled back").is_none());
    flush(&project);
    assert_eq!(project.health(), Health::DiskFull);
    disk.heal();
    let commit = put(&project, "refused").expect("it waits");
    TAKEN[0].1(&disk);
    flush(&project);
    assert_eq!(commit.outcome(), CommitState::Failed);
    project.close(START_MS, Instant::now());
    assert_eq!(found(&disk, ValueCache::Memory), ["new", "old"]);
}

#[test]
fn acknowledged_change_stays_although_a_later_one_of_the_same_batch_waits() {
    let disk = SimDisk::default();
    let project = written(&disk, ValueCache::Memory);
    assert!(put(&project, "late").is_none());
    disk.refuse("sync ", ENOSPC);
    project.sync_written();
    assert_eq!(project.health(), Health::DiskFull);
    let commit = put(&project, "waiting").expect("it waits");
    disk.heal();
    TAKEN[0].1(&disk);
    flush(&project);
    assert_eq!(commit.outcome(), CommitState::Failed);
    project.close(START_MS, Instant::now());
    let names = found(&disk, ValueCache::Memory);
    assert!(names.contains(&"late".to_owned()), "{names:?}");
}

/// What leaves nothing that a change could be written to.
const LOSSES: [fn(&SimDisk); 4] =
    [LOST[0].1, LOST[1].1, |disk| disk.refuse("write ", EIO), |disk| disk.refuse("write ", ENOSPC)];

#[test]
fn acknowledged_changes_are_rolled_back_if_nothing_can_be_written() {
    for (lose, cache) in LOSSES.into_iter().flat_map(|lose| CACHES.map(|cache| (lose, cache))) {
        let disk = SimDisk::default();
        let project = written(&disk, cache);
        assert!(put(&project, "late").is_none());
        lose(&disk);
        flush(&project);
        assert_ne!(project.health(), Health::Healthy);
        assert_eq!(names(&project), ["new", "old"]);
    }
}

/// Batches are in flight and pending when the journal is found to be taken.
#[test]
fn no_acknowledged_change_is_lost_if_the_journal_is_taken_under_load() {
    for cache in CACHES {
        let disk = SimDisk::default();
        let engine = guarding(&disk);
        let threads = engine.start().unwrap();
        let project = opened_with(&disk, &engine, "p", cache, SyncMode::Interval);
        let count = AtomicU64::new(0);
        let acknowledged = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut acknowledged = BTreeSet::new();
                loop {
                    let name = format!("key{}", count.fetch_add(1, Ordering::Relaxed));
                    match project.write(START_MS, |t| Ok::<_, ()>(t.put(key(&name), b"1", None))) {
                        Ok(_) => acknowledged.insert(name),
                        Err(StorageError::Busy) => continue,
                        Err(StorageError::Failed) => return acknowledged,
                        Err(other) => panic!("{other}"),
                    };
                }
            });
            wait_until("there is some load", || count.load(Ordering::Relaxed) > 1_000);
            disk.place(&paths().journal, b"of somebody else");
            writer.join().unwrap()
        });
        project.close(START_MS, Instant::now());
        threads.stop();
        let found: BTreeSet<String> = found(&disk, cache).into_iter().collect();
        let lost = acknowledged.difference(&found).count();
        assert_eq!(lost, 0, "{cache:?}: of {} acknowledged changes", acknowledged.len());
    }
}

/// Set in the process that [`log_counts_acknowledged_changes_that_are_rolled_back`] starts.
const LOGGING: &str = "PIKV_TEST_ROLLED_BACK";

#[test]
fn log_counts_acknowledged_changes_that_are_rolled_back() {
    if crate::harness::environment::variable(LOGGING).is_some() {
        return roll_back_and_log();
    }
    let name = "simulation::unwritten_changes::log_counts_acknowledged_changes_that_are_rolled_back";
    let program = std::env::current_exe().unwrap();
    let output =
        Command::new(program).args([name, "--exact", "--nocapture"]).env(LOGGING, "1").output().unwrap();
    let logged = String::from_utf8_lossy(&output.stderr);
    let of_full_disk =
        "project p: rolled back 2 acknowledged changes that could not be written. Send them again.\n";
    // The bytes may be in a file that is not ours any more, or the disk may not have cut them off.
    let of_others = "project p: rolled back 2 acknowledged changes that may not be on the disk. A restart may find \
                     some of them. Restart the server, then send again what is missing.\n";
    assert_eq!(logged.matches(of_full_disk).count(), 1, "{logged}");
    assert_eq!(logged.matches(of_others).count(), LOSSES.len() - 1, "{logged}");
}

fn roll_back_and_log() {
    pikv::log::start(log::LevelFilter::Info, pikv::log::Format::Text).unwrap();
    for lose in LOSSES {
        let disk = SimDisk::default();
        let project = written(&disk, ValueCache::Memory);
        assert!(put(&project, "late").is_none());
        assert!(put(&project, "later").is_none());
        lose(&disk);
        flush(&project);
    }
    pikv::log::flush(Duration::from_secs(20));
}
