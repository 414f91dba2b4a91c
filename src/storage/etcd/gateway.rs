//! Requests and responses of etcd's JSON gateway (`/v3/…`, etcd 3.4 and newer), as far as the engine uses them.
//!
//! Keys and values are Base64 there, 64-bit numbers are texts, and members with the value zero, false or empty are
//! absent (the JSON form of protocol buffers).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Bytes that are Base64 on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

/// Applied as a whole: `success` if all of `compare` hold, else `failure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Transaction {
    pub compare: Vec<Compare>,
    pub success: Vec<Operation>,
    pub failure: Vec<Operation>,
}

/// A condition on one key, or on all keys from `key` to `range_end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compare {
    key: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    range_end: Option<Bytes>,
    result: Comparison,
    #[serde(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Comparison {
    Equal,
    Greater,
    Less,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "target", rename_all = "UPPERCASE")]
enum Target {
    /// The revision of the last change of the key; 0 if it does not exist.
    Mod {
        mod_revision: i64,
    },
    /// The revision at which the key was created; 0 if it does not exist.
    Create {
        create_revision: i64,
    },
    Value {
        value: Bytes,
    },
}

/// An operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Operation {
    #[serde(rename = "request_range")]
    Range(Range),
    #[serde(rename = "request_put")]
    Put { key: Bytes, value: Bytes },
    #[serde(rename = "request_delete_range")]
    DeleteRange {
        key: Bytes,
        #[serde(skip_serializing_if = "Option::is_none")]
        range_end: Option<Bytes>,
    },
}

/// A read of one key, or of the keys from `key` to `range_end`, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Range {
    pub key: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range_end: Option<Bytes>,
    /// At most so many keys; 0 for all.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: i64,
    /// As of this revision of the cell; 0 for the present.
    #[serde(skip_serializing_if = "is_default")]
    pub revision: i64,
    /// What this member has, which may be old. For reads that a later compare protects.
    #[serde(skip_serializing_if = "is_default")]
    pub serializable: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub keys_only: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub count_only: bool,
}

/// What every response begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Header {
    #[serde(deserialize_with = "number")]
    pub cluster_id: u64,
    /// The revision of the cell after the request.
    #[serde(deserialize_with = "number")]
    pub revision: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TransactionResponse {
    pub header: Header,
    /// Whether all compares held.
    pub succeeded: bool,
    /// One for each operation of the branch that was applied.
    pub responses: Vec<OperationResponse>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum OperationResponse {
    #[serde(rename = "response_range")]
    Range(RangeResponse),
    #[serde(rename = "response_put")]
    Put(Ignored),
    #[serde(rename = "response_delete_range")]
    DeleteRange(DeleteRangeResponse),
}

/// A response of which nothing is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Ignored {}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RangeResponse {
    pub header: Header,
    pub kvs: Vec<KeyValue>,
    /// Whether the range has keys beyond `limit`.
    pub more: bool,
    /// How many keys the range has, whatever `limit` is.
    #[serde(deserialize_with = "number")]
    pub count: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DeleteRangeResponse {
    #[serde(deserialize_with = "number")]
    pub deleted: u64,
}

/// A key as etcd stores it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KeyValue {
    pub key: Bytes,
    #[serde(deserialize_with = "number")]
    pub mod_revision: i64,
    pub value: Bytes,
}

/// `/v3/maintenance/status` of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StatusResponse {
    pub header: Header,
    /// The version of the member: `3.4.23`.
    pub version: String,
    /// The member that leads the cell; 0 if none does.
    #[serde(deserialize_with = "number")]
    pub leader: u64,
    /// The entry of the cell's log that is committed.
    #[serde(rename = "raftIndex", deserialize_with = "number")]
    pub log_index: i64,
    /// What is wrong with the member, among it the alarms of the cell: `memberID:1 alarm:NOSPACE `.
    pub errors: Vec<String>,
}

impl StatusResponse {
    /// By how much the index of the log is ahead of the revision.
    pub(super) fn lead(&self) -> i64 {
        self.log_index.saturating_sub(self.header.revision)
    }
}

#[derive(Serialize)]
pub struct AuthenticateRequest<'r> {
    pub name: &'r str,
    pub password: &'r str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AuthenticateResponse {
    pub token: String,
}

/// Why etcd did not do what a request asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The disk space that the cell may use is used up (`--quota-backend-bytes`).
    NoSpace,
    /// The request has more bytes than `--max-request-bytes` of the members allows.
    TooLarge,
    /// The transaction has more operations than `--max-txn-ops` of the members allows.
    TooManyOperations,
    /// The revision of a read is older than the history that the cell keeps.
    Compacted,
    /// The cell wants another token, or one at all.
    Unauthenticated,
    /// Nothing was proposed, because the member has no leader or is overloaded.
    Unavailable { message: String },
    /// The member gave up waiting. A write may still be applied.
    Unconfirmed { message: String },
    /// Anything else: a mistake of this program, or a right that the user of etcd lacks.
    Other { message: String },
}

#[derive(Deserialize)]
struct ErrorResponse {
    message: Option<String>,
    error: Option<String>,
}

