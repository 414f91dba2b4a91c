//! `/api/batch/object`: many keys of an account in one request, all or nothing.

use crate::api::body::parse_object;
use crate::api::context::Context;
use crate::api::error::ApiError;
use crate::api::json_body::{self, json_response};
use crate::api::long_answer::{self, Layout, Reads};
use crate::api::object::{Object, own_keys, parse, push_object};
use crate::api::parameters::parse_key;
use crate::api::reply::Reply;
use crate::http::response::Response;
use crate::json;
use crate::limits::BATCH_OPERATIONS_MAX;
use crate::names::Key;
use crate::store::batch::{Batch, OneOrMany, Op, Otherwise, When};
use crate::store::decide::{Conflict, Step};
use serde::Deserialize;
use serde_json::value::RawValue;

const OPEN: &[u8] = b"{\"objects\":[";

/// The answer to a `get` whose values are many.
const LONG: Layout = Layout {
    open: OPEN,
    push: |key, found, out| {
        if let Some((_, value)) = found {
            push_object(key, value, out);
        }
    },
    close: push_missing,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysBody<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// `POST /api/batch/object`: makes the keys that are not there and says which it skipped.
pub(crate) fn create(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let objects = parse_objects(&context.json_body()?)?;
    let keys = objects.iter().map(|object| parse_key(&object.key)).collect::<Result<Vec<_>, _>>()?;
    let each = keys.into_iter().zip(&objects);
    let ops =
        each.map(|(key, object)| Op::put(key, &object.data, object.ttl_ms).when(When::ABSENT)).collect();
    let created = keyspace.write(context.arrival.wall_ms, &Batch::many(ops, Otherwise::Skip))?;
    let respond = |steps: OneOrMany<Step>| {
        let each = objects.iter().zip(steps.iter());
        let skipped: Vec<&str> =
            each.filter(|(_, step)| **step == Step::Skipped).map(|(object, _)| object.key.as_str()).collect();
        let mut body = b"{\"message\":\"Batch create complete\",\"created\":".to_vec();
        json::encode_u64((objects.len() - skipped.len()) as u64, &mut body);
        body.extend_from_slice(b",\"skipped\":");
        json_body::push_strings(skipped.into_iter(), &mut body);
        body.extend_from_slice(b"}\n");
        json_response(201, body)
    };
    Ok(Reply::Ready(created.answer.map(respond).map_err(ApiError::from), created.commit))
}

/// `POST /api/batch/object/get`
pub(crate) fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let names = parse_names(&context.json_body()?)?;
    let keys = names.iter().map(|name| parse_key(name)).collect::<Result<Vec<Key<'_>>, _>>()?;
    let mut batch = Batch::many(keys.into_iter().map(Op::get).collect(), Otherwise::Abort);
    Ok(match long_answer::read(&keyspace, context.arrival.wall_ms, &mut batch)? {
        Reads::Whole(steps, values) => {
            Reply::of(values.map(move |values| Ok(render(&names, &steps, &values))))
        }
        Reads::Long => long_answer::stream(keyspace, names, &LONG),
        Reads::Refused(Conflict::ReadTooLarge { bytes, .. }, commit) => {
            let error = ApiError::AnswerTooLarge { bytes, bytes_max: batch.require.read_bytes_max };
            Reply::Ready(Err(error), commit)
        }
        Reads::Refused(conflict, commit) => Reply::Ready(Err(conflict.into()), commit),
    })
}

/// `POST /api/batch/object/delete`
pub(crate) fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let names = parse_names(&context.json_body()?)?;
    let keys = names.iter().map(|name| parse_key(name)).collect::<Result<Vec<Key<'_>>, _>>()?;
    let batch = Batch::many(keys.into_iter().map(Op::delete).collect(), Otherwise::Abort);
    let deleted = keyspace.write(context.arrival.wall_ms, &batch)?;
    let respond = |steps: OneOrMany<Step>| {
        let each = names.iter().zip(steps.iter()).filter(|(_, step)| **step == Step::Absent);
        let missing: Vec<&str> = each.map(|(name, _)| name.as_str()).collect();
        let mut body = b"{\"deleted\":".to_vec();
        json::encode_u64((names.len() - missing.len()) as u64, &mut body);
        body.extend_from_slice(b",\"missing\":");
        json_body::push_strings(missing.into_iter(), &mut body);
        body.extend_from_slice(b"}\n");
        json_response(200, body)
    };
    Ok(Reply::Ready(deleted.answer.map(respond).map_err(ApiError::from), deleted.commit))
}

fn parse_objects(body: &[u8]) -> Result<Vec<Object>, ApiError> {
    let shape = "a batch is an array [{\"key\":…,\"data\":…,\"ttl\":seconds},…]";
    let elements: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|_| ApiError::Body(shape.to_owned()))?;
    check_length(elements.len())?;
    let each = elements.iter().enumerate();
    each.map(|(index, text)| parse(text.get().as_bytes()).map_err(|error| error.at(index))).collect()
}

fn parse_names(body: &[u8]) -> Result<Vec<String>, ApiError> {
    let shape = "the body is {\"keys\":[…]}";
    let body: KeysBody<'_> =
        parse_object(body).map_err(|problem| ApiError::Body(format!("{problem}; {shape}")))?;
    check_length(body.keys.len())?;
    let name = |(index, raw): (usize, &&RawValue)| {
        let name = json::decode_string(raw.get().as_bytes());
        let name = name.ok_or_else(|| ApiError::Body("a key is a string".to_owned()).at(index))?;
        parse_key(&name).map_err(|error| error.at(index))?;
        Ok(name.into_owned())
    };
    body.keys.iter().enumerate().map(name).collect()
}

fn check_length(operations: usize) -> Result<(), ApiError> {
    if operations > BATCH_OPERATIONS_MAX { Err(ApiError::BatchTooLong { operations }) } else { Ok(()) }
}

/// `values` are those that were found, in their order.
fn render(names: &[String], steps: &[Step], values: &[Vec<u8>]) -> Response {
    let mut body = OPEN.to_vec();
    let (mut missing, mut count) = (Vec::new(), 0);
    let mut values = values.iter();
    for (name, step) in names.iter().zip(steps) {
        let found = if let Step::Found(..) = step { values.next() } else { None };
        let Some(data) = found else {
            missing.push(name.as_str());
            continue;
        };
        if count > 0 {
            body.push(b',');
        }
        push_object(name, data, &mut body);
        count += 1;
    }
    push_missing(&mut missing.into_iter(), &mut body);
    json_response(200, body)
}

fn push_missing(missing: &mut dyn Iterator<Item = &str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"],\"missing\":");
    json_body::push_strings(missing, out);
    out.extend_from_slice(b"}\n");
}
