//! Files that are taken from a running server, on the simulated disk: removed, replaced or cut journals, a
//! directory under a mount, a lock that somebody removed. What was acknowledged is found by the next start,
//! what was refused is not, and nothing that belongs to somebody else is written.

use crate::harness::Writes as _;
use crate::harness::sim_disk::{ENOSPC, Failure, Lasting, SimDisk};
use crate::harness::workload::{START_MS, key, open, paths, read_all};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::disk::Disk;
use pikv::testing::limits::FILES_FRESH_MS;
use pikv::testing::names::ProjectId;
use pikv::testing::persist::files::deletion;
use pikv::testing::persist::files::generation::Paths;
use pikv::testing::persist::files::guard::DirectoryGuard;
use pikv::testing::persist::live::project::{Health, OpenOptions, Project};
use pikv::testing::persist::live::worker_threads::ProjectQueues;
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::persist::start::recovery_error::{FileProblem, RecoveryError};
use pikv::testing::store::commit::CommitState;
use pikv::testing::store::error::StorageError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const EIO: i32 = 5;
const LOCK: &str = "/data/pikv.lock";
const DIRECTORY: &str = "/data";

/// An engine that guards `/data` of `disk`, as a server has that took the lock.
pub fn guarding(disk: &SimDisk) -> Arc<ProjectQueues> {
    disk.place(Path::new(LOCK), b"1\n");
    let locked = disk.status(Path::new(LOCK)).unwrap().identity;
    let guard = DirectoryGuard::new(Arc::new(disk.clone()), Path::new(LOCK), locked).unwrap();
    ProjectQueues::guarding(Some(guard), Box::new(|| ()))
}

fn opened(disk: &SimDisk, engine: &Arc<ProjectQueues>, name: &str, cache: ValueCache) -> Arc<Project> {
    opened_with(disk, engine, name, cache, SyncMode::Always)
}

pub fn opened_with(
    disk: &SimDisk,
    engine: &Arc<ProjectQueues>,
    name: &str,
    cache: ValueCache,
    sync: SyncMode,
) -> Arc<Project> {
    let id = ProjectId::parse(name).unwrap();
    let files = Paths::new(Path::new(DIRECTORY), &id);
    let opening = OpenOptions { id, cache, sync, sync_interval: Duration::from_secs(1) };
    let opened = Project::open(Arc::new(disk.clone()), files, opening, Arc::clone(engine), START_MS);
    Arc::new(opened.unwrap().project)
}

/// Writes a value and says what became of it.
fn put(project: &Arc<Project>, name: &str, value: &str) -> Result<CommitState, StorageError> {
    // So much later each time that nothing counts as looked at just before.
    static PUTS: AtomicU64 = AtomicU64::new(1);
    let later_ms = FILES_FRESH_MS * PUTS.fetch_add(1, Ordering::Relaxed);
    put_at(project, name, value, Instant::now() + Duration::from_millis(later_ms))
}

fn put_at(
    project: &Arc<Project>,
    name: &str,
    value: &str,
    now: Instant,
) -> Result<CommitState, StorageError> {
    let put = project.write(START_MS, |t| Ok::<_, ()>(t.put(key(name), value.as_bytes(), None)));
    let commit = put?.commit.expect("a write waits for the disk");
    project.flush(now);
    Ok(commit.outcome())
}

/// A project with values in its `.json` and in its journal, all acknowledged.
fn written(disk: &SimDisk, engine: &Arc<ProjectQueues>, cache: ValueCache) -> Arc<Project> {
    let project = opened(disk, engine, "p", cache);
    assert_eq!(put(&project, "old", "\"in the json\""), Ok(CommitState::Committed));
    project.checkpoint(START_MS, Instant::now()).unwrap();
    for name in ["new", "newer"] {
        assert_eq!(put(&project, name, "\"in the journal\""), Ok(CommitState::Committed));
    }
    project
}

/// The names that the next start finds after a power cut that keeps nothing unsynced.
pub fn found(disk: &SimDisk, cache: ValueCache) -> Vec<String> {
    let (project, _) = open(Arc::new(disk.after_crash(0)), cache, SyncMode::Always, START_MS).unwrap();
    read_all(&project, START_MS).into_keys().collect()
}

pub fn reason(project: &Project) -> String {
    match project.health() {
        Health::Failed { reason } => reason,
        health @ (Health::Healthy | Health::DiskFull | Health::Closed | Health::Deleted) => {
            panic!("{health:?}")
        }
    }
}

