//! PiKV: a key-value server over HTTP for small machines and curl scripts.
//!
//! The layers, lowest first; a file imports only from its own layer and from lower ones, and no two files import
//! each other in a circle (`tests/it/house/tidy.rs` checks both). docs/ARCHITECTURE.md walks one request through them.

// L1: names, bounds, and the outside world in small pieces.
pub mod clock;
pub mod descriptors;
pub mod digits;
pub mod disk;
pub mod entropy;
pub mod json;
pub mod limits;
pub mod log;
pub mod memory;
pub mod names;
pub mod network;
pub mod secret;

// L2: pure machines, without input, output or time; and the configuration.
pub mod config;
pub mod http;
pub mod router;
pub mod storage;
pub mod store;

// L3: bytes on disk.
pub mod persist;

// L4: decisions about who may do what; who has an account; which projects there are.
pub mod accounts;
pub mod auth;
pub mod catalog;

// L5: from a request to a reply.
pub mod api;

// L6: sockets and threads.
pub mod server;

// The command line.
pub mod cli;

// What the program does.
pub mod commands;
