//! The commands, one row for each. Parsing, `--help` and the table in docs/CONFIGURATION.md follow the rows.

use super::account::{self, Act};
use super::arguments::{Call, config_path, option};
use super::effective::Options;
use super::flag::Flag;
use super::usage_error::{UsageError, Wanted};
use crate::config::mistake::shown;
use crate::config::schema::{LogFormat, LogLevel};
use crate::names::{InternalProject, ProjectId};
use crate::secret::Secret;
use std::net::IpAddr;

/// What is to be done. The options that a command does not take are at their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve until a signal ends it.
    Serve(Options),
    /// Write config.json with keys, print them and do not serve.
    Init(Options),
    /// Validate config.json.
    ConfigCheck(Options),
    /// Print the effective settings and their sources.
    ConfigShow(Options),
    /// Set one setting in config.json.
    ConfigSet {
        /// The location of the configuration.
        options: Options,
        /// Its path, as typed.
        setting: String,
        /// Its value, as typed.
        value: String,
    },
    /// Decide between a data file edited by hand and the changes that are not in it, or save what is readable.
    Recover {
        /// The location of the configuration.
        options: Options,
        project: ProjectId,
        /// What to do.
        act: RecoverAct,
    },
    /// Manage accounts.
    Account {
        /// The location of the configuration.
        options: Options,
        /// The global key of a running server, if the environment has it.
        global_key: Option<Secret>,
        /// What to do.
        act: Act,
    },
    /// Print [`super::help::text`]: of the command with this first word, or of the program.
    Help(Option<&'static str>),
    /// Print [`super::help::version`].
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

/// A command of the program.
pub struct CommandRow {
    /// Its words: `config show`.
    pub words: &'static [&'static str],
    /// The arguments that it needs, and what each is.
    pub arguments: &'static [(&'static str, &'static str)],
    /// The flags that it takes.
    pub flags: &'static [Flag],
    /// One line of help.
    pub summary: &'static str,
    /// Sentences for its own help and for docs/CONFIGURATION.md.
    pub details: &'static str,
    /// Command lines.
    pub examples: &'static [&'static str],
    /// The command of a command line with these words and arguments, and no other flags.
    pub(super) build: fn(&Call<'_>) -> Result<Command, UsageError>,
}

const SERVING: &[Flag] = &[Flag::CONFIG, Flag::HOST, Flag::PORT, Flag::LOG_LEVEL, Flag::LOG_FORMAT];
const NAME: &[(&str, &str)] = &[("NAME", "the name of an account")];

/// The commands. The first one is run without a word.
pub const COMMANDS: &[CommandRow] = &[
    CommandRow {
        words: &["serve"],
        arguments: &[],
        flags: SERVING,
        summary: "run the server until SIGTERM or Ctrl-C; this is the default",
        details: "If the configuration file does not exist, creates one with a project `first_project`. New API keys\n\
                  are printed once and stored as hashes.",
        examples: &["pikv", "pikv serve --host 0.0.0.0 --port 8080"],
        build: |call| Ok(Command::Serve(serving_options(call)?)),
    },
    CommandRow {
        words: &["init"],
        arguments: &[],
        flags: &[Flag::CONFIG],
        summary: "create config.json with new API keys and print them",
        details: "Fails if the file exists; an existing file is never changed. If the keys cannot be printed, ends\n\
                  with 1 and states what to do.",
        examples: &["pikv init --config /etc/pikv/config.json"],
        build: |call| Ok(Command::Init(file_options(call)?)),
    },
    CommandRow {
        words: &["config", "check"],
        arguments: &[],
        flags: SERVING,
        summary: "validate config.json",
        details: "Reports the location of an error and the fix, and ends with 1. Changes nothing.",
        examples: &["pikv config check"],
        build: |call| Ok(Command::ConfigCheck(serving_options(call)?)),
    },
    CommandRow {
        words: &["config", "show"],
        arguments: &[],
        flags: SERVING,
        summary: "print the effective settings and where each one comes from",
        details: "The source is flag, environment, file or default. Keys and hashes are printed as `***`. A running\n\
                  server has an edit only after SIGHUP.",
        examples: &["pikv config show --port 8080"],
        build: |call| Ok(Command::ConfigShow(serving_options(call)?)),
    },
    CommandRow {
        words: &["config", "set"],
        arguments: &[("SETTING", "the name of a setting"), ("VALUE", "its value")],
        flags: &[Flag::CONFIG],
        summary: "change one setting in config.json",
        details: "SETTING is a name that `config show` prints. VALUE is a text, or JSON for numbers, switches and lists.\n\
                  If the value is not valid, changes nothing. A running server reloads the file; some settings need\n\
                  a restart, which is reported.",
        examples: &[
            "pikv config set accounts.registration closed",
            "pikv config set trusted_proxies '[\"127.0.0.1\"]'",
            "pikv config set projects.shop.storage.sync interval",
        ],
        build: |call| {
            let (setting, value) = (call.argument(0).to_owned(), call.argument(1).to_owned());
            Ok(Command::ConfigSet { options: file_options(call)?, setting, value })
        },
    },
    CommandRow {
        words: &["recover"],
        arguments: &[("PROJECT", "the id of a project")],
        flags: &[Flag::JOURNAL, Flag::SALVAGE, Flag::CONFIG],
        summary: "repair a project whose files a start refuses",
        details: "Stop the server first. `--journal` resolves the conflict if PROJECT.json was edited by hand while\n\
                  its journal held changes that are not in it; with `discard` a copy of the journal is kept. It fails\n\
                  if there is no conflict. `--salvage` is for damaged files: it writes every key that is still\n\
                  readable to PROJECT.json.salvaged-N, lists what is not readable, and changes nothing else.",
        examples: &["pikv recover shop --journal replay", "pikv recover shop --salvage"],
        build: recover,
    },
    CommandRow {
        words: &["account", "add"],
        arguments: NAME,
        flags: &[Flag::EMAIL, Flag::WEAK_PASSWORD, Flag::CONFIG],
        summary: "create an account",
        details: "Asks for the password, or reads it as one line from standard input if that is not a terminal. It\n\
                  cannot be given as an argument.",
        examples: &["pikv account add mavi --email mavi@example.com"],
        build: |call| account_command(call, account::add(call)?),
    },
    CommandRow {
        words: &["account", "passwd"],
        arguments: NAME,
        flags: &[Flag::WEAK_PASSWORD, Flag::CONFIG],
        summary: "set another password of an account",
        details: "Asks for it as `add` does. All tokens and sessions of the account end at once.",
        examples: &["pikv account passwd mavi"],
        build: |call| account_command(call, account::set_password(call)?),
    },
    CommandRow {
        words: &["account", "disable"],
        arguments: NAME,
        flags: &[Flag::CONFIG],
        summary: "disable an account",
        details: "All its tokens and sessions end at once.",
        examples: &["pikv account disable mavi"],
        build: |call| account_command(call, account::set_disabled(call, true)?),
    },
    CommandRow {
        words: &["account", "enable"],
        arguments: NAME,
        flags: &[Flag::CONFIG],
        summary: "enable an account again",
        details: "Its tokens and sessions are not restored.",
        examples: &["pikv account enable mavi"],
        build: |call| account_command(call, account::set_disabled(call, false)?),
    },
    CommandRow {
        words: &["account", "delete"],
        arguments: NAME,
        flags: &[Flag::CONFIG],
        summary: "delete an account and its keys",
        details: "All its tokens and sessions end at once.",
        examples: &["pikv account delete mavi"],
        build: |call| account_command(call, account::delete(call)?),
    },
    CommandRow {
        words: &["account", "list"],
        arguments: &[],
        flags: &[Flag::CONFIG],
        summary: "list the accounts",
        details: "Prints names, email addresses, states and times of registration.",
        examples: &["pikv account list"],
        build: |call| account_command(call, Act::List),
    },
];

