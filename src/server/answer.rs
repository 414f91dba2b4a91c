//! The work of a connection in each of its phases, from a reply to its last byte.

use super::connection::{
    Connection, Deferred, InFlightRequest, Input, Phase, Retry, Socket, Stage, Streaming,
};
use super::event_loop::{Disposition, EventLoop};
use super::input::{self, Received};
use super::mailbox::Message;
use super::pool::Turn;
use crate::api::error::ApiError;
use crate::api::reply::{Answer, Job, Lane, Pull, Reply};
use crate::clock;
use crate::http::exchange::Waiting;
use crate::http::response::{self, BodySize, CONTINUE, EncodedHead, Response};
use crate::limits::{
    DRAIN_BYTES_MAX, OUTPUT_BYTES_HIGH, READS_PER_TURN_MAX, REPLY_TIMEOUT_MS, REQUESTS_PER_TURN_MAX,
    RETRIES_MAX, ROUNDS_PER_TURN_MAX, SENT_BYTES_PER_TURN_MAX,
};
use crate::log::{RequestLine, render_request};
use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::sync::Arc;

/// What a phase achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Made,
    None,
    Over,
}

enum Arrived {
    Bytes(usize),
    NothingYet,
    End,
    Broken,
}

impl EventLoop {
    /// Advances a connection as far as possible, up to the cap of a turn.
    pub(super) fn drive(&mut self, connection: &mut Connection) -> Disposition {
        let (mut sendable_bytes, requests_before) = (SENT_BYTES_PER_TURN_MAX, self.request_ids.given_out());
        let mut reads_left = READS_PER_TURN_MAX;
        for _ in 0..ROUNDS_PER_TURN_MAX {
            if send(connection, &mut sendable_bytes) == Disposition::Close {
                return Disposition::Close;
            }
            let requests = self.request_ids.given_out() - requests_before;
            if sendable_bytes == 0 || reads_left == 0 || requests >= REQUESTS_PER_TURN_MAX as u64 {
                break; // a long answer, body or pipeline takes several turns, so that the other connections do not wait
            }
            let reads = !matches!(connection.input, Input::Unparsed(_))
                && matches!(connection.phase, Phase::Receiving(_) | Phase::Draining { .. });
            let progress = match &connection.phase {
                Phase::Receiving(_) => self.receive(connection),
                Phase::AwaitSync(commit, _) if commit.is_pending() => Progress::None,
                Phase::AwaitSync(..) => self.commit_resolved(connection),
                Phase::Streaming(..) => self.stream(connection),
                Phase::AwaitJob(_) | Phase::AwaitPiece(_) => Progress::None,
                Phase::Closing => half_close(connection),
                Phase::Draining { .. } => self.drain(connection),
                Phase::Lingering => Progress::None,
            };
            match progress {
                Progress::Made => reads_left -= usize::from(reads),
                Progress::Over => return Disposition::Close,
                Progress::None => {
                    let had_output = !connection.output.is_empty();
                    if send(connection, &mut sendable_bytes) == Disposition::Close {
                        return Disposition::Close;
                    }
                    if sendable_bytes == 0 {
                        break;
                    }
                    // If all output is sent now, the phase may continue: it may have waited for space.
                    if !had_output || !connection.output.is_empty() {
                        return Disposition::Keep;
                    }
                }
            }
        }
        self.ready.push(connection.id);
        Disposition::Keep
    }

