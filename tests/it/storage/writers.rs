//! Several writers: projects do not wait for one another, none is forgotten, none has two writers.

use crate::harness::Writes as _;
use crate::harness::sim_disk::{Random, SimDisk};
use crate::harness::workload::key;
use crate::harness::{holds_within, wait_until};
use crate::storage::threads::Bell;
use pikv::testing::clock;
use pikv::testing::config::schema::SyncMode;
use pikv::testing::limits::{LONG_KEYS_MIN, WRITERS_MAX};
use pikv::testing::names::ProjectId;
use pikv::testing::persist::files::generation::Paths;
use pikv::testing::persist::live::project::{OpenOptions, Project};
use pikv::testing::persist::live::worker_threads::{ProjectQueues, WorkerThreads};
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::store::commit::{Commit, CommitState};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

struct Rig {
    disk: SimDisk,
    engine: Arc<ProjectQueues>,
    threads: WorkerThreads,
    bell: Arc<Bell>,
    projects: Vec<Arc<Project>>,
}

impl Rig {
    /// An engine that runs, with projects `p0` to `p{count - 1}`.
    fn with(count: usize, sync: SyncMode) -> Rig {
        Rig::with_interval(count, sync, Duration::from_secs(1))
    }

    fn with_interval(count: usize, sync: SyncMode, interval: Duration) -> Rig {
        let bell = Arc::new(Bell::default());
        let ringer = Arc::clone(&bell);
        let engine = ProjectQueues::new(Box::new(move || ringer.ring()));
        let threads = engine.start().unwrap();
        let disk = SimDisk::default();
        let projects = (0..count).map(|number| open(&disk, &engine, number, (sync, interval))).collect();
        Rig { disk, engine, threads, bell, projects }
    }

    fn wait_for(&self, commit: Option<Commit>) {
        self.bell.wait_for(commit.as_ref());
    }
}

fn open(
    disk: &SimDisk,
    engine: &Arc<ProjectQueues>,
    number: usize,
    (sync, sync_interval): (SyncMode, Duration),
) -> Arc<Project> {
    let id = ProjectId::parse(&format!("p{number}")).unwrap();
    let paths = Paths::new(Path::new("data"), &id);
    let opening = OpenOptions { id, cache: ValueCache::Memory, sync, sync_interval };
    let (disk, engine) = (Arc::new(disk.clone()), Arc::clone(engine));
    Project::open(disk, paths, opening, engine, clock::wall_ms()).unwrap().start()
}

fn put(project: &Arc<Project>, name: &str, value: &str) -> Option<Commit> {
    let put = |t: &mut pikv::testing::persist::live::transaction::Transaction<'_>| {
        Ok::<_, ()>(t.put(key(name), value.as_bytes(), None))
    };
    project.write(clock::wall_ms(), put).unwrap().commit
}

fn text(project: &Arc<Project>, name: &str) -> Option<Vec<u8>> {
    let read = |view: &pikv::testing::persist::live::project::ReadTransaction<'_>| {
        let text = view.get(key(name)).map(|entry| match entry.value() {
            pikv::testing::store::change::Value::Text(text) => text.to_vec(),
            pikv::testing::store::change::Value::Stored(_) => unreachable!("values are in memory"),
        });
        (text, view.revision())
    };
    project.read(clock::wall_ms(), read).unwrap().answer
}

#[test]
fn a_sync_that_hangs_delays_only_its_own_project() {
    let rig = Rig::with(3, SyncMode::Always);
    rig.disk.hold("sync data/p0.journal");
    let first = put(&rig.projects[0], "a", "1");
    wait_until("the sync hangs", || rig.disk.held() == 1);
    let more: Vec<_> =
        (0..2 * WRITERS_MAX).map(|number| put(&rig.projects[0], &format!("{number}"), "1")).collect();
    for number in 0..100 {
        rig.wait_for(put(&rig.projects[1 + number % 2], "a", "1"));
    }
    assert!(first.as_ref().unwrap().is_pending() && more.iter().flatten().all(Commit::is_pending));
    assert_eq!(rig.disk.held(), 1, "one writer has the project");
    rig.disk.let_go();
    rig.wait_for(first);
    more.into_iter().for_each(|commit| rig.wait_for(commit));
    rig.threads.stop();
}

