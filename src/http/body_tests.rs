use super::*;
use proptest::prelude::*;

const BYTES_MAX: usize = 200;

/// Decodes a chunked body that is wholly there, in the plainest way: what the grammar says, line
/// by line. `None` for a bad or an incomplete one, else the content and what is left over.
fn decode_whole(wire: &[u8]) -> Option<(Vec<u8>, usize)> {
    fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let is_text = bytes[..end].iter().all(|&b| b == b'\t' || (b >= 0x20 && b != 0x7f));
        is_text.then_some((&bytes[..end], &bytes[end + 2..]))
    }
    let (mut content, mut rest) = (Vec::new(), wire);
    loop {
        let (size_line, after) = line(rest)?;
        let size = String::from_utf8_lossy(size_line.split(|&b| b == b';').next()?).into_owned();
        let is_hex = (1..=16).contains(&size.len()) && size.chars().all(|c| c.is_ascii_hexdigit());
        let size = usize::try_from(u64::from_str_radix(&size, 16).ok().filter(|_| is_hex)?).ok()?;
        rest = after;
        if size == 0 {
            break;
        }
        if size > BYTES_MAX - content.len() || rest.len() < size + 2 {
            return None;
        }
        content.extend_from_slice(&rest[..size]);
        rest = rest[size..].strip_prefix(b"\r\n")?;
    }
    loop {
        let (trailer, after) = line(rest)?;
        rest = after;
        if trailer.is_empty() {
            return Some((content, rest.len()));
        }
    }
}

/// The same with the decoder under test, fed in pieces of `size`.
fn decode_pieces(wire: &[u8], size: usize) -> Option<(Vec<u8>, usize)> {
    let mut decoder = BodyDecoder::new(Framing::Chunked, BYTES_MAX).unwrap();
    let (mut content, mut fed) = (Vec::new(), 0);
    for piece in wire.chunks(size) {
        fed += piece.len();
        if let Decoded::Complete { unread } = decoder.decode(piece, &mut content).ok()? {
            assert_eq!(decoder.received(), content.len() as u64);
            return Some((content, wire.len() - fed + unread));
        }
    }
    None
}

fn any_part() -> impl Strategy<Value = Vec<u8>> {
    let chunk = prop::collection::vec(any::<u8>(), 1..20)
        .prop_map(|data| [format!("{:X}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat());
    let piece = prop::sample::select(vec![
        "0\r\n\r\n",
        "0\r\n",
        "\r\n",
        "5\r\nhello\r\n",
        "05;x=y\r\nhello\r\n",
        "X: y\r\n",
        "\r",
        "\n",
        ";",
        " ",
        "F",
        "0",
        "+5",
        "c8\r\n",
        "ffffffffffffffff\r\n",
        "\0",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![2 => chunk, 1 => piece]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn chunks_decode_as_an_independent_decoder_says(
        parts in prop::collection::vec(any_part(), 0..6), end in any::<bool>(), size in 1_usize..50,
    ) {
        let mut wire = parts.concat();
        if end {
            wire.extend_from_slice(b"0\r\n\r\nGET");
        }
        prop_assert_eq!(decode_pieces(&wire, size), decode_whole(&wire), "{}", wire.escape_ascii());
    }
}

#[test]
fn a_body_by_length_ends_where_it_says() {
    for size in 1..9 {
        let mut decoder = BodyDecoder::new(Framing::Length(5), 5).unwrap();
        let (mut content, mut last) = (Vec::new(), Decoded::Partial);
        for piece in b"hello".chunks(size) {
            assert_eq!(last, Decoded::Partial);
            last = decoder.decode(piece, &mut content).unwrap();
        }
        assert_eq!((content.as_slice(), last), (b"hello".as_slice(), Decoded::Complete { unread: 0 }));
        assert_eq!(decoder.decode(b"GET", &mut content), Ok(Decoded::Complete { unread: 3 }));
    }
}

#[test]
fn room_grows_with_what_arrives_and_not_beyond_what_may() {
    let mut decoder = BodyDecoder::new(Framing::Length(1000), 4000).unwrap();
    let mut content = Vec::new();
    for _ in 0..9 {
        decoder.decode(&[b'x'; 100], &mut content).unwrap();
        assert!(content.capacity() <= (2 * content.len()).min(1000), "{}", content.capacity());
    }
}

#[test]
fn room_for_small_chunks_doubles() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, 100_000).unwrap();
    let (mut content, mut capacity, mut growths) = (Vec::new(), 0, 0);
    for _ in 0..50_000 {
        decoder.decode(b"1\r\nx\r\n", &mut content).unwrap();
        growths += usize::from(content.capacity() != capacity);
        capacity = content.capacity();
    }
    assert!(growths < 25, "{growths} growths");
}
