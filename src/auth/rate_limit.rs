//! A rate limit for each client: a fixed window per address and method, which begins with its first request.
//!
//! IPv6 is counted by /64. The table is bounded: a full one drops the window that began first. A client that wants
//! its window dropped needs [`RATE_LIMIT_ADDRESSES_MAX`] addresses, and could as well send requests from those.

use super::client::counted_address;
use super::table::{Entry, SteadyTime, Table, time_left};
use crate::http::request::Method;
use crate::limits::RATE_LIMIT_ADDRESSES_MAX;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many requests are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In one window; 0 admits none.
    pub requests: u32,
    /// Without its end.
    pub window: Duration,
}

/// The earliest time to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfter {
    /// Whole seconds, at least 1, rounded up.
    pub seconds: u64,
}

impl RetryAfter {
    pub(super) fn new(wait: Duration) -> RetryAfter {
        let begun = u64::from(wait.subsec_nanos() > 0);
        RetryAfter { seconds: wait.as_secs().saturating_add(begun).max(1) }
    }
}

/// Counts the requests of every client; shared by all threads.
#[derive(Debug, Default)]
pub struct RateLimiter {
    state: Mutex<State>,
}

/// Requests of one source are counted together. HEAD counts as GET.
type Source = (IpAddr, Method);

#[derive(Debug, Default)]
struct State {
    time: SteadyTime,
    /// The requests that were admitted in the window that began at `since`. All have the same weight.
    windows: Table<Source, u32>,
}

impl RateLimiter {
    /// Whether [`RateLimiter::admit`] would admit a request. It is not counted.
    pub fn check(&self, rate: Rate, address: IpAddr, method: Method, now: Instant) -> Result<(), RetryAfter> {
        let mut state = self.lock();
        let now = state.time.advance(now);
        let wait = state.wait(rate, &source(address, method), now);
        wait.map_or(Ok(()), |wait| Err(RetryAfter::new(wait)))
    }

    /// Admits and counts a request of `address`, if `rate` allows one more at `now`. Refused requests do not count.
    /// `rate` may differ from call to call: requests that were admitted since the window began count against the new
    /// one. A `now` before the latest one counts as that.
    ///
    /// # Errors
    /// [`RetryAfter`]: when the next request will be admitted, unless others are before that.
    pub fn admit(&self, rate: Rate, address: IpAddr, method: Method, now: Instant) -> Result<(), RetryAfter> {
        let source = source(address, method);
        let mut state = self.lock();
        let now = state.time.advance(now);
        match state.wait(rate, &source, now) {
            Some(wait) => Err(RetryAfter::new(wait)),
            None => {
                state.count(rate.window, source, now);
                Ok(())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn source(address: IpAddr, method: Method) -> Source {
    (counted_address(address), if method == Method::Head { Method::Get } else { method })
}

impl State {
    /// The time until `source` may send a request; `None` if it may now.
    fn wait(&self, rate: Rate, source: &Source, now: Instant) -> Option<Duration> {
        if rate.requests == 0 {
            return Some(rate.window);
        }
        let window = self.windows.get(source)?;
        let left = time_left(window.since, rate.window, now);
        (!left.is_zero() && window.value >= rate.requests).then_some(left)
    }

    fn count(&mut self, window: Duration, source: Source, now: Instant) {
        let since = self.windows.get(&source).map(|entry| entry.since);
        let running = since.filter(|since| !time_left(*since, window, now).is_zero());
        if let Some(count) = running.and_then(|since| self.windows.value_since(&source, since)) {
            *count = count.saturating_add(1);
            return;
        }
        self.windows.remove(&source);
        self.windows.drop_expired(window, now);
        while self.windows.len() >= RATE_LIMIT_ADDRESSES_MAX {
            self.windows.pop_lightest(); // the one that was inserted first
        }
        self.windows.insert(source, Entry { since: now, weight: 0, value: 1 });
    }
}

#[cfg(test)]
#[path = "rate_limit_tests.rs"]
mod tests;
