//! Each row of the framing table: which requests are refused and why (the connection ends), and which are kept.

use super::{BOUNDS, Event, Exchange, Head, Step, Waiting, events, feed};
use crate::http::field_name::FieldName;
use crate::http::refusal::{Malformed, Refusal};
use crate::http::request::{Framing, Method, Version};
use crate::http::target::{Target, TargetError};

fn refusal(wire: &[u8]) -> Option<Refusal> {
    match events(wire).pop() {
        Some(Event::Refused(refusal)) => Some(refusal),
        Some(Event::Request(..)) | None => None,
    }
}

fn check_refused(wires: &[&str], expected: impl Into<Refusal>) {
    let expected = expected.into();
    for wire in wires {
        assert_eq!(refusal(wire.as_bytes()), Some(expected), "{wire:?}");
    }
}

fn check_fields_refused(fields: &[&str], expected: impl Into<Refusal>) {
    let expected = expected.into();
    for field in fields {
        let wire = format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        assert_eq!(refusal(wire.as_bytes()), Some(expected), "{field:?}");
    }
}

fn check_chunked_refused(bodies: &[&str], expected: impl Into<Refusal>) {
    let expected = expected.into();
    for body in bodies {
        let wire = format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(refusal(wire.as_bytes()), Some(expected), "{body:?}");
    }
}

