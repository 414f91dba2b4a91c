//! Requests that another site may have made a browser send: which are refused, on every route.

use crate::harness::{Response, Server, encode_request};
use crate::people::{PASSWORD, Person, people_config, register, registration, send_json};
use crate::visitors::{
    Browser, FORM, HTML, SESSION, encoded, expect_done, expect_failed, expect_page, expect_redirect,
    form_token_in,
};
use serde_json::json;

/// Requests that fail for another reason than forgery, so that none of them changes anything.
const OPEN_ROUTES: [(&str, &str, u16); 3] =
    [("POST", "/api/register", 400), ("POST", "/api/token", 400), ("POST", "/api/login", 400)];
const DATA_ROUTES: [(&str, &str, u16); 5] = [
    ("POST", "/api/data", 400),
    ("POST", "/api/data/update", 400),
    ("POST", "/api/data/delete", 400),
    ("PUT", "/api/data/key", 400),
    ("DELETE", "/api/data/key", 404),
];
const SITES: [Option<&str>; 7] = [
    None,
    Some("same-origin"),
    Some("none"),
    Some("same-site"),
    Some("cross-site"),
    Some("Same-Origin"),
    Some(""),
];
const ORIGINS: [Option<&str>; 7] = [
    None,
    Some("http://localhost"),
    Some("https://localhost:443"),
    Some("null"),
    Some("http://evil.example"),
    Some("http://localhost:81"),
    Some("http://localhost.evil.example"),
];

fn server_with_ann() -> Server {
    let server = Server::start_with(people_config());
    register(&server, "ann");
    server
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Missing,
    Right,
    Wrong,
}

/// What the contract says, once more and in another way than the server: "an unsafe request that a
/// session cookie authenticates needs `Sec-Fetch-Site: same-origin`, or an `Origin` equal to the host,
/// or, when a client sends neither, the form's token. Anything that says cross-site is 403."
fn is_allowed(site: Option<&str>, origin: Option<&str>, token: Token, has_session: bool) -> bool {
    let says_other_site = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let says_other_origin =
        origin.is_some_and(|origin| !matches!(origin, "null" | "http://localhost" | "https://localhost:443"));
    if says_other_site || says_other_origin {
        return false;
    }
    let says_own = site == Some("same-origin") || origin.is_some_and(|origin| origin != "null");
    let says_nothing = site.is_none() && origin.is_none();
    says_own || token == Token::Right || (says_nothing && !has_session)
}

/// Sends every combination on one connection and gives each answer to `check`.
fn on_all(
    server: &Server,
    routes: &[(&'static str, &'static str, u16)],
    cookies: &str,
    right: &str,
    check: impl Fn(&str, Response, u16, Option<&str>, Option<&str>, Token),
) {
    let mut connection = server.connect();
    for &(method, target, status) in routes {
        for (site, origin) in SITES.iter().flat_map(|site| ORIGINS.iter().map(move |origin| (*site, *origin)))
        {
            for token in [Token::Missing, Token::Right, Token::Wrong] {
                let body = match token {
                    Token::Missing => "a=b".to_owned(),
                    Token::Right => format!("csrf_token={}", encoded(right)),
                    Token::Wrong => format!("csrf_token={}", "A".repeat(43)),
                };
                let mut fields = vec![FORM, ("Accept", "application/json")];
                fields.extend((!cookies.is_empty()).then_some(("Cookie", cookies)));
                fields.extend(site.map(|site| ("Sec-Fetch-Site", site)));
                fields.extend(origin.map(|origin| ("Origin", origin)));
                connection.send(&encode_request(method, target, None, &fields, body.as_bytes()));
                let what = format!("{method} {target} site {site:?} origin {origin:?} token {token:?}");
                check(&what, connection.read_response(), status, site, origin, token);
            }
        }
    }
}

fn check_answer(what: &str, answer: &Response, allowed: bool, status: u16) {
    if allowed {
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    } else {
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
        expect_failed(answer, 403, "CROSS_SITE_REQUEST");
    }
}

