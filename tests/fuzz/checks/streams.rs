//! Whole connections through the state machine: fed in pieces, they give the same requests and
//! refusals as at once, and those that a second reader finds.

use super::head::check_same;
use super::independent::stream::{self, End};
use super::pieces;
use pikv::testing::http::exchange::{Bounds, Exchange, Step, Waiting};
use pikv::testing::http::refusal::{Malformed, Refusal};
use pikv::testing::http::request::{Framing, Head};

/// Bounds that inputs reach.
const BOUNDS: Bounds = Bounds { head_bytes_max: 300, body_bytes_max: 64 };

/// What a connection made of its input.
#[derive(Debug, PartialEq)]
enum Event {
    /// All of the head, as rendered, and the body.
    Request(String, Vec<u8>),
    /// A head whose body is refused.
    BodyRefused(String),
    Refused(Refusal),
}

/// What is left of a connection that has read everything.
#[derive(Debug, PartialEq)]
enum Last {
    /// It waits, with so many bytes not consumed.
    Waiting(Waiting, usize),
    Over,
}

/// Takes `data` as all that a client sends.
pub fn check(data: &[u8]) {
    let whole = feed(&[data]);
    for (salt, size_max) in [(1, 1), (2, 6), (3, 90)] {
        assert_eq!(feed(&pieces(data, size_max, salt)), whole, "in pieces up to {size_max}");
    }
    compare(data, &whole);
}

/// Fails unless a second reader sees the same requests and the same end.
fn compare(data: &[u8], (events, last): &(Vec<Event>, Last)) {
    let (requests, end) = stream::read(data, BOUNDS.head_bytes_max, BOUNDS.body_bytes_max);
    let found = events.iter().filter(|event| matches!(event, Event::Request(..))).count();
    let cut_off = usize::from(matches!(events.last(), Some(Event::Refused(refusal)) if is_cut_off(*refusal)));
    assert_eq!(found + cut_off, requests.len(), "requests");
    match (last, end) {
        (Last::Waiting(Waiting::Body { received }, _), End::Waiting) => {
            assert!(*received <= BOUNDS.body_bytes_max as u64);
        }
        (Last::Waiting(Waiting::Idle | Waiting::Head, _), End::InHead)
        | (Last::Over, End::Refused | End::InHead) => {}
        (last, end) => panic!("{last:?}, and in the other view {end:?}"),
    }
    let (mut exchange, mut rest, mut expected) = (Exchange::new(BOUNDS), data, requests.iter());
    loop {
        let (consumed, step) = exchange.step(rest);
        match step {
            Step::Request(head, body) => {
                let Some((own_head, own_body)) = expected.next() else { unreachable!("counted above") };
                check_same(&head, own_head);
                assert_eq!(&*body, own_body, "the body");
            }
            Step::Admit(_) => {}
            Step::NeedInput(_) | Step::BodyRefused(..) | Step::Refused(_) => return,
        }
        rest = &rest[consumed..];
    }
}

