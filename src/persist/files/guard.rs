//! Whether the data directory is still the one that was opened, under the lock that this process holds.
//!
//! The lock is on an inode, and the data is reached by paths. A file system mounted over the directory, a backup
//! moved to its path, or `rm pikv.lock` separates the two: this process would overwrite files of another
//! server, or write to a directory that no start finds. Once that is detected, this process writes nothing more
//! in the directory, even if the paths are correct again: other writes may have happened in between.

use crate::disk::{Disk, Identity, parent_directory};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The data directory and its lock, as they were at the start.
pub struct DirectoryGuard {
    disk: Arc<dyn Disk>,
    directory: Guarded,
    lock: Guarded,
    /// Why the directory no longer belongs to this process.
    lost: OnceLock<String>,
}

/// A path, and the file that it must lead to.
struct Guarded {
    path: PathBuf,
    identity: Identity,
}

impl DirectoryGuard {
    /// Guards the directory of the file `lock`. `locked` is the file that this process has locked.
    pub fn new(disk: Arc<dyn Disk>, lock: &Path, locked: Identity) -> io::Result<DirectoryGuard> {
        // The final dot makes the system follow a link: the directory itself may be one.
        let path = parent_directory(lock).join(".");
        let identity = disk.status(&path)?.identity;
        let lock = Guarded { path: lock.to_owned(), identity: locked };
        Ok(DirectoryGuard { disk, directory: Guarded { path, identity }, lock, lost: OnceLock::new() })
    }

    /// Checks that both paths lead to the files of the start. Logs the first time that they do not.
    ///
    /// # Errors
    /// The reason, from the first failure on.
    pub fn check(&self) -> Result<(), &str> {
        self.check_both(self.directory.is_in_place(self.disk.as_ref()))
    }

    /// As [`DirectoryGuard::check`], for the lock alone. The path of the lock leads through the directory, so this
    /// misses nothing but a hard-linked copy in place of the directory.
    pub fn check_lock(&self) -> Result<(), &str> {
        self.check_both(Ok(true))
    }

    fn check_both(&self, directory: io::Result<bool>) -> Result<(), &str> {
        let found =
            directory.and_then(|is_in_place| Ok(is_in_place && self.lock.is_in_place(self.disk.as_ref())?));
        if self.lost().is_none() && !matches!(found, Ok(true)) {
            self.lose(found);
        }
        self.lost().map_or(Ok(()), Err)
    }

    /// The reason, once a check has failed.
    pub fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    fn lose(&self, found: io::Result<bool>) {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let directory = absolute(parent_directory(&self.lock.path));
        let directory = directory.display();
        let reason = if !self.directory.is_in_place(self.disk.as_ref()).unwrap_or(false) {
            format!(
                "{directory}: is not the directory that was opened at the start; something was mounted over it, or it \
                 was unmounted, moved or removed"
            )
        } else {
            let lock = absolute(&self.lock.path);
            format!(
                "{}: was removed or replaced while the server was running, so a second server may use the same files",
                lock.display()
            )
        };
        let cause = found.err().map(|error| format!(" ({error})")).unwrap_or_default();
        let reason = format!("{reason}{cause}");
        if self.lost.set(reason.clone()).is_ok() {
            log::error!(
                "{reason}. No project in {directory} takes writes any more, and this server writes nothing there. \
                 Stop every server that uses the directory, restore the directory, and start one"
            );
        }
    }
}

impl Guarded {
    fn is_in_place(&self, disk: &dyn Disk) -> io::Result<bool> {
        match disk.status(&self.path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            found => Ok(found?.identity == self.identity),
        }
    }
}
