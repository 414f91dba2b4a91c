//! A valid configuration.
//!
//! Each field has the effective value: that of the file, or the default. A save adds no settings that the user did
//! not write, because [`Config`] records which settings the file has. Projects have the settings of the file and
//! inherit the others.

pub(crate) use super::cors::Origin;
pub use super::engine::{CellConfig, CellName, Endpoint};
pub(crate) use super::public::PublicHost;
pub(crate) use super::sections::Accounts;
pub(crate) use super::sections::AuthenticationSettings;
pub(crate) use super::sections::ItemApi;
pub(crate) use super::sections::Limits;
pub(crate) use super::sections::Log;
pub(crate) use super::sections::LogFormat;
pub(crate) use super::sections::LogLevel;
pub(crate) use super::sections::RateLimit;
pub(crate) use super::sections::Registration;
pub(crate) use super::sections::StorageSettings;
pub(crate) use super::sections::Timeouts;
pub use super::sections::{AuthenticationChoice, Engine, EngineType, StorageChoice, SyncMode};
use super::setting::Owner;
use crate::limits::PROJECTS_MAX;
use crate::names::ProjectId;
use crate::network::Network;
use crate::secret::{KeyHash, Secret};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The port of a generated configuration.
pub(crate) const SERVER_PORT_DEFAULT: u16 = 23849;
/// Only this machine: the operator has to decide to serve a network.
pub(crate) const SERVER_HOST_DEFAULT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The data directory of a generated configuration.
pub(crate) const DATA_PATH_DEFAULT: &str = "storage_data/";
/// The project of a generated configuration.
pub(crate) const FIRST_PROJECT: &str = "first_project";

/// config.json. Every value is valid and no two projects have the same id. An optional setting that is changed in code
/// is saved only if the file had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `server_port`; 0 takes any free port.
    pub server_port: u16,
    pub server_host: IpAddr,
    /// `server_threads`; `None` for one per core.
    pub server_threads: Option<usize>,
    /// `default.storage.persistent_file_path`.
    pub persistent_file_path: String,
    /// The rest of `default.storage`, which projects inherit.
    pub storage: StorageSettings,
    /// `default.authentication`: the global switches, which projects inherit.
    pub authentication: AuthenticationSettings,
    /// The global key.
    pub key: StoredKey,
    pub limits: Limits,
    pub timeouts: Timeouts,
    pub log: Log,
    pub accounts: Accounts,
    pub item_api: ItemApi,
    /// `trusted_proxies`: the addresses whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<Network>,
    /// `public_origins`: those of this server, besides the one of `Host`.
    pub public_origins: Vec<Origin>,
    /// `public_hosts`: the only hosts that requests may name; empty for any.
    pub public_hosts: Vec<PublicHost>,
    /// `cors.origins`: the origins whose pages may call this server.
    pub cors_origins: Vec<Origin>,
    pub engine: Engine,
    pub(super) projects: Vec<ProjectConfig>,
    /// The paths of the optional settings and objects that the file has.
    pub(super) written: BTreeSet<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectConfig {
    pub id: ProjectId,
    /// `storage`, as written.
    pub storage: StorageChoice,
    /// The switches of `authentication`, as written.
    pub authentication: AuthenticationChoice,
    /// The project's key.
    pub key: StoredKey,
}

/// A key in config.json.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredKey {
    /// `api_key`: the key itself, if it is to stay in the file.
    pub text: Option<Secret>,
    /// `api_key_hash`. `None` until a key is set or generated.
    pub hash: Option<KeyHash>,
}

/// The owner of a key. No two owners have the same key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyOwner {
    /// The server: `default.authentication`.
    Global,
    Project(ProjectId),
}

/// A file with only the required settings, without projects.
impl Default for Config {
    fn default() -> Config {
        Config {
            server_port: SERVER_PORT_DEFAULT,
            server_host: SERVER_HOST_DEFAULT,
            server_threads: None,
            persistent_file_path: DATA_PATH_DEFAULT.to_owned(),
            storage: StorageSettings::default(),
            authentication: AuthenticationSettings { enabled: true, save_api_key_to_file: false },
            key: StoredKey::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            log: Log::default(),
            accounts: Accounts::default(),
            item_api: ItemApi::default(),
            trusted_proxies: Vec::new(),
            public_origins: Vec::new(),
            public_hosts: Vec::new(),
            cors_origins: Vec::new(),
            engine: Engine::default(),
            projects: Vec::new(),
            written: BTreeSet::new(),
        }
    }
}

impl Owner for Config {
    fn mark(&mut self, path: &'static str) {
        self.written.insert(path);
    }

    fn is_marked(&self, path: &str) -> bool {
        self.is_written(path)
    }
}

/// A project has exactly the settings of the file, so there is nothing to record.
impl Owner for ProjectConfig {
    fn mark(&mut self, _: &'static str) {}

    fn is_marked(&self, _: &str) -> bool {
        false
    }
}

/// A cell has exactly the settings of the file, too.
impl Owner for CellConfig {
    fn mark(&mut self, _: &'static str) {}

    fn is_marked(&self, _: &str) -> bool {
        false
    }
}

/// Changes. Each leaves the rest of the configuration unchanged.
impl Config {
    /// Whether the file has the optional setting at `path`.
    pub(crate) fn is_written(&self, path: &str) -> bool {
        self.written.contains(path)
    }

    /// Adds `project` after the others.
    ///
    /// # Errors
    /// [`AddProjectError`]; nothing changes then.
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

    /// Removes and returns the project `id`, if it exists.
    pub fn remove_project(&mut self, id: &ProjectId) -> Option<ProjectConfig> {
        let position = self.projects.iter().position(|project| project.id == *id)?;
        Some(self.projects.remove(position))
    }

    /// Changes the settings of the project `id` and returns whether it exists. Its key stays, except for the text of
    /// a key that the file must no longer have.
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

    /// The stored key of `owner`; `None` if the project does not exist.
    pub fn key(&self, owner: &KeyOwner) -> Option<&StoredKey> {
        match owner {
            KeyOwner::Global => Some(&self.key),
            KeyOwner::Project(id) => self.project(id).map(|project| &project.key),
        }
    }

    /// Sets the stored key of `owner` and returns whether the owner exists.
    pub fn set_key(&mut self, owner: &KeyOwner, key: StoredKey) -> bool {
        let stored = match owner {
            KeyOwner::Global => Some(&mut self.key),
            KeyOwner::Project(id) => {
                self.projects.iter_mut().find(|project| project.id == *id).map(|project| &mut project.key)
            }
        };
        let Some(stored) = stored else { return false };
        *stored = key;
        true
    }
}

impl ProjectConfig {
    pub fn new(id: ProjectId, storage: StorageChoice, authentication: AuthenticationChoice) -> ProjectConfig {
        ProjectConfig { id, storage, authentication, key: StoredKey::default() }
    }

    /// Whether it has no `authentication`.
    pub(super) fn is_silent(&self) -> bool {
        self.authentication == AuthenticationChoice::default() && self.key == StoredKey::default()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddProjectError {
    Exists { id: ProjectId },
    TooMany,
}

impl fmt::Display for AddProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddProjectError::Exists { id } => write!(f, "project `{id}` exists already"),
            AddProjectError::TooMany => {
                write!(f, "the server has {PROJECTS_MAX} projects, which is the maximum")
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
