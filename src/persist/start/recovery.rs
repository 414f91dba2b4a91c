//! Recovers the state of a project from its two files.
//!
//! ```text
//! .json fits the journal's header ............ load both, replay the changes, cut a torn tail
//! .json fits the temporary journal's header .. a checkpoint was interrupted: rename, load
//! .json fits neither, journal has no changes . it was edited by hand: import it
//! .json fits neither, journal has changes .... refuse; `pikv recover` decides
//! .json without a journal .................... dropped in or restored: import it
//! journal without .json ...................... refuse
//! neither .................................... a new project: install an empty pair
//! ```
//! Nothing unreadable is ever replaced: an error names the file, the offset and the fix.

use super::consistency::{complete_interrupted_checkpoint, read_header};
use super::import;
use super::recovery_error::{FileProblem, RecoveryError, io_error};
use super::renewal::{self, RenewedJournal};
use super::replay::{next_meta, replay};
use crate::disk::{Disk, DiskFile, Open};
use crate::names::Key;
use crate::persist::files::data_file::{self, DataLine};
use crate::persist::files::generation::{self, GenerationWriter, JournalFile, Pair, Paths};
use crate::persist::files::header::{Header, Lineage};
use crate::persist::files::line_copy::Lines;
use crate::persist::files::locations::{LocatedValue, push_locations};
use crate::persist::files::sequential::LineReader;
use crate::persist::files::value_reader::{JOURNAL_FILE, JSON_FILE, location_of};
use crate::store::change::{Change, Revision, Value};
use crate::store::entry::{self, Entries, Entry};
use crate::store::index::Index;
use crate::store::key_map::KeyMap;
use crate::store::run::Packed;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The source of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueCache {
    /// Memory, which has all of them.
    Memory,
    /// Their files (`cache_in_memory: false`). Memory has the index, and the values that are not written yet.
    Disk,
}

pub(crate) struct Recovered {
    pub key_map: KeyMap,
    pub pair: Pair,
    /// Whether the changes in the journal may not be on the disk, because the disk is full.
    pub is_unsure: bool,
    /// Whether there were no files, so that it begins empty.
    pub is_new: bool,
    /// What was repaired or imported, for the log.
    pub notices: Vec<String>,
}

/// Loads a project, after repairing what a crash left and importing what the operator edited. Revisions begin after
/// `begin` in a project without a journal.
///
/// # Errors
/// [`RecoveryError`]; the files are then as they were.
pub(crate) fn recover(
    disk: &dyn Disk,
    paths: &Paths,
    cache: ValueCache,
    begin: Revision,
    now_ms: u64,
) -> Result<Recovered, RecoveryError> {
    let exists = |path: &Path| disk.exists(path).map_err(io_error(path));
    // A killed process may have left renames that are visible but not durable, and what follows depends on
    // the names.
    disk.sync_directory(paths.directory()).map_err(io_error(paths.directory()))?;
    let mut notices = Vec::new();
    let found = (exists(&paths.json)?, exists(&paths.journal)?);
    match found {
        (false, false) => {
            install_empty(disk, paths, begin).map_err(io_error(&paths.json))?;
        }
        (false, true) => return Err(FileProblem::ValuesMissing.of(&paths.json)),
        (true, false) if complete_interrupted_checkpoint(disk, paths)? => {}
        (true, false) => {
            import::without_journal(disk, paths, begin, now_ms)?;
            notices.push(format!(
                "{}: had no journal beside it, so it was imported as of its last checkpoint. Later changes and times \
                 to live were only in the journal: keys that had one stay until they are deleted",
                paths.json.display()
            ));
        }
        (true, true) => {}
    }
    let mut recovered = match load(disk, paths, cache)? {
        Some(recovered) => recovered,
        None => {
            if !complete_interrupted_checkpoint(disk, paths)? {
                import::edited(disk, paths, import::JournalChanges::Refuse, begin, now_ms)?;
                notices.push(format!(
                    "{}: is not the file that its journal belongs to, so it was imported as an edit by hand",
                    paths.json.display()
                ));
            }
            let corrupt = || FileProblem::Corrupt { offset: 0 }.of(&paths.journal);
            load(disk, paths, cache)?.ok_or_else(corrupt)?
        }
    };
    for path in generation::temporaries(paths) {
        generation::remove_if_exists(disk, &path).map_err(io_error(&path))?;
    }
    recovered.notices.splice(0..0, notices);
    recovered.is_new = found == (false, false);
    Ok(recovered)
}

fn install_empty(disk: &dyn Disk, paths: &Paths, begin: Revision) -> io::Result<()> {
    let written = GenerationWriter::create(disk, paths, Lineage::first())
        .and_then(|writer| writer.finish(begin, 0))
        .inspect_err(|_| {
            let _ = generation::remove_temporaries(disk, paths); // the first error is the one to tell
        })?;
    written.install(disk, paths)
}

