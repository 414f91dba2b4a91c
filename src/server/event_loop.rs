//! One thread that serves many connections: poll, read, answer, write.
//!
//! A turn: wait for sockets, mail or a deadline; advance every connection that has something to do as far as possible,
//! up to a cap; deliver resolved commits; hand the request log over.

use super::connection::{Connection, Deferred, Phase, Remote};
use super::deadlines::Deadlines;
use super::input::RequestIds;
use super::log_pace::LogPace;
use super::mailbox::{ConnectionId, Message, WAKER};
use super::shared::Shared;
use super::slots::AddressUsage;
use super::waiters::Waiters;
use crate::clock;
use crate::http::exchange::Bounds;
use crate::limits::{HEAD_BYTES_MAX, READ_BYTES, STALE_DEADLINES_MAX};
use crate::log as sink;
use crate::store::commit::Commit;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct EventLoop {
    poll: Poll,
    pub(super) shared: Shared,
    connections: Vec<Option<Box<Connection>>>,
    free: Vec<usize>,
    generations: u64,
    /// Connections that have something to do without an event.
    pub(super) ready: Vec<ConnectionId>,
    waiting: Waiters,
    /// Connections on which nothing had arrived when they were last checked, the oldest first.
    pub(super) silent: VecDeque<ConnectionId>,
    deadlines: Deadlines,
    /// Of connections that held too much memory.
    pub(super) shortages_logged: LogPace,
    pub(super) scratch: Vec<u8>,
    pub(super) request_log: Vec<u8>,
    pub(super) request_ids: RequestIds,
    pub(super) date: String,
    pub(super) date_second: u64,
    /// The deadline of running requests, once the server stops.
    pub(super) stopping: Option<Instant>,
}

/// What happens to a connection next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    Keep,
    Close,
}

impl EventLoop {
    pub(super) fn new(poll: Poll, shared: Shared) -> EventLoop {
        let request_ids = RequestIds::new(shared.settings.run_id, shared.number);
        EventLoop {
            poll,
            shared,
            connections: Vec::new(),
            free: Vec::new(),
            generations: 0,
            ready: Vec::new(),
            waiting: Waiters::default(),
            silent: VecDeque::new(),
            deadlines: Deadlines::default(),
            shortages_logged: LogPace::default(),
            scratch: vec![0; READ_BYTES],
            request_log: Vec::new(),
            request_ids,
            date: String::new(),
            date_second: u64::MAX,
            stopping: None,
        }
    }

    /// Serves until the server stops.
    pub(super) fn run(&mut self) {
        let mut events = Events::with_capacity(1_024);
        loop {
            let timeout = if events.is_empty() { self.timeout() } else { yield_first() };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    log::error!("the poller of an event loop failed: {error}");
                    return;
                }
            }
            let mut mail = false;
            for event in &events {
                match event.token() {
                    WAKER => mail = true,
                    Token(token) => self.mark(token, event),
                }
            }
            if mail {
                self.shared.mailbox.take().into_iter().for_each(|message| self.receive_mail(message));
            }
            for connection in std::mem::take(&mut self.ready) {
                self.advance(connection);
            }
            self.deliver_commits();
            self.expire();
            self.hand_over_log();
            if self.is_done() {
                return;
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let next = [self.deadlines.next(), self.stopping].into_iter().flatten().min()?;
        let left = next.saturating_duration_since(clock::monotonic());
        // Rounded up: epoll counts milliseconds, and a loop that wakes up early would wake up twice.
        Some(left + Duration::from_millis(1))
    }

    fn is_done(&self) -> bool {
        let open = self.connections.len() - self.free.len();
        self.stopping.is_some_and(|until| open == 0 || clock::monotonic() >= until)
    }

    fn mark(&mut self, token: usize, event: &Event) {
        let Some(Some(connection)) = self.connections.get_mut(token) else { return };
        let to_end = event.is_read_closed() || event.is_priority();
        connection.socket = connection.socket.after_event(event.is_readable(), to_end);
        self.ready.push(connection.id);
    }

    fn receive_mail(&mut self, message: Message) {
        match message {
            Message::Accepted(stream, address, usage) => self.accepted(stream, address, usage),
            Message::JobDone(id, reply) => self.with(id, |this, connection| this.job_done(connection, reply)),
            Message::PieceDone(id, bytes, piece, source) => {
                self.with(id, |this, connection| this.piece_done(connection, bytes, piece, source));
            }
            Message::CloseIdle(shed) => self.shed(shed),
            Message::Stop => {
                let ms = self.shared.settings.timeouts.shutdown_ms;
                self.stopping = Some(clock::monotonic() + Duration::from_millis(ms));
                let idle = self.open_connections().filter(|connection| connection.is_idle());
                let ids: Vec<ConnectionId> = idle.map(|connection| connection.id).collect();
                ids.into_iter().for_each(|id| self.close(id));
            }
        }
    }

