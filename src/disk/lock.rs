//! The lock of a data directory.
//!
//! The lock is on the file (`flock`); its text is for people and for the error of another process. It has three lines:
//! the process id, the data directory as the holder opened it, and the pid namespace of the id.

use super::real::{Follow, open_regular, status_of};
use super::{Identity, Status, is_disk_full, parent_directory};
use crate::limits::{LOCK_FILE_BYTES_MAX, LOCK_LOOK_INTERVAL_MS, LOCK_LOOKS_MAX};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An exclusive lock that ends with the process, however it ends. Its file names the holder, and has an empty line
/// after a clean shutdown.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: File,
    path: PathBuf,
    text_bytes: usize,
    unwritten: Option<io::Error>,
}

/// The holder of a lock, as its file names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process id; empty if the other process has not written it yet.
    pub pid: String,
    /// The data directory that the other process opened, if this one is a hard-linked copy of that.
    pub original: Option<PathBuf>,
    /// Whether the process id belongs to another pid namespace, such as that of a container.
    pub is_elsewhere: bool,
}

#[derive(Debug)]
pub(crate) enum LockError {
    Held(Holder),
    /// The lock file could not be opened or written.
    Io(io::Error),
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Still under the lock, so that no other process id is removed. The file itself stays: otherwise a process that
        // has it open would lock a file that no other process finds. Its first byte stays, too: an empty file may get
        // no disk space for the next process id. If this fails, the old id only misleads readers.
        let blank = "\n".repeat(self.text_bytes);
        let _ = self.file.write_all_at(blank.as_bytes(), 0).and_then(|()| self.file.set_len(1));
    }
}

impl LockFile {
    /// Takes the lock `path` and writes this process as the holder.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process has it. At once, unless that process has taken it just now: then
    /// it gets a moment to write its process id.
    pub(crate) fn acquire(path: &Path) -> Result<LockFile, LockError> {
        let file = lock(path)?;
        // Overwrites the old text before the file is cut: that takes no space on a full disk.
        let text = own_text(path);
        let written = file.write_all_at(&text, 0).and_then(|()| file.set_len(text.len() as u64));
        let unwritten = match written {
            // Only the lock matters. The text of an earlier holder must not pass for that of this one.
            Err(error) if is_disk_full(&error) => {
                let _ = file.set_len(0);
                Some(error)
            }
            written => written.map(|()| None).map_err(LockError::Io)?,
        };
        Ok(LockFile { file, path: path.to_owned(), text_bytes: text.len(), unwritten })
    }

