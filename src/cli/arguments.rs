//! Arguments and environment as they are typed, and the values of flags in them.

use super::effective::{Options, Source, Sourced};
use super::flag::{self, Flag};
use super::usage_error::UsageError;
use crate::config::mistake::shown;
use lexopt::Arg;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The environment variables, by name.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Arguments as typed.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) words: Vec<OsString>,
    pub(super) values: Vec<(Flag, OsString)>,
    pub(super) is_help_asked: bool,
    pub(super) is_version_asked: bool,
}

/// The command line of a known command.
pub(super) struct Call<'a> {
    pub(super) typed: &'a Typed,
    /// As many as the command needs.
    pub(super) arguments: &'a [&'a str],
    pub(super) environment: &'a Environment<'a>,
}

impl Call<'_> {
    pub(super) fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).unwrap_or(&"")
    }

    pub(super) fn has(&self, flag: Flag) -> bool {
        self.typed.values.iter().any(|(other, _)| *other == flag)
    }
}

pub(super) fn parse_words(mut parser: lexopt::Parser) -> Result<Typed, UsageError> {
    let mut typed = Typed::default();
    loop {
        while let Some(word) = negative_number(&mut parser) {
            typed.words.push(word);
        }
        let Some(argument) = parser.next().map_err(value_superfluous)? else { return Ok(typed) };
        match argument {
            Arg::Value(word) => typed.words.push(word),
            Arg::Short('h') | Arg::Long("help") => typed.is_help_asked = true,
            Arg::Short('V') | Arg::Long("version") => typed.is_version_asked = true,
            Arg::Short(letter) => return Err(unknown_flag(&format!("-{letter}"))),
            Arg::Long(name) => {
                let text = format!("--{name}");
                let flag = Flag::ALL.iter().copied().find(|flag| flag.name == text);
                let flag = flag.ok_or_else(|| unknown_flag(&text))?;
                let value = if flag.value.is_some() {
                    parser.value().map_err(|_| UsageError(format!("`{}` needs a value.", flag.name)))?
                } else {
                    OsString::new()
                };
                // The last one of two equal flags counts, so that an alias can be overridden.
                typed.values.retain(|(other, _)| *other != flag);
                typed.values.push((flag, value));
            }
        }
    }
}

/// The next argument, if it is a negative number. No flag begins with a digit.
fn negative_number(parser: &mut lexopt::Parser) -> Option<OsString> {
    let mut arguments = parser.try_raw_args()?;
    let digit = arguments.peek()?.to_str()?.strip_prefix('-')?.chars().next()?;
    if digit.is_ascii_digit() { arguments.next() } else { None }
}

fn unknown_flag(text: &str) -> UsageError {
    UsageError::unknown("flag", text, &flag::names())
}

/// lexopt's `next` fails only if a flag that takes no value has one, as in `--help=x`.
fn value_superfluous(error: lexopt::Error) -> UsageError {
    let flag =
        if let lexopt::Error::UnexpectedValue { option, .. } = error { option } else { error.to_string() };
    UsageError(format!("`{}` takes no value.", shown(&flag)))
}

/// The value of the flag, else that of its environment variable. An empty variable is ignored.
fn raw_value(call: &Call<'_>, flag: Flag) -> Option<(&'static str, Sourced<OsString>)> {
    if let Some((_, value)) = call.typed.values.iter().find(|(other, _)| *other == flag) {
        return Some((flag.name, Sourced { value: value.clone(), source: Source::Flag }));
    }
    let variable = flag.variable?;
    let value = (call.environment)(variable).filter(|value| !value.is_empty())?;
    Some((variable, Sourced { value, source: Source::Environment }))
}

/// The value of `flag`. If `parse` refuses a text, `rule` states what it must be instead.
pub(super) fn option<T>(
    call: &Call<'_>,
    flag: Flag,
    rule: impl Fn(&str) -> String,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<Sourced<T>>, UsageError> {
    let Some((name, Sourced { value, source })) = raw_value(call, flag) else {
        return Ok(None);
    };
    let text = unicode(name, &value)?;
    match parse(text) {
        Some(value) => Ok(Some(Sourced { value, source })),
        None => Err(wrong_value(name, text, &rule(text))),
    }
}

fn unicode<'a>(name: &'static str, value: &'a OsStr) -> Result<&'a str, UsageError> {
    value.to_str().ok_or_else(|| wrong_value(name, &value.to_string_lossy(), "it must be UTF-8"))
}

fn wrong_value(name: &str, text: &str, rule: &str) -> UsageError {
    UsageError(format!("`{name}` is \"{}\"; {rule}.", shown(text)))
}

pub(super) fn config_path(call: &Call<'_>) -> Result<Sourced<PathBuf>, UsageError> {
    match raw_value(call, Flag::CONFIG) {
        None => Ok(Options::default().config_path),
        Some((name, Sourced { value, .. })) if value.is_empty() => {
            Err(wrong_value(name, "", "it must name a file"))
        }
        Some((_, Sourced { value, source })) => Ok(Sourced { value: PathBuf::from(value), source }),
    }
}
