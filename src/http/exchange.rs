//! The state machine of one connection, request after request; the graph is in [`crate::http`].
//!
//! A request that is all there is borrowed from the input and nothing is copied. Otherwise the
//! head and what arrives of the body are kept here until the body is complete. Between requests
//! an exchange owns no heap memory.

use crate::http::body::{BodyDecoder, Decoded};
use crate::http::head::{self, Parsed, Progress};
use crate::http::refusal::{Malformed, Refusal};
use crate::http::request::{Framing, Head, Request};

/// What one request may have.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Request line and fields together, bytes.
    pub head_bytes_max: usize,
    /// Body, decoded, bytes.
    pub body_bytes_max: usize,
}

/// The receiving side of one connection.
#[derive(Debug)]
pub struct Exchange {
    bounds: Bounds,
    phase: Phase,
    /// How the request before the next one was framed.
    before: Option<Framing>,
}

#[derive(Debug)]
enum Phase {
    /// Between requests or in a head.
    Head(Progress),
    /// The head was admitted, its body is due.
    Body(Kept, BodyDecoder),
    /// The request was handed out and borrows from here until the next step.
    Pending(Kept),
    /// No further request can be read. The head is that of the request whose body is why, or empty.
    Over(Refusal, Vec<u8>),
}

/// What does not fit in the caller's input any more.
#[derive(Debug)]
struct Kept {
    /// The head as sent.
    head: Vec<u8>,
    /// The body as far as it is decoded.
    body: Vec<u8>,
}

