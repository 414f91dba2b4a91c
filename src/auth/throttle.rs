//! How often somebody may try to log in.
//!
//! Three counters decide, each over a window that begins with its first attempt:
//!
//! | Counts the attempts | At most |
//! |---|---|
//! | of one address at one account | [`LOGIN_ATTEMPTS_OF_PAIR_MAX`] |
//! | of one address at all accounts | [`LOGIN_ATTEMPTS_OF_ADDRESS_MAX`] |
//! | of all addresses at one account, but for those that have logged in to it | [`LOGIN_ATTEMPTS_OF_ACCOUNT_MAX`] |
//!
//! The exception of the third keeps the owner's way in open while strangers guess from elsewhere.
//! IPv6 is counted by /64. A name that no account has is counted like the others.
//!
//! ```text
//! begin --- counted ---> Attempt --- succeeded ---> taken back; the pair's counter is gone
//!   |                       |------- forgotten ---> taken back
//!   +-- refused,            +------- failed ------> stays counted: the password was wrong
//!       not counted
//! ```
//! An attempt that is under way counts like one that has failed, so that guesses at the same time
//! are no way around the bounds. It is known apart, though: a counter that is full only with such
//! attempts is full for a moment, not for its window ([`Refused`]).
//!
//! # What the bounds of the tables promise
//! Only attempts that were let through are counted, and each of them costs the server the check of
//! a password. A table that is full drops what has expired; if nothing has, a newcomer *takes over*
//! the lowest counter as it stands, but is left one attempt more at least. So names or addresses
//! that are used once push out each other, however many they are: a counter that refuses is pushed
//! out only once all others of its table refuse too, and one at `c` only once all are at `c` or
//! above, which takes about [`LOGIN_COUNTERS_MAX`] times `c` checked passwords within one window.
//! The price is that a newcomer in a full table begins with attempts that are not its own.
//!
//! Who has logged in is kept in memory only, for [`LOGIN_PAIR_KNOWN_SECONDS`] after the last time;
//! in a full table the pair with the fewest logins goes, so that somebody with many addresses and
//! an account pushes out only those who logged in once.

use super::client::counted_address;
use super::rate_limit::RetryAfter;
use super::table::{Entry, SteadyTime, Table, is_expired, time_left};
use crate::limits::{
    EXPIRED_PER_CALL_MAX, LOGIN_ATTEMPTS_OF_ACCOUNT_MAX, LOGIN_ATTEMPTS_OF_ADDRESS_MAX,
    LOGIN_ATTEMPTS_OF_PAIR_MAX, LOGIN_CHECK_SECONDS, LOGIN_COUNTERS_MAX, LOGIN_PAIR_KNOWN_SECONDS,
    LOGIN_PAIRS_KNOWN_MAX, LOGIN_WINDOW_SECONDS,
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
    /// Makes tags of names, in a way that nobody outside can compute.
    tags: RandomState,
    state: Mutex<State>,
}

/// An attempt that was let through and counted. Dropped, it stays counted as under way until its
/// windows end.
#[must_use = "its end has to be told to the throttle"]
#[derive(Debug)]
pub struct Attempt {
    pair: Pair,
    pair_window: Instant,
    address_window: Instant,
    /// `None` where the address is exempt.
    account_window: Option<Instant>,
}

impl Attempt {
    /// Whether its address has signed in to its account not long ago.
    pub fn is_known(&self) -> bool {
        self.account_window.is_none()
    }
}

/// Why an attempt was not let through. Of two reasons the one that lasts longer is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// As many attempts are under way as may fail; none of them may.
    UnderWay,
    /// So many attempts have failed that the window has to pass.
    Failed(RetryAfter),
}

impl Refused {
    /// When to come again.
    pub fn retry_after(self) -> RetryAfter {
        match self {
            Refused::UnderWay => RetryAfter { seconds: LOGIN_CHECK_SECONDS },
            Refused::Failed(after) => after,
        }
    }
}

