//! Why no further request can be read from a connection: the sender broke the framing, or exceeded a bound. The server
//! answers once and closes.
//!
//! The variants of [`Refusal`] differ in what a client may do about them. Those of [`Malformed`] differ in their text
//! only.

use crate::digits::grouped;
use crate::http::field_name::FieldName;
use crate::limits::{
    CHUNK_EXTENSION_BYTES_MAX, FIELDS_MAX, LEADING_EMPTY_LINES_MAX, TARGET_BYTES_MAX, TRAILER_BYTES_MAX,
};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are not HTTP/1.1, or are ambiguous HTTP/1.1.
    Malformed(Malformed),
    TargetTooLong,
    /// Request line and fields together.
    HeadTooLong {
        bytes_max: usize,
    },
    FieldsTooMany,
    BodyTooLarge {
        /// Bytes announced: `Content-Length`, or the sum of the chunk sizes so far.
        bytes: u64,
        bytes_max: usize,
    },
    MethodTooLong,
    CodingUnknown,
    VersionUnsupported,
    ExpectationUnknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    EmptyLines,
    BareLf,
    BareCr,
    Tls,
    Method,
    /// No request begins after one with `Content-Length`, which was probably too small for its body.
    AfterBody {
        /// The `Content-Length`.
        length: u64,
    },
    /// No request begins after one without `Content-Length`, which probably had a body.
    AfterHead,
    RequestLine,
    /// The version is not written `HTTP/d.d`.
    Version,
    Asterisk,
    /// A line that begins with white space: a folded field, or white space before the first one.
    FieldFolded,
    FieldColonMissing,
    FieldSpaceBeforeColon,
    FieldName,
    /// The value of a field has a control character, or its line ends with LF alone.
    FieldValue {
        name: FieldName,
        /// The first such byte.
        byte: u8,
    },
    TypeTwice,
    HostMissing,
    HostTwice,
    Host,
    Length,
    LengthTwice,
    LengthAndCoding,
    CodingInHttp10,
    CodingEmpty,
    /// A coding after `chunked`, or `chunked` twice.
    CodingAfterChunked,
    ChunkSize,
    ChunkEnd,
    ChunkExtension,
    ChunkExtensionsTooLong,
    Trailer,
    TrailersTooLong,
}

