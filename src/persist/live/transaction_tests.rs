use super::*;
use crate::config::schema::SyncMode;
use crate::disk::RealDisk;
use crate::limits::KEY_BYTES_MAX;
use crate::names::Key;
use crate::names::ProjectId;
use crate::persist::files::generation::Paths;
use crate::persist::live::project::{OpenOptions, ReadTransaction};
use crate::persist::live::worker_threads::ProjectQueues;
use crate::persist::start::recovery::ValueCache;
use crate::store::batch::Op;
use crate::store::change::EntryMeta;
use crate::store::commit::CommitState;
use crate::store::decide::Step;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const NOW: u64 = 1_764_000_000_000;

fn key(text: &str) -> Key<'_> {
    Key::parse(text).unwrap()
}

/// A project whose changes stay pending, because no writer runs.
fn project(directory: &tempfile::TempDir, sync: SyncMode, cache: ValueCache) -> Arc<Project> {
    let id = ProjectId::parse("p").unwrap();
    let paths = Paths::new(directory.path(), &id);
    let opening = OpenOptions { id, cache, sync, sync_interval: Duration::from_secs(1) };
    let engine = ProjectQueues::new(Box::new(|| ()));
    Arc::new(Project::open(Arc::new(RealDisk), paths, opening, engine, NOW).unwrap().project)
}

fn put(project: &Arc<Project>, name: &str, value: &[u8]) -> Pending<Result<EntryMeta, ()>> {
    project.write(NOW, |transaction| Ok(transaction.put(key(name), value, None))).unwrap()
}

/// Writes without conditions.
impl Transaction<'_> {
    pub(in crate::persist::live) fn put(
        &mut self,
        key: Key<'_>,
        value: &[u8],
        ttl_ms: Option<u64>,
    ) -> EntryMeta {
        let Step::Put { meta, .. } = self.run(Op::put(key, value, ttl_ms)) else { panic!("no put") };
        meta
    }

    pub(in crate::persist::live) fn delete(&mut self, key: Key<'_>) -> Option<EntryMeta> {
        let before = self.view().get(key).map(|entry| entry.meta());
        self.run(Op::delete(key));
        before
    }

    fn run(&mut self, op: Op<'_>) -> Step {
        let batch = Batch::one(op);
        let steps = self.view().decide(&batch).unwrap();
        self.apply_steps(&batch, &steps);
        steps[0]
    }
}

fn pending_bytes(project: &Arc<Project>) -> usize {
    project.lock().unwrap().pending.bytes.len()
}

#[test]
fn a_transaction_that_fails_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let project = project(&directory, SyncMode::Always, ValueCache::Memory);
    put(&project, "a", b"1");
    let before = pending_bytes(&project);
    let failed = project.write(NOW, |transaction| {
        transaction.put(key("b"), b"2", None);
        transaction.clear("");
        assert!(transaction.view().get(key("a")).is_none(), "a change sees those before it");
        Err::<(), _>("no")
    });
    let failed = failed.unwrap();
    assert_eq!(failed.answer, Err("no"));
    assert!(failed.commit.is_some(), "the refusal may depend on what is not on disk yet");
    assert_eq!(pending_bytes(&project), before);
    let names = project.read(NOW, |view| (view.totals().keys, view.revision())).unwrap().answer;
    assert_eq!(names, 1);
}

#[test]
fn what_a_project_brings_into_memory_expires_without_a_write() {
    let directory = tempfile::tempdir().unwrap();
    let on_disk = project(&directory, SyncMode::Always, ValueCache::Memory);
    on_disk.write(NOW, |t| Ok::<_, ()>(t.put(key("a"), b"1", Some(1_000)))).unwrap();
    put(&on_disk, "b", b"1");
    on_disk.close(NOW, clock::monotonic());
    let engine = ProjectQueues::new(Box::new(|| ()));
    let id = on_disk.id().clone();
    let opening =
        OpenOptions { id, cache: ValueCache::Memory, sync: SyncMode::Always, sync_interval: Duration::ZERO };
    let paths = Paths::new(directory.path(), &opening.id);
    let threads = engine.start().unwrap();
    let opened = Project::open(Arc::new(RealDisk), paths, opening, engine, NOW).unwrap().in_memory();
    let stored = |project: &Project| project.lock().unwrap().key_map.stored_range("", None).count();
    assert_eq!(stored(&opened.project), 2, "nothing is due before it starts");
    let project = opened.start();
    assert!(project.is_in_memory());
    let begun = clock::monotonic();
    while stored(&project) > 1 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    threads.stop();
    assert_eq!(stored(&project), 1, "there was no write, and what expired is gone");
}

