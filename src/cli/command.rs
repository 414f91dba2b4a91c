//! The commands, one row for each. Parsing, `--help` and the table in docs/CONFIGURATION.md follow the rows.

use super::account::{self, Act};
use super::arguments::{Call, config_path, option};
use super::effective::Options;
use super::flag::Flag;
use super::usage_error::UsageError;
use crate::config::edit::Act as EditAct;
use crate::config::mistake::{host_advice, shown};
use crate::config::schema::{CellName, EngineType, LogFormat, LogLevel};
use crate::names::{InternalProject, ProjectId};
use crate::secret::Secret;
use std::net::IpAddr;

/// The options that a command does not take have their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Serve(Options),
    Init(Options),
    ConfigCheck(Options),
    ConfigShow(Options),
    /// The path of the setting is as typed.
    ConfigEdit {
        options: Options,
        setting: String,
        act: EditAct,
        discards_files: bool,
    },
    Recover {
        options: Options,
        project: ProjectId,
        act: RecoverAct,
    },
    /// Move a project to the cell of that name.
    ProjectMove {
        options: Options,
        project: ProjectId,
        cell: CellName,
    },
    /// Copy everything from the other engine to this one.
    Migrate {
        options: Options,
        to: EngineType,
    },
    /// The global key is that of a running server, if the environment has it.
    Account {
        options: Options,
        global_key: Option<Secret>,
        act: Act,
    },
    /// Print [`super::help::text`]: of the command with this first word, or of the program.
    Help(Option<&'static str>),
    Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoverAct {
    /// Apply the changes of the journal to the edited file.
    Replay,
    /// Use the edited file without the changes, and keep a copy of the journal.
    Discard,
    /// Write the readable keys of damaged files to another file.
    Salvage,
}

pub struct CommandRow {
    /// For example `config show`.
    pub words: &'static [&'static str],
    /// The names and descriptions of its arguments, all required.
    pub arguments: &'static [(&'static str, &'static str)],
    pub flags: &'static [Flag],
    /// One line of help.
    pub summary: &'static str,
    /// Sentences for its own help and for docs/CONFIGURATION.md.
    pub details: &'static str,
    pub examples: &'static [&'static str],
    /// Builds the command from a call with these words, arguments and flags.
    pub(super) build: fn(&Call<'_>) -> Result<Command, UsageError>,
}

const SERVING: &[Flag] = &[Flag::CONFIG, Flag::HOST, Flag::PORT, Flag::LOG_LEVEL, Flag::LOG_FORMAT];
const PORT_ADVICE: &str = "it must be a whole number, 0 to 65535; 0 takes any free port";
const NAME: &[(&str, &str)] = &[("NAME", "the name of an account")];

