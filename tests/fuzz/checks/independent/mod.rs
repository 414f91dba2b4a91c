//! Second implementations, written from the RFCs and docs/ for whole inputs: slow and plain.

pub mod chunks;
pub mod head;
pub mod stream;
pub mod target;
