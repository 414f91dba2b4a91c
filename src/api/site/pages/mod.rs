//! The pages of `/api/register … /api/data` and `/dashboard`: from values to a [`Response`].
//!
//! They need no script: a form that is sent comes back as a page that says what happened, with what
//! was typed still in it. Credentials, checks and the store are the callers'; nothing is decided here.

mod form;
mod render;
mod templates;

pub use form::{Filled, Problem};

use crate::http::response::{Response, reason_phrase};
use crate::http::target::encode_query;
use form::Form;
use render::{Value, Values, optional, render, text};
use templates::{STYLE, TEMPLATES};

/// Where [`stylesheet`] is served; every page links to it.
pub const STYLESHEET_PATH: &str = "/static/pikv.css";

const DASHBOARD_PATH: &str = "/dashboard";
const REGISTER_PATH: &str = "/api/register";

/// Styles from here, forms to here, and an empty icon, so that browsers ask for none.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// How long a browser may keep the stylesheet. Not longer: its path stays when its text changes.
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

/// What this server has for who is not signed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaysIn {
    /// Whoever comes may open an account.
    #[default]
    LogInOrRegister,
    /// Only the operator opens accounts.
    LogIn,
    /// There are no accounts.
    Nothing,
}

impl WaysIn {
    fn can_log_in(self) -> bool {
        self != WaysIn::Nothing
    }

    fn can_register(self) -> bool {
        self == WaysIn::LogInOrRegister
    }

    fn offers(self, path: &str) -> bool {
        if path == REGISTER_PATH { self.can_register() } else { self.can_log_in() }
    }
}

/// Who looks at a page, as far as the page shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewer {
    /// The user name of the session.
    pub signed_in_as: Option<String>,
    /// What is offered to a viewer who is not signed in.
    pub ways_in: WaysIn,
}

/// What every page shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame<'a> {
    /// The user name of the session.
    pub signed_in_as: Option<&'a str>,
    /// What is offered to who is not signed in.
    pub ways_in: WaysIn,
}

/// `GET /api/register`, and what became of a form that was not taken.
pub fn register(frame: &Frame<'_>, status: u16, filled: &Filled<'_>) -> Response {
    form_page(frame, status, "register", "Register", &form::REGISTER, filled, Vec::new())
}

/// `POST /api/register`: there is an account `username` now.
pub fn registered(frame: &Frame<'_>, username: &str) -> Response {
    page(frame, 200, "registered", "Registered", "", vec![("username", text(username))])
}

/// `GET /api/token`, and what became of a form that was not taken.
pub fn token(frame: &Frame<'_>, status: u16, filled: &Filled<'_>) -> Response {
    form_page(frame, status, "token", "Access token", &form::TOKEN, filled, Vec::new())
}

/// `POST /api/token`: the token, which ends in `expires_in_s` seconds.
pub fn token_made(frame: &Frame<'_>, token: &str, expires_in_s: u64) -> Response {
    let values = vec![("access_token", text(token)), ("expires_in", text(duration(expires_in_s)))];
    page(frame, 200, "token_made", "Your access token", "", values)
}

/// `GET /api/login`, and what became of a form that was not taken.
pub fn login(frame: &Frame<'_>, status: u16, filled: &Filled<'_>) -> Response {
    form_page(frame, status, "login", "Log in", &form::LOGIN, filled, Vec::new())
}

/// `GET /dashboard`
pub fn dashboard(frame: &Frame<'_>) -> Response {
    page(frame, 200, "dashboard", "Dashboard", DASHBOARD_PATH, Vec::new())
}

/// `GET` and `POST /api/data`; `stored` is the key that was just stored.
pub fn store(frame: &Frame<'_>, status: u16, filled: &Filled<'_>, stored: Option<&str>) -> Response {
    form_page(frame, status, "store", "Store a value", &form::STORE, filled, done(stored))
}

