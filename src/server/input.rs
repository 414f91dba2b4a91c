//! From bytes to replies: runs the exchange of a connection and the handlers of its requests.

use super::connection::{Answering, Connection};
use super::event_loop::Shared;
use crate::api::error::ApiError;
use crate::api::reply::Reply;
use crate::clock;
use crate::http::exchange::{Step, Waiting};
use crate::http::refusal::Refusal;
use crate::http::response::Response;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Names the requests of one event loop: the run of the server, the loop, and a count.
pub(super) struct RequestIds {
    run_id: u32,
    loop_number: usize,
    count: u64,
}

impl RequestIds {
    pub(super) fn new(run_id: u32, loop_number: usize) -> RequestIds {
        RequestIds { run_id, loop_number, count: 0 }
    }

    pub(super) fn next(&mut self) -> String {
        self.count += 1;
        format!("{:08x}-{}-{}", self.run_id, self.loop_number, self.count)
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
    let (used, step) = connection.exchange.step(bytes);
    let stepped = match step {
        Step::NeedInput(waiting) => Stepped::Need(waiting),
        Step::Refused(refusal) => Stepped::Refused(refusal),
        Step::Admit(head) => match shared.app.admit(&head) {
            Ok(()) => Stepped::Admitted { tell: head.expects_continue && used == bytes.len() },
            Err(response) => {
                Stepped::Denied(Answering::of(&head, clock::monotonic(), request_ids.next()), response)
            }
        },
        Step::Request(request) => {
            let answering = Answering::of(&request.head, clock::monotonic(), request_ids.next());
            let reply = guarded(|| shared.app.handle(&request, clock::wall_ms()));
            Stepped::Replied(answering, reply)
        }
    };
    (used, stepped)
}

/// Runs a handler or a job; a panic becomes a 500 and ends nothing else. What it may leave half
/// changed is behind locks that notice.
pub(super) fn guarded(run: impl FnOnce() -> Reply) -> Reply {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Reply::Now(ApiError::Internal.response()))
}
