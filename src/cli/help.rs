//! The help texts, derived from the table of commands.

use super::command::{COMMANDS, CommandRow};
use super::flag::Flag;
use std::fmt::Write;

/// The answer to `--version`, without a line end.
pub fn version() -> &'static str {
    concat!("pikv ", env!("CARGO_PKG_VERSION"))
}

const GLOBAL_FLAGS: &str = "  -h, --help          prints this help, or that of a command\n  \
                            -V, --version       prints the version\n\n\
                            Precedence: flag, environment variable, config.json, default.\n";

const ACCOUNT_SERVER: &str = "\nIf a server runs with the same config.json, the command is sent to it with the global key: from the\n\
                              environment variable PIKV_GLOBAL_KEY, or from config.json if save_api_key_to_file is true. If none\n\
                              runs, the files are changed directly.\n";

/// The help of the commands that begin with `word`, or of the program, with the last line end.
pub fn text(word: Option<&str>) -> String {
    let rows = COMMANDS.iter().filter(|row| word.is_none_or(|word| row.words.first() == Some(&word)));
    let rows: Vec<&CommandRow> = rows.collect();
    let mut text = String::new();
    match word {
        None => put_program(&mut text, &rows),
        Some(word) => put_commands(&mut text, word, &rows),
    }
    text
}

fn put_program(text: &mut String, rows: &[&CommandRow]) {
    text.push_str("pikv: a key-value server over HTTP\n\nUsage: pikv [COMMAND] [FLAGS]\n\nCommands:\n");
    for row in rows {
        put(text, format_args!("  {:<22}  {}", row.line(), row.summary));
    }
    text.push_str("\nFlags:\n");
    let serving = COMMANDS.first().map_or(&[][..], |row| row.flags);
    serving.iter().for_each(|flag| put_flag(text, *flag));
    text.push_str(GLOBAL_FLAGS);
}

fn put_commands(text: &mut String, word: &str, rows: &[&CommandRow]) {
    for (index, row) in rows.iter().enumerate() {
        let intro = if index == 0 { "Usage:" } else { "      " };
        put(text, format_args!("{intro} pikv {} [FLAGS]", row.usage()));
    }
    for row in rows {
        put(text, format_args!("\npikv {}: {}\n\n{}", row.name(), row.summary, row.details.replace('`', "")));
    }
    text.push_str(if word == "account" { ACCOUNT_SERVER } else { "" });
    text.push_str("\nFlags:\n");
    let is_taken = |flag: &&Flag| rows.iter().any(|row| row.flags.contains(flag));
    Flag::ALL.iter().filter(is_taken).for_each(|flag| put_flag(text, *flag));
    text.push_str("\nExamples:\n");
    rows.iter().flat_map(|row| row.examples).for_each(|example| put(text, format_args!("  {example}")));
}

fn put_flag(text: &mut String, flag: Flag) {
    let variable = flag.variable.unwrap_or_default();
    let line = format!("  {:<18}  {:<27}  {variable:<15}  {}", flag.usage(), flag.doc, flag.default);
    put(text, format_args!("{}", line.trim_end()));
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}
