//! The cells of a server, the home cell first, and what a start checks before one of them is used.

use super::cell::{Cell, CellError, User};
use super::gateway::{Range, Refused};
use super::look::{self, Look};
use super::restore::{self, SettleError};
use super::shared_clock::CLOCK_KEY;
use super::state::CellState;
use crate::clock;
use crate::config::engine::PasswordError;
use crate::config::schema::{CellConfig, Engine};
use crate::disk::Disk;
use crate::limits::{CELL_START_RETRY_MS, CELL_START_WAIT_MS};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The cells of `engine.cells`.
#[derive(Debug)]
pub struct Cells {
    all: Vec<Arc<Cell>>,
    home: Arc<Cell>,
}

/// Why a cell is not open.
#[derive(Debug)]
pub(super) enum OpenError {
    /// It may open later.
    NotYet(CellState),
    /// Only the operator can change it.
    Refused(CellState),
}

impl Cells {
    /// The cells of `engine`, with their passwords. Nothing is connected yet.
    ///
    /// # Errors
    /// The first password file that cannot be read.
    pub fn load(
        disk: &dyn Disk,
        config_path: &Path,
        engine: &Engine,
    ) -> Result<Option<Cells>, PasswordError> {
        let cell = |(index, cell): (usize, &CellConfig)| -> Result<Cell, PasswordError> {
            let password = cell.load_password(disk, config_path)?;
            let name = cell.username.clone();
            let user = name.zip(password).map(|(name, password)| User { name, password });
            let authorities = cell.endpoints.iter().map(|endpoint| endpoint.authority().to_owned()).collect();
            Ok(Cell::new(index, cell.name.to_string(), authorities, user))
        };
        let mut cells = engine.cells.iter().enumerate().map(cell).collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(cells.next().map(|home| Cells::new(home, cells.collect())))
    }

    /// Cells that refuse requests until [`Cells::prepare`] or a caretaker has opened them. Each is at its index.
    pub fn new(home: Cell, others: Vec<Cell>) -> Cells {
        let home = Arc::new(home.closed());
        let others = others.into_iter().map(|cell| Arc::new(cell.closed()));
        let all: Vec<_> = std::iter::once(Arc::clone(&home)).chain(others).collect();
        assert!(
            all.iter().enumerate().all(|(index, cell)| cell.index() == index),
            "lanes have these indexes"
        );
        Cells { all, home }
    }

    /// The cell with the list of projects and the accounts.
    pub fn home(&self) -> &Arc<Cell> {
        &self.home
    }

    /// All cells, by their index.
    pub fn all(&self) -> &[Arc<Cell>] {
        &self.all
    }

    pub fn find(&self, name: &str) -> Option<&Arc<Cell>> {
        self.all.iter().find(|cell| cell.name() == name)
    }

    /// The revision at which the clock of each cell was written last, 0 if never. A running server writes it every
    /// [`crate::limits::CELL_CARE_INTERVAL_MS`].
    ///
    /// # Errors
    /// [`CellError`]
    pub fn clock_revisions(&self) -> Result<Vec<i64>, CellError> {
        let revision = |cell: &Arc<Cell>| {
            let found = cell.range(&Range::key(CLOCK_KEY.into()))?;
            Ok(found.kvs.first().map_or(0, |stored| stored.mod_revision))
        };
        self.all.iter().map(revision).collect()
    }

    /// Opens the cells: waits until the home cell answers, at most [`CELL_START_WAIT_MS`], and tries each other one
    /// once. One that does not answer is opened by its caretaker later.
    ///
    /// # Errors
    /// A text for the operator: the home cell does not answer, or a cell must not be used.
    pub fn prepare(&self) -> Result<(), String> {
        self.prepare_within(Duration::from_millis(CELL_START_WAIT_MS))
    }

    /// As [`Cells::prepare`], with another time to wait.
    ///
    /// # Errors
    /// As [`Cells::prepare`].
    pub fn prepare_within(&self, wait: Duration) -> Result<(), String> {
        std::thread::scope(|scope| {
            let others = self.all.iter().skip(1);
            let others: Vec<_> = others.map(|cell| (cell, scope.spawn(|| self.open(cell)))).collect();
            self.open_home(wait)?;
            for (cell, opened) in others {
                match opened.join() {
                    Ok(Err(OpenError::Refused(state))) => return Err(refusal(cell, &state)),
                    // Its caretaker logs it, and tries again.
                    Ok(Ok(()) | Err(OpenError::NotYet(_))) | Err(_) => {}
                }
            }
            Ok(())
        })
    }

