//! The integration tests: one binary, one module per claim about the server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "helpers of tests may fail loudly, and read files as they like"
)]

mod account_commands;
mod account_faults;
mod account_security;
mod accounts_api;
mod batch;
mod browser;
mod caching;
mod catalog_crashes;
mod catalog_faults;
mod clears;
mod commands;
mod conditions;
mod config_mounts;
mod cookies;
mod cors;
mod crash_simulation;
mod credentials;
mod crowd;
mod damage_while_running;
mod data_api;
mod data_pages;
mod deletion_races;
mod deletions;
mod durability;
mod edits_while_running;
mod errors;
mod failed_sync;
mod fairness;
mod fault_injection;
mod faults;
mod file_kinds;
mod file_size_limit;
mod files;
mod foreign_files;
mod forgery;
mod framing;
mod fuzz_corpora;
mod hand_edits;
mod harness;
mod http_api;
mod item_rates;
mod items;
mod journal_damage;
mod journal_headers;
mod keys;
mod kv;
mod listing;
mod load;
mod many_projects;
mod markdown;
mod memory;
mod mixed_pairs;
mod model;
mod negotiation;
mod object_batch;
mod objects;
mod open_projects;
mod password_lane;
mod people;
mod project_descriptors;
mod project_settings;
mod projects;
mod proxies;
mod readme;
mod refused_changes;
mod register;
mod reopening;
mod salvage;
mod security_document;
mod sign_in;
mod signals;
mod sim_disk;
mod soak;
mod stale_blocks;
mod start;
mod storage_format;
mod threads;
mod tidy;
mod ttl;
mod turns;
mod unwritten_changes;
mod values_file;
mod visitors;
mod workload;
mod writers;
