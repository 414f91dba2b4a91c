//! One key: read, written, deleted; and all keys of a project deleted together.

use crate::api::body::{minified, parse_object};
use crate::api::context::{Context, MediaType};
use crate::api::core::conditions::Conditions;
use crate::api::error::ApiError;
use crate::api::parameters::{parse_key, parse_ttl};
use crate::api::reply::{Lane, Reply};
use crate::api::representation::{self as text, Shown};
use crate::digits::encode_u64;
use crate::http::response::Response;
use crate::json;
use crate::names::Key;
use crate::persist::files::value_reader::StoredValue;
use crate::persist::live::transaction::{Transaction, Written};
use crate::store::change::{Meta, Value};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// How a value is shown.
#[derive(Clone, Copy)]
enum Form {
    /// An E around it.
    Entry,
    /// The value alone.
    Raw,
}

/// What a read found, taken out of the lock.
enum Found {
    Absent,
    NotModified(Meta),
    NotMatched(Meta, String),
    Text(Response),
    Stored(Meta, StoredValue),
    /// The file that a value lies in is not open, which is a bug.
    Lost,
}

/// `GET /projects/{id}/keys/{key}`
pub fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let key_text = context.key_text()?;
    let key = parse_key(&key_text)?;
    let form = if context.parameters(&["raw"])?.switch("raw")? { Form::Raw } else { Form::Entry };
    let conditions = Conditions::of(&context.request.head)?;
    let answered = context.served()?.project()?.read(context.arrival.wall_ms, |view| {
        let Some(entry) = view.get(key) else { return (Found::Absent, view.revision()) };
        let meta = entry.meta();
        let found = if let Some(reason) = conditions.refuse_read(meta.revision) {
            Found::NotMatched(meta, reason)
        } else if conditions.not_modified(meta.revision) {
            Found::NotModified(meta)
        } else {
            match entry.value() {
                Value::Text(value) => Found::Text(value_response(key.as_str(), value, &meta, form)),
                Value::Stored(location) => {
                    view.locate(location).map_or(Found::Lost, |stored| Found::Stored(meta, stored))
                }
            }
        };
        (found, meta.revision)
    })?;
    let response = match answered.answer {
        Found::Text(response) => response,
        Found::Absent => ApiError::KeyMissing.response(),
        Found::NotModified(meta) => with_etag(Response::new(304), &meta),
        Found::NotMatched(meta, reason) => {
            let current = text::current(&key_text, Some(&meta));
            ApiError::Precondition { reason, current, index: None }.response()
        }
        Found::Stored(meta, stored) => {
            let key_text = key_text.into_owned();
            let job = move || Reply::now(read_stored(&key_text, &stored, &meta, form));
            return Ok(Reply::Job(Lane::Disk, answered.commit, Box::new(job)));
        }
        Found::Lost => return Err(ApiError::Internal),
    };
    Ok(Reply::Ready(response, answered.commit))
}

fn read_stored(key: &str, stored: &StoredValue, meta: &Meta, form: Form) -> Response {
    let mut value = Vec::new();
    match stored.read_into(&mut value) {
        Ok(()) => value_response(key, &value, meta, form),
        Err(error) => ApiError::of_unread_value(stored, &error).response(),
    }
}

fn value_response(key: &str, value: &[u8], meta: &Meta, form: Form) -> Response {
    let response = with_etag(Response::new(200), meta);
    match form {
        Form::Entry => {
            let mut body = Vec::with_capacity(key.len() + value.len() + 200);
            text::push_entry(key, Shown::Value(value), meta, &mut body);
            body.push(b'\n');
            response.field("content-type", JSON).body(body)
        }
        Form::Raw => match json::decode_string(value) {
            Some(string) => response.field("content-type", TEXT).body(string.into_owned().into_bytes()),
            None => response.field("content-type", JSON).body(value.to_vec()),
        },
    }
}

fn with_etag(response: Response, meta: &Meta) -> Response {
    let mut tag = vec![b'"'];
    encode_u64(meta.revision.get(), &mut tag);
    tag.push(b'"');
    response.field("etag", &String::from_utf8(tag).unwrap_or_default())
}

/// `PUT /projects/{id}/keys/{key}`: the body is the value.
pub fn put(context: &Context<'_>) -> Result<Reply, ApiError> {
    let key_text = context.key_text()?;
    let key = parse_key(&key_text)?;
    let ttl_ms = context.parameters(&["ttl"])?.ttl_ms()?;
    let value = match context.media_type()? {
        MediaType::Json => minified(context.request.body)?,
        MediaType::Text => {
            let text = std::str::from_utf8(context.request.body)
                .map_err(|_| ApiError::Body("text/plain has to be UTF-8".to_owned()))?;
            let mut value = Vec::with_capacity(text.len() + 2);
            json::encode_string(text, &mut value);
            value
        }
    };
    write(context, key, &value, ttl_ms)
}

