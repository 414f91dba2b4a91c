//! Who gets a page and who JSON from `/api/register` to `/api/data`, and which bodies are taken.

use crate::harness::people::{PASSWORD, Person, people_config, register, registration};
use crate::harness::visitors::{
    Browser, FORM, HTML, expect_done, expect_failed, expect_page, expect_redirect,
};
use crate::harness::{Response, Server, known_config_with};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;

/// Where the forms are that need no account.
const FORMS: [&str; 3] = ["/api/register", "/api/token", "/api/login"];
/// What Java's `HttpURLConnection` accepts unless told otherwise.
const JAVA: (&str, &str) = ("Accept", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2");
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn post(server: &Server, target: &str, fields: &[(&str, &str)], body: &str) -> Response {
    server.request("POST", target, None, fields, body.as_bytes())
}

#[test]
fn forms_and_requests_for_html_get_a_page_and_all_others_json() {
    let server = Server::start_with(people_config());
    let (json, form) = (r#"{"username":"ann"}"#, "username=ann");
    let any = ("Accept", "*/*");
    let html = ("Accept", "text/html");
    let is_page = |fields: &[(&str, &str)], body: &str| {
        for target in FORMS {
            let page = expect_page(&post(&server, target, fields, body), 400);
            assert!(page.contains("value=\"ann\""), "{target} {fields:?}: what was typed is kept");
        }
    };
    let is_json = |fields: &[(&str, &str)], body: &str| {
        for (target, code) in [
            ("/api/register", "INVALID_REQUEST"),
            ("/api/token", "MISSING_FIELDS"),
            ("/api/login", "MISSING_FIELDS"),
        ] {
            let message = expect_failed(&post(&server, target, fields, body), 400, code);
            assert!(message.contains("password"), "{fields:?}: {message}");
        }
    };
    for fields in [
        &[FORM][..],
        &[FORM, any],
        &[FORM, html],
        &[FORM, HTML],
        &[("Content-Type", "Application/X-WWW-Form-URLencoded; charset=UTF-8")],
    ] {
        is_page(fields, form);
    }
    for accept in
        ["text/html", "TEXT/HTML;q=0.2, */*; q=.1", "text/html, application/json;q=0.5", HTML.1, JAVA.1]
    {
        is_page(&[JSON, ("Accept", accept)], json);
        is_page(&[FORM, ("Accept", accept)], json);
        // Basic may be what a proxy in front asks of a browser.
        is_page(&[FORM, ("Accept", accept), ("Authorization", "Basic cGk6cmFzcGJlcnJ5")], form);
    }
    for fields in [
        &[][..],
        &[any],
        &[JSON],
        &[JSON, any],
        // What curl says of `-d` without being told otherwise.
        &[FORM],
        &[FORM, any],
        &[("Content-Type", "text/json")],
        &[("Content-Type", "application/vnd.api+json; charset=utf-8")],
    ] {
        is_json(fields, json);
    }
    for accept in [
        "application/json",
        "application/json, text/html",
        "text/html, */*",
        "text/html;q=0.5, application/json",
        "text/htm",
        "text/*",
    ] {
        is_json(&[JSON, ("Accept", accept)], json);
    }
    is_json(&[FORM, ("Accept", "application/json, text/plain, */*")], form);
    is_json(&[JSON, ("Accept", "text/html"), ("Accept", "application/json")], json);
}

#[test]
fn a_form_with_a_credential_gets_json() {
    let server = Server::start_with(people_config());
    let is_json = |fields: &[(&str, &str)], body: &str| {
        expect_failed(&post(&server, "/api/login", fields, body), 400, "MISSING_FIELDS");
    };
    for credential in [("Authorization", "Bearer a.b.c"), ("X-API-Key", "k"), ("Api-Key", "k")] {
        is_json(&[FORM, credential], "username=ann");
        is_json(&[FORM, HTML, credential], "username=ann");
        is_json(&[JSON, JAVA, credential], r#"{"username":"ann"}"#);
    }
    is_json(&[FORM, ("Accept", "*/*"), ("Authorization", "Basic cGk6cmFzcGJlcnJ5")], "username=ann");
}

#[test]
fn a_program_with_a_token_gets_json_for_any_accept_field() {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    ann.post(&server, "/api/data", r#"{"key":"a","value":1}"#).expect(201);
    let (bearer, basic) =
        (format!("Bearer {}", ann.token), BASE64_STANDARD.encode(format!(":{}", ann.token)));
    let basic = format!("Basic {basic}");
    for target in ["/api/data", "/api/data/a", "/api/data/retrieve?key=a"] {
        for accept in [JAVA, HTML, ("Accept", "text/html")] {
            let fields = [accept, ("Authorization", &bearer)];
            expect_done(&server.request("GET", target, None, &fields, b""), 200);
        }
        let fields = [("Accept", "*/*"), ("Authorization", &basic)];
        expect_done(&server.request("GET", target, None, &fields, b""), 200);
    }
    let fields = [JAVA, ("Authorization", &*bearer)];
    expect_failed(&server.request("GET", "/api/data/none", None, &fields, b""), 404, "KEY_NOT_FOUND");
    expect_failed(&server.request("PATCH", "/api/data", None, &fields, b""), 405, "METHOD_NOT_ALLOWED");
}

#[test]
fn bodies_of_other_types_are_refused_in_the_requested_format() {
    let server = Server::start_with(people_config());
    for field in [
        ("Content-Type", "text/xml"),
        ("Content-Type", "text/plain"),
        ("Content-Type", "multipart/form-data; boundary=x"),
        ("Content-Type", "application/json; charset=utf-16"),
        ("Content-Type", "application/x-www-form-urlencoded; charset=iso-8859-1"),
        ("Content-Encoding", "gzip"),
    ] {
        for target in FORMS {
            let accept = ("Accept", "application/json");
            expect_failed(
                &post(&server, target, &[field, accept], "username=ann"),
                415,
                "UNSUPPORTED_MEDIA_TYPE",
            );
            expect_page(&post(&server, target, &[field, HTML], "username=ann"), 415);
        }
    }
    expect_page(&post(&server, "/api/login", &[FORM, ("Content-Encoding", "gzip")], "username=ann"), 415);
}

#[test]
fn failures_without_a_form_are_pages_for_browsers() {
    let server = Server::start_with(people_config());
    register(&server, "ann");
    let mut browser = Browser::signed_in(&server, "ann");
    let mut check = |method: &str, target: &str, status: u16, code: &str| {
        let page = browser.send(&server, method, target, &[HTML], "");
        expect_page(&page, status);
        let answer = browser.send(&server, method, target, &[], "");
        expect_failed(&answer, status, code);
        assert_eq!(answer.field("allow"), page.field("allow"), "{target}");
    };
    for (method, target) in [("PATCH", "/api/data"), ("POST", "/dashboard"), ("DELETE", "/api/login")] {
        check(method, target, 405, "METHOD_NOT_ALLOWED");
    }
    check("GET", "/api/data/retrieve?key=a&key=b", 400, "INVALID_QUERY");
    check("GET", "/api/data/%zz", 400, "INVALID_TARGET");
    check("GET", "/api/data/retrieve?cursor=!", 400, "INVALID_CURSOR");
    let answer = browser.send(&server, "PATCH", "/api/data/retrieve", &[], "");
    assert_eq!(answer.field("allow"), Some("GET, PUT, DELETE, HEAD, OPTIONS"));
    assert!(browser.is_signed_in(&server));
}

#[test]
fn pages_ignore_parameters_that_they_do_not_know() {
    let server = Server::start_with(people_config());
    register(&server, "ann");
    let mut browser = Browser::signed_in(&server, "ann");
    let stray = "?key=&fbclid=1&utm_source=x&utm_source=y";
    for page in
        ["/dashboard", "/api/register", "/api/token", "/api/login", "/api/data/update", "/api/data/delete"]
    {
        expect_page(&browser.get(&server, &format!("{page}{stray}")), 200);
    }
    for page in ["/api/data", "/api/data/retrieve"] {
        expect_page(&browser.get(&server, &format!("{page}?fbclid=1")), 200);
    }
    // The action of seed 000's own form has `?key=`.
    for (path, status) in [("/api/data", 200), ("/api/data/update", 200), ("/api/data/delete", 200)] {
        let fields = [("key", "k"), ("value", "v")];
        expect_page(&browser.post(&server, &format!("{path}{stray}"), &fields), status);
    }
    let ann = [("username", "ann"), ("password", PASSWORD)];
    for (path, status) in [("/api/token", 200), ("/api/login", 302), ("/api/register", 400)] {
        assert_eq!(browser.post(&server, &format!("{path}{stray}"), &ann).status, status, "{path}");
    }
    expect_redirect(&browser.get(&server, "/api/logout?utm_source=x"), "/api/login");
}

#[test]
fn an_error_page_offers_no_login_to_a_signed_in_user() {
    let server = Server::start_with(people_config());
    register(&server, "ann");
    let mut browser = Browser::signed_in(&server, "ann");
    for (method, target, status) in
        [("PATCH", "/api/data", 405), ("GET", "/api/data/%zz", 400), ("DELETE", "/dashboard", 405)]
    {
        let page = expect_page(&browser.send(&server, method, target, &[HTML], ""), status);
        assert!(
            page.contains("Signed in as <bdi>ann</bdi>") && page.contains("href=\"/dashboard\""),
            "{page}"
        );
        assert!(!page.contains("href=\"/api/login\"") && !page.contains("href=\"/api/register\""), "{page}");
        let page = expect_page(&server.request(method, target, None, &[HTML], b""), status);
        assert!(page.contains("href=\"/api/login\"") && !page.contains("Signed in"), "{page}");
    }
}

#[test]
fn a_body_above_the_limit_is_refused_in_the_requested_format() {
    let server = Server::start_with(people_config());
    let refused = |target: &str, accept: (&str, &str)| {
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{}: {}\r\n", accept.0, accept.1);
        let mut connection = server.connect();
        connection.send(format!("{head}Content-Length: {}\r\n\r\n", 1024 * 1024 + 1).as_bytes());
        connection.read_response()
    };
    for target in ["/api/register", "/api/token", "/api/login", "/api/data", "/api/data/update"] {
        expect_page(&refused(target, HTML), 413);
        expect_failed(&refused(target, ("Accept", "*/*")), 413, "BODY_TOO_LARGE");
    }
}

#[test]
fn the_account_routes_are_404_if_accounts_are_disabled() {
    let server = Server::start_with(known_config_with(json!({"accounts": {"enabled": false}})));
    for (method, target) in [
        ("GET", "/api/register"),
        ("POST", "/api/register"),
        ("GET", "/api/token"),
        ("POST", "/api/token"),
        ("GET", "/api/login"),
        ("POST", "/api/login"),
        ("GET", "/api/logout"),
        ("GET", "/dashboard"),
        ("GET", "/api/data"),
        ("POST", "/api/data"),
        ("GET", "/api/data/a"),
        ("PUT", "/api/data/a"),
        ("DELETE", "/api/data/a"),
        ("POST", "/api/data/update"),
        ("POST", "/api/data/delete"),
    ] {
        expect_failed(&server.request(method, target, None, &[], b""), 404, "ACCOUNTS_DISABLED");
        let page = expect_page(&server.request(method, target, None, &[HTML], b""), 404);
        assert!(!page.contains("href=\"/api/"), "nothing to log in to: {page}");
    }
    // Refused before anybody asks for accounts.
    let page = expect_page(&server.request("PATCH", "/api/data", None, &[HTML], b""), 405);
    assert!(!page.contains("href=\"/api/"), "nothing to log in to: {page}");
}

#[test]
fn pages_of_refusals_offer_the_available_routes() {
    for (registration, is_offered) in [("open", true), ("closed", false)] {
        let server =
            Server::start_with(known_config_with(json!({"accounts": {"registration": registration}})));
        let page = expect_page(&server.request("PATCH", "/api/data", None, &[HTML], b""), 405);
        assert!(page.contains("href=\"/api/login\""), "{page}");
        assert_eq!(page.contains("href=\"/api/register\""), is_offered, "{page}");
    }
}

#[test]
fn head_is_answered_like_get_without_a_body() {
    let server = Server::start_with(people_config());
    register(&server, "ann");
    let mut browser = Browser::signed_in(&server, "ann");
    for target in ["/api/login", "/dashboard", "/api/data", "/api/data/retrieve"] {
        let head = browser.send(&server, "HEAD", target, &[HTML], "");
        assert_eq!((head.status, head.body.len()), (200, 0), "{target}");
        assert_eq!(head.field("content-type"), Some("text/html; charset=utf-8"));
    }
}

#[test]
fn curl_without_a_content_type_means_the_body() {
    let server = Server::start_with(people_config());
    let curl = [("Accept", "*/*"), ("User-Agent", "curl/8"), FORM];
    expect_done(&post(&server, "/api/register", &curl, &registration("ann").to_string()), 201);
    let login = json!({"username": "ann", "password": PASSWORD}).to_string();
    let data = expect_done(&post(&server, "/api/token", &curl, &format!(" \n{login}")), 200);
    let bearer = format!("Bearer {}", data["access_token"].as_str().unwrap());
    let curl = [&curl[..], &[("Authorization", &bearer)]].concat();
    expect_done(&post(&server, "/api/data", &curl, r#"{"key":"a","value":{"b":1}}"#), 201);
    // `curl -d key=b -d value=v` is a form; the token shows that a program sends it.
    expect_done(&post(&server, "/api/data", &curl, "key=b&value=v"), 201);
    let answer = server.request("PUT", "/api/data/b", None, &curl, br#"{"value":2}"#);
    expect_done(&answer, 200);
    let read = server.request("GET", "/api/data/b", None, &[curl[0], curl[3]], b"");
    assert_eq!(expect_done(&read, 200), json!({"key": "b", "value": 2}));
}
