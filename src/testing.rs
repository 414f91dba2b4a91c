//! What the tests and the benchmarks use of the crate. No interface: it changes with them.

pub mod accounts {
    pub use crate::accounts::{Accounts, AccountsError, OpenError};
    pub mod account {
        pub use crate::accounts::account::{Account, AccountId, Profile};
    }
    pub mod directory {
        pub use crate::accounts::directory::Update;
    }
}
pub mod api {
    pub mod error {
        pub use crate::api::error::ApiError;
    }
    pub mod reply {
        pub use crate::api::reply::Reply;
    }
    pub mod routes {
        pub use crate::api::routes::*;
    }
    pub mod state {
        pub use crate::api::state::{App, Arrival};
    }
}
pub mod auth {
    pub mod jwt {
        pub use crate::auth::jwt::{Claims, SigningKey, TokenError, issue, looks_like_token, verify};
    }
    pub mod password {
        pub use crate::auth::password::*;
    }
    pub mod throttle {
        pub use crate::auth::throttle::Throttle;
    }
}
pub mod catalog {
    pub use crate::catalog::{Catalog, ChangeError, Served};
    pub mod keys {
        pub use crate::catalog::keys::ensure_keys;
    }
}
pub mod clock {
    pub use crate::clock::*;
}
pub mod config {
    pub mod field {
        pub use crate::config::field::{Kind, Value};
    }
    pub mod file {
        pub use crate::config::file::*;
    }
    pub mod schema {
        pub use crate::config::schema::{
            AuthenticationChoice, Config, ProjectConfig, StorageChoice, SyncMode,
        };
    }
    pub mod setting {
        pub use crate::config::setting::Presence;
    }
    pub mod settings {
        pub use crate::config::settings::{PROJECT_SETTINGS, SETTINGS};
    }
}
pub mod disk {
    pub use crate::disk::{
        Disk, DiskFile, Identity, Open, RealDisk, Stamp, Status, parent_directory, temporary_path,
        write_all_at,
    };
}
pub mod entropy {
    pub use crate::entropy::*;
}
pub mod http {
    pub mod body {
        pub use crate::http::body::{BodyDecoder, Decoded};
    }
    pub mod exchange {
        pub use crate::http::exchange::{Bounds, Exchange, Step, Waiting};
    }
    pub mod head {
        pub use crate::http::head::*;
    }
    pub mod refusal {
        pub use crate::http::refusal::{Malformed, Refusal};
    }
    pub mod request {
        pub use crate::http::request::{Framing, Head, Method, Request, Version};
    }
    pub mod response {
        pub use crate::http::response::*;
    }
    pub mod target {
        pub use crate::http::target::{Target, TargetError, decode, decode_query, encode_query, pairs};
    }
}
pub mod json {
    pub use crate::json::*;
}
pub mod limits {
    pub use crate::limits::{
        BATCH_OPERATIONS_MAX, BCRYPT_COST_DEFAULT, BODY_BYTES_MAX_DEFAULT, BODY_DEPTH_MAX,
        CHUNK_EXTENSION_BYTES_MAX, ENDED_LOOKED_AT_MAX, FIELDS_MAX, FILE_BUFFER_BYTES, FILES_FRESH_MS,
        HEAD_BYTES_MAX, LEADING_EMPTY_LINES_MAX, LISTING_PIECE_BYTES, LOGIN_ATTEMPTS_OF_ACCOUNT_MAX,
        LOGIN_ATTEMPTS_OF_ADDRESS_MAX, LOGIN_ATTEMPTS_OF_PAIR_MAX, LOGIN_COUNTERS_MAX,
        LOGIN_PAIR_KNOWN_SECONDS, LOGIN_WINDOW_SECONDS, LONG_KEYS_MIN, MEMORY_BYTES_MAX_DEFAULT,
        OUTPUT_BYTES_HIGH, PAGE_BYTES_MAX, PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN, PASSWORD_QUEUE_MAX,
        PASSWORD_THREADS_MAX, PROJECTS_PER_OPENING_THREAD_MIN, RATE_LIMIT_REQUESTS_DEFAULT,
        RATE_LIMIT_WINDOW_SECONDS_DEFAULT, REGISTRATION_WINDOW_SECONDS, REGISTRATIONS_OF_ADDRESS_MAX,
        REQUESTS_PER_TURN_MAX, SESSION_SECONDS, TARGET_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_LEEWAY_SECONDS_MAX,
        TRAILER_BYTES_MAX, VALUE_DEPTH_MAX, WRITERS_MAX,
    };
}
pub mod memory {
    pub use crate::memory::Memory;
}
pub mod names {
    pub use crate::names::{InternalProject, Key, ProjectId, Username};
}
pub mod persist {
    pub mod files {
        pub mod deletion {
            pub use crate::persist::files::deletion::*;
        }
        pub mod generation {
            pub use crate::persist::files::generation::Paths;
        }
        pub mod guard {
            pub use crate::persist::files::guard::DirectoryGuard;
        }
        pub mod header {
            pub use crate::persist::files::header::*;
        }
        pub mod record {
            pub use crate::persist::files::record::*;
        }
        pub mod seed {
            pub use crate::persist::files::seed::Seed;
        }
        pub mod watermark {
            pub use crate::persist::files::watermark::*;
        }
    }
    pub mod live {
        pub mod checkpoint_error {
            pub use crate::persist::live::checkpoint_error::CheckpointError;
        }
        pub mod engine {
            pub use crate::persist::live::engine::{Engine, WorkerThreads};
        }
        pub mod project {
            pub use crate::persist::live::project::{Health, OpenOptions, Project, View};
        }
        pub mod transaction {
            pub use crate::persist::live::transaction::Transaction;
        }
    }
    pub mod start {
        pub mod import {
            pub use crate::persist::start::import::*;
        }
        pub mod recovery {
            pub use crate::persist::start::recovery::ValueCache;
        }
        pub mod recovery_error {
            pub use crate::persist::start::recovery_error::RecoveryError;
        }
        pub mod salvage {
            pub use crate::persist::start::salvage::{Damage, Problem, Salvage, salvage};
        }
    }
}
pub mod router {
    pub use crate::router::*;
}
pub mod secret {
    pub use crate::secret::KeyHash;
}
pub mod storage {
    pub use crate::storage::{Bucket, Item, Outcome, Read, Scan, ScanEnd};
    pub mod embedded {
        pub use crate::storage::embedded::{Engine, Project, ValueCache, values_of};
    }
}
pub mod store {
    pub mod batch {
        pub use crate::store::batch::{Act, Batch, Op, Otherwise, Revisions, When};
    }
    pub mod change {
        pub use crate::store::change::{Change, Meta, Revision, Value};
    }
    pub mod commit {
        pub use crate::store::commit::{Commit, CommitState};
    }
    pub mod decide {
        pub use crate::store::decide::*;
    }
    pub mod entry {
        pub use crate::store::entry::Entry;
    }
    pub mod error {
        pub use crate::store::error::StorageError;
    }
    pub mod namespace {
        pub use crate::store::namespace::Namespace;
    }
}
