//! The head of a request: its end, and its request line.
//!
//! The request line is parsed here, because `httparse` accepts bare LF, any number of empty lines and any byte in a
//! target. `httparse` parses the fields, after every line is known to end with CR LF. The result does not depend on how
//! the bytes arrive: the request line is checked first, then line ends, then the length, and the fields only of a
//! complete head.

use crate::http::fields::{self, is_token_byte};
use crate::http::refusal::{Malformed, Refusal};
use crate::http::request::{Head, Method, Span, Version};
use crate::http::target::{self, Target};
use crate::limits::{LEADING_EMPTY_LINES_MAX, METHOD_BYTES_MAX, REQUEST_LINE_BYTES_MAX, TARGET_BYTES_MAX};
use std::borrow::Cow;

/// The first byte of a TLS connection (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// How far a head was searched, so that no byte is searched twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Empty lines consumed before the request line.
    empty_lines: usize,
    /// Bytes that do not contain the end of the head.
    searched: usize,
    request_line_checked: bool,
}

#[derive(Debug)]
pub enum Parsed<'b> {
    Complete {
        head: Head<'b>,
        /// The bytes after the head.
        rest: &'b [u8],
    },
    Partial {
        /// Bytes of empty lines, which must not be passed again.
        skipped: usize,
        /// Bytes of the request line have arrived.
        begun: bool,
    },
}

/// Parses a head of at most `head_bytes_max` at the start of `input`. `progress` is new for a new head and kept until
/// the head is complete. Each call gets the bytes of the call before again, without the skipped ones.
///
/// # Errors
/// [`Refusal`], as soon as the head cannot become valid.
pub fn parse<'b>(
    input: &'b [u8],
    head_bytes_max: usize,
    progress: &mut Progress,
) -> Result<Parsed<'b>, Refusal> {
    let (skipped, input) = skip_empty_lines(input, &mut progress.empty_lines)?;
    if matches!(input, [] | [b'\r']) {
        return Ok(Parsed::Partial { skipped, begun: false });
    }
    let bounded = input.get(..head_bytes_max).unwrap_or(input);
    let searched = search_end(bounded, progress.searched);
    if let Ok(Some((bytes, rest))) = searched.map(|end| end.and_then(|end| input.split_at_checked(end))) {
        return Ok(Parsed::Complete { head: parse_complete(bytes)?, rest });
    }
    if !progress.request_line_checked {
        progress.request_line_checked = check_request_line(bounded)?;
    }
    searched?;
    if bounded.len() >= head_bytes_max {
        return Err(Refusal::HeadTooLong { bytes_max: head_bytes_max });
    }
    progress.searched = bounded.len();
    Ok(Parsed::Partial { skipped, begun: true })
}

/// Whether `input`, which follows a complete request, is or may become the start of another one. A token that may be a
/// method, and a space after it, are enough; [`parse`] finds other errors.
pub fn may_begin_request(input: &[u8]) -> bool {
    let mut rest = input;
    for _ in 0..LEADING_EMPTY_LINES_MAX {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    }
    let word = rest.iter().take_while(|&&byte| is_token_byte(byte)).count();
    match rest.get(word..).unwrap_or_default() {
        [] => word <= METHOD_BYTES_MAX,
        [b'\r'] | [b'\r', b'\n', ..] => word == 0,
        [after, ..] => *after == b' ' && (1..=METHOD_BYTES_MAX).contains(&word),
    }
}

/// Parses a head that is known to be complete and to have only CR LF as line ends.
pub fn parse_complete(bytes: &[u8]) -> Result<Head<'_>, Refusal> {
    check_request_line_start(bytes)?;
    let end = find_lf(bytes, 0).map_or(bytes.len(), |lf| lf + 1);
    let (line, _) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    let RequestLine { method, target: target_text, version } = parse_request_line(line)?;
    let fields = fields::parse(bytes, end)?;
    let meaning = fields::interpret(&fields, bytes, version)?;
    let mut authority = meaning.host;
    let target = match (method, target_text) {
        (Method::Connect, _) => Ok(Target::Authority),
        (Method::Options, b"*") => Ok(Target::Asterisk),
        (_, b"*") => return Err(Malformed::Asterisk.into()),
        (_, text) => target::parse(text).map(|(path, query, own)| {
            // RFC 9112, section 3.2.2: the authority of an absolute target replaces Host.
            authority = own.or(authority);
            // RFC 9110, section 4.2.3: an empty path is the root.
            let path = if path.is_empty() { "/" } else { path };
            Target::Origin { path, query }.map(Cow::Borrowed)
        }),
    };
    Ok(Head {
        bytes: Cow::Borrowed(bytes),
        method,
        target,
        target_text: Span::of(target_text, bytes),
        version,
        authority: authority.map(Cow::Borrowed),
        persistent: meaning.persistent,
        expects_continue: meaning.expects_continue,
        framing: meaning.framing,
        fields,
    })
}

