use super::*;
use crate::http::head::parse_complete;

const SITES: [(&str, &[&str]); 7] = [
    ("absent", &[]),
    ("same-origin", &["Sec-Fetch-Site: same-origin"]),
    ("none", &["Sec-Fetch-Site: none"]),
    ("same-site", &["Sec-Fetch-Site: same-site"]),
    ("cross-site", &["Sec-Fetch-Site: cross-site"]),
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

/// A row for each of `SITES`, a column for each of `ORIGINS`: `+` passes, `x` does not.
const VERDICTS: [&str; 7] = [
    "+++xxxxx", // absent
    "++++++++", // same-origin
    "++++++++", // none
    "xxxxxxxx", // same-site
    "xxxxxxxx", // cross-site
    "xxxxxxxx", // garbage
    "xxxxxxxx", // twice
];

/// The verdict about a request to `host` with these fields.
fn verdict(host: &str, fields: &[&str], own: Own<'_>) -> Result<(), String> {
    let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let wire = format!("POST /api/login HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
    let head = parse_complete(wire.as_bytes()).unwrap();
    check(&head, &Own { host: head.authority(), ..own })
}

const PLAIN: Own<'_> = Own { host: None, forwarded_host: None, is_tls: false, public_origins: &[] };

fn passes(host: &str, origin: &str, own: Own<'_>) -> bool {
    verdict(host, &[&format!("Origin: {origin}")], own).is_ok()
}

#[test]
fn sec_fetch_site_decides_if_present_and_else_origin_does() {
    for ((site, site_fields), verdicts) in SITES.iter().zip(VERDICTS) {
        for ((origin, origin_fields), symbol) in ORIGINS.iter().zip(verdicts.chars()) {
            let found = verdict("kv.example", &[*site_fields, *origin_fields].concat(), PLAIN);
            assert_eq!(found.is_ok(), symbol == '+', "site {site}, origin {origin}: {found:?}");
        }
    }
}

#[test]
fn other_words_than_those_of_a_browser_do_not_pass() {
    for site in ["", "same-origin, same-origin", "same-origin;x", "\"same-origin\"", "null", "NONE"] {
        let field = format!("Sec-Fetch-Site: {site}");
        assert!(verdict("a", &[&field, "Origin: http://a"], PLAIN).is_err(), "{site:?}");
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
        assert!(passes(host, origin, PLAIN), "{origin} {host}");
    }
}

#[test]
fn any_other_origin_is_another_sites() {
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
        assert!(!passes(host, origin, PLAIN), "{origin:?} {host:?}");
    }
}

#[test]
fn behind_tls_the_origin_is_https() {
    let tls = Own { is_tls: true, ..PLAIN };
    assert!(passes("a", "https://a", tls) && passes("a:443", "https://a", tls));
    assert!(!passes("a", "http://a", tls) && !passes("a", "http://a:80", tls));
    assert!(passes("a", "https://a", PLAIN), "a proxy in front may use TLS unknown to us");
}

#[test]
fn the_host_that_a_proxy_forwards_and_public_origins_are_our_own() {
    let forwarded = Own { forwarded_host: Some("kv.lan:8080"), ..PLAIN };
    assert!(passes("127.0.0.1:5000", "http://kv.lan:8080", forwarded));
    assert!(!passes("127.0.0.1:5000", "http://kv.lan", forwarded));
    assert!(passes("127.0.0.1:5000", "http://127.0.0.1:5000", forwarded), "a client on the same machine");
    let public = [Origin::parse("https://kv.example").unwrap()];
    let public = Own { public_origins: &public, is_tls: true, ..PLAIN };
    assert!(passes("upstream", "https://kv.example", public));
    assert!(
        !passes("upstream", "http://kv.example", public)
            && !passes("upstream", "https://kv.example:1", public)
    );
}

#[test]
fn a_refusal_names_both_values_and_the_likely_cause() {
    let text = |fields: &[&str], own| verdict("127.0.0.1:23849", fields, own).unwrap_err();
    let plain = text(&["Origin: http://kv.lan"], PLAIN);
    let expected =
        "Origin is http://kv.lan but Host is 127.0.0.1:23849; if a proxy is in front, let it pass Host on";
    assert!(plain.starts_with(expected), "{plain}");
    let tls = Own { is_tls: true, forwarded_host: Some("kv.lan"), ..PLAIN };
    let tls = text(&["Origin: http://kv.lan"], tls);
    let expected =
        "but Host is 127.0.0.1:23849 and X-Forwarded-Host is kv.lan and X-Forwarded-Proto is https;";
    assert!(tls.contains(expected), "{tls}");
    let site = text(&["Sec-Fetch-Site: cross-site", "Origin: https://evil.example"], PLAIN);
    assert!(site.starts_with("Sec-Fetch-Site is cross-site and Origin is https://evil.example;"), "{site}");
    for odd in [
        "Origin: pikv_0123",
        "Origin: http://Secret-1",
        "Origin: http://a, http://b",
        "Sec-Fetch-Site: Secret-1",
    ] {
        let refused = text(&[odd], PLAIN);
        assert!(refused.contains(" is *** (not "), "what is no origin may be a secret: {refused}");
    }
    let long = text(&[&format!("Origin: http://{}", "x.".repeat(2_000))], PLAIN);
    assert!(long.len() < 500, "{long}");
}

#[test]
fn a_request_without_host_has_no_origin_of_its_own() {
    let head = parse_complete(b"POST / HTTP/1.0\r\nOrigin: http://a\r\n\r\n").unwrap();
    let refused = check(&head, &PLAIN).unwrap_err();
    assert!(refused.starts_with("Origin is http://a but there is no Host;"), "{refused}");
}

#[test]
fn a_link_is_a_top_level_navigation_that_only_reads() {
    let is_link = |method: &str, mode: &str, dest: &str| {
        let wire = format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n\r\n"
        );
        is_link(&parse_complete(wire.as_bytes()).unwrap())
    };
    assert!(is_link("GET", "navigate", "document") && is_link("HEAD", "navigate", "document"));
    assert!(!is_link("POST", "navigate", "document") && !is_link("DELETE", "navigate", "document"));
    for (mode, dest) in
        [("navigate", "iframe"), ("navigate", "embed"), ("no-cors", "image"), ("cors", "empty")]
    {
        assert!(!is_link("GET", mode, dest), "{mode} {dest}");
    }
}
