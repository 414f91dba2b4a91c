//! Why and at which position a text is not JSON, and how to correct it.

use super::hint::hint;
use super::kind::{JsonErrorKind, Token};
use crate::limits::VALUE_DEPTH_MAX;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    pub kind: JsonErrorKind,
    /// Bytes before the position.
    pub offset: usize,
    /// From 1.
    pub line: usize,
    /// In characters of the line, from 1.
    pub column: usize,
    /// The most likely mistake, and how to correct it.
    pub hint: Option<&'static str>,
}

impl JsonError {
    /// Determines line and column of `offset` in `text`.
    pub(super) fn locate(kind: JsonErrorKind, offset: usize, text: &[u8]) -> JsonError {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let is_character_start = |byte: &&u8| !matches!(byte, 0x80..=0xBF);
        let column = 1 + before.iter().skip(line_start).filter(is_character_start).count();
        JsonError { kind, offset, line, column, hint: hint(kind, offset, text) }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == JsonErrorKind::Empty {
            return f
                .write_str("it is empty: expected a JSON value, for example \"hello\" (with its quotes)");
        }
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        match self.kind {
            JsonErrorKind::Empty => Ok(()),
            JsonErrorKind::Utf8 => f.write_str("expected UTF-8, found invalid bytes"),
            JsonErrorKind::ByteOrderMark => {
                f.write_str("expected a JSON value, found a byte order mark; send UTF-8 without one")
            }
            JsonErrorKind::TooDeep => {
                write!(f, "expected at most {VALUE_DEPTH_MAX} levels of arrays and objects, found one more")
            }
            JsonErrorKind::Misplaced { expected, found } => {
                write!(f, "expected {}, found {}", expected.text(), Found(found))
            }
            JsonErrorKind::Malformed { token, found } => {
                match token {
                    Token::Word(word) => write!(f, "expected `{word}`")?,
                    Token::Number => f.write_str("expected a digit")?,
                    Token::String => {
                        f.write_str("expected the rest of a string, control characters escaped")?
                    }
                    Token::Escape => f.write_str("expected one of `\"\\/bfnrtu` after `\\`")?,
                    Token::HexEscape => f.write_str("expected four hexadecimal digits after `\\u`")?,
                }
                write!(f, ", found {}", Found(found))
            }
        }?;
        self.hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for JsonError {}

/// A character in an error message. `None` is the end of the text.
struct Found(Option<char>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("the end of the text"),
            Some(c) if c.is_control() => write!(f, "the control character U+{:04X}", u32::from(c)),
            Some(c @ ('\'' | '"' | '\\')) => write!(f, "`{c}`"),
            Some(c) => write!(f, "`{}`", c.escape_debug()),
        }
    }
}
