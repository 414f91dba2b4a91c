//! `POST /projects/{id}/batch`: many operations as one, all or nothing.

use crate::api::body::{minified, parse_object};
use crate::api::context::Context;
use crate::api::error::ApiError;
use crate::api::keyspace::{Found, Keyspace};
use crate::api::long_answer::{self, Layout};
use crate::api::parameters::{parse_key, parse_ttl};
use crate::api::reply::{Lane, Reply};
use crate::api::representation::{self as text, json_response};
use crate::http::response::Response;
use crate::json;
use crate::limits::{
    ANSWER_BESIDE_WRITES_BYTES_MAX, ANSWER_BYTES_MAX, BATCH_OPERATIONS_MAX, WHOLE_ANSWER_BYTES_MAX,
};
use crate::memory::Memory;
use crate::persist::live::transaction::{Transaction, Written};
use crate::store::change::{Meta, Value};
use serde::Deserialize;
use serde_json::value::RawValue;

const OPEN: &[u8] = b"{\"results\":[";
const CLOSE: &[u8] = b"]}\n";

/// The answer to a batch of reads whose values are many.
const LONG: Layout =
    Layout { open: OPEN, push: push_read, close: |_missing, out| out.extend_from_slice(CLOSE) };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    operations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationText<'a> {
    op: &'a str,
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "json::present")]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    ttl: Option<&'a RawValue>,
    if_revision: Option<u64>,
}

/// A valid operation.
struct Operation {
    act: Act,
    key: String,
    if_revision: Option<u64>,
}

enum Act {
    Get,
    Set { value: Vec<u8>, ttl_ms: Option<u64> },
    Delete,
}

/// What an operation did, as it is rendered once the lock is gone.
enum Done {
    Found(Meta, Found),
    /// It is found, and read when it is sent.
    Later,
    Missing,
    Written(Written),
    Deleted(bool),
}

/// `POST /projects/{id}/batch`
pub fn run(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let operations = parse(&context.json_body()?)?;
    let project = context.served()?.project()?;
    let only_reads = operations.iter().all(|operation| matches!(operation.act, Act::Get));
    let answered = project.write(context.arrival.wall_ms, |transaction| {
        let mut reads = Reads { bytes: 0, only_reads, memory: &context.app.memory };
        let each = operations.iter().enumerate();
        each.map(|(index, operation)| run_one(transaction, index, operation, &mut reads))
            .collect::<Result<Vec<Done>, _>>()
    })?;
    let results = match answered.answer {
        Ok(results) => results,
        Err(error) => return Ok(Reply::Ready(error.response(), answered.commit)),
    };
    if results.iter().any(|done| matches!(done, Done::Later)) {
        let keys = operations.into_iter().map(|operation| operation.key).collect();
        return Ok(long_answer::stream(Keyspace::of_project(project), keys, &LONG));
    }
    if results.iter().any(|done| matches!(done, Done::Found(_, Found::Stored(_)))) {
        let job = move || Reply::now(render(&operations, &results));
        return Ok(Reply::Job(Lane::Disk, answered.commit, Box::new(job)));
    }
    Ok(Reply::Ready(render(&operations, &results), answered.commit))
}

fn parse(body: &[u8]) -> Result<Vec<Operation>, ApiError> {
    let shape = "a batch is {\"operations\":[{\"op\":\"get\"|\"set\"|\"delete\",\"key\":…,\"value\":…,\"ttl\":…,\"if_revision\":…},…]}";
    let body: Body<'_> =
        parse_object(body).map_err(|problem| ApiError::Body(format!("{problem}; {shape}")))?;
    if body.operations.len() > BATCH_OPERATIONS_MAX {
        return Err(ApiError::BatchTooLong { operations: body.operations.len() });
    }
    let each = body.operations.iter().enumerate();
    each.map(|(index, text)| parse_operation(text.get()).map_err(|error| error.at(index))).collect()
}

fn parse_operation(text: &str) -> Result<Operation, ApiError> {
    let parts: OperationText<'_> = parse_object(text.as_bytes()).map_err(ApiError::Body)?;
    let key = json::decode_string(parts.key.get().as_bytes())
        .ok_or_else(|| ApiError::Body("`key` is not a string".to_owned()))?;
    parse_key(&key)?;
    let act = match (parts.op, parts.value) {
        ("set", Some(value)) => {
            let ttl_ms = parts.ttl.map(|ttl| parse_ttl(ttl.get())).transpose()?;
            Act::Set { value: minified(value.get().as_bytes())?, ttl_ms }
        }
        ("set", None) => return Err(ApiError::Body("a `set` needs a `value`".to_owned())),
        ("get" | "delete", Some(_)) => return Err(ApiError::Body("only a `set` has a `value`".to_owned())),
        ("get" | "delete", None) if parts.ttl.is_some() => {
            return Err(ApiError::Body("only a `set` has a `ttl`".to_owned()));
        }
        ("get", None) => Act::Get,
        ("delete", None) => Act::Delete,
        (_, _) => return Err(ApiError::Body("`op` is \"get\", \"set\" or \"delete\"".to_owned())),
    };
    Ok(Operation { act, key: key.into_owned(), if_revision: parts.if_revision })
}

