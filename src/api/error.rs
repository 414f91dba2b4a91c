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
use crate::http::exchange::Waiting;
use crate::http::refusal::Refusal;
use crate::http::response::{Response, reason_phrase};
use crate::http::target::TargetError;
use crate::json::{self, JsonError, JsonErrorKind};
use crate::limits::VALUE_DEPTH_MAX;
use crate::names::{KeyError, ProjectIdError};
use crate::store::decide::Conflict;
use crate::store::error::StorageError;
use std::borrow::Cow;
use texts::{
    DISK_FULL, HOST_ADVICE, INTERNAL, ITEM_PROJECT_MISSING, METHOD_UNKNOWN, ROUTE_MISSING, late, memory_full,
    not_ready, too_many_connections,
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
    Target(TargetError),
    /// No path has the method.
    MethodUnknown,
    MethodNotAllowed {
        /// The `Allow` field.
        allow: String,
    },
    RouteMissing,
    Denied(Denied),
    ProjectId(ProjectIdError),
    Key(KeyError),
    KeyMissing,
    KeyExists,
    Json(JsonError),
    /// Another part of the request is not valid. The text states why, and what is right.
    Invalid(Part, Cow<'static, str>),
    /// A condition does not hold.
    Precondition {
        /// What was asked for and what is there.
        reason: String,
        /// The entry object without its value, or `null`.
        current: String,
        /// The operation of a batch.
        index: Option<usize>,
    },
    /// An operation of a batch failed.
    Operation {
        index: usize,
        error: Box<ApiError>,
    },
    /// A batch asks for more values than one answer may have.
    AnswerTooLarge {
        bytes: u64,
        bytes_max: u64,
    },
    Account(AccountError),
    /// More requests than `item_api.rate_limit` lets through.
    RateLimited(RetryAfter),
    /// A page of another site sent the request.
    Forgery(Forgery),
    /// The request names a host that is not in `public_hosts`.
    HostUnknown {
        host: String,
    },
    /// `item_api.project` names no project.
    ItemProjectMissing,
    Storage(StorageError),
    /// A project was not created, changed or deleted, or its files cannot be used.
    Change(ChangeError),
    /// Too much is waiting for a lane, or for bodies.
    Overloaded,
    /// Requests and answers under way hold as much memory as they may.
    MemoryFull {
        bytes_max: usize,
    },
    /// A client address has as many connections as it may have.
    TooManyConnections {
        max: usize,
    },
    /// So many projects do not take writes.
    NotReady {
        projects: usize,
    },
    /// A bug. The log has more.
    Internal,
}

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Batch,
    Body,
    BodyLength,
    Condition,
    ContentRange,
    Cursor,
    Key,
    Limit,
    MediaType,
    Query,
    Settings,
    Ttl,
    Value,
}

impl Part {
    /// It is not valid; `detail` states why, and what is right.
    pub fn invalid(self, detail: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::Invalid(self, detail.into())
    }

