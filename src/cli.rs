//! The command line: arguments and environment to a checked [`Command`].
//!
//! Typed arguments first, checked values second. Nothing here runs a command, reads the process
//! environment or opens a file.

pub mod account;
pub mod effective;
pub mod help;
pub mod show;

use crate::config::mistake::{HOST_ADVICE, shown};
use crate::config::nearest::nearest;
use crate::config::schema::{LogFormat, LogLevel};
use crate::limits::USERNAME_BYTES_MAX;
use crate::names::{InternalProject, ProjectId, ProjectIdError};
use crate::secret::Secret;
use account::Act;
use effective::{Options, Source, Sourced};
use help::Topic;
use lexopt::Arg;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// The exit code of a [`UsageError`].
pub const USAGE_EXIT_CODE: u8 = 2;
/// The configuration where neither flag nor environment names one.
pub const CONFIG_PATH_DEFAULT: &str = "config.json";

/// What is to be done. The options that a command does not take are at their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve until a signal ends it.
    Serve(Options),
    /// Write config.json with keys, print them and do not serve.
    Init(Options),
    /// Say whether config.json is right.
    ConfigCheck(Options),
    /// Say what is in force, and why.
    ConfigShow(Options),
    /// Decide between a data file edited by hand and the changes that are not in it, or save what is readable.
    Recover {
        /// Where the configuration is.
        options: Options,
        /// Whose data.
        project: ProjectId,
        /// What to do.
        act: RecoverAct,
    },
    /// Look after accounts.
    Account {
        /// Where the configuration is.
        options: Options,
        /// The global key of a running server, where the environment has it.
        global_key: Option<Secret>,
        /// What to do.
        act: Act,
    },
    /// Print [`help::text`].
    Help(Topic),
    /// Print [`help::version`].
    Version,
}

/// What `pikv recover` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoverAct {
    /// Apply the changes of the journal to the edited file.
    Replay,
    /// Use the edited file without the changes, and keep a copy of the journal.
    Discard,
    /// Write what is readable of damaged files to another file.
    Salvage,
}

/// Where an option comes from besides a flag: `None` where there is no such variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// A command line that cannot be followed. Exit code [`USAGE_EXIT_CODE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// No such flag.
    UnknownFlag {
        /// As typed.
        text: String,
    },
    /// No such command.
    UnknownCommand {
        /// As typed.
        text: String,
        /// The commands that are possible there.
        known: &'static [&'static str],
    },
    /// A word too many.
    Superfluous {
        /// As typed.
        text: String,
    },
    /// `config` without what to do with it, or `recover` without a project.
    Incomplete {
        /// The command.
        command: &'static str,
        /// What is missing.
        missing: &'static str,
    },
    /// A flag without its value.
    ValueMissing {
        /// The flag.
        flag: &'static str,
    },
    /// A flag that takes no value has one.
    ValueSuperfluous {
        /// The flag.
        flag: String,
    },
    /// A flag that the command does not take.
    FlagOfOtherCommand {
        /// The flag.
        flag: &'static str,
        /// The command.
        command: &'static str,
    },
    /// A value that is none.
    Value {
        /// The flag or variable.
        name: &'static str,
        /// As typed.
        text: String,
        /// What would be right.
        wanted: Wanted,
    },
    /// A user name that is none.
    Username {
        /// As typed.
        text: String,
    },
    /// A password as a word of the command line, where everybody sees it.
    PasswordTyped,
    /// A project id that is none.
    Project {
        /// As typed.
        text: String,
        /// The rule it breaks.
        error: ProjectIdError,
    },
}

