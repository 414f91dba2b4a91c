//! `limits` and `timeouts`: the bounds of [`crate::limits`] that the operator may change.

use super::schema::Config;
use crate::descriptors::Held;
use crate::limits::{
    BODY_BYTES_MAX_DEFAULT, BODY_BYTES_PER_SECOND_MIN_DEFAULT, BODY_GRACE_MS_DEFAULT,
    CONNECTIONS_MAX_DEFAULT, HEAD_TIMEOUT_MS_DEFAULT, IDLE_TIMEOUT_MS_DEFAULT, MEMORY_BODIES_MIN,
    MEMORY_BYTES_MAX_DEFAULT, SHUTDOWN_TIMEOUT_MS, WRITE_TIMEOUT_MS_DEFAULT,
};
use serde::Serialize;

/// `limits` as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitsChoice {
    /// Body of one request, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes_max: Option<usize>,
    /// Connections open at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<usize>,
    /// Connections of one client address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_address_max: Option<PerAddress>,
    /// Memory of requests and answers under way, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<usize>,
}

/// A bound for each client address, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PerAddress {
    /// `null`: there is none.
    Unbounded,
    /// At most so many.
    Max(usize),
}

/// `limits` in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Body of one request, bytes.
    pub body_bytes_max: usize,
    /// Connections open at once; fewer where the process may not have so many descriptors.
    pub connections_max: usize,
    /// Connections of one client address; `None` for as many as there are.
    pub connections_per_address_max: Option<usize>,
    /// Memory of requests and answers under way, bytes; at least [`MEMORY_BODIES_MIN`] bodies.
    pub memory_bytes_max: usize,
}

/// `timeouts` as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimeoutsChoice {
    /// A request head must be complete after this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_seconds: Option<u64>,
    /// Grace before the rate of a body counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_grace_seconds: Option<u64>,
    /// Slowest accepted body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes_per_second_min: Option<u64>,
    /// A connection without a request is closed after this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
    /// A client that takes nothing of its answer is given up after this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_seconds: Option<u64>,
    /// Running requests may finish for this long at shutdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_seconds: Option<u64>,
}

/// `timeouts` in force, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A request head must be complete after this long.
    pub head_ms: u64,
    /// Grace before the rate of a body counts.
    pub body_grace_ms: u64,
    /// Slowest accepted body, bytes a second; 0 accepts any.
    pub body_bytes_per_second_min: u64,
    /// A connection without a request is closed after this long.
    pub idle_ms: u64,
    /// A client that takes nothing of its answer is given up after this long.
    pub write_ms: u64,
    /// Running requests may finish for this long at shutdown.
    pub shutdown_ms: u64,
}

impl Config {
    /// The descriptors that the projects on disk and the accounts hold while they are open: one for each
    /// journal, and one for each file that values are read from.
    pub fn held_descriptors(&self) -> Held {
        let of = |cache_in_memory: bool| if cache_in_memory { 1 } else { 2 };
        let storage = self.projects().iter().map(|project| self.storage_of(project));
        let on_disk: Vec<usize> =
            storage.filter(|storage| storage.on_disk).map(|storage| of(storage.cache_in_memory)).collect();
        // Accounts, sessions, and the data of accounts, which alone may be only on disk.
        let accounts = 2 * of(true) + of(self.storage.cache_in_memory.unwrap_or(true));
        let of_accounts = if self.accounts().enabled { accounts } else { 0 };
        Held { projects: on_disk.len(), descriptors: on_disk.iter().sum::<usize>() + of_accounts }
    }

    /// The limits that may be set.
    pub fn limits(&self) -> Limits {
        let written = self.limits.unwrap_or_default();
        let body_bytes_max = written.body_bytes_max.unwrap_or(BODY_BYTES_MAX_DEFAULT);
        let memory_bytes_max = MEMORY_BYTES_MAX_DEFAULT.max(MEMORY_BODIES_MIN * body_bytes_max);
        Limits {
            body_bytes_max,
            connections_max: written.connections_max.unwrap_or(CONNECTIONS_MAX_DEFAULT),
            connections_per_address_max: match written.connections_per_address_max {
                Some(PerAddress::Max(max)) => Some(max),
                Some(PerAddress::Unbounded) | None => None,
            },
            memory_bytes_max: written.memory_bytes_max.unwrap_or(memory_bytes_max),
        }
    }

    /// The timeouts that may be set.
    pub fn timeouts(&self) -> Timeouts {
        let written = self.timeouts.unwrap_or_default();
        let ms = |seconds: Option<u64>, default_ms| seconds.map_or(default_ms, |s| s.saturating_mul(1_000));
        Timeouts {
            head_ms: ms(written.head_seconds, HEAD_TIMEOUT_MS_DEFAULT),
            body_grace_ms: ms(written.body_grace_seconds, BODY_GRACE_MS_DEFAULT),
            body_bytes_per_second_min: written
                .body_bytes_per_second_min
                .unwrap_or(BODY_BYTES_PER_SECOND_MIN_DEFAULT),
            idle_ms: ms(written.idle_seconds, IDLE_TIMEOUT_MS_DEFAULT),
            write_ms: ms(written.write_seconds, WRITE_TIMEOUT_MS_DEFAULT),
            shutdown_ms: ms(written.shutdown_seconds, SHUTDOWN_TIMEOUT_MS),
        }
    }
}
