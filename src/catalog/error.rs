//! Why the projects could not be read, or not changed.

use super::keys::{HASH_ADVICE, KeyError};
use crate::config::mistake::ConfigError;
use crate::descriptors::TooFewDescriptors;
use crate::limits::PROJECTS_MAX;
use crate::names::ProjectId;
use crate::persist::files::own_files::Collision;
use crate::store::error::StorageError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the projects could not be taken stock of. What was served before is still served.
#[derive(Debug)]
pub enum CatalogError {
    /// config.json cannot be used or saved.
    Config(ConfigError),
    /// There is no config.json any more.
    ConfigMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A key in config.json cannot be used, or none could be made.
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeyError,
    },
    /// Keys were generated and config.json cannot be saved.
    KeysNotSaved {
        /// Why.
        error: Box<ConfigError>,
    },
    /// config.json names another data directory.
    DirectoryChanged,
    /// Two of the server's files would be one.
    Collision(Collision),
    /// The data directory is not this process's any more, and a new config.json would have to be saved.
    DirectoryLost {
        /// What happened to it.
        reason: String,
    },
    /// It lists more projects on disk than the process has descriptors for.
    TooFewDescriptors(TooFewDescriptors),
    /// It no longer lists a project whose values are not all in its files.
    ValuesUnsaved {
        id: ProjectId,
        /// What is wrong with its files.
        reason: String,
    },
    /// A deletion that was interrupted could not be finished.
    Directory {
        /// The data directory.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CatalogError::Config(error) => error.fmt(f),
            CatalogError::ConfigMissing { path } => write!(f, "{} is not there", path.display()),
            CatalogError::Key { path, error } => write!(f, "{}: {error}", path.display()),
            CatalogError::KeysNotSaved { error } => {
                write!(f, "{error}. Keys had to be generated and saved there. {HASH_ADVICE}")
            }
            CatalogError::DirectoryChanged => {
                f.write_str("persistent_file_path changed; that takes a restart")
            }
            CatalogError::Collision(collision) => collision.fmt(f),
            CatalogError::DirectoryLost { reason } => write!(f, "{reason}. Restart the server"),
            CatalogError::TooFewDescriptors(error) => error.fmt(f),
            CatalogError::ValuesUnsaved { id, reason } => write!(
                f,
                "config.json no longer lists the project {id}, and its values are not all in its files: {reason}. The \
                 project is served as before. Put its files in order, or list it again, then send SIGHUP"
            ),
            CatalogError::Directory { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for CatalogError {}

impl From<ConfigError> for CatalogError {
    fn from(error: ConfigError) -> CatalogError {
        CatalogError::Config(error)
    }
}

/// Why a project was not created, changed or deleted, or is not there to be used.
#[derive(Debug)]
pub enum ChangeError {
    /// There is no such project.
    Missing(ProjectId),
    /// There is such a project already.
    Exists(ProjectId),
    /// There are [`crate::limits::PROJECTS_MAX`] projects.
    TooMany,
    /// One more project on disk needs more descriptors than the process may have.
    TooFewDescriptors(TooFewDescriptors),
    /// config.json has an edit that the server has not read.
    ConfigEdited,
    /// Its files would be files of something else. The log names them.
    FilesTaken {
        id: ProjectId,
        /// What has them.
        by: &'static str,
    },
    /// Its files do not have all of its values, so they are not opened again. The log has why.
    ValuesUnsaved,
    /// It takes no changes.
    Storage(StorageError),
    /// Its files could not be opened. The log has why.
    Unreadable,
    /// The disk failed; what for, without a path. The log has why.
    Disk(&'static str),
    /// config.json could not be saved, so nothing has changed; why, and what helps.
    ConfigNotSaved(&'static str),
    /// A bug. The log has more.
    Internal,
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Missing(id) => {
                write!(f, "there is no project `{id}`; POST /api/v1/projects makes one")
            }
            ChangeError::Exists(id) => write!(f, "there is a project `{id}` already"),
            ChangeError::TooMany => write!(f, "there are {PROJECTS_MAX} projects, and no more fit"),
            ChangeError::TooFewDescriptors(error) => error.fmt(f),
            ChangeError::ConfigEdited => f.write_str(
                "config.json was edited and not read since; send the server a SIGHUP, then try again; if the edit has \
                 a mistake, the server's log names it",
            ),
            ChangeError::FilesTaken { id, by } => {
                write!(f, "Project `{id}` would be stored in {by}. Choose another id.")
            }
            ChangeError::ValuesUnsaved => f.write_str(
                "Some values of the project are only in the memory of the server, because its files were replaced or \
                 removed. Its storage settings were not changed. Read the values and save them; the server's log \
                 names the file.",
            ),
            ChangeError::Storage(error) => error.fmt(f),
            ChangeError::Unreadable => f.write_str(
                "the project's files could not be opened; the server's log says which, why, and what to do",
            ),
            ChangeError::Disk(act) => write!(f, "the server's disk failed while {act}; its log says more"),
            ChangeError::ConfigNotSaved(why) => {
                write!(f, "config.json was not saved; nothing was changed. {why}.")
            }
            ChangeError::Internal => f.write_str("the server made a mistake; its log says more under this request id"),
        }
    }
}

impl From<StorageError> for ChangeError {
    fn from(error: StorageError) -> ChangeError {
        ChangeError::Storage(error)
    }
}

/// Of a deletion that has begun.
pub(super) fn stopped(id: &ProjectId, error: &std::io::Error) -> ChangeError {
    log::error!(
        "project {id}: its deletion stopped: {error}. Once that is fixed, delete it again or restart the server"
    );
    ChangeError::Disk("deleting the project's files")
}
