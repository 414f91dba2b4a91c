//! The engine in this process: entries in memory under a lock, values there or in files, changes in a journal.
//!
//! The only file above `persist` that knows it, beside the catalog of projects and the commands that work on files.

use super::outcome::Outcome;
use super::read::{Continuation, Decided, Item, Parts, Read, Scan, ScanEnd, Scanned};
use crate::clock;
use crate::config::schema::SyncMode;
use crate::disk::Disk;
use crate::limits::ENTRIES_PER_LOCK_MAX;
use crate::names::{InternalProject, Key};
use crate::persist::files::generation::Paths;
use crate::persist::files::value_reader::StoredValue;
use crate::persist::files::watermark;
use crate::persist::live::project::{Health, OpenOptions, OpenedProject, ReadTransaction};
use crate::persist::start::recovery_error::FileProblem;
use crate::store::batch::{Batch, OneOrMany, When};
use crate::store::change::{EntryMeta, Revision, Value};
use crate::store::commit::{Commit, Pending};
use crate::store::decide::{Conflict, Source, Step};
use crate::store::entry::Entry;
use crate::store::error::StorageError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use crate::persist::live::project::Project;
pub use crate::persist::live::worker_threads::ProjectQueues;
pub use crate::persist::start::recovery::ValueCache;
pub(crate) use crate::persist::start::recovery_error::RecoveryError;

/// The storage of the server's own projects.
pub(crate) struct Home {
    disk: Arc<dyn Disk>,
    engine: Arc<ProjectQueues>,
    directory: PathBuf,
}

impl Home {
    /// # Errors
    /// [`RecoveryError`] if the file with the latest revision of all projects cannot be read.
    pub(crate) fn new(
        disk: &Arc<dyn Disk>,
        engine: &Arc<ProjectQueues>,
        directory: PathBuf,
    ) -> Result<Home, RecoveryError> {
        let read = engine.watermark.read(disk.as_ref(), &directory);
        read.map_err(|error| FileProblem::Io(error).of(&watermark::path_in(&directory)))?;
        Ok(Home { disk: Arc::clone(disk), engine: Arc::clone(engine), directory })
    }

    /// Opens `project`, or creates it.
    ///
    /// # Errors
    /// [`RecoveryError`] names the file that cannot be read, and the fix.
    pub(crate) fn open(
        &self,
        project: InternalProject,
        cache: ValueCache,
    ) -> Result<Arc<Project>, RecoveryError> {
        let id = project.into();
        let paths = Paths::new(&self.directory, &id);
        let opening = OpenOptions { id, cache, sync: SyncMode::Always, sync_interval: Duration::ZERO };
        let (disk, engine) = (Arc::clone(&self.disk), Arc::clone(&self.engine));
        Project::open(disk, paths, opening, engine, clock::wall_ms()).map(OpenedProject::start)
    }
}

/// A [`Decided`] batch, with the values that reads found.
pub(crate) type DecidedAndRead = Result<(OneOrMany<Step>, Vec<Found>), Conflict>;

/// An entry that was found, for use without the engine's lock.
pub struct Found {
    pub meta: EntryMeta,
    value: Kept,
}

/// A value that was found, for use without the lock.
enum Kept {
    Text(Vec<u8>),
    Stored(StoredValue),
    /// A file that is not open, which is a bug.
    Lost,
}

impl Kept {
    fn of(view: &ReadTransaction<'_>, entry: Entry<'_>) -> Kept {
        match entry.value() {
            Value::Text(text) => Kept::Text(text.to_vec()),
            Value::Stored(location) => view.locate(location).map_or(Kept::Lost, Kept::Stored),
        }
    }

    /// The text; reads it if it lies in a file, which blocks.
    fn into_text(self) -> Result<Vec<u8>, StorageError> {
        let stored = match self {
            Kept::Text(text) => return Ok(text),
            Kept::Stored(stored) => stored,
            Kept::Lost => {
                log::error!("internal error: the file of a value is not open; please report it");
                return Err(StorageError::Unread);
            }
        };
        let mut text = Vec::new();
        match stored.read_into(&mut text) {
            Ok(()) => Ok(text),
            Err(error) => {
                stored.log_unread(&error);
                Err(StorageError::Unread)
            }
        }
    }
}

impl Found {
    /// An entry whose value is known.
    pub(super) fn of_text(meta: EntryMeta, text: Vec<u8>) -> Found {
        Found { meta, value: Kept::Text(text) }
    }

    pub fn is_on_disk(&self) -> bool {
        !matches!(self.value, Kept::Text(_))
    }

    /// The value, minified JSON text. Blocks if it lies on disk.
    pub fn into_text(self) -> Result<Vec<u8>, StorageError> {
        self.value.into_text()
    }
}

