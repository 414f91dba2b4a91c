//! The record of a project in its cell, and keys that the first of several instances creates.
//!
//! | Key in etcd | Value |
//! |---|---|
//! | `e/PROJECT` | `{"base": N, "sealed": true, "project": {…}}`: the beginning of the revisions, whether it takes no writes, and the project as in config.json |
//! | `s/jwt` | the key that signs tokens |
//!
//! The server's own projects have a base only. The `mod_revision` of a record is the fence of the project: each
//! transaction on its keys compares it, so a change of the record stops what was authorized before.

use super::bucket::{EtcdBucket, Fence};
use super::cell::{Cell, CellError};
use super::gateway::{Bytes, Compare, KeyValue, Operation, OperationResponse, Range, Transaction};
use super::layout;
use crate::clock;
use crate::config::field::Value;
use crate::config::project;
use crate::config::schema::ProjectConfig;
use crate::names::{InternalProject, ProjectId};
use crate::secret::Secret;
use crate::store::change::Revision;
use crate::store::error::StorageError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;

/// The location of the key that signs tokens.
pub(crate) const SIGNING_KEY: &str = "s/jwt";

/// What a cell has of a project beside its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Added to a revision of the cell, gives a revision of the project.
    pub base: u64,
    /// Whether writes are refused, because the keys are being copied to another cell.
    pub is_sealed: bool,
    /// `None` for one of the server's own projects. The text of its key is never stored.
    pub project: Option<ProjectConfig>,
}

/// A value that was read or written, and the revision of the cell that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    pub value: T,
    pub mod_revision: i64,
}

/// The result of creating a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation<T> {
    Created(Versioned<T>),
    /// It existed, with this value.
    Existing(Versioned<T>),
}

/// Why a record could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    Cell(CellError),
    /// A value is not one that this version writes.
    Invalid {
        cell: String,
        key: String,
        reason: String,
    },
    /// Other instances changed the same keys all the time. Nothing has changed.
    Busy,
}

/// A [`Record`] as it is written.
#[derive(Serialize)]
pub(super) struct RecordToWrite {
    base: u64,
    #[serde(skip_serializing_if = "is_false")]
    sealed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<Value>,
}

/// A [`Record`] as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordToRead<'r> {
    base: u64,
    #[serde(default)]
    sealed: bool,
    #[serde(borrow, default)]
    project: Option<&'r RawValue>,
}

impl Record {
    pub(super) fn to_write(&self) -> RecordToWrite {
        let project = self.project.as_ref().map(project::value_of);
        RecordToWrite { base: self.base, sealed: self.is_sealed, project }
    }

    pub(super) fn encode(&self) -> Bytes {
        encode(&self.to_write())
    }

    fn decode(value: &[u8]) -> Result<Record, String> {
        serde_json::from_slice::<RecordToRead<'_>>(value).map_err(|error| error.to_string())?.record()
    }
}

impl RecordToRead<'_> {
    pub(super) fn record(&self) -> Result<Record, String> {
        let project = self.project.map(|text| project::parse(text.get())).transpose();
        let project = project.map_err(|mistake| mistake.without_location())?;
        Ok(Record { base: self.base, is_sealed: self.sealed, project })
    }
}

impl Versioned<Record> {
    /// What transactions on the keys compare, as long as this record is the latest.
    pub fn fence(&self) -> Fence {
        let Record { base, is_sealed, .. } = self.value;
        Fence { base, mod_revision: self.mod_revision, is_sealed }
    }
}

fn is_false(switch: &bool) -> bool {
    !switch
}

/// The JSON text of `value`.
pub(super) fn encode(value: &impl Serialize) -> Bytes {
    let text = serde_json::to_vec(value);
    assert!(text.is_ok(), "texts, numbers and switches are always JSON");
    Bytes(text.unwrap_or_default())
}

/// The base of a project whose revisions begin now on a cell that is at `cell_revision`. With the base that the project
/// had before, `old`, no revision repeats even if the clock was set back.
///
/// A cell commits less than a million transactions a second, so no revision exceeds the time in microseconds, and a
/// base that is chosen later gives only later revisions, on any cell.
pub fn choose_base(now_ms: u64, cell_revision: i64, old: Option<u64>) -> u64 {
    let cell_revision = cell_revision.unsigned_abs();
    let from_clock = Revision::at_clock(now_ms).get().saturating_sub(cell_revision);
    let after_old = old.map_or(0, |old| old.saturating_add(cell_revision).saturating_add(1));
    from_clock.max(after_old)
}

