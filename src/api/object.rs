//! The object API, `/api/object` and `/api/batch/object`: the keys of the token's account.

pub(crate) mod batch;

use crate::api::body::{minified, parse_object};
use crate::api::context::Context;
use crate::api::credentials;
use crate::api::error::{ApiError, Part};
use crate::api::json_body::json_response;
use crate::api::parameters::parse_ttl;
use crate::api::reply::Reply;
use crate::json;
use crate::names::{Key, KeyBuf};
use crate::storage::Keyspace;
use crate::store::batch::{Op, When};
use crate::store::commit::Pending;
use crate::store::decide::{Conflict, Step};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The body of a POST, for a message.
const OBJECT: &str = "{\"key\":…,\"data\":…,\"ttl\":seconds}";
/// The body of a PUT, for a message.
const UPDATE: &str = "{\"data\":…,\"ttl\":seconds}";

/// A body, or an element of a batch. `key` and `ttl` are parsed from text, so that the error is specific.
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
    pub(super) key: KeyBuf,
    data: Vec<u8>,
    ttl_ms: Option<u64>,
}

impl Object {
    pub(super) fn creation(&self) -> Op<'_> {
        Op::put(self.key.as_key(), &self.data, self.ttl_ms).when(When::ABSENT)
    }
}

/// `POST /api/object`: creates a key.
pub(crate) fn post(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    let object = parse(&context.json_body()?)?;
    let created = keyspace.write_one(context.origin.wall_ms, object.creation())?;
    Ok(message(created, 201, "Key-Value pair created"))
}

/// `GET /api/object/{key}`
pub(crate) fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.value_of(&keyspace, &context.key_text()?, |key, data| {
        let mut body = Vec::with_capacity(key.len() + data.len() + 24);
        push_object(key, data, &mut body);
        body.push(b'\n');
        json_response(200, body)
    })
}

/// `PUT /api/object/{key}`: replaces a value.
pub(crate) fn put(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    let key_text = context.key_text()?;
    let key = Key::parse(&key_text)?;
    let body = context.json_body()?;
    let parts: ObjectText<'_> = parse_object(&body).map_err(|problem| invalid(&problem, UPDATE))?;
    if parts.key.is_some() {
        return Err(invalid("The key belongs in the path, not in the body.", UPDATE));
    }
    let (data, ttl_ms) = data_and_ttl(&parts, UPDATE)?;
    let op = Op::put(key, &data, ttl_ms).when(When::PRESENT);
    let updated = keyspace.write_one(context.origin.wall_ms, op)?;
    Ok(message(updated, 200, "Key-Value pair updated"))
}

/// `DELETE /api/object/{key}`
pub(crate) fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    let key_text = context.key_text()?;
    let key = Key::parse(&key_text)?;
    let deleted = keyspace.write_one(context.origin.wall_ms, Op::delete(key))?;
    if let Ok(Step::Absent) = deleted.answer {
        // The text does not mention expiry, which makes no difference to a client that deletes.
        let response = json_response(404, b"{\"error\":\"Key not found\"}\n".to_vec());
        return Ok(Reply::Ready(Ok(response), deleted.commit));
    }
    Ok(message(deleted, 200, "Key-Value pair deleted"))
}

/// The keys of the account of the token of a request, which takes no parameters.
pub(super) fn own_keys(context: &Context<'_>) -> Result<Keyspace, ApiError> {
    let account = credentials::token(context)?;
    context.parameters(&[])?;
    Ok(context.accounts()?.keys_of(&account))
}

/// Parses a minified text as an object.
pub(super) fn parse(text: &[u8]) -> Result<Object, ApiError> {
    let parts: ObjectText<'_> = parse_object(text).map_err(|problem| invalid(&problem, OBJECT))?;
    let key = parts.key.ok_or_else(|| invalid("`key` is missing.", OBJECT))?;
    let key =
        json::decode_string(key.get().as_bytes()).ok_or_else(|| invalid("`key` is not a string.", OBJECT))?;
    let key = KeyBuf::parse(key)?;
    let (data, ttl_ms) = data_and_ttl(&parts, OBJECT)?;
    Ok(Object { key, data, ttl_ms })
}

fn data_and_ttl(parts: &ObjectText<'_>, shape: &str) -> Result<(Vec<u8>, Option<u64>), ApiError> {
    let data = parts.data.ok_or_else(|| invalid("`data` is missing.", shape))?;
    // In the original service a ttl of 0 means none.
    let ttl = parts.ttl.filter(|ttl| ttl.get() != "0");
    let ttl_ms = ttl.map(|ttl| parse_ttl(ttl.get())).transpose()?;
    Ok((minified(data.get().as_bytes())?, ttl_ms))
}

/// The error for a body with `problem`; `shape` is what the client must send.
fn invalid(problem: &str, shape: &str) -> ApiError {
    Part::Body.invalid(format!("{problem} Send {shape}."))
}

/// Appends `{"key":…,"data":…}`.
pub(super) fn push_object(key: &str, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"key\":");
    json::encode_string(key, out);
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data);
    out.push(b'}');
}

fn message(done: Pending<Result<Step, Conflict>>, status: u16, text: &str) -> Reply {
    Reply::of_write(done, |_| {
        let mut body = b"{\"message\":".to_vec();
        json::encode_string(text, &mut body);
        body.extend_from_slice(b"}\n");
        json_response(status, body)
    })
}
