//! What reads ask for and find, whatever the engine.

use crate::store::batch::OneOrMany;
use crate::store::change::EntryMeta;
use crate::store::decide::{Conflict, Step};

/// What each operation of a batch did, or why none of them was done.
pub(crate) type Decided = Result<OneOrMany<Step>, Conflict>;

/// An entry that a closure renders.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub key: &'a str,
    /// Revision and times.
    pub meta: EntryMeta,
    /// Minified JSON text; of a scan without values, anything.
    pub value: &'a [u8],
}

/// What a read of one key finds.
pub enum Read<'a> {
    /// The key does not exist.
    Absent,
    /// The key is not in the state that the read asks for.
    Refused(EntryMeta),
    /// The entry.
    Found(Item<'a>),
}

/// Which entries a scan looks at, in the order of their keys.
#[derive(Clone, Copy)]
pub struct Scan<'s> {
    /// What the keys begin with.
    pub prefix: &'s str,
    /// The key after which it begins.
    pub after: Option<&'s str>,
    /// How many keys are wanted; `None` for all.
    pub keys_max: Option<usize>,
    /// It ends once keys and values have so many bytes.
    pub bytes_max: usize,
    /// Whether values are wanted, which may have to be read from the disk.
    pub with_values: bool,
}

/// How far a scan came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// The last key that it looked at, also if that has expired.
    pub last: Option<String>,
    /// Why it ended there.
    pub end: ScanEnd,
}

/// Why a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanEnd {
    /// There are no more keys.
    Exhausted,
    /// There is a key beyond those that were wanted.
    Limit,
    /// That is enough for one critical section. There may be more.
    Paused,
}

impl<'s> Scan<'s> {
    /// All keys that begin with `prefix`, with their values.
    pub fn under(prefix: &'s str) -> Scan<'s> {
        Scan { prefix, after: None, keys_max: None, bytes_max: usize::MAX, with_values: true }
    }
}
