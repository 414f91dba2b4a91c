//! The ways in which a text is not JSON.

/// What was wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// Nothing but white space.
    Empty,
    /// Bytes that are not UTF-8.
    Utf8,
    /// A byte order mark in front.
    ByteOrderMark,
    /// Arrays and objects nested deeper than [`VALUE_DEPTH_MAX`].
    TooDeep,
    /// Something else than what may stand between two tokens.
    Misplaced {
        /// What may stand there.
        expected: Place,
        /// What does; `None` is the end of the text.
        found: Option<char>,
    },
    /// A number, string or word that goes wrong.
    Malformed {
        /// The token it began as.
        token: Token,
        /// The first character that does not belong; `None` is the end of the text.
        found: Option<char>,
    },
}

/// Where in a document the reader stands, named by what may come next.
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

/// A token in the middle of which the text went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A number that lacks a digit.
    Number,
    /// A string with a raw control character, or without its closing quote.
    String,
    /// `\` before something that is no escape.
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