/// What comes out of pieces that arrive one after the other.
fn feed(pieces: &[&[u8]]) -> (Vec<Event>, Last) {
    let (mut exchange, mut buffer) = (Exchange::new(BOUNDS), Vec::new());
    let (mut events, mut last) = (Vec::new(), Last::Waiting(Waiting::Idle, 0));
    let mut admitted = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let (consumed, step) = exchange.step(&buffer);
            assert!(consumed <= buffer.len(), "consumed {consumed} of {} bytes", buffer.len());
            let waiting = match step {
                Step::NeedInput(waiting) => Some(waiting),
                Step::Admit(head) => {
                    check_bounds(head);
                    assert!(admitted.replace(rendered(head)).is_none(), "a request is admitted once");
                    None
                }
                Step::Request(head, body) => {
                    check_request(&head, &body, admitted.take());
                    events.push(Event::Request(rendered(&head), body.to_vec()));
                    None
                }
                Step::BodyRefused(head, refusal) => {
                    let head = rendered(&head);
                    assert!(admitted.take().is_none_or(|admitted| admitted == head));
                    events.extend([Event::BodyRefused(head), Event::Refused(refusal)]);
                    return (over(&mut exchange, refusal, events), Last::Over);
                }
                Step::Refused(refusal) => {
                    assert_eq!(admitted, None, "the head was good");
                    events.push(Event::Refused(refusal));
                    return (over(&mut exchange, refusal, events), Last::Over);
                }
            };
            buffer.drain(..consumed);
            check_memory(&exchange);
            if let Some(waiting) = waiting {
                assert_eq!(admitted.is_some(), matches!(waiting, Waiting::Body { .. }));
                check_waiting(&exchange, waiting, &buffer);
                last = Last::Waiting(waiting, buffer.len());
                break;
            }
        }
    }
    (events, last)
}

/// A body that its `Content-Length` cuts off is refused with its request if the rest has arrived, and else
/// after it. Both count as the same here.
fn cut_off_refused(mut events: Vec<Event>) -> Vec<Event> {
    if let [.., before @ Event::Request(..), Event::Refused(refusal)] = events.as_mut_slice()
        && is_cut_off(*refusal)
        && let Event::Request(head, _) = before
    {
        *before = Event::BodyRefused(std::mem::take(head));
    }
    events
}

fn is_cut_off(refusal: Refusal) -> bool {
    matches!(refusal, Refusal::Malformed(Malformed::AfterBody { .. }))
}

fn rendered(head: &Head<'_>) -> String {
    format!("{head:?}")
}

fn check_request(head: &Head<'_>, body: &[u8], admitted: Option<String>) {
    assert!(admitted.is_none_or(|admitted| admitted == rendered(head)), "the head changed");
    check_bounds(head);
    assert!(body.len() <= BOUNDS.body_bytes_max, "a body of {} bytes", body.len());
    match head.framing {
        Framing::None => assert!(body.is_empty()),
        Framing::Length(bytes) => assert_eq!(body.len() as u64, bytes),
        Framing::Chunked => {}
    }
}

fn check_bounds(head: &Head<'_>) {
    assert!(head.target_text().len() < BOUNDS.head_bytes_max);
    if let Framing::Length(bytes) = head.framing {
        assert!(bytes <= BOUNDS.body_bytes_max as u64, "a body of {bytes} bytes was admitted");
    }
}

fn check_memory(exchange: &Exchange) {
    let held = exchange.body_bytes_held();
    // Where the name and the value of each field begin and end. A field has at least four bytes: `a:`, CR LF.
    let spans = BOUNDS.head_bytes_max / 4 * 4 * size_of::<usize>();
    assert!(held <= BOUNDS.head_bytes_max + spans + BOUNDS.body_bytes_max, "{held} bytes held");
}

fn check_waiting(exchange: &Exchange, waiting: Waiting, buffer: &[u8]) {
    match waiting {
        Waiting::Idle => {
            assert_eq!(exchange.body_bytes_held(), 0, "an idle connection owns nothing");
            assert!(matches!(buffer, [] | [b'\r']), "{buffer:?}");
        }
        Waiting::Head => assert!(buffer.len() < BOUNDS.head_bytes_max, "{} bytes of a head", buffer.len()),
        Waiting::Body { .. } => assert!(buffer.is_empty(), "all of a body is taken"),
    }
}

/// Fails unless a connection that was refused stays refused for the same reason.
fn over(exchange: &mut Exchange, refusal: Refusal, events: Vec<Event>) -> Vec<Event> {
    for input in [&b""[..], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let (consumed, step) = exchange.step(input);
        assert!(matches!(step, Step::Refused(again) if again == refusal), "{step:?}");
        assert_eq!(consumed, input.len());
    }
    cut_off_refused(events)
}
