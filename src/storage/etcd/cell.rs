//! One etcd cluster: its members, connections to them, and requests that end by a deadline.
//!
//! A request goes to the first member that can be reached. A read is tried again on the next one if a member fails or
//! takes long. A write is sent once: if its answer does not arrive, it is unknown whether it was applied.

use super::gateway::{
    self, AuthenticateRequest, AuthenticateResponse, Header, Range, RangeResponse, Refused, StatusResponse,
    Transaction, TransactionResponse,
};
use crate::clock;
use crate::http_client::{Answer, ClientRequest, ExchangeError, HttpClient};
use crate::limits::{
    CELL_ANSWER_BYTES_MAX, CELL_BREAK_MS_MAX, CELL_BREAK_MS_MIN, CELL_CONNECT_MS, CELL_READ_ATTEMPT_MS,
    CELL_REQUEST_MS,
};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A cluster of etcd.
#[derive(Debug)]
pub struct Cell {
    index: usize,
    name: String,
    /// In the order in which they are tried.
    members: Vec<Member>,
    user: Option<User>,
    /// What the members want to see of `user`, as of the last authentication.
    token: Mutex<Option<Arc<str>>>,
    /// The cluster that the first response came from.
    cluster_id: OnceLock<u64>,
}

/// A user of etcd.
#[derive(Debug)]
pub struct User {
    pub name: String,
    pub password: Secret,
}

#[derive(Debug)]
struct Member {
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

/// Why a cell did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellError {
    /// No member could be asked, or none has a leader. Nothing has changed.
    Unreachable { reason: String },
    /// A write was sent and not answered. It was applied as a whole, or will be, or not at all.
    Unconfirmed { reason: String },
    /// etcd refused the request. Nothing has changed.
    Refused(Refused),
    /// A member belongs to another cluster than the others. A write may have been applied there.
    WrongCluster { authority: String },
}

/// Whether a request may be sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It changes nothing.
    Read,
    /// It changes entries.
    Write,
}

impl Cell {
    /// The cell `name` with the members at `authorities` (`host:port`), which is at `index` of the configured cells.
    /// Nothing is connected yet.
    pub fn new(index: usize, name: String, authorities: Vec<String>, user: Option<User>) -> Cell {
        let member = |authority| Member { authority, idle: Mutex::default(), breaker: Mutex::default() };
        Cell {
            index,
            name,
            members: authorities.into_iter().map(member).collect(),
            user,
            token: Mutex::default(),
            cluster_id: OnceLock::new(),
        }
    }

