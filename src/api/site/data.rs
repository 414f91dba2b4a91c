//! `/api/data`: the keys of whoever is signed in, for the forms of seed 000 and the scripts of seed 003.
//!
//! `GET /api/data/retrieve` with a `key` is seed 000's; without one it is the page for a browser, and
//! for a script the key that is called `retrieve`.

use crate::api::body::minified;
use crate::api::context::Context;
use crate::api::credentials;
use crate::api::cursor::{self, Cursor};
use crate::api::error::{AccountError, ApiError};
use crate::api::fields::Fields;
use crate::api::json_body::push_strings;
use crate::api::negotiation::{BodyFormat, ResponseFormat};
use crate::api::parameters::parse_key;
use crate::api::reply::Reply;
use crate::api::site::forms::FormPage;
use crate::api::site::pages::{self, FormContent};
use crate::api::site::sign_in::signed_out;
use crate::api::site::success;
use crate::api::site::visitor::Visitor;
use crate::http::response::Response;
use crate::json;
use crate::limits::KEYS_PER_PAGE;
use crate::storage::{Keyspace, Outcome, Read, ScanEnd, Scanned};
use crate::store::batch::{Op, When};
use crate::store::commit::Pending;

/// `GET /api/data`: the form, or the names of the keys.
pub(crate) fn store_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    let visitor = Visitor::of(context)?;
    match visitor.response_format {
        ResponseFormat::Page => form_page(&visitor, FormPage::Store),
        ResponseFormat::Json => answer(context, visitor, FormPage::Store, None, |_, keyspace| {
            let parameters = context.page_parameters(&["cursor"])?;
            let listed =
                keyspace.list(context.arrival.wall_ms, parameters.cursor()?.as_deref(), KEYS_PER_PAGE)?;
            Ok(Reply::Ready(Ok(names(&listed.answer)), listed.commit))
        }),
    }
}

/// `GET /api/data/update`: the form, or the key called `update`.
pub(crate) fn update_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    page_or_key(context, FormPage::Update, "update")
}

/// `GET /api/data/delete`: the form, or the key called `delete`.
pub(crate) fn delete_page(context: &Context<'_>) -> Result<Reply, ApiError> {
    page_or_key(context, FormPage::Delete, "delete")
}

/// `GET /api/data/retrieve`
pub(crate) fn retrieve(context: &Context<'_>) -> Result<Reply, ApiError> {
    let visitor = Visitor::of(context)?;
    let wanted = visitor.response_format;
    answer(context, visitor, FormPage::Retrieve, None, |visitor, keyspace| {
        let parameters = context.page_parameters(&["key", "cursor"])?;
        let after = parameters.cursor()?;
        match (parameters.get("key"), wanted) {
            (Some(key), ResponseFormat::Json) => get_json(context, keyspace, key),
            (None, ResponseFormat::Json) => get_json(context, keyspace, "retrieve"),
            (key, ResponseFormat::Page) => get_page(context, visitor, keyspace, key, after.as_deref()),
        }
    })
}

/// `GET /api/data/{key}`
pub(crate) fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let visitor = Visitor::of(context)?;
    let wanted = visitor.response_format;
    answer(context, visitor, FormPage::Retrieve, None, |visitor, keyspace| {
        let key = context.key_text()?;
        match wanted {
            ResponseFormat::Json => get_json(context, keyspace, &key),
            ResponseFormat::Page => get_page(context, visitor, keyspace, Some(&key), None),
        }
    })
}

/// `POST /api/data`: makes a key that is not there.
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

/// What a request does to its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Store,
    Update,
    Delete,
}

impl Act {
    /// The form that asks for it.
    fn form(self) -> FormPage {
        match self {
            Act::Store => FormPage::Store,
            Act::Update => FormPage::Update,
            Act::Delete => FormPage::Delete,
        }
    }
}

/// Where a request names its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyIn {
    Body,
    Path,
}

