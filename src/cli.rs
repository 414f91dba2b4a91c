//! The command line: arguments and environment to a checked [`Command`].
//!
//! Nothing here runs a command, reads the process environment or opens a file.

pub mod account;
mod arguments;
pub mod command;
pub mod effective;
pub mod flag;
pub mod help;
pub mod show;
mod usage_error;

pub use arguments::Environment;
pub use command::{Command, CommandRow, RecoverAct};
pub use effective::CONFIG_PATH_DEFAULT;
pub use usage_error::{USAGE_EXIT_CODE, UsageError};

use crate::config::mistake::shown;
use arguments::{Call, parse_words};
use command::COMMANDS;
use std::ffi::OsString;

/// Parses `arguments`, without the program's name, and `environment` as a command.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, UsageError> {
    let typed = parse_words(lexopt::Parser::from_args(arguments))?;
    let words: Vec<String> = typed.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        _ if typed.is_version_asked => Ok(Command::Version),
        words if typed.is_help_asked => help_of(words),
        ["help", words @ ..] => help_of(words),
        words => {
            let (row, arguments) = find(words)?;
            if let Some((_, missing)) = row.arguments.get(arguments.len()) {
                return Err(incomplete(&row.name(), missing));
            }
            check_superfluous(row, arguments)?;
            if let Some((flag, _)) = typed.values.iter().find(|(flag, _)| !row.flags.contains(flag)) {
                return Err(UsageError(format!("`pikv {}` does not take `{}`.", row.name(), flag.name)));
            }
            (row.build)(&Call { typed: &typed, arguments, environment })
        }
    }
}

/// The row of the command that `words` begin with, and the rest of them.
fn find<'w, 't>(words: &'w [&'t str]) -> Result<(&'static CommandRow, &'w [&'t str]), UsageError> {
    let of = |row: &'static CommandRow| Some((row, words.strip_prefix(row.words)?));
    let found = COMMANDS
        .iter()
        .find_map(of)
        .or_else(|| Some((COMMANDS.first()?, words)).filter(|_| words.is_empty()));
    if let Some(found) = found {
        return Ok(found);
    }
    let group = COMMANDS.iter().filter(|row| row.words.first() == words.first());
    let of_group: Vec<&'static str> = group.filter_map(|row| row.words.get(1).copied()).collect();
    match words {
        [_, text, ..] if !of_group.is_empty() => Err(UsageError::unknown("command", text, &of_group)),
        [command] if !of_group.is_empty() => {
            let missing = of_group.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
            Err(incomplete(command, &missing))
        }
        words => {
            let mut known: Vec<&'static str> =
                COMMANDS.iter().filter_map(|row| row.words.first().copied()).collect();
            known.dedup();
            Err(UsageError::unknown("command", words.first().unwrap_or(&""), &known))
        }
    }
}

fn help_of(words: &[&str]) -> Result<Command, UsageError> {
    let of_group = COMMANDS.iter().find(|row| words.len() == 1 && row.words.first() == words.first());
    let row = match (words, of_group) {
        ([], _) => return Ok(Command::Help(None)),
        (_, Some(row)) => row,
        (_, None) => {
            let (row, arguments) = find(words)?;
            check_superfluous(row, arguments)?;
            row
        }
    };
    Ok(Command::Help(row.words.first().copied()))
}

fn incomplete(command: &str, missing: &str) -> UsageError {
    UsageError(format!("`pikv {command}` needs {missing}."))
}

fn check_superfluous(row: &CommandRow, arguments: &[&str]) -> Result<(), UsageError> {
    match arguments.get(row.arguments.len()) {
        None => Ok(()),
        // The argument may be a password, because the command asks for one.
        Some(_) if row.flags.contains(&flag::Flag::WEAK_PASSWORD) => Err(UsageError(
            "Passwords are not accepted as arguments, which other users of this machine can see. Run the command \
             without it. It asks for the password, or reads it from standard input."
                .to_owned(),
        )),
        Some(text) => Err(UsageError(format!("Unexpected argument `{}`.", shown(text)))),
    }
}

#[cfg(test)]
#[path = "cli/cli_tests.rs"]
mod tests;
