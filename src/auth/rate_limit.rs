//! How many requests one client may make in a while: a fixed window for each address and method, which begins with
//! the first request in it.
//!
//! IPv6 is counted by /64. The table has a bound; beyond it the window goes that began first. A client whose window
//! went begins another one: for that it needs [`RATE_LIMIT_ADDRESSES_MAX`] addresses, and could as well use them
//! directly.

use super::client::counted_address;
use super::table::{Entry, SteadyTime, Table, time_left};
use crate::http::request::Method;
use crate::limits::{EXPIRED_PER_CALL_MAX, RATE_LIMIT_ADDRESSES_MAX};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many requests are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in one window; 0 admits none.
    pub requests: u32,
    /// The length of the window. Its end does not belong to it.
    pub window: Duration,
}

/// When to come again, at the earliest.
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
#[derive(Debug)]
pub struct RateLimiter {
    state: Mutex<State>,
}

/// Whose requests are counted together. HEAD is GET here.
type Source = (IpAddr, Method);

#[derive(Debug)]
struct State {
    time: SteadyTime,
    /// How many requests were admitted in the window that began at `since`. All weigh the same.
    windows: Table<Source, u32>,
}

impl RateLimiter {
    /// A limiter that has seen nobody.
    pub fn new() -> RateLimiter {
        let state = State { time: SteadyTime::default(), windows: Table::new() };
        RateLimiter { state: Mutex::new(state) }
    }

    /// Whether [`RateLimiter::admit`] would admit a request, which is not counted.
    pub fn check(&self, rate: Rate, address: IpAddr, method: Method, now: Instant) -> Result<(), RetryAfter> {
        let mut state = self.lock();
        let now = state.time.advance(now);
        let wait = state.wait(rate, &source(address, method), now);
        wait.map_or(Ok(()), |wait| Err(RetryAfter::new(wait)))
    }

    /// Admits and counts a request of `address`, if `rate` allows one more at `now`. Refused
    /// requests do not count. `rate` may be another one than before: what was admitted since the window began counts
    /// against the new one. A `now` before the latest one counts as that.
    ///
    /// # Errors
    /// [`RetryAfter`] says when the next request will be admitted, if none is until then.
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

impl Default for RateLimiter {
    fn default() -> RateLimiter {
        RateLimiter::new()
    }
}

impl State {
    /// How long until `source` may make a request; `None` if it may now.
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
        for _ in 0..EXPIRED_PER_CALL_MAX {
            if self.windows.pop_expired(window, now).is_none() {
                break;
            }
        }
        while self.windows.len() >= RATE_LIMIT_ADDRESSES_MAX {
            self.windows.pop_lightest(); // the one that was inserted first
        }
        self.windows.insert(source, Entry { since: now, weight: 0, value: 1 });
    }
}

#[cfg(test)]
#[path = "rate_limit_tests.rs"]
mod tests;
