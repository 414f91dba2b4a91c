use super::*;
use crate::clock::monotonic;
use std::net::{Ipv4Addr, Ipv6Addr};

const PAIR: usize = LOGIN_ATTEMPTS_OF_PAIR_MAX as usize;
const ADDRESS: usize = LOGIN_ATTEMPTS_OF_ADDRESS_MAX as usize;
const ACCOUNT: usize = LOGIN_ATTEMPTS_OF_ACCOUNT_MAX as usize;
const HOME: u32 = 1;

/// A throttle and the time.
struct TimedThrottle {
    inner: Throttle,
    now: Instant,
}

fn timed_throttle() -> TimedThrottle {
    TimedThrottle { inner: Throttle::default(), now: monotonic() }
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(number).into()
}

impl TimedThrottle {
    fn begin(&self, account: &str, from: u32) -> Result<Attempt, u64> {
        let begun = self.inner.begin(account, address(from), self.now);
        begun.map_err(|refused| refused.retry_after().seconds)
    }

    /// Guesses wrongly so many times. Returns how many guesses were admitted.
    fn guess(&self, times: usize, account: &str, from: u32) -> usize {
        let guesses = (0..times).filter_map(|_| self.begin(account, from).ok());
        guesses.map(|attempt| self.inner.failed(attempt)).count()
    }

    /// Why an attempt would be refused.
    fn refused(&self, account: &str, from: u32) -> Option<Refused> {
        self.inner.begin(account, address(from), self.now).err()
    }

    fn log_in(&self, account: &str, from: u32) -> Result<(), u64> {
        self.begin(account, from).map(|attempt| self.inner.succeeded(attempt, self.now))
    }

    /// As many wrong guesses as an account takes, each from another address.
    fn besiege(&self, account: &str) {
        for from in 1_000..1_000 + LOGIN_ATTEMPTS_OF_ACCOUNT_MAX {
            assert_eq!(self.guess(1, account, from), 1, "{from}");
        }
        assert_eq!(
            self.begin(account, 999).err(),
            Some(LOGIN_WINDOW_SECONDS),
            "{account} is closed to strangers"
        );
    }

    fn later(&mut self, duration: Duration) {
        self.now += duration;
    }
}

#[test]
fn an_address_has_so_many_guesses_at_an_account_in_a_window() {
    let mut throttle = timed_throttle();
    assert_eq!(throttle.guess(PAIR + 5, "ann", HOME), PAIR);
    assert_eq!(throttle.begin("ann", HOME).err(), Some(LOGIN_WINDOW_SECONDS));
    assert_eq!(throttle.guess(1, "bob", HOME), 1, "another account");
    assert_eq!(throttle.guess(1, "ann", HOME + 1), 1, "another address");
    throttle.later(WINDOW - Duration::from_millis(1));
    assert_eq!(throttle.begin("ann", HOME).err(), Some(1));
    throttle.later(Duration::from_millis(1));
    assert_eq!(throttle.guess(PAIR + 5, "ann", HOME), PAIR, "the next window");
}

#[test]
fn attempts_count_from_their_beginning() {
    let throttle = timed_throttle();
    let open: Vec<Attempt> = (0..99).filter_map(|_| throttle.begin("ann", HOME).ok()).collect();
    assert_eq!(open.len(), PAIR, "though none of them has failed yet");
}

#[test]
fn a_counter_that_is_full_of_attempts_under_way_refuses_for_a_moment_only() {
    let throttle = timed_throttle();
    let mut open: Vec<Attempt> = (0..PAIR).filter_map(|_| throttle.begin("ann", HOME).ok()).collect();
    assert_eq!(throttle.refused("ann", HOME), Some(Refused::UnderWay));
    for attempt in open.drain(1..) {
        throttle.inner.failed(attempt);
        assert_eq!(throttle.begin("ann", HOME).err(), Some(LOGIN_CHECK_SECONDS), "one is still under way");
    }
    throttle.inner.failed(open.remove(0));
    assert_eq!(throttle.begin("ann", HOME).err(), Some(LOGIN_WINDOW_SECONDS), "now all have failed");
}

