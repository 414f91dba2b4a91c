//! How a project lies in a cell: the keys of its entries, and an entry as a value of etcd.
//!
//! | Key in etcd | Value |
//! |---|---|
//! | `e/PROJECT` | the record of the project; every write of it invalidates what instances remember of the project |
//! | `v/PROJECT/KEY` | an entry: a version byte, three instants, minified JSON |
//! | `x/EXPIRES/PROJECT/KEY` | nothing; lists what expires, the earliest first |
//! | `m/PROJECT` | nothing; written by each command that puts the project on the cell or takes it off |
//! | `r/PROJECT` | nothing; written by a batch that changes no other key, so that its revision is its own |
//! | `s/cluster` | JSON: the name of the cell and the cluster that the bases of its projects were chosen for |
//! | `s/lead` | a number: by how much the log was ahead of the revision, see `restore.rs` |
//! | `s/clock` | milliseconds since 1970: the time of the cell, see `shared_clock.rs` |
//!
//! A project id has no `/`, so no project is found under the prefix of another.

use super::gateway::{Bytes, Range};
use crate::names::ProjectId;
use crate::store::change::{EntryMeta, Revision};

/// The first byte of an entry.
const ENTRY_VERSION: u8 = 1;
/// Version, then created, updated and expires, big-endian milliseconds since 1970. 0: it does not expire.
const HEAD_BYTES: usize = 1 + 3 * 8;

/// The keys of one project.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// `v/PROJECT/`.
    entries: String,
    id: ProjectId,
    /// What is added to a revision of the cell, so that revisions never repeat.
    base: u64,
}

/// An entry as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredEntry<'s> {
    pub meta: EntryMeta,
    pub value: &'s [u8],
}

impl Layout {
    pub(super) fn new(id: ProjectId, base: u64) -> Layout {
        Layout { entries: format!("v/{id}/"), id, base }
    }

    pub(super) fn id(&self) -> &ProjectId {
        &self.id
    }

    /// Where the entry of `key`, or the keys that begin with it, are.
    pub(super) fn entry(&self, key: &str) -> Bytes {
        Bytes::from(format!("{}{key}", self.entries))
    }

    /// The key of an entry at `stored`.
    pub(super) fn key_of<'k>(&self, stored: &'k Bytes) -> Option<&'k str> {
        str::from_utf8(&stored.0).ok()?.strip_prefix(&self.entries)
    }

    /// Where the expiry of `key` is listed.
    pub(super) fn expiry(&self, expires_ms: u64, key: &str) -> Bytes {
        Bytes::from(format!("x/{expires_ms:016x}/{}/{key}", self.id))
    }

    /// Where the entry is whose expiry is listed at `listed`; `None` if it is one of another project.
    pub(super) fn entry_of_expiry(&self, listed: &Bytes) -> Option<Bytes> {
        let (entry, _) = entry_of_expiry(listed)?;
        entry.0.starts_with(self.entries.as_bytes()).then_some(entry)
    }

    pub(super) fn own_revision(&self) -> Bytes {
        own_revision(&self.id)
    }

    /// `mod_revision` of the cell as a revision of the project.
    pub(super) fn revision(&self, mod_revision: i64) -> Option<Revision> {
        Revision::new(self.base.checked_add(u64::try_from(mod_revision).ok()?)?)
    }

    /// The revision of the cell that `revision` stands for; -1, which no key has, if it stands for none.
    pub(super) fn mod_revision(&self, revision: Revision) -> i64 {
        let own = revision.get().checked_sub(self.base).and_then(|own| i64::try_from(own).ok());
        own.filter(|own| *own > 0).unwrap_or(-1)
    }

    /// What is stored of an entry. Its revision is that of the transaction.
    pub(super) fn encode(meta: EntryMeta, value: &[u8]) -> Bytes {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + value.len());
        bytes.push(ENTRY_VERSION);
        for instant_ms in [meta.created_ms, meta.updated_ms, meta.expires_ms.unwrap_or(0)] {
            bytes.extend_from_slice(&instant_ms.to_be_bytes());
        }
        bytes.extend_from_slice(value);
        Bytes(bytes)
    }

    /// Reads what [`Layout::encode`] wrote; `None` for anything else.
    pub(super) fn decode<'s>(&self, mod_revision: i64, stored: &'s Bytes) -> Option<StoredEntry<'s>> {
        let (&ENTRY_VERSION, rest) = stored.0.split_first()? else { return None };
        let (created, rest) = rest.split_first_chunk()?;
        let (updated, rest) = rest.split_first_chunk()?;
        let (expires, value) = rest.split_first_chunk()?;
        let expires_ms = u64::from_be_bytes(*expires);
        let meta = EntryMeta {
            revision: self.revision(mod_revision)?,
            created_ms: u64::from_be_bytes(*created),
            updated_ms: u64::from_be_bytes(*updated),
            expires_ms: (expires_ms != 0).then_some(expires_ms),
        };
        Some(StoredEntry { meta, value })
    }
}

