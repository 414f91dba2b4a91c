use super::*;
use proptest::prelude::*;

/// A valid head with one byte replaced or inserted.
fn altered(at: usize, byte: u8, replace: bool) -> Vec<u8> {
    let mut head = b"PUT /a%20b?c HTTP/1.1\r\nHost: a\r\nX-Key: v w\r\nContent-Length: 2\r\n\r\n".to_vec();
    let at = at % head.len();
    if replace {
        head[at] = byte
    } else {
        head.insert(at, byte)
    }
    head
}

#[test]
fn searched_bytes_of_a_head_are_not_searched_again() {
    let mut progress = Progress::default();
    let wire = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for upto in 1..wire.len() {
        assert!(matches!(parse(&wire[..upto], 1000, &mut progress), Ok(Parsed::Partial { .. })));
        assert_eq!(progress.searched, upto);
    }
    assert!(progress.request_line_checked);
    assert!(matches!(parse(wire, 1000, &mut progress), Ok(Parsed::Complete { rest: [], .. })));
}

#[test]
fn a_refusal_for_a_limit_states_the_limit() {
    for refusal in [Refusal::TargetTooLong, Malformed::EmptyLines.into(), Malformed::TrailersTooLong.into()] {
        assert!(refusal.to_string().contains(|c: char| c.is_ascii_digit()), "{refusal} names no limit");
    }
}

proptest! {
    /// A line-based reader could mistake such a byte for the end of a line or of a field.
    #[test]
    fn an_accepted_head_has_no_control_characters(at in 0_usize..100, byte in any::<u8>(), replace in any::<bool>()) {
        let wire = altered(at, byte, replace);
        if let Ok(Parsed::Complete { head, .. }) = parse(&wire, 1000, &mut Progress::default()) {
            let bytes: &[u8] = &head.bytes;
            let text = String::from_utf8_lossy(bytes).replace("\r\n", "");
            prop_assert!(!text.contains(|c: char| c.is_ascii_control() && c != '\t'), "{}", wire.escape_ascii());
            let lines = bytes.windows(2).filter(|pair| pair == b"\r\n").count();
            prop_assert_eq!(head.fields.len(), lines - 2, "{}", wire.escape_ascii());
        }
    }
}