    fn status_and_code(self) -> (u16, &'static str) {
        match self {
            Part::Batch => (400, "invalid_batch"),
            Part::Body => (400, "invalid_body"),
            Part::BodyLength => (411, "length_required"),
            Part::Condition => (400, "invalid_condition"),
            Part::ContentRange => (400, "content_range_not_supported"),
            Part::Cursor => (400, "invalid_cursor"),
            Part::Key => (400, "invalid_key"),
            Part::Limit => (400, "invalid_limit"),
            Part::MediaType => (415, "unsupported_media_type"),
            Part::Query => (400, "invalid_query"),
            Part::Settings => (400, "invalid_settings"),
            Part::Ttl => (400, "invalid_ttl"),
            Part::Value => (400, "invalid_value"),
        }
    }
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
            ApiError::Denied(denied) => of_denied(*denied),
            ApiError::ProjectId(_) => (400, "invalid_project_id"),
            ApiError::Key(_) => Part::Key.status_and_code(),
            ApiError::KeyMissing => (404, "key_not_found"),
            ApiError::KeyExists => (409, "key_exists"),
            ApiError::Json(JsonError { kind: JsonErrorKind::TooDeep, .. }) => (400, "value_too_deep"),
            ApiError::Json(_) => (400, "invalid_json"),
            ApiError::Invalid(part, _) => part.status_and_code(),
            ApiError::Precondition { .. } => (412, "precondition_failed"),
            ApiError::Operation { error, .. } => error.status_and_code(),
            ApiError::AnswerTooLarge { .. } => Part::Batch.status_and_code(),
            ApiError::Account(error) => error.status_and_code(),
            ApiError::RateLimited(_) => (429, "rate_limited"),
            ApiError::Forgery(_) => (403, "cross_site_request"),
            ApiError::HostUnknown { .. } => (403, "host_not_allowed"),
            ApiError::ItemProjectMissing => (404, "project_not_found"),
            ApiError::Storage(error) => of_storage(error),
            ApiError::Change(error) => of_change(error),
            ApiError::Overloaded | ApiError::MemoryFull { .. } | ApiError::TooManyConnections { .. } => {
                (503, "busy")
            }
            ApiError::NotReady { .. } => (503, "not_ready"),
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
            ApiError::Key(error) => error.to_string(),
            ApiError::KeyMissing => "there is no such key, or it has expired".to_owned(),
            ApiError::KeyExists => "there is such a key already; update it instead".to_owned(),
            ApiError::Json(JsonError { kind: JsonErrorKind::TooDeep, .. }) => {
                format!("the JSON is nested more than {VALUE_DEPTH_MAX} levels deep")
            }
            ApiError::Json(error) => format!("The body is not JSON: {error}."),
            ApiError::Invalid(_, detail) => detail.clone().into_owned(),
            ApiError::Precondition { reason, .. } => reason.clone(),
            ApiError::Operation { index, error } => format!("operation {index}: {}", error.detail()),
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
            ApiError::Storage(StorageError::Full) => DISK_FULL.to_owned(),
            ApiError::Storage(StorageError::Unread) => ChangeError::Disk("reading the value").to_string(),
            ApiError::Storage(error) => error.to_string(),
            ApiError::Change(error) => error.to_string(),
            ApiError::Overloaded => "the server has more to do than may wait; try again shortly".to_owned(),
            ApiError::MemoryFull { bytes_max } => memory_full(*bytes_max),
            ApiError::TooManyConnections { max } => too_many_connections(*max),
            ApiError::NotReady { projects } => not_ready(*projects),
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

fn of_denied(denied: Denied) -> (u16, &'static str) {
    match denied {
        Denied::Missing | Denied::GlobalMissing | Denied::BasicIgnored => (401, "api_key_missing"),
        Denied::Mistyped => (401, "api_key_mistyped"),
        Denied::Wrong | Denied::GlobalWrong | Denied::SchemeUnknown | Denied::BasicMalformed => {
            (401, "api_key_wrong")
        }
        Denied::Conflict => (400, "credentials_conflict"),
        Denied::GlobalRequired => (403, "global_key_required"),
    }
}

fn of_storage(error: &StorageError) -> (u16, &'static str) {
    match error {
        StorageError::Busy => (503, "busy"),
        StorageError::Deleted(_) => (404, "project_not_found"),
        StorageError::Full => (507, "disk_full"),
        StorageError::Unread => (500, "disk_error"),
        StorageError::Failed
        | StorageError::Closed
        | StorageError::Poisoned
        | StorageError::RevisionsUsedUp
        | StorageError::Unreachable { .. }
        | StorageError::Unconfirmed { .. } => (503, "project_unavailable"),
        StorageError::TooLarge { .. } => (413, "body_too_large"),
    }
}

fn of_change(error: &ChangeError) -> (u16, &'static str) {
    match error {
        ChangeError::Missing(_) => (404, "project_not_found"),
        ChangeError::Exists(_) => (409, "project_exists"),
        ChangeError::TooMany => (409, "too_many_projects"),
        ChangeError::TooFewDescriptors(_) => (507, "too_few_descriptors"),
        ChangeError::ConfigEdited => (409, "config_edited"),
        ChangeError::FilesTaken { .. } => Part::Settings.status_and_code(),
        ChangeError::ValuesUnsaved | ChangeError::Unreadable => (503, "project_unavailable"),
        ChangeError::Storage(error) => of_storage(error),
        ChangeError::Disk(_) | ChangeError::ConfigNotSaved(_) => (500, "disk_error"),
        ChangeError::Internal => (500, "internal_error"),
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> ApiError {
        if let ChangeError::Storage(error) = error { error.into() } else { ApiError::Change(error) }
    }
}

/// Errors that a variant has as they are.
macro_rules! from_own_variant {
    ($($error:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$error> for ApiError {
            fn from(error: $error) -> ApiError {
                ApiError::$variant(error)
            }
        })+
    };
}

from_own_variant! {
    AccountError => Account,
    Denied => Denied,
    JsonError => Json,
    KeyError => Key,
    ProjectIdError => ProjectId,
    StorageError => Storage,
    TargetError => Target,
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
