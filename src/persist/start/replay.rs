//! Reads the meta lines of a journal, then its changes in order, and finds their end.
//!
//! After the last synced change a power cut may leave anything: a torn tail. A bad line before a later line that
//! states that it was synced is corruption instead.

use super::recovery_error::{FileProblem, RecoveryError, bad_line, io_error};
use crate::persist::files::header;
use crate::persist::files::record::{self, Line};
use crate::persist::files::seed::Seed;
use crate::persist::files::sequential::{LineReader, RawLine};
use crate::store::change::{Change, EntryMeta, Revision};
use std::borrow::Cow;
use std::path::Path;

/// Reads the next meta line of a journal: a key, and what is known of it. `None` if the line is of another kind.
///
/// # Errors
/// [`FileProblem::Corrupt`] or [`FileProblem::LaterVersion`] for a line that cannot be decoded.
pub(crate) fn next_meta<'l>(
    lines: &'l mut LineReader<'_>,
    seed: Seed,
    path: &Path,
) -> Result<Option<(Cow<'l, str>, EntryMeta)>, RecoveryError> {
    let offset = lines.offset();
    let line = lines.next_line().map_err(io_error(path))?.filter(|line| line.terminated);
    let line = line.ok_or_else(|| FileProblem::Corrupt { offset }.of(path))?;
    match record::decode_line(line.bytes, seed) {
        Some(Line::Meta { key, meta }) => Ok(Some((key, meta))),
        Some(Line::Synced(_) | Line::Changes(_)) => Ok(None),
        None => Err(bad_line(line.bytes, seed, path, offset)),
    }
}

/// The end of the changes of a journal.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The offset for the next change.
    pub end: u64,
    /// The latest revision before it.
    pub revision: Revision,
    /// Bytes after it that were never synced, without the reserve.
    pub torn_bytes: Option<u64>,
}

/// Reads the changes of a journal in order. `apply` gets each with the file offset of its value. `revision` is the
/// latest one before them, `seed` that of the journal.
///
/// # Errors
/// [`FileProblem::Corrupt`] for a bad line before a later line that states that it was synced, and for a header or a
/// meta line; [`FileProblem::LaterVersion`] for an intact line that is unknown.
pub(crate) fn replay(
    lines: &mut LineReader<'_>,
    path: &Path,
    seed: Seed,
    mut revision: Revision,
    mut apply: impl FnMut(Change<'_>, u64),
) -> Result<Tail, RecoveryError> {
    loop {
        let end = lines.offset();
        let Some(line) = lines.next_line().map_err(io_error(path))? else {
            return Ok(Tail { end, revision, torn_bytes: None });
        };
        if !line.terminated && without_reserve(line.bytes).is_empty() {
            return Ok(Tail { end, revision, torn_bytes: None });
        }
        let decoded = record::decode_line(line.bytes, seed).filter(|_| line.terminated);
        match decoded {
            Some(Line::Changes(changes)) => {
                for recorded in &changes {
                    let change = recorded.change().ok_or_else(|| bad_line(line.bytes, seed, path, end))?;
                    revision = revision.max(change.revision());
                    let in_line = record::offset_within(line.bytes, recorded.value());
                    apply(change, end + in_line);
                }
            }
            Some(Line::Synced(_)) => {}
            // It is intact, but does not belong here.
            Some(Line::Meta { .. }) => {
                return Err(FileProblem::Corrupt { offset: end }.of(path));
            }
            // A header has no seed, so only in a journal of format 1 is it more than a stale block.
            None if line.terminated && seed == Seed::NONE && header::is_header(line.bytes) => {
                return Err(FileProblem::Corrupt { offset: end }.of(path));
            }
            None if line.terminated && record::is_intact(line.bytes, seed) => {
                return Err(bad_line(line.bytes, seed, path, end));
            }
            None => {
                let (synced, reserve) = (record::synced_at_end(line.bytes, seed), reserve_of(&line));
                let torn = torn_tail(lines, path, seed, end, revision, (synced, reserve))?;
                return Ok(Tail { end, revision, torn_bytes: Some(torn) });
            }
        }
    }
}

/// Reads the rest after a bad line, which itself states that `synced` was synced if two lines were joined. Returns
/// how many bytes are torn; if a line states that changes after `revision` were synced, it is corruption.
fn torn_tail(
    lines: &mut LineReader<'_>,
    path: &Path,
    seed: Seed,
    bad_offset: u64,
    revision: Revision,
    (mut synced, mut reserve): (Option<Revision>, u64),
) -> Result<u64, RecoveryError> {
    while let Some(line) = lines.next_line().map_err(io_error(path))? {
        synced = synced.max(record::synced_at_end(line.bytes, seed));
        reserve = reserve_of(&line);
    }
    if synced.is_some_and(|synced| synced > revision) {
        return Err(FileProblem::Corrupt { offset: bad_offset }.of(path));
    }
    Ok(lines.offset() - bad_offset - reserve)
}

/// How much of a last line is the reserve that a journal is filled with ahead of its end.
fn reserve_of(line: &RawLine<'_>) -> u64 {
    let text = if line.terminated { line.bytes } else { without_reserve(line.bytes) };
    (line.bytes.len() - text.len()) as u64
}

fn without_reserve(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or_default()
}
