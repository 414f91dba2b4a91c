//! Owns the listening socket and hands connections to the event loops, round robin.
//!
//! If all slots are in use, it accepts a few more clients, which wait in a line ([`Line`]). The others wait in the
//! kernel's queue. While a client is in the line, other connections are closed for it ([`Shed`]). An address that has
//! its maximum of connections is refused. If the line does not move, so is the address that has most of the slots.
//! The acceptor pauses when it runs out of descriptors, and never ends because of it.

use super::line::{Line, WaitingClient};
use super::log_pace::LogPace;
use super::mailbox::{Mailbox, Message, Shed, ShedStage, WAKER};
use super::slots::{AddressFull, AddressUsage, Slots};
use crate::api::error::ApiError;
use crate::api::state::App;
use crate::auth::client::is_proxy;
use crate::clock;
use crate::http::request::{Method, Version};
use crate::http::response::{self, BodySize};
use crate::limits::{
    ACCEPT_PAUSE_MS, ACCEPTS_PER_TURN_MAX, LINE_MAX, READ_BYTES, SHED_INTERVAL_MS, SILENT_GRACE_MS,
};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LISTENER: Token = Token(0);

/// Reaches the acceptor from other threads.
#[derive(Clone)]
pub(super) struct Handle {
    waker: Arc<Waker>,
    stopping: Arc<AtomicBool>,
}

impl Handle {
    /// A connection has ended.
    pub(super) fn slot_is_free(&self, slots: &Slots, usage: &AddressUsage) {
        slots.close(usage);
        if slots.accept_blocked() {
            self.wake();
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("could not wake the acceptor: {error}");
        }
    }
}

pub(super) struct Acceptor {
    poll: Poll,
    listener: TcpListener,
    slots: Arc<Slots>,
    mailboxes: Vec<Arc<Mailbox>>,
    next: usize,
    handle: Handle,
    /// Clients may be waiting in the kernel's queue: no accept has returned "would block" since the last event.
    ready: bool,
    line: Line,
    short_of_descriptors: bool,
    app: Arc<App>,
    bounds: Bounds,
    refusals_logged: LogPace,
}

/// What bounds the number of connections, besides the projects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connections_max: usize,
    /// Descriptors that the process may have.
    pub(super) descriptors_max: usize,
}

