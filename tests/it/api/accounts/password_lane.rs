//! Passwords are hashed beside everything else: nothing waits for them that need not.

use crate::harness::people::{PASSWORD, register, registration};
use crate::harness::{
    Connection, DEMO_KEY, DEMO_KEYS, GLOBAL_KEY, Response, Server, encode_request, known_config_with,
    wait_until,
};
use pikv::testing::limits::{REGISTRATION_WINDOW_SECONDS, REGISTRATIONS_OF_ADDRESS_MAX};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Each password takes a good part of a second.
fn slow_server() -> Server {
    Server::start_with(known_config_with(json!({
        "accounts": { "bcrypt_cost": 13 },
        "timeouts": { "shutdown_seconds": 1 }
    })))
}

/// Sends logins whose answers nobody reads.
fn logins(server: &Server, count: usize) -> Vec<crate::harness::Connection> {
    let login = |number| {
        let mut connection = server.connect();
        let body = format!("{{\"username\":\"nobody{number}\",\"password\":\"x\"}}");
        let head = format!("POST /login HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.send((head + &body).as_bytes());
        connection
    };
    (0..count).map(login).collect()
}

/// This machine is a proxy, so that requests come from many addresses.
fn proxied_server(bcrypt_cost: u32) -> Server {
    Server::start_with(known_config_with(json!({
        "accounts": { "bcrypt_cost": bcrypt_cost },
        "trusted_proxies": ["127.0.0.1/32"],
    })))
}

fn post(server: &Server, path: &str, address: &str, body: &Value) -> Response {
    let fields = [("Content-Type", "application/json"), ("X-Forwarded-For", address)];
    server.request("POST", path, None, &fields, body.to_string().as_bytes())
}

/// Sends what `request` makes of a number (path, address, body) over 90 connections in a loop while
/// `act` runs. Gives up on an answer after a second.
fn beside_a_flood<T>(
    server: &Server,
    request: impl Fn(usize) -> (&'static str, String, Value) + Sync,
    act: impl FnOnce() -> T,
) -> T {
    let (ended, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let flood = || {
        while !ended.load(Ordering::Relaxed) {
            let (path, address, body) = request(sent.fetch_add(1, Ordering::Relaxed));
            let Ok(mut connection) = Connection::try_open(server.port) else { continue };
            connection.set_read_timeout(Duration::from_secs(1));
            let fields = [("Content-Type", "application/json"), ("X-Forwarded-For", &*address)];
            let bytes = encode_request("POST", path, None, &fields, body.to_string().as_bytes());
            let answer = connection.try_send(&bytes).and_then(|()| connection.try_read_response("POST"));
            if answer.is_ok_and(|answer| answer.status != 201 && answer.status != 401) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    };
    let done = std::thread::scope(|scope| {
        (0..90).for_each(|_| drop(scope.spawn(flood)));
        let done = catch_unwind(AssertUnwindSafe(|| {
            wait_until("the flood has begun", || sent.load(Ordering::Relaxed) >= 90);
            act()
        }));
        ended.store(true, Ordering::Relaxed);
        done
    });
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Signs in five times from elsewhere; the longest it took.
fn sign_in_five_times(server: &Server) -> Duration {
    let once = |number: usize| {
        let begun = Instant::now();
        let path = ["/login", "/api/token", "/api/login"][number % 3];
        let body = json!({ "username": "ann", "password": PASSWORD });
        let answer = post(server, path, &format!("10.2.0.{number}"), &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        begun.elapsed()
    };
    (0..5).map(once).max().unwrap()
}

/// A login waits for about three hashes of others, and may be on a busy machine.
const A_FEW_SECONDS: Duration = Duration::from_secs(8);

#[test]
fn a_client_signs_in_while_one_address_registers_in_a_loop() {
    let server = proxied_server(11);
    register(&server, "ann");
    let flood = |number| ("/api/register", "10.1.0.1".to_owned(), registration(&format!("robot{number}")));
    let longest = beside_a_flood(&server, flood, || sign_in_five_times(&server));
    assert!(longest < A_FEW_SECONDS, "{longest:?}");
}

fn login_without_account(number: usize) -> Value {
    json!({ "username": format!("nobody{number}"), "password": "x" })
}

#[test]
fn a_client_signs_in_while_one_address_tries_unknown_names() {
    let server = proxied_server(11);
    register(&server, "ann");
    let flood = |number| ("/login", "10.1.0.1".to_owned(), login_without_account(number));
    let longest = beside_a_flood(&server, flood, || sign_in_five_times(&server));
    assert!(longest < A_FEW_SECONDS, "{longest:?}");
}

#[test]
fn the_operator_and_known_clients_are_served_while_many_addresses_sign_in() {
    let server = proxied_server(11);
    register(&server, "ann");
    let ann = json!({ "username": "ann", "password": PASSWORD });
    assert_eq!(post(&server, "/login", "10.2.0.1", &ann).status, 200);
    let flood = |number: usize| {
        let address = format!("10.1.{}.{}", number / 200, number % 200);
        ("/login", address, login_without_account(number))
    };
    let took = beside_a_flood(&server, flood, || {
        wait_until("the queue of strangers is full", || {
            post(&server, "/login", "10.3.0.1", &login_without_account(0)).status == 503
        });
        let begun = Instant::now();
        assert_eq!(post(&server, "/login", "10.2.0.1", &ann).status, 200);
        let body = json!({ "username": "bob", "password": PASSWORD }).to_string();
        let answer = server.request("POST", "/api/v1/accounts", Some(GLOBAL_KEY), &[], body.as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
        begun.elapsed()
    });
    assert!(took < A_FEW_SECONDS, "{took:?}");
}

#[test]
fn registrations_of_one_address_are_bounded_and_others_are_not_refused() {
    let server = proxied_server(4);
    let register =
        |name: String, address: &str| post(&server, "/api/register", address, &registration(&name));
    for number in 0..REGISTRATIONS_OF_ADDRESS_MAX {
        // An IPv6 /64 is one address.
        let address = format!("2001:db8::{number:x}");
        assert_eq!(register(format!("a{number}"), &address).status, 201, "{number}");
    }
    let refused = register("more".to_owned(), "2001:db8::ffff");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("TOO_MANY_ATTEMPTS")));
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=REGISTRATION_WINDOW_SECONDS).contains(&wait), "{wait}");
    assert_eq!(register("other".to_owned(), "2001:db8:0:1::1").status, 201);
}

#[test]
fn a_queue_of_passwords_does_not_delay_the_shutdown() {
    let mut server = slow_server();
    let waiting = logins(&server, 40);
    let mut other = server.connect();
    assert_eq!(other.request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"").status, 200);
    let asked = Instant::now();
    assert!(server.terminate().success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}: 40 passwords take longer than that");
    drop(waiting);
}