/// The base of a project that is copied to a cell, which is at `cell_revision` before the first key: every revision
/// there is after `latest`, the last one that the project had, and after the present time.
pub fn base_after(now_ms: u64, cell_revision: i64, latest: u64) -> u64 {
    let begin = Revision::at_clock(now_ms).get().max(latest.saturating_add(1));
    begin.saturating_sub(cell_revision.unsigned_abs())
}

/// The record of `id`; `None` if `cell` does not have the project.
///
/// # Errors
/// [`RecordError`]
pub fn read(cell: &Cell, id: &ProjectId) -> Result<Option<Versioned<Record>>, RecordError> {
    let found = cell.range(&Range::key(layout::record(id)))?;
    found.kvs.first().map(|stored| decode(cell, stored, Record::decode)).transpose()
}

/// How many keys all projects of `cell` have.
///
/// # Errors
/// [`RecordError`]
pub fn count_keys(cell: &Cell) -> Result<u64, RecordError> {
    let entries = Range::prefix(Bytes::from(&b"v/"[..]));
    Ok(cell.range(&Range { count_only: true, ..entries })?.count)
}

/// Creates the record of `id`, unless there is one.
///
/// # Errors
/// [`RecordError`]
pub fn create(
    cell: &Cell,
    id: &ProjectId,
    project: Option<ProjectConfig>,
    now_ms: u64,
) -> Result<Creation<Record>, RecordError> {
    let key = layout::record(id);
    let before = cell.range(&Range::key(key.clone()))?;
    if let Some(stored) = before.kvs.first() {
        return decode(cell, stored, Record::decode).map(Creation::Existing);
    }
    let base = choose_base(now_ms, before.header.revision, None);
    let record = Record { base, is_sealed: false, project: project.as_ref().map(without_key_text) };
    create_key(cell, key, record.encode(), record, Record::decode)
}

/// Replaces the record of `id` if `mod_revision` is its latest. Returns the new one, `None` if it has changed.
///
/// # Errors
/// [`RecordError`]
pub fn replace(
    cell: &Cell,
    id: &ProjectId,
    record: &Record,
    mod_revision: i64,
) -> Result<Option<i64>, RecordError> {
    let key = layout::record(id);
    let compare = vec![Compare::unchanged(key.clone(), mod_revision)];
    let success = vec![Operation::Put { key, value: record.encode() }];
    let done = cell.commit(&Transaction { compare, success, failure: Vec::new() })?;
    Ok(done.succeeded.then_some(done.header.revision))
}

/// Removes the record of `id` if `mod_revision` is its latest. Returns whether it was.
///
/// # Errors
/// [`RecordError`]
pub fn remove(cell: &Cell, id: &ProjectId, mod_revision: i64) -> Result<bool, RecordError> {
    let key = layout::record(id);
    let compare = vec![Compare::unchanged(key.clone(), mod_revision)];
    let success = vec![Operation::delete(key)];
    Ok(cell.commit(&Transaction { compare, success, failure: Vec::new() })?.succeeded)
}

/// Opens one of the server's own projects on `cell`, or creates it.
///
/// # Errors
/// [`StorageError`]; the log has the reason of [`StorageError::Unread`].
pub fn open_internal(cell: &Arc<Cell>, project: InternalProject) -> Result<EtcdBucket, StorageError> {
    let id = project.into();
    let (Creation::Created(record) | Creation::Existing(record)) =
        create(cell, &id, None, cell.now_ms(clock::wall_ms()))?;
    Ok(EtcdBucket::new(Arc::clone(cell), id, record.fence()))
}

/// The text of the key that signs tokens, and whether it is `fresh`, which is stored if there was none. Instances that
/// start at the same time get the same key.
///
/// # Errors
/// [`RecordError`]
pub fn signing_key(cell: &Cell, fresh: &Secret) -> Result<(Secret, bool), RecordError> {
    let value = Bytes::from(fresh.reveal().as_bytes());
    let key = Bytes::from(SIGNING_KEY.as_bytes());
    let created = create_key(cell, key, value, fresh.clone(), decode_signing_key)?;
    Ok(match created {
        Creation::Created(key) => (key.value, true),
        Creation::Existing(key) => (key.value, false),
    })
}

