//! The command line: arguments and environment to a checked [`Command`].
//!
//! Typed arguments first, checked values second. Nothing here runs a command, reads the process
//! environment or opens a file.

pub mod account;
mod arguments;
pub mod effective;
mod flag;
pub mod help;
pub mod show;
mod usage_error;

pub use arguments::Environment;
pub use effective::CONFIG_PATH_DEFAULT;
pub use usage_error::{USAGE_EXIT_CODE, UsageError, Wanted};

use crate::config::mistake::shown;
use crate::config::schema::{LogFormat, LogLevel};
use crate::names::{InternalProject, ProjectId};
use crate::secret::Secret;
use account::Act;
use arguments::{Typed, config_path, option, parse_words, refuse_flags};
use effective::Options;
use flag::Flag;
use help::Topic;
use std::ffi::OsString;
use std::net::IpAddr;

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

const COMMANDS: &[&str] = &["serve", "init", "config", "recover", "account"];
const CONFIG_COMMANDS: &[&str] = &["check", "show"];
const JOURNAL_CHOICES: &[&str] = &["replay", "discard"];

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
        ["account", words @ ..] => {
            let (options, global_key, act) = account::parse(&typed, words, environment)?;
            Ok(Command::Account { options, global_key, act })
        }
        ["help", topic @ ..] => Ok(Command::Help(help_topic(topic)?)),
        words => Err(unknown_words(words)),
    }
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

#[cfg(test)]
#[path = "cli/cli_tests.rs"]
mod tests;
