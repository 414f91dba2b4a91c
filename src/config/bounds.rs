//! `limits` and `timeouts`: the bounds of [`crate::limits`] that the operator may change.

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
