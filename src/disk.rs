//! The only file-system calls of the server: the trait [`Disk`] and the real one.
//!
//! The tests have a second implementor that forgets what was not synced. Files are made with
//! mode 0600 and directories with 0700; nothing here retries or hides an error.

#![expect(clippy::disallowed_methods, reason = "this file is where the file system is called")]

use crate::limits::LINKS_MAX;
use crate::limits::{LOCK_LOOK_INTERVAL_MS, LOCK_LOOKS_MAX};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// An empty file, for reading and writing; what was there before is gone.
    Create,
}

/// A file system, as far as the server needs one. Every call may fail with any `io::Error`.
pub trait Disk: Send + Sync {
    /// Opens `path`.
    ///
    /// # Errors
    /// As the operating system says; `NotFound` where [`Open::Read`] or [`Open::Write`] find nothing.
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>>;
    /// Renames `from` to `to`, replacing `to`. Durable only after [`Disk::sync_directory`].
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes the file `path`. Durable only after [`Disk::sync_directory`].
    ///
    /// # Errors
    /// As the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes renames, creations and removals in `directory` durable.
    ///
    /// # Errors
    /// As the operating system says.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
    /// Whether there is a file at `path`.
    ///
    /// # Errors
    /// As the operating system says, but for "not found", which is `false`.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// The paths of what lies in `directory`, in no order.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;
    /// Where a symbolic link at `path` leads to; `path` itself where there is none. A file system
    /// without links has nothing to follow.
    fn follow_links(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

/// An open file. Offsets and lengths are in bytes.
pub trait DiskFile: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes a first part of `bytes` at `offset` and says how many bytes that was.
    ///
    /// # Errors
    /// As the operating system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes content and length durable.
    ///
    /// # Errors
    /// As the operating system says. After a failure nothing is known about the content on disk.
    fn sync(&self) -> io::Result<()>;
    /// Cuts or extends the file to `length`.
    ///
    /// # Errors
    /// As the operating system says.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// The length of the file.
    ///
    /// # Errors
    /// As the operating system says.
    fn length(&self) -> io::Result<u64>;
    /// What tells this version of the file from one that somebody wrote later.
    ///
    /// # Errors
    /// As the operating system says.
    fn stamp(&self) -> io::Result<Stamp>;
}

/// Tells the versions of a file apart without reading it.
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
/// As [`DiskFile::write_at`]; `WriteZero` where the file takes nothing more.
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
/// As [`DiskFile::read_at`]; `UnexpectedEof` where the file ends first.
pub fn read_exact_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
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
/// As the operating system says; `FileTooLarge` above `bytes_max`.
pub fn load(disk: &dyn Disk, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let length = file.length()?;
    if length > bytes_max {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| ErrorKind::FileTooLarge)?];
    read_exact_at(file.as_ref(), &mut bytes, 0)?;
    Ok(bytes)
}

/// Replaces `path` by `bytes` so that a crash at any moment leaves the old file or the new one:
/// temporary file, sync, rename, sync of the directory. A symbolic link stays one; what it leads to
/// is replaced.
///
/// # Errors
/// As the operating system says; the old file is then still there.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = &disk.follow_links(path);
    let temporary = temporary_path(path);
    let written = disk.open(&temporary, Open::Create).and_then(|file| {
        write_all_at(file.as_ref(), bytes, 0)?;
        file.sync()
    });
    if let Err(error) = written.and_then(|()| disk.rename(&temporary, path)) {
        // The first error is the one to tell; a left-over temporary file is overwritten next time.
        let _ = disk.remove(&temporary);
        return Err(error);
    }
    disk.sync_directory(parent_directory(path))
}

/// Where a replacement for `path` is written first: the same name with `.tmp` behind it.
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

/// Whether `error` says that there is no room: a full disk, or a used-up quota.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// The file system of the operating system.
#[derive(Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(how != Open::Read).mode(0o600);
        options.create(how == Open::Create).truncate(how == Open::Create);
        Ok(Box::new(RealFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn follow_links(&self, path: &Path) -> PathBuf {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            match std::fs::read_link(&path) {
                Ok(target) => path = parent_directory(&path).join(target),
                Err(_) => break, // not a link, or not there
            }
        }
        path
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn stamp(&self) -> io::Result<Stamp> {
        let metadata = self.0.metadata()?;
        let since_epoch = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Stamp { length: metadata.len(), modified_ns: since_epoch.as_nanos() })
    }
}

/// Whether a directory was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// It was.
    Found,
    /// It was made.
    Made,
}

