//! Who is signed in with a browser. Only the hash of a session's token is stored.
//!
//! Every session has an end. Ends are in the journal: of a `_sessions.json` that was restored or edited
//! without it nobody knows when they end, or whether they have, so they are no sessions.

use super::account::Account;
use super::error::AccountsError;
use crate::entropy::random_token;
use crate::limits::{ENTRIES_PER_LOCK_MAX, SESSION_SECONDS, SESSIONS_MAX};
use crate::names::Key;
use crate::persist::live::project::Project;
use crate::secret::{KeyHash, Secret};
use crate::store::change::Value;
use crate::store::commit::Commit;
use crate::store::commit::Pending;
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
    pub commit: Option<Commit>,
}

/// Some entries of `_sessions`.
struct Looked {
    /// The names of those without an end.
    endless: Vec<String>,
    /// The last name looked at; `None` where there was nothing left.
    last: Option<String>,
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
        Ok(answered.answer.is_ok().then_some(Begun { token, commit: answered.commit }))
    }

    /// Takes out what has no end, and says how many that were. They were no sessions before either.
    /// Blocks for the disk.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub(super) fn remove_endless(&self, now_ms: u64) -> Result<usize, AccountsError> {
        let (mut removed, mut after) = (0, None);
        loop {
            let looked = self.endless(after.as_deref(), now_ms)?;
            removed += looked.endless.len();
            self.remove(&looked.endless, now_ms)?;
            after = looked.last;
            if after.is_none() {
                return Ok(removed);
            }
        }
    }

    fn remove(&self, names: &[String], now_ms: u64) -> Result<(), AccountsError> {
        if names.is_empty() {
            return Ok(());
        }
        let answered = self.project.write(now_ms, |transaction| {
            for name in names {
                transaction.delete(Key::parse_stored(name).map_err(|_| AccountsError::Damaged)?);
            }
            Ok::<(), AccountsError>(())
        })?;
        answered.answer?;
        if self.project.wait_written(answered.commit.as_ref()) {
            Ok(())
        } else {
            Err(AccountsError::NotWritten)
        }
    }

    /// Looks at the entries after `after`, as many as one hold of the lock is for.
    fn endless(&self, after: Option<&str>, now_ms: u64) -> Result<Looked, AccountsError> {
        let answered = self.project.read(now_ms, |view| {
            let (mut endless, mut last) = (Vec::new(), None);
            for entry in view.stored_range("", after).take(ENTRIES_PER_LOCK_MAX) {
                last = Some(entry.key());
                if entry.expires_ms().is_none() {
                    endless.push(entry.key().to_owned());
                }
            }
            (Looked { endless, last: last.map(str::to_owned) }, view.revision())
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
    pub fn end(&self, token: &str, now_ms: u64) -> Result<Pending<bool>, AccountsError> {
        let name = stored_name(token);
        let Ok(key) = Key::parse_stored(&name) else { return Ok(Pending { answer: false, commit: None }) };
        let answered =
            self.project.write(now_ms, |transaction| Ok::<_, ()>(transaction.delete(key).is_some()))?;
        Ok(Pending { answer: answered.answer.unwrap_or(false), commit: answered.commit })
    }
}

/// What a session is stored under: whoever reads the file cannot sign in with it.
fn stored_name(token: &str) -> String {
    KeyHash::of(token.as_bytes()).encode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::InternalProject;
    use crate::persist::live::engine::Engine;

    #[test]
    fn what_has_no_end_is_taken_out_wherever_it_lies() {
        let engine = Engine::new(Box::new(|| ()));
        let project = Arc::new(Project::in_memory(InternalProject::Sessions.into(), engine, 1));
        let names: Vec<String> =
            (0..4 * ENTRIES_PER_LOCK_MAX).map(|number| format!("s{number:05}")).collect();
        // None of the first hold, all of the second, every third one after that.
        let is_endless = |at: usize| match at / ENTRIES_PER_LOCK_MAX {
            0 => false,
            1 => true,
            _ => at.is_multiple_of(3),
        };
        for (at, name) in names.iter().enumerate() {
            let ttl_ms = (!is_endless(at)).then_some(1_000);
            let put = project.write(1, |transaction| {
                Ok::<_, ()>(transaction.put(Key::parse(name).unwrap(), b"1", ttl_ms))
            });
            put.unwrap();
        }
        let endless = (0..names.len()).filter(|at| is_endless(*at)).count();
        let sessions = Sessions::new(Arc::clone(&project));
        assert_eq!(sessions.remove_endless(1).unwrap(), endless);
        assert_eq!(sessions.remove_endless(1).unwrap(), 0);
        let left = |view: &crate::persist::live::project::View<'_>| (view.totals().keys, view.revision());
        assert_eq!(project.read(1, left).unwrap().answer, (names.len() - endless) as u64);
    }
}
