//! Deletions by prefix of more keys than one hold of a lock is for: what they count, that they are atomic,
//! and that a failed sync reverts them as a whole.

use crate::harness::Writes as _;
use crate::harness::sim_disk::SimDisk;
use crate::harness::workload::{Run, State, key, open, paths, read_all, recover_and_check};
use pikv::testing::clock;
use pikv::testing::config::schema::SyncMode;
use pikv::testing::limits::{BATCH_OPERATIONS_MAX, ENDED_LOOKED_AT_MAX};
use pikv::testing::names::ProjectId;
use pikv::testing::persist::live::project::{Health, Project};
use pikv::testing::persist::live::worker_threads::ProjectQueues;
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::store::commit::CommitState;
use std::sync::Arc;

const MANY: u32 = 1_500;

/// Puts keys that have expired by now, more than a deletion looks at one by one, and `permanent` others.
fn put_expired(project: &Arc<Project>, permanent: u64) {
    let before_ms = clock::wall_ms() - 10_000;
    let names: Vec<String> = (0..ENDED_LOOKED_AT_MAX + 1_000).map(|number| format!("k/{number}")).collect();
    for names in names.chunks(BATCH_OPERATIONS_MAX) {
        let put = project.write(before_ms, |transaction| {
            for name in names {
                transaction.put(key(name), b"1", Some(1_000));
            }
            Ok::<_, ()>(())
        });
        put.unwrap().answer.unwrap();
    }
    for number in 0..permanent {
        let name = format!("k/permanent{number}");
        project.write(before_ms, |t| Ok::<_, ()>(t.put(key(&name), b"1", None))).unwrap().answer.unwrap();
    }
}

/// What a deletion on an event loop answers: `None` if it has to wait.
fn clear_at_once(project: &Arc<Project>, prefix: &str) -> Option<u64> {
    project
        .write(clock::wall_ms(), |transaction| Ok::<_, ()>(transaction.clear(prefix)))
        .unwrap()
        .answer
        .unwrap()
}

#[test]
fn keys_that_have_just_expired_are_not_counted_as_deleted() {
    let id = ProjectId::parse("p").unwrap();
    let in_memory = Arc::new(Project::in_memory(id, ProjectQueues::new(Box::new(|| ())), clock::wall_ms()));
    let on_disk =
        |cache| open(Arc::new(SimDisk::default()), cache, SyncMode::Always, clock::wall_ms()).unwrap().0;
    for project in [in_memory, on_disk(ValueCache::Memory), on_disk(ValueCache::Disk)] {
        put_expired(&project, 7);
        project.flush(clock::monotonic());
        assert_eq!(clear_at_once(&project, "k/"), None, "that would look at each of them");
        assert_eq!(clear_at_once(&project, "other/"), Some(0), "these have no time to live");
        let cleared = project.clear("k/").unwrap();
        assert_eq!(cleared.answer, 7);
        assert!(project.flush_and_confirm(cleared.commit.as_ref()));
        assert!(read_all(&project, clock::wall_ms()).is_empty());
        assert_eq!(clear_at_once(&project, ""), Some(0));
    }
}

#[test]
fn a_deletion_that_waits_for_a_full_disk_fails_and_succeeds_once_there_is_space() {
    let disk = SimDisk::default();
    let (project, _) =
        open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, clock::wall_ms()).unwrap();
    put_expired(&project, 7);
    project.flush(clock::monotonic());
    project.checkpoint(clock::wall_ms() - 10_000, clock::monotonic()).unwrap(); // without a reserve
    disk.set_capacity(Some(disk.used()));
    for _ in 0..3 {
        let refused = project.clear("k/").unwrap();
        assert_eq!(refused.commit.unwrap().outcome(), CommitState::DiskFull);
        assert_eq!(project.health(), Health::DiskFull);
        assert_eq!(read_all(&project, clock::wall_ms()).len(), 7);
    }
    disk.set_capacity(None);
    let cleared = project.clear("k/").unwrap();
    assert_eq!(cleared.answer, 7);
    assert!(project.flush_and_confirm(cleared.commit.as_ref()));
    assert_eq!(project.health(), Health::Healthy);
}

#[test]
fn a_failed_sync_reverts_large_deletions_as_a_whole() {
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        for prefix in ["", "many/", "many/1"] {
            let disk = SimDisk::default();
            let run = Run::begin(&disk, cache, SyncMode::Always).unwrap();
            run.put("before", "1", Some(50_000));
            run.put_many(MANY, 60_000);
            assert_eq!(run.flush(), CommitState::Committed);
            disk.fail_sync(0);
            run.put("many/1/new", "1", Some(1_000));
            run.clear(prefix);
            run.put("many/1/newer", "1", Some(2_000));
            run.step_clock(1_500);
            run.look();
            run.clear("many/");
            run.put("many/7", "\"in between\"", None);
            run.clear("");
            run.put("many/8", "\"the last\"", Some(3_000));
            run.project.free_garbage();
            run.step_clock(2_000);
            run.look();
            assert_eq!(run.flush(), CommitState::Failed);
            run.check_memory();
            let context = format!("{cache:?} {prefix}");
            recover_and_check(&run, &disk.after_crash(0), run.now(), &context);
            recover_and_check(&run, &disk.after_kill(), run.now(), &context);
        }
    }
}

#[test]
fn large_deletions_during_a_checkpoint_and_before_a_restart_leave_the_right_keys() {
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        let disk = SimDisk::default();
        let run = Run::begin(&disk, cache, SyncMode::Always).unwrap();
        run.put_many(MANY, 60_000);
        run.flush();
        let (acting, mut count) = (Arc::clone(&run), 0);
        disk.set_between(Some(Box::new(move || {
            count += 1;
            match count % 5 {
                0 => acting.put_many(MANY, 40_000),
                1 => acting.clear("many/1"),
                2 => acting.put("many/1", "\"again\"", Some(30_000)),
                3 => acting.clear("many/"),
                _ => acting.put("many/2/x", "1", None),
            };
            acting.project.free_garbage();
        })));
        run.project.checkpoint(run.now(), run.instant).unwrap();
        disk.set_between(None);
        assert_eq!(run.flush(), CommitState::Committed);
        run.check_memory();
        recover_and_check(&run, &disk.after_crash(0), run.now(), &format!("{cache:?}"));
        let state: State = run.history.lock().unwrap().last().clone();
        let (again, _) = open(Arc::new(disk.after_kill()), cache, SyncMode::Always, run.now()).unwrap();
        assert_eq!(read_all(&again, run.now()), state.live(run.now()));
        assert!(disk.content(&paths().json).len() > 2);
    }
}
