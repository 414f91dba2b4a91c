//! Decides what a batch does to given entries. Only this file checks its conditions and bounds.
//!
//! Nothing is changed here. The engine that has the entries converts the steps to changes ([`changes`]), or returns the
//! conflict.

use super::batch::{Act, Batch, OneOrMany, Op, Otherwise};
use super::change::{Change, EntryMeta, Revision, Value};
use super::key_map::KeyMap;
use crate::names::Key;
use std::collections::BTreeMap;

/// The entries that a batch is decided on, at one moment.
pub trait Entries {
    fn get(&self, key: Key<'_>) -> Option<Existing>;
    fn keys(&self) -> u64;
    /// The revision after which the changes of the batch are numbered.
    fn revision(&self) -> Revision;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Existing {
    pub meta: EntryMeta,
    pub value_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, because its condition does not hold.
    Skipped,
    /// Nothing, because the key does not exist.
    Absent,
    Found(EntryMeta, Source),
    Put {
        meta: EntryMeta,
        /// Whether the key did not exist.
        created: bool,
    },
    Deleted(Revision),
}

/// The source of the value that an operation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Entries,
    /// In the operation of the same batch with this index.
    Op(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    Condition {
        index: usize,
        /// Its key at that moment, `None` if it does not exist.
        current: Option<EntryMeta>,
    },
    /// The key that the batch requires does not exist.
    NotPresent,
    /// There would be more keys than the batch allows.
    Full,
    ReadTooLarge {
        /// The index of the operation that exceeds the bound.
        index: usize,
        /// Bytes of the values up to there.
        bytes: u64,
    },
}

/// The effects of the operations so far.
struct Written<'r> {
    keys: BTreeMap<&'r str, (Option<Existing>, Source)>,
    changes: u64,
    added: u64,
    removed: u64,
    bytes_read: u64,
}

/// What each operation of `batch` does to `entries` at `now_ms`, milliseconds since 1970.
///
/// # Errors
/// [`Conflict`]: nothing of the batch may be done.
pub fn decide(batch: &Batch<'_>, entries: &impl Entries, now_ms: u64) -> Result<OneOrMany<Step>, Conflict> {
    if batch.require.present.is_some_and(|key| entries.get(key).is_none()) {
        return Err(Conflict::NotPresent);
    }
    let mut written = Written { keys: BTreeMap::new(), changes: 0, added: 0, removed: 0, bytes_read: 0 };
    let steps = match &batch.ops {
        OneOrMany::One(op) => OneOrMany::One(step(batch, 0, op, entries, now_ms, &mut written)?),
        OneOrMany::Many(ops) => {
            let each = ops.iter().enumerate();
            let steps = each.map(|(index, op)| step(batch, index, op, entries, now_ms, &mut written));
            OneOrMany::Many(steps.collect::<Result<_, _>>()?)
        }
    };
    match batch.require.keys_max {
        Some(keys_max) if written.added > written.removed => {
            let keys = entries.keys() + written.added - written.removed;
            if keys > keys_max { Err(Conflict::Full) } else { Ok(steps) }
        }
        Some(_) | None => Ok(steps),
    }
}

fn step<'r>(
    batch: &Batch<'r>,
    index: usize,
    op: &Op<'r>,
    entries: &impl Entries,
    now_ms: u64,
    written: &mut Written<'r>,
) -> Result<Step, Conflict> {
    let earlier = written.keys.get(op.key.as_str()).copied();
    let (before, source) = earlier.unwrap_or_else(|| (entries.get(op.key), Source::Entries));
    let current = before.map(|before| before.meta);
    if !op.when.holds(current.map(|meta| meta.revision)) {
        return match batch.otherwise {
            Otherwise::Abort => Err(Conflict::Condition { index, current }),
            Otherwise::Skip => Ok(Step::Skipped),
        };
    }
    let has_expired =
        matches!(op.act, Act::Restore { expires_ms: Some(expires_ms), .. } if expires_ms <= now_ms);
    let act = if has_expired { Act::Delete } else { op.act };
    let (step, after) = match (act, before) {
        (Act::Get | Act::Delete, None) => return Ok(Step::Absent),
        (Act::Get, Some(before)) => {
            let is_first = written.bytes_read == 0;
            written.bytes_read += before.value_bytes as u64;
            let (require, bytes) = (&batch.require, written.bytes_read);
            if bytes > require.memory_bytes_max || (bytes > require.read_bytes_max && !is_first) {
                return Err(Conflict::ReadTooLarge { index, bytes });
            }
            return Ok(Step::Found(before.meta, source));
        }
        (Act::Delete, Some(_)) => {
            written.removed += 1;
            (Step::Deleted(next_revision(entries, written)), None)
        }
        (Act::Put { value, ttl_ms }, _) => {
            let meta = EntryMeta {
                revision: next_revision(entries, written),
                created_ms: current.map_or(now_ms, |meta| meta.created_ms),
                updated_ms: now_ms,
                expires_ms: ttl_ms.map(|ttl_ms| now_ms.saturating_add(ttl_ms)),
            };
            put(meta, value, before, written)
        }
        (Act::Restore { value, created_ms, updated_ms, expires_ms }, _) => {
            let revision = next_revision(entries, written);
            put(EntryMeta { revision, created_ms, updated_ms, expires_ms }, value, before, written)
        }
    };
    if batch.ops.len() > 1 {
        written.keys.insert(op.key.as_str(), (after, Source::Op(index)));
    }
    Ok(step)
}

/// The step that stores an entry, and the entry.
fn put(
    meta: EntryMeta,
    value: &[u8],
    before: Option<Existing>,
    written: &mut Written<'_>,
) -> (Step, Option<Existing>) {
    written.added += u64::from(before.is_none());
    (Step::Put { meta, created: before.is_none() }, Some(Existing { meta, value_bytes: value.len() }))
}

fn next_revision(entries: &impl Entries, written: &mut Written<'_>) -> Revision {
    written.changes += 1;
    let Some(revision) = entries.revision().advanced(written.changes) else {
        unreachable!("an engine refuses writes while it still has revisions for a whole batch");
    };
    revision
}

/// The changes that the `steps` of `batch` stand for, in their order.
pub fn changes<'b>(batch: &'b Batch<'_>, steps: &'b [Step]) -> impl Iterator<Item = Change<'b>> {
    batch.ops.iter().zip(steps).filter_map(|(op, step)| match *step {
        Step::Put { meta, .. } => {
            op.act.stored().map(|value| Change::Put { key: op.key, value: Value::Text(value), meta })
        }
        Step::Deleted(revision) => Some(Change::Delete { key: op.key, revision }),
        Step::Skipped | Step::Absent | Step::Found(..) => None,
    })
}

#[derive(Clone, Copy)]
pub struct At<'n> {
    pub key_map: &'n KeyMap,
    pub now_ms: u64,
}

impl Entries for At<'_> {
    fn get(&self, key: Key<'_>) -> Option<Existing> {
        let entry = self.key_map.get(key, self.now_ms)?;
        Some(Existing { meta: entry.meta(), value_bytes: entry.value().length() })
    }

    fn keys(&self) -> u64 {
        self.key_map.totals(self.now_ms).keys
    }

    fn revision(&self) -> Revision {
        self.key_map.revision()
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
