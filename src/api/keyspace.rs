//! A set of keys as the seed APIs see one: all of a project, or those of one account.

use super::error::style::Style;
use super::error::{AccountError, ApiError};
use super::reply::{Lane, Reply};
use crate::accounts::Accounts;
use crate::accounts::account::Account;
use crate::accounts::data::{DataKey, Owner};
use crate::http::response::Response;
use crate::limits::{ANSWER_BYTES_MAX, ENTRIES_PER_LOCK_MAX, WHOLE_ANSWER_BYTES_MAX};
use crate::names::Key;
use crate::persist::files::value_reader::StoredValue;
use crate::persist::live::project::{Project, View};
use crate::persist::live::transaction::Transaction;
use crate::store::change::{Meta, Value};
use crate::store::commit::Pending;
use crate::store::entry::Entry;
use std::borrow::Cow;
use std::sync::Arc;

/// A set of keys.
pub struct Keyspace {
    project: Arc<Project>,
    account: Option<(Arc<Accounts>, Owner)>,
}

/// A value that was found, perhaps still in a file.
pub enum Found {
    /// The value, minified JSON text.
    Text(Vec<u8>),
    /// Where it lies.
    Stored(StoredValue),
}

/// An entry that was found.
pub struct FoundEntry {
    /// Its revision and times.
    pub meta: Meta,
    /// Its value.
    pub value: Found,
}

/// Some keys in the order of their bytes.
pub struct Page {
    /// The keys.
    pub keys: Vec<String>,
    /// The key behind which the next page begins, where there may be more.
    pub next: Option<String>,
}

/// The keys of a keyspace during a change.
pub struct Changing<'t, 'p> {
    transaction: &'t mut Transaction<'p>,
    owner: Option<&'t Owner>,
}

/// A key as the project knows it.
enum Place<'k> {
    Own(Key<'k>),
    Accounts(DataKey),
}

impl Place<'_> {
    fn of<'k>(owner: Option<&Owner>, key: Key<'k>) -> Place<'k> {
        match owner {
            None => Place::Own(key),
            Some(owner) => Place::Accounts(owner.key(key)),
        }
    }

    fn as_key(&self) -> Key<'_> {
        match self {
            Place::Own(key) => *key,
            Place::Accounts(key) => key.as_key(),
        }
    }
}

impl Keyspace {
    /// All keys of `project`.
    pub fn of_project(project: &Arc<Project>) -> Keyspace {
        Keyspace { project: Arc::clone(project), account: None }
    }

    /// The keys of `account`.
    pub fn of_account(accounts: &Arc<Accounts>, account: &Account) -> Keyspace {
        let owner = Owner::of(account);
        Keyspace { project: Arc::clone(accounts.data()), account: Some((Arc::clone(accounts), owner)) }
    }

    /// Reads one key and answers with what `respond` makes of its value; `None` where it is absent.
    /// A value that cannot be read is said to be so in the form of `style`.
    ///
    /// # Errors
    /// [`ApiError`] where the project cannot be asked.
    pub fn answer_read(
        &self,
        now_ms: u64,
        key: Key<'_>,
        style: Style,
        respond: impl FnOnce(Option<&[u8]>) -> Response + Send + 'static,
    ) -> Result<Reply, ApiError> {
        let answered = self.read(now_ms, key)?;
        Ok(match answered.answer {
            None => Reply::Ready(respond(None), answered.commit),
            Some(Found::Text(value)) => Reply::Ready(respond(Some(&value)), answered.commit),
            Some(found @ Found::Stored(_)) => {
                let job = move || match found.into_text() {
                    Ok(value) => Reply::now(respond(Some(&value))),
                    Err(error) => Reply::now(error.response_in(&style)),
                };
                Reply::Job(Lane::Disk, answered.commit, Box::new(job))
            }
        })
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`ApiError`] where the project cannot be asked.
    pub fn read(&self, now_ms: u64, key: Key<'_>) -> Result<Pending<Option<Found>>, ApiError> {
        let answered = self.read_entries(now_ms, &[key], |view, entries| {
            entries.iter().flatten().next().map(|entry| find(view, *entry)).transpose()
        })?;
        Ok(Pending { answer: answered.answer?, commit: answered.commit })
    }