#[test]
fn a_transaction_that_changes_nothing_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let project = project(&directory, SyncMode::Always, ValueCache::Memory);
    let deleted = project.write(NOW, |t| Ok::<_, ()>((t.delete(key("a")), t.clear("x")))).unwrap();
    assert_eq!((deleted.answer, deleted.commit.is_none()), (Ok((None, Some(0))), true));
    assert_eq!(pending_bytes(&project), 0);
}

#[test]
fn changes_beyond_what_may_wait_are_refused_before_anything_changed() {
    let directory = tempfile::tempdir().unwrap();
    let project = project(&directory, SyncMode::Always, ValueCache::Memory);
    let value = format!("\"{}\"", "x".repeat(PENDING_BYTES_MAX / 4));
    (0..4).for_each(|number| drop(put(&project, &format!("{number}"), value.as_bytes())));
    let refused = project.write(NOW, |_| -> Result<(), ()> { panic!("must not be asked") });
    assert_eq!(refused.unwrap_err(), StorageError::Busy);
    project.flush(clock::monotonic());
    put(&project, &"k".repeat(KEY_BYTES_MAX), b"1");
}

#[test]
fn sync_mode_decides_whether_a_write_waits() {
    let check = |sync, cache, waits| {
        let directory = tempfile::tempdir().unwrap();
        let project = project(&directory, sync, cache);
        let commit = put(&project, "a", b"1").commit;
        assert_eq!(commit.is_some(), waits, "{sync:?} {cache:?}");
        project.flush(clock::monotonic());
        assert!(commit.is_none_or(|commit| commit.outcome() == CommitState::Committed));
        let read = project.read(NOW, |view| ((), view.revision())).unwrap();
        assert!(read.commit.is_none(), "all is written");
    };
    check(SyncMode::Always, ValueCache::Memory, true);
    check(SyncMode::Interval, ValueCache::Memory, false);
    check(SyncMode::Always, ValueCache::Disk, true);
    check(SyncMode::Interval, ValueCache::Disk, false);
}

#[test]
fn a_panic_in_a_transaction_fails_who_waits_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let project = project(&directory, SyncMode::Always, ValueCache::Memory);
    let commit = put(&project, "a", b"1").commit.unwrap();
    let panicking = || drop(project.write(NOW, |_| -> Result<(), ()> { panic!("a bug") }));
    assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
    assert_eq!(project.write(NOW, |_| Ok::<_, ()>(())).unwrap_err(), StorageError::Poisoned);
    project.flush(clock::monotonic());
    assert_eq!(commit.outcome(), CommitState::Failed);
}

#[test]
fn a_panic_of_a_thread_that_holds_the_journal_fails_who_waits() {
    for is_writer in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let project = project(&directory, SyncMode::Always, ValueCache::Memory);
        let commit = put(&project, "a", b"1").commit.unwrap();
        let panicking = || {
            let _journal = project.files.as_ref().unwrap().journal.lock();
            panic!("a bug")
        };
        assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
        if is_writer {
            project.write_in_turn();
        } else {
            project.flush(clock::monotonic());
        }
        assert_eq!(commit.outcome(), CommitState::Failed);
    }
}

