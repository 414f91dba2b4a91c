//! Errors of `pikv account`.

use super::client::ClientError;
use super::prompt::PromptError;
use crate::accounts::AccountsError;
use crate::accounts::directory::CreateError;
use crate::accounts::registration::Problem;
use crate::auth::password::PasswordError;
use crate::names::Username;
use std::fmt;

/// An error of `pikv account`. Nothing was changed.
#[derive(Debug)]
pub enum AccountCommandError {
    /// config.json disables accounts.
    Disabled,
    /// The password could not be read.
    Prompt(PromptError),
    /// The data of the account is not valid.
    Invalid(Vec<Problem>),
    /// The name or the address is taken.
    NotCreated(CreateError),
    /// There is no such account.
    Missing(Username),
    /// The files of the accounts cannot be used.
    Open(String),
    /// The accounts could not be read or changed.
    Accounts(AccountsError),
    /// The server that has the accounts did not run the command.
    Client(ClientError),
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
                "Accounts are disabled: accounts.enabled is false in config.json. Set it to true first.",
            ),
            AccountCommandError::Prompt(error) => error.fmt(f),
            AccountCommandError::Invalid(problems) => {
                let texts: Vec<String> = problems.iter().map(Problem::for_person).collect();
                f.write_str(&texts.join(" "))?;
                let is_weak =
                    |problem: &Problem| matches!(problem, Problem::Password(PasswordError::Weak { .. }));
                if problems.iter().any(is_weak) {
                    f.write_str(" To accept a weak password, pass --weak-password.")?;
                }
                Ok(())
            }
            AccountCommandError::NotCreated(error) => error.fmt(f),
            AccountCommandError::Missing(username) => {
                write!(f, "Account `{username}` does not exist. `pikv account list` lists the accounts.")
            }
            AccountCommandError::Open(error) => error.fmt(f),
            AccountCommandError::Accounts(error) => error.fmt(f),
            AccountCommandError::Client(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AccountCommandError {}