    /// The values of `keys` at one moment, in their order; `None` if they have more than
    /// [`WHOLE_ANSWER_BYTES_MAX`] together.
    ///
    /// # Errors
    /// [`ApiError::AnswerTooLarge`]; [`ApiError`] if the project cannot be asked.
    pub fn read_all(
        &self,
        now_ms: u64,
        keys: &[Key<'_>],
    ) -> Result<Pending<Option<Vec<Option<Found>>>>, ApiError> {
        let answered = self.read_entries(now_ms, keys, find_all)?;
        Ok(Pending { answer: answered.answer?, commit: answered.commit })
    }

    /// The values of the first of `keys` at one moment, with their revisions and times: of at least one key,
    /// and of as many as have `bytes_max` together.
    ///
    /// # Errors
    /// [`ApiError`] if a key is none or the project cannot be asked.
    pub fn read_first(
        &self,
        now_ms: u64,
        keys: &[String],
        bytes_max: usize,
    ) -> Result<Pending<Vec<Option<FoundEntry>>>, ApiError> {
        let keys = keys.iter().take(ENTRIES_PER_LOCK_MAX).map(|key| Key::parse(key));
        let keys = keys.collect::<Result<Vec<Key<'_>>, _>>()?;
        let answered = self.read_entries(now_ms, &keys, |view, entries| {
            let mut bytes = 0;
            let mut found = Vec::new();
            for entry in entries {
                if bytes >= bytes_max {
                    break;
                }
                bytes += entry.map_or(0, |entry| entry.value().length());
                found.push(match entry {
                    Some(entry) => Some(FoundEntry { meta: entry.meta(), value: find(view, *entry)? }),
                    None => None,
                });
            }
            Ok::<_, ApiError>(found)
        })?;
        Ok(Pending { answer: answered.answer?, commit: answered.commit })
    }

    /// Gives `read` the entries of `keys`, in their order.
    fn read_entries<T>(
        &self,
        now_ms: u64,
        keys: &[Key<'_>],
        read: impl FnOnce(&View<'_>, &[Option<Entry<'_>>]) -> T,
    ) -> Result<Pending<T>, ApiError> {
        Ok(self.project.read(now_ms, |view| {
            let entry = |key: &Key<'_>| view.get(Place::of(self.owner(), *key).as_key());
            let entries: Vec<Option<Entry<'_>>> = keys.iter().map(entry).collect();
            // What exists rests on its own change only, and waits for no other.
            let own = entries.iter().map(|entry| entry.map(|entry| entry.meta().revision));
            let revision = own.collect::<Option<Vec<_>>>().and_then(|own| own.into_iter().max());
            (read(view, &entries), revision.unwrap_or(view.revision()))
        })?)
    }

    /// Whether values lie in files, so that reading them blocks.
    pub fn reads_disk(&self) -> bool {
        self.project.reads_disk()
    }

    /// The keys after `after`, `limit` at most; fewer where many between them have just expired.
    ///
    /// # Errors
    /// [`ApiError`] where the project cannot be asked.
    pub fn list(&self, now_ms: u64, after: Option<&str>, limit: usize) -> Result<Pending<Page>, ApiError> {
        let prefix = self.owner().map(Owner::prefix).unwrap_or_default();
        let after = after.map(|key| format!("{prefix}{key}"));
        Ok(self.project.read(now_ms, |view| {
            let own = |entry: Entry<'_>| entry.key().strip_prefix(&*prefix).unwrap_or_default().to_owned();
            let mut page = Page { keys: Vec::new(), next: None };
            let mut last = None;
            for (looked, entry) in view.stored_range(&prefix, after.as_deref()).enumerate() {
                let is_live = view.is_live(entry);
                if looked == limit + ENTRIES_PER_LOCK_MAX || (is_live && page.keys.len() == limit) {
                    page.next = last.map(own);
                    break;
                }
                page.keys.extend(is_live.then(|| own(entry)));
                last = Some(entry);
            }
            (page, view.revision())
        })?)
    }

    /// Changes the keys, all or nothing, and answers with what `respond` makes of the result. A
    /// refusal waits for the disk too, because it may rest on what is not there yet.
    ///
    /// # Errors
    /// [`ApiError`] before `change` was asked.
    pub fn answer_change<T>(
        &self,
        now_ms: u64,
        change: impl FnOnce(&mut Changing<'_, '_>) -> Result<T, ApiError>,
        respond: impl FnOnce(Result<T, ApiError>) -> Response,
    ) -> Result<Reply, ApiError> {
        let answered = self.project.write(now_ms, |transaction| {
            if let Some((accounts, owner)) = &self.account
                && !accounts.has(owner, now_ms)?
            {
                return Err(AccountError::Token.into());
            }
            change(&mut Changing { transaction, owner: self.owner() })
        })?;
        Ok(Reply::Ready(respond(answered.answer), answered.commit))
    }

    fn owner(&self) -> Option<&Owner> {
        self.account.as_ref().map(|(_, owner)| owner)
    }
}

impl Found {
    /// The value; reads it where it lies in a file, which blocks.
    ///
    /// # Errors
    /// [`ApiError::Disk`].
    pub fn into_text(self) -> Result<Vec<u8>, ApiError> {
        match self {
            Found::Text(value) => Ok(value),
            Found::Stored(_) => self.text().map(Cow::into_owned),
        }
    }

