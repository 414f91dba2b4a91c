//! The integration tests: one binary, one module per claim about the server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "helpers of tests may fail loudly, and read files as they like"
)]

mod crash_simulation;
mod fault_injection;
#[allow(dead_code, unused_imports, reason = "a client for all tests, of which each uses a part")]
mod harness;
mod journal_damage;
mod model;
mod sim_disk;
mod threads;
mod tidy;
mod workload;
