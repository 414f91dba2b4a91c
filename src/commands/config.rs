//! `pikv config`: checks config.json, shows the effective settings, and changes one of them.

use super::error::{RunError, names_of};
use super::printing::print_result;
use super::setup::{absolute, key_error, load_existing};
use crate::catalog::keys;
use crate::cli::effective::{self, Options};
use crate::cli::show;
use crate::clock;
use crate::config::edit::{self, Act, Change, ChangedSetting};
use crate::config::field::Value;
use crate::config::file::{self, Loaded};
use crate::config::mistake::shown_path;
use crate::config::schema::Config;
use crate::disk::{DirectoryLock, Disk, LockError, LockFile, Open, RealDisk};
use crate::limits::{CONFIG_SET_POLL_MS, CONFIG_SET_WAIT_MS, CONFIG_SYNCS_MAX};
use crate::persist::files::own_files::{ADDRESS_FILE, LOCK_FILE};
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(super) fn check(options: &Options) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let Loaded { config, warnings } = load_existing(path)?;
    keys::check(&config).map_err(key_error(path))?;
    let warnings: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    print_result(&format!("{warnings}{} is valid.\n", shown_path(path)))
}

pub(super) fn show(options: &Options) -> Result<(), RunError> {
    let config = load_existing(&options.config_path.value)?.config;
    print_result(&show::render(options, &config, &effective::resolve(options, &config)))
}

/// Changes one setting in the file, and tells a running server to reload it.
pub(super) fn edit(
    options: &Options,
    setting: &str,
    act: &Act,
    discards_files: bool,
) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let (user, lock) = user_and_lock(path)?;
    let change = save_edit(path, setting, act, discards_files)?;
    // Before the lock is released: a change over HTTP then waits for the reload.
    let told = notify(&user, change.needs_restart);
    drop(lock);
    print_result(&format!("{}{}{told}", described(&change), warnings(&change)))
}

/// The user of the data directory, and the lock of the file at `path`. A server locks the directory first, too.
fn user_and_lock(path: &Path) -> Result<(User, DirectoryLock), RunError> {
    let config = load_existing(path)?.config;
    let user = user_of_directory(&config, path)?;
    let lock = file::lock(&RealDisk, path)?;
    if matches!(user, User::This(None)) && exists(&config.data_directory(path).join(LOCK_FILE)) {
        // The first server has started since. It may have read the file already.
        drop(lock);
        return Ok((user_of_directory(&config, path)?, file::lock(&RealDisk, path)?));
    }
    Ok((user, lock))
}

/// Tells the server about the change, and returns the line to print.
fn notify(user: &User, needs_restart: bool) -> String {
    match (user, needs_restart) {
        (User::Server(pid), true) => {
            // The server refuses changes over HTTP until it has read the file.
            send_sighup(pid);
            format!("The server (process id {pid}) uses it after a restart.\n")
        }
        (User::Server(pid), false) => told_text(pid, send_sighup(pid)),
        (User::ServerElsewhere, true) => {
            "The running server uses it after a restart. Until then, or SIGHUP, it refuses to create, change and delete \
             projects.\n"
                .to_owned()
        }
        (User::ServerElsewhere, false) => {
            "The running server is in a container and uses it after SIGHUP or a restart. Until then it refuses to create, \
             change and delete projects.\n"
                .to_owned()
        }
        (User::This(_), _) => String::new(),
    }
}

/// Who uses the data directory of a configuration.
enum User {
    /// This process, from now on, so that no server starts in the meantime. `None` if no server has used it.
    This(Option<LockFile>),
    /// A server with this process id.
    Server(String),
    /// A server whose process id is not valid here.
    ServerElsewhere,
}