/// The response in `body`; `None` if that is anything else.
pub fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Option<T> {
    // A struct can be read from an array, too.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(body).ok()
}

impl Compare {
    pub(super) fn key(&self) -> &Bytes {
        &self.key
    }

    /// The last change of `key` has this revision; 0: the key does not exist.
    pub fn unchanged(key: Bytes, mod_revision: i64) -> Compare {
        Compare { key, range_end: None, result: Comparison::Equal, target: Target::Mod { mod_revision } }
    }

    /// `key` exists.
    pub fn exists(key: Bytes) -> Compare {
        let target = Target::Create { create_revision: 0 };
        Compare { key, range_end: None, result: Comparison::Greater, target }
    }

    /// `key` exists and has this value.
    pub fn value_is(key: Bytes, value: Bytes) -> Compare {
        Compare { key, range_end: None, result: Comparison::Equal, target: Target::Value { value } }
    }

    /// No key from `key` to `range_end` was changed after `revision`.
    pub fn range_unchanged_since(key: Bytes, range_end: Bytes, revision: i64) -> Compare {
        let target = Target::Mod { mod_revision: revision.saturating_add(1) };
        Compare { key, range_end: Some(range_end), result: Comparison::Less, target }
    }
}

impl Transaction {
    /// Whether a member answers it from what it has itself, which may be old: it only reads, and nothing of it is
    /// linearizable.
    pub(super) fn is_serializable(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|operation| match operation {
            Operation::Range(range) => range.serializable,
            Operation::Put { .. } | Operation::DeleteRange { .. } => false,
        })
    }
}

impl Range {
    /// A linearizable read of `key`.
    pub fn key(key: Bytes) -> Range {
        Range { key, ..Range::default() }
    }

    /// The same, but of the first `keys` only.
    #[must_use]
    pub fn at_most(self, keys: usize) -> Range {
        Range { limit: i64::try_from(keys).unwrap_or(i64::MAX), ..self }
    }

    /// A linearizable read of the keys that begin with `prefix`.
    pub fn prefix(prefix: Bytes) -> Range {
        let range_end = Some(prefix.prefix_end());
        Range { key: prefix, range_end, ..Range::default() }
    }
}

impl Operation {
    pub fn delete(key: Bytes) -> Operation {
        Operation::DeleteRange { key, range_end: None }
    }
}

impl Bytes {
    /// The first key after this one.
    pub fn next(&self) -> Bytes {
        Bytes(self.0.iter().copied().chain([0]).collect())
    }

    /// The end of the range of the keys that begin with these bytes.
    pub fn prefix_end(&self) -> Bytes {
        let mut end = self.0.clone();
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                return Bytes(end);
            }
        }
        // etcd reads this as the end of all keys.
        Bytes(vec![0])
    }
}

impl Refused {
    /// What a response with a status other than 200 means. Messages are those of etcd 3.4 and newer
    /// (`api/v3rpc/rpctypes/error.go`) and, for a much too large request, of gRPC.
    pub fn of(body: &[u8]) -> Option<Refused> {
        let error: ErrorResponse = parse(body)?;
        let message = error.message.or(error.error)?;
        let has = |part: &str| message.contains(part);
        Some(if has("database space exceeded") {
            Refused::NoSpace
        } else if has("request is too large") || has("received message larger than max") {
            Refused::TooLarge
        } else if has("too many operations in txn request") {
            Refused::TooManyOperations
        } else if has("required revision has been compacted") {
            Refused::Compacted
        } else if has("invalid auth token")
            || has("user name is empty")
            || has("revision in auth store is old")
        {
            Refused::Unauthenticated
        } else if has("no leader") || has("too many requests") || has("server stopped") {
            Refused::Unavailable { message }
        } else if has("timed out") || has("leader changed") || has("deadline") || has("transport is closing")
        {
            Refused::Unconfirmed { message }
        } else {
            Refused::Other { message }
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NoSpace => f.write_str(
                "The space of the etcd cell is used up (`--quota-backend-bytes`). Compact and defragment its members, \
                 then disarm the alarm.",
            ),
            Refused::TooLarge => {
                f.write_str("The request is larger than `--max-request-bytes` of the etcd members allows.")
            }
            Refused::TooManyOperations => f.write_str(
                "The batch has more operations than `--max-txn-ops` of the etcd members allows; start them with 4096.",
            ),
            Refused::Compacted => f.write_str("The cell no longer has the revision that was asked for."),
            Refused::Unauthenticated => {
                f.write_str("The etcd cell refuses the user or the password of the engine.")
            }
            Refused::Unavailable { message } | Refused::Unconfirmed { message } | Refused::Other { message } => {
                write!(f, "The etcd cell refused the request: {message}.")
            }
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        Bytes(bytes.to_vec())
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Bytes {
        Bytes(text.into_bytes())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&base64::display::Base64Display::new(&self.0, &BASE64_STANDARD))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text.as_ref()).map(Bytes).map_err(D::Error::custom)
    }
}

/// A number as a text, as the gateway writes 64-bit numbers.
fn number<'de, D: Deserializer<'de>, N: std::str::FromStr>(deserializer: D) -> Result<N, D::Error>
where
    N::Err: fmt::Display,
{
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
