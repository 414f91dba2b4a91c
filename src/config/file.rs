//! config.json as a file: its text, the one a first start writes, and loading and saving it.
//!
//! A file with a mistake is refused and left as it is; a save replaces the whole file at once.

use super::mistake::{ConfigError, Mistake};
use super::older;
use super::schema::{
    AccountsChoice, AuthenticationChoice, AuthenticationSettings, Config, CorsChoice, DATA_PATH_DEFAULT,
    FIRST_PROJECT, ItemApiChoice, LimitsChoice, LogChoice, Origin, ProjectConfig, PublicHost,
    RateLimitChoice, SERVER_PORT_DEFAULT, StorageChoice, StoredKey, Threads, TimeoutsChoice, VERSION,
};
use crate::disk::{self, Disk, Open};
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_SYNCS_MAX};
use crate::names::ProjectId;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::Path;

/// Takes `text` as a configuration.
///
/// # Errors
/// The first [`Mistake`], with its line and column.
pub fn parse(text: &[u8]) -> Result<Config, Mistake> {
    super::parse::parse(text)
}

/// The configuration of a first start: one project on disk and in memory, authentication on, no
/// keys yet.
pub fn default_config() -> Config {
    let storage =
        StorageChoice { on_disk: Some(true), cache_in_memory: Some(true), ..StorageChoice::default() };
    let authentication = AuthenticationChoice { enabled: Some(true), save_api_key_to_file: Some(false) };
    let first = ProjectId::parse(FIRST_PROJECT).map(|id| ProjectConfig::new(id, storage, authentication));
    Config {
        server_port: SERVER_PORT_DEFAULT,
        server_host: None,
        server_threads: None,
        persistent_file_path: DATA_PATH_DEFAULT.to_owned(),
        storage: StorageChoice::default(),
        authentication: AuthenticationSettings { enabled: true, save_api_key_to_file: false },
        key: StoredKey::default(),
        limits: None,
        timeouts: None,
        log: None,
        accounts: None,
        item_api: None,
        trusted_proxies: None,
        public_origins: None,
        public_hosts: None,
        cors: None,
        projects: first.into_iter().collect(),
    }
}

/// The text of config.json, keys included: members in the order of the documentation, indented
/// by four spaces, with a newline at the end. [`parse`] reads it back as `config`.
pub fn encode(config: &Config) -> Vec<u8> {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    let written = FileText::of(config).serialize(&mut serializer);
    assert!(written.is_ok(), "text, numbers and switches are always JSON, and a Vec takes every byte");
    text.push(b'\n');
    text
}

/// A configuration that was loaded.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What the file has from an older version, with what to write instead.
    pub warnings: Vec<String>,
}

/// Loads the configuration at `path`; `None` if the file does not exist.
///
/// # Errors
/// [`ConfigError`], all but `Write`.
pub fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Config>, ConfigError> {
    Ok(load_with_warnings(disk, path)?.map(|loaded| loaded.config))
}

/// As [`load`], with the warnings.
///
/// # Errors
/// As [`load`].
pub fn load_with_warnings(disk: &dyn Disk, path: &Path) -> Result<Option<Loaded>, ConfigError> {
    read(disk, path)?.map(|text| parsed(path, &text)).transpose()
}

/// As [`load_with_warnings`], of a text that is on the disk: what takes effect is not undone by a power cut. A file
/// system that cannot sync is no obstacle.
///
/// # Errors
/// As [`load`]; [`ConfigError::Read`] also if the disk fails, or if the file changes with every look at it.
pub fn load_synced(disk: &dyn Disk, path: &Path) -> Result<Option<Loaded>, ConfigError> {
    let failed = |error| ConfigError::Read { path: path.to_owned(), error };
    let Some(mut text) = read(disk, path)? else { return Ok(None) };
    for _ in 0..CONFIG_SYNCS_MAX {
        sync(disk, path).map_err(failed)?;
        // An edit that came after the sync may not be on the disk.
        match read(disk, path)? {
            Some(again) if again == text => return parsed(path, &text).map(Some),
            Some(again) => text = again,
            None => return Ok(None),
        }
    }
    Err(failed(io::Error::other("something changes it all the time; try again once it is complete")))
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

/// Syncs the file at `path` and the directories of its name and of the file that a link there leads to.
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

/// Whether `error` says that there is nothing to sync, or nothing that this process may sync. A file that is
/// gone by now is found missing by the next read.
fn cannot_sync(error: &io::Error) -> bool {
    use ErrorKind::{InvalidInput, NotFound, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), InvalidInput | NotFound | PermissionDenied | ReadOnlyFilesystem | Unsupported)
}

