//! Disk errors at every operation: nothing acknowledged is lost, what failed is taken back, and a full
//! disk is no lasting damage.

use crate::harness::Writes as _;
use crate::harness::sim_disk::{ENOSPC, Failure, Lasting, SimDisk};
use crate::harness::workload::{self, Run, START_MS, key, paths, read_all, recover_and_check, work};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::persist::live::checkpoint_error::CheckpointError;
use pikv::testing::persist::live::project::{Health, Project};
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::store::commit::CommitState;
use pikv::testing::store::error::StorageError;
use std::sync::Arc;
use std::time::Instant;

/// A workload whose operation `at` fails. `None` where the project could not be opened.
fn failing(cache: ValueCache, at: u64, failure: Failure, lasting: Lasting) -> (SimDisk, Option<Arc<Run>>) {
    let disk = SimDisk::default();
    disk.fail_at(at, failure, lasting);
    let run = Run::begin(&disk, cache, SyncMode::Always).ok();
    if let Some(run) = &run {
        work(run);
    }
    (disk, run)
}

fn fail_everywhere(cache: ValueCache, failure: Failure) {
    let (disk, _) = failing(cache, u64::MAX, failure, Lasting::Once);
    for at in 0..disk.operations() {
        for lasting in [Lasting::Once, Lasting::ForGood] {
            let (disk, run) = failing(cache, at, failure, lasting);
            let context = format!("{cache:?} {failure:?} {lasting:?} at {at} ({})", disk.operation(at));
            let Some(run) = run else {
                disk.heal();
                let opened = workload::open(Arc::new(disk.clone()), cache, SyncMode::Always, START_MS);
                assert!(opened.is_ok(), "{context}: opens once the disk is well");
                continue;
            };
            check_that_it_continues(&run, failure, &disk.operation(at), &context);
            for seed in 0..3 {
                recover_and_check(&run, &disk.after_crash(seed), START_MS, &format!("{context} seed {seed}"));
            }
            recover_and_check(&run, &disk.after_kill(), START_MS + 30_000, &format!("{context} killed"));
        }
    }
}

/// What the running project does after the failure: `what` is the operation that failed first.
fn check_that_it_continues(run: &Arc<Run>, failure: Failure, what: &str, context: &str) {
    run.check_memory();
    run.disk.heal();
    let journal = format!("{}", paths().journal.display());
    let in_journal = what.ends_with(&journal) && (what.starts_with("write") || what.starts_with("sync"));
    if failure == Failure::Eio && in_journal {
        assert!(matches!(run.project.health(), Health::Failed { .. }), "{context}");
    }
    if let Health::Failed { .. } = run.project.health() {
        assert!(!run.put("refused", "1", None), "{context}");
        let refused = run.project.write(START_MS, |t| Ok::<_, ()>(t.put(key("refused"), b"1", None)));
        assert!(matches!(refused, Err(StorageError::Failed)), "{context}");
    } else {
        assert!(run.put("again", "1", None), "{context}");
        assert_eq!(run.flush(), CommitState::Committed, "{context}: writes go on by themselves");
        assert_eq!(run.project.health(), Health::Healthy, "{context}");
        run.look();
        run.project.checkpoint(run.now(), run.instant).unwrap_or_else(|error| panic!("{context}: {error}"));
    }
    run.check_memory();
}

#[test]
fn no_acknowledged_change_is_lost_to_a_failing_medium() {
    fail_everywhere(ValueCache::Memory, Failure::Eio);
    fail_everywhere(ValueCache::Disk, Failure::Eio);
}

#[test]
fn no_acknowledged_change_is_lost_to_a_full_disk() {
    fail_everywhere(ValueCache::Memory, Failure::Enospc);
    fail_everywhere(ValueCache::Disk, Failure::Enospc);
}

#[test]
fn no_acknowledged_change_is_lost_to_short_writes() {
    fail_everywhere(ValueCache::Memory, Failure::Short);
    fail_everywhere(ValueCache::Disk, Failure::Short);
}

