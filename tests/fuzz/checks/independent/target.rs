//! A second parser of request targets (RFC 9112, section 3.2; RFC 3986, section 2.1) and of paths
//! against patterns.

use std::collections::HashMap;

/// A target that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Percent-encoded.
    pub path: String,
    /// Percent-encoded.
    pub query: Option<String>,
    /// Of an absolute target.
    pub authority: Option<String>,
}

/// Understands a target that is neither `*` nor a CONNECT's.
pub fn parse(target: &[u8]) -> Option<Origin> {
    let text = std::str::from_utf8(target).ok()?;
    if !text.chars().all(|c| c.is_ascii_graphic() && !"#\\\"<>".contains(c)) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let scheme_bytes = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme));
    let (authority, local) = match scheme_bytes {
        _ if text.starts_with('/') => (None, text.to_owned()),
        None => return None,
        Some(scheme) => {
            let rest = &text[scheme.len()..];
            let authority: String = rest.chars().take_while(|c| !"/?".contains(*c)).collect();
            if !is_authority(&authority) {
                return None;
            }
            let local = rest[authority.len()..].to_owned();
            (Some(authority), local)
        }
    };
    let mut parts = local.splitn(2, '?');
    let path = parts.next().filter(|path| !path.is_empty()).unwrap_or("/").to_owned();
    let query = parts.next().map(str::to_owned);
    decode(&path)?;
    decode(query.as_deref().unwrap_or_default())?;
    Some(Origin { path, query, authority })
}

/// Whether `text` is `host[:port]`, with the host as a name or as `[address]`.
pub fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        Some(_) | None => (text, ""),
    };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| {
            !address.is_empty() && address.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c))
        }),
        None => {
            !host.is_empty()
                && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%".contains(c))
        }
    };
    is_host && port.chars().all(|c| c.is_ascii_digit())
}

/// Percent-decodes; `None` for a bad escape, or what is no UTF-8 afterwards.
pub fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits: Vec<u32> = part.chars().take(2).map_while(|c| c.to_digit(16)).collect();
        let [high, low] = digits[..] else { return None };
        bytes.push((high * 16 + low) as u8);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

/// Percent-decodes a part of a query, where `+` is a space.
pub fn decode_query(text: &str) -> Option<String> {
    decode(&text.replace('+', "%20"))
}

/// What `{}` and `{...}` of `pattern` are in `path`, where it fits.
pub fn captures(pattern: &str, path: &str) -> Option<HashMap<&'static str, String>> {
    let expected: Vec<&str> = pattern.split('/').collect();
    let found: Vec<&str> = path.split('/').collect();
    let mut captured = HashMap::new();
    for (index, expected_segment) in expected.iter().enumerate() {
        match (*expected_segment, found.get(index)) {
            (_, None) => return None,
            ("{...}", Some(_)) => {
                captured.insert("rest", found[index..].join("/"));
                return Some(captured);
            }
            ("{}", Some(&"")) => return None,
            ("{}", Some(segment)) => drop(captured.insert("segment", (*segment).to_owned())),
            (literal, Some(segment)) if literal != *segment => return None,
            (_, Some(_)) => {}
        }
    }
    (expected.len() == found.len()).then_some(captured)
}
