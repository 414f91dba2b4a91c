//! JSON in responses: projects, entries, lists of names.

use crate::catalog::Served;
use crate::clock;
use crate::http::response::Response;
use crate::json;
use crate::storage::BucketTotals;
use crate::store::change::EntryMeta;

pub(crate) fn json_response(status: u16, body: Vec<u8>) -> Response {
    Response::new(status).field("content-type", "application/json").body(body)
}

/// Appends an array of strings.
pub(crate) fn push_strings<'s>(strings: impl Iterator<Item = &'s str>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, string) in strings.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::encode_string(string, out);
    }
    out.push(b']');
}

/// Appends `"revision":…,"created_at":…,"updated_at":…,"expires_at":…`, members of an entry object.
pub(crate) fn push_meta(meta: &EntryMeta, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"revision\":");
    json::encode_u64(meta.revision.get(), out);
    out.extend_from_slice(b",\"created_at\":");
    push_time(meta.created_ms, out);
    out.extend_from_slice(b",\"updated_at\":");
    push_time(meta.updated_ms, out);
    out.extend_from_slice(b",\"expires_at\":");
    match meta.expires_ms {
        Some(expires_ms) => push_time(expires_ms, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn push_time(ms: u64, out: &mut Vec<u8>) {
    out.push(b'"');
    clock::render_rfc3339(ms, out);
    out.push(b'"');
}

/// The part of a value in an entry object.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'v> {
    Nothing,
    /// Its kind of JSON, in responses to writes: the client notices a value that it stored as a string by
    /// mistake.
    TypeOf(&'v [u8]),
    Value(&'v [u8]),
}

/// Appends `"type":…`, the kind of JSON that `value` is.
pub(crate) fn push_type(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"type\":");
    json::encode_string(json::type_name(value), out);
}

/// Appends an entry object.
pub(crate) fn push_entry(key: &str, shown: Shown<'_>, meta: &EntryMeta, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"key\":");
    json::encode_string(key, out);
    out.push(b',');
    match shown {
        Shown::Nothing => {}
        Shown::TypeOf(value) => {
            push_type(value, out);
            out.push(b',');
        }
        Shown::Value(value) => {
            out.extend_from_slice(b"\"value\":");
            out.extend_from_slice(value);
            out.push(b',');
        }
    }
    push_meta(meta, out);
    out.push(b'}');
}

/// An entry object without its value, or `null` for a key that is absent.
pub(crate) fn current(key: &str, meta: Option<&EntryMeta>) -> String {
    let Some(meta) = meta else { return "null".to_owned() };
    let mut out = Vec::new();
    push_entry(key, Shown::Nothing, meta, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends a project object. `totals` is `None` if they could not be read.
pub(crate) fn push_project(served: &Served, totals: Option<BucketTotals>, out: &mut Vec<u8>) {
    let bool_text = |value: bool| if value { &b"true"[..] } else { b"false" };
    out.extend_from_slice(b"{\"id\":");
    json::encode_string(served.id.as_str(), out);
    out.extend_from_slice(b",\"storage\":{\"on_disk\":");
    out.extend_from_slice(bool_text(served.storage.on_disk));
    out.extend_from_slice(b",\"cache_in_memory\":");
    out.extend_from_slice(bool_text(served.storage.cache_in_memory));
    out.extend_from_slice(b",\"sync\":");
    json::encode_string(served.storage.sync.name(), out);
    out.extend_from_slice(b",\"sync_interval_seconds\":");
    json::encode_u64(served.storage.sync_interval_seconds, out);
    out.extend_from_slice(b"},\"authentication\":{\"enabled\":");
    out.extend_from_slice(bool_text(served.authentication.enabled));
    out.extend_from_slice(b",\"save_api_key_to_file\":");
    out.extend_from_slice(bool_text(served.authentication.save_api_key_to_file));
    out.extend_from_slice(b"},\"keys\":");
    push_count(totals.map(|totals| totals.keys), out);
    out.extend_from_slice(b",\"bytes\":");
    push_count(totals.and_then(|totals| totals.bytes), out);
    if let Some(cell) = served.cell_name() {
        out.extend_from_slice(b",\"cell\":");
        json::encode_string(cell, out);
    }
    out.push(b'}');
}

fn push_count(count: Option<u64>, out: &mut Vec<u8>) {
    match count {
        Some(count) => json::encode_u64(count, out),
        None => out.extend_from_slice(b"null"),
    }
}
