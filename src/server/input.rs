//! From bytes to replies: runs the exchange of a connection and the handlers of its requests.

use super::connection::{Answering, Connection, Reread};
use super::shared::Shared;
use crate::api::error::ApiError;
use crate::api::reply::Reply;
use crate::api::state::Arrival;
use crate::clock;
use crate::digits::encode_u64;
use crate::http::exchange::{Bounds, Exchange, Step, Waiting};
use crate::http::refusal::Refusal;
use crate::http::request::{Framing, Head, Method};
use crate::http::response::Response;
use crate::limits::{HEAD_BYTES_MAX, REREADS_MAX};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Names the requests of one event loop: the run of the server, the loop, and a count.
pub(super) struct RequestIds {
    /// The run and the loop, `b3799d41-0-`.
    prefix: String,
    count: u64,
}

/// What a name has while its loop has answered fewer than a billion requests.
const REQUEST_ID_BYTES_USUAL: usize = 24;

impl RequestIds {
    pub(super) fn new(run_id: u32, loop_number: usize) -> RequestIds {
        RequestIds { prefix: format!("{run_id:08x}-{loop_number}-"), count: 0 }
    }

    /// How many requests were named.
    pub(super) fn given_out(&self) -> u64 {
        self.count
    }

    pub(super) fn next(&mut self) -> String {
        self.count += 1;
        let mut id = Vec::with_capacity(REQUEST_ID_BYTES_USUAL);
        id.extend_from_slice(self.prefix.as_bytes());
        encode_u64(self.count, &mut id);
        String::from_utf8(id).unwrap_or_default()
    }
}

/// What the next bytes of a connection led to.
pub(super) enum Stepped {
    /// More input is needed.
    Need(Waiting),
    /// The body of a request is welcome; the client may wait to be told so.
    Admitted { tell: bool },
    /// A request has its reply.
    Replied(Answering, Reply),
    /// The head of a request was enough to answer it; its body is not read.
    Denied(Answering, Response),
    /// The bytes are no request.
    Refused(Refusal),
}

/// Takes one step with `bytes`, which are all that the exchange has not consumed. Returns how many
/// of them to consume.
pub(super) fn step(
    connection: &mut Connection,
    bytes: &[u8],
    shared: &Shared,
    request_ids: &mut RequestIds,
) -> (usize, Stepped) {
    let address = connection.remote.address;
    let mut answering = |head: &Head<'_>, body: Option<&[u8]>| {
        let caller = shared.app.caller(head, address);
        let failure_style = shared.app.failure_style(head, body, address);
        Answering::of(head, failure_style, caller, clock::monotonic(), request_ids.next())
    };
    let (used, step) = connection.exchange.step(bytes);
    let stepped = match step {
        Step::NeedInput(waiting) => Stepped::Need(waiting),
        Step::Refused(refusal) => Stepped::Refused(refusal),
        Step::BodyRefused(head, refusal) => {
            let response =
                ApiError::Refused(refusal).response_in(&shared.app.failure_style(&head, None, address));
            Stepped::Denied(answering(&head, None), response)
        }
        Step::Admit(head) => match shared.app.admit(&head, address) {
            Ok(()) => Stepped::Admitted { tell: head.expects_continue && used == bytes.len() },
            Err(response) => Stepped::Denied(answering(&head, None), response),
        },
        Step::Request(request) => {
            let mut answering = answering(&request.head, Some(request.body));
            answering.request_bytes = request.body.len();
            let arrival = arrival(address, Repeated::No);
            let reply = guarded(|| shared.app.handle(&request, arrival));
            let is_read = matches!(request.head.method, Method::Get | Method::Head);
            if is_read && request.head.framing == Framing::None && reply.waits() {
                let sent = bytes.get(..used).unwrap_or_default();
                let request = sent.into();
                answering.reread = Some(Reread { request, peer: arrival.peer, left: REREADS_MAX });
            }
            Stepped::Replied(answering, reply)
        }
    };
    (used, stepped)
}

/// Answers a request anew, from the bytes that it was sent as.
pub(super) fn read_again(request: &[u8], peer: IpAddr, shared: &Shared) -> Reply {
    let bounds = Bounds { head_bytes_max: HEAD_BYTES_MAX, body_bytes_max: 0 };
    match Exchange::new(bounds).step(request) {
        (_, Step::Request(request)) => guarded(|| shared.app.handle(&request, arrival(peer, Repeated::Yes))),
        (_, Step::NeedInput(_) | Step::Admit(_) | Step::BodyRefused(..) | Step::Refused(_)) => {
            unreachable!("it was a whole request without a body before")
        }
    }
}

/// Whether a request is answered anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    Yes,
    No,
}

fn arrival(peer: IpAddr, repeated: Repeated) -> Arrival {
    let is_repeated = repeated == Repeated::Yes;
    Arrival { wall_ms: clock::wall_ms(), at: clock::monotonic(), peer, is_repeated }
}

/// Runs a handler or a job; a panic becomes a 500 and ends nothing else. What it may leave half
/// changed is behind locks that notice.
pub(super) fn guarded(run: impl FnOnce() -> Reply) -> Reply {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Reply::now(ApiError::Internal.response()))
}
