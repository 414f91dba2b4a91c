//! Strings to JSON text and back.

use crate::digits::hex_digit;
use std::borrow::Cow;

/// Appends `text` as a JSON string with its quotes. Escapes only `"`, `\` and the control characters below U+0020.
pub fn encode_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at_checked(plain_length(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        encode_escape(byte, out);
        rest = after;
    }
    out.push(b'"');
}

fn encode_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0C => out.extend_from_slice(b"\\f"),
        _ => {
            out.extend_from_slice(if byte < 0x10 { b"\\u000" } else { b"\\u001" });
            out.push(hex_digit(byte));
        }
    }
}

/// The text of a JSON string, borrowed if it has no escapes. `json` is a valid JSON text without white space around it,
/// as [`super::minify()`] produces it; a string has its quotes.
///
/// `None` if `json` is not a string, or has the escape of a lone surrogate: that is valid JSON, but not text.
pub fn decode_string(json: &[u8]) -> Option<Cow<'_, str>> {
    let inner = std::str::from_utf8(json).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    let Some((plain, escaped)) = inner.split_once('\\') else { return Some(Cow::Borrowed(inner)) };
    let mut text = String::with_capacity(inner.len());
    text.push_str(plain);
    let mut rest = escaped;
    loop {
        rest = decode_escape(rest, &mut text)?;
        let Some((plain, escaped)) = rest.split_once('\\') else { break };
        text.push_str(plain);
        rest = escaped;
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// The type of `json`, by its first byte. `json` is a valid JSON text without white space around it, as
/// [`super::minify()`] produces it.
pub fn type_name(json: &[u8]) -> &'static str {
    match json.first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        Some(_) | None => "number",
    }
}

/// Decodes the escape whose `\` precedes `rest`. Returns the text after it.
fn decode_escape<'a>(rest: &'a str, text: &mut String) -> Option<&'a str> {
    let mut characters = rest.chars();
    let character = match characters.next()? {
        c @ ('"' | '\\' | '/') => c,
        'b' => '\u{08}',
        'f' => '\u{0C}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return decode_hex_escape(characters.as_str(), text),
        _ => return None,
    };
    text.push(character);
    Some(characters.as_str())
}

/// Decodes one `\uXXXX`, or the two of a surrogate pair; the first `\u` precedes `rest`.
fn decode_hex_escape<'a>(rest: &'a str, text: &mut String) -> Option<&'a str> {
    let (first, after_first) = take_hex(rest)?;
    if !(0xD800..=0xDFFF).contains(&first) {
        text.push(char::from_u32(first)?);
        return Some(after_first);
    }
    let (second, after_second) = take_hex(after_first.strip_prefix("\\u")?)?;
    if !(0xDC00..=0xDFFF).contains(&second) {
        return None;
    }
    // If the first one is a low surrogate, the number is above the last character, and the result is `None` too.
    text.push(char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))?);
    Some(after_second)
}

fn take_hex(rest: &str) -> Option<(u32, &str)> {
    let (digits, after) = rest.split_at_checked(4)?;
    // `from_str_radix` alone would accept a leading `+`.
    let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all_hex { Some((u32::from_str_radix(digits, 16).ok()?, after)) } else { None }
}

/// Bytes up to the first `"`, `\` or byte below 0x20, or all of them: eight at a time.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + usize::try_from(special.trailing_zeros() / 8).unwrap_or_default();
        }
    }
    let tail = bytes.get(words.len() * 8..).unwrap_or_default();
    let is_special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    words.len() * 8 + tail.iter().position(is_special).unwrap_or(tail.len())
}

/// A word whose lowest set bit is in the first special byte; 0 if there is none.
///
/// `(x - n) & !x & 0x80` finds a byte below n (n <= 0x80). A borrow may mark later bytes wrongly, never one before the
/// first match. Source: Bit Twiddling Hacks, "Determine if a word has a
/// byte less than n".
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below = |x: u64, n: u64| x.wrapping_sub(ONES * n) & !x & (ONES * 0x80);
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5C);
    below(word, 0x20) | below(quote, 1) | below(backslash, 1)
}
