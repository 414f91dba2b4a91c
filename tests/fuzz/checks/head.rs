//! Request heads: fed in pieces, they are what a second parser makes of them as a whole.

use super::independent::head as independent;
use super::pieces;
use pikv::testing::http::head::{self, Parsed, Progress};
use pikv::testing::http::refusal::Refusal;
use pikv::testing::http::request::{Framing, Head, Version};
use pikv::testing::http::target::Target;
use pikv::testing::limits::{FIELDS_MAX, HEAD_BYTES_MAX, LEADING_EMPTY_LINES_MAX, TARGET_BYTES_MAX};

/// Bounds on the head: one that inputs reach, and the usual one.
const BYTES_MAX: [usize; 2] = [96, HEAD_BYTES_MAX];
/// Inputs up to this length are also fed byte by byte.
const BYTE_BY_BYTE_MAX: usize = 2_048;

/// What was found, without borrowing.
#[derive(Debug, PartialEq)]
enum Found {
    /// The head as sent, and how many bytes follow it.
    Complete(Vec<u8>, usize),
    /// Bytes skipped, and whether something else is there.
    Partial(usize, bool),
    Refused(Refusal),
}

/// Takes `data` as what a client sends first.
pub fn check(data: &[u8]) {
    for bytes_max in BYTES_MAX {
        let whole = check_whole(data, bytes_max);
        for (salt, size_max) in [(1, 7), (2, 60), (3, 1)] {
            if size_max > 1 || data.len() <= BYTE_BY_BYTE_MAX {
                let found = feed(&pieces(data, size_max, salt), bytes_max);
                assert_eq!(found, whole, "in pieces up to {size_max}, at most {bytes_max}");
            }
        }
    }
}

fn check_whole(data: &[u8], bytes_max: usize) -> Found {
    let expected = independent::parse(data, bytes_max);
    let mut progress = Progress::default();
    match (head::parse(data, bytes_max, &mut progress), expected) {
        (Ok(Parsed::Complete { head, rest }), independent::Verdict::Complete(own, own_rest)) => {
            let bytes: &[u8] = &head.bytes;
            assert_eq!(rest, own_rest, "what follows the head");
            assert!(data.ends_with(&[bytes, rest].concat()), "head and rest are the input");
            assert!(bytes.len() <= bytes_max, "a head of {} bytes", bytes.len());
            check_same(&head, &own);
            let again = head::parse_complete(bytes);
            assert_eq!(again.map(|head| format!("{head:?}")), Ok(format!("{head:?}")), "parsed again");
            Found::Complete(bytes.to_vec(), rest.len())
        }
        (Ok(Parsed::Partial { skipped, begun }), independent::Verdict::Incomplete) => {
            let rest = &data[skipped..];
            assert!(
                skipped <= 2 * LEADING_EMPTY_LINES_MAX && data[..skipped].iter().all(|b| b"\r\n".contains(b))
            );
            assert_eq!(begun, !matches!(rest, [] | [b'\r']), "{rest:?}");
            assert!(rest.len() < bytes_max, "waits for more than the bound");
            Found::Partial(skipped, begun)
        }
        // What cannot become a good head is refused before its end.
        (Err(refusal), independent::Verdict::Bad | independent::Verdict::Incomplete) => {
            Found::Refused(refusal)
        }
        (found, expected) => panic!("{found:?}, and in the other view {expected:?}"),
    }
}

/// Fails unless `head` says what the second parser found.
pub(super) fn check_same(head: &Head<'_>, own: &independent::Head) {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];
    let method = if known.contains(&own.method.as_str()) { own.method.as_str() } else { "-" };
    assert_eq!(head.method.as_str(), method);
    assert_eq!(
        (head.target_text(), head.version == Version::Http11),
        (&own.target_text[..], own.is_http_1_1)
    );
    assert!(head.target_text().len() <= TARGET_BYTES_MAX && own.fields.len() <= FIELDS_MAX);
    match (head.target(), &own.target) {
        (Ok(Target::Origin { path, query }), independent::Target::Origin(origin)) => {
            assert_eq!((path, query), (origin.path.as_str(), origin.query.as_deref()));
        }
        (Ok(Target::Asterisk), independent::Target::Asterisk)
        | (Ok(Target::Authority), independent::Target::Authority)
        | (Err(_), independent::Target::Bad) => {}
        (found, expected) => panic!("{found:?}, and in the other view {expected:?}"),
    }
    let framing = match own.framing {
        independent::Framing::None => Framing::None,
        independent::Framing::Length(bytes) => Framing::Length(bytes),
        independent::Framing::Chunked => Framing::Chunked,
    };
    assert_eq!(head.framing, framing);
    assert_eq!(head.authority(), own.authority.as_deref());
    assert_eq!((head.persistent, head.expects_continue), (own.persistent, own.expects_continue));
    for (name, _) in &own.fields {
        let same_name = own.fields.iter().filter(|field| field.0 == *name);
        let expected: Vec<&[u8]> = same_name.map(|field| field.1.as_slice()).collect();
        assert_eq!(head.fields(name).collect::<Vec<_>>(), expected, "{name}");
    }
}

/// What comes out of pieces that arrive one after the other.
fn feed(pieces: &[&[u8]], bytes_max: usize) -> Found {
    let given: usize = pieces.iter().map(|piece| piece.len()).sum();
    let (mut progress, mut buffer) = (Progress::default(), Vec::new());
    let (mut fed, mut skipped_before) = (0, 0);
    let mut last = Found::Partial(0, false);
    for piece in pieces {
        fed += piece.len();
        buffer.extend_from_slice(piece);
        let skipped = match head::parse(&buffer, bytes_max, &mut progress) {
            Err(refusal) => return Found::Refused(refusal),
            Ok(Parsed::Complete { head, rest }) => {
                return Found::Complete(head.bytes.to_vec(), given - fed + rest.len());
            }
            Ok(Parsed::Partial { skipped, begun }) => {
                last = Found::Partial(skipped_before + skipped, begun);
                skipped
            }
        };
        skipped_before += skipped;
        buffer.drain(..skipped);
    }
    last
}
