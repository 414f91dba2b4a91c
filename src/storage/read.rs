//! The requests and results of reads, for any engine.

use crate::store::batch::OneOrMany;
use crate::store::change::EntryMeta;
use crate::store::decide::{Conflict, Step};

/// The result of each operation of a batch, or why none was applied.
pub(crate) type Decided = Result<OneOrMany<Step>, Conflict>;

#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub key: &'a str,
    /// Of a scan for names, anything.
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
    pub parts: Parts,
    /// Of the page before; the default for the first page.
    pub continuation: Continuation,
}

/// What a scan is to find of each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    Names,
    /// Names, revisions and times.
    Metas,
    /// The same and the values, which may have to be read from the disk.
    Values,
}

/// How an engine continues a scan of several pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Continuation {
    /// The revision of the cell that all pages show; 0 for the present.
    pub(super) revision: i64,
    /// The number of keys to ask for at once; 0 if no page was read yet.
    pub(super) keys: usize,
}

/// How much a bucket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketTotals {
    pub keys: u64,
    /// Bytes of the names and minified values; `None` if the engine does not know.
    pub bytes: Option<u64>,
}

/// The end of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// The last key that it passed, even if that has expired.
    pub last: Option<String>,
    pub end: ScanEnd,
    pub continuation: Continuation,
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
        let (parts, continuation) = (Parts::Values, Continuation::default());
        Scan { prefix, after: None, keys_max: None, bytes_max: usize::MAX, parts, continuation }
    }
}
