//! What a server uses: the choices of config.json, or else the defaults.

use super::schema::{
    Accounts, AuthenticationSettings, Config, Limits, Origin, PerAddress, ProjectConfig, PublicHost,
    RateLimit, RateLimitChoice, SERVER_HOST_DEFAULT, StorageSettings, Threads, Timeouts,
};
use crate::descriptors::Held;
use crate::limits::{
    BCRYPT_COST_DEFAULT, BODY_BYTES_MAX_DEFAULT, BODY_BYTES_PER_SECOND_MIN_DEFAULT, BODY_GRACE_MS_DEFAULT,
    CONNECTIONS_MAX_DEFAULT, HEAD_TIMEOUT_MS_DEFAULT, IDLE_TIMEOUT_MS_DEFAULT, MEMORY_BODIES_MIN,
    MEMORY_BYTES_MAX_DEFAULT, RATE_LIMIT_REQUESTS_DEFAULT, RATE_LIMIT_WINDOW_SECONDS_DEFAULT,
    SHUTDOWN_TIMEOUT_MS, SYNC_INTERVAL_SECONDS_DEFAULT, TOKEN_TTL_SECONDS_DEFAULT, WRITE_TIMEOUT_MS_DEFAULT,
};
use crate::names::ProjectId;
use crate::network::Network;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

impl Config {
    /// The projects, in the order of the file.
    pub fn projects(&self) -> &[ProjectConfig] {
        &self.projects
    }

    /// The project `id`, where there is one.
    pub fn project(&self, id: &ProjectId) -> Option<&ProjectConfig> {
        self.projects.iter().find(|project| project.id == *id)
    }

    /// The address to listen on.
    pub fn host(&self) -> IpAddr {
        self.server_host.unwrap_or(SERVER_HOST_DEFAULT)
    }

    /// How many event loops to run; `None` for one per core.
    pub fn threads(&self) -> Option<usize> {
        match self.server_threads {
            Some(Threads::Count(count)) => Some(count),
            Some(Threads::PerCore) | None => None,
        }
    }

    /// How `project` is stored: as it says, else as `default.storage` says, else on disk, cached
    /// in memory and synced always.
    pub fn storage_of(&self, project: &ProjectConfig) -> StorageSettings {
        let written = project.storage.or(self.storage);
        StorageSettings {
            on_disk: written.on_disk.unwrap_or(true),
            cache_in_memory: written.cache_in_memory.unwrap_or(true),
            sync: written.sync.unwrap_or_default(),
            sync_interval_seconds: written.sync_interval_seconds.unwrap_or(SYNC_INTERVAL_SECONDS_DEFAULT),
        }
    }

    /// The switches of `project`: as it says, else as `default.authentication` says. Whether a
    /// key is asked for is [`Config::authentication_enabled`].
    pub fn authentication_of(&self, project: &ProjectConfig) -> AuthenticationSettings {
        let (own, default) = (&project.authentication, &self.authentication);
        AuthenticationSettings {
            enabled: own.enabled.unwrap_or(default.enabled),
            save_api_key_to_file: own.save_api_key_to_file.unwrap_or(default.save_api_key_to_file),
        }
    }

    /// Whether `project` asks for a key: the global switch and its own are both on.
    pub fn authentication_enabled(&self, project: &ProjectConfig) -> bool {
        self.authentication.enabled && self.authentication_of(project).enabled
    }

    /// The addresses whose `X-Forwarded-For` is believed.
    pub fn trusted_proxies(&self) -> &[Network] {
        self.trusted_proxies.as_deref().unwrap_or_default()
    }

    /// Where the data files are; a relative path counts from the directory of `config_path`.
    pub fn data_directory(&self, config_path: &Path) -> PathBuf {
        crate::disk::parent_directory(config_path).join(&self.persistent_file_path)
    }

    /// What holds for accounts.
    pub fn accounts(&self) -> Accounts {
        let written = self.accounts.unwrap_or_default();
        Accounts {
            enabled: written.enabled.unwrap_or(true),
            registration: written.registration.unwrap_or_default(),
            token_ttl_s: written.token_ttl_seconds.unwrap_or(TOKEN_TTL_SECONDS_DEFAULT),
            bcrypt_cost: written.bcrypt_cost.unwrap_or(BCRYPT_COST_DEFAULT),
        }
    }

