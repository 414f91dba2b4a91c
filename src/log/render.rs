//! Requests and messages as lines. Whatever they hold, one of them is one line, without a
//! control character that a terminal would obey.

use super::mask;
use crate::clock::render_rfc3339;
use crate::digits::encode_u64;
use crate::limits::LOG_FIELD_BYTES_MAX;
use ::log::Level;
use std::fmt::Arguments;
use std::io::Write;
use std::net::IpAddr;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, with the time in front.
    Text,
    /// For people, without a time: whoever takes the lines (systemd's journal) adds it.
    TextUntimed,
    /// One JSON object a line.
    Json,
}

/// What the request log says of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// When it was answered, milliseconds since 1970.
    pub wall_ms: u64,
    /// Who asked.
    pub address: IpAddr,
    pub method: &'a str,
    /// Its target as [`super::loggable_target`] shows it.
    pub path: &'a str,
    /// Status of the answer.
    pub status: u16,
    /// Body bytes of the answer.
    pub bytes: u64,
    /// Time from the whole request to the whole answer, microseconds.
    pub micros: u64,
    /// What the answer's `X-Request-Id` says.
    pub request_id: &'a str,
}

/// Appends `line` with its line feed. Texts longer than [`LOG_FIELD_BYTES_MAX`] are cut.
///
/// ```text
/// 2026-01-31T23:59:59.000Z 127.0.0.1 PUT /api/v1/projects/a/keys/b 201 123 85us 4f2a91c0-0-17
/// ```
pub fn render_request(line: &RequestLine<'_>, format: Format, out: &mut Vec<u8>) {
    match format {
        Format::Text => {
            render_rfc3339(line.wall_ms, out);
            out.push(b' ');
            render_request_text(line, out);
        }
        Format::TextUntimed => render_request_text(line, out),
        Format::Json => render_request_json(line, out),
    }
}

fn render_request_text(line: &RequestLine<'_>, out: &mut Vec<u8>) {
    render_address(line.address, out);
    out.push(b' ');
    render_word(line.method, out);
    out.push(b' ');
    render_word(line.path, out);
    out.push(b' ');
    encode_u64(u64::from(line.status), out);
    out.push(b' ');
    encode_u64(line.bytes, out);
    out.push(b' ');
    encode_u64(line.micros, out);
    out.extend_from_slice(b"us ");
    render_word(line.request_id, out);
    out.push(b'\n');
}

fn render_request_json(line: &RequestLine<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    render_rfc3339(line.wall_ms, out);
    out.extend_from_slice(b"\",\"address\":\"");
    render_address(line.address, out);
    out.extend_from_slice(b"\",\"method\":");
    render_json_string(line.method, LOG_FIELD_BYTES_MAX, out);
    out.extend_from_slice(b",\"path\":");
    render_json_string(line.path, LOG_FIELD_BYTES_MAX, out);
    out.extend_from_slice(b",\"status\":");
    encode_u64(u64::from(line.status), out);
    out.extend_from_slice(b",\"bytes\":");
    encode_u64(line.bytes, out);
    out.extend_from_slice(b",\"micros\":");
    encode_u64(line.micros, out);
    out.extend_from_slice(b",\"request_id\":");
    render_json_string(line.request_id, LOG_FIELD_BYTES_MAX, out);
    out.extend_from_slice(b"}\n");
}

/// Appends a message of the `log` macros with its line feed.
pub(super) fn render_diagnostic(
    wall_ms: u64,
    level: Level,
    text: Arguments<'_>,
    format: Format,
    out: &mut Vec<u8>,
) {
    let text = text.to_string();
    let text = String::from_utf8_lossy(&mask(text.as_bytes())).into_owned();
    match format {
        Format::Text => {
            render_rfc3339(wall_ms, out);
            out.push(b' ');
            render_message(level, &text, out);
        }
        Format::TextUntimed => render_message(level, &text, out),
        Format::Json => {
            out.extend_from_slice(b"{\"time\":\"");
            render_rfc3339(wall_ms, out);
            out.extend_from_slice(b"\",\"level\":\"");
            out.extend_from_slice(level.as_str().as_bytes());
            out.extend_from_slice(b"\",\"message\":");
            render_json_string(&text, usize::MAX, out);
            out.extend_from_slice(b"}\n");
        }
    }
}

fn render_message(level: Level, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(level.as_str().as_bytes());
    out.push(b' ');
    for character in text.chars() {
        // Quotes, spaces and backslashes read better as they are: a message is the rest of its line.
        match character {
            ' '..='~' => render_character(character, out),
            _ => escape_character(character, out),
        }
    }
    out.push(b'\n');
}

/// An IPv4 address in its IPv6 form is rendered as IPv4.
fn render_address(address: IpAddr, out: &mut Vec<u8>) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            for (octet, separator) in [(a, "."), (b, "."), (c, "."), (d, "")] {
                encode_u64(u64::from(octet), out);
                out.extend_from_slice(separator.as_bytes());
            }
        }
        IpAddr::V6(address) => {
            let written = write!(out, "{address}");
            debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
        }
    }
}

/// Renders `text` as one word: spaces, quotes, backslashes and what does not print are escaped.
fn render_word(text: &str, out: &mut Vec<u8>) {
    let (text, mark) = cut(text, LOG_FIELD_BYTES_MAX);
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(text.as_bytes());
    } else {
        for character in text.chars() {
            match character {
                ' ' => out.extend_from_slice(b"\\x20"),
                _ => escape_character(character, out),
            }
        }
    }
    out.extend_from_slice(mark.as_bytes());
}

fn escape_character(character: char, out: &mut Vec<u8>) {
    if character == '\'' {
        return out.push(b'\'');
    }
    for part in character.escape_debug() {
        render_character(part, out);
    }
}

fn render_character(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Like [`crate::json::encode_string`], but everything that does not print is escaped too, because
/// people look at logs in terminals.
fn render_json_string(text: &str, bytes_max: usize, out: &mut Vec<u8>) {
    let (text, mark) = cut(text, bytes_max);
    out.push(b'"');
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(text.as_bytes());
    } else {
        for character in text.chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                ' '..='~' => render_character(character, out),
                _ if character.escape_debug().len() == 1 => render_character(character, out),
                _ => render_hex_escape(character, out),
            }
        }
    }
    out.extend_from_slice(mark.as_bytes());
    out.push(b'"');
}

fn render_hex_escape(character: char, out: &mut Vec<u8>) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        let written = write!(out, "\\u{unit:04x}");
        debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
    }
}

/// The first `bytes_max` bytes of `text`, less where a character would be cut, and what to put
/// behind them.
fn cut(text: &str, bytes_max: usize) -> (&str, &'static str) {
    if text.len() <= bytes_max {
        return (text, "");
    }
    let end = (0..=bytes_max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
    (text.get(..end).unwrap_or_default(), "…")
}
