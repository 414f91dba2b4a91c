//! A set of keys as the APIs for accounts see it: all of a bucket, or those under a prefix.
//!
//! Keys under a prefix exist as long as their marker does, the key that equals the prefix: every batch of writes
//! requires it. So after their owner is deleted, no write that was authorized before adds a key.

use super::bucket::{Blocks, Bucket, first_of};
use super::embedded::{DecidedAndRead, Found};
use super::outcome::Outcome;
use super::read::{Decided, Item, Parts, Read, Scan, Scanned};
use crate::names::{Key, KeyBuf};
use crate::store::batch::{Batch, OneOrMany, Op, Require, When};
use crate::store::commit::Pending;
use crate::store::decide::{Conflict, Step};
use crate::store::error::StorageError;

/// A set of keys, named without the prefix.
#[derive(Clone, Debug)]
pub struct Keyspace {
    bucket: Bucket,
    scope: Option<Scope>,
}

#[derive(Clone, Debug)]
struct Scope {
    /// The key that equals the prefix.
    marker: KeyBuf,
    /// The bucket that records their owner. If it has failed, a restart may find the owner and the keys deleted, so
    /// nothing is written.
    owners: Bucket,
    /// Whether every owner has a marker. If not, an absent marker means nothing.
    has_markers: bool,
}

/// A key as the bucket knows it.
enum Stored<'k> {
    Same(Key<'k>),
    Prefixed(KeyBuf),
}

impl Stored<'_> {
    fn as_key(&self) -> Key<'_> {
        match self {
            Stored::Same(key) => *key,
            Stored::Prefixed(key) => key.as_key(),
        }
    }
}

impl Keyspace {
    pub fn of(bucket: &Bucket) -> Keyspace {
        Keyspace { bucket: bucket.clone(), scope: None }
    }

    /// The keys under the prefix that `marker` is, whose owner is recorded in `owners`. Without `has_markers` a marker
    /// may be missing of an owner that exists.
    pub fn under(marker: KeyBuf, bucket: Bucket, owners: &Bucket, has_markers: bool) -> Keyspace {
        let scope = Scope { marker, owners: owners.clone(), has_markers };
        Keyspace { bucket, scope: Some(scope) }
    }

    /// As [`Bucket::get`], without a condition. The key of the item is the stored one.
    pub fn get<R: 'static>(
        &self,
        now_ms: u64,
        key: Key<'_>,
        render: impl FnOnce(Read<'_>) -> R + Send + 'static,
    ) -> Result<Outcome<R>, StorageError> {
        self.bucket.get(now_ms, self.stored(key).as_key(), When::ALWAYS, render)
    }

    pub fn get_first(
        &self,
        now_ms: u64,
        keys: &[Key<'_>],
        bytes_max: usize,
    ) -> Result<Pending<Vec<Option<Found>>>, StorageError> {
        let stored: Vec<Stored<'_>> = keys.iter().map(|key| self.stored(*key)).collect();
        let keys: Vec<Key<'_>> = stored.iter().map(Stored::as_key).collect();
        self.bucket.get_first(now_ms, &keys, bytes_max)
    }

    /// As [`Bucket::write`]. [`crate::store::decide::Conflict::NotPresent`] if the owner is gone.
    pub fn write(&self, now_ms: u64, batch: &Batch<'_>) -> Result<Pending<Decided>, StorageError> {
        self.within_scope(batch, |batch| self.bucket.write(now_ms, batch))
    }

    /// As [`Keyspace::write`], for one operation.
    pub fn write_one(
        &self,
        now_ms: u64,
        op: Op<'_>,
    ) -> Result<Pending<Result<Step, Conflict>>, StorageError> {
        Ok(first_of(self.write(now_ms, &Batch::one(op))?))
    }

    pub fn write_and_read(
        &self,
        now_ms: u64,
        batch: &Batch<'_>,
    ) -> Result<Pending<DecidedAndRead>, StorageError> {
        self.within_scope(batch, |batch| self.bucket.write_and_read(now_ms, batch))
    }

    /// The names of the keys after `after`, at most `keys_max`; fewer if many have just expired.
    pub fn list(
        &self,
        now_ms: u64,
        after: Option<&str>,
        keys_max: usize,
    ) -> Result<Pending<(Vec<String>, Scanned)>, StorageError> {
        let prefix = self.prefix();
        // The marker comes first, and is not one of the keys.
        let after = match (&self.scope, after) {
            (None, after) => after.map(str::to_owned),
            (Some(_), after) => Some(format!("{prefix}{}", after.unwrap_or_default())),
        };
        let after = after.as_deref();
        let scan = Scan { after, keys_max: Some(keys_max), parts: Parts::Names, ..Scan::under(prefix) };
        let own = |key: &str| key.strip_prefix(prefix).unwrap_or_default().to_owned();
        let mut keys = Vec::new();
        let Pending { answer, commit } =
            self.bucket.scan(now_ms, &scan, &mut |item: Item<'_>| keys.push(own(item.key)))?;
        let last = answer.last.as_deref().map(own);
        Ok(Pending { answer: (keys, Scanned { last, ..answer }), commit })
    }

    /// As [`Bucket::blocks`].
    pub fn blocks(&self) -> Blocks {
        self.bucket.blocks()
    }

    fn prefix(&self) -> &str {
        self.scope.as_ref().map_or("", |scope| scope.marker.as_str())
    }

    fn stored<'k>(&self, key: Key<'k>) -> Stored<'k> {
        match &self.scope {
            None => Stored::Same(key),
            Some(scope) => {
                Stored::Prefixed(KeyBuf::own(format!("{}{}", scope.marker.as_str(), key.as_str())))
            }
        }
    }

    /// Runs a batch with the keys as the bucket knows them.
    fn within_scope<T>(
        &self,
        batch: &Batch<'_>,
        run: impl FnOnce(&Batch<'_>) -> Result<Pending<Result<T, Conflict>>, StorageError>,
    ) -> Result<Pending<Result<T, Conflict>>, StorageError> {
        let Some(scope) = &self.scope else { return run(batch) };
        if !batch.is_read_only() && scope.owners.has_failed() {
            return Err(StorageError::Failed);
        }
        let require = Require { present: Some(scope.marker.as_key()), ..batch.require };
        let otherwise = batch.otherwise;
        let done = match &batch.ops {
            OneOrMany::One(op) => {
                let key = self.stored(op.key);
                let ops = OneOrMany::One(Op { key: key.as_key(), ..*op });
                run(&Batch { ops, otherwise, require })
            }
            OneOrMany::Many(ops) => {
                let keys: Vec<Stored<'_>> = ops.iter().map(|op| self.stored(op.key)).collect();
                let ops = ops.iter().zip(&keys).map(|(op, key)| Op { key: key.as_key(), ..*op });
                run(&Batch { ops: OneOrMany::Many(ops.collect()), otherwise, require })
            }
        }?;
        match done.answer {
            Err(Conflict::NotPresent) if !scope.has_markers => Err(StorageError::Failed),
            Ok(_) | Err(_) => Ok(done),
        }
    }
}

#[cfg(test)]
#[path = "keyspace_tests.rs"]
mod tests;
