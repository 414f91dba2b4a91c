//! Moves a project to another cell, beside instances that serve it.
//!
//! ```text
//! source    writable ---> sealed -----------------------> no record ---------------------------> no keys
//! target                         ---> copied, sealed ---------------------> writable
//! list      on source, moving to target ------------------> on target, moving from source -----> on target
//! ```
//! A sealed record lets instances read and not write. So both cells serve the project only while no client can write, and
//! one of them does at every moment. The target gets its record once all keys were copied and compared, the source loses
//! its record before the target takes writes.
//!
//! Each run begins by claiming the project on both cells, then writes the placement, if that is as it was before the
//! claims. So of several runs the last one to have written the placement acts, and one that was interrupted and continues
//! later fails. A run looks up what an earlier one has done and continues it, or reverts it if the project is to stay.

use super::bucket::EtcdBucket;
use super::cell::{Cell, CellError};
use super::cells::Cells;
use super::claim::{Claim, ClaimError};
use super::placement::{self, Placement, PlacementState};
use super::record::{self, Record, RecordError, Versioned};
use crate::limits::MOVE_RACES_MAX;
use crate::names::ProjectId;
use crate::storage::bucket::Bucket;
use crate::storage::copy::Digest;
use std::fmt;
use std::sync::Arc;

/// A run that moves a project, or completes or reverts a move.
#[derive(Debug)]
pub struct Move {
    home: Arc<Cell>,
    id: ProjectId,
    /// The cell on which the project is to be.
    goal: Side,
    /// The one on which it is to be no more.
    other: Side,
    placement: Versioned<Placement>,
    /// The record for the keys that this run has copied.
    copied: Option<Record>,
    is_other_cleared: bool,
}

/// One of the two cells.
#[derive(Debug)]
struct Side {
    claim: Claim,
    record: Option<Versioned<Record>>,
}

/// The result of [`begin`].
#[derive(Debug)]
pub enum Begun {
    /// The project is on the cell, and no move is under way.
    Done,
    Move(Box<Move>),
}

/// What a run has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The project takes no writes.
    Sealed,
    /// The keys are on the new cell, and the same as on the old one.
    Copied(Digest),
    /// The new cell has the record of the project.
    Recorded,
    /// A copy that was not used is not valid any more.
    CopyRejected,
    /// The old cell does not serve the project any more.
    Released,
    /// The list has the project on the new cell.
    Listed,
    /// The project takes writes, on the new cell.
    Unsealed,
    /// The old cell has no keys of the project any more.
    Cleared,
    /// The move is over.
    Finished,
}

/// Why a project is not moved. What was done until then stays; another run continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveError {
    ProjectMissing {
        id: ProjectId,
    },
    /// It is being created or deleted.
    Unfinished {
        id: ProjectId,
    },
    CellMissing {
        name: String,
        known: String,
    },
    /// It is being moved between other cells.
    MovingElsewhere {
        id: ProjectId,
        from: String,
        to: String,
    },
    /// Neither cell has the record of the project.
    RecordMissing {
        id: ProjectId,
    },
    Record(RecordError),
    Claim(ClaimError),
}

/// Announces the move of the project `id` to the cell named `goal`. Whatever an earlier run does then, it fails.
///
/// # Errors
/// [`MoveError`]
pub fn begin(cells: &Cells, id: &ProjectId, goal: &str) -> Result<Begun, MoveError> {
    let (home, goal) = (cells.home(), find(cells, goal)?);
    for _ in 0..MOVE_RACES_MAX {
        let listed = placement::read(home, id)?;
        let listed = listed.ok_or_else(|| MoveError::ProjectMissing { id: id.clone() })?;
        let Some(other) = other_cell(id, &listed.value, goal.name())? else { return Ok(Begun::Done) };
        let (goal, other) = (Side::new(goal, id)?, Side::new(find(cells, other)?, id)?);
        let is_on_goal = listed.value.cell == goal.name();
        let also = Some(if is_on_goal { other.name() } else { goal.name() }.to_owned());
        let value = Placement { state: PlacementState::Moving, other: also, ..listed.value };
        if let Some(mod_revision) = placement::replace(home, id, &value, listed.mod_revision)? {
            let placement = Versioned { value, mod_revision };
            let (home, id) = (Arc::clone(home), id.clone());
            let (goal, other) = (goal.looked_up(&id)?, other.looked_up(&id)?);
            let begun = Move { home, id, goal, other, placement, copied: None, is_other_cleared: false };
            return Ok(Begun::Move(Box::new(begun)));
        }
    }
    Err(ClaimError::Overtaken.into())
}

