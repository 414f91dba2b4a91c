//! One connection to an HTTP/1.1 server, for the requests that this program sends itself.
//!
//! A failure tells whether the server can have received the request, because a write must not be sent twice.

use crate::clock;
use crate::http::body::{BodyDecoder, Decoded};
use crate::http::refusal::Refusal;
use crate::http::request::Framing;
use crate::limits::{CLIENT_FIELDS_MAX, CLIENT_HEAD_BYTES_MAX, CLIENT_READ_BYTES};
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A connection, used for one request after another.
#[derive(Debug)]
pub struct HttpClient {
    stream: TcpStream,
    /// What requests name as their host.
    host: String,
}

/// A request with a body.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'r> {
    pub method: &'r str,
    pub target: &'r str,
    /// Beside `host`, `content-type` (JSON) and `content-length`.
    pub fields: &'r [(&'r str, &'r str)],
    pub body: &'r [u8],
}

/// A complete response.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Whether the server closes the connection after it.
    pub closes: bool,
}

/// Why there is no complete response. The connection must not be used again.
#[derive(Debug)]
pub enum ExchangeError {
    /// The request was not sent as a whole, so the server has done nothing.
    NotSent(io::Error),
    /// The request was sent, and the server may have done what it asks for.
    Unanswered(io::Error),
}

impl HttpClient {
    /// Connects to `address`.
    ///
    /// # Errors
    /// As the operating system returns them; `TimedOut` after `timeout`.
    pub fn connect(address: SocketAddr, host: String, timeout: Duration) -> io::Result<HttpClient> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        // A request is written at once, and the next one waits for its answer.
        stream.set_nodelay(true)?;
        Ok(HttpClient { stream, host })
    }

    /// Whether the server has neither closed the connection nor sent anything since the last response.
    pub fn is_idle(&self) -> bool {
        let mut byte = [0];
        let peeked = self.stream.set_nonblocking(true).and_then(|()| self.stream.peek(&mut byte));
        let is_quiet = matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock);
        is_quiet && self.stream.set_nonblocking(false).is_ok()
    }

    /// Sends `request` and returns the response, whose body has at most `bytes_max`.
    ///
    /// # Errors
    /// [`ExchangeError`], also at `deadline`.
    pub fn exchange(
        &mut self,
        request: &ClientRequest<'_>,
        deadline: Instant,
        bytes_max: usize,
    ) -> Result<Answer, ExchangeError> {
        self.send(request, deadline).map_err(ExchangeError::NotSent)?;
        self.receive(deadline, bytes_max).map_err(ExchangeError::Unanswered)
    }

    fn send(&mut self, request: &ClientRequest<'_>, deadline: Instant) -> io::Result<()> {
        let mut bytes = self.head_of(request).into_bytes();
        bytes.extend_from_slice(request.body);
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            self.stream.set_write_timeout(Some(time_left(deadline)?))?;
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error)),
            }
        }
        Ok(())
    }

    fn head_of(&self, request: &ClientRequest<'_>) -> String {
        let ClientRequest { method, target, fields, body } = request;
        let (host, length) = (&self.host, body.len());
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
        );
        for (name, value) in *fields {
            // A String takes every text.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }

    fn receive(&mut self, deadline: Instant, bytes_max: usize) -> io::Result<Answer> {
        let mut received = Vec::new();
        let head = loop {
            self.read_more(&mut received, deadline)?;
            if let Some(head) = parse_head(&received)? {
                break head;
            }
            if received.len() > CLIENT_HEAD_BYTES_MAX {
                return Err(invalid("the head of the response is too long"));
            }
        };
        let mut decoder = BodyDecoder::new(head.framing, bytes_max).map_err(invalid)?;
        let mut body = Vec::new();
        received.drain(..head.length);
        loop {
            match decoder.decode(&received, &mut body).map_err(invalid)? {
                Decoded::Complete { unread: 0 } => {
                    return Ok(Answer { status: head.status, body, closes: head.closes });
                }
                Decoded::Complete { .. } => return Err(invalid("there are bytes after the response")),
                Decoded::Partial => {}
            }
            received.clear();
            self.read_more(&mut received, deadline)?;
        }
    }

    /// Appends what arrives next, at least one byte.
    fn read_more(&mut self, received: &mut Vec<u8>, deadline: Instant) -> io::Result<()> {
        let before = received.len();
        received.resize(before + CLIENT_READ_BYTES, 0);
        loop {
            self.stream.set_read_timeout(Some(time_left(deadline)?))?;
            let read = self.stream.read(received.get_mut(before..).unwrap_or_default());
            match read {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    received.truncate(before + read);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error)),
            }
        }
    }
}

/// Whether there is no complete response because its body has more bytes than allowed.
pub fn is_too_long(error: &io::Error) -> bool {
    let refusal = error.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>());
    matches!(refusal, Some(Refusal::BodyTooLarge { .. }))
}

struct AnswerHead {
    status: u16,
    framing: Framing,
    closes: bool,
    /// Bytes before the body.
    length: usize,
}

/// `None` if the head is not complete.
fn parse_head(bytes: &[u8]) -> io::Result<Option<AnswerHead>> {
    let mut fields = [httparse::EMPTY_HEADER; CLIENT_FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(invalid)? else { return Ok(None) };
    let (Some(status @ 200..), Some(version)) = (head.code, head.version) else {
        return Err(invalid("the response has no final status"));
    };
    let field = |name: &str| {
        let named = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        named.and_then(|field| str::from_utf8(field.value).ok()).map(str::trim)
    };
    let framing = match (field("transfer-encoding"), field("content-length")) {
        (None, Some(digits)) => Framing::Length(digits.parse().map_err(invalid)?),
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        (None, None) if status == 204 => Framing::None,
        (Some(_), _) | (None, None) => return Err(invalid("the length of the response is not known")),
    };
    let closes =
        version == 0 || field("connection").is_some_and(|option| option.eq_ignore_ascii_case("close"));
    Ok(Some(AnswerHead { status, framing, closes, length }))
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(clock::monotonic());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A socket reports its timeout as `WouldBlock` on Linux.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

fn invalid(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem)
}

#[cfg(test)]
#[path = "http_client_tests.rs"]
mod tests;
