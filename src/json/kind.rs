//! The kinds of errors in a JSON text.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// Only white space.
    Empty,
    /// Bytes that are not UTF-8.
    Utf8,
    /// A byte order mark at the start.
    ByteOrderMark,
    /// Arrays and objects nested deeper than [`crate::limits::VALUE_DEPTH_MAX`].
    TooDeep,
    /// An unexpected character between two tokens.
    Misplaced {
        expected: Place,
        /// `None` is the end of the text.
        found: Option<char>,
    },
    /// A malformed number, string or word.
    Malformed {
        token: Token,
        /// The first wrong character; `None` is the end of the text.
        found: Option<char>,
    },
}

/// A position in a document, named by what may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the start, after `:`, or after `,` in an array.
    Value,
    /// After `[`.
    ValueOrArrayEnd,
    /// After `,` in an object.
    Name,
    /// After `{`.
    NameOrObjectEnd,
    /// After the name of a member.
    Colon,
    /// After an element.
    CommaOrArrayEnd,
    /// After a member.
    CommaOrObjectEnd,
    /// After the document.
    TextEnd,
}

/// A token that is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A number without a required digit.
    Number,
    /// A string with a raw control character, or without its closing quote.
    String,
    /// `\` before a character that is not an escape.
    Escape,
    /// `\u` with fewer than four hexadecimal digits.
    HexEscape,
    /// `true`, `false` or `null`.
    Word(&'static str),
}

impl Place {
    pub(super) fn text(self) -> &'static str {
        match self {
            Place::Value => "a JSON value",
            Place::ValueOrArrayEnd => "a value or `]`",
            Place::Name => "a member name in double quotes",
            Place::NameOrObjectEnd => "a member name in double quotes or `}`",
            Place::Colon => "`:` after a member name",
            Place::CommaOrArrayEnd => "`,` or `]` after an element",
            Place::CommaOrObjectEnd => "`,` or `}` after a member",
            Place::TextEnd => "the end of the text after the value",
        }
    }
}
