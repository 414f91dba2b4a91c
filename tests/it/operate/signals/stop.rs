//! SIGTERM and SIGINT: what runs is finished, what was stored is in the `.json`, the exit code is 0.

use crate::harness::{DEMO_KEY, DEMO_KEYS, Server, encode_request, wait_until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn data_file(server: &Server) -> Value {
    serde_json::from_slice(&std::fs::read(server.data_path("demo.json")).unwrap()).unwrap()
}

fn check_stop_by(signal: &str) {
    let mut server = Server::start_known();
    for number in 0..50 {
        assert_eq!(server.put_demo(&format!("k{number:02}"), &number.to_string()).status, 201);
    }
    server.signal(signal);
    let status = server.await_exit();
    assert_eq!(status.code(), Some(0), "{}", server.stderr_text());
    let data = data_file(&server);
    assert_eq!(data.as_object().unwrap().len(), 50);
    assert_eq!((&data["k00"], &data["k49"]), (&json!(0), &json!(49)));
    server.start_again();
    assert_eq!(server.get_demo("k49").text(), "49");
}

#[test]
fn sigterm_leaves_every_value_in_the_json() {
    check_stop_by("TERM");
}

#[test]
fn sigint_leaves_every_value_in_the_json() {
    check_stop_by("INT");
}

#[test]
fn an_answer_that_is_being_sent_is_finished() {
    let mut server = Server::start_known();
    let value = format!("\"{}\"", "x".repeat(1_000_000));
    for number in 0..16 {
        assert_eq!(server.put_demo(&format!("big{number:02}"), &value).status, 201);
    }
    let mut reader = server.connect();
    reader.send(&encode_request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b""));
    assert!(reader.has_input_within(Duration::from_secs(10)), "the answer has begun");
    server.signal("TERM");
    await_refused_connections(&server);
    assert_eq!(reader.read_response().json()["count"], 16);
    let since = Instant::now();
    reader.expect_closed();
    assert!(since.elapsed() < Duration::from_secs(5), "a finished answer holds nothing up");
    assert_eq!(server.await_exit().code(), Some(0), "{}", server.stderr_text());
}

#[test]
fn requests_in_flight_are_answered_and_their_values_are_in_the_json() {
    let mut server = Server::start_known();
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let path = format!("{DEMO_KEYS}/k{number}");
        let whole = encode_request("PUT", &path, Some(DEMO_KEY), &[], b"123456");
        client.send(&whole[..whole.len() - 3]);
    }
    // All halves were read once another client on each loop is answered behind them.
    for _ in 0..8 {
        server.connect().still_open();
    }
    server.signal("TERM");
    await_refused_connections(&server);
    for client in &mut clients {
        client.send(b"456");
        let response = client.read_response();
        assert_eq!(response.status, 201);
        assert_eq!(response.field("connection"), Some("close"));
        client.expect_closed();
    }
    assert_eq!(server.await_exit().code(), Some(0), "{}", server.stderr_text());
    assert_eq!(data_file(&server).as_object().unwrap().len(), clients.len());
}

/// From here on the server has begun to stop.
fn await_refused_connections(server: &Server) {
    wait_until("no connection is accepted", || {
        std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err()
    });
}

#[test]
fn idle_connections_do_not_delay_the_shutdown() {
    let mut server = Server::start_known();
    let mut idle: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for connection in idle.iter_mut().take(5) {
        connection.still_open();
    }
    let since = Instant::now();
    assert_eq!(server.terminate().code(), Some(0), "{}", server.stderr_text());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[test]
fn a_client_that_never_finishes_delays_the_shutdown_only_for_the_configured_time() {
    let config = crate::harness::known_config_with(json!({ "timeouts": { "shutdown_seconds": 1 } }));
    let mut server = Server::start_with(config);
    let mut half = server.connect();
    half.send(&encode_request("PUT", &format!("{DEMO_KEYS}/a"), Some(DEMO_KEY), &[], b"123")[..80]);
    server.connect().still_open();
    let since = Instant::now();
    assert_eq!(server.terminate().code(), Some(0), "{}", server.stderr_text());
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
}

#[test]
fn a_second_sigterm_may_end_the_program_at_once_but_loses_nothing() {
    let mut server = Server::start_known();
    assert_eq!(server.put_demo("a", "1").status, 201);
    server.signal("TERM");
    // The process may be gone already; then there is nobody to be impatient with.
    let _ = std::process::Command::new("kill").arg(server.pid().to_string()).output();
    let code = server.await_exit().code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}: {}", server.stderr_text());
    server.start_again();
    assert_eq!(server.get_demo("a").text(), "1");
}

#[test]
fn values_survive_sigkill() {
    let mut server = Server::start_known();
    for number in 0..20 {
        assert_eq!(server.put_demo(&format!("k{number}"), &number.to_string()).status, 201);
    }
    server.kill();
    server.start_again();
    for number in 0..20 {
        assert_eq!(server.get_demo(&format!("k{number}")).text(), number.to_string());
    }
}