fn foreign(disk: &SimDisk) -> Vec<PathBuf> {
    let is_foreign = |path: &PathBuf| path.to_string_lossy().contains("p.journal.foreign-");
    disk.names().into_iter().filter(is_foreign).collect()
}

pub type Act = fn(&SimDisk);

/// What somebody does to a journal, what is said of it, and whether something of theirs is to be kept.
pub const TAKEN: [(&str, Act, bool); 6] = [
    ("was removed or moved", |disk| disk.take_away(&paths().journal), false),
    ("was removed or moved", |disk| disk.move_to(&paths().journal, Path::new("/data/elsewhere")), false),
    ("was replaced", |disk| disk.place(&paths().journal, b"of somebody else"), true),
    ("was replaced", |disk| disk.place(&paths().journal, &disk.content(&paths().journal)), true),
    ("has 0 bytes", |disk| disk.cut(&paths().journal, 0), false),
    ("has 9999 bytes", |disk| disk.cut(&paths().journal, 9_999), true),
];

#[test]
fn acknowledged_writes_survive_the_journal_that_they_were_written_to() {
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        for (said, take, is_kept) in TAKEN {
            if cache == ValueCache::Disk && said == "has 0 bytes" {
                continue; // the values are gone; see below
            }
            let disk = SimDisk::default();
            let project = written(&disk, &guarding(&disk), cache);
            take(&disk);
            let theirs = disk.content(&paths().journal);
            assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed), "{said}");
            assert!(reason(&project).contains(said), "{}", reason(&project));
            assert_eq!(put(&project, "refused", "1"), Err(StorageError::Failed));
            let held: Vec<_> = read_all(&project, START_MS).into_keys().collect();
            assert_eq!(held, ["new", "newer", "old"], "reads go on");
            project.close(START_MS, Instant::now()); // waits for the rescue
            assert_eq!(found(&disk, cache), ["new", "newer", "old"], "{cache:?} {said}");
            let kept = foreign(&disk);
            assert_eq!(kept.len(), usize::from(is_kept), "{kept:?}");
            kept.iter().for_each(|copy| assert_eq!(disk.content(copy), theirs));
        }
    }
}

#[test]
fn rescue_does_not_wait_for_the_end_of_the_server() {
    let disk = SimDisk::default();
    let project = written(&disk, &guarding(&disk), ValueCache::Memory);
    disk.take_away(&paths().journal);
    assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed));
    crate::harness::wait_until("the journal is there again", || disk.names().contains(&paths().journal));
    assert_eq!(found(&disk, ValueCache::Memory), ["new", "newer", "old"]);
}

#[test]
fn each_project_whose_journal_is_taken_is_rescued() {
    let disk = SimDisk::default();
    let engine = guarding(&disk);
    for name in ["p", "q"] {
        let project = opened(&disk, &engine, name, ValueCache::Memory);
        assert_eq!(put(&project, "a", "1"), Ok(CommitState::Committed));
        let journal = Path::new(DIRECTORY).join(format!("{name}.journal"));
        disk.take_away(&journal);
        assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed));
        crate::harness::wait_until("the journal is there again", || disk.names().contains(&journal));
        // The thread ends after that; the next project may be given to it or to a new one.
        crate::harness::wait_until("the files are in place", || {
            disk.operation(disk.operations() - 1) == "sync directory"
        });
    }
}

#[test]
fn rescued_files_remember_revisions_and_the_values_before() {
    let disk = SimDisk::default();
    let project = written(&disk, &guarding(&disk), ValueCache::Memory);
    let revision = |project: &Arc<Project>| {
        project.read(START_MS, |view| (view.revision().get(), view.revision())).unwrap().answer
    };
    // No key has the revision of a deletion.
    project.write(START_MS, |t| Ok::<_, ()>(t.delete(key("old")))).unwrap();
    project.flush(Instant::now());
    let before = revision(&project);
    let values = disk.content(&paths().json);
    disk.take_away(&paths().journal);
    assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed));
    project.close(START_MS, Instant::now());
    // The clock is set back, so only the files know.
    let (next, _) = open(Arc::new(disk.after_kill()), ValueCache::Memory, SyncMode::Always, 1).unwrap();
    assert!(revision(&next) >= before, "{} after {before}", revision(&next));
    disk.place(&paths().json, &values);
    let older = open(Arc::new(disk), ValueCache::Memory, SyncMode::Always, START_MS).map(drop);
    assert!(matches!(older, Err(RecoveryError { problem: FileProblem::MixedPair { .. }, .. })), "{older:?}");
}

