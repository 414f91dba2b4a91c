//! A parsed request. Every part of it is a part of the bytes as sent.

use crate::http::target::{Target, TargetError};
use std::borrow::Cow;

/// The method of a request. Names are case-sensitive (RFC 9110, section 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    Trace,
    Connect,
    /// Any other token.
    Unknown,
}

impl Method {
    pub fn parse(token: &[u8]) -> Method {
        match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"PATCH" => Method::Patch,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            _ => Method::Unknown,
        }
    }

    /// The name of the method; `-` for an unknown one.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Patch => "PATCH",
            Method::Trace => "TRACE",
            Method::Connect => "CONNECT",
            Method::Unknown => "-",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// How the end of a request body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The request has no body.
    None,
    /// `Content-Length`, bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// The request line and the fields. What is not text is kept as spans of the bytes: while a body arrives, the bytes move
/// and the head stays as it was parsed.
#[derive(Clone, Debug)]
pub struct Head<'b> {
    /// The head as sent.
    pub bytes: Cow<'b, [u8]>,
    pub method: Method,
    pub(super) target: Result<Target<Cow<'b, str>>, TargetError>,
    pub(super) target_text: Span,
    pub version: Version,
    pub(super) authority: Option<Cow<'b, str>>,
    /// The client will send further requests on this connection.
    pub persistent: bool,
    /// The client waits for `100 Continue` before it sends the body. False if the request has no body.
    pub expects_continue: bool,
    pub framing: Framing,
    pub(super) fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Span,
    pub(super) value: Span,
}

/// A part of the bytes of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// The span of `part`, a slice of `bytes`.
    pub(super) fn of(part: &[u8], bytes: &[u8]) -> Span {
        let start = part.as_ptr().addr().saturating_sub(bytes.as_ptr().addr());
        Span { start, end: start + part.len() }
    }

    fn len(self) -> usize {
        self.end - self.start
    }

    pub(super) fn in_bytes(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

impl Head<'_> {
    /// An invalid target leaves the framing intact: the request is still read and answered with an error, and the
    /// connection is kept.
    pub fn target(&self) -> Result<Target<&str>, TargetError> {
        Ok(match self.target.as_ref().map_err(|error| *error)? {
            Target::Asterisk => Target::Asterisk,
            Target::Origin { path, query } => Target::Origin { path, query: query.as_deref() },
            Target::Authority => Target::Authority,
        })
    }

    /// The target as sent, for the log. It has no control characters, but may be invalid UTF-8.
    pub fn target_text(&self) -> &[u8] {
        self.target_text.in_bytes(&self.bytes)
    }

    /// The `host[:port]` that the client addresses: of an absolute target, else of `Host`.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// The values of all fields with the name `name` (case-insensitive), in order, without the spaces and tabs around
    /// them. They have no control characters except tabs, but may be invalid UTF-8.
    pub fn fields<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        let bytes: &[u8] = &self.bytes;
        let is_named = move |field: &&Field| {
            field.name.len() == name.len() && field.name.in_bytes(bytes).eq_ignore_ascii_case(name.as_bytes())
        };
        self.fields.iter().filter(is_named).map(|field| field.value.in_bytes(bytes))
    }

    /// The head with a copy of its bytes.
    pub(crate) fn into_owned(self) -> Head<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Head {
            bytes: Cow::Owned(self.bytes.into_owned()),
            method: self.method,
            target: self.target.map(|target| target.map(owned)),
            target_text: self.target_text,
            version: self.version,
            authority: self.authority.map(owned),
            persistent: self.persistent,
            expects_continue: self.expects_continue,
            framing: self.framing,
            fields: self.fields,
        }
    }

    /// Bytes of heap memory that a head with a copy of its bytes holds.
    pub(super) fn bytes_held(&self) -> usize {
        let texts = self.target_text.len() + self.authority.as_ref().map_or(0, |authority| authority.len());
        self.bytes.len() + texts + self.fields.capacity() * size_of::<Field>()
    }
}

#[derive(Clone, Debug)]
pub struct Request<'b> {
    pub head: Head<'b>,
    /// The body, decoded; empty if there is none.
    pub body: &'b [u8],
}
