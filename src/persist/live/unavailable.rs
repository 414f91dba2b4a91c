//! Why a project does not take a request.

use crate::names::ProjectId;
use std::fmt;

/// Why a project could not be asked at all. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// More changes wait for the disk than [`crate::limits::PENDING_BYTES_MAX`].
    Busy,
    /// See [`super::project::Health::Failed`].
    Failed,
    /// See [`super::project::Health::Closed`].
    Closed,
    /// This project was deleted.
    Deleted(ProjectId),
    /// A bug stopped a change halfway; a restart recovers from the files.
    Broken,
    /// [`crate::store::change::Revision::MAX`] changes have been made.
    RevisionsUsedUp,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::Busy => {
                f.write_str("more changes wait for the disk than may wait; try again shortly")
            }
            Unavailable::Failed => f.write_str(
                "the project stopped taking writes, because its disk failed or its files were edited, replaced or \
                 removed; the server's log says which, and the server has to be restarted",
            ),
            Unavailable::Closed => f.write_str("the project is being closed or reopened; try again shortly"),
            Unavailable::Deleted(id) => {
                write!(f, "Project `{id}` was deleted. POST /api/v1/projects creates a new one.")
            }
            Unavailable::Broken => {
                f.write_str("the project stopped after an internal error; its server has to be restarted")
            }
            Unavailable::RevisionsUsedUp => f.write_str("the project's revisions are used up"),
        }
    }
}

impl std::error::Error for Unavailable {}