/// Makes `directory` with mode 0700, and the directories above it; one that exists is left as it is.
///
/// # Errors
/// As the operating system says.
pub fn create_directory(directory: &Path) -> io::Result<Directory> {
    if directory.is_dir() {
        return Ok(Directory::Found);
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    Ok(Directory::Made)
}

/// An exclusive lock that ends with the process, however it ends. Its file holds the process id, and
/// an empty line once the lock was given back in order.
#[derive(Debug)]
pub struct LockFile {
    file: File,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Still under the lock, so that no other's process id goes. The file itself stays: whoever has it
        // open would otherwise lock one that nobody else finds. So does its first byte: a file that gave
        // its room up may find none for the next process id. An id that stays only misleads readers.
        let blank = "\n".repeat(process_id_line().len());
        let _ = self.file.write_all_at(blank.as_bytes(), 0).and_then(|()| self.file.set_len(1));
    }
}

/// Why a lock was not had.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; what its lock file says of its process id.
    Held {
        /// The first line of the lock file; empty where the other one did not get to write it.
        pid: String,
    },
    /// The lock file could not be opened or written.
    Io(io::Error),
}

impl LockFile {
    /// Takes the lock `path` and writes this process's id into it.
    ///
    /// # Errors
    /// [`LockError::Held`] where another process has it. At once, unless that one has taken it just now:
    /// then it is given a moment to say who it is.
    pub fn acquire(path: &Path) -> Result<LockFile, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(LockError::Io)?;
        for look in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    // The lock is what counts; a file that cannot be read only costs the process id.
                    let pid = process_id_in(&file).unwrap_or_default();
                    if is_running(&pid) || look == LOCK_LOOKS_MAX {
                        return Err(LockError::Held { pid });
                    }
                    // What is there is from before, or nothing yet.
                    std::thread::sleep(Duration::from_millis(LOCK_LOOK_INTERVAL_MS));
                }
                Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            }
        }
        // Written over what was there before it is cut: that takes no room on a disk that has none.
        let text = process_id_line();
        file.write_all_at(text.as_bytes(), 0)
            .and_then(|()| file.set_len(text.len() as u64))
            .map_err(LockError::Io)?;
        Ok(LockFile { file })
    }
}

/// What this process writes into a lock file.
fn process_id_line() -> String {
    format!("{}\n", std::process::id())
}

/// The first line of a lock file.
fn process_id_in(file: &File) -> io::Result<String> {
    let mut bytes = [0; 32];
    let count = file.read_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()).into_owned();
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Whether there is a process with this id, where the system tells; elsewhere whether it is one at all.
fn is_running(pid: &str) -> bool {
    !pid.is_empty() && (!Path::new("/proc/self").exists() || Path::new("/proc").join(pid).exists())
}

/// Descriptors this process may have open: the soft limit, from `/proc/self/limits` where there is
/// one; elsewhere 256, the smallest default in use.
pub fn descriptors_max() -> usize {
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
    fn replacing_a_link_replaces_what_it_leads_to() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("real.json"), directory.path().join("link.json"));
        replace(&RealDisk, &file, b"one").unwrap();
        std::os::unix::fs::symlink("real.json", &link).unwrap();
        replace(&RealDisk, &link, b"two").unwrap();
        assert_eq!(load(&RealDisk, &file, 100).unwrap(), b"two");
        assert!(std::fs::read_link(&link).is_ok(), "the link is still one");
    }

    #[test]
    fn a_held_lock_names_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = LockFile::acquire(&path).unwrap();
        match LockFile::acquire(&path) {
            Err(LockError::Held { pid }) => assert_eq!(pid, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        drop(held);
        LockFile::acquire(&path).unwrap();
    }

    #[test]
    fn a_lock_that_was_given_back_names_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = LockFile::acquire(&path).unwrap();
        assert_eq!(load(&RealDisk, &path, 100).unwrap(), format!("{}\n", std::process::id()).into_bytes());
        drop(held);
        assert_eq!(load(&RealDisk, &path, 100).unwrap(), b"\n");
    }

    #[test]
    fn a_holder_that_is_just_writing_its_process_id_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let own = std::process::id().to_string();
        for before in ["", "4194305\n4194305"] {
            // Above what Linux gives out: the lock is taken, and what is written there is from before.
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
            let file = file.unwrap();
            file.try_lock().unwrap();
            file.write_all_at(before.as_bytes(), 0).unwrap();
            std::thread::scope(|scope| {
                let other = scope.spawn(|| LockFile::acquire(&path));
                std::thread::sleep(Duration::from_millis(50));
                file.write_all_at(format!("{own}\n").as_bytes(), 0).unwrap();
                assert!(matches!(other.join().unwrap(), Err(LockError::Held { pid }) if pid == own));
            });
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
