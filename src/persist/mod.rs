//! A project that survives: its namespace in memory, its changes in a journal, its values in a file.
//!
//! ```text
//! write:      decide -> encode into `pending` -> apply            (project.rs, transaction.rs; under the lock)
//! writer:     take `pending` -> write -> sync -> resolve tickets  (writer_queue.rs, flush.rs, journal.rs)
//! checkpoint: namespace -> new pair of files -> exchange          (checkpoint.rs, generation.rs)
//! start:      pair of files -> namespace                          (recovery.rs: pairing.rs, replay.rs, takeover.rs)
//! ```
//! Three locks, taken in this order: `checkpoint`, held for the length of one; `journal`, held across I/O and never
//! taken by an event loop; `state`, held for microseconds and never across I/O.

pub mod aside;
pub mod checkpoint;
pub mod checkpoint_error;
pub mod data_file;
pub mod deletion;
mod edit;
pub mod edited_file;
pub mod engine;
pub mod flush;
pub mod generation;
pub mod guard;
pub mod header;
mod journal;
mod journal_lock;
mod json_reader;
pub mod leftovers;
mod line_copy;
mod long_lane;
mod loss;
pub mod maintenance;
pub mod own_files;
mod ownership;
mod pairing;
pub mod project;
pub mod queues;
pub mod record;
pub mod recovery;
pub mod recovery_error;
pub mod relocation;
mod renewal;
pub mod reopening;
mod repair;
mod replay;
mod rescue;
pub mod salvage;
pub mod seed;
pub mod sequential;
pub mod takeover;
pub mod ticket;
pub mod transaction;
pub mod unavailable;
mod unpoisoned;
pub mod value_reader;
pub mod watermark;
mod writer_queue;