/// The commands. The first one is the default.
pub const COMMANDS: &[CommandRow] = &[
    CommandRow {
        words: &["serve"],
        arguments: &[],
        flags: SERVING,
        summary: "runs the server until SIGTERM or Ctrl-C; this is the default",
        details: "If the configuration file does not exist, creates one with a project `first_project`. New API keys\n\
                  are printed once and stored as hashes.",
        examples: &["pikv", "pikv serve --host 0.0.0.0 --port 8080"],
        build: |call| Ok(Command::Serve(serving_options(call)?)),
    },
    CommandRow {
        words: &["init"],
        arguments: &[],
        flags: &[Flag::CONFIG],
        summary: "creates config.json with new API keys and prints them",
        details: "Creates the data directory, too. Fails if the file exists; an existing file is never changed. If the\n\
                  keys cannot be printed, exits with code 1 and states what to do.",
        examples: &["pikv init --config /etc/pikv/config.json"],
        build: |call| Ok(Command::Init(file_options(call)?)),
    },
    CommandRow {
        words: &["config", "check"],
        arguments: &[],
        flags: SERVING,
        summary: "validates config.json",
        details: "Reports the location of an error and the fix, and exits with code 1. Changes nothing.",
        examples: &["pikv config check"],
        build: |call| Ok(Command::ConfigCheck(serving_options(call)?)),
    },
    CommandRow {
        words: &["config", "show"],
        arguments: &[],
        flags: SERVING,
        summary: "prints the effective settings and where each one comes from",
        details: "The source is flag, environment, file or default. Keys and hashes are printed as `***`. A running\n\
                  server has an edit only after SIGHUP.",
        examples: &["pikv config show --port 8080"],
        build: |call| Ok(Command::ConfigShow(serving_options(call)?)),
    },
    CommandRow {
        words: &["config", "set"],
        arguments: &[("SETTING", "the name of a setting"), ("VALUE", "its value")],
        flags: &[Flag::DISCARD_FILES, Flag::CONFIG],
        summary: "changes one setting in config.json",
        details: "SETTING is a name that `config show` prints. VALUE is a string, or JSON for numbers, booleans and\n\
                  arrays. If the value is not valid, changes nothing. A running server reloads the file; some settings\n\
                  need a restart, which is reported. A change by which a project loses its files needs\n\
                  `--discard-files`.",
        examples: &[
            "pikv config set accounts.registration closed",
            "pikv config set trusted_proxies '[\"127.0.0.1\"]'",
            "pikv config set projects.shop.storage.sync interval",
        ],
        build: |call| config_edit(call, EditAct::Set(call.argument(1).to_owned())),
    },
    CommandRow {
        words: &["config", "unset"],
        arguments: &[("SETTING", "the name of a setting")],
        flags: &[Flag::DISCARD_FILES, Flag::CONFIG],
        summary: "returns one setting to its default",
        details: "Removes SETTING from config.json. Everything else is as for `config set`. A setting of a project has\n\
                  that of `default` then.",
        examples: &["pikv config unset projects.shop.storage.sync"],
        build: |call| config_edit(call, EditAct::Unset),
    },
    CommandRow {
        words: &["recover"],
        arguments: &[("PROJECT", "the id of a project")],
        flags: &[Flag::JOURNAL, Flag::SALVAGE, Flag::CONFIG],
        summary: "repairs a project whose files a start refuses",
        details: "Stop the server first. `--journal` resolves the conflict if PROJECT.json was edited by hand while\n\
                  its journal held changes that are not in it; with `discard` a copy of the journal is kept. Fails if\n\
                  there is no conflict. `--salvage` is for damaged files: it writes every key that is still\n\
                  readable to PROJECT.json.salvaged-N, lists what is not readable, and changes nothing else.",
        examples: &["pikv recover shop --journal replay", "pikv recover shop --salvage"],
        build: recover,
    },
    CommandRow {
        words: &["project", "move"],
        arguments: &[("PROJECT", "the id of a project")],
        flags: &[Flag::TO, Flag::CONFIG],
        summary: "moves a project to another cell of etcd",
        details: "Servers may run. Until the keys are copied and compared, reads are answered and writes get 503.\n\
                  If the command is interrupted, run it again; it continues. `--to` with the old cell reverts the\n\
                  move.",
        examples: &["pikv project move shop --to cell-2"],
        build: project_move,
    },
    CommandRow {
        words: &["migrate"],
        arguments: &[],
        flags: &[Flag::TO, Flag::CONFIG],
        summary: "copies all projects and accounts to the other storage engine",
        details: "`--to etcd` copies from the data directory to the home cell of engine.cells, `--to embedded`\n\
                  back. Stop the servers on all machines first. Keys keep their values, times and times to live;\n\
                  API keys, passwords and tokens stay valid. Everything is compared, the original stays. If the\n\
                  command is interrupted, run it again.",
        examples: &["pikv migrate --to etcd", "pikv migrate --to embedded"],
        build: migrate,
    },
    CommandRow {
        words: &["account", "add"],
        arguments: NAME,
        flags: &[Flag::EMAIL, Flag::WEAK_PASSWORD, Flag::CONFIG],
        summary: "creates an account",
        details: "Asks for the password, or reads it as one line from standard input if that is not a terminal. It\n\
                  cannot be given as an argument.",
        examples: &["pikv account add mavi --email mavi@example.com"],
        build: |call| account_command(call, account::add(call)?),
    },
    CommandRow {
        words: &["account", "passwd"],
        arguments: NAME,
        flags: &[Flag::WEAK_PASSWORD, Flag::CONFIG],
        summary: "changes the password of an account",
        details: "Asks for it as `add` does. All tokens and sessions of the account end at once.",
        examples: &["pikv account passwd mavi"],
        build: |call| account_command(call, account::set_password(call)?),
    },
    CommandRow {
        words: &["account", "disable"],
        arguments: NAME,
        flags: &[Flag::CONFIG],
        summary: "disables an account",
        details: "All its tokens and sessions end at once.",
        examples: &["pikv account disable mavi"],
        build: |call| account_command(call, account::set_disabled(call, true)?),
    },
    CommandRow {
        words: &["account", "enable"],
        arguments: NAME,
        flags: &[Flag::CONFIG],
        summary: "enables an account again",
        details: "Its tokens and sessions are not restored.",
        examples: &["pikv account enable mavi"],
        build: |call| account_command(call, account::set_disabled(call, false)?),
    },
    CommandRow {
        words: &["account", "delete"],
        arguments: NAME,
        flags: &[Flag::CONFIG],
        summary: "deletes an account and its keys",
        details: "All its tokens and sessions end at once.",
        examples: &["pikv account delete mavi"],
        build: |call| account_command(call, account::delete(call)?),
    },
    CommandRow {
        words: &["account", "list"],
        arguments: &[],
        flags: &[Flag::CONFIG],
        summary: "lists the accounts",
        details: "Prints names, email addresses, states and times of registration.",
        examples: &["pikv account list"],
        build: |call| account_command(call, Act::List),
    },
];

