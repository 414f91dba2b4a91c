//! Why a migration ended. What was completed until then stays, and another run continues.

use crate::catalog::keys::KeyError;
use crate::config::schema::KeyOwner;
use crate::limits::PROJECTS_MAX;
use crate::names::ProjectId;
use crate::persist::start::recovery_error::RecoveryError;
use crate::storage::copy::CopyError;
use crate::storage::etcd::cell::CellError;
use crate::storage::etcd::claim::ClaimError;
use crate::storage::etcd::record::RecordError;
use crate::store::error::StorageError;
use std::fmt;
use std::io;
use std::path::PathBuf;

#[derive(Debug)]
pub enum MigrateError {
    /// A server has written the clock of this cell.
    InUse {
        cell: String,
    },
    /// A project on the cells is being created, deleted or moved.
    Unfinished {
        id: ProjectId,
    },
    CellMissing {
        id: ProjectId,
        cell: String,
    },
    /// The project exists there, and a key is not the same.
    Different {
        id: ProjectId,
        key: String,
        location: String,
    },
    /// The project exists on a cell with other settings or another API key.
    SettingsDiffer {
        id: ProjectId,
    },
    /// Values of this project would not be kept in files.
    NotOnDisk {
        id: ProjectId,
    },
    /// There are accounts, and another key has signed their tokens.
    SigningKeyDiffers {
        location: String,
    },
    SigningKey(String),
    /// Keys that no start has generated yet.
    KeysMissing {
        owners: Vec<KeyOwner>,
    },
    /// There are as many projects as are allowed.
    Full {
        id: ProjectId,
    },
    /// The files of a project cannot be read.
    NotOpened {
        id: ProjectId,
        reason: String,
    },
    /// It was not completely deleted.
    DeletionBegun {
        id: ProjectId,
    },
    Copy {
        id: ProjectId,
        error: CopyError,
    },
    Claim {
        id: ProjectId,
        error: ClaimError,
    },
    Record(RecordError),
    Key(KeyError),
    Recovery(RecoveryError),
    Disk {
        path: PathBuf,
        error: io::Error,
    },
}

impl From<RecordError> for MigrateError {
    fn from(error: RecordError) -> MigrateError {
        MigrateError::Record(error)
    }
}

impl From<CellError> for MigrateError {
    fn from(error: CellError) -> MigrateError {
        MigrateError::Record(error.into())
    }
}

impl From<RecoveryError> for MigrateError {
    fn from(error: RecoveryError) -> MigrateError {
        MigrateError::Recovery(error)
    }
}

impl MigrateError {
    pub(super) fn claim(id: &ProjectId) -> impl Fn(ClaimError) -> MigrateError + '_ {
        |error| MigrateError::Claim { id: id.clone(), error }
    }

    pub(super) fn storage(id: &ProjectId) -> impl Fn(StorageError) -> MigrateError + '_ {
        |error| MigrateError::Copy { id: id.clone(), error: CopyError::Read(error) }
    }
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MigrateError::InUse { cell } => write!(
                f,
                "A server uses cell `{cell}`. Stop the servers on all machines, then run the command again."
            ),
            MigrateError::Unfinished { id } => write!(
                f,
                "Project `{id}` is being created, deleted or moved on the cells. Start a server with engine.type etcd and \
                 complete that, then run the command again."
            ),
            MigrateError::CellMissing { id, cell } => {
                write!(
                    f,
                    "Project `{id}` is on cell `{cell}`, which engine.cells does not have. Add the cell."
                )
            }
            MigrateError::Different { id, key, location } => write!(
                f,
                "Project `{id}` exists in {location} and is not the same: key `{key}` differs. It was not changed. To copy \
                 the original, delete the project in {location}, or move its files to another directory, then run the \
                 command again."
            ),
            MigrateError::SettingsDiffer { id } => write!(
                f,
                "Project `{id}` exists on its cell with other settings or another API key. Delete one of the two, or make \
                 their settings and keys the same, then run the command again."
            ),
            MigrateError::NotOnDisk { id } => write!(
                f,
                "Project `{id}` has on_disk false, so files would not keep its keys. Set it to true with PATCH \
                 /api/v1/projects/{id}, then run the command again."
            ),
            MigrateError::SigningKeyDiffers { location } => write!(
                f,
                "Another installation has its accounts and its signing key in {location}. Use an empty one, then run the \
                 command again."
            ),
            MigrateError::SigningKey(reason) => f.write_str(reason),
            MigrateError::KeysMissing { owners } => write!(
                f,
                "These keys were not generated yet: {}. Start the server once with engine.type embedded, which prints new \
                 keys, then stop it and run the command again.",
                owners.iter().map(KeyOwner::to_string).collect::<Vec<_>>().join(", ")
            ),
            MigrateError::Full { id } => write!(
                f,
                "Project `{id}` is not copied, because there are as many projects as are allowed ({PROJECTS_MAX}). Delete \
                 some, then run the command again."
            ),
            MigrateError::NotOpened { id, reason } => write!(f, "Project `{id}` cannot be read: {reason}"),
            MigrateError::DeletionBegun { id } => write!(
                f,
                "The deletion of the files of project `{id}` is not finished. Start the server once with engine.type \
                 embedded, which finishes it, then stop it and run the command again."
            ),
            MigrateError::Copy { id, error } => write!(f, "Project `{id}`: {error}"),
            MigrateError::Claim { id, error } => write!(f, "Project `{id}`: {error}"),
            MigrateError::Record(error) => error.fmt(f),
            MigrateError::Key(error) => write!(f, "{error}."),
            MigrateError::Recovery(error) => error.fmt(f),
            MigrateError::Disk { path, error } => write!(f, "{}: {error}.", path.display()),
        }
    }
}

impl std::error::Error for MigrateError {}
