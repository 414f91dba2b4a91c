//! The engine on etcd: entries in a cluster that several instances share.
//!
//! ```text
//! Bucket ---> EtcdBucket ---> Cell ---> gateway ---> HttpClient ---> a member's JSON gateway
//! ```
//! A call blocks until the cell has answered, so handlers of a project on etcd run on a pool of their own.

mod bucket;
pub mod caretaker;
pub mod cell;
mod cell_error;
pub mod cells;
pub mod claim;
mod clear;
pub mod due;
mod fetch;
pub mod gateway;
mod layout;
mod look;
mod member;
pub mod moving;
pub mod placement;
pub mod record;
mod restore;
mod scan;
mod shared_clock;
pub mod state;
pub mod sweep;
mod version;
mod write;

pub use bucket::{EtcdBucket, Fence};
pub use caretaker::Caretaker;
pub use cells::Cells;
pub(super) use fetch::Values;
