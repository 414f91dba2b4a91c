//! The threads that check and maintain the cells: one for each, so that one that is down holds up no other.
//!
//! Every few seconds a thread looks at the members of its cell and logs what has changed, keeps the cell's clock and
//! removes expired keys. It opens a cell that did not answer at the start.

use super::cell::{Cell, CellError};
use super::cells::{Cells, OpenError, state_of_error};
use super::gateway::{Bytes, Compare, Operation, OperationResponse, Range, Refused, Transaction};
use super::layout::number;
use super::look::{self, Look};
use super::restore::{LEAD_KEY, put_lead, up_to_date};
use super::shared_clock::{CLOCK_KEY, Difference, Reading, SharedClock};
use super::state::{CellState, few_operations};
use super::sweep;
use crate::clock;
use crate::limits::{CELL_CARE_INTERVAL_MS, CELL_SWEEP_MS_MAX};
use std::io;
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The running threads. They end when it is dropped.
#[derive(Debug)]
pub struct Caretaker {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

/// Tells threads that wait to end.
#[derive(Debug, Default)]
struct Stop {
    is_stopping: Mutex<bool>,
    changed: Condvar,
}

/// What one thread knows of its cell.
struct Care {
    cells: Arc<Cells>,
    cell: Arc<Cell>,
    stop: Arc<Stop>,
    members: Vec<MemberCare>,
    clock: SharedClock,
    /// The state that was logged last.
    logged: Option<Discriminant<CellState>>,
    is_clock_logged: bool,
}

#[derive(Clone, Copy, Default)]
struct MemberCare {
    is_up: bool,
    is_logged_down: bool,
    has_few_operations: bool,
}

/// What is logged of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberChange {
    Silent,
    AnswersAgain,
}

impl MemberCare {
    /// Records whether the member answers, and returns what has changed. If none answers, the state of the cell tells
    /// so, and nothing is returned until another one does.
    fn look(&mut self, is_up: bool, is_any_up: bool) -> Option<MemberChange> {
        self.is_up = is_up;
        if is_up {
            return std::mem::take(&mut self.is_logged_down).then_some(MemberChange::AnswersAgain);
        }
        let is_news = is_any_up && !self.is_logged_down;
        self.is_logged_down |= is_any_up;
        is_news.then_some(MemberChange::Silent)
    }
}

/// Whether a check found more expired keys than it had time for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Swept {
    All,
    Some,
}

impl Caretaker {
    /// Starts a thread for each of `cells`.
    ///
    /// # Errors
    /// As the operating system returns them.
    pub fn start(cells: &Arc<Cells>) -> io::Result<Caretaker> {
        let mut caretaker = Caretaker { stop: Arc::default(), threads: Vec::new() };
        for cell in cells.all() {
            let care = Care::new(Arc::clone(cells), Arc::clone(cell), Arc::clone(&caretaker.stop));
            let thread = thread::Builder::new().name(format!("cell-{}", cell.name()));
            caretaker.threads.push(thread.spawn(move || care.run())?);
        }
        Ok(caretaker)
    }
}

/// Waits for the request that each thread has under way, at most [`crate::limits::CELL_REQUEST_MS`].
impl Drop for Caretaker {
    fn drop(&mut self) {
        *self.stop.is_stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was logged.
            let _ = thread.join();
        }
    }
}

