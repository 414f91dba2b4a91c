//! Requests and messages as lines. Each is one line, whatever it contains, and has no control characters for a
//! terminal.

use super::mask;
use crate::clock::render_rfc3339;
use crate::digits::encode_u64;
use crate::limits::LOG_FIELD_BYTES_MAX;
use ::log::Level;
use std::fmt::Arguments;
use std::io::Write;
use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, with the time first.
    Text,
    /// For people, without a time: the collector (systemd's journal) adds it.
    TextUntimed,
    /// One JSON object a line.
    Json,
}

#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// The time of the answer, milliseconds since 1970.
    pub wall_ms: u64,
    pub address: IpAddr,
    pub method: &'a str,
    /// Its target, by [`super::loggable_target`].
    pub path: &'a str,
    pub status: u16,
    /// Body bytes of the answer.
    pub bytes: u64,
    /// Time from the complete request to the complete answer, microseconds.
    pub micros: u64,
    pub request_id: &'a str,
}

/// Appends `line` with its line feed. Fields longer than [`LOG_FIELD_BYTES_MAX`] are cut.
///
/// ```text
/// 2026-01-31T23:59:59.000Z 127.0.0.1 PUT /api/v1/projects/a/keys/b 201 123 85us 4f2a91c0-0-17
/// ```
pub fn render_request(line: &RequestLine<'_>, format: Format, out: &mut Vec<u8>) {
    if format == Format::Json {
        return render_request_json(line, out);
    }
    render_time(line.wall_ms, format, out);
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
    if format == Format::Json {
        out.extend_from_slice(b"{\"time\":\"");
        render_rfc3339(wall_ms, out);
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(level.as_str().as_bytes());
        out.extend_from_slice(b"\",\"message\":");
        render_json_string(&text, usize::MAX, out);
        return out.extend_from_slice(b"}\n");
    }
    render_time(wall_ms, format, out);
    out.extend_from_slice(level.as_str().as_bytes());
    out.push(b' ');
    for character in text.chars() {
        // Quotes, spaces and backslashes are not escaped: a message is the rest of its line.
        match character {
            ' '..='~' => render_character(character, out),
            _ => escape_character(character, out),
        }
    }
    out.push(b'\n');
}

fn render_time(wall_ms: u64, format: Format, out: &mut Vec<u8>) {
    if format == Format::Text {
        render_rfc3339(wall_ms, out);
        out.push(b' ');
    }
}

/// Renders an IPv4-mapped IPv6 address as IPv4.
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

/// Renders `text` as one word: spaces, quotes, backslashes and unprintable characters are escaped.
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

/// Like [`crate::json::encode_string`], but also escapes unprintable characters, because people read logs in terminals.
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

/// The first `bytes_max` bytes of `text`, fewer if a character would be cut, and the mark to append.
fn cut(text: &str, bytes_max: usize) -> (&str, &'static str) {
    if text.len() <= bytes_max {
        return (text, "");
    }
    let end = (0..=bytes_max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
    (text.get(..end).unwrap_or_default(), "…")
}
