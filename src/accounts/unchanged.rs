//! Operations that are valid only while an account is as it was read.
//!
//! On a cell another instance may disable the account, or replace its password, after the credential of a request was
//! checked. So the transaction of the operation compares the entry of the account. In one process this is not needed:
//! the deletion of an account removes its marker, and other changes count from the next request on.

use super::account::{Account, account_key};
use super::{Accounts, AccountsError, sessions};
use crate::secret::Secret;
use crate::storage::Bucket;
use crate::store::commit::Pending;
use crate::store::error::StorageError;
use std::borrow::Cow;
use std::sync::Arc;

impl Accounts {
    /// `bucket`; on a cell, its operations also require that the entry of `account` is as it was read.
    pub(super) fn while_unchanged(&self, bucket: &Bucket, account: &Account) -> Bucket {
        let (Bucket::Etcd(own), Bucket::Etcd(directory)) = (bucket, self.directory.bucket()) else {
            return bucket.clone();
        };
        let key = account_key(&account.username.folded());
        Bucket::Etcd(Arc::new(own.requiring(directory, key.as_key(), account.revision)))
    }

    /// Begins a session of `account` that lasts `SESSION_SECONDS`, and ends the session `replaced` that the browser
    /// had before. Returns the token for the browser; `None` if there are `SESSIONS_MAX` sessions.
    ///
    /// # Errors
    /// [`AccountsError::CredentialChanged`] only on a cell; in one process such a session is not valid from its
    /// beginning.
    pub fn begin_session(
        &self,
        account: &Account,
        replaced: Option<&str>,
        now_ms: u64,
    ) -> Result<Option<Pending<Secret>>, AccountsError> {
        let mut current = Cow::Borrowed(account);
        loop {
            let bucket = self.while_unchanged(self.sessions.bucket(), &current);
            let begun = sessions::begin(&bucket, &current, replaced, now_ms);
            let Err(AccountsError::Storage(StorageError::Stale(_))) = begun else { return begun };
            let found = self.directory.find(account.username.as_str(), now_ms)?.answer;
            let is_same = |found: &Account| found.credential == account.credential && !found.is_disabled;
            let found = found.filter(is_same).ok_or(AccountsError::CredentialChanged)?;
            if found.revision == current.revision {
                // It was not the account that changed.
                return begun;
            }
            // Its password was hashed again, for example.
            current = Cow::Owned(found);
        }
    }
}
