use super::*;
use crate::http::head::parse_complete;

const SITES: [(&str, &[&str]); 7] = [
    ("absent", &[]),
    ("same-origin", &["Sec-Fetch-Site: same-origin"]),
    ("same-site", &["Sec-Fetch-Site: same-site"]),
    ("cross-site", &["Sec-Fetch-Site: cross-site"]),
    ("none", &["Sec-Fetch-Site: none"]),
    ("garbage", &["Sec-Fetch-Site: Same-Origin"]),
    ("twice", &["Sec-Fetch-Site: same-origin", "sec-fetch-site: same-origin"]),
];

const ORIGINS: [(&str, &[&str]); 8] = [
    ("absent", &[]),
    ("equal", &["Origin: http://kv.example"]),
    ("equal with default port", &["Origin: http://kv.example:80"]),
    ("other host", &["Origin: http://evil.example"]),
    ("other port", &["Origin: http://kv.example:8080"]),
    ("null", &["Origin: null"]),
    ("garbage", &["Origin: kv.example"]),
    ("twice", &["Origin: http://kv.example", "origin: http://kv.example"]),
];

/// A row for each of `SITES`, a column for each of `ORIGINS`: `x` is cross-site, `+` let through
/// whatever the token, `t` needs the token, `c` needs it where a cookie authenticates.
const VERDICTS: [&str; 7] = [
    "c++xxtxx", // absent
    "+++xx+xx", // same-origin
    "xxxxxxxx", // same-site
    "xxxxxxxx", // cross-site
    "t++xxtxx", // none
    "xxxxxxxx", // garbage
    "xxxxxxxx", // twice
];

const RIGHT: &str = "0123456789abcdef";

/// What is expected, what is sent, and what comes of it where the token is needed.
type TokenCase = (Option<&'static str>, Option<&'static str>, Result<(), Forgery>);

const TOKENS: [TokenCase; 10] = [
    (Some(RIGHT), None, Err(Forgery::TokenMissing)),
    (Some(RIGHT), Some(""), Err(Forgery::TokenMissing)),
    (Some(RIGHT), Some(RIGHT), Ok(())),
    (Some(RIGHT), Some("0123456789abcdeF"), Err(Forgery::TokenWrong)),
    (Some(RIGHT), Some("1123456789abcdef"), Err(Forgery::TokenWrong)),
    (Some(RIGHT), Some("0123456789abcde"), Err(Forgery::TokenWrong)),
    (Some(RIGHT), Some("0123456789abcdef0"), Err(Forgery::TokenWrong)),
    (None, Some(RIGHT), Err(Forgery::TokenWrong)),
    (None, None, Err(Forgery::TokenMissing)),
    (Some(""), Some(""), Err(Forgery::TokenMissing)),
];

/// The verdict about a request to `host` with these fields.
fn verdict(
    host: &str,
    fields: &[&str],
    cookie: bool,
    expected: Option<&str>,
    sent: Option<&str>,
) -> Result<(), Forgery> {
    let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let wire = format!("POST /api/login HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
    let rests_on = if cookie { RestsOn::Session } else { RestsOn::Body };
    check(&parse_complete(wire.as_bytes()).unwrap(), rests_on, expected, sent)
}

#[test]
fn every_combination_of_site_origin_token_and_cookie_gets_its_verdict() {
    let mut count = 0;
    for ((site, site_fields), verdicts) in SITES.iter().zip(VERDICTS) {
        for ((origin, origin_fields), symbol) in ORIGINS.iter().zip(verdicts.chars()) {
            for (expected, sent, with_token) in TOKENS {
                for cookie in [true, false] {
                    let right = match symbol {
                        'x' => Err(Forgery::CrossSite),
                        't' => with_token,
                        'c' if cookie => with_token,
                        'c' | '+' => Ok(()),
                        other => panic!("{other} is no verdict"),
                    };
                    let found = verdict(
                        "kv.example",
                        &[*site_fields, *origin_fields].concat(),
                        cookie,
                        expected,
                        sent,
                    );
                    assert_eq!(
                        found, right,
                        "site {site}, origin {origin}, expected {expected:?}, sent {sent:?}, cookie {cookie}"
                    );
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 7 * 8 * 10 * 2);
}

#[test]
fn other_words_than_those_of_a_browser_are_cross_site() {
    for site in ["", "same-origin, same-origin", "same-origin;x", "\"same-origin\"", "null", "NONE"] {
        let field = format!("Sec-Fetch-Site: {site}");
        let found = verdict("a", &[&field, "Origin: http://a"], true, Some(RIGHT), Some(RIGHT));
        assert_eq!(found, Err(Forgery::CrossSite), "{site:?}");
    }
}

#[test]
fn an_origin_is_our_own_if_its_authority_is_the_requests() {
    for (origin, host) in [
        ("http://a", "a"),
        ("http://A.example", "a.EXAMPLE"),
        ("http://a", "a:80"),
        ("http://a:80", "a"),
        ("https://a", "a:443"),
        ("https://a:443", "a"),
        ("https://a:8443", "a:8443"),
        ("http://[::1]", "[::1]:80"),
        ("http://[::1]:5000", "[::1]:5000"),
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
    ] {
        let found = verdict(host, &[&format!("Origin: {origin}")], true, None, None);
        assert_eq!(found, Ok(()), "{origin} {host}");
    }
}

#[test]
fn any_other_origin_is_cross_site_whatever_else_is_right() {
    for (origin, host) in [
        ("http://a", "a:443"),
        ("https://a", "a:80"),
        ("http://a:443", "a"),
        ("http://a", "a:8080"),
        ("http://a.b", "a"),
        ("http://b.a", "a"),
        ("http://a/", "a"),
        ("http://u@a", "a"),
        ("http://a, http://a", "a"),
        ("http://a http://b", "a"),
        ("ftp://a", "a"),
        ("chrome-extension://a", "a"),
        ("//a", "a"),
        ("a", "a"),
        ("", "a"),
        ("Null", "a"),
        ("null, null", "a"),
        ("http://\u{e9}", "a"),
    ] {
        for site in ["X: y", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"] {
            let found = verdict(host, &[site, &format!("Origin: {origin}")], false, Some(RIGHT), Some(RIGHT));
            assert_eq!(found, Err(Forgery::CrossSite), "{origin:?} {host:?} {site}");
        }
    }
}

#[test]
fn a_request_without_host_has_no_origin_of_its_own() {
    let wire = b"POST / HTTP/1.0\r\nOrigin: http://a\r\n\r\n";
    assert_eq!(check(&parse_complete(wire).unwrap(), RestsOn::Body, None, None), Err(Forgery::CrossSite));
}
