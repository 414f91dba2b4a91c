//! A project while the server runs: reading it, and what the other files of this layer share.

use super::journal::Journal;
use super::journal_lock::JournalLock;
use super::queues::Queues;
use crate::config::schema::SyncMode;
use crate::disk::Disk;
use crate::limits::YIELD_MICROS;
use crate::names::{Key, ProjectId};
use crate::persist::files::generation::Paths;
use crate::persist::files::locations::LocatedValue;
use crate::persist::files::value_reader::{FileTable, JOURNAL_FILE, StoredValue};
use crate::persist::start::recovery::{self, Recovered, ValueCache};
use crate::persist::start::recovery_error::{self, RecoveryError};
use crate::store::batch::{self, OneOrMany};
use crate::store::change::{Location, Revision};
use crate::store::commit::Commit;
use crate::store::commit::Pending;
use crate::store::decide::{At, Conflict, Step, decide};
use crate::store::entry::Entry;
use crate::store::error::StorageError;
use crate::store::key_map::{KeyMap, Totals, Undo};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

/// A project that is served. Shared by the event loops, the writers and the maintenance thread.
pub struct Project {
    pub(super) id: ProjectId,
    pub(super) files: Option<Files>,
    pub(super) queues: Arc<Queues<Project>>,
    /// Whether the long lane has the project; no other thread maintains it then.
    pub(super) is_in_long_lane: AtomicBool,
    pub(super) state: Mutex<State>,
    /// How many threads wait for `state`.
    pub(super) waiting: AtomicU32,
}

/// The files of a project on disk, and its settings.
pub(super) struct Files {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) paths: Paths,
    pub(super) cache: ValueCache,
    pub(super) sync: SyncMode,
    /// The interval of `sync: interval`.
    pub(super) sync_interval: Duration,
    pub(super) journal: JournalLock,
    /// Held for the length of a checkpoint; taken before `journal`.
    pub(super) checkpoint: Mutex<()>,
}

pub(super) struct State {
    pub(super) key_map: KeyMap,
    /// Changes that are applied and encoded, but not yet with the writer.
    pub(super) pending: Batch,
    /// With the writer.
    pub(super) in_flight: Option<Batch>,
    /// Every change up to here may be answered: it is in the journal, and synced if the project always syncs.
    pub(super) acknowledged: Revision,
    /// Every change up to here is synced.
    pub(super) synced: Revision,
    /// The revision that the last "synced" line named.
    pub(super) synced_recorded: Revision,
    pub(super) open_files: FileTable,
    /// By key, the values of the batch written last that pending changes may have replaced since: a rollback restores
    /// those. Empty if values are kept in memory.
    pub(super) replaced: BTreeMap<String, LocatedValue>,
    pub(super) health: Health,
    /// Whether the project waits for a writer or is with one.
    pub(super) turn: Turn,
    /// What `sync: interval` still has to sync.
    pub(super) later: SyncLater,
    /// How many jumps of the clock the project has handled.
    pub(super) jumps_seen: u64,
    /// How often changes were rolled back; a checkpoint that may have copied some of them is void.
    pub(super) rollbacks: u64,
    /// Another program took the journal: acknowledged changes are in no file that a start finds.
    pub(super) needs_rescue: bool,
    /// The same, until a rescue succeeds.
    pub(super) is_unsaved: bool,
    /// The project has released its files: those of its name may belong to a successor and are not touched.
    pub(super) is_released: bool,
}

/// Whether something is written that `sync: interval` has to sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncLater {
    No,
    /// The writers have the time at which it is due.
    Scheduled,
    Due,
}

/// Changes that are written and acknowledged together.
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) undo: Vec<Undo>,
    /// The values among `bytes`, which get locations once they are written. Empty if values are kept in memory.
    pub(super) values: Vec<WrittenValue>,
    pub(super) commit: Commit,
    pub(super) revision: Revision,
    /// How many of its changes were acknowledged before they are written.
    pub(super) acknowledged: u64,
}

/// A value among the bytes of a batch.
pub(super) struct WrittenValue {
    pub(super) key: String,
    pub(super) revision: Revision,
    /// The range of its text in the bytes.
    pub(super) text: Range<usize>,
}

impl Batch {
    pub(super) fn empty() -> Batch {
        Batch {
            bytes: Vec::new(),
            undo: Vec::new(),
            values: Vec::new(),
            commit: Commit::default(),
            revision: Revision::default(),
            acknowledged: 0,
        }
    }
}

/// Whether a project takes writes, or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    /// The last write found no disk space; each write tries again and waits for the disk's answer.
    DiskFull,
    /// A write or sync failed, or its files no longer belong to it: edited, replaced, removed, or in a directory
    /// that is another one by now. It takes no writes until the server is restarted.
    Failed {
        /// The reason for the log and the operator.
        reason: String,
    },
    /// It is being reopened with other settings, or the server ends.
    Closed,
    Deleted,
}

/// Whether a project waits for a writer or is with one. See `writer_queue.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing waits for a writer.
    Idle,
    /// The project is in the queue of the writers, or the thread that holds its journal will put it there.
    Queued,
    /// A writer has it.
    Writing,
    /// A writer has it, and more changes have arrived since.
    WritingMore,
}

