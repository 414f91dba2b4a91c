//! Why no further request can be read from a connection: the sender broke the framing, or sent
//! more than is read. Whoever refuses answers once and closes.
//!
//! The variants of [`Refusal`] are told apart by what a client may do about them; how a malformed
//! request is malformed is text only, in [`Malformed`].

use crate::http::field_name::FieldName;
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
    /// The client speaks TLS.
    Tls,
    /// The method is empty or has a character that no token has.
    Method,
    /// No request begins after one with a `Content-Length`, which was probably too small for its body.
    AfterBody {
        /// The `Content-Length`.
        length: u64,
    },
    /// No request begins after one without `Content-Length`, which probably had a body.
    AfterHead,
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
    /// The value of a field has a control character, or its line ends with LF alone.
    FieldValue {
        name: FieldName,
        /// The first such byte.
        byte: u8,
    },
    /// More than one `Content-Type`.
    TypeTwice,
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
    /// A chunk extension is not `;name`, `;name=token` or `;name="text"`.
    ChunkExtension,
    /// Chunk extensions of more than [`CHUNK_EXTENSION_BYTES_MAX`].
    ChunkExtensionsTooLong,
    /// A trailer line is not `name: value`.
    Trailer,
    /// A trailer section of more than [`TRAILER_BYTES_MAX`].
    TrailersTooLong,
}

impl Refusal {
    /// Whether the refused bytes are probably the rest of the request before, which had its answer.
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
            Malformed::FieldValue { name, byte } => return write_field_value(f, name, *byte),
            Malformed::AfterBody { length } => {
                return write!(
                    f,
                    "Content-Length is {length}, and the bytes after that many do not begin another request; set \
                     Content-Length to the number of bytes in the body."
                );
            }
            Malformed::AfterHead => {
                "The bytes after a request without Content-Length do not begin another request; a request with a \
                 body needs Content-Length."
            }
            Malformed::Tls => "The client speaks TLS, and this port speaks plain HTTP; use an http:// URL.",
            Malformed::BareLf => "a line ends with LF alone; lines end with CR LF",
            Malformed::BareCr => "a CR without LF behind it; lines end with CR LF",
            Malformed::Method => "The request does not begin with a method such as GET.",
            Malformed::RequestLine => "the request line is not method, one space, target, one space, version",
            Malformed::Version => "the version is not written HTTP/1.1 or HTTP/1.0",
            Malformed::Asterisk => "the target * goes only with OPTIONS; use a path that begins with /",
            Malformed::FieldFolded => "a header line begins with white space; each field is one line",
            Malformed::FieldColonMissing => "a header line has no colon; a field is name: value",
            Malformed::FieldSpaceBeforeColon => {
                "white space between a field name and its colon; there may be none"
            }
            Malformed::FieldName => "a field name is empty or has a character that names do not have",
            Malformed::HostMissing => "the Host field is missing; HTTP/1.1 requires exactly one",
            Malformed::HostTwice => "there are several Host fields; HTTP/1.1 requires exactly one",
            Malformed::Host => {
                "The Host field is empty or not a host name or address with an optional :port; send one, \
                 for example `Host: localhost`."
            }
            Malformed::TypeTwice => "The field Content-Type appears more than once; send it once.",
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
            Malformed::ChunkExtension => {
                "A chunk extension is not well-formed; write it as ;name, ;name=token or ;name=\"text\"."
            }
            Malformed::Trailer => {
                "A trailer line is not well-formed; write it as name: value, without white space before \
                 the colon."
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
