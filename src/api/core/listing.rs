//! `GET /projects/{id}/keys`: keys in byte order, streamed in pieces.
//!
//! A listing of a million keys holds one piece in memory. Each piece is read under the lock for
//! microseconds and starts after the last key of the previous piece, so a key that exists all the
//! time is listed exactly once.

use crate::api::context::Context;
use crate::api::cursor::{self, Cursor};
use crate::api::error::ApiError;
use crate::api::json_body;
use crate::api::reply::{Lane, Piece, Reply};
use crate::clock;
use crate::json;
use crate::limits::LISTING_PIECE_BYTES;
use crate::storage::{Blocks, Bucket, Continuation, Item, Parts, Scan, ScanEnd};
use crate::store::commit::Pending;
use crate::store::error::StorageError;

/// The parts of each entry in the listing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Names,
    Values,
    ValuesAndMeta,
    EntryMeta,
}

struct Listing {
    bucket: Bucket,
    prefix: String,
    show: Show,
}

/// The progress of a listing.
#[derive(Clone)]
struct Position {
    after: Option<String>,
    /// The number of keys that may follow; `None` for all.
    left: Option<usize>,
    count: u64,
    opened: bool,
    continuation: Continuation,
}

/// `GET /projects/{id}/keys`
pub(crate) fn list(context: &Context<'_>) -> Result<Reply, ApiError> {
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
        (false, true) => Show::EntryMeta,
    };
    let left = parameters.limit()?;
    let (prefix, after) = parameters.prefix_and_cursor()?;
    let position = Position { after, left, count: 0, opened: false, continuation: Continuation::default() };
    let listing = Listing { bucket: served.bucket()?.clone(), prefix, show };
    let reads_disk = listing.bucket.blocks() == Blocks::OnDisk && values;
    let lane = if reads_disk { Lane::Disk } else { Lane::Loop };
    Ok(Reply::json_stream(lane, 0, position, move |position, out| listing.piece(position, out)))
}

impl Listing {
    /// Appends the piece at `position`.
    fn piece(&self, position: &mut Position, out: &mut Vec<u8>) -> Result<Piece, StorageError> {
        if !position.opened {
            position.opened = true;
            out.extend_from_slice(b"{\"project\":");
            json::encode_string(self.bucket.id().as_str(), out);
            out.extend_from_slice(if self.show == Show::Names { b",\"keys\":[" } else { b",\"keys\":{" });
        }
        let scan = Scan {
            prefix: &self.prefix,
            after: position.after.as_deref(),
            keys_max: position.left,
            bytes_max: LISTING_PIECE_BYTES,
            parts: match self.show {
                Show::Names => Parts::Names,
                Show::EntryMeta => Parts::Metas,
                Show::Values | Show::ValuesAndMeta => Parts::Values,
            },
            continuation: position.continuation,
        };
        let (show, mut count) = (self.show, position.count);
        let Pending { answer: scanned, commit } =
            self.bucket.scan(clock::wall_ms(), &scan, &mut |item| push(show, &mut count, &item, out))?;
        let keys = usize::try_from(count - position.count).unwrap_or(usize::MAX);
        (position.count, position.continuation) = (count, scanned.continuation);
        position.left = position.left.map(|left| left.saturating_sub(keys));
        if scanned.last.is_some() {
            position.after = scanned.last;
        }
        let next = match scanned.end {
            ScanEnd::Paused => return Ok(Piece::More(commit)),
            ScanEnd::Limit => position.after.as_deref(),
            ScanEnd::Exhausted => None,
        };
        out.push(if self.show == Show::Names { b']' } else { b'}' });
        out.extend_from_slice(b",\"count\":");
        json::encode_u64(position.count, out);
        out.push(b',');
        cursor::push_member(next.map(|key| Cursor::new(&self.prefix, key)).as_ref(), out);
        out.extend_from_slice(b"}\n");
        Ok(Piece::Last(commit))
    }
}

fn push(show: Show, count: &mut u64, item: &Item<'_>, out: &mut Vec<u8>) {
    if *count > 0 {
        out.push(b',');
    }
    *count += 1;
    json::encode_string(item.key, out);
    match show {
        Show::Names => return,
        Show::Values => {
            out.push(b':');
            out.extend_from_slice(item.value);
            return;
        }
        Show::ValuesAndMeta => {
            out.extend_from_slice(b":{\"value\":");
            out.extend_from_slice(item.value);
            out.push(b',');
        }
        Show::EntryMeta => out.extend_from_slice(b":{"),
    }
    json_body::push_meta(&item.meta, out);
    out.push(b'}');
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
