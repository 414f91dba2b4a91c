//! A second decoder of chunked bodies (RFC 9112, section 7.1): line by line over all that is there.

use super::head::is_token;
use pikv::testing::limits::{CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

/// What the bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A body: its content, and how many bytes follow it.
    Complete { content: Vec<u8>, unread: usize },
    /// The beginning of a body. The content that is there.
    Incomplete { content: Vec<u8> },
    /// No body, however it goes on.
    Bad,
    /// A body with more content than it may have.
    TooLarge,
}

/// Decodes `wire` as a body of `bytes_max` bytes of content at most.
pub fn decode(wire: &[u8], bytes_max: usize) -> Verdict {
    let (mut content, mut rest, mut extension_bytes) = (Vec::new(), wire, 0);
    loop {
        let (text, is_ended) = match line(rest) {
            Line::Bad => return Verdict::Bad,
            Line::Whole(text, _) => (text, true),
            Line::Part { text, ended } => (text, ended),
        };
        let digits = text.split(|&byte| byte == b';').next().unwrap_or_default();
        extension_bytes += text.len() - digits.len();
        let is_short = text.is_empty() && !is_ended;
        let is_size = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
        let are_extensions = extensions_fit(&text[digits.len()..], is_ended);
        if !(is_short || is_size) || !are_extensions || extension_bytes > CHUNK_EXTENSION_BYTES_MAX {
            return Verdict::Bad;
        }
        let Line::Whole(_, after) = line(rest) else { return Verdict::Incomplete { content } };
        let size = digits.iter().fold(0, |size: u64, &digit| {
            size << 4 | u64::from(char::from(digit).to_digit(16).unwrap_or_default())
        });
        if size == 0 {
            return trailers(after, content);
        }
        if size > (bytes_max - content.len()) as u64 {
            return Verdict::TooLarge;
        }
        let size = size as usize;
        content.extend_from_slice(&after[..size.min(after.len())]);
        rest = match after.get(size..) {
            None | Some([] | [b'\r']) => return Verdict::Incomplete { content },
            Some([b'\r', b'\n', next @ ..]) => next,
            Some(_) => return Verdict::Bad,
        };
    }
}

fn trailers(wire: &[u8], content: Vec<u8>) -> Verdict {
    let (mut rest, mut bytes) = (wire, 0);
    loop {
        match line(rest) {
            Line::Bad => return Verdict::Bad,
            Line::Part { text, .. } if bytes + text.len() > TRAILER_BYTES_MAX => return Verdict::Bad,
            Line::Part { text, ended } if trailer_fits(text, ended) => {
                return Verdict::Incomplete { content };
            }
            Line::Part { .. } => return Verdict::Bad,
            Line::Whole([], after) => return Verdict::Complete { content, unread: after.len() },
            Line::Whole(text, _) if !trailer_fits(text, true) => return Verdict::Bad,
            // The line end counts as one byte.
            Line::Whole(text, after) => {
                bytes += text.len() + 1;
                rest = after;
            }
        }
        if bytes > TRAILER_BYTES_MAX {
            return Verdict::Bad;
        }
    }
}

/// Whether `text` is a trailer line, or nothing, or may become one if it has not ended.
fn trailer_fits(text: &[u8], is_ended: bool) -> bool {
    match text.iter().position(|&byte| byte == b':') {
        Some(colon) => is_token(&text[..colon]),
        None => text.is_empty() || (!is_ended && is_token(text)),
    }
}

/// Whether `text` is `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )` with nothing
/// before the first `;`, or may become that if it has not ended.
fn extensions_fit(text: &[u8], is_ended: bool) -> bool {
    let mut rest = text;
    loop {
        let Some(after) = rest.strip_prefix(b";") else { return rest.is_empty() };
        let name = skip_spaces(after);
        let after_name = skip_token(name);
        if name.is_empty() {
            return !is_ended;
        }
        if after_name.len() == name.len() {
            return false;
        }
        let mut end = after_name;
        if let Some(value) = skip_spaces(after_name).strip_prefix(b"=").map(skip_spaces) {
            end = match value {
                [] => return !is_ended,
                [b'"', text @ ..] => match skip_quoted(text) {
                    Some(after) => after,
                    None => return !is_ended,
                },
                token => skip_token(token),
            };
            if end.len() == value.len() {
                return false;
            }
        }
        rest = skip_spaces(end);
        if rest.is_empty() {
            return end.is_empty() || !is_ended;
        }
    }
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()..]
}

fn skip_token(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&byte| is_token(&[byte])).count()..]
}

/// What follows the closing quote.
fn skip_quoted(text: &[u8]) -> Option<&[u8]> {
    match text {
        [] | [b'\\'] => None,
        [b'"', after @ ..] => Some(after),
        [b'\\', _, after @ ..] | [_, after @ ..] => skip_quoted(after),
    }
}

enum Line<'b> {
    /// A line without its end, and what follows.
    Whole(&'b [u8], &'b [u8]),
    /// The beginning of one; `ended` where the CR is there.
    Part { text: &'b [u8], ended: bool },
    /// A control character, a bare CR or a bare LF in it.
    Bad,
}

fn line(bytes: &[u8]) -> Line<'_> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    if text.iter().any(|&byte| byte != b'\t' && (byte < 0x20 || byte == 0x7f)) {
        return Line::Bad;
    }
    match rest {
        [] => Line::Part { text, ended: false },
        [b'\r'] => Line::Part { text, ended: true },
        [b'\r', b'\n', after @ ..] => Line::Whole(text, after),
        _ => Line::Bad,
    }
}