impl Acceptor {
    pub(super) fn new(
        listener: std::net::TcpListener,
        app: Arc<App>,
        slots: Arc<Slots>,
        mailboxes: Vec<Arc<Mailbox>>,
        bounds: Bounds,
    ) -> io::Result<(Acceptor, Handle)> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let handle = Handle { waker, stopping: Arc::new(AtomicBool::new(false)) };
        let line = Line::new(LINE_MAX.min(slots.max() / 2).max(1));
        let acceptor = Acceptor {
            poll,
            listener,
            slots,
            mailboxes,
            next: 0,
            handle: handle.clone(),
            ready: true,
            line,
            short_of_descriptors: false,
            app,
            bounds,
            refusals_logged: LogPace::default(),
        };
        Ok((acceptor, handle))
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(8);
        while !self.handle.stopping.load(Ordering::Acquire) {
            // After EMFILE, clients in the kernel's queue raise no new event, so the acceptor tries again by time.
            let pause_ms = match (self.line.is_empty(), self.short_of_descriptors) {
                (false, _) => Some(SHED_INTERVAL_MS),
                (true, true) => Some(ACCEPT_PAUSE_MS),
                (true, false) => None,
            };
            match self.poll.poll(&mut events, pause_ms.map(Duration::from_millis)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    log::error!("the acceptor's poller failed: {error}");
                    std::thread::sleep(Duration::from_millis(ACCEPT_PAUSE_MS));
                }
            }
            self.ready |= self.short_of_descriptors || events.iter().any(|event| event.token() == LISTENER);
            self.accept();
        }
    }

    fn accept(&mut self) {
        // Projects that were created since then hold descriptors that connections had.
        let held = self.app.catalog.registry().held_descriptors;
        self.slots.set_max(held.connections(self.bounds.connections_max, self.bounds.descriptors_max));
        let now = clock::monotonic();
        let is_stuck = self.line.is_stuck(now);
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            while !self.slots.full()
                && let Some(WaitingClient { stream, address, usage, .. }) = self.line.take_next(now)
            {
                self.slots.open();
                self.hand_over(Message::Accepted(stream, address, usage));
            }
            if !self.ready || (self.line.is_full() && !is_stuck) {
                break;
            }
            match self.listener.accept() {
                Ok((stream, address)) => {
                    self.short_of_descriptors = false;
                    self.accepted(stream, address);
                }
                Err(error) => self.accept_failed(&error),
            }
        }
        let shed = self.line.next().map(|waiting| self.shed_for(waiting));
        self.slots.set_accept_blocked(shed.is_some());
        if self.ready && !self.line.is_full() {
            self.handle.wake(); // for the next turn
        }
        if let Some(shed) = shed {
            self.mailboxes.iter().for_each(|mailbox| mailbox.post(Message::CloseIdle(shed)));
            // A slot that became free before its loop saw `accept_blocked` woke no thread.
            if !self.slots.full() {
                self.handle.wake();
            }
        }
    }

    fn accepted(&mut self, stream: TcpStream, address: SocketAddr) {
        let is_proxy = is_proxy(address.ip(), &self.app.catalog.registry().trusted_proxies);
        match self.slots.join((!is_proxy).then_some(address.ip())) {
            Ok(usage) => {
                let waiting = WaitingClient { stream, address, usage, since: clock::monotonic() };
                if let Some(WaitingClient { stream, usage, .. }) = self.line.add(waiting) {
                    self.slots.leave(&usage);
                    refuse(stream, &ApiError::Overloaded);
                }
            }
            Err(AddressFull { max }) => {
                self.log_refusal(address, max);
                refuse(stream, &ApiError::TooManyConnections { max });
            }
        }
    }

    /// The longer a client waits, the more connections may be closed for it.
    fn shed_for(&self, waiting: &WaitingClient) -> Shed {
        let waited = clock::monotonic().saturating_duration_since(waiting.since);
        let silent_ms = if self.slots.has_silent() { SILENT_GRACE_MS + SHED_INTERVAL_MS } else { 0 };
        let stage = match waited.as_millis() {
            ms if ms < u128::from(silent_ms) => ShedStage::Silent,
            ms if ms < u128::from(silent_ms + SHED_INTERVAL_MS) => ShedStage::Idle,
            _ => ShedStage::Surplus,
        };
        Shed { stage, connections: waiting.usage.connections() }
    }

    fn log_refusal(&mut self, address: SocketAddr, max: usize) {
        if self.refusals_logged.is_due() {
            let address = address.ip();
            log::warn!(
                "Address {address} has {max} connections; the maximum is {max} \
                 (limits.connections_per_address_max). Others are refused; this is logged at most once a minute."
            );
        }
    }

    fn accept_failed(&mut self, error: &io::Error) {
        let transient = [ErrorKind::Interrupted, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset];
        if error.kind() == ErrorKind::WouldBlock {
            self.ready = false;
            self.short_of_descriptors = false;
        } else if !transient.contains(&error.kind()) {
            if !self.short_of_descriptors {
                log::warn!(
                    "Accept failed ({error}). The server tries again every {ACCEPT_PAUSE_MS} ms. Raise the limit of \
                     file descriptors (`ulimit -n`, LimitNOFILE=)."
                );
            }
            self.short_of_descriptors = true;
            self.ready = false;
            let shed = Shed { stage: ShedStage::Idle, connections: 0 };
            self.mailboxes.iter().for_each(|mailbox| mailbox.post(Message::CloseIdle(shed)));
        }
    }

    fn hand_over(&mut self, message: Message) {
        let count = self.mailboxes.len().max(1);
        self.next = (self.next + 1) % count;
        if let Some(mailbox) = self.mailboxes.get(self.next) {
            mailbox.post(message);
        }
    }
}

/// Tells a client why it is not served, as far as that is possible without waiting for it.
fn refuse(mut stream: TcpStream, error: &ApiError) {
    let response = error.response();
    let body = BodySize::Known(response.body_bytes().len() as u64);
    let date = clock::render_http_date(clock::wall_ms() / 1_000);
    let (method, version) = (Method::Get, Version::Http11);
    let reply = response::Reply { method, version, persistent: false, body, date: &date };
    let mut answer = Vec::new();
    response::encode_head(&response, &reply, &[], &mut answer);
    answer.extend_from_slice(response.body_bytes());
    // The connection ends whether or not these succeed.
    let _ = stream.write(&answer);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read(&mut [0; READ_BYTES]);
}