/// What comes next on a connection.
#[derive(Debug)]
pub enum Step<'b> {
    /// Nothing until more input has arrived.
    NeedInput(Waiting),
    /// A good head whose body is not all there. Comes once, before its [`Step::Request`]; the
    /// caller may answer now and close, or send [`crate::http::response::CONTINUE`] when the
    /// client expects it and no input is left.
    Admit(Head<'b>),
    /// A complete request.
    Request(Request<'b>),
    /// A good head whose body is none, or too large: answer, then close. Every further step is the
    /// refusal alone.
    BodyRefused(Head<'b>, Refusal),
    /// The connection is over: answer, then close. Every further step is the same.
    Refused(Refusal),
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The first byte of a request; empty lines before it do not count.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body {
        /// Decoded bytes that have arrived.
        received: u64,
    },
}

impl Exchange {
    /// A connection on which nothing has arrived.
    pub fn new(bounds: Bounds) -> Exchange {
        Exchange { bounds, phase: Phase::Head(Progress::default()), before: None }
    }

    /// Takes the next step with `input`, all bytes that have arrived and are not consumed. Returns
    /// how many of them to consume once the step is dealt with. Step until input is needed: the
    /// step after a request is also what frees its memory.
    pub fn step<'b>(&'b mut self, input: &'b [u8]) -> (usize, Step<'b>) {
        match &mut self.phase {
            Phase::Over(refusal, _) => (input.len(), Step::Refused(*refusal)),
            Phase::Body(..) => self.step_body(input),
            Phase::Head(_) => self.step_head(input),
            Phase::Pending(_) => {
                self.phase = Phase::Head(Progress::default());
                self.step_head(input)
            }
        }
    }

    /// Bytes of heap memory that the request being received holds. 0 between requests.
    pub fn body_bytes_held(&self) -> usize {
        match &self.phase {
            Phase::Body(kept, _) | Phase::Pending(kept) => kept.head.capacity() + kept.body.capacity(),
            Phase::Over(_, head) => head.capacity(),
            Phase::Head(_) => 0,
        }
    }

    /// Frees what the request being received holds. Nothing more is read from this connection.
    pub fn release(&mut self) {
        self.phase = Phase::Over(Malformed::RequestLine.into(), Vec::new());
    }

    fn step_head<'b>(&'b mut self, input: &'b [u8]) -> (usize, Step<'b>) {
        let Phase::Head(progress) = &mut self.phase else {
            unreachable!("step() comes here only in this phase");
        };
        let (head, bytes, rest) = match head::parse(input, self.bounds.head_bytes_max, progress) {
            Err(refusal) => {
                let cause = self.before.and_then(|framing| likely_cause(framing, input));
                return self.refuse(input, cause.unwrap_or(refusal));
            }
            Ok(Parsed::Partial { skipped, begun: false }) => {
                return (skipped, Step::NeedInput(Waiting::Idle));
            }
            Ok(Parsed::Partial { skipped, begun: true }) => return (skipped, Step::NeedInput(Waiting::Head)),
            Ok(Parsed::Complete { head, bytes, rest }) => (head, bytes, rest),
        };
        let decoder = match BodyDecoder::new(head.framing, self.bounds.body_bytes_max) {
            Err(refusal) => return self.refuse_body(input, bytes.to_vec(), refusal),
            Ok(decoder) => decoder,
        };
        let arrived = match head.framing {
            Framing::None => Some(0),
            Framing::Length(bytes) => usize::try_from(bytes).ok(),
            Framing::Chunked => None,
        };
        self.before = Some(head.framing);
        if let Some((body, rest)) = arrived.and_then(|bytes| rest.split_at_checked(bytes)) {
            if let Some(refusal) = misses_bytes(head.framing, rest) {
                return self.refuse_body(input, bytes.to_vec(), refusal);
            }
            self.phase = Phase::Head(Progress::default());
            return (input.len() - rest.len(), Step::Request(Request { head, body }));
        }
        self.phase = Phase::Body(Kept { head: bytes.to_vec(), body: Vec::new() }, decoder);
        (input.len() - rest.len(), Step::Admit(head))
    }

    fn step_body<'b>(&'b mut self, input: &'b [u8]) -> (usize, Step<'b>) {
        let Phase::Body(kept, decoder) = &mut self.phase else {
            unreachable!("step() comes here only in this phase");
        };
        let unread = match decoder.decode(input, &mut kept.body) {
            Err(refusal) => {
                let head = std::mem::take(&mut kept.head);
                return self.refuse_body(input, head, refusal);
            }
            Ok(Decoded::Partial) => {
                let waiting = Waiting::Body { received: decoder.received() };
                return (input.len(), Step::NeedInput(waiting));
            }
            Ok(Decoded::Complete { unread }) => unread,
        };
        let rest = input.get(input.len() - unread..).unwrap_or_default();
        if let Some(refusal) = self.before.and_then(|framing| misses_bytes(framing, rest)) {
            let head = std::mem::take(&mut kept.head);
            return self.refuse_body(input, head, refusal);
        }
        let kept = Kept { head: std::mem::take(&mut kept.head), body: std::mem::take(&mut kept.body) };
        self.phase = Phase::Pending(kept);
        (input.len() - unread, self.answered())
    }

    /// The request that is kept here. Its head was good when it was admitted, and is the same.
    fn answered(&self) -> Step<'_> {
        let Phase::Pending(kept) = &self.phase else {
            unreachable!("step_body() comes here only in this phase");
        };
        match head::parse_complete(&kept.head) {
            Ok(head) => Step::Request(Request { head, body: &kept.body }),
            Err(refusal) => Step::Refused(refusal),
        }
    }

    fn refuse<'b>(&mut self, input: &[u8], refusal: Refusal) -> (usize, Step<'b>) {
        self.phase = Phase::Over(refusal, Vec::new());
        (input.len(), Step::Refused(refusal))
    }

    fn refuse_body(&mut self, input: &[u8], head: Vec<u8>, refusal: Refusal) -> (usize, Step<'_>) {
        self.phase = Phase::Over(refusal, head);
        let Phase::Over(_, head) = &self.phase else {
            unreachable!("set in the line above");
        };
        // It was good when it was read first, and is the same.
        let step =
            head::parse_complete(head).map_or_else(Step::Refused, |head| Step::BodyRefused(head, refusal));
        (input.len(), step)
    }
}

/// Refuses a request whose body was cut off by its own `Content-Length`, as the bytes in `rest`, which
/// follow it, tell: what was read of it is not what its sender meant.
fn misses_bytes(framing: Framing, rest: &[u8]) -> Option<Refusal> {
    match framing {
        Framing::Length(_) => likely_cause(framing, rest),
        Framing::None | Framing::Chunked => None,
    }
}

/// Why the bytes in `rest`, which follow a request, are none, if its framing is the likely cause.
fn likely_cause(framing: Framing, rest: &[u8]) -> Option<Refusal> {
    match framing {
        _ if head::may_begin_request(rest) => None,
        Framing::None => Some(Malformed::AfterHead.into()),
        Framing::Length(length) => Some(Malformed::AfterBody { length }.into()),
        Framing::Chunked => None,
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
