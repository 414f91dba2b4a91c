//! The engine on etcd: entries in a cluster that several instances share.
//!
//! ```text
//! Bucket ---> EtcdBucket ---> Cell ---> gateway ---> HttpClient ---> a member's JSON gateway
//! ```
//! A call blocks until the cell has answered, so handlers of a project on etcd run on a pool of their own.

mod bucket;
pub mod cell;
pub mod gateway;
mod layout;
pub mod placement;
pub mod record;
pub mod sweep;

pub use bucket::{EtcdBucket, Fence};
