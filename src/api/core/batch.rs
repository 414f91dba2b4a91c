//! `POST /projects/{id}/batch`: many operations as one, all or nothing.

use crate::api::body::{each_parsed, minified, parse_body, parse_object};
use crate::api::context::Context;
use crate::api::error::{ApiError, Part};
use crate::api::json_body::{self, json_response};
use crate::api::long_answer::{self, Layout, Reads};
use crate::api::parameters::parse_ttl;
use crate::api::reply::Reply;
use crate::http::response::Response;
use crate::json;
use crate::limits::ANSWER_BESIDE_WRITES_BYTES_MAX;
use crate::memory::Memory;
use crate::names::KeyBuf;
use crate::storage::Keyspace;
use crate::storage::embedded::values_of;
use crate::store::batch::{self, Batch, Op, Otherwise, Require, When};
use crate::store::change::{EntryMeta, Revision};
use crate::store::commit::Pending;
use crate::store::decide::{Conflict, Step};
use serde::Deserialize;
use serde_json::value::RawValue;

const OPEN: &[u8] = b"{\"results\":[";
const CLOSE: &[u8] = b"]}\n";

/// The response to a batch of reads with many values.
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
    key: KeyBuf,
    /// As sent; 0 for a key that must not exist.
    if_revision: Option<u64>,
    /// The same as a condition: `Some(None)` for a key that must not exist, else the only accepted revision. The list is
    /// empty if the number is larger than all revisions.
    revision: Option<Option<Vec<Revision>>>,
}

enum Act {
    Get,
    Set { value: Vec<u8>, ttl_ms: Option<u64> },
    Delete,
}

/// `POST /projects/{id}/batch`
pub(crate) fn run(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.parameters(&[])?;
    let operations = parse(&context.json_body()?)?;
    let bucket = context.served()?.bucket()?;
    let mut batch = Batch::many(operations.iter().map(Operation::op).collect(), Otherwise::Abort);
    let (now_ms, memory) = (context.origin.wall_ms, &context.app.memory);
    let Pending { answer, commit } = if batch.is_read_only() {
        long_answer::read(&Keyspace::of(bucket), now_ms, &mut batch)?
    } else {
        // A key may be read many times, so a short request may ask for very many bytes.
        let (read_bytes_max, memory_bytes_max) = (ANSWER_BESIDE_WRITES_BYTES_MAX, memory.bytes_left());
        batch.require = Require { read_bytes_max, memory_bytes_max, ..Require::NOTHING };
        let Pending { answer, commit } = bucket.write_and_read(now_ms, &batch)?;
        Pending { answer: answer.map(|(steps, found)| Reads::Whole(steps, found)), commit }
    };
    Ok(match answer {
        Ok(Reads::Whole(steps, found)) => {
            let values = values_of(found, commit);
            Reply::of(values.map(move |values| Ok(render(&operations, &steps, &values))))
        }
        Ok(Reads::Long) => {
            let keys = operations.into_iter().map(|operation| operation.key).collect();
            long_answer::stream(Keyspace::of(bucket), keys, &LONG)
        }
        Err(conflict) => Reply::Ready(Err(refusal(&operations, conflict, batch.require, memory)), commit),
    })
}

/// Why the batch was refused.
fn refusal(operations: &[Operation], conflict: Conflict, require: Require<'_>, memory: &Memory) -> ApiError {
    match conflict {
        Conflict::Condition { index, current } => {
            let (key, wanted) = match operations.get(index) {
                Some(operation) => (operation.key.as_str(), operation.if_revision.unwrap_or_default()),
                None => return ApiError::Internal,
            };
            let reason = not_at_revision(wanted, current.as_ref());
            let current = json_body::current(key, current.as_ref());
            ApiError::Precondition { reason, current, index: Some(index) }
        }
        Conflict::ReadTooLarge { index, bytes } => {
            let error = if bytes > require.memory_bytes_max {
                ApiError::MemoryFull { bytes_max: memory.bytes_max() }
            } else {
                long_answer::too_large(bytes, require.read_bytes_max)
            };
            error.at(index)
        }
        Conflict::Full | Conflict::NotPresent => conflict.into(),
    }
}

fn parse(body: &[u8]) -> Result<Vec<Operation>, ApiError> {
    let shape = "{\"operations\":[{\"op\":\"get\"|\"set\"|\"delete\",\"key\":…,\"value\":…,\"ttl\":…,\"if_revision\":…},…]}";
    let body: Body<'_> = parse_body(body, shape)?;
    each_parsed(&body.operations, parse_operation)
}

