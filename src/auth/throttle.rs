//! Login throttling.
//!
//! Three counters decide, each over a window that begins with its first attempt:
//!
//! | Counts the attempts | At most |
//! |---|---|
//! | of one address at one account | [`LOGIN_ATTEMPTS_OF_PAIR_MAX`] |
//! | of one address at all accounts | [`LOGIN_ATTEMPTS_OF_ADDRESS_MAX`] |
//! | of all addresses at one account, but for those that have logged in to it | [`LOGIN_ATTEMPTS_OF_ACCOUNT_MAX`] |
//!
//! Because of the exception of the third, the owner can still log in while strangers guess from elsewhere.
//! IPv6 is counted by /64. A name without an account is counted like the others.
//!
//! ```text
//! begin --- counted ---> Attempt --- succeeded ---> refunded; the pair's counter is cleared
//!   |                       |------- forgotten ---> refunded
//!   +-- refused,            +------- failed ------> stays counted: the password was wrong
//!       not counted
//! ```
//! A pending attempt counts like a failed one, so that parallel guesses cannot exceed the bounds. A
//! counter that is full only with pending attempts is full for a moment, not for its window
//! ([`Refused`]).
//!
//! # What the bounds of the tables promise
//! Only admitted attempts are counted, and each of them costs the server the check of a password. A
//! full table drops expired counters; if none has expired, a newcomer *inherits* the lowest counter
//! as it is, but has at least one more attempt. So names or addresses that are used once evict each
//! other, however many there are: a counter that refuses is evicted only after all others of its
//! table refuse too, and one at `c` only after all are at `c` or above, which takes about
//! [`LOGIN_COUNTERS_MAX`] times `c` checked passwords within one window. The price is that a
//! newcomer in a full table begins with attempts that are not its own.
//!
//! Pairs that have logged in are kept in memory only, for [`LOGIN_PAIR_KNOWN_SECONDS`] after the last
//! login; a full table drops the pair with the fewest logins, so that a client with many addresses
//! and one account evicts only pairs that logged in once.

use super::client::counted_address;
use super::rate_limit::RetryAfter;
use super::table::{Entry, SteadyTime, Table, is_expired, time_left};
use crate::limits::{
    LOGIN_ATTEMPTS_OF_ACCOUNT_MAX, LOGIN_ATTEMPTS_OF_ADDRESS_MAX, LOGIN_ATTEMPTS_OF_PAIR_MAX,
    LOGIN_CHECK_SECONDS, LOGIN_COUNTERS_MAX, LOGIN_PAIR_KNOWN_SECONDS, LOGIN_PAIRS_KNOWN_MAX,
    LOGIN_WINDOW_SECONDS,
};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(LOGIN_WINDOW_SECONDS);
const KNOWN: Duration = Duration::from_secs(LOGIN_PAIR_KNOWN_SECONDS);

/// Counts attempts to log in; shared by all threads.
#[derive(Debug)]
pub struct Throttle {
    /// Hashes names with a random key, so that no client can cause collisions.
    tags: RandomState,
    state: Mutex<State>,
}

/// An attempt that was admitted and counted. If it is dropped, it stays counted as pending until its windows end.
#[must_use = "the throttle must be told how it ends"]
#[derive(Debug)]
pub struct Attempt {
    pair: Pair,
    pair_window: Instant,
    address_window: Instant,
    /// `None` if the address is known.
    account_window: Option<Instant>,
}

impl Attempt {
    /// Whether its address has logged in to its account recently.
    pub fn is_known(&self) -> bool {
        self.account_window.is_none()
    }
}

/// Why an attempt is refused. Of two reasons the one that lasts longer is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// The pending attempts, together with the failed ones, reach the limit.
    UnderWay,
    /// The failed attempts reach the limit until the window ends.
    Failed(RetryAfter),
}

impl Refused {
    pub fn retry_after(self) -> RetryAfter {
        match self {
            Refused::UnderWay => RetryAfter { seconds: LOGIN_CHECK_SECONDS },
            Refused::Failed(after) => after,
        }
    }
}

/// The hash of the name of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct AccountTag(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pair {
    account: AccountTag,
    address: IpAddr,
}

#[derive(Debug)]
struct State {
    time: SteadyTime,
    pairs: Counters<Pair>,
    addresses: Counters<IpAddr>,
    accounts: Counters<AccountTag>,
    /// Pairs that have logged in: `since` is the last time, `weight` the number of logins. The counter of the account
    /// does not stop them.
    known: Table<Pair, ()>,
}

impl Default for Throttle {
    fn default() -> Throttle {
        let state = State {
            time: SteadyTime::default(),
            pairs: Counters::new(LOGIN_ATTEMPTS_OF_PAIR_MAX),
            addresses: Counters::new(LOGIN_ATTEMPTS_OF_ADDRESS_MAX),
            accounts: Counters::new(LOGIN_ATTEMPTS_OF_ACCOUNT_MAX),
            known: Table::default(),
        };
        Throttle { tags: RandomState::new(), state: Mutex::new(state) }
    }
}

impl Throttle {
    /// Admits and counts an attempt at `account` (folded, whether it exists or not) from `address`. To be called
    /// before the password is checked, so that parallel attempts count too; a refused attempt does not count.
    ///
    /// # Errors
    /// [`Refused`]: the reason, and when all counters that refuse the attempt will admit one again.
    pub fn begin(&self, account: &str, address: IpAddr, now: Instant) -> Result<Attempt, Refused> {
        let pair =
            Pair { account: AccountTag(self.tags.hash_one(account)), address: counted_address(address) };
        let mut state = self.lock();
        let now = state.time.advance(now);
        let is_known = state.is_known(&pair, now);
        match state.refused(&pair, is_known, now) {
            Some(refused) => Err(refused),
            None => Ok(state.count(pair, is_known, now)),
        }
    }

