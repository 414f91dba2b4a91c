//! The lock of a data directory.

use super::real::{Follow, open_regular};
use crate::limits::{LOCK_LOOK_INTERVAL_MS, LOCK_LOOKS_MAX};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// An exclusive lock that ends with the process, however it ends. Its file holds the process id, and
/// an empty line once the lock was given back in order.
#[derive(Debug)]
pub struct LockFile {
    file: File,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Still under the lock, so that no other process id is removed. The file itself stays: a process that
        // has it open would otherwise lock one that nobody else finds. So does its first byte: an empty file
        // may find no disk space for the next process id. An id that stays only misleads readers.
        let blank = "\n".repeat(process_id_line().len());
        let _ = self.file.write_all_at(blank.as_bytes(), 0).and_then(|()| self.file.set_len(1));
    }
}

/// Why a lock was not had.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; what its lock file says of its process id.
    Held {
        /// The first line of the lock file; empty if the other process has not written it yet.
        pid: String,
    },
    /// The lock file could not be opened or written.
    Io(io::Error),
}

impl LockFile {
    /// Takes the lock `path` and writes this process's id into it.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process has it. At once, unless that process has taken it just now: then
    /// it gets a moment to write its process id.
    pub fn acquire(path: &Path) -> Result<LockFile, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = open_regular(&mut options, path, Follow::No).map_err(LockError::Io)?;
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
        // Written over what was there before it is cut: that takes no space on a full disk.
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

/// Whether a process with this id exists, if the system tells that; else whether there is an id.
fn is_running(pid: &str) -> bool {
    !pid.is_empty() && (!Path::new("/proc/self").exists() || Path::new("/proc").join(pid).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{RealDisk, load};

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
}