/// Replaces the file at `path` by `config`: a crash leaves the old file or the new one. A symbolic link
/// stays one; the file that it leads to is replaced.
///
/// # Errors
/// [`ConfigError::Write`]; the file is as it was, unless only the sync of its directory failed.
pub fn save(disk: &dyn Disk, path: &Path, config: &Config) -> Result<(), ConfigError> {
    disk::replace(disk, &disk.follow_links(path), &encode(config))
        .map_err(|error| ConfigError::Write { path: path.to_owned(), error })
}

/// The layout of the file, in its order.
#[derive(Serialize)]
struct FileText<'a> {
    version: u64,
    server_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_host: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_threads: Option<ThreadsText>,
    default: DefaultText<'a>,
    projects: Vec<ProjectText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<LimitsChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeouts: Option<TimeoutsChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<LogChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<AccountsChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_api: Option<ItemApiText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_proxies: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_origins: Option<&'a [Origin]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_hosts: Option<&'a [PublicHost]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cors: Option<&'a CorsChoice>,
}

/// `null` or a number.
#[derive(Serialize)]
struct ThreadsText(Option<usize>);

#[derive(Serialize)]
struct DefaultText<'a> {
    storage: DefaultStorageText<'a>,
    authentication: AuthenticationText<'a>,
}

#[derive(Serialize)]
struct DefaultStorageText<'a> {
    persistent_file_path: &'a str,
    #[serde(flatten)]
    storage: StorageChoice,
}

#[derive(Serialize)]
struct ProjectText<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<StorageChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication: Option<AuthenticationText<'a>>,
}

/// The two switches where they were written; the key always, because the server sets it.
#[derive(Serialize)]
struct AuthenticationText<'a> {
    #[serde(flatten)]
    switches: AuthenticationChoice,
    api_key: Option<&'a str>,
    api_key_hash: Option<String>,
}

#[derive(Serialize)]
struct ItemApiText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<RateLimitChoice>,
}

impl<'a> FileText<'a> {
    fn of(config: &'a Config) -> FileText<'a> {
        let switches = AuthenticationChoice {
            enabled: Some(config.authentication.enabled),
            save_api_key_to_file: Some(config.authentication.save_api_key_to_file),
        };
        FileText {
            version: VERSION,
            server_port: config.server_port,
            server_host: config.server_host,
            server_threads: config.server_threads.map(ThreadsText::of),
            default: DefaultText {
                storage: DefaultStorageText {
                    persistent_file_path: &config.persistent_file_path,
                    storage: config.storage,
                },
                authentication: AuthenticationText::of(switches, &config.key),
            },
            projects: config.projects.iter().map(ProjectText::of).collect(),
            limits: config.limits,
            timeouts: config.timeouts,
            log: config.log,
            accounts: config.accounts,
            item_api: config.item_api.as_ref().map(ItemApiText::of),
            trusted_proxies: config
                .trusted_proxies
                .as_ref()
                .map(|networks| networks.iter().map(ToString::to_string).collect()),
            public_origins: config.public_origins.as_deref(),
            public_hosts: config.public_hosts.as_deref(),
            cors: config.cors.as_ref(),
        }
    }
}

impl ThreadsText {
    fn of(threads: Threads) -> ThreadsText {
        match threads {
            Threads::PerCore => ThreadsText(None),
            Threads::Count(count) => ThreadsText(Some(count)),
        }
    }
}

impl<'a> ProjectText<'a> {
    fn of(project: &'a ProjectConfig) -> ProjectText<'a> {
        let (switches, key) = (project.authentication, &project.key);
        let is_silent = switches == AuthenticationChoice::default() && *key == StoredKey::default();
        ProjectText {
            id: project.id.as_str(),
            storage: Some(project.storage).filter(|storage| *storage != StorageChoice::default()),
            authentication: (!is_silent).then(|| AuthenticationText::of(switches, key)),
        }
    }
}

impl<'a> AuthenticationText<'a> {
    fn of(switches: AuthenticationChoice, key: &'a StoredKey) -> AuthenticationText<'a> {
        AuthenticationText {
            switches,
            api_key: key.text.as_ref().map(|text| text.reveal()),
            api_key_hash: key.hash.map(|hash| hash.encode()),
        }
    }
}

impl<'a> ItemApiText<'a> {
    fn of(item_api: &'a ItemApiChoice) -> ItemApiText<'a> {
        ItemApiText {
            project: item_api.project.as_ref().map(ProjectId::as_str),
            rate_limit: item_api.rate_limit,
        }
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
