//! Bytes on their way to a client.

use crate::limits::OUTPUT_COPY_BYTES_MAX;
use std::collections::VecDeque;
use std::io::{ErrorKind, Write};

/// What is to be sent, in pieces; large bodies are moved in, not copied. Owns no memory when empty.
#[derive(Default)]
pub(super) struct Output {
    pieces: VecDeque<Vec<u8>>,
    /// Bytes of the first piece that are sent.
    sent: usize,
    bytes: usize,
}

/// How a round of sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Everything is out.
    All,
    /// The socket takes no more for now, or has got what it may; whether it took anything.
    Some { progress: bool },
    /// The connection is gone.
    Gone,
}

impl Output {
    /// Bytes that are not sent.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory that are kept for them.
    pub(super) fn bytes_held(&self) -> usize {
        self.pieces.iter().map(Vec::capacity).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends with `encode`, for heads and small pieces.
    pub(super) fn append<T>(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let has_room = self.pieces.back().is_some_and(|piece| piece.len() < OUTPUT_COPY_BYTES_MAX);
        if !has_room {
            self.pieces.push_back(Vec::with_capacity(512));
        }
        let Some(piece) = self.pieces.back_mut() else {
            unreachable!("a piece was pushed where there was none");
        };
        let before = piece.len();
        let result = encode(piece);
        self.bytes += piece.len() - before;
        result
    }

    /// Appends a body.
    pub(super) fn push(&mut self, body: Vec<u8>) {
        if body.len() <= OUTPUT_COPY_BYTES_MAX {
            self.append(|out| out.extend_from_slice(&body));
        } else {
            self.bytes += body.len();
            self.pieces.push_back(body);
        }
    }

    /// Sends until the socket would block, and `bytes_max` at most.
    pub(super) fn send(&mut self, stream: &mut impl Write, bytes_max: usize) -> Sent {
        let mut progress = false;
        let mut left = bytes_max;
        while let Some(piece) = self.pieces.front() {
            let rest = piece.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.pieces.pop_front();
                self.sent = 0;
                continue;
            }
            if left == 0 {
                return Sent::Some { progress };
            }
            match stream.write(rest.get(..left).unwrap_or(rest)) {
                Ok(0) => return Sent::Gone,
                Ok(written) => {
                    progress = true;
                    left -= written;
                    self.sent += written;
                    self.bytes -= written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Some { progress },
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Sent::Gone,
            }
        }
        self.pieces = VecDeque::new();
        Sent::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// Takes three bytes at a time and blocks after every second call.
    struct Slow(Vec<u8>, usize);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(ErrorKind::WouldBlock.into());
            }
            let taken = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn pieces_leave_in_order_whatever_the_socket_takes() {
        let mut output = Output::default();
        let large = vec![b'x'; OUTPUT_COPY_BYTES_MAX + 1];
        output.append(|out| out.extend_from_slice(b"head"));
        output.push(b"small".to_vec());
        output.push(large.clone());
        output.append(|out| out.extend_from_slice(b"tail"));
        let expected = [&b"headsmall"[..], &large, b"tail"].concat();
        assert_eq!(output.len(), expected.len());
        let mut socket = Slow(Vec::new(), 0);
        assert_eq!(output.send(&mut socket, 4), Sent::Some { progress: true });
        assert_eq!(socket.0, b"head", "no more than it may");
        while output.send(&mut socket, 1_000) != Sent::All {}
        assert!(output.is_empty());
        assert_eq!(socket.0, expected);
    }
}
