//! The turns of an event loop: one connection does not hold up the others.

use crate::harness::{Connection, DEMO_KEY, DEMO_KEYS, Response, Server, encode_request, known_config_with};
use pikv::testing::limits::REQUESTS_PER_TURN_MAX;
use serde_json::json;

/// Far more than a turn answers.
const PIPELINED: usize = 20 * REQUESTS_PER_TURN_MAX;

fn probe(connection: &mut Connection, count: usize) {
    connection.send(&encode_request("GET", "/healthz", None, &[], b"").repeat(count));
}

/// Which request of its event loop was answered; they are counted.
fn number_of(response: &Response) -> usize {
    assert!(response.status < 300, "{response:?}");
    let id = response.field("x-request-id").expect("X-Request-Id");
    id.rsplit('-').next().unwrap().parse().unwrap()
}

#[test]
fn many_requests_at_once_delay_no_other_client() {
    let server = Server::start_with(known_config_with(json!({ "server_threads": 1 })));
    let (mut many, mut one) = (server.connect(), server.connect());
    for connection in [&mut many, &mut one] {
        probe(connection, 1);
        connection.read_response();
    }
    // All of it is there when the loop looks again.
    server.signal("STOP");
    probe(&mut many, PIPELINED);
    probe(&mut one, 1);
    server.signal("CONT");
    let first = number_of(&many.read_response());
    let other = number_of(&one.read_response());
    assert!(other < first + 2 * REQUESTS_PER_TURN_MAX, "{} requests were answered first", other - first);
    for number in 2..=PIPELINED {
        let found = number_of(&many.read_response());
        let between = usize::from((first..found).contains(&other));
        assert_eq!(found, first + number - 1 + between, "answered in order, each once");
    }
}

#[test]
fn a_long_body_delays_no_other_client() {
    let server = Server::start_with(known_config_with(json!({ "server_threads": 1 })));
    let (mut long, mut one) = (server.connect(), server.connect());
    let put = |body: &[u8]| encode_request("PUT", &format!("{DEMO_KEYS}/a"), Some(DEMO_KEY), &[], body);
    for _ in 0..4 {
        // The kernel learns to keep more for this connection.
        long.send(&put(&vec![b'1'; 1_000_000]));
        number_of(&long.read_response());
    }
    probe(&mut one, 1);
    one.read_response();
    server.signal("STOP");
    long.send(&put(&vec![b'1'; 1_000_000]));
    probe(&mut one, 1);
    server.signal("CONT");
    let (of_long, of_one) = (number_of(&long.read_response()), number_of(&one.read_response()));
    assert!(of_one < of_long, "the body was read in one turn");
}