impl Refusal {
    /// Whether the refused bytes are probably the rest of the previous request, which has its answer.
    pub fn follows_request(self) -> bool {
        matches!(self, Refusal::Malformed(Malformed::AfterBody { .. } | Malformed::AfterHead))
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Refusal {
        Refusal::Malformed(malformed)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed(malformed) => malformed.fmt(f),
            Refusal::TargetTooLong => {
                write!(
                    f,
                    "The request target (path and query) has more than {} bytes, which is the maximum. Shorten it, or \
                     send the data in the body.",
                    grouped(TARGET_BYTES_MAX)
                )
            }
            Refusal::HeadTooLong { bytes_max } => {
                write!(
                    f,
                    "The request line and the header fields have more than {} bytes, which is the maximum. Send fewer \
                     or shorter fields; cookies are often the longest.",
                    grouped(*bytes_max)
                )
            }
            Refusal::FieldsTooMany => {
                write!(
                    f,
                    "The request has more than {FIELDS_MAX} header fields, which is the maximum. Send fewer."
                )
            }
            Refusal::BodyTooLarge { bytes, bytes_max } => {
                write!(
                    f,
                    "The body has {} bytes; the maximum is {} (limits.body_bytes_max). Send less at once, or raise that \
                     setting and restart the server.",
                    grouped(*bytes),
                    grouped(*bytes_max)
                )
            }
            Refusal::MethodTooLong => {
                f.write_str("The method is unknown; use GET, HEAD, POST, PUT or DELETE.")
            }
            Refusal::CodingUnknown => f.write_str("The transfer coding is unknown; use chunked."),
            Refusal::VersionUnsupported => f.write_str("The HTTP version is not supported; use HTTP/1.1."),
            Refusal::ExpectationUnknown => {
                f.write_str("The expectation is unknown; only 100-continue is supported.")
            }
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Malformed::EmptyLines => {
                return write!(f, "Too many empty lines; the maximum is {LEADING_EMPTY_LINES_MAX}.");
            }
            Malformed::ChunkExtensionsTooLong => {
                return write!(
                    f,
                    "The chunk extensions of the body are too long; the maximum is {CHUNK_EXTENSION_BYTES_MAX} bytes."
                );
            }
            Malformed::TrailersTooLong => {
                return write!(f, "The trailers are too long; the maximum is {TRAILER_BYTES_MAX} bytes.");
            }
            Malformed::FieldValue { name, byte } => return write_field_value(f, name, *byte),
            Malformed::AfterBody { length } => {
                return write!(
                    f,
                    "Content-Length is {length}, but the bytes after such a body do not begin another request; set \
                     Content-Length to the number of bytes in the body."
                );
            }
            Malformed::AfterHead => {
                "The bytes after a request without Content-Length do not begin another request; a request with a \
                 body needs Content-Length."
            }
            Malformed::Tls => "The client speaks TLS, but this port speaks plain HTTP; use an http:// URL.",
            Malformed::BareLf => "A line ends with LF alone; end each line with CR LF.",
            Malformed::BareCr => "A CR is not followed by LF; end each line with CR LF.",
            Malformed::Method => "The request does not begin with a method such as GET.",
            Malformed::RequestLine => "The request line is malformed; send for example GET / HTTP/1.1.",
            Malformed::Version => "The version in the request line is malformed; send HTTP/1.1.",
            Malformed::Asterisk => "The target * is valid with OPTIONS only; use a path that begins with /.",
            Malformed::FieldFolded => "A header line begins with white space; send each field in one line.",
            Malformed::FieldColonMissing => "A header line has no colon; send each field as name: value.",
            Malformed::FieldSpaceBeforeColon => "White space precedes the colon of a field; remove it.",
            Malformed::FieldName => "A field name is empty or has an invalid character; correct it.",
            Malformed::HostMissing => "The field Host is missing; HTTP/1.1 requires exactly one.",
            Malformed::HostTwice => "The field Host appears more than once; send it once.",
            Malformed::Host => {
                "The field Host is empty or malformed; send a host name or an address with an optional :port, \
                 for example `Host: localhost`."
            }
            Malformed::TypeTwice => "The field Content-Type appears more than once; send it once.",
            Malformed::Length => "Content-Length is malformed; send a number without leading zeros.",
            Malformed::LengthTwice => "The field Content-Length appears more than once; send it once.",
            Malformed::LengthAndCoding => {
                "Content-Length and Transfer-Encoding exclude each other; send one."
            }
            Malformed::CodingInHttp10 => "Transfer-Encoding does not exist in HTTP/1.0; send Content-Length.",
            Malformed::CodingEmpty => "Transfer-Encoding has an empty element; send chunked alone.",
            Malformed::CodingAfterChunked => {
                "A transfer coding follows chunked; send chunked once, as the last."
            }
            Malformed::ChunkSize => "A chunk size is malformed; send 1 to 16 hexadecimal digits.",
            Malformed::ChunkEnd => {
                "The data of a chunk is not followed by CR LF; check the size of the chunk."
            }
            Malformed::ChunkExtension => {
                "A chunk extension is malformed; send it as ;name, ;name=token or ;name=\"text\"."
            }
            Malformed::Trailer => {
                "A trailer line is malformed; send it as name: value, without white space before the colon."
            }
        };
        f.write_str(text)
    }
}

/// Names the field and what to remove from it. The value itself may be a secret and is not shown.
fn write_field_value(f: &mut fmt::Formatter<'_>, name: &FieldName, byte: u8) -> fmt::Result {
    let hint = "remove the line break from its value; a key that was read from a file often ends with one.";
    match byte {
        b'\r' => write!(f, "The field {name} has a CR that no LF follows; {hint}"),
        b'\n' => write!(
            f,
            "The field {name} has an LF without a CR before it; end each line with CR LF, or {hint}"
        ),
        _ => write!(
            f,
            "The field {name} has the control character U+{byte:04X} in its value; remove it. The only one \
             allowed is the tab."
        ),
    }
}

impl std::error::Error for Refusal {}
impl std::error::Error for Malformed {}
