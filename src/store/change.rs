//! Every possible mutation of a project.
//!
//! A change is absolute (it carries its revision and instants, not differences) and idempotent: replaying a suffix of a
//! project's changes over any state in between gives the same final state.

use crate::names::Key;
use std::fmt;

/// The number of a change within its project. Grows with every change, is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Revision(u64);

impl Revision {
    pub const ZERO: Revision = Revision(0);

    /// The largest revision: the largest integer that every reader of JSON keeps exactly.
    pub const MAX: Revision = Revision((1 << 53) - 1);

    /// The latest beginning of revisions, whatever the clock reads: half of them are left then.
    const BEGIN_MAX: Revision = Revision(Self::MAX.0 / 2);

    pub const fn three_quarters() -> Revision {
        Revision(Revision::MAX.0 / 4 * 3)
    }

    /// The beginning of revisions at `now_ms`, milliseconds since 1970: the clock in microseconds. It is after all
    /// earlier revisions if a project has fewer than a million changes a second, until the year 2112.
    pub fn at_clock(now_ms: u64) -> Revision {
        Revision(now_ms.saturating_mul(1_000)).min(Revision::BEGIN_MAX)
    }

    pub fn new(number: u64) -> Option<Revision> {
        (number <= Self::MAX.0).then_some(Revision(number))
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    /// The revision `count` changes later, `None` above [`Revision::MAX`].
    pub fn advanced(self, count: u64) -> Option<Revision> {
        self.0.checked_add(count).and_then(Revision::new)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The metadata of a key. Instants are milliseconds since 1970, below 2^48.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryMeta {
    /// The change that wrote the value.
    pub revision: Revision,
    pub created_ms: u64,
    pub updated_ms: u64,
    /// The key is absent from this instant on; `None` if it does not expire.
    pub expires_ms: Option<u64>,
}

/// The location of a value in a file of its project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The number that the project gave to the file when it opened it.
    pub file: u32,
    /// First byte of the value.
    pub offset: u64,
    pub length: u32,
    pub crc32: u32,
}

/// A value: minified JSON text, or the location of that text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Text(&'a [u8]),
    /// The location of the text, if only an index is kept in memory.
    Stored(Location),
}

impl Value<'_> {
    pub fn length(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            Value::Stored(location) => location.length as usize,
        }
    }

    pub fn location(self) -> Option<Location> {
        match self {
            Value::Text(_) => None,
            Value::Stored(location) => Some(location),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The key holds the value from this revision on.
    Put { key: Key<'a>, value: Value<'a>, meta: EntryMeta },
    /// The key is absent from this revision on.
    Delete { key: Key<'a>, revision: Revision },
    /// Every key that begins with the prefix is absent from this revision on.
    Clear {
        /// Empty for all keys.
        prefix: &'a str,
        revision: Revision,
    },
    /// Sets the expiry watermark: every key that was written before this revision and expires by this instant stays
    /// absent, even if the clock is set back later.
    ExpireUntil {
        /// The instant, milliseconds since 1970.
        at_ms: u64,
        revision: Revision,
    },
}

impl Change<'_> {
    pub fn revision(&self) -> Revision {
        match self {
            Change::Put { meta, .. } => meta.revision,
            Change::Delete { revision, .. }
            | Change::Clear { revision, .. }
            | Change::ExpireUntil { revision, .. } => *revision,
        }
    }
}
