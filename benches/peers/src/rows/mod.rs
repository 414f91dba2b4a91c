//! The measurements, each a part of the table that can be asked for alone.

use crate::campaign::Campaign;
use crate::failure::Outcome;

pub mod binary;
pub mod checkpoint;
mod cost;
mod filling;
pub mod growth;
pub mod idle;
pub mod memory;
pub mod processor;
pub mod slow_disk;
pub mod start;
pub mod throughput;

/// A part: its name on the command line and what measures it.
pub type Part = (&'static str, fn(&mut Campaign) -> Outcome<()>);

/// All parts, in the order of the table.
pub const PARTS: [Part; 11] = [
    ("get", throughput::measure_gets),
    ("put", throughput::measure_puts),
    ("processor", processor::measure),
    ("growth", growth::measure),
    ("cost", cost::measure),
    ("checkpoint", checkpoint::measure),
    ("slow-disk", slow_disk::measure),
    ("start", start::measure),
    ("memory", memory::measure),
    ("idle", idle::measure),
    ("binary", binary::measure),
];
