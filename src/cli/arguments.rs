//! Arguments and environment as they are typed, and the values of flags in them.

use super::effective::{Options, Source, Sourced};
use super::flag::Flag;
use super::usage_error::{UsageError, Wanted};
use crate::config::mistake::shown;
use lexopt::Arg;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Where an option comes from besides a flag: `None` where there is no such variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Arguments as typed: nothing is known of them but their names.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) words: Vec<OsString>,
    pub(super) values: Vec<(Flag, OsString)>,
    pub(super) is_help_asked: bool,
    pub(super) is_version_asked: bool,
}

/// A command line whose command is known.
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
    while let Some(argument) = parser.next().map_err(value_superfluous)? {
        match argument {
            Arg::Value(word) => typed.words.push(word),
            Arg::Short('h') | Arg::Long("help") => typed.is_help_asked = true,
            Arg::Short('V') | Arg::Long("version") => typed.is_version_asked = true,
            Arg::Short(letter) => return Err(UsageError::UnknownFlag { text: format!("-{letter}") }),
            Arg::Long(name) => {
                let text = format!("--{name}");
                let flag = Flag::ALL.iter().copied().find(|flag| flag.name == text);
                let flag = flag.ok_or(UsageError::UnknownFlag { text })?;
                let value = if flag.value.is_some() {
                    parser.value().map_err(|_| UsageError::ValueMissing { flag: flag.name })?
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

/// What the flag says, else what its variable says; an empty variable says nothing.
fn raw_value(call: &Call<'_>, flag: Flag) -> Option<(&'static str, Sourced<OsString>)> {
    if let Some((_, value)) = call.typed.values.iter().find(|(other, _)| *other == flag) {
        return Some((flag.name, Sourced { value: value.clone(), source: Source::Flag }));
    }
    let variable = flag.variable?;
    let value = (call.environment)(variable).filter(|value| !value.is_empty())?;
    Some((variable, Sourced { value, source: Source::Environment }))
}

pub(super) fn option<T>(
    call: &Call<'_>,
    flag: Flag,
    wanted: Wanted,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<Sourced<T>>, UsageError> {
    let Some((name, Sourced { value, source })) = raw_value(call, flag) else {
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

pub(super) fn config_path(call: &Call<'_>) -> Result<Sourced<PathBuf>, UsageError> {
    match raw_value(call, Flag::CONFIG) {
        None => Ok(Options::default().config_path),
        Some((name, Sourced { value, .. })) if value.is_empty() => {
            Err(UsageError::Value { name, text: String::new(), wanted: Wanted::Path })
        }
        Some((_, Sourced { value, source })) => Ok(Sourced { value: PathBuf::from(value), source }),
    }
}