/// The other cell of a move to `goal`. `None` if that cell has the project, and no move is under way.
fn other_cell<'p>(id: &ProjectId, listed: &'p Placement, goal: &str) -> Result<Option<&'p str>, MoveError> {
    let cell = listed.cell.as_str();
    match (listed.state, listed.other.as_deref()) {
        (PlacementState::Live, _) => Ok(Some(cell).filter(|cell| *cell != goal)),
        (PlacementState::Moving, Some(other)) if cell == goal => Ok(Some(other)),
        (PlacementState::Moving, Some(other)) if other == goal => Ok(Some(cell)),
        (PlacementState::Moving, other) => Err(MoveError::MovingElsewhere {
            id: id.clone(),
            from: cell.to_owned(),
            to: other.unwrap_or_default().to_owned(),
        }),
        (PlacementState::Creating | PlacementState::Deleting, _) => {
            Err(MoveError::Unfinished { id: id.clone() })
        }
    }
}

fn find<'c>(cells: &'c Cells, name: &str) -> Result<&'c Arc<Cell>, MoveError> {
    cells.find(name).ok_or_else(|| MoveError::CellMissing {
        name: name.to_owned(),
        known: cells.all().iter().map(|cell| cell.name()).collect::<Vec<&str>>().join(", "),
    })
}

impl Move {
    /// Does the next step.
    ///
    /// # Errors
    /// [`MoveError`]. This run cannot continue then.
    pub fn step(&mut self) -> Result<Step, MoveError> {
        let is_listed_on_goal = self.placement.value.cell == self.goal.name();
        match (is_listed_on_goal, self.goal.is_sealed(), self.other.is_sealed()) {
            (_, None, None) => Err(MoveError::RecordMissing { id: self.id.clone() }),
            (false, None, Some(false)) => self.other.seal(true).map(|()| Step::Sealed),
            (false, None, Some(true)) => match self.copied.take() {
                Some(record) => self.goal.put(record).map(|()| Step::Recorded),
                None => self.copy(),
            },
            // The other one may have changed since the copy.
            (false, Some(_), Some(false)) => self.goal.remove_record().map(|()| Step::CopyRejected),
            (false, Some(_), Some(true)) if !self.has_same_settings() => {
                self.goal.remove_record().map(|()| Step::CopyRejected)
            }
            (false, Some(_), Some(true)) => self.other.remove_record().map(|()| Step::Released),
            (false, Some(_), None) => self.list(),
            // The earlier run could not be reverted any more, so the project moves back.
            (true, None, Some(_)) => self.list(),
            (true, Some(_), Some(_)) => self.other.remove_record().map(|()| Step::CopyRejected),
            (true, Some(true), None) => self.goal.seal(false).map(|()| Step::Unsealed),
            (true, Some(false), None) if !self.is_other_cleared => self.clear(),
            (true, Some(false), None) => self.finish(),
        }
    }

    /// Copies the keys and compares them.
    fn copy(&mut self) -> Result<Step, MoveError> {
        let source = self.other.record()?;
        let cell = Arc::clone(self.other.claim.cell());
        let from = EtcdBucket::new(cell, self.id.clone(), source.fence());
        let base = self.goal.claim.base_after(from.latest_revision().map_err(ClaimError::from)?.get());
        let record = Record { base, is_sealed: true, project: source.value.project.clone() };
        let digest = self.goal.claim.fill(&Bucket::Etcd(Arc::new(from)))?;
        self.copied = Some(record);
        Ok(Step::Copied(digest))
    }

    /// Lists the project on the cell that has its record.
    fn list(&mut self) -> Result<Step, MoveError> {
        let (to, from) = match &self.goal.record {
            Some(_) => (&self.goal, &self.other),
            None => (&self.other, &self.goal),
        };
        let other = Some(from.name().to_owned());
        let value = Placement { state: PlacementState::Moving, other, ..to.placement()? };
        self.replace_placement(value)?;
        Ok(Step::Listed)
    }

    fn clear(&mut self) -> Result<Step, MoveError> {
        self.other.claim.clear()?;
        self.other.claim.release()?;
        self.is_other_cleared = true;
        Ok(Step::Cleared)
    }

    fn finish(&mut self) -> Result<Step, MoveError> {
        let value = self.goal.placement()?;
        self.goal.claim.release()?;
        self.replace_placement(value)?;
        Ok(Step::Finished)
    }