    /// Why the file does not name this process: the disk is full.
    pub(crate) fn unwritten(&self) -> Option<&io::Error> {
        self.unwritten.as_ref()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn status(&self) -> io::Result<Status> {
        self.file.metadata().map(|metadata| status_of(&metadata))
    }
}

/// Opens and locks the file at `path`, and checks that the path still leads to it: a file that was removed or
/// replaced between the two is a lock that no other process finds.
fn lock(path: &Path) -> Result<File, LockError> {
    for _ in 0..LOCK_LOOKS_MAX {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = open_regular(&mut options, path, Follow::No).map_err(LockError::Io)?;
        wait_for(&file, path)?;
        let locked = file.metadata().map_err(LockError::Io)?;
        if identity_at(path) == Some(status_of(&locked).identity) {
            return Ok(file);
        }
    }
    Err(LockError::Io(io::Error::other(
        "is replaced again and again, or the file system gives a file another number each time; no lock is safe there",
    )))
}

/// Locks `file`, or returns its holder.
fn wait_for(file: &File, path: &Path) -> Result<(), LockError> {
    for look in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {
                // If the file cannot be read, only the name of its holder is missing.
                let holder = holder_in(file, path).unwrap_or_default();
                if holder.is_elsewhere || is_running(&holder.pid) || look == LOCK_LOOKS_MAX {
                    return Err(LockError::Held(holder));
                }
                // The text is from an earlier holder, or not written yet.
                std::thread::sleep(Duration::from_millis(LOCK_LOOK_INTERVAL_MS));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
    }
    Ok(())
}

/// The text that this process writes into the lock file `path`.
fn own_text(path: &Path) -> Vec<u8> {
    let mut text = format!("{}\n", std::process::id()).into_bytes();
    let directory = std::path::absolute(parent_directory(path)).unwrap_or_default();
    let directory = directory.as_os_str().as_bytes();
    if !directory.contains(&b'\n') {
        text.extend_from_slice(directory);
    }
    text.push(b'\n');
    text.extend_from_slice(own_namespace().unwrap_or_default().as_os_str().as_bytes());
    text.push(b'\n');
    text
}

/// The pid namespace of this process, such as `pid:[4026531836]`, if the system has any.
fn own_namespace() -> Option<PathBuf> {
    std::fs::read_link("/proc/self/ns/pid").ok()
}

/// The holder that the lock file at `path` names. An earlier version wrote the process id alone.
fn holder_in(file: &File, path: &Path) -> io::Result<Holder> {
    let mut bytes = vec![0; LOCK_FILE_BYTES_MAX];
    let count = file.read_at(&mut bytes, 0)?;
    let mut lines = bytes.get(..count).unwrap_or_default().split(|byte| *byte == b'\n');
    let pid = String::from_utf8_lossy(lines.next().unwrap_or_default()).trim().to_owned();
    let directory =
        lines.next().filter(|line| !line.is_empty()).map(|line| Path::new(OsStr::from_bytes(line)));
    let namespace = lines.next().filter(|line| !line.is_empty()).map(OsStr::from_bytes);
    let own = own_namespace();
    let is_elsewhere = matches!((namespace, &own), (Some(its), Some(own)) if its != own.as_os_str());
    let has_other_names = status_of(&file.metadata()?).links > 1;
    // In another namespace the path may lead to another directory, so only one that exists here is reported.
    let original = directory.filter(|directory| {
        let (its, own) = (identity_at(directory), identity_at(parent_directory(path)));
        has_other_names && !is_elsewhere && its.is_some() && its != own
    });
    Ok(Holder { pid, original: original.map(Path::to_owned), is_elsewhere })
}

fn identity_at(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|metadata| status_of(&metadata).identity)
}

