//! Failures that have to do with accounts.

use super::ApiError;
use crate::accounts::AccountsError;
use crate::accounts::directory::CreateError;
use crate::accounts::registration::{Field, Problem};
use crate::auth::rate_limit::RetryAfter;
use crate::auth::throttle::Refused;
use crate::catalog::ChangeError;
use crate::entropy::EntropyUnavailable;
use crate::limits::{REGISTRATION_WINDOW_SECONDS, REGISTRATIONS_OF_ADDRESS_MAX};
use std::fmt;

/// What went wrong with an account.
#[derive(Debug)]
pub enum AccountError {
    /// The token is missing, none, expired or of an account that is gone.
    Token,
    /// There is no account with this name and password that may be used.
    Credentials,
    /// A field of a login is missing.
    FieldMissing(&'static str),
    /// What was typed for an account is not complete or not valid.
    Registration(Vec<Problem>),
    /// Nobody may register.
    RegistrationClosed,
    /// The name or the address is taken, or there is no room.
    NotCreated(CreateError),
    /// There is no such account.
    Missing,
    /// The server keeps no accounts.
    Disabled,
    /// Passwords were guessed, or may be by what is under way.
    TooManyAttempts(Refused),
    /// An address has registered too many accounts.
    TooManyRegistrations(RetryAfter),
}

impl AccountError {
    pub(super) fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            AccountError::Token => (401, "invalid_token"),
            AccountError::Credentials => (401, "invalid_credentials"),
            AccountError::FieldMissing(_) => (400, "missing_fields"),
            AccountError::Registration(problems) => worst(problems),
            AccountError::RegistrationClosed => (403, "registration_closed"),
            AccountError::NotCreated(CreateError::UsernameExists) => (409, "username_exists"),
            AccountError::NotCreated(CreateError::EmailExists) => (409, "email_exists"),
            AccountError::NotCreated(CreateError::Full) => (409, "too_many_accounts"),
            AccountError::Missing => (404, "account_not_found"),
            AccountError::Disabled => (404, "accounts_disabled"),
            AccountError::TooManyAttempts(_) | AccountError::TooManyRegistrations(_) => {
                (429, "too_many_attempts")
            }
        }
    }
}

/// What is told apart of what is wrong with a registration, the worst first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Request,
    Password,
    Age,
    Gender,
}

/// What is said of the worst of `problems`.
fn worst(problems: &[Problem]) -> (u16, &'static str) {
    let kind = |problem: &Problem| match problem {
        Problem::Missing(Field::Username | Field::Email | Field::Password | Field::FullName)
        | Problem::Username
        | Problem::Email
        | Problem::FullName
        | Problem::Gender => Kind::Request,
        Problem::Password(_) => Kind::Password,
        Problem::Missing(Field::Age) | Problem::Age => Kind::Age,
        Problem::Missing(Field::Gender) => Kind::Gender,
    };
    match problems.iter().map(kind).min().unwrap_or(Kind::Request) {
        Kind::Request => (400, "invalid_request"),
        Kind::Password => (400, "invalid_password"),
        Kind::Age => (400, "invalid_age"),
        Kind::Gender => (400, "gender_required"),
    }
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountError::Token => f.write_str(
                "a valid access token is needed: POST /api/token makes one, send it as `Authorization: Bearer TOKEN`",
            ),
            AccountError::Credentials => f.write_str("there is no account with this user name and password"),
            AccountError::FieldMissing(which) => write!(f, "{which} is missing; username and password are needed"),
            AccountError::Registration(problems) => {
                let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))
            }
            AccountError::RegistrationClosed => {
                f.write_str("registration is closed; ask whoever runs this server for an account")
            }
            AccountError::NotCreated(error) => error.fmt(f),
            AccountError::Missing => f.write_str("there is no such account; GET /api/v1/accounts lists them"),
            AccountError::Disabled => {
                f.write_str("this server keeps no accounts (accounts.enabled in config.json)")
            }
            AccountError::TooManyAttempts(Refused::UnderWay) => {
                f.write_str("too many logins are being checked at once for this account or address; try again shortly")
            }
            AccountError::TooManyAttempts(Refused::Failed(after)) => {
                write!(f, "too many failed logins; try again in {} seconds", after.seconds)
            }
            AccountError::TooManyRegistrations(after) => write!(
                f,
                "An address may register {REGISTRATIONS_OF_ADDRESS_MAX} times in {} minutes; try again in {} seconds.",
                REGISTRATION_WINDOW_SECONDS / 60,
                after.seconds
            ),
        }
    }
}

impl std::error::Error for AccountError {}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> ApiError {
        ApiError::Account(AccountError::NotCreated(error))
    }
}

impl From<AccountsError> for ApiError {
    fn from(error: AccountsError) -> ApiError {
        match error {
            AccountsError::Storage(error) => error.into(),
            AccountsError::Entropy(error) => error.into(),
            AccountsError::Damaged => ChangeError::Unreadable.into(),
        }
    }
}

impl From<EntropyUnavailable> for ApiError {
    fn from(error: EntropyUnavailable) -> ApiError {
        log::error!("{error}");
        ApiError::Internal
    }
}