#[test]
fn logins_that_come_again_after_a_moment_all_get_in() {
    let throttle = timed_throttle();
    let mut open: Vec<Attempt> = (0..PAIR).filter_map(|_| throttle.begin("ann", HOME).ok()).collect();
    for _ in 0..3 * PAIR {
        assert!(throttle.begin("ann", HOME).is_err_and(|seconds| seconds == LOGIN_CHECK_SECONDS));
        for attempt in open.drain(..) {
            throttle.inner.succeeded(attempt, throttle.now);
        }
        open.extend((0..PAIR).filter_map(|_| throttle.begin("ann", HOME).ok()));
        assert_eq!(open.len(), PAIR);
    }
}

#[test]
fn addresses_and_accounts_that_are_full_of_attempts_under_way_refuse_for_a_moment_only() {
    let throttle = timed_throttle();
    let names: Vec<String> = (0..ADDRESS).map(|number| format!("user{number}")).collect();
    let of_address: Vec<Attempt> = names.iter().filter_map(|name| throttle.begin(name, HOME).ok()).collect();
    assert_eq!((of_address.len(), throttle.refused("ann", HOME)), (ADDRESS, Some(Refused::UnderWay)));
    let strangers = 1_000..1_000 + LOGIN_ATTEMPTS_OF_ACCOUNT_MAX;
    let of_account: Vec<Attempt> = strangers.filter_map(|from| throttle.begin("bob", from).ok()).collect();
    assert_eq!((of_account.len(), throttle.refused("bob", 999)), (ACCOUNT, Some(Refused::UnderWay)));
}

#[test]
fn failed_guesses_are_told_before_those_under_way() {
    let throttle = timed_throttle();
    assert_eq!(throttle.guess(PAIR, "ann", HOME), PAIR);
    let names: Vec<String> = (0..ADDRESS - PAIR).map(|number| format!("user{number}")).collect();
    let open: Vec<Attempt> = names.iter().filter_map(|name| throttle.begin(name, HOME).ok()).collect();
    assert_eq!((open.len(), throttle.refused("bob", HOME)), (ADDRESS - PAIR, Some(Refused::UnderWay)));
    assert_eq!(throttle.begin("ann", HOME).err(), Some(LOGIN_WINDOW_SECONDS));
}

#[test]
fn success_clears_the_counter_of_the_pair() {
    let throttle = timed_throttle();
    assert_eq!(throttle.guess(PAIR - 1, "ann", HOME), PAIR - 1);
    assert_eq!(throttle.log_in("ann", HOME), Ok(()));
    assert_eq!(throttle.guess(PAIR + 5, "ann", HOME), PAIR);
}

#[test]
fn success_takes_only_itself_back_from_the_address() {
    let throttle = timed_throttle();
    for number in 0..ADDRESS - 1 {
        assert_eq!(throttle.guess(1, &format!("user{number}"), HOME), 1);
    }
    for _ in 0..ADDRESS {
        assert_eq!(throttle.log_in("mine", HOME), Ok(()));
    }
    assert_eq!(
        throttle.guess(5, "ann", HOME),
        1,
        "logging in to an account of his own gives no more guesses"
    );
}

#[test]
fn an_address_has_so_many_guesses_at_all_accounts_together() {
    let throttle = timed_throttle();
    let through: usize =
        (0..2 * ADDRESS).map(|number| throttle.guess(1, &format!("user{number}"), HOME)).sum();
    assert_eq!(through, ADDRESS);
    assert_eq!(throttle.begin("ann", HOME).err(), Some(LOGIN_WINDOW_SECONDS));
    assert_eq!(throttle.guess(1, "ann", HOME + 1), 1);
}

