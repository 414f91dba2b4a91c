//! The command line.

use std::path::PathBuf;

use crate::campaign::{MANY_KEYS, Options};
use crate::failure::{Outcome, failure};
use crate::rows::PARTS;

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Measure and print the table.
    Measure(Options),
    /// Be one of the servers of this crate.
    Serve {
        /// `axum`, `bare`, `commit` or `whole-file`.
        server: String,
        /// What it answers or keeps.
        file: PathBuf,
    },
    /// Print how to use this.
    Help,
}

/// How to use this.
pub const HELP: &str = "\
Measures PiKV beside its rivals and prints one table.

  --rounds N        rounds of ours and theirs (5)
  --seconds N       of one round (5)
  --quick           one round of one second, 20,000 keys in place of 1,000,000: only to see that all works
  --parts A,B       only these parts; without it all of them
  --directory DIR   where data directories are made, on the disk to be measured (benches/peers/target/runs)
  --json FILE       the figures as JSON
  --chart FILE      the chart as SVG
  --document FILE   puts what is printed between the two marks in this Markdown file

PIKV_BIN is the program to measure; without it the release build of this repository is made first.
";

/// Reads the command line.
///
/// # Errors
/// It cannot be followed.
pub fn parse() -> Outcome<Command> {
    use lexopt::prelude::{Long, Short, Value, ValueExt};
    let mut options = Options {
        rounds: 5,
        seconds: 5,
        many_keys: MANY_KEYS,
        directory: concat!(env!("CARGO_MANIFEST_DIR"), "/target/runs").into(),
        parts: Vec::new(),
        json: None,
        chart: None,
        document: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => options.rounds = parser.value()?.parse()?,
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("quick") => (options.rounds, options.seconds, options.many_keys) = (1, 1, 20_000),
            Long("parts") => {
                options.parts = parser.value()?.string()?.split(',').map(str::to_owned).collect();
            }
            Long("directory") => options.directory = parser.value()?.into(),
            Long("json") => options.json = Some(parser.value()?.into()),
            Long("chart") => options.chart = Some(parser.value()?.into()),
            Long("document") => options.document = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(Command::Help),
            Value(word) if word == "serve" => {
                let (server, file) = (parser.value()?.string()?, parser.value()?.into());
                return Ok(Command::Serve { server, file });
            }
            Long(_) | Short(_) | Value(_) => return Err(argument.unexpected().into()),
        }
    }
    let unknown = options.parts.iter().find(|part| !PARTS.iter().any(|(name, _)| name == part));
    if let Some(part) = unknown {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        return Err(failure(format!("there is no part {part}; there are {}", names.join(", "))));
    }
    if options.rounds == 0 || options.seconds == 0 {
        return Err(failure("--rounds and --seconds are at least 1"));
    }
    Ok(Command::Measure(options))
}
