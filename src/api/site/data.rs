//! `/api/data`: the keys of the account that is signed in, for the form API and the data API.
//!
//! `GET /api/data/retrieve` with a `key` belongs to the form API; without one it is the page for a
//! browser, and for a script the key `retrieve`.

use crate::api::body::minified;
use crate::api::context::Context;
use crate::api::credentials;
use crate::api::cursor::{self, Cursor};
use crate::api::error::{AccountError, ApiError, Part};
use crate::api::fields::Fields;
use crate::api::json_body::push_strings;
use crate::api::negotiation::{BodyFormat, ResponseFormat};
use crate::api::reply::Reply;
use crate::api::site::pages::{self, DELETE, Form, FormContent, RETRIEVE, STORE, UPDATE, Viewer};
use crate::api::site::request::{SiteRequest, problems, submitted};
use crate::api::site::success;
use crate::http::response::Response;
use crate::json;
use crate::limits::KEYS_PER_PAGE;
use crate::names::Key;
use crate::storage::{Keyspace, Outcome, Read, ScanEnd, Scanned};
use crate::store::batch::{Op, When};
use crate::store::commit::Pending;
use std::borrow::Cow;

/// `GET /api/data`: the form, or the names of the keys.
pub(crate) fn store_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    page_or(context, &STORE, |keyspace| {
        let after = context.page_parameters(&["cursor"])?.cursor()?;
        let listed = keyspace.list(context.origin.wall_ms, after.as_deref(), KEYS_PER_PAGE)?;
        Ok(Reply::Ready(Ok(names(&listed.answer)), listed.commit))
    })
}

/// `GET /api/data/update`: the form, or the key `update`.
pub(crate) fn update_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    page_or(context, &UPDATE, |keyspace| get_json(context, keyspace, "update"))
}

/// `GET /api/data/delete`: the form, or the key `delete`.
pub(crate) fn delete_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    page_or(context, &DELETE, |keyspace| get_json(context, keyspace, "delete"))
}

/// `GET /api/data/retrieve`
pub(crate) fn retrieve(context: &Context<'_>) -> Result<Reply, ApiError> {
    with_keys(context, SiteRequest::of(context, &RETRIEVE)?, |request, keyspace| {
        let parameters = context.page_parameters(&["key", "cursor"])?;
        let (key, after) = (parameters.get("key"), parameters.cursor()?);
        match request.response_format {
            ResponseFormat::Json => get_json(context, keyspace, key.unwrap_or("retrieve")),
            ResponseFormat::Page => get_page(context, request, keyspace, key, after.as_deref()),
        }
    })
}

/// `GET /api/data/{key}`
pub(crate) fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    with_keys(context, SiteRequest::of(context, &RETRIEVE)?, |request, keyspace| {
        let key = context.key_text()?;
        match request.response_format {
            ResponseFormat::Json => get_json(context, keyspace, &key),
            ResponseFormat::Page => get_page(context, request, keyspace, Some(&key), None),
        }
    })
}

/// `POST /api/data`: creates a key.
pub(crate) fn store(context: &Context<'_>) -> Result<Reply, ApiError> {
    change(context, Act::Store, KeyIn::Body)
}

/// `POST /api/data/update`
pub(crate) fn update(context: &Context<'_>) -> Result<Reply, ApiError> {
    change(context, Act::Update, KeyIn::Body)
}

/// `POST /api/data/delete`
pub(crate) fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    change(context, Act::Delete, KeyIn::Body)
}

/// `PUT /api/data/{key}`
pub(crate) fn put(context: &Context<'_>) -> Result<Reply, ApiError> {
    change(context, Act::Update, KeyIn::Path)
}

/// `DELETE /api/data/{key}`
pub(crate) fn delete_key(context: &Context<'_>) -> Result<Reply, ApiError> {
    change(context, Act::Delete, KeyIn::Path)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Store,
    Update,
    Delete,
}