pub(super) fn own_revision(id: &ProjectId) -> Bytes {
    Bytes::from(format!("r/{id}"))
}

/// Where the marker of who may put a project on the cell, or take it off, is.
pub(super) fn claim(id: &ProjectId) -> Bytes {
    Bytes::from(format!("m/{id}"))
}

/// Where the record of a project is.
pub(super) fn record(id: &ProjectId) -> Bytes {
    Bytes::from(format!("e/{id}"))
}

/// All listed expiries, and the end of those up to `now_ms`.
pub(super) fn expired(now_ms: u64) -> (Bytes, Bytes) {
    (Bytes::from(&b"x/"[..]), Bytes::from(format!("x/{:016x}", now_ms.saturating_add(1))))
}

/// What reads the listed expiries up to `now_ms`, at most `keys_max`.
pub(super) fn due(now_ms: u64, keys_max: usize) -> Range {
    let (key, range_end) = expired(now_ms);
    let range_end = Some(range_end);
    Range { key, range_end, keys_only: true, ..Range::default() }.at_most(keys_max)
}

/// Where the entry is whose expiry is listed at `listed`, and when it expires.
pub(super) fn entry_of_expiry(listed: &Bytes) -> Option<(Bytes, u64)> {
    let rest = str::from_utf8(&listed.0).ok()?.strip_prefix("x/")?;
    let (expires, name) = rest.split_once('/')?;
    Some((Bytes::from(format!("v/{name}")), u64::from_str_radix(expires, 16).ok()?))
}

/// When the entry in `stored` expires.
pub(super) fn expires_ms(stored: &Bytes) -> Option<u64> {
    let (_, rest) = stored.0.split_at_checked(HEAD_BYTES - 8)?;
    rest.first_chunk().map(|expires| u64::from_be_bytes(*expires))
}

/// A number that is stored as its digits.
pub(super) fn number<N: std::str::FromStr>(stored: &Bytes) -> Option<N> {
    str::from_utf8(&stored.0).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(id: &str) -> Layout {
        Layout::new(ProjectId::parse(id).unwrap(), 1_000)
    }

    #[test]
    fn an_entry_is_read_back_as_it_was_written() {
        for expires_ms in [None, Some(9)] {
            let meta = EntryMeta {
                revision: Revision::new(1_007).unwrap(),
                created_ms: 1,
                updated_ms: 2,
                expires_ms,
            };
            let stored = Layout::encode(meta, b"{}");
            let read = layout("a").decode(7, &stored).unwrap();
            assert_eq!((read.meta, read.value), (meta, &b"{}"[..]));
            assert_eq!(super::expires_ms(&stored), Some(expires_ms.unwrap_or(0)));
            for cut in 0..HEAD_BYTES {
                assert!(layout("a").decode(7, &Bytes(stored.0[..cut].to_vec())).is_none(), "{cut}");
            }
        }
        assert!(layout("a").decode(7, &Bytes(vec![2; 40])).is_none(), "a later version");
    }

    #[test]
    fn key_ranges_of_projects_do_not_overlap() {
        assert_eq!(layout("a").entry("b/c"), Bytes::from(&b"v/a/b/c"[..]));
        assert_eq!(layout("a").key_of(&layout("a").entry("b/c")), Some("b/c"));
        assert_eq!(layout("a").key_of(&layout("ab").entry("c")), None);
        let listed = layout("a").expiry(255, "b/c");
        assert_eq!(entry_of_expiry(&listed), Some((layout("a").entry("b/c"), 255)));
        assert_eq!(layout("a").entry_of_expiry(&listed), Some(layout("a").entry("b/c")));
        assert_eq!(layout("ab").entry_of_expiry(&listed), None);
        let (from, to) = expired(255);
        assert!(from < listed && listed < to);
        assert!(layout("a").expiry(256, "") > to);
    }
}
