//! Request targets, percent-decoding, queries and routes: what a second implementation makes of them.

use super::independent::head::Target as OwnTarget;
use super::independent::{head as own_head, target as independent};
use pikv::testing::api::error::ApiError;
use pikv::testing::api::routes::{self, Found};
use pikv::testing::http::head::parse_complete;
use pikv::testing::http::request::Method;
use pikv::testing::http::target::{Target, TargetError, decode, decode_query, encode_query, pairs};
use pikv::testing::limits::HEAD_BYTES_MAX;
use pikv::testing::router;

/// Patterns with every kind of segment in every place.
const PATTERNS: [&str; 9] = [
    "/",
    "/{...}",
    "/{}",
    "/api/v1/projects",
    "/api/v1/projects/{}",
    "/api/v1/projects/{}/keys",
    "/api/v1/projects/{}/keys/{...}",
    "/item/{...}",
    "/{}/x",
];

/// The methods that routes have, in the order in which `Allow` could name them.
const METHODS: [Method; 10] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Options,
    Method::Patch,
    Method::Trace,
    Method::Connect,
    Method::Unknown,
];

/// Takes `data` as a request target, and as the text of a path, a query and a form.
pub fn check(data: &[u8]) {
    check_target(data);
    if let Ok(text) = std::str::from_utf8(data) {
        check_escapes(text);
        check_pairs(text);
        check_patterns(text);
        check_routes(text);
        check_routes(&format!("/{text}"));
    }
}

fn check_target(data: &[u8]) {
    // Line ends make another head of it, which is the business of `head.rs`.
    if data.contains(&b'\r') || data.contains(&b'\n') {
        return;
    }
    let wire = [b"GET ", data, b" HTTP/1.1\r\nHost: own\r\n\r\n"].concat();
    let own_head::Verdict::Complete(own, _) = own_head::parse(&wire, HEAD_BYTES_MAX) else {
        assert!(parse_complete(&wire).is_err(), "no line of a request");
        return;
    };
    let Ok(head) = parse_complete(&wire) else { panic!("{:?} is refused", own.target) };
    assert_eq!(head.target_text(), data);
    match (head.target(), &own.target) {
        (Ok(Target::Origin { path, query }), OwnTarget::Origin(origin)) => {
            assert_eq!((path, query), (origin.path.as_str(), origin.query.as_deref()));
            assert_eq!(head.authority(), Some(origin.authority.as_deref().unwrap_or("own")));
            assert!(path.starts_with('/') && !path.contains(['?', '#', ' ']), "{path}");
            assert!(decode(path).is_ok(), "a path that was taken can be decoded");
            let every_pair = pairs(query.unwrap_or_default());
            for part in every_pair.flat_map(|(name, value)| [Some(name), value]).flatten() {
                assert!(decode_query(part).is_ok(), "{part} of a query that was taken can be decoded");
            }
        }
        (Err(_), OwnTarget::Bad) => assert_eq!(head.authority(), Some("own"), "the connection is kept"),
        (found, expected) => panic!("{found:?}, and in the other view {expected:?}"),
    }
}

fn check_escapes(text: &str) {
    let found = decode(text);
    assert_eq!(found.as_deref().ok(), independent::decode(text).as_deref(), "a path");
    let is_escape = |at: usize| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let has_bad_escape = text.match_indices('%').any(|(at, _)| !is_escape(at));
    match found {
        Ok(decoded) => assert!(decoded.len() <= text.len(), "decoding makes nothing longer"),
        Err(TargetError::Escape) => assert!(has_bad_escape),
        Err(TargetError::Utf8) => assert!(!has_bad_escape),
        Err(error) => panic!("{error:?} is none of decoding"),
    }
    let found = decode_query(text);
    assert_eq!(found.as_deref().ok(), independent::decode_query(text).as_deref(), "a query");
    let encoded = encode_query(text);
    assert!(
        encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)),
        "{encoded}"
    );
    assert_eq!(decode_query(&encoded).as_deref(), Ok(text), "encoded for a query");
    assert_eq!(decode(&encoded).as_deref(), Ok(text), "encoded for a query, read as a path");
}

fn check_pairs(query: &str) {
    let mut rebuilt = Vec::new();
    for (name, value) in pairs(query) {
        assert!(!name.contains(['=', '&']) && !value.unwrap_or_default().contains('&'), "{name} {value:?}");
        rebuilt.push(value.map_or(name.to_owned(), |value| format!("{name}={value}")));
    }
    let expected: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    assert_eq!(rebuilt, expected);
}

fn check_patterns(path: &str) {
    for pattern in PATTERNS {
        let expected = independent::captures(pattern, path);
        let found = router::matches(pattern, path);
        assert_eq!(found.is_some(), expected.is_some(), "{pattern}");
        let (Some(found), Some(expected)) = (found, expected) else { continue };
        let expected_of = |name| expected.get(name).map_or("", String::as_str);
        assert_eq!((found.segment, found.rest), (expected_of("segment"), expected_of("rest")), "{pattern}");
        let segments = pattern.split('/').map(|segment| match segment {
            "{}" => found.segment,
            "{...}" => found.rest,
            literal => literal,
        });
        let rebuilt = segments.collect::<Vec<_>>().join("/");
        assert_eq!(rebuilt, path, "{pattern}");
    }
}

/// Fails unless the methods of a path are those that its 405 names.
fn check_routes(path: &str) {
    let is_found = |method| match routes::find(method, path) {
        Ok(Found { captures, .. }) => {
            assert!(path.contains(captures.segment) && path.ends_with(captures.rest));
            assert!(!captures.segment.contains('/'));
            true
        }
        Err(ApiError::MethodNotAllowed { .. } | ApiError::RouteMissing) => false,
        Err(error) => panic!("{error:?} is none of routing"),
    };
    let found: Vec<&str> = METHODS.into_iter().filter(|m| is_found(*m)).map(Method::as_str).collect();
    assert_eq!(found.contains(&"GET"), found.contains(&"HEAD"), "HEAD is answered like GET");
    for method in METHODS {
        match routes::find(method, path) {
            Err(ApiError::RouteMissing) => assert!(found.is_empty(), "{found:?}"),
            Err(ApiError::MethodNotAllowed { allow, .. }) => {
                let mut allowed: Vec<&str> = allow.split(", ").collect();
                let mut expected = [found.as_slice(), &["OPTIONS"]].concat();
                allowed.sort_unstable();
                expected.sort_unstable();
                assert_eq!(allowed, expected, "{method:?}");
            }
            Ok(_) | Err(_) => {}
        }
    }
}
