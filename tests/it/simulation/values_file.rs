//! The values' file of a running project is removed, replaced or cut, on the simulated disk: the values are written
//! again, by a look, a checkpoint or the shutdown, and the next start finds everything that was acknowledged.

use crate::harness::Writes as _;
use crate::harness::sim_disk::{ENOSPC, SimDisk};
use crate::harness::wait_until;
use crate::harness::workload::{START_MS, key, open, paths, read_all};
use crate::simulation::foreign_files::{found, guarding, reason};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::disk::Disk;
use pikv::testing::names::ProjectId;
use pikv::testing::persist::live::project::{Health, OpenOptions, Project};
use pikv::testing::persist::live::worker_threads::{ProjectQueues, WorkerThreads};
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::persist::start::recovery_error::{FileProblem, RecoveryError};
use pikv::testing::store::commit::CommitState;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CACHES: [ValueCache; 2] = [ValueCache::Memory, ValueCache::Disk];
const ALL: [&str; 3] = ["new", "newer", "old"];

type Act = fn(&SimDisk);

/// What somebody does to the values' file so that no start would find the values. The file that was written is as it
/// was, but has no name or another one.
const LOSSES: [(&str, Act); 4] = [
    ("removed", |disk| disk.take_away(&paths().json)),
    ("moved", |disk| disk.move_to(&paths().json, Path::new("/data/elsewhere"))),
    ("replaced", |disk| disk.place(&paths().json, b"no JSON")),
    ("emptied", |disk| disk.place(&paths().json, b"")),
];

/// The same to the file itself.
const CUTS: [(&str, Act); 2] =
    [("cut to nothing", |disk| disk.cut(&paths().json, 0)), ("cut", |disk| disk.cut(&paths().json, 20))];

fn started(disk: &SimDisk, engine: &Arc<ProjectQueues>, cache: ValueCache) -> Arc<Project> {
    let id = ProjectId::parse("p").unwrap();
    let opening = OpenOptions { id, cache, sync: SyncMode::Always, sync_interval: Duration::ZERO };
    let disk = Arc::new(disk.clone());
    Project::open(disk, paths(), opening, Arc::clone(engine), START_MS).unwrap().start()
}

fn put(project: &Arc<Project>, name: &str) -> CommitState {
    let put = project.write(START_MS, |t| Ok::<_, ()>(t.put(key(name), b"1", None)));
    let commit = put.unwrap().commit.expect("a write waits for the disk");
    project.flush(Instant::now());
    commit.outcome()
}

/// A project with a value in its `.json`, and two in its journal if `has_changes`; no thread serves it.
fn idle(disk: &SimDisk, cache: ValueCache, has_changes: bool) -> Arc<Project> {
    let project = started(disk, &guarding(disk), cache);
    assert_eq!(put(&project, "old"), CommitState::Committed);
    if has_changes {
        project.checkpoint(START_MS, Instant::now()).unwrap();
    }
    assert_eq!(
        (put(&project, "new"), put(&project, "newer")),
        (CommitState::Committed, CommitState::Committed)
    );
    if !has_changes {
        project.checkpoint(START_MS, Instant::now()).unwrap();
    }
    project
}

/// A project that the threads of an engine serve, with all its values in its `.json`.
fn served(disk: &SimDisk, cache: ValueCache) -> (Arc<Project>, WorkerThreads) {
    let engine = guarding(disk);
    let threads = engine.start().unwrap();
    let project = started(disk, &engine, cache);
    for name in ALL {
        assert_eq!(put(&project, name), CommitState::Committed);
    }
    project.checkpoint(START_MS, Instant::now()).unwrap();
    (project, threads)
}

fn names(project: &Arc<Project>) -> Vec<String> {
    read_all(project, START_MS).into_keys().collect()
}

fn is_file_of_values(disk: &SimDisk) -> bool {
    let content = disk.content(&paths().json);
    content.starts_with(b"{\n\"new\"") && content.ends_with(b"\n}\n")
}

