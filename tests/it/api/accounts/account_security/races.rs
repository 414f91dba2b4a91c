//! Many at the same account at the same moment.

use super::members::{
    PASSWORD, attempt, config, delete, login_body, register, registration, send, server, session, token,
    update, with_token, with_token_on,
};
use crate::harness::{GLOBAL_KEY, Server, encode_request, wait_until};
use pikv::testing::limits::{LOGIN_ATTEMPTS_OF_PAIR_MAX, PASSWORD_QUEUE_MAX};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const TOGETHER: usize = 100;

/// What `run` gives for each of [`TOGETHER`] callers, counted. Who is told to come again does.
fn statuses(run: impl Fn(usize) -> u16 + Sync) -> BTreeMap<u16, usize> {
    let barrier = Barrier::new(TOGETHER);
    let mut counts = BTreeMap::new();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..TOGETHER)
            .map(|number| {
                let (barrier, run) = (&barrier, &run);
                scope.spawn(move || {
                    barrier.wait();
                    let mut status = 503;
                    wait_until("somebody is given an answer", || {
                        status = run(number);
                        status != 503
                    });
                    status
                })
            })
            .collect();
        for caller in callers {
            *counts.entry(caller.join().unwrap()).or_default() += 1;
        }
    });
    counts
}

/// `name` in one of its cases.
fn cased(name: &str, number: usize) -> String {
    let each = name.chars().enumerate();
    each.map(|(at, c)| if number >> (at % 7) & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect()
}

fn accounts(server: &Server) -> Vec<String> {
    let listed = server.request("GET", "/api/v1/accounts", Some(GLOBAL_KEY), &[], b"").json();
    let names = listed["accounts"].as_array().unwrap().iter();
    names.map(|account| account["username"].as_str().unwrap().to_lowercase()).collect()
}

#[test]
fn one_of_100_simultaneous_registrations_of_a_name_succeeds() {
    let server = server();
    let counts = statuses(|number| {
        let body = registration(&cased("somebody", number), &format!("{number}@example.com"));
        send(&mut server.connect(), "POST", "/api/register", &body).status
    });
    assert_eq!(counts, BTreeMap::from([(201, 1), (409, TOGETHER - 1)]));
    assert_eq!(accounts(&server), ["somebody"]);
    token(&server, "SOMEBODY");
}

#[test]
fn one_of_100_simultaneous_registrations_of_an_address_succeeds() {
    let server = server();
    let counts = statuses(|number| {
        let body = registration(&format!("body{number}"), &cased("some@example.com", number));
        send(&mut server.connect(), "POST", "/api/register", &body).status
    });
    assert_eq!(counts, BTreeMap::from([(201, 1), (409, TOGETHER - 1)]));
    let [winner] = accounts(&server).try_into().unwrap();
    assert_eq!(delete(&server, &winner).status, 204);
    let body = registration("again", "SOME@EXAMPLE.COM");
    let again = send(&mut server.connect(), "POST", "/api/register", &body);
    assert_eq!(again.status, 201, "the address is free again: {again:?}");
}

#[test]
fn one_of_a_hundred_simultaneous_deletions_of_an_account_succeeds() {
    let server = server();
    register(&server, "one");
    let counts = statuses(|_| delete(&server, "one").status);
    assert_eq!(counts, BTreeMap::from([(204, 1), (404, TOGETHER - 1)]));
    register(&server, "one");
}

/// Names, passwords and registrations at the same time: afterwards one password is the right one, and
/// all tokens from before are void.
#[test]
fn passwords_that_are_changed_together_leave_one_that_is_right() {
    // Few enough to be tried before strangers may guess no more.
    const PASSWORDS: usize = 10;
    let server = server();
    register(&server, "one");
    let (before, cookie) = (token(&server, "one"), session(&server, "one"));
    let counts = statuses(|number| match number % 4 {
        0 => attempt(&server, "/login", "one", PASSWORD, &format!("10.1.0.{number}")).status.min(401),
        _ => {
            update(&server, "one", &json!({ "password": format!("Changed-{}!", number % PASSWORDS) })).status
        }
    });
    assert_eq!(counts.keys().filter(|status| ![200, 401].contains(status)).count(), 0, "{counts:?}");
    let right: Vec<_> = (0..PASSWORDS)
        .filter(|number| {
            let password = format!("Changed-{number}!");
            let mut status = 503;
            wait_until("a login is answered", || {
                status = attempt(&server, "/login", "one", &password, &format!("10.2.0.{number}")).status;
                status != 503
            });
            status == 200
        })
        .collect();
    assert_eq!(right.len(), 1, "{right:?}");
    assert_eq!(with_token(&server, &before, "GET", "/api/object/a", "").status, 401);
    let read = server.request("GET", "/api/data/a", None, &[("Cookie", &cookie)], b"");
    assert_eq!(read.status, 401, "{read:?}");
}

#[test]
fn a_refused_registration_reserves_neither_name_nor_address() {
    let server = server();
    register(&server, "one");
    let body = registration("one", "other@example.com");
    let taken = send(&mut server.connect(), "POST", "/api/register", &body);
    assert_eq!(taken.json()["code"], "USERNAME_EXISTS");
    let body = registration("other", "one@example.com");
    let taken = send(&mut server.connect(), "POST", "/api/register", &body);
    assert_eq!(taken.json()["code"], "EMAIL_EXISTS");
    let body = registration("other", "other@example.com");
    let free = send(&mut server.connect(), "POST", "/api/register", &body);
    assert_eq!(free.status, 201, "{free:?}");
}

/// All text of the files of accounts.
fn files_text(server: &Server) -> String {
    let files = std::fs::read_dir(server.data_path("")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("_account"));
    files.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect()
}

#[test]
fn nothing_remains_of_an_account_that_is_deleted_while_it_writes() {
    const WRITERS: usize = 16;
    let mut server = server();
    register(&server, "one");
    register(&server, "two");
    let token_one = token(&server, "one");
    let kept = with_token(&server, &token(&server, "two"), "PUT", "/item/kept", "{\"value\":1}");
    assert_eq!(kept.status, 200, "{kept:?}");
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (server, token, written) = (&server, &token_one, &written);
            scope.spawn(move || {
                let mut connection = server.connect();
                for number in 0.. {
                    let path = format!("/item/WRITTEN-{writer}-{number}");
                    let put = with_token_on(&mut connection, token, "PUT", &path, "{\"value\":1}");
                    if put.status == 403 {
                        return;
                    }
                    assert_eq!(put.status, 200, "{put:?}");
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait_until("all write", || written.load(Ordering::Relaxed) > 10 * WRITERS);
        assert_eq!(delete(&server, "one").status, 204);
        let gone = with_token(&server, &token_one, "GET", "/item/WRITTEN-0-0", "");
        assert_eq!(gone.status, 403, "{gone:?}");
    });
    register(&server, "one");
    let listed = with_token(&server, &token(&server, "one"), "GET", "/api/data", "").json();
    assert_eq!(listed["data"]["keys"], json!([]), "the next of that name has none of it");
    server.restart();
    let text = files_text(&server);
    assert!(text.contains("kept") && !text.contains("WRITTEN"), "{text}");
    let kept = with_token(&server, &token(&server, "two"), "GET", "/item/kept", "");
    assert_eq!(kept.json(), json!({ "kept": 1 }));
}

#[test]
fn a_disabled_account_is_refused_as_soon_as_the_answer_reports_it() {
    let server = server();
    register(&server, "one");
    for round in 0..20 {
        let (token_one, cookie) = (token(&server, "one"), session(&server, "one"));
        let mut connection = server.connect();
        let put = with_token_on(&mut connection, &token_one, "PUT", "/item/a", "{\"value\":1}");
        assert_eq!(put.status, 200, "{put:?}");
        assert_eq!(update(&server, "one", &json!({ "disabled": true })).status, 200);
        assert_eq!(with_token_on(&mut connection, &token_one, "GET", "/item/a", "").status, 403);
        let read = connection.request("GET", "/api/data/a", None, &[("Cookie", &cookie)], b"");
        assert_eq!(read.status, 401, "{read:?}");
        let login = attempt(&server, "/login", "one", PASSWORD, &format!("10.0.9.{round}"));
        assert_eq!(login.status, 401, "{login:?}");
        assert_eq!(update(&server, "one", &json!({ "disabled": false })).status, 200);
        assert_eq!(with_token_on(&mut connection, &token_one, "GET", "/item/a", "").status, 403);
        drop(token(&server, "one"));
    }
}

/// More than may be checked at once for one account and for one address. None of them has failed, so
/// none has to wait for longer than the others take.
#[test]
fn simultaneous_right_passwords_all_succeed() {
    let mut config = config();
    config["accounts"]["bcrypt_cost"] = json!(8);
    let server = Server::start_with(config);
    register(&server, "one");
    let counts = statuses(|_| {
        let answer = attempt(&server, "/api/token", "one", PASSWORD, "10.9.6.1");
        if answer.status != 429 {
            return answer.status;
        }
        assert_eq!(answer.field("retry-after"), Some("1"), "{answer:?}");
        assert!(answer.text().contains("being checked at once"), "{answer:?}");
        503
    });
    assert_eq!(counts, BTreeMap::from([(200, TOGETHER)]));
}

/// Others keep the lane of passwords full, and somebody is told to come again more often than they may
/// guess: none of that counts.
#[test]
fn a_full_queue_of_passwords_does_not_count_as_a_guess() {
    let mut config = config();
    config["accounts"]["bcrypt_cost"] = json!(13);
    let server = Server::start_with(config);
    let login = |name: &str, address: &str| {
        let fields = [("Content-Type", "application/json"), ("X-Forwarded-For", address)];
        encode_request("POST", "/login", None, &fields, login_body(name, "Wrong-Guess-1").as_bytes())
    };
    let mut others: Vec<_> = (0..PASSWORD_QUEUE_MAX + 20).map(|_| server.connect()).collect();
    for (number, other) in others.iter_mut().enumerate() {
        other.send(&login(&format!("other{number}"), &format!("10.6.0.{number}")));
    }
    wait_until("the lane is full", || {
        let mut last = others.iter_mut().rev().take(20);
        last.any(|other| other.has_input_within(Duration::from_millis(1)))
    });
    let guesses = 3 * LOGIN_ATTEMPTS_OF_PAIR_MAX as usize;
    let mut connections: Vec<_> = (0..guesses).map(|_| server.connect()).collect();
    connections.iter_mut().for_each(|connection| connection.send(&login("one", "10.6.1.1")));
    // Some may find room in the queue, where they wait behind all others.
    let mut refused = 0;
    for connection in &mut connections {
        if !connection.has_input_within(Duration::from_millis(200)) {
            continue;
        }
        let answer = connection.read_response();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.field("retry-after"), Some("1"), "{answer:?}");
        refused += 1;
    }
    assert!(refused > guesses / 2, "{refused} of {guesses} were told to come again");
}