/// `None` if the data file is not the one that the journal belongs to.
fn load(disk: &dyn Disk, paths: &Paths, cache: ValueCache) -> Result<Option<Recovered>, RecoveryError> {
    let json: Arc<dyn DiskFile> = disk.open(&paths.json, Open::Read).map_err(io_error(&paths.json))?.into();
    let journal: Arc<dyn DiskFile> =
        disk.open(&paths.journal, Open::Write).map_err(io_error(&paths.journal))?.into();
    let header = read_header(journal.as_ref(), &paths.journal)?;
    let json_stamp = json.stamp().map_err(io_error(&paths.json))?;
    if json_stamp.length != header.json_bytes {
        return Ok(None);
    }
    let mut metas = LineReader::new(journal.as_ref(), header.bytes());
    let Some(entries) = load_entries(json.as_ref(), &mut metas, &header, cache, paths)? else {
        return Ok(None);
    };
    let mut key_map = KeyMap::starting_at(header.revision, header.expired_until_ms).with_entries(entries);
    let changes_start = metas.offset();
    let tail = replay(&mut metas, &paths.journal, header.seed, header.revision, |change, offset| {
        let change = match cache {
            ValueCache::Memory => change,
            ValueCache::Disk => stored_at(change, JOURNAL_FILE, offset),
        };
        key_map.apply_for_good(&change);
    })?;
    let mut notices = Vec::new();
    if let Some(torn) = tail.torn_bytes {
        notices.push(format!(
            "{}: a torn end of {torn} bytes, never acknowledged, was cut off at byte {}",
            paths.journal.display(),
            tail.end
        ));
    }
    let length = metas.offset();
    let read = JournalFile { file: Arc::clone(&journal), header, changes_start, end: tail.end };
    let RenewedJournal { journal, is_unsure, notice } = renewal::renew(disk, paths, read, length)?;
    notices.extend(notice);
    if cache == ValueCache::Disk && changes_start != journal.changes_start {
        relocate(&mut key_map, &journal.changes()).map_err(io_error(&paths.journal))?;
    }
    let pair = Pair { json, json_stamp, journal };
    Ok(Some(Recovered { key_map, pair, is_unsure, is_new: false, notices }))
}

/// Moves the values of `changes` to their offsets in a journal that was written again with a longer header.
fn relocate(key_map: &mut KeyMap, changes: &Lines<'_>) -> io::Result<()> {
    let (mut lines, mut located) = (LineReader::new(changes.file, changes.start), Vec::new());
    while let Some(line) = lines.next_line()?.filter(|line| line.offset < changes.end) {
        push_locations(line.bytes, changes.seed, (JOURNAL_FILE, line.offset), &mut located)?;
        for LocatedValue { key, revision, location } in located.drain(..) {
            if let Ok(key) = Key::parse_stored(&key) {
                key_map.relocate(key, revision, Value::Stored(location));
            }
        }
    }
    Ok(())
}

/// Replaces the text of a put, which was read from `offset`, by its location.
fn stored_at<'a>(change: Change<'a>, file: u32, offset: u64) -> Change<'a> {
    match change {
        Change::Put { key, value: Value::Text(text), meta } => {
            Change::Put { key, value: Value::Stored(location_of(file, offset, text)), meta }
        }
        Change::Put { .. } | Change::Delete { .. } | Change::Clear { .. } | Change::ExpireUntil { .. } => {
            change
        }
    }
}

/// Reads the values together with their meta lines. `None` if the values are not those that were written with this
/// journal.
fn load_entries(
    json: &dyn DiskFile,
    metas: &mut LineReader<'_>,
    header: &Header,
    cache: ValueCache,
    paths: &Paths,
) -> Result<Option<Index<Entries>>, RecoveryError> {
    let mut lines = LineReader::new(json, 0);
    let (mut entries, mut packed) = (Index::<Entries>::default(), Vec::new());
    loop {
        let line = match lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            // A line that is too long: an editor may join all lines.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
            Err(error) => return Err(io_error(&paths.json)(error)),
        };
        match data_file::decode_line(line.bytes) {
            Some(DataLine::Opening | DataLine::Closing) => {}
            Some(DataLine::Entry { key, value_start, value }) => {
                let Ok(key) = Key::parse_stored(&key) else { return Ok(None) };
                if entries.sums().keys == header.keys {
                    return Ok(None);
                }
                // The line of another key means that the values were edited.
                let found = next_meta(metas, header.seed, &paths.journal)?;
                let Some((_, meta)) = found.filter(|(found, _)| *found == *key.as_str()) else {
                    return Ok(None);
                };
                let offset = line.offset + value_start as u64;
                let value = match cache {
                    ValueCache::Memory => Value::Text(value),
                    ValueCache::Disk => Value::Stored(location_of(JSON_FILE, offset, value)),
                };
                packed.clear();
                entry::pack(key, value, &meta, &mut packed);
                entries.push(Entry::of(&packed));
            }
            None => return Ok(None),
        }
    }
    let complete = entries.sums().keys == header.keys && lines.checksum() == header.json_crc32;
    Ok(complete.then_some(entries))
}
