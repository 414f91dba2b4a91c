//! Projects while the server runs: changes, checkpoints, and the threads that write them.

pub(crate) mod checkpoint;
pub(crate) mod checkpoint_error;
pub(crate) mod engine;
pub(in crate::persist) mod external_edit;
pub(crate) mod flush;
pub(in crate::persist) mod journal;
pub(in crate::persist) mod journal_lock;
pub(in crate::persist) mod long_lane;
pub(in crate::persist) mod loss;
pub(crate) mod maintenance;
pub(in crate::persist) mod ownership;
pub(crate) mod project;
pub(crate) mod queues;
pub(crate) mod relocation;
pub(crate) mod reopening;
pub(in crate::persist) mod repair;
pub(in crate::persist) mod rescue;
pub(crate) mod transaction;
pub(in crate::persist) mod unpoisoned;
pub(in crate::persist) mod writer_queue;
