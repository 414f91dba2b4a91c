//! Detects that a cell was restored from a snapshot, and then gives its projects later revisions.
//!
//! A restored cell counts its revisions from the snapshot again, so those of writes after the snapshot would be given
//! out twice, and an old ETag would match another value. Therefore the records of all projects get a new base before
//! the cell is used.
//!
//! The id of the cluster does not show every restore: `etcdctl snapshot restore` computes it from the token and the peer
//! addresses, so with the same ones it is the same. What a restore always resets is the index of the log. Each revision
//! is an entry of the log, so the index minus the revision (the lead) never decreases, except by a restore, which begins
//! a new log and keeps the revision. The cell keeps a lower bound of the lead; a lead below it is a restore.

use super::cell::{Cell, CellError, encode};
use super::gateway::{
    Bytes, Compare, KeyValue, Operation, OperationResponse, Range, RangeResponse, StatusResponse, Transaction,
};
use super::layout::number;
use super::look;
use super::record::choose_base;
use super::shared_clock::CLOCK_KEY;
use crate::limits::{CELL_REBASED_RECORDS_MAX, CELL_SETTLE_ATTEMPTS_MAX};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Which cluster the bases of a cell were chosen for.
const MARK_KEY: &[u8] = b"s/cluster";
/// The lower bound of the lead, written with the cell's clock.
pub(super) const LEAD_KEY: &[u8] = b"s/lead";
/// The records of projects, JSON objects with the member `base`.
const RECORDS: &[u8] = b"e/";

/// The content of [`MARK_KEY`].
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The name in config.json, so that cells whose endpoints were exchanged are not confused.
    cell: String,
    cluster: u64,
}

