//! `/api/object` and `/api/batch/object`, as the clients of seed 001 know them: the keys of the
//! token's account.

pub mod batch;

use crate::api::body::{minified, parse_object};
use crate::api::context::Context;
use crate::api::credentials;
use crate::api::error::ApiError;
use crate::api::error::style::Style;
use crate::api::keyspace::Keyspace;
use crate::api::parameters::{parse_key, parse_ttl};
use crate::api::reply::Reply;
use crate::api::representation::json_response;
use crate::http::response::Response;
use crate::json;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A body, or an element of a batch. `key` and `ttl` are looked at as text, so that each mistake
/// is named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectText<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    ttl: Option<&'a RawValue>,
}

/// A valid object.
pub(super) struct Object {
    pub(super) key: String,
    pub(super) data: Vec<u8>,
    pub(super) ttl_ms: Option<u64>,
}

/// `POST /api/object`: makes a key that is not there.
pub fn post(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let object = parse(&context.json_body()?)?;
    let key = parse_key(&object.key)?;
    keyspace.answer_change(
        context.arrival.wall_ms,
        |keys| {
            if keys.has(key) {
                return Err(ApiError::KeyExists);
            }
            keys.put(key, &object.data, object.ttl_ms);
            Ok(())
        },
        |made| message(made, 201, "Key-Value pair created"),
    )
}

/// `GET /api/object/{key}`
pub fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let key_text = context.key_text()?.into_owned();
    let shown = key_text.clone();
    let key = parse_key(&key_text)?;
    keyspace.answer_read(context.arrival.wall_ms, key, Style::Object, move |value| match value {
        Some(value) => {
            let mut body = Vec::with_capacity(shown.len() + value.len() + 24);
            push_object(&shown, value, &mut body);
            body.push(b'\n');
            json_response(200, body)
        }
        None => ApiError::KeyMissing.response_in(&Style::Object),
    })
}

/// `PUT /api/object/{key}`: replaces what is there.
pub fn put(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let key_text = context.key_text()?;
    let key = parse_key(&key_text)?;
    let body = context.json_body()?;
    let parts: ObjectText<'_> = parse_object(&body).map_err(|problem| invalid(&problem))?;
    if parts.key.is_some() {
        return Err(invalid("the key is in the path, not in the body"));
    }
    let (data, ttl_ms) = data_and_ttl(&parts)?;
    keyspace.answer_change(
        context.arrival.wall_ms,
        |keys| {
            if !keys.has(key) {
                return Err(ApiError::KeyMissing);
            }
            keys.put(key, &data, ttl_ms);
            Ok(())
        },
        |updated| message(updated, 200, "Key-Value pair updated"),
    )
}

/// `DELETE /api/object/{key}`
pub fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let key_text = context.key_text()?;
    let key = parse_key(&key_text)?;
    let delete = |keys: &mut crate::api::keyspace::Changing<'_, '_>| Ok(keys.delete(key));
    keyspace.answer_change(context.arrival.wall_ms, delete, |deleted| match deleted {
        // Nothing is said of expiry here: it makes no difference to whoever deletes.
        Ok(false) => json_response(404, b"{\"error\":\"Key not found\"}\n".to_vec()),
        Ok(true) => message(Ok(()), 200, "Key-Value pair deleted"),
        Err(error) => message(Err(error), 200, ""),
    })
}

/// The keys of the account that the request's token is of.
pub(super) fn own_keys(context: &Context<'_>) -> Result<Keyspace, ApiError> {
    let account = credentials::token(context)?;
    Ok(Keyspace::of_account(context.app.accounts()?, &account))
}

/// Takes a minified text as an object.
pub(super) fn parse(text: &[u8]) -> Result<Object, ApiError> {
    let parts: ObjectText<'_> = parse_object(text).map_err(|problem| invalid(&problem))?;
    let key = parts.key.ok_or_else(|| invalid("`key` is missing"))?;
    let key = json::decode_string(key.get().as_bytes()).ok_or_else(|| invalid("`key` is not a string"))?;
    parse_key(&key)?;
    let (data, ttl_ms) = data_and_ttl(&parts)?;
    Ok(Object { key: key.into_owned(), data, ttl_ms })
}

fn data_and_ttl(parts: &ObjectText<'_>) -> Result<(Vec<u8>, Option<u64>), ApiError> {
    let data = parts.data.ok_or_else(|| invalid("`data` is missing"))?;
    // In the original a ttl of 0 is none.
    let ttl = parts.ttl.filter(|ttl| ttl.get() != "0");
    let ttl_ms = ttl.map(|ttl| parse_ttl(ttl.get())).transpose()?;
    Ok((minified(data.get().as_bytes())?, ttl_ms))
}

fn invalid(problem: &str) -> ApiError {
    ApiError::Body(format!("{problem}; an object is {{\"key\":…,\"data\":…,\"ttl\":seconds}}"))
}

/// Appends `{"key":…,"data":…}`.
pub(super) fn push_object(key: &str, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"key\":");
    json::encode_string(key, out);
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data);
    out.push(b'}');
}

fn message(done: Result<(), ApiError>, status: u16, text: &str) -> Response {
    match done {
        Ok(()) => {
            let mut body = b"{\"message\":".to_vec();
            json::encode_string(text, &mut body);
            body.extend_from_slice(b"}\n");
            json_response(status, body)
        }
        Err(error) => error.response_in(&Style::Object),
    }
}
