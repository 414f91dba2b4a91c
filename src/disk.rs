//! The only file-system calls of the server: the trait [`Disk`] and the real one.
//!
//! The tests have a second implementor that loses what was not synced. Files are created with mode 0600 and directories
//! with 0700. Nothing here retries or hides an error.

#![expect(clippy::disallowed_methods, reason = "only this file calls the file system")]

mod lock;
mod real;

pub(crate) use lock::LockFile;

pub(crate) use lock::LockError;

pub(crate) use lock::Holder;
pub use real::RealDisk;
pub(crate) use real::is_not_regular;

use crate::limits::{DIRECTORY_LOCK_LOOK_INTERVAL_MS, DIRECTORY_LOCK_LOOKS_MAX, FILE_BUFFER_BYTES};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The advisory lock of a directory, until it is dropped. It is not on a file in it, so nothing is created.
#[derive(Debug, Default)]
pub struct DirectoryLock(#[expect(dead_code, reason = "holds the lock")] Option<File>);

/// Waits for the advisory lock of `directory`.
///
/// # Errors
/// As [`Disk::try_lock_directory`]; `WouldBlock` if another process has it for too long.
pub(crate) fn lock_directory(disk: &dyn Disk, directory: &Path) -> io::Result<DirectoryLock> {
    for look in 0..DIRECTORY_LOCK_LOOKS_MAX {
        if look > 0 {
            std::thread::sleep(Duration::from_millis(DIRECTORY_LOCK_LOOK_INTERVAL_MS));
        }
        if let Some(lock) = disk.try_lock_directory(directory)? {
            return Ok(lock);
        }
    }
    Err(ErrorKind::WouldBlock.into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, for reading.
    Read,
    /// As [`Open::Read`]; a symbolic link at the end of the path is followed.
    ReadThroughLinks,
    /// An existing file, for reading and writing.
    Write,
    /// A new, empty file, for reading and writing. A file or a link with its name is removed first.
    Create,
}

/// Whether the replacement of a file keeps the access of other users to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    Kept,
    /// The file has secrets, so such access is a mistake: the replacement has mode 0600.
    Denied,
}

/// The file-system operations that the server needs. Every call may fail with any `io::Error`.
pub trait Disk: Send + Sync {
    /// Opens `path` if it is a regular file.
    ///
    /// # Errors
    /// As the operating system returns them; `NotFound` unless the file exists or `how` is [`Open::Create`].
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>>;
    /// Renames `from` to `to`, replacing `to`. Durable only after [`Disk::sync_directory`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes the file `path`. Durable only after [`Disk::sync_directory`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes renames, creations and removals in `directory` durable.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
    /// Whether there is a file at `path`.
    ///
    /// # Errors
    /// As the operating system returns them, except "not found", which is `false`.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// The status of the file at `path`. A symbolic link at its end is not followed.
    ///
    /// # Errors
    /// As the operating system returns them; `NotFound` if nothing has that name.
    fn status(&self, path: &Path) -> io::Result<Status>;
    /// The paths of the files in `directory`, in no particular order.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;
    /// The advisory lock of `directory`; `None` if another process has it. A disk that one process uses needs none.
    ///
    /// # Errors
    /// As the operating system returns them, also on a file system without locks.
    fn try_lock_directory(&self, _directory: &Path) -> io::Result<Option<DirectoryLock>> {
        Ok(Some(DirectoryLock::default()))
    }
    /// The target of a symbolic link at `path`; `path` itself if it is no link.
    fn follow_links(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
    /// Gives `replacement` the owner, the group and the mode of `replaced`, as far as the process may, but no more
    /// access. Does nothing on a file system without permissions.
    fn keep_permissions(&self, _replacement: &Path, _replaced: &Path, _others: Others) {}
}

/// An open file. Offsets and lengths are in bytes.
pub trait DiskFile: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes a first part of `bytes` at `offset` and returns its length.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes content and length durable.
    ///
    /// # Errors
    /// As the operating system returns them. After a failure the content on disk is unknown.
    fn sync(&self) -> io::Result<()>;
    fn set_length(&self, length: u64) -> io::Result<()>;
    fn length(&self) -> io::Result<u64>;
    /// Distinguishes this version of the file from later ones.
    fn stamp(&self) -> io::Result<Stamp>;
    /// The status of this file, even if its name has changed.
    fn status(&self) -> io::Result<Status>;
}

/// Distinguishes a file or a directory from all others that exist at the same time. A number may be used again once its
/// file is gone, so the caller has to keep the file open while it compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub identity: Identity,
    /// The number of its names; 0 once the last one was removed.
    pub links: u64,
    /// Length, bytes.
    pub length: u64,
}

/// Distinguishes versions of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Length, bytes.
    pub length: u64,
    /// When it was last written, nanoseconds on the file system's clock.
    pub modified_ns: u128,
}

