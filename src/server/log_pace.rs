//! Keeps a warning that may repeat thousands of times a second from filling the log.

use crate::clock;
use crate::limits::REFUSALS_LOGGED_EVERY_MS;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct LogPace {
    last: Option<Instant>,
}

impl LogPace {
    /// Whether to log the warning now. If so, it is not due in the next [`REFUSALS_LOGGED_EVERY_MS`].
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
