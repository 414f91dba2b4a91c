//! What a request sends and wants to see, JSON or a form and a page.

use super::accept::Accept;
use crate::auth::credential;
use crate::http::request::Head;

/// How a body was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    /// As JSON, or there was none.
    Json,
    Form,
}

/// What a request wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    Json,
    Page,
}

/// Whether the answer is a page: for a form, or a client that prefers HTML. A program that sends a key or
/// a token gets JSON. Basic may be what a proxy in front asks of a browser, so it decides only if
/// `Accept` leaves it open. Without its `body`, which is not there yet, nothing is taken for a form.
pub(crate) fn response_format(head: &Head<'_>, body: Option<&[u8]>) -> ResponseFormat {
    if credential::is_of_a_program(head) {
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

/// curl says "form" of whatever `-d` sends; a body that begins like a JSON object is none.
pub(crate) fn body_format(head: &Head<'_>, body: &[u8]) -> BodyFormat {
    let is_form = head.fields("content-type").any(|value| {
        let value = value.split(|&byte| byte == b';').next().unwrap_or_default();
        value.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    });
    if is_form && !body.trim_ascii_start().starts_with(b"{") { BodyFormat::Form } else { BodyFormat::Json }
}