#[test]
fn with_a_session_only_requests_of_this_site_are_taken() {
    let server = server_with_ann();
    let mut browser = Browser::signed_in(&server, "ann");
    let right = browser.form_token(&server, "/api/data");
    let cookies = browser.cookie_field();
    on_all(&server, &DATA_ROUTES, &cookies, &right, |what, answer, status, site, origin, token| {
        check_answer(what, &answer, is_allowed(site, origin, token, true), status);
    });
    // These rest on the name and the password in the body, whatever cookie comes with it.
    on_all(&server, &OPEN_ROUTES, &cookies, &right, |what, answer, status, site, origin, token| {
        check_answer(what, &answer, is_allowed(site, origin, token, false), status);
    });
    assert!(browser.is_signed_in(&server));
}

#[test]
fn without_a_session_another_site_can_send_no_form_either() {
    let server = server_with_ann();
    let mut browser = Browser::default();
    let right = browser.form_token(&server, "/api/login");
    on_all(
        &server,
        &OPEN_ROUTES,
        &browser.cookie_field(),
        &right,
        |what, answer, status, site, origin, token| {
            check_answer(what, &answer, is_allowed(site, origin, token, false), status);
        },
    );
    // A token without the cookie that it was made for is nobody's.
    on_all(&server, &OPEN_ROUTES, "", &right, |what, answer, status, site, origin, token| {
        let token = if token == Token::Right { Token::Wrong } else { token };
        check_answer(what, &answer, is_allowed(site, origin, token, false), status);
    });
    on_all(&server, &DATA_ROUTES, &browser.cookie_field(), &right, |what, answer, _, _, _, _| {
        assert_eq!((answer.status, &*answer.code()), (401, "INVALID_TOKEN"), "{what}");
    });
}