/// More projects than there are writers, each held by a checkpoint in the moment in which it has the journal.
#[test]
fn writers_do_not_wait_for_journals_that_checkpoints_have_locked() {
    let rig = Rig::with(WRITERS_MAX + 5, SyncMode::Always);
    let (free, held) = rig.projects.split_last().unwrap();
    held.iter().for_each(|project| rig.wait_for(put(project, "a", "1")));
    rig.disk.hold("rename");
    thread::scope(|scope| {
        for project in held {
            scope.spawn(|| project.checkpoint(clock::wall_ms(), clock::monotonic()).unwrap());
        }
        wait_until("all checkpoints wait", || rig.disk.held() >= held.len());
        let waiting: Vec<_> = held.iter().map(|project| put(project, "b", "2")).collect();
        (0..10).for_each(|_| rig.wait_for(put(free, "a", "1")));
        assert!(waiting.iter().flatten().all(Commit::is_pending));
        rig.disk.let_go();
        waiting.into_iter().for_each(|commit| rig.wait_for(commit));
    });
    rig.threads.stop();
}

#[test]
fn no_project_starves_among_many_writers_checkpoints_and_waiting_threads() {
    const PROJECTS: usize = 40;
    const THREADS: u64 = 8;
    const WRITES: u64 = 1_500;
    let seed = crate::harness::environment::number("SIM_SEED").unwrap_or_else(clock::wall_ms);
    println!("SIM_SEED={seed}");
    let rig = Rig::with(PROJECTS, SyncMode::Always);
    let written: Vec<_> = (0..PROJECTS).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (rig, written) = (&rig, &written);
            scope.spawn(move || {
                let mut random = Random(seed ^ number);
                for _ in 0..WRITES {
                    let project = random.below(PROJECTS as u64) as usize;
                    let count = written[project].fetch_add(1, Ordering::Relaxed);
                    let commit = put(&rig.projects[project], &format!("{number}/{count}"), "1");
                    match random.below(20) {
                        0 => assert!(rig.projects[project].flush_and_confirm(commit.as_ref())),
                        1 => rig.projects[project].checkpoint(clock::wall_ms(), clock::monotonic()).unwrap(),
                        2..=12 => rig.wait_for(commit),
                        _ => {}
                    }
                }
            });
        }
    });
    // Nothing else changes from here on: what waits has to be written without another change.
    for project in &rig.projects {
        let last = project.write(clock::wall_ms(), |_| Ok::<_, ()>(())).unwrap();
        rig.wait_for(last.commit);
    }
    rig.threads.stop();
    let disk = rig.disk.after_crash(0);
    let engine = ProjectQueues::new(Box::new(|| {}));
    for (number, written) in written.iter().enumerate() {
        let project = open(&disk, &engine, number, (SyncMode::Always, Duration::ZERO));
        let read = |view: &pikv::testing::persist::live::project::ReadTransaction<'_>| {
            (view.totals().keys, view.revision())
        };
        let keys = project.read(clock::wall_ms(), read).unwrap().answer;
        assert_eq!(keys, written.load(Ordering::Relaxed), "p{number}");
    }
}

