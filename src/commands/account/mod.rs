//! `pikv account`: over HTTP if a server has the data directory, else in its files; with etcd, on the home cell.

mod client;
pub(super) mod error;
mod listing;
mod prompt;

use super::engine::open_cells;
use super::error::RunError;
use super::printing::print_result;
use super::setup::{check_files, guard, load_existing, lock};
use crate::accounts::Accounts;
use crate::accounts::AccountsError;
use crate::accounts::directory::Update;
use crate::accounts::registration::{self, Field, Problem, RawInput, Required};
use crate::auth::password::{self, Password, PasswordError, PasswordHash, Rule};
use crate::cli::account::Act;
use crate::cli::effective::Options;
use crate::clock;
use crate::config::schema::{Config, EngineType};
use crate::disk::{self, Disk, Holder, LockFile, RealDisk};
use crate::entropy::random_bytes;
use crate::limits::ACCOUNTS_PER_PAGE;
use crate::names::Username;
use crate::persist::live::worker_threads::ProjectQueues;
use crate::persist::start::recovery::ValueCache;
use crate::secret::Secret;
use crate::store::commit::Commit;
use client::{GlobalKey, KeySource};
use error::AccountCommandError;
use listing::{done, line, table};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

pub(crate) fn run(options: &Options, global_key: Option<&Secret>, act: &Act) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let config = load_existing(path)?.config;
    if !config.accounts.enabled {
        return Err(AccountCommandError::Disabled.into());
    }
    let password = match act {
        Act::Add { rule, .. } | Act::SetPassword { rule, .. } => Some(new_password(*rule)?),
        Act::SetDisabled { .. } | Act::Delete { .. } | Act::List => None,
    };
    if config.engine.kind == EngineType::Etcd {
        return print_result(&on_cells(path, &config, act, password.as_ref())?);
    }
    let directory = config.data_directory(path);
    check_files(&config, path)?;
    disk::create_directory(&directory)
        .map_err(|error| RunError::DataDirectory { path: directory.clone(), error })?;
    let text = match lock(&directory) {
        Ok(lock) => in_files(&config, &lock, act, password.as_ref())?,
        // A server on another directory holds this lock, and its accounts are not these.
        Err(error @ RunError::Locked { holder: Holder { original: Some(_), .. }, .. }) => {
            return Err(error.of_stopped_server());
        }
        Err(RunError::Locked { holder, .. }) => {
            let credential = if config.authentication.enabled {
                let of_variable = global_key.map(|key| GlobalKey { key, source: KeySource::Variable });
                let of_file = config.key.text.as_ref();
                let of_file = of_file.map(|key| GlobalKey { key, source: KeySource::ConfigFile });
                client::Credential::Key(of_variable.or(of_file))
            } else {
                client::Credential::None
            };
            let server = client::Server::find(&directory, holder.pid, credential, &config.public_hosts);
            let text = server.and_then(|server| server.execute(act, password.as_ref()));
            text.map_err(AccountCommandError::Client)?
        }
        Err(error) => return Err(error),
    };
    print_result(&text)
}

/// Asks for a new password, which must satisfy `rule`.
fn new_password(rule: Rule) -> Result<Secret, AccountCommandError> {
    let typed = prompt::new_password().map_err(AccountCommandError::Prompt)?;
    Password::parse_new(typed.reveal(), rule).map_err(invalid_password)?;
    Ok(typed)
}

fn invalid_password(error: PasswordError) -> AccountCommandError {
    let is_empty = error == PasswordError::Empty;
    let problem = if is_empty { Problem::Missing(Field::Password) } else { Problem::Password(error) };
    AccountCommandError::Invalid(vec![problem])
}

/// Opens the accounts, runs `act` and closes them, under `lock`.
fn in_files(
    config: &Config,
    lock: &LockFile,
    act: &Act,
    password: Option<&Secret>,
) -> Result<String, RunError> {
    let engine = ProjectQueues::guarding(Some(guard(lock)?), Box::new(|| {}));
    let directory = disk::parent_directory(lock.path());
    let threads = engine.start().map_err(RunError::Start)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let opened = Accounts::open(&disk, &engine, directory, ValueCache::Disk);
    let done = match &opened {
        Ok(accounts) => apply(accounts, config.accounts.bcrypt_cost, act, password),
        Err(_) => Ok(String::new()),
    };
    let closed = opened.map(|accounts| accounts.close());
    threads.stop();
    closed.map_err(AccountCommandError::Open)?;
    Ok(done?)
}

/// Runs `act` on the home cell, beside the servers that use it.
fn on_cells(path: &Path, config: &Config, act: &Act, password: Option<&Secret>) -> Result<String, RunError> {
    let cells = open_cells(path, config)?;
    let accounts = Accounts::open_on(cells.home()).map_err(AccountCommandError::Open)?;
    Ok(apply(&accounts, config.accounts.bcrypt_cost, act, password)?)
}

fn apply(
    accounts: &Accounts,
    cost: u32,
    act: &Act,
    password: Option<&Secret>,
) -> Result<String, AccountCommandError> {
    let now_ms = clock::wall_ms();
    let typed = password.map(Secret::reveal);
    match act {
        Act::Add { username, email, rule } => {
            let typed = RawInput {
                username: Some(username.as_str().into()),
                email: email.as_deref().map(Cow::from),
                password: typed.map(Cow::from),
                ..RawInput::default()
            };
            let new = registration::check(&typed, Required::NameAndPassword, *rule)
                .map_err(AccountCommandError::Invalid)?;
            let created = accounts.create(&new, hash(&new.password, cost)?, now_ms)?;
            created.answer.map_err(AccountCommandError::NotCreated)?;
            written(accounts, created.commit.as_ref())?;
        }
        Act::SetPassword { username, rule } => {
            let password = Password::parse_new(typed.unwrap_or_default(), *rule).map_err(invalid_password)?;
            let update = Update { password: Some(hash(&password, cost)?), is_disabled: None };
            change(accounts, username, update, now_ms)?;
        }
        Act::SetDisabled { username, is_disabled } => {
            let update = Update { password: None, is_disabled: Some(*is_disabled) };
            change(accounts, username, update, now_ms)?;
        }
        Act::Delete { username } => {
            if !accounts.delete(username.as_str(), now_ms)? {
                return Err(AccountCommandError::Missing(username.clone()));
            }
        }
        Act::List => return list(accounts, now_ms),
    }
    Ok(done(act))
}

fn hash(password: &Password, cost: u32) -> Result<PasswordHash, AccountCommandError> {
    let salt = random_bytes().map_err(AccountsError::Entropy)?;
    Ok(password::hash(password, cost, salt))
}

fn change(
    accounts: &Accounts,
    username: &Username,
    update: Update,
    now_ms: u64,
) -> Result<(), AccountCommandError> {
    let changed = accounts.directory.update(username.as_str(), &update, now_ms)?;
    changed.answer.ok_or_else(|| AccountCommandError::Missing(username.clone()))?;
    written(accounts, changed.commit.as_ref())
}

fn written(accounts: &Accounts, commit: Option<&Commit>) -> Result<(), AccountCommandError> {
    Ok(accounts.directory.wait(commit)?)
}

fn list(accounts: &Accounts, now_ms: u64) -> Result<String, AccountCommandError> {
    let mut lines = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = accounts.directory.list(after.as_deref(), ACCOUNTS_PER_PAGE, now_ms)?.answer;
        after = page.accounts.last().map(|account| account.username.folded());
        lines.extend(page.accounts.iter().map(line));
        if !page.more {
            return Ok(table(&lines));
        }
    }
}
