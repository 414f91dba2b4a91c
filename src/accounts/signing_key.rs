//! The file of the key that signs tokens: made at the first start, read at each.

use crate::auth::jwt::SigningKey;
use crate::disk::{self, Disk};
use crate::entropy::{EntropyUnavailable, random_bytes};
use crate::limits::SIGNING_KEY_FILE_BYTES_MAX;
use crate::names::SIGNING_KEY_FILE;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no signing key.
#[derive(Debug)]
pub enum SigningKeyError {
    /// The file cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The file holds something else.
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    Entropy(EntropyUnavailable),
}

/// Where a signing key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Its file was there.
    Found,
    /// There was none, so it was made; tokens that were signed before are void.
    Made,
}

/// The path of the signing key's file in `directory`.
pub(crate) fn path_in(directory: &Path) -> PathBuf {
    directory.join(SIGNING_KEY_FILE)
}

/// The signing key in `directory`, which is made where there is none.
///
/// # Errors
/// [`SigningKeyError`]; a file that holds something else is left as it is.
pub(crate) fn load_or_make(
    disk: &dyn Disk,
    directory: &Path,
) -> Result<(SigningKey, Origin), SigningKeyError> {
    let path = path_in(directory);
    match disk::load(disk, &path, SIGNING_KEY_FILE_BYTES_MAX) {
        Ok(bytes) => {
            let key = str::from_utf8(&bytes).ok().and_then(SigningKey::parse);
            key.map(|key| (key, Origin::Found)).ok_or(SigningKeyError::Damaged { path })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::new(random_bytes().map_err(SigningKeyError::Entropy)?);
            let text = format!("{}\n", key.encode().reveal());
            match disk::replace(disk, &path, text.as_bytes()) {
                Ok(()) => Ok((key, Origin::Made)),
                Err(error) => Err(SigningKeyError::Io { path, error }),
            }
        }
        Err(error) => Err(SigningKeyError::Io { path, error }),
    }
}

impl fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SigningKeyError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            SigningKeyError::Damaged { path } => write!(
                f,
                "{}: is not a signing key; put the right file back, or remove it to have a new key made, \
                 which ends all tokens",
                path.display()
            ),
            SigningKeyError::Entropy(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SigningKeyError {}