    fn open_home(&self, wait: Duration) -> Result<(), String> {
        let deadline = clock::monotonic() + wait;
        let mut is_logged = false;
        loop {
            match self.open(&self.home) {
                Ok(()) => return Ok(()),
                Err(OpenError::Refused(state)) => return Err(refusal(&self.home, &state)),
                Err(OpenError::NotYet(state)) if clock::monotonic() >= deadline => {
                    let waited = wait.as_secs();
                    let home = &self.home;
                    return Err(format!(
                        "The cell `{}` ({}) is not ready after {waited} seconds, and the server cannot start without \
                         it. {state}",
                        home.name(),
                        endpoints(home)
                    ));
                }
                Err(OpenError::NotYet(state)) => {
                    if !is_logged {
                        log::warn!(
                            "waiting for the cell `{}` ({}). {state}",
                            self.home.name(),
                            endpoints(&self.home)
                        );
                        is_logged = true;
                    }
                    std::thread::sleep(Duration::from_millis(CELL_START_RETRY_MS));
                }
            }
        }
    }

    /// Checks `cell` and opens it.
    pub(super) fn open(&self, cell: &Cell) -> Result<(), OpenError> {
        let opened = self.check(cell);
        match &opened {
            Ok(state) => {
                cell.set_state(state.clone());
                cell.open();
            }
            Err(OpenError::NotYet(state) | OpenError::Refused(state)) => cell.set_state(state.clone()),
        }
        opened.map(drop)
    }

    /// The state with which `cell` may be opened.
    fn check(&self, cell: &Cell) -> Result<CellState, OpenError> {
        let look = Look::at(cell);
        if let Some((authority, fault)) = look.version_fault() {
            return Err(OpenError::Refused(CellState::Version { authority, fault }));
        }
        let state = look.state(cell.cluster_id());
        if !state.answers() {
            return Err(open_error(state));
        }
        if let Some(other) = self.all.iter().find(|other| is_same_cluster(other, cell, look.cluster_id())) {
            let reason = format!(
                "The cells `{}` and `{}` are one etcd cluster. Correct `engine.cells` in config.json: each cell needs \
                 a cluster of its own.",
                other.name(),
                cell.name()
            );
            return Err(OpenError::Refused(CellState::Refused { reason }));
        }
        let probes = look.answering().map(|index| look::has_few_operations(cell, index));
        cell.set_few_operations(probes.into_iter().any(|is_few| is_few == Some(true)));
        match restore::settle(cell, clock::wall_ms()) {
            Ok(0) => Ok(state),
            Ok(rebased) => {
                log::warn!(
                    "cell {}: it was restored from a snapshot; {rebased} projects have later revisions now, so ETags \
                     from before the restore do not match",
                    cell.name()
                );
                Ok(state)
            }
            Err(SettleError::Cell(error)) => Err(open_error(state_of_error(error, state))),
            Err(SettleError::Unsettled(reason)) => {
                Err(OpenError::NotYet(CellState::Unreachable { reason: reason.to_owned() }))
            }
            Err(SettleError::Foreign(reason)) => Err(OpenError::Refused(CellState::Refused { reason })),
        }
    }
}

fn is_same_cluster(other: &Cell, cell: &Cell, id: Option<u64>) -> bool {
    other.index() != cell.index() && id.is_some() && other.cluster_id() == id
}

fn open_error(state: CellState) -> OpenError {
    if state.is_refusal() { OpenError::Refused(state) } else { OpenError::NotYet(state) }
}

/// The state of a cell whose members show `state`, if a request fails with `error`.
pub(super) fn state_of_error(error: CellError, state: CellState) -> CellState {
    match error {
        CellError::WrongCluster { authority } => CellState::WrongCluster { authority },
        CellError::Restored => CellState::Restored,
        CellError::Refused(Refused::NoSpace) => CellState::NoSpace,
        CellError::Refused(refused) => CellState::Refused { reason: refused.to_string() },
        CellError::Closed { .. } | CellError::AnswerTooLong => state,
        CellError::Unreachable { .. } | CellError::Unconfirmed { .. } if !state.answers() => state,
        CellError::Unreachable { reason } | CellError::Unconfirmed { reason } => {
            CellState::Unreachable { reason }
        }
    }
}

fn refusal(cell: &Cell, state: &CellState) -> String {
    format!("The cell `{}` ({}) cannot be used. {state}", cell.name(), endpoints(cell))
}

fn endpoints(cell: &Cell) -> String {
    cell.authorities().map(|authority| format!("http://{authority}")).collect::<Vec<_>>().join(", ")
}