/// The body of a POST. `ttl` is checked as text, because a number such as `1e2` is not whole seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostBody<'a> {
    #[serde(borrow, default, deserialize_with = "json::present")]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    ttl: Option<&'a RawValue>,
}

/// `POST /projects/{id}/keys/{key}`: the body is `{"value":…,"ttl":…}`.
pub fn post(context: &Context<'_>) -> Result<Reply, ApiError> {
    let key_text = context.key_text()?;
    let key = parse_key(&key_text)?;
    context.parameters(&[])?;
    let body = context.json_body()?;
    let invalid = |problem: String| {
        ApiError::Body(format!(
            "{problem}; a POST has the body {{\"value\":…,\"ttl\":seconds}}, and PUT takes the value itself as the body"
        ))
    };
    let parsed: PostBody<'_> = parse_object(&body).map_err(invalid)?;
    let value = parsed.value.ok_or_else(|| invalid("`value` is missing".to_owned()))?;
    let value = minified(value.get().as_bytes())?;
    let ttl_ms = parsed.ttl.map(|ttl| parse_ttl(ttl.get())).transpose()?;
    write(context, key, &value, ttl_ms)
}

fn write(context: &Context<'_>, key: Key<'_>, value: &[u8], ttl_ms: Option<u64>) -> Result<Reply, ApiError> {
    let conditions = Conditions::of(&context.request.head)?;
    let put = |transaction: &mut Transaction<'_>| {
        check(&conditions, transaction, key)?;
        Ok(transaction.put(key, value, ttl_ms))
    };
    answer_change(context, put, |Written { meta, created }| {
        let mut body = Vec::with_capacity(key.as_str().len() + 200);
        text::push_entry(key.as_str(), Shown::TypeOf(value), &meta, &mut body);
        body.push(b'\n');
        let status = if created { 201 } else { 200 };
        with_etag(Response::new(status), &meta).field("content-type", JSON).body(body)
    })
}

/// Changes the project of the route and answers. A refusal waits for the disk too, because it may rest
/// on what is not there yet.
fn answer_change<T>(
    context: &Context<'_>,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<T, ApiError>,
    respond: impl FnOnce(T) -> Response,
) -> Result<Reply, ApiError> {
    let answered = context.served()?.project()?.write(context.arrival.wall_ms, change)?;
    let response = answered.answer.map_or_else(|error| error.response(), respond);
    Ok(Reply::Ready(response, answered.commit))
}

fn check(conditions: &Conditions, transaction: &Transaction<'_>, key: Key<'_>) -> Result<(), ApiError> {
    let meta = transaction.get(key).map(|entry| entry.meta());
    match conditions.refuse_write(meta.map(|meta| meta.revision)) {
        None => Ok(()),
        Some(reason) => {
            let current = text::current(key.as_str(), meta.as_ref());
            Err(ApiError::Precondition { reason, current, index: None })
        }
    }
}

/// `DELETE /projects/{id}/keys/{key}`
pub fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    let key_text = context.key_text()?;
    let key = parse_key(&key_text)?;
    context.parameters(&[])?;
    let conditions = Conditions::of(&context.request.head)?;
    let delete = |transaction: &mut Transaction<'_>| {
        check(&conditions, transaction, key)?;
        transaction.delete(key).ok_or(ApiError::KeyMissing)
    };
    answer_change(context, delete, |_| Response::new(204))
}

/// `DELETE /projects/{id}/keys`: all keys, or those that begin with `?prefix=`.
pub fn clear(context: &Context<'_>) -> Result<Reply, ApiError> {
    let parameters = context.parameters(&["prefix"])?;
    if parameters.get("prefix") == Some("") {
        // Most likely a variable that was not set.
        return Err(ApiError::Query("`prefix` is empty; leave it out to delete all keys".to_owned()));
    }
    if Conditions::of(&context.request.head)?.are_given() {
        return Err(ApiError::Condition("a condition is for one key, not for many at once"));
    }
    let prefix = parameters.get("prefix").unwrap_or_default();
    let project = context.served()?.project()?;
    let clear = |transaction: &mut Transaction<'_>| transaction.clear(prefix).ok_or(());
    let answered = project.write(context.arrival.wall_ms, clear)?;
    if let Ok(deleted) = answered.answer {
        return Ok(Reply::Ready(cleared(deleted), answered.commit));
    }
    // So many keys have just expired that to count the others takes a while.
    let (project, prefix) = (Arc::clone(project), prefix.to_owned());
    let job = move || match project.clear(&prefix) {
        Ok(answered) => Reply::Ready(cleared(answered.answer), answered.commit),
        Err(error) => Reply::now(ApiError::from(error).response()),
    };
    Ok(Reply::Job(Lane::Disk, answered.commit, Box::new(job)))
}

fn cleared(deleted: u64) -> Response {
    let mut body = b"{\"deleted\":".to_vec();
    json::encode_u64(deleted, &mut body);
    body.extend_from_slice(b"}\n");
    Response::new(200).field("content-type", JSON).body(body)
}