#[test]
fn a_clean_shutdown_writes_and_syncs_the_queued_changes_of_every_project() {
    let intervals = [1, 3_600].map(|seconds| (SyncMode::Interval, Duration::from_secs(seconds)));
    for (sync, interval) in [(SyncMode::Always, Duration::ZERO)].into_iter().chain(intervals) {
        let rig = Rig::with_interval(3 * WRITERS_MAX, sync, interval);
        let commits: Vec<_> = rig.projects.iter().map(|project| put(project, "a", "1")).collect();
        rig.threads.stop();
        assert!(
            commits.iter().flatten().all(|commit| commit.outcome() == CommitState::Committed),
            "{sync:?}"
        );
        let disk = rig.disk.after_crash(0);
        let engine = ProjectQueues::new(Box::new(|| {}));
        for number in 0..rig.projects.len() {
            let project = open(&disk, &engine, number, (sync, interval));
            assert_eq!(text(&project, "a").as_deref(), Some(&b"1"[..]), "p{number}, {sync:?} {interval:?}");
        }
    }
}

/// The stop comes while a project waits for the thread that has its journal.
#[test]
fn a_clean_shutdown_waits_for_a_project_whose_journal_is_locked() {
    let rig = Rig::with(1, SyncMode::Always);
    let project = &rig.projects[0];
    rig.wait_for(put(project, "a", "1"));
    rig.disk.hold("rename");
    thread::scope(|scope| {
        scope.spawn(|| project.checkpoint(clock::wall_ms(), clock::monotonic()).unwrap());
        wait_until("the checkpoint waits", || rig.disk.held() > 0);
        let commit = put(project, "b", "2").unwrap();
        let stop = scope.spawn(|| rig.threads.stop());
        assert!(!holds_within(Duration::from_millis(200), || stop.is_finished()), "it waits");
        rig.disk.let_go();
        stop.join().unwrap();
        assert_eq!(commit.outcome(), CommitState::Committed);
    });
}

#[test]
fn changes_acknowledged_at_once_are_synced_within_the_interval_although_other_syncs_hang() {
    // Shorter than the quiet time after which a checkpoint syncs everything in new files.
    let rig = Rig::with_interval(3, SyncMode::Interval, Duration::from_millis(100));
    rig.disk.hold("sync data/p0.journal");
    put(&rig.projects[0], "a", "1");
    wait_until("the sync hangs", || rig.disk.held() == 1);
    for project in &rig.projects[1..] {
        put(project, "a", "1");
    }
    wait_until("the others are synced", || {
        let journal = |number| rig.disk.after_crash(0).content(Path::new(&format!("data/p{number}.journal")));
        let is_synced = |number| String::from_utf8_lossy(&journal(number)).contains("\"a\"");
        is_synced(1) && is_synced(2)
    });
    rig.disk.let_go();
    rig.threads.stop();
}

#[test]
fn a_small_project_is_checkpointed_during_the_checkpoint_of_a_large_one() {
    let rig = Rig::with(2, SyncMode::Always);
    let (large, small) = (&rig.projects[0], &rig.projects[1]);
    let large_json = Path::new("data/p0.json");
    let put_all = |value: &str| {
        let value = format!("\"{}\"", value.repeat(100));
        let put = |number| put(large, &format!("key{number}"), &value);
        rig.wait_for((0..LONG_KEYS_MIN).map(put).fold(None, |_, last| last));
    };
    put_all("x");
    large.checkpoint(clock::wall_ms(), clock::monotonic()).unwrap();
    rig.disk.hold("create data/p0.json.tmp");
    put_all("y");
    put_all("y"); // the changes have to outgrow what the checkpoint writes again
    wait_until("the large checkpoint hangs", || rig.disk.held() == 1);
    rig.wait_for(put(small, "a", "1"));
    wait_until("the small file is up to date", || {
        String::from_utf8_lossy(&rig.disk.content(Path::new("data/p1.json"))).contains("\"a\"")
    });
    assert_eq!(rig.disk.held(), 1);
    rig.disk.let_go();
    wait_until("the large file is up to date", || {
        String::from_utf8_lossy(&rig.disk.content(large_json)).contains("yyy")
    });
    rig.threads.stop();
    drop(rig.engine);
}
