//! Why projects could not be read or changed.

use super::keys::HASH_ADVICE;
use crate::config::mistake::ConfigError;
use crate::descriptors::TooFewDescriptors;
use crate::digits::grouped;
use crate::limits::PROJECTS_MAX;
use crate::names::ProjectId;
use crate::store::error::StorageError;
use std::fmt;
use std::path::Path;

/// Why the configuration or the projects cannot be used, for the operator. Projects that were served are still served.
#[derive(Debug)]
pub struct CatalogError(pub(super) String);

impl CatalogError {
    /// Keys were generated, and `error` prevents saving them.
    pub(crate) fn keys_not_saved(error: &ConfigError) -> CatalogError {
        CatalogError(format!("{error}. Keys had to be generated and saved there. {HASH_ADVICE}"))
    }

    /// Cells that cannot be used. The reason and the fix.
    pub(crate) fn of_cells(reason: String) -> CatalogError {
        CatalogError(reason)
    }

    pub(super) fn at(path: &Path, error: impl fmt::Display) -> CatalogError {
        CatalogError(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CatalogError {}

impl From<ConfigError> for CatalogError {
    fn from(error: ConfigError) -> CatalogError {
        CatalogError(error.to_string())
    }
}

/// Why a project was not created, changed or deleted, or cannot be used.
#[derive(Debug)]
pub enum ChangeError {
    Missing(ProjectId),
    Exists(ProjectId),
    /// There are [`crate::limits::PROJECTS_MAX`] projects.
    TooMany,
    /// Another project on disk needs more descriptors than the process may have.
    TooFewDescriptors(TooFewDescriptors),
    /// config.json has an edit that the server has not read.
    ConfigEdited,
    /// A file of the project is also `by`. The log names both.
    FilesTaken {
        id: ProjectId,
        by: &'static str,
    },
    /// Its files do not have all of its values, so they are not opened again. The log has the reason.
    ValuesUnsaved,
    Storage(StorageError),
    /// Its files could not be opened. The log has the reason.
    Unreadable,
    /// The disk failed during this act. The log has the reason and the path.
    Disk(&'static str),
    /// config.json could not be saved, so nothing has changed; the reason and the fix.
    ConfigNotSaved(&'static str),
    /// Another process has locked config.json for too long; the fix.
    ConfigLocked(&'static str),
    /// A cell was named, and the engine has none.
    NoCells,
    /// engine.cells has no cell of that name, only those `known`.
    CellMissing {
        name: String,
        known: String,
    },
    /// A bug. The log has more.
    Internal,
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Missing(id) => {
                write!(f, "Project `{id}` does not exist. Create it with `POST /api/v1/projects`.")
            }
            ChangeError::Exists(id) => write!(f, "Project `{id}` exists already. Choose another id."),
            ChangeError::TooMany => write!(
                f,
                "The server has {} projects, which is the maximum. Delete one first.",
                grouped(PROJECTS_MAX)
            ),
            ChangeError::TooFewDescriptors(error) => error.fmt(f),
            ChangeError::ConfigEdited => f.write_str(
                "config.json was edited, and the server has not read it since. Send the server a SIGHUP, then try \
                 again. If the edit has an error, the server's log names it.",
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
                "The project's files could not be opened. The server's log has the file, the reason and the fix.",
            ),
            ChangeError::Disk(act) => write!(f, "The server's disk failed while {act}. Its log has the reason."),
            ChangeError::ConfigNotSaved(why) => {
                write!(f, "config.json was not saved; nothing was changed. {why}.")
            }
            ChangeError::ConfigLocked(advice) => {
                write!(f, "Another process has locked config.json, so nothing was changed. {advice}.")
            }
            ChangeError::NoCells => {
                f.write_str("This server has no cells; they are for `engine.type` etcd. Leave `cell` out.")
            }
            ChangeError::CellMissing { name, known } => {
                write!(f, "There is no cell `{name}`. The cells of this server: {known}.")
            }
            ChangeError::Internal => f.write_str("Internal server error. The log has details under this request id."),
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
