//! `GET /projects/{id}/keys`: keys in byte order, streamed piece by piece.
//!
//! A listing of a million keys holds one piece in memory. Each piece is read under the lock for
//! microseconds and goes on after the last key of the one before, so a key that is there all the
//! time comes exactly once.

use crate::api::context::Context;
use crate::api::cursor::{self, Cursor};
use crate::api::error::ApiError;
use crate::api::keyspace::{Found, find};
use crate::api::reply::{Lane, Piece, Pull, Reply};
use crate::api::representation as text;
use crate::clock;
use crate::json;
use crate::limits::{ENTRIES_PER_LOCK_MAX, LISTING_PIECE_BYTES};
use crate::persist::live::project::{Project, View};
use crate::store::change::{Meta, Value};
use crate::store::entry::Entry;
use std::sync::Arc;

/// What is shown of each key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Names,
    Values,
    ValuesAndMeta,
    Meta,
}

/// A listing that is being sent.
struct Listing {
    project: Arc<Project>,
    prefix: String,
    show: Show,
    position: Position,
    /// Where the last piece began.
    before: Position,
}

/// How far a listing has come.
#[derive(Clone)]
struct Position {
    after: Option<String>,
    /// Keys that may still come; `None` for all.
    left: Option<usize>,
    count: u64,
    opened: bool,
}

/// What one hold of the lock found.
struct Slice {
    /// From the first value on that lies in a file: these are read without the lock.
    rest: Vec<(String, Meta, Found)>,
    /// The last key that was looked at.
    last: Option<String>,
    keys: usize,
    end: SliceEnd,
}

/// Why a slice ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SliceEnd {
    /// There are no more keys.
    Listed,
    /// There is a key beyond those that were asked for.
    Limit,
    /// That is enough for one hold of the lock.
    Hold,
}

/// `GET /projects/{id}/keys`
pub fn list(context: &Context<'_>) -> Result<Reply, ApiError> {
    let served = context.served()?;
    let parameters = context.parameters(&["prefix", "limit", "cursor", "values", "meta"])?;
    let values = match parameters.get("values") {
        None => true,
        Some(_) => parameters.switch("values")?,
    };
    let show = match (values, parameters.switch("meta")?) {
        (true, false) => Show::Values,
        (true, true) => Show::ValuesAndMeta,
        (false, false) => Show::Names,
        (false, true) => Show::Meta,
    };
    let left = parameters.limit()?;
    let (prefix, after) = parameters.prefix_and_cursor()?;
    let position = Position { after, left, count: 0, opened: false };
    let mut listing =
        Listing { project: Arc::clone(served.project()?), prefix, show, before: position.clone(), position };
    let shows_values = matches!(show, Show::Values | Show::ValuesAndMeta);
    let lane = if listing.project.reads_disk() && shows_values { Lane::Disk } else { Lane::Loop };
    let next = Box::new(move |pull, out: &mut Vec<u8>| listing.piece(pull, out));
    Ok(Reply::json_stream(lane, 0, next))
}

impl Listing {
    /// Appends the piece that is wanted.
    fn piece(&mut self, pull: Pull, out: &mut Vec<u8>) -> Piece {
        match pull {
            Pull::Next => self.before = self.position.clone(),
            Pull::Again => self.position = self.before.clone(),
        }
        self.next_piece(out).unwrap_or_else(Piece::Broken)
    }

    fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<Piece, ApiError> {
        if !self.position.opened {
            self.position.opened = true;
            out.extend_from_slice(b"{\"project\":");
            json::encode_string(self.project.id().as_str(), out);
            out.extend_from_slice(if self.show == Show::Names { b",\"keys\":[" } else { b",\"keys\":{" });
        }
        let project = Arc::clone(&self.project);
        let answered =
            project.read(clock::wall_ms(), |view| (self.read_slice(view, out), view.revision()))?;
        let (slice, commit) = (answered.answer?, answered.commit);
        for (key, meta, found) in &slice.rest {
            push(self.show, &mut self.position.count, key, &found.text()?, meta, out);
        }
        self.position.left = self.position.left.map(|left| left.saturating_sub(slice.keys));
        if slice.last.is_some() {
            self.position.after = slice.last;
        }
        let next = match slice.end {
            SliceEnd::Hold => return Ok(Piece::More(commit)),
            SliceEnd::Limit => self.position.after.as_deref(),
            SliceEnd::Listed => None,
        };
        self.close(next, out);
        Ok(Piece::Last(commit))
    }

    /// Reads the next keys under the lock. Those that have expired count as looked at: there may be any
    /// number of them.
    fn read_slice(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> Result<Slice, ApiError> {
        let mut slice = Slice { rest: Vec::new(), last: None, keys: 0, end: SliceEnd::Listed };
        let mut last: Option<Entry<'_>> = None;
        let mut rest_bytes = 0;
        for (looked, entry) in view.stored_range(&self.prefix, self.position.after.as_deref()).enumerate() {
            if looked == ENTRIES_PER_LOCK_MAX || out.len() + rest_bytes >= LISTING_PIECE_BYTES {
                slice.end = SliceEnd::Hold;
                break;
            }
            if !view.is_live(entry) {
                last = Some(entry);
                continue;
            }
            if self.position.left == Some(slice.keys) {
                slice.end = SliceEnd::Limit;
                break;
            }
            let shown = match (self.show, entry.value()) {
                (Show::Names | Show::Meta, _) => Some(&b""[..]),
                (Show::Values | Show::ValuesAndMeta, Value::Text(value)) => {
                    slice.rest.is_empty().then_some(value)
                }
                (Show::Values | Show::ValuesAndMeta, Value::Stored(_)) => None,
            };
            match shown {
                Some(value) => {
                    push(self.show, &mut self.position.count, entry.key(), value, &entry.meta(), out);
                }
                None => {
                    rest_bytes += entry.value().length();
                    slice.rest.push((entry.key().to_owned(), entry.meta(), find(view, entry)?));
                }
            }
            slice.keys += 1;
            last = Some(entry);
        }
        slice.last = last.map(|entry| entry.key().to_owned());
        Ok(slice)
    }

    /// Ends the body. `last` is the last key of this page if another page follows.
    fn close(&self, last: Option<&str>, out: &mut Vec<u8>) {
        out.push(if self.show == Show::Names { b']' } else { b'}' });
        out.extend_from_slice(b",\"count\":");
        json::encode_u64(self.position.count, out);
        out.push(b',');
        cursor::push_member(last.map(|key| Cursor::new(&self.prefix, key)).as_ref(), out);
        out.extend_from_slice(b"}\n");
    }
}

fn push(show: Show, count: &mut u64, key: &str, value: &[u8], meta: &Meta, out: &mut Vec<u8>) {
    if *count > 0 {
        out.push(b',');
    }
    *count += 1;
    json::encode_string(key, out);
    match show {
        Show::Names => return,
        Show::Values => {
            out.push(b':');
            out.extend_from_slice(value);
            return;
        }
        Show::ValuesAndMeta => {
            out.extend_from_slice(b":{\"value\":");
            out.extend_from_slice(value);
            out.push(b',');
        }
        Show::Meta => out.extend_from_slice(b":{"),
    }
    text::push_meta(meta, out);
    out.push(b'}');
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
