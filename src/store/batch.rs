//! Writes as data: which keys, under which conditions, and what becomes of them.
//!
//! A batch can be decided by whoever has the entries of its keys: the embedded engine under its lock, or an
//! engine that had to fetch them (`decide.rs`).

use super::change::Revision;
use crate::names::Key;
use std::ops::Deref;

/// Operations that are decided and committed together. Each sees what those before it do.
pub struct Batch<'r> {
    /// The operations, in their order.
    pub ops: OneOrMany<Op<'r>>,
    /// What happens if the condition of one does not hold.
    pub otherwise: Otherwise,
    /// What has to hold beside the conditions.
    pub require: Require<'r>,
}

/// One element without an allocation, or several.
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Any number.
    Many(Vec<T>),
}

/// An operation on one key.
#[derive(Clone, Copy)]
pub struct Op<'r> {
    pub key: Key<'r>,
    /// The state that it has to be in.
    pub when: When<'r>,
    /// What is done.
    pub act: Act<'r>,
}

/// What an operation does.
#[derive(Clone, Copy)]
pub enum Act<'r> {
    /// Reads the key.
    Get,
    /// Gives it a value.
    Put {
        /// Minified JSON text.
        value: &'r [u8],
        /// Milliseconds until it expires; `None` keeps it for ever.
        ttl_ms: Option<u64>,
    },
    /// Removes it, if it exists.
    Delete,
}

/// The state that a key has to be in: it matches the one list and none of the other (RFC 9110, section 13.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct When<'r> {
    /// Its revision has to be among these.
    pub matches: Option<Revisions<'r>>,
    /// Its revision has to be none of these.
    pub matches_none: Option<Revisions<'r>>,
}

/// Revisions of a key. An absent key has none.
#[derive(Clone, Copy, Debug)]
pub enum Revisions<'r> {
    /// All of them.
    Any,
    /// These.
    Of(&'r [Revision]),
}

/// What happens if the condition of an operation does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing of the batch is done.
    Abort,
    /// This operation is not done.
    Skip,
}

/// What a batch needs beside the conditions of its operations. Nothing of it is done otherwise.
#[derive(Clone, Copy)]
pub struct Require<'r> {
    /// This key exists.
    pub present: Option<Key<'r>>,
    /// There are at most so many keys afterwards, if the batch adds any.
    pub keys_max: Option<u64>,
    /// Its reads find at most so many bytes of values, unless the first of them alone has more.
    pub read_bytes_max: u64,
    /// Its reads find at most so many bytes of values, even the first.
    pub memory_bytes_max: u64,
}

impl<'r> Batch<'r> {
    /// A batch of one operation.
    pub fn one(op: Op<'r>) -> Batch<'r> {
        Batch { ops: OneOrMany::One(op), otherwise: Otherwise::Abort, require: Require::NOTHING }
    }

    /// Whether it changes nothing.
    pub fn is_read_only(&self) -> bool {
        self.ops.iter().all(|op| matches!(op.act, Act::Get))
    }

    /// A batch of several operations.
    pub fn many(ops: Vec<Op<'r>>, otherwise: Otherwise) -> Batch<'r> {
        Batch { ops: OneOrMany::Many(ops), otherwise, require: Require::NOTHING }
    }
}

impl<'r> Op<'r> {
    /// Gives `key` the minified JSON text `value`, for ever or for `ttl_ms`.
    pub fn put(key: Key<'r>, value: &'r [u8], ttl_ms: Option<u64>) -> Op<'r> {
        Op { key, when: When::ALWAYS, act: Act::Put { value, ttl_ms } }
    }

    /// Reads `key`.
    pub fn get(key: Key<'r>) -> Op<'r> {
        Op { key, when: When::ALWAYS, act: Act::Get }
    }

    /// Removes `key`, if it exists.
    pub fn delete(key: Key<'r>) -> Op<'r> {
        Op { key, when: When::ALWAYS, act: Act::Delete }
    }

    /// This operation under a condition.
    #[must_use]
    pub fn when(self, when: When<'r>) -> Op<'r> {
        Op { when, ..self }
    }
}

impl When<'_> {
    /// No condition.
    pub const ALWAYS: When<'static> = When { matches: None, matches_none: None };
    /// The key does not exist.
    pub const ABSENT: When<'static> = When { matches: None, matches_none: Some(Revisions::Any) };
    /// The key exists.
    pub const PRESENT: When<'static> = When { matches: Some(Revisions::Any), matches_none: None };

    /// Whether a key with this revision, or an absent one, is in that state.
    pub fn holds(&self, revision: Option<Revision>) -> bool {
        self.matches.is_none_or(|wanted| wanted.contain(revision))
            && !self.matches_none.is_some_and(|unwanted| unwanted.contain(revision))
    }
}

impl<'r> When<'r> {
    /// The key has one of `revisions`.
    pub fn revision_in(revisions: &'r [Revision]) -> When<'r> {
        When { matches: Some(Revisions::Of(revisions)), matches_none: None }
    }
}

impl Revisions<'_> {
    /// Whether a key with this revision is meant.
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
