//! The text of a JSON file that a person may have edited, and the mistakes in it.

use super::members::{Node, mistake_at};
use super::mistake::Mistake;
use crate::json;

const NOT_JSON: &str = "not JSON";
const TWO_BYTE_ORDER_MARKS: &str = "it begins with two byte order marks; remove the second one, at byte 3";

/// The text of a file whose content is one JSON object, without a byte order mark.
///
/// # Errors
/// The first [`Mistake`].
pub(crate) fn object_text(bytes: &[u8]) -> Result<&str, Mistake> {
    let bytes = json::without_byte_order_mark(bytes);
    if bytes.trim_ascii().is_empty() {
        return Node::parse("").map(|_| "");
    }
    if bytes.starts_with(json::BYTE_ORDER_MARK) {
        return Err(mistake_at("", 0, NOT_JSON, TWO_BYTE_ORDER_MARKS));
    }
    if let Some(found) = json::foreign_content(bytes) {
        return Err(mistake_at("", 0, NOT_JSON, found));
    }
    let source = str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).and_then(|valid| str::from_utf8(valid).ok());
        let advice = "save the file as UTF-8";
        mistake_at(valid.unwrap_or_default(), error.valid_up_to(), "a byte that is not UTF-8", advice)
    })?;
    Node::parse(source)?.check_object()?;
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_byte_order_mark_is_refused_with_its_position() {
        assert_eq!(object_text("\u{feff}{}".as_bytes()), Ok("{}"));
        let mistake = object_text("\u{feff}\u{feff}{}".as_bytes()).unwrap_err().to_string();
        assert!(mistake.contains("two byte order marks; remove the second one, at byte 3"), "{mistake}");
    }
}
