//! From the two files of a project back to its state.
//!
//! ```text
//! .json fits the journal's header ............ load both, replay the changes, cut a torn tail
//! .json fits the temporary journal's header .. a checkpoint was interrupted: rename, load
//! .json fits neither, journal has no changes . it was edited by hand: take it over
//! .json fits neither, journal has changes .... refuse; `pikv recover` decides
//! .json without a journal .................... dropped in or restored: take it over
//! journal without .json ...................... refuse
//! neither .................................... a new project: install an empty pair
//! ```
//! Nothing unreadable is ever replaced: an error names the file, the place and the way out.

use super::data_file::{self, DataLine};
use super::generation::{self, Paths};
use super::record::{self, HEADER_BYTES, Header, Line};
use super::sequential::{LineReader, RawLine};
use super::takeover;
use crate::disk::{Disk, DiskFile, Open, Stamp, temporary_path};
use crate::names::Key;
use crate::store::change::{Change, Location, Meta, Revision, Value};
use crate::store::entry::Entry;
use crate::store::namespace::Namespace;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File number of the values in the locations that recovery makes.
pub const JSON_FILE: u32 = 1;
/// File number of the journal in the locations that recovery makes.
pub const JOURNAL_FILE: u32 = 2;

/// Whether values are kept in memory, or only where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Values and index.
    Values,
    /// Only the index (`cache_in_memory: false`).
    Index,
}

/// A project as its files had it.
pub struct Recovered {
    /// Its keys.
    pub namespace: Namespace,
    /// The values' file.
    pub json: Arc<dyn DiskFile>,
    /// What that file was when it was read.
    pub json_stamp: Stamp,
    /// The journal, for appending at `journal_end`.
    pub journal: Arc<dyn DiskFile>,
    /// The journal's header.
    pub header: Header,
    /// Where the changes begin in the journal.
    pub changes_start: u64,
    /// Where the next change goes.
    pub journal_end: u64,
    /// Sentences for the log: what was repaired or taken over.
    pub notices: Vec<String>,
}

/// Why a project cannot be opened. Its files are as they were.
#[derive(Debug)]
pub enum RecoveryError {
    /// The operating system failed at this file.
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The journal is damaged where it was synced.
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// First byte of the bad line.
        offset: u64,
    },
    /// The values were edited while the journal has changes that are not in them.
    EditedWithChanges {
        /// The values' file.
        path: PathBuf,
        /// Changes in the journal.
        changes: u64,
    },
    /// The values were edited into something that is not their format.
    EditedBadly {
        /// The values' file.
        path: PathBuf,
        /// What is wrong, with line and column.
        problem: String,
    },
    /// There is nothing to decide: the values are the ones that the journal belongs to.
    NotEdited {
        /// The values' file.
        path: PathBuf,
    },
    /// There is a journal and no values.
    ValuesMissing {
        /// The values' file.
        path: PathBuf,
    },
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecoveryError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            RecoveryError::Corrupt { path, offset } => write!(
                f,
                "{}: damaged at byte {offset}, before data that was synced; restore this file and the .json \
                 beside it from a backup, or move this file away to go on with the .json alone",
                path.display()
            ),
            RecoveryError::EditedWithChanges { path, changes } => write!(
                f,
                "{}: was edited while its journal holds changes ({changes}) that are not in it; decide with \
                 `pikv recover PROJECT --journal replay` (put them on top of the edited file) or \
                 `--journal discard` (the edited file wins, the journal is kept aside)",
                path.display()
            ),
            RecoveryError::EditedBadly { path, problem } => {
                write!(f, "{}: {problem}; correct the file, it was left as it is", path.display())
            }
            RecoveryError::NotEdited { path } => write!(
                f,
                "{}: needs no decision, because it was not edited; nothing was changed",
                path.display()
            ),
            RecoveryError::ValuesMissing { path } => write!(
                f,
                "{}: is missing while its .journal is there; restore it, or move the .journal away to begin empty",
                path.display()
            ),
        }
    }
}

impl std::error::Error for RecoveryError {}

/// Ties an I/O error to its file.
pub fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RecoveryError + '_ {
    move |error| RecoveryError::Io { path: path.to_owned(), error }
}

