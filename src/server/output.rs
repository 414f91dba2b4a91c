//! Bytes on their way to a client.

use crate::limits::OUTPUT_COPY_BYTES_MAX;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};

/// Large bodies are moved in, not copied. Owns no memory when empty.
#[derive(Default)]
pub(super) struct Output {
    pieces: VecDeque<Vec<u8>>,
    /// Bytes of the first piece that are sent already.
    sent: usize,
    bytes: usize,
}

impl Output {
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory.
    pub(super) fn bytes_held(&self) -> usize {
        self.pieces.iter().map(Vec::capacity).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Lets `encode` append a head or another small piece.
    pub(super) fn append<T>(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        if self.pieces.back().is_none_or(|piece| piece.len() >= OUTPUT_COPY_BYTES_MAX) {
            self.pieces.push_back(Vec::with_capacity(512));
        }
        let Some(piece) = self.pieces.back_mut() else {
            unreachable!("if there was no piece, one was pushed");
        };
        let before = piece.len();
        let result = encode(piece);
        self.bytes += piece.len() - before;
        result
    }

    pub(super) fn push(&mut self, body: Vec<u8>) {
        if body.len() <= OUTPUT_COPY_BYTES_MAX {
            self.append(|out| out.extend_from_slice(&body));
        } else {
            self.bytes += body.len();
            self.pieces.push_back(body);
        }
    }

    /// Sends until the socket would block, and `bytes_max` at most. Returns how many bytes were sent.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn send(&mut self, stream: &mut impl Write, bytes_max: usize) -> io::Result<usize> {
        let mut left = bytes_max;
        while let Some(piece) = self.pieces.front() {
            let rest = piece.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.pieces.pop_front();
                self.sent = 0;
                continue;
            }
            if left == 0 {
                return Ok(bytes_max);
            }
            match stream.write(rest.get(..left).unwrap_or(rest)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    left -= written;
                    self.sent += written;
                    self.bytes -= written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(bytes_max - left),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pieces = VecDeque::new();
        Ok(bytes_max - left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts three bytes at a time and blocks after every second call.
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
    fn pieces_are_sent_in_order_however_few_bytes_the_socket_accepts() {
        let mut output = Output::default();
        let large = vec![b'x'; OUTPUT_COPY_BYTES_MAX + 1];
        output.append(|out| out.extend_from_slice(b"head"));
        output.push(b"small".to_vec());
        output.push(large.clone());
        output.append(|out| out.extend_from_slice(b"tail"));
        let expected = [&b"headsmall"[..], &large, b"tail"].concat();
        assert_eq!(output.len(), expected.len());
        let mut socket = Slow(Vec::new(), 0);
        assert_eq!(output.send(&mut socket, 4).unwrap(), 4);
        assert_eq!(socket.0, b"head", "no more than the maximum");
        while !output.is_empty() {
            output.send(&mut socket, 1_000).unwrap();
        }
        assert_eq!(socket.0, expected);
    }
}
