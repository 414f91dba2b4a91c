//! How many requests one client may make in a while: for each address and method the times of
//! the last admitted requests, so that no window of that length has more of them than the limit.
//!
//! IPv6 is counted by /64. The table has a bound on its entries and one on its times; beyond
//! either the entry goes whose last admitted request is oldest, which is also the one that expires
//! first. A client whose entry went begins anew: whoever wants that has to be admitted from
//! [`RATE_LIMIT_ADDRESSES_MAX`] addresses within the window, and could as well use them directly.

use super::client::counted_address;
use super::table::{Entry, SteadyTime, Table, is_expired, time_left};
use crate::http::request::Method;
use crate::limits::{
    EXPIRED_PER_CALL_MAX, RATE_LIMIT_ADDRESSES_MAX, RATE_LIMIT_REQUESTS_MAX, RATE_LIMIT_TIMES_MAX,
};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many requests are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in any window; more than [`RATE_LIMIT_REQUESTS_MAX`] counts as that, 0 admits none.
    pub requests: u32,
    /// The length of the window. Its end does not belong to it: what was admitted a window ago is over.
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
    /// The times of admitted requests, oldest first; `since` is the last of them, all weigh the same.
    admitted: Table<Source, VecDeque<Instant>>,
    /// Times in all entries together.
    times: usize,
}

impl RateLimiter {
    /// A limiter that has seen nobody.
    pub fn new() -> RateLimiter {
        let state = State { time: SteadyTime::default(), admitted: Table::new(), times: 0 };
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
    /// requests do not count. `rate` may be another one than before: what is remembered of
    /// admitted requests counts against the new one. A `now` before the latest one counts as that.
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
        let times = self.admitted.get(source).map(|entry| &entry.value);
        let requests = usize::try_from(rate.requests.min(RATE_LIMIT_REQUESTS_MAX)).unwrap_or(usize::MAX);
        // The request that has to leave the window first; with fewer than the limit there is none.
        let first = times.map_or(0, VecDeque::len).checked_sub(requests)?;
        let wait = match times.and_then(|times| times.get(first)) {
            Some(&time) => time_left(time, rate.window, now),
            None => rate.window, // no request at all is allowed
        };
        (!wait.is_zero() || requests == 0).then_some(wait)
    }

    fn count(&mut self, window: Duration, source: Source, now: Instant) {
        let mut times = self.admitted.remove(&source).map(|entry| entry.value).unwrap_or_default();
        self.times = self.times.saturating_sub(times.len());
        while times.front().is_some_and(|&time| is_expired(time, window, now)) {
            times.pop_front();
        }
        times.push_back(now);
        self.make_room(times.len(), window, now);
        self.times += times.len();
        self.admitted.insert(source, Entry { since: now, weight: 0, value: times });
    }

    /// Forgets a few entries that have expired, and as many others as it takes to add one entry
    /// with `times`.
    fn make_room(&mut self, times: usize, window: Duration, now: Instant) {
        for _ in 0..EXPIRED_PER_CALL_MAX {
            let Some(gone) = self.admitted.pop_expired(window, now) else { break };
            self.times = self.times.saturating_sub(gone.value.len());
        }
        while self.admitted.len() >= RATE_LIMIT_ADDRESSES_MAX || self.times + times > RATE_LIMIT_TIMES_MAX {
            // All weigh the same, so this is the one whose last admitted request is oldest.
            let Some(gone) = self.admitted.pop_lightest() else { break };
            self.times = self.times.saturating_sub(gone.value.len());
        }
    }
}

#[cfg(test)]
#[path = "rate_limit_tests.rs"]
mod tests;
