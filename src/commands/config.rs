//! `pikv config`: checks config.json, shows the effective settings, and changes one of them.

use super::error::RunError;
use super::printing::print_result;
use super::setup::{key_error, load_existing};
use crate::catalog::keys;
use crate::cli::effective::{self, Options};
use crate::cli::show;
use crate::config::edit::{self, Change};
use crate::config::field::Value;
use crate::config::file::{self, Loaded};
use crate::config::schema::Config;
use crate::disk::{LockError, LockFile, RealDisk};
use crate::limits::CONFIG_SYNCS_MAX;
use crate::persist::files::own_files::LOCK_FILE;
use std::path::Path;
use std::process::{Command, Stdio};

pub(super) fn check(options: &Options) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let Loaded { config, warnings } = load_existing(path)?;
    keys::check(&config).map_err(key_error(path))?;
    let warnings: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    print_result(&format!("{warnings}{} is valid.\n", path.display()))
}

pub(super) fn show(options: &Options) -> Result<(), RunError> {
    let config = load_existing(&options.config_path.value)?.config;
    print_result(&show::render(options, &config, &effective::resolve(options, &config)))
}

/// Sets one setting in the file, and tells a running server to reload it.
pub(super) fn set(options: &Options, setting: &str, value: &str) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let user = user_of_directory(&load_existing(path)?.config, path)?;
    let change = save_edit(path, setting, value)?;
    let mut text = describe(setting, &change);
    text.push_str(&match (&user, change.needs_restart) {
        (User::Server(pid), true) => format!("The server (process id {pid}) uses it after a restart.\n"),
        (User::Server(pid), false) => send_sighup(pid),
        (User::ServerElsewhere, true) => "The running server uses it after a restart.\n".to_owned(),
        (User::ServerElsewhere, false) => {
            "The running server is in a container and uses it after SIGHUP or a restart.\n".to_owned()
        }
        (User::This(_), _) => String::new(),
    });
    print_result(&text)
}

/// Who uses the data directory of a configuration.
enum User {
    /// This process, from now on, so that no server starts in the meantime. `None` if the directory does not exist.
    This(#[expect(dead_code, reason = "held until the file is saved")] Option<LockFile>),
    /// A server with this process id.
    Server(String),
    /// A server whose process id is not valid here.
    ServerElsewhere,
}

fn user_of_directory(config: &Config, path: &Path) -> Result<User, RunError> {
    let directory = config.data_directory(path);
    match LockFile::acquire(&directory.join(LOCK_FILE)) {
        Ok(lock) => Ok(User::This(Some(lock))),
        Err(LockError::Held(holder)) if holder.is_elsewhere || holder.original.is_some() => {
            Ok(User::ServerElsewhere)
        }
        Err(LockError::Held(holder)) => Ok(User::Server(holder.pid)),
        // No server has started there yet.
        Err(LockError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(User::This(None)),
        Err(LockError::Io(error)) => Err(RunError::DataDirectory { path: directory, error }),
    }
}

/// Changes the file at `path`. If another program changes it at the same time, the change is applied to the new
/// content.
fn save_edit(path: &Path, setting: &str, value: &str) -> Result<Change, RunError> {
    for _ in 0..CONFIG_SYNCS_MAX {
        let before = load_existing(path)?.config;
        let mut config = before.clone();
        let change = edit::set(&mut config, setting, value).map_err(RunError::Edit)?;
        keys::check(&config).map_err(key_error(path))?;
        if load_existing(path)?.config == before {
            file::save(&RealDisk, path, &config)?;
            return Ok(change);
        }
    }
    Err(RunError::ConfigBusy { path: path.to_owned() })
}

fn describe(setting: &str, change: &Change) -> String {
    let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), Value::to_string);
    let (before, after) = (shown(&change.before), shown(&change.after));
    if before == after {
        return format!("{setting} = {after}  (as before)\n");
    }
    format!("{setting} = {after}  (before: {before})\n")
}

/// Makes the server with this process id reload its configuration. Returns the line to print.
fn send_sighup(pid: &str) -> String {
    // The standard library sends no signals. Small systems have `kill` only in the shell.
    let kill = Command::new("sh").args(["-c", "kill -HUP \"$0\"", pid]).stdin(Stdio::null()).output();
    match kill {
        Ok(output) if output.status.success() => {
            format!("The server (process id {pid}) reloads its configuration; its log reports the result.\n")
        }
        Ok(_) | Err(_) => format!(
            "The server (process id {pid}) could not be notified. It uses the new value after SIGHUP (`kill -HUP {pid}`, as \
             its user or root) or a restart.\n"
        ),
    }
}