#[test]
fn guesses_at_an_account_from_unknown_addresses_are_bounded() {
    let mut throttle = timed_throttle();
    throttle.besiege("ann");
    assert_eq!(throttle.guess(1, "bob", 999), 1, "other accounts are open");
    throttle.later(WINDOW);
    assert_eq!(throttle.guess(1, "ann", 999), 1);
}

#[test]
fn unknown_addresses_do_not_lock_out_one_that_has_logged_in() {
    let throttle = timed_throttle();
    assert_eq!(throttle.log_in("ann", HOME), Ok(()));
    assert_eq!(throttle.log_in("bob", HOME + 1), Ok(()));
    throttle.besiege("ann");
    assert_eq!(throttle.log_in("ann", HOME), Ok(()));
    assert_eq!(throttle.guess(PAIR + 5, "ann", HOME), PAIR, "its own counter still holds");
    assert!(throttle.begin("ann", HOME + 1).is_err(), "the other one logged in elsewhere");
}

#[test]
fn an_address_is_forgotten_long_after_its_last_login() {
    let mut throttle = timed_throttle();
    for _ in 0..2 {
        assert_eq!(throttle.log_in("ann", HOME), Ok(()));
        throttle.later(KNOWN - Duration::from_secs(1));
    }
    throttle.besiege("ann");
    assert_eq!(throttle.guess(1, "ann", HOME), 1, "the last login counts");
    throttle.later(Duration::from_secs(1));
    assert!(throttle.begin("ann", HOME).is_err());
}

#[test]
fn attempts_of_a_known_address_do_not_count_against_the_account() {
    let throttle = timed_throttle();
    assert_eq!(throttle.log_in("ann", HOME), Ok(()));
    assert_eq!(throttle.guess(PAIR, "ann", HOME), PAIR);
    throttle.besiege("ann");
}

#[test]
fn a_forgotten_attempt_counts_nowhere() {
    let throttle = timed_throttle();
    for _ in 0..2 * ACCOUNT {
        throttle.inner.forget(throttle.begin("ann", HOME).unwrap());
    }
    let state = throttle.inner.lock();
    assert_eq!((state.pairs.table.len(), state.addresses.table.len(), state.accounts.table.len()), (0, 0, 0));
}

#[test]
fn refused_attempts_do_not_count() {
    let throttle = timed_throttle();
    assert_eq!(throttle.guess(PAIR + 2 * ACCOUNT, "ann", HOME), PAIR);
    assert_eq!(throttle.guess(PAIR, "bob", HOME), PAIR, "the address has not used up its guesses");
    assert_eq!(throttle.guess(1, "ann", HOME + 1), 1, "nor has the account");
}

#[test]
fn attempt_that_outlives_its_window_does_not_change_the_next_one() {
    let mut throttle = timed_throttle();
    let old = throttle.begin("ann", HOME).unwrap();
    throttle.later(WINDOW);
    assert_eq!(throttle.guess(PAIR, "ann", HOME), PAIR);
    throttle.inner.forget(old);
    assert!(throttle.begin("ann", HOME).is_err());
}

#[test]
fn longest_of_several_waits_is_returned() {
    let mut throttle = timed_throttle();
    assert_eq!(throttle.guess(1, "first", HOME), 1);
    throttle.later(WINDOW / 2);
    assert_eq!(throttle.guess(PAIR, "ann", HOME), PAIR);
    for number in 0..ADDRESS - PAIR - 1 {
        assert_eq!(throttle.guess(1, &format!("user{number}"), HOME), 1);
    }
    assert_eq!(throttle.begin("bob", HOME).err(), Some(LOGIN_WINDOW_SECONDS / 2), "the address alone");
    assert_eq!(throttle.begin("ann", HOME).err(), Some(LOGIN_WINDOW_SECONDS), "the pair too");
}

