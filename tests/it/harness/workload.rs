//! A project on a simulated disk, what was done to it, and what may be found after a crash.
//!
//! Every transaction is one line of the journal, so that a recovered project must equal one of the
//! states the project went through: not before the last acknowledged one, not after the last sent one.

use crate::harness::Writes as _;
use crate::harness::sim_disk::SimDisk;
use pikv::testing::config::schema::SyncMode;
use pikv::testing::disk::Disk;
use pikv::testing::names::{Key, ProjectId};
use pikv::testing::persist::files::generation::Paths;
use pikv::testing::persist::live::project::{Health, OpenOptions, Project};
use pikv::testing::persist::live::transaction::Transaction;
use pikv::testing::persist::live::worker_threads::ProjectQueues;
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::persist::start::recovery_error::RecoveryError;
use pikv::testing::store::change::{EntryMeta, Revision, Value};
use pikv::testing::store::commit::{Commit, CommitState};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The clock when a workload begins.
pub const START_MS: u64 = 1_764_000_000_000;

/// The keys of a project: value and times.
pub type Keys = BTreeMap<String, (String, EntryMeta)>;

/// A state that a project went through.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub keys: Keys,
}

impl State {
    /// What a reader finds at `now_ms`.
    pub fn live(&self, now_ms: u64) -> Keys {
        let lives = |meta: &EntryMeta| meta.expires_ms.is_none_or(|expires_ms| expires_ms > now_ms);
        self.keys.iter().filter(|(_, (_, meta))| lives(meta)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// What is left once it is recorded that some have expired.
    fn observe(&self, now_ms: u64) -> Option<State> {
        let keys = self.live(now_ms);
        (keys.len() < self.keys.len()).then_some(State { keys })
    }
}

/// The states since the last one that is known to be on disk, and who waits for the others.
pub struct History {
    pub states: Vec<State>,
    pub acknowledged: usize,
    waiting: Vec<(Commit, usize)>,
    pub revision_max: Revision,
}

impl History {
    pub fn new(first: State) -> History {
        History {
            states: vec![first],
            acknowledged: 0,
            waiting: Vec::new(),
            revision_max: Revision::default(),
        }
    }

    pub fn last(&self) -> &State {
        self.states.last().unwrap()
    }

    fn push(&mut self, state: State) {
        self.states.push(state);
    }

    fn wait(&mut self, commit: Option<Commit>) {
        if let Some(commit) = commit {
            let at = self.states.len() - 1;
            self.waiting.push((commit, at));
        }
    }

    /// Looks at the outcomes. Forgets states whose changes were taken back for good.
    pub fn collect(&mut self) -> CommitState {
        let mut worst = CommitState::Committed;
        let waiting = std::mem::take(&mut self.waiting);
        for (commit, at) in waiting {
            match commit.outcome() {
                CommitState::Committed => {
                    assert_ne!(
                        worst,
                        CommitState::DiskFull,
                        "a change was acknowledged after one that was not"
                    );
                    self.acknowledged = self.acknowledged.max(at);
                }
                CommitState::Pending => self.waiting.push((commit, at)),
                failed @ (CommitState::DiskFull | CommitState::Failed | CommitState::Deleted(_)) => {
                    worst = failed
                }
            }
        }
        if worst == CommitState::DiskFull {
            assert!(self.waiting.is_empty(), "all that was not on disk is taken back together");
            self.states.truncate(self.acknowledged + 1);
        }
        worst
    }

    /// The states that may be found after a crash.
    pub fn possible(&self) -> &[State] {
        &self.states[self.acknowledged..]
    }
}

/// A project that is being worked on.
pub struct Run {
    pub disk: SimDisk,
    pub project: Arc<Project>,
    pub history: Mutex<History>,
    pub now_ms: Mutex<u64>,
    pub instant: Instant,
    pub cache: ValueCache,
    pub sync: SyncMode,
}

pub fn paths() -> Paths {
    Paths::new(Path::new("/data"), &ProjectId::parse("p").unwrap())
}

pub fn key(name: &str) -> Key<'_> {
    Key::parse(name).unwrap()
}

pub fn open(
    disk: Arc<dyn Disk>,
    cache: ValueCache,
    sync: SyncMode,
    now_ms: u64,
) -> Result<(Arc<Project>, Vec<String>), RecoveryError> {
    let id = ProjectId::parse("p").unwrap();
    let opening = OpenOptions { id, cache, sync, sync_interval: Duration::from_secs(1) };
    let opened = Project::open(disk, paths(), opening, ProjectQueues::new(Box::new(|| ())), now_ms)?;
    Ok((Arc::new(opened.project), opened.notices))
}

/// All that a reader finds, values read from where they lie.
pub fn read_all(project: &Arc<Project>, now_ms: u64) -> Keys {
    let answered = project.read(now_ms, |view| {
        let entries: Vec<_> = view
            .range("", None)
            .map(|entry| {
                let text = match entry.value() {
                    Value::Text(text) => Ok(text.to_vec()),
                    Value::Stored(location) => Err(view.locate(location).expect("its file is known")),
                };
                (entry.key().to_owned(), text, entry.meta())
            })
            .collect();
        assert_eq!(view.totals().keys as usize, entries.len());
        (entries, Revision::default())
    });
    let entries = answered.unwrap().answer.into_iter().map(|(name, text, meta)| {
        let text = text.unwrap_or_else(|stored| {
            let mut text = Vec::new();
            stored.read_into(&mut text).unwrap();
            text
        });
        (name, (String::from_utf8(text).unwrap(), meta))
    });
    entries.collect()
}

impl Run {
    pub fn begin(disk: &SimDisk, cache: ValueCache, sync: SyncMode) -> Result<Arc<Run>, RecoveryError> {
        let (project, _) = open(Arc::new(disk.clone()), cache, sync, START_MS)?;
        Ok(Run::continued(project, disk, (cache, sync), START_MS, State::default()))
    }

