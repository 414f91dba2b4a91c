//! Removes expired entries from a cell. Any instance may do it, also several at once.

use super::cell::{Cell, CellError};
use super::gateway::{Bytes, Compare, Operation, OperationResponse, Range, Transaction};
use super::layout;
use crate::clock;
use crate::limits::{CELL_DUE_KEYS_MAX, CELL_SWEPT_KEYS_MAX};
use std::time::Instant;

/// A listed expiry, with what the cell has of its entry.
struct Listed {
    expiry: Bytes,
    entry: Bytes,
    mod_revision: i64,
    /// Whether the entry still expires as listed. If not, it was written again, and only its listing goes.
    is_due: bool,
}

/// Removes all entries that have expired at `now_ms`. Returns how many.
///
/// # Errors
/// [`CellError`]. The entries that were removed until then are gone.
pub fn sweep(cell: &Cell, now_ms: u64) -> Result<u64, CellError> {
    let mut swept = 0;
    while let Some(of_page) = sweep_page(cell, now_ms)? {
        swept += of_page;
    }
    Ok(swept)
}

/// Removes the first entries that have expired at `now_ms`, at most [`CELL_SWEPT_KEYS_MAX`]. Returns how many; `None`
/// if nothing has expired.
///
/// # Errors
/// As [`sweep`].
pub(super) fn sweep_page(cell: &Cell, now_ms: u64) -> Result<Option<u64>, CellError> {
    let (key, range_end) = layout::expired(now_ms);
    let limit = CELL_SWEPT_KEYS_MAX as i64;
    let page = cell.range(&Range { key, range_end: Some(range_end), limit, ..Range::default() })?;
    let listed = look_up(cell, page.kvs.into_iter().map(|stored| stored.key))?;
    if listed.is_empty() {
        return Ok(None);
    }
    if !remove(cell, &listed)? {
        // One of them was written meanwhile, which must not keep the others.
        for one in &listed {
            remove(cell, std::slice::from_ref(one))?;
        }
    }
    Ok(Some(listed.iter().filter(|listed| listed.is_due).count() as u64))
}

/// Removes the entries whose keys begin with `prefix` and that have expired at `now_ms`, until `deadline` at most.
///
/// # Errors
/// As [`sweep`].
pub(super) fn sweep_under(
    cell: &Cell,
    now_ms: u64,
    prefix: &Bytes,
    deadline: Instant,
) -> Result<(), CellError> {
    let mut due = layout::due(now_ms, CELL_DUE_KEYS_MAX);
    loop {
        let page = cell.range(&due)?;
        let is_under = |listed: &&Bytes| {
            layout::entry_of_expiry(listed).is_some_and(|(entry, _)| entry.0.starts_with(&prefix.0))
        };
        let under: Vec<&Bytes> = page.kvs.iter().map(|stored| &stored.key).filter(is_under).collect();
        for some in under.chunks(CELL_SWEPT_KEYS_MAX) {
            if clock::monotonic() >= deadline {
                return Ok(());
            }
            remove_all(cell, &look_up(cell, some.iter().copied().cloned())?)?;
        }
        match page.kvs.last() {
            Some(last) if page.more && clock::monotonic() < deadline => due.key = last.key.next(),
            Some(_) | None => return Ok(()),
        }
    }
}

fn look_up(cell: &Cell, expiries: impl Iterator<Item = Bytes>) -> Result<Vec<Listed>, CellError> {
    let known: Vec<(Bytes, Bytes, u64)> = expiries
        .filter_map(|expiry| layout::entry_of_expiry(&expiry).map(|(entry, ms)| (expiry, entry, ms)))
        .collect();
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let success = known.iter().map(|(_, entry, _)| Operation::Range(Range::key(entry.clone()))).collect();
    let read = cell.read(&Transaction { success, ..Transaction::default() })?;
    let each = known.into_iter().zip(read.responses).map(|((expiry, entry, expires_ms), response)| {
        let stored = match &response {
            OperationResponse::Range(found) => found.kvs.first(),
            OperationResponse::Put(_) | OperationResponse::DeleteRange(_) => None,
        };
        Listed {
            expiry,
            entry,
            mod_revision: stored.map_or(0, |stored| stored.mod_revision),
            is_due: stored.is_some_and(|stored| layout::expires_ms(&stored.value) == Some(expires_ms)),
        }
    });
    Ok(each.collect())
}

/// As [`remove`], but an entry that was written since does not keep the others.
fn remove_all(cell: &Cell, listed: &[Listed]) -> Result<(), CellError> {
    if !remove(cell, listed)? {
        for one in listed {
            remove(cell, std::slice::from_ref(one))?;
        }
    }
    Ok(())
}

/// Removes entries and listings, unless an entry was written since it was looked up.
fn remove(cell: &Cell, listed: &[Listed]) -> Result<bool, CellError> {
    let compare = listed.iter().map(|one| Compare::unchanged(one.entry.clone(), one.mod_revision)).collect();
    let entries = listed.iter().filter(|one| one.is_due).map(|one| one.entry.clone());
    let keys = listed.iter().map(|one| one.expiry.clone()).chain(entries);
    let success = keys.map(Operation::delete).collect();
    Ok(cell.commit(&Transaction { compare, success, failure: Vec::new() })?.succeeded)
}
