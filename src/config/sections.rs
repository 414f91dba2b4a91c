//! The objects of config.json, with their defaults.

use super::engine::CellConfig;
use super::field::choices;
use crate::limits::{
    BCRYPT_COST_DEFAULT, BODY_BYTES_MAX_DEFAULT, BODY_BYTES_PER_SECOND_MIN_DEFAULT, BODY_GRACE_MS_DEFAULT,
    CELL_THREADS_DEFAULT, CONNECTIONS_MAX_DEFAULT, HEAD_TIMEOUT_MS_DEFAULT, IDLE_TIMEOUT_MS_DEFAULT,
    MEMORY_BYTES_MAX_DEFAULT, RATE_LIMIT_REQUESTS_DEFAULT, RATE_LIMIT_WINDOW_SECONDS_DEFAULT,
    SHUTDOWN_TIMEOUT_MS, SYNC_INTERVAL_SECONDS_DEFAULT, SYNC_INTERVAL_SECONDS_MAX, TOKEN_TTL_SECONDS_DEFAULT,
    WRITE_TIMEOUT_MS_DEFAULT,
};
use crate::names::ProjectId;
use ::log::LevelFilter;

/// Defines an object of config.json with the default of each field.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty = $default:expr,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)+
        }

        impl Default for $name {
            fn default() -> $name {
                $name { $($field: $default,)+ }
            }
        }
    };
}

section! {
    #[derive(Copy)]
    StorageSettings {
        pub on_disk: bool = true,
        pub cache_in_memory: bool = true,
        pub sync: SyncMode = SyncMode::Always,
        /// For `sync: interval`.
        pub sync_interval_seconds: u64 = SYNC_INTERVAL_SECONDS_DEFAULT,
    }
}

/// `storage` of a project, in the file or in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageChoice {
    pub on_disk: Option<bool>,
    pub cache_in_memory: Option<bool>,
    pub sync: Option<SyncMode>,
    pub sync_interval_seconds: Option<u64>,
}