/// The head of the only request in `wire`, after which the connection is kept.
fn check_kept(wire: &str, check: impl Fn(&Head<'_>)) {
    let found = events(wire.as_bytes());
    assert!(matches!(found.as_slice(), [Event::Request(..)]), "{wire:?}: {found:?}");
    let mut exchange = Exchange::new(BOUNDS);
    match exchange.step(wire.as_bytes()).1 {
        Step::Request(head, _) => check(&head),
        Step::Admit(head) => check(head),
        other @ (Step::NeedInput(_) | Step::BodyRefused(..) | Step::Refused(_)) => {
            panic!("{wire:?}: {other:?}")
        }
    };
}

fn target_error(target: &str) -> Option<TargetError> {
    let wire = format!("PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(refusal(wire.as_bytes()), None, "{target:?} keeps the connection");
    match Exchange::new(BOUNDS).step(wire.as_bytes()).1 {
        Step::Request(head, _) => head.target().err(),
        other @ (Step::NeedInput(_) | Step::Admit(_) | Step::BodyRefused(..) | Step::Refused(_)) => {
            panic!("{other:?}")
        }
    }
}

#[test]
fn host_is_required_once_and_must_be_an_authority_in_http_1_1() {
    check_refused(&["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nX: y\r\n\r\n"], Malformed::HostMissing);
    check_fields_refused(&["Host: a", "HOST: b"], Malformed::HostTwice);
    for host in ["a b", "u@a", "a/b", "a:x", "[::1", "[]", "a:1:2", "é", "a?b", "[::g]", "", ":", ":80", " "]
    {
        check_refused(&[&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")], Malformed::Host);
    }
    for host in ["a", "a:80", "127.0.0.1:1", "[::1]", "[::1]:80", "a.b-c_d"] {
        check_kept(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), |head| {
            assert_eq!(head.authority(), Some(host));
        });
    }
}

#[test]
fn a_content_type_appears_once() {
    check_kept("GET / HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\n\r\n", |_| ());
    check_fields_refused(
        &[
            "Content-Type: a/b\r\nContent-Type: a/b",
            "Content-Type: a/b\r\nX: y\r\nCONTENT-TYPE: c/d",
            "Content-Type:\r\nContent-Type: a/b",
        ],
        Malformed::TypeTwice,
    );
}

#[test]
fn an_error_in_a_field_names_the_field_and_never_its_value() {
    for (line, name) in [("X-API-Key: s3cret\r", "X-API-Key"), ("authorization: s3cret\n", "authorization")] {
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
        let text = refusal(wire.as_bytes()).unwrap().to_string();
        assert!(text.contains(name) && !text.contains("s3cret"), "{text}");
    }
    let long = format!("{}: \0", "n".repeat(60));
    let text = refusal(format!("GET / HTTP/1.1\r\n{long}\r\n\r\n").as_bytes()).unwrap().to_string();
    assert!(text.contains(&"n".repeat(40)) && !text.contains(&"n".repeat(41)), "{text}");
}

#[test]
fn http_1_0_needs_no_host_and_persists_only_on_request() {
    check_kept("GET / HTTP/1.0\r\n\r\n", |head| {
        assert!(!head.persistent);
        assert_eq!((head.version, head.authority()), (Version::Http10, None));
    });
    for (fields, persistent) in [
        ("Connection: keep-alive", true),
        ("Connection: x, Keep-Alive", true),
        ("Connection: keep-alive, close", false),
    ] {
        let wire = format!("GET / HTTP/1.0\r\n{fields}\r\n\r\n");
        check_kept(&wire, |head| assert_eq!(head.persistent, persistent, "{wire:?}"));
    }
}

#[test]
fn http_1_1_persists_unless_the_client_sends_close() {
    for (fields, persistent) in [
        ("X: y", true),
        ("Connection: upgrade\r\nUpgrade: h2c, websocket", true),
        ("Connection: x , CLOSE", false),
        ("Connection: x\r\nConnection: close", false),
        ("Connection: closed", true),
    ] {
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        check_kept(&wire, |head| assert_eq!(head.persistent, persistent, "{wire:?}"));
    }
}

#[test]
fn the_authority_of_an_absolute_target_wins() {
    for (target, path, query, authority) in [
        ("http://b:80/x?y", "/x", Some("y"), "b:80"),
        ("HTTPS://b", "/", None, "b"),
        ("http://b?q", "/", Some("q"), "b"),
    ] {
        check_kept(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), |head| {
            assert_eq!(head.target(), Ok(Target::Origin { path, query }));
            assert_eq!(head.authority(), Some(authority));
        });
    }
}

#[test]
fn an_asterisk_is_valid_with_options_only() {
    check_kept("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", |head| {
        assert_eq!(head.target(), Ok(Target::Asterisk));
    });
    check_refused(&["GET * HTTP/1.1\r\nHost: a\r\n\r\n"], Malformed::Asterisk);
}

#[test]
fn ambiguous_field_lines_are_refused() {
    check_fields_refused(&["X : y", "X\t: y", "Content-Length : 5"], Malformed::FieldSpaceBeforeColon);
    check_fields_refused(&["X: y\r\n z", "X: y\r\n\tz", " X: y", "X:\r\n y"], Malformed::FieldFolded);
    check_refused(&["GET / HTTP/1.1\r\n Host: a\r\n\r\n"], Malformed::FieldFolded);
    check_fields_refused(&[": y", "X Y: z", "X(: y", "X\0: y", "é: y"], Malformed::FieldName);
    check_fields_refused(&["X", "Host a"], Malformed::FieldColonMissing);
    let value = |byte| Malformed::FieldValue { name: FieldName::of(b"X"), byte };
    for byte in [0, 1, 7, 0xb, 0x1b, 0x7f, b'\r'] {
        let control = char::from(byte);
        check_fields_refused(&[&format!("X: a{control}b"), &format!("X: a{control}")], value(byte));
    }
    check_fields_refused(&["X: \r\r"], value(b'\r'));
    check_fields_refused(&["X: a\nb", "X: a\n"], value(b'\n'));
}

#[test]
fn a_bare_lf_is_refused_anywhere() {
    check_refused(
        &[
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\nb\n\r\n",
        ],
        Malformed::BareLf,
    );
    check_chunked_refused(&["1;x\nx\r\n0\r\n\r\n", "0\r\n\n", "0\r\nX: y\n\r\n"], Malformed::BareLf);
    check_chunked_refused(&["1\nx\r\n0\r\n\r\n"], Malformed::ChunkSize);
    check_chunked_refused(&["1\r\nx\n0\r\n\r\n"], Malformed::ChunkEnd);
}

#[test]
fn a_bare_cr_is_refused_anywhere() {
    check_refused(
        &[
            "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
            "GET /\rx HTTP/1.1\r\n",
        ],
        Malformed::BareCr,
    );
    check_chunked_refused(&["1\rx", "1;x\rx", "0\r\n\rx", "0\r\nX: y\rx"], Malformed::BareCr);
}

#[test]
fn two_empty_lines_before_a_request_are_ignored() {
    check_kept("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", |_| ());
    check_kept("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", |_| ());
    check_refused(&["\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"], Malformed::EmptyLines);
    assert_eq!(feed(&[b"\r", b"\n", b"\r\n"]), (vec![], Some(Waiting::Idle)));
    let after_each = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n".repeat(4);
    assert_eq!(events(&after_each).len(), 4, "the count begins again with each request");
}

#[test]
fn a_request_line_is_three_parts_with_one_space_between() {
    check_refused(
        &[
            "GET  / HTTP/1.1\r\n\r\n",
            "GET /\tHTTP/1.1\r\n\r\n",
            "GET /\r\n\r\n",
            "GET\r\n\r\n",
            "GET /\u{1} HTTP/1.1\r\n\r\n",
            "GET /\u{7f} HTTP/1.1\r\n\r\n",
        ],
        Malformed::RequestLine,
    );
    check_refused(
        &["GET\t/ HTTP/1.1\r\n\r\n", " GET / HTTP/1.1\r\n\r\n", "G(T / HTTP/1.1\r\n"],
        Malformed::Method,
    );
    check_refused(&["{\"a\":1}", "\0"], Malformed::Method);
    check_refused(&["\u{16}\u{3}\u{1}\u{2}"], Malformed::Tls);
    check_refused(
        &[
            "GET /  HTTP/1.1\r\n\r\n",
            "GET / \r\n\r\n",
            "GET / http/1.1\r\n\r\n",
            "GET / HTTP/01.1\r\n\r\n",
            "GET / HTTP/1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET / HTTP/1.10\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
        ],
        Malformed::Version,
    );
    check_refused(&[&format!("{} / HTTP/1.1\r\n\r\n", "A".repeat(33))], Refusal::MethodTooLong);
}

#[test]
fn other_versions_are_refused() {
    check_refused(
        &[
            "GET / HTTP/1.2\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET / HTTP/0.9\r\n\r\n",
        ],
        Refusal::VersionUnsupported,
    );
}

#[test]
fn a_target_has_8_kib_and_a_head_its_bound() {
    let with_target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - 1));
    let whole = |wire: &str| feed(&[wire.as_bytes()]).0;
    assert!(matches!(whole(&with_target(8192)).as_slice(), [Event::Request(..)]));
    assert_eq!(whole(&with_target(8193)), [Event::Refused(Refusal::TargetTooLong)]);
    let endless = format!("GET /{}", "x".repeat(9000));
    assert_eq!(whole(&endless), [Event::Refused(Refusal::TargetTooLong)], "before its end has arrived");

    let too_long = Refusal::HeadTooLong { bytes_max: BOUNDS.head_bytes_max };
    let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    let of_bytes = |bytes: usize| format!("{start}{}\r\n\r\n", "x".repeat(bytes - start.len() - 4));
    assert!(matches!(whole(&of_bytes(16 * 1024)).as_slice(), [Event::Request(..)]));
    assert_eq!(whole(&of_bytes(16 * 1024 + 1)), [Event::Refused(too_long)]);
    let pieces: Vec<String> =
        of_bytes(20_000).as_bytes().chunks(7).map(|c| String::from_utf8_lossy(c).into()).collect();
    let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
    assert_eq!(feed(&pieces).0, [Event::Refused(too_long)]);
}

