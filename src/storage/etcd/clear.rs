//! Deletion of all keys that begin with a prefix.
//!
//! Up to [`CELL_CLEARED_AT_ONCE_MAX`] keys are deleted by one transaction. More of them would hold up all requests to the
//! cell for long, so they are deleted in steps, in the order of the keys. The steps are those of the keys at the moment
//! of the first one, so they end although others add keys meanwhile. A client cannot wait for longer than a minute, so
//! a deletion that takes longer ends early, and states how many keys it removed.

use super::bucket::{EtcdBucket, RequestError, range_of, unexpected};
use super::cell::{ALLOWED, Allowed, CellError};
use super::due;
use super::gateway::{Bytes, Operation, OperationResponse, Range, Refused, Transaction};
use super::sweep;
use crate::clock;
use crate::limits::{
    CELL_CLEAR_MS_MAX, CELL_CLEAR_REQUEST_MS, CELL_CLEAR_SWEEP_MS_MAX, CELL_CLEARED_AT_ONCE_MAX,
    CELL_CLEARED_PER_STEP_MAX,
};
use crate::store::error::StorageError;
use std::time::{Duration, Instant};

/// What reading the names of a step may use.
const LONG: Allowed = Allowed { ms: CELL_CLEAR_REQUEST_MS, attempt_ms: CELL_CLEAR_REQUEST_MS, ..ALLOWED };

impl EtcdBucket {
    /// Removes all keys that begin with `prefix`, and returns how many there were.
    ///
    /// # Errors
    /// [`StorageError`]. Nothing has changed then, except perhaps for [`StorageError::Unconfirmed`] and
    /// [`StorageError::PartlyCleared`].
    pub(crate) fn clear(&self, now_ms: u64, prefix: &str) -> Result<u64, StorageError> {
        self.check_writable()?;
        let began = clock::monotonic();
        let from = self.layout.entry(prefix);
        let count = Range { count_only: true, ..Range::prefix(from.clone()) };
        let keys = self.range(count)?.count;
        // From here on, a deletion has bounds of its own.
        let due = began + Duration::from_millis(CELL_CLEAR_MS_MAX + 2 * CELL_CLEAR_REQUEST_MS);
        due::until(due, || self.clear_keys(now_ms, from, keys, began))
    }

    /// Removes all of about so many keys that begin with `from`.
    fn clear_keys(&self, now_ms: u64, from: Bytes, keys: u64, began: Instant) -> Result<u64, StorageError> {
        let after = |ms| began + Duration::from_millis(ms);
        let end = from.prefix_end();
        // Otherwise expired entries would be counted. No client can tell whether they exist, so nothing is compared.
        sweep::sweep_under(&self.cell, self.cell.now_ms(now_ms), &from, after(CELL_CLEAR_SWEEP_MS_MAX))
            .map_err(|error| self.failed(RequestError::Cell(error)))?;
        if keys <= CELL_CLEARED_AT_ONCE_MAX {
            return self.delete_range(from, end);
        }
        let (mut removed, mut from, mut revision) = (0, from, 0);
        loop {
            let step = self.step(&from, &end, &mut revision).and_then(|to| {
                removed += self.delete_range(from.clone(), to.clone())?;
                Ok(to)
            });
            match step {
                Ok(to) if to == end => return Ok(removed),
                Ok(to) => from = to,
                Err(error) if removed == 0 => return Err(error),
                Err(error) => return Err(StorageError::PartlyCleared { removed, reason: error.to_string() }),
            }
            if clock::monotonic() >= after(CELL_CLEAR_MS_MAX) {
                let reason = "There are more keys than can be removed before the answer is due.".to_owned();
                return Err(StorageError::PartlyCleared { removed, reason });
            }
        }
    }

    /// The end of the step that begins at `from`: the key after those that it removes, or `end` if it is the last step.
    fn step(&self, from: &Bytes, end: &Bytes, revision: &mut i64) -> Result<Bytes, StorageError> {
        let range_end = Some(end.clone());
        let keys = Range { key: from.clone(), range_end, keys_only: true, ..Range::default() };
        let keys = keys.at_most(CELL_CLEARED_PER_STEP_MAX + 1);
        loop {
            let read = vec![Operation::Range(Range { revision: *revision, ..keys.clone() })];
            match self.request(read, LONG) {
                Ok(read) => {
                    if *revision == 0 {
                        *revision = read.header.revision;
                    }
                    let mut found = range_of(read.responses.into_iter().next())?;
                    let beyond = found.kvs.len() > CELL_CLEARED_PER_STEP_MAX;
                    let next = found.kvs.pop().filter(|_| beyond);
                    return Ok(next.map_or_else(|| end.clone(), |stored| stored.key));
                }
                Err(RequestError::Cell(CellError::Refused(Refused::Compacted))) if *revision != 0 => {
                    *revision = 0;
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn delete_range(&self, key: Bytes, range_end: Bytes) -> Result<u64, StorageError> {
        let success = vec![Operation::DeleteRange { key, range_end: Some(range_end) }];
        let transaction = Transaction { compare: self.compares(), success, failure: Vec::new() };
        let done = self.commit(&transaction, CELL_CLEAR_REQUEST_MS)?;
        if !done.succeeded {
            return Err(self.stale());
        }
        match done.responses.first() {
            Some(OperationResponse::DeleteRange(deleted)) => Ok(deleted.deleted),
            Some(OperationResponse::Range(_) | OperationResponse::Put(_)) | None => Err(unexpected()),
        }
    }
}
