//! docs/SECURITY.md: its numbers are those of the source, and pages have the fields that it shows.

use crate::harness::{Server, grouped};
use crate::house::markdown::{blocks, read};
use pikv::testing::limits::{
    BCRYPT_COST_DEFAULT, LOGIN_ATTEMPTS_OF_ACCOUNT_MAX, LOGIN_ATTEMPTS_OF_ADDRESS_MAX,
    LOGIN_ATTEMPTS_OF_PAIR_MAX, LOGIN_COUNTERS_MAX, LOGIN_PAIR_KNOWN_SECONDS, LOGIN_WINDOW_SECONDS,
    PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN, PASSWORD_QUEUE_MAX, PASSWORD_THREADS_MAX,
    RATE_LIMIT_REQUESTS_DEFAULT, RATE_LIMIT_WINDOW_SECONDS_DEFAULT, REGISTRATION_WINDOW_SECONDS,
    REGISTRATIONS_OF_ADDRESS_MAX, SESSION_SECONDS, TOKEN_LEEWAY_SECONDS_MAX,
};

const DOCUMENT: &str = "docs/SECURITY.md";

#[test]
fn numbers_of_the_security_document_are_those_of_the_source() {
    let document = read(DOCUMENT);
    let guesses_a_day = u64::from(LOGIN_ATTEMPTS_OF_ACCOUNT_MAX) * 86_400 / LOGIN_WINDOW_SECONDS;
    for text in [
        format!("{PASSWORD_CHARACTERS_MIN} characters to {PASSWORD_BYTES_MAX} bytes"),
        format!("cost `accounts.bcrypt_cost` ({BCRYPT_COST_DEFAULT})"),
        format!("at most {PASSWORD_THREADS_MAX} threads"),
        format!("three queues, each with at most {PASSWORD_QUEUE_MAX} checks"),
        format!(
            "may register {REGISTRATIONS_OF_ADDRESS_MAX} times in {} minutes",
            REGISTRATION_WINDOW_SECONDS / 60
        ),
        format!("with {TOKEN_LEEWAY_SECONDS_MAX} seconds of leeway"),
        format!("Max-Age={SESSION_SECONDS};"),
        format!("in windows of {} minutes", LOGIN_WINDOW_SECONDS / 60),
        format!("| one address at one account | {LOGIN_ATTEMPTS_OF_PAIR_MAX} |"),
        format!("| one address at all accounts | {LOGIN_ATTEMPTS_OF_ADDRESS_MAX} |"),
        format!("but for those that have logged in to it | {LOGIN_ATTEMPTS_OF_ACCOUNT_MAX} |"),
        format!("during the last {} days", LOGIN_PAIR_KNOWN_SECONDS / 86_400),
        format!("keeps {} entries", grouped(LOGIN_COUNTERS_MAX)),
        format!("are {} a day", grouped(guesses_a_day)),
        format!("{RATE_LIMIT_REQUESTS_DEFAULT} requests in {RATE_LIMIT_WINDOW_SECONDS_DEFAULT} seconds"),
    ] {
        assert!(document.contains(&text), "{text}");
    }
}

#[test]
fn pages_have_the_fields_that_the_security_document_shows() {
    let document = read(DOCUMENT);
    let is_of_pages = |text: &str| text.starts_with("content-security-policy");
    let blocks = blocks(&document);
    let shown = blocks.iter().find(|block| is_of_pages(&block.text)).expect("the fields of pages");
    let page = Server::start_known().request("GET", "/api/login", None, &[("Accept", "text/html")], b"");
    for line in shown.text.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        assert_eq!(page.field(name), Some(value), "{name}");
    }
}
