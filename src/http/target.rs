//! The request target: its forms (RFC 9112, section 3.2), percent-decoding, query pairs.
//!
//! A path is kept as sent, because `%2F` and `/` differ until a route is chosen; `..` has no special meaning. The check
//! that path and query decode to UTF-8 is here.

use crate::digits;
use std::borrow::Cow;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<T> {
    /// `*`, the server as a whole. Only with OPTIONS.
    Asterisk,
    /// A path on this server, which begins with `/`, and the query after the first `?`; both percent-encoded.
    Origin { path: T, query: Option<T> },
    /// The target of a CONNECT. The server does not tunnel.
    Authority,
}

impl<T> Target<T> {
    pub(super) fn map<U>(self, text: impl Fn(T) -> U) -> Target<U> {
        match self {
            Target::Asterisk => Target::Asterisk,
            Target::Origin { path, query } => Target::Origin { path: text(path), query: query.map(text) },
            Target::Authority => Target::Authority,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// The first byte that must be percent-encoded, or that begins a fragment.
    Byte {
        byte: u8,
    },
    /// Neither a path that begins with `/` nor an `http://` or `https://` URL.
    Form,
    /// The host of an absolute URL is not `name[:port]`.
    Authority,
    Escape,
    Utf8,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetError::Byte { byte } => {
                write!(f, "The URL has the unencoded byte 0x{byte:02X}; percent-encode it as %{byte:02X}.")
            }
            TargetError::Form => {
                f.write_str("The URL is malformed; send a path that begins with /, or http://host/path.")
            }
            TargetError::Authority => f.write_str(
                "The host in the URL is malformed; send a name or an address, with an optional :port.",
            ),
            TargetError::Escape => {
                f.write_str("A % in the URL is not followed by two hexadecimal digits; write %25 for %.")
            }
            TargetError::Utf8 => {
                f.write_str("The URL is not UTF-8 after percent-decoding; encode its text as UTF-8.")
            }
        }
    }
}

impl std::error::Error for TargetError {}

/// The path, the query and the authority of a target other than `*` or that of a CONNECT. Only an absolute target has
/// an authority.
/// `text` has neither spaces nor control characters.
pub(super) fn parse(text: &[u8]) -> Result<(&str, Option<&str>, Option<&str>), TargetError> {
    let forbidden =
        |byte: &&u8| matches!(byte, b'#' | b'\\' | b'"' | b'<' | b'>' | 0x80..) || byte.is_ascii_control();
    if let Some(&byte) = text.iter().find(forbidden) {
        return Err(TargetError::Byte { byte });
    }
    let text = str::from_utf8(text).map_err(|_| TargetError::Utf8)?;
    let (authority, local) = if text.starts_with('/') { (None, text) } else { split_absolute(text)? };
    let (path, query) = match local.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (local, None),
    };
    if text.contains('%') {
        decode(path)?;
        decode_query(query.unwrap_or_default())?;
    }
    Ok((path, query, authority))
}

/// Splits `http://authority/path?query` after the authority.
fn split_absolute(text: &str) -> Result<(Option<&str>, &str), TargetError> {
    let (scheme, rest) = text.split_once("://").ok_or(TargetError::Form)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(TargetError::Form);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, local) = rest.split_at_checked(end).ok_or(TargetError::Form)?;
    if !is_authority(authority) {
        return Err(TargetError::Authority);
    }
    Ok((Some(authority), local))
}

/// Whether `text` is `uri-host [ ":" port ]` (RFC 3986, section 3.2), without user information. The host must not be
/// empty (RFC 9110, section 4.2.1).
pub(super) fn is_authority(text: &str) -> bool {
    let (is_host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let is_literal = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
            (!address.is_empty() && address.chars().all(is_literal), port)
        }
        None => {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%".contains(c);
            let (host, port) =
                text.split_at_checked(text.find(':').unwrap_or(text.len())).unwrap_or((text, ""));
            (!host.is_empty() && host.chars().all(is_name), port)
        }
    };
    let is_port = |port: &str| port.strip_prefix(':').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
    is_host && (port.is_empty() || is_port(port))
}

/// Percent-decodes a path or a part of one. Borrowed if there is nothing to decode.
pub fn decode(text: &str) -> Result<Cow<'_, str>, TargetError> {
    if text.contains('%') { unescape(text, Plus::Literal).map(Cow::Owned) } else { Ok(Cow::Borrowed(text)) }
}

/// Percent-decodes a name or value of a query or a form, where `+` is a space.
pub fn decode_query(text: &str) -> Result<Cow<'_, str>, TargetError> {
    if text.contains(['%', '+']) {
        unescape(text, Plus::Space).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(text))
    }
}

/// Percent-encodes all characters of a name or value of a query but the unreserved ones (RFC 3986, section 2.3).
pub fn encode_query(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([hex_digit(byte >> 4), hex_digit(byte)]);
        }
    }
    encoded
}

/// The pairs of a query, as sent: `a=1&b&c=` is `(a, 1)`, `(b, None)`, `(c, "")`. Empty pairs are skipped. Decode each
/// part with [`decode_query`].
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (pair, None),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    Literal,
    Space,
}

fn unescape(text: &str, plus: Plus) -> Result<String, TargetError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        decoded.push(match byte {
            b'%' => {
                let (high, low, tail) = match rest {
                    [high, low, tail @ ..] => (hex_value(*high), hex_value(*low), tail),
                    _ => return Err(TargetError::Escape),
                };
                rest = tail;
                high.zip(low).map(|(high, low)| high << 4 | low).ok_or(TargetError::Escape)?
            }
            b'+' if plus == Plus::Space => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| TargetError::Utf8)
}

/// The value of a hexadecimal digit of either case.
pub(super) fn hex_value(digit: u8) -> Option<u8> {
    digits::hex_value(digit.to_ascii_lowercase())
}

/// In upper case, as RFC 3986, section 2.1 recommends.
fn hex_digit(value: u8) -> char {
    char::from(digits::hex_digit(value)).to_ascii_uppercase()
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