impl Stop {
    fn is_stopping(&self) -> bool {
        *self.is_stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `due`, or until it has to stop. Returns whether it has to.
    fn wait_until(&self, due: Instant) -> bool {
        let left = due.saturating_duration_since(clock::monotonic());
        let is_stopping = self.is_stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_stopping, left, |is_stopping| !*is_stopping);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Care {
    fn new(cells: Arc<Cells>, cell: Arc<Cell>, stop: Arc<Stop>) -> Care {
        let members = vec![MemberCare::default(); cell.authorities().len()];
        let clock = SharedClock::default();
        Care { cells, cell, stop, members, clock, logged: None, is_clock_logged: false }
    }

    fn run(mut self) {
        let mut due = clock::monotonic();
        while !self.stop.wait_until(due) {
            let began = clock::monotonic();
            due = match self.check() {
                Swept::All => began + Duration::from_millis(CELL_CARE_INTERVAL_MS),
                Swept::Some => began,
            };
        }
    }

    fn check(&mut self) -> Swept {
        let mut state = match self.open() {
            Ok(()) => None,
            Err(OpenError::NotYet(state) | OpenError::Refused(state)) => Some(state),
        };
        let look = Look::at(&self.cell);
        self.note_members(&look);
        let shown = look.state(self.cell.cluster_id());
        let mut swept = Swept::All;
        if state.is_none() && !self.stop.is_stopping() {
            let kept = self.keep_clock(&look).and_then(|is_sweeper| {
                if is_sweeper {
                    swept = self.sweep()?;
                }
                Ok(())
            });
            state = Some(match kept {
                Ok(()) => shown,
                Err(error) => state_of_error(error, shown),
            });
        }
        if let Some(state) = state {
            self.record(state);
        }
        swept
    }

    /// Opens the cell, if it is not open. One that went back stays closed.
    fn open(&self) -> Result<(), OpenError> {
        if !self.cell.is_closed() {
            return Ok(());
        }
        let state = self.cell.state();
        let is_restored = matches!(state, CellState::Restored);
        if is_restored { Err(OpenError::Refused(state)) } else { self.cells.open(&self.cell) }
    }

    fn record(&mut self, state: CellState) {
        self.cell.set_state(state);
        // A request may have found that it was restored.
        let state = self.cell.state();
        if self.logged.replace(discriminant(&state)) == Some(discriminant(&state)) {
            return;
        }
        let name = self.cell.name();
        let effect = if state.answers() { "" } else { " Requests to it are answered 503." };
        match &state {
            CellState::Ready => {
                let up = self.members.iter().filter(|member| member.is_up).count();
                log::info!("cell {name}: ready, {up} of {} members answer", self.members.len());
            }
            CellState::Unchecked
            | CellState::Unreachable { .. }
            | CellState::NoLeader
            | CellState::NoSpace => {
                log::warn!("cell {name}: {state}{effect}");
            }
            CellState::Corrupt
            | CellState::Version { .. }
            | CellState::WrongCluster { .. }
            | CellState::Restored
            | CellState::Refused { .. } => log::error!("cell {name}: {state}{effect}"),
        }
    }

    /// Logs members that stopped answering or answer again, and finds out what they allow.
    fn note_members(&mut self, look: &Look) {
        let name = self.cell.name();
        let is_any_up = look.statuses().next().is_some();
        for (index, (member, seen)) in self.members.iter_mut().zip(look.members()).enumerate() {
            let was_up = member.is_up;
            match (member.look(seen.status.is_ok(), is_any_up), &seen.status) {
                (Some(MemberChange::Silent), Err(reason)) => log::warn!(
                    "cell {name}: a member does not answer ({reason}). The others serve its requests. Start it, and \
                     check the network"
                ),
                (Some(MemberChange::AnswersAgain), _) => {
                    log::info!("cell {name}: member {} answers again", seen.authority);
                }
                (Some(MemberChange::Silent) | None, _) => {}
            }
            // A restart may have changed its flags.
            if member.is_up && (!was_up || member.has_few_operations) {
                let had_few = member.has_few_operations;
                member.has_few_operations = look::has_few_operations(&self.cell, index).unwrap_or(had_few);
                if member.has_few_operations && !had_few {
                    log::warn!("cell {name}: {}", few_operations(&seen.authority));
                }
            }
        }
        self.cell.set_few_operations(self.members.iter().any(|member| member.has_few_operations));
        self.cell.set_silent_members(self.members.iter().filter(|member| !member.is_up).count());
    }

    /// Reads the cell's clock, and writes it if it is this server's turn. Returns whether to sweep. Closes a cell that was
    /// restored.
    fn keep_clock(&mut self, look: &Look) -> Result<bool, CellError> {
        let reads = [CLOCK_KEY, LEAD_KEY].map(|key| Operation::Range(Range::key(key.into())));
        let read = self.cell.read(&Transaction { success: reads.into(), ..Transaction::default() })?;
        let mut stored = read.responses.iter().map(|response| match response {
            OperationResponse::Range(found) => found.kvs.first(),
            OperationResponse::Put(_) | OperationResponse::DeleteRange(_) => None,
        });
        let (clock, lead) = (stored.next().flatten(), stored.next().flatten());
        let reading = clock.and_then(|stored| {
            Some(Reading { mod_revision: stored.mod_revision, shown_ms: number(&stored.value)? })
        });
        let known: Option<i64> = lead.and_then(|stored| number(&stored.value));
        if let (Some(known), Some(status)) = (known, up_to_date(&self.cell))
            && status.lead() < known
        {
            return Err(self.cell.close_restored());
        }
        let judged = self.clock.judge(clock::wall_ms(), reading);
        self.cell.set_clock(reading.map_or(0, |reading| reading.shown_ms), judged.ahead_ms);
        self.log_difference(judged.difference);
        let Some(now_ms) = judged.write else { return Ok(judged.is_alone) };
        // What was committed before the read is in the revision that the read showed.
        let bound = look.log_index().map(|index| index.saturating_sub(read.header.revision));
        let bound = bound.filter(|bound| known.is_none_or(|known| known < *bound));
        let put = Operation::Put { key: CLOCK_KEY.into(), value: Bytes::from(now_ms.to_string()) };
        let written = self.cell.commit(&Transaction {
            compare: vec![
                Compare::unchanged(CLOCK_KEY.into(), clock.map_or(0, |stored| stored.mod_revision)),
                Compare::unchanged(LEAD_KEY.into(), lead.map_or(0, |stored| stored.mod_revision)),
            ],
            success: std::iter::once(put).chain(bound.map(put_lead)).collect(),
            failure: Vec::new(),
        });
        match written {
            Ok(written) if written.succeeded => {
                self.clock.wrote(written.header.revision);
                self.cell.set_clock(now_ms, judged.ahead_ms);
                Ok(true)
            }
            // Another server was faster.
            Ok(_) => Ok(false),
            // Deletions work, and they are what is needed.
            Err(CellError::Refused(Refused::NoSpace)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn log_difference(&mut self, difference: Difference) {
        let name = self.cell.name();
        let (by_ms, direction, effect) = match difference {
            Difference::Fine => {
                self.is_clock_logged = false;
                return;
            }
            Difference::Slow(by_ms) => {
                (by_ms, "slower than", "the cell's clock is used until this one reaches it")
            }
            Difference::Ahead(by_ms) => (by_ms, "ahead of", "the cell's clock is used"),
        };
        if !std::mem::replace(&mut self.is_clock_logged, true) {
            log::warn!(
                "cell {name}: the clock of this machine is {} seconds {direction} the clock that the servers of the \
                 cell keep; {effect}. Set the clock of this machine, and have NTP keep it",
                by_ms / 1_000
            );
        }
    }

    /// Removes expired keys, for [`CELL_SWEEP_MS_MAX`] at most.
    fn sweep(&self) -> Result<Swept, CellError> {
        let deadline = clock::monotonic() + Duration::from_millis(CELL_SWEEP_MS_MAX);
        let now_ms = self.cell.now_ms(clock::wall_ms());
        while sweep::sweep_page(&self.cell, now_ms)?.is_some() {
            if clock::monotonic() >= deadline || self.stop.is_stopping() {
                return Ok(Swept::Some);
            }
        }
        Ok(Swept::All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_does_not_answer_is_logged_once_and_again_after_it_did() {
        let mut member = MemberCare::default();
        assert_eq!(member.look(true, true), None);
        assert_eq!(member.look(false, true), Some(MemberChange::Silent));
        assert_eq!(member.look(false, true), None);
        assert_eq!(member.look(true, true), Some(MemberChange::AnswersAgain));
        assert_eq!(member.look(true, true), None);
        // All are down, then the others return.
        assert_eq!(member.look(false, false), None);
        assert_eq!(member.look(false, true), Some(MemberChange::Silent));
        assert_eq!(member.look(false, false), None);
        assert_eq!(member.look(false, true), None);
    }
}
