//! A connection: its phase and the deadline of that.
//!
//! ```text
//!                    request                     answer that may leave
//!  Receiving ------------------> AwaitSync ------------------------------> Receiving
//!      |  \------> AwaitJob -------^ ^                                        or
//!      |   \-----> Streaming <-------/                                     Closing -> Draining -> closed
//!      |               ^  piece from a lane                                   ^
//!      |               +----> AwaitPiece                                      |
//!      +-- refused, denied, timed out ----------------------------------------+
//! ```
//! Every phase has a deadline ([`Connection::deadline`]). A connection is not read from while its next answer is not
//! known, or while it has [`OUTPUT_BYTES_HIGH`](crate::limits::OUTPUT_BYTES_HIGH) of unsent output.

use super::mailbox::ConnectionId;
use super::output::Output;
use super::slots::AddressUsage;
use crate::api::cors::Permission;
use crate::api::dispatch::{Caller, Routed};
use crate::api::error::style::{Dialect, Style};
use crate::api::reply::{Answer, Job, Lane, Source};
use crate::auth::client::Client;
use crate::config::schema::Timeouts;
use crate::http::exchange::{Bounds, Exchange, Waiting};
use crate::http::request::{Head, Method, Version};
use crate::http::response::{EncodedHead, Response};
use crate::limits::{
    CONNECTION_BYTES_UNCOUNTED, DRAIN_BYTES_PER_SECOND_MIN, DRAIN_TIMEOUT_MS, DRAIN_TIMEOUT_MS_MAX,
    LOG_FIELD_BYTES_MAX, REPLY_TIMEOUT_MS, SILENT_GRACE_MS,
};
use crate::log::loggable_target;
use crate::store::commit::Commit;
use mio::net::TcpStream;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) remote: Remote,
    pub(super) id: ConnectionId,
    pub(super) exchange: Exchange,
    pub(super) input: Input,
    /// The route of the request whose body is being received.
    pub(super) routed: Option<Box<Routed>>,
    pub(super) output: Output,
    pub(super) phase: Phase,
    /// When the phase began.
    pub(super) since: Instant,
    /// When the client last received some of `output`, or when `output` was last empty.
    pub(super) taken_at: Instant,
    pub(super) socket: Socket,
    /// The status of the previous answer.
    pub(super) last_status: Option<u16>,
    /// The deadline that is in the loop's heap.
    pub(super) armed: Option<Instant>,
    /// Nothing has arrived yet.
    pub(super) is_silent: bool,
    /// Bytes of memory that the last count found.
    pub(super) counted_bytes: usize,
}

/// The receiving side of a socket, as far as it is known.
///
/// ```text
///             event                        event: last byte, or urgent ones
///  Drained ----------> Readable -----------------------------------------------> ReadableToEnd
///     ^                    | less than fits, or it would block        it would block |   | end
///     +--------------------+<--------------------------------------------------------+   +------> Ended
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// There is nothing to read before an event.
    Drained,
    /// There may be something to read. A read that returns less than fits has drained the socket, and later bytes raise
    /// an event (epoll(7), question 9).
    Readable,
    /// There may be something to read, and only a read that would block shows that the socket is drained: an event
    /// reported the client's last byte, or urgent bytes, before which a read stops. Bytes after them raise no event.
    ReadableToEnd,
    /// The client has sent its last byte, and all bytes are read.
    Ended,
}

/// Bytes of a connection that belong to no request yet.
pub(super) enum Input {
    /// The exchange has parsed these bytes and needs more.
    Parsed(Vec<u8>),
    /// The exchange has not parsed all of them.
    Unparsed(Vec<u8>),
}

impl Socket {
    pub(super) fn is_readable(self) -> bool {
        matches!(self, Socket::Readable | Socket::ReadableToEnd)
    }

    /// After an event that reports `readable`, or `to_end`.
    pub(super) fn after_event(self, readable: bool, to_end: bool) -> Socket {
        match self {
            Socket::Ended => Socket::Ended,
            Socket::ReadableToEnd => Socket::ReadableToEnd,
            Socket::Drained | Socket::Readable if to_end => Socket::ReadableToEnd,
            Socket::Drained | Socket::Readable if readable => Socket::Readable,
            Socket::Drained | Socket::Readable => self,
        }
    }
}

impl Input {
    pub(super) fn bytes(&self) -> &Vec<u8> {
        match self {
            Input::Parsed(bytes) | Input::Unparsed(bytes) => bytes,
        }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        match std::mem::take(self) {
            Input::Parsed(bytes) | Input::Unparsed(bytes) => bytes,
        }
    }
}

impl Default for Input {
    fn default() -> Input {
        Input::Parsed(Vec::new())
    }
}

/// Where a connection comes from.
pub(super) struct Remote {
    /// The other end: a client or a proxy.
    pub(super) address: IpAddr,
    pub(super) usage: Arc<AddressUsage>,
}

