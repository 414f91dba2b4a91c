//! A client that sends exactly the bytes it is told to, and reads answers by RFC 9112 alone.

use super::PATIENCE;
use serde_json::Value;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// A connection to a server, with the bytes that were read ahead.
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
}

/// A whole answer.
#[derive(Clone)]
pub struct Response {
    /// The final status.
    pub status: u16,
    /// Statuses of interim answers before it.
    pub interim: Vec<u16>,
    /// Fields in order, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects to a port of this machine. Nothing waits longer than [`PATIENCE`].
    pub fn open(port: u16) -> Connection {
        Connection::try_open(port).unwrap()
    }

    /// The same to a server that may be gone.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn try_open(port: u16) -> io::Result<Connection> {
        Connection::of(TcpStream::connect(("127.0.0.1", port))?)
    }

    /// Connects to a port of the loopback address `address`, which is then the client's address as well.
    pub fn open_at(address: &str, port: u16) -> Connection {
        Connection::of(TcpStream::connect((address, port)).unwrap()).unwrap()
    }

    fn of(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, input: Vec::new() })
    }

    /// Sets how long a read waits.
    pub fn set_read_timeout(&self, timeout: Duration) {
        self.stream.set_read_timeout(Some(timeout)).unwrap();
    }

    /// Sends `bytes`.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// Sends `bytes`, which the server may refuse to take.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends one request and reads its answer.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.send(&encode_request(method, path, key, fields, body));
        self.read_response_to(method)
    }

    /// Reads the answer to a request that was no HEAD.
    pub fn read_response(&mut self) -> Response {
        self.read_response_to("GET")
    }

    /// Reads the answer to a request with `method`.
    pub fn read_response_to(&mut self, method: &str) -> Response {
        self.try_read_response(method).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Reads the answer to a request with `method`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the server closed before the answer was complete.
    pub fn try_read_response(&mut self, method: &str) -> io::Result<Response> {
        let mut interim = Vec::new();
        loop {
            let (status, fields) = self.read_head()?;
            if (100..200).contains(&status) {
                interim.push(status);
                continue;
            }
            let mut response = Response { status, interim, fields, body: Vec::new() };
            response.body = self.read_body(method, &response)?;
            return Ok(response);
        }
    }

    fn read_head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let end = self.read_until(b"\r\n\r\n")?;
        let head: Vec<u8> = self.input.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| broken("the head is no UTF-8"))?;
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| broken(&format!("status line {status_line:?}")))?;
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let fields: Option<Vec<_>> = lines.map(field).collect();
        Ok((status, fields.ok_or_else(|| broken("a field without a colon"))?))
    }

    fn read_body(&mut self, method: &str, response: &Response) -> io::Result<Vec<u8>> {
        if method == "HEAD" || matches!(response.status, 204 | 304) {
            return Ok(Vec::new());
        }
        match (response.field("content-length"), response.field("transfer-encoding")) {
            (Some(length), None) => {
                let length = length.parse().map_err(|_| broken("content-length"))?;
                self.read_exactly(length)
            }
            (None, Some("chunked")) => self.read_chunks(),
            (None, None) => {
                while self.read_more()? > 0 {}
                Ok(std::mem::take(&mut self.input))
            }
            (_, coding) => Err(broken(&format!("framed twice or as {coding:?}"))),
        }
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.read_until(b"\r\n")?;
            let line: Vec<u8> = self.input.drain(..end).collect();
            let size = std::str::from_utf8(&line[..end - 2]).ok();
            let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
            let size = size.ok_or_else(|| broken("the size of a chunk"))?;
            let chunk = self.read_exactly(size + 2)?;
            if !chunk.ends_with(b"\r\n") {
                return Err(broken("the end of a chunk"));
            }
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// Reads until `mark` is in the input; returns where it ends.
    fn read_until(&mut self, mark: &[u8]) -> io::Result<usize> {
        let mut searched: usize = 0;
        loop {
            let from = searched.saturating_sub(mark.len());
            let found = self.input[from..].windows(mark.len()).position(|window| window == mark);
            if let Some(position) = found {
                return Ok(from + position + mark.len());
            }
            searched = self.input.len();
            self.require_more()?;
        }
    }

    fn read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.input.len() < count {
            self.require_more()?;
        }
        Ok(self.input.drain(..count).collect())
    }

    fn require_more(&mut self) -> io::Result<()> {
        if self.read_more()? > 0 {
            return Ok(());
        }
        let what = format!("closed after {:?}", String::from_utf8_lossy(&self.input));
        Err(io::Error::new(ErrorKind::UnexpectedEof, what))
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 65536];
        let count = loop {
            match self.stream.read(&mut buffer) {
                // Linux ends a read that has a timeout for a signal to the tests (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.input.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// Fills `bytes`.
    pub fn read_exact(&mut self, bytes: &mut [u8]) {
        let read = self.read_exactly(bytes.len()).unwrap_or_else(|error| panic!("no bytes: {error}"));
        bytes.copy_from_slice(&read);
    }

    /// Whether anything arrives within `patience`; it stays to be read.
    pub fn has_input_within(&mut self, patience: Duration) -> bool {
        self.set_read_timeout(patience);
        let arrived = !self.input.is_empty() || self.read_more().is_ok_and(|count| count > 0);
        self.set_read_timeout(PATIENCE);
        arrived
    }

    /// Takes whatever arrives until the server closes.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.read_more()? > 0 {}
        Ok(std::mem::take(&mut self.input))
    }

    /// Whether the server has closed, or does within `patience`. Unread answers do not count.
    pub fn is_closed_within(&mut self, patience: Duration) -> bool {
        self.set_read_timeout(patience);
        let closed = loop {
            match self.read_more() {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        };
        self.set_read_timeout(PATIENCE);
        closed
    }

    /// Fails unless the server closes, orderly and without another byte.
    pub fn expect_closed(&mut self) {
        let rest = self.read_to_end().unwrap_or_else(|error| panic!("not closed but: {error}"));
        assert!(rest.is_empty(), "before the end came {:?}", String::from_utf8_lossy(&rest));
    }

    /// Fails unless the connection carries one more request.
    pub fn still_open(&mut self) {
        let response = self.request("GET", "/healthz", None, &[], b"");
        assert_eq!(response.status, 200, "{response:?}");
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.body.get(..500).unwrap_or(&self.body);
        write!(f, "{:?} {} {:?}: ", self.interim, self.status, self.fields)?;
        write!(f, "{} of {} bytes {}", shown.len(), self.body.len(), String::from_utf8_lossy(shown))
    }
}

impl Response {
    /// The value of the first field `name`, in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The `code` of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code in {}", self.text())).to_owned()
    }

    /// Fails unless this is a whole problem with `status` and `code`.
    pub fn expect_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {problem}");
        }
    }
}

/// A request as bytes. There is a `Content-Length` where there is a body, and on POST and PUT.
pub fn encode_request(
    method: &str,
    path: &str,
    key: Option<&str>,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    if let Some(key) = key {
        head.push_str(&format!("X-API-Key: {key}\r\n"));
    }
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

fn broken(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}
