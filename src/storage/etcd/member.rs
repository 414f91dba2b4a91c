//! One member of a cell: connections to it, and a breaker that keeps requests from it after a failure.

use crate::clock;
use crate::http_client::{Answer, ClientRequest, ExchangeError, HttpClient};
use crate::limits::{CELL_BREAK_MS_MAX, CELL_BREAK_MS_MIN, CELL_CONNECT_MS};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Member {
    /// `host:port`.
    authority: String,
    /// Connections that no request uses.
    idle: Mutex<Vec<HttpClient>>,
    breaker: Mutex<Breaker>,
}

/// Keeps requests from a member that failed, for a time that doubles with each failure.
#[derive(Debug, Default)]
struct Breaker {
    /// Requests pass from this instant on.
    closed_from: Option<Instant>,
    wait: Duration,
}

impl Member {
    /// The member at `authority` (`host:port`). Nothing is connected yet.
    pub(super) fn new(authority: String) -> Member {
        Member { authority, idle: Mutex::default(), breaker: Mutex::default() }
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// When requests pass again, if it has failed.
    pub(super) fn closed_from(&self) -> Option<Instant> {
        self.lock_breaker().closed_from
    }

    /// Sends `request` over an idle connection or a new one.
    pub(super) fn exchange(
        &self,
        request: &ClientRequest<'_>,
        deadline: Instant,
        answer_bytes_max: usize,
    ) -> Result<Answer, ExchangeError> {
        let mut client = match self.take_idle() {
            Some(client) => client,
            None => self.connect().map_err(ExchangeError::NotSent)?,
        };
        let answer = client.exchange(request, deadline, answer_bytes_max)?;
        if !answer.closes {
            self.lock_idle().push(client);
        }
        Ok(answer)
    }

    /// A connection that the member has not closed meanwhile.
    fn take_idle(&self) -> Option<HttpClient> {
        loop {
            // In a statement of its own, so that the lock is not held during the check.
            let client = self.lock_idle().pop()?;
            if client.is_idle() {
                return Some(client);
            }
        }
    }

    fn connect(&self) -> io::Result<HttpClient> {
        let mut error = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in self.authority.to_socket_addrs()? {
            let timeout = Duration::from_millis(CELL_CONNECT_MS);
            match HttpClient::connect(address, self.authority.clone(), timeout) {
                Ok(client) => return Ok(client),
                Err(refused) => error = refused,
            }
        }
        Err(error)
    }

    pub(super) fn succeeded(&self) {
        *self.lock_breaker() = Breaker::default();
    }

    /// Keeps requests away for a while, and returns the reason as a text.
    pub(super) fn failed(&self, problem: &dyn fmt::Display) -> String {
        self.lock_idle().clear();
        let mut breaker = self.lock_breaker();
        let (min, max) = (Duration::from_millis(CELL_BREAK_MS_MIN), Duration::from_millis(CELL_BREAK_MS_MAX));
        breaker.wait = (breaker.wait * 2).clamp(min, max);
        breaker.closed_from = Some(clock::monotonic() + breaker.wait);
        format!("{}: {problem}", self.authority)
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<HttpClient>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
