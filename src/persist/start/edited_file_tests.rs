use super::*;
use crate::disk::{Disk, Open, RealDisk, write_all_at};
use crate::limits::FILE_BUFFER_BYTES;
use crate::names::Key;

fn file(text: &[u8]) -> Box<dyn DiskFile> {
    let directory = tempfile::tempdir().unwrap();
    let file = RealDisk.open(&directory.path().join("a"), Open::Create).unwrap();
    write_all_at(file.as_ref(), text, 0).unwrap();
    file
}

/// All members of `text`, in the order of the keys; values of at most `value_bytes_max` are taken.
fn members_up_to(text: &[u8], value_bytes_max: usize) -> Result<Vec<(String, String)>, String> {
    let file = file(text);
    let mut edited = EditedFile { value_bytes_max, ..EditedFile::new(file.as_ref(), KeyRule::Clients) };
    let keys = edited.read_keys().map_err(|error| match error {
        EditedFileError::Invalid(problem) => problem,
        EditedFileError::Io(error) => panic!("{error}"),
    })?;
    let mut value = Vec::new();
    let members = keys.iter().map(|(key, location)| {
        edited.read_value(location, &mut value).unwrap();
        assert_eq!(value.len(), location.length as usize, "{key}");
        (key.to_owned(), String::from_utf8(value.clone()).unwrap())
    });
    Ok(members.collect())
}

fn members(text: &str) -> Result<Vec<(String, String)>, String> {
    members_up_to(text.as_bytes(), VALUE_BYTES_MAX)
}

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    assert_eq!(members(text), Ok(expected), "{text}");
}

#[track_caller]
fn check_refused(text: &str, part: &str) {
    let error = members(text).unwrap_err();
    assert!(error.contains(part), "{text:.200}: {error}");
}