impl Act {
    fn form(self) -> &'static Form {
        match self {
            Act::Store => &STORE,
            Act::Update => &UPDATE,
            Act::Delete => &DELETE,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyIn {
    Body,
    Path,
}

/// The page with `form`, or the result of `json` for the keys of the client.
fn page_or(
    context: &Context<'_>,
    form: &'static Form,
    json: impl FnOnce(&Keyspace) -> Result<Reply, ApiError>,
) -> Result<Reply, ApiError> {
    let request = SiteRequest::of(context, form)?;
    match request.response_format {
        ResponseFormat::Page if request.account.is_none() => Ok(Reply::Ready(request.signed_out(), None)),
        ResponseFormat::Page => Ok(Reply::now(request.form_page(&FormContent::default()))),
        ResponseFormat::Json => with_keys(context, request, |_, keyspace| json(keyspace)),
    }
}

/// Answers a request that sends no form with the result of `run` for the keys of the client.
fn with_keys(
    context: &Context<'_>,
    request: SiteRequest,
    run: impl FnOnce(&SiteRequest, &Keyspace) -> Result<Reply, ApiError>,
) -> Result<Reply, ApiError> {
    let replied = own_keys(context, &request).and_then(|keyspace| run(&request, &keyspace));
    Ok(replied.unwrap_or_else(|error| {
        let is_signed_out = matches!(error, ApiError::Account(AccountError::Token));
        let answer = if is_signed_out { request.signed_out() } else { request.failed(None, error) };
        Reply::Ready(answer, None)
    }))
}

fn own_keys(context: &Context<'_>, request: &SiteRequest) -> Result<Keyspace, ApiError> {
    match &request.account {
        Some(account) => Ok(request.accounts.keys_of(account)),
        None => Ok(request.accounts.keys_of(&credentials::token(context)?)),
    }
}

fn change(context: &Context<'_>, act: Act, key_in: KeyIn) -> Result<Reply, ApiError> {
    submitted(context, act.form(), |request, fields| {
        let keyspace = own_keys(context, request)?;
        if request.session.is_some() {
            request.check_site(context)?;
        }
        let key_text = match key_in {
            KeyIn::Body => fields
                .text("key")
                .map_err(|_| Part::Key.invalid("The key is not a string. Send it in quotes."))?
                .unwrap_or_default(),
            KeyIn::Path => context.key_text()?,
        };
        let key = Key::parse(&key_text)?;
        let value = if act == Act::Delete { Vec::new() } else { value_of(fields)? };
        let op = match act {
            Act::Store => Op::put(key, &value, None).when(When::ABSENT),
            Act::Update => Op::put(key, &value, None).when(When::PRESENT),
            Act::Delete => Op::delete(key).when(When::PRESENT),
        };
        let changed = keyspace.write_one(context.origin.wall_ms, op)?;
        let answer = match changed.answer {
            Ok(_) => Ok(done(request, act, &key_text)),
            Err(conflict) => request.failed(Some(fields), conflict.into()),
        };
        Ok(Reply::Ready(answer, changed.commit))
    })
}

/// The value of a body. An empty input of a form counts as missing.
fn value_of(fields: &Fields) -> Result<Vec<u8>, ApiError> {
    let value = fields.value("value").unwrap_or_default();
    let is_missing = match fields.sent {
        BodyFormat::Json => value.is_empty() || value == b"null",
        BodyFormat::Form => value.is_empty() || value == b"\"\"",
    };
    if is_missing {
        return Err(Part::Value.invalid("`value` is missing or empty. Send one."));
    }
    minified(&value)
}

fn done(request: &SiteRequest, act: Act, key: &str) -> Response {
    match (request.response_format, act) {
        (ResponseFormat::Page, _) => {
            request.form_page(&FormContent { done: Some(key), ..FormContent::default() })
        }
        (ResponseFormat::Json, Act::Store) => success::with_members(201, "Data stored", |_| ()),
        (ResponseFormat::Json, Act::Update) => success::with_members(200, "Data updated", |_| ()),
        (ResponseFormat::Json, Act::Delete) => success::with_members(200, "Data deleted", |_| ()),
    }
}

fn get_json(context: &Context<'_>, keyspace: &Keyspace, key_text: &str) -> Result<Reply, ApiError> {
    context.value_of(keyspace, key_text, |key, value| {
        success::with_data(200, "Data retrieved", |out| {
            out.extend_from_slice(b"{\"key\":");
            json::encode_string(key, out);
            out.extend_from_slice(b",\"value\":");
            out.extend_from_slice(value);
            out.push(b'}');
        })
    })
}

fn get_page(
    context: &Context<'_>,
    request: &SiteRequest,
    keyspace: &Keyspace,
    key_text: Option<&str>,
    after: Option<&str>,
) -> Result<Reply, ApiError> {
    let key_text = key_text.filter(|text| !text.is_empty());
    let now_ms = context.origin.wall_ms;
    let found = match key_text.map(Key::parse) {
        None => Outcome::Ready(Pending { answer: None, commit: None }),
        Some(Err(error)) => Outcome::Ready(Pending { answer: Some(Err(error.into())), commit: None }),
        Some(Ok(key)) => keyspace.get(now_ms, key, |read| match read {
            Read::Found(found) => Some(Ok(shown(found.value))),
            Read::Absent | Read::Refused(_) => Some(Err(ApiError::KeyMissing)),
        })?,
    };
    let listed = keyspace.list(now_ms, after, KEYS_PER_PAGE)?;
    let key_text = key_text.unwrap_or_default().to_owned();
    let viewer = request.viewer();
    // Both are from one bucket, which rolls back its latest changes together.
    let found = found.after(listed.commit);
    Ok(Reply::of(found.map(move |found| Ok(render_retrieve(&viewer, &key_text, found, &listed.answer)))))
}

/// `found` is `None` if no key was requested.
fn render_retrieve(
    viewer: &Viewer,
    key: &str,
    found: Option<Result<String, ApiError>>,
    (keys, scanned): &(Vec<String>, Scanned),
) -> Response {
    let (value, error) = match found.transpose() {
        Ok(value) => (value, None),
        Err(error) => (None, Some(error)),
    };
    let next = next_cursor(scanned).map(|cursor| cursor.encode());
    let content = FormContent {
        typed: &[("key", Cow::from(key))],
        problems: &error.as_ref().map(problems).unwrap_or_default(),
        found: value.as_deref().map(|value| (key, value)),
        keys,
        next: next.as_deref(),
        done: None,
    };
    pages::form_page(viewer, error.as_ref().map_or(200, ApiError::status), &RETRIEVE, &content)
}

/// The cursor of the next page of names, if there may be one.
fn next_cursor(scanned: &Scanned) -> Option<Cursor> {
    let last = scanned.last.as_deref().filter(|_| scanned.end != ScanEnd::Exhausted);
    last.map(|key| Cursor::new("", key))
}

/// A value for a person: a string without its quotes, anything else as JSON.
fn shown(value: &[u8]) -> String {
    match json::decode_string(value) {
        Some(text) => text.into_owned(),
        None => String::from_utf8_lossy(value).into_owned(),
    }
}

/// The names of a page of keys, and the cursor of the next page.
fn names((keys, scanned): &(Vec<String>, Scanned)) -> Response {
    success::with_data(200, "Keys listed", |out| {
        out.extend_from_slice(b"{\"keys\":");
        push_strings(keys.iter().map(String::as_str), out);
        out.push(b',');
        cursor::push_member(next_cursor(scanned).as_ref(), out);
        out.push(b'}');
    })
}
