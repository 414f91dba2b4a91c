//! A sync that fails: the system takes what it could not write for written. What was refused stays refused, what
//! was acknowledged is on the disk after the next start, and a sync that found no disk space is no lasting
//! damage.

use crate::harness::sim_disk::{ENOSPC, Failure, Lasting, SimDisk};
use crate::harness::workload::{Keys, Run, START_MS, State, open, paths, read_all, work};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::persist::live::project::Health;
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::store::commit::CommitState;
use std::path::Path;
use std::sync::Arc;

const EIO: i32 = 5;
const CACHES: [ValueCache; 2] = [ValueCache::Memory, ValueCache::Disk];

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Kill,
    Stop,
    /// Killed before the refused write was cut off.
    KillUncut,
}

fn found(disk: &SimDisk, run: &Run) -> Keys {
    let opened = open(Arc::new(disk.after_kill()), run.cache, run.sync, run.now());
    read_all(&opened.unwrap_or_else(|error| panic!("does not start: {error}")).0, run.now())
}

fn acknowledged(run: &Run) -> State {
    let mut history = run.history.lock().unwrap();
    history.collect();
    history.possible()[0].clone()
}

/// The process that begins on `disk` after `run`, and 30 writes of it.
fn next_life(run: &Run, disk: &SimDisk, context: &str) -> Arc<Run> {
    let opened = open(Arc::new(disk.clone()), run.cache, run.sync, run.now());
    let (project, _) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = read_all(&project, run.now());
    let possible = run.history.lock().unwrap().possible().to_vec();
    let state = possible.into_iter().find(|state| state.live(run.now()) == found);
    let state = state.unwrap_or_else(|| panic!("{context}: what was never so"));
    let next = Run::continued(project, disk, (run.cache, run.sync), run.now(), state);
    for number in 0..30 {
        assert!(next.put(&format!("later/{number}"), &format!("\"{}\"", "y".repeat(100)), None), "{context}");
        assert_eq!(next.flush(), CommitState::Committed, "{context}");
    }
    next
}

/// Fails if a start would find what was refused.
fn check_refused(run: &Run, context: &str) {
    let expected = acknowledged(run).live(run.now());
    assert_eq!(found(&run.disk, run), expected, "{context}: refused stays refused");
    assert_eq!(found(&run.disk.after_crash(0), run), expected, "{context}: after a power cut");
    let forgotten = run.disk.after_kill();
    forgotten.evict();
    assert_eq!(found(&forgotten, run), expected, "{context}: forgotten before the start");
}

/// The next start finds what was acknowledged, whatever the system has forgotten by then.
fn check_durable(run: &Run, context: &str) {
    let expected = acknowledged(run).live(run.now());
    assert_eq!(found(&run.disk, run), expected, "{context}: through the cache");
    assert_eq!(found(&run.disk.after_crash(0), run), expected, "{context}: after a power cut");
    run.disk.evict();
    assert_eq!(found(&run.disk, run), expected, "{context}: once the system has forgotten the files");
}

/// The workload, with an error at the operation `at`. What fails to be written is lost in part, as `loss` has
/// it, or wholly.
fn worked(cache: ValueCache, at: u64, failure: Failure, loss: Option<u64>, end: End) -> Option<Arc<Run>> {
    let disk = SimDisk::default();
    disk.lose_some(loss);
    disk.fail_at(at, failure, Lasting::Once);
    if end == End::KillUncut {
        disk.refuse("cut /data", EIO);
    }
    let run = Run::begin(&disk, cache, SyncMode::Always).ok()?;
    work(&run);
    if end == End::Stop {
        run.close();
    }
    disk.heal();
    Some(run)
}

/// The syncs of file content in the workload.
fn syncs(cache: ValueCache) -> Vec<u64> {
    let whole = worked(cache, u64::MAX, Failure::Eio, None, End::Stop).unwrap();
    let is_sync = |at: &u64| whole.disk.operation(*at).starts_with("sync /data");
    (0..whole.disk.operations()).filter(is_sync).collect()
}

#[test]
fn every_failed_sync_leaves_what_was_acknowledged_and_nothing_else() {
    for cache in CACHES {
        let syncs = syncs(cache);
        assert!(syncs.len() > 25, "{syncs:?}");
        for (at, loss) in syncs.iter().flat_map(|&at| [(at, None), (at, Some(at))]) {
            for end in [End::Kill, End::Stop, End::KillUncut] {
                let Some(run) = worked(cache, at, Failure::Eio, loss, end) else { continue };
                let context = format!("{cache:?} {at} ({}) {loss:?} {end:?}", run.disk.operation(at));
                if end != End::KillUncut {
                    check_refused(&run, &context);
                }
                let next = next_life(&run, &run.disk.after_kill(), &context);
                check_durable(&next, &context);
            }
        }
    }
}

