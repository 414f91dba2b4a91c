//! Cross-site request forgery: whether a page of another site caused a browser to send a request.
//!
//! Browsers state the origin of a request in `Sec-Fetch-Site` (W3C Fetch Metadata) and in `Origin`
//! (RFC 6454), and no page can forge either. `Sec-Fetch-Site` decides if it is present, as in Go's
//! `CrossOriginProtection`; otherwise `Origin` does. A client that sends neither is not a recent browser.

use crate::config::schema::Origin;
use crate::http::request::{Head, Method};
use crate::limits::SHOWN_ORIGIN_CHARACTERS_MAX;
use crate::secret::MASK;

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

/// Refuses a request that a page of another site caused.
///
/// # Errors
/// The reason, for the client and the log.
pub(crate) fn check(head: &Head<'_>, own: &Own<'_>) -> Result<(), String> {
    let (site, origin) = (value(head, "sec-fetch-site"), value(head, "origin"));
    match (site.as_deref(), origin) {
        (Some("same-origin" | "none"), _) | (None, None) => Ok(()),
        (None, Some(origin)) if is_own(&origin, own) => Ok(()),
        (None, Some(origin)) => Err(format!(
            "Origin is {} but {}; if a proxy is in front, let it pass Host on, or add the origin to public_origins \
             in config.json.",
            shown_origin(&origin),
            compared_with(own)
        )),
        (Some(site), origin) => Err(format!(
            "Sec-Fetch-Site is {}{}; a page of another site sent this request. Send it from a page of this server, \
             or with an API key or token from an origin in cors.origins of config.json.",
            shown_site(site),
            origin.map(|origin| format!(" and Origin is {}", shown_origin(&origin))).unwrap_or_default()
        )),
    }
}

pub(crate) fn is_of(head: &Head<'_>, known: &[Origin]) -> bool {
    value(head, "origin").is_some_and(|origin| known.iter().any(|known| known.as_str() == origin))
}

/// Whether the request follows a link, so that the browser shows the response as a page.
pub(crate) fn is_link(head: &Head<'_>) -> bool {
    matches!(head.method, Method::Get | Method::Head)
        && value(head, "sec-fetch-mode").as_deref() == Some("navigate")
        && value(head, "sec-fetch-dest").as_deref() == Some("document")
}

/// The value of the field `name`. Browsers send it once; two become a list, which no check accepts.
fn value(head: &Head<'_>, name: &str) -> Option<String> {
    let values: Vec<_> = head.fields(name).map(String::from_utf8_lossy).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn is_own(origin: &str, own: &Own<'_>) -> bool {
    let mut hosts = [own.host, own.forwarded_host].into_iter().flatten();
    hosts.any(|host| is_at(origin, host, own.is_tls))
        || own.public_origins.iter().any(|known| known.as_str() == origin)
}

/// Whether `origin` is `http://` or `https://` and `authority`; the default port may be left out. If the client is
/// known to use TLS, only `https://` counts. Otherwise both do, because a proxy in front may use TLS without telling.
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

/// Anything other than an origin as browsers write it may be a secret in the wrong field.
fn shown_origin(text: &str) -> String {
    let is_origin = text == "null" || Origin::parse(text).is_ok();
    if is_origin { shown(text) } else { format!("{MASK} (not an origin as browsers write it)") }
}

fn shown_site(text: &str) -> String {
    let is_known = ["same-origin", "same-site", "cross-site", "none"].contains(&text);
    if is_known { text.to_owned() } else { format!("{MASK} (not a value of any browser)") }
}

#[cfg(test)]
#[path = "csrf_tests.rs"]
mod tests;
