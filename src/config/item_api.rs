//! `item_api`: the project behind `/item`, and how many requests one client may send there.

use super::schema::Config;
use crate::limits::{RATE_LIMIT_REQUESTS_DEFAULT, RATE_LIMIT_WINDOW_SECONDS_DEFAULT};
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

impl Config {
    /// The project that `/item` works on with the global key: the one that is named, which need not
    /// exist, else the first of `projects`.
    pub fn item_project(&self) -> Option<&ProjectId> {
        let named = self.item_api.as_ref().and_then(|item_api| item_api.project.as_ref());
        named.or_else(|| self.projects().first().map(|project| &project.id))
    }

    /// How many requests one client may send to `/item` with one method; `None` where it is
    /// switched off.
    pub fn item_rate_limit(&self) -> Option<RateLimit> {
        let (requests, window_seconds) = match self.item_api.as_ref().and_then(|item_api| item_api.rate_limit)
        {
            None => (None, None),
            Some(RateLimitChoice::Off) => return None,
            Some(RateLimitChoice::On { requests, window_seconds }) => (requests, window_seconds),
        };
        Some(RateLimit {
            requests: requests.unwrap_or(RATE_LIMIT_REQUESTS_DEFAULT),
            window_ms: window_seconds.unwrap_or(RATE_LIMIT_WINDOW_SECONDS_DEFAULT).saturating_mul(1_000),
        })
    }
}
