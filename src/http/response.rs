//! Responses: fields, and the head that frames them on the wire (RFC 9112, section 6.3).

use crate::digits::encode_u64;
use crate::http::fields::is_token_byte;
use crate::http::request::{Method, Version};

/// The interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Browsers must not guess a type other than the one that an answer states.
const NO_SNIFFING: &[u8] = b"x-content-type-options: nosniff\r\n";
/// What caches may keep, unless a response states otherwise: nothing.
const CACHE_CONTROL_DEFAULT: &str = "no-store";

/// A status, fields and a body. [`encode_head`] adds framing, date, persistence, and the fields about caching
/// and types that every answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    cache_control: &'static str,
    /// Encoded lines, each ended by CR LF.
    fields: Vec<u8>,
    body: Vec<u8>,
}

impl Response {
    /// A response without fields and body.
    pub fn new(status: u16) -> Response {
        Response { status, cache_control: CACHE_CONTROL_DEFAULT, fields: Vec::new(), body: Vec::new() }
    }

    /// Lets caches keep the answer as `cache_control` states. Only for public answers.
    #[must_use]
    pub fn cacheable(mut self, cache_control: &'static str) -> Response {
        self.cache_control = cache_control;
        self
    }

    /// Adds a field. A control character in `value` becomes a space, so that no value can end its line. `name` must
    /// not be one that [`encode_head`] writes.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: &str) -> Response {
        push_field(name, value, &mut self.fields);
        self
    }

    #[must_use]
    pub fn body(mut self, body: Vec<u8>) -> Response {
        self.body = body;
        self
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn body_bytes(&self) -> &[u8] {
        &self.body
    }

    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySize {
    /// In bytes; 0 for no body.
    Known(u64),
    /// The body is produced while it is sent.
    Stream,
}

/// What the head of an answer depends on besides the [`Response`]. For bytes that are not a request: `GET`, HTTP/1.1,
/// not persistent.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Of the request.
    pub method: Method,
    /// Of the request.
    pub version: Version,
    /// Both sides want to keep the connection after this answer.
    pub persistent: bool,
    pub body: BodySize,
    /// The current time, as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub date: &'a str,
}

/// How the end of a response is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFraming {
    /// It ends with its head, which does not mention a body.
    Bodiless,
    /// It ends with its head, which has the length of the answer to a GET.
    LengthOnly(u64),
    /// It ends with its head, which states that the answer to a GET has chunks.
    ChunkedOnly,
    /// In bytes.
    Length(u64),
    /// The body is sent in chunks ([`encode_chunk`], [`encode_last_chunk`]).
    Chunked,
    /// The body ends with the connection.
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedHead {
    pub framing: ReplyFraming,
    /// The connection is kept after this answer; otherwise the head announces its end.
    pub persistent: bool,
}

impl ReplyFraming {
    pub fn sends_body(self) -> bool {
        match self {
            ReplyFraming::Length(_) | ReplyFraming::Chunked | ReplyFraming::UntilClose => true,
            ReplyFraming::Bodiless | ReplyFraming::LengthOnly(_) | ReplyFraming::ChunkedOnly => false,
        }
    }

    fn decide(status: u16, method: Method, version: Version, body: BodySize) -> ReplyFraming {
        match (status, method, version, body) {
            (100..=199 | 204 | 304, _, _, _) => ReplyFraming::Bodiless,
            (_, Method::Head, _, BodySize::Known(bytes)) => ReplyFraming::LengthOnly(bytes),
            (_, Method::Head, Version::Http11, BodySize::Stream) => ReplyFraming::ChunkedOnly,
            (_, Method::Head, Version::Http10, BodySize::Stream) => ReplyFraming::Bodiless,
            (_, _, _, BodySize::Known(bytes)) => ReplyFraming::Length(bytes),
            (_, _, Version::Http11, BodySize::Stream) => ReplyFraming::Chunked,
            (_, _, Version::Http10, BodySize::Stream) => ReplyFraming::UntilClose,
        }
    }
}

/// Appends the status line and the fields of `response`, then the fields `extra`, and the empty line to `out`. The
/// caller sends the body, of `response` or another one, as the returned framing requires.
pub fn encode_head(
    response: &Response,
    reply: &Reply<'_>,
    extra: &[(&'static str, &str)],
    out: &mut Vec<u8>,
) -> EncodedHead {
    let framing = ReplyFraming::decide(response.status, reply.method, reply.version, reply.body);
    let persistent = reply.persistent && framing != ReplyFraming::UntilClose;
    out.extend_from_slice(b"HTTP/1.1 ");
    encode_u64(u64::from(response.status), out);
    out.push(b' ');
    out.extend_from_slice(reason_phrase(response.status).as_bytes());
    out.extend_from_slice(b"\r\ndate: ");
    out.extend_from_slice(reply.date.as_bytes());
    out.extend_from_slice(b"\r\ncache-control: ");
    out.extend_from_slice(response.cache_control.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(NO_SNIFFING);
    out.extend_from_slice(&response.fields);
    for (name, value) in extra {
        push_field(name, value, out);
    }
    match (persistent, reply.version) {
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
        (true, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
    match framing {
        ReplyFraming::Length(bytes) | ReplyFraming::LengthOnly(bytes) => {
            out.extend_from_slice(b"content-length: ");
            encode_u64(bytes, out);
            out.extend_from_slice(b"\r\n\r\n");
        }
        ReplyFraming::Chunked | ReplyFraming::ChunkedOnly => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        }
        ReplyFraming::Bodiless | ReplyFraming::UntilClose => out.extend_from_slice(b"\r\n"),
    }
    EncodedHead { framing, persistent }
}

/// Appends `bytes` as one chunk, or nothing if they are empty: an empty chunk would end the body.
pub fn encode_chunk(bytes: &[u8], out: &mut Vec<u8>) {
    use std::io::Write;
    if bytes.is_empty() {
        return;
    }
    let written = write!(out, "{:x}\r\n", bytes.len());
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends the end of a chunked body.
pub fn encode_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

fn push_field(name: &'static str, value: &str, out: &mut Vec<u8>) {
    debug_assert!(name.bytes().all(is_token_byte), "{name:?} is a field name");
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let is_harmless = |byte: u8| byte == b'\t' || !byte.is_ascii_control();
    out.extend(value.bytes().map(|byte| if is_harmless(byte) { byte } else { b' ' }));
    out.extend_from_slice(b"\r\n");
}

/// The reason phrases of the statuses that the server sends (RFC 9110, section 15; RFC 6585; RFC 4918). Clients ignore
/// them.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
