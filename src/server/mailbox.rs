//! What other threads have for an event loop, and how they wake it.

use super::slots::AddressUsage;
use crate::api::reply::{Piece, Reply, Source};
use mio::net::TcpStream;
use mio::{Poll, Token, Waker};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

/// The token of the waker; connections have the others.
pub(super) const WAKER: Token = Token(usize::MAX);

/// Names a connection of a loop, also after its token went to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId {
    pub(super) token: usize,
    pub(super) slot_epoch: u64,
}

/// What an event loop is told.
pub(super) enum Message {
    /// A new connection.
    Accepted(TcpStream, SocketAddr, Arc<AddressUsage>),
    JobDone(ConnectionId, Reply),
    /// A lane has made a piece of a stream.
    PieceDone(ConnectionId, Vec<u8>, Piece, Source),
    /// Others wait to be accepted: close a connection of these.
    CloseIdle(Shed),
    /// Finish what runs, then end.
    Stop,
}

/// Which connections give way to a client that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shed {
    pub(super) stage: ShedStage,
    /// Connections of the client's address, the waiting one among them. Those of addresses that have fewer stay.
    pub(super) connections: usize,
}

/// What connections do that give way. Each stage includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShedStage {
    /// Nothing has arrived on them for a while.
    Silent,
    /// They are kept alive and do nothing.
    Idle,
    /// Anything, if their address has more connections than the client's will have.
    Surplus,
}

pub(super) struct Mailbox {
    messages: Mutex<Vec<Message>>,
    waker: Waker,
    waits_for_commits: AtomicBool,
}

impl Mailbox {
    pub(super) fn new(poll: &Poll) -> io::Result<Mailbox> {
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(Mailbox { messages: Mutex::default(), waker, waits_for_commits: AtomicBool::new(false) })
    }

    pub(super) fn post(&self, message: Message) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
        if messages.len() == 1 {
            self.wake();
        }
    }

    pub(super) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says whether connections wait for commits. If some do, the loop looks once more before it sleeps. Both sides
    /// store, fence and load, so that one of them sees what the other has stored: the loop a commit that was
    /// resolved, or [`Mailbox::wake_if_waiting`] that the loop waits. No wake-up is lost.
    pub(super) fn wait_for_commits(&self, some_wait: bool) {
        self.waits_for_commits.store(some_wait, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(super) fn wake_if_waiting(&self) {
        fence(Ordering::SeqCst);
        if self.waits_for_commits.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("an event loop could not be woken: {error}");
        }
    }
}
