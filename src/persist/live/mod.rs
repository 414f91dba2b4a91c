//! Projects while the server runs: changes, checkpoints, and the threads that write them.

pub(crate) mod checkpoint;
pub mod checkpoint_error;
mod external_edit;
pub(crate) mod flush;
mod journal;
mod journal_lock;
mod long_lane;
mod loss;
pub(crate) mod maintenance;
mod ownership;
pub mod project;
pub(crate) mod queues;
pub(crate) mod relocation;
pub(crate) mod reopening;
mod repair;
mod rescue;
pub mod transaction;
mod unpoisoned;
pub mod worker_threads;
mod writer_queue;