fn page_or_key(context: &Context<'_>, form: FormPage, key: &str) -> Result<Reply, ApiError> {
    let visitor = Visitor::of(context)?;
    match visitor.response_format {
        ResponseFormat::Page => form_page(&visitor, form),
        ResponseFormat::Json => {
            answer(context, visitor, form, None, |_, keyspace| get_json(context, keyspace, key))
        }
    }
}

fn form_page(visitor: &Visitor, form: FormPage) -> Result<Reply, ApiError> {
    if visitor.browser_of.is_none() {
        return Ok(Reply::Ready(signed_out(visitor, form), None));
    }
    Ok(Reply::now(visitor.page(|chrome| form.render(chrome, 200, &FormContent::default()))))
}

/// Answers with what `run` makes of the keys of whoever is signed in.
fn answer(
    context: &Context<'_>,
    visitor: Visitor,
    form: FormPage,
    fields: Option<&Fields>,
    run: impl FnOnce(&Visitor, &Keyspace) -> Result<Reply, ApiError>,
) -> Result<Reply, ApiError> {
    let replied = own_keys(context, &visitor).and_then(|keyspace| run(&visitor, &keyspace));
    Ok(match replied {
        Ok(reply) => reply,
        // A browser is shown the way in, unless a form was sent: that it was not taken has to be seen.
        Err(ApiError::Account(AccountError::Token)) if fields.is_none() => {
            Reply::Ready(signed_out(&visitor, form), None)
        }
        Err(error) => Reply::Ready(visitor.failed(form, fields, error), None),
    })
}

fn own_keys(context: &Context<'_>, visitor: &Visitor) -> Result<Keyspace, ApiError> {
    match &visitor.browser_of {
        Some(account) => Ok(visitor.accounts.keys_of(account)),
        None => Ok(visitor.accounts.keys_of(&credentials::token(context)?)),
    }
}

fn change(context: &Context<'_>, act: Act, key_in: KeyIn) -> Result<Reply, ApiError> {
    let form = act.form();
    let visitor = Visitor::of(context)?;
    let fields = match Fields::of(context) {
        Ok(fields) => fields,
        Err(error) => return Ok(Reply::Ready(visitor.failed(form, None, error), None)),
    };
    answer(context, visitor, form, Some(&fields), |visitor, keyspace| {
        if visitor.session.is_some() {
            visitor.check_site(context)?;
        }
        let key_text = match key_in {
            KeyIn::Body => fields.text("key").map_err(|_| ApiError::KeyNotText)?.unwrap_or_default(),
            KeyIn::Path => context.key_text()?,
        };
        let key = parse_key(&key_text)?;
        let value = if act == Act::Delete { Vec::new() } else { value_of(&fields)? };
        let op = match act {
            Act::Store => Op::put(key, &value, None).when(When::ABSENT),
            Act::Update => Op::put(key, &value, None).when(When::PRESENT),
            Act::Delete => Op::delete(key).when(When::PRESENT),
        };
        let changed = keyspace.write_one(context.arrival.wall_ms, op)?;
        let answer = match changed.answer {
            Ok(_) => Ok(done(visitor, act, &key_text)),
            Err(conflict) => visitor.failed(form, Some(&fields), conflict.into()),
        };
        Ok(Reply::Ready(answer, changed.commit))
    })
}

/// The value of a body. An empty input of a form is one that was not content in.
fn value_of(fields: &Fields) -> Result<Vec<u8>, ApiError> {
    let value = fields.value("value").unwrap_or_default();
    let is_missing = match fields.sent {
        BodyFormat::Json => value.is_empty() || value == b"null",
        BodyFormat::Form => value.is_empty() || value == b"\"\"",
    };
    if is_missing {
        return Err(ApiError::Value("`value` is missing or empty"));
    }
    minified(&value)
}

