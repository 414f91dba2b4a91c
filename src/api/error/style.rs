//! How the seed APIs say that something failed: the same errors, in the forms that their clients know.

use super::{AccountError, ApiError};
use crate::api::json_body::json_response;
use crate::api::site::pages::{self, PageChrome, Viewer};
use crate::http::response::Response;
use crate::json;

/// The form of an API's failures, as its routes have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `application/problem+json`: the core API, and whatever belongs to none.
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
pub enum Style {
    /// `application/problem+json`: the core API, and whatever belongs to none.
    Problem,
    /// `{"error"}`: `/item` and `/login` (seed 002).
    Item,
    /// `{"error"}`, and `{"msg","error"}` without a valid token: `/api/object` (seed 001).
    Object,
    /// `{"status","code","message"}`: `/api/register` to `/api/data` (seeds 000 and 003).
    Data,
    /// A page: the same for a browser.
    Page(Viewer),
}

impl ApiError {
    /// The response that says so in the form of an API.
    pub fn response_in(&self, style: &Style) -> Response {
        let (status, text) = match style {
            Style::Problem => return self.response(),
            Style::Page(viewer) => {
                let chrome = PageChrome {
                    signed_in_as: viewer.signed_in_as.as_deref(),
                    auth_links: viewer.auth_links,
                };
                let page = pages::problem(&chrome, self.status(), &self.detail());
                return self.with_fields(page);
            }
            Style::Item => self.as_item(),
            Style::Object => self.as_object(),
            Style::Data => (self.status(), self.detail()),
        };
        let mut body = match style {
            Style::Object if status == 401 => {
                let mut body = b"{\"msg\":".to_vec();
                json::encode_string(&text, &mut body);
                body.extend_from_slice(b",\"error\":");
                body
            }
            Style::Data => {
                let mut body = b"{\"status\":\"error\",\"code\":".to_vec();
                json::encode_string(&self.data_code(), &mut body);
                body.extend_from_slice(b",\"message\":");
                body
            }
            Style::Problem | Style::Item | Style::Object | Style::Page(_) => b"{\"error\":".to_vec(),
        };
        json::encode_string(&text, &mut body);
        if let (Style::Object, ApiError::Operation { index, .. }) = (style, self) {
            body.extend_from_slice(b",\"index\":");
            json::encode_u64(*index as u64, &mut body);
        }
        body.extend_from_slice(b"}\n");
        self.with_fields(json_response(status, body))
    }

    /// Missing and wrong credentials look the same, as the seed has it.
    fn as_item(&self) -> (u16, String) {
        let of_seed = |status, text: &str| (status, text.to_owned());
        if let ApiError::Denied(_) | ApiError::Account(AccountError::Token) = self {
            of_seed(403, "Unauthorized")
        } else if let ApiError::Account(AccountError::Credentials) = self {
            of_seed(401, "Invalid credentials")
        } else if let ApiError::KeyExists = self {
            of_seed(400, "Item already exists")
        } else if let ApiError::KeyMissing = self {
            of_seed(404, "Item not found")
        } else {
            (self.status(), self.detail())
        }
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

    /// The code in capitals. What is no request of this API at all has one code.
    fn data_code(&self) -> String {
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

    #[test]
    fn every_form_names_the_error() {
        let check = |error: &ApiError, style: Style, status: u16, body: &str| {
            let response = error.response_in(&style);
            assert_eq!(
                (response.status(), String::from_utf8_lossy(response.body_bytes()).trim_end()),
                (status, body)
            );
        };
        check(&ApiError::KeyExists, Style::Item, 400, "{\"error\":\"Item already exists\"}");
        check(&ApiError::Account(AccountError::Token), Style::Item, 403, "{\"error\":\"Unauthorized\"}");
        check(&ApiError::KeyExists, Style::Object, 409, "{\"error\":\"Key already exists\"}");
        let message = ApiError::Account(AccountError::Token).detail();
        let both = format!("{{\"msg\":\"{message}\",\"error\":\"{message}\"}}");
        check(&ApiError::Account(AccountError::Token), Style::Object, 401, &both);
        let message = ApiError::KeyMissing.detail();
        let data = format!("{{\"status\":\"error\",\"code\":\"KEY_NOT_FOUND\",\"message\":\"{message}\"}}");
        check(&ApiError::KeyMissing, Style::Data, 404, &data);
    }
}
