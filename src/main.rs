//! The `pikv` program: parses the arguments, runs the command, prints one error, and sets the exit code.

use pikv::{cli, commands, log};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1), &|name| std::env::var_os(name)) {
        Ok(command) => command,
        Err(error) => {
            print_error(&error);
            return ExitCode::from(cli::USAGE_EXIT_CODE);
        }
    };
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// An error may quote an argument or a line of a file, so secrets in it are masked as in the log.
fn print_error(error: &dyn std::error::Error) {
    eprintln!("pikv: {}", String::from_utf8_lossy(&log::mask(error.to_string().as_bytes())));
}