pub fn values_of(found: Vec<Found>, commit: Option<Commit>) -> Outcome<Vec<Vec<u8>>> {
    let is_on_disk = found.iter().any(Found::is_on_disk);
    let read = move || found.into_iter().map(Found::into_text).collect::<Result<Vec<_>, _>>();
    if is_on_disk {
        return Outcome::Blocking(commit, Box::new(read));
    }
    match read() {
        Ok(answer) => Outcome::Ready(Pending { answer, commit }),
        Err(error) => Outcome::Blocking(commit, Box::new(move || Err(error))),
    }
}

/// What a read under the lock gave: a result, or a value to be read without it.
enum Got<R, F> {
    Rendered(R),
    OnDisk(EntryMeta, Kept, F),
}

pub(super) fn get<R: 'static>(
    project: &Arc<Project>,
    now_ms: u64,
    key: Key<'_>,
    when: When<'_>,
    render: impl FnOnce(Read<'_>) -> R + Send + 'static,
) -> Result<Outcome<R>, StorageError> {
    let Pending { answer, commit } = project.read(now_ms, |view| {
        let Some(entry) = view.get(key) else {
            return (Got::Rendered(render(Read::Absent)), view.revision());
        };
        let meta = entry.meta();
        let got = match entry.value() {
            _ if !when.holds(Some(meta.revision)) => Got::Rendered(render(Read::Refused(meta))),
            Value::Text(value) => Got::Rendered(render(Read::Found(Item { key: key.as_str(), meta, value }))),
            Value::Stored(_) => Got::OnDisk(meta, Kept::of(view, entry), render),
        };
        // An entry depends on its own change only, and waits for no other.
        (got, meta.revision)
    })?;
    Ok(match answer {
        Got::Rendered(answer) => Outcome::Ready(Pending { answer, commit }),
        Got::OnDisk(meta, kept, render) => {
            let key = key.as_str().to_owned();
            let run = move || {
                let value = kept.into_text()?;
                Ok(render(Read::Found(Item { key: &key, meta, value: &value })))
            };
            Outcome::Blocking(commit, Box::new(run))
        }
    })
}