/// Some clients send an empty line after a body (RFC 9112, section 2.2).
fn skip_empty_lines<'b>(input: &'b [u8], count: &mut usize) -> Result<(usize, &'b [u8]), Refusal> {
    let mut rest = input;
    while let [first @ (b'\r' | b'\n'), tail @ ..] = rest {
        match (first, tail) {
            (b'\n', _) => return Err(Malformed::BareLf.into()),
            (_, []) => break,
            (_, [b'\n', after @ ..]) => rest = after,
            (_, [_, ..]) => return Err(Malformed::BareCr.into()),
        }
        *count += 1;
        if *count > LEADING_EMPTY_LINES_MAX {
            return Err(Malformed::EmptyLines.into());
        }
    }
    Ok((input.len() - rest.len(), rest))
}

/// The end of the head, which is after the first empty line. The bytes before `from` do not contain it.
fn search_end(bytes: &[u8], mut from: usize) -> Result<Option<usize>, Malformed> {
    while let Some(lf) = find_lf(bytes, from) {
        let upto = bytes.get(..lf).unwrap_or_default();
        let Some(line) = upto.strip_suffix(b"\r") else { return Err(bare_lf(upto)) };
        if line.ends_with(b"\n") {
            return Ok(Some(lf + 1));
        }
        from = lf + 1;
    }
    Ok(None)
}

/// The error of an LF without CR at the end of `head`, which begins with the request line.
fn bare_lf(head: &[u8]) -> Malformed {
    match head.iter().rposition(|&byte| byte == b'\n').and_then(|before| head.get(before + 1..)) {
        Some(field_line) => fields::diagnose_bare_lf(field_line),
        None => Malformed::BareLf,
    }
}

fn find_lf(bytes: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.iter().position(|&byte| byte == b'\n').map(|at| from + at)
}

/// Refuses a request line that is invalid or cannot become valid. Returns whether it is complete.
fn check_request_line(bytes: &[u8]) -> Result<bool, Refusal> {
    check_request_line_start(bytes)?;
    match find_lf(bytes, 0) {
        Some(lf) => parse_request_line(bytes.get(..=lf).unwrap_or_default()).map(|_| true),
        None if bytes.len() >= REQUEST_LINE_BYTES_MAX => Err(Refusal::TargetTooLong),
        None => Ok(false),
    }
}

/// Refuses bytes that are not a method, so that a TLS hello or the rest of a body is refused by its first bytes.
fn check_request_line_start(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.first() == Some(&TLS_HANDSHAKE) {
        return Err(Malformed::Tls.into());
    }
    for (at, &byte) in bytes.iter().take(METHOD_BYTES_MAX + 1).enumerate() {
        match byte {
            b' ' | b'\r' | b'\n' if at > 0 => return Ok(()),
            byte if !is_token_byte(byte) => return Err(Malformed::Method.into()),
            _ if at == METHOD_BYTES_MAX => return Err(Refusal::MethodTooLong),
            _ => {}
        }
    }
    Ok(())
}

struct RequestLine<'b> {
    method: Method,
    target: &'b [u8],
    version: Version,
}

/// Parses a line that begins with a token and ends with LF.
fn parse_request_line(line: &[u8]) -> Result<RequestLine<'_>, Refusal> {
    if line.len() > REQUEST_LINE_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    let Some(content) = line.strip_suffix(b"\r\n") else { return Err(Malformed::BareLf.into()) };
    if content.contains(&b'\r') {
        return Err(Malformed::BareCr.into());
    }
    let mut parts = content.splitn(3, |&byte| byte == b' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Malformed::RequestLine.into());
    };
    if target.len() > TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    if target.is_empty() || target.iter().any(u8::is_ascii_control) {
        return Err(Malformed::RequestLine.into());
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            return Err(Refusal::VersionUnsupported);
        }
        _ => return Err(Malformed::Version.into()),
    };
    Ok(RequestLine { method: Method::parse(method), target, version })
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
