//! Cross-origin requests of scripts in browsers (the Fetch standard, section 3.2): refused, unless
//! `cors.origins` has exactly the origin.
//!
//! Never with cookies: a page of another origin must send an API key or a token.

use crate::catalog::Registry;
use crate::http::request::{Head, Method};
use crate::http::response::Response;

const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";
/// The fields that scripts may send.
const FIELDS_SENT: &str = "authorization, x-api-key, api-key, content-type, if-match, if-none-match";
/// The fields of a response that scripts may read.
const FIELDS_READ: &str = "etag, location, retry-after, allow, x-request-id";
/// How long a browser may cache a permission, seconds.
const REMEMBERED_SECONDS: &str = "600";

/// Whether scripts of other origins may read the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// No origin is configured.
    Nothing,
    /// The request is not from a configured origin.
    Varies,
    /// For scripts of this origin.
    Granted(String),
}

impl Permission {
    pub fn of(head: &Head<'_>, registry: &Registry) -> Permission {
        if registry.cors_origins.is_empty() {
            return Permission::Nothing;
        }
        let mut sent = head.fields("origin");
        let (Some(origin), None) = (sent.next(), sent.next()) else { return Permission::Varies };
        let known = registry.cors_origins.iter().find(|known| known.as_str().as_bytes() == origin);
        known.map_or(Permission::Varies, |known| Permission::Granted(known.as_str().to_owned()))
    }

    /// The fields for the response.
    pub fn fields(&self) -> Vec<(&'static str, &str)> {
        match self {
            Permission::Nothing => Vec::new(),
            Permission::Varies => vec![("vary", "origin")],
            Permission::Granted(origin) => vec![
                ("vary", "origin"),
                ("access-control-allow-origin", origin),
                ("access-control-expose-headers", FIELDS_READ),
            ],
        }
    }
}

/// Adds the fields to the response to an OPTIONS that a browser needs before it sends a request of a script.
pub(crate) fn preflight(head: &Head<'_>, permission: &Permission, response: Response) -> Response {
    let is_asked = head.method == Method::Options
        && head.fields("access-control-request-method").next().is_some()
        && matches!(permission, Permission::Granted(_));
    if !is_asked {
        return response;
    }
    response
        .field("access-control-allow-methods", METHODS)
        .field("access-control-allow-headers", FIELDS_SENT)
        .field("access-control-max-age", REMEMBERED_SECONDS)
}
