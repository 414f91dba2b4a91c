//! Why a cell did not do what it was asked for.

use super::gateway::Refused;
use std::fmt;

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
    /// The response is older than what the cell had before: it was restored from a snapshot. A write may have been
    /// applied.
    Restored,
    /// The answer to a read has more bytes than it may have.
    AnswerTooLong,
    /// Requests to the cell are refused before they are sent, for the reason of its state.
    Closed { reason: String },
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
            CellError::AnswerTooLong => f.write_str("The answer of the cell is too long."),
            CellError::Restored => f.write_str(
                "The cell was restored from a snapshot while this server ran. Restart this server.",
            ),
            CellError::Closed { reason } => f.write_str(reason),
            CellError::WrongCluster { authority } => {
                write!(f, "{authority} belongs to another etcd cluster than the other endpoints of the cell.")
            }
        }
    }
}

impl std::error::Error for CellError {}