#[test]
fn a_request_has_at_most_100_fields() {
    let with_fields =
        |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    for count in [24, 25, 100] {
        check_kept(&with_fields(count), |head| assert_eq!(head.fields("x").count(), count - 1));
    }
    check_refused(&[&with_fields(101)], Refusal::FieldsTooMany);
}

#[test]
fn an_invalid_target_keeps_the_connection() {
    for byte in [b'#', b'\\', b'"', b'<', b'>'] {
        assert_eq!(target_error(&format!("/a{}", char::from(byte))), Some(TargetError::Byte { byte }));
    }
    assert_eq!(target_error("/é"), Some(TargetError::Byte { byte: 0xC3 }));
    for target in ["/%zz", "/%", "/%a", "/?x=%4", "/%+1"] {
        assert_eq!(target_error(target), Some(TargetError::Escape), "{target}");
    }
    for target in ["/%C0%AF", "/%ff", "/a?b=%E2%82", "/%ED%A0%80", "/%c3?%a9"] {
        assert_eq!(target_error(target), Some(TargetError::Utf8), "{target}");
    }
    for target in ["a", "ftp://a/", "a:80", "*x", "?"] {
        assert_eq!(target_error(target), Some(TargetError::Form), "{target}");
    }
    for target in ["http:///x", "http://u@a/", "http://a:x/", "http://[/"] {
        assert_eq!(target_error(target), Some(TargetError::Authority), "{target}");
    }
    let raw = b"GET /\xFF HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(matches!(events(raw).as_slice(), [Event::Request(..)]), "not even UTF-8");
}

