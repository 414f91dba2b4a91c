use super::*;
use crate::http::refusal::Malformed;
use crate::http::request::Method;
use proptest::prelude::*;

#[path = "framing_tests.rs"]
mod framing;

const BOUNDS: Bounds = Bounds { head_bytes_max: 16 * 1024, body_bytes_max: 1000 };

/// An event of a connection.
#[derive(Debug, PartialEq)]
enum Event {
    /// Method, target as rendered, body, persistent.
    Request(Method, String, Vec<u8>, bool),
    Refused(Refusal),
}

/// Feeds pieces as they would arrive on a socket.
fn feed(pieces: &[&[u8]]) -> (Vec<Event>, Option<Waiting>) {
    let mut exchange = Exchange::new(BOUNDS);
    let (mut buffer, mut events, mut waiting) = (Vec::new(), Vec::new(), None);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let (consumed, step) = exchange.step(&buffer);
            let goes_on = match step {
                Step::NeedInput(now) => {
                    waiting = Some(now);
                    false
                }
                Step::Admit(_) => true,
                Step::Request(head, body) => {
                    let text = format!("{:?} {:?} {:?}", head.target(), head.authority(), head.fields);
                    events.push(Event::Request(head.method, text, body.to_vec(), head.persistent));
                    true
                }
                Step::BodyRefused(_, refusal) | Step::Refused(refusal) => {
                    events.push(Event::Refused(refusal));
                    return (events, None);
                }
            };
            buffer.drain(..consumed);
            if !goes_on {
                break;
            }
        }
    }
    if waiting == Some(Waiting::Idle) {
        assert_eq!(exchange.body_bytes_held(), 0, "an idle connection owns nothing");
        assert!(buffer.len() <= 1, "an idle connection keeps at most a CR");
    }
    (events, waiting)
}

fn events(wire: &[u8]) -> Vec<Event> {
    let whole = feed(&[wire]);
    for cut in 0..wire.len() {
        let (first, second) = wire.split_at(cut);
        assert_eq!(feed(&[first, second]), whole, "cut at {cut}: {:?}", wire.escape_ascii().to_string());
    }
    whole.0
}

#[test]
fn a_body_is_never_read_as_the_next_request() {
    let smuggled = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    let wire = format!(
        "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}DELETE /c HTTP/1.1\r\nHost: a\r\n\r\n",
        smuggled.len()
    );
    let found = events(wire.as_bytes());
    let methods: Vec<_> = found
        .iter()
        .map(|event| match event {
            Event::Request(method, _, body, _) => (*method, body.as_slice()),
            Event::Refused(refusal) => panic!("{refusal}"),
        })
        .collect();
    assert_eq!(methods, [(Method::Get, smuggled.as_bytes()), (Method::Delete, b"".as_slice())]);
}

#[test]
fn pipelined_requests_come_in_order_with_any_framing() {
    let wire = b"PUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none\
        GET /2 HTTP/1.1\r\nHost: a\r\n\r\n\
        \r\nPUT /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nthr\r\n2\r\nee\r\n0\r\n\r\n\
        PUT /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\
        GET * HTTP/1.1\r\nHost: a\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n";
    let bodies: Vec<_> = events(wire)
        .into_iter()
        .map(|event| match event {
            Event::Request(_, _, body, _) => String::from_utf8(body).unwrap(),
            Event::Refused(refusal) => refusal.to_string(),
        })
        .collect();
    let refused = Refusal::from(Malformed::Asterisk).to_string();
    assert_eq!(bodies, ["one", "", "three", "", &refused]);
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    assert_eq!(feed(&bytes), feed(&[wire]));
}

#[test]
fn a_complete_request_is_borrowed_from_the_input() {
    let wire =
        b"PUT /k?q HTTP/1.1\r\nHost: a\r\nX-API-Key:  secret \r\nContent-Length: 4\r\n\r\nbody".to_vec();
    let mut exchange = Exchange::new(BOUNDS);
    let (consumed, step) = exchange.step(&wire);
    let Step::Request(head, body) = step else { panic!("{step:?}") };
    assert_eq!((consumed, &*body), (wire.len(), b"body".as_slice()));
    let key = head.fields("x-api-key").next().unwrap();
    assert_eq!(key, b"secret");
    for part in [&*body, key, head.target_text(), head.authority().unwrap().as_bytes()] {
        assert!(wire.as_ptr_range().contains(&part.as_ptr()), "{part:?} was copied");
    }
}

#[test]
fn a_refused_connection_stays_refused() {
    let mut exchange = Exchange::new(BOUNDS);
    for input in ["GET * HTTP/1.1\r\nHost: a\r\n\r\n", "", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let (consumed, step) = exchange.step(input.as_bytes());
        assert_eq!(consumed, input.len());
        assert!(matches!(step, Step::Refused(Refusal::Malformed(Malformed::Asterisk))), "{step:?}");
    }
    assert_eq!(exchange.body_bytes_held(), 0);
}

#[test]
fn waiting_distinguishes_idle_head_and_body() {
    let mut exchange = Exchange::new(BOUNDS);
    let mut waiting = |input: &[u8]| match exchange.step(input) {
        (consumed, Step::NeedInput(waiting)) => (consumed, Some(waiting)),
        (consumed, _) => (consumed, None),
    };
    assert_eq!(waiting(b""), (0, Some(Waiting::Idle)));
    assert_eq!(waiting(b"\r\n\r"), (2, Some(Waiting::Idle)));
    assert_eq!(waiting(b"P"), (0, Some(Waiting::Head)));
    let head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo";
    assert_eq!(waiting(head), (head.len() - 2, None), "admitted");
    assert_eq!(waiting(b""), (0, Some(Waiting::Body { received: 0 })));
    assert_eq!(waiting(b"bo"), (2, Some(Waiting::Body { received: 2 })));
    assert_eq!(waiting(b"dyG"), (2, None), "the request");
    assert_eq!(waiting(b"G"), (0, Some(Waiting::Head)));
}

#[test]
fn an_exchange_is_small_and_frees_the_memory_of_a_request() {
    assert!(size_of::<Exchange>() <= 256, "{}", size_of::<Exchange>());
    let mut exchange = Exchange::new(BOUNDS);
    exchange.step(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    exchange.step(b"bo");
    assert!(exchange.body_bytes_held() > 4);
    assert!(matches!(exchange.step(b"dy").1, Step::Request(..)));
    assert!(matches!(exchange.step(b"").1, Step::NeedInput(Waiting::Idle)));
    assert_eq!(exchange.body_bytes_held(), 0);
}

proptest! {
    /// Any bytes, cut anywhere, give the same events as the whole.
    #[test]
    fn the_events_do_not_depend_on_how_the_input_is_cut(
        parts in prop::collection::vec(prop::sample::select(vec![
            "GET ", "PUT ", "/", "* ", " ", "HTTP/1.1\r\n", "\r\n", "\r", "\n", "Host: a\r\n", "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n", "3\r\n", "abc", "0\r\n\r\n", "X: y", ":", "\0", ";", "\t",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ]), 0..20),
        size in 1_usize..40,
    ) {
        let wire = parts.concat().into_bytes();
        let pieces: Vec<&[u8]> = wire.chunks(size).collect();
        if !wire.is_empty() {
            prop_assert_eq!(feed(&pieces), feed(&[&wire]));
        }
    }
}
