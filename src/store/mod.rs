//! The state of a project in memory: what its keys hold and every way that may change.
//!
//! Pure: no disk, no HTTP, no clock. Time is an argument, a decision is a [`change::Change`],
//! and [`namespace::Namespace::apply`] is the only way for one to get in, live and in recovery.

pub mod batch;
pub mod change;
pub mod commit;
pub mod decide;
pub mod entry;
pub mod error;
pub(crate) mod expiry;
pub(crate) mod index;
pub mod key_map;
mod page;
pub(crate) mod run;
pub(crate) mod times;
mod varint;
