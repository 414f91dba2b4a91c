//! `pikv account`: over HTTP if a server has the data directory, else in its files.

mod client;
mod prompt;

use super::{RunError, check_files, guard, load_existing, lock, say};
use crate::accounts::Accounts;
use crate::accounts::account::{Account, Username};
use crate::accounts::directory::{CreateError, Update};
use crate::accounts::registration::{self, Field, Problem, Required, Typed};
use crate::accounts::{AccountsError, OpenError};
use crate::auth::password::{self, Password, PasswordError, PasswordHash, Rule};
use crate::cli::account::Act;
use crate::cli::effective::Options;
use crate::clock;
use crate::config::schema::Config;
use crate::disk::{self, Disk, Holder, LockFile, RealDisk};
use crate::entropy::random_bytes;
use crate::limits::ACCOUNTS_PER_PAGE;
use crate::persist::engine::Engine;
use crate::persist::recovery::Keep;
use crate::persist::ticket::Ticket;
use crate::secret::Secret;
pub use client::ClientError;
use client::{GlobalKey, KeySource};
pub use prompt::PromptError;
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;

/// Why a command about accounts failed. Nothing was changed.
#[derive(Debug)]
pub enum AccountCommandError {
    /// config.json disables accounts.
    Disabled,
    /// The password could not be read.
    Prompt(PromptError),
    /// What was given for the account is not valid.
    Invalid(Vec<Problem>),
    /// The name or the address is taken.
    NotCreated(CreateError),
    /// There is no such account.
    Missing(Username),
    /// The files of the accounts cannot be used.
    Open(OpenError),
    /// The accounts could not be read or changed.
    Accounts(AccountsError),
    /// The server that has the accounts did not run the command.
    Client(ClientError),
}

/// An account in a list.
#[derive(Deserialize)]
struct Line {
    username: String,
    email: Option<String>,
    disabled: bool,
    created_at: String,
}

/// Runs the command `act`.
///
/// # Errors
/// [`RunError`].
pub fn run(options: &Options, global_key: Option<&Secret>, act: &Act) -> Result<(), RunError> {
    let path = &options.config_path.value;
    let config = load_existing(path)?;
    if !config.accounts().enabled {
        return Err(AccountCommandError::Disabled.into());
    }
    let password = match act {
        Act::Add { rule, .. } | Act::SetPassword { rule, .. } => Some(new_password(*rule)?),
        Act::SetDisabled { .. } | Act::Delete { .. } | Act::List => None,
    };
    let directory = config.data_directory(path);
    check_files(&config, path)?;
    disk::create_directory(&directory)
        .map_err(|error| RunError::DataDirectory { path: directory.clone(), error })?;
    let said = match lock(&directory) {
        Ok(lock) => in_files(&config, &lock, act, password.as_ref())?,
        // The lock is that of a server on another directory, whose accounts are not these.
        Err(error @ RunError::Locked { holder: Holder { original: Some(_), .. }, .. }) => {
            return Err(error.of_stopped_server());
        }
        Err(RunError::Locked { holder, .. }) => {
            let asked = if config.authentication.enabled {
                let of_variable = global_key.map(|key| GlobalKey { key, source: KeySource::Variable });
                let of_file = config.key.text.as_ref();
                let of_file = of_file.map(|key| GlobalKey { key, source: KeySource::ConfigFile });
                client::Asked::Key(of_variable.or(of_file))
            } else {
                client::Asked::Nothing
            };
            let server = client::Server::find(&directory, holder.pid, asked, config.public_hosts());
            let said = server.and_then(|server| server.carry_out(act, password.as_ref()));
            said.map_err(AccountCommandError::Client)?
        }
        Err(error) => return Err(error),
    };
    say(&said)
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
    let engine = Engine::guarding(Some(guard(lock)?), Box::new(|| {}));
    let directory = disk::parent_directory(lock.path());
    let threads = engine.start().map_err(RunError::Start)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let opened = Accounts::open(&disk, &engine, directory, Keep::Index);
    let done = match &opened {
        Ok(accounts) => apply(accounts, config.accounts().bcrypt_cost, act, password),
        Err(_) => Ok(String::new()),
    };
    let closed = opened.map(|accounts| accounts.close());
    threads.stop();
    closed.map_err(AccountCommandError::Open)?;
    Ok(done?)
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
            let typed = Typed {
                username: Some(username.as_str()),
                email: email.as_deref(),
                password: typed,
                ..Typed::default()
            };
            let new = registration::check(&typed, Required::NameAndPassword, *rule)
                .map_err(AccountCommandError::Invalid)?;
            let created = accounts.create(&new, hash(&new.password, cost)?, now_ms)?;
            created.answer.map_err(AccountCommandError::NotCreated)?;
            written(accounts, created.ticket.as_ref())?;
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
    let changed = accounts.directory.update(username.as_str(), update, now_ms)?;
    changed.answer.ok_or_else(|| AccountCommandError::Missing(username.clone()))?;
    written(accounts, changed.ticket.as_ref())
}

