//! Every failure and what the client sees of it: the only map from errors to statuses and codes.
//!
//! The body is `application/problem+json` (RFC 9457), or what the seed APIs have in its place
//! (`style.rs`). `code` is stable; `detail` says what was wrong and what would be right, and never
//! a key, a value or a path of the server.

pub(crate) mod account;
pub(crate) mod style;
mod texts;

pub(crate) use account::AccountError;
pub(crate) use texts::shown;

use crate::auth::access::Denied;
use crate::auth::csrf::Forgery;
use crate::auth::rate_limit::RetryAfter;
use crate::catalog::ChangeError;
use crate::descriptors::TooFewDescriptors;
use crate::http::exchange::Waiting;
use crate::http::refusal::Refusal;
use crate::http::response::{Response, reason_phrase};
use crate::http::target::TargetError;
use crate::json::{self, JsonError, JsonErrorKind};
use crate::limits::{BATCH_OPERATIONS_MAX, PROJECTS_MAX, VALUE_DEPTH_MAX};
use crate::names::{KeyError, ProjectId, ProjectIdError};
use crate::store::decide::Conflict;
use crate::store::error::StorageError;
use texts::{
    CONFIG_EDITED, CONTENT_RANGE, CURSOR, DISK_FULL, HOST_ADVICE, INTERNAL, ITEM_PROJECT_MISSING,
    LENGTH_REQUIRED, METHOD_UNKNOWN, ROUTE_MISSING, UNREADABLE, VALUES_UNSAVED, cursor_prefix_detail, late,
    limit_detail, memory_full, not_ready, too_many_connections, ttl_detail,
};

/// How clients are asked for a credential.
const BEARER: &str = "Bearer realm=\"pikv\"";

