//! The objects of config.json, with their defaults.

use super::field::choices;
use crate::limits::{
    BCRYPT_COST_DEFAULT, BODY_BYTES_MAX_DEFAULT, BODY_BYTES_PER_SECOND_MIN_DEFAULT, BODY_GRACE_MS_DEFAULT,
    CONNECTIONS_MAX_DEFAULT, HEAD_TIMEOUT_MS_DEFAULT, IDLE_TIMEOUT_MS_DEFAULT, MEMORY_BYTES_MAX_DEFAULT,
    RATE_LIMIT_REQUESTS_DEFAULT, RATE_LIMIT_WINDOW_SECONDS_DEFAULT, SHUTDOWN_TIMEOUT_MS,
    SYNC_INTERVAL_SECONDS_DEFAULT, SYNC_INTERVAL_SECONDS_MAX, TOKEN_TTL_SECONDS_DEFAULT,
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
        /// Whether there is a data file.
        pub on_disk: bool = true,
        /// Whether the values are kept in memory.
        pub cache_in_memory: bool = true,
        /// When a write counts as done.
        pub sync: SyncMode = SyncMode::Always,
        /// After which time `sync: interval` syncs, seconds.
        pub sync_interval_seconds: u64 = SYNC_INTERVAL_SECONDS_DEFAULT,
    }
}

/// `storage` of a project, as written. Also what a client sends about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageChoice {
    /// Whether there is a data file.
    pub on_disk: Option<bool>,
    /// Whether the values are kept in memory.
    pub cache_in_memory: Option<bool>,
    /// When a write counts as done.
    pub sync: Option<SyncMode>,
    /// After which time `sync: interval` syncs, seconds.
    pub sync_interval_seconds: Option<u64>,
}

choices! {
    /// When a write to a project counts as done.
    SyncMode {
        /// When it is on disk.
        #[default]
        Always = "always",
        /// At once; it is on disk after `sync_interval_seconds`.
        Interval = "interval",
    }
}

/// The switches of `authentication`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationSettings {
    /// Whether a key is asked for.
    pub enabled: bool,
    /// Whether the text of the key stays in config.json.
    pub save_api_key_to_file: bool,
}

/// The switches of `authentication` of a project, as written. Also what a client sends about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationChoice {
    /// Whether a key is asked for.
    pub enabled: Option<bool>,
    /// Whether the text of the key stays in config.json.
    pub save_api_key_to_file: Option<bool>,
}

section! {
    #[derive(Copy)]
    Limits {
        /// Body of one request, bytes.
        pub body_bytes_max: usize = BODY_BYTES_MAX_DEFAULT,
        /// Connections open at once; fewer if the process may not have so many descriptors.
        pub connections_max: usize = CONNECTIONS_MAX_DEFAULT,
        /// Connections of one client address; `None` for as many as there are.
        pub connections_per_address_max: Option<usize> = None,
        /// Memory of requests and answers under way, bytes; at least [`crate::limits::MEMORY_BODIES_MIN`] bodies.
        pub memory_bytes_max: usize = MEMORY_BYTES_MAX_DEFAULT,
    }
}

section! {
    /// `timeouts`, in milliseconds.
    #[derive(Copy)]
    Timeouts {
        /// A request head must be complete after this long.
        pub head_ms: u64 = HEAD_TIMEOUT_MS_DEFAULT,
        /// Grace before the rate of a body counts.
        pub body_grace_ms: u64 = BODY_GRACE_MS_DEFAULT,
        /// Slowest accepted body, bytes a second; 0 accepts any.
        pub body_bytes_per_second_min: u64 = BODY_BYTES_PER_SECOND_MIN_DEFAULT,
        /// A connection without a request is closed after this long.
        pub idle_ms: u64 = IDLE_TIMEOUT_MS_DEFAULT,
        /// The connection of a client that has read nothing for this long is closed.
        pub write_ms: u64 = WRITE_TIMEOUT_MS_DEFAULT,
        /// Running requests may finish for this long at shutdown.
        pub shutdown_ms: u64 = SHUTDOWN_TIMEOUT_MS,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The least important lines that are written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

choices! {
    /// The least important log lines that are written.
    LogLevel {
        /// What needs somebody.
        Error = "error",
        /// What may need somebody.
        Warn = "warn",
        /// Starts, stops, decisions and requests.
        #[default]
        Info = "info",
        /// Everything.
        Debug = "debug",
    }
}

choices! {
    /// How a log line looks.
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
        /// Whether there are accounts at all.
        pub enabled: bool = true,
        /// Who may open one.
        pub registration: Registration = Registration::Open,
        /// An access token is good for this long, seconds.
        pub token_ttl_s: u64 = TOKEN_TTL_SECONDS_DEFAULT,
        /// bcrypt's cost of a new password, the binary logarithm of its rounds.
        pub bcrypt_cost: u32 = BCRYPT_COST_DEFAULT,
    }
}

choices! {
    /// Who may open an account.
    Registration {
        /// Everybody.
        #[default]
        Open = "open",
        /// Only the operator, with the global key.
        Closed = "closed",
    }
}

section! {
    ItemApi {
        /// The project that the global key works on, if it is named. It need not exist.
        pub project: Option<ProjectId> = None,
        /// How many requests one client may send with one method; `None` for any number.
        pub rate_limit: Option<RateLimit> = Some(RateLimit::default()),
    }
}

section! {
    #[derive(Copy)]
    RateLimit {
        /// Requests in one window.
        pub requests: u32 = RATE_LIMIT_REQUESTS_DEFAULT,
        /// The window, milliseconds.
        pub window_ms: u64 = RATE_LIMIT_WINDOW_SECONDS_DEFAULT * 1_000,
    }
}

impl SyncMode {
    /// The mode called `name`, and the interval that this brings with it. `never` of earlier versions is the longest
    /// interval.
    pub fn parse_written(name: &str) -> Option<(SyncMode, Option<u64>)> {
        if name == super::older::NEVER {
            return Some((SyncMode::Interval, Some(SYNC_INTERVAL_SECONDS_MAX)));
        }
        SyncMode::parse(name).map(|mode| (mode, None))
    }
}

impl LogLevel {
    /// The level as the `log` crate has it.
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
    /// This choice, and what `other` has if this has nothing.
    pub fn or(self, other: StorageChoice) -> StorageChoice {
        StorageChoice {
            on_disk: self.on_disk.or(other.on_disk),
            cache_in_memory: self.cache_in_memory.or(other.cache_in_memory),
            sync: self.sync.or(other.sync),
            sync_interval_seconds: self.sync_interval_seconds.or(other.sync_interval_seconds),
        }
    }
}
