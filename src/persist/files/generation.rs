//! The two files of a project and how a new pair of them replaces the old one.
//!
//! Both are written as temporary files and synced; then the `.json` is renamed, then the
//! `.journal`, each followed by a sync of the directory. A crash in between leaves a new `.json`
//! whose journal still has its temporary name; recovery completes the swap.

use super::data_file::DataFileWriter;
use super::header::{self, HEADER_BYTES, Header, Lineage};
use super::line_copy::Lines;
use super::record;
use super::seed::Seed;
use super::sequential::SequentialWriter;
use crate::disk::{
    Disk, DiskFile, Open, Others, Stamp, is_disk_full, parent_directory, temporary_path, with_path,
    write_all_at,
};
use crate::names::{KeyRule, ProjectId};
use crate::store::change::{EntryMeta, Revision};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Paths {
    /// The values.
    pub json: PathBuf,
    pub journal: PathBuf,
    pub key_rule: KeyRule,
}

impl Paths {
    pub fn new(directory: &Path, id: &ProjectId) -> Paths {
        let named = |ending| directory.join(format!("{id}.{ending}"));
        Paths { json: named("json"), journal: named("journal"), key_rule: id.key_rule() }
    }

    /// What the log calls the files of project `id`, the data file first.
    pub fn names(&self, id: &ProjectId) -> [String; 2] {
        [&self.json, &self.journal].map(|path| format!("project {id}: {}", path.display()))
    }

    pub fn exist(&self, disk: &dyn Disk) -> io::Result<bool> {
        Ok(disk.exists(&self.json)? || disk.exists(&self.journal)?)
    }

    pub fn directory(&self) -> &Path {
        parent_directory(&self.json)
    }
}

/// Writes a new pair of files, key by key in key order.
pub(crate) struct GenerationWriter {
    json: DataFileWriter,
    journal: SequentialWriter,
    seed: Seed,
    lineage: Lineage,
}

pub(crate) struct Pair {
    /// The values.
    pub json: Arc<dyn DiskFile>,
    pub json_stamp: Stamp,
    pub journal: JournalFile,
}

/// A journal, and the range of its changes.
#[derive(Clone)]
pub(crate) struct JournalFile {
    pub file: Arc<dyn DiskFile>,
    pub header: Header,
    pub changes_start: u64,
    /// Offset after the changes: the next ones are written here.
    pub end: u64,
}

impl JournalFile {
    pub(crate) fn changes(&self) -> Lines<'_> {
        let (file, seed) = (self.file.as_ref(), self.header.seed);
        Lines { file, seed, start: self.changes_start, end: self.end }
    }
}

impl GenerationWriter {
    pub(crate) fn create(disk: &dyn Disk, paths: &Paths, lineage: Lineage) -> io::Result<GenerationWriter> {
        let json = disk.open(&temporary_path(&paths.json), Open::Create)?;
        let journal = disk.open(&temporary_path(&paths.journal), Open::Create)?;
        // After a crash, a start completes a swap only if it finds the temporary journal by its name.
        disk.sync_directory(paths.directory())?;
        let json = DataFileWriter::new(json);
        let journal = SequentialWriter::new(journal, HEADER_BYTES as u64);
        let seed = Seed::draw(lineage.generation);
        Ok(GenerationWriter { json, journal, seed, lineage })
    }

    /// Appends a key, in the buffers only.
    pub(crate) fn encode(&mut self, key: &str, value: &[u8], meta: &EntryMeta) {
        self.json.encode(key, value);
        let line_start = self.journal.buffer().len();
        record::encode_meta(key, meta, self.journal.buffer());
        record::seal(self.journal.buffer().get_mut(line_start..).unwrap_or_default(), self.seed);
    }

    pub(crate) fn buffered_bytes(&mut self) -> usize {
        self.json.file.buffer().len() + self.journal.buffer().len()
    }

    pub(crate) fn flush_if_full(&mut self) -> io::Result<()> {
        self.json.file.flush_if_full()?;
        self.journal.flush_if_full()
    }