pub(super) enum Phase {
    /// Waiting for a request or the rest of one.
    Receiving(Waiting),
    AwaitSync(Commit, Deferred),
    /// A lane runs its job.
    AwaitJob(InFlightRequest),
    /// A lane reads the next piece of a stream.
    AwaitPiece(Streaming),
    /// The next piece of a stream is read once there is space for it in the output.
    Streaming(Streaming, Source),
    /// The last answer is being sent; then the connection ends.
    Closing,
    /// The last answer is sent. The client's bytes are read and dropped until it closes: if the server closed while
    /// some are unread, the kernel would drop the answer (RST).
    Draining {
        bytes: u64,
    },
    /// More bytes arrived than the server drops. Nothing is read any more, and the client has a last chance to read the
    /// answer.
    Lingering,
}

/// What waits for a commit.
pub(super) enum Deferred {
    Answer(InFlightRequest, Answer),
    Job(InFlightRequest, Lane, Job),
    Piece {
        streaming: Streaming,
        source: Source,
        bytes: Vec<u8>,
        /// Whether it is the last one of its stream.
        is_last: bool,
    },
}

impl Deferred {
    pub(super) fn in_flight(&self) -> &InFlightRequest {
        match self {
            Deferred::Answer(in_flight, _) | Deferred::Job(in_flight, ..) => in_flight,
            Deferred::Piece { streaming, .. } => &streaming.in_flight,
        }
    }
}

/// A request that is being answered, as far as the answer and the log need it.
pub(super) struct InFlightRequest {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) persistent: bool,
    /// The path as sent, cut to what is logged.
    pub(super) path: Box<[u8]>,
    pub(super) failure_style: Style,
    pub(super) started: Instant,
    pub(super) request_id: String,
    pub(super) caller: Caller,
    /// Of a read that waits for changes of other clients.
    pub(super) retry: Option<Retry>,
    /// Bytes of the request's body, which a job for it may hold.
    pub(super) request_bytes: usize,
}

/// How to answer a read again. It may have returned changes that are then rolled back, because the disk failed or was
/// full. That is a failure of the writes, not of the read.
pub(super) struct Retry {
    /// The request as sent.
    pub(super) request: Box<[u8]>,
    pub(super) peer: IpAddr,
    pub(super) left: u32,
}

/// An answer whose body is produced while it is sent.
pub(super) struct Streaming {
    pub(super) in_flight: InFlightRequest,
    pub(super) stage: Stage,
    pub(super) body_bytes: u64,
    /// Bytes of memory that its source holds.
    pub(super) source_bytes: usize,
    /// How often the current piece may be read again.
    pub(super) retries_left: u32,
}

pub(super) enum Stage {
    /// The head waits for the first piece, so that a failure there still gets a proper answer.
    Begun(Response),
    /// The head is sent.
    Body { head: EncodedHead, status: u16 },
}

impl InFlightRequest {
    pub(super) fn of(
        head: &Head<'_>,
        failure_style: Style,
        caller: Caller,
        started: Instant,
        request_id: String,
    ) -> InFlightRequest {
        let path = loggable_target(head.target_text());
        let logged = path.get(..LOG_FIELD_BYTES_MAX + 1).unwrap_or(&path);
        InFlightRequest {
            method: head.method,
            version: head.version,
            persistent: head.persistent,
            path: logged.into(),
            failure_style,
            started,
            request_id,
            caller,
            retry: None,
            request_bytes: 0,
        }
    }

    /// For an answer to bytes that are not a request.
    pub(super) fn of_no_request(address: IpAddr, started: Instant, request_id: String) -> InFlightRequest {
        InFlightRequest {
            method: Method::Unknown,
            version: Version::Http11,
            persistent: false,
            path: Box::from(&b"-"[..]),
            failure_style: Style { dialect: Dialect::Problem, viewer: None, writes_keys: false },
            started,
            request_id,
            caller: Caller { client: Client { address, is_tls: false }, permission: Permission::Nothing },
            retry: None,
            request_bytes: 0,
        }
    }

