//! Power cuts at every disk operation: what was acknowledged is found, and nothing that was not sent.

use crate::harness::sim_disk::SimDisk;
use crate::harness::workload::{self, Run, START_MS, State, paths, recover_and_check, work};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::persist::start::recovery::ValueCache;
use std::sync::Arc;

const SEEDS: u64 = 6;
/// At a sync of the directory it depends on which names are found, so more ways are tried.
const SEEDS_OF_NAMES: u64 = 24;

/// Crashes a workload at its operation `at`. `None` where the project could not even be opened.
fn crashed(cache: ValueCache, sync: SyncMode, at: u64) -> (SimDisk, Option<Arc<Run>>) {
    let disk = SimDisk::default();
    disk.crash_at(at);
    let run = Run::begin(&disk, cache, sync).ok();
    if let Some(run) = &run {
        work(run);
        run.close();
    }
    (disk, run)
}

fn counted(cache: ValueCache, sync: SyncMode) -> SimDisk {
    let (disk, run) = crashed(cache, sync, u64::MAX);
    let run = run.unwrap();
    run.check_memory();
    let history = run.history.lock().unwrap();
    if sync == SyncMode::Always {
        assert_eq!(history.acknowledged, history.states.len() - 1, "all is acknowledged in the end");
    }
    disk
}

fn crash_everywhere(cache: ValueCache, sync: SyncMode) {
    let whole = counted(cache, sync);
    assert!(whole.operations() > 60, "{} operations are no workload", whole.operations());
    let fresh = Run::begin(&SimDisk::default(), cache, sync).unwrap();
    for at in 0..whole.operations() {
        let (disk, run) = crashed(cache, sync, at);
        let run = run.unwrap_or_else(|| Arc::clone(&fresh));
        let of_names = whole.operation(at).starts_with("sync directory");
        for seed in 0..if of_names { SEEDS_OF_NAMES } else { SEEDS } {
            // The clock may be wrong after a power cut, both ways.
            let now_ms = [START_MS + 20_000, START_MS - 5_000][(seed % 2) as usize];
            let context =
                format!("{cache:?} {sync:?} crash before {at} ({}) seed {seed}", whole.operation(at));
            let found = disk.after_crash(seed);
            crash_while_recovering(&run, &found, seed, now_ms, &context);
            recover_and_check(&run, &found, now_ms, &context);
        }
        let context = format!("{cache:?} {sync:?} killed before {at}");
        let killed = disk.after_kill();
        // What a killed process did not sync is still there to be lost.
        let seeds = if of_names { SEEDS_OF_NAMES } else { 1 };
        (2..2 + seeds).for_each(|seed| crash_while_recovering(&run, &killed, seed, START_MS, &context));
        recover_and_check(&run, &killed, START_MS, &context);
    }
}

/// Recovery itself is interrupted at each of its operations.
fn crash_while_recovering(run: &Run, found: &SimDisk, seed: u64, now_ms: u64, context: &str) {
    let counted = found.after_kill();
    let before = counted.operations();
    workload::open(Arc::new(counted.clone()), run.cache, run.sync, now_ms).unwrap();
    for at in before..counted.operations() {
        let disk = found.after_kill();
        disk.crash_at(at);
        assert!(workload::open(Arc::new(disk.clone()), run.cache, run.sync, now_ms).is_err(), "{context}");
        let context = format!("{context}, then before {at} of recovery ({})", counted.operation(at));
        recover_and_check(run, &disk.after_crash(seed + 3 * (at - before)), now_ms, &context);
    }
}

#[test]
fn acknowledged_writes_survive_a_power_cut_at_every_operation() {
    crash_everywhere(ValueCache::Memory, SyncMode::Always);
}

#[test]
fn acknowledged_writes_with_values_in_files_survive_a_power_cut() {
    crash_everywhere(ValueCache::Disk, SyncMode::Always);
}

#[test]
fn a_project_that_syncs_later_starts_after_every_power_cut() {
    crash_everywhere(ValueCache::Memory, SyncMode::Interval);
    crash_everywhere(ValueCache::Disk, SyncMode::Interval);
}

#[test]
fn interval_mode_keeps_what_it_has_synced() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Interval).unwrap();
    run.put("a", "1", None);
    run.flush();
    run.project.sync_written();
    run.put("b", "2", None);
    run.flush();
    let (project, _) =
        workload::open(Arc::new(disk.after_crash(0)), ValueCache::Memory, SyncMode::Interval, START_MS)
            .unwrap();
    assert_eq!(workload::read_all(&project, START_MS).keys().collect::<Vec<_>>(), ["a"]);
}

/// The edit keeps the layout of the file, so that the new `.json` is the edited one byte for byte.
#[test]
fn import_of_an_edited_file_survives_a_power_cut_at_every_operation() {
    let disk = SimDisk::default();
    let run = Run::begin(&disk, ValueCache::Memory, SyncMode::Always).unwrap();
    for number in 0..40 {
        run.put(&format!("key/{number}"), "\"before\"", Some(50_000));
    }
    run.close();
    let before = run.history.lock().unwrap().last().clone();
    let text = String::from_utf8(disk.content(&paths().json)).unwrap();
    for edited in [text.replace("before", "after"), text.replace("before", "after").replace(": ", ":")] {
        let disk = disk.after_crash(0);
        disk.place(&paths().json, edited.as_bytes());
        let counted = disk.after_kill();
        let start = counted.operations();
        workload::open(Arc::new(counted.clone()), ValueCache::Memory, SyncMode::Always, START_MS).unwrap();
        for at in start..counted.operations() {
            for seed in 0..SEEDS {
                let context = format!("import, crash before {at} ({}), seed {seed}", counted.operation(at));
                let disk = disk.after_kill();
                disk.crash_at(at);
                let opened =
                    workload::open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS);
                assert!(opened.is_err(), "{context}");
                check_import(&disk.after_crash(seed), &before, &context);
            }
        }
    }
}

fn check_import(disk: &SimDisk, before: &State, context: &str) {
    let opened = workload::open(Arc::new(disk.clone()), ValueCache::Memory, SyncMode::Always, START_MS);
    let (project, _) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = workload::read_all(&project, START_MS);
    let last = before.keys.values().map(|(_, meta)| meta.revision).max().unwrap();
    assert_eq!(found.len(), before.keys.len(), "{context}");
    for (name, (value, meta)) in &found {
        let (_, old) = &before.keys[name];
        assert_eq!(value, "\"after\"", "{context}");
        assert_eq!((meta.created_ms, meta.expires_ms), (old.created_ms, old.expires_ms), "{context}");
        assert!(meta.revision > last, "{context}");
    }
    assert_eq!(disk.names().len(), 2, "{context}");
}