/// Writes all of `bytes` at `offset`.
///
/// # Errors
/// As [`DiskFile::write_at`]; `WriteZero` if nothing more can be written.
pub fn write_all_at(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let (mut rest, mut at) = (bytes, offset);
    while !rest.is_empty() {
        match file.write_at(rest, at) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => {
                rest = rest.get(written..).unwrap_or_default();
                at += written as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `buffer` from `offset` on.
///
/// # Errors
/// As [`DiskFile::read_at`]; `UnexpectedEof` if the file ends first.
pub(crate) fn read_exact_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let (mut rest, mut at) = (buffer, offset);
    while !rest.is_empty() {
        match file.read_at(rest, at) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                rest = rest.get_mut(read..).unwrap_or_default();
                at += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a whole file of at most `bytes_max`.
///
/// # Errors
/// As the operating system returns them; `FileTooLarge` above `bytes_max`.
pub(crate) fn load(disk: &dyn Disk, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    load_from(disk.open(path, Open::Read)?.as_ref(), bytes_max)
}

/// As [`load`], from an open file.
pub(crate) fn load_from(file: &dyn DiskFile, bytes_max: u64) -> io::Result<Vec<u8>> {
    let length = file.length()?;
    if length > bytes_max {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let length = usize::try_from(length).map_err(|_| ErrorKind::FileTooLarge)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| ErrorKind::OutOfMemory)?;
    bytes.resize(length, 0);
    read_exact_at(file, &mut bytes, 0)?;
    Ok(bytes)
}

/// Replaces `path` by `bytes` so that a crash at any moment leaves the old file or the new one:
/// temporary file, sync, rename, sync of the directory. A symbolic link at `path` is replaced itself.
///
/// # Errors
/// As the operating system returns them; the old file then still exists.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(disk, path, |file| write_all_at(file, bytes, 0))
}

/// As [`replace`], by a copy of the file `from`, which may be larger than the memory.
pub(crate) fn replace_by_copy(disk: &dyn Disk, path: &Path, from: &Path) -> io::Result<()> {
    let from = disk.open(from, Open::Read)?;
    replace_with(disk, path, |file| {
        let (mut buffer, mut offset) = (vec![0; FILE_BUFFER_BYTES], 0);
        loop {
            let read = from.read_at(&mut buffer, offset)?;
            if read == 0 {
                return Ok(());
            }
            write_all_at(file, buffer.get(..read).unwrap_or_default(), offset)?;
            offset += read as u64;
        }
    })
}

fn replace_with(
    disk: &dyn Disk,
    path: &Path,
    write: impl FnOnce(&dyn DiskFile) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary_path(path);
    let written = disk.open(&temporary, Open::Create).and_then(|file| {
        write(file.as_ref())?;
        disk.keep_permissions(&temporary, path, Others::Denied);
        file.sync()
    });
    if let Err(error) = written.and_then(|()| disk.rename(&temporary, path)) {
        // The first error is the one to report; a left-over temporary file is overwritten next time.
        let _ = disk.remove(&temporary);
        return Err(error);
    }
    disk.sync_directory(parent_directory(path))
}

/// The path at which a replacement for `path` is written: the same name with `.tmp` appended.
pub fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// The directory that holds `path`, `.` for a bare file name.
pub fn parent_directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Whether `error` means that nothing more can be stored: a full disk, an exhausted quota, or a file at the file-size
/// limit of the process.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

pub(crate) fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Whether this process, or the system, is out of file descriptors.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether `descriptor` is the null device, as it also is if the descriptor was closed when the program started.
pub(crate) fn is_null_device(descriptor: BorrowedFd<'_>) -> io::Result<bool> {
    let metadata = File::from(descriptor.try_clone_to_owned()?).metadata()?;
    let is_same = || Ok(metadata.rdev() == std::fs::metadata("/dev/null")?.rdev());
    if metadata.file_type().is_char_device() { is_same() } else { Ok(false) }
}

/// Creates `directory` with mode 0700, and the directories above it. Returns false if it exists: it is left as it is.
pub(crate) fn create_directory(directory: &Path) -> io::Result<bool> {
    if directory.is_dir() {
        return Ok(false);
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    Ok(true)
}

/// The maximum number of open descriptors: the soft limit in `/proc/self/limits`; without that file 256, the smallest
/// common default.
pub(crate) fn descriptors_max() -> usize {
    const ELSEWHERE: usize = 256;
    let Ok(text) = std::fs::read_to_string("/proc/self/limits") else { return ELSEWHERE };
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => usize::MAX,
        Some(soft) => soft.parse().unwrap_or(ELSEWHERE),
        None => ELSEWHERE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_file_has_the_new_bytes_and_no_temporary_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        replace(&RealDisk, &path, b"one").unwrap();
        replace(&RealDisk, &path, b"two").unwrap();
        assert_eq!(load(&RealDisk, &path, 100).unwrap(), b"two");
        assert!(!temporary_path(&path).exists());
    }

    #[test]
    fn copy_of_a_file_has_all_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let (path, copy) = (directory.path().join("a"), directory.path().join("b"));
        for length in [0, 1, FILE_BUFFER_BYTES, FILE_BUFFER_BYTES + 1] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            replace(&RealDisk, &path, &bytes).unwrap();
            replace_by_copy(&RealDisk, &copy, &path).unwrap();
            assert_eq!(load(&RealDisk, &copy, u64::MAX).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_above_the_limit_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        replace(&RealDisk, &path, b"12345").unwrap();
        assert_eq!(load(&RealDisk, &path, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