/// The names are looked at from time to time, the length each time.
#[test]
fn a_journal_that_was_truncated_a_moment_after_a_write_accepts_none() {
    let disk = SimDisk::default();
    let project = written(&disk, &guarding(&disk), ValueCache::Memory);
    let now = Instant::now();
    assert_eq!(put_at(&project, "last", "1", now), Ok(CommitState::Committed));
    disk.cut(&paths().journal, 300);
    assert_eq!(put_at(&project, "refused", "1", now), Ok(CommitState::Failed));
    project.close(START_MS, now);
    assert_eq!(found(&disk, ValueCache::Memory), ["last", "new", "newer", "old"]);
}

#[test]
fn an_interval_sync_checks_the_journal_too() {
    for (said, take, _) in TAKEN {
        let disk = SimDisk::default();
        let project = opened_with(&disk, &guarding(&disk), "p", ValueCache::Memory, SyncMode::Interval);
        project.write(START_MS, |t| Ok::<_, ()>(t.put(key("a"), b"1", None))).unwrap();
        project.flush(Instant::now());
        take(&disk);
        project.sync_written();
        assert!(reason(&project).contains(said), "{}", reason(&project));
        project.close(START_MS, Instant::now());
        assert_eq!(found(&disk, ValueCache::Memory), ["a"], "{said}");
    }
}

#[test]
fn project_is_rescued_once_although_its_interval_ends_again_and_again() {
    let disk = SimDisk::default();
    let project = opened_with(&disk, &guarding(&disk), "p", ValueCache::Memory, SyncMode::Interval);
    project.write(START_MS, |t| Ok::<_, ()>(t.put(key("a"), b"1", None))).unwrap();
    project.flush(Instant::now());
    disk.take_away(&paths().journal);
    for _ in 0..2 {
        project.sync_written();
        crate::harness::wait_until("the journal is in place again", || {
            disk.names().contains(&paths().journal)
                && disk.operation(disk.operations() - 1) == "sync directory"
        });
    }
    project.close(START_MS, Instant::now());
    let rescues =
        (0..disk.operations()).filter(|&at| disk.operation(at) == "create /data/p.json.tmp").count();
    assert_eq!((rescues, foreign(&disk)), (2, Vec::new()), "one for the new project and one for the rescue");
}

#[test]
fn a_swap_that_failed_halfway_is_not_mistaken_for_an_external_edit() {
    let disk = SimDisk::default();
    let project = opened_with(&disk, &guarding(&disk), "p", ValueCache::Memory, SyncMode::Interval);
    project.write(START_MS, |t| Ok::<_, ()>(t.put(key("a"), b"1", None))).unwrap();
    project.flush(Instant::now());
    let handle = disk.clone();
    disk.set_between(Some(Box::new(move || {
        if handle.operation(handle.operations() - 1) == "rename to /data/p.journal" {
            handle.refuse("sync directory", EIO);
        }
    })));
    project.checkpoint(START_MS, Instant::now()).unwrap_err();
    disk.set_between(None);
    disk.heal();
    let before = reason(&project);
    project.sync_written();
    project.close(START_MS, Instant::now());
    assert_eq!((reason(&project), foreign(&disk)), (before, Vec::new()));
    assert_eq!(found(&disk, ValueCache::Memory), ["a"]);
}

#[test]
fn shutdown_and_checkpoint_check_the_journal_too() {
    for (said, take, _) in TAKEN {
        for shut_down in [false, true] {
            let disk = SimDisk::default();
            let project = written(&disk, &guarding(&disk), ValueCache::Memory);
            take(&disk);
            if !shut_down {
                project.checkpoint(START_MS, Instant::now()).unwrap_err();
            }
            project.close(START_MS, Instant::now());
            assert!(reason(&project).contains(said), "{}", reason(&project));
            assert_eq!(found(&disk, ValueCache::Memory), ["new", "newer", "old"], "{said}");
        }
    }
}

#[test]
fn a_truncated_value_is_not_read_as_another_one_and_nothing_is_overwritten() {
    let disk = SimDisk::default();
    let project = written(&disk, &guarding(&disk), ValueCache::Disk);
    let values = disk.content(&paths().json);
    disk.cut(&paths().journal, 300);
    assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed));
    project.close(START_MS, Instant::now());
    assert_eq!(disk.content(&paths().json), values);
    assert_eq!(disk.content(&paths().journal).len(), 300);
}