    /// Completes both files and syncs the data file, but not the journal, which may get changes. `revision` and
    /// `expired_until_ms` go into the header.
    pub(crate) fn finish(mut self, revision: Revision, expired_until_ms: u64) -> io::Result<Pair> {
        self.json.finish()?;
        let (json, keys) = (self.json.file, self.json.keys);
        self.journal.flush()?;
        let header = Header {
            seed: self.seed,
            generation: self.lineage.generation,
            json_bytes: json.position(),
            json_crc32: json.checksum(),
            keys,
            revision,
            expired_until_ms,
            before: self.lineage.before,
        };
        write_all_at(self.journal.file(), &header::encode(&header), 0)?;
        let end = self.journal.position();
        let json_stamp = json.file().stamp()?;
        let file = self.journal.into_file().into();
        let journal = JournalFile { file, header, changes_start: end, end };
        Ok(Pair { json: json.into_file().into(), json_stamp, journal })
    }
}

/// The state that a failed swap of files left.
#[derive(Debug)]
pub(crate) enum SwapError {
    /// The old pair is still in place.
    NotBegun(io::Error),
    /// The new values may be in place and their journal not; a restart completes the swap.
    HalfDone(io::Error),
}

/// Replaces the old pair by the temporary one, whose files are synced.
///
/// # Errors
/// [`SwapError`] tells whether the old pair is still in use.
pub(crate) fn swap(disk: &dyn Disk, paths: &Paths) -> Result<(), SwapError> {
    for path in [&paths.json, &paths.journal] {
        disk.keep_permissions(&temporary_path(path), path, Others::Kept);
    }
    disk.rename(&temporary_path(&paths.json), &paths.json).map_err(|error| {
        // If the device failed, the next start may find the rename done or not.
        if was_refused(&error) { SwapError::NotBegun(error) } else { SwapError::HalfDone(error) }
    })?;
    disk.sync_directory(paths.directory())
        .and_then(|()| disk.rename(&temporary_path(&paths.journal), &paths.journal))
        .and_then(|()| disk.sync_directory(paths.directory()))
        .map_err(SwapError::HalfDone)
}

/// Whether the system refused to create or rename a file: no disk space, no permission, or a file that is a mount
/// point.
pub(crate) fn was_refused(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    is_disk_full(error)
        || matches!(error.kind(), ResourceBusy | CrossesDevices | PermissionDenied | ReadOnlyFilesystem)
}

/// Removes both files of a project and their temporary files.
pub(crate) fn remove_pair(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    remove_temporaries(disk, paths)?;
    [&paths.journal, &paths.json].into_iter().try_for_each(|path| remove_existing(disk, path))?;
    disk.sync_directory(paths.directory())
}

impl Pair {
    /// Installs this pair of temporary files, whose journal has no changes.
    pub(crate) fn install(self, disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
        let synced = self.journal.file.sync().map_err(SwapError::NotBegun);
        synced.and_then(|()| swap(disk, paths)).map_err(|error| match error {
            SwapError::NotBegun(error) => {
                let _ = remove_temporaries(disk, paths); // the first error is the one to tell
                error
            }
            SwapError::HalfDone(error) => error,
        })
    }
}

/// Removes what an interrupted checkpoint or start left.
pub(crate) fn remove_temporaries(disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
    temporaries(paths).iter().try_for_each(|path| remove_existing(disk, path))
}

/// The files that a checkpoint or a start writes before it renames them.
pub(crate) fn temporaries(paths: &Paths) -> [PathBuf; 3] {
    [temporary_path(&paths.json), temporary_path(&paths.journal), renewed_path(paths)]
}

fn remove_existing(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    remove_if_exists(disk, path).map_err(|error| with_path(path, &error))
}

/// Removes the file at `path`, unless there is none.
///
/// # Errors
/// As the disk returns them.
pub(crate) fn remove_if_exists(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    if disk.exists(path)? { disk.remove(path) } else { Ok(()) }
}

/// The journal that a start writes again. It differs from the one of checkpoints, whose interrupted swap a start would
/// complete.
pub(crate) fn renewed_path(paths: &Paths) -> PathBuf {
    let mut name = paths.journal.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}
