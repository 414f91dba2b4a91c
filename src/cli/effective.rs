//! What is in force: a flag wins over the environment, that over the file, that over the default.

use crate::config::schema::{Config, LogFormat, LogLevel};
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
    /// The value.
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
    /// Who decided on a member of the file: the file where it was `written`, else nobody.
    pub fn of_member<T>(written: &Option<T>) -> Source {
        if written.is_some() { Source::File } else { Source::Default }
    }

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

impl<T> Sourced<T> {
    /// What the file says, else the default.
    pub fn of_file(written: Option<T>, default: T) -> Sourced<T> {
        match written {
            Some(value) => Sourced { value, source: Source::File },
            None => Sourced { value: default, source: Source::Default },
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
    let log = config.log.unwrap_or_default();
    let port = Sourced { value: config.server_port, source: Source::File };
    Effective {
        host: options.host.clone().unwrap_or_else(|| Sourced::of_file(config.server_host, config.host())),
        port: options.port.clone().unwrap_or(port),
        log_level: (options.log_level.clone())
            .unwrap_or_else(|| Sourced::of_file(log.level, LogLevel::default())),
        log_format: (options.log_format.clone())
            .unwrap_or_else(|| Sourced::of_file(log.format, LogFormat::default())),
    }
}
