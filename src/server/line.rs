//! The clients that are accepted and wait for a slot.
//!
//! The client whose address has the fewest connections is served first, so an address with many connections does not
//! delay the others.

use super::slots::AddressUsage;
use crate::limits::{LINE_PATIENCE_MS, LINE_STANDS_STILL_MS};
use mio::net::TcpStream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LINE_PATIENCE: Duration = Duration::from_millis(LINE_PATIENCE_MS);
const LINE_STANDS_STILL: Duration = Duration::from_millis(LINE_STANDS_STILL_MS);

pub(super) struct WaitingClient {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) usage: Arc<AddressUsage>,
    pub(super) since: Instant,
}

pub(super) struct Line {
    /// The longest wait first.
    waiting: Vec<WaitingClient>,
    max: usize,
    /// When a client was last served.
    moved_at: Option<Instant>,
}

impl Line {
    pub(super) fn new(max: usize) -> Line {
        Line { waiting: Vec::new(), max, moved_at: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= self.max
    }

    /// Whether it is full and moves slowly or not at all.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        let Some(first) = self.waiting.first().filter(|_| self.is_full()) else { return false };
        let since = |start: Instant| now.saturating_duration_since(start);
        let stands_still = self.moved_at.is_none_or(|moved_at| since(moved_at) >= LINE_STANDS_STILL);
        since(first.since) >= LINE_PATIENCE || (stands_still && since(first.since) >= LINE_STANDS_STILL)
    }

    /// Adds a client. If they are too many then, removes and returns one, of the address that has the most connections.
    pub(super) fn add(&mut self, waiting: WaitingClient) -> Option<WaitingClient> {
        self.waiting.push(waiting);
        if self.waiting.len() > self.max { self.take(|connections| usize::MAX - connections) } else { None }
    }

    /// The client to serve next.
    pub(super) fn next(&self) -> Option<&WaitingClient> {
        self.waiting.iter().min_by_key(|waiting| waiting.usage.connections())
    }

    /// Removes and returns the client to serve next.
    pub(super) fn take_next(&mut self, now: Instant) -> Option<WaitingClient> {
        let next = self.take(|connections| connections)?;
        self.moved_at = Some(now);
        Some(next)
    }

    fn take(&mut self, rank: impl Fn(usize) -> usize) -> Option<WaitingClient> {
        let ranked = self.waiting.iter().enumerate();
        let (at, _) = ranked.min_by_key(|(_, waiting)| rank(waiting.usage.connections()))?;
        Some(self.waiting.remove(at))
    }
}
