//! The state machine of one connection, request after request; the graph is in [`crate::http`].
//!
//! A request that has arrived completely is borrowed from the input, and nothing is copied. Otherwise the exchange
//! keeps the parsed head and the bytes of the body until the body is complete. Between requests it owns no heap
//! memory.

use crate::http::body::{BodyDecoder, Decoded};
use crate::http::head::{self, Parsed, Progress};
use crate::http::refusal::{Malformed, Refusal};
use crate::http::request::{Framing, Head};
use std::borrow::Cow;

/// The maximum sizes of one request.
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
    /// The framing of the previous request.
    previous: Option<Framing>,
}

#[derive(Debug)]
enum Phase {
    /// Between requests or in a head.
    Head(Progress),
    /// The head was admitted, and its body is not complete.
    Body(Box<Receiving>),
    /// No further request can be read.
    Over(Refusal),
}

/// A request whose body is not complete.
#[derive(Debug)]
struct Receiving {
    head: Head<'static>,
    decoder: BodyDecoder,
    /// The body as far as it is decoded.
    body: Vec<u8>,
}

/// The next event of a connection.
#[derive(Debug)]
pub enum Step<'b> {
    /// More input is needed.
    NeedInput(Waiting),
    /// A valid head whose body is not complete. It comes once, before its [`Step::Request`]. The caller may answer
    /// now and close, or send [`crate::http::response::CONTINUE`] if the client expects it and no input is left.
    Admit(&'b Head<'static>),
    /// A complete request. Its body is empty if it has none.
    Request(Head<'b>, Cow<'b, [u8]>),
    /// A valid head whose body is malformed or too large: answer, then close. Every further step is `Refused`.
    BodyRefused(Head<'b>, Refusal),
    /// No request can be read: answer, then close. Every further step is the same.
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
    pub fn new(bounds: Bounds) -> Exchange {
        Exchange { bounds, phase: Phase::Head(Progress::default()), previous: None }
    }

    /// Takes the next step with `input`, which is all bytes that have arrived and are not consumed. Returns how many of
    /// them to consume after the step is handled. Call it until it needs input.
    pub fn step<'b>(&'b mut self, input: &'b [u8]) -> (usize, Step<'b>) {
        match std::mem::replace(&mut self.phase, Phase::Head(Progress::default())) {
            Phase::Head(progress) => self.step_head(progress, input),
            Phase::Body(receiving) => self.step_body(receiving, input),
            Phase::Over(refusal) => self.refuse(input, refusal),
        }
    }

    /// Bytes of heap memory that an incomplete request holds. 0 between requests.
    pub fn body_bytes_held(&self) -> usize {
        match &self.phase {
            Phase::Body(receiving) => receiving.head.bytes_held() + receiving.body.capacity(),
            Phase::Over(_) | Phase::Head(_) => 0,
        }
    }

    /// Frees an incomplete request. No further request can be read.
    pub fn release(&mut self) {
        self.phase = Phase::Over(Malformed::RequestLine.into());
    }

    fn step_head<'b>(&'b mut self, mut progress: Progress, input: &'b [u8]) -> (usize, Step<'b>) {
        let (head, rest) = match head::parse(input, self.bounds.head_bytes_max, &mut progress) {
            Err(refusal) => {
                let cause = self.previous.and_then(|framing| likely_cause(framing, input));
                return self.refuse(input, cause.unwrap_or(refusal));
            }
            Ok(Parsed::Partial { skipped, begun }) => {
                self.phase = Phase::Head(progress);
                return (skipped, Step::NeedInput(if begun { Waiting::Head } else { Waiting::Idle }));
            }
            Ok(Parsed::Complete { head, rest }) => (head, rest),
        };
        let decoder = match BodyDecoder::new(head.framing, self.bounds.body_bytes_max) {
            Err(refusal) => return self.refuse_body(input, head, refusal),
            Ok(decoder) => decoder,
        };
        let arrived = match head.framing {
            Framing::None => Some(0),
            Framing::Length(bytes) => usize::try_from(bytes).ok(),
            Framing::Chunked => None,
        };
        if let Some((body, rest)) = arrived.and_then(|bytes| rest.split_at_checked(bytes)) {
            return self.complete(head, Cow::Borrowed(body), input, rest);
        }
        let receiving = Receiving { head: head.into_owned(), decoder, body: Vec::new() };
        self.phase = Phase::Body(Box::new(receiving));
        let Phase::Body(receiving) = &self.phase else { unreachable!("set in the line above") };
        (input.len() - rest.len(), Step::Admit(&receiving.head))
    }

    fn step_body<'b>(&mut self, mut receiving: Box<Receiving>, input: &'b [u8]) -> (usize, Step<'b>) {
        match receiving.decoder.decode(input, &mut receiving.body) {
            Err(refusal) => self.refuse_body(input, receiving.head, refusal),
            Ok(Decoded::Partial) => {
                let waiting = Waiting::Body { received: receiving.decoder.received() };
                self.phase = Phase::Body(receiving);
                (input.len(), Step::NeedInput(waiting))
            }
            Ok(Decoded::Complete { unread }) => {
                let rest = input.get(input.len() - unread..).unwrap_or_default();
                self.complete(receiving.head, Cow::Owned(receiving.body), input, rest)
            }
        }
    }

    /// Returns a complete request; `rest` of `input` follows it. Inlined, because a head is large to move.
    #[inline]
    fn complete<'b>(
        &mut self,
        head: Head<'b>,
        body: Cow<'b, [u8]>,
        input: &[u8],
        rest: &[u8],
    ) -> (usize, Step<'b>) {
        if let Some(refusal) = misses_bytes(head.framing, rest) {
            return self.refuse_body(input, head, refusal);
        }
        self.previous = Some(head.framing);
        (input.len() - rest.len(), Step::Request(head, body))
    }

    fn refuse<'b>(&mut self, input: &[u8], refusal: Refusal) -> (usize, Step<'b>) {
        self.phase = Phase::Over(refusal);
        (input.len(), Step::Refused(refusal))
    }

    fn refuse_body<'b>(&mut self, input: &[u8], head: Head<'b>, refusal: Refusal) -> (usize, Step<'b>) {
        self.phase = Phase::Over(refusal);
        (input.len(), Step::BodyRefused(head, refusal))
    }
}

/// Refuses a request whose body is longer than its `Content-Length`, as the bytes after it, `rest`, show: its sender
/// meant another body.
fn misses_bytes(framing: Framing, rest: &[u8]) -> Option<Refusal> {
    match framing {
        Framing::Length(_) => likely_cause(framing, rest),
        Framing::None | Framing::Chunked => None,
    }
}

/// Why `rest`, the bytes after a request with this framing, does not begin a request, if the framing is the likely
/// cause.
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
