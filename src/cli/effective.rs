//! The effective settings. Precedence: flag, environment variable, config.json, default.

use crate::config::schema::{Config, LogFormat, LogLevel};
use crate::config::setting::{Presence, Setting};
use crate::config::settings::SETTINGS;
use std::net::IpAddr;
use std::path::PathBuf;

/// The configuration file unless a flag or the environment names one.
pub const CONFIG_PATH_DEFAULT: &str = "config.json";

/// The source of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Flag,
    Environment,
    /// config.json.
    File,
    Default,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    pub value: T,
    pub source: Source,
}

/// The values of flags and environment; `None` if neither sets one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub config_path: Sourced<PathBuf>,
    pub host: Option<Sourced<IpAddr>>,
    /// 0 takes any free port.
    pub port: Option<Sourced<u16>>,
    pub log_level: Option<Sourced<LogLevel>>,
    pub log_format: Option<Sourced<LogFormat>>,
}

/// The effective values of the settings that flags and environment can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    pub host: Sourced<IpAddr>,
    pub port: Sourced<u16>,
    pub log_level: Sourced<LogLevel>,
    pub log_format: Sourced<LogFormat>,
}

impl Source {
    /// Its name in `pikv config show`.
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

/// The effective settings of `config` under `options`.
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