fn copies(disk: &SimDisk) -> Vec<PathBuf> {
    let is_copy = |path: &PathBuf| path.to_string_lossy().contains("p.json.edited-");
    disk.names().into_iter().filter(is_copy).collect()
}

/// The names that a start finds at this moment, or that it refuses the journal without its values.
fn start_now(disk: &SimDisk, cache: ValueCache) -> Option<Vec<String>> {
    match open(Arc::new(disk.after_kill()), cache, SyncMode::Always, START_MS) {
        Ok((project, _)) => Some(names(&project)),
        Err(RecoveryError { problem: FileProblem::ValuesMissing, .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_check_of_an_idle_project_writes_lost_values_again() {
    for cache in CACHES {
        let cuts = if cache == ValueCache::Memory { &CUTS[..] } else { &[] };
        for (what, lose) in LOSSES.iter().chain(cuts) {
            let disk = SimDisk::default();
            let (project, threads) = served(&disk, cache);
            lose(&disk);
            let theirs = disk.content(&paths().json);
            project.look_soon(Instant::now());
            wait_until("the values are written again", || is_file_of_values(&disk));
            wait_until("the pair is complete", || start_now(&disk, cache).is_some_and(|names| names == ALL));
            assert_eq!((project.health(), names(&project)), (Health::Healthy, ALL.map(String::from).into()));
            assert_eq!(copies(&disk).len(), usize::from(!theirs.is_empty()), "{cache:?} {what}");
            assert_eq!(put(&project, "after"), CommitState::Committed, "{cache:?} {what}");
            threads.stop();
            assert_eq!(found(&disk, cache), ["after", "new", "newer", "old"], "{cache:?} {what}");
        }
    }
}

#[test]
fn a_write_causes_a_check_of_the_data_file() {
    let disk = SimDisk::default();
    let (project, threads) = served(&disk, ValueCache::Memory);
    disk.take_away(&paths().json);
    assert_eq!(put(&project, "after"), CommitState::Committed);
    wait_until("the values are written again", || disk.names().contains(&paths().json));
    threads.stop();
}

#[test]
fn shutdown_writes_lost_values_again_although_nothing_changed() {
    for cache in CACHES {
        for has_changes in [true, false] {
            for (what, lose) in LOSSES {
                let disk = SimDisk::default();
                let project = idle(&disk, cache, has_changes);
                lose(&disk);
                project.close(START_MS, Instant::now());
                assert_eq!(found(&disk, cache), ALL, "{cache:?} {what} {has_changes}");
            }
        }
    }
}

#[test]
fn shutdown_leaves_an_edit_of_values_that_did_not_change() {
    for cache in CACHES {
        let disk = SimDisk::default();
        let project = idle(&disk, cache, false);
        disk.place(&paths().json, b"{\"edited\": 1}");
        project.close(START_MS, Instant::now());
        assert_eq!(found(&disk, cache), ["edited"], "{cache:?}");
    }
}

#[test]
fn checkpoint_writes_lost_values_again() {
    for cache in CACHES {
        for (what, lose) in LOSSES {
            let disk = SimDisk::default();
            let project = idle(&disk, cache, true);
            lose(&disk);
            project.checkpoint(START_MS, Instant::now()).unwrap();
            assert_eq!(names(&project), ALL);
            assert_eq!(found(&disk, cache), ALL, "{cache:?} {what}");
        }
    }
}

#[test]
fn values_that_are_read_from_a_file_that_was_cut_end_the_writes() {
    for (what, cut) in CUTS {
        let disk = SimDisk::default();
        let (project, threads) = served(&disk, ValueCache::Disk);
        cut(&disk);
        let theirs = disk.content(&paths().json);
        project.look_soon(Instant::now());
        wait_until("the project stops", || project.health() != Health::Healthy);
        assert!(reason(&project).contains("was edited or cut while the server was running"), "{what}");
        project.close(START_MS, Instant::now());
        assert_eq!(disk.content(&paths().json), theirs, "{what}: left as it is");
        threads.stop();
    }
}

#[test]
fn both_files_that_are_removed_are_written_again() {
    for cache in CACHES {
        let disk = SimDisk::default();
        let (project, threads) = served(&disk, cache);
        disk.take_away(&paths().json);
        disk.take_away(&paths().journal);
        project.look_soon(Instant::now());
        wait_until("the files are written again", || {
            disk.names().contains(&paths().journal) && disk.names().contains(&paths().json)
        });
        project.close(START_MS, Instant::now());
        assert_eq!(found(&disk, cache), ALL, "{cache:?}");
        threads.stop();
    }
}

#[test]
fn a_removal_during_a_checkpoint_loses_nothing() {
    for cache in CACHES {
        for at in 0.. {
            let disk = SimDisk::default();
            let project = idle(&disk, cache, true);
            let (handle, removed_at) = (disk.clone(), disk.operations() + at);
            disk.set_between(Some(Box::new(move || {
                if handle.operations() == removed_at {
                    handle.take_away(&paths().json);
                }
            })));
            project.checkpoint(START_MS, Instant::now()).unwrap();
            disk.set_between(None);
            assert_eq!(names(&project), ALL, "{cache:?} operation {at}");
            let is_past_the_end = disk.operations() <= removed_at;
            project.close(START_MS, Instant::now());
            assert_eq!(found(&disk, cache), ALL, "{cache:?} operation {at}");
            if is_past_the_end {
                assert!(at > 5, "a checkpoint has several operations");
                break;
            }
        }
    }
}

/// Never fewer values: a start finds all, or refuses.
#[test]
fn crash_while_lost_values_are_written_again_leaves_all_or_a_refusal() {
    for cache in CACHES {
        let mut refusals = 0;
        for at in 0.. {
            let disk = SimDisk::default();
            let project = idle(&disk, cache, true);
            disk.take_away(&paths().json);
            disk.crash_at(disk.operations() + at);
            let written = project.checkpoint(START_MS, Instant::now()).is_ok();
            for seed in 0..4 {
                match open(Arc::new(disk.after_crash(seed)), cache, SyncMode::Always, START_MS) {
                    Ok((project, _)) => assert_eq!(names(&project), ALL, "{cache:?} operation {at}"),
                    Err(RecoveryError { problem: FileProblem::ValuesMissing, .. }) if !written => {
                        refusals += 1
                    }
                    Err(other) => panic!("{other}, operation {at}"),
                }
            }
            if written {
                break;
            }
        }
        assert!(refusals > 0, "the crashes were in time");
    }
}

#[test]
fn a_project_on_a_full_disk_accepts_writes_until_its_values_can_be_written_again() {
    let disk = SimDisk::default();
    let (project, threads) = served(&disk, ValueCache::Memory);
    disk.refuse("create /data/p.json.tmp", ENOSPC);
    disk.take_away(&paths().json);
    let begin = disk.operations();
    project.look_soon(Instant::now());
    wait_until("it is tried", || {
        (begin..disk.operations()).any(|at| disk.operation(at) == "create /data/p.json.tmp")
    });
    assert_eq!(put(&project, "after"), CommitState::Committed);
    assert_eq!(project.health(), Health::Healthy);
    disk.heal();
    project.close(START_MS, Instant::now());
    threads.stop();
    assert_eq!(found(&disk, ValueCache::Memory), ["after", "new", "newer", "old"]);
}

#[test]
fn earlier_values_of_the_project_are_not_an_edit() {
    let disk = SimDisk::default();
    let project = started(&disk, &guarding(&disk), ValueCache::Memory);
    assert_eq!(put(&project, "old"), CommitState::Committed);
    project.checkpoint(START_MS, Instant::now()).unwrap();
    let earlier = disk.content(&paths().json);
    assert_eq!(
        (put(&project, "new"), put(&project, "newer")),
        (CommitState::Committed, CommitState::Committed)
    );
    project.checkpoint(START_MS, Instant::now()).unwrap();
    disk.place(&paths().json, &earlier);
    project.close(START_MS, Instant::now());
    assert_eq!(found(&disk, ValueCache::Memory), ALL);
    assert!(disk.exists(&copies(&disk)[0]).unwrap());
}
