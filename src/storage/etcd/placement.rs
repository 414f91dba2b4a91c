//! The list of projects on the home cell: the cell of each, and a copy of its record.
//!
//! | Key in etcd | Value |
//! |---|---|
//! | `p/PROJECT` | `{"cell": NAME, "state": STATE, "other": NAME, "fence": N, "record": {…}}` |
//! | `s/catalog` | nothing; written in each transaction that changes a `p/`, so that instances notice the change |

use super::cell::{Cell, CellError};
use super::gateway::{
    Bytes, Compare, KeyValue, Operation, OperationResponse, Range, RangeResponse, Refused, Transaction,
};
use super::record::{self, Record, RecordError, RecordToRead, RecordToWrite, Versioned, unexpected};
use crate::clock;
use crate::limits::{CELL_PLACEMENTS_PER_PAGE, CELL_REQUEST_MS, PROJECTS_MAX};
use crate::names::ProjectId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const PLACEMENTS: &str = "p/";
const CATALOG: &str = "s/catalog";

/// The cell of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The name of the cell.
    pub cell: String,
    pub state: PlacementState,
    /// The other cell of a move, which may have the record instead.
    pub other: Option<String>,
    /// The `mod_revision` of the record in the cell when this was written; 0 if it is not known.
    pub fence: i64,
    /// A copy of that record.
    pub record: Option<Record>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlacementState {
    Live,
    /// The id is taken; the cell may not have the project yet.
    Creating,
    /// The cell may still have keys of the project.
    Deleting,
    /// The project is being moved, from `cell` or to it.
    Moving,
}

/// All projects at one revision of the home cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placements {
    pub projects: BTreeMap<ProjectId, Versioned<Placement>>,
    /// Of each value that this version does not read.
    pub unread: Vec<RecordError>,
    /// That of the last change of any project; 0 if there was none.
    pub revision: i64,
}

/// Why a project was not added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addition {
    Added {
        mod_revision: i64,
    },
    Existing(Versioned<Placement>),
    /// There are [`PROJECTS_MAX`] projects.
    Full,
}

#[derive(Serialize)]
struct PlacementToWrite<'p> {
    cell: &'p str,
    state: PlacementState,
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<&'p str>,
    fence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<RecordToWrite>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacementToRead<'p> {
    cell: String,
    state: PlacementState,
    #[serde(default)]
    other: Option<String>,
    fence: i64,
    #[serde(borrow, default)]
    record: Option<RecordToRead<'p>>,
}

impl Placement {
    fn encode(&self) -> Bytes {
        let record = self.record.as_ref().map(Record::to_write);
        let (cell, other) = (self.cell.as_str(), self.other.as_deref());
        record::encode(&PlacementToWrite { cell, state: self.state, other, fence: self.fence, record })
    }

    fn decode(value: &[u8]) -> Result<Placement, String> {
        let read: PlacementToRead<'_> = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let record = read.record.map(|record| record.record()).transpose()?;
        let PlacementToRead { cell, state, other, fence, .. } = read;
        Ok(Placement { cell, state, other, fence, record })
    }
}

/// The projects on all cells.
///
/// # Errors
/// [`RecordError`], but not for a single project that this version does not read.
pub fn load(home: &Cell) -> Result<Placements, RecordError> {
    let deadline = clock::monotonic() + Duration::from_millis(CELL_REQUEST_MS);
    loop {
        match load_at_once(home) {
            // The history of the first page is gone: the list took long, or the cell was compacted meanwhile.
            Err(RecordError::Cell(CellError::Refused(Refused::Compacted)))
                if clock::monotonic() < deadline => {}
            loaded => return loaded,
        }
    }
}

/// The revision of the last change of any project, which [`Placements::revision`] of a load after it has or exceeds.
///
/// # Errors
/// [`RecordError`]
pub fn revision(home: &Cell) -> Result<i64, RecordError> {
    Ok(revision_in(&home.range(&Range::key(Bytes::from(CATALOG.as_bytes())))?))
}

/// The placement of one project.
///
/// # Errors
/// [`RecordError`]
pub fn read(home: &Cell, id: &ProjectId) -> Result<Option<Versioned<Placement>>, RecordError> {
    existing(home, &home.range(&Range::key(key_of(id)))?)
}

/// Adds the project `id`, unless the home cell has it, or as many as are allowed.
///
/// # Errors
/// [`RecordError`]
pub fn add(home: &Cell, id: &ProjectId, placement: &Placement) -> Result<Addition, RecordError> {
    add_up_to(home, id, placement, PROJECTS_MAX as u64)
}

