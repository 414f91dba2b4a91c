//! `/api/batch/object`: many keys of an account in one request, all or nothing.

use crate::api::body::{each_parsed, parse_body};
use crate::api::context::Context;
use crate::api::error::{ApiError, Part};
use crate::api::json_body::{self, json_response};
use crate::api::long_answer::{self, Layout, Reads};
use crate::api::object::{Object, own_keys, parse, push_object};
use crate::api::reply::Reply;
use crate::json;
use crate::names::KeyBuf;
use crate::storage::embedded::values_of;
use crate::store::batch::{Batch, Op, Otherwise};
use crate::store::commit::Pending;
use crate::store::decide::{Conflict, Step};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The answer to a `get`.
const LAYOUT: Layout = Layout {
    open: b"{\"objects\":[",
    push: |key, found, out| {
        if let Some((_, value)) = found {
            push_object(key, value, out);
        }
    },
    close: |missing, out| {
        out.extend_from_slice(b"],\"missing\":");
        json_body::push_strings(missing, out);
        out.extend_from_slice(b"}\n");
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysBody<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// `POST /api/batch/object`: creates the keys that do not exist, and names those that it skipped.
pub(crate) fn create(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    let objects = parse_objects(&context.json_body()?)?;
    let ops = objects.iter().map(Object::creation).collect();
    let created = keyspace.write(context.origin.wall_ms, &Batch::many(ops, Otherwise::Skip))?;
    Ok(Reply::of_write(created, |steps| {
        let each = objects.iter().zip(steps.iter());
        let skipped: Vec<&str> =
            each.filter(|(_, step)| **step == Step::Skipped).map(|(object, _)| object.key.as_str()).collect();
        let mut body = b"{\"message\":\"Batch create complete\",\"created\":".to_vec();
        json::encode_u64((objects.len() - skipped.len()) as u64, &mut body);
        body.extend_from_slice(b",\"skipped\":");
        json_body::push_strings(skipped.into_iter(), &mut body);
        body.extend_from_slice(b"}\n");
        json_response(201, body)
    }))
}

/// `POST /api/batch/object/get`
pub(crate) fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    let keys = parse_keys(&context.json_body()?)?;
    let mut batch = Batch::many(keys.iter().map(|key| Op::get(key.as_key())).collect(), Otherwise::Abort);
    let Pending { answer, commit } = long_answer::read(&keyspace, context.origin.wall_ms, &mut batch)?;
    let bytes_max = batch.require.read_bytes_max;
    Ok(match answer {
        Ok(Reads::Whole(steps, found)) => {
            let values = values_of(found, commit);
            Reply::of(values.map(move |values| Ok(LAYOUT.render(&keys, &steps, &values))))
        }
        Ok(Reads::Long) => long_answer::stream(keyspace, keys, &LAYOUT),
        Err(Conflict::ReadTooLarge { bytes, .. }) => {
            Reply::Ready(Err(long_answer::too_large(bytes, bytes_max)), commit)
        }
        Err(conflict) => Reply::Ready(Err(conflict.into()), commit),
    })
}

/// `POST /api/batch/object/delete`
pub(crate) fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    let keys = parse_keys(&context.json_body()?)?;
    let batch = Batch::many(keys.iter().map(|key| Op::delete(key.as_key())).collect(), Otherwise::Abort);
    let deleted = keyspace.write(context.origin.wall_ms, &batch)?;
    Ok(Reply::of_write(deleted, |steps| {
        let each = keys.iter().zip(steps.iter()).filter(|(_, step)| **step == Step::Absent);
        let missing: Vec<&str> = each.map(|(key, _)| key.as_str()).collect();
        let mut body = b"{\"deleted\":".to_vec();
        json::encode_u64((keys.len() - missing.len()) as u64, &mut body);
        body.extend_from_slice(b",\"missing\":");
        json_body::push_strings(missing.into_iter(), &mut body);
        body.extend_from_slice(b"}\n");
        json_response(200, body)
    }))
}

fn parse_objects(body: &[u8]) -> Result<Vec<Object>, ApiError> {
    let problem = "A JSON array is required. Send [{\"key\":…,\"data\":…,\"ttl\":seconds},…].";
    let elements: Vec<&RawValue> = serde_json::from_slice(body).map_err(|_| Part::Body.invalid(problem))?;
    each_parsed(&elements, |text| parse(text.as_bytes()))
}

fn parse_keys(body: &[u8]) -> Result<Vec<KeyBuf>, ApiError> {
    let body: KeysBody<'_> = parse_body(body, "{\"keys\":[…]}")?;
    each_parsed(&body.keys, |text| {
        let key = json::decode_string(text.as_bytes());
        Ok(KeyBuf::parse(
            key.ok_or_else(|| Part::Body.invalid("The key is not a string; send it in quotes."))?,
        )?)
    })
}
