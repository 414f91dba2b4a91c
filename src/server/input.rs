//! From bytes to replies: runs the exchange of a connection and the handlers of its requests.

use super::connection::{Connection, InFlightRequest, Retry};
use super::shared::Shared;
use crate::api::dispatch::Routed;
use crate::api::error::ApiError;
use crate::api::reply::{Job, Reply};
use crate::api::state::{App, RequestOrigin};
use crate::clock;
use crate::digits::encode_u64;
use crate::http::exchange::{Bounds, Exchange, Step, Waiting};
use crate::http::refusal::Refusal;
use crate::http::request::{Framing, Head, Method, Request};
use crate::limits::{HEAD_BYTES_MAX, RETRIES_MAX};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The ids of the requests of one event loop: the run of the server, the loop, and a count.
pub(super) struct RequestIds {
    /// The run and the loop, `b3799d41-0-`.
    prefix: String,
    count: u64,
}

/// The length of an id while its loop has answered fewer than a billion requests.
const REQUEST_ID_BYTES_USUAL: usize = 24;

impl RequestIds {
    pub(super) fn new(run_id: u32, loop_number: usize) -> RequestIds {
        RequestIds { prefix: format!("{run_id:08x}-{loop_number}-"), count: 0 }
    }

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

/// The result of a step.
pub(super) enum Received {
    /// More input is needed.
    Need(Waiting),
    /// The body of a request may be sent. The client waits for a `100 Continue` if `send_continue`.
    HeadAccepted {
        send_continue: bool,
    },
    Replied(InFlightRequest, Reply),
    /// The head of a request was sufficient to answer it; its body is not read.
    Denied(InFlightRequest, ApiError),
    /// The bytes are not a request.
    Refused(Refusal),
}

/// Takes one step with `bytes`, which are all that the exchange has not consumed. Returns how many of them it
/// consumed.
pub(super) fn step(
    connection: &mut Connection,
    bytes: &[u8],
    shared: &Shared,
    request_ids: &mut RequestIds,
) -> (usize, Received) {
    let peer = connection.remote.address;
    let app = &shared.app;
    let mut in_flight = |head: &Head<'_>, body: Option<&[u8]>, routed: &Routed| {
        let failure_style = app.failure_style(head, body, routed);
        InFlightRequest::of(
            head,
            failure_style,
            routed.caller.clone(),
            clock::monotonic(),
            request_ids.next(),
        )
    };
    let routed = connection.routed.take();
    let (used, step) = connection.exchange.step(bytes);
    let stepped = match step {
        Step::NeedInput(waiting) => {
            connection.routed = routed;
            Received::Need(waiting)
        }
        Step::Refused(refusal) => Received::Refused(refusal),
        Step::BodyRefused(head, refusal) => {
            let routed = app.route(&head, peer);
            Received::Denied(in_flight(&head, None, &routed), ApiError::Refused(refusal))
        }
        Step::Admit(head) => {
            let mut routed = app.route(head, peer);
            if let Some(error) = routed.take_failure(app) {
                Received::Denied(in_flight(head, None, &routed), error)
            } else {
                connection.routed = Some(Box::new(routed));
                Received::HeadAccepted { send_continue: head.expects_continue && used == bytes.len() }
            }
        }
        Step::Request(head, body) => {
            let request = Request { head, body: &body };
            let routed = routed.filter(|routed| routed.is_current(app));
            let routed = routed.map_or_else(|| app.route(&request.head, peer), |routed| *routed);
            let mut in_flight = in_flight(&request.head, Some(request.body), &routed);
            in_flight.request_bytes = request.body.len();
            if let Some(lane) = app.lane_of(&routed) {
                let reply = Reply::Job(lane, None, job_of(&request, routed, Arc::clone(app), peer));
                return (used, Received::Replied(in_flight, reply));
            }
            let reply = guarded(|| app.handle(&request, routed, arrival_now(peer)));
            let is_read = matches!(request.head.method, Method::Get | Method::Head);
            if is_read && request.head.framing == Framing::None && reply.waits() {
                let request = bytes.get(..used).unwrap_or_default().into();
                in_flight.retry = Some(Retry { request, peer, left: RETRIES_MAX });
            }
            Received::Replied(in_flight, reply)
        }
    };
    (used, stepped)
}

/// The whole request as a job, for storage that blocks.
fn job_of(request: &Request<'_>, routed: Routed, app: Arc<App>, peer: IpAddr) -> Job {
    let (head, body) = (request.head.clone().into_owned(), request.body.to_vec());
    let origin = arrival_now(peer);
    Box::new(move || app.handle_on_cell(&Request { head, body: &body }, routed, origin))
}

/// Answers a read again, from the bytes of its request.
pub(super) fn read_again(request: &[u8], peer: IpAddr, shared: &Shared) -> Reply {
    let bounds = Bounds { head_bytes_max: HEAD_BYTES_MAX, body_bytes_max: 0 };
    match Exchange::new(bounds).step(request) {
        (_, Step::Request(head, body)) => guarded(|| {
            let routed = shared.app.route(&head, peer);
            let request = Request { head, body: &body };
            shared.app.handle(&request, routed, RequestOrigin { is_repeated: true, ..arrival_now(peer) })
        }),
        (_, Step::NeedInput(_) | Step::Admit(_) | Step::BodyRefused(..) | Step::Refused(_)) => {
            unreachable!("these bytes were a whole request without a body before")
        }
    }
}

fn arrival_now(peer: IpAddr) -> RequestOrigin {
    RequestOrigin { wall_ms: clock::wall_ms(), at: clock::monotonic(), peer, is_repeated: false }
}

/// Runs a handler or a job. A panic becomes a 500 and ends nothing else: if state is half changed, its lock is
/// poisoned.
pub(super) fn guarded(run: impl FnOnce() -> Reply) -> Reply {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Reply::failed(ApiError::Internal))
}