pub struct OpenOptions {
    pub id: ProjectId,
    pub cache: ValueCache,
    pub sync: SyncMode,
    /// The interval of [`SyncMode::Interval`].
    pub sync_interval: Duration,
}

pub struct OpenedProject {
    pub project: Project,
    /// Whether there were no files, so that it begins empty.
    pub is_new: bool,
    /// What was repaired or imported, for the log.
    pub notices: Vec<String>,
}

impl Project {
    pub fn in_memory(id: ProjectId, queues: Arc<Queues<Project>>, now_ms: u64) -> Project {
        let key_map = KeyMap::starting_at(queues.watermark.begin(now_ms), 0);
        queues.watermark.opened(key_map.revision());
        let mut state = State::new(key_map);
        state.jumps_seen = queues.jumps();
        Project::with(id, None, queues, state)
    }

    /// Recovers a project from its files, or creates them.
    ///
    /// # Errors
    /// [`RecoveryError`]; the files are then as they were.
    pub fn open(
        disk: Arc<dyn Disk>,
        paths: Paths,
        options: OpenOptions,
        queues: Arc<Queues<Project>>,
        now_ms: u64,
    ) -> Result<OpenedProject, RecoveryError> {
        let begin = queues.watermark.begin(now_ms);
        let Recovered { mut key_map, pair, is_unsure, is_new, notices } =
            recovery::recover(disk.as_ref(), &paths, options.cache, begin, now_ms)?;
        // Above all revisions that were assigned and then lost, because the project does not always sync or was
        // deleted; none of them is used again.
        key_map.skip_to(begin);
        queues.watermark.opened(key_map.revision());
        let mut state = State::new(key_map);
        state.jumps_seen = queues.jumps();
        if options.cache == ValueCache::Disk {
            state.open_files.add(JOURNAL_FILE, &pair, paths.names(&options.id));
        }
        let status = pair.journal.file.status();
        let identity = status.map_err(recovery_error::io_error(&paths.journal))?.identity;
        let mut journal = Journal::opened(&pair, identity);
        if is_unsure {
            journal.mark_unsure();
        }
        let files = Files {
            disk,
            paths,
            cache: options.cache,
            sync: options.sync,
            sync_interval: options.sync_interval,
            journal: JournalLock::new(journal),
            checkpoint: Mutex::new(()),
        };
        let project = Project::with(options.id, Some(files), queues, state);
        Ok(OpenedProject { project, is_new, notices })
    }

    fn with(id: ProjectId, files: Option<Files>, queues: Arc<Queues<Project>>, state: State) -> Project {
        Project {
            id,
            files,
            queues,
            is_in_long_lane: AtomicBool::new(false),
            state: Mutex::new(state),
            waiting: AtomicU32::new(0),
        }
    }

    /// Whether values may lie in files, so that reading them blocks.
    pub fn reads_disk(&self) -> bool {
        self.files.as_ref().is_some_and(|files| files.cache == ValueCache::Disk)
    }

    pub fn id(&self) -> &ProjectId {
        &self.id
    }

    pub fn health(&self) -> Health {
        if let Some(reason) = self.lost_directory() {
            return Health::Failed { reason: reason.to_owned() };
        }
        self.lock().map_or(Health::Failed { reason: "a change stopped halfway".to_owned() }, |state| {
            state.health.clone()
        })
    }

    /// Why the directory of a project on disk no longer belongs to this process, after a check found that.
    pub(super) fn lost_directory(&self) -> Option<&str> {
        self.files.as_ref().and_then(|_| self.queues.lost_directory())
    }

    /// Reads at `now_ms`. `read` returns its result and the revision that the result depends on.
    ///
    /// If a key has just expired, that is recorded first, so that the key stays absent.
    ///
    /// # Errors
    /// [`StorageError::Poisoned`] only.
    pub fn read<T>(
        self: &Arc<Self>,
        now_ms: u64,
        read: impl FnOnce(&ReadTransaction<'_>) -> (T, Revision),
    ) -> Result<Pending<T>, StorageError> {
        let mut guard = self.lock()?;
        let state = &mut *guard;
        self.advance_expiry_watermark(state, now_ms);
        let view = ReadTransaction { key_map: &state.key_map, open_files: &state.open_files, now_ms };
        let (answer, revision) = read(&view);
        let commit = self.waits(state).then(|| self.commit_for(state, revision)).flatten();
        Ok(Pending { answer, commit })
    }

    /// Locks the state. Fails if a thread panicked while it changed it.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, State>, StorageError> {
        match self.state.try_lock() {
            Ok(state) => return Ok(state),
            Err(TryLockError::Poisoned(_)) => return Err(StorageError::Poisoned),
            Err(TryLockError::WouldBlock) => {}
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let locked = self.state.lock();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        locked.map_err(|_| StorageError::Poisoned)
    }

    /// Lets threads that wait for the state go first. For callers that take the lock again and again: the lock is not
    /// fair, so without this a waiting event loop would not get it in the meantime.
    pub(super) fn yield_to_waiting(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            std::thread::sleep(Duration::from_micros(YIELD_MICROS));
        }
    }

