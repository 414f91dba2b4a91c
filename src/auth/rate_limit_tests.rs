use super::*;
use crate::clock::monotonic;
use proptest::prelude::*;
use std::net::Ipv4Addr;

const SEED: Rate = Rate { requests: 5, window: Duration::from_secs(60) };
const CLIENT: &str = "1.2.3.4";

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Calls `limiter` as a client at `address` does, at `start` and so many milliseconds.
struct Caller<'a> {
    limiter: &'a RateLimiter,
    address: &'a str,
    start: Instant,
}

impl Caller<'_> {
    fn get(&self, rate: Rate, at_ms: u64) -> Result<(), u64> {
        self.call(rate, Method::Get, at_ms)
    }

    fn call(&self, rate: Rate, method: Method, at_ms: u64) -> Result<(), u64> {
        let address = self.address.parse().unwrap();
        let admitted = self.limiter.admit(rate, address, method, self.start + ms(at_ms));
        admitted.map_err(|RetryAfter { seconds }| seconds)
    }
}

fn caller<'a>(limiter: &'a RateLimiter, address: &'a str) -> Caller<'a> {
    Caller { limiter, address, start: monotonic() }
}

fn windows(limiter: &RateLimiter) -> usize {
    limiter.state.lock().unwrap().windows.len()
}

#[test]
fn the_window_begins_with_its_first_request_and_ends_on_the_millisecond() {
    let limiter = RateLimiter::default();
    let client = caller(&limiter, CLIENT);
    for at_ms in [0, 10_000, 20_000, 30_000, 59_999] {
        assert_eq!(client.get(SEED, at_ms), Ok(()), "{at_ms}");
    }
    assert_eq!(client.get(SEED, 50_001), Err(1), "the sixth; time does not go back");
    for at_ms in [60_000, 60_001, 60_002, 60_003, 100_000] {
        assert_eq!(client.get(SEED, at_ms), Ok(()), "{at_ms}");
    }
    assert_eq!(client.get(SEED, 110_001), Err(10), "9.999 seconds are rounded up");
    assert_eq!(client.get(SEED, 200_000), Ok(()), "a window begins with its first request");
    assert_eq!(windows(&limiter), 1);
}

#[test]
fn refused_requests_do_not_count() {
    let limiter = RateLimiter::default();
    let client = caller(&limiter, CLIENT);
    for _ in 0..5 {
        assert_eq!(client.get(SEED, 0), Ok(()));
    }
    for at_ms in 0..59 {
        assert_eq!(client.get(SEED, at_ms * 1_000), Err(60 - at_ms));
    }
    assert_eq!(client.get(SEED, 60_000), Ok(()));
}

#[test]
fn methods_and_addresses_are_counted_apart_but_head_is_get() {
    let limiter = RateLimiter::default();
    let one = Rate { requests: 1, ..SEED };
    let (client, other) = (caller(&limiter, CLIENT), caller(&limiter, "1.2.3.5"));
    for method in [Method::Get, Method::Post, Method::Put, Method::Delete, Method::Unknown] {
        assert_eq!(client.call(one, method, 0), Ok(()), "{method:?}");
        assert_eq!(client.call(one, method, 0), Err(60), "{method:?}");
    }
    assert_eq!(client.call(one, Method::Head, 0), Err(60));
    assert_eq!(other.call(one, Method::Head, 0), Ok(()));
    assert_eq!(other.call(one, Method::Get, 0), Err(60));
}

#[test]
fn addresses_of_one_ipv6_network_are_counted_together_and_mapped_ipv4_as_ipv4() {
    let limiter = RateLimiter::default();
    let one = Rate { requests: 1, ..SEED };
    for (address, expected) in [
        ("2001:db8:0:1::1", Ok(())),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", Err(60)),
        ("2001:db8:0:2::1", Ok(())),
        ("::ffff:1.2.3.4", Ok(())),
        ("1.2.3.4", Err(60)),
        ("::ffff:1.2.3.5", Ok(())),
    ] {
        assert_eq!(caller(&limiter, address).get(one, 0), expected, "{address}");
    }
}

