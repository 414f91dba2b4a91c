//! Every failure as the client sees it: the only map from errors to statuses and codes.
//!
//! The body is `application/problem+json` (RFC 9457), or what the compatibility APIs have instead
//! (`style.rs`). `code` is stable; `detail` states what is wrong and how to fix it, and never
//! contains a key, a value or a path of the server.

pub(crate) mod account;
mod storage;
pub(crate) mod style;
mod texts;

pub(crate) use account::AccountError;
pub(crate) use texts::shown;

use crate::auth::access::Denied;
use crate::auth::rate_limit::RetryAfter;
use crate::catalog::ChangeError;
use crate::digits::grouped;
use crate::http::exchange::Waiting;
use crate::http::refusal::Refusal;
use crate::http::request::Method;
use crate::http::response::{Response, reason_phrase};
use crate::http::target::TargetError;
use crate::json::{self, JsonError, JsonErrorKind};
use crate::limits::VALUE_DEPTH_MAX;
use crate::names::{KeyError, ProjectId, ProjectIdError};
use crate::store::decide::Conflict;
use crate::store::error::StorageError;
use std::borrow::Cow;
use texts::late;

/// The challenge for clients without a credential.
const BEARER: &str = "Bearer realm=\"pikv\"";

/// Why a request failed.
#[derive(Debug)]
pub enum ApiError {
    /// The bytes that arrived are not a valid request.
    Refused(Refusal),
    /// The head or body did not arrive in time.
    Timeout(Waiting),
    MethodNotAllowed {
        /// The method of the request.
        method: &'static str,
        /// The `Allow` field.
        allow: String,
    },
    RouteMissing,
    Denied(Denied),
    KeyMissing,
    KeyExists,
    /// A part of the request is not valid. The text states why, and how to fix it.
    Invalid(Part, Cow<'static, str>),
    /// A condition does not hold.
    Precondition {
        /// The condition and the current state.
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
    Account(AccountError),
    /// By `item_api.rate_limit`.
    RateLimited(RetryAfter),
    /// Of a request that creates nothing in the project. Others get [`ChangeError::Missing`], with how to create it.
    ProjectMissing(ProjectId),
    /// `item_api.project` does not name a project.
    ItemProjectMissing,
    Storage(StorageError),
    /// A project was not created, changed or deleted, or its files cannot be used.
    Change(ChangeError),
    /// A queue is full.
    Overloaded,
    /// Pending requests and responses use all the memory that they may.
    MemoryFull {
        bytes_max: usize,
    },
    /// Of one client address.
    TooManyConnections {
        max: usize,
    },
    /// This many projects are not writable, the accounts counted as one.
    NotReady {
        projects: usize,
    },
    /// The cell of this name, which every request needs.
    CellNotReady {
        cell: String,
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
    Host,
    Json,
    JsonDepth,
    Key,
    Limit,
    MediaType,
    Method,
    ProjectId,
    Query,
    Settings,
    /// The site that sent it.
    Site,
    Target,
    Ttl,
    Value,
}

impl Part {
    /// It is not valid; `detail` states why, and how to fix it.
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
            Part::Host => (403, "host_not_allowed"),
            Part::Json => (400, "invalid_json"),
            Part::JsonDepth => (400, "value_too_deep"),
            Part::Key => (400, "invalid_key"),
            Part::Limit => (400, "invalid_limit"),
            Part::MediaType => (415, "unsupported_media_type"),
            Part::Method => (501, "not_implemented"),
            Part::ProjectId => (400, "invalid_project_id"),
            Part::Query => (400, "invalid_query"),
            Part::Settings => (400, "invalid_settings"),
            Part::Site => (403, "cross_site_request"),
            Part::Target => (400, "invalid_target"),
            Part::Ttl => (400, "invalid_ttl"),
            Part::Value => (400, "invalid_value"),
        }
    }
}

impl ApiError {
    /// This error for a request with `method`: only one that may create something is told to create the project.
    #[must_use]
    pub(crate) fn for_method(self, method: Method) -> ApiError {
        let creates = matches!(method, Method::Post | Method::Put);
        if let (ApiError::Change(ChangeError::Missing(id)), false) = (&self, creates) {
            return ApiError::ProjectMissing(id.clone());
        }
        self
    }

    /// This error as that of operation `index` of a batch, from 0.
    #[must_use]
    pub fn at(self, index: usize) -> ApiError {
        ApiError::Operation { index, error: Box::new(self) }
    }

    /// The project of which the request had an old copy. It did nothing then.
    pub(super) fn stale_project(&self) -> Option<&ProjectId> {
        if let ApiError::Operation { error, .. } = self {
            return error.stale_project();
        }
        let (ApiError::Storage(error) | ApiError::Change(ChangeError::Storage(error))) = self else {
            return None;
        };
        if let StorageError::Stale(id) = error { Some(id) } else { None }
    }