impl CommandRow {
    /// Its words as one text.
    pub fn name(&self) -> String {
        self.words.join(" ")
    }

    /// What is typed after `pikv`, without flags: `account add NAME`.
    pub fn line(&self) -> String {
        let arguments = self.arguments.iter().map(|(name, _)| *name);
        self.words.iter().copied().chain(arguments).collect::<Vec<_>>().join(" ")
    }

    /// As [`CommandRow::line`], with the flags that have no environment variable.
    pub fn usage(&self) -> String {
        let flags = self.flags.iter().filter(|flag| flag.variable.is_none());
        flags.fold(self.line(), |usage, flag| format!("{usage} [{}]", flag.usage()))
    }
}

fn recover(call: &Call<'_>) -> Result<Command, UsageError> {
    let missing =
        |missing: &str| UsageError::Incomplete { command: "recover".to_owned(), missing: missing.to_owned() };
    let text = call.argument(0);
    // The server's own projects can be damaged like any other.
    let internal = InternalProject::ALL.into_iter().map(ProjectId::from).find(|id| id.as_str() == text);
    let project = internal
        .map_or_else(|| ProjectId::parse(text), Ok)
        .map_err(|error| UsageError::Project { text: shown(text), error })?;
    let parse_journal = |text: &str| match text {
        "replay" => Some(RecoverAct::Replay),
        "discard" => Some(RecoverAct::Discard),
        _ => None,
    };
    let journal = option(call, Flag::JOURNAL, Wanted::OneOf(&["replay", "discard"]), parse_journal)?;
    let act = match (journal, call.has(Flag::SALVAGE)) {
        (Some(journal), false) => journal.value,
        (None, true) => RecoverAct::Salvage,
        (Some(_), true) => return Err(missing("either `--journal` or `--salvage`, not both")),
        (None, false) => return Err(missing("`--journal replay`, `--journal discard` or `--salvage`")),
    };
    Ok(Command::Recover { options: file_options(call)?, project, act })
}

fn account_command(call: &Call<'_>, act: Act) -> Result<Command, UsageError> {
    Ok(Command::Account { options: file_options(call)?, global_key: account::global_key(call), act })
}

fn file_options(call: &Call<'_>) -> Result<Options, UsageError> {
    Ok(Options { config_path: config_path(call)?, ..Options::default() })
}

fn serving_options(call: &Call<'_>) -> Result<Options, UsageError> {
    Ok(Options {
        config_path: config_path(call)?,
        host: option(call, Flag::HOST, Wanted::Address, |text| text.parse::<IpAddr>().ok())?,
        port: option(call, Flag::PORT, Wanted::Port, parse_port)?,
        log_level: option(call, Flag::LOG_LEVEL, Wanted::OneOf(LogLevel::NAMES), LogLevel::parse)?,
        log_format: option(call, Flag::LOG_FORMAT, Wanted::OneOf(LogFormat::NAMES), LogFormat::parse)?,
    })
}

fn parse_port(text: &str) -> Option<u16> {
    // `parse` would take "+80".
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