fn done(visitor: &Visitor, act: Act, key: &str) -> Response {
    let nothing = FormContent::default();
    match (visitor.response_format, act) {
        (ResponseFormat::Page, Act::Store) => {
            visitor.page(|chrome| pages::store(chrome, 200, &nothing, Some(key)))
        }
        (ResponseFormat::Page, Act::Update) => {
            visitor.page(|chrome| pages::update(chrome, 200, &nothing, Some(key)))
        }
        (ResponseFormat::Page, Act::Delete) => {
            visitor.page(|chrome| pages::delete(chrome, 200, &nothing, Some(key)))
        }
        (ResponseFormat::Json, Act::Store) => success::without_data(201, "Data stored"),
        (ResponseFormat::Json, Act::Update) => success::without_data(200, "Data updated"),
        (ResponseFormat::Json, Act::Delete) => success::without_data(200, "Data deleted"),
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
    visitor: &Visitor,
    keyspace: &Keyspace,
    key_text: Option<&str>,
    after: Option<&str>,
) -> Result<Reply, ApiError> {
    let key_text = key_text.filter(|text| !text.is_empty());
    let now_ms = context.arrival.wall_ms;
    let found = match key_text.map(parse_key) {
        None => Outcome::Ready(Pending { answer: None, commit: None }),
        Some(Err(error)) => Outcome::Ready(Pending { answer: Some(Err(error)), commit: None }),
        Some(Ok(key)) => keyspace.get(now_ms, key, |read| match read {
            Read::Found(found) => Some(Ok(shown(found.value))),
            Read::Absent | Read::Refused(_) => Some(Err(ApiError::KeyMissing)),
        })?,
    };
    let listed = keyspace.list(now_ms, after, KEYS_PER_PAGE)?;
    let key_text = key_text.unwrap_or_default().to_owned();
    let visitor = visitor.clone();
    // Both are of one bucket, which rolls back its latest changes together.
    let found = found.after(listed.commit);
    Ok(Reply::of(found.map(move |found| Ok(render_retrieve(&visitor, &key_text, found, &listed.answer)))))
}

/// `found` is `None` if no key was asked for.
fn render_retrieve(
    visitor: &Visitor,
    key: &str,
    found: Option<Result<String, ApiError>>,
    (keys, scanned): &(Vec<String>, Scanned),
) -> Response {
    let (value, error) = match found.transpose() {
        Ok(value) => (value, None),
        Err(error) => (None, Some(error)),
    };
    let problems = error.iter().flat_map(|error| FormPage::Retrieve.problems(error)).collect::<Vec<_>>();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let next = next_cursor(scanned).map(|cursor| cursor.encode());
    let status = error.as_ref().map_or(200, ApiError::status);
    let typed = [("key", key)];
    let content = FormContent { typed: &typed, problems: &problems };
    let found = value.as_deref().map(|value| (key, value));
    visitor.page(|chrome| pages::retrieve(chrome, status, &content, found, &names, next.as_deref()))
}

/// Where the next page of names begins, if there may be one.
fn next_cursor(scanned: &Scanned) -> Option<Cursor> {
    let last = scanned.last.as_deref().filter(|_| scanned.end != ScanEnd::Exhausted);
    last.map(|key| Cursor::new("", key))
}

/// A value as a person reads it: a string without its quotes, the rest as JSON.
fn shown(value: &[u8]) -> String {
    match json::decode_string(value) {
        Some(text) => text.into_owned(),
        None => String::from_utf8_lossy(value).into_owned(),
    }
}

/// The names of a page of keys, and where the next one begins.
fn names((keys, scanned): &(Vec<String>, Scanned)) -> Response {
    success::with_data(200, "Keys listed", |out| {
        out.extend_from_slice(b"{\"keys\":");
        push_strings(keys.iter().map(String::as_str), out);
        out.push(b',');
        cursor::push_member(next_cursor(scanned).as_ref(), out);
        out.push(b'}');
    })
}
