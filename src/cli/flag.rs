//! The flags of all commands, one row for each.

/// A flag of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// `--config`.
    pub name: &'static str,
    /// The name of its value in a help text; `None` if it takes none.
    pub value: Option<&'static str>,
    /// The environment variable with the same effect.
    pub variable: Option<&'static str>,
    /// The default value, for a help text.
    pub default: &'static str,
    /// Whether a command needs exactly one of its flags that have this.
    pub is_alternative: bool,
    /// One line of help.
    pub doc: &'static str,
}

#[rustfmt::skip] // a line for each
impl Flag {
    pub(super) const CONFIG: Flag =
        Flag::with_variable("--config", "PATH", "PIKV_CONFIG", "./config.json", "configuration file");
    pub(super) const HOST: Flag =
        Flag::with_variable("--host", "IP", "PIKV_HOST", "127.0.0.1", "address to listen on");
    pub(super) const PORT: Flag =
        Flag::with_variable("--port", "N", "PIKV_PORT", "23849", "port, 0 for any free one");
    pub(super) const LOG_LEVEL: Flag =
        Flag::with_variable("--log-level", "LEVEL", "PIKV_LOG_LEVEL", "info", "error, warn, info or debug");
    pub(super) const LOG_FORMAT: Flag =
        Flag::with_variable("--log-format", "FORM", "PIKV_LOG_FORMAT", "text", "text or json");
    pub(super) const JOURNAL: Flag =
        Flag::alternative("--journal", Some("replay|discard"), "applies the changes of the journal, or uses the edited file alone");
    pub(super) const SALVAGE: Flag =
        Flag::alternative("--salvage", None, "writes every key that is still readable to another file");
    pub(super) const EMAIL: Flag =
        Flag::new("--email", Some("ADDRESS"), "email address of the account");
    pub(super) const WEAK_PASSWORD: Flag =
        Flag::new("--weak-password", None, "accepts a password of 1 to 72 bytes that breaks the rule for new ones");
    pub(super) const DISCARD_FILES: Flag =
        Flag::new("--discard-files", None, "accepts that projects lose their files");

    pub(super) const TO: Flag =
        Flag::alternative("--to", Some("NAME"), "what to move or copy to: a cell, or an engine (etcd, embedded)");

    /// Every flag.
    pub const ALL: &[Flag] = &[
        Flag::CONFIG, Flag::HOST, Flag::PORT, Flag::LOG_LEVEL, Flag::LOG_FORMAT, Flag::JOURNAL, Flag::EMAIL,
        Flag::WEAK_PASSWORD, Flag::SALVAGE, Flag::DISCARD_FILES, Flag::TO,
    ];
}

impl Flag {
    const fn new(name: &'static str, value: Option<&'static str>, doc: &'static str) -> Flag {
        Flag { name, value, variable: None, default: "", is_alternative: false, doc }
    }

    const fn alternative(name: &'static str, value: Option<&'static str>, doc: &'static str) -> Flag {
        Flag { is_alternative: true, ..Flag::new(name, value, doc) }
    }

    const fn with_variable(
        name: &'static str,
        value: &'static str,
        variable: &'static str,
        default: &'static str,
        doc: &'static str,
    ) -> Flag {
        Flag { name, value: Some(value), variable: Some(variable), default, is_alternative: false, doc }
    }

    /// As it is typed: `--port N`.
    pub fn usage(self) -> String {
        self.value.map_or(self.name.to_owned(), |value| format!("{} {value}", self.name))
    }
}

/// The names of all flags, and those that every command has.
pub(super) fn names() -> Vec<&'static str> {
    Flag::ALL.iter().map(|flag| flag.name).chain(["--help", "--version"]).collect()
}
