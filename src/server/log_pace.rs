//! Keeps a refusal that may repeat thousands of times a second from filling the log.

use crate::clock;
use crate::limits::REFUSALS_LOGGED_EVERY_MS;
use std::time::{Duration, Instant};

/// When a kind of refusal was last logged.
#[derive(Default)]
pub(super) struct LogPace {
    last: Option<Instant>,
}

impl LogPace {
    /// Whether the next refusal is logged. If so, those of the next [`REFUSALS_LOGGED_EVERY_MS`] are not.
    pub(super) fn is_due(&mut self) -> bool {
        let now = clock::monotonic();
        let pause = Duration::from_millis(REFUSALS_LOGGED_EVERY_MS);
        let is_due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= pause);
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}
