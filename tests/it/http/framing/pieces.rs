//! In whatever pieces bytes arrive, alone or many requests at once, the answers are the same.

use super::{head, put_chunked, put_five};
use crate::harness::{Connection, DEMO_KEY, DEMO_KEYS, Server, encode_request};
use serde_json::json;

/// One kind of request, on a key of its own for each way to cut it, and its answers.
struct Sample {
    wire: fn(usize) -> String,
    answers: &'static [u16],
    method: &'static str,
    /// What is stored under `k{number}` afterwards.
    stored: Option<&'static str>,
}

const SAMPLES: [Sample; 8] = [
    Sample {
        wire: |number| put_five(&format!("k{number:04}"), "Content-Length: 5\r\n"),
        answers: &[201],
        method: "PUT",
        stored: Some("12345"),
    },
    Sample {
        wire: |number| {
            put_chunked(&format!("k{number:04}"), "3;x=y\r\n\"ab\r\n0002\r\nc\"\r\n0\r\nT: u\r\n\r\n")
        },
        answers: &[201],
        method: "PUT",
        stored: Some("abc"),
    },
    Sample {
        wire: |number| {
            let fields = [("Content-Type", "application/json"), ("Expect", "100-continue")];
            let path = format!("{DEMO_KEYS}/k{number:04}");
            let body = "{\"value\": [1, 2]}";
            let wire = encode_request("POST", &path, Some(DEMO_KEY), &fields, body.as_bytes());
            String::from_utf8(wire).unwrap()
        },
        answers: &[201],
        method: "POST",
        stored: Some("[1,2]"),
    },
    Sample {
        wire: |_| format!("\r\n{0}\r\n{0}\r\n", head("HEAD", "/healthz")),
        answers: &[200, 200],
        method: "HEAD",
        stored: None,
    },
    Sample {
        wire: |number| put_five(&format!("k{number:04}"), "Content-Length: 5\r\nX : y\r\n"),
        answers: &[400],
        method: "PUT",
        stored: None,
    },
    Sample {
        wire: |number| put_chunked(&format!("k{number:04}"), "1;a=\"b\r\n1\r\n0\r\n\r\n"),
        answers: &[400],
        method: "PUT",
        stored: None,
    },
    Sample {
        wire: |number| put_chunked(&format!("k{number:04}"), "1\r\n1\r\n0\r\nX : y\r\n\r\n"),
        answers: &[400],
        method: "PUT",
        stored: None,
    },
    Sample {
        wire: |number| {
            format!(
                "{}{}\r\n",
                put_five(&format!("k{number:04}"), "Content-Length: 5\r\n"),
                head("GET", &format!("{DEMO_KEYS}/k{number:04}?raw"))
            )
        },
        answers: &[201, 200],
        method: "GET",
        stored: Some("12345"),
    },
];

impl Sample {
    fn check_answers(&self, connection: &mut Connection, number: usize) {
        for &status in self.answers {
            let response = connection.try_read_response(self.method);
            let response = response.unwrap_or_else(|error| panic!("{error}, piece {number}"));
            assert_eq!(response.status, status, "piece {number} of {:?}", (self.wire)(number));
        }
    }

    fn check_stored(&self, server: &Server, number: usize) {
        let response = server.get_demo(&format!("k{number:04}"));
        match self.stored {
            Some(value) => assert_eq!(response.text(), value, "cut at {number}"),
            None => assert_eq!(response.status, 404, "cut at {number}"),
        }
    }
}

/// All first pieces are on their way before any second one, so that they arrive as pieces.
fn check_cut_everywhere(sample: &Sample) {
    let server = Server::start_known();
    let cuts = (sample.wire)(0).len();
    let mut connections: Vec<_> = (1..cuts).map(|_| server.connect()).collect();
    for (index, connection) in connections.iter_mut().enumerate() {
        connection.send(&(sample.wire)(index).as_bytes()[..index + 1]);
    }
    for (index, connection) in connections.iter_mut().enumerate() {
        // A refusal may come, and close, before the second piece is sent.
        let sent = connection.try_send(&(sample.wire)(index).as_bytes()[index + 1..]);
        assert!(sent.is_ok() || sample.answers == [400], "{sent:?}");
    }
    for (index, connection) in connections.iter_mut().enumerate() {
        sample.check_answers(connection, index);
    }
    drop(connections);
    for index in 0..cuts - 1 {
        sample.check_stored(&server, index);
    }
}

#[test]
fn a_write_with_a_length_may_be_cut_anywhere() {
    check_cut_everywhere(&SAMPLES[0]);
}

#[test]
fn a_chunked_write_may_be_cut_anywhere() {
    check_cut_everywhere(&SAMPLES[1]);
}

