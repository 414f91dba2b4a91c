//! `GET /projects/{id}/keys`: keys in byte order, streamed piece by piece.
//!
//! A listing of a million keys holds one piece in memory. Each piece is read under the lock for
//! microseconds and goes on after the last key of the one before, so a key that is there all the
//! time comes exactly once.

use crate::api::context::Context;
use crate::api::cursor::{self, Cursor};
use crate::api::error::ApiError;
use crate::api::reply::{self, Lane, Piece, Pull, Reply};
use crate::api::representation as text;
use crate::clock;
use crate::json;
use crate::limits::{ENTRIES_PER_HOLD_MAX, LISTING_PIECE_BYTES};
use crate::persist::files::value_reader::StoredValue;
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
    /// Keys and values that lie in files, to be read without the lock, where there are such.
    stored: Vec<(String, Meta, StoredValue)>,
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
    /// The piece that is wanted. One that rested on changes that were taken back before its values
    /// could be read is begun anew.
    fn piece(&mut self, pull: Pull, out: &mut Vec<u8>) -> Piece {
        if pull == Pull::Next {
            self.before = self.position.clone();
        }
        reply::retried(out, |out| {
            self.position = self.before.clone();
            self.next_piece(out)
        })
    }

    /// The next piece; `None` where what it rested on was taken back.
    fn next_piece(&mut self, out: &mut Vec<u8>) -> Option<Piece> {
        if !self.position.opened {
            self.position.opened = true;
            out.extend_from_slice(b"{\"project\":");
            json::encode_string(self.project.id().as_str(), out);
            out.extend_from_slice(if self.show == Show::Names { b",\"keys\":[" } else { b",\"keys\":{" });
        }
        let project = Arc::clone(&self.project);
        let answered = project.read(clock::wall_ms(), |view| (self.read_slice(view, out), view.revision()));
        let (slice, commit) = match answered {
            Ok(answered) => (answered.answer, answered.commit),
            Err(error) => return Some(Piece::Broken(error.into())),
        };
        let Some(slice) = slice else { return Some(Piece::Broken(ApiError::Internal)) };
        if !slice.stored.is_empty() {
            if !self.project.wait_written(commit.as_ref()) {
                return None;
            }
            if let Err(error) = self.push_stored(&slice, out) {
                return Some(Piece::Broken(error));
            }
        }
        self.position.left = self.position.left.map(|left| left.saturating_sub(slice.keys));
        if slice.last.is_some() {
            self.position.after = slice.last;
        }
        let next = match slice.end {
            SliceEnd::Hold => return Some(Piece::More(commit)),
            SliceEnd::Limit => self.position.after.as_deref(),
            SliceEnd::Listed => None,
        };
        self.close(next, out);
        Some(Piece::Last(commit))
    }

    /// Reads the next keys under the lock. Those that have expired count as looked at: there may be any
    /// number of them. `None` where a value's file is not open, which is a bug.
    fn read_slice(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> Option<Slice> {
        let mut slice = Slice { stored: Vec::new(), last: None, keys: 0, end: SliceEnd::Listed };
        let mut last: Option<Entry<'_>> = None;
        let mut stored_bytes = 0;
        for (looked, entry) in view.stored_range(&self.prefix, self.position.after.as_deref()).enumerate() {
            if looked == ENTRIES_PER_HOLD_MAX || out.len() + stored_bytes >= LISTING_PIECE_BYTES {
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
            match (self.show, entry.value()) {
                (Show::Values | Show::ValuesAndMeta, Value::Stored(location)) => {
                    stored_bytes += entry.value().length();
                    slice.stored.push((entry.key().to_owned(), entry.meta(), view.locate(location)?));
                }
                (_, Value::Text(value)) => push_item(self.show, &mut self.position.count, entry, value, out),
                (_, Value::Stored(_)) => push_item(self.show, &mut self.position.count, entry, b"", out),
            }
            slice.keys += 1;
            last = Some(entry);
        }
        slice.last = last.map(|entry| entry.key().to_owned());
        Some(slice)
    }

    /// Reads the values that lie in files, in the disk lane.
    fn push_stored(&mut self, slice: &Slice, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let mut value = Vec::new();
        for (key, meta, stored) in &slice.stored {
            value.clear();
            let read = stored.read_into(&mut value);
            read.map_err(|error| ApiError::of_unread_value(stored, &error))?;
            push(self.show, &mut self.position.count, key, &value, meta, out);
        }
        Ok(())
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

fn push_item(show: Show, count: &mut u64, entry: Entry<'_>, value: &[u8], out: &mut Vec<u8>) {
    push(show, count, entry.key(), value, &entry.meta(), out);
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