/// As [`add`], with another bound.
///
/// # Errors
/// [`RecordError`]
pub fn add_up_to(
    home: &Cell,
    id: &ProjectId,
    placement: &Placement,
    projects_max: u64,
) -> Result<Addition, RecordError> {
    let deadline = clock::monotonic() + Duration::from_millis(CELL_REQUEST_MS);
    let (key, catalog) = (key_of(id), Bytes::from(CATALOG.as_bytes()));
    let all = Range { count_only: true, ..Range::prefix(Bytes::from(PLACEMENTS.as_bytes())) };
    let ranges = [Range::key(key.clone()), all, Range::key(catalog.clone())];
    loop {
        let [found, counted, changed] = read_together(home, ranges.clone())?;
        if let Some(existing) = existing(home, &found)? {
            return Ok(Addition::Existing(existing));
        }
        if counted.count >= projects_max {
            return Ok(Addition::Full);
        }
        // etcd compares no count, but each change of the number of projects changes this key.
        let compare = vec![
            Compare::unchanged(key.clone(), 0),
            Compare::unchanged(catalog.clone(), revision_in(&changed)),
        ];
        if let Some(mod_revision) = change(home, compare, put(key.clone(), placement))? {
            return Ok(Addition::Added { mod_revision });
        }
        if clock::monotonic() >= deadline {
            return Err(RecordError::Busy);
        }
    }
}

/// Replaces the placement of `id` if `mod_revision` is its latest. Returns the new one, `None` if it has changed.
///
/// # Errors
/// [`RecordError`]
pub fn replace(
    home: &Cell,
    id: &ProjectId,
    placement: &Placement,
    mod_revision: i64,
) -> Result<Option<i64>, RecordError> {
    let key = key_of(id);
    change(home, vec![Compare::unchanged(key.clone(), mod_revision)], put(key, placement))
}

/// Removes the project `id` if `mod_revision` is its latest. Returns whether it was.
///
/// # Errors
/// [`RecordError`]
pub fn remove(home: &Cell, id: &ProjectId, mod_revision: i64) -> Result<bool, RecordError> {
    let key = key_of(id);
    let compare = vec![Compare::unchanged(key.clone(), mod_revision)];
    Ok(change(home, compare, Operation::delete(key))?.is_some())
}

fn load_at_once(home: &Cell) -> Result<Placements, RecordError> {
    let all = Range { limit: CELL_PLACEMENTS_PER_PAGE, ..Range::prefix(Bytes::from(PLACEMENTS.as_bytes())) };
    let ranges = [Range::key(Bytes::from(CATALOG.as_bytes())), all.clone()];
    let success = ranges.into_iter().map(Operation::Range).collect();
    let first = home.read(&Transaction { success, ..Transaction::default() })?;
    let revision = first.header.revision;
    let [changed, mut page] = ranges_of(first.responses)?;
    let mut placements = Placements { revision: revision_in(&changed), ..Placements::default() };
    loop {
        let last = page.kvs.last().map(|stored| stored.key.clone());
        page.kvs.iter().for_each(|stored| placements.insert(home, stored));
        let Some(mut key) = last.filter(|_| page.more) else { return Ok(placements) };
        // The next key is the one with a zero byte more.
        key.0.push(0);
        page = home.range(&Range { key, revision, ..all.clone() })?;
    }
}

impl Placements {
    fn insert(&mut self, home: &Cell, stored: &KeyValue) {
        let id = str::from_utf8(&stored.key.0).ok().and_then(|key| key.strip_prefix(PLACEMENTS));
        let id = id.map(ProjectId::parse);
        let decoded = record::decode(home, stored, |value| match &id {
            Some(Ok(id)) => Ok((id.clone(), Placement::decode(value)?)),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the key is not text".to_owned()),
        });
        match decoded {
            Ok(Versioned { value: (id, value), mod_revision }) => {
                self.projects.insert(id, Versioned { value, mod_revision });
            }
            Err(error) => self.unread.push(error),
        }
    }
}

fn key_of(id: &ProjectId) -> Bytes {
    Bytes::from(format!("{PLACEMENTS}{id}"))
}

fn put(key: Bytes, placement: &Placement) -> Operation {
    Operation::Put { key, value: placement.encode() }
}

/// Applies `operation` and notes the change, if all of `compare` hold. Returns the revision of the change.
fn change(home: &Cell, compare: Vec<Compare>, operation: Operation) -> Result<Option<i64>, RecordError> {
    let noted = Operation::Put { key: Bytes::from(CATALOG.as_bytes()), value: Bytes::default() };
    let success = vec![operation, noted];
    let done = home.commit(&Transaction { compare, success, failure: Vec::new() })?;
    Ok(done.succeeded.then_some(done.header.revision))
}

fn existing(home: &Cell, found: &RangeResponse) -> Result<Option<Versioned<Placement>>, RecordError> {
    found.kvs.first().map(|stored| record::decode(home, stored, Placement::decode)).transpose()
}

fn revision_in(found: &RangeResponse) -> i64 {
    found.kvs.first().map_or(0, |stored| stored.mod_revision)
}

fn read_together<const N: usize>(home: &Cell, ranges: [Range; N]) -> Result<[RangeResponse; N], RecordError> {
    let success = ranges.into_iter().map(Operation::Range).collect();
    ranges_of(home.read(&Transaction { success, ..Transaction::default() })?.responses)
}

fn ranges_of<const N: usize>(responses: Vec<OperationResponse>) -> Result<[RangeResponse; N], RecordError> {
    let ranges = responses.into_iter().map(|response| match response {
        OperationResponse::Range(found) => Ok(found),
        OperationResponse::Put(_) | OperationResponse::DeleteRange(_) => Err(unexpected()),
    });
    let ranges: Vec<RangeResponse> = ranges.collect::<Result<_, _>>()?;
    ranges.try_into().map_err(|_| unexpected())
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
