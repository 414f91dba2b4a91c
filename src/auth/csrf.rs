//! Whether a page of another site made a browser send a request.
//!
//! Browsers state where a request comes from, in `Sec-Fetch-Site` (W3C Fetch Metadata) and in `Origin`
//! (RFC 6454), and no page can forge either. `Sec-Fetch-Site` decides if it is present, as in Go's
//! `CrossOriginProtection`; else `Origin` does. A client that sends neither is no browser of the last
//! years.

use crate::config::schema::Origin;
use crate::http::request::{Head, Method};
use crate::limits::SHOWN_ORIGIN_CHARACTERS_MAX;
use crate::secret::MASK;
use std::fmt;

/// The names under which browsers know this server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'a> {
    /// `Host`, or the host of an absolute target.
    pub host: Option<&'a str>,
    /// `X-Forwarded-Host` of a trusted proxy.
    pub forwarded_host: Option<&'a str>,
    /// Whether a trusted proxy states that the client used TLS.
    pub is_tls: bool,
    /// `public_origins` of the configuration.
    pub public_origins: &'a [Origin],
}

/// Why a request is taken for one of another site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// `Sec-Fetch-Site` names another site.
    Site {
        /// Its value.
        site: String,
        /// The value of `Origin`.
        origin: Option<String>,
    },
    /// `Origin` is none of this server's.
    Origin {
        /// Its value.
        origin: String,
        /// What it was compared with.
        own: String,
    },
}

/// Lets a request pass that no page of another site made a browser send.
pub(crate) fn check(head: &Head<'_>, own: &Own<'_>) -> Result<(), Forgery> {
    let (site, origin) = (value(head, "sec-fetch-site"), value(head, "origin"));
    match (site.as_deref(), origin) {
        (Some("same-origin" | "none"), _) | (None, None) => Ok(()),
        (None, Some(origin)) if is_own(&origin, own) => Ok(()),
        (None, Some(origin)) => {
            Err(Forgery::Origin { origin: shown_origin(&origin), own: compared_with(own) })
        }
        (Some(site), origin) => {
            Err(Forgery::Site { site: shown_site(site), origin: origin.map(|origin| shown_origin(&origin)) })
        }
    }
}

pub(crate) fn is_of(head: &Head<'_>, known: &[Origin]) -> bool {
    value(head, "origin").is_some_and(|origin| known.iter().any(|known| known.as_str() == origin))
}

/// Whether somebody follows a link, so that the answer becomes the page that the browser shows.
pub(crate) fn is_link(head: &Head<'_>) -> bool {
    matches!(head.method, Method::Get | Method::Head)
        && value(head, "sec-fetch-mode").as_deref() == Some("navigate")
        && value(head, "sec-fetch-dest").as_deref() == Some("document")
}

/// The value of the field `name`. No browser sends it twice; the list of two is no value of any browser.
fn value(head: &Head<'_>, name: &str) -> Option<String> {
    let values: Vec<_> = head.fields(name).map(String::from_utf8_lossy).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn is_own(origin: &str, own: &Own<'_>) -> bool {
    let mut hosts = [own.host, own.forwarded_host].into_iter().flatten();
    hosts.any(|host| is_at(origin, host, own.is_tls))
        || own.public_origins.iter().any(|known| known.as_str() == origin)
}

/// Whether `origin` is `http://` or `https://` and `authority`; the default port may be left out. Only
/// `https://` does if the client is known to use TLS. Else a proxy in front may use it unknown to us.
fn is_at(origin: &str, authority: &str, is_tls: bool) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    let port = match scheme {
        "http" if !is_tls => ":80",
        "https" => ":443",
        _ => return false,
    };
    let host = host.strip_suffix(port).unwrap_or(host);
    let own = authority.strip_suffix(port).unwrap_or(authority);
    !host.is_empty() && host.eq_ignore_ascii_case(own)
}

fn compared_with(own: &Own<'_>) -> String {
    let mut text = own.host.map_or("there is no Host".to_owned(), |host| format!("Host is {}", shown(host)));
    if let Some(forwarded) = own.forwarded_host {
        text += &format!(" and X-Forwarded-Host is {}", shown(forwarded));
    }
    if own.is_tls {
        text += " and X-Forwarded-Proto is https";
    }
    text
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_ORIGIN_CHARACTERS_MAX).collect()
}

/// An origin as browsers write one. Anything else may be a secret in the wrong field.
fn shown_origin(text: &str) -> String {
    let is_origin = text == "null" || Origin::parse(text).is_ok();
    if is_origin { shown(text) } else { format!("{MASK} (not an origin as browsers write it)") }
}

fn shown_site(text: &str) -> String {
    let is_known = ["same-origin", "same-site", "cross-site", "none"].contains(&text);
    if is_known { text.to_owned() } else { format!("{MASK} (not a value of any browser)") }
}

impl fmt::Display for Forgery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forgery::Origin { origin, own } => write!(
                f,
                "Origin is {origin} but {own}; if a proxy is in front, let it pass Host on, or add the origin \
                 to public_origins in config.json."
            ),
            Forgery::Site { site, origin } => {
                write!(f, "Sec-Fetch-Site is {site}")?;
                if let Some(origin) = origin {
                    write!(f, " and Origin is {origin}")?;
                }
                f.write_str(
                    "; a page of another site sent this request. Send it from a page of this server, or with \
                     an API key or token from an origin in cors.origins of config.json.",
                )
            }
        }
    }
}

impl std::error::Error for Forgery {}

#[cfg(test)]
#[path = "csrf_tests.rs"]
mod tests;