#[test]
fn file_may_be_laid_out_in_any_way() {
    check(" {\"b\":[1, 2] , \"a\"\n:\"x\"}\n", &[("a", "\"x\""), ("b", "[1,2]")]);
    check("\u{feff}{\r\n\"a\": 1\r\n}\r\n", &[("a", "1")]);
    check("{ }", &[]);
    check("{\"\\u0061\\n\":{}}".replace("\\n", "").as_str(), &[("a", "{}")]);
    check(
        "{\"a\" : { \"x\" : 1e400 ,\n\t\"x\" : \" two  spaces , } \\\" \" }\n,\"c\":[ ]}",
        &[("a", r#"{"x":1e400,"x":" two  spaces , } \" "}"#), ("c", "[]")],
    );
}

#[test]
fn mistake_in_the_json_is_recognized_and_has_its_place() {
    for (text, part) in [
        ("{\"a\":1,}", "trailing comma at line 1, column 7"),
        ("{\"a\":1\n\"b\":2}", "line 2, column 1"),
        ("{\"a\":1 2}", "line 1, column 8"),
        ("{\"a\":12,\"b\":01}", "line 1, column 14"),
        ("{\"a\":}", "line 1, column 6"),
        ("{\"a\":[1}", "line 1, column 8"),
        ("{\"a\":1]", "line 1, column 7"),
        ("{\"a\":\"\\x\"}", "line 1, column 8"),
        ("{\"a\":\"\t\"}", "line 1, column 7"),
        ("{\"a\":\"x\n\"b\":2}", "line 1, column 8"),
        ("{a:1}", "line 1, column 2"),
        ("[1]", "object"),
        ("{\"a\":1}}", "more text after the end of the object at line 1, column 8"),
        ("{\"a\":1}\n{\"b\":2}", "more text after the end of the object at line 2, column 1"),
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("{\"a\":1,\n\"b\"", "cut off at line 2, column 4"),
        ("{\"a\":1, // one\n}", "a comment at line 1, column 9"),
        ("{\"a\":1\0\0\0", "NUL bytes, as after a power cut, at line 1, column 7"),
        ("{\n<<<<<<< HEAD\n\"a\":1}", "a conflict marker of a merge at line 2"),
        ("{\"a\":1,\n=======\n\"a\":2}", "a conflict marker of a merge at line 2"),
        ("<html></html>", "it is HTML or XML"),
        ("null", "the file is null at line 1, column 1; it must be a JSON object"),
    ] {
        check_refused(text, part);
    }
    for (text, place) in [
        ("\u{feff}\u{feff}{}", "line 1, column 1 (byte 3)"),
        ("\n \u{feff}{}", "line 2, column 2 (byte 2)"),
        ("\u{feff}{\u{feff}\"a\":1}", "line 1, column 2 (byte 4)"),
        ("{\"a\":\u{feff}1}", "line 1, column 6 (byte 5)"),
        ("{\"a\":[1,\u{feff}2]}", "line 1, column 9 (byte 8)"),
        ("{\"a\":1\u{feff},\"b\":2}", "line 1, column 7 (byte 6)"),
        ("{\"a\":1}\u{feff}{\"b\":2}", "line 1, column 8 (byte 7)"),
    ] {
        let problem = format!(
            "not JSON: a byte order mark at {place}; a file has at most one, at its start; remove this one"
        );
        assert_eq!(members(text), Err(problem), "{text:?}");
    }
    check("{\"a\u{feff}\":\"\u{feff}\"}", &[("a\u{feff}", "\"\u{feff}\"")]);
    for bytes in [&b"\xff\xfe{\0}\0"[..], b"{\"a\": \"M\xfcller\"}", b"{\"M\xfc\": 1}", b"{\"a\":1}\xff"] {
        assert!(members_up_to(bytes, VALUE_BYTES_MAX).unwrap_err().contains("as UTF-8"));
    }
}

/// Values and keys are refused just if the API refuses them.
#[test]
fn import_takes_what_the_api_takes() {
    let deep = |levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let values = [
        "-0",
        "1E+400",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "{\"a\":1,\"a\":2}",
        "\u{feff}1",
        "+1",
        "'a'",
        "nul",
        "NaN",
    ];
    let values =
        values.map(str::to_owned).into_iter().chain([deep(VALUE_DEPTH_MAX), deep(VALUE_DEPTH_MAX + 1)]);
    for value in values {
        let mut minified = Vec::new();
        let is_taken = json::minify(value.as_bytes(), VALUE_DEPTH_MAX, &mut minified).is_ok();
        let found = members(&format!("{{\"a\":{value}}}"));
        assert_eq!(found.is_ok(), is_taken, "{value:.60}: {found:?}");
        assert!(!is_taken || found == Ok(vec![("a".into(), String::from_utf8(minified).unwrap())]));
    }
    let long = ["x".repeat(1024), "x".repeat(1025), "é".repeat(512), "é".repeat(513), "x".repeat(10_000)];
    let keys = ["a", "", ".", "..", "...", "a/../b", "\u{7f}", "\u{85}", "a\nb", "\0", "🔑", " ", "\"", "\\"];
    for key in keys.map(str::to_owned).into_iter().chain(long) {
        let mut text = b"{".to_vec();
        json::encode_string(&key, &mut text);
        text.extend_from_slice(b": 1}");
        let found = members_up_to(&text, VALUE_BYTES_MAX);
        assert_eq!(found.is_ok(), Key::parse(&key).is_ok(), "{key:.60?}: {found:?}");
    }
}

#[test]
fn key_that_is_refused_is_named_with_its_place() {
    let long = "x".repeat(1025);
    check_refused(
        &format!("{{\"a\": 1,\n  \"{long}\": 2}}"),
        "at line 2, column 3 is 1,025 bytes long; the maximum is 1,024",
    );
    check_refused(
        &format!("{{\"{}\": 2}}", "\\u0078".repeat(2000)),
        "at line 1, column 2 is too long; the maximum is 1024 bytes",
    );
    check_refused(
        "{\"é\": 1, \"..\": 1}",
        "the key \"..\" at line 1, column 10 is `.` or `..`, which clients remove",
    );
    check_refused("{\"\": 1}", "the key \"\" at line 1, column 2 is empty; it must have 1 to 1,024 bytes");
    check_refused("{\"a\\u0000\": 1}", "at line 1, column 2 has the control character U+0000; remove it");
    check_refused("{\n\"a\\udc00\": 1}", "at line 2, column 1 has an escape of half a surrogate pair");
    check_refused(
        "{\"a\": 1,\n\"b\": 2, \"\\u0061\": 3}",
        "the key \"a\" at line 2, column 9 is a duplicate; its first value is at line 1, column 7",
    );
}

#[test]
fn value_that_is_refused_is_named_with_its_place() {
    let deep = format!("{{\"a\": 1,\n \"b\": [\n{}", "[".repeat(VALUE_DEPTH_MAX));
    let place = format!(
        "the value of \"b\" is nested too deeply at line 3, column {VALUE_DEPTH_MAX}; the maximum is 100 levels"
    );
    check_refused(&(deep + &"]".repeat(VALUE_DEPTH_MAX + 1) + "}"), &place);
    for (value, is_taken) in [
        ("\"12345678\"", true),
        ("\"123456789\"", false),
        ("[1,2,3,45]", true),
        ("[ 1 ,\n\t2 , 3 , 45 ]", true),
        ("[ 1 ,\n\t2 , 3 , 456 ]", false),
        ("\"        \"", true),
        ("\"         \"", false),
        ("12345678901", false),
    ] {
        let found = members_up_to(format!("{{\"a\":1,\n\"b\": {value} }}").as_bytes(), 10);
        assert_eq!(found.is_ok(), is_taken, "{value}: {found:?}");
        let place = "the value of \"b\" at line 2, column 6 is too long; the maximum is 10 bytes";
        assert!(is_taken || found.as_ref().unwrap_err().contains(place), "{found:?}");
    }
}

#[test]
fn members_are_whole_wherever_the_buffer_ends() {
    for around in FILE_BUFFER_BYTES - 20..FILE_BUFFER_BYTES + 3 {
        let value = format!("\"{}\"", "x".repeat(around));
        let text = format!("{{\"z\":{value} , \"k\\\\\" : [ \"a\\\"\" , {value} ], \"b\":1}}");
        let list = format!("[\"a\\\"\",{value}]");
        check(&text, &[("b", "1"), ("k\\", &list), ("z", &value)]);
    }
}

#[test]
fn mistake_in_a_large_file_has_its_place() {
    let lines = "\"a\":\n".repeat(4).replace("\"a\":", &format!("\"{}\",", "x".repeat(6 << 20)));
    let error = members(&format!("{{\"a\": [{lines}}}")).unwrap_err();
    assert_eq!(error, "not JSON: expected a JSON value at line 5, column 1");
}

#[test]
fn value_that_was_changed_since_it_was_checked_is_not_taken() {
    let file = file(b"{\"a\": [1], \"b\": 2}");
    let mut edited = EditedFile::new(file.as_ref(), KeyRule::Clients);
    let keys = edited.read_keys().unwrap();
    let (_, location) = keys.iter().next().unwrap();
    for text in ["[2]", "[1 ", "[ 1"] {
        write_all_at(file.as_ref(), text.as_bytes(), 6).unwrap();
        let mut fresh = EditedFile::new(file.as_ref(), KeyRule::Clients);
        assert!(fresh.read_value(location, &mut Vec::new()).is_err(), "{text}");
    }
}
