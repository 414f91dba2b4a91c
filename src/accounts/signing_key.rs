//! The file of the key that signs tokens: created at the first start, read at each.

use crate::auth::jwt::SigningKey;
use crate::disk::{self, Disk};
use crate::entropy::random_bytes;
use crate::limits::SIGNING_KEY_FILE_BYTES_MAX;
use crate::names::SIGNING_KEY_FILE;
use std::io;
use std::path::{Path, PathBuf};

/// The path of the signing key's file in `directory`.
pub(crate) fn path_in(directory: &Path) -> PathBuf {
    directory.join(SIGNING_KEY_FILE)
}

/// The signing key in `directory`, and whether it is new: if there was none, it is created, and tokens that were
/// signed before are invalid.
pub(crate) fn load_or_create(disk: &dyn Disk, directory: &Path) -> Result<(SigningKey, bool), String> {
    let path = path_in(directory);
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    match disk::load(disk, &path, SIGNING_KEY_FILE_BYTES_MAX) {
        Ok(bytes) => {
            let key = str::from_utf8(&bytes).ok().and_then(SigningKey::parse);
            key.map(|key| (key, false)).ok_or_else(|| {
                format!(
                    "{}: not a signing key; restore the right file, or remove this one to have a new key created, \
                     which ends all tokens",
                    path.display()
                )
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::new(random_bytes().map_err(|error| error.to_string())?);
            let text = format!("{}\n", key.encode().reveal());
            disk::replace(disk, &path, text.as_bytes()).map_err(failed)?;
            Ok((key, true))
        }
        Err(error) => Err(failed(error)),
    }
}