pub(super) fn get_first(
    project: &Arc<Project>,
    now_ms: u64,
    keys: &[Key<'_>],
    bytes_max: usize,
) -> Result<Pending<Vec<Option<Found>>>, StorageError> {
    project.read(now_ms, |view| {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for key in keys.iter().take(ENTRIES_PER_LOCK_MAX) {
            if bytes >= bytes_max {
                break;
            }
            let entry = view.get(*key);
            bytes += entry.map_or(0, |entry| entry.value().length());
            found.push(entry.map(|entry| found_of(view, entry)));
        }
        let own = found.iter().map(|found| found.as_ref().map(|found| found.meta.revision));
        let revision = latest(own).unwrap_or(view.revision());
        (found, revision)
    })
}

fn found_in(view: &ReadTransaction<'_>, key: Key<'_>) -> Option<Found> {
    view.get(key).map(|entry| found_of(view, entry))
}

fn found_of(view: &ReadTransaction<'_>, entry: Entry<'_>) -> Found {
    Found { meta: entry.meta(), value: Kept::of(view, entry) }
}

/// The latest revision of keys that all exist: they depend on no other change. `None` if one is absent.
fn latest(revisions: impl Iterator<Item = Option<Revision>>) -> Option<Revision> {
    revisions.collect::<Option<Vec<Revision>>>()?.into_iter().max()
}

pub(super) fn write(
    project: &Arc<Project>,
    now_ms: u64,
    batch: &Batch<'_>,
) -> Result<Pending<Decided>, StorageError> {
    if batch.is_read_only() {
        return read_only(project, now_ms, batch, |_, steps| steps);
    }
    project.write(now_ms, |transaction| {
        let steps = transaction.view().decide(batch)?;
        transaction.apply_steps(batch, &steps);
        Ok(steps)
    })
}

pub(super) fn write_and_read(
    project: &Arc<Project>,
    now_ms: u64,
    batch: &Batch<'_>,
) -> Result<Pending<DecidedAndRead>, StorageError> {
    if batch.is_read_only() {
        return read_only(project, now_ms, batch, |view, steps| {
            let found = find(batch, &steps, |key| found_in(view, key));
            (steps, found)
        });
    }
    project.write(now_ms, |transaction| {
        let steps = transaction.view().decide(batch)?;
        let view = transaction.view();
        let found = find(batch, &steps, |key| found_in(&view, key));
        transaction.apply_steps(batch, &steps);
        Ok((steps, found))
    })
}

/// Decides a batch of reads. A project that takes no writes answers it, too.
fn read_only<T>(
    project: &Arc<Project>,
    now_ms: u64,
    batch: &Batch<'_>,
    then: impl FnOnce(&ReadTransaction<'_>, OneOrMany<Step>) -> T,
) -> Result<Pending<Result<T, Conflict>>, StorageError> {
    project.read(now_ms, |view| {
        let decided = view.decide(batch);
        let own = decided.iter().flat_map(|steps| steps.iter()).map(|step| match step {
            Step::Found(meta, _) => Some(meta.revision),
            Step::Skipped | Step::Absent | Step::Put { .. } | Step::Deleted(_) => None,
        });
        let revision = latest(own).unwrap_or(view.revision());
        (decided.map(|steps| then(view, steps)), revision)
    })
}

/// The values that the reads among `steps` find, before the changes of the batch are applied. `stored` looks up an
/// entry, whatever the engine.
pub(super) fn find(
    batch: &Batch<'_>,
    steps: &[Step],
    stored: impl Fn(Key<'_>) -> Option<Found>,
) -> Vec<Found> {
    let each = batch.ops.iter().zip(steps).filter_map(|(op, step)| match *step {
        Step::Found(_, Source::Entries) => stored(op.key),
        Step::Found(meta, Source::Op(index)) => {
            let value = batch.ops.get(index).and_then(|op| op.act.stored());
            value.map(|value| Found::of_text(meta, value.to_vec()))
        }
        Step::Skipped | Step::Absent | Step::Put { .. } | Step::Deleted(_) => None,
    });
    each.collect()
}

pub(super) fn clear(project: &Arc<Project>, now_ms: u64, prefix: &str) -> Result<Outcome<u64>, StorageError> {
    let Pending { answer, commit } =
        project.write(now_ms, |transaction| transaction.clear(prefix).ok_or(()))?;
    if let Ok(answer) = answer {
        return Ok(Outcome::Ready(Pending { answer, commit }));
    }
    // So many keys have just expired that counting the others takes a while.
    let (project, prefix) = (Arc::clone(project), prefix.to_owned());
    let run = move || {
        let Pending { answer, commit } = project.clear(&prefix)?;
        project.flush_and_confirm(commit.as_ref());
        commit.as_ref().and_then(Commit::failure).map_or(Ok(answer), Err)
    };
    Ok(Outcome::Blocking(commit, Box::new(run)))
}

pub(super) fn scan(
    project: &Arc<Project>,
    now_ms: u64,
    scan: &Scan<'_>,
    sink: &mut dyn FnMut(Item<'_>),
) -> Result<Pending<Scanned>, StorageError> {
    if scan.parts != Parts::Values || !project.reads_disk() {
        return project.read(now_ms, |view| {
            let look = |entry: Entry<'_>| match entry.value() {
                Value::Text(value) => sink(Item { key: entry.key(), meta: entry.meta(), value }),
                Value::Stored(_) => sink(Item { key: entry.key(), meta: entry.meta(), value: b"" }),
            };
            (scan_view(view, scan, look), view.revision())
        });
    }
    // A value in memory goes through the same list as those on disk: keys come in their order.
    let Pending { answer: (scanned, kept), commit } = project.read(now_ms, |view| {
        let mut kept: Vec<(String, Found)> = Vec::new();
        let look = |entry: Entry<'_>| kept.push((entry.key().to_owned(), found_of(view, entry)));
        let scanned = scan_view(view, scan, look);
        ((scanned, kept), view.revision())
    })?;
    for (key, Found { meta, value }) in kept {
        sink(Item { key: &key, meta, value: &value.into_text()? });
    }
    Ok(Pending { answer: scanned, commit })
}

/// Passes the entries of `scan` to `look`. Expired ones count for the bound of the critical section: there may be many.
fn scan_view<'v>(view: &ReadTransaction<'v>, scan: &Scan<'_>, mut look: impl FnMut(Entry<'_>)) -> Scanned {
    let (mut last, mut keys, mut bytes, mut end) = (None, 0, 0, ScanEnd::Exhausted);
    for (looked, entry) in view.stored_range(scan.prefix, scan.after).enumerate() {
        if looked == ENTRIES_PER_LOCK_MAX || bytes >= scan.bytes_max {
            end = ScanEnd::Paused;
            break;
        }
        if view.is_live(entry) {
            if scan.keys_max == Some(keys) {
                end = ScanEnd::Limit;
                break;
            }
            keys += 1;
            bytes += entry.key().len() + if scan.parts == Parts::Values { entry.value().length() } else { 0 };
            look(entry);
        }
        last = Some(entry);
    }
    let last = last.map(|entry| entry.key().to_owned());
    Scanned { last, end, continuation: Continuation::default() }
}

pub(super) fn is_healthy(project: &Project) -> bool {
    project.health() == Health::Healthy
}
