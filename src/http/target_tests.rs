use super::*;

#[test]
fn text_without_escapes_is_borrowed() {
    assert!(matches!(decode("/a+b"), Ok(Cow::Borrowed("/a+b"))));
    assert!(matches!(decode_query("a"), Ok(Cow::Borrowed("a"))));
}

#[test]
fn escapes_decode_and_plus_is_a_space_only_in_queries() {
    assert_eq!(decode("a%2Fb%c3%A9+").unwrap(), "a/bé+");
    assert_eq!(decode_query("a+b%2B").unwrap(), "a b+");
    assert_eq!(decode("%25zz").unwrap(), "%zz", "decoded once");
}

#[test]
fn bad_escapes_and_bad_utf8_have_different_errors() {
    for bad in ["%", "%1", "%g1", "%1g", "a%", "%%41"] {
        assert_eq!(decode(bad), Err(TargetError::Escape), "{bad}");
    }
    for bad in ["%80", "%C0%80", "%F5%80%80%80", "%ED%BF%BF"] {
        assert_eq!(decode(bad), Err(TargetError::Utf8), "{bad}");
        assert_eq!(decode_query(bad), Err(TargetError::Utf8), "{bad}");
    }
}

#[test]
fn pairs_keep_their_parts_as_sent() {
    let found: Vec<_> = pairs("a=1&&b&c=&=d&e=f=g%26").collect();
    let expected = [("a", Some("1")), ("b", None), ("c", Some("")), ("", Some("d")), ("e", Some("f=g%26"))];
    assert_eq!(found, expected);
    assert_eq!(pairs("").count(), 0);
}

#[test]
fn an_encoded_query_has_only_unreserved_characters_and_decodes_to_the_same_text() {
    assert_eq!(encode_query("a-Z_0.~"), "a-Z_0.~");
    assert_eq!(encode_query("a b+c/%&=#\"<é"), "a%20b%2Bc%2F%25%26%3D%23%22%3C%C3%A9");
    let every_character: String = ('\0'..='\u{2FF}').collect();
    assert_eq!(decode_query(&encode_query(&every_character)).unwrap(), every_character);
}
