//! The key that signs tokens, in a file or on a cell: created at the first start, read at each.

use crate::auth::jwt::SigningKey;
use crate::disk::{self, Disk};
use crate::entropy::random_bytes;
use crate::limits::SIGNING_KEY_FILE_BYTES_MAX;
use crate::names::SIGNING_KEY_FILE;
use crate::storage::etcd::cell::Cell;
use crate::storage::etcd::record;
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
            let key = new_key()?;
            let text = format!("{}\n", key.encode().reveal());
            disk::replace(disk, &path, text.as_bytes()).map_err(failed)?;
            Ok((key, true))
        }
        Err(error) => Err(failed(error)),
    }
}

/// The signing key on the cell `home`, and whether it is new, as in [`load_or_create`]. Instances that start at the same
/// moment get the same key.
pub(crate) fn load_or_create_on(home: &Cell) -> Result<(SigningKey, bool), String> {
    let (text, is_new) =
        record::signing_key(home, &new_key()?.encode()).map_err(|error| error.to_string())?;
    let key = SigningKey::parse(text.reveal()).ok_or_else(|| {
        format!(
            "cell `{}`: the value of `{}` is not a signing key; restore the cell from a snapshot, or delete that key of \
             etcd to have a new one created, which ends all tokens",
            home.name(),
            record::SIGNING_KEY
        )
    })?;
    Ok((key, is_new))
}

fn new_key() -> Result<SigningKey, String> {
    random_bytes().map(SigningKey::new).map_err(|error| error.to_string())
}
