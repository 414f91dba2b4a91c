//! A second reader of all that a client sent on one connection.

use super::chunks;
use super::head::{self, Framing, Head};

/// A request with its body.
pub type Request = (Head, Vec<u8>);

/// How the bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In a body, or behind the last request.
    Waiting,
    /// In a head, which may be one that is refused before its end.
    InHead,
    /// With something that is refused.
    Refused,
}

/// The requests in `wire`, whose heads and bodies have so many bytes at most, and what comes behind.
pub fn read(wire: &[u8], head_bytes_max: usize, body_bytes_max: usize) -> (Vec<Request>, End) {
    let (mut requests, mut rest) = (Vec::new(), wire);
    loop {
        let (head, after) = match head::parse(rest, head_bytes_max) {
            head::Verdict::Complete(head, after) => (*head, after),
            head::Verdict::Incomplete => return (requests, End::InHead),
            head::Verdict::Bad => return (requests, End::Refused),
        };
        let (body, next) = match head.framing {
            Framing::None => (Vec::new(), after),
            Framing::Length(bytes) if bytes > body_bytes_max as u64 => return (requests, End::Refused),
            Framing::Length(bytes) => match after.split_at_checked(bytes as usize) {
                Some((body, next)) => (body.to_vec(), next),
                None => return (requests, End::Waiting),
            },
            Framing::Chunked => match chunks::decode(after, body_bytes_max) {
                chunks::Verdict::Complete { content, unread } => (content, &after[after.len() - unread..]),
                chunks::Verdict::Incomplete { .. } => return (requests, End::Waiting),
                chunks::Verdict::Bad | chunks::Verdict::TooLarge => return (requests, End::Refused),
            },
        };
        requests.push((head, body));
        rest = next;
    }
}