#[test]
fn content_length_is_one_plain_number() {
    let bad = [
        "+5",
        "-1",
        "5a",
        "0x5",
        "1_0",
        "",
        "5 5",
        "5, 5",
        "5,5",
        "005",
        "00",
        "18446744073709551616",
        "99999999999999999999",
    ];
    for length in bad {
        check_fields_refused(&[&format!("Content-Length: {length}")], Malformed::Length);
    }
    check_fields_refused(
        &["Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5\r\ncontent-length: 6"],
        Malformed::LengthTwice,
    );
}

#[test]
fn a_body_above_the_bound_is_refused_before_it_is_read() {
    for bytes in [1001, 1_125_899_906_842_624, u64::MAX] {
        check_fields_refused(
            &[&format!("Content-Length: {bytes}")],
            Refusal::BodyTooLarge { bytes, bytes_max: 1000 },
        );
    }
    check_chunked_refused(&["3e9\r\n"], Refusal::BodyTooLarge { bytes: 1001, bytes_max: 1000 });
    check_chunked_refused(&["1\r\nx\r\n3e8\r\n"], Refusal::BodyTooLarge { bytes: 1001, bytes_max: 1000 });
    check_chunked_refused(
        &["ffffffffffffffff\r\n"],
        Refusal::BodyTooLarge { bytes: u64::MAX, bytes_max: 1000 },
    );
    for wire in ["Content-Length: 1001\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3e9\r\n"] {
        let wire = format!("PUT /a HTTP/1.1\r\nHost: a\r\n{wire}");
        let mut exchange = Exchange::new(BOUNDS);
        let used = match exchange.step(wire.as_bytes()) {
            (used, Step::Admit(_)) => used,
            (_, step) => {
                assert!(
                    matches!(step, Step::BodyRefused(ref head, _) if head.target_text() == b"/a"),
                    "{step:?}"
                );
                continue;
            }
        };
        let step = exchange.step(&wire.as_bytes()[used..]).1;
        assert!(matches!(step, Step::BodyRefused(ref head, _) if head.target_text() == b"/a"), "{step:?}");
        assert!(matches!(exchange.step(b"").1, Step::Refused(_)));
    }
    let mut exchange = Exchange::new(BOUNDS);
    let head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    assert!(matches!(exchange.step(head).1, Step::Admit(_)));
    assert!(exchange.body_bytes_held() < 1_000, "nothing is allocated for announced bytes");
}

#[test]
fn length_and_transfer_coding_exclude_each_other() {
    check_fields_refused(
        &[
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
        ],
        Malformed::LengthAndCoding,
    );
    check_refused(&["PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"], Malformed::CodingInHttp10);
}

#[test]
fn chunked_is_the_only_transfer_coding() {
    check_fields_refused(
        &["Transfer-Encoding:", "Transfer-Encoding: ,", "Transfer-Encoding: , chunked"],
        Malformed::CodingEmpty,
    );
    check_fields_refused(
        &[
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ],
        Malformed::CodingAfterChunked,
    );
    check_fields_refused(
        &[
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: \"chunked\"",
        ],
        Refusal::CodingUnknown,
    );
    for coding in ["chunked", "Chunked", "\tCHUNKED "] {
        let wire = format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:{coding}\r\n\r\n0\r\n\r\n");
        check_kept(&wire, |head| assert_eq!(head.framing, Framing::Chunked));
    }
}

