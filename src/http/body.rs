//! Bodies of requests, decoded as they arrive: by length, or by chunks (RFC 9112, section 7.1).
//!
//! The chunk parser is stricter than others, because a size that two readers understand differently allows request
//! smuggling. Extensions and trailers are checked and dropped; a trailer line follows the grammar of a header line.
//!
//! ```text
//! Size -+-> SizeLf --> Data --> DataCr --> DataLf --> Size
//!       |    ^   \ size 0
//!       v    |    \--> TrailerStart --> TrailerName --> TrailerValue --> TrailerLf --> TrailerStart
//!     Extension              \--> LastLf --> Complete
//! ```

use crate::http::chunk_extension::Extension;
use crate::http::fields::is_token_byte;
use crate::http::refusal::{Malformed, Refusal};
use crate::http::request::Framing;
use crate::http::target::hex_value;
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

/// Digits of a chunk size that fits 64 bits. Leading zeros count.
const SIZE_DIGITS_MAX: u8 = 16;

#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    /// Bytes of content that `Content-Length` or the chunk sizes so far announce.
    announced: u64,
    received: u64,
    bytes_max: usize,
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a body by `Content-Length`.
    Length { left: u64 },
    /// In the digits of a chunk size.
    Size { digits: u8, size: u64 },
    /// After the semicolon.
    Extension { size: u64, extension: Extension },
    /// Before the LF of the size line.
    SizeLf { size: u64 },
    /// In the data of a chunk.
    Data { left: u64 },
    /// Before the CR after the data.
    DataCr,
    /// Before the LF after the data.
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    /// In the name of a trailer field.
    TrailerName,
    /// After the colon of a trailer field.
    TrailerValue,
    /// Before the LF of a trailer line.
    TrailerLf,
    /// Before the LF of the empty line that ends the body.
    LastLf,
    /// Nothing is expected.
    Complete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// All input was decoded, and the body is not complete.
    Partial,
    /// The body is complete. `unread` bytes at the end of the input are not part of it.
    Complete { unread: usize },
}

impl BodyDecoder {
    /// A decoder for a body of at most `bytes_max`. It allocates nothing for announced bytes.
    ///
    /// # Errors
    /// [`Refusal::BodyTooLarge`] if more is announced.
    pub fn new(framing: Framing, bytes_max: usize) -> Result<BodyDecoder, Refusal> {
        let state = match framing {
            Framing::None => State::Length { left: 0 },
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::Size { digits: 0, size: 0 },
        };
        let mut decoder =
            BodyDecoder { state, announced: 0, received: 0, bytes_max, extension_bytes: 0, trailer_bytes: 0 };
        if let State::Length { left } = state {
            decoder.announce(left)?;
        }
        Ok(decoder)
    }

