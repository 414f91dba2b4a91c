use super::*;
use proptest::prelude::*;

const BYTES_MAX: usize = 200;

/// Decodes a whole chunked body in the plainest way, line by line after the grammar. `None` for an invalid or incomplete
/// one, else the content and the number of bytes after the body.
fn decode_whole(wire: &[u8]) -> Option<(Vec<u8>, usize)> {
    fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let is_text = bytes[..end].iter().all(|&b| b == b'\t' || (b >= 0x20 && b != 0x7f));
        is_text.then_some((&bytes[..end], &bytes[end + 2..]))
    }
    let is_token = |text: &[u8]| !text.is_empty() && text.iter().copied().all(is_token_byte);
    let (mut content, mut rest) = (Vec::new(), wire);
    loop {
        let (size_line, after) = line(rest)?;
        let mut parts = size_line.split(|&b| b == b';');
        let size = String::from_utf8_lossy(parts.next()?).into_owned();
        // The parts below have no white space and no quotes in extensions.
        let is_extension = |part: &[u8]| part.splitn(2, |&b| b == b'=').all(is_token);
        if !parts.all(is_extension) {
            return None;
        }
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
        trailer.iter().position(|&b| b == b':').filter(|&colon| is_token(&trailer[..colon]))?;
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
        "5;x;y=\r\nhello\r\n",
        "X : y\r\n",
        "X y\r\n",
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
    fn chunks_decode_as_by_an_independent_decoder(
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
fn only_extensions_may_follow_a_chunk_size() {
    let check = |extensions: &str, expected: bool| {
        let wire = format!("1{extensions}\r\nx\r\n0\r\n\r\n");
        for size in 1..wire.len() {
            let is_accepted = decode_pieces(wire.as_bytes(), size).is_some();
            assert_eq!(is_accepted, expected, "{extensions:?} in pieces of {size}");
        }
    };
    let good =
        ["", ";a", ";a=b", ";a;b", ";a=\"\"", ";a=\"b;\\\"c\\\\\";d", "; a = b ; c", ";a=\"\tü\"", ";a-b=!"];
    let bad = [
        ";",
        ";;",
        ";a;",
        ";=b",
        ";a=",
        ";a==b",
        ";a=b=c",
        ";bad[=x",
        ";a=x[",
        ";a b",
        ";a=b c",
        ";a=\"b",
        ";a=\"b\\\"",
        ";a=\"b\"c",
        ";a=b\"c\"",
        ";a ",
        "; ",
        ";a= ",
        ";a=\"b\" ",
        ";ü",
        ";a=ü",
        ";\"a\"",
        ";a=\"\u{1}\"",
        ";a=\"\\\u{7f}\"",
        ";a,b",
        " ;a",
        "\t;a",
    ];
    good.into_iter().for_each(|extensions| check(extensions, true));
    bad.into_iter().for_each(|extensions| check(extensions, false));
}

#[test]
fn a_trailer_line_follows_the_grammar_of_a_header_line() {
    for (line, is_field) in [
        ("X: y", true),
        ("X:", true),
        ("X:y z\t", true),
        ("X: é", true),
        ("X y", false),
        ("X", false),
        (" X", false),
        ("\tX: y", false),
        (" X: y", false),
        ("X : y", false),
        ("X\t: y", false),
        (": y", false),
        ("X Y: z", false),
        ("X(: y", false),
        ("é: y", false),
        ("X: \u{1}", false),
        ("X: \0", false),
        ("X\0: y", false),
        ("X: y\rZ: a", false),
        ("X: y\nZ: a", false),
        ("X: y\r\n z", false),
    ] {
        for wire in [format!("0\r\n{line}\r\n\r\n"), format!("1\r\nx\r\n0\r\nA: b\r\n{line}\r\n\r\n")] {
            for size in 1..wire.len() {
                let is_accepted = decode_pieces(wire.as_bytes(), size).is_some();
                assert_eq!(is_accepted, is_field, "{line:?} in pieces of {size}");
            }
        }
    }
}

#[test]
fn a_body_with_a_length_ends_after_that_many_bytes() {
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
fn the_capacity_grows_with_the_arrived_bytes_up_to_the_maximum() {
    let mut decoder = BodyDecoder::new(Framing::Length(1000), 4000).unwrap();
    let mut content = Vec::new();
    for _ in 0..9 {
        decoder.decode(&[b'x'; 100], &mut content).unwrap();
        assert!(content.capacity() <= (2 * content.len()).min(1000), "{}", content.capacity());
    }
}

#[test]
fn the_capacity_for_small_chunks_doubles() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, 100_000).unwrap();
    let (mut content, mut capacity, mut growths) = (Vec::new(), 0, 0);
    for _ in 0..50_000 {
        decoder.decode(b"1\r\nx\r\n", &mut content).unwrap();
        growths += usize::from(content.capacity() != capacity);
        capacity = content.capacity();
    }
    assert!(growths < 25, "{growths} growths");
}
