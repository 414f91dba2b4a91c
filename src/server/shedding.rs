//! Which connections are closed if there are too many or if they hold too much memory.
//!
//! Too many: first those on which nothing has arrived, then idle kept-alive ones, at last those of the address that
//! has the most, whatever they do. None is closed for a client whose address has more connections than its own, so one
//! address cannot push the others out.
//!
//! Memory: a connection that needs more of it while it is short loses the request that it is sending, or the answer
//! that it does not read.

use super::connection::{Connection, InFlightRequest, Phase};
use super::event_loop::{Disposition, EventLoop};
use super::mailbox::{ConnectionId, Shed, ShedStage};
use crate::api::error::ApiError;
use crate::api::reply::Answer;
use crate::clock;
use crate::http::exchange::Waiting;
use crate::http::request::Method;
use crate::http::response::Response;
use crate::limits::{LARGE_ANSWER_BYTES, OUTPUT_BYTES_HIGH, SHED_CANDIDATES_MAX, SILENT_GRACE_MS};
use std::cmp::Reverse;
use std::time::Duration;

impl EventLoop {
    /// Closes a connection, if one qualifies, so that another client can be served.
    pub(super) fn shed(&mut self, shed: Shed) {
        let Shed { stage, connections } = shed;
        if let Some(id) = self.longest_silent(connections) {
            // A request that has arrived in the meantime is answered.
            self.advance(id);
            if self.connection(id).is_some_and(|connection| connection.is_silent) {
                self.close(id);
            }
            return;
        }
        let chosen = match stage {
            ShedStage::Silent => None,
            ShedStage::Idle => self.longest_idle(connections),
            ShedStage::Surplus => {
                self.longest_idle(connections).or_else(|| self.longest_of_surplus(connections))
            }
        };
        if let Some(id) = chosen {
            self.close(id);
        }
    }

    /// Among the oldest connections that have been silent for a while, one whose address has the most connections.
    fn longest_silent(&mut self, newcomers: usize) -> Option<ConnectionId> {
        let mut ids = std::mem::take(&mut self.silent);
        let silent = |id: &ConnectionId| self.connection(*id).filter(|connection| connection.is_silent);
        while ids.front().is_some_and(|id| silent(id).is_none()) {
            ids.pop_front();
        }
        let candidates = ids.iter().take(SHED_CANDIDATES_MAX).rev().filter_map(silent);
        let grace = Duration::from_millis(SILENT_GRACE_MS);
        let now = clock::monotonic();
        let chosen = candidates
            .filter(|connection| now.saturating_duration_since(connection.since) >= grace)
            .filter(|connection| connection.remote.usage.yields_to(newcomers))
            .max_by_key(|connection| connection.remote.usage.connections())
            .map(|connection| connection.id);
        self.silent = ids;
        chosen
    }

    fn longest_idle(&self, newcomers: usize) -> Option<ConnectionId> {
        let now = clock::monotonic();
        let idle = self.open_connections().filter(|connection| {
            connection.is_dispensable(now) && connection.remote.usage.yields_to(newcomers)
        });
        idle.min_by_key(|connection| connection.since).map(|connection| connection.id)
    }

    /// A connection of the address that has the most, if those are more than the client's `newcomers`. A connection
    /// that waits for the server is not closed: that wait ends by itself.
    fn longest_of_surplus(&self, newcomers: usize) -> Option<ConnectionId> {
        let surplus = self.open_connections().filter(|connection| {
            connection.remote.usage.connections() > newcomers && !connection.awaits_server()
        });
        surplus
            .max_by_key(|connection| (connection.remote.usage.connections(), Reverse(connection.since)))
            .map(|connection| connection.id)
    }

    /// Whether the client has to read unsent output before it gets more.
    pub(super) fn holds_back(&self, connection: &Connection) -> bool {
        let unsent = connection.output.len();
        unsent >= OUTPUT_BYTES_HIGH || (unsent > 0 && self.is_short(connection, 0))
    }

    /// `response`, unless it is a large answer to a read and memory is short.
    pub(super) fn bounded(
        &self,
        connection: &Connection,
        in_flight: &InFlightRequest,
        response: Response,
    ) -> Answer {
        let bytes = response.body_bytes().len();
        // A write has taken effect, so its answer is sent, however long it is.
        if bytes <= LARGE_ANSWER_BYTES || in_flight.method != Method::Get || !self.is_short(connection, bytes)
        {
            return Ok(response);
        }
        Err(self.memory_full())
    }

    /// Counts the memory that a connection holds now, and ends its request or its answer if that has grown too much.
    pub(super) fn account(&mut self, connection: &mut Connection) -> Disposition {
        let grew = self.recount(connection);
        if !grew || !self.is_short(connection, 0) || connection.awaits_server() {
            return Disposition::Keep;
        }
        let receives = matches!(connection.phase, Phase::Receiving(Waiting::Head | Waiting::Body { .. }));
        if connection.output.is_empty() && !receives {
            return Disposition::Keep;
        }
        self.log_shortage(connection);
        if !connection.output.is_empty() {
            return Disposition::Close;
        }
        self.refuse(connection, self.memory_full());
        let disposition = self.drive(connection);
        self.recount(connection);
        disposition
    }

    /// Counts the memory of a connection. Returns whether it has grown.
    fn recount(&self, connection: &mut Connection) -> bool {
        let (before, after) = (connection.counted_bytes, connection.bytes_held());
        if before != after {
            connection.remote.usage.recount(&self.shared.app.memory, before, after);
            connection.counted_bytes = after;
        }
        after > before
    }

    fn is_short(&self, connection: &Connection, more: usize) -> bool {
        connection.remote.usage.is_exceeded_by(&self.shared.app.memory, more)
    }

    fn memory_full(&self) -> ApiError {
        ApiError::MemoryFull { bytes_max: self.shared.app.memory.bytes_max() }
    }

    fn log_shortage(&mut self, connection: &Connection) {
        if !self.shortages_logged.is_due() {
            return;
        }
        let memory = &self.shared.app.memory;
        log::warn!(
            "Pending requests and answers hold {} bytes; the maximum is {}, half of it for one address \
             (limits.memory_bytes_max). A connection of {} was closed; this is logged at most once a minute.",
            memory.bytes(),
            memory.bytes_max(),
            connection.remote.address
        );
    }
}
