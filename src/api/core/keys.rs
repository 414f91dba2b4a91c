//! One key: read, written, deleted. All keys of a project: deleted.

use crate::api::body::{minified, parse_object};
use crate::api::context::{Context, MediaType};
use crate::api::core::conditions::Conditions;
use crate::api::error::{ApiError, Part};
use crate::api::json_body::{self, Shown};
use crate::api::parameters::parse_ttl;
use crate::api::reply::{Answer, Reply};
use crate::digits::encode_u64;
use crate::http::response::Response;
use crate::json;
use crate::names::Key;
use crate::storage::{Outcome, Read};
use crate::store::batch::Op;
use crate::store::change::EntryMeta;
use crate::store::commit::Pending;
use crate::store::decide::{Conflict, Step};
use serde::Deserialize;
use serde_json::value::RawValue;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Clone, Copy)]
enum Form {
    /// An entry object with the value.
    Entry,
    /// The value alone.
    Raw,
}

/// `GET /projects/{id}/keys/{key}`
pub(crate) fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let key_text = context.key_text()?;
    let key = Key::parse(&key_text)?;
    let form = if context.parameters(&["raw"])?.switch("raw")? { Form::Raw } else { Form::Entry };
    let conditions = Conditions::of(&context.request.head)?;
    let render = move |read: Read<'_>| match read {
        Read::Found(item) => Ok(value_response(item.key, item.value, &item.meta, form)),
        Read::Refused(meta) => Err(Some(meta)),
        Read::Absent => Err(None),
    };
    let bucket = context.served()?.bucket()?;
    Ok(match bucket.get(context.origin.wall_ms, key, conditions.when(), render)? {
        Outcome::Ready(Pending { answer: Ok(response), commit }) => Reply::Ready(Ok(response), commit),
        Outcome::Ready(Pending { answer: Err(Some(meta)), commit }) => {
            Reply::Ready(not_read(&conditions, key, &meta), commit)
        }
        outcome @ (Outcome::Ready(_) | Outcome::Blocking(..)) => {
            Reply::of(outcome.map(|found| found.map_err(|_| ApiError::KeyMissing)))
        }
    })
}

/// The answer to a read whose conditions do not hold.
fn not_read(conditions: &Conditions, key: Key<'_>, meta: &EntryMeta) -> Answer {
    match conditions.refuse_read(meta.revision) {
        Some(reason) => {
            let current = json_body::current(key.as_str(), Some(meta));
            Err(ApiError::Precondition { reason, current, index: None })
        }
        None => Ok(with_etag(Response::new(304), meta)),
    }
}

fn value_response(key: &str, value: &[u8], meta: &EntryMeta, form: Form) -> Response {
    let response = with_etag(Response::new(200), meta);
    match form {
        Form::Entry => {
            let mut body = Vec::with_capacity(key.len() + value.len() + 200);
            json_body::push_entry(key, Shown::Value(value), meta, &mut body);
            body.push(b'\n');
            response.field("content-type", JSON).body(body)
        }
        Form::Raw => match json::decode_string(value) {
            Some(string) => response.field("content-type", TEXT).body(string.into_owned().into_bytes()),
            None => response.field("content-type", JSON).body(value.to_vec()),
        },
    }
}

fn with_etag(response: Response, meta: &EntryMeta) -> Response {
    let mut tag = Vec::with_capacity(22); // A revision has up to 20 digits.
    tag.push(b'"');
    encode_u64(meta.revision.get(), &mut tag);
    tag.push(b'"');
    response.field("etag", &String::from_utf8(tag).unwrap_or_default())
}

/// `PUT /projects/{id}/keys/{key}`: the body is the value.
pub(crate) fn put(context: &Context<'_>) -> Result<Reply, ApiError> {
    let key_text = context.key_text()?;
    let key = Key::parse(&key_text)?;
    let ttl_ms = context.parameters(&["ttl"])?.ttl_ms()?;
    let value = match context.media_type()? {
        MediaType::Json => minified(context.request.body)?,
        MediaType::Text => {
            let text = std::str::from_utf8(context.request.body).map_err(|_| {
                Part::Body.invalid("The body is text/plain, but not UTF-8. Send it in UTF-8.")
            })?;
            let mut value = Vec::with_capacity(text.len() + 2);
            json::encode_string(text, &mut value);
            value
        }
    };
    write(context, key, &value, ttl_ms)
}

