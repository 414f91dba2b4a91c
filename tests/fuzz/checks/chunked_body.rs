//! Chunked bodies: fed in pieces, they are what a second decoder makes of them as a whole; and what
//! is sent in chunks is decoded to the same.

use super::independent::chunks::{self, Verdict};
use super::pieces;
use pikv::testing::http::body::{BodyDecoder, Decoded};
use pikv::testing::http::refusal::Refusal;
use pikv::testing::http::request::Framing;
use pikv::testing::http::response::{encode_chunk, encode_last_chunk};

/// Bounds on the content: one that inputs reach, one that they do not.
const BYTES_MAX: [usize; 2] = [64, 1024 * 1024];

/// Takes `data` as what follows a head with `Transfer-Encoding: chunked`.
pub fn check(data: &[u8]) {
    for bytes_max in BYTES_MAX {
        let expected = chunks::decode(data, bytes_max);
        assert_eq!(decode(&[data], bytes_max), expected, "whole, at most {bytes_max}");
        for (salt, size_max) in [(1, 1), (2, 3), (3, 40)] {
            let found = decode(&pieces(data, size_max, salt), bytes_max);
            assert_eq!(found, expected, "in pieces up to {size_max}, at most {bytes_max}");
        }
    }
    round_trip(data);
}

/// What the decoder makes of pieces that arrive one after the other.
fn decode(pieces: &[&[u8]], bytes_max: usize) -> Verdict {
    let Ok(mut decoder) = BodyDecoder::new(Framing::Chunked, bytes_max) else {
        unreachable!("nothing is announced yet")
    };
    let given: usize = pieces.iter().map(|piece| piece.len()).sum();
    let (mut content, mut fed) = (Vec::new(), 0);
    for piece in pieces {
        fed += piece.len();
        let decoded = decoder.decode(piece, &mut content);
        assert!(content.len() <= bytes_max, "{} bytes of content", content.len());
        assert!(content.capacity() <= bytes_max, "room for {} bytes", content.capacity());
        assert!(content.len() <= fed, "more content than bytes");
        match decoded {
            Ok(Decoded::Partial) => assert_eq!(decoder.received(), content.len() as u64),
            Ok(Decoded::Complete { unread }) => {
                assert!(unread <= piece.len(), "left over more than was given");
                assert_eq!(decoder.received(), content.len() as u64);
                return Verdict::Complete { content, unread: given - fed + unread };
            }
            Err(Refusal::BodyTooLarge { bytes, bytes_max: told }) => {
                assert!(bytes > bytes_max as u64 && told == bytes_max, "{bytes} of {told}");
                return Verdict::TooLarge;
            }
            Err(refusal) => {
                assert!(matches!(refusal, Refusal::Malformed(_)), "{refusal:?}");
                return Verdict::Bad;
            }
        }
    }
    Verdict::Incomplete { content }
}

fn round_trip(data: &[u8]) {
    let mut wire = Vec::new();
    for piece in pieces(data, 100, 4) {
        encode_chunk(piece, &mut wire);
    }
    encode_last_chunk(&mut wire);
    let behind = wire.len();
    wire.extend_from_slice(data);
    let expected = Verdict::Complete { content: data.to_vec(), unread: data.len() };
    assert_eq!(decode(&[&wire], data.len()), expected, "encoded, with more behind it");
    let cut = decode(&[&wire[..behind - 1]], data.len());
    assert_eq!(cut, Verdict::Incomplete { content: data.to_vec() }, "encoded, the last byte missing");
}