/// The user of the data directory. Another command that uses it is waited for: only a server reloads its configuration
/// at SIGHUP, and others would be killed by it. A server has written its address.
fn user_of_directory(config: &Config, path: &Path) -> Result<User, RunError> {
    let directory = config.data_directory(path);
    let (lock_path, address_path) = (directory.join(LOCK_FILE), directory.join(ADDRESS_FILE));
    let deadline = clock::monotonic() + Duration::from_millis(CONFIG_SET_WAIT_MS);
    // Without a lock file no server has started. This command creates none: it may run as another user.
    while exists(&lock_path) {
        match LockFile::acquire(&lock_path) {
            Ok(lock) => return Ok(User::This(Some(lock))),
            Err(LockError::Held(holder)) if holder.is_elsewhere || holder.original.is_some() => {
                return Ok(User::ServerElsewhere);
            }
            Err(LockError::Held(holder)) if exists(&address_path) => return Ok(User::Server(holder.pid)),
            Err(LockError::Held(holder)) if clock::monotonic() >= deadline => {
                return Err(RunError::Locked { directory: absolute(&directory), holder });
            }
            Err(LockError::Held(_)) => std::thread::sleep(Duration::from_millis(CONFIG_SET_POLL_MS)),
            Err(LockError::Io(error)) => return Err(RunError::DataDirectory { path: lock_path, error }),
        }
    }
    Ok(User::This(None))
}

/// Whether `path` exists. If that is unknown, it counts as existing: using it then fails.
fn exists(path: &Path) -> bool {
    match RealDisk.open(path, Open::Read) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

/// Changes the file at `path`. If another program changes it at the same time, the change is applied to the new
/// content.
fn save_edit(path: &Path, setting: &str, act: &Act, discards_files: bool) -> Result<Change, RunError> {
    for _ in 0..CONFIG_SYNCS_MAX {
        let before = load_existing(path)?.config;
        let mut config = before.clone();
        let change = edit::edit(&mut config, setting, act).map_err(RunError::Edit)?;
        if !change.leaving_disk.is_empty() && !discards_files {
            return Err(RunError::FilesDiscarded { projects: change.leaving_disk });
        }
        keys::check(&config).map_err(key_error(path))?;
        if load_existing(path)?.config == before {
            file::save(&RealDisk, path, &config)?;
            return Ok(change);
        }
    }
    Err(RunError::ConfigBusy { path: path.to_owned() })
}

/// A line for each setting of a change.
fn described(change: &Change) -> String {
    let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), Value::to_string);
    let line = |setting: &ChangedSetting| {
        let (before, after) = (shown(&setting.before), shown(&setting.after));
        let before = if before == after { "as before".to_owned() } else { format!("before: {before}") };
        format!("{} = {after}  ({before})\n", setting.path)
    };
    change.settings.iter().map(line).collect()
}

/// What a change loses that cannot be undone by a change back.
fn warnings(change: &Change) -> String {
    let mut text = String::new();
    if !change.leaving_disk.is_empty() {
        let projects = names_of(&change.leaving_disk);
        text.push_str(&format!(
            "warning: The values of {projects} are lost when the server stops. Files that exist are kept, but not read.\n"
        ));
    }
    if change.opens_all {
        text.push_str(
            "warning: Every client that reaches the port can read and write every project, and create and delete \
             projects, because authentication is off.\n",
        );
    } else if !change.losing_protection.is_empty() {
        let projects = names_of(&change.losing_protection);
        text.push_str(&format!(
            "warning: Every client that reaches the port can read and write {projects}, because authentication is off.\n"
        ));
    }
    text
}

/// Makes the server with this process id reload its configuration. Returns whether it was told.
fn send_sighup(pid: &str) -> bool {
    // The standard library sends no signals. Small systems have `kill` only in the shell.
    let kill = Command::new("sh").args(["-c", "kill -HUP \"$0\"", pid]).stdin(Stdio::null()).output();
    kill.is_ok_and(|output| output.status.success())
}

fn told_text(pid: &str, is_told: bool) -> String {
    if is_told {
        format!("The server (process id {pid}) reloads its configuration; its log reports the result.\n")
    } else {
        format!(
            "The server (process id {pid}) could not be notified. It uses the new value after SIGHUP (`kill -HUP {pid}`, as \
             its user or root) or a restart.\n"
        )
    }
}
