//! A small HTTP client that waits: for looking at single answers, for filling servers with keys, and
//! for measuring the time of each answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::failure::{Outcome, failure};

/// An answer that takes longer than this will not come.
const ANSWER_SECONDS_MAX: u64 = 60;

/// A request that can be sent again and again.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, PUT, POST.
    pub method: &'static str,
    /// With the query, where there is one.
    pub path: String,
    /// Beyond Host and Content-Length.
    pub headers: Vec<(String, String)>,
    /// Empty for a GET.
    pub body: String,
}

impl Request {
    /// The request as it goes over the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        text.into_bytes()
    }
}

/// An answer with a Content-Length.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and fields, up to and with the empty line.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Itself, where it is a success.
    ///
    /// # Errors
    /// It is none; the message has `who` and the answer.
    pub fn success(self, who: &str) -> Outcome<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(failure(format!("{who} answered {} {}", self.status, self.body)))
    }
}

/// A kept-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(ANSWER_SECONDS_MAX)))?;
        Ok(Self { stream: BufReader::with_capacity(2048, stream) })
    }

    /// Whether the server has neither closed the connection nor sent anything unasked.
    pub fn is_quiet(&self) -> bool {
        let stream = self.stream.get_ref();
        let quiet = stream.set_nonblocking(true).is_ok()
            && stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        quiet && stream.set_nonblocking(false).is_ok()
    }

    /// Sends `request` and waits for the answer.
    ///
    /// # Errors
    /// The connection ended, or what came is not an answer with a Content-Length.
    pub fn ask(&mut self, request: &Request) -> Outcome<Answer> {
        self.ask_encoded(&request.encode())
    }

    /// As [`Connection::ask`], with a request that was encoded before.
    ///
    /// # Errors
    /// As there.
    pub fn ask_encoded(&mut self, request: &[u8]) -> Outcome<Answer> {
        self.stream.get_mut().write_all(request)?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(failure("the connection was closed before the answer"));
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| failure(format!("not an HTTP answer: {head}")))?;
        let mut answer = Answer { status, head, body: String::new() };
        let length = answer.field("content-length").and_then(|length| length.parse().ok());
        let length: usize = length.ok_or_else(|| failure("an answer without Content-Length"))?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }
}

/// One request on a connection of its own.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::ask`].
pub fn ask(address: SocketAddr, request: &Request) -> Outcome<Answer> {
    Connection::open(address)?.ask(request)
}

/// A port that nobody listened on a moment ago, for servers that cannot take any free one themselves.
///
/// # Errors
/// There is none.
pub fn free_port() -> Outcome<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
