//! Imports a data file that was edited or supplied by the operator.
//!
//! Every key gets a new revision, because its value may have changed: no earlier ETag may match. Keys that existed keep
//! their creation time and their expiry.

use super::consistency;
use super::edited_file::{EditedFile, EditedFileError, EditedKeys};
use super::recovery_error::{FileProblem, RecoveryError, io_error};
use super::replay::{next_meta, replay};
use crate::disk::{Disk, DiskFile, Open, Stamp};
use crate::names::Key;
use crate::persist::files::generation::{self, GenerationWriter, Pair, Paths};
use crate::persist::files::header::Lineage;
use crate::persist::files::preserved_copies::{self, PreservedCopy};
use crate::persist::files::sequential::{LineReader, checksum_of};
use crate::store::change::{Change, EntryMeta, Revision, Value};
use crate::store::entry::{self, Entries, Entry};
use crate::store::index::Index;
use crate::store::key_map::KeyMap;
use crate::store::run::Packed;

/// What to do with the changes in the journal of an edited file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalChanges {
    /// Stop with [`FileProblem::EditedWithChanges`].
    Refuse,
    /// Apply them to the edited file.
    Replay,
    /// Discard them, and keep a copy of the journal.
    Discard,
}

/// Imports the values of a project that has no journal. Revisions begin after `begin`.
///
/// # Errors
/// [`RecoveryError`]; the file is then as it was.
pub fn without_journal(
    disk: &dyn Disk,
    paths: &Paths,
    begin: Revision,
    now_ms: u64,
) -> Result<(), RecoveryError> {
    let (edited, keys) = Edited::open(disk, paths)?;
    let key_map = base(&keys, &Index::default(), KeyMap::starting_at(begin, 0), now_ms);
    let lineage = Lineage::first().replacing(edited.crc32);
    edited.install(disk, paths, lineage, &renumbered(&key_map, begin))
}

/// Imports edited values with the times in their journal. Revisions begin after `begin` and after those in the
/// journal.
///
/// # Errors
/// [`RecoveryError`]; the files are then as they were.
pub fn edited(
    disk: &dyn Disk,
    paths: &Paths,
    choice: JournalChanges,
    begin: Revision,
    now_ms: u64,
) -> Result<(), RecoveryError> {
    if choice != JournalChanges::Refuse && consistency::is_consistent(disk, paths)? {
        return Err(FileProblem::NotEdited.of(&paths.json));
    }
    let journal = disk.open(&paths.journal, Open::Read).map_err(io_error(&paths.journal))?;
    let header = consistency::read_header(journal.as_ref(), &paths.journal)?;
    let (edited, keys) = Edited::open(disk, paths)?;
    let age = header.before.iter().position(|&crc32| crc32 == edited.crc32);
    if let (JournalChanges::Refuse, Some(newer)) = (choice, age) {
        return Err(FileProblem::MixedPair { checkpoints: newer + 1 }.of(&paths.json));
    }
    let mut lines = LineReader::new(journal.as_ref(), header.bytes());
    let (mut metas, mut packed) = (Index::default(), Vec::new());
    for _ in 0..header.keys {
        let offset = lines.offset();
        let corrupt = || FileProblem::Corrupt { offset }.of(&paths.journal);
        let (key, meta) = next_meta(&mut lines, header.seed, &paths.journal)?.ok_or_else(corrupt)?;
        let key = Key::parse_stored(&key).map_err(|_| corrupt())?;
        packed.clear();
        entry::pack(key, Value::Text(b""), &meta, &mut packed);
        metas.push(Entry::of(&packed));
    }
    let empty = KeyMap::starting_at(header.revision, header.expired_until_ms);
    let mut key_map = base(&keys, &metas, empty, now_ms);
    let mut changes = 0;
    let tail = replay(&mut lines, &paths.journal, header.seed, header.revision, |change, _| match change {
        Change::ExpireUntil { .. } => key_map.apply_for_good(&change),
        Change::Put { .. } | Change::Delete { .. } | Change::Clear { .. } => {
            changes += 1;
            if choice == JournalChanges::Replay {
                key_map.apply_for_good(&change);
            }
        }
    })?;
    match choice {
        JournalChanges::Refuse if changes > 0 => {
            return Err(FileProblem::EditedWithChanges { changes }.of(&paths.json));
        }
        JournalChanges::Discard => {
            preserved_copies::preserve(disk, paths, PreservedCopy::Discarded, header.generation)
                .map_err(io_error(&paths.journal))?;
        }
        JournalChanges::Refuse | JournalChanges::Replay => {}
    }
    // Revisions may have been assigned that the journal has lost.
    let key_map = renumbered(&key_map, tail.revision.max(begin));
    // A copy of the directory may have the edited file as well as the one before it.
    let lineage = header.successor().replacing(edited.crc32);
    edited.install(disk, paths, lineage, &key_map)
}