/// Loads a project, after repairing what a crash left and taking over what its owner edited.
/// `now_ms` is where revisions begin in a project whose journal is not there.
///
/// # Errors
/// [`RecoveryError`]; the files are then as they were.
pub fn recover(disk: &dyn Disk, paths: &Paths, keep: Keep, now_ms: u64) -> Result<Recovered, RecoveryError> {
    let exists = |path: &Path| disk.exists(path).map_err(io_error(path));
    // A process that was killed may have left renames that are seen but not durable; what follows
    // rests on what it sees.
    disk.sync_directory(paths.directory()).map_err(io_error(paths.directory()))?;
    let mut notices = Vec::new();
    match (exists(&paths.json)?, exists(&paths.journal)?) {
        (false, false) => {
            let empty = Namespace::starting_at(Revision::new(now_ms).unwrap_or_default(), 0);
            generation::install(disk, paths, 1, &empty).map_err(io_error(&paths.json))?;
        }
        (false, true) => return Err(RecoveryError::ValuesMissing { path: paths.json.clone() }),
        (true, false) if finish_exchange(disk, paths)? => {}
        (true, false) => {
            takeover::without_journal(disk, paths, now_ms)?;
            notices.push(format!("{}: had no journal beside it; taken over", paths.json.display()));
        }
        (true, true) => {}
    }
    let mut recovered = match load(disk, paths, keep)? {
        Loaded::Fits(recovered) => *recovered,
        Loaded::Edited => {
            if !finish_exchange(disk, paths)? {
                takeover::edited(disk, paths, takeover::JournalChanges::Refuse, now_ms)?;
                notices.push(format!("{}: was edited by hand; taken over", paths.json.display()));
            }
            match load(disk, paths, keep)? {
                Loaded::Fits(recovered) => *recovered,
                Loaded::Edited => {
                    return Err(RecoveryError::Corrupt { path: paths.journal.clone(), offset: 0 });
                }
            }
        }
    };
    generation::remove_temporaries(disk, paths).map_err(io_error(&paths.journal))?;
    recovered.notices.splice(0..0, notices);
    Ok(recovered)
}

/// Whether the files of a project fit each other, so that a start needs nobody's decision.
///
/// # Errors
/// As the disk says; [`RecoveryError::ValuesMissing`], [`RecoveryError::Corrupt`].
pub fn is_in_order(disk: &dyn Disk, paths: &Paths) -> Result<bool, RecoveryError> {
    if !disk.exists(&paths.json).map_err(io_error(&paths.json))? {
        return Err(RecoveryError::ValuesMissing { path: paths.json.clone() });
    }
    let journal = disk.open(&paths.journal, Open::Read).map_err(io_error(&paths.journal))?;
    let header = read_header(journal.as_ref(), &paths.journal)?;
    Ok(fits(disk, &paths.json, &header)? || finish_exchange(disk, paths)?)
}

enum Loaded {
    Fits(Box<Recovered>),
    /// The values are not what the journal's header says.
    Edited,
}

/// Where a checkpoint was interrupted between its two renames, does the second one.
fn finish_exchange(disk: &dyn Disk, paths: &Paths) -> Result<bool, RecoveryError> {
    let temporary = temporary_path(&paths.journal);
    if !disk.exists(&temporary).map_err(io_error(&temporary))? {
        return Ok(false);
    }
    let journal = disk.open(&temporary, Open::Read).map_err(io_error(&temporary))?;
    let Ok(header) = read_header(journal.as_ref(), &temporary) else { return Ok(false) };
    if !fits(disk, &paths.json, &header)? || !has_metas(journal.as_ref(), &header, &temporary)? {
        return Ok(false);
    }
    disk.rename(&temporary, &paths.journal)
        .and_then(|()| disk.sync_directory(paths.directory()))
        .map_err(io_error(&paths.journal))?;
    Ok(true)
}

/// Whether the values' file is the one that `header` speaks of.
fn fits(disk: &dyn Disk, json: &Path, header: &Header) -> Result<bool, RecoveryError> {
    let file = disk.open(json, Open::Read).map_err(io_error(json))?;
    if file.length().map_err(io_error(json))? != header.json_bytes {
        return Ok(false);
    }
    let mut lines = LineReader::new(file.as_ref(), 0);
    while lines.next_line().map_err(io_error(json))?.is_some() {}
    Ok(lines.checksum() == header.json_crc32)
}

/// Whether all meta lines are there. A takeover that was interrupted before it synced its journal
/// may have left a header without them, and values that look like the edited ones.
fn has_metas(journal: &dyn DiskFile, header: &Header, path: &Path) -> Result<bool, RecoveryError> {
    let mut lines = LineReader::new(journal, HEADER_BYTES as u64);
    for _ in 0..header.keys {
        let line = lines.next_line().map_err(io_error(path))?.filter(|line| line.terminated);
        let Some(Line::Meta { .. }) = line.and_then(|line| record::decode_line(line.bytes)) else {
            return Ok(false);
        };
    }
    Ok(true)
}

