//! One pass over a JSON text that checks it and copies it without its insignificant white space.
//!
//! ```text
//! Value              scalar -> after it   `{` -> NameOrObjectEnd   `[` -> ValueOrArrayEnd
//! ValueOrArrayEnd    as Value             `]` -> after it
//! NameOrObjectEnd    name -> Colon        `}` -> after it
//! Name               name -> Colon
//! Colon              `:` -> Value
//! CommaOrArrayEnd    `,` -> Value         `]` -> after it
//! CommaOrObjectEnd   `,` -> Name          `}` -> after it
//! TextEnd            the only state in which the text may end
//! after it: CommaOrObjectEnd, CommaOrArrayEnd or TextEnd, depending on what contains the value
//! ```
//! Each open array or object is one bit of an integer, so depth needs neither memory nor stack.

use super::error::JsonError;
use super::kind::{JsonErrorKind, Place, Token};
use super::text::plain_length;
use crate::limits::BODY_DEPTH_MAX;

/// The deepest supported nesting: one bit for each level.
pub(crate) const DEPTH_CEILING: usize = 128;
const _: () = assert!(BODY_DEPTH_MAX <= DEPTH_CEILING);

/// Appends `text` to `out` without insignificant white space and otherwise byte for byte.
///
/// Accepts JSON by RFC 8259, in UTF-8 without a byte order mark and nested at most `depth_max` deep, which is at most
/// [`DEPTH_CEILING`]. The grammar allows escapes of lone surrogates.
///
/// # Errors
/// [`JsonError`] with the first error; `out` is unchanged then.
pub fn minify(text: &[u8], depth_max: usize, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let depth_max = depth_max.min(DEPTH_CEILING);
    let length_before = out.len();
    let result = check_encoding(text).and_then(|()| {
        Reader { text, at: 0, copied: 0, out, depth: 0, depth_max, objects: 0 }.read_document()
    });
    result.map_err(|fault| {
        out.truncate(length_before);
        JsonError::locate(fault.kind, fault.offset, text)
    })
}

/// An error without line and column.
struct Fault {
    kind: JsonErrorKind,
    offset: usize,
}

/// Checks that every run of bytes between two ASCII bytes is UTF-8.
fn check_encoding(text: &[u8]) -> Result<(), Fault> {
    if text.starts_with(b"\xEF\xBB\xBF") {
        return Err(Fault { kind: JsonErrorKind::ByteOrderMark, offset: 0 });
    }
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault { kind: JsonErrorKind::Utf8, offset: error.valid_up_to() }),
    }
}

struct Reader<'t, 'o> {
    text: &'t [u8],
    /// The offset of the next byte.
    at: usize,
    /// The offset of the first byte that is neither copied to `out` nor dropped as white space.
    copied: usize,
    out: &'o mut Vec<u8>,
    /// Open arrays and objects.
    depth: usize,
    /// The lowest bit is set if the innermost of them is an object, the next bit for the one around it, and so on.
    objects: u128,
    depth_max: usize,
}

impl Reader<'_, '_> {
    fn read_document(&mut self) -> Result<(), Fault> {
        let mut place = Place::Value;
        loop {
            self.drop_whitespace();
            let Some(byte) = self.peek() else { return self.end(place) };
            place = match (place, byte) {
                (Place::ValueOrArrayEnd | Place::CommaOrArrayEnd, b']') => self.close(),
                (Place::NameOrObjectEnd | Place::CommaOrObjectEnd, b'}') => self.close(),
                (Place::CommaOrArrayEnd, b',') => self.step(Place::Value),
                (Place::CommaOrObjectEnd, b',') => self.step(Place::Name),
                (Place::Colon, b':') => self.step(Place::Value),
                (Place::Name | Place::NameOrObjectEnd, b'"') => {
                    self.read_string()?;
                    Place::Colon
                }
                (Place::Value | Place::ValueOrArrayEnd, _) => self.read_value(place, byte)?,
                (
                    Place::Name
                    | Place::NameOrObjectEnd
                    | Place::Colon
                    | Place::CommaOrArrayEnd
                    | Place::CommaOrObjectEnd
                    | Place::TextEnd,
                    _,
                ) => return Err(self.misplaced(place)),
            };
        }
    }