fn written(accounts: &Accounts, ticket: Option<&Ticket>) -> Result<(), AccountCommandError> {
    if accounts.directory.wait_written(ticket) { Ok(()) } else { Err(AccountsError::NotWritten.into()) }
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

fn line(account: &Account) -> Line {
    let mut created_at = Vec::new();
    clock::render_rfc3339(account.created_ms, &mut created_at);
    Line {
        username: account.username.as_str().to_owned(),
        email: account.profile.email.clone(),
        disabled: account.is_disabled,
        created_at: String::from_utf8(created_at).unwrap_or_default(),
    }
}

/// One line for each account, under a line with the names of the columns.
fn table(lines: &[Line]) -> String {
    let email = |line: &Line| line.email.clone().unwrap_or_else(|| "-".to_owned());
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let names = widest(&mut lines.iter().map(|line| line.username.len())).max("NAME".len());
    let emails = widest(&mut lines.iter().map(|line| email(line).chars().count())).max("EMAIL".len());
    let mut text = format!("{:<names$}  {:<emails$}  {:<8}  CREATED\n", "NAME", "EMAIL", "STATE");
    for line in lines {
        let state = if line.disabled { "disabled" } else { "enabled" };
        let (name, email, created) = (&line.username, email(line), &line.created_at);
        text.push_str(&format!("{name:<names$}  {email:<emails$}  {state:<8}  {created}\n"));
    }
    text
}

/// What is printed after `act`.
fn done(act: &Act) -> String {
    match act {
        Act::Add { username, .. } => format!("Account {username} was added.\n"),
        Act::SetPassword { username, .. } => {
            format!("Account {username} has a new password. Its tokens and sessions have ended.\n")
        }
        Act::SetDisabled { username, is_disabled: true } => {
            format!("Account {username} was disabled. Its tokens and sessions have ended.\n")
        }
        Act::SetDisabled { username, is_disabled: false } => {
            format!("Account {username} was enabled. Tokens and sessions that ended before stay ended.\n")
        }
        Act::Delete { username } => format!("Account {username} and its keys were deleted.\n"),
        Act::List => String::new(),
    }
}

impl From<AccountsError> for AccountCommandError {
    fn from(error: AccountsError) -> AccountCommandError {
        AccountCommandError::Accounts(error)
    }
}

impl fmt::Display for AccountCommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountCommandError::Disabled => f.write_str(
                "accounts are disabled: accounts.enabled is false in config.json; set it to true first",
            ),
            AccountCommandError::Prompt(error) => error.fmt(f),
            AccountCommandError::Invalid(problems) => {
                let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))?;
                let is_weak =
                    |problem: &Problem| matches!(problem, Problem::Password(PasswordError::Weak { .. }));
                if problems.iter().any(is_weak) {
                    f.write_str(", or pass --weak-password to accept it as it is")?;
                }
                Ok(())
            }
            AccountCommandError::NotCreated(error) => error.fmt(f),
            AccountCommandError::Missing(username) => {
                write!(f, "there is no account `{username}`; `pikv account list` lists them")
            }
            AccountCommandError::Open(error) => error.fmt(f),
            AccountCommandError::Accounts(error) => error.fmt(f),
            AccountCommandError::Client(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AccountCommandError {}