/// The body of a POST. `ttl` is parsed from text, because `1e2` is a number but not whole seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostBody<'a> {
    #[serde(borrow, default, deserialize_with = "json::present")]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    ttl: Option<&'a RawValue>,
}

/// `POST /projects/{id}/keys/{key}`: the body is `{"value":…,"ttl":…}`.
pub(crate) fn post(context: &Context<'_>) -> Result<Reply, ApiError> {
    let key_text = context.key_text()?;
    let key = Key::parse(&key_text)?;
    context.parameters(&[])?;
    let body = context.json_body()?;
    let invalid = |problem: String| {
        Part::Body
            .invalid(format!("{problem} Send {{\"value\":…,\"ttl\":seconds}}, or PUT the value itself."))
    };
    let parsed: PostBody<'_> = parse_object(&body).map_err(invalid)?;
    let value = parsed.value.ok_or_else(|| invalid("`value` is missing.".to_owned()))?;
    let value = minified(value.get().as_bytes())?;
    let ttl_ms = parsed.ttl.map(|ttl| parse_ttl(ttl.get())).transpose()?;
    write(context, key, &value, ttl_ms)
}

fn write(context: &Context<'_>, key: Key<'_>, value: &[u8], ttl_ms: Option<u64>) -> Result<Reply, ApiError> {
    change(context, Op::put(key, value, ttl_ms), |step| match step {
        Step::Put { meta, created } => {
            let mut body = Vec::with_capacity(key.as_str().len() + 200);
            json_body::push_entry(key.as_str(), Shown::TypeOf(value), &meta, &mut body);
            body.push(b'\n');
            let status = if created { 201 } else { 200 };
            Ok(with_etag(Response::new(status), &meta).field("content-type", JSON).body(body))
        }
        Step::Skipped | Step::Absent | Step::Found(..) | Step::Deleted(_) => Err(ApiError::Internal),
    })
}

/// `DELETE /projects/{id}/keys/{key}`
pub(crate) fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    let key_text = context.key_text()?;
    let key = Key::parse(&key_text)?;
    context.parameters(&[])?;
    change(context, Op::delete(key), |step| match step {
        Step::Deleted(_) => Ok(Response::new(204)),
        Step::Absent | Step::Skipped | Step::Found(..) | Step::Put { .. } => Err(ApiError::KeyMissing),
    })
}

/// Applies `op` to the project of the route, under the conditions of the request.
fn change(
    context: &Context<'_>,
    op: Op<'_>,
    respond: impl FnOnce(Step) -> Answer,
) -> Result<Reply, ApiError> {
    let conditions = Conditions::of(&context.request.head)?;
    let bucket = context.served()?.bucket()?;
    let decided = bucket.write_one(context.origin.wall_ms, op.when(conditions.when()))?;
    let answer = match decided.answer {
        Ok(step) => respond(step),
        Err(Conflict::Condition { current, .. }) => Err(not_written(&conditions, op.key, current.as_ref())),
        Err(conflict @ (Conflict::NotPresent | Conflict::Full | Conflict::ReadTooLarge { .. })) => {
            Err(conflict.into())
        }
    };
    Ok(Reply::Ready(answer, decided.commit))
}

/// The refusal of a write to a key whose state is `current`.
fn not_written(conditions: &Conditions, key: Key<'_>, current: Option<&EntryMeta>) -> ApiError {
    let reason = conditions.refuse_write(current.map(|meta| meta.revision)).unwrap_or_default();
    ApiError::Precondition { reason, current: json_body::current(key.as_str(), current), index: None }
}

/// `DELETE /projects/{id}/keys`: all keys, or those that begin with `?prefix=`.
pub(crate) fn clear(context: &Context<'_>) -> Result<Reply, ApiError> {
    let parameters = context.parameters(&["prefix"])?;
    if parameters.get("prefix") == Some("") {
        // Most likely a variable that is not set.
        return Err(Part::Query.invalid("`prefix` is empty. Leave it out to delete all keys."));
    }
    if Conditions::of(&context.request.head)?.are_given() {
        return Err(
            Part::Condition.invalid("Conditions are not supported for many keys at once. Leave them out.")
        );
    }
    let prefix = parameters.get("prefix").unwrap_or_default();
    let cleared_keys = context.served()?.bucket()?.clear(context.origin.wall_ms, prefix)?;
    Ok(Reply::of(cleared_keys.map(|deleted| {
        Ok(json_body::json_response(200, format!("{{\"deleted\":{deleted}}}\n").into_bytes()))
    })))
}