/// The text of the key that signs tokens, if there is one.
///
/// # Errors
/// [`RecordError`]
pub fn read_signing_key(cell: &Cell) -> Result<Option<Secret>, RecordError> {
    let found = cell.range(&Range::key(Bytes::from(SIGNING_KEY.as_bytes())))?;
    let key = found.kvs.first().map(|stored| decode(cell, stored, decode_signing_key)).transpose()?;
    Ok(key.map(|key| key.value))
}

/// Replaces the key that signs tokens. Instances that run keep the old one until they are restarted.
///
/// # Errors
/// [`RecordError`]
pub fn replace_signing_key(cell: &Cell, text: &Secret) -> Result<(), RecordError> {
    let (key, value) = (Bytes::from(SIGNING_KEY.as_bytes()), Bytes::from(text.reveal().as_bytes()));
    let success = vec![Operation::Put { key, value }];
    Ok(cell.commit(&Transaction { success, ..Transaction::default() }).map(drop)?)
}

fn decode_signing_key(value: &[u8]) -> Result<Secret, String> {
    match str::from_utf8(value) {
        Ok(text) => Ok(Secret::new(text.to_owned())),
        Err(error) => Err(error.to_string()),
    }
}

/// Stores `encoded` under `key` unless that exists. `decode` reads the value that exists.
fn create_key<T>(
    cell: &Cell,
    key: Bytes,
    encoded: Bytes,
    value: T,
    decode_value: impl Fn(&[u8]) -> Result<T, String>,
) -> Result<Creation<T>, RecordError> {
    let done = cell.commit(&Transaction {
        compare: vec![Compare::unchanged(key.clone(), 0)],
        success: vec![Operation::Put { key: key.clone(), value: encoded }],
        failure: vec![Operation::Range(Range::key(key))],
    })?;
    if done.succeeded {
        return Ok(Creation::Created(Versioned { value, mod_revision: done.header.revision }));
    }
    match done.responses.first() {
        Some(OperationResponse::Range(found)) => match found.kvs.first() {
            Some(stored) => decode(cell, stored, decode_value).map(Creation::Existing),
            None => Err(unexpected()),
        },
        Some(OperationResponse::Put(_) | OperationResponse::DeleteRange(_)) | None => Err(unexpected()),
    }
}

/// The value of `stored`, as `decode_value` reads it.
pub(super) fn decode<T>(
    cell: &Cell,
    stored: &KeyValue,
    decode_value: impl Fn(&[u8]) -> Result<T, String>,
) -> Result<Versioned<T>, RecordError> {
    match decode_value(&stored.value.0) {
        Ok(value) => Ok(Versioned { value, mod_revision: stored.mod_revision }),
        Err(reason) => Err(RecordError::Invalid {
            cell: cell.name().to_owned(),
            key: String::from_utf8_lossy(&stored.key.0).into_owned(),
            reason,
        }),
    }
}

/// What is stored of `project`.
fn without_key_text(project: &ProjectConfig) -> ProjectConfig {
    let mut project = project.clone();
    project.key.text = None;
    project
}

pub(super) fn unexpected() -> RecordError {
    let reason = "etcd returned another kind of answer than was asked for".to_owned();
    RecordError::Cell(CellError::Unreachable { reason })
}

impl From<CellError> for RecordError {
    fn from(error: CellError) -> RecordError {
        RecordError::Cell(error)
    }
}

/// Logs a value that is not valid: clients do not get the reason.
impl From<RecordError> for StorageError {
    fn from(error: RecordError) -> StorageError {
        match error {
            RecordError::Cell(error) => error.into(),
            RecordError::Busy => StorageError::Busy,
            RecordError::Invalid { .. } => {
                log::error!("{error}");
                StorageError::Unread
            }
        }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Cell(error) => error.fmt(f),
            RecordError::Busy => StorageError::Busy.fmt(f),
            RecordError::Invalid { cell, key, reason } => write!(
                f,
                "Cell `{cell}`: the value of `{key}` is not one that PiKV {} writes: {reason}. If a later version wrote \
                 it, start that version. Otherwise restore the cell from a snapshot.",
                env!("CARGO_PKG_VERSION")
            ),
        }
    }
}

impl std::error::Error for RecordError {}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
