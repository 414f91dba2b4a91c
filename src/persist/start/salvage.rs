//! Writes what is still readable of a damaged project to one JSON file.
//!
//! That is the values, and after them each change of the journal whose line is intact, before and after the
//! damage. The files of the project are not changed. A journal of a later version is refused.
//!
//! If the header is damaged, the seed is the one for which most lines have the right checksum.

use super::edited_file::EditedFile;
use super::recovery_error::{FileProblem, RecoveryError, io_error};
use crate::disk::{self, Disk, DiskFile, Open};
use crate::json;
use crate::limits::{DAMAGES_LISTED_MAX, VALUE_DEPTH_MAX};
use crate::names::{Key, KeyRule};
use crate::persist::files::data_file::{self, DataFileWriter, DataLine};
use crate::persist::files::generation::Paths;
use crate::persist::files::header::{self, Header};
use crate::persist::files::preserved_copies::{self, PreservedCopy};
use crate::persist::files::record::{self, Line};
use crate::persist::files::seed::Seed;
use crate::persist::files::sequential::{LineReader, RawLine, checksum_of};
use crate::store::change::{Change, EntryMeta, Revision, Value};
use crate::store::key_map::KeyMap;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Salvage {
    pub path: PathBuf,
    pub keys: u64,
    /// Keys in it that had a time to live. A data file has no times, so they no longer expire.
    pub keys_with_expiry: u64,
    /// What could not be read: the first [`DAMAGES_LISTED_MAX`] parts.
    pub damages: Vec<Damage>,
    /// The number of all such parts.
    pub damages_count: usize,
}

/// An unusable part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    /// Offset of its first byte.
    pub start: u64,
    /// Offset after its last byte.
    pub end: u64,
    pub problem: Problem,
}

/// What is wrong with a part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    Missing,
    /// One line or more, with a wrong checksum or without an end.
    Lines,
    Header,
    /// The file is readable, but it is not the one that the journal belongs to.
    OtherContent,
}

/// Writes what is readable of a project to `ID.json.salvaged-N` beside its files; N is `now_ms`. Keys that have
/// expired at `now_ms` are left out.
///
/// # Errors
/// [`FileProblem::LaterVersion`]; [`FileProblem::ValuesMissing`] if neither file exists; as the disk
/// returns them.
pub fn salvage(disk: &dyn Disk, paths: &Paths, now_ms: u64) -> Result<Salvage, RecoveryError> {
    let mut damages = Damages::default();
    let journal = Journal::open(disk, &paths.journal, &mut damages)?;
    let mut key_map = KeyMap::starting_at(Revision::default(), 0);
    let metas = journal.as_ref().map_or_else(|| Ok(BTreeMap::new()), Journal::metas)?;
    let header = journal.as_ref().and_then(|journal| journal.header.as_ref());
    let found = values(disk, &paths.json, header, &mut damages)?;
    if found.is_none() && journal.is_none() {
        return Err(FileProblem::ValuesMissing.of(&paths.json));
    }
    for (name, value) in found.iter().flatten() {
        let Ok(key) = Key::parse_stored(name) else { continue }; // `values` returns only valid keys
        let unknown = EntryMeta {
            revision: Revision::default(),
            created_ms: now_ms,
            updated_ms: now_ms,
            expires_ms: None,
        };
        let meta = metas.get(name).copied().unwrap_or(unknown);
        key_map.apply_for_good(&Change::Put { key, value: Value::Text(value), meta });
    }
    if let Some(journal) = &journal {
        journal.apply_changes(&mut key_map, &mut damages)?;
    }
    let path = preserved_copies::path_of_copy(paths, PreservedCopy::Salvaged, now_ms);
    write(disk, &path, &key_map, now_ms).map_err(io_error(&path))?;
    let keys_with_expiry = key_map.range("", None, now_ms).filter(|entry| entry.expires_ms().is_some());
    Ok(Salvage {
        keys: key_map.totals(now_ms).keys,
        keys_with_expiry: keys_with_expiry.count() as u64,
        path,
        damages_count: damages.count,
        damages: damages.listed,
    })
}

#[derive(Default)]
struct Damages {
    listed: Vec<Damage>,
    count: usize,
}

impl Damages {
    /// Adds a damage, or extends the last one if this one follows it directly.
    fn add(&mut self, path: &Path, (start, end): (u64, u64), problem: Problem) {
        if let Some(last) = self.listed.last_mut()
            && (last.path == path && last.problem == problem && last.end == start)
        {
            last.end = end;
            return;
        }
        self.count += 1;
        if self.listed.len() < DAMAGES_LISTED_MAX {
            self.listed.push(Damage { path: path.to_owned(), start, end, problem });
        }
    }
}

