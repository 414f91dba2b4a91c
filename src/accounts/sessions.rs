//! Who is signed in with a browser. Only the hash of a session's token is stored.
//!
//! Every session has an end. Ends are in the journal: of a `_sessions.json` that was restored or edited
//! without it nobody knows when they end, or whether they have, so they are no sessions.

use super::AccountsError;
use super::account::Account;
use crate::entropy::random_token;
use crate::limits::{BATCH_OPERATIONS_MAX, SESSION_SECONDS, SESSIONS_MAX};
use crate::names::Key;
use crate::persist::project::{Answered, Project};
use crate::persist::ticket::Ticket;
use crate::secret::{KeyHash, Secret};
use crate::store::change::Value;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The project `_sessions`.
pub struct Sessions {
    project: Arc<Project>,
}

/// A session as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The folded name of the account.
    pub username: String,
    /// The credential that it was begun under; with that it ends.
    pub credential: String,
}

/// A session that has begun.
pub struct Begun {
    /// What the browser keeps of it.
    pub token: Secret,
    /// It is on disk once this says so.
    pub ticket: Option<Ticket>,
}

impl Sessions {
    pub(super) fn new(project: Arc<Project>) -> Sessions {
        Sessions { project }
    }

    pub(super) fn project(&self) -> &Arc<Project> {
        &self.project
    }

    /// Begins a session of `account` that lasts [`SESSION_SECONDS`], in the place of the browser's session
    /// before, `replaced`. `None` where there are [`SESSIONS_MAX`] already.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn begin(
        &self,
        account: &Account,
        replaced: Option<&str>,
        now_ms: u64,
    ) -> Result<Option<Begun>, AccountsError> {
        let token = Secret::new(random_token()?);
        let session = Session { username: account.username.folded(), credential: account.credential.clone() };
        let text = serde_json::to_vec(&session).map_err(|_| AccountsError::Damaged)?;
        let name = stored_name(token.reveal());
        let replaced = replaced.map(stored_name);
        let answered = self.project.write(now_ms, |transaction| {
            if transaction.namespace().totals(now_ms).keys >= SESSIONS_MAX {
                return Err(());
            }
            if let Some(Ok(before)) = replaced.as_deref().map(Key::parse_stored) {
                transaction.delete(before);
            }
            let key = Key::parse_stored(&name).map_err(|_| ())?;
            transaction.put(key, &text, Some(SESSION_SECONDS * 1_000));
            Ok(())
        })?;
        Ok(answered.answer.is_ok().then_some(Begun { token, ticket: answered.ticket }))
    }

    /// Takes out what has no end, and says how many that were. They were no sessions before either.
    /// Blocks for the disk.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub(super) fn remove_endless(&self, now_ms: u64) -> Result<usize, AccountsError> {
        let mut removed = 0;
        loop {
            let endless = self.endless(now_ms)?;
            if endless.is_empty() {
                return Ok(removed);
            }
            let answered = self.project.write(now_ms, |transaction| {
                for name in &endless {
                    transaction.delete(Key::parse_stored(name).map_err(|_| AccountsError::Damaged)?);
                }
                Ok::<(), AccountsError>(())
            })?;
            answered.answer?;
            if !self.project.wait_written(answered.ticket.as_ref()) {
                return Err(AccountsError::NotWritten);
            }
            removed += endless.len();
        }
    }

    /// The names of the first entries without an end, as many as one write takes out.
    fn endless(&self, now_ms: u64) -> Result<Vec<String>, AccountsError> {
        let answered = self.project.read(now_ms, |view| {
            let endless = view.range("", None).filter(|entry| entry.expires_ms().is_none());
            let names = endless.take(BATCH_OPERATIONS_MAX).map(|entry| entry.key().to_owned()).collect();
            (names, view.revision())
        })?;
        Ok(answered.answer)
    }

    /// The session of a browser's `token`, where there is one.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn find(&self, token: &str, now_ms: u64) -> Result<Option<Session>, AccountsError> {
        let name = stored_name(token);
        let Ok(key) = Key::parse_stored(&name) else { return Ok(None) };
        let answered = self.project.read(now_ms, |view| {
            let with_end = view.get(key).filter(|entry| entry.expires_ms().is_some());
            let found = with_end.and_then(|entry| match entry.value() {
                Value::Text(text) => serde_json::from_slice(text).ok(),
                Value::Stored(_) => None,
            });
            (found, view.revision())
        })?;
        Ok(answered.answer)
    }

    /// Ends the session of `token`, where there is one.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn end(&self, token: &str, now_ms: u64) -> Result<Answered<bool>, AccountsError> {
        let name = stored_name(token);
        let Ok(key) = Key::parse_stored(&name) else { return Ok(Answered { answer: false, ticket: None }) };
        let answered =
            self.project.write(now_ms, |transaction| Ok::<_, ()>(transaction.delete(key).is_some()))?;
        Ok(Answered { answer: answered.answer.unwrap_or(false), ticket: answered.ticket })
    }
}

/// What a session is stored under: whoever reads the file cannot sign in with it.
fn stored_name(token: &str) -> String {
    KeyHash::of(token.as_bytes()).encode()
}