fn parse_operation(text: &str) -> Result<Operation, ApiError> {
    let parts: OperationText<'_> =
        parse_object(text.as_bytes()).map_err(|problem| Part::Body.invalid(problem))?;
    let key = json::decode_string(parts.key.get().as_bytes())
        .ok_or_else(|| Part::Body.invalid("`key` is not a string; send it in quotes."))?;
    let key = KeyBuf::parse(key)?;
    let act = match (parts.op, parts.value) {
        ("set", Some(value)) => {
            let ttl_ms = parts.ttl.map(|ttl| parse_ttl(ttl.get())).transpose()?;
            Act::Set { value: minified(value.get().as_bytes())?, ttl_ms }
        }
        ("set", None) => return Err(Part::Body.invalid("A `set` needs a `value`; add it.")),
        ("get" | "delete", Some(_)) => {
            return Err(Part::Body.invalid("Only a `set` has a `value`; remove it."));
        }
        ("get" | "delete", None) if parts.ttl.is_some() => {
            return Err(Part::Body.invalid("Only a `set` has a `ttl`; remove it."));
        }
        ("get", None) => Act::Get,
        ("delete", None) => Act::Delete,
        (_, _) => return Err(Part::Body.invalid("`op` must be \"get\", \"set\" or \"delete\".")),
    };
    let revision = parts.if_revision.map(|number| match number {
        0 => None,
        number => Some(Revision::new(number).into_iter().collect()),
    });
    Ok(Operation { act, key, if_revision: parts.if_revision, revision })
}

impl Operation {
    fn op(&self) -> Op<'_> {
        let when = match &self.revision {
            None => When::ALWAYS,
            Some(None) => When::ABSENT,
            Some(Some(revisions)) => When::revision_in(revisions),
        };
        let act = match &self.act {
            Act::Get => batch::Act::Get,
            Act::Set { value, ttl_ms } => batch::Act::Put { value, ttl_ms: *ttl_ms },
            Act::Delete => batch::Act::Delete,
        };
        Op { key: self.key.as_key(), when, act }
    }
}

/// Why `if_revision` does not hold.
fn not_at_revision(wanted: u64, current: Option<&EntryMeta>) -> String {
    match current {
        Some(meta) if wanted == 0 => {
            format!("`if_revision` is 0, but the key exists; its revision is {}.", meta.revision)
        }
        Some(meta) => format!("`if_revision` is {wanted}, but the revision of the key is {}.", meta.revision),
        None => format!("`if_revision` is {wanted}, but the key does not exist."),
    }
}

/// `values` are those that were found, in their order.
fn render(operations: &[Operation], steps: &[Step], values: &[Vec<u8>]) -> Response {
    let mut values = values.iter();
    let mut body = OPEN.to_vec();
    for (index, (operation, step)) in operations.iter().zip(steps).enumerate() {
        if index > 0 {
            body.push(b',');
        }
        let key = operation.key.as_str();
        match (step, &operation.act) {
            (Step::Found(meta, _), _) => {
                push_read(key, values.next().map(|value| (meta, value.as_slice())), &mut body);
            }
            (Step::Put { meta, created }, Act::Set { value, .. }) => {
                push_set(key, value, meta, *created, &mut body);
            }
            (Step::Deleted(_), _) => push_delete(key, b",\"deleted\":true}", &mut body),
            (_, Act::Delete) => push_delete(key, b",\"deleted\":false}", &mut body),
            (_, Act::Get | Act::Set { .. }) => push_read(key, None, &mut body),
        }
    }
    body.extend_from_slice(CLOSE);
    json_response(200, body)
}

fn push_read(key: &str, found: Option<(&EntryMeta, &[u8])>, out: &mut Vec<u8>) {
    push_op("get", key, out);
    match found {
        Some((meta, value)) => {
            out.extend_from_slice(b",\"found\":true,\"value\":");
            out.extend_from_slice(value);
            out.push(b',');
            json_body::push_meta(meta, out);
        }
        None => out.extend_from_slice(b",\"found\":false"),
    }
    out.push(b'}');
}

fn push_set(key: &str, value: &[u8], meta: &EntryMeta, created: bool, out: &mut Vec<u8>) {
    push_op("set", key, out);
    out.extend_from_slice(if created { b",\"created\":true," } else { b",\"created\":false," });
    json_body::push_type(value, out);
    out.push(b',');
    json_body::push_meta(meta, out);
    out.push(b'}');
}

fn push_delete(key: &str, end: &[u8], out: &mut Vec<u8>) {
    push_op("delete", key, out);
    out.extend_from_slice(end);
}

/// Appends the beginning of a result, up to and with its key.
fn push_op(op: &str, key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"op\":");
    json::encode_string(op, out);
    out.extend_from_slice(b",\"key\":");
    json::encode_string(key, out);
}