    /// The descriptors that the projects on disk and the accounts hold while they are open: one for each
    /// journal, and one for each file that values are read from.
    pub fn held_descriptors(&self) -> Held {
        let of = |cache_in_memory: bool| if cache_in_memory { 1 } else { 2 };
        let storage = self.projects().iter().map(|project| self.storage_of(project));
        let on_disk: Vec<usize> =
            storage.filter(|storage| storage.on_disk).map(|storage| of(storage.cache_in_memory)).collect();
        // Accounts, sessions, and the data of accounts, which alone may be only on disk.
        let accounts = 2 * of(true) + of(self.storage.cache_in_memory.unwrap_or(true));
        let of_accounts = if self.accounts().enabled { accounts } else { 0 };
        Held { projects: on_disk.len(), descriptors: on_disk.iter().sum::<usize>() + of_accounts }
    }

    /// The limits that may be set.
    pub fn limits(&self) -> Limits {
        let written = self.limits.unwrap_or_default();
        let body_bytes_max = written.body_bytes_max.unwrap_or(BODY_BYTES_MAX_DEFAULT);
        let memory_bytes_max = MEMORY_BYTES_MAX_DEFAULT.max(MEMORY_BODIES_MIN * body_bytes_max);
        Limits {
            body_bytes_max,
            connections_max: written.connections_max.unwrap_or(CONNECTIONS_MAX_DEFAULT),
            connections_per_address_max: match written.connections_per_address_max {
                Some(PerAddress::Max(max)) => Some(max),
                Some(PerAddress::Unbounded) | None => None,
            },
            memory_bytes_max: written.memory_bytes_max.unwrap_or(memory_bytes_max),
        }
    }

    /// The timeouts that may be set.
    pub fn timeouts(&self) -> Timeouts {
        let written = self.timeouts.unwrap_or_default();
        let ms = |seconds: Option<u64>, default_ms| seconds.map_or(default_ms, |s| s.saturating_mul(1_000));
        Timeouts {
            head_ms: ms(written.head_seconds, HEAD_TIMEOUT_MS_DEFAULT),
            body_grace_ms: ms(written.body_grace_seconds, BODY_GRACE_MS_DEFAULT),
            body_bytes_per_second_min: written
                .body_bytes_per_second_min
                .unwrap_or(BODY_BYTES_PER_SECOND_MIN_DEFAULT),
            idle_ms: ms(written.idle_seconds, IDLE_TIMEOUT_MS_DEFAULT),
            write_ms: ms(written.write_seconds, WRITE_TIMEOUT_MS_DEFAULT),
            shutdown_ms: ms(written.shutdown_seconds, SHUTDOWN_TIMEOUT_MS),
        }
    }

    /// The origins whose pages may call this server; none where nothing is said.
    pub fn cors_origins(&self) -> &[Origin] {
        self.cors.as_ref().and_then(|cors| cors.origins.as_deref()).unwrap_or_default()
    }

    /// The project that `/item` works on with the global key: the one that is named, which need not
    /// exist, else the first of `projects`.
    pub fn item_project(&self) -> Option<&ProjectId> {
        let named = self.item_api.as_ref().and_then(|item_api| item_api.project.as_ref());
        named.or_else(|| self.projects().first().map(|project| &project.id))
    }

    /// How many requests one client may send to `/item` with one method; `None` where it is
    /// switched off.
    pub fn item_rate_limit(&self) -> Option<RateLimit> {
        let (requests, window_seconds) = match self.item_api.as_ref().and_then(|item_api| item_api.rate_limit)
        {
            None => (None, None),
            Some(RateLimitChoice::Off) => return None,
            Some(RateLimitChoice::On { requests, window_seconds }) => (requests, window_seconds),
        };
        Some(RateLimit {
            requests: requests.unwrap_or(RATE_LIMIT_REQUESTS_DEFAULT),
            window_ms: window_seconds.unwrap_or(RATE_LIMIT_WINDOW_SECONDS_DEFAULT).saturating_mul(1_000),
        })
    }

    /// The origins that this server has for browsers, beside the one that `Host` gives.
    pub fn public_origins(&self) -> &[Origin] {
        self.public_origins.as_deref().unwrap_or_default()
    }

    /// The only hosts that requests may name; empty for any.
    pub fn public_hosts(&self) -> &[PublicHost] {
        self.public_hosts.as_deref().unwrap_or_default()
    }
}