#[test]
fn a_sync_that_fails_in_each_of_several_lives_loses_nothing() {
    for (cache, end) in CACHES.into_iter().flat_map(|cache| [(cache, End::Kill), (cache, End::Stop)]) {
        let mut run = Run::begin(&SimDisk::default(), cache, SyncMode::Always).unwrap();
        run.put("a", "1", None);
        run.flush();
        for life in 0..3 {
            let context = format!("{cache:?} {end:?} life {life}");
            run.disk.fail_sync(0);
            run.put("a", &format!("\"{}\"", "refused".repeat(2_000)), None);
            run.put("refused", "1", None);
            assert_eq!(run.flush(), CommitState::Failed);
            run.check_memory();
            if end == End::Stop {
                run.close();
            }
            check_refused(&run, &context);
            run = next_life(&run, &run.disk.after_kill(), &context);
        }
        check_durable(&run, "in the end");
    }
}

#[test]
fn changes_acknowledged_in_interval_mode_before_a_failed_sync_are_written_by_the_next_start() {
    for cache in CACHES {
        let run = Run::begin(&SimDisk::default(), cache, SyncMode::Interval).unwrap();
        run.put("a", &format!("\"{}\"", "x".repeat(5_000)), None);
        run.flush();
        run.disk.fail_sync(0);
        run.project.sync_written();
        assert!(matches!(run.project.health(), Health::Failed { .. }));
        let operations = run.disk.operations();
        run.project.sync_written();
        assert_eq!(run.disk.operations(), operations, "not tried again");
        let expected = run.history.lock().unwrap().last().live(START_MS);
        let disk = run.disk.after_kill();
        assert_eq!(found(&disk, &run), expected);
        open(Arc::new(disk.clone()), cache, SyncMode::Interval, START_MS).unwrap();
        disk.evict();
        assert_eq!(found(&disk, &run), expected);
        run.disk.evict();
        found(&run.disk, &run); // it starts
    }
}

#[test]
fn a_sync_without_disk_space_refuses_the_write_and_the_next_one_is_accepted() {
    for cache in CACHES {
        for (at, loss) in syncs(cache).into_iter().flat_map(|at| [(at, None), (at, Some(at))]) {
            let Some(run) = worked(cache, at, Failure::Enospc, loss, End::Kill) else { continue };
            let context = format!("{cache:?} {at} ({}) {loss:?}", run.disk.operation(at));
            assert!(!matches!(run.project.health(), Health::Failed { .. }), "{context}");
            run.check_memory();
            run.put("again", "1", None);
            assert_eq!(run.flush(), CommitState::Committed, "{context}");
            assert_eq!(run.project.health(), Health::Healthy, "{context}");
            check_durable(&run, &context);
        }
    }
}

#[test]
fn writes_are_507_until_the_unsynced_bytes_are_truncated_and_rewritten() {
    for (cache, refused) in
        CACHES.into_iter().flat_map(|cache| [(cache, "cut /data"), (cache, "sync /data/p.journal")])
    {
        let run = Run::begin(&SimDisk::default(), cache, SyncMode::Always).unwrap();
        run.put("a", &format!("\"{}\"", "x".repeat(5_000)), None);
        assert_eq!(run.flush(), CommitState::Committed);
        run.disk.fail_at(run.disk.operations() + 1, Failure::Enospc, Lasting::Once);
        run.disk.refuse(refused, ENOSPC);
        for _ in 0..3 {
            run.put("b", "\"refused\"", None);
            assert_eq!(run.flush(), CommitState::DiskFull, "{refused}");
            run.check_memory();
        }
        let killed = run.disk.after_kill();
        killed.evict();
        assert_eq!(found(&killed, &run), acknowledged(&run).live(START_MS), "{refused}");
        run.disk.heal();
        run.put("c", "3", None);
        assert_eq!(run.flush(), CommitState::Committed);
        run.check_memory();
        check_durable(&run, refused);
    }
}

#[test]
fn interval_mode_rolls_nothing_back_after_a_sync_without_disk_space() {
    let run = Run::begin(&SimDisk::default(), ValueCache::Memory, SyncMode::Interval).unwrap();
    run.put("a", &format!("\"{}\"", "x".repeat(5_000)), None);
    run.flush();
    let expected = read_all(&run.project, START_MS);
    run.disk.refuse("sync /data/p.journal", ENOSPC);
    run.project.sync_written();
    assert_eq!(run.project.health(), Health::DiskFull);
    run.put("refused", "1", None);
    assert_eq!(run.flush(), CommitState::DiskFull);
    assert_eq!(read_all(&run.project, START_MS), expected);
    run.disk.heal();
    run.project.sync_written();
    run.disk.evict();
    assert_eq!(found(&run.disk.after_crash(0), &run), expected);
}

