//! One etcd cluster: its members, connections to them, and requests that end by a deadline.
//!
//! A request goes to the first member that can be reached. A read is tried again on the next one if a member fails or
//! takes long. A write is sent once: if its answer does not arrive, it is unknown whether it was applied.

pub use super::cell_error::CellError;
use super::due;
use super::gateway::{
    self, AuthenticateRequest, AuthenticateResponse, Header, Operation, Range, RangeResponse, Refused,
    StatusResponse, Transaction, TransactionResponse,
};
use super::member::Member;
use super::state::CellState;
use crate::clock;
use crate::http_client::{self, Answer, ClientRequest, ExchangeError};
use crate::limits::{
    CELL_ANSWER_BYTES_MAX, CELL_CARE_ATTEMPT_MS, CELL_FAILURES_LOGGED_EVERY_MS, CELL_READ_ATTEMPT_MS,
    CELL_REQUEST_MS, CELL_WRITE_MS_MIN,
};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
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
    /// When a failed request was logged last.
    failure_logged: Mutex<Option<Instant>>,
    /// The latest revision that a response had.
    revision: AtomicI64,
    /// Whether requests are refused, for the reason in `state`.
    is_closed: AtomicBool,
    state: Mutex<CellState>,
    /// Whether a member takes fewer operations in a transaction than the largest batch needs.
    has_few_operations: AtomicBool,
    /// How many members did not answer at the last check.
    silent_members: AtomicUsize,
    clock: CellClock,
}

/// What is known of the cell's clock.
#[derive(Debug, Default)]
struct CellClock {
    /// What it showed last, milliseconds since 1970.
    shown_ms: AtomicU64,
    /// By how much the clock of this machine is ahead of it, if other servers keep it.
    ahead_ms: AtomicU64,
}

/// A user of etcd.
#[derive(Debug)]
pub struct User {
    pub name: String,
    pub password: Secret,
}

/// What a request may use.
#[derive(Clone, Copy)]
pub(super) struct Allowed {
    /// Milliseconds until the request ends.
    pub(super) ms: u64,
    /// Milliseconds until a read is sent to another member.
    pub(super) attempt_ms: u64,
    /// Bytes of the answer. If a read has a longer one, the error is [`CellError::AnswerTooLong`].
    pub(super) answer_bytes: usize,
}

/// What requests may use that read or write a few keys.
pub(super) const ALLOWED: Allowed =
    Allowed { ms: CELL_REQUEST_MS, attempt_ms: CELL_READ_ATTEMPT_MS, answer_bytes: CELL_ANSWER_BYTES_MAX };

/// Whether a request may be sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It changes nothing.
    Read,
    /// It changes entries.
    Write,
}

/// Whose state a response shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// That of the cell: everything that was committed before the request.
    Latest,
    /// That of one member, which may be old.
    OfMember,
}

impl Cell {
    /// The cell `name` with the members at `authorities` (`host:port`), which is at `index` of the configured cells.
    /// Nothing is connected yet.
    pub fn new(index: usize, name: String, authorities: Vec<String>, user: Option<User>) -> Cell {
        Cell {
            index,
            name,
            members: authorities.into_iter().map(Member::new).collect(),
            user,
            token: Mutex::default(),
            cluster_id: OnceLock::new(),
            failure_logged: Mutex::default(),
            revision: AtomicI64::new(0),
            is_closed: AtomicBool::new(false),
            state: Mutex::new(CellState::Ready),
            has_few_operations: AtomicBool::new(false),
            silent_members: AtomicUsize::new(0),
            clock: CellClock::default(),
        }
    }

