//! Writes as data: the keys, the conditions, and the operations.
//!
//! Any engine that has the entries of the keys can decide a batch (`decide.rs`): the embedded one under its lock, or
//! one that had to fetch them.

use super::change::{EntryMeta, Revision};
use crate::names::Key;
use std::ops::Deref;

/// Operations that are decided and committed together. Each sees the effects of those before it.
pub struct Batch<'r> {
    pub ops: OneOrMany<Op<'r>>,
    /// What happens if the condition of one does not hold.
    pub otherwise: Otherwise,
    pub require: Require<'r>,
}

/// One element without an allocation, or several.
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

#[derive(Clone, Copy)]
pub struct Op<'r> {
    pub key: Key<'r>,
    /// The required state of the key.
    pub when: When<'r>,
    pub act: Act<'r>,
}

#[derive(Clone, Copy)]
pub enum Act<'r> {
    Get,
    Put {
        /// Minified JSON text.
        value: &'r [u8],
        /// Milliseconds until the key expires; `None` if it does not expire.
        ttl_ms: Option<u64>,
    },
    Delete,
    /// As a put, but with the times that the entry had elsewhere. One that has expired since is deleted.
    Restore {
        /// Minified JSON text.
        value: &'r [u8],
        created_ms: u64,
        updated_ms: u64,
        expires_ms: Option<u64>,
    },
}

/// The required state of a key: it matches the one list and not the other (RFC 9110, section 13.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct When<'r> {
    pub matches: Option<Revisions<'r>>,
    pub matches_none: Option<Revisions<'r>>,
}

/// Revisions of a key. An absent key has none.
#[derive(Clone, Copy, Debug)]
pub enum Revisions<'r> {
    Any,
    Of(&'r [Revision]),
}

/// What happens if the condition of an operation does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing of the batch is applied.
    Abort,
    /// This operation is not applied.
    Skip,
}

/// What a batch requires apart from the conditions of its operations. Otherwise nothing of it is applied.
#[derive(Clone, Copy)]
pub struct Require<'r> {
    pub present: Option<Key<'r>>,
    /// The maximum number of keys afterwards, if the batch adds any.
    pub keys_max: Option<u64>,
    /// The maximum bytes of the values that it reads; the first value alone may have more.
    pub read_bytes_max: u64,
    /// The same, but for the first value, too.
    pub memory_bytes_max: u64,
}

impl<'r> Batch<'r> {
    pub fn one(op: Op<'r>) -> Batch<'r> {
        Batch { ops: OneOrMany::One(op), otherwise: Otherwise::Abort, require: Require::NOTHING }
    }

    pub fn is_read_only(&self) -> bool {
        self.ops.iter().all(|op| matches!(op.act, Act::Get))
    }

    pub fn many(ops: Vec<Op<'r>>, otherwise: Otherwise) -> Batch<'r> {
        Batch { ops: OneOrMany::Many(ops), otherwise, require: Require::NOTHING }
    }
}

impl<'r> Op<'r> {
    /// Sets `key` to the minified JSON text `value`, for `ttl_ms` or without expiry.
    pub fn put(key: Key<'r>, value: &'r [u8], ttl_ms: Option<u64>) -> Op<'r> {
        Op { key, when: When::ALWAYS, act: Act::Put { value, ttl_ms } }
    }

    pub fn get(key: Key<'r>) -> Op<'r> {
        Op { key, when: When::ALWAYS, act: Act::Get }
    }

    pub fn delete(key: Key<'r>) -> Op<'r> {
        Op { key, when: When::ALWAYS, act: Act::Delete }
    }

    /// Sets `key` to a copy of an entry: its value, and the times in `meta`. Its revision is a new one.
    pub fn restore(key: Key<'r>, value: &'r [u8], meta: EntryMeta) -> Op<'r> {
        let EntryMeta { created_ms, updated_ms, expires_ms, .. } = meta;
        Op { key, when: When::ALWAYS, act: Act::Restore { value, created_ms, updated_ms, expires_ms } }
    }

    #[must_use]
    pub fn when(self, when: When<'r>) -> Op<'r> {
        Op { when, ..self }
    }
}

impl<'r> Act<'r> {
    /// The value that it stores, if it stores one.
    pub fn stored(self) -> Option<&'r [u8]> {
        match self {
            Act::Put { value, .. } | Act::Restore { value, .. } => Some(value),
            Act::Get | Act::Delete => None,
        }
    }
}

impl When<'_> {
    pub const ALWAYS: When<'static> = When { matches: None, matches_none: None };
    pub const ABSENT: When<'static> = When { matches: None, matches_none: Some(Revisions::Any) };
    pub const PRESENT: When<'static> = When { matches: Some(Revisions::Any), matches_none: None };

    /// Whether a key with this revision, or an absent one, is in the required state.
    pub fn holds(&self, revision: Option<Revision>) -> bool {
        self.matches.is_none_or(|wanted| wanted.contain(revision))
            && !self.matches_none.is_some_and(|unwanted| unwanted.contain(revision))
    }
}

impl<'r> When<'r> {
    pub fn revision_in(revisions: &'r [Revision]) -> When<'r> {
        When { matches: Some(Revisions::Of(revisions)), matches_none: None }
    }
}

impl Revisions<'_> {
    pub fn contain(&self, revision: Option<Revision>) -> bool {
        match (self, revision) {
            (_, None) => false,
            (Revisions::Any, Some(_)) => true,
            (Revisions::Of(revisions), Some(revision)) => revisions.contains(&revision),
        }
    }
}

impl Require<'_> {
    pub const NOTHING: Require<'static> =
        Require { present: None, keys_max: None, read_bytes_max: u64::MAX, memory_bytes_max: u64::MAX };
}

impl<T> Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}
