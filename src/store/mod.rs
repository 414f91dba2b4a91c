//! The state of a project in memory: what its keys hold and every way that may change.
//!
//! Pure: no disk, no HTTP, no clock. Time is an argument, a decision is a [`change::Change`],
//! and [`namespace::Namespace::apply`] is the only way for one to get in, live and in recovery.

pub(crate) mod batch;
pub(crate) mod change;
pub(crate) mod commit;
pub(crate) mod decide;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod expiry;
pub(crate) mod index;
pub(crate) mod namespace;
mod page;
pub(crate) mod run;
pub(crate) mod times;
mod varint;