    /// The same cell. It refuses requests until [`Cell::open`].
    pub(super) fn closed(self) -> Cell {
        let (is_closed, state) = (AtomicBool::new(true), Mutex::new(CellState::Unchecked));
        Cell { is_closed, state, ..self }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its index among the configured cells. 0 is the home cell.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The `host:port` of each member.
    pub fn authorities(&self) -> impl ExactSizeIterator<Item = &str> {
        self.members.iter().map(Member::authority)
    }

    /// The cluster that the first response came from.
    pub(super) fn cluster_id(&self) -> Option<u64> {
        self.cluster_id.get().copied()
    }

    /// What the cell could do at the last check.
    pub fn state(&self) -> CellState {
        self.lock_state().clone()
    }

    /// Records `state`. A cell that was restored stays so.
    pub(super) fn set_state(&self, state: CellState) {
        let mut present = self.lock_state();
        if *present != CellState::Restored {
            *present = state;
        }
    }

    /// Refuses requests until the next start: the cell was replaced by an earlier state of itself.
    pub(super) fn close_restored(&self) -> CellError {
        self.set_state(CellState::Restored);
        self.is_closed.store(true, Ordering::Release);
        CellError::Restored
    }

    /// Serves requests from now on.
    pub(super) fn open(&self) {
        self.is_closed.store(false, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Whether a member takes fewer operations in a transaction than the largest batch needs, as of the last check.
    pub fn has_few_operations(&self) -> bool {
        self.has_few_operations.load(Ordering::Relaxed)
    }

    pub(super) fn set_few_operations(&self, is_few: bool) {
        self.has_few_operations.store(is_few, Ordering::Relaxed);
    }

    /// How many members did not answer at the last check. The cell may be ready without them.
    pub fn silent_members(&self) -> usize {
        self.silent_members.load(Ordering::Relaxed)
    }

    pub(super) fn set_silent_members(&self, count: usize) {
        self.silent_members.store(count, Ordering::Relaxed);
    }

    /// The time for entries of the cell, if the clock of this machine shows `own_ms`: never before the cell's clock, and
    /// without the error of a clock that is ahead of those of other servers.
    pub fn now_ms(&self, own_ms: u64) -> u64 {
        let CellClock { shown_ms, ahead_ms } = &self.clock;
        own_ms.saturating_sub(ahead_ms.load(Ordering::Relaxed)).max(shown_ms.load(Ordering::Relaxed))
    }

    pub(super) fn set_clock(&self, shown_ms: u64, ahead_ms: u64) {
        self.clock.ahead_ms.store(ahead_ms, Ordering::Relaxed);
        self.clock.shown_ms.fetch_max(shown_ms, Ordering::Relaxed);
    }

    /// Reads a range.
    ///
    /// # Errors
    /// [`CellError`], after [`CELL_REQUEST_MS`] at the latest.
    pub fn range(&self, range: &Range) -> Result<RangeResponse, CellError> {
        self.check_open()?;
        self.range_before_open(range)
    }

    /// As [`Cell::range`], also of a cell that is not open yet.
    pub(super) fn range_before_open(&self, range: &Range) -> Result<RangeResponse, CellError> {
        let view = if range.serializable { View::OfMember } else { View::Latest };
        self.request("/v3/kv/range", range, Effect::Read, view, ALLOWED, |response: &RangeResponse| {
            &response.header
        })
    }

    /// Applies a transaction without puts and deletions.
    ///
    /// # Errors
    /// As [`Cell::range`].
    pub fn read(&self, transaction: &Transaction) -> Result<TransactionResponse, CellError> {
        self.read_within(transaction, ALLOWED)
    }

    /// As [`Cell::read`], within other bounds.
    ///
    /// # Errors
    /// As [`Cell::range`].
    pub(super) fn read_within(
        &self,
        transaction: &Transaction,
        allowed: Allowed,
    ) -> Result<TransactionResponse, CellError> {
        self.check_open()?;
        self.transaction(transaction, Effect::Read, allowed)
    }

    /// As [`Cell::read`], also of a cell that is not open yet.
    pub(super) fn read_before_open(
        &self,
        transaction: &Transaction,
    ) -> Result<TransactionResponse, CellError> {
        self.transaction(transaction, Effect::Read, ALLOWED)
    }

    /// Applies a transaction.
    ///
    /// # Errors
    /// As [`Cell::range`]. [`CellError::Unconfirmed`] only here.
    pub fn commit(&self, transaction: &Transaction) -> Result<TransactionResponse, CellError> {
        self.check_open()?;
        self.commit_before_open(transaction)
    }

    /// As [`Cell::commit`], within other bounds.
    ///
    /// # Errors
    /// As [`Cell::commit`].
    pub(super) fn commit_within(
        &self,
        transaction: &Transaction,
        allowed: Allowed,
    ) -> Result<TransactionResponse, CellError> {
        self.check_open()?;
        self.transaction(transaction, Effect::Write, allowed)
    }

    /// As [`Cell::commit`], also of a cell that is not open yet.
    pub(super) fn commit_before_open(
        &self,
        transaction: &Transaction,
    ) -> Result<TransactionResponse, CellError> {
        self.transaction(transaction, Effect::Write, ALLOWED)
    }

    /// Logs why a request failed, but not for each of thousands a second.
    pub(super) fn log_failure(&self, error: &CellError) {
        let (now, pause) = (clock::monotonic(), Duration::from_millis(CELL_FAILURES_LOGGED_EVERY_MS));
        let mut logged = self.failure_logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|logged| now.saturating_duration_since(logged) >= pause) {
            *logged = Some(now);
            log::error!("cell {}: {error}", self.name);
        }
    }

    fn transaction(
        &self,
        transaction: &Transaction,
        effect: Effect,
        allowed: Allowed,
    ) -> Result<TransactionResponse, CellError> {
        let view = if transaction.is_serializable() { View::OfMember } else { View::Latest };
        let answer = self.request(
            "/v3/kv/txn",
            transaction,
            effect,
            view,
            allowed,
            |response: &TransactionResponse| &response.header,
        );
        match answer {
            Err(CellError::Refused(Refused::NoSpace)) if effect == Effect::Write => {
                Err(self.after_no_space(transaction))
            }
            Ok(_) | Err(_) => answer,
        }
    }

    /// What is known of a transaction that was refused for lack of space. The one that exceeds the quota is applied and
    /// then refused all the same (etcd, `quotaApplierV3`). If its compares still hold, it was not.
    fn after_no_space(&self, transaction: &Transaction) -> CellError {
        let unconfirmed = CellError::Unconfirmed { reason: Refused::NoSpace.to_string() };
        let Some(compare) = transaction.compare.first() else { return unconfirmed };
        // A transaction without operations would show what one member has, which may be old.
        let range = Range { count_only: true, ..Range::key(compare.key().clone()) };
        let check = Transaction {
            compare: transaction.compare.clone(),
            success: vec![Operation::Range(range)],
            failure: Vec::new(),
        };
        match self.transaction(&check, Effect::Read, ALLOWED) {
            Ok(check) if check.succeeded => CellError::Refused(Refused::NoSpace),
            Ok(_) | Err(_) => unconfirmed,
        }
    }

    /// The state of a member.
    ///
    /// # Errors
    /// As [`Cell::range`].
    pub fn status(&self) -> Result<StatusResponse, CellError> {
        let nothing = serde_json::Map::new();
        let target = "/v3/maintenance/status";
        self.request(target, &nothing, Effect::Read, View::OfMember, ALLOWED, |response: &StatusResponse| {
            &response.header
        })
    }

    /// Sends `body` to the member at `index` alone, within [`CELL_CARE_ATTEMPT_MS`], whatever its breaker is.
    pub(super) fn ask_member<R: for<'de> Deserialize<'de>>(
        &self,
        index: usize,
        target: &str,
        body: &[u8],
    ) -> Result<Result<R, Refused>, String> {
        let Some(member) = self.members.get(index) else { return Err("no such member".to_owned()) };
        let token = self.lock_token().clone();
        let fields = token.as_deref().map(|token| ("authorization", token));
        let request = ClientRequest { method: "POST", target, fields: fields.as_slice(), body };
        let deadline = clock::monotonic() + Duration::from_millis(CELL_CARE_ATTEMPT_MS);
        match member.exchange(&request, deadline, CELL_ANSWER_BYTES_MAX).and_then(read_answer) {
            Ok(answer) => Ok(answer),
            Err(ExchangeError::NotSent(error) | ExchangeError::Unanswered(error)) => {
                Err(member.failed(&error))
            }
        }
    }

    fn check_open(&self) -> Result<(), CellError> {
        if !self.is_closed() {
            return Ok(());
        }
        Err(CellError::Closed { reason: self.lock_state().to_string() })
    }

    /// Refuses a response of another cluster, and one that is older than what the cell had before the request.
    fn check_header(
        &self,
        authority: String,
        header: &Header,
        view: View,
        seen: i64,
    ) -> Result<(), CellError> {
        if *self.cluster_id.get_or_init(|| header.cluster_id) != header.cluster_id {
            return Err(CellError::WrongCluster { authority });
        }
        if view == View::OfMember {
            return Ok(());
        }
        if header.revision < seen {
            return Err(self.close_restored());
        }
        self.revision.fetch_max(header.revision, Ordering::AcqRel);
        Ok(())
    }

    /// Sends a request until a member has answered it.
    fn request<R: for<'de> Deserialize<'de>>(
        &self,
        target: &str,
        request: &impl Serialize,
        effect: Effect,
        view: View,
        allowed: Allowed,
        header: impl Fn(&R) -> &Header,
    ) -> Result<R, CellError> {
        let body = encode(request);
        let seen = self.revision.load(Ordering::Acquire);
        let deadline = due::deadline(allowed.ms);
        let mut is_renewed = false;
        loop {
            let token = self.current_token(deadline)?;
            match self.send((target, &body), token.as_deref(), effect, allowed, deadline) {
                Err(CellError::Refused(Refused::Unauthenticated)) if self.user.is_some() && !is_renewed => {
                    // Nothing was done with a token that is not valid (any more).
                    self.forget(token.as_ref());
                    is_renewed = true;
                }
                Err(error) => return Err(error),
                Ok((authority, response)) => {
                    self.check_header(authority, header(&response), view, seen)?;
                    return Ok(response);
                }
            }
        }
    }

    /// The answer of the first member that gives one, and its authority.
    fn send<R: for<'de> Deserialize<'de>>(
        &self,
        (target, body): (&str, &[u8]),
        token: Option<&str>,
        effect: Effect,
        allowed: Allowed,
        deadline: Instant,
    ) -> Result<(String, R), CellError> {
        let fields = token.map(|token| ("authorization", token));
        let request = ClientRequest { method: "POST", target, fields: fields.as_slice(), body };
        let mut reason = String::new();
        loop {
            // A write that is sent just before its answer is due would be left open.
            let last = match effect {
                Effect::Read => deadline,
                Effect::Write => deadline - Duration::from_millis(CELL_WRITE_MS_MIN),
            };
            let Some(member) = self.next_member(last) else {
                return Err(CellError::Unreachable { reason });
            };
            let attempt = match effect {
                Effect::Read => deadline.min(clock::monotonic() + Duration::from_millis(allowed.attempt_ms)),
                Effect::Write => deadline,
            };
            match member.exchange(&request, attempt, allowed.answer_bytes).and_then(read_answer) {
                Ok(Ok(response)) => {
                    member.succeeded();
                    return Ok((member.authority().to_owned(), response));
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
                Err(ExchangeError::Unanswered(error))
                    if effect == Effect::Read && http_client::is_too_long(&error) =>
                {
                    return Err(CellError::AnswerTooLong);
                }
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
    /// is not before `last`.
    fn next_member(&self, last: Instant) -> Option<&Member> {
        let now = clock::monotonic();
        let due = |member: &Member| member.closed_from().map_or(now, |from| from.max(now));
        let (member, due) =
            self.members.iter().map(|member| (member, due(member))).min_by_key(|(_, due)| *due)?;
        if due >= last || now >= last {
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
            self.send(("/v3/auth/authenticate", &encode(&request)), None, Effect::Read, ALLOWED, deadline)?;
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

    fn lock_state(&self) -> std::sync::MutexGuard<'_, CellState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_token(&self) -> std::sync::MutexGuard<'_, Option<Arc<str>>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
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

pub(super) fn encode(request: &impl Serialize) -> Vec<u8> {
    let mut body = Vec::new();
    let encoded = serde_json::to_writer(&mut body, request);
    assert!(
        encoded.is_ok(),
        "requests have texts and numbers, which are always JSON, and a Vec takes every byte"
    );
    body
}
