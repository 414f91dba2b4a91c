//! The most likely mistake in a JSON text, and how to correct it: notation of other languages, and quotes that a
//! shell or a word processor changed.
//!
//! A hint is a fixed text and never quotes the JSON text, which may contain a secret.

use super::kind::{JsonErrorKind, Place, Token};

const UNQUOTED: &str = "write text in double quotes, as in \"hello\"";

/// The hint for an error of `kind` at `offset` in `text`.
pub(super) fn hint(kind: JsonErrorKind, offset: usize, text: &[u8]) -> Option<&'static str> {
    let before = text.get(..offset).unwrap_or(text);
    let after = text.get(offset..).unwrap_or_default();
    match kind {
        JsonErrorKind::Misplaced { found: None, .. } => None,
        JsonErrorKind::Misplaced { expected, found: Some(found) } => {
            of_notation(expected, found, before, after)
                .or_else(|| of_misplaced(expected, found, before, after))
        }
        JsonErrorKind::Malformed { token: Token::Number, found } => {
            of_word(&word(before, after)).or_else(|| of_cut_number(found, before))
        }
        JsonErrorKind::Malformed { token: Token::Word(_), .. } => {
            of_word(&word(before, after)).or(Some(UNQUOTED))
        }
        JsonErrorKind::Malformed { token: Token::String, found } => match found? {
            '\n' | '\r' => Some("write a line break in a string as \\n"),
            '\t' => Some("write a tab in a string as \\t"),
            _ => None,
        },
        JsonErrorKind::Malformed { token: Token::Escape | Token::HexEscape, .. } => None,
        JsonErrorKind::Empty
        | JsonErrorKind::Utf8
        | JsonErrorKind::ByteOrderMark
        | JsonErrorKind::TooDeep => None,
    }
}

/// Comments, other quotes, commas without a value: mistakes at any position.
fn of_notation(expected: Place, found: char, before: &[u8], after: &[u8]) -> Option<&'static str> {
    let last = before.trim_ascii_end().last();
    if after.starts_with(b"//") || after.starts_with(b"/*") || found == '#' {
        Some("JSON has no comments; remove it")
    } else if matches!(found, '\'' | '`') && expected != Place::TextEnd {
        Some("use double quotes")
    } else if matches!(found, '“' | '”' | '„' | '‘' | '’' | '«' | '»') {
        Some("use straight double quotes, as in \"hello\"")
    } else if matches!(found, ']' | '}') && last == Some(&b',') {
        Some("remove the `,` after the last one")
    } else if matches!(found, ',' | '}') && last == Some(&b':') {
        Some("the member has no value; send null for none")
    } else {
        None
    }
}

fn of_misplaced(expected: Place, found: char, before: &[u8], after: &[u8]) -> Option<&'static str> {
    match expected {
        Place::Name | Place::NameOrObjectEnd if found.is_alphanumeric() || matches!(found, '_' | '$') => {
            Some("write the member name in double quotes, as in \"name\"")
        }
        Place::Name | Place::NameOrObjectEnd | Place::Colon => None,
        Place::Value | Place::ValueOrArrayEnd => match found {
            '+' => Some("a JSON number has no plus sign; remove it"),
            '.' => Some("a JSON number has a digit before the point, as in 0.5"),
            _ if found.is_alphabetic() || !found.is_ascii() => {
                of_word(&word(before, after)).or(Some(UNQUOTED))
            }
            _ => None,
        },
        Place::CommaOrArrayEnd | Place::CommaOrObjectEnd | Place::TextEnd => {
            let of_number = of_number(&word(before, after));
            of_number.or((expected == Place::TextEnd).then_some(UNQUOTED))
        }
    }
}

/// The word around the error, in lower case.
fn word(before: &[u8], after: &[u8]) -> Vec<u8> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let start = before.len() - before.iter().rev().take_while(is_part).count();
    let begin = before.get(start..).unwrap_or_default().iter();
    begin.chain(after.iter().take_while(is_part)).map(u8::to_ascii_lowercase).collect()
}

/// Words of other languages that JSON writes in another way or does not have.
fn of_word(word: &[u8]) -> Option<&'static str> {
    match word {
        b"nan" => Some("NaN is not a JSON number; send null, or the string \"NaN\""),
        b"inf" | b"infinity" => Some("Infinity is not a JSON number; send null, or the string \"Infinity\""),
        b"undefined" => Some("undefined is not a JSON value; send null, or remove the member"),
        b"none" | b"nil" => Some("None and nil are not JSON values; send null"),
        b"null" => Some("null is written in lower case"),
        b"true" => Some("true is written in lower case"),
        b"false" => Some("false is written in lower case"),
        _ => None,
    }
}

/// A text that begins as a number and continues as something else.
fn of_number(word: &[u8]) -> Option<&'static str> {
    match word {
        [b'0', b'x' | b'o' | b'b', ..] => {
            Some("JSON has no hexadecimal, octal or binary numbers; send it in decimal, or as a string")
        }
        [b'0', rest @ ..] if !rest.is_empty() && rest.iter().all(u8::is_ascii_digit) => {
            Some("a JSON number has no leading zero; remove it, or send a string, as in \"007\"")
        }
        [b'0'..=b'9', rest @ ..] if !rest.iter().all(u8::is_ascii_digit) => {
            Some("a JSON number has digits only; write other text in double quotes, as in \"12a\"")
        }
        _ => None,
    }
}

/// A digit is missing at the end of `before`.
fn of_cut_number(found: Option<char>, before: &[u8]) -> Option<&'static str> {
    if before.last() == Some(&b'.') {
        Some("a JSON number has a digit after the point, as in 5.0")
    } else if found == Some('.') {
        Some("a JSON number has a digit before the point, as in 0.5")
    } else {
        None
    }
}
