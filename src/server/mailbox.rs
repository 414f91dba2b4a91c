//! Messages of other threads to an event loop, and how they wake it.

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

/// Identifies a connection of a loop. A later connection may have the same token; its epoch differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId {
    pub(super) token: usize,
    pub(super) slot_epoch: u64,
}

pub(super) enum Message {
    Accepted(TcpStream, SocketAddr, Arc<AddressUsage>),
    JobDone(ConnectionId, Reply),
    /// A lane has read a piece of a stream.
    PieceDone(ConnectionId, Vec<u8>, Piece, Source),
    /// Clients wait to be accepted: close a connection of these.
    CloseIdle(Shed),
    /// Finish the requests that run, then end.
    Stop,
}

/// Which connections may be closed for a client that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shed {
    pub(super) stage: ShedStage,
    /// Connections of the client's address, including the waiting one. Addresses that have fewer keep theirs.
    pub(super) connections: usize,
}

/// The state of connections that may be closed. Each stage includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShedStage {
    /// Nothing has arrived on them for a while.
    Silent,
    /// They are kept alive and idle.
    Idle,
    /// Any, if their address has more connections than the client's will have.
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

    /// Announces whether connections wait for commits. If some do, the loop checks the commits once more before it
    /// sleeps. Both sides store, fence and load (Dekker's pattern), so at least one of them sees what the other has
    /// stored: the loop sees the resolved commit, or [`Mailbox::wake_if_waiting`] sees that the loop waits. No
    /// wake-up is lost.
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
            log::error!("could not wake an event loop: {error}");
        }
    }
}