/// Stands for the name of an account, in 8 bytes whatever its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct AccountTag(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pair {
    account: AccountTag,
    address: IpAddr,
}

/// What an address is to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has logged in not long ago, so the counter of the account does not stop it.
    Known,
    Stranger,
}

#[derive(Debug)]
struct State {
    time: SteadyTime,
    pairs: Counters<Pair>,
    addresses: Counters<IpAddr>,
    accounts: Counters<AccountTag>,
    /// Pairs that have logged in: `since` is the last time, `weight` how often.
    known: Table<Pair, ()>,
}

impl Throttle {
    /// A throttle that has seen nobody.
    pub fn new() -> Throttle {
        let state = State {
            time: SteadyTime::default(),
            pairs: Counters::new(LOGIN_ATTEMPTS_OF_PAIR_MAX),
            addresses: Counters::new(LOGIN_ATTEMPTS_OF_ADDRESS_MAX),
            accounts: Counters::new(LOGIN_ATTEMPTS_OF_ACCOUNT_MAX),
            known: Table::new(),
        };
        Throttle { tags: RandomState::new(), state: Mutex::new(state) }
    }

    /// Lets an attempt at `account` (folded, whether there is one or not) from `address` through
    /// and counts it, so that attempts at the same time count too. To be called before the
    /// password is checked; a refused attempt does not count.
    ///
    /// # Errors
    /// [`Refused`] says why, and when all counters that refuse it now let attempts through again.
    pub fn begin(&self, account: &str, address: IpAddr, now: Instant) -> Result<Attempt, Refused> {
        let pair =
            Pair { account: AccountTag(self.tags.hash_one(account)), address: counted_address(address) };
        let mut state = self.lock();
        let now = state.time.advance(now);
        let standing = state.standing(&pair, now);
        match state.refused(&pair, standing, now) {
            Some(refused) => Err(refused),
            None => Ok(state.count(pair, standing, now)),
        }
    }

    /// Takes `attempt` back, whose password was right, clears the counter of its address at its
    /// account, and remembers that the two belong together.
    pub fn succeeded(&self, attempt: Attempt, now: Instant) {
        let mut state = self.lock();
        let now = state.time.advance(now);
        state.take_back(&attempt);
        state.pairs.table.remove(&attempt.pair);
        state.remember(attempt.pair, now);
    }

    /// Leaves `attempt` counted, whose password was wrong.
    pub fn failed(&self, attempt: Attempt) {
        self.lock().settle(&attempt);
    }

    /// Takes `attempt` back, whose password was never checked.
    pub fn forget(&self, attempt: Attempt) {
        self.lock().take_back(&attempt);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle::new()
    }
}

impl State {
    fn standing(&self, pair: &Pair, now: Instant) -> Standing {
        match self.known.get(pair) {
            Some(entry) if !is_expired(entry.since, KNOWN, now) => Standing::Known,
            Some(_) | None => Standing::Stranger,
        }
    }

    /// The longest lasting reason not to let an attempt through; `None` if there is none.
    fn refused(&self, pair: &Pair, standing: Standing, now: Instant) -> Option<Refused> {
        let account = match standing {
            Standing::Known => None,
            Standing::Stranger => self.accounts.refused(&pair.account, now),
        };
        [self.pairs.refused(pair, now), self.addresses.refused(&pair.address, now), account]
            .into_iter()
            .flatten()
            .max()
    }

    fn count(&mut self, pair: Pair, standing: Standing, now: Instant) -> Attempt {
        Attempt {
            pair,
            pair_window: self.pairs.count(pair, now),
            address_window: self.addresses.count(pair.address, now),
            account_window: match standing {
                Standing::Known => None,
                Standing::Stranger => Some(self.accounts.count(pair.account, now)),
            },
        }
    }

