//! JSON bodies: minified, and parsed into types.

use super::error::{ApiError, Part};
use crate::digits::grouped;
use crate::json;
use crate::limits::{BATCH_OPERATIONS_MAX, VALUE_DEPTH_MAX};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Parses a minified JSON object. serde would also accept an array of the members in their order.
///
/// # Errors
/// What is wrong, as a sentence without the position: minifying has changed that.
pub(crate) fn parse_object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    if text.first() != Some(&b'{') {
        return Err("A JSON object is required.".to_owned());
    }
    serde_json::from_slice(text).map_err(|error| problem_of(&error.to_string()))
}

/// Parses a whole body; `shape` is what the client must send.
pub(crate) fn parse_body<'a, T: Deserialize<'a>>(text: &'a [u8], shape: &str) -> Result<T, ApiError> {
    parse_object(text).map_err(|problem| Part::Body.invalid(format!("{problem} Send {shape}.")))
}

/// The results of `parse` for the elements of a batch; an error names its index.
pub(crate) fn each_parsed<T>(
    elements: &[&RawValue],
    parse: impl Fn(&str) -> Result<T, ApiError>,
) -> Result<Vec<T>, ApiError> {
    if elements.len() > BATCH_OPERATIONS_MAX {
        return Err(Part::Batch.invalid(format!(
            "The batch has {} operations; the maximum is {}. Send several batches.",
            grouped(elements.len()),
            grouped(BATCH_OPERATIONS_MAX)
        )));
    }
    let each = elements.iter().enumerate();
    each.map(|(index, text)| parse(text.get()).map_err(|error| error.at(index))).collect()
}

/// A message of serde as a sentence, without the position, and without the text that it found: that may be a password.
fn problem_of(message: &str) -> String {
    let (message, _) = message.rsplit_once(" at line ").unwrap_or((message, ""));
    let message = match (message.split_once(" \""), message.rsplit_once("\", expected ")) {
        (Some((found, _)), Some((_, expected))) => format!("{found}, expected {expected}"),
        (_, _) => message.to_owned(),
    };
    let mut characters = message.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let text: String = first.into_iter().chain(characters).collect();
    let text = text.replace(": map, ", ": object, ").replace(": sequence, ", ": array, ");
    format!("{}.", text.replace(", expected a sequence", ", expected an array"))
}

/// A value without insignificant white space.
pub(crate) fn minified(value: &[u8]) -> Result<Vec<u8>, ApiError> {
    minified_to(VALUE_DEPTH_MAX, value)
}

/// A JSON text of at most `depth_max` levels without insignificant white space.
pub(crate) fn minified_to(depth_max: usize, text: &[u8]) -> Result<Vec<u8>, ApiError> {
    let mut out = Vec::with_capacity(text.len());
    json::minify(text, depth_max, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_with_a_member_is_reported_without_its_text() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            #[serde(rename = "disabled")]
            _disabled: bool,
        }
        for text in ["s3cret", r#"s3cret\", expected x"#, "s3cret at line 1", r#"\"s3cret\""#] {
            let body = format!("{{\"disabled\":\"{text}\"}}");
            let problem = parse_object::<Body>(body.as_bytes()).unwrap_err();
            assert_eq!(problem, "Invalid type: string, expected a boolean.", "{body}");
        }
        let problem = parse_object::<Body>(b"{\"disabeld\":true}").unwrap_err();
        assert_eq!(problem, "Unknown field `disabeld`, expected `disabled`.");
    }
}