/// What the reads of a batch have found so far.
struct Reads<'m> {
    /// A key may be read many times, so few bytes may ask for very many.
    bytes: u64,
    /// Without writes among them, the values may be read when they are sent.
    only_reads: bool,
    memory: &'m Memory,
}

impl Reads<'_> {
    /// Counts a value of `bytes`. Whether it is copied now.
    fn admit(&mut self, bytes: usize) -> Result<bool, ApiError> {
        let is_first = self.bytes == 0;
        self.bytes += bytes as u64;
        if !self.only_reads && !self.memory.has_space_for(self.bytes) {
            return Err(ApiError::MemoryFull { bytes_max: self.memory.bytes_max() });
        }
        let bytes_max = if self.only_reads { ANSWER_BYTES_MAX } else { ANSWER_BESIDE_WRITES_BYTES_MAX };
        if self.bytes > bytes_max && !is_first {
            return Err(ApiError::AnswerTooLarge { bytes: self.bytes, bytes_max });
        }
        Ok(!self.only_reads || self.bytes <= WHOLE_ANSWER_BYTES_MAX)
    }
}

fn run_one(
    transaction: &mut Transaction<'_>,
    index: usize,
    operation: &Operation,
    reads: &mut Reads<'_>,
) -> Result<Done, ApiError> {
    let key = parse_key(&operation.key).map_err(|error| error.at(index))?;
    let before = transaction.get(key).map(|entry| entry.meta());
    if let Some(wanted) = operation.if_revision
        && before.map_or(0, |meta| meta.revision.get()) != wanted
    {
        let current = text::current(&operation.key, before.as_ref());
        let reason = refusal(wanted, before.as_ref());
        return Err(ApiError::Precondition { reason, current, index: Some(index) });
    }
    match &operation.act {
        Act::Get => {
            let Some(entry) = transaction.get(key) else { return Ok(Done::Missing) };
            if !reads.admit(entry.value().length()).map_err(|error| error.at(index))? {
                return Ok(Done::Later);
            }
            let found = match entry.value() {
                Value::Text(value) => Found::Text(value.to_vec()),
                Value::Stored(location) => {
                    Found::Stored(transaction.locate(location).ok_or(ApiError::Internal)?)
                }
            };
            Ok(Done::Found(entry.meta(), found))
        }
        Act::Set { value, ttl_ms } => Ok(Done::Written(transaction.put(key, value, *ttl_ms))),
        Act::Delete => Ok(Done::Deleted(transaction.delete(key).is_some())),
    }
}

/// Why `if_revision` does not hold.
fn refusal(wanted: u64, before: Option<&Meta>) -> String {
    match before {
        Some(meta) if wanted == 0 => {
            format!("`if_revision` is 0, but the key exists; its revision is {}.", meta.revision)
        }
        Some(meta) => format!("`if_revision` is {wanted}, but the revision of the key is {}.", meta.revision),
        None => format!("`if_revision` is {wanted}, but the key does not exist."),
    }
}

fn render(operations: &[Operation], results: &[Done]) -> Response {
    let mut body = OPEN.to_vec();
    for (index, (operation, done)) in operations.iter().zip(results).enumerate() {
        if index > 0 {
            body.push(b',');
        }
        if let Err(error) = push_result(operation, done, &mut body) {
            return error.response();
        }
    }
    body.extend_from_slice(CLOSE);
    json_response(200, body)
}

fn push_read(key: &str, found: Option<(&Meta, &[u8])>, out: &mut Vec<u8>) {
    push_op("get", key, out);
    match found {
        Some((meta, value)) => {
            out.extend_from_slice(b",\"found\":true,\"value\":");
            out.extend_from_slice(value);
            out.push(b',');
            text::push_meta(meta, out);
        }
        None => out.extend_from_slice(b",\"found\":false"),
    }
    out.push(b'}');
}

fn push_result(operation: &Operation, done: &Done, out: &mut Vec<u8>) -> Result<(), ApiError> {
    let key = operation.key.as_str();
    match done {
        Done::Found(meta, found) => push_read(key, Some((meta, &found.text()?)), out),
        Done::Missing => push_read(key, None, out),
        Done::Later => unreachable!("a batch with such a read is answered by a stream"),
        Done::Written(written) => {
            push_op("set", key, out);
            out.extend_from_slice(if written.created {
                b",\"created\":true,"
            } else {
                b",\"created\":false,"
            });
            if let Act::Set { value, .. } = &operation.act {
                text::push_type(value, out);
                out.push(b',');
            }
            text::push_meta(&written.meta, out);
            out.push(b'}');
        }
        Done::Deleted(deleted) => {
            push_op("delete", key, out);
            out.extend_from_slice(if *deleted { b",\"deleted\":true}" } else { b",\"deleted\":false}" });
        }
    }
    Ok(())
}

/// Appends the beginning of a result, up to and with its key.
fn push_op(op: &str, key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"op\":");
    json::encode_string(op, out);
    out.extend_from_slice(b",\"key\":");
    json::encode_string(key, out);
}
