//! After a checkpoint of a project that keeps only an index: points its entries at the new files.
//!
//! Until an entry is done its value is read from the old files, which are unlinked but open.

use super::checkpoint::NewPair;
use super::checkpoint_error::CheckpointError;
use super::project::Project;
use crate::limits::ENTRIES_PER_HOLD_MAX;
use crate::names::Key;
use crate::persist::files::data_file::{self, DataLine};
use crate::persist::files::header::HEADER_BYTES;
use crate::persist::files::record::{self, Line};
use crate::persist::files::sequential::LineReader;
use crate::persist::files::value_reader::location_of;
use crate::store::change::{Change, Location, Revision, Value};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// The new place of a key's value, as of a revision.
struct Place {
    key: String,
    revision: Revision,
    location: Location,
}

impl Project {
    /// Moves all locations to the files of `pair` and closes the files before them.
    pub(in crate::persist) fn relocate(
        self: &Arc<Self>,
        pair: &NewPair,
        now: Instant,
    ) -> Result<(), CheckpointError> {
        let rollbacks = self.lock().map_err(|_| CheckpointError::Stopped)?.rollbacks;
        self.relocate_values(pair)?;
        self.relocate_changes(pair)?;
        // What could still be taken back holds entries with old locations; after this nothing does.
        self.flush(now);
        let mut state = self.lock().map_err(|_| CheckpointError::Stopped)?;
        // Unless such entries came back. Then the old files stay open until the next checkpoint.
        if state.rollbacks == rollbacks {
            state.files.forget_below(pair.number - 1);
        }
        Ok(())
    }

    fn relocate_values(&self, pair: &NewPair) -> Result<(), CheckpointError> {
        let mut lines = LineReader::new(pair.json.as_ref(), 0);
        let mut metas = LineReader::new(pair.journal.as_ref(), HEADER_BYTES as u64);
        let mut places = Vec::new();
        while let Some(line) = lines.next_line()? {
            match data_file::decode_line(line.bytes) {
                Some(DataLine::Opening | DataLine::Closing) => {}
                Some(DataLine::Entry { key, value_start, value }) => {
                    let meta_line =
                        metas.next_line()?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
                    let Some(Line::Meta { meta, .. }) =
                        record::decode_line(meta_line.bytes, pair.header.seed)
                    else {
                        return Err(io::Error::from(io::ErrorKind::InvalidData).into());
                    };
                    let offset = line.offset + value_start as u64;
                    let location = location_of(pair.number - 1, offset, value);
                    places.push(Place { key: key.into_owned(), revision: meta.revision, location });
                }
                None => return Err(io::Error::from(io::ErrorKind::InvalidData).into()),
            }
            if places.len() == ENTRIES_PER_HOLD_MAX {
                self.move_to(&mut places)?;
            }
        }
        self.move_to(&mut places)
    }

    fn relocate_changes(&self, pair: &NewPair) -> Result<(), CheckpointError> {
        let mut lines = LineReader::new(pair.journal.as_ref(), pair.changes_start);
        let mut places = Vec::new();
        while let Some(line) = lines.next_line()?.filter(|line| line.offset < pair.end) {
            let changes = match record::decode_line(line.bytes, pair.header.seed) {
                Some(Line::Changes(changes)) => changes,
                Some(Line::Synced(_)) => continue,
                Some(Line::Meta { .. }) | None => {
                    return Err(io::Error::from(io::ErrorKind::InvalidData).into());
                }
            };
            for recorded in &changes {
                let offset = line.offset + record::offset_within(line.bytes, recorded.value());
                let change = recorded.change().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
                if let Change::Put { key, meta, .. } = change {
                    let location = location_of(pair.number, offset, recorded.value());
                    places.push(Place { key: key.as_str().to_owned(), revision: meta.revision, location });
                }
            }
            if places.len() >= ENTRIES_PER_HOLD_MAX {
                self.move_to(&mut places)?;
            }
        }
        self.move_to(&mut places)
    }

    /// Moves some entries under one hold of the lock.
    fn move_to(&self, places: &mut Vec<Place>) -> Result<(), CheckpointError> {
        let mut state = self.lock().map_err(|_| CheckpointError::Stopped)?;
        for place in places.drain(..) {
            let Ok(key) = Key::parse_stored(&place.key) else { continue }; // keys of our own files are keys
            state.namespace.relocate(key, place.revision, Value::Stored(place.location));
        }
        drop(state);
        self.give_way();
        Ok(())
    }
}
