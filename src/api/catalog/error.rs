//! Why the projects could not be taken stock of.

use crate::auth::api_key::{HASH_ADVICE, KeyError};
use crate::config::mistake::ConfigError;
use crate::descriptors::TooFewDescriptors;
use crate::persist::own_files::Collision;
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
