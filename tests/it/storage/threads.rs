//! The real engine on a real disk: writers and a reader while checkpoints run all the time.

use crate::harness::Writes as _;
use crate::harness::sim_disk::SimDisk;
use crate::harness::workload::{Run, key, read_all};
use pikv::testing::clock;
use pikv::testing::config::schema::SyncMode;
use pikv::testing::disk::RealDisk;
use pikv::testing::names::ProjectId;
use pikv::testing::persist::files::generation::Paths;
use pikv::testing::persist::live::project::{OpenOptions, Project};
use pikv::testing::persist::live::worker_threads::ProjectQueues;
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::store::change::Value;
use pikv::testing::store::commit::{Commit, CommitState};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const WRITERS: u32 = 8;
const WRITES: u32 = 250;
const KEYS: u32 = 10;

/// Wakes who waits for a commit.
#[derive(Default)]
pub struct Bell {
    lock: Mutex<()>,
    signal: Condvar,
}

impl Bell {
    pub fn ring(&self) {
        drop(self.lock.lock().unwrap());
        self.signal.notify_all();
    }

    pub fn wait_for(&self, commit: Option<&Commit>) {
        let Some(commit) = commit else { return };
        let mut guard = self.lock.lock().unwrap();
        while commit.outcome() == CommitState::Pending {
            let (next, timeout) = self.signal.wait_timeout(guard, Duration::from_secs(30)).unwrap();
            assert!(!timeout.timed_out(), "a commit is never resolved");
            guard = next;
        }
        assert_eq!(commit.outcome(), CommitState::Committed);
    }
}

fn open(directory: &Path, cache: ValueCache, sync: SyncMode, engine: &Arc<ProjectQueues>) -> Arc<Project> {
    let id = ProjectId::parse("p").unwrap();
    let paths = Paths::new(directory, &id);
    let opening = OpenOptions { id, cache, sync, sync_interval: Duration::from_secs(1) };
    let opened = Project::open(Arc::new(RealDisk), paths, opening, Arc::clone(engine), clock::wall_ms());
    Arc::new(opened.unwrap().project)
}

/// Writes ever larger numbers under keys of its own. Values are long, so that much is copied.
fn write(project: &Arc<Project>, bell: &Bell, writer: u32) {
    for number in 0..WRITES {
        let name = format!("{writer}/{}", number % KEYS);
        let value = format!("[{number},\"{}\"]", "z".repeat((number % 7 * 100) as usize));
        let written = project.write(clock::wall_ms(), |transaction| {
            Ok::<_, ()>(transaction.put(key(&name), value.as_bytes(), None))
        });
        bell.wait_for(written.unwrap().commit.as_ref());
    }
}

/// The number in a value, read from where it lies.
fn read(project: &Arc<Project>, bell: &Bell, name: &str) -> Option<u32> {
    let answered = project.read(clock::wall_ms(), |view| match view.get(key(name)) {
        None => (None, view.revision()),
        Some(entry) => match entry.value() {
            Value::Text(text) => (Some(Ok(text.to_vec())), entry.revision()),
            Value::Stored(location) => (Some(Err(view.locate(location).unwrap())), entry.revision()),
        },
    });
    let answered = answered.unwrap();
    bell.wait_for(answered.commit.as_ref());
    let text = answered.answer?.unwrap_or_else(|stored| {
        let mut text = Vec::new();
        stored.read_into(&mut text).unwrap();
        text
    });
    let (number, _): (u32, String) = serde_json::from_slice(&text).unwrap();
    Some(number)
}

fn read_on(project: &Arc<Project>, bell: &Bell, done: &AtomicBool) {
    let mut seen = BTreeMap::new();
    while !done.load(Ordering::Acquire) {
        for writer in 0..WRITERS {
            for number in 0..KEYS {
                let name = format!("{writer}/{number}");
                let Some(found) = read(project, bell, &name) else { continue };
                let before = seen.insert(name.clone(), found).unwrap_or(0);
                assert!(found >= before, "{name} went back from {before} to {found}");
            }
        }
    }
}

fn run_threads(cache: ValueCache, sync: SyncMode) {
    let directory = tempfile::tempdir().unwrap();
    let bell = Arc::new(Bell::default());
    let ringer = Arc::clone(&bell);
    let engine = ProjectQueues::new(Box::new(move || ringer.ring()));
    let threads = engine.start().unwrap();
    let project = open(directory.path(), cache, sync, &engine);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let (project, bell) = (&project, &bell);
                    move || write(project, bell, writer)
                })
            })
            .collect();
        scope.spawn(|| read_on(&project, &bell, &done));
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                project.checkpoint(clock::wall_ms(), clock::monotonic()).unwrap();
            }
        });
        let results: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Release);
        results.into_iter().for_each(|result| result.unwrap());
    });
    let expected = read_all(&project, clock::wall_ms());
    assert_eq!(expected.len(), (WRITERS * KEYS) as usize);
    for writer in 0..WRITERS {
        for number in 0..KEYS {
            let last = WRITES - KEYS + number;
            assert_eq!(read(&project, &bell, &format!("{writer}/{number}")), Some(last));
        }
    }
    threads.stop();
    drop(project);
    let engine = ProjectQueues::new(Box::new(|| ()));
    let again = open(directory.path(), cache, sync, &engine);
    assert_eq!(read_all(&again, clock::wall_ms()), expected, "after a restart without a last checkpoint");
    again.close(clock::wall_ms(), clock::monotonic());
    let other = if cache == ValueCache::Disk { ValueCache::Memory } else { ValueCache::Disk };
    let again = open(directory.path(), other, sync, &engine);
    assert_eq!(read_all(&again, clock::wall_ms()), expected, "after one with it, kept the other way");
}