#[test]
fn a_journal_with_a_second_hard_link_accepts_writes() {
    let disk = SimDisk::default();
    let project = written(&disk, &guarding(&disk), ValueCache::Memory);
    disk.link(&paths().journal, Path::new("/backup/p.journal"));
    assert_eq!(put(&project, "linked", "1"), Ok(CommitState::Committed));
}

/// What separates the directory or its lock from the process that has them.
pub const LOST: [(&str, Act); 4] = [
    ("is not the directory that was opened", |disk| disk.mount_over(Path::new(DIRECTORY))),
    ("was removed or replaced", |disk| disk.take_away(Path::new(LOCK))),
    ("was removed or replaced", |disk| disk.place(Path::new(LOCK), b"2\n")),
    ("is not the directory that was opened", replace_by_hard_linked_copy),
];

/// The lock and the journals are the same files in another directory.
fn replace_by_hard_linked_copy(disk: &SimDisk) {
    let files = disk.names();
    let copy = |path: &PathBuf| Path::new("/copy").join(path.file_name().unwrap());
    files.iter().for_each(|path| disk.link(path, &copy(path)));
    disk.mount_over(Path::new(DIRECTORY));
    files.iter().for_each(|path| disk.link(&copy(path), path));
}

#[test]
fn no_project_writes_to_another_directory_than_the_locked_one() {
    for (said, lose) in LOST {
        let disk = SimDisk::default();
        let engine = guarding(&disk);
        let project = written(&disk, &engine, ValueCache::Memory);
        let other = opened(&disk, &engine, "other", ValueCache::Memory);
        assert_eq!(put(&other, "a", "1"), Ok(CommitState::Committed));
        lose(&disk);
        disk.place(&paths().json, b"{}\n");
        let (operations, names) = (disk.operations(), disk.names());
        assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed), "{said}");
        assert_eq!(put(&other, "refused", "1"), Err(StorageError::Failed), "the other one knows it too");
        for project in [&project, &other] {
            assert!(reason(project).contains(said), "{}", reason(project));
            project.checkpoint(START_MS, Instant::now()).unwrap_err();
            project.close(START_MS, Instant::now());
        }
        assert_eq!((disk.operations(), disk.names()), (operations, names), "nothing was written: {said}");
        assert_eq!(disk.content(&paths().json), b"{}\n");
    }
}

#[test]
fn a_directory_that_cannot_be_read_is_lost() {
    let disk = SimDisk::default();
    let engine = guarding(&disk);
    disk.crash_at(disk.operations());
    assert!(engine.check_directory().is_err());
    disk.heal();
    assert!(engine.check_directory().is_err(), "nobody knows what happened in between");
}

/// Has the lock taken from the project in the midst of `act`, which creates files. Nothing is renamed or removed.
fn check_nothing_is_replaced(disk: &SimDisk, act: impl FnOnce()) {
    let (handle, begin) = (disk.clone(), disk.operations());
    disk.set_between(Some(Box::new(move || handle.place(Path::new(LOCK), b"2\n"))));
    act();
    disk.set_between(None);
    let operations: Vec<_> = (begin..disk.operations()).map(|at| disk.operation(at)).collect();
    let is = |operation: &&String, kinds: &[&str]| kinds.iter().any(|kind| operation.starts_with(kind));
    assert!(operations.iter().any(|operation| is(&operation, &["create "])), "it began: {operations:?}");
    assert_eq!(operations.iter().find(|operation| is(operation, &["rename", "remove"])), None);
}

#[test]
fn rescue_replaces_and_removes_nothing_if_the_lock_is_taken_while_it_copies() {
    let disk = SimDisk::default();
    let project = written(&disk, &guarding(&disk), ValueCache::Memory);
    disk.take_away(&paths().journal);
    check_nothing_is_replaced(&disk, || {
        assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed));
        project.close(START_MS, Instant::now()); // waits for the rescue
    });
}

#[test]
fn checkpoint_replaces_and_removes_nothing_if_the_lock_is_taken_while_it_copies() {
    let disk = SimDisk::default();
    let project = written(&disk, &guarding(&disk), ValueCache::Memory);
    check_nothing_is_replaced(&disk, || {
        project.checkpoint(START_MS, Instant::now()).unwrap_err();
        project.close(START_MS, Instant::now());
    });
}