/// Why a cell cannot be used.
#[derive(Debug)]
pub(super) enum SettleError {
    Cell(CellError),
    /// For the moment: other servers or members are not done.
    Unsettled(&'static str),
    /// It is not the cell that config.json means, or has something that PiKV did not write.
    Foreign(String),
}

/// What a cell had of its marks at one moment.
struct Marks {
    cluster: Option<KeyValue>,
    lead: Option<KeyValue>,
}

/// Checks that `cell` is the one of config.json, and gives its projects new bases if it was restored. Returns how many.
///
/// # Errors
/// [`SettleError`]. If some projects have new bases then, the next attempt gives all of them new ones.
pub(super) fn settle(cell: &Cell, own_ms: u64) -> Result<u64, SettleError> {
    for _ in 0..CELL_SETTLE_ATTEMPTS_MAX {
        let marks = read_marks(cell)?;
        let Some(cluster) = cell.cluster_id() else { continue };
        let status = up_to_date(cell).ok_or(SettleError::Unsettled("no member is up to date"))?;
        let known_lead: Option<i64> = marks.lead.as_ref().and_then(|stored| number(&stored.value));
        if let Some(stored) = &marks.cluster {
            let mark: Mark = serde_json::from_slice(&stored.value.0)
                .map_err(|_| SettleError::Foreign(foreign(cell, "`s/cluster` was not written by PiKV")))?;
            if mark.cell != cell.name() {
                let problem = format!("it is the cell `{}`", mark.cell);
                return Err(SettleError::Foreign(foreign(cell, &problem)));
            }
            if mark.cluster == cluster && known_lead.is_none_or(|known| known <= status.lead()) {
                return Ok(0);
            }
        }
        let mark_revision = marks.cluster.as_ref().map_or(0, |stored| stored.mod_revision);
        let Some(rebased) = rebase(cell, mark_revision, own_ms)? else { continue };
        let mark = Mark { cell: cell.name().to_owned(), cluster };
        // The revision was read after the index, so this is not more than the lead.
        let bound = status.log_index.saturating_sub(rebased.revision);
        let value = Bytes(serde_json::to_vec(&mark).map_err(|_| SettleError::Unsettled("no memory"))?);
        let marked = cell.commit_before_open(&Transaction {
            compare: vec![Compare::unchanged(MARK_KEY.into(), mark_revision)],
            success: vec![Operation::Put { key: MARK_KEY.into(), value }, put_lead(bound)],
            failure: Vec::new(),
        })?;
        if marked.succeeded {
            return Ok(rebased.records);
        }
    }
    Err(SettleError::Unsettled("other servers change the records of its projects at the same time"))
}

/// The operation that writes the lower bound of the lead.
pub(super) fn put_lead(bound: i64) -> Operation {
    Operation::Put { key: LEAD_KEY.into(), value: Bytes::from(bound.to_string()) }
}

fn read_marks(cell: &Cell) -> Result<Marks, SettleError> {
    let read = |key: &[u8]| Operation::Range(Range::key(key.into()));
    let success = vec![read(MARK_KEY), read(LEAD_KEY), read(CLOCK_KEY)];
    let read = cell.read_before_open(&Transaction { success, ..Transaction::default() })?;
    let mut found = read.responses.into_iter().map(|response| match response {
        OperationResponse::Range(found) => found.kvs.into_iter().next(),
        OperationResponse::Put(_) | OperationResponse::DeleteRange(_) => None,
    });
    let marks = Marks { cluster: found.next().flatten(), lead: found.next().flatten() };
    if let Some(shown_ms) = found.next().flatten().and_then(|stored| number(&stored.value)) {
        cell.set_clock(shown_ms, 0);
    }
    Ok(marks)
}

/// The status of a member that has everything that was committed before the call, so that its lead is not an old one. A
/// member waits for that before it answers a read; one that was just started shows an old index with a late revision.
pub(super) fn up_to_date(cell: &Cell) -> Option<StatusResponse> {
    let read = encode(&Range::key(LEAD_KEY.into()));
    (0..cell.authorities().len()).find_map(|index| {
        let read = cell.ask_member::<RangeResponse>(index, "/v3/kv/range", &read);
        read.ok()?.ok()?;
        look::status_of(cell, index).ok()?.ok()
    })
}

struct Rebased {
    records: u64,
    /// The latest revision of the cell.
    revision: i64,
}

/// Gives every record a new base. `None` if another server did so, or changed one, meanwhile.
fn rebase(cell: &Cell, mark_revision: i64, own_ms: u64) -> Result<Option<Rebased>, SettleError> {
    let mut rebased = Rebased { records: 0, revision: 0 };
    let mut range = Range { limit: CELL_REBASED_RECORDS_MAX as i64, ..Range::prefix(Bytes::from(RECORDS)) };
    loop {
        let page = cell.range_before_open(&range)?;
        rebased.revision = page.header.revision;
        let Some(last) = page.kvs.last() else { return Ok(Some(rebased)) };
        range.key = Bytes([&last.key.0[..], b"\0"].concat());
        let mut compare = vec![Compare::unchanged(MARK_KEY.into(), mark_revision)];
        let mut success = Vec::new();
        for stored in page.kvs {
            let Some(value) =
                with_base(&stored.value, |old| choose_base(own_ms, page.header.revision, Some(old)))
            else {
                let key = String::from_utf8_lossy(&stored.key.0).into_owned();
                return Err(SettleError::Foreign(foreign(
                    cell,
                    &format!("`{key}` is not a record of a project"),
                )));
            };
            compare.push(Compare::unchanged(stored.key.clone(), stored.mod_revision));
            success.push(Operation::Put { key: stored.key, value });
        }
        rebased.records += success.len() as u64;
        let written = cell.commit_before_open(&Transaction { compare, success, failure: Vec::new() })?;
        if !written.succeeded {
            return Ok(None);
        }
    }
}

/// `record` with another base; everything else stays as it is written.
fn with_base(record: &Bytes, base: impl FnOnce(u64) -> u64) -> Option<Bytes> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&record.0).ok()?;
    let old: u64 = members.get("base")?.get().parse().ok()?;
    members.insert("base".to_owned(), RawValue::from_string(base(old).to_string()).ok()?);
    serde_json::to_vec(&members).ok().map(Bytes)
}

fn foreign(cell: &Cell, problem: &str) -> String {
    let endpoints: Vec<&str> = cell.authorities().collect();
    format!(
        "The etcd cluster at {} is not the cell `{}`: {problem}. Correct `engine.cells` in config.json, or use an \
         etcd cluster for PiKV alone.",
        endpoints.join(", "),
        cell.name()
    )
}

impl From<CellError> for SettleError {
    fn from(error: CellError) -> SettleError {
        SettleError::Cell(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_base_changes_nothing_else_of_a_record() {
        let record = br#"{"base":7,"project":{"id":"a","b":[1.50, 2],"storage":{}}}"#;
        let changed = with_base(&Bytes::from(&record[..]), |old| old + 1).unwrap();
        assert_eq!(
            str::from_utf8(&changed.0).unwrap(),
            r#"{"base":8,"project":{"id":"a","b":[1.50, 2],"storage":{}}}"#
        );
        for wrong in ["", "[]", "{}", r#"{"base":"7"}"#, r#"{"base":-1}"#, r#"{"base":1.5}"#, "7"] {
            assert_eq!(with_base(&Bytes::from(wrong.as_bytes()), |old| old), None, "{wrong}");
        }
    }
}