#[test]
fn a_request_with_a_token_of_its_own_may_come_from_anywhere() {
    let server = server_with_ann();
    let ann = Person::sign_in(&server, "ann");
    let mut browser = Browser::signed_in(&server, "ann");
    let bearer = format!("Bearer {}", ann.token);
    let fields = [
        ("Authorization", &*bearer),
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "http://evil.example"),
        ("Accept", "application/json"),
    ];
    for (method, target, body, status) in [
        ("POST", "/api/data", r#"{"key":"a","value":1}"#, 201),
        ("POST", "/api/data/update", r#"{"key":"a","value":2}"#, 200),
        ("PUT", "/api/data/a", r#"{"value":3}"#, 200),
        ("POST", "/api/data/delete", r#"{"key":"a"}"#, 200),
        ("POST", "/api/data", r#"{"key":"a","value":1}"#, 201),
        ("DELETE", "/api/data/a", "", 200),
    ] {
        expect_done(&browser.send(&server, method, target, &fields, body), status);
    }
}

#[test]
fn what_another_site_sends_changes_nothing() {
    let server = server_with_ann();
    let mut browser = Browser::signed_in(&server, "ann");
    browser.post(&server, "/api/data", &[("key", "kept"), ("value", "as it was")]).expect(200);
    let cross = [HTML, FORM, ("Sec-Fetch-Site", "cross-site"), ("Origin", "null")];
    for (method, target, body) in [
        ("POST", "/api/data", "key=new&value=v"),
        ("POST", "/api/data/update", "key=kept&value=changed"),
        ("PUT", "/api/data/kept", "value=changed"),
        ("POST", "/api/data/delete", "key=kept"),
        ("DELETE", "/api/data/kept", ""),
    ] {
        expect_page(&browser.send(&server, method, target, &cross, body), 403);
    }
    let ann = Person::sign_in(&server, "ann");
    assert_eq!(expect_done(&ann.get(&server, "/api/data"), 200)["keys"], json!(["kept"]));
    assert_eq!(expect_done(&ann.get(&server, "/api/data/kept"), 200)["value"], "as it was");
}

#[test]
fn nobody_is_logged_in_or_registered_by_another_site() {
    let server = server_with_ann();
    let cross = [HTML, FORM, ("Origin", "https://evil.example")];
    let login = format!("username=ann&password={}", encoded(PASSWORD));
    for target in ["/api/login", "/api/token"] {
        let mut browser = Browser::default();
        expect_page(&browser.send(&server, "POST", target, &cross, &login), 403);
        assert_eq!(browser.cookie(SESSION), None);
    }
    let body = registration("bob").to_string();
    let answer = send_json(&server, "POST", "/api/register", &[("Sec-Fetch-Site", "same-site")], &body);
    expect_failed(&answer, 403, "CROSS_SITE_REQUEST");
    send_json(&server, "POST", "/api/register", &[], &body).expect(201);
}

#[test]
fn the_token_of_the_page_is_enough_for_browsers_that_say_nothing() {
    let server = server_with_ann();
    for origin in [None, Some(("Origin", "null"))] {
        let mut fields = vec![HTML, FORM];
        fields.extend(origin);
        let mut browser = Browser::default();
        let token = browser.form_token(&server, "/api/login");
        let body = format!("csrf_token={token}&username=ann&password={}", encoded(PASSWORD));
        expect_redirect(&browser.send(&server, "POST", "/api/login", &fields, &body), "/dashboard");
        let without = browser.send(&server, "POST", "/api/data", &fields, "key=k&value=v");
        let page = expect_page(&without, 403);
        assert!(page.contains("value=\"k\""), "what was typed is kept: {page}");
        // The page that says so has the right token, so that sending it again works.
        let token = form_token_in(&page).unwrap();
        let again = format!("csrf_token={token}&key=k&value=v");
        expect_page(&browser.send(&server, "POST", "/api/data", &fields, &again), 200);
        expect_page(&browser.send(&server, "POST", "/api/data/delete", &fields, &again), 200);
    }
}

#[test]
fn a_form_token_is_of_one_session() {
    let server = server_with_ann();
    let mut browser = Browser::default();
    let before = browser.form_token(&server, "/api/login");
    browser.log_in(&server, "ann").expect(302);
    let own = browser.form_token(&server, "/api/data");
    let mut other = Browser::signed_in(&server, "ann");
    let others = other.form_token(&server, "/api/data");
    for wrong in [before, others, browser.cookie(SESSION).unwrap().to_owned()] {
        assert_ne!(wrong, own);
        let body = format!("csrf_token={wrong}&key=k&value=v");
        expect_page(&browser.send(&server, "POST", "/api/data", &[HTML, FORM], &body), 403);
    }
    let body = format!("csrf_token={own}&key=k&value=v");
    expect_page(&browser.send(&server, "POST", "/api/data", &[HTML, FORM], &body), 200);
    let json = json!({"csrf_token": own, "key": "k2", "value": "v"}).to_string();
    let fields = [("Content-Type", "application/json")];
    expect_done(&browser.send(&server, "POST", "/api/data", &fields, &json), 201);
}

#[test]
fn a_field_that_is_there_twice_is_a_forgery() {
    let server = server_with_ann();
    let mut browser = Browser::signed_in(&server, "ann");
    for twice in [
        [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "same-origin")],
        [("Origin", "http://localhost"), ("Origin", "http://localhost")],
    ] {
        let fields = [&[HTML, FORM], &twice[..]].concat();
        expect_page(&browser.send(&server, "POST", "/api/data", &fields, "key=k&value=v"), 403);
    }
}

#[test]
fn an_origin_that_scripts_may_come_from_is_still_another_site_for_a_session() {
    let mut config = people_config();
    config["cors"] = json!({"origins": ["https://app.example"]});
    let server = Server::start_with(config);
    register(&server, "ann");
    let mut browser = Browser::signed_in(&server, "ann");
    let fields = [("Origin", "https://app.example"), ("Content-Type", "application/json")];
    let answer = browser.send(&server, "POST", "/api/data", &fields, r#"{"key":"k","value":1}"#);
    expect_failed(&answer, 403, "CROSS_SITE_REQUEST");
}