    fn bytes_held(&self) -> usize {
        self.request_bytes + self.retry.as_ref().map_or(0, |retry| retry.request.len())
    }
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        remote: Remote,
        id: ConnectionId,
        bounds: Bounds,
        now: Instant,
    ) -> Connection {
        Connection {
            stream,
            remote,
            id,
            exchange: Exchange::new(bounds),
            input: Input::default(),
            routed: None,
            output: Output::default(),
            phase: Phase::Receiving(Waiting::Idle),
            since: now,
            taken_at: now,
            socket: Socket::Readable,
            last_status: None,
            armed: None,
            is_silent: true,
            counted_bytes: 0,
        }
    }

    pub(super) fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    /// Sets what a receiving connection waits for. The time of a wait that continues counts from its beginning.
    pub(super) fn wait_for(&mut self, waiting: Waiting, now: Instant) {
        let begins = match (&self.phase, waiting) {
            (Phase::Receiving(Waiting::Idle), Waiting::Idle)
            | (Phase::Receiving(Waiting::Head), Waiting::Head)
            | (Phase::Receiving(Waiting::Body { .. }), Waiting::Body { .. }) => false,
            (_, _) => true,
        };
        self.phase = Phase::Receiving(waiting);
        if begins {
            self.since = now;
        }
    }

    /// Whether no part of a request or an answer is pending.
    pub(super) fn is_idle(&self) -> bool {
        let receives = matches!(self.phase, Phase::Receiving(Waiting::Idle));
        receives && !self.socket.is_readable() && self.input.bytes().is_empty() && self.output.is_empty()
    }

    /// Whether it may be closed for another client: it is kept alive and idle, or its client got its last answer a
    /// while ago and sends nothing.
    pub(super) fn is_dispensable(&self, now: Instant) -> bool {
        let grace = Duration::from_millis(SILENT_GRACE_MS);
        match &self.phase {
            Phase::Receiving(_) => self.last_status.is_some() && self.is_idle(),
            Phase::Draining { bytes: 0 } => now.saturating_duration_since(self.since) >= grace,
            Phase::AwaitSync(..)
            | Phase::AwaitJob(_)
            | Phase::AwaitPiece(_)
            | Phase::Streaming(..)
            | Phase::Closing
            | Phase::Draining { .. }
            | Phase::Lingering => false,
        }
    }

    /// Whether a handler or the disk works for it, which takes a short time whatever its client does.
    pub(super) fn awaits_server(&self) -> bool {
        match &self.phase {
            Phase::AwaitSync(..) | Phase::AwaitJob(_) | Phase::AwaitPiece(_) => true,
            Phase::Receiving(_)
            | Phase::Streaming(..)
            | Phase::Closing
            | Phase::Draining { .. }
            | Phase::Lingering => false,
        }
    }

    /// Bytes of memory that a pending request or answer holds, unless they are too few to count.
    pub(super) fn bytes_held(&self) -> usize {
        let phase_bytes = match &self.phase {
            Phase::AwaitSync(_, Deferred::Answer(in_flight, answer)) => {
                in_flight.bytes_held() + answer.as_ref().map_or(0, |response| response.body_bytes().len())
            }
            Phase::AwaitSync(_, Deferred::Job(in_flight, ..)) | Phase::AwaitJob(in_flight) => {
                in_flight.bytes_held()
            }
            Phase::AwaitSync(_, Deferred::Piece { streaming, bytes, .. }) => {
                streaming.source_bytes + bytes.len()
            }
            Phase::AwaitPiece(streaming) | Phase::Streaming(streaming, _) => streaming.source_bytes,
            Phase::Receiving(_) | Phase::Closing | Phase::Draining { .. } | Phase::Lingering => 0,
        };
        let request_bytes = self.input.bytes().capacity() + self.exchange.body_bytes_held();
        let bytes = phase_bytes + request_bytes + self.output.bytes_held();
        if bytes < CONNECTION_BYTES_UNCOUNTED { 0 } else { bytes }
    }

    /// When the phase has to end.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Instant {
        let after = |from: Instant, ms: u64| from + Duration::from_millis(ms);
        if !self.output.is_empty() {
            return after(self.taken_at, timeouts.write_ms);
        }
        match &self.phase {
            Phase::Receiving(Waiting::Idle) => after(self.since, timeouts.idle_ms),
            Phase::Receiving(Waiting::Head) => after(self.since, timeouts.head_ms),
            Phase::Receiving(Waiting::Body { received }) => after(self.since, body_ms(*received, timeouts)),
            Phase::AwaitSync(..) | Phase::AwaitJob(_) | Phase::AwaitPiece(_) | Phase::Streaming(..) => {
                after(self.since, REPLY_TIMEOUT_MS)
            }
            Phase::Closing => after(self.since, timeouts.write_ms),
            Phase::Draining { bytes } => after(self.since, drain_ms(*bytes)),
            Phase::Lingering => after(self.since, DRAIN_TIMEOUT_MS),
        }
    }
}

/// How long a connection is drained of which `dropped_bytes` were read. A client on a slow link may send the rest of
/// its body; one that sends only a few bytes a second may not.
fn drain_ms(dropped_bytes: u64) -> u64 {
    let prolonged_ms = dropped_bytes.saturating_mul(1_000) / DRAIN_BYTES_PER_SECOND_MIN;
    DRAIN_TIMEOUT_MS.saturating_add(prolonged_ms).min(DRAIN_TIMEOUT_MS_MAX)
}

/// How long a body may take of which `received` bytes have arrived: as long as its rate is above the minimum, and the
/// grace period in any case.
fn body_ms(received: u64, timeouts: &Timeouts) -> u64 {
    /// If there is no minimum rate: a day.
    const UNLIMITED_MS: u64 = 86_400_000;
    let earned = received.saturating_mul(1_000).checked_div(timeouts.body_bytes_per_second_min);
    earned.unwrap_or(UNLIMITED_MS).max(timeouts.body_grace_ms)
}
