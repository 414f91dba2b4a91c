//! What a cell can do at present, and what its operator has to do about it.

use super::version::VersionFault;
use crate::limits::CELL_TRANSACTION_OPERATIONS;
use std::fmt;

/// The state of a cell, as of the last check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellState {
    /// Not checked since the start. Requests are refused.
    Unchecked,
    /// Reads and writes work.
    Ready,
    /// Nothing works: no member answers, or those that answer do not agree within the deadline.
    Unreachable { reason: String },
    /// Nothing works: members answer, but there is no majority.
    NoLeader,
    /// Reads and deletions work, other writes do not.
    NoSpace,
    /// etcd found that its members differ, and takes no writes.
    Corrupt,
    /// Everything works, but a member may damage data.
    Version { authority: String, fault: VersionFault },
    /// Requests to this member are refused: it belongs to another cluster.
    WrongCluster { authority: String },
    /// Requests are refused until the next start: the cell was replaced by an older state of itself.
    Restored,
    /// Requests are refused: this is not the cell that config.json means, or it refuses this user.
    Refused { reason: String },
}

/// What a log line or a response advises if members take small transactions only.
pub const FEW_OPERATIONS: &str =
    "large batches are refused: a member of etcd runs with a small --max-txn-ops";

impl CellState {
    pub fn is_ready(&self) -> bool {
        *self == CellState::Ready
    }

    /// Whether requests to the cell can succeed, at least reads. If not, they are answered 503.
    pub fn answers(&self) -> bool {
        match self {
            CellState::Ready | CellState::NoSpace | CellState::Corrupt | CellState::Version { .. } => true,
            CellState::Unchecked
            | CellState::Unreachable { .. }
            | CellState::NoLeader
            | CellState::WrongCluster { .. }
            | CellState::Restored
            | CellState::Refused { .. } => false,
        }
    }

    /// Whether only the operator can change it, so that a start ends with it.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            CellState::Version { .. }
            | CellState::WrongCluster { .. }
            | CellState::Restored
            | CellState::Refused { .. } => true,
            CellState::Unchecked
            | CellState::Ready
            | CellState::Unreachable { .. }
            | CellState::NoLeader
            | CellState::NoSpace
            | CellState::Corrupt => false,
        }
    }

    /// The state in a few words without addresses, for a response that needs no key.
    pub fn summary(&self) -> &'static str {
        match self {
            CellState::Unchecked => "not checked yet",
            CellState::Ready => "ready",
            CellState::Unreachable { .. } => "no member answers",
            CellState::NoLeader => "no leader",
            CellState::NoSpace => "no space (alarm NOSPACE)",
            CellState::Corrupt => "alarm CORRUPT",
            CellState::Version { .. } => "a member has a version that is refused",
            CellState::WrongCluster { .. } => "a member belongs to another cluster",
            CellState::Restored => "restored to an earlier state; restart the server",
            CellState::Refused { .. } => "refused, see the log",
        }
    }
}

/// The problem, its effect and the fix.
impl fmt::Display for CellState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CellState::Unchecked => f.write_str("It was not checked yet."),
            CellState::Ready => f.write_str("It is ready."),
            CellState::Unreachable { reason } => write!(
                f,
                "It does not answer ({reason}). Start a majority of its members and check the network between them, or \
                 correct `engine.cells` in config.json."
            ),
            CellState::NoLeader => f.write_str(
                "Its members have no leader, because too few of them reach each other. Start the other members and check \
                 the network between them.",
            ),
            CellState::NoSpace => f.write_str(
                "Its space is used up (alarm NOSPACE, `--quota-backend-bytes`). Writes are answered 507, reads and \
                 deletions work. Delete keys, compact, defragment each member, then disarm the alarm: `etcdctl compact \
                 REVISION`, `etcdctl defrag`, `etcdctl alarm disarm`; or start the members with a larger quota.",
            ),
            CellState::Corrupt => f.write_str(
                "Its members have different data (alarm CORRUPT), and it takes no writes. Replace the member that \
                 differs, or restore the cell from a snapshot.",
            ),
            CellState::Version { authority, fault } => write!(f, "Member {authority} {fault}."),
            CellState::WrongCluster { authority } => write!(
                f,
                "Member {authority} belongs to another etcd cluster than the other endpoints. Requests to it are \
                 refused. Correct `engine.cells` in config.json. If the cell was restored from a snapshot, restart \
                 this server once all members run."
            ),
            CellState::Restored => f.write_str(
                "It was restored from a snapshot or an older copy while this server ran. Revisions would repeat. Restart \
                 this server; the start gives the projects later revisions.",
            ),
            CellState::Refused { reason } => f.write_str(reason),
        }
    }
}

/// What a warning states if a member takes small transactions only.
pub(super) fn few_operations(authority: &str) -> String {
    format!(
        "Member {authority} takes fewer than {CELL_TRANSACTION_OPERATIONS} operations in a transaction. Batches that \
         need more are refused, everything else works. Start each member with `--max-txn-ops \
         {CELL_TRANSACTION_OPERATIONS}`."
    )
}