    /// Whether replies wait for the disk. On a full disk they do in every mode, so that no client gets a success that
    /// the disk has no space for.
    pub(super) fn waits(&self, state: &State) -> bool {
        let files = self.files.as_ref();
        files.is_some_and(|files| files.sync == SyncMode::Always || state.health == Health::DiskFull)
    }

    /// The commit of the batch with `revision`; `None` if that is written.
    pub(super) fn commit_for(&self, state: &State, revision: Revision) -> Option<Commit> {
        if self.files.is_none() || revision <= state.acknowledged {
            return None;
        }
        match &state.in_flight {
            Some(batch) if revision <= batch.revision || state.pending.bytes.is_empty() => {
                Some(batch.commit.clone())
            }
            Some(_) | None if !state.pending.bytes.is_empty() => Some(state.pending.commit.clone()),
            // It was rolled back: no reader depends on it.
            Some(_) | None => None,
        }
    }
}

impl OpenedProject {
    /// This project without its files, which stay as they are: it lives in memory only.
    #[must_use]
    pub fn in_memory(self) -> OpenedProject {
        OpenedProject { project: Project { files: None, ..self.project }, ..self }
    }

    /// Begins to serve: logs what was found and repaired, and schedules maintenance.
    pub fn start(self) -> Arc<Project> {
        let project = Arc::new(self.project);
        if let (true, Some(files)) = (self.is_new, &project.files) {
            let directory = files.paths.directory().display();
            log::info!("project {}: no files in {directory} yet; it begins empty", project.id);
        }
        self.notices.iter().for_each(|notice| log::warn!("{notice}"));
        project.begin_maintenance();
        project
    }
}

impl Health {
    /// Whether nothing of the project is written any more.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Health::Healthy | Health::DiskFull | Health::Closed => false,
            Health::Failed { .. } | Health::Deleted => true,
        }
    }
}

impl State {
    /// Takes no more writes, because of `reason`. A deletion is no failure, whatever happens to its files.
    pub(super) fn fail(&mut self, reason: String) {
        if self.health != Health::Deleted {
            self.health = Health::Failed { reason };
        }
    }

    pub(super) fn revision_and_watermark(&self) -> (Revision, u64) {
        (self.key_map.revision(), self.key_map.expired_until_ms())
    }

    fn new(key_map: KeyMap) -> State {
        State {
            acknowledged: key_map.revision(),
            synced: key_map.revision(),
            synced_recorded: key_map.revision(),
            key_map,
            pending: Batch::empty(),
            in_flight: None,
            open_files: FileTable::default(),
            replaced: BTreeMap::new(),
            health: Health::Healthy,
            turn: Turn::Idle,
            later: SyncLater::No,
            jumps_seen: 0,
            rollbacks: 0,
            needs_rescue: false,
            is_unsaved: false,
            is_released: false,
        }
    }
}

/// Reads a project under its lock.
pub struct ReadTransaction<'a> {
    pub(super) key_map: &'a KeyMap,
    pub(super) open_files: &'a FileTable,
    pub(super) now_ms: u64,
}

impl<'a> ReadTransaction<'a> {
    pub fn get(&self, key: Key<'_>) -> Option<Entry<'a>> {
        self.key_map.get(key, self.now_ms)
    }

    /// The entries that begin with `prefix` and come after `after`, in key order. Passes any number of expired ones: if
    /// keys have a time to live, use parts of [`ReadTransaction::stored_range`] instead.
    pub fn range<'b>(&'b self, prefix: &'b str, after: Option<&'b str>) -> impl Iterator<Item = Entry<'b>> {
        self.key_map.range(prefix, after, self.now_ms)
    }

    /// As [`ReadTransaction::range`], with the entries that have expired and are still in memory.
    pub fn stored_range<'b>(
        &'b self,
        prefix: &'b str,
        after: Option<&'b str>,
    ) -> impl Iterator<Item = Entry<'b>> {
        self.key_map.stored_range(prefix, after)
    }

    pub fn decide(&self, batch: &batch::Batch<'_>) -> Result<OneOrMany<Step>, Conflict> {
        decide(batch, &At { key_map: self.key_map, now_ms: self.now_ms }, self.now_ms)
    }

    /// Whether `entry` has not expired.
    pub fn is_live(&self, entry: Entry<'_>) -> bool {
        self.key_map.is_live(entry, self.now_ms)
    }

    pub fn totals(&self) -> Totals {
        self.key_map.totals(self.now_ms)
    }

    /// The revision of the latest change: a result that is "absent", or is about many keys, depends on it.
    pub fn revision(&self) -> Revision {
        self.key_map.revision()
    }

    /// A value that lies in a file, to be read after the lock is released.
    pub fn locate(&self, location: Location) -> Option<StoredValue> {
        self.open_files.locate(location)
    }
}

impl fmt::Debug for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Project").field("id", &self.id.as_str()).finish_non_exhaustive()
    }
}