/// `GET /api/data/retrieve`: `found` is the key that was asked for and its value; `keys` is a page of
/// the keys that there are, `next` the cursor of the page behind it.
pub fn retrieve(
    frame: &Frame<'_>,
    status: u16,
    filled: &Filled<'_>,
    found: Option<(&str, &str)>,
    keys: &[&str],
    next: Option<&str>,
) -> Response {
    let item = |key: &&str| vec![("listed", text((*key).to_owned())), ("query", text(encode_query(key)))];
    let nothing = keys.is_empty() && next.is_none() && found.is_none() && filled.problems.is_empty();
    let more = vec![
        ("found", optional(found.map(|(key, value)| vec![("key", text(key)), ("value", text(value))]))),
        ("has_keys", Value::Flag(!keys.is_empty())),
        ("keys", Value::List(keys.iter().map(item).collect())),
        ("has_nothing", Value::Flag(nothing)),
        ("next", optional(next.map(|cursor| vec![("cursor", text(encode_query(cursor)))]))),
    ];
    form_page(frame, status, "retrieve", "Retrieve a value", &form::RETRIEVE, filled, more)
}

/// `GET` and `POST /api/data/update`; `updated` is the key that just got a new value.
pub fn update(frame: &Frame<'_>, status: u16, filled: &Filled<'_>, updated: Option<&str>) -> Response {
    form_page(frame, status, "update", "Update a value", &form::UPDATE, filled, done(updated))
}

/// `GET` and `POST /api/data/delete`; `deleted` is the key that is just gone.
pub fn delete(frame: &Frame<'_>, status: u16, filled: &Filled<'_>, deleted: Option<&str>) -> Response {
    form_page(frame, status, "delete", "Delete a key", &form::DELETE, filled, done(deleted))
}

/// Any other failure, with a way back.
pub fn problem(frame: &Frame<'_>, status: u16, message: &str) -> Response {
    let title = match reason_phrase(status) {
        "" => "Something went wrong",
        phrase => phrase,
    };
    let values = vec![("message", text(message)), ("status", text(status.to_string()))];
    page(frame, status, "problem", title, "", values)
}

/// `GET` [`STYLESHEET_PATH`]
pub fn stylesheet() -> Response {
    Response::new(200)
        .field("content-type", "text/css; charset=utf-8")
        .cacheable(STYLESHEET_CACHE_CONTROL)
        .body(STYLE.as_bytes().to_vec())
}

fn form_page<'a>(
    frame: &Frame<'a>,
    status: u16,
    template: &str,
    title: &'a str,
    form: &Form,
    filled: &Filled<'a>,
    more: Values<'a>,
) -> Response {
    let mut values = form.values(filled);
    values.extend(more);
    page(frame, status, template, title, form.action(), values)
}

/// `path` is where the page is, if the links lead there.
fn page<'a>(
    frame: &Frame<'a>,
    status: u16,
    template: &str,
    title: &'a str,
    path: &str,
    mut values: Values<'a>,
) -> Response {
    let links: Vec<_> = match frame.signed_in_as {
        Some(_) => LINKS_SIGNED_IN.to_vec(),
        None => LINKS_SIGNED_OUT.into_iter().filter(|(target, _)| frame.ways_in.offers(target)).collect(),
    };
    let link = |&(target, label): &(&'static str, &'static str)| {
        let is_here = Value::Flag(target == path);
        vec![("target", text(target)), ("link", text(label)), ("is_here", is_here)]
    };
    values.extend([
        ("title", text(title)),
        ("failed", Value::Flag(status >= 400)),
        ("has_links", Value::Flag(!links.is_empty())),
        ("can_log_in", Value::Flag(frame.ways_in.can_log_in())),
        ("can_register", Value::Flag(frame.ways_in.can_register())),
        ("signed_in_as", text(frame.signed_in_as.unwrap_or_default())),
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
        // The element `meta` of the pages lets them tell this server where a form was: with `no-referrer`
        // alone browsers send `Origin: null`, and over plain HTTP nothing else that tells our forms
        // from a stranger's.
        .field("referrer-policy", "no-referrer")
        .body(body.into_bytes())
}

/// What the part `done` names.
fn done(key: Option<&str>) -> Values<'_> {
    vec![("done", optional(key.map(|key| vec![("key", text(key))])))]
}

/// In minutes where that is exact.
fn duration(seconds: u64) -> String {
    let (count, unit) =
        if seconds.is_multiple_of(60) { (seconds / 60, "minute") } else { (seconds, "second") };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