/// What a value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// UTF-8.
    Unicode,
    /// A path that is not empty.
    Path,
    /// An IP address.
    Address,
    /// 0 to 65535.
    Port,
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// The flags of commands. Some have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
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
    const ALL: [Flag; 9] = [
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

    fn has_value(self) -> bool {
        !matches!(self, Flag::WeakPassword | Flag::Salvage)
    }

    fn name(self) -> &'static str {
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

    fn variable(self) -> Option<&'static str> {
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

const FLAG_NAMES: &[&str] = &[
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
const COMMANDS: &[&str] = &["serve", "init", "config", "recover", "account"];
const CONFIG_COMMANDS: &[&str] = &["check", "show"];
const JOURNAL_CHOICES: &[&str] = &["replay", "discard"];

/// Arguments as typed: nothing is known of them but their names.
#[derive(Default)]
struct Typed {
    words: Vec<OsString>,
    values: Vec<(Flag, OsString)>,
    is_help_asked: bool,
    is_version_asked: bool,
}

/// Takes `arguments`, without the program's name, and `environment` as a command.
///
/// # Errors
/// [`UsageError`].
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, UsageError> {
    let typed = parse_words(lexopt::Parser::from_args(arguments))?;
    let words: Vec<String> = typed.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if typed.is_version_asked {
        return Ok(Command::Version);
    }
    if typed.is_help_asked {
        return Ok(Command::Help(help_topic(&words)?));
    }
    match words.as_slice() {
        [] | ["serve"] => Ok(Command::Serve(serving_options(&typed, "serve", environment)?)),
        ["init"] => Ok(Command::Init(file_options(&typed, "init", environment)?)),
        ["config"] => Err(UsageError::Incomplete { command: "config", missing: "`check` or `show`" }),
        ["config", "check"] => {
            Ok(Command::ConfigCheck(serving_options(&typed, "config check", environment)?))
        }
        ["config", "show"] => Ok(Command::ConfigShow(serving_options(&typed, "config show", environment)?)),
        ["recover"] => Err(UsageError::Incomplete { command: "recover", missing: "the id of a project" }),
        ["recover", project] => recover(&typed, project, environment),
        ["account", words @ ..] => account::parse(&typed, words, environment),
        ["help", topic @ ..] => Ok(Command::Help(help_topic(topic)?)),
        words => Err(unknown_words(words)),
    }
}

fn parse_words(mut parser: lexopt::Parser) -> Result<Typed, UsageError> {
    let mut typed = Typed::default();
    while let Some(argument) = parser.next().map_err(value_superfluous)? {
        match argument {
            Arg::Value(word) => typed.words.push(word),
            Arg::Short('h') | Arg::Long("help") => typed.is_help_asked = true,
            Arg::Short('V') | Arg::Long("version") => typed.is_version_asked = true,
            Arg::Short(letter) => return Err(UsageError::UnknownFlag { text: format!("-{letter}") }),
            Arg::Long(name) => {
                let text = format!("--{name}");
                let flag = Flag::ALL.into_iter().find(|flag| flag.name() == text);
                let flag = flag.ok_or(UsageError::UnknownFlag { text })?;
                let value = if flag.has_value() {
                    parser.value().map_err(|_| UsageError::ValueMissing { flag: flag.name() })?
                } else {
                    OsString::new()
                };
                // Where a flag is there twice the last one counts, so that an alias can be overridden.
                typed.values.retain(|(other, _)| *other != flag);
                typed.values.push((flag, value));
            }
        }
    }
    Ok(typed)
}

/// lexopt's `next` fails only where a flag without a value, `--help=x`, has one.
fn value_superfluous(error: lexopt::Error) -> UsageError {
    let flag =
        if let lexopt::Error::UnexpectedValue { option, .. } = error { option } else { error.to_string() };
    UsageError::ValueSuperfluous { flag }
}

fn help_topic(words: &[&str]) -> Result<Topic, UsageError> {
    match words {
        [] => Ok(Topic::Program),
        ["serve"] => Ok(Topic::Serve),
        ["init"] => Ok(Topic::Init),
        ["config"] | ["config", "check" | "show"] => Ok(Topic::Config),
        ["recover"] | ["recover", _] => Ok(Topic::Recover),
        ["account", ..] => Ok(Topic::Account),
        words => Err(unknown_words(words)),
    }
}

fn unknown_words(words: &[&str]) -> UsageError {
    let (text, known) = match words {
        ["config", "check" | "show", text, ..] | ["serve" | "init", text, ..] | ["recover", _, text, ..] => {
            return UsageError::Superfluous { text: shown(text) };
        }
        ["config", text, ..] => (text, CONFIG_COMMANDS),
        [text, ..] => (text, COMMANDS),
        [] => (&"", COMMANDS),
    };
    UsageError::UnknownCommand { text: shown(text), known }
}

fn recover(typed: &Typed, project: &str, environment: &Environment<'_>) -> Result<Command, UsageError> {
    const WHAT: &str = "`--journal replay`, `--journal discard` or `--salvage`";
    const ONE_OF_BOTH: &str = "either `--journal` or `--salvage`, not both";
    refuse_flags(typed, "recover", &[Flag::Config, Flag::Journal, Flag::Salvage])?;
    // The server's own projects can be damaged like any other.
    let internal = InternalProject::ALL.into_iter().map(ProjectId::from).find(|id| id.as_str() == project);
    let project = internal
        .map_or_else(|| ProjectId::parse(project), Ok)
        .map_err(|error| UsageError::Project { text: shown(project), error })?;
    let parse_journal = |text: &str| match text {
        "replay" => Some(RecoverAct::Replay),
        "discard" => Some(RecoverAct::Discard),
        _ => None,
    };
    let journal = option(typed, Flag::Journal, environment, Wanted::OneOf(JOURNAL_CHOICES), parse_journal)?;
    let salvage = typed.values.iter().any(|(flag, _)| *flag == Flag::Salvage);
    let act = match (journal, salvage) {
        (Some(journal), false) => journal.value,
        (None, true) => RecoverAct::Salvage,
        (Some(_), true) => return Err(UsageError::Incomplete { command: "recover", missing: ONE_OF_BOTH }),
        (None, false) => return Err(UsageError::Incomplete { command: "recover", missing: WHAT }),
    };
    Ok(Command::Recover {
        options: Options { config_path: config_path(typed, environment)?, ..Options::default() },
        project,
        act,
    })
}

fn file_options(
    typed: &Typed,
    command: &'static str,
    environment: &Environment<'_>,
) -> Result<Options, UsageError> {
    refuse_flags(typed, command, &[Flag::Config])?;
    Ok(Options { config_path: config_path(typed, environment)?, ..Options::default() })
}

fn serving_options(
    typed: &Typed,
    command: &'static str,
    environment: &Environment<'_>,
) -> Result<Options, UsageError> {
    let taken = [Flag::Config, Flag::Host, Flag::Port, Flag::LogLevel, Flag::LogFormat];
    refuse_flags(typed, command, &taken)?;
    let levels = Wanted::OneOf(LogLevel::NAMES);
    let formats = Wanted::OneOf(LogFormat::NAMES);
    Ok(Options {
        config_path: config_path(typed, environment)?,
        host: option(typed, Flag::Host, environment, Wanted::Address, |text| text.parse::<IpAddr>().ok())?,
        port: option(typed, Flag::Port, environment, Wanted::Port, parse_port)?,
        log_level: option(typed, Flag::LogLevel, environment, levels, LogLevel::parse)?,
        log_format: option(typed, Flag::LogFormat, environment, formats, LogFormat::parse)?,
    })
}

fn parse_port(text: &str) -> Option<u16> {
    // `parse` would take "+80".
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn refuse_flags(typed: &Typed, command: &'static str, taken: &[Flag]) -> Result<(), UsageError> {
    match typed.values.iter().find(|(flag, _)| !taken.contains(flag)) {
        Some((flag, _)) => Err(UsageError::FlagOfOtherCommand { flag: flag.name(), command }),
        None => Ok(()),
    }
}

/// What the flag says, else what its variable says; an empty variable says nothing.
fn raw_value(
    typed: &Typed,
    flag: Flag,
    environment: &Environment<'_>,
) -> Option<(&'static str, Sourced<OsString>)> {
    if let Some((_, value)) = typed.values.iter().find(|(other, _)| *other == flag) {
        return Some((flag.name(), Sourced { value: value.clone(), source: Source::Flag }));
    }
    let variable = flag.variable()?;
    let value = environment(variable).filter(|value| !value.is_empty())?;
    Some((variable, Sourced { value, source: Source::Environment }))
}

fn option<T>(
    typed: &Typed,
    flag: Flag,
    environment: &Environment<'_>,
    wanted: Wanted,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<Sourced<T>>, UsageError> {
    let Some((name, Sourced { value, source })) = raw_value(typed, flag, environment) else {
        return Ok(None);
    };
    let text = unicode(name, &value)?;
    match parse(text) {
        Some(value) => Ok(Some(Sourced { value, source })),
        None => Err(UsageError::Value { name, text: shown(text), wanted }),
    }
}

fn unicode<'a>(name: &'static str, value: &'a OsStr) -> Result<&'a str, UsageError> {
    value.to_str().ok_or_else(|| UsageError::Value {
        name,
        text: shown(&value.to_string_lossy()),
        wanted: Wanted::Unicode,
    })
}

fn config_path(typed: &Typed, environment: &Environment<'_>) -> Result<Sourced<PathBuf>, UsageError> {
    match raw_value(typed, Flag::Config, environment) {
        None => Ok(Options::default().config_path),
        Some((name, Sourced { value, .. })) if value.is_empty() => {
            Err(UsageError::Value { name, text: String::new(), wanted: Wanted::Path })
        }
        Some((_, Sourced { value, source })) => Ok(Sourced { value: PathBuf::from(value), source }),
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::UnknownFlag { text } => {
                write!(f, "unknown flag `{}`", shown(text))?;
                write_nearest(f, text, FLAG_NAMES)
            }
            UsageError::UnknownCommand { text, known } => {
                write!(f, "unknown command `{text}`")?;
                write_nearest(f, text, known)
            }
            UsageError::Superfluous { text } => write!(f, "`{text}` is a word too many"),
            UsageError::Incomplete { command, missing } => write!(f, "`pikv {command}` needs {missing}"),
            UsageError::ValueMissing { flag } => write!(f, "`{flag}` needs a value"),
            UsageError::ValueSuperfluous { flag } => write!(f, "`{}` takes no value", shown(flag)),
            UsageError::FlagOfOtherCommand { flag, command } => {
                write!(f, "`pikv {command}` does not take `{flag}`")
            }
            UsageError::Value { name, text, wanted } => write!(f, "`{name}` is \"{text}\"; {wanted}"),
            UsageError::Username { text } => {
                write!(f, "user name \"{text}\": 1 to {USERNAME_BYTES_MAX} characters of A-Z a-z 0-9 . _ - @ +")
            }
            UsageError::PasswordTyped => f.write_str(
                "a password is not a word of the command line, where other users of this machine see it; it is \
                 asked for, or read from standard input",
            ),
            UsageError::Project { text, error } => write!(f, "project id \"{text}\": {error}"),
        }?;
        f.write_str("; see `pikv --help`")
    }
}

impl std::error::Error for UsageError {}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Unicode => f.write_str("it must be UTF-8"),
            Wanted::Path => f.write_str("it must name a file"),
            Wanted::Address => f.write_str(HOST_ADVICE),
            Wanted::Port => f.write_str("it must be a whole number, 0 to 65535; 0 takes any free port"),
            Wanted::OneOf(names) => write!(f, "it must be one of {}", names.join(", ")),
        }
    }
}

fn write_nearest(f: &mut fmt::Formatter<'_>, text: &str, known: &[&str]) -> fmt::Result {
    match nearest(text, known) {
        Some(name) => write!(f, "; did you mean `{name}`?"),
        None => write!(f, "; possible: {}", known.join(", ")),
    }
}

#[cfg(test)]
#[path = "cli/cli_tests.rs"]
mod tests;
