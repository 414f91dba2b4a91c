//! The configuration as it is once it was found valid.
//!
//! What a file may leave out is an `Option` and stays one, so that saving adds nothing that the
//! user did not write; the accessors of [`Config`] give what is in force. Members that are a subject
//! of their own have a file of their own and are named here too.

pub use super::accounts::{Accounts, AccountsChoice, Registration};
pub use super::bounds::{Limits, LimitsChoice, PerAddress, Timeouts, TimeoutsChoice};
pub use super::cors::{CorsChoice, Origin, OriginError};
pub use super::item_api::{ItemApiChoice, RateLimit, RateLimitChoice};
pub use super::public::PublicHost;
use crate::limits::{PROJECTS_MAX, SYNC_INTERVAL_SECONDS_MAX};
use crate::names::ProjectId;
use crate::network::Network;
use crate::secret::{KeyHash, Secret};
use ::log::LevelFilter;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The `version` that this program reads and writes.
pub const VERSION: u64 = 1;
/// The port of a configuration that nobody wrote.
pub const SERVER_PORT_DEFAULT: u16 = 23849;
/// Only this machine: a server on a network is somebody's decision.
pub const SERVER_HOST_DEFAULT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The data directory of a configuration that nobody wrote.
pub const DATA_PATH_DEFAULT: &str = "storage_data/";
/// The project of a configuration that nobody wrote.
pub const FIRST_PROJECT: &str = "first_project";

/// config.json. Every value is valid and no two projects have the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `server_port`; 0 takes any free port.
    pub server_port: u16,
    /// `server_host`, as written.
    pub server_host: Option<IpAddr>,
    /// `server_threads`, as written.
    pub server_threads: Option<Threads>,
    /// `default.storage.persistent_file_path`, as written.
    pub persistent_file_path: String,
    /// The rest of `default.storage`, as written: for projects that do not say.
    pub storage: StorageChoice,
    /// `default.authentication`: the global switch, and what projects inherit.
    pub authentication: AuthenticationSettings,
    /// The global key.
    pub key: StoredKey,
    /// `limits`, as written.
    pub limits: Option<LimitsChoice>,
    /// `timeouts`, as written.
    pub timeouts: Option<TimeoutsChoice>,
    /// `log`, as written.
    pub log: Option<LogChoice>,
    /// `accounts`, as written.
    pub accounts: Option<AccountsChoice>,
    /// `item_api`, as written.
    pub item_api: Option<ItemApiChoice>,
    /// `trusted_proxies`, as written.
    pub trusted_proxies: Option<Vec<Network>>,
    /// `public_origins`, as written.
    pub public_origins: Option<Vec<Origin>>,
    /// `public_hosts`, as written.
    pub public_hosts: Option<Vec<PublicHost>>,
    /// `cors`, as written.
    pub cors: Option<CorsChoice>,
    pub(super) projects: Vec<ProjectConfig>,
}

/// One of `projects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectConfig {
    /// `id`.
    pub id: ProjectId,
    /// `storage`, as written.
    pub storage: StorageChoice,
    /// The switches of `authentication`, as written.
    pub authentication: AuthenticationChoice,
    /// The project's key.
    pub key: StoredKey,
}

/// `storage` as written. Also what a client sends about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StorageChoice {
    /// Whether there is a data file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_disk: Option<bool>,
    /// Whether the values are kept in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_in_memory: Option<bool>,
    /// When a write counts as done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncMode>,
    /// After which time `sync: interval` syncs, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_interval_seconds: Option<u64>,
}

/// `storage` in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StorageSettings {
    /// Whether there is a data file.
    pub on_disk: bool,
    /// Whether the values are kept in memory.
    pub cache_in_memory: bool,
    /// When a write counts as done.
    pub sync: SyncMode,
    /// After which time `sync: interval` syncs, seconds.
    pub sync_interval_seconds: u64,
}

/// When a write to a project counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// When it is on disk.
    #[default]
    Always,
    /// At once; it is on disk after `sync_interval_seconds`.
    Interval,
}

/// The switches of `authentication` as written. Also what a client sends about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuthenticationChoice {
    /// Whether a key is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether the text of the key stays in config.json.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_api_key_to_file: Option<bool>,
}

/// The switches of `authentication`, inherited where a project does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AuthenticationSettings {
    /// Whether a key is asked for.
    pub enabled: bool,
    /// Whether the text of the key stays in config.json.
    pub save_api_key_to_file: bool,
}

/// What config.json keeps of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredKey {
    /// `api_key`: the key itself, where it is to stay there.
    pub text: Option<Secret>,
    /// `api_key_hash`. `None` until a key was set or generated.
    pub hash: Option<KeyHash>,
}

/// Whose key it is. A project's key is never another project's or the global one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyOwner {
    /// The server: `default.authentication`.
    Global,
    /// A project.
    Project(ProjectId),
}

/// `server_threads` as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// `null`: one event loop per core.
    PerCore,
    /// So many event loops.
    Count(usize),
}

/// `log` as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogChoice {
    /// The least important lines that are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
    /// How a line looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,
}

