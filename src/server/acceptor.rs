//! Owns the listening socket and hands connections to the event loops, round robin.
//!
//! Where all slots are taken it accepts one more client, who is the next in line, and no others: they
//! wait in the kernel's queue. While there is a next in line, idle connections are closed. Running out
//! of descriptors pauses it and never ends it.

use super::mailbox::{Mailbox, Message, WAKER};
use crate::limits::ACCEPT_PAUSE_MS;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const LISTENER: Token = Token(0);

/// How many connections are open, and whether others wait for one to end.
pub(super) struct Slots {
    max: usize,
    open: AtomicUsize,
    pressed: AtomicBool,
}

impl Slots {
    pub(super) fn new(max: usize) -> Slots {
        Slots { max, open: AtomicUsize::new(0), pressed: AtomicBool::new(false) }
    }

    /// Whether clients wait to be accepted: answers then end their connection.
    pub(super) fn pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }

    fn full(&self) -> bool {
        self.open.load(Ordering::Acquire) >= self.max
    }
}

/// Talks to the acceptor from other threads.
#[derive(Clone)]
pub(super) struct Handle {
    waker: Arc<Waker>,
    stopping: Arc<AtomicBool>,
}

impl Handle {
    /// A connection has ended.
    pub(super) fn slot_is_free(&self, slots: &Slots) {
        slots.open.fetch_sub(1, Ordering::AcqRel);
        if slots.pressed() {
            self.wake();
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("the acceptor could not be woken: {error}");
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
    /// Connections may be waiting: accepting has not said "would block" since the last event.
    ready: bool,
    /// Accepted, and waiting for a slot.
    next_in_line: Option<(TcpStream, SocketAddr)>,
    short_of_descriptors: bool,
}

impl Acceptor {
    pub(super) fn new(
        listener: std::net::TcpListener,
        slots: Arc<Slots>,
        mailboxes: Vec<Arc<Mailbox>>,
    ) -> io::Result<(Acceptor, Handle)> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let handle = Handle { waker, stopping: Arc::new(AtomicBool::new(false)) };
        let acceptor = Acceptor {
            poll,
            listener,
            slots,
            mailboxes,
            next: 0,
            handle: handle.clone(),
            ready: true,
            next_in_line: None,
            short_of_descriptors: false,
        };
        Ok((acceptor, handle))
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(8);
        while !self.handle.stopping.load(Ordering::Acquire) {
            // After EMFILE, what is queued already raises no new event, so come back by time.
            let pause = self.short_of_descriptors.then(|| Duration::from_millis(ACCEPT_PAUSE_MS));
            match self.poll.poll(&mut events, pause) {
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
        loop {
            if !self.slots.full()
                && let Some((stream, address)) = self.next_in_line.take()
            {
                self.slots.open.fetch_add(1, Ordering::AcqRel);
                self.hand_over(Message::Accepted(stream, address));
            }
            if self.next_in_line.is_some() || !self.ready {
                break;
            }
            match self.listener.accept() {
                Ok(accepted) => {
                    self.short_of_descriptors = false;
                    self.next_in_line = Some(accepted);
                }
                Err(error) => self.accept_failed(&error),
            }
        }
        let pressed = self.next_in_line.is_some();
        self.slots.pressed.store(pressed, Ordering::Release);
        if pressed {
            self.mailboxes.iter().for_each(|mailbox| mailbox.post(Message::Shed));
            // A slot that came free before `pressed` was seen woke nobody.
            if !self.slots.full() {
                self.handle.wake();
            }
        }
    }

    fn accept_failed(&mut self, error: &io::Error) {
        let passing = [ErrorKind::Interrupted, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset];
        if error.kind() == ErrorKind::WouldBlock {
            self.ready = false;
            self.short_of_descriptors = false;
        } else if !passing.contains(&error.kind()) {
            if !self.short_of_descriptors {
                log::warn!(
                    "no connection can be accepted ({error}); trying again every {ACCEPT_PAUSE_MS} ms"
                );
            }
            self.short_of_descriptors = true;
            self.ready = false;
            self.mailboxes.iter().for_each(|mailbox| mailbox.post(Message::Shed));
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
