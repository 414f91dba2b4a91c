//! The integration tests: one binary, folders by topic. This file is the map of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "helpers of tests may fail loudly, and read files as they like"
)]

mod fuzz_corpora;
mod harness;

mod api {
    pub mod core {
        pub mod batch;
        pub mod clears;
        pub mod conditions;
        pub mod errors;
        pub mod keys;
        pub mod listing;
        pub mod open_projects;
        pub mod project_settings;
        pub mod projects;
        pub mod ttl;
    }

    pub mod accounts {
        pub mod account_security;
        pub mod accounts_api;
        pub mod cookies;
        pub mod password_lane;
        pub mod register;
        pub mod sign_in;
    }

    pub mod site {
        pub mod browser;
        pub mod data_api;
        pub mod data_pages;
        pub mod negotiation;
    }

    pub mod item {
        pub mod item_rates;
    }

    pub mod object {
        pub mod object_batch;
        pub mod objects;
    }

    pub mod access {
        pub mod caching;
        pub mod credentials;
        pub mod forgery;
        pub mod proxies;
    }
}

mod faults;

mod http {
    pub mod framing;
    pub mod turns;
}

mod storage {
    pub mod damage_while_running;
    pub mod deletion_races;
    pub mod deletions;
    pub mod durability;
    pub mod edits_while_running;
    pub mod file_kinds;
    pub mod hand_edits;
    pub mod journal_damage;
    pub mod journal_headers;
    pub mod many_projects;
    pub mod mirror;
    pub mod mixed_pairs;
    pub mod model;
    pub mod reopening;
    pub mod salvage;
    pub mod storage_format;
    pub mod threads;
    pub mod writers;
}

mod simulation {
    pub mod account_faults;
    pub mod catalog_crashes;
    pub mod catalog_faults;
    pub mod crash_simulation;
    pub mod failed_sync;
    pub mod fault_injection;
    pub mod foreign_files;
    pub mod refused_changes;
    pub mod stale_blocks;
    pub mod unwritten_changes;
    pub mod values_file;
}

mod etcd {
    pub mod accounts;
    pub mod care;
    pub mod cells;
    pub mod checker;
    pub mod clears;
    pub mod contention;
    pub mod copies;
    pub mod expiry;
    pub mod faults;
    pub mod fences;
    pub mod histories;
    pub mod impostors;
    pub mod listings;
    pub mod migration;
    pub mod move_command;
    pub mod moves;
    pub mod partitions;
    pub mod races;
    pub mod records;
    pub mod refusals;
    pub mod restored;
    pub mod restores;
    pub mod sharing;
    pub mod starts;
    pub mod trial;
    pub mod two_cells;
    pub mod writers;
}

mod scripts;

mod operate {
    pub mod account_commands;
    pub mod commands;
    pub mod config_mounts;
    pub mod config_set;
    pub mod file_size_limit;
    pub mod project_descriptors;
    pub mod signals;
    pub mod start;
}

mod load {
    pub mod clients;
    pub mod crowd;
    pub mod fairness;
    pub mod memory;
    pub mod soak;
}

mod house {
    pub mod deploy;
    pub mod http_api;
    pub mod markdown;
    pub mod readme;
    pub mod security_document;
    pub mod tests_document;
    pub mod tidy;
}
