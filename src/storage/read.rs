//! The requests and results of reads, for any engine.

use crate::store::batch::OneOrMany;
use crate::store::change::EntryMeta;
use crate::store::decide::{Conflict, Step};

/// The result of each operation of a batch, or why none was applied.
pub(crate) type Decided = Result<OneOrMany<Step>, Conflict>;

#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub key: &'a str,
    pub meta: EntryMeta,
    /// Minified JSON text; of a scan without values, anything.
    pub value: &'a [u8],
}

pub enum Read<'a> {
    Absent,
    /// The key does not meet the condition of the read.
    Refused(EntryMeta),
    Found(Item<'a>),
}

/// The range of a scan, in key order.
#[derive(Clone, Copy)]
pub struct Scan<'s> {
    pub prefix: &'s str,
    pub after: Option<&'s str>,
    /// `None` for all.
    pub keys_max: Option<usize>,
    /// The scan pauses once keys and values have this many bytes.
    pub bytes_max: usize,
    /// Whether values are wanted, which may have to be read from the disk.
    pub with_values: bool,
}

/// The end of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// The last key that it passed, even if that has expired.
    pub last: Option<String>,
    pub end: ScanEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanEnd {
    Exhausted,
    /// There are more keys than `keys_max`.
    Limit,
    /// The bound of one critical section is reached. There may be more keys.
    Paused,
}

impl<'s> Scan<'s> {
    /// All keys that begin with `prefix`, with their values.
    pub fn under(prefix: &'s str) -> Scan<'s> {
        Scan { prefix, after: None, keys_max: None, bytes_max: usize::MAX, with_values: true }
    }
}