    /// Whether an old copy of the catalog may be the reason for it.
    pub(super) fn may_be_outdated(&self) -> bool {
        let ApiError::Denied(denied) = self else {
            let missing = matches!(self, ApiError::ProjectMissing(_) | ApiError::ItemProjectMissing);
            return missing || matches!(self, ApiError::Change(ChangeError::Missing(_)));
        };
        match denied {
            Denied::Missing | Denied::Wrong | Denied::GlobalRequired | Denied::GlobalMissing => true,
            Denied::GlobalWrong | Denied::BasicIgnored => true,
            Denied::Mistyped | Denied::Conflict | Denied::SchemeUnknown | Denied::BasicMalformed => false,
        }
    }

    pub fn status(&self) -> u16 {
        self.status_and_code().0
    }

    fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            ApiError::Refused(refusal) => of_refusal(refusal),
            ApiError::Timeout(_) => (408, "request_timeout"),
            ApiError::MethodNotAllowed { .. } => (405, "method_not_allowed"),
            ApiError::RouteMissing => (404, "not_found"),
            ApiError::Denied(denied) => of_denied(*denied),
            ApiError::KeyMissing => (404, "key_not_found"),
            ApiError::KeyExists => (409, "key_exists"),
            ApiError::Invalid(part, _) => part.status_and_code(),
            ApiError::Precondition { .. } => (412, "precondition_failed"),
            ApiError::Operation { error, .. } => error.status_and_code(),
            ApiError::Account(error) => error.status_and_code(),
            ApiError::RateLimited(_) => (429, "rate_limited"),
            ApiError::ProjectMissing(_) | ApiError::ItemProjectMissing => (404, "project_not_found"),
            ApiError::Storage(error) => storage::status_and_code(error),
            ApiError::Change(error) => of_change(error),
            ApiError::Overloaded | ApiError::MemoryFull { .. } | ApiError::TooManyConnections { .. } => {
                (503, "busy")
            }
            ApiError::NotReady { .. } | ApiError::CellNotReady { .. } => (503, "not_ready"),
            ApiError::Internal => (500, "internal_error"),
        }
    }

    /// What is wrong and how to fix it, for the client.
    pub fn detail(&self) -> String {
        match self {
            ApiError::Refused(refusal) => refusal.to_string(),
            ApiError::Timeout(waiting) => late(*waiting),
            ApiError::MethodNotAllowed { method, allow } => {
                format!("This path does not support {method}. Use one of {allow}.")
            }
            ApiError::RouteMissing => {
                "This path does not exist. Keys are at /api/v1/projects/{id}/keys/{key}, the health check is at \
                 /healthz, and docs/HTTP-API.md describes all paths."
                    .to_owned()
            }
            ApiError::Denied(denied) => denied.to_string(),
            ApiError::KeyMissing => "The key does not exist, or it has expired.".to_owned(),
            ApiError::KeyExists => "The key exists already. Update it instead.".to_owned(),
            ApiError::Invalid(_, detail) => detail.clone().into_owned(),
            ApiError::Precondition { reason, .. } => reason.clone(),
            ApiError::Operation { index, error } => format!("The operation at index {index} (counted from 0) failed: {}", error.detail()),
            ApiError::Account(error) => error.to_string(),
            ApiError::RateLimited(after) => {
                format!("Too many requests from this address. Try again in {} seconds.", after.seconds)
            }
            ApiError::ProjectMissing(id) => {
                format!("Project `{id}` does not exist. `GET /api/v1/projects` lists the projects.")
            }
            ApiError::ItemProjectMissing => {
                "item_api.project in config.json does not name a project of this server. Set it to an existing \
                 project (`pikv config set item_api.project ID`) and try again."
                    .to_owned()
            }
            ApiError::Storage(error) => storage::detail(error),
            ApiError::Change(error) => error.to_string(),
            ApiError::Overloaded => "The server is overloaded. Try again shortly.".to_owned(),
            ApiError::MemoryFull { bytes_max } => format!(
                "Pending requests and responses use all the memory that they may; the maximum is {} bytes \
                 (limits.memory_bytes_max). Try again shortly.",
                grouped(bytes_max)
            ),
            ApiError::TooManyConnections { max } => format!(
                "Your address has {} connections to this server, which is the maximum \
                 (limits.connections_per_address_max). Close one, then try again.",
                grouped(max)
            ),
            ApiError::NotReady { projects } => {
                format!(
                    "Not writable: {} (projects, or the accounts). The server's log has the names, the reasons and \
                     the fix.",
                    grouped(projects)
                )
            }
            ApiError::CellNotReady { cell } => {
                format!("The etcd cell `{cell}` is not ready. The server's log has the reason and the fix.")
            }
            ApiError::Internal => ChangeError::Internal.to_string(),
        }
    }

    /// The answer to bytes that are not a request, and to a connection that is refused.
    pub fn response(&self) -> Response {
        self.problem(false)
    }

    /// The answer in the form of the core API. `writes_keys` is whether the request was to do nothing but that.
    pub(super) fn problem(&self, writes_keys: bool) -> Response {
        let (status, code) = self.status_and_code();
        let response = Response::new(status).field("content-type", "application/problem+json");
        self.with_fields(response).body(self.body(status, code, writes_keys))
    }

    /// Appends the member `outcome`, if it is known what a write that failed has changed.
    pub(super) fn push_outcome(&self, writes_keys: bool, body: &mut Vec<u8>) {
        let ApiError::Storage(error) = self else { return };
        if let Some(outcome) = storage::outcome(error, writes_keys) {
            body.extend_from_slice(b",\"outcome\":");
            json::encode_string(outcome.name(), body);
        }
    }

    /// `response` with the fields that belong to its status.
    pub(super) fn with_fields(&self, response: Response) -> Response {
        match (self, response.status()) {
            (ApiError::MethodNotAllowed { allow, .. }, _) => response.field("allow", allow),
            (ApiError::Account(AccountError::TooManyAttempts(refused)), _) => {
                response.field("retry-after", &refused.retry_after().seconds.to_string())
            }
            (
                ApiError::RateLimited(after) | ApiError::Account(AccountError::TooManyRegistrations(after)),
                _,
            ) => response.field("retry-after", &after.seconds.to_string()),
            // wget sends a password only after a challenge. A client that sent a wrong key gets none, because a
            // browser would open a dialog in the middle of a page.
            (ApiError::Denied(Denied::Missing), 401) => {
                response.field("www-authenticate", BEARER).field("www-authenticate", "Basic realm=\"pikv\"")
            }
            (_, 401) => response.field("www-authenticate", BEARER),
            (_, 503) => response.field("retry-after", "1"),
            _ => response,
        }
    }

    fn body(&self, status: u16, code: &str, writes_keys: bool) -> Vec<u8> {
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
        self.push_outcome(writes_keys, &mut body);
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

fn of_change(error: &ChangeError) -> (u16, &'static str) {
    match error {
        ChangeError::Missing(_) => (404, "project_not_found"),
        ChangeError::Exists(_) => (409, "project_exists"),
        ChangeError::TooMany => (409, "too_many_projects"),
        ChangeError::TooFewDescriptors(_) => (507, "too_few_descriptors"),
        ChangeError::ConfigEdited => (409, "config_edited"),
        ChangeError::NoCells | ChangeError::CellMissing { .. } => Part::Settings.status_and_code(),
        ChangeError::FilesTaken { .. } => Part::Settings.status_and_code(),
        ChangeError::ValuesUnsaved | ChangeError::Unreadable => (503, "project_unavailable"),
        ChangeError::Storage(error) => storage::status_and_code(error),
        ChangeError::Disk(_) | ChangeError::ConfigNotSaved(_) => (500, "disk_error"),
        ChangeError::ConfigLocked(_) => (503, "busy"),
        ChangeError::Internal => (500, "internal_error"),
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> ApiError {
        if let ChangeError::Storage(error) = error { error.into() } else { ApiError::Change(error) }
    }
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> ApiError {
        if error.kind == JsonErrorKind::TooDeep {
            return Part::JsonDepth.invalid(format!(
                "The JSON has more than {VALUE_DEPTH_MAX} levels of arrays and objects, which is the maximum. Nest it less \
                 deeply, or store it as a string."
            ));
        }
        if error.kind == JsonErrorKind::Empty {
            let text = "The body is empty; send a JSON value, for example \"hello\" (with its quotes).";
            return Part::Json.invalid(text);
        }
        Part::Json.invalid(format!("The body is not JSON: {error}."))
    }
}

macro_rules! from {
    ($($error:ty => $variant:expr),+ $(,)?) => {
        $(impl From<$error> for ApiError {
            fn from(error: $error) -> ApiError {
                $variant(error)
            }
        })+
    };
}

from! {
    AccountError => ApiError::Account,
    Denied => ApiError::Denied,
    KeyError => |error: KeyError| Part::Key.invalid(error.to_string()),
    ProjectIdError => |error: ProjectIdError| Part::ProjectId.invalid(error.to_string()),
    StorageError => ApiError::Storage,
    TargetError => |error: TargetError| Part::Target.invalid(error.to_string()),
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
