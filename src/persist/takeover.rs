//! Takes over a data file that its owner edited or brought along.
//!
//! Every key gets a revision that was never used, so that no ETag from before fits a value that
//! may have changed; keys that were there keep their creation time and their expiry.

use super::aside::{self, Aside};
use super::data_file::{self, EditedKeys};
use super::generation::{self, Paths};
use super::header::Lineage;
use super::pairing;
use super::record::{self, Line};
use super::recovery_error::{RecoveryError, bad_line, io_error};
use super::replay::replay;
use super::sequential::LineReader;
use crate::disk::{self, Disk, Open};
use crate::names::Key;
use crate::store::change::{Change, Meta, Revision, Value};
use crate::store::namespace::Namespace;
use std::collections::BTreeMap;

/// What to do with changes that the journal of an edited file still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalChanges {
    /// Stop with [`RecoveryError::EditedWithChanges`].
    Refuse,
    /// Put them on top of the edited file.
    Replay,
    /// Leave them out; the journal is kept beside the new one.
    Discard,
}

/// Takes over the values of a project that has no journal.
///
/// # Errors
/// [`RecoveryError`]; the file is then as it was.
pub fn without_journal(disk: &dyn Disk, paths: &Paths, now_ms: u64) -> Result<(), RecoveryError> {
    let (keys, json_crc32) = load_edited(disk, paths)?;
    let begin = Revision::at_clock(now_ms);
    let namespace =
        renumbered(&base(&keys, &BTreeMap::new(), Namespace::starting_at(begin, 0), now_ms), begin);
    let lineage = Lineage::first().replacing(json_crc32);
    generation::install(disk, paths, lineage, &namespace).map_err(io_error(&paths.json))
}

/// Takes over edited values whose journal knows their times.
///
/// # Errors
/// [`RecoveryError`]; the files are then as they were.
pub fn edited(
    disk: &dyn Disk,
    paths: &Paths,
    choice: JournalChanges,
    now_ms: u64,
) -> Result<(), RecoveryError> {
    if choice != JournalChanges::Refuse && pairing::is_in_order(disk, paths)? {
        return Err(RecoveryError::NotEdited { path: paths.json.clone() });
    }
    let journal = disk.open(&paths.journal, Open::Read).map_err(io_error(&paths.journal))?;
    let header = pairing::read_header(journal.as_ref(), &paths.journal)?;
    let (keys, json_crc32) = load_edited(disk, paths)?;
    let age = header.before.iter().position(|&crc32| crc32 == json_crc32);
    if let (JournalChanges::Refuse, Some(newer)) = (choice, age) {
        return Err(RecoveryError::MixedPair { path: paths.json.clone(), checkpoints: newer + 1 });
    }
    let mut lines = LineReader::new(journal.as_ref(), header.bytes());
    let mut metas = BTreeMap::new();
    for _ in 0..header.keys {
        let offset = lines.offset();
        let corrupt = || RecoveryError::Corrupt { path: paths.journal.clone(), offset };
        let line = lines.next_line().map_err(io_error(&paths.journal))?;
        let line = line.filter(|line| line.terminated).ok_or_else(corrupt)?;
        let Some(Line::Meta { key, meta }) = record::decode_line(line.bytes, header.seed) else {
            return Err(bad_line(line.bytes, header.seed, &paths.journal, offset));
        };
        metas.insert(key.into_owned(), meta);
    }
    let empty = Namespace::starting_at(header.revision, header.clock_ms);
    let mut namespace = base(&keys, &metas, empty, now_ms);
    let mut changes = 0;
    let tail = replay(&mut lines, &paths.journal, header.seed, header.revision, |change, _| match change {
        Change::Clock { .. } => namespace.apply_for_good(&change),
        Change::Put { .. } | Change::Delete { .. } | Change::Clear { .. } => {
            changes += 1;
            if choice == JournalChanges::Replay {
                namespace.apply_for_good(&change);
            }
        }
    })?;
    match choice {
        JournalChanges::Refuse if changes > 0 => {
            return Err(RecoveryError::EditedWithChanges { path: paths.json.clone(), changes });
        }
        JournalChanges::Discard => {
            aside::keep(disk, paths, Aside::Discarded, header.generation)
                .map_err(io_error(&paths.journal))?;
        }
        JournalChanges::Refuse | JournalChanges::Replay => {}
    }
    // Revisions may have been given out that the journal has lost.
    let namespace = renumbered(&namespace, tail.revision.max(Revision::at_clock(now_ms)));
    // A copy of the directory may have the edited file as well as the one before it.
    let lineage = header.successor().replacing(json_crc32);
    generation::install(disk, paths, lineage, &namespace).map_err(io_error(&paths.json))
}

/// The edited keys, and the checksum of the file that has them.
fn load_edited(disk: &dyn Disk, paths: &Paths) -> Result<(EditedKeys, u32), RecoveryError> {
    let text = disk::load(disk, &paths.json, u64::MAX).map_err(io_error(&paths.json))?;
    let keys = data_file::parse_edited(&text)
        .map_err(|problem| RecoveryError::EditedBadly { path: paths.json.clone(), problem })?;
    Ok((keys, crc32fast::hash(&text)))
}

/// The edited keys with the times that are known of them, put into `namespace`.
fn base(
    keys: &EditedKeys,
    metas: &BTreeMap<String, Meta>,
    mut namespace: Namespace,
    now_ms: u64,
) -> Namespace {
    let revision = namespace.revision();
    let new = Meta { revision, created_ms: now_ms, updated_ms: now_ms, expires_ms: None };
    for (name, value) in keys {
        let Ok(key) = Key::parse_stored(name) else { continue }; // checked when the file was parsed
        let meta = metas.get(name).copied().unwrap_or(new);
        namespace.apply_for_good(&Change::Put { key, value: Value::Text(value), meta });
    }
    namespace
}

/// The same keys and times with revisions after `revision`.
fn renumbered(namespace: &Namespace, revision: Revision) -> Namespace {
    let clock_ms = namespace.clock_ms();
    let mut fresh = Namespace::starting_at(revision, clock_ms);
    for entry in namespace.range("", None, 0) {
        let Ok(key) = Key::parse_stored(entry.key()) else { continue }; // keys of a namespace are keys
        let next = fresh.revision().advanced(1).unwrap_or(Revision::MAX);
        let meta = Meta { revision: next, ..entry.meta() };
        fresh.apply_for_good(&Change::Put { key, value: entry.value(), meta });
    }
    fresh
}
