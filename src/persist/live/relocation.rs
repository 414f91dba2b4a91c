//! The locations of values, in a project that keeps only an index in memory.
//!
//! ```text
//! put ---> text in memory --- the batch is written ---> location in the journal --- checkpoint ---> in the new files
//! ```
//! A value gets its location after it is written. A checkpoint moves the locations from file to file; until an entry is
//! moved, its value is read from the old file, which is unlinked but open.

use super::checkpoint_error::CheckpointError;
use super::journal::Journal;
use super::project::{Project, State, WrittenValue};
use crate::limits::ENTRIES_PER_LOCK_MAX;
use crate::names::Key;
use crate::persist::files::data_file::{self, DataLine};
use crate::persist::files::generation::{JournalFile, Pair};
use crate::persist::files::header::HEADER_BYTES;
use crate::persist::files::locations::{LocatedValue, push_locations};
use crate::persist::files::record::{self, Line};
use crate::persist::files::sequential::LineReader;
use crate::persist::files::value_reader::location_of;
use crate::store::change::{Revision, Value};
use std::io;
use std::sync::Arc;
use std::time::Instant;

impl Project {
    /// Gives the `values` of a batch their locations. Its `lines` are the last ones of `journal`.
    pub(super) fn locate_written(&self, journal: &Journal, lines: &[u8], values: Vec<WrittenValue>) {
        let start = journal.end - lines.len() as u64;
        let located = values.into_iter().filter_map(|WrittenValue { key, revision, text }| {
            let offset = start + text.start as u64;
            let location = location_of(journal.number, offset, lines.get(text)?);
            Some(LocatedValue { key, revision, location })
        });
        let _ = self.locate(&mut located.collect(), State::locate); // after a panic the project serves nothing
    }

    /// Moves all locations to the files of `pair`, whose journal has `number`, and closes the files before them.
    pub(super) fn relocate(
        self: &Arc<Self>,
        pair: &Pair,
        number: u32,
        now: Instant,
    ) -> Result<(), CheckpointError> {
        let rollbacks = self.lock()?.rollbacks;
        self.relocate_values(pair, number - 1)?;
        self.relocate_changes(&pair.journal, number)?;
        // What a rollback could restore has old locations; after this nothing does.
        self.flush(now);
        let mut state = self.lock()?;
        // If a rollback has restored such entries, the old files stay open until the next checkpoint.
        if state.rollbacks == rollbacks {
            state.open_files.forget_below(number - 1);
        }
        Ok(())
    }

    fn relocate_values(&self, pair: &Pair, number: u32) -> Result<(), CheckpointError> {
        let mut lines = LineReader::new(pair.json.as_ref(), 0);
        let mut metas = LineReader::new(pair.journal.file.as_ref(), HEADER_BYTES as u64);
        let mut located = Vec::new();
        while let Some(line) = lines.next_line()? {
            match data_file::decode_line(line.bytes) {
                Some(DataLine::Opening | DataLine::Closing) => {}
                Some(DataLine::Entry { key, value_start, value }) => {
                    let meta_line =
                        metas.next_line()?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
                    let Some(Line::Meta { meta, .. }) =
                        record::decode_line(meta_line.bytes, pair.journal.header.seed)
                    else {
                        return Err(io::Error::from(io::ErrorKind::InvalidData).into());
                    };
                    let offset = line.offset + value_start as u64;
                    let location = location_of(number, offset, value);
                    located.push(LocatedValue { key: key.into_owned(), revision: meta.revision, location });
                }
                None => return Err(io::Error::from(io::ErrorKind::InvalidData).into()),
            }
            if located.len() == ENTRIES_PER_LOCK_MAX {
                self.locate(&mut located, move_one)?;
            }
        }
        self.locate(&mut located, move_one)
    }

    fn relocate_changes(&self, journal: &JournalFile, number: u32) -> Result<(), CheckpointError> {
        let mut lines = LineReader::new(journal.file.as_ref(), journal.changes_start);
        let mut located = Vec::new();
        while let Some(line) = lines.next_line()?.filter(|line| line.offset < journal.end) {
            push_locations(line.bytes, journal.header.seed, (number, line.offset), &mut located)?;
            if located.len() >= ENTRIES_PER_LOCK_MAX {
                self.locate(&mut located, move_one)?;
            }
        }
        self.locate(&mut located, move_one)
    }

    /// Calls `locate` for all of `located`, some in each critical section.
    fn locate(
        &self,
        located: &mut Vec<LocatedValue>,
        locate: impl Fn(&mut State, LocatedValue),
    ) -> Result<(), CheckpointError> {
        while !located.is_empty() {
            let mut state = self.lock()?;
            let some = located.len().min(ENTRIES_PER_LOCK_MAX);
            located.drain(..some).for_each(|located| locate(&mut state, located));
            drop(state);
            self.yield_to_waiting();
        }
        Ok(())
    }
}

fn move_one(state: &mut State, located: LocatedValue) {
    state.relocate(&located);
}

impl State {
    /// Gives a value of the batch that was acknowledged last its location.
    fn locate(&mut self, located: LocatedValue) {
        let found = self.relocate(&located);
        let may_return = !self.pending.undo.is_empty() && found.is_none_or(|found| found > self.acknowledged);
        if may_return {
            // Replaces an earlier value of the same key, which no rollback restores.
            self.replaced.insert(located.key.clone(), located);
        }
    }

    /// Replaces a value by its location, unless the key has changed since. Returns the revision of the key's entry.
    fn relocate(&mut self, located: &LocatedValue) -> Option<Revision> {
        let key = Key::parse_stored(&located.key).ok()?; // keys of our own files are keys
        self.key_map.relocate(key, located.revision, Value::Stored(located.location))
    }

    /// Gives the values that a rollback restored their locations.
    pub(super) fn locate_restored(&mut self) {
        for located in std::mem::take(&mut self.replaced).into_values() {
            self.relocate(&located);
        }
    }
}

#[cfg(test)]
#[path = "relocation_tests.rs"]
mod tests;
