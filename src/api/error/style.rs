//! Errors in the forms of the compatibility APIs.

use super::{AccountError, ApiError};
use crate::api::json_body::json_response;
use crate::api::site::pages::{self, Viewer};
use crate::http::response::Response;
use crate::json;

/// The form of the failures of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `application/problem+json`: the core API, and paths of no API.
    Problem,
    /// `{"error"}`: `/item` and `/login`.
    Item,
    /// `{"error"}`, and `{"msg","error"}` without a valid token: `/api/object`.
    Object,
    /// `{"status","code","message"}`, or a page: `/api/register` to `/api/data`.
    Site,
}

/// The form of the failures of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    pub dialect: Dialect,
    /// The viewer of a page, which replaces JSON.
    pub viewer: Option<Viewer>,
    /// Whether the request is to write keys and nothing else.
    pub writes_keys: bool,
}

impl ApiError {
    pub fn response_in(&self, style: &Style) -> Response {
        if let Some(viewer) = &style.viewer {
            return self.with_fields(pages::problem(viewer, self.status(), &self.detail()));
        }
        let (status, text) = match style.dialect {
            Dialect::Problem => return self.problem(style.writes_keys),
            Dialect::Item => self.as_item(),
            Dialect::Object => self.as_object(),
            Dialect::Site => (self.status(), self.detail()),
        };
        let mut body = match style.dialect {
            Dialect::Object if status == 401 => {
                let mut body = b"{\"msg\":".to_vec();
                json::encode_string(&text, &mut body);
                body.extend_from_slice(b",\"error\":");
                body
            }
            Dialect::Site => {
                let mut body = b"{\"status\":\"error\",\"code\":".to_vec();
                json::encode_string(&self.site_code(), &mut body);
                body.extend_from_slice(b",\"message\":");
                body
            }
            Dialect::Problem | Dialect::Item | Dialect::Object => b"{\"error\":".to_vec(),
        };
        json::encode_string(&text, &mut body);
        if let (Dialect::Object, ApiError::Operation { index, .. }) = (style.dialect, self) {
            body.extend_from_slice(b",\"index\":");
            json::encode_u64(*index as u64, &mut body);
        }
        self.push_outcome(style.writes_keys, &mut body);
        body.extend_from_slice(b"}\n");
        self.with_fields(json_response(status, body))
    }

    /// Missing and wrong credentials look the same, as in the original service.
    fn as_item(&self) -> (u16, String) {
        let (status, text) = if let ApiError::Denied(_) | ApiError::Account(AccountError::Token) = self {
            (403, "Unauthorized")
        } else if let ApiError::Account(AccountError::Credentials) = self {
            (401, "Invalid credentials")
        } else if let ApiError::KeyExists = self {
            (400, "Item already exists")
        } else if let ApiError::KeyMissing = self {
            (404, "Item not found")
        } else {
            return (self.status(), self.detail());
        };
        (status, text.to_owned())
    }

    fn as_object(&self) -> (u16, String) {
        let text = if let ApiError::KeyExists = self {
            "Key already exists".to_owned()
        } else if let ApiError::KeyMissing = self {
            "Key not found or expired".to_owned()
        } else {
            self.detail()
        };
        (self.status(), text)
    }

    /// The code in capitals. All requests that this API cannot parse have one code.
    fn site_code(&self) -> String {
        let code = match self.status_and_code().1 {
            "invalid_json" | "invalid_body" => "invalid_request",
            "value_too_deep" => "invalid_value",
            code => code,
        };
        code.to_ascii_uppercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ProjectId;
    use crate::store::error::StorageError;

    #[test]
    fn every_form_names_the_error() {
        let check = |error: &ApiError, dialect, status: u16, body: &str| {
            let response = error.response_in(&Style { dialect, viewer: None, writes_keys: true });
            assert_eq!(
                (response.status(), String::from_utf8_lossy(response.body_bytes()).trim_end()),
                (status, body)
            );
        };
        check(&ApiError::KeyExists, Dialect::Item, 400, "{\"error\":\"Item already exists\"}");
        check(&ApiError::Account(AccountError::Token), Dialect::Item, 403, "{\"error\":\"Unauthorized\"}");
        check(&ApiError::KeyExists, Dialect::Object, 409, "{\"error\":\"Key already exists\"}");
        let message = ApiError::Account(AccountError::Token).detail();
        let both = format!("{{\"msg\":\"{message}\",\"error\":\"{message}\"}}");
        check(&ApiError::Account(AccountError::Token), Dialect::Object, 401, &both);
        let message = ApiError::KeyMissing.detail();
        let data = format!("{{\"status\":\"error\",\"code\":\"KEY_NOT_FOUND\",\"message\":\"{message}\"}}");
        check(&ApiError::KeyMissing, Dialect::Site, 404, &data);
    }

    #[test]
    fn a_failure_of_a_cell_has_a_code_and_states_what_it_changed() {
        let reason = || "127.0.0.1:2379: refused".to_owned();
        for (error, status, code, outcome) in [
            (StorageError::Unreachable { reason: reason() }, 503, "storage_unreachable", "not_applied"),
            (StorageError::Unconfirmed { reason: reason() }, 503, "write_unconfirmed", "unknown"),
            (StorageError::Refused { reason: reason() }, 503, "project_unavailable", "not_applied"),
            (StorageError::Stale(ProjectId::parse("p").unwrap()), 503, "project_changed", "not_applied"),
            (StorageError::Contended, 503, "write_contended", "not_applied"),
            (StorageError::CellFull, 507, "storage_full", "not_applied"),
            (StorageError::TooLarge, 413, "too_large_for_storage", "not_applied"),
            (StorageError::TooManyOperations, 400, "too_many_operations", "not_applied"),
            (StorageError::PartlyCleared { removed: 9, reason: reason() }, 503, "partly_deleted", "partial"),
        ] {
            let error = ApiError::Storage(error);
            let fields = error.with_fields(Response::new(status));
            assert_eq!(fields == Response::new(status).field("retry-after", "1"), status == 503);
            for dialect in [Dialect::Problem, Dialect::Item, Dialect::Object, Dialect::Site] {
                for writes_keys in [true, false] {
                    let response = error.response_in(&Style { dialect, viewer: None, writes_keys });
                    let body: serde_json::Value = serde_json::from_slice(response.body_bytes()).unwrap();
                    let context = format!("{dialect:?} {body}");
                    assert_eq!(response.status(), status, "{context}");
                    assert!(!body.to_string().contains("127.0.0.1"), "{context}");
                    // A read changes nothing, and only these two can be of no read.
                    let is_stated = writes_keys || outcome != "not_applied";
                    assert_eq!(body["outcome"].as_str(), is_stated.then_some(outcome), "{context}");
                    match dialect {
                        Dialect::Problem => assert_eq!(body["code"], code),
                        Dialect::Site => assert_eq!(body["code"], code.to_ascii_uppercase()),
                        Dialect::Item | Dialect::Object => assert_eq!(body["error"], error.detail()),
                    }
                }
            }
        }
    }

    #[test]
    fn a_failure_of_a_disk_states_no_outcome() {
        for error in [StorageError::Busy, StorageError::Full, StorageError::Failed, StorageError::Unread] {
            let style = Style { dialect: Dialect::Problem, viewer: None, writes_keys: true };
            let response = ApiError::Storage(error).response_in(&style);
            let body: serde_json::Value = serde_json::from_slice(response.body_bytes()).unwrap();
            assert!(body.get("outcome").is_none(), "{body}");
        }
    }
}
