//! The response to a batch of reads: whole, or streamed in pieces if it is long.
//!
//! Each piece reads its values in one critical section when it is about to be sent, so a client that does not
//! read its response holds the memory of one piece. The values are those of that moment; each key is read once.

use super::error::{ApiError, Part};
use super::json_body::json_response;
use super::reply::{Lane, Piece, Reply};
use crate::clock;
use crate::digits::grouped;
use crate::http::response::Response;
use crate::limits::{ANSWER_BYTES_MAX, ENTRIES_PER_LOCK_MAX, LISTING_PIECE_BYTES, WHOLE_ANSWER_BYTES_MAX};
use crate::names::{Key, KeyBuf};
use crate::storage::{Blocks, Found, Keyspace};
use crate::store::batch::{Batch, OneOrMany, Require};
use crate::store::change::EntryMeta;
use crate::store::commit::Pending;
use crate::store::decide::{Conflict, Step};
use crate::store::error::StorageError;

/// The form of a response: a JSON object with an array of elements.
pub(crate) struct Layout {
    /// The text before the elements.
    pub open: &'static [u8],
    /// Appends an element.
    pub push: PushElement,
    /// Appends the text after the elements, given the absent keys.
    pub close: fn(&mut dyn Iterator<Item = &str>, &mut Vec<u8>),
}

/// Appends the element of a key, given its revision and times and its value if it exists; or nothing.
pub(crate) type PushElement = fn(&str, Option<(&EntryMeta, &[u8])>, &mut Vec<u8>);

/// The progress of a response.
#[derive(Clone, Default)]
struct Position {
    /// Keys that were read.
    keys: usize,
    /// Elements that were written.
    elements: usize,
    /// Indexes of the absent keys.
    missing: Vec<usize>,
}

/// The result of a batch of reads.
pub(crate) enum Reads {
    /// The results of the reads, and the values.
    Whole(OneOrMany<Step>, Vec<Found>),
    /// There are too many values: [`stream`] reads them when they are sent.
    Long,
}

/// Runs `batch`, which only reads.
pub(crate) fn read(
    keyspace: &Keyspace,
    now_ms: u64,
    batch: &mut Batch<'_>,
) -> Result<Pending<Result<Reads, Conflict>>, StorageError> {
    let bytes_max = WHOLE_ANSWER_BYTES_MAX;
    batch.require = Require { read_bytes_max: bytes_max, memory_bytes_max: bytes_max, ..Require::NOTHING };
    let Pending { answer, commit } = keyspace.write_and_read(now_ms, batch)?;
    if !matches!(answer, Err(Conflict::ReadTooLarge { .. })) {
        return Ok(Pending { answer: answer.map(|(steps, found)| Reads::Whole(steps, found)), commit });
    }
    batch.require = Require { read_bytes_max: ANSWER_BYTES_MAX, ..Require::NOTHING };
    let Pending { answer, commit } = keyspace.write(now_ms, batch)?;
    Ok(Pending { answer: answer.map(|_| Reads::Long), commit })
}

/// Why a batch whose values have `bytes` fails. The largest allowed is `bytes_max`.
pub(crate) fn too_large(bytes: u64, bytes_max: u64) -> ApiError {
    Part::Batch.invalid(format!(
        "These values have at least {} bytes together; the maximum is {}. Ask for fewer keys, or read them in a batch \
         without writes.",
        grouped(bytes),
        grouped(bytes_max)
    ))
}

/// Answers with the values of `keys`.
pub(crate) fn stream(keyspace: Keyspace, keys: Vec<KeyBuf>, layout: &'static Layout) -> Reply {
    let lane = if keyspace.blocks() == Blocks::OnDisk { Lane::Disk } else { Lane::Loop };
    let bytes_held = keys.iter().map(KeyBuf::bytes_held).sum();
    let next = move |position: &mut Position, out: &mut Vec<u8>| {
        let rest = keys.get(position.keys..).unwrap_or_default();
        let rest: Vec<Key<'_>> = rest.iter().take(ENTRIES_PER_LOCK_MAX).map(KeyBuf::as_key).collect();
        let Pending { answer: found, commit } =
            keyspace.get_first(clock::wall_ms(), &rest, LISTING_PIECE_BYTES)?;
        if position.keys == 0 {
            out.extend_from_slice(layout.open);
        }
        for (key, found) in rest.into_iter().zip(found) {
            let found = match found {
                Some(found) => Some((found.meta, found.into_text()?)),
                None => None,
            };
            let found = found.as_ref().map(|(meta, value)| (meta, value.as_slice()));
            layout.push(key.as_str(), found, position, out);
        }
        if position.keys < keys.len() {
            return Ok(Piece::More(commit));
        }
        layout.close(&keys, position, out);
        Ok(Piece::Last(commit))
    };
    Reply::json_stream(lane, bytes_held, Position::default(), next)
}

impl Layout {
    /// The whole response. `values` are those that were found, in their order.
    pub(crate) fn render(&self, keys: &[KeyBuf], steps: &[Step], values: &[Vec<u8>]) -> Response {
        let (mut body, mut position) = (self.open.to_vec(), Position::default());
        let mut values = values.iter();
        for (key, step) in keys.iter().zip(steps) {
            let found = match step {
                Step::Found(meta, _) => values.next().map(|value| (meta, value.as_slice())),
                Step::Absent | Step::Skipped | Step::Put { .. } | Step::Deleted(_) => None,
            };
            self.push(key.as_str(), found, &mut position, &mut body);
        }
        self.close(keys, &position, &mut body);
        json_response(200, body)
    }

    fn push(
        &self,
        key: &str,
        found: Option<(&EntryMeta, &[u8])>,
        position: &mut Position,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        if position.elements > 0 {
            out.push(b',');
        }
        let comma_end = out.len();
        (self.push)(key, found, out);
        match out.len() == comma_end {
            true => out.truncate(start),
            false => position.elements += 1,
        }
        if found.is_none() {
            position.missing.push(position.keys);
        }
        position.keys += 1;
    }

    fn close(&self, keys: &[KeyBuf], position: &Position, out: &mut Vec<u8>) {
        let mut missing = position.missing.iter().filter_map(|at| keys.get(*at).map(KeyBuf::as_str));
        (self.close)(&mut missing, out);
    }
}
