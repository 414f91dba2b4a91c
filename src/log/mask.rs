//! Hides secrets in log lines: API keys and access tokens of this server, credentials after `Bearer` and `Basic`, and
//! the user information of URLs.
//!
//! A secret is recognized by its form, in the text as it is and after every level of percent-encoding is decoded. Not
//! here: API keys that an operator chose. They have no form, and the server knows only their hashes.

use crate::digits::hex_value;
use crate::secret::{KEY_PREFIX, MASK};
use std::borrow::Cow;
use std::ops::Range;

/// A name may have the prefix of a key and this many letters and digits. More are a key, or a part of one.
const NAME_DIGITS_MAX: usize = 15;
/// A word of at least this length that begins like a key is a mistyped key, bytes.
const MISTYPED_KEY_BYTES_MIN: usize = 40;
/// A word of at least this length that begins like a token is one, bytes. The first part of a token alone has 36.
const TOKEN_BYTES_MIN: usize = 32;
/// The beginning of every token: base64 of `{"`.
const TOKEN_PREFIX: &[u8] = b"eyJ";
/// The prefix of a key in base64, at each of the three offsets that it can have in a group.
const ENCODED_KEY_PREFIXES: [&[u8]; 3] = [b"cGlrdl", b"Bpa3Zf", b"waWt2X"];
/// A base64 text of at least this length that begins with one of them contains a key, bytes.
const ENCODED_KEY_BYTES_MIN: usize = 24;
/// The words before a credential in `Authorization`.
const SCHEMES: [&[u8]; 2] = [b"bearer", b"basic"];

/// `text` with `***` for every secret in it. Borrowed if there is none.
pub fn mask(text: &[u8]) -> Cow<'_, [u8]> {
    let mut spans = Vec::new();
    if may_have_secret(text) {
        spans.extend(secrets(text));
    }
    if text.contains(&b'%') {
        let decoded = Decoded::of(text);
        if may_have_secret(&decoded.bytes) {
            spans.extend(secrets(&decoded.bytes).map(|span| decoded.encoded(&span)));
        }
    }
    replace(text, spans)
}

/// The part of a request target that may be logged: no query, no fragment, no user information, no other secret. It
/// must get the whole target: the beginning of a secret alone is not recognized.
pub fn loggable_target(target: &[u8]) -> Cow<'_, [u8]> {
    let path_end = target.iter().position(|byte| b"?#".contains(byte)).unwrap_or(target.len());
    let path = target.get(..path_end).unwrap_or_default();
    // Only absolute URLs and the targets of CONNECT begin with another byte. They may have user information.
    if path.starts_with(b"/") {
        return mask(path);
    }
    let decoded = Decoded::of(target);
    let Some(user_end) = decoded.bytes.iter().rposition(|&byte| byte == b'@') else { return mask(path) };
    // `?` and `/` in a password end the path or the host too early, so the last `@` decides.
    let after = decoded.encoded(&(user_end..user_end + 1)).start;
    let mut shown = MASK.as_bytes().to_vec();
    shown.extend_from_slice(&mask(path.get(after..).unwrap_or_default()));
    Cow::Owned(shown)
}

/// Whether `text` may have a secret. Most texts do not, and need no further work.
fn may_have_secret(text: &[u8]) -> bool {
    text.iter().enumerate().any(|(at, byte)| {
        let follows =
            |letter: u8| at > 0 && text.get(at - 1).is_some_and(|b| b.eq_ignore_ascii_case(&letter));
        match byte {
            b'@' => true,
            b'+' | b' ' => follows(b'r') || follows(b'c'),
            b'_' => follows(b'v'),
            b'J' => follows(b'y'),
            b'G' => follows(b'c'),
            b'Z' => follows(b'3'),
            b'W' => follows(b'a'),
            _ => false,
        }
    })
}

/// A text with every level of percent-encoding decoded.
struct Decoded {
    bytes: Vec<u8>,
    /// The offset in the text of each of `bytes`, and the length of the text.
    starts: Vec<usize>,
}

impl Decoded {
    /// From right to left, so that the bytes after a `%` are decoded already. `%25` becomes a `%` that is examined
    /// again.
    fn of(text: &[u8]) -> Decoded {
        let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
        let mut starts = Vec::with_capacity(text.len() + 1);
        starts.push(text.len());
        for (start, &first) in text.iter().enumerate().rev() {
            let mut byte = first;
            while let (b'%', Some(decoded)) = (byte, escaped_byte(&bytes)) {
                bytes.truncate(bytes.len() - 2);
                starts.truncate(bytes.len() + 1);
                byte = decoded;
            }
            bytes.push(byte);
            starts.push(start);
        }
        bytes.reverse();
        starts.reverse();
        Decoded { bytes, starts }
    }

    /// The range of the text that was decoded to `span`.
    fn encoded(&self, span: &Range<usize>) -> Range<usize> {
        let start = |index: usize| self.starts.get(index).copied().unwrap_or_default();
        start(span.start)..start(span.end)
    }
}

