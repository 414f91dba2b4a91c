use super::*;
use crate::limits::VALUE_DEPTH_MAX;
use proptest::prelude::*;
use serde_json::value::RawValue;

mod table;

fn minified(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut out = b"before".to_vec();
    let result = minify(text, VALUE_DEPTH_MAX, &mut out);
    let added = out.strip_prefix(b"before").unwrap().to_vec();
    if result.is_err() {
        assert_eq!(added, b"", "an error leaves the output as it was");
    }
    result.map(|()| added)
}

fn message(text: &[u8]) -> String {
    minified(text).unwrap_err().to_string()
}

fn serde_accepts(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

#[test]
fn valid_texts_are_accepted_and_invalid_ones_refused() {
    for (name, text) in table::ACCEPTED {
        assert!(minified(text).is_ok(), "{name}: {}", message(text));
    }
    for (name, text) in table::REFUSED {
        assert!(minified(text).is_err(), "{name}");
    }
    assert!(table::ACCEPTED.len() + table::REFUSED.len() >= 120);
}

#[test]
fn serde_json_agrees_with_the_tables() {
    for (name, text) in table::ACCEPTED {
        assert!(serde_accepts(text), "{name}");
    }
    for (name, text) in table::REFUSED {
        assert!(!serde_accepts(text), "{name}");
    }
}

#[test]
fn values_survive_byte_for_byte() {
    for text in [
        "12345678901234567890123",
        "1e400",
        "-0",
        "-0.0",
        "1E6",
        "1e-400",
        "1.10",
        "0e+00",
        r#"{"a":1,"a":2,"b":3,"a":1}"#,
        r#"{"z":1,"a":2}"#,
        r#""\/\u0061é\ud800""#,
        "\" a  b \"",
        "\"\u{7f}\u{85}\u{2028}\"",
    ] {
        assert_eq!(minified(text.as_bytes()).unwrap(), text.as_bytes());
        let spaced = format!(" \t\r\n{text}\n\n");
        assert_eq!(minified(spaced.as_bytes()).unwrap(), text.as_bytes());
    }
}

#[test]
fn only_white_space_between_tokens_is_removed() {
    let text = b" { \"a b\" :\t[ 1 ,\r\n 2.0 , \" , \" ] , \"a b\" : { } , \"\" : [ ] } ";
    assert_eq!(minified(text).unwrap(), br#"{"a b":[1,2.0," , "],"a b":{},"":[]}"#);
}

fn nested(depth: usize, mixed: bool) -> String {
    let is_object = |level: usize| mixed && level % 3 == 1;
    let open: String = (0..depth).map(|level| if is_object(level) { "{\"a\": " } else { "[ " }).collect();
    let close: String = (0..depth).rev().map(|level| if is_object(level) { " }" } else { "]" }).collect();
    format!("{open}1{close}")
}

#[test]
fn depth_is_limited_for_arrays_and_objects_together() {
    for mixed in [false, true] {
        let deepest = nested(VALUE_DEPTH_MAX, mixed);
        assert_eq!(minified(deepest.as_bytes()).unwrap(), deepest.replace(' ', "").as_bytes());
        let deeper = nested(VALUE_DEPTH_MAX + 1, mixed);
        assert_eq!(minified(deeper.as_bytes()).unwrap_err().kind, JsonErrorKind::TooDeep);
    }
    let wide = format!("[{}[]]", "[[]],".repeat(1_000));
    assert!(minified(wide.as_bytes()).is_ok(), "closed levels do not count");
    assert_eq!(minified(&vec![b'['; 1_000_000]).unwrap_err().kind, JsonErrorKind::TooDeep);
}

#[test]
fn every_truncation_is_refused() {
    let text = "{\"a\": [1, -2.5e+3, true, null, \"\\u00e9\\n\u{20ac}\"], \"b\": {\"c\": false}}".as_bytes();
    for document in [text, br#""a\\b""#, b"true", b"null", b"[[[{}]]]"] {
        assert!(minified(document).is_ok());
        for cut in 0..document.len() {
            assert!(minified(&document[..cut]).is_err(), "cut at {cut}");
        }
    }
}

#[test]
fn a_value_of_another_language_is_refused_with_the_value_to_send() {
    for (text, hint) in [
        ("NaN", "NaN is not"),
        ("-NaN", "NaN is not"),
        ("nan", "NaN is not"),
        ("Infinity", "Infinity is not"),
        ("-Infinity", "Infinity is not"),
        ("-inf", "Infinity is not"),
        ("undefined", "undefined is not"),
        ("None", "send null"),
        ("nil", "send null"),
        ("NULL", "null is written in lower case"),
        ("True", "true is written in lower case"),
        ("TRUE", "true is written in lower case"),
        ("False", "false is written in lower case"),
        ("fALSE", "false is written in lower case"),
        ("tru", "double quotes, as in \"hello\""),
        ("NaNny", "double quotes, as in \"hello\""),
        ("hello", "double quotes, as in \"hello\""),
        ("'hello'", "use double quotes"),
        ("“hello”", "use straight double quotes"),
        ("0x1F", "no hexadecimal"),
        ("-0x1F", "no hexadecimal"),
        ("0b1", "no hexadecimal, octal or binary"),
        ("+1", "no plus sign"),
        ("+Infinity", "no plus sign"),
        ("01", "no leading zero"),
        ("-01", "no leading zero"),
        ("00", "no leading zero"),
        (".5", "a digit before the point"),
        ("-.5", "a digit before the point"),
        ("5.", "a digit after the point"),
        ("1.e5", "a digit after the point"),
        ("1_000", "digits only"),
        ("10n", "digits only"),
        ("1 // one", "no comments"),
        ("/* one */ 1", "no comments"),
        ("# one", "no comments"),
    ] {
        let in_object = format!("{{\"t\": {text}}}");
        for text in [text.to_owned(), in_object, format!("[{text}]"), format!("[1, {text} , 2]")] {
            assert!(message(text.as_bytes()).contains(hint), "{text}: {}", message(text.as_bytes()));
        }
    }
}

#[test]
fn a_mistake_of_notation_is_refused_with_the_correction() {
    for (text, hint) in [
        ("{t: 1}", "write the member name in double quotes"),
        ("{\"a\": 1, $b: 1}", "write the member name in double quotes"),
        ("{'t': 1}", "use double quotes"),
        ("{1: 2}", "write the member name in double quotes"),
        ("{\"t\": 1,}", "remove the `,` after the last one"),
        ("[1,\n]", "remove the `,` after the last one"),
        ("{\"t\": }", "the member has no value"),
        ("{\"t\":, \"u\": 1}", "the member has no value"),
        ("\"a\nb\"", "a line break in a string as \\n"),
        ("\"a\tb\"", "a tab in a string as \\t"),
    ] {
        assert!(message(text.as_bytes()).contains(hint), "{text}: {}", message(text.as_bytes()));
    }
}

#[test]
fn errors_name_the_position_the_found_character_and_the_expected_one() {
    let check = |text: &str, expected: &str| assert_eq!(message(text.as_bytes()), expected, "{text:?}");
    check("", "it is empty: expected a JSON value, for example \"hello\" (with its quotes)");
    check(" \n", "it is empty: expected a JSON value, for example \"hello\" (with its quotes)");
    check(
        "hello",
        "line 1, column 1: expected a JSON value, found `h`; write text in double quotes, as in \"hello\"",
    );
    check("'hello'", "line 1, column 1: expected a JSON value, found `'`; use double quotes");
    check("no", "line 1, column 2: expected `null`, found `o`; write text in double quotes, as in \"hello\"");
    check(
        "12 apples",
        "line 1, column 4: expected the end of the text after the value, found `a`; \
         write text in double quotes, as in \"hello\"",
    );
    check("{\"a\":1 x", "line 1, column 8: expected `,` or `}` after a member, found `x`");
    check("[1\n 2]", "line 2, column 2: expected `,` or `]` after an element, found `2`");
    check("[1,]", "line 1, column 4: expected a JSON value, found `]`; remove the `,` after the last one");
    check("{\"é\" 1}", "line 1, column 6: expected `:` after a member name, found `1`");
    check("{\"a\":", "line 1, column 6: expected a JSON value, found the end of the text");
    check(
        "\"a\nb\"",
        "line 1, column 3: expected the rest of a string, control characters escaped, \
         found the control character U+000A; write a line break in a string as \\n",
    );
    check("\"\\x\"", "line 1, column 3: expected one of `\"\\/bfnrtu` after `\\`, found `x`");
    check("-", "line 1, column 2: expected a digit, found the end of the text");
    check(
        "\u{feff}1",
        "line 1, column 1: expected a JSON value, found a byte order mark; send UTF-8 without one",
    );
    check(
        &"[".repeat(101),
        "line 1, column 101: expected at most 100 levels of arrays and objects, found one more",
    );
    assert_eq!(message(b"[\"\xff\"]"), "line 1, column 3: expected UTF-8, found invalid bytes");
}

#[test]
fn offset_is_in_bytes_and_column_in_characters() {
    let error = minified("[\n\"é€\" x".as_bytes()).unwrap_err();
    assert_eq!((error.offset, error.line, error.column), (10, 2, 6));
}

#[test]
fn strings_are_escaped_as_little_as_possible() {
    let text: String = ('\0'..='\u{ff}').chain(['\u{2028}', '\u{1f511}']).collect();
    let mut out = Vec::new();
    encode_string(&text, &mut out);
    assert_eq!(out, serde_json::to_vec(&text).unwrap());
}

#[test]
fn every_escape_is_decoded() {
    let check = |json: &str, text: Option<&str>| assert_eq!(decode_string(json.as_bytes()).as_deref(), text);
    check(r#""""#, Some(""));
    check(r#""é""#, Some("é"));
    check(r#""a\"\\\/\b\f\n\r\tz""#, Some("a\"\\/\u{8}\u{c}\n\r\tz"));
    check(r#""\u00e9\u00E9\ud83d\udd11\u0000""#, Some("éé🔑\0"));
    for not_text in [
        r#""\ud83d""#,
        r#""\udd11""#,
        r#""\udd11\ud83d""#,
        r#""\ud83d\u0041""#,
        r#""\ud83dudd11""#,
        r#""\ud83d\n""#,
    ] {
        check(not_text, None);
    }
    for not_string in ["", "1", "\"", "null", "[]", r#"{"a":"b"}"#, r#"["a"]"#] {
        check(not_string, None);
    }
}

#[test]
fn text_without_escapes_is_borrowed() {
    assert!(matches!(decode_string(b"\"plain\""), Some(std::borrow::Cow::Borrowed("plain"))));
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC*".prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    scalar.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn pretty_text_becomes_compact_text(value in any_value()) {
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        let compact = serde_json::to_vec(&value).unwrap();
        prop_assert_eq!(&minified(&pretty).unwrap(), &compact);
        prop_assert_eq!(&minified(&compact).unwrap(), &compact);
    }

    #[test]
    fn mutated_text_is_judged_as_serde_json_does(
        value in any_value(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3, any::<u8>()), 1..4),
    ) {
        let mut text = serde_json::to_vec_pretty(&value).unwrap();
        for (index, act, byte) in changes {
            let at = index.index(text.len().max(1));
            let likely = b"{}[]:,\"\\u0-+.eE1 \ntfn'\x00\xc3\x80";
            let byte = if act == 0 { byte } else { likely[usize::from(byte) % likely.len()] };
            match act {
                1 => text.insert(at, byte),
                _ if text.is_empty() => text.push(byte),
                2 => drop(text.remove(at)),
                _ => text[at] = byte,
            }
        }
        prop_assert_eq!(minified(&text).is_ok(), serde_accepts(&text), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn token_soup_is_judged_as_serde_json_does(tokens in prop::collection::vec(0..24usize, 0..12)) {
        const TOKENS: [&str; 24] = [
            "{", "}", "[", "]", ":", ",", "\"a\"", "\"\\u00", "0", "-", ".", "e", "1", "+", "true", "false",
            "null", " ", "\n", "\"", "\\", "E5", "\"b\":", "00",
        ];
        let text: String = tokens.iter().map(|&token| TOKENS[token]).collect();
        prop_assert_eq!(minified(text.as_bytes()).is_ok(), serde_accepts(text.as_bytes()), "{}", text);
    }

    #[test]
    fn encoded_strings_decode_to_themselves(text in ".*|[\\x00-\\x1f\"\\\\a]*") {
        let mut out = Vec::new();
        encode_string(&text, &mut out);
        prop_assert_eq!(&minified(&out).unwrap(), &out);
        prop_assert_eq!(&serde_json::from_slice::<String>(&out).unwrap(), &text);
        prop_assert_eq!(decode_string(&out).unwrap(), text);
    }

    #[test]
    fn decoding_agrees_with_serde_json(pieces in prop::collection::vec(0..12usize, 0..6)) {
        const PIECES: [&str; 12] = [
            "\\ud83d", "\\udd11", "\\u0041", "\\n", "a", "é", "\\\\", "\\\"", "\\/", "\\uDBFF", "\\uDFFF", "\\ue000",
        ];
        let inner: String = pieces.iter().map(|&piece| PIECES[piece]).collect();
        let json = format!("\"{inner}\"");
        let decoded = decode_string(json.as_bytes()).map(std::borrow::Cow::into_owned);
        prop_assert_eq!(decoded, serde_json::from_str::<String>(&json).ok());
    }

    #[test]
    fn special_bytes_are_found_wherever_they_stand(bytes in prop::collection::vec(0x1fu8..=0xff, 0..40)) {
        let expected = bytes.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\').unwrap_or(bytes.len());
        prop_assert_eq!(text::plain_length(&bytes), expected);
    }
}