#[test]
fn a_chunk_size_is_plain_hexadecimal() {
    check_chunked_refused(
        &[
            "\r\n", " \r\n", ";x\r\n", "+5\r\n", "0x5\r\n", " 5\r\n", "5 \r\n", "5 ;x\r\n", "5_0\r\n",
            "5\t\r\n", "g\r\n",
        ],
        Malformed::ChunkSize,
    );
    check_chunked_refused(&["10000000000000000\r\n", "00000000000000005\r\n"], Malformed::ChunkSize);
    check_chunked_refused(&["2\r\nabc\r\n", "2\r\nab0\r\n", "2\r\nab\rx"], Malformed::ChunkEnd);
}

#[test]
fn chunk_extensions_and_trailers_are_checked_bounded_and_dropped() {
    let ok = "2;a=\"b\tc\"\r\nhi\r\n0;x\r\nX: y\r\nAnything:\r\n\r\n";
    let wire = format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{ok}");
    let found = events(wire.as_bytes());
    assert!(matches!(found.as_slice(), [Event::Request(_, _, body, true)] if body == b"hi"), "{found:?}");
    check_chunked_refused(
        &["1;\0", "1;a\u{1}", "1;\r", "1;bad[", "1;a=\r", "1;a=\"\r"],
        Malformed::ChunkExtension,
    );
    check_chunked_refused(
        &["0\r\nX: \0", "0\r\n\u{7f}", "0\r\nX ", "0\r\n X", "0\r\nX\r", "0\r\n:"],
        Malformed::Trailer,
    );
    let extension = |bytes: usize| format!("1;{}\r\nx\r\n", "e".repeat(bytes - 1));
    check_chunked_refused(&[&extension(4097)], Malformed::ChunkExtensionsTooLong);
    check_chunked_refused(
        &[&format!("{}{}", extension(2048), extension(2049))],
        Malformed::ChunkExtensionsTooLong,
    );
    check_chunked_refused(&[&format!("0\r\nX: {}", "t".repeat(8190))], Malformed::TrailersTooLong);
    let wire = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        extension(4096)
    );
    check_kept(&wire, |_| ());
}

#[test]
fn the_only_expectation_is_100_continue_and_only_in_http_1_1() {
    let wire = |version: &str, fields: &str| format!("PUT / {version}\r\nHost: a\r\n{fields}\r\n\r\nhi");
    let continues = wire("HTTP/1.1", "Expect: 100-Continue\r\nContent-Length: 2");
    check_kept(&continues, |head| assert!(head.expects_continue));
    let old = wire("HTTP/1.0", "Expect: whatever\r\nContent-Length: 2");
    check_kept(&old, |head| assert!(!head.expects_continue));
    let without_body = "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n";
    check_kept(without_body, |head| assert!(!head.expects_continue));
    check_fields_refused(&["Expect: x", "Expect:", "Expect: 100-continue, x"], Refusal::ExpectationUnknown);
}

#[test]
fn methods_are_case_sensitive_tokens() {
    for (name, method) in [
        ("GET", Method::Get),
        ("TRACE", Method::Trace),
        ("PATCH", Method::Patch),
        ("get", Method::Unknown),
        ("BREW", Method::Unknown),
    ] {
        check_kept(&format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n"), |head| assert_eq!(head.method, method));
    }
    check_kept("CONNECT a.b:443 HTTP/1.1\r\nHost: a\r\n\r\n", |head| {
        assert_eq!(head.target(), Ok(Target::Authority));
    });
}

/// httparse parses long names and values with vectorised code, which has its own rules.
#[test]
fn long_fields_follow_the_same_grammar_at_every_byte() {
    let is_accepted = |name: &[u8], value: &[u8]| {
        let wire = [b"GET / HTTP/1.1\r\nHost: a\r\n", name, b": ", value, b"\r\n\r\n"].concat();
        matches!(Exchange::new(BOUNDS).step(&wire).1, Step::Request(..))
    };
    for at in 0..70 {
        for byte in 0..=255_u8 {
            let mut text = [b'x'; 70];
            text[at] = byte;
            let is_value = byte == b'\t' || !byte.is_ascii_control();
            assert_eq!(is_accepted(b"x", &text), is_value, "value byte {byte:#x} at {at}");
            let is_name = byte.is_ascii_alphanumeric()
                || b"!#$%&'*+-.^_`|~".contains(&byte)
                || (byte == b':' && at > 0);
            assert_eq!(is_accepted(&text, b"y"), is_name, "name byte {byte:#x} at {at}");
        }
    }
}
