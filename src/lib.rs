//! PiKV: a key-value server over HTTP for small machines and curl scripts.
//!
//! The layers, lowest first; a file imports only from its own layer and from lower ones, and no two files import
//! each other in a circle (`tests/it/house/tidy.rs` checks both). docs/ARCHITECTURE.md walks one request through them.

#![cfg_attr(not(test), warn(unreachable_pub))]

// L1: names, bounds, disk, clock and log.
mod clock;
mod descriptors;
mod digits;
mod disk;
mod entropy;
mod json;
mod limits;
pub mod log;
mod memory;
mod names;
mod network;
mod secret;

// L2: pure state machines, without input, output or time; the configuration.
mod config;
mod http;
mod router;
mod store;

// L3: bytes on disk, and other servers.
mod http_client;
mod persist;

// L4: access decisions; where keys are stored.
mod auth;
mod storage;

// L5: accounts; projects.
mod accounts;
mod catalog;

// L6: requests to replies.
mod api;

// L7: sockets and threads.
mod server;

// L8: the command line.
pub mod cli;

// L9: the commands.
pub mod commands;

#[doc(hidden)]
pub mod testing;