choices! {
    /// When a write to a project is acknowledged.
    SyncMode {
        /// Once it is on disk.
        #[default]
        Always = "always",
        /// At once; it is on disk after `sync_interval_seconds`.
        Interval = "interval",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationSettings {
    /// Whether a key is required.
    pub enabled: bool,
    /// Whether the text of the key stays in config.json.
    pub save_api_key_to_file: bool,
}

/// `authentication` of a project, in the file or in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationChoice {
    pub enabled: Option<bool>,
    pub save_api_key_to_file: Option<bool>,
}

section! {
    #[derive(Copy)]
    Limits {
        pub body_bytes_max: usize = BODY_BYTES_MAX_DEFAULT,
        /// Fewer if the process may not have so many descriptors.
        pub connections_max: usize = CONNECTIONS_MAX_DEFAULT,
        /// `None`: unbounded.
        pub connections_per_address_max: Option<usize> = None,
        /// For pending requests and answers; at least [`crate::limits::MEMORY_BODIES_MIN`] bodies.
        pub memory_bytes_max: usize = MEMORY_BYTES_MAX_DEFAULT,
    }
}

section! {
    /// `timeouts`, in milliseconds.
    #[derive(Copy)]
    Timeouts {
        pub head_ms: u64 = HEAD_TIMEOUT_MS_DEFAULT,
        /// The grace period before the minimum rate of a body applies.
        pub body_grace_ms: u64 = BODY_GRACE_MS_DEFAULT,
        /// Bytes a second; 0 accepts any rate.
        pub body_bytes_per_second_min: u64 = BODY_BYTES_PER_SECOND_MIN_DEFAULT,
        pub idle_ms: u64 = IDLE_TIMEOUT_MS_DEFAULT,
        /// Since the client last read some of its answer.
        pub write_ms: u64 = WRITE_TIMEOUT_MS_DEFAULT,
        pub shutdown_ms: u64 = SHUTDOWN_TIMEOUT_MS,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
}

choices! {
    /// The least important log lines that are written.
    LogLevel {
        /// Failures that need the operator.
        Error = "error",
        /// Events that may need the operator.
        Warn = "warn",
        /// Starts, stops, decisions and requests.
        #[default]
        Info = "info",
        /// Everything.
        Debug = "debug",
    }
}

choices! {
    /// The form of log lines.
    LogFormat {
        /// For a person.
        #[default]
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

section! {
    #[derive(Copy)]
    Accounts {
        pub enabled: bool = true,
        pub registration: Registration = Registration::Open,
        /// The lifetime of an access token, seconds.
        pub token_ttl_s: u64 = TOKEN_TTL_SECONDS_DEFAULT,
        /// The binary logarithm of the rounds of bcrypt for new passwords.
        pub bcrypt_cost: u32 = BCRYPT_COST_DEFAULT,
    }
}

choices! {
    /// Who may open an account.
    Registration {
        /// Every client.
        #[default]
        Open = "open",
        /// Only the operator, with the global key.
        Closed = "closed",
    }
}

section! {
    ItemApi {
        /// The project for the global key, if one is configured. It need not exist.
        pub project: Option<ProjectId> = None,
        /// `None`: unbounded.
        pub rate_limit: Option<RateLimit> = Some(RateLimit::default()),
    }
}

section! {
    #[derive(Copy)]
    RateLimit {
        /// Requests in one window.
        pub requests: u32 = RATE_LIMIT_REQUESTS_DEFAULT,
        pub window_ms: u64 = RATE_LIMIT_WINDOW_SECONDS_DEFAULT * 1_000,
    }
}

choices! {
    /// What keeps the keys.
    EngineType {
        /// This process, in files of its own.
        #[default]
        Embedded = "embedded",
        /// Clusters of etcd.
        Etcd = "etcd",
    }
}

section! {
    Engine {
        pub kind: EngineType = EngineType::Embedded,
        /// Threads for the requests of each cell.
        pub threads: usize = CELL_THREADS_DEFAULT,
        /// Whether endpoints may be on other machines.
        pub insecure_network: bool = false,
        /// The first is [`super::engine::HOME`]. With `EngineType::Etcd` there is at least one.
        pub cells: Vec<CellConfig> = Vec::new(),
    }
}

impl SyncMode {
    /// The mode `name`, and the interval that it implies: `never` of older versions is the longest interval.
    pub fn parse_written(name: &str) -> Option<(SyncMode, Option<u64>)> {
        if name == super::older::NEVER {
            return Some((SyncMode::Interval, Some(SYNC_INTERVAL_SECONDS_MAX)));
        }
        SyncMode::parse(name).map(|mode| (mode, None))
    }
}

impl LogLevel {
    /// The level of the `log` crate.
    pub fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Error => LevelFilter::Error,
            LogLevel::Warn => LevelFilter::Warn,
            LogLevel::Info => LevelFilter::Info,
            LogLevel::Debug => LevelFilter::Debug,
        }
    }
}

impl StorageChoice {
    /// This choice, with the settings of `other` for missing ones.
    pub fn or(self, other: StorageChoice) -> StorageChoice {
        StorageChoice {
            on_disk: self.on_disk.or(other.on_disk),
            cache_in_memory: self.cache_in_memory.or(other.cache_in_memory),
            sync: self.sync.or(other.sync),
            sync_interval_seconds: self.sync_interval_seconds.or(other.sync_interval_seconds),
        }
    }
}

impl AuthenticationChoice {
    /// This choice, with the switches of `other` for missing ones.
    pub fn or(self, other: AuthenticationChoice) -> AuthenticationChoice {
        AuthenticationChoice {
            enabled: self.enabled.or(other.enabled),
            save_api_key_to_file: self.save_api_key_to_file.or(other.save_api_key_to_file),
        }
    }
}
