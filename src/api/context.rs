//! What a handler gets, and how it reads parameters and bodies.

use super::app::{App, Arrival};
use super::catalog::Served;
use super::cross_site::{self, Trusted};
use super::cursor::Cursor;
use super::error::ApiError;
use super::reply::{Share, Standing};
use super::routes::Access;
use crate::auth::access::Denied;
use crate::auth::client::{self, Client};
use crate::auth::credential::{Credential, SentAs};
use crate::config::nearest::nearest;
use crate::digits;
use crate::http::request::{Framing, Request};
use crate::http::target;
use crate::json;
use crate::limits::{
    BODY_DEPTH_MAX, LIST_LIMIT_MAX, SHOWN_NAME_CHARACTERS_MAX, TTL_SECONDS_MAX, VALUE_DEPTH_MAX,
};
use crate::names::Key;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

/// A request that was routed and let through.
pub struct Context<'r> {
    /// The server.
    pub app: &'r Arc<App>,
    /// The request.
    pub request: &'r Request<'r>,
    /// Whose credential its route asks for.
    pub access: Access,
    /// Its query, percent-encoded.
    pub query: Option<&'r str>,
    /// What the route calls `{}`, percent-encoded; empty if it has none.
    pub segment: &'r str,
    /// What the route calls `{...}`, percent-encoded.
    pub rest: &'r str,
    /// The project that the path names.
    pub served: Option<Arc<Served>>,
    /// When and from where the request came.
    pub arrival: Arrival,
}

/// A type of body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// JSON; also the types that clients send if nobody chose one.
    Json,
    /// Text that is kept as a JSON string.
    Text,
}

impl<'r> Context<'r> {
    /// The project of a route that has one.
    ///
    /// # Errors
    /// [`ApiError::Internal`] where the route has none, which is a bug of the route table.
    pub fn served(&self) -> Result<&Arc<Served>, ApiError> {
        self.served.as_ref().ok_or(ApiError::Internal)
    }

    /// Whom the request comes from.
    pub fn client(&self) -> Client {
        let registry = self.app.catalog.registry();
        client::client(&self.request.head, self.arrival.peer, &registry.trusted_proxies)
    }

    /// The share of the password lane that this client has.
    pub fn share(&self, standing: Standing) -> Share {
        Share { standing, address: client::counted_address(self.client().address) }
    }

    /// The share of a request that may be the operator's. Without authentication anybody may send it, so it
    /// has no precedence.
    pub fn operator_share(&self) -> Share {
        let has_key = self.app.catalog.registry().authentication_enabled;
        self.share(if has_key { Standing::Operator } else { Standing::Stranger })
    }