    /// Bytes of content so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Decodes the part of the body in `input` and appends its content to `out`.
    ///
    /// # Errors
    /// [`Refusal`]; the decoder must not be used again.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Decoded, Refusal> {
        let mut rest = input;
        loop {
            match self.state {
                State::Complete | State::Length { left: 0 } => {
                    return Ok(Decoded::Complete { unread: rest.len() });
                }
                State::Length { left } => {
                    let left = self.take_content(&mut rest, left, out);
                    self.state = State::Length { left };
                }
                State::Data { left } => {
                    let left = self.take_content(&mut rest, left, out);
                    self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                }
                State::Size { .. }
                | State::Extension { .. }
                | State::SizeLf { .. }
                | State::DataCr
                | State::DataLf
                | State::TrailerStart
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerLf
                | State::LastLf => {
                    let Some((&byte, tail)) = rest.split_first() else { return Ok(Decoded::Partial) };
                    rest = tail;
                    self.state = self.advance(byte)?;
                }
            }
            let needs_data = matches!(self.state, State::Length { left: 1.. } | State::Data { .. });
            if needs_data && rest.is_empty() {
                return Ok(Decoded::Partial);
            }
        }
    }

    /// Moves content from `rest` to `out`. Returns what remains of `left`.
    fn take_content(&mut self, rest: &mut &[u8], left: u64, out: &mut Vec<u8>) -> u64 {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        let (content, tail) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        if out.capacity() - out.len() < count {
            // The capacity doubles, but not beyond the bytes that may still arrive.
            let allowed = self.bytes_max.saturating_sub(out.len());
            let expected = if matches!(self.state, State::Length { .. }) {
                usize::try_from(left).unwrap_or(usize::MAX).min(allowed)
            } else {
                allowed
            };
            out.reserve_exact(out.len().min(expected).max(count));
        }
        out.extend_from_slice(content);
        *rest = tail;
        let taken = content.len() as u64;
        self.received += taken;
        left - taken
    }

    /// The state after one byte that is not content.
    fn advance(&mut self, byte: u8) -> Result<State, Refusal> {
        let next = match (self.state, byte) {
            (State::Size { digits: 1.., size }, b'\r') => State::SizeLf { size },
            (State::Size { digits: 1.., size }, b';') => self.extend(size, Extension::Start)?,
            (State::Size { digits, size }, digit) => add_digit(digits, size, digit)?,
            (State::Extension { size, extension }, b'\r') if extension.may_end() => State::SizeLf { size },
            (State::Extension { .. }, b'\n') => return Err(Malformed::BareLf.into()),
            (State::Extension { size, extension }, _) => {
                let next = extension.advance(byte).ok_or(Malformed::ChunkExtension)?;
                self.extend(size, next)?
            }
            (State::SizeLf { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeLf { size }, b'\n') => {
                self.announce(size)?;
                State::Data { left: size }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0, size: 0 },
            (State::DataCr | State::DataLf, _) => return Err(Malformed::ChunkEnd.into()),
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::TrailerName | State::TrailerValue, b'\n') => {
                return Err(Malformed::BareLf.into());
            }
            (State::TrailerStart | State::TrailerName, token) if is_token_byte(token) => {
                self.trail(State::TrailerName)?
            }
            (State::TrailerName, b':') => self.trail(State::TrailerValue)?,
            (State::TrailerValue, content) if !is_control(content) => self.trail(State::TrailerValue)?,
            (State::TrailerStart | State::TrailerName | State::TrailerValue, _) => {
                return Err(Malformed::Trailer.into());
            }
            (State::TrailerLf, b'\n') => self.trail(State::TrailerStart)?,
            (State::LastLf, b'\n') => State::Complete,
            (State::SizeLf { .. } | State::TrailerLf | State::LastLf, _) => {
                return Err(Malformed::BareCr.into());
            }
            (content @ (State::Length { .. } | State::Data { .. } | State::Complete), _) => content,
        };
        Ok(next)
    }

    /// Counts announced content.
    fn announce(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.announced = self.announced.saturating_add(bytes);
        if usize::try_from(self.announced).is_ok_and(|announced| announced <= self.bytes_max) {
            return Ok(());
        }
        Err(Refusal::BodyTooLarge { bytes: self.announced, bytes_max: self.bytes_max })
    }

    /// Counts a byte of an extension.
    fn extend(&mut self, size: u64, extension: Extension) -> Result<State, Refusal> {
        self.extension_bytes += 1;
        if self.extension_bytes > CHUNK_EXTENSION_BYTES_MAX {
            return Err(Malformed::ChunkExtensionsTooLong.into());
        }
        Ok(State::Extension { size, extension })
    }

    /// Counts a byte of a trailer line; its line end counts as one.
    fn trail(&mut self, next: State) -> Result<State, Refusal> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(Malformed::TrailersTooLong.into());
        }
        Ok(next)
    }
}

fn add_digit(digits: u8, size: u64, digit: u8) -> Result<State, Refusal> {
    let value = hex_value(digit).filter(|_| digits < SIZE_DIGITS_MAX).ok_or(Malformed::ChunkSize)?;
    Ok(State::Size { digits: digits + 1, size: size << 4 | u64::from(value) })
}

fn is_control(byte: u8) -> bool {
    byte != b'\t' && byte.is_ascii_control()
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
