//! Projects while the server runs: changes, checkpoints, and the threads that write them.

pub mod checkpoint;
pub mod checkpoint_error;
pub mod engine;
pub(in crate::persist) mod external_edit;
pub mod flush;
pub(in crate::persist) mod journal;
pub(in crate::persist) mod journal_lock;
pub(in crate::persist) mod long_lane;
pub(in crate::persist) mod loss;
pub mod maintenance;
pub(in crate::persist) mod ownership;
pub mod project;
pub mod queues;
pub mod relocation;
pub mod reopening;
pub(in crate::persist) mod repair;
pub(in crate::persist) mod rescue;
pub mod transaction;
pub(in crate::persist) mod unpoisoned;
pub(in crate::persist) mod writer_queue;
