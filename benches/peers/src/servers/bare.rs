//! A bare mio + httparse loop, one per core: parses the head of a request and answers a constant, the
//! bytes of a whole answer of PiKV. What this stack can do at most.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use mio::Events;

use super::loops::{self, EVENTS_MAX, HEADERS_MAX, Start, Visitor, WAKER};
use crate::failure::Outcome;

const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Serves. `file` has the answer to give.
///
/// # Errors
/// The file cannot be read, or there is no address to listen on.
pub fn serve(file: &Path) -> Outcome<()> {
    let answer: Arc<[u8]> = fs::read(file)?.into();
    loops::serve(|starts| {
        for start in starts {
            let answer = Arc::clone(&answer);
            thread::spawn(move || run(start, &answer));
        }
    })
}

fn run(start: Start, answer: &[u8]) -> Outcome<()> {
    let Start { mut poll, arrivals, .. } = start;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut visitors: Vec<Option<Visitor>> = Vec::new();
    let mut buffer = vec![0; HEAD_BYTES_MAX];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == WAKER {
                loops::take_in(&poll, &arrivals, &mut visitors)?;
                continue;
            }
            let Some(place) = visitors.get_mut(event.token().0) else { continue };
            if let Some(visitor) = place
                && !serve_one(visitor, &mut buffer, answer)
            {
                *place = None;
            }
        }
    }
}

/// Reads what is there and answers each request. False where the connection is over.
fn serve_one(visitor: &mut Visitor, buffer: &mut [u8], answer: &[u8]) -> bool {
    loop {
        let length = match visitor.stream.read(buffer) {
            Ok(0) => return false,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        };
        let rest = if visitor.input.is_empty() {
            answer_all(&mut visitor.stream, &buffer[..length], answer).map(|rest| rest.to_vec())
        } else {
            visitor.input.extend_from_slice(&buffer[..length]);
            answer_all(&mut visitor.stream, &visitor.input, answer).map(|rest| rest.to_vec())
        };
        match rest {
            Some(rest) => visitor.input = rest,
            None => return false,
        }
        // The socket is empty: whatever comes next is another event.
        if length < buffer.len() {
            return true;
        }
    }
}

/// Answers each complete request in `input`. Returns the rest, `None` where the connection is over.
fn answer_all<'a>(stream: &mut mio::net::TcpStream, mut input: &'a [u8], answer: &[u8]) -> Option<&'a [u8]> {
    while !input.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        match httparse::Request::new(&mut headers).parse(input) {
            Ok(httparse::Status::Complete(length)) => input = &input[length..],
            Ok(httparse::Status::Partial) if input.len() < HEAD_BYTES_MAX => break,
            Ok(httparse::Status::Partial) | Err(_) => return None,
        }
        // An answer is far smaller than the socket's buffer; who does not read them is given up.
        stream.write_all(answer).ok()?;
    }
    Some(input)
}