    /// The credential in the header fields.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn credential(&self) -> Result<Option<Credential<'r>>, Denied> {
        self.app.credential(&self.request.head, self.arrival.peer)
    }

    /// Refuses a request that a page of another site sent, unless that is `trusted`.
    ///
    /// # Errors
    /// [`ApiError::Forgery`].
    pub fn check_site(&self, trusted: Trusted) -> Result<(), ApiError> {
        let registry = self.app.catalog.registry();
        cross_site::check(&self.request.head, self.arrival.peer, &registry, trusted)
    }

    /// The same for a request that a credential granted: only what browsers add by themselves is checked.
    ///
    /// # Errors
    /// [`ApiError::Forgery`].
    pub fn check_sender(&self, sent_as: SentAs) -> Result<(), ApiError> {
        match sent_as {
            SentAs::Explicit => Ok(()),
            SentAs::Basic => self.check_site(Trusted::Configured),
        }
    }

    /// The key that the path names, decoded.
    ///
    /// # Errors
    /// [`ApiError::Target`] for a bad percent-encoding.
    pub fn key_text(&self) -> Result<Cow<'r, str>, ApiError> {
        Ok(target::decode(self.rest)?)
    }

    /// The query parameters, of which there may be `allowed`, each once.
    ///
    /// # Errors
    /// [`ApiError::Query`] for any other, with the nearest that is allowed.
    pub fn parameters(&self, allowed: &[&'static str]) -> Result<Parameters<'r>, ApiError> {
        self.parameters_or(allowed, |name| Err(ApiError::Query(unknown_parameter(name, allowed))))
    }

    /// The query parameters of a page, of which `known` are read, each once. Others are ignored: links
    /// from elsewhere have them (`?utm_source=`), and forms of seed 000.
    ///
    /// # Errors
    /// [`ApiError::Query`].
    pub fn page_parameters(&self, known: &[&'static str]) -> Result<Parameters<'r>, ApiError> {
        self.parameters_or(known, |_| Ok(()))
    }

    fn parameters_or(
        &self,
        allowed: &[&'static str],
        unknown: impl Fn(&str) -> Result<(), ApiError>,
    ) -> Result<Parameters<'r>, ApiError> {
        let mut found: Vec<(&'static str, Cow<'r, str>)> = Vec::new();
        for (name, value) in self.query.into_iter().flat_map(target::pairs) {
            let name = target::decode_query(name)?;
            let Some(known) = allowed.iter().find(|known| **known == name) else {
                unknown(&name)?;
                continue;
            };
            if found.iter().any(|(other, _)| other == known) {
                return Err(ApiError::Query(format!("the parameter `{known}` is there twice")));
            }
            found.push((known, target::decode_query(value.unwrap_or_default())?));
        }
        Ok(Parameters { found })
    }

    /// The type of the body.
    ///
    /// # Errors
    /// [`ApiError::MediaType`], [`ApiError::LengthRequired`].
    pub fn media_type(&self) -> Result<MediaType, ApiError> {
        let head = &self.request.head;
        if head.framing == Framing::None {
            return Err(ApiError::LengthRequired);
        }
        // A list, perhaps in several fields (RFC 9110, section 8.4).
        let mut codings = head.fields("content-encoding").flat_map(|value| value.split(|&byte| byte == b','));
        let mut codings = codings.by_ref().map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty());
        if let Some(coding) = codings.find(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            let coding = String::from_utf8_lossy(coding);
            return Err(ApiError::MediaType(format!(
                "Content-Encoding `{}` is not supported; send the body without compression.",
                shown(&coding)
            )));
        }
        let Some(value) = head.fields("content-type").next() else { return Ok(MediaType::Json) };
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        let (name, parameters) = text.split_once(';').unwrap_or((&text, ""));
        let charset = parameters.split(';').find_map(|p| p.trim().strip_prefix("charset="));
        if let Some(charset) = charset.filter(|c| !matches!(c.trim_matches('"'), "utf-8" | "us-ascii")) {
            return Err(ApiError::MediaType(format!("charset `{charset}` is not taken; send UTF-8")));
        }
        match name.trim() {
            "application/json" | "text/json" | "" => Ok(MediaType::Json),
            // What curl sends for -d, and what Home Assistant and aiohttp send for bytes. Their users
            // mean the body.
            "application/x-www-form-urlencoded" | "application/octet-stream" => Ok(MediaType::Json),
            json if json.ends_with("+json") => Ok(MediaType::Json),
            "text/plain" => Ok(MediaType::Text),
            other => Err(ApiError::MediaType(format!(
                "Content-Type `{}` is not supported; send application/json, or text/plain for a string.",
                shown(other)
            ))),
        }
    }

    /// The body, which has to be JSON.
    ///
    /// # Errors
    /// [`ApiError::MediaType`], [`ApiError::LengthRequired`], [`ApiError::Json`].
    pub fn json_body(&self) -> Result<Vec<u8>, ApiError> {
        match self.media_type()? {
            MediaType::Json => minified_to(BODY_DEPTH_MAX, self.request.body),
            MediaType::Text => {
                Err(ApiError::MediaType("a JSON object is needed here; send application/json".to_owned()))
            }
        }
    }
}

/// Parses a minified JSON object. serde would take an array for the members in their order.
///
/// # Errors
/// What is wrong, without the place: the text was minified, so the place would be another.
pub fn parse_object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    if text.first() != Some(&b'{') {
        return Err("a JSON object is needed".to_owned());
    }
    serde_json::from_slice(text).map_err(|error| problem_of(&error.to_string()))
}

/// What serde says without the place, and without the text that it found: that may be a password.
fn problem_of(message: &str) -> String {
    let (message, _) = message.rsplit_once(" at line ").unwrap_or((message, ""));
    match (message.split_once(" \""), message.rsplit_once("\", expected ")) {
        (Some((found, _)), Some((_, expected))) => format!("{found}, expected {expected}"),
        (_, _) => message.to_owned(),
    }
}

/// A value without insignificant white space.
///
/// # Errors
/// [`ApiError::Json`].
pub fn minified(value: &[u8]) -> Result<Vec<u8>, ApiError> {
    minified_to(VALUE_DEPTH_MAX, value)
}

fn minified_to(depth_max: usize, text: &[u8]) -> Result<Vec<u8>, ApiError> {
    let mut out = Vec::with_capacity(text.len());
    json::minify(text, depth_max, &mut out)?;
    Ok(out)
}

/// A name from outside, for a message.
pub fn shown(name: &str) -> String {
    name.chars().take(SHOWN_NAME_CHARACTERS_MAX).collect()
}

fn unknown_parameter(name: &str, allowed: &[&'static str]) -> String {
    let shown = shown(name);
    match (nearest(name, allowed), allowed.is_empty()) {
        (_, true) => format!("there is no parameter `{shown}` here; this takes none"),
        (Some(near), _) => format!("there is no parameter `{shown}` here; did you mean `{near}`?"),
        (None, _) => format!("there is no parameter `{shown}` here; there are {}", allowed.join(", ")),
    }
}

/// The decoded query parameters of a request.
pub struct Parameters<'r> {
    found: Vec<(&'static str, Cow<'r, str>)>,
}

impl Parameters<'_> {
    /// The value of `name`; empty where it was given without one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.found.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }

    /// A switch: given without a value, or as `true` or `false`.
    ///
    /// # Errors
    /// [`ApiError::Query`] for any other value.
    pub fn switch(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(_) => Err(ApiError::Query(format!("`{name}` is `true` or `false`"))),
        }
    }

    /// The size of a page; `None` where nothing is said of it.
    ///
    /// # Errors
    /// [`ApiError::Limit`] outside 1..=[`LIST_LIMIT_MAX`].
    pub fn limit(&self) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(None) };
        let limit = digits::decode_u64(text.as_bytes()).and_then(|limit| usize::try_from(limit).ok());
        limit.filter(|limit| (1..=LIST_LIMIT_MAX).contains(limit)).map(Some).ok_or(ApiError::Limit)
    }

    /// The last key of the page before, in a listing that has no prefixes; `None` for the first page.
    ///
    /// # Errors
    /// [`ApiError::Cursor`].
    pub fn cursor(&self) -> Result<Option<String>, ApiError> {
        let Some(text) = self.get("cursor") else { return Ok(None) };
        let cursor = Cursor::decode(text)?;
        if cursor.prefix().is_empty() { Ok(Some(cursor.after)) } else { Err(ApiError::Cursor) }
    }

    /// The prefix of a listing, and the last key of the page before; `None` for the first page. A
    /// cursor has its prefix with it; `prefix` beside it must be the same.
    ///
    /// # Errors
    /// [`ApiError::Cursor`], [`ApiError::CursorPrefix`].
    pub fn prefix_and_cursor(&self) -> Result<(String, Option<String>), ApiError> {
        let prefix = self.get("prefix");
        let Some(text) = self.get("cursor") else { return Ok((prefix.unwrap_or_default().to_owned(), None)) };
        let cursor = Cursor::decode(text)?;
        if prefix.is_some_and(|prefix| prefix != cursor.prefix()) {
            return Err(ApiError::CursorPrefix { prefix: shown(cursor.prefix()) });
        }
        Ok((cursor.prefix().to_owned(), Some(cursor.after)))
    }

    /// The time to live, in milliseconds.
    ///
    /// # Errors
    /// [`ApiError::Ttl`].
    pub fn ttl_ms(&self) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.get("ttl") else { return Ok(None) };
        parse_ttl(text).map(Some)
    }
}