#[test]
fn a_rate_that_changed_holds_from_the_next_request_on() {
    let limiter = RateLimiter::default();
    let client = caller(&limiter, CLIENT);
    for at_ms in [0, 1_000, 2_000, 3_000] {
        assert_eq!(client.get(SEED, at_ms), Ok(()));
    }
    assert_eq!(client.get(Rate { requests: 2, ..SEED }, 10_000), Err(50));
    assert_eq!(client.get(Rate { requests: 2, window: ms(10_001) }, 10_000), Err(1));
    assert_eq!(client.get(Rate { requests: 2, window: ms(10_000) }, 10_000), Ok(()));
    assert_eq!(client.get(Rate { requests: 6, window: Duration::MAX }, 10_000), Ok(()), "no overflow");
    assert_eq!(client.get(Rate { requests: 0, ..SEED }, 10_000), Err(60), "none at all");
    assert_eq!(caller(&limiter, "9.9.9.9").get(Rate { requests: 0, window: ms(0) }, 0), Err(1));
}

#[test]
fn a_clock_that_stands_or_goes_back_admits_no_more() {
    let limiter = RateLimiter::default();
    let start = monotonic() + ms(100_000);
    let admit = |now| limiter.admit(SEED, CLIENT.parse().unwrap(), Method::Get, now).is_ok();
    assert_eq!((0..9).filter(|_| admit(start)).count(), 5);
    assert_eq!((0..9).filter(|&back| admit(start - ms(back))).count(), 0);
    assert!(admit(start + ms(60_000)));
    let other = "9.9.9.9".parse().unwrap();
    assert_eq!(limiter.admit(SEED, other, Method::Get, start), Ok(()), "counts as the latest time");
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(number).into()
}

#[test]
fn a_million_addresses_stay_within_the_bound_and_the_latest_are_kept() {
    let (limiter, now) = (RateLimiter::default(), monotonic());
    let one = Rate { requests: 1, ..SEED };
    for number in 0..1_000_000 {
        assert_eq!(limiter.admit(one, address(number), Method::Get, now), Ok(()));
        if number % 100_000 == 0 {
            assert!(windows(&limiter) <= RATE_LIMIT_ADDRESSES_MAX);
        }
    }
    let kept = 1_000_000 - u32::try_from(RATE_LIMIT_ADDRESSES_MAX).unwrap();
    assert_eq!(limiter.admit(one, address(kept), Method::Get, now), Err(RetryAfter { seconds: 60 }));
    assert_eq!(limiter.admit(one, address(kept - 1), Method::Get, now), Ok(()), "was forgotten");
    assert_eq!(windows(&limiter), RATE_LIMIT_ADDRESSES_MAX);
}

#[test]
fn expired_entries_leave_while_others_come() {
    let (limiter, now) = (RateLimiter::default(), monotonic());
    for number in 0..1_000 {
        assert_eq!(limiter.admit(SEED, address(number), Method::Get, now), Ok(()));
    }
    for number in 1_000..2_000 {
        assert_eq!(limiter.admit(SEED, address(number), Method::Get, now + SEED.window), Ok(()));
    }
    assert_eq!(windows(&limiter), 1_000);
}

proptest! {
    /// Against a counter that is set back when a request finds the window over.
    #[test]
    fn a_request_is_admitted_as_long_as_its_window_has_space(
        steps in proptest::collection::vec(0_u64..60, 1..200),
        requests in 1_u32..6,
    ) {
        let (limiter, mut at_ms, mut window) = (RateLimiter::default(), 0, (0, 0));
        let client = caller(&limiter, CLIENT);
        for step in steps {
            at_ms += step;
            if window.1 == 0 || at_ms - window.0 >= 100 {
                window = (at_ms, 0);
            }
            let has_space = window.1 < requests;
            prop_assert_eq!(client.get(Rate { requests, window: ms(100) }, at_ms).is_ok(), has_space);
            window.1 += u32::from(has_space);
        }
    }
}
