//! The output of `pikv account`.

use crate::accounts::account::Account;
use crate::cli::account::Act;
use crate::clock;
use serde::Deserialize;

/// An account in a list.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) username: String,
    pub(super) email: Option<String>,
    pub(super) disabled: bool,
    pub(super) created_at: String,
}

pub(super) fn line(account: &Account) -> Line {
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
pub(super) fn table(lines: &[Line]) -> String {
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

/// The line to print after `act`.
pub(super) fn done(act: &Act) -> String {
    match act {
        Act::Add { username, .. } => format!("Account {username} was added.\n"),
        Act::SetPassword { username, .. } => {
            format!("Account {username} has a new password. Its tokens and sessions have ended.\n")
        }
        Act::SetDisabled { username, is_disabled: true } => {
            format!("Account {username} was disabled. Its tokens and sessions have ended.\n")
        }
        Act::SetDisabled { username, is_disabled: false } => {
            format!("Account {username} was enabled. Its earlier tokens and sessions remain invalid.\n")
        }
        Act::Delete { username } => format!("Account {username} and its keys were deleted.\n"),
        Act::List => String::new(),
    }
}
