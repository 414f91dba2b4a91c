//! config.json as a file: its text, the text that a first start writes, and how it is loaded and saved.
//!
//! A file with a mistake is refused and stays unchanged. A save replaces the whole file at once.

use super::field::Value;
use super::mistake::ConfigError;
use super::older;
pub use super::parse::parse;
use super::schema::{AuthenticationChoice, Config, FIRST_PROJECT, ProjectConfig, StorageChoice};
use super::setting::{mark_with_sections, object};
use super::settings::SETTINGS;
use crate::disk::{self, DirectoryLock, Disk, Open};
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_SYNCS_MAX};
use crate::names::ProjectId;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use std::io::{self, ErrorKind};
use std::path::Path;

/// The optional settings that a first start writes, because people change them.
const EDITED_SETTINGS: [&str; 7] = [
    "server_host",
    "log.level",
    "accounts.enabled",
    "accounts.registration",
    "trusted_proxies",
    "public_hosts",
    "cors.origins",
];

/// The configuration that a first start writes: [`default_config`] with the sections that people edit.
pub fn first_config() -> Config {
    let mut config = default_config();
    EDITED_SETTINGS.iter().for_each(|path| mark_with_sections(&mut config, path));
    config
}

/// The required settings, and one project on disk and in memory: authentication on, no keys yet.
pub fn default_config() -> Config {
    let storage =
        StorageChoice { on_disk: Some(true), cache_in_memory: Some(true), ..StorageChoice::default() };
    let authentication = AuthenticationChoice { enabled: Some(true), save_api_key_to_file: Some(false) };
    let first = ProjectId::parse(FIRST_PROJECT).map(|id| ProjectConfig::new(id, storage, authentication));
    Config { projects: first.into_iter().collect(), ..Config::default() }
}

/// The text of config.json with the keys: members in the order of the documentation, indented by four spaces, with a
/// newline at the end. [`parse`] returns `config` for it.
pub fn encode(config: &Config) -> Vec<u8> {
    encode_value(&object(SETTINGS, config))
}

/// The text of the object `written`.
pub(super) fn encode_value(written: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    let written = written.serialize(&mut serializer);
    assert!(written.is_ok(), "text, numbers and switches are always JSON, and a Vec takes every byte");
    text.push(b'\n');
    text
}

pub struct Loaded {
    pub config: Config,
    /// For settings of an older version, with what to write instead.
    pub warnings: Vec<String>,
}

/// Loads the configuration at `path`; `None` if the file does not exist.
///
/// # Errors
/// Any [`ConfigError`] but `Write`.
pub fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Config>, ConfigError> {
    Ok(load_with_warnings(disk, path)?.map(|loaded| loaded.config))
}

pub fn load_with_warnings(disk: &dyn Disk, path: &Path) -> Result<Option<Loaded>, ConfigError> {
    read(disk, path)?.map(|text| parsed(path, &text)).transpose()
}

/// As [`load_with_warnings`], but the text is on disk: a power cut does not undo a change that took effect. A file
/// system that cannot sync is accepted.
///
/// # Errors
/// As [`load`]; [`ConfigError::Read`] also if the disk fails, or if the file changes between all reads.
pub fn load_synced(disk: &dyn Disk, path: &Path) -> Result<Option<Loaded>, ConfigError> {
    let failed = |error| ConfigError::Read { path: path.to_owned(), error };
    let Some(mut text) = read(disk, path)? else { return Ok(None) };
    for _ in 0..CONFIG_SYNCS_MAX {
        sync(disk, path).map_err(failed)?;
        // An edit after the sync may not be on disk.
        match read(disk, path)? {
            Some(again) if again == text => return parsed(path, &text).map(Some),
            Some(again) => text = again,
            None => return Ok(None),
        }
    }
    Err(failed(io::Error::other("another program keeps changing it; try again once it is complete")))
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    let opened = disk.open(path, Open::ReadThroughLinks);
    match opened.and_then(|file| disk::load_from(file.as_ref(), CONFIG_BYTES_MAX)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::FileTooLarge => {
            Err(ConfigError::TooLarge { path: path.to_owned() })
        }
        Err(error) => Err(ConfigError::Read { path: path.to_owned(), error }),
    }
}

fn parsed(path: &Path, text: &[u8]) -> Result<Loaded, ConfigError> {
    let config = parse(text).map_err(|mistake| ConfigError::Invalid { path: path.to_owned(), mistake })?;
    Ok(Loaded { config, warnings: older::warnings(path, text) })
}

/// Syncs the file at `path`, its directory, and the directory of the file that a link there points to.
fn sync(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let target = disk.follow_links(path);
    let file = disk.open(path, Open::ReadThroughLinks).and_then(|file| file.sync());
    let directories = [path, &target].map(|path| disk.sync_directory(disk::parent_directory(path)));
    for synced in [file].into_iter().chain(directories) {
        match synced {
            Err(error) if !cannot_sync(&error) => {
                return Err(io::Error::new(error.kind(), format!("it cannot be synced: {error}")));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Whether `error` means that there is nothing to sync, or that this process may not sync it. If the file does not
/// exist any more, the next read finds that.
fn cannot_sync(error: &io::Error) -> bool {
    use ErrorKind::{InvalidInput, NotFound, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), InvalidInput | NotFound | PermissionDenied | ReadOnlyFilesystem | Unsupported)
}

/// Waits for the lock of the file at `path`. Every process of this program that changes the file holds the lock from
/// before it reads the file until it has saved it, so no process loses the change of another one.
///
/// # Errors
/// [`ConfigError::Locked`]
pub(crate) fn lock(disk: &dyn Disk, path: &Path) -> Result<DirectoryLock, ConfigError> {
    match disk::lock_directory(disk, disk::parent_directory(&disk.follow_links(path))) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(ConfigError::Locked { path: path.to_owned() })
        }
        // Either saving fails too, with a better error, or the file system has no locks.
        locked => Ok(locked.unwrap_or_default()),
    }
}

/// Replaces the file at `path` with `config`: a crash leaves the old file or the new one. Of a symbolic link, the file
/// that it points to is replaced.
///
/// # Errors
/// [`ConfigError::Write`]; the file is unchanged, unless only the sync of its directory failed.
pub fn save(disk: &dyn Disk, path: &Path, config: &Config) -> Result<(), ConfigError> {
    disk::replace(disk, &disk.follow_links(path), &encode(config))
        .map_err(|error| ConfigError::Write { path: path.to_owned(), error })
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
