//! One thread that serves many connections: poll, read, answer, write.
//!
//! A turn: wait for sockets, mail or a deadline; let every connection that has something to do go
//! on as far as it can, up to a cap; look at commits; hand the request log over.

use super::connection::{Connection, Deferred, Phase, Remote};
use super::deadlines::Deadlines;
use super::input::RequestIds;
use super::log_pace::LogPace;
use super::mailbox::{ConnectionId, Message, WAKER};
use super::shared::Shared;
use super::silent::SilentConnections;
use super::slots::AddressUsage;
use super::waiters::Waiters;
use crate::clock;
use crate::http::exchange::Bounds;
use crate::limits::{HEAD_BYTES_MAX, READ_BYTES};
use crate::log as sink;
use crate::store::commit::Commit;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
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
    /// Connections that can go on without an event.
    ready: Vec<ConnectionId>,
    waiting: Waiters,
    pub(super) silent: SilentConnections,
    deadlines: Deadlines,
    /// For connections that held too much memory.
    pub(super) shortages_logged: LogPace,
    pub(super) scratch: Vec<u8>,
    pub(super) request_log: Vec<u8>,
    pub(super) request_ids: RequestIds,
    pub(super) date: String,
    pub(super) date_second: u64,
    /// Until when running requests may finish, once the server stops.
    pub(super) stopping: Option<Instant>,
}

/// Whether a connection goes on.
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
            silent: SilentConnections::default(),
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
            let timeout = if events.is_empty() { self.timeout() } else { give_way() };
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
        // Rounded up: epoll counts milliseconds, and waking early would mean waking twice.
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
        let slot_epoch = connection.slot_epoch;
        self.ready.push(ConnectionId { token, slot_epoch });
    }

    fn receive_mail(&mut self, message: Message) {
        match message {
            Message::Accepted(stream, address, usage) => self.accepted(stream, address, usage),
            Message::JobDone(id, reply) => {
                self.with(id, |this, connection| this.job_done(id, connection, reply))
            }
            Message::PieceDone(id, bytes, piece, source) => {
                self.with(id, |this, connection| this.piece_done(id, connection, bytes, piece, source));
            }
            Message::CloseIdle(shed) => self.shed(shed),
            Message::Stop => {
                let ms = self.shared.settings.timeouts.shutdown_ms;
                self.stopping = Some(clock::monotonic() + Duration::from_millis(ms));
                let idle: Vec<ConnectionId> =
                    self.ids().filter(|(_, connection)| connection.is_idle()).map(|(id, _)| id).collect();
                idle.into_iter().for_each(|id| self.close(id));
            }
        }
    }

    fn accepted(&mut self, mut stream: TcpStream, address: SocketAddr, usage: Arc<AddressUsage>) {
        // Answers are written whole; waiting for more to send would only delay them.
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
        let connection = Connection::new(stream, remote, id.slot_epoch, bounds, clock::monotonic());
        if let Some(place) = self.connections.get_mut(token) {
            *place = Some(Box::new(connection));
        }
        self.ready.push(id);
        self.silent.add(id, self.connections.len(), |id| {
            self.connections.get(id.token).and_then(Option::as_deref).is_some_and(|c| c.is_silent_as(id))
        });
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        let connection = self.connections.get(id.token).and_then(Option::as_deref);
        connection.filter(|connection| connection.slot_epoch == id.slot_epoch)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.connections.iter().enumerate().filter_map(|(token, place)| {
            let connection = place.as_deref()?;
            Some((ConnectionId { token, slot_epoch: connection.slot_epoch }, connection))
        })
    }

    pub(super) fn advance(&mut self, id: ConnectionId) {
        self.with(id, |this, connection| this.drive(id, connection));
    }

    /// Has `act` deal with a connection, then closes it or sets its deadline.
    fn with(&mut self, id: ConnectionId, act: impl FnOnce(&mut EventLoop, &mut Connection) -> Disposition) {
        let Some(place) = self.connections.get_mut(id.token) else { return };
        let Some(mut connection) = place.take_if(|connection| connection.slot_epoch == id.slot_epoch) else {
            return;
        };
        match act(self, &mut connection) {
            // Its last answer was on its way when the server began to stop.
            Disposition::Keep if self.stopping.is_some() && connection.is_idle() => self.end(id, &connection),
            Disposition::Keep if self.account(id, &mut connection) == Disposition::Close => {
                self.end(id, &connection)
            }
            Disposition::Keep => {
                self.arm(id, &mut connection);
                if let Some(place) = self.connections.get_mut(id.token) {
                    *place = Some(connection);
                }
            }
            Disposition::Close => self.end(id, &connection),
        }
    }

    pub(super) fn close(&mut self, id: ConnectionId) {
        self.with(id, |_, _| Disposition::Close);
    }

    fn end(&mut self, id: ConnectionId, connection: &Connection) {
        let usage = &connection.remote.usage;
        usage.recount(&self.shared.app.memory, connection.counted_bytes, 0);
        if connection.is_silent {
            self.shared.slots.no_longer_silent();
        }
        self.free.push(id.token);
        self.shared.acceptor.slot_is_free(&self.shared.slots, usage);
    }

    fn arm(&mut self, id: ConnectionId, connection: &mut Connection) {
        let deadline = connection.deadline(&self.shared.settings.timeouts);
        if connection.armed.is_none_or(|armed| deadline < armed) {
            connection.armed = Some(deadline);
            self.deadlines.add(deadline, id);
        }
    }

    /// Notes that a connection can go on in the next turn.
    pub(super) fn requeue(&mut self, id: ConnectionId) {
        self.ready.push(id);
    }

    /// Lets a connection wait for a commit with what it owes.
    pub(super) fn await_commit(
        &mut self,
        id: ConnectionId,
        connection: &mut Connection,
        commit: Commit,
        held: Deferred,
    ) {
        let places = &self.connections;
        self.waiting.add(&commit, id, places.len(), |id| {
            let connection = places.get(id.token).and_then(Option::as_deref);
            connection.is_some_and(|known| known.slot_epoch == id.slot_epoch)
        });
        connection.enter(Phase::AwaitSync(commit, held), clock::monotonic());
    }

    fn deliver_commits(&mut self) {
        self.advance_resolved();
        self.shared.mailbox.wait_for_commits(!self.waiting.is_empty());
        // One that was resolved before the line above woke nobody.
        self.advance_resolved();
    }

    fn advance_resolved(&mut self) {
        self.waiting.take_resolved().into_iter().for_each(|id| self.advance(id));
    }

    fn expire(&mut self) {
        if self.deadlines.next().is_none() {
            return;
        }
        let places = &self.connections;
        self.deadlines.forget_stale(places.len(), |at, id| {
            let connection = places.get(id.token).and_then(Option::as_deref);
            connection.is_some_and(|known| known.slot_epoch == id.slot_epoch && known.armed == Some(at))
        });
        let now = clock::monotonic();
        while let Some((at, id)) = self.deadlines.pop_due(now) {
            self.with(id, |this, connection| {
                if connection.armed != Some(at) {
                    return Disposition::Keep; // an entry that an earlier one replaced
                }
                connection.armed = None;
                if connection.deadline(&this.shared.settings.timeouts) > now {
                    return Disposition::Keep;
                }
                this.time_out(id, connection)
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

/// After a turn that had work: lets others run first, then looks again without waiting. Clients on
/// this machine, and the other loops, would otherwise be interrupted for each request that they send to
/// a loop that has just fallen asleep. With it twice as many requests are answered in a turn.
fn give_way() -> Option<Duration> {
    std::thread::yield_now();
    Some(Duration::ZERO)
}