    /// As [`Found::into_text`]; borrowed if it is in memory.
    ///
    /// # Errors
    /// As [`Found::into_text`].
    pub fn text(&self) -> Result<Cow<'_, [u8]>, ApiError> {
        match self {
            Found::Text(value) => Ok(Cow::Borrowed(value)),
            Found::Stored(stored) => {
                let mut value = Vec::new();
                stored.read_into(&mut value).map_err(|error| ApiError::of_unread_value(stored, &error))?;
                Ok(Cow::Owned(value))
            }
        }
    }
}

impl Changing<'_, '_> {
    /// Whether `key` is there.
    pub fn has(&self, key: Key<'_>) -> bool {
        self.transaction.get(Place::of(self.owner, key).as_key()).is_some()
    }

    /// Gives `key` the minified JSON text `value`, for ever or for `ttl_ms`.
    pub fn put(&mut self, key: Key<'_>, value: &[u8], ttl_ms: Option<u64>) {
        self.transaction.put(Place::of(self.owner, key).as_key(), value, ttl_ms);
    }

    /// Removes `key`; whether it was there.
    pub fn delete(&mut self, key: Key<'_>) -> bool {
        self.transaction.delete(Place::of(self.owner, key).as_key()).is_some()
    }
}

fn find_all(view: &View<'_>, entries: &[Option<Entry<'_>>]) -> Result<Option<Vec<Option<Found>>>, ApiError> {
    let bytes = entries.iter().flatten().map(|entry| entry.value().length() as u64).sum();
    if bytes > ANSWER_BYTES_MAX {
        return Err(ApiError::AnswerTooLarge { bytes, bytes_max: ANSWER_BYTES_MAX });
    }
    if bytes > WHOLE_ANSWER_BYTES_MAX {
        return Ok(None);
    }
    entries
        .iter()
        .map(|entry| entry.map(|entry| find(view, entry)).transpose())
        .collect::<Result<_, _>>()
        .map(Some)
}

/// The value of `entry`, or where it lies.
///
/// # Errors
/// [`ApiError::Internal`] if its file is not open, which is a bug.
pub fn find(view: &View<'_>, entry: Entry<'_>) -> Result<Found, ApiError> {
    match entry.value() {
        Value::Text(text) => Ok(Found::Text(text.to_vec())),
        Value::Stored(location) => view.locate(location).map(Found::Stored).ok_or(ApiError::Internal),
    }
}

#[cfg(test)]
#[path = "keyspace_tests.rs"]
mod tests;
