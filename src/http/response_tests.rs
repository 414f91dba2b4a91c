use super::*;

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn encoded(
    response: &Response,
    method: Method,
    version: Version,
    persistent: bool,
    body: BodySize,
) -> (String, EncodedHead) {
    let mut out = Vec::new();
    let head = encode_head(response, &Reply { method, version, persistent, body, date: DATE }, &[], &mut out);
    (String::from_utf8(out).unwrap(), head)
}

#[test]
fn a_response_is_framed_by_status_method_version_and_body() {
    use ReplyFraming::*;
    let (known, stream) = (BodySize::Known(5), BodySize::Stream);
    for (status, method, version, body, framing, text) in [
        (200, Method::Get, Version::Http11, known, Length(5), "content-length: 5"),
        (200, Method::Get, Version::Http10, known, Length(5), "content-length: 5"),
        (200, Method::Put, Version::Http11, BodySize::Known(0), Length(0), "content-length: 0"),
        (200, Method::Head, Version::Http11, known, LengthOnly(5), "content-length: 5"),
        (200, Method::Get, Version::Http11, stream, Chunked, "transfer-encoding: chunked"),
        (200, Method::Head, Version::Http11, stream, ChunkedOnly, "transfer-encoding: chunked"),
        (200, Method::Get, Version::Http10, stream, UntilClose, "connection: close"),
        (200, Method::Head, Version::Http10, stream, Bodiless, "connection: keep-alive"),
        (204, Method::Delete, Version::Http11, known, Bodiless, "date: "),
        (304, Method::Get, Version::Http11, known, Bodiless, "date: "),
        (103, Method::Get, Version::Http11, stream, Bodiless, "date: "),
    ] {
        let (wire, head) = encoded(&Response::new(status), method, version, true, body);
        assert_eq!(head.framing, framing, "{status} {method:?} {version:?} {body:?}");
        assert_eq!(head.framing.sends_body(), matches!(framing, Length(_) | Chunked | UntilClose));
        assert!(wire.contains(text), "{wire}");
        let has_length = matches!(framing, Length(_) | LengthOnly(_));
        assert_eq!(wire.contains("content-length"), has_length, "{wire}");
        assert_eq!(wire.contains("transfer-encoding"), matches!(framing, Chunked | ChunkedOnly), "{wire}");
        assert!(wire.ends_with("\r\n\r\n") && wire.matches("\r\n\r\n").count() == 1, "{wire}");
        assert_eq!(head.persistent, framing != UntilClose);
    }
}

#[test]
fn a_head_is_status_date_fields_and_framing() {
    let response = Response::new(201).field("etag", "\"7\"").field("location", "/é");
    let (wire, head) = encoded(&response, Method::Post, Version::Http11, true, BodySize::Known(12_345));
    assert_eq!(
        wire,
        format!(
            "HTTP/1.1 201 Created\r\ndate: {DATE}\r\ncache-control: no-store\r\n\
             x-content-type-options: nosniff\r\netag: \"7\"\r\nlocation: /é\r\ncontent-length: 12345\r\n\r\n"
        )
    );
    assert!(head.persistent);
}

#[test]
fn an_answer_is_not_cached_unless_it_states_so_and_never_sniffed() {
    let stored = |response: &Response| {
        let (wire, _) = encoded(response, Method::Get, Version::Http11, true, BodySize::Known(0));
        assert_eq!(wire.matches("x-content-type-options: nosniff\r\n").count(), 1, "{wire}");
        assert_eq!(wire.matches("cache-control: ").count(), 1, "{wire}");
        !wire.contains("cache-control: no-store\r\n")
    };
    for status in [200, 201, 204, 302, 304, 400, 404, 500, 503] {
        assert!(!stored(&Response::new(status)), "{status}");
    }
    assert!(stored(&Response::new(200).cacheable("public, max-age=3600")));
}

#[test]
fn the_head_states_the_end_of_a_connection_or_a_persistence_that_differs_from_the_default() {
    for (version, persistent, told) in [
        (Version::Http11, true, None),
        (Version::Http11, false, Some("connection: close\r\n")),
        (Version::Http10, true, Some("connection: keep-alive\r\n")),
        (Version::Http10, false, Some("connection: close\r\n")),
    ] {
        let (wire, head) = encoded(&Response::new(200), Method::Get, version, persistent, BodySize::Known(0));
        assert_eq!(head.persistent, persistent);
        assert_eq!(wire.contains("connection:"), told.is_some(), "{wire}");
        assert!(told.is_none_or(|told| wire.contains(told)), "{wire}");
    }
}

#[test]
fn a_value_cannot_end_its_line() {
    let response = Response::new(200).field("location", "/a\r\nset-cookie: x\0\n\u{7f}\ty");
    let (wire, _) = encoded(&response, Method::Get, Version::Http11, true, BodySize::Known(0));
    assert!(wire.contains("\r\nlocation: /a  set-cookie: x   \ty\r\n"), "{wire:?}");
}

#[test]
fn an_empty_piece_does_not_end_a_chunked_body() {
    let mut out = Vec::new();
    encode_chunk(b"", &mut out);
    encode_chunk(&[b'x'; 26], &mut out);
    encode_last_chunk(&mut out);
    assert_eq!(out, [b"1a\r\n".as_slice(), &[b'x'; 26], b"\r\n0\r\n\r\n"].concat());
}