/// The keys and values of the data file. `None` if the file does not exist.
fn values(
    disk: &dyn Disk,
    path: &Path,
    header: Option<&Header>,
    damages: &mut Damages,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, RecoveryError> {
    if !disk.exists(path).map_err(io_error(path))? {
        damages.add(path, (0, 0), Problem::Missing);
        return Ok(None);
    }
    let file = disk.open(path, Open::Read).map_err(io_error(path))?;
    if let Ok(keys) = EditedFile::new(file.as_ref(), KeyRule::Server).read_members() {
        let crc32 = checksum_of(file.as_ref()).map_err(io_error(path))?;
        if header.is_some_and(|header| header.json_crc32 != crc32) {
            damages.add(path, (0, file.length().map_err(io_error(path))?), Problem::OtherContent);
        }
        return Ok(Some(keys));
    }
    let mut lines = LineReader::new(file.as_ref(), 0);
    let mut keys = BTreeMap::new();
    while let Some(line) = lines.next_line().map_err(io_error(path))? {
        match readable_entry(line.bytes) {
            Some(Some((key, value))) => drop(keys.insert(key, value)),
            Some(None) => {}
            None => damages.add(path, place_of(&line), Problem::Lines),
        }
    }
    Ok(Some(keys))
}

/// The key and the value of a line that the server wrote; `Some(None)` for the first and the last line. `None`
/// if the line is damaged.
fn readable_entry(line: &[u8]) -> Option<Option<(String, Vec<u8>)>> {
    match data_file::decode_line(line)? {
        DataLine::Opening | DataLine::Closing => Some(None),
        DataLine::Entry { key, value, .. } => {
            Key::parse_stored(&key).ok()?;
            let mut minified = Vec::with_capacity(value.len());
            json::minify(value, VALUE_DEPTH_MAX, &mut minified).ok()?;
            Some(Some((key.into_owned(), minified)))
        }
    }
}

fn place_of(line: &RawLine<'_>) -> (u64, u64) {
    (line.offset, line.offset + line.bytes.len() as u64 + u64::from(line.terminated))
}

/// A journal that is read as far as possible.
struct Journal {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    header: Option<Header>,
    seed: Seed,
}

impl Journal {
    /// `None` if the file does not exist.
    fn open(disk: &dyn Disk, path: &Path, damages: &mut Damages) -> Result<Option<Journal>, RecoveryError> {
        if !disk.exists(path).map_err(io_error(path))? {
            damages.add(path, (0, 0), Problem::Missing);
            return Ok(None);
        }
        let file = disk.open(path, Open::Read).map_err(io_error(path))?;
        let mut lines = LineReader::new(file.as_ref(), 0);
        let first = lines.next_line().map_err(io_error(path))?;
        let header = first.as_ref().and_then(|line| header::decode(line.bytes));
        let (line, place) = first.map_or((&[][..], (0, 0)), |line| (line.bytes, place_of(&line)));
        if let Some(format) = header::other_format(line) {
            return Err(FileProblem::LaterVersion { format: Some(format), offset: 0 }.of(path));
        }
        let seed = match &header {
            Some(header) => header.seed,
            None => {
                damages.add(path, place, Problem::Header);
                likely_seed(file.as_ref()).map_err(io_error(path))?
            }
        };
        Ok(Some(Journal { path: path.to_owned(), header, seed, file }))
    }

    /// Calls `give` with each line after the header, decoded if it is intact.
    fn for_each(&self, mut give: impl FnMut(Option<Line<'_>>, &RawLine<'_>)) -> Result<(), RecoveryError> {
        let mut lines = LineReader::new(self.file.as_ref(), 0);
        let failed = io_error(&self.path);
        let mut read = || -> io::Result<()> {
            lines.next_line()?; // the header
            while let Some(line) = lines.next_line()? {
                give(record::decode_line(line.bytes, self.seed).filter(|_| line.terminated), &line);
            }
            Ok(())
        };
        read().map_err(failed)
    }

    fn metas(&self) -> Result<BTreeMap<String, EntryMeta>, RecoveryError> {
        let mut metas = BTreeMap::new();
        self.for_each(|line, _| {
            if let Some(Line::Meta { key, meta }) = line {
                metas.insert(key.into_owned(), meta);
            }
        })?;
        Ok(metas)
    }

    fn apply_changes(&self, key_map: &mut KeyMap, damages: &mut Damages) -> Result<(), RecoveryError> {
        self.for_each(|line, raw| match line {
            Some(Line::Changes(changes)) => {
                for change in changes.iter().filter_map(|recorded| recorded.change()) {
                    key_map.apply_for_good(&change);
                }
            }
            Some(Line::Meta { .. } | Line::Synced(_)) => {}
            // The reserve: spaces after the last change.
            None if !raw.terminated && raw.bytes.iter().all(|&byte| byte == b' ') => {}
            None => damages.add(&self.path, place_of(raw), Problem::Lines),
        })
    }
}

/// The seed for which most lines of a journal have the right checksum.
fn likely_seed(file: &dyn DiskFile) -> io::Result<Seed> {
    let mut lines = LineReader::new(file, 0);
    let mut votes: BTreeMap<u32, usize> = BTreeMap::new();
    while let Some(line) = lines.next_line()? {
        if let Some(seed) = record::seed_of(line.bytes) {
            *votes.entry(seed).or_default() += 1;
        }
    }
    let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
    Ok(most.and_then(|(seed, _)| Seed::new(seed)).unwrap_or(Seed::NONE))
}

/// Writes the keys to a new data file, and removes that if it cannot be completed.
fn write(disk: &dyn Disk, path: &Path, key_map: &KeyMap, now_ms: u64) -> io::Result<()> {
    let mut writer = DataFileWriter::new(disk.open(path, Open::Create)?);
    let mut write = || {
        for entry in key_map.range("", None, now_ms) {
            match entry.value() {
                Value::Text(text) => writer.encode(entry.key(), text),
                Value::Stored(_) => unreachable!("values that were salvaged are in memory"),
            }
            writer.file.flush_if_full()?;
        }
        writer.finish()?;
        disk.sync_directory(disk::parent_directory(path))
    };
    write().inspect_err(|_| {
        let _ = disk.remove(path); // the first error is the one to report
    })
}
