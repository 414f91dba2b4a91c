//! What is in force: a flag wins over the environment, that over the file, that over the default.

use crate::config::schema::{Config, LogFormat, LogLevel};
use crate::config::setting::{Presence, Setting};
use crate::config::settings::SETTINGS;
use std::net::IpAddr;
use std::path::PathBuf;

/// The configuration where neither flag nor environment names one.
pub const CONFIG_PATH_DEFAULT: &str = "config.json";

/// Who decided on a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command line.
    Flag,
    /// An environment variable.
    Environment,
    /// config.json.
    File,
    /// Nobody.
    Default,
}

/// A value and who decided on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    pub value: T,
    /// Who decided on it.
    pub source: Source,
}

/// What flags and environment say; `None` where they say nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The configuration file.
    pub config_path: Sourced<PathBuf>,
    /// The address to listen on.
    pub host: Option<Sourced<IpAddr>>,
    /// The port; 0 takes any free one.
    pub port: Option<Sourced<u16>>,
    /// The least important log lines that are written.
    pub log_level: Option<Sourced<LogLevel>>,
    /// How a log line looks.
    pub log_format: Option<Sourced<LogFormat>>,
}

/// The values in force that flags and environment can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The address to listen on.
    pub host: Sourced<IpAddr>,
    /// The port; 0 takes any free one.
    pub port: Sourced<u16>,
    /// The least important log lines that are written.
    pub log_level: Sourced<LogLevel>,
    /// How a log line looks.
    pub log_format: Sourced<LogFormat>,
}

impl Source {
    /// What `pikv config show` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Source::Flag => "flag",
            Source::Environment => "environment",
            Source::File => "file",
            Source::Default => "default",
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            config_path: Sourced { value: PathBuf::from(CONFIG_PATH_DEFAULT), source: Source::Default },
            host: None,
            port: None,
            log_level: None,
            log_format: None,
        }
    }
}

/// Puts `options` over `config`.
pub fn resolve(options: &Options, config: &Config) -> Effective {
    fn over<T: Clone>(option: &Option<Sourced<T>>, value: T, config: &Config, path: &str) -> Sourced<T> {
        option.clone().unwrap_or_else(|| Sourced { value, source: source(config, path) })
    }
    Effective {
        host: over(&options.host, config.server_host, config, "server_host"),
        port: over(&options.port, config.server_port, config, "server_port"),
        log_level: over(&options.log_level, config.log.level, config, "log.level"),
        log_format: over(&options.log_format, config.log.format, config, "log.format"),
    }
}

/// The source of the setting at `path`, which neither flag nor environment sets.
pub(super) fn source(config: &Config, path: &str) -> Source {
    let is_optional =
        |setting: &Setting<Config>| setting.path == path && setting.presence == Presence::Optional;
    let is_left_out = SETTINGS.iter().any(is_optional) && !config.is_written(path);
    if is_left_out { Source::Default } else { Source::File }
}
