//! Conditional requests: `If-Match` and `If-None-Match` against a key's revision (RFC 9110, section 13).
//!
//! A weak tag `W/"5"` of ours counts as `"5"` in both fields: nginx makes tags weak when it
//! compresses an answer, and a revision names one value whatever its encoding. RFC 9110, section
//! 13.1.1 asks for the strong comparison in `If-Match`; see docs/decisions/0024.

use crate::api::error::{ApiError, Part};
use crate::digits;
use crate::http::request::Head;
use crate::limits::SHOWN_CHARACTERS_MAX;
use crate::store::batch::{Revisions, When};
use crate::store::change::Revision;

/// The conditions of a request.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<Condition>,
    if_none_match: Option<Condition>,
}

/// One field, all its lines together.
#[derive(Debug)]
struct Condition {
    tags: Tags,
    /// The beginning of the field as sent, for a message.
    shown: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// A list of entity tags, without those that are not revisions.
    Revisions(Vec<Revision>),
}

impl Conditions {
    /// The conditions in the fields of `head`.
    pub(crate) fn of(head: &Head<'_>) -> Result<Conditions, ApiError> {
        let if_match = Condition::of(head, "If-Match")?;
        let if_none_match = Condition::of(head, "If-None-Match")?;
        Ok(Conditions { if_match, if_none_match })
    }

    pub(crate) fn are_given(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }

    pub(crate) fn when(&self) -> When<'_> {
        When {
            matches: self.if_match.as_ref().map(|condition| condition.tags.revisions()),
            matches_none: self.if_none_match.as_ref().map(|condition| condition.tags.revisions()),
        }
    }

    /// Why a read of a key with this revision is refused; `None` if it is not.
    pub(crate) fn refuse_read(&self, revision: Revision) -> Option<String> {
        self.if_match.as_ref()?.refuse_match(Some(revision))
    }

    /// Why a write to a key with this revision, or to one that is absent, is refused; `None` if it is not.
    pub(crate) fn refuse_write(&self, revision: Option<Revision>) -> Option<String> {
        let by_match = self.if_match.as_ref().and_then(|condition| condition.refuse_match(revision));
        by_match.or_else(|| self.if_none_match.as_ref()?.refuse_none_match(revision))
    }
}

impl Condition {
    fn of(head: &Head<'_>, name: &str) -> Result<Option<Condition>, ApiError> {
        let values: Vec<&[u8]> = head.fields(name).collect();
        if values.is_empty() {
            return Ok(None);
        }
        // Several lines of one field are one list (RFC 9110, section 5.3).
        let list = values.join(&b", "[..]);
        let tags = parse_tags(&list).ok_or_else(|| {
            Part::Condition.invalid(format!(
                "{name} is not `*` alone or a list of revisions in quotes; send, for example, \"17\"."
            ))
        })?;
        let shown = String::from_utf8_lossy(&list).chars().take(SHOWN_CHARACTERS_MAX).collect();
        Ok(Some(Condition { tags, shown }))
    }

    fn refuse_match(&self, revision: Option<Revision>) -> Option<String> {
        if self.tags.revisions().contain(revision) {
            return None;
        }
        Some(match revision {
            Some(revision) => {
                format!("If-Match is {}, but the revision of the key is {revision}.", self.shown)
            }
            None => format!("If-Match is {}, but the key does not exist.", self.shown),
        })
    }

    fn refuse_none_match(&self, revision: Option<Revision>) -> Option<String> {
        let revision = revision.filter(|_| self.tags.revisions().contain(revision))?;
        Some(match self.tags {
            Tags::Any => format!("If-None-Match is *, but the key exists; its revision is {revision}."),
            Tags::Revisions(_) => {
                format!("If-None-Match is {}, and the revision of the key is {revision}.", self.shown)
            }
        })
    }
}

impl Tags {
    fn revisions(&self) -> Revisions<'_> {
        match self {
            Tags::Any => Revisions::Any,
            Tags::Revisions(revisions) => Revisions::Of(revisions),
        }
    }
}

/// `*`, or a list of tags that is not empty. Empty elements beside others are allowed (RFC 9110,
/// section 5.6.1.2).
fn parse_tags(list: &[u8]) -> Option<Tags> {
    if list == b"*" {
        return Some(Tags::Any);
    }
    let mut elements = elements(list).map(<[u8]>::trim_ascii).filter(|tag| !tag.is_empty()).peekable();
    elements.peek()?;
    let mut revisions = Vec::new();
    for tag in elements {
        let quoted = tag.strip_prefix(b"W/").unwrap_or(tag);
        let opaque = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if !opaque.iter().all(|&byte| is_tag_byte(byte)) {
            return None;
        }
        revisions.extend(revision_of(opaque));
    }
    Some(Tags::Revisions(revisions))
}

/// `etagc` (RFC 9110, section 8.8.3).
fn is_tag_byte(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'~' | 0x80..)
}

/// The elements of a list; a comma between quotes belongs to its tag.
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    list.split(move |&byte| {
        is_quoted ^= byte == b'"';
        byte == b',' && !is_quoted
    })
}

/// The revision with this tag. Tags are compared byte by byte (RFC 9110, section 8.8.3.2), so "017" is not 17.
fn revision_of(tag: &[u8]) -> Option<Revision> {
    digits::decode_u64(tag).and_then(Revision::new)
}
