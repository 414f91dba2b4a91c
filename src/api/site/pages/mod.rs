//! The pages of `/api/register` to `/api/data` and `/dashboard`, rendered from values.
//!
//! They need no script: the response to a form is a page with the result and the input. Nothing is
//! decided here; callers check credentials and input, and access the store.

mod form;
mod render;
mod templates;

pub(crate) use form::{DELETE, Form, FormContent, LOGIN, Problem, REGISTER, RETRIEVE, STORE, TOKEN, UPDATE};

use crate::http::response::{Response, reason_phrase};
use crate::http::target::encode_query;
use render::{Value, Values, optional, render, text};
use templates::{STYLE, TEMPLATES};

/// The path of [`stylesheet`], to which every page links.
pub(crate) const STYLESHEET_PATH: &str = "/static/pikv.css";

const DASHBOARD_PATH: &str = "/dashboard";
const REGISTER_PATH: &str = "/api/register";

/// Styles from this server, forms to this server, and an empty icon, so that browsers do not request one.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A browser may cache the stylesheet for a short time only: its path stays the same when its text changes.
const STYLESHEET_CACHE_CONTROL: &str = "public, max-age=3600";

const LINKS_SIGNED_IN: [(&str, &str); 6] = [
    (DASHBOARD_PATH, "Dashboard"),
    ("/api/data", "Store"),
    ("/api/data/retrieve", "Retrieve"),
    ("/api/data/update", "Update"),
    ("/api/data/delete", "Delete"),
    ("/api/token", "Access token"),
];

const LINKS_SIGNED_OUT: [(&str, &str); 3] =
    [("/api/login", "Log in"), (REGISTER_PATH, "Register"), ("/api/token", "Access token")];

/// The links for a viewer who is not signed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthLinks {
    #[default]
    LogInOrRegister,
    /// Only operators create accounts.
    LogIn,
    /// Accounts are disabled.
    Nothing,
}

impl AuthLinks {
    fn can_log_in(self) -> bool {
        self != AuthLinks::Nothing
    }

    fn can_register(self) -> bool {
        self == AuthLinks::LogInOrRegister
    }

    fn offers(self, path: &str) -> bool {
        if path == REGISTER_PATH { self.can_register() } else { self.can_log_in() }
    }
}

/// The person who looks at a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewer {
    /// The user name of the session.
    pub signed_in_as: Option<String>,
    pub auth_links: AuthLinks,
}

/// A page with `form`.
pub(crate) fn form_page(viewer: &Viewer, status: u16, form: &Form, content: &FormContent<'_>) -> Response {
    let FormContent { found, keys, next, .. } = *content;
    let listed = |key| vec![("listed", text(key)), ("query", text(encode_query(key)))];
    let nothing = keys.is_empty() && next.is_none() && found.is_none() && content.problems.is_empty();
    let mut values = form.values(content);
    values.extend([
        ("done", optional(content.done.map(|key| vec![("key", text(key))]))),
        ("found", optional(found.map(|(key, value)| vec![("key", text(key)), ("value", text(value))]))),
        ("has_keys", Value::Flag(!keys.is_empty())),
        ("keys", Value::List(keys.iter().map(String::as_str).map(listed).collect())),
        ("has_nothing", Value::Flag(nothing)),
        ("next", optional(next.map(|cursor| vec![("cursor", text(encode_query(cursor)))]))),
    ]);
    page(viewer, status, form.template, form.title, form.action, values)
}

/// `POST /api/register`: the account `username` was created.
pub(crate) fn registered(viewer: &Viewer, username: &str) -> Response {
    page(viewer, 200, "registered", "Registered", "", vec![("username", text(username))])
}

/// `POST /api/token`: the token, which ends in `expires_in_s` seconds.
pub(crate) fn token_created(viewer: &Viewer, token: &str, expires_in_s: u64) -> Response {
    let values = vec![("access_token", text(token)), ("expires_in", text(duration(expires_in_s)))];
    page(viewer, 200, "token_created", "Your access token", "", values)
}

/// `GET /dashboard`
pub(crate) fn dashboard(viewer: &Viewer) -> Response {
    page(viewer, 200, "dashboard", "Dashboard", DASHBOARD_PATH, Vec::new())
}

/// Any other failure, with links to other pages.
pub(crate) fn problem(viewer: &Viewer, status: u16, message: &str) -> Response {
    let title = match reason_phrase(status) {
        "" => "Something went wrong",
        phrase => phrase,
    };
    let values = vec![("message", text(message)), ("status", text(status.to_string()))];
    page(viewer, status, "problem", title, "", values)
}

/// `GET` [`STYLESHEET_PATH`]
pub(crate) fn stylesheet() -> Response {
    Response::new(200)
        .field("content-type", "text/css; charset=utf-8")
        .cacheable(STYLESHEET_CACHE_CONTROL)
        .body(STYLE.as_bytes().to_vec())
}

/// `path` is the path of the page, if one of the links leads to it.
fn page<'a>(
    viewer: &'a Viewer,
    status: u16,
    template: &str,
    title: &'a str,
    path: &str,
    mut values: Values<'a>,
) -> Response {
    let links: Vec<_> = match &viewer.signed_in_as {
        Some(_) => LINKS_SIGNED_IN.to_vec(),
        None => LINKS_SIGNED_OUT.into_iter().filter(|(target, _)| viewer.auth_links.offers(target)).collect(),
    };
    let link = |&(target, label): &(&'static str, &'static str)| {
        let is_here = Value::Flag(target == path);
        vec![("target", text(target)), ("link", text(label)), ("is_here", is_here)]
    };
    values.extend([
        ("title", text(title)),
        ("failed", Value::Flag(status >= 400)),
        ("has_links", Value::Flag(!links.is_empty())),
        ("can_log_in", Value::Flag(viewer.auth_links.can_log_in())),
        ("can_register", Value::Flag(viewer.auth_links.can_register())),
        ("signed_in_as", text(viewer.signed_in_as.as_deref().unwrap_or_default())),
        ("links", Value::List(links.iter().map(link).collect())),
    ]);
    html(status, render(&TEMPLATES, template, &values))
}

fn html(status: u16, body: String) -> Response {
    Response::new(status)
        .field("content-type", "text/html; charset=utf-8")
        .field("content-security-policy", CONTENT_SECURITY_POLICY)
        .field("x-frame-options", "DENY")
        .field("cross-origin-resource-policy", "same-origin")
        // The element `meta` of the pages permits the referrer to this server: with `no-referrer` alone browsers
        // send `Origin: null`, and over plain HTTP nothing else that distinguishes our forms from those of other
        // sites.
        .field("referrer-policy", "no-referrer")
        .body(body.into_bytes())
}

/// In minutes if that is exact.
fn duration(seconds: u64) -> String {
    let (count, unit) =
        if seconds.is_multiple_of(60) { (seconds / 60, "minute") } else { (seconds, "second") };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
