//! The `pikv` program: parses the arguments, runs, prints one error, and sets the exit code.

use pikv::{cli, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1), &|name| std::env::var_os(name)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("pikv: {error}");
            return ExitCode::from(cli::USAGE_EXIT_CODE);
        }
    };
    match run::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pikv: {error}");
            ExitCode::FAILURE
        }
    }
}
