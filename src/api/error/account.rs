//! Failures of accounts.

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

#[derive(Debug)]
pub enum AccountError {
    /// The token is missing, invalid, expired or of an account that no longer exists.
    Token,
    /// No enabled account has this name and password.
    Credentials,
    /// Of a login.
    FieldMissing(&'static str),
    Registration(Vec<Problem>),
    RegistrationClosed,
    NotCreated(CreateError),
    Missing,
    Disabled,
    TooManyAttempts(Refused),
    /// Of one address.
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

/// The status and code of the worst of `problems`, which has the lowest rank.
fn worst(problems: &[Problem]) -> (u16, &'static str) {
    let ranked = problems.iter().map(|problem| match problem {
        Problem::Missing(Field::Age) | Problem::Invalid(Field::Age) => (2, (400, "invalid_age")),
        Problem::Missing(Field::Gender) => (3, (400, "gender_required")),
        Problem::Missing(_) | Problem::Invalid(_) => (0, (400, "invalid_request")),
        Problem::Password(_) => (1, (400, "invalid_password")),
    });
    ranked.min().map_or((400, "invalid_request"), |(_, status_and_code)| status_and_code)
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountError::Token => f.write_str(
                "A valid access token is required. Get one with POST /api/token and send it as `Authorization: Bearer TOKEN`.",
            ),
            AccountError::Credentials => f.write_str("The user name or the password is wrong, or the account is disabled."),
            AccountError::FieldMissing(which) => write!(f, "`{which}` is missing. Send `username` and `password`."),
            AccountError::Registration(problems) => {
                let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(" "))
            }
            AccountError::RegistrationClosed => {
                f.write_str("Registration is closed. Ask the administrator of this server for an account.")
            }
            AccountError::NotCreated(error) => error.fmt(f),
            AccountError::Missing => f.write_str("This account does not exist. GET /api/v1/accounts lists all accounts."),
            AccountError::Disabled => {
                f.write_str("Accounts are disabled on this server (accounts.enabled in config.json).")
            }
            AccountError::TooManyAttempts(Refused::UnderWay) => {
                f.write_str(
                    "Too many logins for this account or address are being checked at once. Try again shortly.",
                )
            }
            AccountError::TooManyAttempts(Refused::Failed(after)) => {
                write!(f, "Too many failed logins. Try again in {} seconds.", after.seconds)
            }
            AccountError::TooManyRegistrations(after) => write!(
                f,
                "Your address has registered too many times; the maximum is {REGISTRATIONS_OF_ADDRESS_MAX} in {} minutes. \
                 Try again in {} seconds.",
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
            AccountsError::CredentialChanged => AccountError::Credentials.into(),
        }
    }
}

impl From<EntropyUnavailable> for ApiError {
    fn from(error: EntropyUnavailable) -> ApiError {
        log::error!("{error}");
        ApiError::Internal
    }
}