    /// At the end of the text: copies the rest if the text may end here.
    fn end(&mut self, place: Place) -> Result<(), Fault> {
        if place == Place::TextEnd {
            self.out.extend_from_slice(self.text.get(self.copied..).unwrap_or_default());
            return Ok(());
        }
        if place == Place::Value && self.depth == 0 {
            return Err(Fault { kind: JsonErrorKind::Empty, offset: self.at });
        }
        Err(self.misplaced(place))
    }

    fn read_value(&mut self, place: Place, byte: u8) -> Result<Place, Fault> {
        match byte {
            b'{' => return self.open(Place::NameOrObjectEnd),
            b'[' => return self.open(Place::ValueOrArrayEnd),
            b'"' => self.read_string()?,
            b'-' | b'0'..=b'9' => self.read_number()?,
            b't' => self.read_word("true")?,
            b'f' => self.read_word("false")?,
            b'n' => self.read_word("null")?,
            _ => return Err(self.misplaced(place)),
        }
        Ok(self.after_value())
    }

    fn open(&mut self, inside: Place) -> Result<Place, Fault> {
        if self.depth == self.depth_max {
            return Err(Fault { kind: JsonErrorKind::TooDeep, offset: self.at });
        }
        self.depth += 1;
        self.objects = (self.objects << 1) | u128::from(inside == Place::NameOrObjectEnd);
        Ok(self.step(inside))
    }

    fn close(&mut self) -> Place {
        self.depth -= 1;
        self.objects >>= 1;
        self.at += 1;
        self.after_value()
    }

    fn after_value(&self) -> Place {
        if self.depth == 0 {
            Place::TextEnd
        } else if self.objects & 1 == 1 {
            Place::CommaOrObjectEnd
        } else {
            Place::CommaOrArrayEnd
        }
    }

    /// Consumes one byte.
    fn step(&mut self, next: Place) -> Place {
        self.at += 1;
        next
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips white space. If there is any, copies the run before it.
    fn drop_whitespace(&mut self) {
        let start = self.at;
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
        if self.at > start {
            self.out.extend_from_slice(self.text.get(self.copied..start).unwrap_or_default());
            self.copied = self.at;
        }
    }

    /// Reads a string with its quotes.
    fn read_string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            self.at += plain_length(self.rest());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.read_escape()?,
                Some(_) | None => return Err(self.malformed(Token::String)),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn read_escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.malformed(Token::HexEscape));
                    }
                    self.at += 1;
                }
            }
            Some(_) | None => return Err(self.malformed(Token::Escape)),
        }
        Ok(())
    }

    fn read_number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.read_digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.read_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.read_digits()?;
        }
        Ok(())
    }

    /// Reads one digit or more.
    fn read_digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.malformed(Token::Number)) } else { Ok(()) }
    }

    fn read_word(&mut self, word: &'static str) -> Result<(), Fault> {
        for byte in word.bytes() {
            if self.peek() != Some(byte) {
                return Err(self.malformed(Token::Word(word)));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn misplaced(&self, expected: Place) -> Fault {
        Fault { kind: JsonErrorKind::Misplaced { expected, found: self.found() }, offset: self.at }
    }

    fn malformed(&self, token: Token) -> Fault {
        Fault { kind: JsonErrorKind::Malformed { token, found: self.found() }, offset: self.at }
    }

    /// The character here; `None` at the end.
    fn found(&self) -> Option<char> {
        let four = self.rest().get(..4).unwrap_or(self.rest());
        four.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next())
    }
}
