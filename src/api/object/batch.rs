//! `/api/batch/object`: many keys of an account in one request, all or nothing.

use crate::api::body::parse_object;
use crate::api::context::Context;
use crate::api::error::ApiError;
use crate::api::error::style::Style;
use crate::api::keyspace::Found;
use crate::api::long_answer::{self, Layout};
use crate::api::object::{Object, own_keys, parse, push_object};
use crate::api::parameters::parse_key;
use crate::api::reply::{Lane, Reply};
use crate::api::representation::{self as text, json_response};
use crate::http::response::Response;
use crate::json;
use crate::limits::BATCH_OPERATIONS_MAX;
use crate::names::Key;
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
pub fn create(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let objects = parse_objects(&context.json_body()?)?;
    let make = |keys: &mut crate::api::keyspace::Changing<'_, '_>| {
        let mut skipped = Vec::new();
        for object in &objects {
            let key = parse_key(&object.key)?;
            if keys.has(key) {
                skipped.push(object.key.as_str());
            } else {
                keys.put(key, &object.data, object.ttl_ms);
            }
        }
        Ok(skipped)
    };
    keyspace.answer_change(context.arrival.wall_ms, make, |made| match made {
        Ok(skipped) => {
            let mut body = b"{\"message\":\"Batch create complete\",\"created\":".to_vec();
            json::encode_u64((objects.len() - skipped.len()) as u64, &mut body);
            body.extend_from_slice(b",\"skipped\":");
            text::push_strings(skipped.into_iter(), &mut body);
            body.extend_from_slice(b"}\n");
            json_response(201, body)
        }
        Err(error) => error.response_in(&Style::Object),
    })
}

/// `POST /api/batch/object/get`
pub fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let names = parse_names(&context.json_body()?)?;
    let keys = names.iter().map(|name| parse_key(name)).collect::<Result<Vec<Key<'_>>, _>>()?;
    let answered = keyspace.read_all(context.arrival.wall_ms, &keys)?;
    let Some(found) = answered.answer else { return Ok(long_answer::stream(keyspace, names, &LONG)) };
    if found.iter().flatten().any(|found| matches!(found, Found::Stored(_))) {
        let job = move || Reply::now(render(&names, found));
        return Ok(Reply::Job(Lane::Disk, answered.commit, Box::new(job)));
    }
    Ok(Reply::Ready(render(&names, found), answered.commit))
}

/// `POST /api/batch/object/delete`
pub fn delete(context: &Context<'_>) -> Result<Reply, ApiError> {
    let keyspace = own_keys(context)?;
    context.parameters(&[])?;
    let names = parse_names(&context.json_body()?)?;
    let remove = |keys: &mut crate::api::keyspace::Changing<'_, '_>| {
        let mut missing = Vec::new();
        for name in &names {
            if !keys.delete(parse_key(name)?) {
                missing.push(name.as_str());
            }
        }
        Ok(missing)
    };
    keyspace.answer_change(context.arrival.wall_ms, remove, |removed| match removed {
        Ok(missing) => {
            let mut body = b"{\"deleted\":".to_vec();
            json::encode_u64((names.len() - missing.len()) as u64, &mut body);
            body.extend_from_slice(b",\"missing\":");
            text::push_strings(missing.into_iter(), &mut body);
            body.extend_from_slice(b"}\n");
            json_response(200, body)
        }
        Err(error) => error.response_in(&Style::Object),
    })
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

fn render(names: &[String], found: Vec<Option<Found>>) -> Response {
    let mut body = OPEN.to_vec();
    let mut missing = Vec::new();
    let mut count = 0;
    for (name, found) in names.iter().zip(found) {
        match found.map(Found::into_text) {
            None => missing.push(name.as_str()),
            Some(Err(error)) => return error.response_in(&Style::Object),
            Some(Ok(data)) => {
                if count > 0 {
                    body.push(b',');
                }
                push_object(name, &data, &mut body);
                count += 1;
            }
        }
    }
    push_missing(&mut missing.into_iter(), &mut body);
    json_response(200, body)
}

fn push_missing(missing: &mut dyn Iterator<Item = &str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"],\"missing\":");
    text::push_strings(missing, out);
    out.extend_from_slice(b"}\n");
}
