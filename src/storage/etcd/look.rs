//! One look at every member of a cell.

use super::cell::Cell;
use super::gateway::{Ignored, Refused, StatusResponse};
use super::state::CellState;
use super::version::{self, VersionFault};
use crate::limits::CELL_TRANSACTION_OPERATIONS;

/// What the members answered, in their order.
pub(super) struct Look {
    members: Vec<Seen>,
}

/// What one member answered.
pub(super) struct Seen {
    pub authority: String,
    pub status: Result<StatusResponse, String>,
}

impl Look {
    /// Asks each member for its status.
    pub(super) fn at(cell: &Cell) -> Look {
        let ask = |(index, authority): (usize, &str)| {
            let status = status_of(cell, index);
            let status =
                status.and_then(|answer| answer.map_err(|refused| format!("{authority}: {refused}")));
            Seen { authority: authority.to_owned(), status }
        };
        Look { members: cell.authorities().enumerate().map(ask).collect() }
    }

    pub(super) fn members(&self) -> &[Seen] {
        &self.members
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = (&str, &StatusResponse)> {
        self.members.iter().filter_map(|seen| Some((&seen.authority[..], seen.status.as_ref().ok()?)))
    }

    /// The indexes of the members that answered.
    pub(super) fn answering(&self) -> impl Iterator<Item = usize> {
        self.members.iter().enumerate().filter(|(_, seen)| seen.status.is_ok()).map(|(index, _)| index)
    }

    /// The cluster of the first member that answered.
    pub(super) fn cluster_id(&self) -> Option<u64> {
        self.statuses().next().map(|(_, status)| status.header.cluster_id)
    }

    /// The first member with a version that is refused.
    pub(super) fn version_fault(&self) -> Option<(String, VersionFault)> {
        self.statuses().find_map(|(authority, status)| {
            version::check(&status.version).err().map(|fault| (authority.to_owned(), fault))
        })
    }

    /// The first member that is not of the cluster `id`.
    pub(super) fn stranger(&self, id: u64) -> Option<String> {
        let found = self.statuses().find(|(_, status)| status.header.cluster_id != id);
        found.map(|(authority, _)| authority.to_owned())
    }

    /// A committed entry of the log, perhaps not the last one.
    pub(super) fn log_index(&self) -> Option<i64> {
        self.statuses().map(|(_, status)| status.log_index).max()
    }

    /// Why there is no answer, of each member.
    pub(super) fn reasons(&self) -> String {
        let reasons = self.members.iter().filter_map(|seen| seen.status.as_ref().err());
        reasons.map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    /// The state of the cell as its members show it, the gravest first. `id` is its cluster, if that is known.
    pub(super) fn state(&self, id: Option<u64>) -> CellState {
        let has_alarm = |alarm: &str| {
            self.statuses().any(|(_, status)| status.errors.iter().any(|error| error.contains(alarm)))
        };
        let stranger = id.or_else(|| self.cluster_id()).and_then(|id| self.stranger(id));
        if let Some(authority) = stranger {
            CellState::WrongCluster { authority }
        } else if self.statuses().next().is_none() {
            CellState::Unreachable { reason: self.reasons() }
        } else if self.statuses().all(|(_, status)| status.leader == 0) {
            CellState::NoLeader
        } else if has_alarm("alarm:CORRUPT") {
            CellState::Corrupt
        } else if has_alarm("alarm:NOSPACE") {
            CellState::NoSpace
        } else if let Some((authority, fault)) = self.version_fault() {
            CellState::Version { authority, fault }
        } else {
            CellState::Ready
        }
    }
}

/// The status of the member at `index`.
pub(super) fn status_of(cell: &Cell, index: usize) -> Result<Result<StatusResponse, Refused>, String> {
    cell.ask_member(index, "/v3/maintenance/status", b"{}")
}

/// Whether the member at `index` takes fewer operations in a transaction than the largest batch needs; `None` if it
/// does not tell. A member counts conditions before it reads them, so empty ones are enough, and it refuses them, too.
pub(super) fn has_few_operations(cell: &Cell, index: usize) -> Option<bool> {
    let conditions = vec!["{}"; CELL_TRANSACTION_OPERATIONS].join(",");
    let body = format!("{{\"compare\":[{conditions}]}}");
    match cell.ask_member::<Ignored>(index, "/v3/kv/txn", body.as_bytes()) {
        Ok(Err(Refused::TooManyOperations)) => Some(true),
        Ok(Err(Refused::Other { message })) if message.contains("key is not provided") => Some(false),
        Ok(_) | Err(_) => None,
    }
}