#[test]
fn addresses_of_one_ipv6_network_count_as_one() {
    let throttle = timed_throttle();
    let from = |low: u128| IpAddr::from(Ipv6Addr::from_bits(0x2001_0db8 << 96 | low));
    let through = (0..99).filter(|&low| throttle.inner.begin("ann", from(low), throttle.now).is_ok()).count();
    assert_eq!(through, PAIR);
    assert!(throttle.inner.begin("ann", from(1 << 64), throttle.now).is_ok());
}

#[test]
fn time_that_stands_or_goes_back_gives_no_more_guesses() {
    let mut throttle = timed_throttle();
    throttle.later(WINDOW);
    assert_eq!(throttle.guess(99, "ann", HOME), PAIR);
    throttle.now -= WINDOW;
    assert_eq!(throttle.guess(99, "ann", HOME), 0);
    let attempt = throttle.begin("bob", HOME).unwrap();
    throttle.inner.succeeded(attempt, throttle.now);
}

#[test]
fn a_crowd_of_names_and_addresses_neither_grows_the_tables_nor_resets_a_counter() {
    let throttle = timed_throttle();
    assert_eq!(throttle.guess(PAIR, "ann", HOME), PAIR);
    throttle.besiege("bob");
    // Each name and each address is new, so that no counter refuses.
    for number in 0..3 * u32::try_from(LOGIN_COUNTERS_MAX).unwrap() {
        assert_eq!(throttle.guess(1, &format!("user{number}"), 0x0a00_0000 + number), 1);
    }
    assert!(throttle.begin("ann", HOME).is_err(), "the pair's counter is still there");
    assert!(throttle.begin("bob", HOME + 1).is_err(), "and the account's");
    let state = throttle.inner.lock();
    let lengths = [state.pairs.table.len(), state.addresses.table.len(), state.accounts.table.len()];
    assert_eq!(lengths, [LOGIN_COUNTERS_MAX; 3]);
}

#[test]
fn a_counter_that_refuses_outlasts_any_number_of_newcomers_and_they_have_an_attempt_left() {
    let now = monotonic();
    let mut counters = Counters::new(3);
    for _ in 0..3 {
        let window = counters.count(usize::MAX, now);
        counters.finish(&usize::MAX, window);
    }
    for key in 0..5 * LOGIN_COUNTERS_MAX {
        counters.count(key, now);
        assert_eq!(counters.refused(&key, now), None);
    }
    let seconds = LOGIN_WINDOW_SECONDS;
    assert_eq!(counters.refused(&usize::MAX, now), Some(Refused::Failed(RetryAfter { seconds })));
}

#[test]
fn a_newcomer_inherits_the_lowest_counter_of_a_full_table() {
    let start = monotonic();
    let mut counters = Counters::new(5);
    for key in 0..LOGIN_COUNTERS_MAX {
        counters.count(key, start);
        counters.count(key, start);
    }
    counters.count(1, start);
    let later = start + Duration::from_secs(1);
    assert_eq!(counters.count(usize::MAX, later), start, "its window too");
    let attempts = |key| counters.table.get(&key).map(|entry| entry.weight);
    assert_eq!(
        [attempts(usize::MAX), attempts(0), attempts(1), attempts(2)],
        [Some(3), None, Some(3), Some(2)]
    );
    assert_eq!(counters.count(0, start + WINDOW), start + WINDOW, "an expired counter is not inherited");
    assert_eq!(counters.table.get(&0).map(|entry| entry.weight), Some(1));
}

#[test]
fn pairs_with_many_logins_outlast_a_crowd_that_logged_in_once() {
    let throttle = timed_throttle();
    for _ in 0..2 {
        assert_eq!(throttle.log_in("ann", HOME), Ok(()));
    }
    for number in 0..LOGIN_PAIRS_KNOWN_MAX + 10 {
        assert_eq!(throttle.log_in("mine", 0x0a00_0000 + u32::try_from(number).unwrap()), Ok(()));
    }
    assert_eq!(throttle.inner.lock().known.len(), LOGIN_PAIRS_KNOWN_MAX);
    throttle.besiege("ann");
    assert_eq!(throttle.guess(1, "ann", HOME), 1);
}