#[test]
fn values_in_memory_stay_right_while_checkpoints_run() {
    run_threads(ValueCache::Memory, SyncMode::Always);
}

#[test]
fn values_in_files_stay_right_while_checkpoints_run() {
    run_threads(ValueCache::Disk, SyncMode::Always);
}

#[test]
fn values_in_files_stay_right_with_later_syncs() {
    run_threads(ValueCache::Disk, SyncMode::Interval);
}

/// A key that expires in an hour must not keep the file of a second ago from being brought up to date.
#[test]
fn a_small_file_is_checkpointed_shortly_after_the_last_write() {
    let directory = tempfile::tempdir().unwrap();
    let bell = Arc::new(Bell::default());
    let ringer = Arc::clone(&bell);
    let engine = ProjectQueues::new(Box::new(move || ringer.ring()));
    let threads = engine.start().unwrap();
    let project = open(directory.path(), ValueCache::Memory, SyncMode::Always, &engine);
    for (name, ttl_ms) in [("ttl", Some(3_600_000)), ("a", None)] {
        let put = |t: &mut pikv::testing::persist::live::transaction::Transaction<'_>| {
            Ok::<_, ()>(t.put(key(name), b"1", ttl_ms))
        };
        bell.wait_for(project.write(clock::wall_ms(), put).unwrap().commit.as_ref());
    }
    let json = directory.path().join("p.json");
    let start = clock::monotonic();
    while !std::fs::read_to_string(&json).unwrap().contains("\"a\"") {
        assert!(start.elapsed() < Duration::from_secs(20), "the file is not brought up to date");
        std::thread::yield_now();
    }
    threads.stop();
}

/// Set in the process that [`the_last_messages_of_a_writer_are_logged`] starts.
const DYING: &str = "PIKV_TEST_DYING_WRITER";

/// A writer that panics ends the process; the line that says so is collected with others before that.
#[test]
fn the_last_messages_of_a_writer_are_logged() {
    if crate::harness::environment::variable(DYING).is_some() {
        die();
    }
    let name = "storage::threads::the_last_messages_of_a_writer_are_logged";
    let program = std::env::current_exe().unwrap();
    let output =
        Command::new(program).args([name, "--exact", "--nocapture"]).env(DYING, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("last words"), "{output:?}");
}

fn die() {
    pikv::log::start(log::LevelFilter::Info, pikv::log::Format::Text).unwrap();
    std::panic::set_hook(Box::new(|_| {
        ["first words", "last words"].iter().for_each(|text| log::error!("{text}"))
    }));
    let directory = tempfile::tempdir().unwrap();
    let engine = ProjectQueues::new(Box::new(|| panic!("on purpose")));
    let threads = engine.start().unwrap();
    let project = open(directory.path(), ValueCache::Memory, SyncMode::Always, &engine);
    project.write(clock::wall_ms(), |t| Ok::<_, ()>(t.put(key("a"), b"1", None))).unwrap().answer.unwrap();
    threads.stop(); // waits for the writer, whose end is that of the process
}

#[test]
fn a_project_opened_with_an_earlier_clock_reuses_no_revision() {
    let directory = tempfile::tempdir().unwrap();
    let engine = ProjectQueues::new(Box::new(|| {}));
    let open_at = |now_ms| {
        let id = ProjectId::parse("p").unwrap();
        Arc::new(Project::in_memory(id, Arc::clone(&engine), now_ms))
    };
    let revision =
        |project: &Arc<Project>| project.read(0, |view| (view.revision(), view.revision())).unwrap().answer;
    let hour_ms = 60 * 60 * 1_000;
    let first = open_at(clock::wall_ms() + hour_ms);
    first.close(clock::wall_ms(), clock::monotonic());
    assert_eq!(revision(&open_at(clock::wall_ms())), revision(&first));
    let on_disk = open(directory.path(), ValueCache::Memory, SyncMode::Always, &engine);
    on_disk.close_for_deletion();
    assert_eq!(revision(&on_disk), revision(&first));
}

#[test]
fn a_project_created_at_the_last_possible_time_accepts_writes() {
    let id = ProjectId::parse("p").unwrap();
    let project = Arc::new(Project::in_memory(id, ProjectQueues::new(Box::new(|| {})), u64::MAX));
    project.write(0, |t| Ok::<_, ()>(t.put(key("a"), b"1", None))).unwrap().answer.unwrap();
}

/// Otherwise thousands of simulated starts would fill the memory of the machine.
#[test]
fn an_engine_without_threads_keeps_no_project() {
    let run = Run::begin(&SimDisk::default(), ValueCache::Memory, SyncMode::Always).unwrap();
    assert!(run.put("a", "1", Some(60_000)));
    let project = Arc::downgrade(&run.project);
    drop(run);
    assert_eq!(project.strong_count(), 0);
}