/// Reads the header of a journal.
///
/// # Errors
/// [`RecoveryError::Corrupt`] where there is none.
pub fn read_header(journal: &dyn DiskFile, path: &Path) -> Result<Header, RecoveryError> {
    let mut lines = LineReader::new(journal, 0);
    let line = lines.next_line().map_err(io_error(path))?;
    match line.filter(|line| line.terminated && line.bytes.len() == HEADER_BYTES - 1) {
        Some(line) => match record::decode_line(line.bytes) {
            Some(Line::Header(header)) => Ok(header),
            Some(_) | None => Err(RecoveryError::Corrupt { path: path.to_owned(), offset: 0 }),
        },
        None => Err(RecoveryError::Corrupt { path: path.to_owned(), offset: 0 }),
    }
}

fn load(disk: &dyn Disk, paths: &Paths, keep: Keep) -> Result<Loaded, RecoveryError> {
    let json: Arc<dyn DiskFile> = disk.open(&paths.json, Open::Read).map_err(io_error(&paths.json))?.into();
    let journal: Arc<dyn DiskFile> =
        disk.open(&paths.journal, Open::Write).map_err(io_error(&paths.journal))?.into();
    let header = read_header(journal.as_ref(), &paths.journal)?;
    let json_stamp = json.stamp().map_err(io_error(&paths.json))?;
    if json_stamp.length != header.json_bytes {
        return Ok(Loaded::Edited);
    }
    let mut metas = LineReader::new(journal.as_ref(), HEADER_BYTES as u64);
    let entries = match load_entries(json.as_ref(), &mut metas, &header, keep, paths)? {
        Some(entries) => entries,
        None => return Ok(Loaded::Edited),
    };
    let mut namespace = Namespace::starting_at(header.revision, header.clock_ms).with_entries(entries);
    let changes_start = metas.offset();
    let tail = replay(&mut metas, &paths.journal, header.revision, |change, offset| {
        let change = match keep {
            Keep::Values => change,
            Keep::Index => stored_at(change, JOURNAL_FILE, offset),
        };
        namespace.apply(&change);
    })?;
    let mut notices = Vec::new();
    if tail.end < metas.offset() {
        journal.set_length(tail.end).map_err(io_error(&paths.journal))?;
    }
    // Also without a torn end: a process that was killed may have written without syncing, and
    // nothing is answered that a power cut could still undo.
    journal.sync().map_err(io_error(&paths.journal))?;
    if let Some(torn) = tail.torn_bytes {
        notices.push(format!(
            "{}: a torn end of {torn} bytes, never acknowledged, was cut off at byte {}",
            paths.journal.display(),
            tail.end
        ));
    }
    let journal_end = tail.end;
    Ok(Loaded::Fits(Box::new(Recovered {
        namespace,
        json,
        json_stamp,
        journal,
        header,
        changes_start,
        journal_end,
        notices,
    })))
}

/// Turns a put into one whose value lies in a file. The value's text was read from `offset`.
pub fn stored_at<'a>(change: Change<'a>, file: u32, offset: u64) -> Change<'a> {
    match change {
        Change::Put { key, value: Value::Text(text), meta } => {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            Change::Put { key, value: Value::Stored(Location { file, offset, length }), meta }
        }
        Change::Put { .. } | Change::Delete { .. } | Change::Clear { .. } | Change::Clock { .. } => change,
    }
}

/// Reads the values and, beside them, their meta lines. `None` where the values are not the ones
/// that were written with this journal.
fn load_entries(
    json: &dyn DiskFile,
    metas: &mut LineReader<'_>,
    header: &Header,
    keep: Keep,
    paths: &Paths,
) -> Result<Option<Vec<Entry>>, RecoveryError> {
    let mut lines = LineReader::new(json, 0);
    let mut entries = Vec::new();
    while let Some(line) = lines.next_line().map_err(io_error(&paths.json))? {
        match data_file::decode_line(line.bytes) {
            Some(DataLine::Opening | DataLine::Closing) => {}
            Some(DataLine::Entry { key, value_start, value }) => {
                let Ok(key) = Key::parse_stored(&key) else { return Ok(None) };
                if entries.len() as u64 == header.keys {
                    return Ok(None);
                }
                let Some(meta) = next_meta(metas, key, &paths.journal)? else { return Ok(None) };
                let offset = line.offset + value_start as u64;
                let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
                let value = match keep {
                    Keep::Values => Value::Text(value),
                    Keep::Index => Value::Stored(Location { file: JSON_FILE, offset, length }),
                };
                entries.push(Entry::new(key, value, &meta));
            }
            None => return Ok(None),
        }
    }
    let complete = entries.len() as u64 == header.keys && lines.checksum() == header.json_crc32;
    Ok(complete.then_some(entries))
}

