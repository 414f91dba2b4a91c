//! Every possible mutation of a project.
//!
//! A change is absolute (it carries its revision and instants, not differences) and idempotent:
//! replaying a suffix of a project's changes over any state in between gives the same end.

use crate::names::Key;
use std::fmt;

/// The number of a change within its project. Grows with every change, is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Revision(u64);

impl Revision {
    /// Before the first revision.
    pub const ZERO: Revision = Revision(0);

    /// The largest revision: what every reader of JSON keeps exactly.
    pub const MAX: Revision = Revision((1 << 53) - 1);

    /// Where revisions begin at the latest, whatever the clock says: half of them are left then.
    const BEGIN_MAX: Revision = Revision(Self::MAX.0 / 2);

    /// Three quarters of all revisions.
    pub const fn three_quarters() -> Revision {
        Revision(Revision::MAX.0 / 4 * 3)
    }

    /// Where revisions begin at `now_ms`, milliseconds since 1970: at the clock in microseconds, which is
    /// ahead of all that was given out before, as long as a project makes fewer than a million changes a
    /// second. That holds until the year 2112.
    pub fn at_clock(now_ms: u64) -> Revision {
        Revision(now_ms.saturating_mul(1_000)).min(Revision::BEGIN_MAX)
    }

    /// `number` as a revision, `None` above [`Revision::MAX`].
    pub fn new(number: u64) -> Option<Revision> {
        (number <= Self::MAX.0).then_some(Revision(number))
    }

    /// The revision as a number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The revision `count` changes later, `None` where the numbers end.
    pub fn advanced(self, count: u64) -> Option<Revision> {
        self.0.checked_add(count).and_then(Revision::new)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known of a key beside its value. Instants are milliseconds since 1970, below 2^48.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryMeta {
    /// The change that wrote the value.
    pub revision: Revision,
    /// When the key came into being.
    pub created_ms: u64,
    /// When the value was written.
    pub updated_ms: u64,
    /// From when on the key is absent; `None` keeps it for ever.
    pub expires_ms: Option<u64>,
}

/// Where a value lies in a file of its project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as numbered by the project since it was opened.
    pub file: u32,
    /// First byte of the value.
    pub offset: u64,
    /// Bytes of the value.
    pub length: u32,
    /// CRC-32 (IEEE) of the value.
    pub crc32: u32,
}

/// A value: minified JSON text, or where that text lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The text itself.
    Text(&'a [u8]),
    /// The place of the text, where only an index is kept in memory.
    Stored(Location),
}

impl Value<'_> {
    /// Bytes of the value's text.
    pub fn length(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            Value::Stored(location) => location.length as usize,
        }
    }

    /// Where the text lies, if that is not here.
    pub fn location(self) -> Option<Location> {
        match self {
            Value::Text(_) => None,
            Value::Stored(location) => Some(location),
        }
    }
}

/// One mutation of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The key holds the value from this revision on.
    Put {
        key: Key<'a>,
        value: Value<'a>,
        /// Revision and instants.
        meta: EntryMeta,
    },
    /// The key is absent from this revision on.
    Delete {
        key: Key<'a>,
        /// The change's number.
        revision: Revision,
    },
    /// Every key that begins with the prefix is absent from this revision on.
    Clear {
        /// The prefix, empty for all keys.
        prefix: &'a str,
        /// The change's number.
        revision: Revision,
    },
    /// The project has seen this instant: whatever was written before this revision and expires until
    /// then stays absent, even where the clock is set back later.
    ExpireUntil {
        /// The instant, milliseconds since 1970.
        at_ms: u64,
        /// The change's number.
        revision: Revision,
    },
}

impl Change<'_> {
    /// The change's number.
    pub fn revision(&self) -> Revision {
        match self {
            Change::Put { meta, .. } => meta.revision,
            Change::Delete { revision, .. }
            | Change::Clear { revision, .. }
            | Change::ExpireUntil { revision, .. } => *revision,
        }
    }
}