    fn settle(&mut self, attempt: &Attempt) {
        self.pairs.settle(&attempt.pair, attempt.pair_window);
        self.addresses.settle(&attempt.pair.address, attempt.address_window);
        if let Some(window) = attempt.account_window {
            self.accounts.settle(&attempt.pair.account, window);
        }
    }

    fn take_back(&mut self, attempt: &Attempt) {
        self.settle(attempt);
        self.pairs.take_back(attempt.pair, attempt.pair_window);
        self.addresses.take_back(attempt.pair.address, attempt.address_window);
        if let Some(window) = attempt.account_window {
            self.accounts.take_back(attempt.pair.account, window);
        }
    }

    fn remember(&mut self, pair: Pair, now: Instant) {
        let logins = self.known.remove(&pair).map_or(0, |entry| entry.weight);
        for _ in 0..EXPIRED_PER_CALL_MAX {
            if self.known.pop_expired(KNOWN, now).is_none() {
                break;
            }
        }
        if self.known.len() >= LOGIN_PAIRS_KNOWN_MAX {
            self.known.pop_lightest();
        }
        self.known.insert(pair, Entry { since: now, weight: logins.saturating_add(1), value: () });
    }
}

/// One of the three kinds of counters. Of an entry, `since` is the beginning of its window and
/// `weight` its attempts, at least one, and `value` how many of those are under way.
#[derive(Debug)]
struct Counters<K> {
    attempts_max: u32,
    table: Table<K, u32>,
}

impl<K: Copy + Eq + Hash> Counters<K> {
    fn new(attempts_max: u32) -> Counters<K> {
        Counters { attempts_max, table: Table::new() }
    }

    /// Why this counter refuses attempts; `None` if it does not.
    fn refused(&self, key: &K, now: Instant) -> Option<Refused> {
        let entry = self.table.get(key).filter(|entry| entry.weight >= self.attempts_max)?;
        let wait = Some(time_left(entry.since, WINDOW, now)).filter(|wait| !wait.is_zero())?;
        let failed = entry.weight.saturating_sub(entry.value);
        let refused = if failed < self.attempts_max {
            Refused::UnderWay
        } else {
            Refused::Failed(RetryAfter::new(wait))
        };
        Some(refused)
    }

    /// Counts an attempt, which is under way then. Returns the beginning of the window it belongs to.
    fn count(&mut self, key: K, now: Instant) -> Instant {
        let own = self.table.remove(&key).filter(|entry| !is_expired(entry.since, WINDOW, now));
        let before = own.or_else(|| self.make_room(now));
        let before = before.unwrap_or(Entry { since: now, weight: 0, value: 0 });
        let (attempts, under_way) = (before.weight.saturating_add(1), before.value.saturating_add(1));
        self.table.insert(key, Entry { since: before.since, weight: attempts, value: under_way });
        before.since
    }

    /// An attempt of the window that began at `window` is no longer under way.
    fn settle(&mut self, key: &K, window: Instant) {
        if let Some(under_way) = self.table.value_since(key, window) {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// Drops a few counters that have expired. Where the table is still full, gives the lowest one
    /// for the newcomer to take over: low enough for this attempt and one more. None of its attempts
    /// is the newcomer's to end.
    fn make_room(&mut self, now: Instant) -> Option<Entry<u32>> {
        for _ in 0..EXPIRED_PER_CALL_MAX {
            if self.table.pop_expired(WINDOW, now).is_none() {
                break;
            }
        }
        if self.table.len() < LOGIN_COUNTERS_MAX {
            return None;
        }
        let lowest = self.table.pop_lightest()?;
        let weight = lowest.weight.min(self.attempts_max.saturating_sub(2));
        Some(Entry { since: lowest.since, weight, value: 0 })
    }

    /// Takes an attempt back that was counted in the window that began at `window` and is not under
    /// way any more.
    fn take_back(&mut self, key: K, window: Instant) {
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
