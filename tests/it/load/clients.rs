//! Many clients, bad clients, few descriptors: nobody is forgotten and nobody hurts the others.

use crate::harness::{
    Connection, DEMO_KEY, DEMO_KEYS, Options, PATIENCE, Server, encode_request, holds_within, known_config,
    known_config_with, resident_bytes,
};
use pikv::testing::digits::grouped;
use serde_json::json;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// What an answer may take while others misbehave: far below every deadline of the server.
const PROMPT: Duration = Duration::from_secs(5);

fn put_request(key: &str, body: &str) -> Vec<u8> {
    encode_request("PUT", &format!("{DEMO_KEYS}/{key}"), Some(DEMO_KEY), &[], body.as_bytes())
}

/// Fails unless a new client is served promptly, reading and writing.
fn expect_prompt(server: &Server) {
    let since = Instant::now();
    server.connect().still_open();
    let stored = server.put_demo("prompt", "1");
    assert!(matches!(stored.status, 200 | 201), "{stored:?}");
    assert!(since.elapsed() < PROMPT, "{:?}", since.elapsed());
}

#[test]
fn two_hundred_clients_that_connect_together_are_all_answered() {
    let server = Server::start_known();
    let port = server.port;
    let barrier = Arc::new(Barrier::new(200));
    let clients: Vec<_> = (0..200)
        .map(|number| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                barrier.wait();
                let mut connection = Connection::open(port);
                for round in 0..3 {
                    connection.send(&put_request(&format!("client{number}"), &round.to_string()));
                    let status = connection.read_response().status;
                    assert_eq!(status, if round == 0 { 201 } else { 200 });
                    // Nobody goes on before everybody has an answer, and all connections stay.
                    barrier.wait();
                }
                connection.still_open();
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let listing = server.request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"").json();
    assert_eq!(listing["count"], 200);
}

