//! Failures of accounts.

use crate::entropy::EntropyUnavailable;
use crate::store::error::StorageError;
use std::fmt;

/// Why the accounts could not be read or changed.
#[derive(Debug)]
pub enum AccountsError {
    Storage(StorageError),
    Entropy(EntropyUnavailable),
    /// An entry is not as it was written; the log names it.
    Damaged,
    /// The password was changed, or the account disabled or deleted, after the password was checked.
    CredentialChanged,
}

impl fmt::Display for AccountsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountsError::Storage(error) => error.fmt(f),
            AccountsError::Entropy(error) => error.fmt(f),
            AccountsError::Damaged => f.write_str(
                "An account is damaged; the log names it. Stop the server and restore _accounts.json and \
                 _accounts.journal from one backup, or the home cell from a snapshot.",
            ),
            AccountsError::CredentialChanged => f.write_str(
                "The password was changed, or the account disabled or deleted, at this moment. Log in again.",
            ),
        }
    }
}

impl std::error::Error for AccountsError {}

impl From<StorageError> for AccountsError {
    fn from(error: StorageError) -> AccountsError {
        AccountsError::Storage(error)
    }
}

impl From<EntropyUnavailable> for AccountsError {
    fn from(error: EntropyUnavailable) -> AccountsError {
        AccountsError::Entropy(error)
    }
}
