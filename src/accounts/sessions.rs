//! The sessions of browsers. Only the hash of a session's token is stored.
//!
//! Every session expires. The times are in the journal: sessions in a `_sessions.json` that was restored or edited
//! without it have none, so they are invalid.

use super::account::Account;
use super::error::AccountsError;
use crate::entropy::random_token;
use crate::limits::{SESSION_SECONDS, SESSIONS_MAX};
use crate::names::KeyBuf;
use crate::secret::{KeyHash, Secret};
use crate::storage::{Bucket, Parts, Read, Scan, ScanEnd};
use crate::store::batch::{Batch, Op, Otherwise, When};
use crate::store::commit::{Commit, Pending};
use serde::{Deserialize, Serialize};

/// The project `_sessions`.
pub struct Sessions {
    bucket: Bucket,
}

/// A session as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The folded name of the account.
    pub username: String,
    /// The credential of the account when the session began. The session ends with it.
    pub credential: String,
}

impl Sessions {
    pub(super) fn new(bucket: Bucket) -> Sessions {
        Sessions { bucket }
    }

    pub(super) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Removes entries that do not expire, and returns how many there were. They are not valid sessions.
    /// Blocks for the disk.
    pub(super) fn remove_endless(&self, now_ms: u64) -> Result<usize, AccountsError> {
        let (mut removed, mut after) = (0, None::<String>);
        loop {
            let mut endless: Vec<KeyBuf> = Vec::new();
            let scan = Scan { after: after.as_deref(), parts: Parts::Metas, ..Scan::under("") };
            let scanned = self.bucket.scan(now_ms, &scan, &mut |item| {
                endless.extend(item.meta.expires_ms.is_none().then(|| KeyBuf::own(item.key.to_owned())));
            })?;
            let delete = endless.iter().map(|name| Op::delete(name.as_key())).collect();
            let deleted = self.bucket.write(now_ms, &Batch::many(delete, Otherwise::Abort))?;
            self.bucket.wait(deleted.commit.as_ref())?;
            removed += endless.len();
            match scanned.answer.end {
                ScanEnd::Paused => after = scanned.answer.last,
                ScanEnd::Exhausted | ScanEnd::Limit => return Ok(removed),
            }
        }
    }

    /// The session of a browser's `token`.
    pub fn find(&self, token: &str, now_ms: u64) -> Result<Option<Session>, AccountsError> {
        let name = stored_name(token);
        let read = self.bucket.get(now_ms, name.as_key(), When::ALWAYS, |read| match read {
            Read::Found(item) if item.meta.expires_ms.is_some() => serde_json::from_slice(item.value).ok(),
            Read::Found(_) | Read::Refused(_) | Read::Absent => None,
        })?;
        Ok(read.wait()?.answer)
    }

    /// Ends the session of `token`, if it exists.
    pub fn end(&self, token: &str, now_ms: u64) -> Result<Option<Commit>, AccountsError> {
        Ok(self.bucket.write_one(now_ms, Op::delete(stored_name(token).as_key()))?.commit)
    }
}

/// Begins a session of `account` in `bucket`, which has the sessions, as `Accounts::begin_session` describes it.
pub(super) fn begin(
    bucket: &Bucket,
    account: &Account,
    replaced: Option<&str>,
    now_ms: u64,
) -> Result<Option<Pending<Secret>>, AccountsError> {
    let token = Secret::new(random_token()?);
    let session = Session { username: account.username.folded(), credential: account.credential.clone() };
    let text = serde_json::to_vec(&session).map_err(|_| AccountsError::Damaged)?;
    let name = stored_name(token.reveal());
    let replaced = replaced.map(stored_name);
    let mut ops = vec![Op::put(name.as_key(), &text, Some(SESSION_SECONDS * 1_000))];
    ops.extend(replaced.iter().map(|replaced| Op::delete(replaced.as_key())));
    let mut batch = Batch::many(ops, Otherwise::Abort);
    batch.require.keys_max = Some(SESSIONS_MAX);
    let begun = bucket.write(now_ms, &batch)?;
    Ok(begun.answer.is_ok().then_some(Pending { answer: token, commit: begun.commit }))
}

/// The key of a session in `_sessions`. The hash is not sufficient to sign in.
fn stored_name(token: &str) -> KeyBuf {
    KeyBuf::own(KeyHash::of(token.as_bytes()).encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ENTRIES_PER_LOCK_MAX;
    use crate::names::{InternalProject, Key};
    use crate::storage::embedded::{Project, ProjectQueues};
    use std::sync::Arc;

    #[test]
    fn entries_that_do_not_expire_are_removed_wherever_they_are() {
        let engine = ProjectQueues::new(Box::new(|| ()));
        let project = Project::in_memory(InternalProject::Sessions.into(), engine, 1);
        let bucket = Bucket::Embedded(Arc::new(project));
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
            bucket.write_one(1, Op::put(Key::parse(name).unwrap(), b"1", ttl_ms)).unwrap();
        }
        let endless = (0..names.len()).filter(|at| is_endless(*at)).count();
        let sessions = Sessions::new(bucket.clone());
        assert_eq!(sessions.remove_endless(1).unwrap(), endless);
        assert_eq!(sessions.remove_endless(1).unwrap(), 0);
        assert_eq!(bucket.totals(1).unwrap().answer.keys, (names.len() - endless) as u64);
    }
}