#[test]
fn expired_key_is_reclaimed_once_its_end_cannot_be_rolled_back() {
    let directory = tempfile::tempdir().unwrap();
    let project = project(&directory, SyncMode::Always, ValueCache::Memory);
    drop(project.write(NOW, |t| Ok::<_, ()>(t.put(key("a"), b"1", Some(1_000)))));
    project.flush(clock::monotonic());
    let stored = || project.lock().unwrap().key_map.stored_range("", None).count();
    assert_eq!(project.expire(NOW + 2_000), None);
    assert_eq!(stored(), 1, "its end is not on disk yet");
    let files = project.files.as_ref().unwrap();
    let failure = std::io::ErrorKind::StorageFull.into();
    project.rollback(&files.paths, &mut files.journal.lock().unwrap(), &failure);
    assert!(project.lock().unwrap().key_map.get(key("a"), NOW).is_some());
    drop(project.write(NOW + 2_000, |t| Ok::<_, ()>(t.put(key("b"), b"1", None))));
    project.flush(clock::monotonic());
    assert_eq!((project.expire(NOW + 2_000), stored()), (None, 2));
    project.flush(clock::monotonic());
    project.expire(NOW + 2_000);
    assert_eq!(stored(), 1, "reclaimed once its end is on disk");
}

#[test]
fn a_clock_that_was_ahead_spoils_no_time_to_live_in_memory_nor_after_restarts() {
    const AHEAD: u64 = NOW + 10 * 365 * 86_400_000;
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        let directory = tempfile::tempdir().unwrap();
        let mut open = project(&directory, SyncMode::Always, cache);
        let put = |project: &Arc<Project>, name, now_ms| {
            let put = |t: &mut Transaction<'_>| Ok::<_, ()>(t.put(key(name), b"1", Some(1_000)));
            project.write(now_ms, put).unwrap().answer.unwrap()
        };
        let names = |project: &Arc<Project>, now_ms| -> Vec<String> {
            let names = |view: &ReadTransaction<'_>| {
                view.range("", None).map(|entry| entry.key().to_owned()).collect()
            };
            project.read(now_ms, |view| (names(view), view.revision())).unwrap().answer
        };
        put(&open, "old", NOW);
        assert!(names(&open, AHEAD).is_empty());
        let meta = put(&open, "new", NOW + 10);
        assert_eq!((meta.created_ms, meta.expires_ms), (NOW + 10, Some(NOW + 1_010)));
        for step in ["the journal", "a checkpoint"] {
            assert_eq!(names(&open, NOW + 20), ["new"], "before {step}");
            open.flush(clock::monotonic());
            if step == "a checkpoint" {
                open.checkpoint(NOW + 20, clock::monotonic()).unwrap();
            }
            open = project(&directory, SyncMode::Always, cache);
            assert_eq!(names(&open, NOW + 1_009), ["new"], "after {step}");
        }
        assert!(names(&open, NOW + 1_010).is_empty());
        assert!(names(&open, NOW + 20).is_empty(), "nor does it come back");
        open.flush(clock::monotonic());
        assert!(
            names(&project(&directory, SyncMode::Always, cache), NOW + 20).is_empty(),
            "not after a restart"
        );
    }
}

#[test]
fn change_written_during_an_expiry_stays_although_the_clock_was_set_back() {
    const AHEAD: u64 = NOW + 7_200_000;
    let project = Arc::new(Project::in_memory(
        ProjectId::parse("p").unwrap(),
        ProjectQueues::new(Box::new(|| ())),
        NOW,
    ));
    let put = |name: &str, now_ms, ttl_ms| {
        let put = |t: &mut Transaction<'_>| Ok::<_, ()>(t.put(key(name), b"1", Some(ttl_ms)));
        project.write(now_ms, put).unwrap().answer.unwrap();
    };
    (0..40_000).for_each(|number| put(&format!("old{number}"), NOW, 5_000));
    let expiry = std::thread::spawn({
        let project = Arc::clone(&project);
        move || project.expire(AHEAD)
    });
    let mut names = Vec::new();
    while project.lock().unwrap().key_map.expired_until_ms() != AHEAD {
        std::thread::yield_now();
    }
    while !expiry.is_finished() {
        let name = format!("new{}", names.len());
        put(&name, NOW + 10, 600_000);
        names.push(name);
    }
    let state = project.lock().unwrap();
    let gone = names.iter().filter(|name| state.key_map.get(key(name), NOW + 20).is_none()).count();
    assert_eq!(gone, 0, "of {}", names.len());
}
