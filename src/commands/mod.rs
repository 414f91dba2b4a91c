//! The commands of the program, one file for each.

mod account;
mod config;
mod engine;
mod error;
mod init;
mod printing;
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
        Command::Recover { options, project, act } => recover::recover(&options, &project, act),
        Command::Account { options, global_key, act } => {
            // The command may repair files. It logs that, because the next start does not find it any more.
            sink::start(LevelFilter::Warn, sink::Format::Text).map_err(RunError::Start)?;
            let ended = account::run(&options, global_key.as_ref(), &act);
            sink::flush(Duration::from_millis(LOG_FLUSH_MS));
            ended
        }
        Command::Help(topic) => print_result(&help::text(topic)),
        Command::Version => print_result(&format!("{}\n", help::version())),
    }
}

/// Makes a write above the file-size limit of the process (`ulimit -f`) fail, instead of ending the process.
fn survive_file_size_limit() -> Result<(), RunError> {
    let unused = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGXFSZ, unused).map(drop).map_err(RunError::Start)
}
