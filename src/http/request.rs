//! A request as it was understood: every part is borrowed from the bytes it came in.

use crate::http::target::{Target, TargetError};

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
    /// The method that a token names.
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

    /// The name of the method; `-` for one that is not known.
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

/// The versions that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// How the end of a request body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// `Content-Length`, bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Request line and fields.
#[derive(Clone, Debug)]
pub struct Head<'b> {
    pub method: Method,
    /// What the request is about. A target that cannot be understood leaves the framing intact:
    /// the request is still read, answered with an error, and the connection goes on.
    pub target: Result<Target<'b>, TargetError>,
    /// The target as sent, for the log. No control characters; perhaps no UTF-8.
    pub target_text: &'b [u8],
    /// The version of the client.
    pub version: Version,
    /// Whom the client believes to talk to, `host[:port]`: of an absolute target, else of `Host`.
    pub authority: Option<&'b str>,
    /// The client will send further requests on this connection.
    pub persistent: bool,
    /// The client waits for `100 Continue` before it sends the body. False when there is none.
    pub expects_continue: bool,
    /// How the end of the body is found.
    pub framing: Framing,
    pub(super) fields: Vec<httparse::Header<'b>>,
}

impl<'b> Head<'b> {
    /// The values of all fields called `name` (in any case), in order, without the spaces and tabs
    /// around them. They have no control characters but tabs; they may be no UTF-8.
    pub fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }
}

/// A complete request.
#[derive(Clone, Debug)]
pub struct Request<'b> {
    /// Request line and fields.
    pub head: Head<'b>,
    /// The body, decoded; empty when there is none.
    pub body: &'b [u8],
}
