//! One client cannot keep the others out: not with connections, and not with memory.

use crate::harness::people::{Person, people_config};
use crate::harness::{
    Connection, DEMO_KEY, DEMO_KEYS, Response, Server, encode_request, known_config_with, resident_bytes,
    wait_until,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What an answer may take while others misbehave: far below every deadline of the server.
const PROMPT: Duration = Duration::from_secs(5);
const MIB: usize = 1024 * 1024;

fn server_with(limits: Value) -> Server {
    Server::start_with(known_config_with(json!({ "limits": limits, "server_host": "::" })))
}

/// The status of a small read by a new client at `address`, which has to come promptly.
fn new_client(server: &Server, address: &str) -> u16 {
    let since = Instant::now();
    let mut connection = Connection::open_at(address, server.port);
    let status = connection.request("GET", "/healthz", None, &[], b"").status;
    assert!(since.elapsed() < PROMPT, "{:?}", since.elapsed());
    status
}

/// Connections from `address` that have sent `bytes`.
fn crowd(server: &Server, address: &str, count: usize, bytes: &[u8]) -> Vec<Connection> {
    let open = |_| {
        let mut connection = Connection::open_at(address, server.port);
        connection.send(bytes);
        connection
    };
    (0..count).map(open).collect()
}

#[test]
fn silent_connections_are_closed_for_a_new_client() {
    let server = server_with(json!({ "connections_max": 16 }));
    let _silent = crowd(&server, "127.0.0.1", 40, b"");
    for _ in 0..20 {
        assert_eq!(new_client(&server, "127.0.0.1"), 200, "also at the same address");
    }
}

#[test]
fn idle_connections_stay_while_silent_ones_can_be_closed() {
    let server = server_with(json!({ "connections_max": 16 }));
    let mut idle = crowd(&server, "127.0.0.1", 8, b"");
    idle.iter_mut().for_each(Connection::still_open);
    let _silent = crowd(&server, "127.0.0.1", 8, b"");
    for _ in 0..6 {
        // It stays open: another place is taken each time.
        let mut new = Connection::open_at("::1", server.port);
        new.still_open();
        std::mem::forget(new);
    }
    idle.iter_mut().for_each(Connection::still_open);
}

#[test]
fn connections_of_the_address_with_the_most_are_closed_in_any_state() {
    let timeouts = json!({ "head_seconds": 600, "body_grace_seconds": 600 });
    let config = json!({ "limits": { "connections_max": 16 }, "server_host": "::", "timeouts": timeouts });
    let server = Server::start_with(known_config_with(config));
    let _heads = crowd(&server, "127.0.0.1", 8, b"GET /healthz HTT");
    let whole = encode_request("PUT", &format!("{DEMO_KEYS}/a"), Some(DEMO_KEY), &[], b"123456");
    let _bodies = crowd(&server, "127.0.0.1", 8, &whole[..whole.len() - 3]);
    assert_eq!(new_client(&server, "::1"), 200);
    let mut others: Vec<Connection> = Vec::new();
    for _ in 0..6 {
        let mut new = Connection::open_at("::1", server.port);
        new.still_open();
        others.push(new);
    }
}

#[test]
fn a_silent_connection_is_not_closed_for_an_address_with_more_connections() {
    let config = json!({ "limits": { "connections_max": 16 }, "server_host": "::", "timeouts": { "head_seconds": 600 } });
    let server = Server::start_with(known_config_with(config));
    let _heads = crowd(&server, "127.0.0.1", 15, b"GET /healthz HTT");
    let mut slow = Connection::open_at("::1", server.port);
    let _waiting = crowd(&server, "127.0.0.1", 10, b"");
    assert!(!slow.is_closed_within(Duration::from_secs(1)), "it was closed");
    slow.still_open();
}

#[test]
fn waiting_clients_of_one_address_do_not_delay_another_address() {
    let config = json!({
        "limits": { "connections_max": 16 }, "server_host": "::", "timeouts": { "head_seconds": 600 }
    });
    let server = Server::start_with(known_config_with(config));
    let _heads = crowd(&server, "127.0.0.1", 16, b"GET /healthz HTT");
    let _waiting = crowd(&server, "127.0.0.1", 100, b"GET /healthz HTT");
    for _ in 0..3 {
        assert_eq!(new_client(&server, "::1"), 200);
    }
}

#[test]
fn an_address_has_no_more_connections_than_are_configured() {
    let server = server_with(json!({ "connections_per_address_max": 4 }));
    let mut first = crowd(&server, "127.0.0.1", 4, b"");
    first.iter_mut().for_each(Connection::still_open);
    let mut fifth = Connection::open_at("127.0.0.1", server.port);
    let refusal = fifth.read_response();
    refusal.expect_problem(503, "busy");
    assert_eq!(refusal.field("retry-after"), Some("1"));
    assert!(refusal.text().contains("limits.connections_per_address_max"), "{refusal:?}");
    server.await_stderr("has 4 connections; the maximum is 4 (limits.connections_per_address_max)");
    assert_eq!(new_client(&server, "::1"), 200, "another address has connections of its own");
    first.pop();
    wait_until("the place of the closed connection is free", || {
        let mut connection = Connection::open_at("127.0.0.1", server.port);
        connection.request("GET", "/healthz", None, &[], b"").status == 200
    });
}

#[test]
fn connections_of_a_trusted_proxy_are_not_bounded() {
    let limits = json!({ "connections_per_address_max": 2 });
    let config = json!({ "limits": limits, "trusted_proxies": ["127.0.0.0/8"] });
    let server = Server::start_with(known_config_with(config));
    let mut all: Vec<Connection> = (0..6).map(|_| server.connect()).collect();
    all.iter_mut().for_each(Connection::still_open);
}

/// A server with 8 MiB for requests and answers, of which an address may hold 4 MiB.
fn short_of_memory() -> Server {
    server_with(json!({ "memory_bytes_max": 8 * MIB }))
}

/// The beginning of a request whose body never ends.
fn most_of_a_body() -> Vec<u8> {
    let whole = encode_request("PUT", &format!("{DEMO_KEYS}/a"), Some(DEMO_KEY), &[], &vec![b'1'; 900_000]);
    whole[..whole.len() - 1].to_vec()
}

fn is_refused_for_memory(response: &Response) -> bool {
    if response.status == 503 {
        response.expect_problem(503, "busy");
        assert!(response.text().contains("limits.memory_bytes_max"), "{response:?}");
    }
    response.status == 503
}

#[test]
fn pending_bodies_are_bounded_together_and_by_address() {
    let server = short_of_memory();
    let part = most_of_a_body();
    let mut holders = Vec::new();
    wait_until("a body is refused for want of memory", || {
        let mut connection = Connection::open_at("127.0.0.1", server.port);
        connection.send(&part);
        let is_answered = connection.has_input_within(Duration::from_millis(200));
        let is_refused = is_answered && is_refused_for_memory(&connection.read_response());
        holders.push(connection);
        assert!(holders.len() < 20, "{} bodies are under way", holders.len());
        is_refused
    });
    assert_eq!(server.put_demo("small", "1").status, 201, "small requests hold nothing");
    let whole = encode_request("PUT", &format!("{DEMO_KEYS}/b"), Some(DEMO_KEY), &[], &vec![b'1'; 900_000]);
    let mut other = Connection::open_at("::1", server.port);
    other.send(&whole);
    assert_eq!(other.read_response().status, 201, "another address has memory of its own");
    drop(holders);
    wait_until("the memory is free again", || {
        let mut connection = Connection::open_at("127.0.0.1", server.port);
        connection.send(&whole);
        !is_refused_for_memory(&connection.read_response())
    });
}

#[test]
fn pending_heads_count_too() {
    let server = short_of_memory();
    let head = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(15_000));
    let mut holders = crowd(&server, "127.0.0.1", 400, head.as_bytes());
    let is_refused = |holder: &mut Connection| holder.has_input_within(Duration::from_millis(1));
    let refused = holders.iter_mut().map(is_refused).filter(|refused| *refused).count();
    assert!(refused > 0, "none of 400 heads of 15,000 bytes was refused");
    assert_eq!(server.put_demo("small", "1").status, 201);
}

