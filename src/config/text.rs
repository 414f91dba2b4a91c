//! The text of a JSON file that a person may have edited: what is wrong with it, and where.

use super::members::{Node, mistake_at};
use super::mistake::{Mistake, Problem};
use crate::json;

/// The text of a file whose content is one JSON object, without a byte order mark.
///
/// # Errors
/// The first [`Mistake`].
pub fn object_text(bytes: &[u8]) -> Result<&str, Mistake> {
    let bytes = json::without_byte_order_mark(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(mistake_at("", 0, Problem::Empty));
    }
    if let Some(found) = json::foreign_content(bytes) {
        return Err(mistake_at("", 0, Problem::Foreign { found }));
    }
    let source = str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).and_then(|valid| str::from_utf8(valid).ok());
        mistake_at(valid.unwrap_or_default(), error.valid_up_to(), Problem::NotUtf8)
    })?;
    Node::parse(source)?.check_object()?;
    Ok(source)
}
