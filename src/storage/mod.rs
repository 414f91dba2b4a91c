//! The storage of keys, and the only access to it for all layers above.
//!
//! ```text
//! api, accounts ---> Keyspace ---> Bucket ---> embedded ---> persist
//! ```
//! A write is data ([`crate::store::batch::Batch`]); the engine that has the entries decides it (`store::decide`). A read passes a closure
//! that renders borrowed entries under the engine's lock, so that no value is copied. If a value lies only on disk, the
//! same closure runs later ([`Outcome::Blocking`]). Nothing here knows HTTP or access rights.

mod bucket;
pub mod copy;
pub mod embedded;
pub mod etcd;
mod keyspace;
mod outcome;
mod read;

pub use bucket::{Blocks, Bucket};
pub(crate) use embedded::Found;
pub(crate) use keyspace::Keyspace;
pub use outcome::Outcome;
pub(crate) use read::Decided;
pub(crate) use read::Scanned;
pub use read::{BucketTotals, Continuation, Item, Parts, Read, Scan, ScanEnd};
