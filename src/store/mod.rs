//! The state of a project in memory: its keys with their values, and every possible change.
//!
//! Pure: no disk, no HTTP, no clock. Time is an argument, a decision is a [`change::Change`], and
//! [`key_map::KeyMap::apply`] is the only way to apply one, live and in recovery.

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