/// Whether a process with this id exists, if the system has `/proc`; otherwise whether there is an id.
fn is_running(pid: &str) -> bool {
    !pid.is_empty() && (!Path::new("/proc/self").exists() || Path::new("/proc").join(pid).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk, load};

    fn holder_of(path: &Path) -> Holder {
        match LockFile::acquire(path) {
            Err(LockError::Held(holder)) => holder,
            other => panic!("{other:?}"),
        }
    }

    /// Locks a new file with `text` in it, as another process would.
    fn locked_with(path: &Path, text: &[u8]) -> File {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.unwrap();
        file.try_lock().unwrap();
        file.write_all_at(text, 0).unwrap();
        file
    }

    #[test]
    fn a_held_lock_names_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = LockFile::acquire(&path).unwrap();
        let pid = std::process::id().to_string();
        assert_eq!(holder_of(&path), Holder { pid, original: None, is_elsewhere: false });
        drop(held);
        LockFile::acquire(&path).unwrap();
    }

    #[test]
    fn a_lock_file_has_the_process_its_directory_and_its_namespace_until_the_lock_is_released() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        std::fs::write(&path, "of an earlier holder\n".repeat(100)).unwrap();
        let held = LockFile::acquire(&path).unwrap();
        let text = String::from_utf8(load(&RealDisk, &path, 1_000).unwrap()).unwrap();
        let lines: Vec<&str> = text.split('\n').collect();
        let namespace = own_namespace().unwrap_or_default();
        let expected = [
            &std::process::id().to_string(),
            directory.path().to_str().unwrap(),
            namespace.to_str().unwrap(),
            "",
        ];
        assert_eq!(lines, expected);
        drop(held);
        assert_eq!(load(&RealDisk, &path, 100).unwrap(), b"\n");
    }

    #[test]
    fn a_directory_with_a_line_end_in_its_name_is_not_written_into_the_lock_file() {
        let directory = tempfile::tempdir().unwrap();
        let named = directory.path().join("a\nb");
        std::fs::create_dir(&named).unwrap();
        let path = named.join("lock");
        let _held = LockFile::acquire(&path).unwrap();
        let text = String::from_utf8(load(&RealDisk, &path, 1_000).unwrap()).unwrap();
        let namespace = own_namespace().unwrap_or_default();
        assert_eq!(text, format!("{}\n\n{}\n", std::process::id(), namespace.display()));
    }

    /// How often this process has the file open that `path` leads to.
    fn count_open(path: &Path) -> usize {
        let own = identity_at(path);
        let entries = std::fs::read_dir("/proc/self/fd").unwrap();
        entries.filter(|entry| identity_at(&entry.as_ref().unwrap().path()) == own).count()
    }

    #[test]
    fn a_lock_that_was_removed_or_replaced_before_it_was_locked_is_not_the_one_that_is_held() {
        if !Path::new("/proc/self/fd").exists() {
            println!("not checked: open files cannot be counted");
            return;
        }
        for is_replaced in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("lock");
            // Without a process id in it, the other one is waited for.
            let first = locked_with(&path, b"");
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| LockFile::acquire(&path));
                while count_open(&path) < 2 {
                    std::thread::yield_now();
                }
                std::fs::remove_file(&path).unwrap();
                if is_replaced {
                    std::fs::write(&path, "").unwrap();
                }
                drop(first);
                let acquired = waiting.join().unwrap().unwrap();
                assert_eq!(RealDisk.status(&path).unwrap(), acquired.status().unwrap());
            });
        }
    }

    #[test]
    fn a_lock_file_of_an_earlier_version_has_the_process_id_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let pid = std::process::id().to_string();
        for end in ["\n", ""] {
            let _held = locked_with(&path, format!("{pid}{end}").as_bytes());
            let expected = Holder { pid: pid.clone(), original: None, is_elsewhere: false };
            assert_eq!(holder_of(&path), expected);
        }
    }

    #[test]
    fn a_holder_in_another_pid_namespace_is_not_looked_for_in_this_one() {
        if own_namespace().is_none() {
            println!("not checked: there are no pid namespaces");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let _held = locked_with(&path, b"1\n/data\npid:[1]\n");
        assert_eq!(holder_of(&path), Holder { pid: "1".to_owned(), original: None, is_elsewhere: true });
    }

    #[test]
    fn a_hard_linked_copy_names_the_directory_that_it_was_copied_from() {
        let directory = tempfile::tempdir().unwrap();
        let [first, copy] = ["first", "copy"].map(|name| directory.path().join(name));
        [&first, &copy].into_iter().for_each(|path| std::fs::create_dir(path).unwrap());
        let _held = LockFile::acquire(&first.join("lock")).unwrap();
        std::fs::hard_link(first.join("lock"), copy.join("lock")).unwrap();
        assert_eq!(holder_of(&copy.join("lock")).original, Some(first.clone()));
        assert_eq!(holder_of(&first.join("lock")).original, None, "the copy does not make this one a copy");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&first, &link).unwrap();
        assert_eq!(holder_of(&link.join("lock")).original, None, "the same directory by another name");
    }

    #[test]
    fn a_directory_is_named_as_the_original_only_if_it_exists_here_and_the_lock_has_both_names() {
        let directory = tempfile::tempdir().unwrap();
        let [other, gone, path] = ["other", "gone", "lock"].map(|name| directory.path().join(name));
        std::fs::create_dir(&other).unwrap();
        let namespace = own_namespace().unwrap_or_default();
        let original = |named: &Path, namespace: &Path| {
            let text = format!("{}\n{}\n{}\n", std::process::id(), named.display(), namespace.display());
            let _held = locked_with(&path, text.as_bytes());
            holder_of(&path).original
        };
        assert_eq!(original(&other, &namespace), None, "the file has one name");
        std::fs::hard_link(&path, directory.path().join("link")).unwrap();
        assert_eq!(original(&other, &namespace), Some(other.clone()));
        assert_eq!(original(&gone, &namespace), None, "it does not exist");
        if own_namespace().is_some() {
            assert_eq!(original(&other, Path::new("pid:[1]")), None, "it is the path of another system");
        }
    }

    #[test]
    fn a_holder_that_is_just_writing_its_process_id_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let own = std::process::id().to_string();
        for before in ["", "4194305\n4194305"] {
            // Above what Linux gives out: the lock is taken, and what is written there is from before.
            let file = locked_with(&path, before.as_bytes());
            std::thread::scope(|scope| {
                let other = scope.spawn(|| LockFile::acquire(&path));
                std::thread::sleep(Duration::from_millis(50));
                file.write_all_at(format!("{own}\n").as_bytes(), 0).unwrap();
                assert!(matches!(other.join().unwrap(), Err(LockError::Held(holder)) if holder.pid == own));
            });
        }
    }
}
