//! Steps of several commands before they work on files: load, check, lock.

use super::error::RunError;
use crate::catalog::keys::KeyError;
use crate::config::file::{self, Loaded};
use crate::config::schema::Config;
use crate::disk::{Disk, LockError, LockFile, RealDisk};
use crate::names::ProjectId;
use crate::persist::files::guard::DirectoryGuard;
use crate::persist::files::own_files::{ADDRESS_FILE, LOCK_FILE, OwnFiles};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn load_existing(path: &Path) -> Result<Loaded, RunError> {
    file::load_with_warnings(&RealDisk, path)?
        .ok_or_else(|| RunError::ConfigMissing { path: path.to_owned() })
}

/// Adds the file to an error of a key.
pub(super) fn key_error(path: &Path) -> impl FnOnce(KeyError) -> RunError + '_ {
    move |error| RunError::Key { path: path.to_owned(), error }
}

/// Refuses a configuration under which two files of the server would be one file.
pub(super) fn check_files(config: &Config, path: &Path) -> Result<(), RunError> {
    let directory = config.data_directory(path);
    let ids: Vec<&ProjectId> = config.projects().iter().map(|project| &project.id).collect();
    OwnFiles::new(&RealDisk, path, &directory).check(&ids).map_err(RunError::Collision)
}

/// Acquires the lock of a data directory and removes the address that a killed server left there: another program may
/// listen on it now, and would be sent the global key.
pub(super) fn lock(directory: &Path) -> Result<LockFile, RunError> {
    let path = directory.join(LOCK_FILE);
    let lock = LockFile::acquire(&path).map_err(|error| match error {
        LockError::Held(holder) => RunError::Locked { directory: absolute(directory), holder },
        LockError::Io(error) => RunError::DataDirectory { path, error },
    })?;
    let address_path = directory.join(ADDRESS_FILE);
    match RealDisk.remove(&address_path) {
        // A directory is not an address file.
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
            Err(RunError::DataDirectory { path: address_path, error })
        }
        Ok(()) | Err(_) => Ok(lock),
    }
}

/// Detects when the path of the data directory is no longer that of the locked directory.
pub(super) fn guard(lock: &LockFile) -> Result<DirectoryGuard, RunError> {
    let guarded = lock
        .status()
        .and_then(|status| DirectoryGuard::new(Arc::new(RealDisk), lock.path(), status.identity));
    guarded.map_err(|error| RunError::DataDirectory { path: lock.path().to_owned(), error })
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ConfigFile {
    /// It existed before the start.
    Found,
    /// The start created it.
    Created,
}

pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