    /// Its index among the configured cells. 0 is the home cell.
    pub fn index(&self) -> usize {
        self.index
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Milliseconds since 1970, given those of the clock of this machine.
    pub fn now_ms(&self, own_ms: u64) -> u64 {
        own_ms
    }

    /// Reads a range.
    ///
    /// # Errors
    /// [`CellError`], after [`CELL_REQUEST_MS`] at the latest.
    pub fn range(&self, range: &Range) -> Result<RangeResponse, CellError> {
        self.request("/v3/kv/range", range, Effect::Read, |response: &RangeResponse| &response.header)
    }

    /// Applies a transaction without puts and deletions.
    ///
    /// # Errors
    /// As [`Cell::range`].
    pub fn read(&self, transaction: &Transaction) -> Result<TransactionResponse, CellError> {
        self.transaction(transaction, Effect::Read)
    }

    /// Applies a transaction.
    ///
    /// # Errors
    /// As [`Cell::range`]. [`CellError::Unconfirmed`] only here.
    pub fn commit(&self, transaction: &Transaction) -> Result<TransactionResponse, CellError> {
        self.transaction(transaction, Effect::Write)
    }

    fn transaction(
        &self,
        transaction: &Transaction,
        effect: Effect,
    ) -> Result<TransactionResponse, CellError> {
        self.request("/v3/kv/txn", transaction, effect, |response: &TransactionResponse| &response.header)
    }

    /// The state of a member.
    ///
    /// # Errors
    /// As [`Cell::range`].
    pub fn status(&self) -> Result<StatusResponse, CellError> {
        let nothing = serde_json::Map::new();
        self.request("/v3/maintenance/status", &nothing, Effect::Read, |response: &StatusResponse| {
            &response.header
        })
    }

    /// Sends a request until a member has answered it.
    fn request<R: for<'de> Deserialize<'de>>(
        &self,
        target: &str,
        request: &impl Serialize,
        effect: Effect,
        header: impl Fn(&R) -> &Header,
    ) -> Result<R, CellError> {
        let body = encode(request);
        let deadline = clock::monotonic() + Duration::from_millis(CELL_REQUEST_MS);
        let mut is_renewed = false;
        loop {
            let token = self.current_token(deadline)?;
            match self.send(target, &body, token.as_deref(), effect, deadline) {
                Err(CellError::Refused(Refused::Unauthenticated)) if self.user.is_some() && !is_renewed => {
                    // Nothing was done with a token that is not valid (any more).
                    self.forget(token.as_ref());
                    is_renewed = true;
                }
                Err(error) => return Err(error),
                Ok((authority, response)) => {
                    let id = header(&response).cluster_id;
                    if *self.cluster_id.get_or_init(|| id) != id {
                        return Err(CellError::WrongCluster { authority });
                    }
                    return Ok(response);
                }
            }
        }
    }

    /// The answer of the first member that gives one, and its authority.
    fn send<R: for<'de> Deserialize<'de>>(
        &self,
        target: &str,
        body: &[u8],
        token: Option<&str>,
        effect: Effect,
        deadline: Instant,
    ) -> Result<(String, R), CellError> {
        let fields = token.map(|token| ("authorization", token));
        let request = ClientRequest { method: "POST", target, fields: fields.as_slice(), body };
        let mut reason = String::new();
        loop {
            let now = clock::monotonic();
            let Some(member) = self.next_member(now, deadline) else {
                return Err(CellError::Unreachable { reason });
            };
            let attempt = match effect {
                Effect::Read => deadline.min(now + Duration::from_millis(CELL_READ_ATTEMPT_MS)),
                Effect::Write => deadline,
            };
            match member.exchange(&request, attempt).and_then(read_answer) {
                Ok(Ok(response)) => {
                    member.succeeded();
                    return Ok((member.authority.clone(), response));
                }
                Ok(Err(Refused::Unavailable { message })) => reason = member.failed(&message),
                Ok(Err(Refused::Unconfirmed { message })) => {
                    reason = member.failed(&message);
                    if effect == Effect::Write {
                        return Err(CellError::Unconfirmed { reason });
                    }
                }
                Ok(Err(refused)) => {
                    member.succeeded();
                    return Err(CellError::Refused(refused));
                }
                Err(ExchangeError::NotSent(error)) => reason = member.failed(&error),
                Err(ExchangeError::Unanswered(error)) => {
                    reason = member.failed(&error);
                    if effect == Effect::Write {
                        return Err(CellError::Unconfirmed { reason });
                    }
                }
            }
        }
    }

    /// The first member that requests may go to. If there is none, waits for the one that is due first; `None` if that
    /// is not before `deadline`.
    fn next_member(&self, now: Instant, deadline: Instant) -> Option<&Member> {
        let due = |member: &Member| member.lock_breaker().closed_from.map_or(now, |from| from.max(now));
        let (member, due) =
            self.members.iter().map(|member| (member, due(member))).min_by_key(|(_, due)| *due)?;
        if due >= deadline || now >= deadline {
            return None;
        }
        std::thread::sleep(due - now);
        Some(member)
    }

    /// The token of the user; `None` without a user.
    fn current_token(&self, deadline: Instant) -> Result<Option<Arc<str>>, CellError> {
        let Some(user) = &self.user else { return Ok(None) };
        let known = self.lock_token().clone();
        if known.is_some() {
            return Ok(known);
        }
        let request = AuthenticateRequest { name: &user.name, password: user.password.reveal() };
        let (_, AuthenticateResponse { token }) =
            self.send("/v3/auth/authenticate", &encode(&request), None, Effect::Read, deadline)?;
        let token: Arc<str> = token.into();
        *self.lock_token() = Some(Arc::clone(&token));
        Ok(Some(token))
    }

    /// Has the next request authenticate again, unless another one has done so.
    fn forget(&self, token: Option<&Arc<str>>) {
        let mut known = self.lock_token();
        if known.as_ref() == token {
            *known = None;
        }
    }

    fn lock_token(&self) -> std::sync::MutexGuard<'_, Option<Arc<str>>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// Sends `request` over an idle connection or a new one.
    fn exchange(&self, request: &ClientRequest<'_>, deadline: Instant) -> Result<Answer, ExchangeError> {
        let mut client = match self.take_idle() {
            Some(client) => client,
            None => self.connect().map_err(ExchangeError::NotSent)?,
        };
        let answer = client.exchange(request, deadline, CELL_ANSWER_BYTES_MAX)?;
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

    fn succeeded(&self) {
        *self.lock_breaker() = Breaker::default();
    }

    /// Keeps requests away for a while, and returns the reason as a text.
    fn failed(&self, problem: &dyn fmt::Display) -> String {
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

/// Takes `answer` as a response, or as what etcd refuses. Anything else is not an answer of etcd.
fn read_answer<R: for<'de> Deserialize<'de>>(answer: Answer) -> Result<Result<R, Refused>, ExchangeError> {
    let read = match answer.status {
        200 => gateway::parse(&answer.body).map(Ok),
        _ => Refused::of(&answer.body).map(Err),
    };
    read.ok_or_else(|| {
        let problem = format!("the answer with status {} is not one of etcd", answer.status);
        ExchangeError::Unanswered(io::Error::new(ErrorKind::InvalidData, problem))
    })
}

fn encode(request: &impl Serialize) -> Vec<u8> {
    let mut body = Vec::new();
    let encoded = serde_json::to_writer(&mut body, request);
    assert!(
        encoded.is_ok(),
        "requests have texts and numbers, which are always JSON, and a Vec takes every byte"
    );
    body
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CellError::Unreachable { reason } if reason.is_empty() => {
                f.write_str("No member of the cell answers.")
            }
            CellError::Unreachable { reason } => write!(f, "No member of the cell answers ({reason})."),
            CellError::Unconfirmed { reason } => {
                write!(
                    f,
                    "The cell did not confirm the write ({reason}). It was applied as a whole, or not at all."
                )
            }
            CellError::Refused(refused) => refused.fmt(f),
            CellError::WrongCluster { authority } => {
                write!(f, "{authority} belongs to another etcd cluster than the other endpoints of the cell.")
            }
        }
    }
}

impl std::error::Error for CellError {}