    fn has_same_settings(&self) -> bool {
        let project = |side: &Side| side.record.as_ref().map(|record| record.value.project.clone());
        project(&self.goal) == project(&self.other)
    }

    fn replace_placement(&mut self, value: Placement) -> Result<(), MoveError> {
        let replaced = placement::replace(&self.home, &self.id, &value, self.placement.mod_revision)?;
        let mod_revision = replaced.ok_or(ClaimError::Overtaken)?;
        self.placement = Versioned { value, mod_revision };
        Ok(())
    }
}

impl Side {
    fn new(cell: &Arc<Cell>, id: &ProjectId) -> Result<Side, MoveError> {
        Ok(Side { claim: Claim::new(cell, id)?, record: None })
    }

    fn looked_up(self, id: &ProjectId) -> Result<Side, MoveError> {
        let record = record::read(self.claim.cell(), id)?;
        Ok(Side { record, ..self })
    }

    fn name(&self) -> &str {
        self.claim.cell().name()
    }

    fn record(&self) -> Result<&Versioned<Record>, MoveError> {
        self.record.as_ref().ok_or(MoveError::Claim(ClaimError::Overtaken))
    }

    /// `None` without a record.
    fn is_sealed(&self) -> Option<bool> {
        self.record.as_ref().map(|record| record.value.is_sealed)
    }

    fn seal(&mut self, is_sealed: bool) -> Result<(), MoveError> {
        let record = Record { is_sealed, ..self.record()?.value.clone() };
        self.put(record)
    }

    /// Writes the record, if it is as this run knows it.
    fn put(&mut self, record: Record) -> Result<(), MoveError> {
        self.record = Some(self.claim.put_record(self.record.as_ref(), record)?);
        Ok(())
    }

    fn remove_record(&mut self) -> Result<(), MoveError> {
        self.claim.remove_record(self.record()?)?;
        self.record = None;
        Ok(())
    }

    /// The entry of the list for the project on this cell.
    fn placement(&self) -> Result<Placement, MoveError> {
        let record = self.record()?;
        Ok(Placement {
            cell: self.name().to_owned(),
            state: PlacementState::Live,
            other: None,
            fence: record.mod_revision,
            record: Some(record.value.clone()),
        })
    }
}

impl From<RecordError> for MoveError {
    fn from(error: RecordError) -> MoveError {
        MoveError::Record(error)
    }
}

impl From<ClaimError> for MoveError {
    fn from(error: ClaimError) -> MoveError {
        MoveError::Claim(error)
    }
}

impl From<CellError> for MoveError {
    fn from(error: CellError) -> MoveError {
        MoveError::Claim(error.into())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Sealed => f.write_str("The project takes no writes until the move is over."),
            Step::Copied(Digest { keys: 1, .. }) => f.write_str("Copied 1 key and compared it."),
            Step::Copied(digest) => {
                write!(f, "Copied {} keys and compared them (digest {digest}).", digest.keys)
            }
            Step::Recorded => f.write_str("The new cell has the record of the project."),
            Step::CopyRejected => f.write_str("Rejected the copy of an earlier run."),
            Step::Released => f.write_str("The old cell no longer serves the project."),
            Step::Listed => f.write_str("The list of projects has the new cell."),
            Step::Unsealed => f.write_str("The project takes writes again."),
            Step::Cleared => f.write_str("Removed the keys from the other cell."),
            Step::Finished => f.write_str("The move is over."),
        }
    }
}

impl fmt::Display for MoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MoveError::ProjectMissing { id } => {
                write!(f, "Project `{id}` does not exist. GET /api/v1/projects lists the projects.")
            }
            MoveError::Unfinished { id } => write!(
                f,
                "Project `{id}` is being created or deleted. If that was interrupted, create or delete it again, then \
                 move it."
            ),
            MoveError::CellMissing { name, known } => {
                write!(f, "Cell `{name}` does not exist. `engine.cells` in config.json has: {known}.")
            }
            MoveError::MovingElsewhere { id, from, to } => write!(
                f,
                "Project `{id}` is being moved from `{from}` to `{to}`. Complete that first with `pikv project move {id} \
                 --to {to}`, or revert it with `--to {from}`."
            ),
            MoveError::RecordMissing { id } => write!(
                f,
                "Neither cell has the record of project `{id}` (`e/{id}`). Restore both cells from snapshots of the same \
                 time."
            ),
            MoveError::Record(error) => error.fmt(f),
            MoveError::Claim(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MoveError {}