/// The next meta line, which must be that of `key`: the file pair was written so. A line of
/// another key means that the values were edited; a damaged one is corruption.
fn next_meta(metas: &mut LineReader<'_>, key: Key<'_>, path: &Path) -> Result<Option<Meta>, RecoveryError> {
    let offset = metas.offset();
    let corrupt = || RecoveryError::Corrupt { path: path.to_owned(), offset };
    let line = metas.next_line().map_err(io_error(path))?;
    let line = line.filter(|line| line.terminated).ok_or_else(corrupt)?;
    match record::decode_line(line.bytes) {
        Some(Line::Meta { key: found, meta }) => Ok((*found == *key.as_str()).then_some(meta)),
        Some(Line::Synced(_) | Line::Changes(_) | Line::Header(_)) => Ok(None),
        None => Err(corrupt()),
    }
}

/// How the changes of a journal end.
#[derive(Debug)]
pub struct Tail {
    /// Where the next change goes.
    pub end: u64,
    /// The latest revision before it.
    pub revision: Revision,
    /// Bytes behind it that no synced write left, where there are any; without the reserve.
    pub torn_bytes: Option<u64>,
}

/// Reads the changes of a journal in order, giving each with the file offset of its value.
/// `revision` is the latest one before them.
///
/// # Errors
/// [`RecoveryError::Corrupt`] for a bad line with a later line behind it that says it was synced.
pub fn replay(
    lines: &mut LineReader<'_>,
    path: &Path,
    mut revision: Revision,
    mut apply: impl FnMut(Change<'_>, u64),
) -> Result<Tail, RecoveryError> {
    loop {
        let end = lines.offset();
        let Some(line) = lines.next_line().map_err(io_error(path))? else {
            return Ok(Tail { end, revision, torn_bytes: None });
        };
        if !line.terminated && without_reserve(line.bytes).is_empty() {
            return Ok(Tail { end, revision, torn_bytes: None });
        }
        let decoded = record::decode_line(line.bytes).filter(|_| line.terminated);
        match decoded {
            Some(Line::Changes(changes)) => {
                for recorded in &changes {
                    let corrupt = || RecoveryError::Corrupt { path: path.to_owned(), offset: end };
                    let change = recorded.change().ok_or_else(corrupt)?;
                    revision = revision.max(change.revision());
                    let in_line = record::offset_within(line.bytes, recorded.value());
                    apply(change, end + in_line);
                }
            }
            Some(Line::Synced(_)) => {}
            Some(Line::Header(_) | Line::Meta { .. }) | None => {
                let (synced, reserve) = (record::synced_at_end(line.bytes), reserve_of(&line));
                let torn = torn_tail(lines, path, end, revision, (synced, reserve))?;
                return Ok(Tail { end, revision, torn_bytes: Some(torn) });
            }
        }
    }
}

/// Reads on behind a bad line, which says itself that `synced` was synced where it is two that ran
/// together. Returns how many bytes are torn; where it is said that changes after `revision` had been
/// synced it is corruption.
fn torn_tail(
    lines: &mut LineReader<'_>,
    path: &Path,
    bad_offset: u64,
    revision: Revision,
    (mut synced, mut reserve): (Option<Revision>, u64),
) -> Result<u64, RecoveryError> {
    while let Some(line) = lines.next_line().map_err(io_error(path))? {
        synced = synced.max(record::synced_at_end(line.bytes));
        reserve = reserve_of(&line);
    }
    if synced.is_some_and(|synced| synced > revision) {
        return Err(RecoveryError::Corrupt { path: path.to_owned(), offset: bad_offset });
    }
    Ok(lines.offset() - bad_offset - reserve)
}

/// How much of a last line is the reserve that a journal is filled with ahead of its end.
fn reserve_of(line: &RawLine<'_>) -> u64 {
    let text = if line.terminated { line.bytes } else { without_reserve(line.bytes) };
    (line.bytes.len() - text.len()) as u64
}

fn without_reserve(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or_default()
}
