//! `cors`: the origins whose pages may call this server from a browser.
//!
//! An origin is compared byte by byte with the `Origin` of a request, so it must have the form in which browsers send
//! it (RFC 6454, section 6.2).

use crate::limits::{HOST_BYTES_MAX, HOST_LABEL_BYTES_MAX};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Scheme, host and port of a page, `https://app.example.com` or `http://localhost:3000`. Created only by
/// [`Origin::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginError {
    Wildcard,
    UpperCase,
    Scheme,
    /// A path, a query or a fragment, even if it is only the slash.
    Path,
    /// A host that is neither a name nor an address, or in a form that browsers do not send.
    Host,
    Port,
    /// The default port of the scheme.
    DefaultPort {
        port: &'static str,
    },
}

impl Origin {
    pub fn parse(text: &str) -> Result<Origin, OriginError> {
        if text.contains('*') {
            return Err(OriginError::Wildcard);
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(OriginError::UpperCase);
        }
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let default_port = match scheme {
            "http" => "80",
            "https" => "443",
            _ => return Err(OriginError::Scheme),
        };
        if rest.contains(['/', '?', '#']) {
            return Err(OriginError::Path);
        }
        check_host_and_port(rest, default_port)?;
        Ok(Origin(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks that `text` is `host` or `host:port`, with a port other than `default_port`.
pub(super) fn check_host_and_port(text: &str, default_port: &'static str) -> Result<(), OriginError> {
    let (is_host, after_host) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after_host) = rest.split_once(']').ok_or(OriginError::Host)?;
            (is_ipv6(address), after_host)
        }
        None => {
            let (host, after_host) =
                text.split_at_checked(text.find(':').unwrap_or(text.len())).unwrap_or_default();
            (is_name_or_ipv4(host), after_host)
        }
    };
    if !is_host {
        return Err(OriginError::Host);
    }
    match after_host.strip_prefix(':') {
        None if after_host.is_empty() => Ok(()),
        None => Err(OriginError::Host),
        Some(port) if port == default_port => Err(OriginError::DefaultPort { port: default_port }),
        Some(port) if is_port(port) => Ok(()),
        Some(_) => Err(OriginError::Port),
    }
}

/// Browsers send only the shortest form of an address.
fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok_and(|address| address.to_string() == text)
}

fn is_name_or_ipv4(host: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let is_label =
        |label: &str| (1..=HOST_LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(is_of_name);
    // Browsers parse a host that ends in a number as an address, or refuse it.
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    if host.rsplit('.').next().is_some_and(is_number) {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    host.len() <= HOST_BYTES_MAX && host.split('.').all(is_label)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && text.parse::<u16>().is_ok()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginError::Wildcard => {
                f.write_str("`*` is not supported; name each origin, as in https://app.example.com")
            }
            OriginError::UpperCase => f.write_str("write the origin in lower case, as browsers send it"),
            OriginError::Scheme => {
                f.write_str("an origin begins with http:// or https://, as in https://app.example.com")
            }
            OriginError::Path => f.write_str(
                "an origin ends after its host or port; remove the slash, `?` or `#` and the text after it",
            ),
            OriginError::Host => f.write_str(
                "the host must be a name in ASCII, or an address in its shortest form, IPv6 in brackets: \
                 app.example.com, 127.0.0.1 or [::1]",
            ),
            OriginError::Port => f.write_str("the port must be 1 to 65535, without leading zeros"),
            OriginError::DefaultPort { port } => {
                write!(f, "browsers omit the default port of the scheme; remove `:{port}`")
            }
        }
    }
}

impl std::error::Error for OriginError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        let hosts =
            ["https://app.example.com", "http://localhost", "https://a_b.c-d.example", "http://127.0.0.1"];
        let ports =
            ["http://localhost:3000", "https://[::1]:8443", "http://h:443", "https://h:80", "http://h:65535"];
        let odd = ["http://[fd00::1]", "https://xn--bcher-kva.example", "http://1.example"];
        for good in hosts.into_iter().chain(ports).chain(odd) {
            assert_eq!(Origin::parse(good).map(|origin| origin.to_string()), Ok(good.to_owned()));
        }
    }

    #[test]
    fn each_mistake_in_an_origin_has_its_own_error() {
        let (http, https) =
            (OriginError::DefaultPort { port: "80" }, OriginError::DefaultPort { port: "443" });
        let table: [(OriginError, &[&str]); 8] = [
            (OriginError::Wildcard, &["*", "https://*.example.com", "http://h:*"]),
            (OriginError::UpperCase, &["https://App.example.com", "HTTP://h"]),
            (
                OriginError::Scheme,
                &["", "null", "app.example.com", "localhost:80", "ftp://h", "://h", " http://h"],
            ),
            (OriginError::Path, &["http://h/", "https://h:1/a", "http://h?a", "http://h#a", "http:///"]),
            (
                OriginError::Host,
                &[
                    "http://",
                    "http://:1",
                    "http://a b",
                    "http://ü",
                    "http://a..b",
                    "http://h.",
                    "http://::1",
                    "http://[::1",
                    "http://[::1]x",
                    "http://[0::1]",
                    "http://[h]",
                    "http://1.2.3",
                    "http://1.2.3.04",
                    "http://u@h",
                ],
            ),
            (
                OriginError::Port,
                &["http://h:", "http://h:0", "http://h:080", "http://h:65536", "http://h:+1"],
            ),
            (http, &["http://h:80", "http://[::1]:80"]),
            (https, &["https://h:443"]),
        ];
        for (error, texts) in table {
            for text in texts {
                assert_eq!(Origin::parse(text), Err(error), "{text}");
            }
        }
        for long in ["h".repeat(64), format!("{}h", "h.".repeat(127))] {
            assert_eq!(Origin::parse(&format!("http://{long}")), Err(OriginError::Host), "{long}");
        }
    }
}