#[test]
fn a_write_that_expects_a_continue_may_be_cut_anywhere() {
    check_cut_everywhere(&SAMPLES[2]);
}

#[test]
fn two_head_requests_may_be_cut_anywhere() {
    check_cut_everywhere(&SAMPLES[3]);
}

#[test]
fn a_malformed_request_is_refused_at_any_split() {
    check_cut_everywhere(&SAMPLES[4]);
    check_cut_everywhere(&SAMPLES[5]);
    check_cut_everywhere(&SAMPLES[6]);
}

#[test]
fn two_pipelined_requests_may_be_cut_anywhere() {
    check_cut_everywhere(&SAMPLES[7]);
}

#[test]
fn requests_may_arrive_byte_by_byte() {
    let server = Server::start_known();
    for (number, sample) in SAMPLES.iter().enumerate() {
        let mut connection = server.connect();
        for byte in (sample.wire)(number).bytes() {
            // Fails only behind a refusal that came before the end.
            if connection.try_send(&[byte]).is_err() {
                break;
            }
            std::thread::yield_now();
        }
        sample.check_answers(&mut connection, number);
    }
    for (number, sample) in SAMPLES.iter().enumerate() {
        sample.check_stored(&server, number);
    }
}

/// Request `number` of a long pipeline: its bytes, its method, the status it must get.
fn mixed_request(number: usize) -> (Vec<u8>, &'static str, u16) {
    let key = format!("{DEMO_KEYS}/p{}", number / 10);
    let encode = |method: &str, path: &str, body: &str| {
        encode_request(method, path, Some(DEMO_KEY), &[], body.as_bytes())
    };
    match number % 10 {
        0 => (encode("PUT", &key, &number.to_string()), "PUT", 201),
        1 => (encode("GET", &format!("{key}?raw"), ""), "GET", 200),
        2 => (encode("HEAD", &key, ""), "HEAD", 200),
        3 => (put_chunked(&format!("p{}", number / 10), "1\r\n7\r\n0\r\n\r\n").into_bytes(), "PUT", 200),
        4 => (encode("GET", "/nowhere", ""), "GET", 404),
        5 => (encode("GET", DEMO_KEYS, ""), "GET", 200),
        6 => (encode("PUT", &format!("{DEMO_KEYS}/%zz"), "1"), "PUT", 400),
        7 => (encode("OPTIONS", &key, ""), "OPTIONS", 204),
        8 => (encode("DELETE", &key, ""), "DELETE", 204),
        _ => (encode("GET", &key, "a body"), "GET", 404),
    }
}

#[test]
fn a_hundred_pipelined_requests_of_all_kinds_are_answered_in_order() {
    let server = Server::start_known();
    let mut connection = server.connect();
    let wire: Vec<u8> = (0..100).flat_map(|number| mixed_request(number).0).collect();
    connection.send(&wire);
    for number in 0..100 {
        let (_, method, status) = mixed_request(number);
        let response = connection.try_read_response(method);
        let response = response.unwrap_or_else(|error| panic!("{error} at {number}"));
        assert_eq!(response.status, status, "{number}: {response:?}");
        match number % 10 {
            1 => assert_eq!(response.text(), (number - 1).to_string()),
            5 => assert_eq!(response.json()["keys"], json!({ format!("p{}", number / 10): 7 })),
            _ => {}
        }
    }
    connection.still_open();
}

#[test]
fn answers_larger_than_the_buffers_arrive_in_order() {
    let server = Server::start_known();
    for digit in 0..10 {
        let value = digit.to_string().repeat(100_000);
        assert_eq!(server.put_demo(&format!("big{digit}"), &format!("\"{value}\"")).status, 201);
    }
    let mut connection = server.connect();
    for number in 0..200 {
        let path = format!("{DEMO_KEYS}/big{}?raw", number % 10);
        connection.send(&encode_request("GET", &path, Some(DEMO_KEY), &[], b""));
    }
    for number in 0..200 {
        let response = connection.read_response();
        assert_eq!(response.body.len(), 100_000);
        let digit = b'0' + u8::try_from(number % 10).unwrap();
        assert!(response.body.iter().all(|byte| *byte == digit), "answer {number}");
    }
    connection.still_open();
}

#[test]
fn a_client_that_shuts_down_sending_still_gets_all_answers() {
    let server = Server::start_known();
    let mut connection = server.connect();
    connection.send(put_five("a", "Content-Length: 5\r\n").repeat(20).as_bytes());
    connection.finish_sending();
    assert_eq!(connection.read_response().status, 201);
    for _ in 1..20 {
        assert_eq!(connection.read_response().status, 200);
    }
    connection.expect_closed();
}