/// A data file whose keys and values were all checked.
struct Edited {
    file: Box<dyn DiskFile>,
    stamp: Stamp,
    crc32: u32,
}

impl Edited {
    fn open(disk: &dyn Disk, paths: &Paths) -> Result<(Edited, EditedKeys), RecoveryError> {
        let file = disk.open(&paths.json, Open::Read).map_err(io_error(&paths.json))?;
        let stamp = file.stamp().map_err(io_error(&paths.json))?;
        let keys = EditedFile::new(file.as_ref(), paths.key_rule).read_keys().map_err(of_file(paths))?;
        let crc32 = checksum_of(file.as_ref()).map_err(io_error(&paths.json))?;
        Ok((Edited { file, stamp, crc32 }, keys))
    }

    /// Puts a new pair of files with `key_map` in place of the edited file, which has its stored values.
    fn install(
        &self,
        disk: &dyn Disk,
        paths: &Paths,
        lineage: Lineage,
        key_map: &KeyMap,
    ) -> Result<(), RecoveryError> {
        let written = self.write(disk, paths, lineage, key_map).inspect_err(|_| {
            let _ = generation::remove_temporaries(disk, paths); // the first error is the one to tell
        })?;
        written.install(disk, paths).map_err(io_error(&paths.json))
    }

    fn write(
        &self,
        disk: &dyn Disk,
        paths: &Paths,
        lineage: Lineage,
        key_map: &KeyMap,
    ) -> Result<Pair, RecoveryError> {
        let mut writer = GenerationWriter::create(disk, paths, lineage).map_err(io_error(&paths.json))?;
        let mut values = EditedFile::new(self.file.as_ref(), paths.key_rule);
        let mut text = Vec::new();
        for entry in key_map.range("", None, 0) {
            match entry.value() {
                Value::Text(text) => writer.encode(entry.key(), text, &entry.meta()),
                Value::Stored(location) => {
                    values.read_value(location, &mut text).map_err(of_file(paths))?;
                    writer.encode(entry.key(), &text, &entry.meta());
                }
            }
            writer.flush_if_full().map_err(io_error(&paths.json))?;
        }
        if self.file.stamp().map_err(io_error(&paths.json))? != self.stamp {
            return Err(of_file(paths)(EditedFileError::changed()));
        }
        let written = writer.finish(key_map.revision(), key_map.expired_until_ms());
        written.map_err(io_error(&paths.json))
    }
}

fn of_file(paths: &Paths) -> impl FnOnce(EditedFileError) -> RecoveryError + '_ {
    |error| match error {
        EditedFileError::Io(error) => io_error(&paths.json)(error),
        EditedFileError::Invalid(problem) => FileProblem::EditedBadly(problem).of(&paths.json),
    }
}

/// The edited keys with the times that are known of them, put into `key_map`.
fn base(keys: &EditedKeys, metas: &Index<Entries>, mut key_map: KeyMap, now_ms: u64) -> KeyMap {
    let revision = key_map.revision();
    let new = EntryMeta { revision, created_ms: now_ms, updated_ms: now_ms, expires_ms: None };
    for (name, location) in keys.iter() {
        let Ok(key) = Key::parse_stored(name) else { continue }; // checked when the file was read
        let meta = metas.get(name.as_bytes()).map_or(new, Entry::meta);
        key_map.apply_for_good(&Change::Put { key, value: Value::Stored(location), meta });
    }
    key_map
}

/// The same keys and times, with revisions after `revision`.
fn renumbered(key_map: &KeyMap, revision: Revision) -> KeyMap {
    let expired_until_ms = key_map.expired_until_ms();
    let mut fresh = KeyMap::starting_at(revision, expired_until_ms);
    for entry in key_map.range("", None, 0) {
        let Ok(key) = Key::parse_stored(entry.key()) else { continue }; // keys of a key map are keys
        let next = fresh.revision().advanced(1).unwrap_or(Revision::MAX);
        let meta = EntryMeta { revision: next, ..entry.meta() };
        fresh.apply_for_good(&Change::Put { key, value: entry.value(), meta });
    }
    fresh
}