#[test]
fn large_answers_to_clients_that_do_not_read_are_bounded() {
    let server = short_of_memory();
    assert_eq!(server.put_demo("large", &"1".repeat(1_000_000)).status, 201);
    let read = encode_request("GET", &format!("{DEMO_KEYS}/large"), Some(DEMO_KEY), &[], b"").repeat(10);
    let mut holders = Vec::new();
    wait_until("a large answer is refused", || {
        holders.push(crowd(&server, "127.0.0.1", 1, &read));
        assert!(holders.len() < 200, "{} answers are under way", holders.len());
        is_refused_for_memory(&server.get_demo("large"))
    });
    assert_eq!(server.put_demo("small", "1").status, 201);
    assert_eq!(server.get_demo("small").status, 200);
    let mut other = Connection::open_at("::1", server.port);
    other.send(&read);
    assert_eq!(other.read_response().status, 200, "another address has memory of its own");
    drop(holders);
    wait_until("the memory is free again", || server.get_demo("large").status == 200);
}

/// A batch of 1,000 reads of the key `large`.
fn thousand_reads() -> String {
    let operations = vec![json!({ "op": "get", "key": "large" }); 1_000];
    json!({ "operations": operations }).to_string()
}

#[test]
fn batches_of_reads_whose_answers_are_not_read_use_little_memory() {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    let value = format!("\"{}\"", "1".repeat(64_000));
    server.put_demo("large", &value);
    ann.post(&server, "/api/object", &format!("{{\"key\":\"large\",\"data\":{value}}}")).expect(201);
    let core = encode_request(
        "POST",
        "/api/v1/projects/demo/batch",
        Some(DEMO_KEY),
        &[],
        thousand_reads().as_bytes(),
    );
    let bearer = format!("Bearer {}", ann.token);
    let names = json!({ "keys": vec!["large"; 1_000] }).to_string();
    let objects = encode_request(
        "POST",
        "/api/batch/object/get",
        None,
        &[("authorization", &bearer), ("content-type", "application/json")],
        names.as_bytes(),
    );
    let Some(before) = resident_bytes(&server) else { return };
    let mut deaf = crowd(&server, "127.0.0.1", 12, &core);
    deaf.extend(crowd(&server, "127.0.0.1", 12, &objects));
    for connection in &mut deaf {
        assert!(connection.has_input_within(PROMPT), "the answer has begun");
    }
    let grown = resident_bytes(&server).unwrap_or_default().saturating_sub(before);
    assert!(grown < 40 * MIB as u64, "{grown} bytes for 24 answers of 64 MB");
    for connection in &mut deaf {
        let response = connection.read_response();
        assert_eq!(response.status, 200);
        let body = response.json();
        let list = if body["results"].is_array() { &body["results"] } else { &body["objects"] };
        assert_eq!(list.as_array().map(Vec::len), Some(1_000));
    }
}

