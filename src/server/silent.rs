//! The connections of a loop on which nothing has arrived yet.

use super::mailbox::ConnectionId;
use crate::limits::STALE_DEADLINES_MAX;
use std::collections::VecDeque;

/// Connections on which nothing had arrived when they were last looked at, the oldest first.
#[derive(Default)]
pub(super) struct SilentConnections {
    pub(super) ids: VecDeque<ConnectionId>,
}

impl SilentConnections {
    /// Adds a new connection of a loop that has `connections`. Those that `is_silent` denies are forgotten once
    /// they are many, so that this costs little for each connection.
    pub(super) fn add(
        &mut self,
        id: ConnectionId,
        connections: usize,
        is_silent: impl Fn(ConnectionId) -> bool,
    ) {
        if self.ids.len() > 2 * connections + STALE_DEADLINES_MAX {
            self.ids.retain(|id| is_silent(*id));
        }
        self.ids.push_back(id);
    }
}