/// The byte of the two hexadecimal digits at the end of `reversed`. `None` also if a digit begins a secret: a `%`
/// before a token is not part of it.
fn escaped_byte(reversed: &[u8]) -> Option<u8> {
    let [rest @ .., high] = reversed else { return None };
    let digit = |byte: &u8| hex_value(byte.to_ascii_lowercase());
    let byte = digit(high)? << 4 | digit(rest.last()?)?;
    (!begins_secret(reversed) && !begins_secret(rest)).then_some(byte)
}

/// Whether the text that is `reversed` begins like a secret that can begin with a hexadecimal digit.
fn begins_secret(reversed: &[u8]) -> bool {
    let mut beginnings = ENCODED_KEY_PREFIXES.iter().chain(&SCHEMES).chain([&TOKEN_PREFIX]);
    beginnings.any(|beginning| {
        let text = reversed.iter().rev();
        beginning.len() <= reversed.len()
            && beginning.iter().zip(text).all(|(a, b)| a.eq_ignore_ascii_case(b))
    })
}

/// The ranges of the secrets in `text`, in order.
fn secrets(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(secret) = secret_at_start(rest) {
                let span = at + secret.start..at + secret.end;
                at = span.end;
                return Some(span);
            }
            at += 1;
        }
        None
    })
}

/// The secret at the start of `text`, or after a scheme there.
fn secret_at_start(text: &[u8]) -> Option<Range<usize>> {
    match text.first()? {
        b'p' | b'P' => key_at_start(text),
        b'e' => token_at_start(text),
        b'/' => user_at_start(text),
        b'c' | b'w' => encoded_key_at_start(text),
        b'B' => encoded_key_at_start(text).or_else(|| credential_after_scheme(text)),
        b'b' => credential_after_scheme(text),
        _ => None,
    }
}

fn key_at_start(text: &[u8]) -> Option<Range<usize>> {
    let rest = after_prefix(text, KEY_PREFIX.as_bytes())?;
    let digits = run(rest, |byte| byte.is_ascii_alphanumeric());
    let word = run(text, is_of_word);
    (digits > NAME_DIGITS_MAX || word >= MISTYPED_KEY_BYTES_MIN).then_some(0..word)
}

fn token_at_start(text: &[u8]) -> Option<Range<usize>> {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=%".contains(&byte);
    let is_token = text.starts_with(TOKEN_PREFIX) && run(text, is_of_token) >= TOKEN_BYTES_MIN;
    is_token.then(|| 0..run(text, is_of_word))
}

fn encoded_key_at_start(text: &[u8]) -> Option<Range<usize>> {
    let is_of_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    let length = run(text, is_of_base64);
    let is_key = ENCODED_KEY_PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    (is_key && length >= ENCODED_KEY_BYTES_MIN).then_some(0..length)
}

/// `//user:password@host`, up to the `@`.
fn user_at_start(text: &[u8]) -> Option<Range<usize>> {
    let rest = text.strip_prefix(b"//")?;
    let authority = rest.get(..run(rest, |byte| byte != b'/' && !byte.is_ascii_whitespace()))?;
    let user = authority.iter().rposition(|&byte| byte == b'@')?;
    Some(2..2 + user)
}

/// `Bearer credential` and `Basic credential`; `+` is a space in a query.
fn credential_after_scheme(text: &[u8]) -> Option<Range<usize>> {
    let rest = SCHEMES.iter().find_map(|scheme| after_prefix(text, scheme))?;
    let spaces = run(rest, |byte| b" +".contains(&byte));
    // Stops here without a space, so that a text full of schemes is still read only once.
    let credential_and_more = rest.get(spaces..).filter(|_| spaces > 0)?;
    let start = text.len() - credential_and_more.len();
    let credential = run(credential_and_more, |byte| !byte.is_ascii_whitespace());
    (credential > 0).then_some(start..start + credential)
}

/// The text after `prefix`, which may be in upper or lower case.
fn after_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The number of bytes at the start of `text` that are of a kind.
fn run(text: &[u8], is_of_kind: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|&byte| !is_of_kind(byte)).unwrap_or(text.len())
}

/// Whether `byte` continues a key or token, even a mistyped one.
fn is_of_word(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !b"/\"'`,;&?".contains(&byte)
}

fn replace(text: &[u8], mut spans: Vec<Range<usize>>) -> Cow<'_, [u8]> {
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_by_key(|span| span.start);
    let (mut shown, mut at) = (Vec::with_capacity(text.len()), 0);
    for span in spans {
        // A span that begins in the previous one is the same secret, found in the decoded text too.
        if let Some(between) = text.get(at..span.start) {
            shown.extend_from_slice(between);
            shown.extend_from_slice(MASK.as_bytes());
        }
        at = at.max(span.end);
    }
    shown.extend_from_slice(text.get(at..).unwrap_or_default());
    Cow::Owned(shown)
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