/// Why a request failed.
#[derive(Debug)]
pub enum ApiError {
    /// The connection's bytes are no request.
    Refused(Refusal),
    /// The head or body did not arrive in time.
    Timeout(Waiting),
    /// The URL is none.
    Target(TargetError),
    /// The method exists nowhere.
    MethodUnknown,
    /// The path has no such method.
    MethodNotAllowed {
        /// The `Allow` field.
        allow: String,
    },
    /// There is nothing at the path.
    RouteMissing,
    /// The credential does not do.
    Denied(Denied),
    /// The project id is none.
    ProjectId(ProjectIdError),
    /// There is no such project.
    ProjectMissing(ProjectId),
    /// There is such a project already.
    ProjectExists(ProjectId),
    /// No further project fits.
    ProjectsFull,
    /// One more project on disk needs more descriptors than the process may have.
    TooFewDescriptors(TooFewDescriptors),
    /// config.json has an edit that the server has not read.
    ConfigEdited,
    /// The key is none.
    Key(KeyError),
    /// The key of a body is no string.
    KeyNotText,
    /// There is no such key.
    KeyMissing,
    /// There is such a key already.
    KeyExists,
    /// The value is missing, or is none.
    Value(&'static str),
    /// The body or its value is no JSON.
    Json(JsonError),
    /// The body is JSON of another shape.
    Body(String),
    /// The settings are none.
    Settings(String),
    /// A write of a part of something.
    ContentRange,
    /// There is no body and no announcement of one.
    LengthRequired,
    /// The body is of a type that is not taken here.
    MediaType(String),
    /// The time to live is none.
    Ttl,
    /// A query parameter is unknown, doubled or without its value.
    Query(String),
    /// The page size is none.
    Limit,
    /// The cursor was not made here.
    Cursor,
    /// The cursor belongs to another prefix than the one beside it.
    CursorPrefix {
        /// The beginning of the prefix of the cursor.
        prefix: String,
    },
    /// A condition field is none, or does not belong here.
    Condition(&'static str),
    /// A condition does not hold; the entry as it is, `null` where the key is absent.
    Precondition {
        /// What was asked for and what is there.
        reason: String,
        /// E without its value, or `null`.
        current: String,
        /// The operation of a batch.
        index: Option<usize>,
    },
    /// An operation of a batch is none.
    Operation {
        index: usize,
        /// What is wrong with it.
        error: Box<ApiError>,
    },
    /// A batch has too many operations.
    BatchTooLong {
        /// How many.
        operations: usize,
    },
    /// A batch asks for more values than one answer may have.
    AnswerTooLarge {
        /// How many bytes they have together.
        bytes: u64,
        /// The bound, bytes.
        bytes_max: u64,
    },
    /// It has to do with an account.
    Account(AccountError),
    /// More requests than `item_api.rate_limit` lets through.
    RateLimited(RetryAfter),
    /// A page of another site sent the request.
    Forgery(Forgery),
    /// The request names a host that is not in `public_hosts`.
    HostUnknown { host: String },
    /// `item_api.project` names no project.
    ItemProjectMissing,
    /// The project cannot be asked.
    Storage(StorageError),
    /// The project's files could not be opened. The log has why: that is its operator's, and names paths.
    Unreadable,
    /// The project's files do not have all of its values, so they are not opened again. The log has why.
    ValuesUnsaved,
    /// Too much is waiting for a lane, or for bodies.
    Overloaded,
    /// Requests and answers under way hold as much memory as they may.
    MemoryFull {
        /// The bound, bytes.
        bytes_max: usize,
    },
    /// A client address has as many connections as it may have.
    TooManyConnections {
        /// The bound.
        max: usize,
    },
    /// Some projects do not take writes.
    NotReady {
        /// How many.
        projects: usize,
    },
    /// There is no room on the disk; nothing has changed.
    DiskFull,
    /// The disk failed; what for, without a path.
    Disk(&'static str),
    /// config.json could not be saved, so the change was not made; why, and what helps.
    ConfigNotSaved(&'static str),
    /// A bug. The log has more.
    Internal,
}

impl ApiError {
    /// This error as that of operation `index` of a batch, from 0.
    #[must_use]
    pub fn at(self, index: usize) -> ApiError {
        ApiError::Operation { index, error: Box::new(self) }
    }

    pub fn status(&self) -> u16 {
        self.status_and_code().0
    }

    fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            ApiError::Refused(refusal) => of_refusal(refusal),
            ApiError::Timeout(_) => (408, "request_timeout"),
            ApiError::Target(_) => (400, "invalid_target"),
            ApiError::MethodUnknown => (501, "not_implemented"),
            ApiError::MethodNotAllowed { .. } => (405, "method_not_allowed"),
            ApiError::RouteMissing => (404, "not_found"),
            ApiError::Denied(Denied::Missing | Denied::GlobalMissing | Denied::BasicIgnored) => {
                (401, "api_key_missing")
            }
            ApiError::Denied(Denied::Mistyped) => (401, "api_key_mistyped"),
            ApiError::Denied(
                Denied::Wrong | Denied::GlobalWrong | Denied::SchemeUnknown | Denied::BasicMalformed,
            ) => (401, "api_key_wrong"),
            ApiError::Denied(Denied::Conflict) => (400, "credentials_conflict"),
            ApiError::Denied(Denied::GlobalRequired) => (403, "global_key_required"),
            ApiError::ProjectId(_) => (400, "invalid_project_id"),
            ApiError::ProjectMissing(_) => (404, "project_not_found"),
            ApiError::ProjectExists(_) => (409, "project_exists"),
            ApiError::ProjectsFull => (409, "too_many_projects"),
            ApiError::TooFewDescriptors(_) => (507, "too_few_descriptors"),
            ApiError::ConfigEdited => (409, "config_edited"),
            ApiError::Key(_) | ApiError::KeyNotText => (400, "invalid_key"),
            ApiError::KeyMissing => (404, "key_not_found"),
            ApiError::KeyExists => (409, "key_exists"),
            ApiError::Value(_) => (400, "invalid_value"),
            ApiError::Account(error) => error.status_and_code(),
            ApiError::RateLimited(_) => (429, "rate_limited"),
            ApiError::Forgery(_) => (403, "cross_site_request"),
            ApiError::HostUnknown { .. } => (403, "host_not_allowed"),
            ApiError::ItemProjectMissing | ApiError::Storage(StorageError::Deleted(_)) => {
                (404, "project_not_found")
            }
            ApiError::Json(JsonError { kind: JsonErrorKind::TooDeep, .. }) => (400, "value_too_deep"),
            ApiError::Json(_) => (400, "invalid_json"),
            ApiError::Body(_) => (400, "invalid_body"),
            ApiError::Settings(_) => (400, "invalid_settings"),
            ApiError::ContentRange => (400, "content_range_not_supported"),
            ApiError::LengthRequired => (411, "length_required"),
            ApiError::MediaType(_) => (415, "unsupported_media_type"),
            ApiError::Ttl => (400, "invalid_ttl"),
            ApiError::Query(_) => (400, "invalid_query"),
            ApiError::Limit => (400, "invalid_limit"),
            ApiError::Cursor | ApiError::CursorPrefix { .. } => (400, "invalid_cursor"),
            ApiError::Condition(_) => (400, "invalid_condition"),
            ApiError::Precondition { .. } => (412, "precondition_failed"),
            ApiError::Operation { error, .. } => error.status_and_code(),
            ApiError::BatchTooLong { .. } | ApiError::AnswerTooLarge { .. } => (400, "invalid_batch"),
            ApiError::Storage(StorageError::Busy)
            | ApiError::Overloaded
            | ApiError::MemoryFull { .. }
            | ApiError::TooManyConnections { .. } => (503, "busy"),
            ApiError::Storage(_) | ApiError::Unreadable | ApiError::ValuesUnsaved => {
                (503, "project_unavailable")
            }
            ApiError::NotReady { .. } => (503, "not_ready"),
            ApiError::DiskFull => (507, "disk_full"),
            ApiError::Disk(_) | ApiError::ConfigNotSaved(_) => (500, "disk_error"),
            ApiError::Internal => (500, "internal_error"),
        }
    }

    /// What the client is told: what was wrong and what would be right.
    pub fn detail(&self) -> String {
        match self {
            ApiError::Refused(refusal) => refusal.to_string(),
            ApiError::Timeout(waiting) => late(*waiting),
            ApiError::Target(error) => error.to_string(),
            ApiError::MethodUnknown => METHOD_UNKNOWN.to_owned(),
            ApiError::MethodNotAllowed { allow } => format!("this path takes {allow}"),
            ApiError::RouteMissing => ROUTE_MISSING.to_owned(),
            ApiError::Denied(denied) => denied.to_string(),
            ApiError::ProjectId(error) => error.to_string(),
            ApiError::ProjectMissing(id) => {
                format!("there is no project `{id}`; POST /api/v1/projects makes one")
            }
            ApiError::ProjectExists(id) => format!("there is a project `{id}` already"),
            ApiError::ProjectsFull => format!("there are {PROJECTS_MAX} projects, and no more fit"),
            ApiError::TooFewDescriptors(error) => error.to_string(),
            ApiError::ConfigEdited => CONFIG_EDITED.to_owned(),
            ApiError::Key(error) => error.to_string(),
            ApiError::KeyNotText => "the key is not a string; send it in quotes".to_owned(),
            ApiError::KeyMissing => "there is no such key, or it has expired".to_owned(),
            ApiError::KeyExists => "there is such a key already; update it instead".to_owned(),
            ApiError::Value(problem) => (*problem).to_owned(),
            ApiError::Json(JsonError { kind: JsonErrorKind::TooDeep, .. }) => {
                format!("the JSON is nested more than {VALUE_DEPTH_MAX} levels deep")
            }
            ApiError::Json(error) => format!("The body is not JSON: {error}."),
            ApiError::Body(problem) | ApiError::Settings(problem) => problem.clone(),
            ApiError::Query(problem) | ApiError::MediaType(problem) => problem.clone(),
            ApiError::ContentRange => CONTENT_RANGE.to_owned(),
            ApiError::LengthRequired => LENGTH_REQUIRED.to_owned(),
            ApiError::Ttl => ttl_detail(),
            ApiError::Limit => limit_detail(),
            ApiError::Cursor => CURSOR.to_owned(),
            ApiError::CursorPrefix { prefix } => cursor_prefix_detail(prefix),
            ApiError::Condition(problem) => (*problem).to_owned(),
            ApiError::Precondition { reason, .. } => reason.clone(),
            ApiError::Operation { index, error } => format!("operation {index}: {}", error.detail()),
            ApiError::BatchTooLong { operations } => {
                format!("a batch has at most {BATCH_OPERATIONS_MAX} operations, this one has {operations}")
            }
            ApiError::AnswerTooLarge { bytes, bytes_max } => format!(
                "These values have at least {bytes} bytes together; the maximum is {bytes_max}. Ask for fewer keys, or \
                 read them in a batch without writes."
            ),
            ApiError::Account(error) => error.to_string(),
            ApiError::RateLimited(after) => {
                format!("too many requests from this address; try again in {} seconds", after.seconds)
            }
            ApiError::Forgery(forgery) => forgery.to_string(),
            ApiError::HostUnknown { host } => format!("Host is `{host}`; {HOST_ADVICE}"),
            ApiError::ItemProjectMissing => ITEM_PROJECT_MISSING.to_owned(),
            ApiError::Storage(error) => error.to_string(),
            ApiError::Unreadable => UNREADABLE.to_owned(),
            ApiError::ValuesUnsaved => VALUES_UNSAVED.to_owned(),
            ApiError::Overloaded => "the server has more to do than may wait; try again shortly".to_owned(),
            ApiError::MemoryFull { bytes_max } => memory_full(*bytes_max),
            ApiError::TooManyConnections { max } => too_many_connections(*max),
            ApiError::NotReady { projects } => not_ready(*projects),
            ApiError::DiskFull => DISK_FULL.to_owned(),
            ApiError::Disk(act) => format!("the server's disk failed while {act}; its log says more"),
            ApiError::ConfigNotSaved(why) => {
                format!("config.json was not saved; nothing was changed. {why}.")
            }
            ApiError::Internal => INTERNAL.to_owned(),
        }
    }

    /// The response that says so.
    pub fn response(&self) -> Response {
        let (status, code) = self.status_and_code();
        let response = Response::new(status).field("content-type", "application/problem+json");
        self.with_fields(response).body(self.body(status, code))
    }

    /// `response` with the fields that belong to its status.
    pub(super) fn with_fields(&self, response: Response) -> Response {
        match (self, response.status()) {
            (ApiError::MethodNotAllowed { allow }, _) => response.field("allow", allow),
            (ApiError::Account(AccountError::TooManyAttempts(refused)), _) => {
                response.field("retry-after", &refused.retry_after().seconds.to_string())
            }
            (
                ApiError::RateLimited(after) | ApiError::Account(AccountError::TooManyRegistrations(after)),
                _,
            ) => response.field("retry-after", &after.seconds.to_string()),
            // wget sends a password only if it is asked for one. A client that has sent a wrong key is not
            // asked: a browser would show its user a dialog in the middle of a page.
            (ApiError::Denied(Denied::Missing), 401) => {
                response.field("www-authenticate", BEARER).field("www-authenticate", "Basic realm=\"pikv\"")
            }
            (_, 401) => response.field("www-authenticate", BEARER),
            (_, 503) => response.field("retry-after", "1"),
            _ => response,
        }
    }

    fn body(&self, status: u16, code: &str) -> Vec<u8> {
        let mut body = b"{\"type\":\"about:blank\",\"title\":".to_vec();
        json::encode_string(reason_phrase(status), &mut body);
        body.extend_from_slice(b",\"status\":");
        json::encode_u64(u64::from(status), &mut body);
        body.extend_from_slice(b",\"detail\":");
        json::encode_string(&self.detail(), &mut body);
        body.extend_from_slice(b",\"code\":");
        json::encode_string(code, &mut body);
        if let ApiError::Precondition { index: Some(index), .. } | ApiError::Operation { index, .. } = self {
            body.extend_from_slice(b",\"index\":");
            json::encode_u64(*index as u64, &mut body);
        }
        if let ApiError::Precondition { current, .. } = self {
            body.extend_from_slice(b",\"current\":");
            body.extend_from_slice(current.as_bytes());
        }
        body.extend_from_slice(b"}\n");
        body
    }
}

fn of_refusal(refusal: &Refusal) -> (u16, &'static str) {
    match refusal {
        Refusal::Malformed(_) => (400, "invalid_request"),
        Refusal::TargetTooLong => (414, "target_too_long"),
        // 431, not 400: tells the client to shrink its fields (RFC 6585, section 5).
        Refusal::HeadTooLong { .. } | Refusal::FieldsTooMany => (431, "head_too_large"),
        Refusal::BodyTooLarge { .. } => (413, "body_too_large"),
        Refusal::MethodTooLong | Refusal::CodingUnknown => (501, "not_implemented"),
        Refusal::VersionUnsupported => (505, "http_version_not_supported"),
        Refusal::ExpectationUnknown => (417, "expectation_failed"),
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> ApiError {
        match error {
            ChangeError::Missing(id) => ApiError::ProjectMissing(id),
            ChangeError::Exists(id) => ApiError::ProjectExists(id),
            ChangeError::TooMany => ApiError::ProjectsFull,
            ChangeError::TooFewDescriptors(error) => ApiError::TooFewDescriptors(error),
            ChangeError::ConfigEdited => ApiError::ConfigEdited,
            ChangeError::FilesTaken { id, by } => {
                ApiError::Settings(format!("Project `{id}` would be stored in {by}. Choose another id."))
            }
            ChangeError::ValuesUnsaved => ApiError::ValuesUnsaved,
            ChangeError::Storage(error) => error.into(),
            ChangeError::Unreadable => ApiError::Unreadable,
            ChangeError::DiskFull => ApiError::DiskFull,
            ChangeError::Disk(act) => ApiError::Disk(act),
            ChangeError::ConfigNotSaved(why) => ApiError::ConfigNotSaved(why),
            ChangeError::Internal => ApiError::Internal,
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> ApiError {
        ApiError::Denied(denied)
    }
}

impl From<TargetError> for ApiError {
    fn from(error: TargetError) -> ApiError {
        ApiError::Target(error)
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> ApiError {
        ApiError::Key(error)
    }
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> ApiError {
        ApiError::Json(error)
    }
}

/// Of an operation that needs a key to exist, or not to exist.
impl From<Conflict> for ApiError {
    fn from(conflict: Conflict) -> ApiError {
        match conflict {
            Conflict::Condition { current: Some(_), .. } => ApiError::KeyExists,
            Conflict::Condition { current: None, .. } => ApiError::KeyMissing,
            // The account was deleted after its token was checked.
            Conflict::NotPresent => AccountError::Token.into(),
            Conflict::Full | Conflict::ReadTooLarge { .. } => ApiError::Internal,
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> ApiError {
        match error {
            StorageError::Full => ApiError::DiskFull,
            StorageError::Unread => ApiError::Disk("reading the value"),
            StorageError::Busy
            | StorageError::Failed
            | StorageError::Closed
            | StorageError::Deleted(_)
            | StorageError::Poisoned
            | StorageError::RevisionsUsedUp => ApiError::Storage(error),
        }
    }
}
