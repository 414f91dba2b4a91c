//! Whether a request sends JSON or a form, and gets JSON or a page.

use super::accept::Accept;
use crate::auth::credential;
use crate::http::request::Head;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    /// Also without a body.
    Json,
    Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    Json,
    Page,
}

/// The response is a page for a form, or for a client that prefers HTML. A program that sends a key or a token gets
/// JSON. A proxy in front may require Basic from a browser, so Basic decides only if `Accept` does not. A `body` that
/// has not arrived yet does not count as a form.
pub(crate) fn response_format(head: &Head<'_>, body: Option<&[u8]>) -> ResponseFormat {
    if credential::is_from_program(head) {
        return ResponseFormat::Json;
    }
    let accept = Accept::of(head);
    let has_basic = head.fields("authorization").next().is_some();
    let is_form = body.is_some_and(|body| body_format(head, body) == BodyFormat::Form);
    if accept.prefers_html() || (is_form && !has_basic && !accept.names_json()) {
        ResponseFormat::Page
    } else {
        ResponseFormat::Json
    }
}

/// curl labels everything that `-d` sends as a form; a body that begins like a JSON object is not a form.
pub(crate) fn body_format(head: &Head<'_>, body: &[u8]) -> BodyFormat {
    let is_form = head.fields("content-type").any(|value| {
        let value = value.split(|&byte| byte == b';').next().unwrap_or_default();
        value.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    });
    if is_form && !body.trim_ascii_start().starts_with(b"{") { BodyFormat::Form } else { BodyFormat::Json }
}
