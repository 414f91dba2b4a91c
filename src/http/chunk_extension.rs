//! Chunk extensions, byte by byte: `*( BWS ";" BWS name [ BWS "=" BWS value ] )`, in which a value is a token or a
//! quoted string (RFC 9112, section 7.1.1). White space directly after the size is not part of this: the size line
//! refuses it.
//!
//! ```text
//! Start      white space -> Start     token -> Name
//! Name       token -> Name            white space -> NameEnd     `=` -> Equals
//! NameEnd    white space -> NameEnd   `=` -> Equals
//! Equals     white space -> Equals    token -> Token             `"` -> Quoted
//! Token      token -> Token           white space -> ValueEnd
//! Quoted     `"` -> QuotedEnd         `\` -> Escape -> Quoted
//! QuotedEnd  white space -> ValueEnd
//! ValueEnd   white space -> ValueEnd
//! `;` leads from Name, NameEnd, Token, QuotedEnd and ValueEnd to Start.
//! The line may end after Name, Token and QuotedEnd.
//! ```
//! The extensions are ignored; only their end matters.

use crate::http::fields::is_token_byte;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// After `;`.
    Start,
    Name,
    /// In white space after a name.
    NameEnd,
    /// After `=`.
    Equals,
    /// In a value that is a token.
    Token,
    /// In a quoted string.
    Quoted,
    /// After the backslash in a quoted string.
    Escape,
    /// After the closing quote.
    QuotedEnd,
    /// In white space after a value.
    ValueEnd,
}

impl Extension {
    /// The state after `byte`; `None` if the grammar does not allow it here.
    pub(super) fn advance(self, byte: u8) -> Option<Extension> {
        let is_space = matches!(byte, b' ' | b'\t');
        Some(match (self, byte) {
            (Extension::Quoted, b'"') => Extension::QuotedEnd,
            (Extension::Quoted, b'\\') => Extension::Escape,
            (Extension::Quoted | Extension::Escape, _) => {
                return (is_space || !byte.is_ascii_control()).then_some(Extension::Quoted);
            }
            (Extension::Start | Extension::Name, token) if is_token_byte(token) => Extension::Name,
            (Extension::Equals | Extension::Token, token) if is_token_byte(token) => Extension::Token,
            (Extension::Start, _) if is_space => Extension::Start,
            (Extension::Equals, _) if is_space => Extension::Equals,
            (Extension::Equals, b'"') => Extension::Quoted,
            (Extension::Start | Extension::Equals, _) => return None,
            (_, b';') => Extension::Start,
            (Extension::Name | Extension::NameEnd, b'=') => Extension::Equals,
            (Extension::Name | Extension::NameEnd, _) if is_space => Extension::NameEnd,
            (Extension::Token | Extension::QuotedEnd | Extension::ValueEnd, _) if is_space => {
                Extension::ValueEnd
            }
            (
                Extension::Name
                | Extension::NameEnd
                | Extension::Token
                | Extension::QuotedEnd
                | Extension::ValueEnd,
                _,
            ) => return None,
        })
    }

    /// Whether the size line may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Extension::Name | Extension::Token | Extension::QuotedEnd)
    }
}