    /// Work on a project that holds `state`.
    pub fn continued(
        project: Arc<Project>,
        disk: &SimDisk,
        (cache, sync): (ValueCache, SyncMode),
        now_ms: u64,
        state: State,
    ) -> Arc<Run> {
        let (history, now_ms) = (Mutex::new(History::new(state)), Mutex::new(now_ms));
        Arc::new(Run { disk: disk.clone(), project, history, now_ms, instant: Instant::now(), cache, sync })
    }

    pub fn now(&self) -> u64 {
        *self.now_ms.lock().unwrap()
    }

    pub fn step_clock(&self, by_ms: i64) {
        let mut now_ms = self.now_ms.lock().unwrap();
        *now_ms = now_ms.saturating_add_signed(by_ms);
    }

    /// Sees what has expired; where the project can, it records that.
    fn observe(&self, history: &mut History) {
        if self.project.health() == Health::Healthy
            && let Some(observed) = history.last().observe(self.now())
        {
            history.push(observed);
        }
    }

    /// One transaction. `change` does the same to the project and to the keys.
    pub fn write(&self, change: impl FnOnce(&mut Transaction<'_>, &mut Keys) -> Result<(), ()>) -> bool {
        let mut history = self.history.lock().unwrap();
        history.collect();
        if !matches!(self.project.health(), Health::Healthy | Health::DiskFull) {
            return false;
        }
        self.observe(&mut history);
        let now_ms = self.now();
        let before = history.last().clone();
        let mut keys = before.live(now_ms);
        let Ok(answered) = self.project.write(now_ms, |transaction| change(transaction, &mut keys)) else {
            return false;
        };
        if answered.answer.is_ok() {
            for (_, meta) in keys.values() {
                history.revision_max = history.revision_max.max(meta.revision);
            }
            // What has expired and is not overwritten stays there until the clock is recorded.
            let mut stored = before.keys.clone();
            let live = before.live(now_ms);
            stored.retain(|name, _| !live.contains_key(name));
            stored.extend(keys);
            history.push(State { keys: stored });
        }
        history.wait(answered.commit);
        true
    }

    pub fn put(&self, name: &str, value: &str, ttl_ms: Option<u64>) -> bool {
        self.write(|transaction, keys| {
            let written = transaction.put(key(name), value.as_bytes(), ttl_ms);
            keys.insert(name.to_owned(), (value.to_owned(), written));
            Ok(())
        })
    }

    pub fn delete(&self, name: &str) -> bool {
        self.write(|transaction, keys| {
            let meta = transaction.delete(key(name));
            assert_eq!(meta, keys.remove(name).map(|(_, meta)| meta));
            Ok(())
        })
    }

    pub fn clear(&self, prefix: &str) -> bool {
        self.write(|transaction, keys| {
            let count = keys.len();
            keys.retain(|name, _| !name.starts_with(prefix));
            assert_eq!(transaction.clear(prefix), Some((count - keys.len()) as u64));
            Ok(())
        })
    }

    /// Puts `many/0` and so on; every third key is permanent.
    pub fn put_many(&self, count: u32, ttl_ms: u64) -> bool {
        self.write(|transaction, keys| {
            for number in 0..count {
                let (name, ttl_ms) = (format!("many/{number}"), (number % 3 > 0).then_some(ttl_ms));
                let written = transaction.put(key(&name), b"1", ttl_ms);
                keys.insert(name, ("1".to_owned(), written));
            }
            Ok(())
        })
    }

    pub fn batch(&self, number: u32) -> bool {
        self.write(|transaction, keys| {
            for name in ["batch/1", "batch/2", "batch/3"] {
                let value = format!("{number}");
                let written = transaction.put(key(name), value.as_bytes(), None);
                keys.insert(name.to_owned(), (value, written));
            }
            transaction.delete(key("batch/2"));
            keys.remove("batch/2");
            Ok(())
        })
    }

    /// A batch that fails at its end changes nothing.
    pub fn failing_batch(&self) -> bool {
        self.write(|transaction, _| {
            transaction.put(key("a"), b"\"never\"", Some(5));
            transaction.delete(key("b"));
            transaction.clear("");
            transaction.put(key("never"), b"0", None);
            Err(())
        })
    }

    /// Looks at the project, which records what has expired.
    pub fn look(&self) {
        let mut history = self.history.lock().unwrap();
        history.collect();
        if let Health::Failed { .. } = self.project.health() {
            return;
        }
        self.observe(&mut history);
        let now_ms = self.now();
        let Ok(answered) = self.project.read(now_ms, |view| (view.totals(), view.revision())) else { return };
        assert_eq!(answered.answer.keys as usize, history.last().live(now_ms).len());
        history.wait(answered.commit);
    }

    pub fn flush(&self) -> CommitState {
        self.project.flush(self.instant);
        let mut history = self.history.lock().unwrap();
        let outcome = history.collect();
        assert!(
            outcome != CommitState::Committed || history.waiting.is_empty(),
            "a flush resolves all commits"
        );
        outcome
    }

    /// A checkpoint with a write before each of its disk operations.
    pub fn checkpoint(self: &Arc<Self>) {
        self.observe(&mut self.history.lock().unwrap());
        let run = Arc::clone(self);
        let mut count = 0;
        self.disk.set_between(Some(Box::new(move || {
            count += 1;
            match count % 4 {
                0 => run.put("between", &format!("{count}"), None),
                1 => run.put(&format!("between/{count}"), "[1,2,3]", Some(60_000)),
                2 => run.batch(count),
                _ => run.delete(&format!("between/{}", count - 2)),
            };
        })));
        // Its failure is logged and nothing else; what it must not do is seen at recovery.
        let _ = self.project.checkpoint(self.now(), self.instant);
        self.disk.set_between(None);
        self.history.lock().unwrap().collect();
        // The engine's threads would do this: what came during the checkpoint has been queued.
        self.flush();
    }

    pub fn close(&self) {
        self.observe(&mut self.history.lock().unwrap());
        self.project.close(self.now(), self.instant);
        self.history.lock().unwrap().collect();
    }

    /// What a reader finds is what was acknowledged, or waits.
    pub fn check_memory(&self) {
        if self.disk.is_off() {
            return;
        }
        self.look();
        let history = self.history.lock().unwrap();
        let expected = match self.project.health() {
            // What was acknowledged at once may be in memory only.
            Health::Failed { .. } if self.sync != SyncMode::Always => return,
            Health::Failed { .. } | Health::Deleted => &history.states[history.acknowledged],
            Health::Healthy | Health::DiskFull | Health::Closed => history.last(),
        };
        assert_eq!(read_all(&self.project, self.now()), expected.live(self.now()));
    }
}

/// Some of everything. Ends early where the project stops taking writes.
pub fn work(run: &Arc<Run>) {
    let long = format!("\"{}\"", "x".repeat(1_300));
    let larger = format!("\"{}\"", "y".repeat(5_000));
    run.put("a", "1", None);
    run.flush();
    run.put("a", "2", None);
    run.put("b", "{\"n\":1e400}", Some(5_000));
    run.put("long", &long, None);
    run.flush();
    run.failing_batch();
    run.batch(1);
    run.delete("a");
    run.flush();
    run.put("long", &long, Some(90_000));
    run.checkpoint();
    run.check_memory();
    run.put("b", "3", Some(2_000));
    run.put("c/1", "\"é\"", None);
    run.put("c/2", "null", None);
    run.flush();
    run.step_clock(2_500);
    run.look();
    run.flush();
    run.step_clock(-2_400);
    run.put("b2", "4", Some(1_000));
    run.clear("c/");
    run.flush();
    run.checkpoint();
    run.check_memory();
    run.clear("");
    run.put("after", &long, None);
    run.flush();
    run.put("after", "5", None);
    run.step_clock(10_000);
    run.batch(2);
    run.flush();
    // From here on the journal has a reserve: first inside it, then across its end.
    for number in 0..4 {
        run.put("large", &larger, None);
        run.flush();
        run.put("long", &long, None);
        run.put("small", &number.to_string(), None);
        run.flush();
    }
    // Changes are carried out of a journal that has a reserve, and into the reserve of the new one.
    run.checkpoint();
    run.check_memory();
    run.put("large", &larger, None);
    run.flush();
    run.put("small", "\"in the reserve \"", None);
    run.flush();
}

/// Opens what a crash left and checks that it is one of the states that are possible. Goes on working
/// with it, to see that it can. `disk` is left with what recovery made of it.
pub fn recover_and_check(run: &Run, disk: &SimDisk, now_ms: u64, context: &str) {
    let opened = open(Arc::new(disk.clone()), run.cache, run.sync, now_ms);
    let (project, _) = opened.unwrap_or_else(|error| panic!("{context}: does not start: {error}"));
    let history = run.history.lock().unwrap();
    let possible = match run.sync {
        SyncMode::Always => history.possible(),
        SyncMode::Interval => &history.states,
    };
    let found = read_all(&project, now_ms);
    assert!(
        possible.iter().any(|state| state.live(now_ms) == found),
        "{context}: found\n{}which is none of {} possible states, the first\n{}the last\n{}",
        listed(&found),
        possible.len(),
        listed(&possible[0].live(now_ms)),
        listed(&possible.last().unwrap().live(now_ms)),
    );
    assert_eq!(disk.names(), [paths().journal, paths().json], "{context}: and no temporary file");
    // What was acknowledged without being synced is only known to lie below the clock.
    let given_out =
        if run.sync == SyncMode::Always || now_ms >= run.now() { history.acknowledged } else { 0 };
    let given_out = history.states[..=given_out].iter().flat_map(|state| state.keys.values());
    let used = given_out.chain(found.values()).map(|(_, meta)| meta.revision).max().unwrap_or_default();
    let written = project.write(now_ms, |t| Ok::<_, ()>(t.put(key("next"), b"1", None))).unwrap();
    assert!(written.answer.unwrap().revision > used, "{context}: a revision was used twice");
    project.flush(run.instant);
    if let Some(commit) = written.commit {
        assert_eq!(commit.outcome(), CommitState::Committed, "{context}");
    }
    let expected = read_all(&project, now_ms);
    if run.sync == SyncMode::Always {
        let (again, _) = open(Arc::new(disk.after_crash(0)), run.cache, run.sync, now_ms).unwrap();
        assert_eq!(read_all(&again, now_ms), expected, "{context}: after the next power cut");
    }
    project.checkpoint(now_ms, run.instant).unwrap();
    let expected = read_all(&project, now_ms);
    let (again, _) = open(Arc::new(disk.after_crash(0)), run.cache, run.sync, now_ms).unwrap();
    assert_eq!(read_all(&again, now_ms), expected, "{context}: after the next restart");
}

fn listed(keys: &Keys) -> String {
    let cut = |value: &str| value.chars().take(20).collect::<String>();
    let line = |(name, (value, meta)): (&String, &(String, EntryMeta))| {
        format!("  {name} = {} at {}, until {:?}\n", cut(value), meta.revision, meta.expires_ms)
    };
    keys.iter().map(line).collect()
}
