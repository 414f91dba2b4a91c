//! Query parameters.

use super::cursor::Cursor;
use super::error::{ApiError, Part, shown};
use crate::config::nearest::nearest;
use crate::digits;
use crate::limits::{LIST_LIMIT_MAX, TTL_SECONDS_MAX};
use std::borrow::Cow;

/// The error text for the parameter `name`, which is not in `allowed`.
pub(crate) fn unknown_parameter(name: &str, allowed: &[&'static str]) -> String {
    let advice = match (nearest(name, allowed), allowed.is_empty()) {
        (_, true) => "This path takes no parameters.".to_owned(),
        (Some(near), _) => format!("Did you mean `{near}`?"),
        (None, _) => format!("Known: {}.", allowed.join(", ")),
    };
    format!("The parameter `{}` is unknown. {advice}", shown(name))
}

/// The decoded query parameters of a request.
pub struct Parameters<'r> {
    pub(super) found: Vec<(&'static str, Cow<'r, str>)>,
}

impl Parameters<'_> {
    /// The value of `name`; empty if it was given without one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.found.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }

    /// A switch: given without a value, or as `true` or `false`.
    pub fn switch(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(_) => Err(Part::Query.invalid(format!("`{name}` must be `true` or `false`."))),
        }
    }

    /// The size of a page.
    pub fn limit(&self) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(None) };
        let limit = digits::decode_u64(text.as_bytes()).and_then(|limit| usize::try_from(limit).ok());
        limit.filter(|limit| (1..=LIST_LIMIT_MAX).contains(limit)).map(Some).ok_or_else(|| {
            Part::Limit.invalid(format!(
                "`limit` must be a whole number from 1 to {}, in digits without a sign or a leading zero.",
                digits::grouped(LIST_LIMIT_MAX)
            ))
        })
    }

    /// The last key of the previous page, in a listing without prefixes; `None` for the first page.
    pub fn cursor(&self) -> Result<Option<String>, ApiError> {
        let Some(text) = self.get("cursor") else { return Ok(None) };
        let cursor = Cursor::decode(text)?;
        if cursor.prefix().is_empty() { Ok(Some(cursor.after)) } else { Err(Cursor::unknown()) }
    }

    /// The prefix of a listing, and the last key of the previous page; `None` for the first page. A cursor contains the
    /// prefix; the parameter `prefix` must be the same or absent.
    pub fn prefix_and_cursor(&self) -> Result<(String, Option<String>), ApiError> {
        let prefix = self.get("prefix");
        let Some(text) = self.get("cursor") else { return Ok((prefix.unwrap_or_default().to_owned(), None)) };
        let cursor = Cursor::decode(text)?;
        if prefix.is_some_and(|prefix| prefix != cursor.prefix()) {
            return Err(Part::Cursor.invalid(format!(
                "The cursor belongs to a listing with the prefix `{}`. Leave `prefix` out, or send the same one.",
                shown(cursor.prefix())
            )));
        }
        Ok((cursor.prefix().to_owned(), Some(cursor.after)))
    }

    pub fn ttl_ms(&self) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.get("ttl") else { return Ok(None) };
        parse_ttl(text).map(Some)
    }
}

/// A time to live in milliseconds, from a text in seconds.
pub(crate) fn parse_ttl(text: &str) -> Result<u64, ApiError> {
    let seconds = digits::decode_u64(text.as_bytes()).filter(|ttl| (1..=TTL_SECONDS_MAX).contains(ttl));
    seconds.map(|seconds| seconds * 1_000).ok_or_else(|| {
        Part::Ttl.invalid(format!(
            "`ttl` must be a whole number of seconds from 1 to {}, in digits without a sign, a leading zero, a point \
             or an exponent.",
            digits::grouped(TTL_SECONDS_MAX)
        ))
    })
}