#[test]
fn clients_that_pipeline_writes_get_all_answers() {
    const WRITES: usize = 2_000;
    let server = Server::start_known();
    let port = server.port;
    let clients: Vec<_> = (0..6)
        .map(|number| {
            thread::spawn(move || {
                let mut connection = Connection::open(port);
                connection.send(&put_request(&format!("client{number}"), "1").repeat(WRITES));
                for round in 0..WRITES {
                    assert_eq!(connection.read_response().status, if round == 0 { 201 } else { 200 });
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn half_sent_bodies_do_not_delay_another_client() {
    let server = Server::start_known();
    let mut halves: Vec<_> = (0..32).map(|_| server.connect()).collect();
    for (number, half) in halves.iter_mut().enumerate() {
        let whole = put_request(&format!("half{number}"), "123456");
        half.send(&whole[..whole.len() - 3]);
    }
    expect_prompt(&server);
    for half in &mut halves {
        half.send(b"456");
        assert_eq!(half.read_response().status, 201, "and the slow ones finish");
    }
}

#[test]
fn half_sent_heads_do_not_delay_another_client() {
    let server = Server::start_known();
    let halves: Vec<_> = (0..32)
        .map(|_| {
            let mut half = server.connect();
            half.send(b"GET /healthz HTT");
            half
        })
        .collect();
    expect_prompt(&server);
    drop(halves);
}

#[test]
fn an_announced_petabyte_is_refused_at_once() {
    let server = Server::start_known();
    for length in ["1125899906842624", "18446744073709551615", "9223372036854775807"] {
        let since = Instant::now();
        let mut connection = server.connect();
        let head = format!(
            "PUT {DEMO_KEYS}/a HTTP/1.1\r\nHost: a\r\nX-API-Key: {DEMO_KEY}\r\nContent-Length: {length}\r\n\r\n"
        );
        connection.send(head.as_bytes());
        let response = connection.read_response();
        response.expect_problem(413, "body_too_large");
        let detail = response.json()["detail"].as_str().unwrap().to_owned();
        let length = grouped(length);
        assert!(detail.contains(&length) && detail.contains("1,048,576"), "names both sizes: {detail}");
        assert!(since.elapsed() < PROMPT);
    }
    expect_prompt(&server);
}

/// 20 descriptors of the clients beyond what the process may have at all.
fn server_with_few_descriptors() -> Server {
    let mut config = known_config();
    config["timeouts"] = json!({ "idle_seconds": 1 });
    Server::start_as(Options { config: Some(config), descriptors_max: Some(40), ..Options::default() })
}

#[test]
fn sixty_clients_are_served_with_forty_descriptors() {
    let server = server_with_few_descriptors();
    let port = server.port;
    let barrier = Arc::new(Barrier::new(60));
    let clients: Vec<_> = (0..60)
        .map(|number| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                barrier.wait();
                let mut connection = Connection::open(port);
                connection.send(&put_request(&format!("client{number}"), "1"));
                assert_eq!(connection.read_response().status, 201);
                // Every second client keeps its connection until the server has had enough of it.
                (number % 2 == 0).then_some(connection)
            })
        })
        .collect();
    let kept: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    drop(kept);
    let listing = server.request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"").json();
    assert_eq!(listing["count"], 60);
}

#[test]
fn the_server_continues_after_it_ran_out_of_descriptors() {
    let mut server = server_with_few_descriptors();
    let crowd: Vec<_> = (0..60).map(|_| server.connect()).collect();
    let mut late = server.connect();
    late.send(&put_request("late", "1"));
    assert_eq!(late.read_response().status, 201, "served while the crowd stays");
    drop(crowd);
    expect_prompt(&server);
    server.restart();
    assert_eq!(server.get_demo("late").text(), "1", "files could be written all the time");
}

#[test]
fn clients_that_never_read_do_not_harm_the_others() {
    let mut config = known_config();
    config["projects"][0]["storage"] = json!({ "on_disk": false, "cache_in_memory": true });
    let server = Server::start_with(config);
    let value = format!("\"{}\"", "x".repeat(1_000_000));
    for number in 0..20 {
        assert_eq!(server.put_demo(&format!("big{number:02}"), &value).status, 201);
    }
    expect_prompt(&server);
    let before = resident_bytes(&server);
    let listing = encode_request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"");
    let mut deaf: Vec<_> = (0..16).map(|_| server.connect()).collect();
    for connection in &mut deaf {
        connection.send(&listing.repeat(50));
    }
    for _ in 0..20 {
        expect_prompt(&server);
    }
    if let (Some(before), Some(after)) = (before, resident_bytes(&server)) {
        // 16 listings of 20 MB would be 320 MB.
        assert!(after < before + 64 * 1024 * 1024, "{before} grew to {after}");
    }
    let first = deaf[0].read_response().json();
    assert_eq!(first["count"], 21, "and who begins to read gets everything");
}

#[test]
fn connections_above_the_limit_wait_and_are_then_served() {
    let server = Server::start_with(known_config_with(json!({ "limits": { "connections_max": 4 } })));
    // In the middle of a request, so that they are not closed in favour of those that wait.
    let mut first: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for (number, connection) in first.iter_mut().enumerate() {
        let whole = put_request(&format!("first{number}"), "123456");
        connection.send(&whole[..whole.len() - 3]);
    }
    let mut waiting: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for (number, connection) in waiting.iter_mut().enumerate() {
        connection.send(&put_request(&format!("waiting{number}"), "1"));
    }
    for connection in &mut waiting {
        assert!(!connection.has_input_within(Duration::from_millis(30)), "one connection too many");
    }
    for connection in &mut first {
        connection.send(b"456");
        assert_eq!(connection.read_response().status, 201);
    }
    drop(first);
    // Whoever is served leaves, so that the next one is.
    let since = Instant::now();
    while let Some(mut connection) = (!waiting.is_empty()).then(|| waiting.remove(0)) {
        assert_eq!(connection.read_response().status, 201);
    }
    assert!(since.elapsed() < PROMPT, "{:?}", since.elapsed());
    expect_prompt(&server);
}

#[test]
fn all_slots_stay_in_use_while_no_client_waits() {
    let server = Server::start_with(known_config_with(json!({ "limits": { "connections_max": 3 } })));
    let mut guests: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for _ in 0..3 {
        for guest in &mut guests {
            assert!(!guest.is_closed_within(Duration::from_millis(20)), "closed although nobody waits");
            let response = guest.request("GET", "/healthz", None, &[], b"");
            assert_eq!((response.status, response.field("connection")), (200, None));
        }
    }
}

#[test]
fn the_last_accepted_client_is_answered_too() {
    let server = Server::start_with(known_config_with(json!({ "limits": { "connections_max": 1 } })));
    for _ in 0..50 {
        server.connect().still_open();
    }
    // The one that is in waits for a byte of the next one's body: nobody may be thrown out for it.
    let mut inside = server.connect();
    let whole = put_request("inside", "123456");
    inside.send(&whole[..whole.len() - 3]);
    let mut outside = server.connect();
    outside.send(&put_request("outside", "1"));
    assert!(!outside.has_input_within(Duration::from_millis(100)), "one connection too many");
    inside.send(b"456");
    assert_eq!(inside.read_response().status, 201);
    drop(inside);
    assert_eq!(outside.read_response().status, 201);
}

#[test]
fn closed_connections_leave_no_memory_or_descriptors() {
    let server = Server::start_known();
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    server.connect().still_open();
    let before = descriptors();
    for number in 0..200 {
        let mut connection = server.connect();
        match number % 4 {
            0 => connection.still_open(),
            1 => connection.send(b"GET /hea"),
            2 => connection.send(b"nonsense\r\n\r\n"),
            _ => {}
        }
    }
    let gone = holds_within(PATIENCE, || descriptors() <= before + 2);
    assert!(gone, "{before} descriptors became {}", descriptors());
}