#[test]
fn rescue_keeps_an_edit_of_the_values() {
    let disk = SimDisk::default();
    let project = written(&disk, &guarding(&disk), ValueCache::Memory);
    disk.place(&paths().json, b"{\"edited\":1}");
    disk.take_away(&paths().journal);
    assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed));
    project.close(START_MS, Instant::now());
    assert_eq!(found(&disk, ValueCache::Memory), ["new", "newer", "old"]);
    let is_copy = |path: &&PathBuf| path.to_string_lossy().contains("p.json.edited-");
    let copy = disk.names().iter().find(is_copy).cloned().expect("a copy of the edit");
    assert_eq!(disk.content(&copy), b"{\"edited\":1}");
}

/// The values that the project reads are in the file that had the name before.
#[test]
fn rescue_keeps_a_values_file_that_replaced_the_one_that_values_are_read_from() {
    let disk = SimDisk::default();
    let project = written(&disk, &guarding(&disk), ValueCache::Disk);
    disk.place(&paths().json, b"{\"restored\":1}");
    disk.take_away(&paths().journal);
    assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed));
    project.close(START_MS, Instant::now());
    assert_eq!(found(&disk, ValueCache::Memory), ["new", "newer", "old"]);
    let is_kept = |path: &PathBuf| disk.content(path) == b"{\"restored\":1}";
    assert!(disk.names().iter().any(is_kept), "{:?}", disk.names());
}

#[test]
fn a_lost_directory_stays_lost() {
    let disk = SimDisk::default();
    let engine = guarding(&disk);
    let project = written(&disk, &engine, ValueCache::Memory);
    disk.mount_over(Path::new(DIRECTORY));
    assert_eq!(put(&project, "refused", "1"), Ok(CommitState::Failed));
    disk.unmount(Path::new(DIRECTORY));
    assert!(engine.check_directory().is_err());
    assert_eq!(put(&project, "refused", "1"), Err(StorageError::Failed));
    project.close(START_MS, Instant::now());
    assert_eq!(found(&disk, ValueCache::Memory), ["new", "newer", "old"]);
}

