//! Guessing passwords over HTTP: one counter for all ways in, which the owner does not pay for.

use super::members::{PASSWORD, attempt, register, server};
use crate::harness::{Response, Server};
use pikv::testing::auth::throttle::Throttle;
use pikv::testing::limits::{
    LOGIN_ATTEMPTS_OF_ACCOUNT_MAX, LOGIN_ATTEMPTS_OF_ADDRESS_MAX, LOGIN_ATTEMPTS_OF_PAIR_MAX,
    LOGIN_WINDOW_SECONDS,
};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

/// All ways in by a password.
const WAYS: [&str; 3] = ["/login", "/api/token", "/api/login"];

/// A wrong password for `name` from `address`, by the way with this number.
fn guess(server: &Server, number: u32, name: &str, address: &str) -> u16 {
    attempt(server, WAYS[number as usize % WAYS.len()], name, "Wrong-Guess-1", address).status
}

fn check_throttled(response: &Response, way: &str) {
    assert_eq!(response.status, 429, "{way}: {response:?}");
    let seconds: u64 = response.field("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=LOGIN_WINDOW_SECONDS).contains(&seconds), "{way}: {seconds}");
    match way {
        "/login" => assert!(response.json()["error"].is_string(), "{response:?}"),
        _ => assert_eq!(response.json()["code"], "TOO_MANY_ATTEMPTS", "{response:?}"),
    }
}

#[test]
fn all_login_routes_share_one_counter_and_refuse_even_the_right_password() {
    let server = server();
    register(&server, "one");
    for number in 0..LOGIN_ATTEMPTS_OF_PAIR_MAX {
        assert_eq!(guess(&server, number, "oNe", "10.9.0.1"), 401, "guess {number}");
    }
    for way in WAYS {
        check_throttled(&attempt(&server, way, "one", "Wrong-Guess-1", "10.9.0.1"), way);
        check_throttled(&attempt(&server, way, "ONE", PASSWORD, "10.9.0.1"), way);
    }
    assert_eq!(attempt(&server, "/login", "other", "x", "10.9.0.1").status, 401, "another account");
    for way in WAYS {
        let elsewhere = attempt(&server, way, "one", PASSWORD, "10.9.0.2");
        assert_eq!(elsewhere.status, 200, "{way}: {elsewhere:?}");
    }
}

#[test]
fn an_invalid_password_counts_as_a_guess_on_every_login_route() {
    let server = server();
    register(&server, "one");
    let texts = ["x".repeat(73), "x".repeat(5_000), "line\nend".to_owned()];
    for (number, text) in texts.iter().enumerate() {
        for (name, whose) in [("one", 1), ("nobody", 2)] {
            for (index, way) in WAYS.into_iter().enumerate() {
                let address = format!("10.8.{number}.{whose}{index}");
                for _ in 0..LOGIN_ATTEMPTS_OF_PAIR_MAX {
                    let answer = attempt(&server, way, name, text, &address);
                    assert_eq!(answer.status, 401, "{way} {name}: {answer:?}");
                }
                check_throttled(&attempt(&server, way, name, PASSWORD, &address), way);
            }
        }
    }
}

#[test]
fn an_unknown_name_is_throttled_like_a_known_one() {
    let server = server();
    register(&server, "one");
    for name in ["one", "nobody", "not a name at all"] {
        for number in 0..LOGIN_ATTEMPTS_OF_PAIR_MAX {
            assert_eq!(guess(&server, number, name, "10.9.1.1"), 401, "{name}");
        }
        check_throttled(&attempt(&server, "/login", name, PASSWORD, "10.9.1.1"), "/login");
    }
}

#[test]
fn a_login_clears_the_guesses_before_it() {
    let server = server();
    register(&server, "one");
    for _ in 0..3 {
        for number in 1..LOGIN_ATTEMPTS_OF_PAIR_MAX {
            assert_eq!(guess(&server, number, "one", "10.9.2.1"), 401);
        }
        assert_eq!(attempt(&server, "/login", "one", PASSWORD, "10.9.2.1").status, 200);
    }
}

#[test]
fn the_guesses_of_one_address_at_all_accounts_are_bounded() {
    let server = server();
    for number in 0..LOGIN_ATTEMPTS_OF_ADDRESS_MAX {
        assert_eq!(guess(&server, number, &format!("name{number}"), "10.9.3.1"), 401, "{number}");
    }
    check_throttled(&attempt(&server, "/login", "fresh", "x", "10.9.3.1"), "/login");
    assert_eq!(attempt(&server, "/login", "fresh", "x", "10.9.3.2").status, 401);
}

#[test]
fn guesses_from_many_addresses_do_not_lock_out_an_address_that_has_logged_in() {
    let server = server();
    register(&server, "one");
    assert_eq!(attempt(&server, "/login", "one", PASSWORD, "10.9.4.1").status, 200, "the owner at home");
    let mut refused = 0;
    for number in 0..=LOGIN_ATTEMPTS_OF_ACCOUNT_MAX {
        match guess(&server, number, "one", &format!("10.8.{}.{}", number / 250, number % 250)) {
            401 => {}
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused, 1, "the last one");
    let stranger = attempt(&server, "/login", "one", PASSWORD, "10.8.9.9");
    check_throttled(&stranger, "/login");
    for way in WAYS {
        let owner = attempt(&server, way, "one", PASSWORD, "10.9.4.1");
        assert_eq!(owner.status, 200, "{way}: {owner:?}");
    }
}

#[test]
fn only_a_trusted_proxy_chooses_the_address_that_is_counted() {
    let mut config = super::members::config();
    config["trusted_proxies"] = serde_json::json!(["10.0.0.0/8"]);
    let server = Server::start_with(config);
    for number in 0..LOGIN_ATTEMPTS_OF_PAIR_MAX {
        assert_eq!(guess(&server, number, "one", &format!("10.9.5.{number}")), 401);
    }
    check_throttled(&attempt(&server, "/login", "one", "x", "10.9.5.99"), "/login");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Set in the process that measures itself.
const MEASURED: &str = "PIKV_TEST_MEASURED";

/// Four times as many addresses and names as there are counters; the memory is that of full tables. In a
/// process of its own, since other tests take memory beside it.
#[test]
fn memory_is_bounded_however_many_addresses_guess() {
    if crate::harness::environment::variable(MEASURED).is_none() {
        let name =
            "api::accounts::account_security::throttling::memory_is_bounded_however_many_addresses_guess";
        let mut measured = Command::new(std::env::current_exe().unwrap());
        let output = measured.args([name, "--exact", "--nocapture"]).env(MEASURED, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("full tables"), "{said}");
        return;
    }
    let (throttle, now) = (Throttle::default(), pikv::testing::clock::monotonic());
    let address = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number));
    let begin = resident_kib();
    for number in 0..70_000 {
        let _ = throttle.begin(&format!("name{number}"), address(number), now);
    }
    let full = resident_kib();
    for number in 70_000..280_000 {
        let _ = throttle.begin(&format!("name{number}"), address(number), now);
    }
    let (first, then) = (full.saturating_sub(begin), resident_kib().saturating_sub(full));
    println!("full tables: {first} KiB, then {then} KiB more");
    assert!(then < first / 2, "{first} KiB, then {then} KiB more");
}