impl CommandRow {
    pub fn name(&self) -> String {
        self.words.join(" ")
    }

    /// The arguments of `pikv`, without flags: `account add NAME`.
    pub fn line(&self) -> String {
        let arguments = self.arguments.iter().map(|(name, _)| *name);
        self.words.iter().copied().chain(arguments).collect::<Vec<_>>().join(" ")
    }

    /// Like [`CommandRow::line`], with the flags that have no environment variable: `recover PROJECT (--a | --b) [--c]`.
    pub fn usage(&self) -> String {
        let usages = |is_alternative: bool| {
            let flags = self.flags.iter().filter(|flag| flag.variable.is_none());
            flags.filter(move |flag| flag.is_alternative == is_alternative).map(|flag| flag.usage())
        };
        let alternatives: Vec<String> = usages(true).collect();
        let mut usage = self.line();
        if !alternatives.is_empty() {
            usage.push_str(&format!(" ({})", alternatives.join(" | ")));
        }
        usages(false).fold(usage, |usage, flag| format!("{usage} [{flag}]"))
    }
}

fn project_move(call: &Call<'_>) -> Result<Command, UsageError> {
    let project = project_id(call.argument(0))?;
    let rule = "it must be the name of a cell in `engine.cells`: letters a to z, digits and hyphens";
    let cell = option(call, Flag::TO, |_| rule.to_owned(), CellName::parse)?;
    let cell = cell.ok_or_else(|| UsageError("`pikv project move` needs `--to CELL`.".to_owned()))?.value;
    Ok(Command::ProjectMove { options: file_options(call)?, project, cell })
}

fn migrate(call: &Call<'_>) -> Result<Command, UsageError> {
    let to = option(call, Flag::TO, one_of(EngineType::NAMES), EngineType::parse)?;
    let needs = || UsageError("`pikv migrate` needs `--to etcd` or `--to embedded`.".to_owned());
    Ok(Command::Migrate { options: file_options(call)?, to: to.ok_or_else(needs)?.value })
}

fn project_id(text: &str) -> Result<ProjectId, UsageError> {
    ProjectId::parse(text)
        .map_err(|error| UsageError(format!("Project id \"{}\" {}", shown(text), error.predicate())))
}

fn recover(call: &Call<'_>) -> Result<Command, UsageError> {
    let needs = |missing: &str| Err(UsageError(format!("`pikv recover` needs {missing}.")));
    let text = call.argument(0);
    // The server's own projects can be damaged like any other.
    let internal = InternalProject::ALL.into_iter().map(ProjectId::from).find(|id| id.as_str() == text);
    let project = internal.map_or_else(|| project_id(text), Ok)?;
    let parse_journal = |text: &str| match text {
        "replay" => Some(RecoverAct::Replay),
        "discard" => Some(RecoverAct::Discard),
        _ => None,
    };
    let journal = option(call, Flag::JOURNAL, one_of(&["replay", "discard"]), parse_journal)?;
    let act = match (journal, call.has(Flag::SALVAGE)) {
        (Some(journal), false) => journal.value,
        (None, true) => RecoverAct::Salvage,
        (Some(_), true) => return needs("either `--journal` or `--salvage`, not both"),
        (None, false) => return needs("`--journal replay`, `--journal discard` or `--salvage`"),
    };
    Ok(Command::Recover { options: file_options(call)?, project, act })
}

fn config_edit(call: &Call<'_>, act: EditAct) -> Result<Command, UsageError> {
    let (options, setting) = (file_options(call)?, call.argument(0).to_owned());
    Ok(Command::ConfigEdit { options, setting, act, discards_files: call.has(Flag::DISCARD_FILES) })
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
        host: option(call, Flag::HOST, host_advice, |text| text.parse::<IpAddr>().ok())?,
        port: option(call, Flag::PORT, |_| PORT_ADVICE.to_owned(), parse_port)?,
        log_level: option(call, Flag::LOG_LEVEL, one_of(LogLevel::NAMES), LogLevel::parse)?,
        log_format: option(call, Flag::LOG_FORMAT, one_of(LogFormat::NAMES), LogFormat::parse)?,
    })
}

/// The rule of a value that is one of `names`, whatever was typed.
fn one_of(names: &[&str]) -> impl Fn(&str) -> String {
    let rule = format!("it must be one of {}", names.join(", "));
    move |_| rule.clone()
}

fn parse_port(text: &str) -> Option<u16> {
    // `parse` would accept "+80".
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