    fn receive(&mut self, connection: &mut Connection) -> Progress {
        if self.holds_back(connection) {
            return Progress::None; // a client that does not read is not read from
        }
        if let Input::Unparsed(_) = connection.input {
            let bytes = connection.input.take();
            self.take_requests(connection, &bytes);
            return Progress::Made;
        }
        if !connection.socket.is_readable() {
            let over = connection.socket == Socket::Ended && connection.output.is_empty();
            return if over { Progress::Over } else { Progress::None };
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let progress = match read(connection, &mut scratch) {
            Arrived::End => {
                connection.socket = Socket::Ended;
                // An incomplete request stays incomplete; no part of it is applied.
                if connection.output.is_empty() { Progress::Over } else { Progress::None }
            }
            Arrived::Bytes(count) => {
                if std::mem::take(&mut connection.is_silent) {
                    self.shared.slots.no_longer_silent();
                }
                let read = scratch.get(..count).unwrap_or_default();
                if connection.input.bytes().is_empty() {
                    self.take_requests(connection, read);
                } else {
                    let mut bytes = connection.input.take();
                    bytes.extend_from_slice(read);
                    self.take_requests(connection, &bytes);
                }
                Progress::Made
            }
            Arrived::NothingYet => Progress::None,
            Arrived::Broken => Progress::Over,
        };
        self.scratch = scratch;
        progress
    }

    /// Answers the requests in `bytes` until one has to wait, and keeps the rest.
    fn take_requests(&mut self, connection: &mut Connection, bytes: &[u8]) {
        let (mut rest, mut is_parsed) = (bytes, false);
        for _ in 0..REQUESTS_PER_TURN_MAX {
            let (used, stepped) = input::step(connection, rest, &self.shared, &mut self.request_ids);
            rest = rest.get(used..).unwrap_or_default();
            is_parsed = matches!(stepped, Received::Need(_));
            self.act_on(connection, stepped);
            let receives = matches!(connection.phase, Phase::Receiving(_));
            if is_parsed || !receives || connection.output.len() >= OUTPUT_BYTES_HIGH {
                is_parsed |= receives && rest.is_empty();
                break;
            }
        }
        // Other bytes are parsed once the answer is sent.
        connection.input = match &connection.phase {
            Phase::Closing | Phase::Draining { .. } | Phase::Lingering => Input::default(),
            Phase::Receiving(_) if is_parsed => Input::Parsed(rest.to_vec()),
            Phase::Receiving(_)
            | Phase::AwaitSync(..)
            | Phase::AwaitJob(_)
            | Phase::AwaitPiece(_)
            | Phase::Streaming(..) => Input::Unparsed(rest.to_vec()),
        };
    }

    fn act_on(&mut self, connection: &mut Connection, stepped: Received) {
        let now = clock::monotonic();
        match stepped {
            Received::Need(waiting) => {
                connection.wait_for(waiting, now);
            }
            Received::HeadAccepted { send_continue } => {
                connection.wait_for(Waiting::Body { received: 0 }, now);
                if send_continue {
                    connection.output.append(|out| out.extend_from_slice(CONTINUE));
                }
            }
            Received::Replied(in_flight, reply) => self.reply(connection, in_flight, reply),
            Received::Denied(in_flight, error) => {
                let in_flight = InFlightRequest { persistent: false, ..in_flight };
                self.respond(connection, in_flight, Err(error));
            }
            Received::Refused(refusal) => {
                let was_refused = connection.last_status.is_some_and(|status| status >= 400);
                if was_refused && refusal.follows_request() {
                    // The client has its answer; another one about the rest of the same request would confuse it.
                    connection.enter(Phase::Closing, now);
                } else {
                    self.refuse(connection, ApiError::Refused(refusal));
                }
            }
        }
    }

    /// Answers bytes that are not a request, or did not become one, and ends the connection.
    pub(super) fn refuse(&mut self, connection: &mut Connection, error: ApiError) {
        let in_flight = InFlightRequest::of_no_request(
            connection.remote.address,
            connection.since,
            self.request_ids.next(),
        );
        self.respond(connection, in_flight, Err(error));
    }

    fn reply(&mut self, connection: &mut Connection, in_flight: InFlightRequest, reply: Reply) {
        match reply {
            Reply::Ready(answer, None) => self.respond(connection, in_flight, answer),
            Reply::Ready(answer, Some(commit)) => {
                self.await_commit(connection, commit, Deferred::Answer(in_flight, answer));
            }
            Reply::Job(lane, None, job) => self.start_job(connection, in_flight, lane, job),
            Reply::Job(lane, Some(commit), job) => {
                self.await_commit(connection, commit, Deferred::Job(in_flight, lane, job));
            }
            Reply::Stream(response, source) => {
                let streaming = Streaming {
                    in_flight,
                    stage: Stage::Begun(response),
                    body_bytes: 0,
                    source_bytes: source.bytes_held,
                    retries_left: RETRIES_MAX,
                };
                connection.enter(Phase::Streaming(streaming, source), clock::monotonic());
            }
        }
    }

    fn start_job(&mut self, connection: &mut Connection, in_flight: InFlightRequest, lane: Lane, job: Job) {
        let (mailbox, id) = (Arc::clone(&self.shared.mailbox), connection.id);
        let work = move |turn| {
            let reply = match turn {
                Turn::Run => input::guarded(job),
                Turn::Refused => {
                    // Before the answer is sent, so that an attempt to sign in no longer counts then.
                    drop(job);
                    Reply::failed(ApiError::Overloaded)
                }
            };
            mailbox.post(Message::JobDone(id, reply));
        };
        connection.enter(Phase::AwaitJob(in_flight), clock::monotonic());
        self.shared.pools.push(lane, Box::new(work));
    }

    pub(super) fn job_done(&mut self, connection: &mut Connection, reply: Reply) -> Disposition {
        let phase = std::mem::replace(&mut connection.phase, Phase::Closing);
        let Phase::AwaitJob(in_flight) = phase else {
            unreachable!("a connection waits for its only job");
        };
        self.reply(connection, in_flight, reply);
        self.drive(connection)
    }

    fn commit_resolved(&mut self, connection: &mut Connection) -> Progress {
        let phase = std::mem::replace(&mut connection.phase, Phase::Closing);
        let Phase::AwaitSync(commit, held) = phase else {
            unreachable!("drive() calls this only in this phase");
        };
        let failure = commit.failure().map(ApiError::from);
        match (held, failure) {
            (Deferred::Answer(in_flight, answer), None) => self.respond(connection, in_flight, answer),
            (Deferred::Job(in_flight, lane, job), None) => self.start_job(connection, in_flight, lane, job),
            (Deferred::Piece { streaming, source, bytes, is_last }, None) => {
                self.send_piece(connection, streaming, source, bytes, is_last);
            }
            (Deferred::Answer(in_flight, _) | Deferred::Job(in_flight, ..), Some(error)) => {
                self.read_again(connection, in_flight, error);
            }
            (Deferred::Piece { mut streaming, mut source, .. }, Some(error)) => {
                if streaming.retries_left == 0 {
                    return self.break_off(connection, streaming, error);
                }
                streaming.retries_left -= 1;
                source.pull = Pull::Again;
                connection.enter(Phase::Streaming(streaming, source), clock::monotonic());
            }
        }
        Progress::Made
    }

    /// The changes that an answer waited for were rolled back. A read runs again; a write has failed.
    fn read_again(&mut self, connection: &mut Connection, mut in_flight: InFlightRequest, error: ApiError) {
        match in_flight.retry.take() {
            Some(Retry { request, peer, left: left @ 1.. }) => {
                let reply = input::read_again(&request, peer, &self.shared);
                in_flight.retry = Some(Retry { request, peer, left: left - 1 });
                self.reply(connection, in_flight, reply);
            }
            Some(_) | None => self.respond(connection, in_flight, Err(error)),
        }
    }

    /// Encodes an answer and logs it. Then the connection receives again, or closes.
    pub(super) fn respond(
        &mut self,
        connection: &mut Connection,
        in_flight: InFlightRequest,
        answer: Answer,
    ) {
        let answer = answer.and_then(|response| self.bounded(connection, &in_flight, response));
        let response = answer.unwrap_or_else(|error| error.response_in(&in_flight.failure_style));
        let size = BodySize::Known(response.body_bytes().len() as u64);
        let status = response.status();
        let head = self.encode_head(connection, &in_flight, &response, size);
        let body = response.into_body();
        let sent = if head.framing.sends_body() { body.len() as u64 } else { 0 };
        if head.framing.sends_body() {
            connection.output.push(body);
        }
        self.log(&in_flight, status, sent);
        self.finish(connection, head, status);
    }

    pub(super) fn encode_head(
        &mut self,
        connection: &mut Connection,
        in_flight: &InFlightRequest,
        response: &Response,
        body: BodySize,
    ) -> EncodedHead {
        self.refresh_date();
        let continues = connection.socket != Socket::Ended
            && self.stopping.is_none()
            && !self.shared.slots.accept_blocked();
        let reply = response::Reply {
            method: in_flight.method,
            version: in_flight.version,
            persistent: in_flight.persistent && continues,
            body,
            date: &self.date,
        };
        if connection.output.is_empty() {
            connection.taken_at = clock::monotonic();
        }
        let mut extra = in_flight.caller.permission.fields();
        extra.push(("x-request-id", in_flight.request_id.as_str()));
        connection.output.append(|out| response::encode_head(response, &reply, &extra, out))
    }

    /// The answer that began with `head` is complete.
    pub(super) fn finish(&self, connection: &mut Connection, head: EncodedHead, status: u16) {
        connection.last_status = Some(status);
        let continues = head.persistent && self.stopping.is_none();
        let phase = if continues { Phase::Receiving(Waiting::Idle) } else { Phase::Closing };
        if !continues {
            connection.exchange.release();
            connection.routed = None;
        }
        connection.enter(phase, clock::monotonic());
    }

    fn drain(&mut self, connection: &mut Connection) -> Progress {
        let count = match read(connection, &mut self.scratch) {
            Arrived::Bytes(count) => count,
            Arrived::NothingYet => return Progress::None,
            Arrived::End | Arrived::Broken => return Progress::Over,
        };
        let Phase::Draining { bytes } = &mut connection.phase else {
            unreachable!("drive() calls this only in this phase");
        };
        *bytes += count as u64;
        if *bytes > DRAIN_BYTES_MAX {
            connection.enter(Phase::Lingering, clock::monotonic());
        }
        Progress::Made
    }

    /// The phase of a connection has lasted too long.
    pub(super) fn time_out(&mut self, connection: &mut Connection) -> Disposition {
        match &connection.phase {
            Phase::Receiving(waiting @ (Waiting::Head | Waiting::Body { .. }))
                if connection.output.is_empty() =>
            {
                self.refuse(connection, ApiError::Timeout(*waiting));
                self.drive(connection)
            }
            Phase::AwaitSync(_, deferred) => {
                log_reply_timeout(deferred.in_flight());
                Disposition::Close
            }
            Phase::AwaitJob(in_flight) | Phase::AwaitPiece(Streaming { in_flight, .. }) => {
                log_reply_timeout(in_flight);
                Disposition::Close
            }
            Phase::Receiving(_)
            | Phase::Streaming(..)
            | Phase::Closing
            | Phase::Draining { .. }
            | Phase::Lingering => Disposition::Close,
        }
    }

    pub(super) fn log(&mut self, in_flight: &InFlightRequest, status: u16, bytes: u64) {
        if log::max_level() < log::LevelFilter::Info {
            return;
        }
        let micros = clock::monotonic().saturating_duration_since(in_flight.started).as_micros();
        let path = String::from_utf8_lossy(&in_flight.path);
        let line = RequestLine {
            wall_ms: clock::wall_ms(),
            address: in_flight.caller.client.address,
            method: in_flight.method.as_str(),
            path: &path,
            status,
            bytes,
            micros: u64::try_from(micros).unwrap_or(u64::MAX),
            request_id: &in_flight.request_id,
        };
        render_request(&line, self.shared.settings.log_format, &mut self.request_log);
    }

    fn refresh_date(&mut self) {
        let second = clock::wall_ms() / 1_000;
        if second != self.date_second {
            self.date_second = second;
            self.date = clock::render_http_date(second);
        }
    }
}

fn log_reply_timeout(in_flight: &InFlightRequest) {
    log::error!(
        "Request {} timed out after {} s waiting for the disk or a lane; its connection is closed. Check the disk.",
        in_flight.request_id,
        REPLY_TIMEOUT_MS / 1_000
    );
}

fn read(connection: &mut Connection, buffer: &mut [u8]) -> Arrived {
    loop {
        match connection.stream.read(buffer) {
            Ok(0) => return Arrived::End,
            Ok(count) => {
                if count < buffer.len() && connection.socket == Socket::Readable {
                    connection.socket = Socket::Drained;
                }
                return Arrived::Bytes(count);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                connection.socket = Socket::Drained;
                return Arrived::NothingYet;
            }
            Err(_) => return Arrived::Broken,
        }
    }
}

/// Sends output until the socket would block, and `bytes_max` at most, from which it subtracts what it sent.
fn send(connection: &mut Connection, bytes_max: &mut usize) -> Disposition {
    if connection.output.is_empty() {
        return Disposition::Keep;
    }
    let Ok(sent_bytes) = connection.output.send(&mut connection.stream, *bytes_max) else {
        return Disposition::Close;
    };
    *bytes_max -= sent_bytes;
    if sent_bytes > 0 {
        connection.taken_at = clock::monotonic();
    }
    Disposition::Keep
}

/// Closes the sending side, and leaves the client time to read the answer.
fn half_close(connection: &mut Connection) -> Progress {
    if !connection.output.is_empty() {
        return Progress::None;
    }
    connection.input = Input::default();
    if connection.socket == Socket::Ended || connection.stream.shutdown(Shutdown::Write).is_err() {
        return Progress::Over;
    }
    connection.enter(Phase::Draining { bytes: 0 }, clock::monotonic());
    Progress::Made
}