    /// Refunds `attempt`, whose password was right, clears the counter of the pair, and remembers the pair.
    pub fn succeeded(&self, attempt: Attempt, now: Instant) {
        let mut state = self.lock();
        let now = state.time.advance(now);
        state.refund(&attempt);
        state.pairs.table.remove(&attempt.pair);
        state.remember(attempt.pair, now);
    }

    /// Leaves `attempt` counted, whose password was wrong.
    pub fn failed(&self, attempt: Attempt) {
        self.lock().finish(&attempt);
    }

    /// Refunds `attempt`, whose password was never checked.
    pub fn forget(&self, attempt: Attempt) {
        self.lock().refund(&attempt);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_known(&self, pair: &Pair, now: Instant) -> bool {
        self.known.get(pair).is_some_and(|entry| !is_expired(entry.since, KNOWN, now))
    }

    /// The longest lasting reason to refuse an attempt; `None` if there is none.
    fn refused(&self, pair: &Pair, is_known: bool, now: Instant) -> Option<Refused> {
        let account = if is_known { None } else { self.accounts.refused(&pair.account, now) };
        [self.pairs.refused(pair, now), self.addresses.refused(&pair.address, now), account]
            .into_iter()
            .flatten()
            .max()
    }

    fn count(&mut self, pair: Pair, is_known: bool, now: Instant) -> Attempt {
        Attempt {
            pair,
            pair_window: self.pairs.count(pair, now),
            address_window: self.addresses.count(pair.address, now),
            account_window: (!is_known).then(|| self.accounts.count(pair.account, now)),
        }
    }

    fn finish(&mut self, attempt: &Attempt) {
        self.pairs.finish(&attempt.pair, attempt.pair_window);
        self.addresses.finish(&attempt.pair.address, attempt.address_window);
        if let Some(window) = attempt.account_window {
            self.accounts.finish(&attempt.pair.account, window);
        }
    }

    fn refund(&mut self, attempt: &Attempt) {
        self.finish(attempt);
        self.pairs.refund(attempt.pair, attempt.pair_window);
        self.addresses.refund(attempt.pair.address, attempt.address_window);
        if let Some(window) = attempt.account_window {
            self.accounts.refund(attempt.pair.account, window);
        }
    }

    fn remember(&mut self, pair: Pair, now: Instant) {
        let logins = self.known.remove(&pair).map_or(0, |entry| entry.weight);
        self.known.drop_expired(KNOWN, now);
        if self.known.len() >= LOGIN_PAIRS_KNOWN_MAX {
            self.known.pop_lightest();
        }
        self.known.insert(pair, Entry { since: now, weight: logins.saturating_add(1), value: () });
    }
}

/// One of the three kinds of counters. Of an entry, `since` is the beginning of its window, `weight` the number of its
/// attempts, at least one, and `value` the number of those that are pending.
#[derive(Debug)]
struct Counters<K> {
    attempts_max: u32,
    table: Table<K, u32>,
}

impl<K: Copy + Eq + Hash> Counters<K> {
    fn new(attempts_max: u32) -> Counters<K> {
        Counters { attempts_max, table: Table::default() }
    }

    /// Why this counter refuses attempts; `None` if it does not.
    fn refused(&self, key: &K, now: Instant) -> Option<Refused> {
        let entry = self.table.get(key).filter(|entry| entry.weight >= self.attempts_max)?;
        let wait = Some(time_left(entry.since, WINDOW, now)).filter(|wait| !wait.is_zero())?;
        let failed = entry.weight.saturating_sub(entry.value);
        let is_pending = failed < self.attempts_max;
        Some(if is_pending { Refused::UnderWay } else { Refused::Failed(RetryAfter::new(wait)) })
    }

    /// Counts an attempt, which is then pending. Returns the beginning of its window.
    fn count(&mut self, key: K, now: Instant) -> Instant {
        let own = self.table.remove(&key).filter(|entry| !is_expired(entry.since, WINDOW, now));
        let before = own.or_else(|| self.evict(now));
        let before = before.unwrap_or(Entry { since: now, weight: 0, value: 0 });
        let (attempts, pending) = (before.weight.saturating_add(1), before.value.saturating_add(1));
        self.table.insert(key, Entry { since: before.since, weight: attempts, value: pending });
        before.since
    }

    /// An attempt of the window that began at `window` is no longer pending.
    fn finish(&mut self, key: &K, window: Instant) {
        if let Some(pending) = self.table.value_since(key, window) {
            *pending = pending.saturating_sub(1);
        }
    }

    /// Drops a few expired counters. If the table is still full, returns the lowest counter for the newcomer to
    /// inherit: low enough for this attempt and one more, and without pending attempts, which are not the newcomer's.
    fn evict(&mut self, now: Instant) -> Option<Entry<u32>> {
        self.table.drop_expired(WINDOW, now);
        if self.table.len() < LOGIN_COUNTERS_MAX {
            return None;
        }
        let lowest = self.table.pop_lightest()?;
        let weight = lowest.weight.min(self.attempts_max.saturating_sub(2));
        Some(Entry { since: lowest.since, weight, value: 0 })
    }

    /// Uncounts an attempt of the window that began at `window`, which is no longer pending.
    fn refund(&mut self, key: K, window: Instant) {
        let Some(entry) = self.table.remove(&key) else { return };
        let attempts = if entry.since == window { entry.weight.saturating_sub(1) } else { entry.weight };
        if attempts > 0 {
            self.table.insert(key, Entry { weight: attempts, ..entry });
        }
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
