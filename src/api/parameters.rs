//! Query parameters, and the texts in them.

use super::cursor::Cursor;
use super::error::{ApiError, shown};
use crate::config::nearest::nearest;
use crate::digits;
use crate::limits::{LIST_LIMIT_MAX, TTL_SECONDS_MAX};
use crate::names::Key;
use std::borrow::Cow;

/// What is wrong with a parameter `name` if there are only `allowed`.
pub(crate) fn unknown_parameter(name: &str, allowed: &[&'static str]) -> String {
    let shown = shown(name);
    match (nearest(name, allowed), allowed.is_empty()) {
        (_, true) => format!("there is no parameter `{shown}` here; this takes none"),
        (Some(near), _) => format!("there is no parameter `{shown}` here; did you mean `{near}`?"),
        (None, _) => format!("there is no parameter `{shown}` here; there are {}", allowed.join(", ")),
    }
}

/// The decoded query parameters of a request.
pub struct Parameters<'r> {
    pub(super) found: Vec<(&'static str, Cow<'r, str>)>,
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
    pub fn cursor(&self) -> Result<Option<String>, ApiError> {
        let Some(text) = self.get("cursor") else { return Ok(None) };
        let cursor = Cursor::decode(text)?;
        if cursor.prefix().is_empty() { Ok(Some(cursor.after)) } else { Err(ApiError::Cursor) }
    }

    /// The prefix of a listing, and the last key of the page before; `None` for the first page. A
    /// cursor has its prefix with it; `prefix` beside it must be the same.
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
pub(crate) fn parse_ttl(text: &str) -> Result<u64, ApiError> {
    digits::decode_u64(text.as_bytes()).ok_or(ApiError::Ttl).and_then(ttl_ms)
}

/// A key from outside.
pub(crate) fn parse_key(text: &str) -> Result<Key<'_>, ApiError> {
    Ok(Key::parse(text)?)
}