/// The least important log lines that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// Starts, stops, decisions and requests.
    #[default]
    Info,
    /// Everything.
    Debug,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a person.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl StorageChoice {
    /// This choice, and what `other` has if this has nothing.
    pub fn or(self, other: StorageChoice) -> StorageChoice {
        StorageChoice {
            on_disk: self.on_disk.or(other.on_disk),
            cache_in_memory: self.cache_in_memory.or(other.cache_in_memory),
            sync: self.sync.or(other.sync),
            sync_interval_seconds: self.sync_interval_seconds.or(other.sync_interval_seconds),
        }
    }

    /// Sets `sync` to the mode called `name`. Returns whether there is such a mode.
    pub fn set_sync(&mut self, name: &str) -> bool {
        self.sync = SyncMode::parse(name);
        if name == SyncMode::NEVER {
            self.sync = Some(SyncMode::Interval);
            self.sync_interval_seconds.get_or_insert(SYNC_INTERVAL_SECONDS_MAX);
        }
        self.sync.is_some()
    }
}

impl SyncMode {
    /// The texts that [`SyncMode::parse`] takes.
    pub const NAMES: &'static [&'static str] = &["always", "interval"];

    /// A mode of older versions. It is read as `interval` with [`SYNC_INTERVAL_SECONDS_MAX`].
    pub const NEVER: &'static str = "never";

    /// The mode called `name`.
    pub fn parse(name: &str) -> Option<SyncMode> {
        [SyncMode::Always, SyncMode::Interval].into_iter().find(|mode| mode.name() == name)
    }

    /// What config.json calls it.
    pub fn name(self) -> &'static str {
        match self {
            SyncMode::Always => "always",
            SyncMode::Interval => "interval",
        }
    }
}

impl LogLevel {
    /// The texts that [`LogLevel::parse`] takes.
    pub const NAMES: &'static [&'static str] = &["error", "warn", "info", "debug"];

    /// The level called `name`.
    pub fn parse(name: &str) -> Option<LogLevel> {
        let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];
        levels.into_iter().find(|level| level.name() == name)
    }

    /// The level as the `log` crate has it.
    pub fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Error => LevelFilter::Error,
            LogLevel::Warn => LevelFilter::Warn,
            LogLevel::Info => LevelFilter::Info,
            LogLevel::Debug => LevelFilter::Debug,
        }
    }

    /// What config.json calls it.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
    }
}

impl LogFormat {
    /// The texts that [`LogFormat::parse`] takes.
    pub const NAMES: &'static [&'static str] = &["text", "json"];

    /// The format called `name`.
    pub fn parse(name: &str) -> Option<LogFormat> {
        [LogFormat::Text, LogFormat::Json].into_iter().find(|format| format.name() == name)
    }

    /// What config.json calls it.
    pub fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }
}

/// Changes. Each leaves the rest of the configuration as it was.
impl Config {
    /// Adds `project` behind the others.
    ///
    /// # Errors
    /// [`AddProjectError`]; nothing has changed then.
    pub fn add_project(&mut self, project: ProjectConfig) -> Result<(), AddProjectError> {
        if self.project(&project.id).is_some() {
            return Err(AddProjectError::Exists { id: project.id });
        }
        if self.projects.len() >= PROJECTS_MAX {
            return Err(AddProjectError::TooMany);
        }
        self.projects.push(project);
        Ok(())
    }

    /// Takes the project `id` out, where there is one.
    pub fn remove_project(&mut self, id: &ProjectId) -> Option<ProjectConfig> {
        let position = self.projects.iter().position(|project| project.id == *id)?;
        Some(self.projects.remove(position))
    }

    /// Gives the project `id` other settings and says whether there is such a project. Its key
    /// stays, but for the text of a key that no longer belongs into the file.
    pub fn replace_settings(
        &mut self,
        id: &ProjectId,
        storage: StorageChoice,
        authentication: AuthenticationChoice,
    ) -> bool {
        let save_default = self.authentication.save_api_key_to_file;
        let Some(project) = self.projects.iter_mut().find(|project| project.id == *id) else { return false };
        project.storage = storage;
        project.authentication = authentication;
        let save = authentication.save_api_key_to_file.unwrap_or(save_default);
        if !save && project.key.hash.is_some() {
            project.key.text = None;
        }
        true
    }

    /// What is kept of the key of `owner`; `None` where there is no such project.
    pub fn key(&self, owner: &KeyOwner) -> Option<&StoredKey> {
        match owner {
            KeyOwner::Global => Some(&self.key),
            KeyOwner::Project(id) => self.project(id).map(|project| &project.key),
        }
    }

    /// Sets what is kept of the key of `owner` and says whether there is such an owner.
    pub fn set_key(&mut self, owner: &KeyOwner, key: StoredKey) -> bool {
        let place = match owner {
            KeyOwner::Global => Some(&mut self.key),
            KeyOwner::Project(id) => {
                self.projects.iter_mut().find(|project| project.id == *id).map(|project| &mut project.key)
            }
        };
        let Some(place) = place else { return false };
        *place = key;
        true
    }
}

impl ProjectConfig {
    /// A project without a key.
    pub fn new(id: ProjectId, storage: StorageChoice, authentication: AuthenticationChoice) -> ProjectConfig {
        ProjectConfig { id, storage, authentication, key: StoredKey::default() }
    }
}

/// Why a project was not added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddProjectError {
    /// There is one with this id.
    Exists {
        /// The id.
        id: ProjectId,
    },
    /// There are [`PROJECTS_MAX`] already.
    TooMany,
}

impl fmt::Display for AddProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddProjectError::Exists { id } => write!(f, "there is a project `{id}` already"),
            AddProjectError::TooMany => {
                write!(f, "there are {PROJECTS_MAX} projects, which is the most one server has")
            }
        }
    }
}

impl std::error::Error for AddProjectError {}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyOwner::Global => f.write_str("the global key"),
            KeyOwner::Project(id) => write!(f, "the key of project `{id}`"),
        }
    }
}
