//! A project that survives: its key map in memory, its changes in a journal, its values in a file.
//!
//! ```text
//! write:      decide -> encode into `pending` -> apply            (project.rs, transaction.rs; under the lock)
//! writer:     take `pending` -> write -> sync -> resolve commits  (writer_queue.rs, flush.rs, journal.rs)
//! checkpoint: key map -> new pair of files -> swap                (checkpoint.rs, generation.rs)
//! start:      pair of files -> key map                            (recovery.rs: consistency.rs, replay.rs, import.rs)
//! ```
//! Three locks, taken in this order: `checkpoint`, held for the length of one; `journal`, held across I/O and never
//! taken by an event loop; `state`, held for microseconds and never across I/O.

pub mod files;
pub mod live;
pub mod start;
