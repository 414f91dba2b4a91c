//! Conditional requests: `If-Match` and `If-None-Match` against a key's revision (RFC 9110, section 13).

use super::error::ApiError;
use crate::http::request::Head;
use crate::store::change::Revision;

/// The conditions of a request.
#[derive(Debug, Default)]
pub struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// A list of entity tags; those that no revision has are left out.
    Revisions(Vec<Revision>),
}

impl Conditions {
    /// The conditions in the fields of `head`.
    ///
    /// # Errors
    /// [`ApiError::Condition`].
    pub fn of(head: &Head<'_>) -> Result<Conditions, ApiError> {
        let if_match = tags(head, Field::IfMatch)?;
        let if_none_match = tags(head, Field::IfNoneMatch)?;
        Ok(Conditions { if_match, if_none_match })
    }

    /// Whether there is any.
    pub fn are_given(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }

    /// Whether a write may go on where the key has this revision, or is absent.
    pub fn allow_write(&self, revision: Option<Revision>) -> bool {
        self.if_match.as_ref().is_none_or(|tags| tags.hold(revision))
            && self.if_none_match.as_ref().is_none_or(|tags| !tags.hold(revision))
    }

    /// Whether a reader has the current value already.
    pub fn not_modified(&self, revision: Revision) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.hold(Some(revision)))
    }

    /// Whether a reader wants this revision at all.
    pub fn allow_read(&self, revision: Revision) -> bool {
        self.if_match.as_ref().is_none_or(|tags| tags.hold(Some(revision)))
    }
}

impl Tags {
    fn hold(&self, revision: Option<Revision>) -> bool {
        match (self, revision) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::Revisions(revisions), Some(revision)) => revisions.contains(&revision),
        }
    }
}

#[derive(Clone, Copy)]
enum Field {
    IfMatch,
    IfNoneMatch,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Field::IfMatch => "if-match",
            Field::IfNoneMatch => "if-none-match",
        }
    }

    fn problem(self) -> &'static str {
        match self {
            Field::IfMatch => "If-Match is not `*` or a list of revisions in quotes such as \"17\"",
            Field::IfNoneMatch => "If-None-Match is not `*` or a list of revisions in quotes such as \"17\"",
        }
    }

    /// W/"5" is "5" for `If-None-Match` only (RFC 9110, sections 13.1.1 and 13.1.2).
    fn compares_weakly(self) -> bool {
        match self {
            Field::IfMatch => false,
            Field::IfNoneMatch => true,
        }
    }
}

fn tags(head: &Head<'_>, field: Field) -> Result<Option<Tags>, ApiError> {
    let invalid = || ApiError::Condition(field.problem());
    let mut revisions: Option<Vec<Revision>> = None;
    for value in head.fields(field.name()) {
        if value == b"*" {
            return Ok(Some(Tags::Any));
        }
        let text = std::str::from_utf8(value).map_err(|_| invalid())?;
        // A recipient takes empty elements of a list, but a list has one that is not
        // (RFC 9110, sections 5.6.1.2 and 13.1.1).
        let mut elements = elements(text).map(str::trim).filter(|tag| !tag.is_empty()).peekable();
        elements.peek().ok_or_else(invalid)?;
        for tag in elements {
            let (tag, is_weak) = match tag.strip_prefix("W/") {
                Some(tag) => (tag, true),
                None => (tag, false),
            };
            let quoted = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let quoted = quoted.filter(|tag| !tag.contains('"')).ok_or_else(invalid)?;
            let list = revisions.get_or_insert_default();
            if !is_weak || field.compares_weakly() {
                list.extend(revision_of(quoted));
            }
        }
    }
    Ok(revisions.map(Tags::Revisions))
}

/// The elements of a list; a comma between quotes belongs to its tag.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |letter| {
        is_quoted ^= letter == '"';
        letter == ',' && !is_quoted
    })
}

/// The revision whose tag this is, character by character: "017" and "+17" are nobody's
/// (RFC 9110, section 8.8.3.2).
fn revision_of(tag: &str) -> Option<Revision> {
    let revision = tag.parse().ok().and_then(Revision::new)?;
    (revision.to_string() == tag).then_some(revision)
}
