//! How long a client may take. The waits are part of the claims: nothing is answered too early.

use super::{expect_nothing_applied, head, put_five};
use crate::harness::{
    Connection, DEMO_KEY, DEMO_KEYS, Server, encode_request, known_config_with, wait_until,
};
use serde_json::json;
use std::time::{Duration, Instant};

/// All deadlines at a second, but for `long`, which are out of reach.
fn server_with_long(long: &[&str]) -> Server {
    let mut timeouts = json!({
        "head_seconds": 1, "body_grace_seconds": 1, "idle_seconds": 1, "write_seconds": 1
    });
    for name in long {
        timeouts[name] = json!(600);
    }
    Server::start_with(known_config_with(json!({ "timeouts": timeouts })))
}

fn assert_took_about_a_second(since: Instant) {
    let elapsed = since.elapsed();
    assert!(elapsed >= Duration::from_millis(900), "too early: {elapsed:?}");
    assert!(elapsed < Duration::from_secs(8), "too late: {elapsed:?}");
}

/// Sends one of `bytes` every 50 ms until the server has answered.
fn send_slowly(connection: &mut Connection, bytes: &[u8]) {
    for byte in bytes {
        if connection.try_send(&[*byte]).is_err() || connection.has_input_within(Duration::from_millis(50)) {
            return;
        }
    }
}

#[test]
fn a_stalled_head_is_a_408_and_ends_the_connection() {
    let server = server_with_long(&["idle_seconds", "body_grace_seconds"]);
    let mut connection = server.connect();
    let since = Instant::now();
    connection.send(head("GET", "/healthz").as_bytes());
    connection.read_response().expect_problem(408, "request_timeout");
    assert_took_about_a_second(since);
    connection.expect_closed();
}

#[test]
fn a_head_that_trickles_is_a_408_although_bytes_arrive() {
    let server = server_with_long(&["idle_seconds", "body_grace_seconds"]);
    let mut connection = server.connect();
    let since = Instant::now();
    send_slowly(&mut connection, format!("{}X: {}", head("GET", "/healthz"), "x".repeat(400)).as_bytes());
    connection.read_response().expect_problem(408, "request_timeout");
    assert_took_about_a_second(since);
    connection.expect_closed();
}

#[test]
fn the_head_of_a_second_request_has_the_same_deadline() {
    let server = server_with_long(&["idle_seconds", "body_grace_seconds"]);
    let mut connection = server.connect();
    connection.still_open();
    let since = Instant::now();
    connection.send(b"GET /hea");
    connection.read_response().expect_problem(408, "request_timeout");
    assert_took_about_a_second(since);
    connection.expect_closed();
}

#[test]
fn a_stalled_body_is_a_408_and_nothing_is_applied() {
    let server = server_with_long(&["idle_seconds", "head_seconds"]);
    for wire in [
        put_five("slow", "Content-Length: 6\r\n"),
        format!("{}Transfer-Encoding: chunked\r\n\r\n5\r\n1", head("PUT", &format!("{DEMO_KEYS}/slow"))),
    ] {
        let mut connection = server.connect();
        let since = Instant::now();
        connection.send(wire.as_bytes());
        connection.read_response().expect_problem(408, "request_timeout");
        assert_took_about_a_second(since);
        connection.expect_closed();
    }
    expect_nothing_applied(&server);
}

#[test]
fn a_body_that_trickles_is_a_408_although_bytes_arrive() {
    let server = server_with_long(&["idle_seconds", "head_seconds"]);
    let mut connection = server.connect();
    let since = Instant::now();
    connection.send(put_five("slow", "Content-Length: 1000\r\n").as_bytes());
    send_slowly(&mut connection, &[b'1'; 400]);
    connection.read_response().expect_problem(408, "request_timeout");
    assert_took_about_a_second(since);
    connection.expect_closed();
    expect_nothing_applied(&server);
}

#[test]
fn a_body_that_is_fast_enough_may_take_longer_than_the_grace() {
    let server = server_with_long(&["idle_seconds", "head_seconds"]);
    let mut connection = server.connect();
    let since = Instant::now();
    connection
        .send(format!("{}Content-Length: 40000\r\n\r\n", head("PUT", &format!("{DEMO_KEYS}/a"))).as_bytes());
    for _ in 0..39 {
        connection.send(&[b'1'; 1000]);
        assert!(!connection.has_input_within(Duration::from_millis(50)), "answered too early");
        if since.elapsed() > Duration::from_secs(4) {
            // This machine is slow: the pace is no longer the one that is meant.
            break;
        }
    }
    let sent = since.elapsed();
    if sent < Duration::from_secs(4) {
        connection.send(&[b'1'; 1000]);
        assert_eq!(connection.read_response().status, 201);
        assert!(sent > Duration::from_millis(1500), "{sent:?} is longer than the grace");
    }
}

#[test]
fn an_idle_connection_is_closed_without_an_answer() {
    let server = server_with_long(&["head_seconds", "body_grace_seconds"]);
    let since = Instant::now();
    let mut unused = server.connect();
    unused.expect_closed();
    assert_took_about_a_second(since);
    let mut used = server.connect();
    used.still_open();
    let since = Instant::now();
    used.expect_closed();
    assert_took_about_a_second(since);
    let mut empty_line = server.connect();
    let since = Instant::now();
    empty_line.send(b"\r\n");
    empty_line.expect_closed();
    assert_took_about_a_second(since);
}

#[test]
fn a_connection_in_use_outlives_the_idle_time() {
    let server = server_with_long(&["head_seconds", "body_grace_seconds"]);
    let mut connection = server.connect();
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(2_500) {
        connection.still_open();
        assert!(!connection.has_input_within(Duration::from_millis(100)), "closed or spoke");
    }
    connection.still_open();
}

/// One connection at a time, so that a second one is served when, and only when, the first is gone.
#[test]
fn the_connection_of_a_client_that_does_not_read_its_answer_is_closed() {
    // With one connection for an address, the next one is refused as long as the first is open.
    let server = Server::start_with(known_config_with(json!({
        "timeouts": { "head_seconds": 600, "body_grace_seconds": 600, "idle_seconds": 600, "write_seconds": 1 },
        "limits": { "connections_per_address_max": 1 }
    })));
    let value = format!("\"{}\"", "x".repeat(1_000_000));
    assert_eq!(server.put_demo("big", &value).status, 201);
    let served = || {
        let mut connection = server.connect();
        let response = connection.request("GET", "/healthz", None, &[], b"");
        (response.status == 200).then_some(connection)
    };
    let mut deaf = None;
    wait_until("the connection before is closed", || {
        deaf = served();
        deaf.is_some()
    });
    let mut deaf = deaf.unwrap();
    let get = encode_request("GET", &format!("{DEMO_KEYS}/big"), Some(DEMO_KEY), &[], b"");
    let since = Instant::now();
    deaf.send(&get.repeat(40));
    wait_until("the client is given up", || served().is_some());
    assert_took_about_a_second(since);
    let answers = (0..40).take_while(|_| deaf.try_read_response("GET").is_ok()).count();
    assert!(answers < 40, "all answers fit the buffers of the system, nothing was tested");
}
