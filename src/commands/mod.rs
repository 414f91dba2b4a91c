//! The commands of the program, one file for each.

mod account;
mod config;
mod engine;
mod error;
mod init;
mod migrate;
mod printing;
mod project;
mod reachability;
mod recover;
mod serve;
mod setup;

pub use error::RunError;

use crate::cli::{Command, help};
use crate::limits::LOG_FLUSH_MS;
use crate::log as sink;
use ::log::LevelFilter;
use printing::print_result;
use signal_hook::consts::SIGXFSZ;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// # Errors
/// [`RunError`] names the cause and the fix. Nothing was changed, unless only the result could not be printed
/// ([`RunError::NotPrinted`]).
pub fn run(command: Command) -> Result<(), RunError> {
    survive_file_size_limit()?;
    match command {
        Command::Serve(options) => {
            let ended = serve::serve(&options);
            // A refused start may have logged the cause.
            sink::flush(Duration::from_millis(LOG_FLUSH_MS));
            ended
        }
        Command::Init(options) => init::init(&options),
        Command::ConfigCheck(options) => config::check(&options),
        Command::ConfigShow(options) => config::show(&options),
        Command::ConfigEdit { options, setting, act, discards_files } => {
            config::edit(&options, &setting, &act, discards_files)
        }
        Command::ProjectMove { options, project, cell } => {
            logged(|| project::move_to(&options, &project, &cell))
        }
        Command::Migrate { options, to } => logged(|| migrate::migrate(&options, to)),
        Command::Recover { options, project, act } => recover::recover(&options, &project, act),
        Command::Account { options, global_key, act } => {
            logged(|| account::run(&options, global_key.as_ref(), &act))
        }
        Command::Help(topic) => print_result(&help::text(topic)),
        Command::Version => print_result(&format!("{}\n", help::version())),
    }
}

/// Runs a command with a log. It may repair files or wait for cells, which no later start finds or states any more.
fn logged(command: impl FnOnce() -> Result<(), RunError>) -> Result<(), RunError> {
    sink::start(LevelFilter::Warn, sink::Format::Text).map_err(RunError::Start)?;
    let ended = command();
    sink::flush(Duration::from_millis(LOG_FLUSH_MS));
    ended
}

/// Makes a write above the file-size limit of the process (`ulimit -f`) fail, instead of ending the process.
fn survive_file_size_limit() -> Result<(), RunError> {
    let unused = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGXFSZ, unused).map(drop).map_err(RunError::Start)
}
