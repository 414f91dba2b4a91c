//! The flags of all commands.

/// The flags of commands. Some have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Config,
    Host,
    Port,
    LogLevel,
    LogFormat,
    Journal,
    Email,
    WeakPassword,
    Salvage,
}

impl Flag {
    pub(super) const ALL: [Flag; 9] = [
        Flag::Config,
        Flag::Host,
        Flag::Port,
        Flag::LogLevel,
        Flag::LogFormat,
        Flag::Journal,
        Flag::Email,
        Flag::WeakPassword,
        Flag::Salvage,
    ];

    pub(super) fn has_value(self) -> bool {
        !matches!(self, Flag::WeakPassword | Flag::Salvage)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Flag::Config => "--config",
            Flag::Host => "--host",
            Flag::Port => "--port",
            Flag::LogLevel => "--log-level",
            Flag::LogFormat => "--log-format",
            Flag::Journal => "--journal",
            Flag::Email => "--email",
            Flag::WeakPassword => "--weak-password",
            Flag::Salvage => "--salvage",
        }
    }

    pub(super) fn variable(self) -> Option<&'static str> {
        match self {
            Flag::Config => Some("PIKV_CONFIG"),
            Flag::Host => Some("PIKV_HOST"),
            Flag::Port => Some("PIKV_PORT"),
            Flag::LogLevel => Some("PIKV_LOG_LEVEL"),
            Flag::LogFormat => Some("PIKV_LOG_FORMAT"),
            Flag::Journal | Flag::Email | Flag::WeakPassword | Flag::Salvage => None,
        }
    }
}

/// All of them, and those that every command has.
pub(super) const FLAG_NAMES: &[&str] = &[
    "--config",
    "--host",
    "--port",
    "--log-level",
    "--log-format",
    "--journal",
    "--email",
    "--weak-password",
    "--salvage",
    "--help",
    "--version",
];