#[test]
fn a_sync_that_failed_is_not_tried_again() {
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        let disk = SimDisk::default();
        let run = Run::begin(&disk, cache, SyncMode::Always).unwrap();
        run.put("a", "1", None);
        assert_eq!(run.flush(), CommitState::Committed);
        disk.fail_sync(0);
        run.put("a", "2", None);
        run.put("b", "2", None);
        assert_eq!(run.flush(), CommitState::Failed);
        run.check_memory();
        let operations = disk.operations();
        assert!(!run.put("a", "3", None));
        run.flush();
        run.close();
        assert_eq!(disk.operations(), operations, "nothing is written or synced after that");
        let context = "after a failed sync";
        recover_and_check(&run, &disk.after_crash(0), START_MS, context);
        recover_and_check(&run, &disk.after_kill(), START_MS, context);
    }
}

/// What was cut off after the disk was full must not come back: it was answered as not done.
#[test]
fn a_write_refused_for_lack_of_space_never_appears() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    run.put("a", "1", None);
    run.flush();
    disk.set_capacity(Some(disk.used() + 250));
    for name in ["b", "c", "d", "e"] {
        run.put(name, "\"too much together\"", None);
    }
    assert_eq!(run.flush(), CommitState::DiskFull);
    run.check_memory();
    for seed in 0..8 {
        recover_and_check(&run, &disk.after_crash(seed), START_MS, &format!("seed {seed}"));
    }
    run.put("f", "1", None);
    assert_eq!(run.flush(), CommitState::Committed, "a smaller write fits");
    run.check_memory();
    recover_and_check(&run, &disk.after_kill(), START_MS, "killed");
}

#[test]
fn reads_continue_while_the_disk_is_full_and_writes_resume_with_free_space() {
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        let disk = SimDisk::default();
        let run = Run::begin(&disk, cache, SyncMode::Always).unwrap();
        run.put("a", "1", None);
        run.project.checkpoint(START_MS, run.instant).unwrap(); // few changes: no reserve to write into
        run.put("ttl", "1", Some(1_000));
        run.flush();
        disk.set_capacity(Some(disk.used()));
        for _ in 0..3 {
            run.put("b", "2", None);
            assert_eq!(run.flush(), CommitState::DiskFull);
            assert_eq!(run.project.health(), Health::DiskFull);
            run.check_memory();
            assert!(run.project.checkpoint(run.now(), run.instant).is_err());
            run.check_memory();
        }
        run.step_clock(2_000);
        assert!(!read_all(&run.project, run.now()).contains_key("ttl"), "expires all the same");
        disk.set_capacity(None);
        run.put("b", "3", None);
        assert_eq!(run.flush(), CommitState::Committed);
        assert_eq!(run.project.health(), Health::Healthy);
        run.check_memory();
        run.close();
        recover_and_check(&run, &disk.after_crash(0), run.now(), "in the end");
    }
}

/// The change comes once the copying has begun, and the disk is full when it is written. The copy has it from memory.
#[test]
fn checkpoint_that_copies_a_change_which_is_rolled_back_does_not_report_damage() {
    let disk = SimDisk::default();
    let (project, _) =
        workload::open(Arc::new(disk.clone()), ValueCache::Disk, SyncMode::Always, START_MS).unwrap();
    let put = |project: &Arc<Project>, name: &str| {
        project.write(START_MS, |t| Ok::<_, ()>(t.put(key(name), b"1", None))).unwrap().commit.unwrap()
    };
    let kept = put(&project, "kept");
    project.flush(Instant::now());
    assert_eq!(kept.outcome(), CommitState::Committed);
    let (writer, handle, mut refused) = (Arc::clone(&project), disk.clone(), None);
    disk.set_between(Some(Box::new(move || {
        let last = handle.operation(handle.operations().saturating_sub(1));
        if refused.is_none() && last == format!("create {}.tmp", paths().journal.display()) {
            refused = Some(put(&writer, "refused"));
            handle.refuse(&format!("sync {}", paths().journal.display()), ENOSPC);
        }
    })));
    let written = project.checkpoint(START_MS, Instant::now());
    assert!(matches!(written, Err(CheckpointError::RolledBack)), "{written:?}");
    disk.set_between(None);
    disk.heal();
    project.checkpoint(START_MS, Instant::now()).unwrap();
    assert_eq!(read_all(&project, START_MS).into_keys().collect::<Vec<_>>(), ["kept"]);
}
