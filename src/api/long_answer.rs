//! A long answer to a batch of reads, streamed piece by piece.
//!
//! Each piece reads its values under one hold of the lock when it is about to be sent, so a client that does not
//! read its answer holds one piece of memory. The values are those of that moment; each key is read once.

use super::error::ApiError;
use super::reply::{Lane, Piece, Pull, Reply};
use crate::clock;
use crate::limits::{ANSWER_BYTES_MAX, ENTRIES_PER_LOCK_MAX, LISTING_PIECE_BYTES, WHOLE_ANSWER_BYTES_MAX};
use crate::names::Key;
use crate::storage::embedded::values_of;
use crate::storage::{Found, Keyspace, Outcome};
use crate::store::batch::{Batch, OneOrMany, Require};
use crate::store::change::Meta;
use crate::store::commit::{Commit, Pending};
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
pub(crate) type PushElement = fn(&str, Option<(&Meta, &[u8])>, &mut Vec<u8>);

struct LongAnswer {
    keyspace: Keyspace,
    keys: Vec<String>,
    layout: &'static Layout,
    position: Position,
    /// Where the last piece began.
    before: Position,
}

/// How far an answer has come.
#[derive(Clone, Default)]
struct Position {
    /// Keys that are answered.
    keys: usize,
    /// Elements that are written.
    elements: usize,
    /// Places of the absent ones among the keys.
    missing: Vec<usize>,
}

/// What a batch of reads leads to.
pub(crate) enum Reads {
    /// What each read found, and the values, which are few.
    Whole(OneOrMany<Step>, Outcome<Vec<Vec<u8>>>),
    /// The values are many: they are read when they are sent ([`stream`]).
    Long,
    /// The batch is refused, as far as the commit is on disk.
    Refused(Conflict, Option<Commit>),
}

/// Reads what `batch` asks for, which changes nothing.
///
/// # Errors
/// [`StorageError`] if the keys cannot be asked for.
pub(crate) fn read(keyspace: &Keyspace, now_ms: u64, batch: &mut Batch<'_>) -> Result<Reads, StorageError> {
    let bytes_max = WHOLE_ANSWER_BYTES_MAX;
    batch.require = Require { read_bytes_max: bytes_max, memory_bytes_max: bytes_max, ..Require::NOTHING };
    let Pending { answer, commit } = keyspace.write_and_read(now_ms, batch)?;
    match answer {
        Ok((steps, found)) => return Ok(Reads::Whole(steps, values_of(found, commit))),
        Err(Conflict::ReadTooLarge { .. }) => {}
        Err(conflict) => return Ok(Reads::Refused(conflict, commit)),
    }
    batch.require = Require { read_bytes_max: ANSWER_BYTES_MAX, ..Require::NOTHING };
    let Pending { answer, commit } = keyspace.write(now_ms, batch)?;
    Ok(answer.map_or_else(|conflict| Reads::Refused(conflict, commit), |_| Reads::Long))
}

/// Answers with the values of `keys`, which are valid.
pub(crate) fn stream(keyspace: Keyspace, keys: Vec<String>, layout: &'static Layout) -> Reply {
    let lane = if keyspace.reads_disk() { Lane::Disk } else { Lane::Loop };
    let bytes_held = keys.iter().map(|key| size_of::<String>() + key.capacity()).sum();
    let (position, before) = (Position::default(), Position::default());
    let mut answer = LongAnswer { keyspace, keys, layout, position, before };
    let next = Box::new(move |pull, out: &mut Vec<u8>| answer.piece(pull, out));
    Reply::json_stream(lane, bytes_held, next)
}

impl LongAnswer {
    fn piece(&mut self, pull: Pull, out: &mut Vec<u8>) -> Piece {
        match pull {
            Pull::Next => self.before = self.position.clone(),
            Pull::Again => self.position = self.before.clone(),
        }
        self.next_piece(out).unwrap_or_else(Piece::Broken)
    }

    fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<Piece, ApiError> {
        let rest = self.keys.get(self.position.keys..).unwrap_or_default();
        let keys = rest.iter().take(ENTRIES_PER_LOCK_MAX).map(|key| Key::parse(key));
        let keys = keys.collect::<Result<Vec<Key<'_>>, _>>()?;
        let Pending { answer: found, commit } =
            self.keyspace.get_first(clock::wall_ms(), &keys, LISTING_PIECE_BYTES)?;
        if self.position.keys == 0 {
            out.extend_from_slice(self.layout.open);
        }
        self.push(found, out)?;
        if self.position.keys < self.keys.len() {
            return Ok(Piece::More(commit));
        }
        let mut missing =
            self.position.missing.iter().filter_map(|at| self.keys.get(*at).map(String::as_str));
        (self.layout.close)(&mut missing, out);
        Ok(Piece::Last(commit))
    }

    fn push(&mut self, found: Vec<Option<Found>>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        for found in found {
            let key = self.keys.get(self.position.keys).map(String::as_str).unwrap_or_default();
            let value = match found {
                Some(found) => Some((found.meta, found.into_text()?)),
                None => None,
            };
            let start = out.len();
            if self.position.elements > 0 {
                out.push(b',');
            }
            let comma_end = out.len();
            (self.layout.push)(key, value.as_ref().map(|(meta, value)| (meta, value.as_slice())), out);
            match out.len() == comma_end {
                true => out.truncate(start),
                false => self.position.elements += 1,
            }
            if value.is_none() {
                self.position.missing.push(self.position.keys);
            }
            self.position.keys += 1;
        }
        Ok(())
    }
}
