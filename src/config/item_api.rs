//! `item_api`: the project behind `/item`, and how many requests one client may send there.

use crate::names::ProjectId;
use serde::Serialize;

/// `item_api` as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemApiChoice {
    /// The project that the global key works on. It need not exist.
    pub project: Option<ProjectId>,
    /// How many requests one client may send.
    pub rate_limit: Option<RateLimitChoice>,
}

/// `item_api.rate_limit` as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RateLimitChoice {
    /// `null`: as many as they like.
    Off,
    /// So many in a window.
    On {
        /// Requests in one window.
        #[serde(skip_serializing_if = "Option::is_none")]
        requests: Option<u32>,
        /// The window.
        #[serde(skip_serializing_if = "Option::is_none")]
        window_seconds: Option<u64>,
    },
}

/// A rate limit in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in one window.
    pub requests: u32,
    /// The window, milliseconds.
    pub window_ms: u64,
}
