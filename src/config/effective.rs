//! Effective settings: projects with the settings that they inherit, and values that depend on several settings.

use super::schema::{AuthenticationSettings, Config, EngineType, ProjectConfig, StorageSettings};
use crate::descriptors::Held;
use crate::names::ProjectId;
use std::path::{Path, PathBuf};

impl Config {
    /// The projects that the file has, in its order. With etcd they are not served, because the home cell lists them.
    pub fn listed_projects(&self) -> &[ProjectConfig] {
        &self.projects
    }

    /// The projects that are served from files, in the order of config.json.
    pub fn projects(&self) -> &[ProjectConfig] {
        match self.engine.kind {
            EngineType::Embedded => &self.projects,
            EngineType::Etcd => &[],
        }
    }

    pub fn project(&self, id: &ProjectId) -> Option<&ProjectConfig> {
        self.projects().iter().find(|project| project.id == *id)
    }

    /// The storage settings of `project`: its own, else those of `default.storage`.
    pub fn storage_of(&self, project: &ProjectConfig) -> StorageSettings {
        let (own, default) = (&project.storage, &self.storage);
        StorageSettings {
            on_disk: own.on_disk.unwrap_or(default.on_disk),
            cache_in_memory: own.cache_in_memory.unwrap_or(default.cache_in_memory),
            sync: own.sync.unwrap_or(default.sync),
            sync_interval_seconds: own.sync_interval_seconds.unwrap_or(default.sync_interval_seconds),
        }
    }

    /// The switches of `project`: its own, else those of `default.authentication`. [`Config::authentication_enabled`]
    /// determines whether a key is required.
    pub fn authentication_of(&self, project: &ProjectConfig) -> AuthenticationSettings {
        let (own, default) = (&project.authentication, &self.authentication);
        AuthenticationSettings {
            enabled: own.enabled.unwrap_or(default.enabled),
            save_api_key_to_file: own.save_api_key_to_file.unwrap_or(default.save_api_key_to_file),
        }
    }

    /// Whether `project` requires a key: the global switch and its own are both on.
    pub fn authentication_enabled(&self, project: &ProjectConfig) -> bool {
        self.authentication.enabled && self.authentication_of(project).enabled
    }

    /// The directory of the data files. A relative path is relative to the directory of `config_path`.
    pub fn data_directory(&self, config_path: &Path) -> PathBuf {
        crate::disk::parent_directory(config_path).join(&self.persistent_file_path)
    }

    /// The descriptors that the engine holds. With etcd, a connection of each thread and of the caretaker to every
    /// member. Else those of open projects on disk and of the accounts: one for each journal, and one for each file
    /// from which values are read.
    pub fn held_descriptors(&self) -> Held {
        if self.engine.kind == EngineType::Etcd {
            let members = self.engine.cells.iter().map(|cell| cell.endpoints.len()).sum::<usize>();
            return Held { projects: 0, members, descriptors: members * (self.engine.threads + 1) };
        }
        let of = |cache_in_memory: bool| if cache_in_memory { 1 } else { 2 };
        let storage = self.projects().iter().map(|project| self.storage_of(project));
        let on_disk: Vec<usize> =
            storage.filter(|storage| storage.on_disk).map(|storage| of(storage.cache_in_memory)).collect();
        // Accounts, sessions, and the data of accounts; only the data may be on disk alone.
        let accounts = 2 * of(true) + of(self.storage.cache_in_memory);
        let of_accounts = if self.accounts.enabled { accounts } else { 0 };
        Held { projects: on_disk.len(), members: 0, descriptors: on_disk.iter().sum::<usize>() + of_accounts }
    }

    /// The project of `/item` with the global key: the configured one, which need not exist, else the first of
    /// `projects`.
    pub fn item_project(&self) -> Option<&ProjectId> {
        self.item_api.project.as_ref().or_else(|| self.listed_projects().first().map(|project| &project.id))
    }
}