/// A refused batch and an acknowledged one are in one page, and a failed sync takes all of it from the disk.
#[test]
fn a_page_that_refused_and_acknowledged_changes_share_is_written_again_whole() {
    // The write fails after a part of it, or the sync, which is the next operation.
    let failures = [(0, Failure::Short, Lasting::ForGood), (1, Failure::Enospc, Lasting::Once)];
    // What fails after that until there is disk space.
    let also = [None, Some("cut "), Some("sync ")];
    for (after, failure, lasting) in failures {
        for (cache, also) in CACHES.into_iter().flat_map(|cache| also.map(|also| (cache, also))) {
            let context = format!("{cache:?} {failure:?} {also:?}");
            let run = Run::begin(&SimDisk::default(), cache, SyncMode::Always).unwrap();
            run.put("a", "\"acknowledged\"", None);
            assert_eq!(run.flush(), CommitState::Committed);
            run.disk.lose_pages();
            run.disk.fail_at(run.disk.operations() + after, failure, lasting);
            if let Some(also) = also {
                run.disk.refuse(also, ENOSPC);
            }
            run.put("b", "\"refused\"", None);
            assert_eq!(run.flush(), CommitState::DiskFull, "{context}");
            run.disk.heal();
            if also.is_some() {
                run.put("c", "\"acknowledged\"", None);
                assert_eq!(run.flush(), CommitState::Committed, "{context}");
            }
            check_durable(&run, &context);
        }
    }
}

#[test]
fn a_page_that_interval_mode_failed_to_sync_is_written_again_whole() {
    for failures in 0..=2 {
        let run = Run::begin(&SimDisk::default(), ValueCache::Memory, SyncMode::Interval).unwrap();
        run.put("a", "1", None);
        run.flush();
        run.project.sync_written();
        run.disk.lose_pages();
        run.put("b", "2", None);
        run.flush();
        // The sync fails once, or for so long.
        run.disk.fail_at(run.disk.operations(), Failure::Enospc, Lasting::Once);
        if failures > 0 {
            run.disk.refuse("sync ", ENOSPC);
            (0..failures).for_each(|_| run.project.sync_written());
            assert_eq!(run.project.health(), Health::DiskFull);
            run.disk.heal();
        }
        run.project.sync_written();
        let expected = read_all(&run.project, START_MS);
        assert_eq!(expected.len(), 2);
        assert_eq!(found(&run.disk.after_crash(0), &run), expected, "after {failures} failures");
    }
}

/// A sync failed, so the changes are in the memory of the system alone, and the start could not write them again.
#[test]
fn changes_that_a_start_could_not_write_again_are_on_the_disk_with_the_next_one() {
    for cache in CACHES {
        let run = Run::begin(&SimDisk::default(), cache, SyncMode::Interval).unwrap();
        // More than one page.
        for name in ["a", "b", "c"] {
            run.put(name, &format!("\"{}\"", "x".repeat(100_000)), None);
        }
        run.flush();
        run.disk.fail_sync(0);
        run.project.sync_written();
        let disk = run.disk.after_kill();
        disk.refuse("write ", ENOSPC);
        let (project, _) = open(Arc::new(disk.clone()), cache, SyncMode::Always, START_MS).unwrap();
        disk.heal();
        let state = run.history.lock().unwrap().last().clone();
        let next = Run::continued(project, &disk, (cache, SyncMode::Always), START_MS, state);
        next.put("d", "1", None);
        assert_eq!(next.flush(), CommitState::Committed);
        check_durable(&next, "once there is space");
    }
}

/// The changes begin in a page that has the header and the times of the keys.
#[test]
fn a_page_that_a_start_on_a_full_disk_could_not_sync_is_written_again_whole() {
    for cache in CACHES {
        let (disk, run) = killed_with_changes(cache);
        disk.set_capacity(Some(disk.used()));
        disk.lose_pages();
        disk.refuse("sync /data/p.journal", ENOSPC);
        let (project, _) = open(Arc::new(disk.clone()), cache, SyncMode::Always, START_MS).unwrap();
        let next = Run::continued(project, &disk, (cache, SyncMode::Always), START_MS, acknowledged(&run));
        disk.heal();
        disk.set_capacity(None);
        next.put("c", "3", None);
        assert_eq!(next.flush(), CommitState::Committed);
        check_durable(&next, "a start on a full disk");
    }
}