    fn accepted(&mut self, mut stream: TcpStream, address: SocketAddr, usage: Arc<AddressUsage>) {
        // Answers are written whole, so a wait for more bytes would only delay them.
        let _ = stream.set_nodelay(true);
        let token = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        if self.poll.registry().register(&mut stream, Token(token), interest).is_err()
            || self.stopping.is_some()
        {
            self.free.push(token);
            self.shared.slots.no_longer_silent();
            self.shared.acceptor.slot_is_free(&self.shared.slots, &usage);
            return;
        }
        self.generations += 1;
        let id = ConnectionId { token, slot_epoch: self.generations };
        let bounds =
            Bounds { head_bytes_max: HEAD_BYTES_MAX, body_bytes_max: self.shared.settings.body_bytes_max };
        let remote = Remote { address: address.ip(), usage };
        let connection = Connection::new(stream, remote, id, bounds, clock::monotonic());
        if let Some(place) = self.connections.get_mut(token) {
            *place = Some(Box::new(connection));
        }
        self.ready.push(id);
        if self.silent.len() > 2 * self.connections.len() + STALE_DEADLINES_MAX {
            let open = &self.connections;
            self.silent.retain(|id| find(open, *id).is_some_and(|connection| connection.is_silent));
        }
        self.silent.push_back(id);
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        find(&self.connections, id)
    }

    pub(super) fn open_connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.iter().flatten().map(Box::as_ref)
    }

    pub(super) fn advance(&mut self, id: ConnectionId) {
        self.with(id, |this, connection| this.drive(connection));
    }

    /// Calls `act` with a connection, then closes it or sets its deadline.
    fn with(&mut self, id: ConnectionId, act: impl FnOnce(&mut EventLoop, &mut Connection) -> Disposition) {
        let Some(place) = self.connections.get_mut(id.token) else { return };
        let Some(mut connection) = place.take_if(|connection| connection.id == id) else { return };
        match act(self, &mut connection) {
            // The answer that it waited for when the server began to stop is sent.
            Disposition::Keep if self.stopping.is_some() && connection.is_idle() => self.end(&connection),
            Disposition::Keep if self.account(&mut connection) == Disposition::Close => self.end(&connection),
            Disposition::Keep => {
                self.arm(&mut connection);
                if let Some(place) = self.connections.get_mut(id.token) {
                    *place = Some(connection);
                }
            }
            Disposition::Close => self.end(&connection),
        }
    }

    pub(super) fn close(&mut self, id: ConnectionId) {
        self.with(id, |_, _| Disposition::Close);
    }

    fn end(&mut self, connection: &Connection) {
        let usage = &connection.remote.usage;
        usage.recount(&self.shared.app.memory, connection.counted_bytes, 0);
        if connection.is_silent {
            self.shared.slots.no_longer_silent();
        }
        self.free.push(connection.id.token);
        self.shared.acceptor.slot_is_free(&self.shared.slots, usage);
    }

    fn arm(&mut self, connection: &mut Connection) {
        let deadline = connection.deadline(&self.shared.settings.timeouts);
        if connection.armed.is_none_or(|armed| deadline < armed) {
            connection.armed = Some(deadline);
            self.deadlines.add(deadline, connection.id);
        }
    }

    /// Keeps `held` in the connection until `commit` is resolved.
    pub(super) fn await_commit(&mut self, connection: &mut Connection, commit: Commit, held: Deferred) {
        let open = &self.connections;
        self.waiting.add(&commit, connection.id, open.len(), |id| find(open, id).is_some());
        connection.enter(Phase::AwaitSync(commit, held), clock::monotonic());
    }

    fn deliver_commits(&mut self) {
        self.advance_resolved();
        self.shared.mailbox.wait_for_commits(!self.waiting.is_empty());
        // A commit that was resolved before the line above woke no loop.
        self.advance_resolved();
    }

    fn advance_resolved(&mut self) {
        self.waiting.take_resolved().into_iter().for_each(|id| self.advance(id));
    }

    fn expire(&mut self) {
        if self.deadlines.next().is_none() {
            return;
        }
        let open = &self.connections;
        self.deadlines.forget_stale(open.len(), |at, id| {
            find(open, id).is_some_and(|connection| connection.armed == Some(at))
        });
        let now = clock::monotonic();
        while let Some((at, id)) = self.deadlines.pop_due(now) {
            self.with(id, |this, connection| {
                if connection.armed != Some(at) {
                    return Disposition::Keep; // an earlier entry has replaced this one
                }
                connection.armed = None;
                if connection.deadline(&this.shared.settings.timeouts) > now {
                    return Disposition::Keep;
                }
                this.time_out(connection)
            });
        }
    }

    fn hand_over_log(&mut self) {
        if !self.request_log.is_empty() {
            sink::append(&self.request_log);
            self.request_log.clear();
        }
    }
}

fn find(connections: &[Option<Box<Connection>>], id: ConnectionId) -> Option<&Connection> {
    connections.get(id.token)?.as_deref().filter(|connection| connection.id == id)
}

/// After a turn that had work: lets other threads run first, then polls without waiting. Without this, clients on this
/// machine, and the other loops, are interrupted for each request that they send to a loop that has just fallen
/// asleep. With it, a turn answers twice as many requests.
fn yield_first() -> Option<Duration> {
    std::thread::yield_now();
    Some(Duration::ZERO)
}
