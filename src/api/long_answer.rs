//! The answer to a batch of reads: whole, or streamed piece by piece if it is long.
//!
//! Each piece reads its values in one critical section when it is about to be sent, so a client that does not
//! read its answer holds one piece of memory. The values are those of that moment; each key is read once.

use super::json_body::json_response;
use super::reply::{Lane, Piece, Reply};
use crate::clock;
use crate::http::response::Response;
use crate::limits::{ANSWER_BYTES_MAX, ENTRIES_PER_LOCK_MAX, LISTING_PIECE_BYTES, WHOLE_ANSWER_BYTES_MAX};
use crate::names::{Key, KeyBuf};
use crate::storage::{Found, Keyspace};
use crate::store::batch::{Batch, OneOrMany, Require};
use crate::store::change::EntryMeta;
use crate::store::commit::Pending;
use crate::store::decide::{Conflict, Step};
use crate::store::error::StorageError;

/// How an answer looks. One JSON object with an array of elements in it.
pub(crate) struct Layout {
    /// What precedes the elements.
    pub open: &'static [u8],
    /// Appends an element.
    pub push: PushElement,
    /// Appends what follows the elements, given the keys that are absent.
    pub close: fn(&mut dyn Iterator<Item = &str>, &mut Vec<u8>),
}

/// Appends the element of a key, given its revision and times and its value if it exists; or nothing.
pub(crate) type PushElement = fn(&str, Option<(&EntryMeta, &[u8])>, &mut Vec<u8>);

/// How far an answer has come.
#[derive(Clone, Default)]
struct Position {
    /// Keys that are answered.
    keys: usize,
    /// Elements that are written.
    elements: usize,
    /// Indexes of the absent keys.
    missing: Vec<usize>,
}

/// What a batch of reads leads to.
pub(crate) enum Reads {
    /// What each read found, and the values, which are few.
    Whole(OneOrMany<Step>, Vec<Found>),
    /// The values are many: they are read when they are sent ([`stream`]).
    Long,
}

/// Reads what `batch` asks for, which changes nothing.
///
/// # Errors
/// [`StorageError`] if the keys cannot be asked for.
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

/// Answers with the values of `keys`.
pub(crate) fn stream(keyspace: Keyspace, keys: Vec<KeyBuf>, layout: &'static Layout) -> Reply {
    let lane = if keyspace.reads_disk() { Lane::Disk } else { Lane::Loop };
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
    /// The whole answer. `values` are those that were found, in their order.
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