/// Then there is nothing that could be written again.
#[test]
fn writes_that_the_system_dropped_before_there_was_disk_space_are_not_synced_as_a_change() {
    let run = Run::begin(&SimDisk::default(), ValueCache::Memory, SyncMode::Interval).unwrap();
    run.put("a", "1", None);
    run.flush();
    run.disk.refuse("sync /data/p.journal", ENOSPC);
    run.project.sync_written();
    run.disk.heal();
    run.disk.evict();
    run.project.sync_written();
    let Health::Failed { reason } = run.project.health() else { panic!("zeros were synced as a change") };
    assert!(reason.contains("the line at byte"), "{reason}");
}

/// A project that was killed with changes in its journal, and what it holds.
fn killed_with_changes(cache: ValueCache) -> (SimDisk, Arc<Run>) {
    let run = Run::begin(&SimDisk::default(), cache, SyncMode::Always).unwrap();
    run.put("a", "1", None);
    run.flush();
    run.project.checkpoint(START_MS, run.instant).unwrap();
    run.put("b", &format!("\"{}\"", "x".repeat(5_000)), None);
    run.flush();
    (run.disk.after_kill(), run)
}

#[test]
fn a_start_on_a_full_disk_writes_the_changes_again_in_place() {
    for cache in CACHES {
        let (disk, run) = killed_with_changes(cache);
        let before = disk.content(&paths().journal);
        disk.set_capacity(Some(disk.used()));
        let opened = open(Arc::new(disk.clone()), cache, SyncMode::Always, START_MS).unwrap();
        assert_eq!(read_all(&opened.0, START_MS), acknowledged(&run).live(START_MS));
        let without_reserve = before.iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
        assert_eq!(disk.content(&paths().journal), before[..without_reserve]);
        assert!(opened.1[0].contains("so it was written again in place"), "{:?}", opened.1);
        assert_eq!(disk.names(), [paths().journal, paths().json]);
    }
}

/// As on a file system that writes nothing in place.
#[test]
fn a_start_on_a_disk_without_any_space_serves_reads_and_later_writes() {
    for cache in CACHES {
        let (disk, run) = killed_with_changes(cache);
        disk.refuse("write ", ENOSPC);
        let (project, _) = open(Arc::new(disk.clone()), cache, SyncMode::Always, START_MS).unwrap();
        let next = Run::continued(project, &disk, (cache, SyncMode::Always), START_MS, acknowledged(&run));
        next.check_memory();
        next.put("c", "3", None);
        assert_eq!(next.flush(), CommitState::DiskFull);
        next.check_memory();
        disk.heal();
        next.put("c", "4", None);
        assert_eq!(next.flush(), CommitState::Committed);
        check_durable(&next, "once there is space");
    }
}

#[test]
fn a_start_refuses_a_journal_that_it_can_write_neither_to_a_new_file_nor_in_place() {
    let (disk, _) = killed_with_changes(ValueCache::Memory);
    disk.refuse("write ", 5);
    let refused = open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS).map(|_| ());
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("p.journal: it could not be written again at the start"), "{text}");
}

#[test]
fn a_journal_under_another_name_is_left_unchanged_for_that_name() {
    let copy = Path::new("/copy/p.journal");
    for changes in [true, false] {
        let (mut disk, run) = killed_with_changes(ValueCache::Memory);
        if !changes {
            run.close();
            disk = run.disk.after_kill();
        }
        disk.link(&paths().journal, copy);
        let before = disk.content(copy);
        let full = disk.after_kill();
        full.set_capacity(Some(full.used()));
        let refused =
            open(Arc::new(full.clone()), ValueCache::Memory, SyncMode::Always, START_MS).map(|_| ());
        assert!(refused.unwrap_err().to_string().contains("p.journal: it could not be written again"));
        let (project, _) =
            open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
        let next = Run::continued(
            project,
            &disk,
            (ValueCache::Memory, SyncMode::Always),
            START_MS,
            acknowledged(&run),
        );
        next.put("mine", "1", None);
        assert_eq!(next.flush(), CommitState::Committed);
        assert_eq!((disk.content(copy), full.content(copy)), (before.clone(), before));
    }
}

#[test]
fn a_journal_after_a_clean_shutdown_is_not_written_at_a_start() {
    let (_, run) = killed_with_changes(ValueCache::Memory);
    run.close();
    let disk = run.disk.after_kill();
    let operations = disk.operations();
    open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
    let done: Vec<String> = (operations..disk.operations()).map(|at| disk.operation(at)).collect();
    assert_eq!(done, ["sync directory"]);
}