/// A time to live in milliseconds.
///
/// # Errors
/// [`ApiError::Ttl`] outside 1..=[`TTL_SECONDS_MAX`].
fn ttl_ms(seconds: u64) -> Result<u64, ApiError> {
    if (1..=TTL_SECONDS_MAX).contains(&seconds) { Ok(seconds * 1_000) } else { Err(ApiError::Ttl) }
}

/// A time to live as text, in milliseconds.
///
/// # Errors
/// [`ApiError::Ttl`].
pub fn parse_ttl(text: &str) -> Result<u64, ApiError> {
    digits::decode_u64(text.as_bytes()).ok_or(ApiError::Ttl).and_then(ttl_ms)
}

/// A key from outside.
///
/// # Errors
/// [`ApiError::Key`].
pub fn parse_key(text: &str) -> Result<Key<'_>, ApiError> {
    Ok(Key::parse(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_member_is_said_without_its_text() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            #[serde(rename = "disabled")]
            _disabled: bool,
        }
        for text in ["s3cret", r#"s3cret\", expected x"#, "s3cret at line 1", r#"\"s3cret\""#] {
            let body = format!("{{\"disabled\":\"{text}\"}}");
            let problem = parse_object::<Body>(body.as_bytes()).unwrap_err();
            assert_eq!(problem, "invalid type: string, expected a boolean", "{body}");
        }
        let problem = parse_object::<Body>(b"{\"disabeld\":true}").unwrap_err();
        assert_eq!(problem, "unknown field `disabeld`, expected `disabled`");
    }
}
