//! Passwords are hashed beside everything else: nothing waits for them that need not.

use super::harness::{DEMO_KEY, DEMO_KEYS, Server, known_config_with};
use serde_json::json;
use std::time::{Duration, Instant};

/// Each password takes a good part of a second.
fn slow_server() -> Server {
    Server::start_with(known_config_with(json!({
        "accounts": { "bcrypt_cost": 13 },
        "timeouts": { "shutdown_seconds": 1 }
    })))
}

/// Sends logins whose answers nobody reads.
fn logins(server: &Server, count: usize) -> Vec<super::harness::Connection> {
    let login = |number| {
        let mut connection = server.connect();
        let body = format!("{{\"username\":\"nobody{number}\",\"password\":\"x\"}}");
        let head = format!("POST /login HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.send((head + &body).as_bytes());
        connection
    };
    (0..count).map(login).collect()
}

#[test]
fn a_queue_of_passwords_does_not_hold_up_the_end() {
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
