//! Whether an unsafe request may be one that another site made a browser send.
//!
//! Browsers say where a request comes from, in `Sec-Fetch-Site` (W3C Fetch Metadata) and in
//! `Origin` (RFC 6454), and pages cannot forge either. Whatever names another site is refused. A
//! token in the form decides where the browser says nothing: `Origin: null` comes from forms of
//! our own pages, because of their `Referrer-Policy: no-referrer`, and from sandboxed frames of
//! anybody.

use crate::http::request::Head;
use ctutils::CtEq;
use std::fmt;

/// Why a request is taken for a forged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// The browser says that another site sent it, or says it in a way that no browser does.
    CrossSite,
    /// Only the form's token could show where it comes from, and there is none.
    TokenMissing,
    /// The form's token is not the one of this browser.
    TokenWrong,
}

impl fmt::Display for Forgery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Forgery::CrossSite => {
                "this request was sent by a page of another site (Sec-Fetch-Site or Origin says so); send the \
                 form on the page of this server"
            }
            Forgery::TokenMissing => {
                "this request does not show that it comes from a page of this server; open the page of the \
                 form and send it from there"
            }
            Forgery::TokenWrong => {
                "the form is too old, or cookies are switched off; open its page again and send it from there"
            }
        })
    }
}

impl std::error::Error for Forgery {}

/// What a request that changes something is let through for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestsOn {
    /// The browser's session, which a cookie names.
    Session,
    /// What its body says: a name and a password.
    Body,
}

/// Lets an unsafe request through that no other site can have made a browser send. `expected` is
/// the token of the forms of this browser, where it has a cookie that tells; `sent` the one in the
/// form. Without `Sec-Fetch-Site` and `Origin` the token is asked for only where the request rests on
/// a session: a script that logs in has neither.
///
/// # Errors
/// [`Forgery`].
pub fn check(
    head: &Head<'_>,
    rests_on: RestsOn,
    expected: Option<&str>,
    sent: Option<&str>,
) -> Result<(), Forgery> {
    match (site(head)?, origin(head)?) {
        (Site::SameOrigin, _) | (_, Origin::Own) => Ok(()),
        (Site::Absent, Origin::Absent) if rests_on == RestsOn::Body => Ok(()),
        (Site::Absent | Site::User, Origin::Absent | Origin::Null) => check_token(expected, sent),
    }
}

/// What `Sec-Fetch-Site` says, when it does not forbid the request.
enum Site {
    Absent,
    SameOrigin,
    /// `none`: the user, from outside any page.
    User,
}

/// What `Origin` says, when it does not forbid the request.
enum Origin {
    Absent,
    Null,
    Own,
}

fn site(head: &Head<'_>) -> Result<Site, Forgery> {
    match single(head, "sec-fetch-site")? {
        None => Ok(Site::Absent),
        Some(b"same-origin") => Ok(Site::SameOrigin),
        Some(b"none") => Ok(Site::User),
        Some(_) => Err(Forgery::CrossSite),
    }
}

fn origin(head: &Head<'_>) -> Result<Origin, Forgery> {
    match single(head, "origin")? {
        None => Ok(Origin::Absent),
        Some(b"null") => Ok(Origin::Null),
        Some(text) if is_own(text, head.authority) => Ok(Origin::Own),
        Some(_) => Err(Forgery::CrossSite),
    }
}

/// The value of the field `name`, which no browser sends twice.
fn single<'b>(head: &Head<'b>, name: &str) -> Result<Option<&'b [u8]>, Forgery> {
    let mut values = head.fields(name);
    let first = values.next();
    if values.next().is_some() { Err(Forgery::CrossSite) } else { Ok(first) }
}

/// Whether `origin` is `http://` or `https://` and `authority`, where the default port says nothing.
fn is_own(origin: &[u8], authority: Option<&str>) -> bool {
    let split = str::from_utf8(origin).ok().and_then(|text| text.split_once("://"));
    let (Some((scheme, host)), Some(authority)) = (split, authority) else { return false };
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let host = host.strip_suffix(port).unwrap_or(host);
    let own = authority.strip_suffix(port).unwrap_or(authority);
    !host.is_empty() && host.eq_ignore_ascii_case(own)
}

fn check_token(expected: Option<&str>, sent: Option<&str>) -> Result<(), Forgery> {
    let sent = sent.filter(|sent| !sent.is_empty()).ok_or(Forgery::TokenMissing)?;
    let is_right = expected.is_some_and(|expected| expected.as_bytes().ct_eq(sent.as_bytes()).to_bool());
    if is_right { Ok(()) } else { Err(Forgery::TokenWrong) }
}

#[cfg(test)]
#[path = "csrf_tests.rs"]
mod tests;
