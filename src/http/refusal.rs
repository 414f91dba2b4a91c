//! Why no further request can be read from a connection: the sender broke the framing, or sent
//! more than is read. Whoever refuses answers once and closes.
//!
//! The variants of [`Refusal`] are told apart by what a client may do about them; how a malformed
//! request is malformed is text only, in [`Malformed`].

use crate::limits::{
    CHUNK_EXTENSION_BYTES_MAX, FIELDS_MAX, LEADING_EMPTY_LINES_MAX, TARGET_BYTES_MAX, TRAILER_BYTES_MAX,
};
use std::fmt;

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are no HTTP/1.1, or are HTTP/1.1 that could be read in two ways.
    Malformed(Malformed),
    /// The target is longer than [`TARGET_BYTES_MAX`].
    TargetTooLong,
    /// Request line and fields together are longer than the bound of the connection.
    HeadTooLong {
        /// The bound, bytes.
        bytes_max: usize,
    },
    /// More than [`FIELDS_MAX`] fields.
    FieldsTooMany,
    /// A body larger than the bound of the connection.
    BodyTooLarge {
        /// Bytes announced: `Content-Length`, or the sum of the chunk sizes so far.
        bytes: u64,
        /// The bound, bytes.
        bytes_max: usize,
    },
    /// A method longer than any that exists.
    MethodTooLong,
    /// A transfer coding other than `chunked`.
    CodingUnknown,
    /// An HTTP version other than 1.0 and 1.1.
    VersionUnsupported,
    /// An expectation other than `100-continue`.
    ExpectationUnknown,
}

/// How a request is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// More than [`LEADING_EMPTY_LINES_MAX`] empty lines before the request line.
    EmptyLines,
    /// LF without CR before it.
    BareLf,
    /// CR without LF behind it.
    BareCr,
    /// The method is empty or has a character that no token has.
    Method,
    /// The request line is not `method SP target SP version`.
    RequestLine,
    /// The version is not written `HTTP/d.d`.
    Version,
    /// The target `*` with another method than OPTIONS.
    Asterisk,
    /// A line that begins with white space: a folded field, or space before the first one.
    FieldFolded,
    /// A field without a colon.
    FieldColonMissing,
    /// White space between the name of a field and its colon.
    FieldSpaceBeforeColon,
    /// The name of a field is empty or has a character that no token has.
    FieldName,
    /// The value of a field has a control character.
    FieldValue,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostTwice,
    /// The value of `Host` is not `name[:port]`.
    Host,
    /// `Content-Length` is not a plain decimal number below 2^64.
    Length,
    /// More than one `Content-Length`.
    LengthTwice,
    /// `Content-Length` beside `Transfer-Encoding`.
    LengthAndCoding,
    /// `Transfer-Encoding` from a client that speaks HTTP/1.0.
    CodingInHttp10,
    /// `Transfer-Encoding` names nothing, or has an empty element.
    CodingEmpty,
    /// A coding after `chunked`, or `chunked` twice.
    CodingAfterChunked,
    /// The size of a chunk is not 1 to 16 hexadecimal digits.
    ChunkSize,
    /// No CRLF behind the data of a chunk.
    ChunkEnd,
    /// A control character in a chunk extension.
    ChunkExtension,
    /// Chunk extensions of more than [`CHUNK_EXTENSION_BYTES_MAX`].
    ChunkExtensionsTooLong,
    /// A control character in the trailer section.
    Trailer,
    /// A trailer section of more than [`TRAILER_BYTES_MAX`].
    TrailersTooLong,
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
                write!(f, "the request target is too long; it may have {TARGET_BYTES_MAX} bytes")
            }
            Refusal::HeadTooLong { bytes_max } => {
                write!(
                    f,
                    "request line and header fields are too long; together they may have {bytes_max} bytes"
                )
            }
            Refusal::FieldsTooMany => {
                write!(f, "a request may have {FIELDS_MAX} header fields, this one has more")
            }
            Refusal::BodyTooLarge { bytes, bytes_max } => {
                write!(f, "a body may have {bytes_max} bytes, {bytes} were announced")
            }
            Refusal::MethodTooLong => {
                f.write_str("no method is that long; GET, HEAD, POST, PUT, DELETE exist")
            }
            Refusal::CodingUnknown => f.write_str("the only transfer coding understood here is chunked"),
            Refusal::VersionUnsupported => f.write_str("only HTTP/1.1 and HTTP/1.0 are spoken here"),
            Refusal::ExpectationUnknown => {
                f.write_str("the only expectation understood here is 100-continue")
            }
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Malformed::EmptyLines => {
                return write!(f, "at most {LEADING_EMPTY_LINES_MAX} empty lines may precede a request");
            }
            Malformed::ChunkExtensionsTooLong => {
                return write!(f, "chunk extensions may have {CHUNK_EXTENSION_BYTES_MAX} bytes in one body");
            }
            Malformed::TrailersTooLong => {
                return write!(f, "the trailer section may have {TRAILER_BYTES_MAX} bytes");
            }
            Malformed::BareLf => "a line ends with LF alone; lines end with CR LF",
            Malformed::BareCr => "a CR without LF behind it; lines end with CR LF",
            Malformed::Method => "the method is not a token such as GET; TLS is not spoken on this port",
            Malformed::RequestLine => "the request line is not method, one space, target, one space, version",
            Malformed::Version => "the version is not written HTTP/1.1 or HTTP/1.0",
            Malformed::Asterisk => "the target * goes only with OPTIONS; use a path that begins with /",
            Malformed::FieldFolded => "a header line begins with white space; each field is one line",
            Malformed::FieldColonMissing => "a header line has no colon; a field is name: value",
            Malformed::FieldSpaceBeforeColon => {
                "white space between a field name and its colon; there may be none"
            }
            Malformed::FieldName => "a field name is empty or has a character that names do not have",
            Malformed::FieldValue => "a field value has a control character; only a tab is allowed",
            Malformed::HostMissing => "the Host field is missing; HTTP/1.1 requires exactly one",
            Malformed::HostTwice => "there are several Host fields; HTTP/1.1 requires exactly one",
            Malformed::Host => "the Host field is not a host name or address with an optional :port",
            Malformed::Length => {
                "Content-Length is not a plain decimal number without sign and leading zeros"
            }
            Malformed::LengthTwice => "there are several Content-Length fields; there may be one",
            Malformed::LengthAndCoding => {
                "Content-Length and Transfer-Encoding exclude each other; send one of them"
            }
            Malformed::CodingInHttp10 => "Transfer-Encoding does not exist in HTTP/1.0; send Content-Length",
            Malformed::CodingEmpty => "Transfer-Encoding has an empty element; the only coding is chunked",
            Malformed::CodingAfterChunked => "chunked must be the last transfer coding, and only once",
            Malformed::ChunkSize => {
                "a chunk size is not 1 to 16 hexadecimal digits followed by CR LF or an extension"
            }
            Malformed::ChunkEnd => "the data of a chunk is not followed by CR LF",
            Malformed::ChunkExtension => "a chunk extension has a control character",
            Malformed::Trailer => "the trailer section has a control character",
        };
        f.write_str(text)
    }
}

impl std::error::Error for Refusal {}
impl std::error::Error for Malformed {}