#[test]
fn a_batch_with_large_reads_and_a_write_is_refused_as_a_whole_if_memory_is_short() {
    let server = short_of_memory();
    server.put_demo("large", &format!("\"{}\"", "1".repeat(64_000)));
    let mut operations = vec![json!({ "op": "get", "key": "large" }); 200];
    operations.insert(0, json!({ "op": "set", "key": "written", "value": 1 }));
    let body = json!({ "operations": operations }).to_string();
    let batch = "/api/v1/projects/demo/batch";
    let refused = server.request("POST", batch, Some(DEMO_KEY), &[], body.as_bytes());
    assert!(is_refused_for_memory(&refused), "{refused:?}");
    assert_eq!(refused.json()["index"], 132, "{refused:?}");
    assert_eq!(server.get_demo("written").status, 404, "nothing was written");
}

#[test]
fn a_batch_that_writes_reads_no_more_than_its_bound() {
    let server = Server::start_with(known_config_with(json!({})));
    server.put_demo("large", &format!("\"{}\"", "1".repeat(900_000)));
    let batch = |reads: usize| {
        let mut operations = vec![json!({ "op": "get", "key": "large" }); reads];
        operations.push(json!({ "op": "set", "key": "written", "value": 1 }));
        let body = json!({ "operations": operations }).to_string();
        server.request("POST", "/api/v1/projects/demo/batch", Some(DEMO_KEY), &[], body.as_bytes())
    };
    let refused = batch(10);
    refused.expect_problem(400, "invalid_batch");
    assert_eq!(refused.json()["index"], 9, "{refused:?}");
    assert_eq!(server.get_demo("written").status, 404, "nothing was written");
    assert_eq!(batch(9).status, 200);
}