#[test]
fn second_server_that_starts_without_the_lock_has_all_that_was_acknowledged() {
    let mut outcomes = Vec::new();
    for at in 0.. {
        let disk = SimDisk::default();
        let project = written(&disk, &guarding(&disk), ValueCache::Memory);
        let found_by_second = Arc::new(std::sync::Mutex::new(None));
        let (second, handle) = (Arc::clone(&found_by_second), disk.clone());
        let mut count = 0;
        disk.set_between(Some(Box::new(move || {
            count += 1;
            if count == at + 1 {
                // It creates its lock file, then reads.
                handle.place(Path::new(LOCK), b"2\n");
                *second.lock().unwrap() = Some(handle.after_kill());
            }
        })));
        let outcome = put(&project, "late", "1").unwrap();
        disk.set_between(None);
        let Some(snapshot) = found_by_second.lock().unwrap().take() else { break };
        let (second, _) = open(Arc::new(snapshot), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
        let has_it = read_all(&second, START_MS).contains_key("late");
        assert!(
            outcome == CommitState::Failed || has_it,
            "before operation {at}: acknowledged and not found"
        );
        outcomes.push(outcome);
    }
    assert!(outcomes.len() > 1 && outcomes.contains(&CommitState::Failed), "{outcomes:?}");
}

/// What a write or a sync that fails leaves is not cut off: the second server may have written there.
#[test]
fn journal_is_not_cut_if_the_lock_is_taken_during_a_write_that_fails() {
    for (step, what) in ["write ", "sync "].into_iter().enumerate() {
        for failure in [Failure::Eio, Failure::Enospc] {
            let disk = SimDisk::default();
            let project = written(&disk, &guarding(&disk), ValueCache::Memory);
            let begin = disk.operations();
            let at = begin + step as u64;
            disk.fail_at(at, failure, Lasting::Once);
            let handle = disk.clone();
            disk.set_between(Some(Box::new(move || {
                if handle.operations() == at {
                    handle.place(Path::new(LOCK), b"2\n");
                }
            })));
            assert_eq!(put(&project, "late", "1"), Ok(CommitState::Failed), "{what} {failure:?}");
            disk.set_between(None);
            assert!(disk.operation(at).starts_with(what), "{}", disk.operation(at));
            assert_eq!(disk.operations(), at + 1, "{what} {failure:?}: nothing follows");
        }
    }
}

#[test]
fn files_that_are_removed_during_a_checkpoint_lose_nothing() {
    let lose: [Act; 4] = [LOST[0].1, LOST[2].1, TAKEN[0].1, TAKEN[2].1];
    for lose in lose {
        for at in 1.. {
            let disk = SimDisk::default();
            let project = written(&disk, &guarding(&disk), ValueCache::Memory);
            let handle = disk.clone();
            let mut count = 0;
            disk.set_between(Some(Box::new(move || {
                count += 1;
                if count == at {
                    lose(&handle);
                }
            })));
            let done = project.checkpoint(START_MS, Instant::now());
            disk.set_between(None);
            project.close(START_MS, Instant::now());
            let is_covered = !disk.names().contains(&paths().json);
            if is_covered {
                // Between a look and the next call there is an instant; what is renamed was looked at just before.
                let is_temporary = |name: &PathBuf| name.extension().is_some_and(|end| end == "tmp");
                assert!(disk.names().iter().all(is_temporary), "at {at}: {:?}", disk.names());
                disk.unmount(Path::new(DIRECTORY));
            }
            assert_eq!(found(&disk, ValueCache::Memory), ["new", "newer", "old"], "at {at}");
            if done.is_ok() && at > 20 {
                break;
            }
        }
    }
}

type End = fn(&Arc<Project>, &SimDisk);

/// What ends the use of its files by a project.
const ENDS: [(&str, End); 2] = [
    ("deleted", |project, disk| {
        deletion::begin(disk, &paths()).unwrap();
        project.close_for_deletion();
        deletion::remove_files(disk, &paths()).unwrap();
        deletion::end(disk, &paths()).unwrap();
    }),
    ("closed", |project, disk| {
        // On a full disk, so that something is left to be synced.
        disk.refuse("sync /data/p.j", ENOSPC);
        project.close(START_MS, Instant::now());
        disk.heal();
    }),
];

#[test]
fn project_that_ended_leaves_the_files_of_its_successor_alone() {
    for sync in [SyncMode::Interval, SyncMode::Always] {
        for (said, end) in ENDS {
            let disk = SimDisk::default();
            let engine = guarding(&disk);
            let old = opened_with(&disk, &engine, "p", ValueCache::Memory, sync);
            old.write(START_MS, |t| Ok::<_, ()>(t.put(key("written"), b"1", None))).unwrap().answer.unwrap();
            old.flush(Instant::now());
            let in_flight = old.write(START_MS, |t| Ok::<_, ()>(t.put(key("pending"), b"1", None))).unwrap();
            end(&old, &disk);
            let ended = old.health();
            let new = opened(&disk, &engine, "p", ValueCache::Memory);
            assert_eq!(put(&new, "new", "1"), Ok(CommitState::Committed));
            let later = Instant::now() + Duration::from_millis(2 * FILES_FRESH_MS);
            old.sync_written();
            old.flush(later);
            old.close(START_MS, later);
            assert_ne!(in_flight.commit.map(|commit| commit.outcome()), Some(CommitState::Pending), "{said}");
            assert_eq!(old.health(), ended, "{sync:?} {said}");
            assert_eq!(foreign(&disk), Vec::<PathBuf>::new(), "{sync:?} {said}");
            assert_eq!(put(&new, "newer", "1"), Ok(CommitState::Committed), "{sync:?} {said}");
            let names = found(&disk, ValueCache::Memory);
            assert!(["new", "newer"].iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
        }
    }
}

/// On a full disk the successor uses the same journal, because it cannot be written again into a new file.
#[test]
fn project_that_ended_on_a_full_disk_cuts_nothing_off_the_journal_of_its_successor() {
    let disk = SimDisk::default();
    let engine = guarding(&disk);
    let old = opened_with(&disk, &engine, "p", ValueCache::Memory, SyncMode::Interval);
    old.write(START_MS, |t| Ok::<_, ()>(t.put(key("old"), b"1", None))).unwrap().answer.unwrap();
    old.flush(Instant::now());
    disk.refuse("sync /data/p.j", ENOSPC);
    old.close(START_MS, Instant::now());
    let new = opened(&disk, &engine, "p", ValueCache::Memory);
    disk.heal();
    assert_eq!(put(&new, "new", "1"), Ok(CommitState::Committed));
    old.sync_written();
    assert_eq!(found(&disk, ValueCache::Memory), ["new", "old"]);
    assert_eq!(put(&new, "newer", "1"), Ok(CommitState::Committed));
}
