//! The fault campaign: the real binary killed, starved, slowed down and raced, from outside.
//!
//! What `persist` promises is proved at every disk operation on `SimDisk`; here the same promises are
//! held against the operating system. A few cycles of each run always. All of them, as
//! docs/RELIABILITY.md quotes them, run with
//!
//! ```text
//! PIKV_FAULT_CYCLES=500 cargo test --release --test it faults:: -- --nocapture --test-threads=1
//! ```
//! and print one line of that document's table each.

mod config_cut;
pub mod crowd;
mod descriptors;
mod disk_errors;
mod every_operation;
pub mod full_disk;
mod kill;
pub mod ledger;
mod races;
mod slowness;
mod strace;

use crate::harness::grouped;
use std::io::Write;

/// How much of the campaign is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// A sample, beside all the other tests.
    Sample,
    /// Everything, with this many cycles where chance decides what a cycle finds.
    Full { cycles: usize },
}

/// `PIKV_FAULT_CYCLES` asks for the full campaign.
fn extent() -> Extent {
    let cycles = crate::harness::environment::variable("PIKV_FAULT_CYCLES");
    cycles
        .map_or(Extent::Sample, |cycles| Extent::Full { cycles: cycles.parse().expect("a number of cycles") })
}

/// `sample` ordinarily, the cycles that were asked for in the full campaign.
fn cycles_or(sample: usize) -> usize {
    match extent() {
        Extent::Sample => sample,
        Extent::Full { cycles } => cycles,
    }
}

/// `points`, or about `sample` of them spread over all.
fn sampled<T>(points: Vec<T>, sample: usize) -> Vec<T> {
    match extent() {
        Extent::Full { .. } => points,
        Extent::Sample => {
            let step = points.len().div_ceil(sample).max(1);
            points.into_iter().step_by(step).collect()
        }
    }
}

/// What a test of the campaign saw: one line of the table.
#[derive(Default)]
pub struct Tally {
    fault: &'static str,
    cycles: usize,
    /// Acknowledged writes whose keys were looked at after a restart.
    pub acknowledged: u64,
    pub lost: Vec<String>,
    failed_starts: Vec<String>,
    /// Answers to reads that the state after the restart does not bear out.
    pub unsynced: Vec<String>,
    notes: String,
}

impl Tally {
    pub fn of(fault: &'static str) -> Tally {
        Tally { fault, ..Tally::default() }
    }

    /// Prints the line, then fails where there is something in it that must not be.
    fn finish(self) {
        // `println!` would be kept from who runs the tests.
        let line = format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            self.fault,
            grouped(self.cycles),
            grouped(self.acknowledged),
            self.lost.len(),
            self.failed_starts.len(),
            self.unsynced.len(),
            self.notes
        );
        let _ = writeln!(std::io::stderr(), "{line}");
        for (what, found) in
            [("lost", &self.lost), ("failed starts", &self.failed_starts), ("unsynced", &self.unsynced)]
        {
            assert!(found.is_empty(), "{what}, {} in all, such as\n{}", found.len(), first_lines(found));
        }
    }
}

pub fn first_lines(found: &[String]) -> String {
    found.iter().take(10).map(|line| format!("  {line}\n")).collect()
}
