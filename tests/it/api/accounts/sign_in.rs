//! `/api/token`, `/api/login`, `/api/logout` and `/dashboard`: who gets in, how long, and who does not.

use crate::harness::people::{PASSWORD, Person, people_config, register, send_json};
use crate::harness::visitors::{
    Browser, HTML, SAME_ORIGIN, SESSION, expect_done, expect_failed, expect_page, expect_redirect,
};
use crate::harness::{GLOBAL_KEY, Response, Server};
use serde_json::{Value, json};

const TOKEN: &str = "/api/token";
const LOGIN: &str = "/api/login";
const DATA_PAGES: [&str; 5] =
    ["/dashboard", "/api/data", "/api/data/retrieve", "/api/data/update", "/api/data/delete"];

/// A server where each of `names` has an account.
fn server_with(names: &[&str]) -> Server {
    let server = Server::start_with(people_config());
    for name in names {
        register(&server, name);
    }
    server
}

fn send(server: &Server, target: &str, body: &Value) -> Response {
    send_json(server, "POST", target, &[], &body.to_string())
}

fn right(username: &str) -> Value {
    json!({"username": username, "password": PASSWORD})
}

#[test]
fn a_browser_is_shown_its_token() {
    let server = server_with(&["ann"]);
    let mut browser = Browser::default();
    expect_page(&browser.get(&server, TOKEN), 200);
    let page = browser.post(&server, TOKEN, &[("username", "ann"), ("password", PASSWORD)]);
    let page = expect_page(&page, 200);
    let (_, behind) = page.split_once(">\neyJ").unwrap();
    let token = format!("eyJ{}", behind.split_once('<').unwrap().0);
    let person = Person { token };
    expect_done(&person.get(&server, "/api/data"), 200);
    assert!(page.contains("60 minutes"), "{page}");
    assert_eq!(browser.session(), None, "a token is no session");
}

#[test]
fn a_script_that_logs_in_gets_a_session() {
    let server = server_with(&["ann"]);
    let answer = send(&server, LOGIN, &right("ann"));
    assert_eq!(expect_done(&answer, 200), json!({"username": "ann", "expires_in": 86_400}));
    let cookie = answer.field("set-cookie").unwrap().split(';').next().unwrap();
    let answer = server.request("GET", "/api/data", None, &[("Cookie", cookie)], b"");
    expect_done(&answer, 200);
}

#[test]
fn a_refused_login_form_is_shown_again_with_the_name_and_without_the_password() {
    let server = server_with(&["ann"]);
    for target in [TOKEN, LOGIN] {
        for (password, status) in [("", 400), ("Wrong@123", 401)] {
            let answer =
                Browser::default().post(&server, target, &[("username", "ann"), ("password", password)]);
            let page = expect_page(&answer, status);
            assert!(page.contains("value=\"ann\""), "{page}");
            assert!(!page.contains("Wrong@123"), "{page}");
            assert!(!answer.fields.iter().any(|(_, value)| value.starts_with(SESSION)), "{answer:?}");
        }
    }
}

#[test]
fn a_token_at_the_login_has_to_be_valid_and_of_the_same_account() {
    let server = server_with(&["ann", "bob"]);
    let ann = Person::sign_in(&server, "ann");
    let bob = Person::sign_in(&server, "bob");
    let with = |token: &str| json!({"username": "ann", "password": PASSWORD, "access_token": token});
    for token in ["", &ann.token] {
        expect_done(&send(&server, LOGIN, &with(token)), 200);
    }
    let mut forged = ann.token.clone();
    forged.replace_range(forged.len() - 10..forged.len() - 9, "~");
    for token in [&*bob.token, "nonsense", "a.b.c", &forged] {
        let answer = send(&server, LOGIN, &with(token));
        expect_failed(&answer, 401, "INVALID_TOKEN");
        assert_eq!(answer.field("set-cookie"), None);
        let fields = [("username", "ann"), ("password", PASSWORD), ("access_token", token)];
        let mut browser = Browser::default();
        let page = expect_page(&browser.post(&server, LOGIN, &fields), 401);
        assert!(!page.contains(token), "a token came back: {page}");
        assert!(!browser.is_signed_in(&server));
    }
    let wrong = json!({"username": "ann", "password": "Wrong@123", "access_token": ann.token});
    expect_failed(&send(&server, LOGIN, &wrong), 401, "INVALID_CREDENTIALS");
}

#[test]
fn clients_that_guess_passwords_have_to_wait() {
    let server = server_with(&["ann", "bob"]);
    let wrong = json!({"username": "ann", "password": "Wrong@123"});
    for _ in 0..10 {
        expect_failed(&send(&server, TOKEN, &wrong), 401, "INVALID_CREDENTIALS");
    }
    expect_failed(&send(&server, LOGIN, &wrong), 429, "TOO_MANY_ATTEMPTS");
    for target in [TOKEN, LOGIN] {
        let answer = send(&server, target, &right("ann"));
        expect_failed(&answer, 429, "TOO_MANY_ATTEMPTS");
        let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
        assert!((1..=900).contains(&seconds), "{seconds}");
        let page = Browser::default().post(&server, target, &[("username", "ann"), ("password", PASSWORD)]);
        expect_page(&page, 429);
        assert!(page.field("retry-after").is_some());
    }
    expect_done(&send(&server, TOKEN, &right("bob")), 200);
}

#[test]
fn pages_of_the_data_redirect_to_the_login_without_a_session() {
    let server = server_with(&[]);
    for target in DATA_PAGES {
        expect_redirect(&Browser::default().get(&server, target), LOGIN);
    }
    for target in ["/api/data/retrieve?key=a", "/api/data/some/key"] {
        expect_redirect(&Browser::default().get(&server, target), LOGIN);
    }
    for target in ["/api/register", TOKEN, LOGIN] {
        expect_page(&Browser::default().get(&server, target), 200);
    }
}

#[test]
fn pages_of_a_session_show_its_user() {
    let server = server_with(&["ann"]);
    let mut browser = Browser::signed_in(&server, "ann");
    for target in DATA_PAGES.into_iter().chain(["/api/register", TOKEN, LOGIN]) {
        let page = expect_page(&browser.get(&server, target), 200);
        assert!(page.contains("Signed in as <bdi>ann</bdi>"), "{target}: {page}");
    }
}

#[test]
fn a_session_is_invalid_after_the_logout() {
    let mut server = server_with(&["ann"]);
    let mut browser = Browser::signed_in(&server, "ann");
    let mut copy = browser.clone();
    let mut other = Browser::signed_in(&server, "ann");
    let answer = browser.get(&server, "/api/logout");
    expect_redirect(&answer, LOGIN);
    let cleared = answer.field("set-cookie").unwrap();
    assert!(cleared.starts_with(SESSION), "{cleared}");
    assert!(cleared.ends_with("=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"), "{cleared}");
    assert_eq!(browser.session(), None);
    assert!(!copy.is_signed_in(&server), "the old cookie works");
    let stored = copy.post(&server, "/api/data", &[("key", "k"), ("value", "v")]);
    expect_page(&stored, 401);
    assert!(other.is_signed_in(&server), "another browser's session has ended too");
    server.kill();
    server.start_again();
    assert!(!copy.is_signed_in(&server), "the old cookie works after a crash");
    assert!(other.is_signed_in(&server));
    expect_redirect(&copy.get(&server, "/api/logout"), LOGIN);
    expect_redirect(&Browser::default().get(&server, "/api/logout"), LOGIN);
}

#[test]
fn the_button_of_the_pages_logs_out() {
    let server = server_with(&["ann"]);
    for fields in [&[SAME_ORIGIN][..], &[("Origin", "http://localhost")], &[("Sec-Fetch-Site", "none")], &[]]
    {
        let mut browser = Browser::signed_in(&server, "ann");
        expect_redirect(&browser.send(&server, "POST", "/api/logout", fields, ""), LOGIN);
        assert!(!browser.is_signed_in(&server), "{fields:?}");
    }
}

#[test]
fn another_site_cannot_log_a_user_out() {
    let server = server_with(&["ann"]);
    let mut browser = Browser::signed_in(&server, "ann");
    for field in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let answer = browser.send(&server, method, "/api/logout", &[HTML, field], "");
            assert_eq!((answer.status, answer.field("set-cookie")), (403, None), "{method} {field:?}");
        }
        let page = expect_page(&browser.send(&server, "GET", "/api/logout", &[HTML, field], ""), 403);
        assert!(page.contains("Signed in as <bdi>ann</bdi>"), "{page}");
        let answer = browser.send(&server, "GET", "/api/logout", &[field], "");
        expect_failed(&answer, 403, "CROSS_SITE_REQUEST");
        // Also without the cookie, which a browser does not send along: its answer clears no cookie.
        let answer = server.request("GET", "/api/logout", None, &[field], b"");
        assert_eq!((answer.status, answer.field("set-cookie")), (403, None), "{field:?}");
    }
    assert!(browser.is_signed_in(&server));
    expect_redirect(
        &browser.send(&server, "GET", "/api/logout", &[HTML, ("Sec-Fetch-Site", "none")], ""),
        LOGIN,
    );
}

#[test]
fn every_login_has_its_own_session_and_ends_the_previous_one() {
    let server = server_with(&["ann", "bob"]);
    let mut browser = Browser::signed_in(&server, "ann");
    let mut before = browser.clone();
    expect_redirect(&browser.log_in(&server, "bob"), "/dashboard");
    assert_ne!(browser.session(), before.session());
    assert!(browser.is_signed_in(&server) && !before.is_signed_in(&server));

    // A session that somebody else has planted is not taken over.
    let planted = "a".repeat(43);
    let fields = [("Cookie", &*browser.cookie_field().replace(browser.session().unwrap(), &planted))];
    let answer = send_json(&server, "POST", LOGIN, &fields, &right("ann").to_string());
    assert!(!answer.expect(200).field("set-cookie").unwrap().contains(&planted));
}

#[test]
fn a_failed_login_does_not_end_the_session() {
    let server = server_with(&["ann"]);
    let mut browser = Browser::signed_in(&server, "ann");
    let answer = browser.post(&server, LOGIN, &[("username", "ann"), ("password", "Wrong@123")]);
    expect_page(&answer, 401);
    assert!(browser.is_signed_in(&server));
}

#[test]
fn sessions_end_with_the_password_the_account_and_its_use() {
    let server = server_with(&["ann", "bob", "cid"]);
    let operate = |method: &str, name: &str, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let target = format!("/api/v1/accounts/{name}");
        let fields = [("Content-Type", "application/json")];
        let answer = server.request(method, &target, Some(GLOBAL_KEY), &fields, body.as_bytes());
        assert!((200..300).contains(&answer.status), "{answer:?}");
    };
    for (name, method, change) in [
        ("ann", "PUT", json!({"password": "Other@123"})),
        ("bob", "PUT", json!({"disabled": true})),
        ("cid", "DELETE", Value::Null),
    ] {
        let mut browser = Browser::signed_in(&server, name);
        let person = Person::sign_in(&server, name);
        operate(method, name, change);
        assert!(!browser.is_signed_in(&server), "{name}");
        expect_failed(&person.get(&server, "/api/data"), 401, "INVALID_TOKEN");
        expect_failed(&send(&server, LOGIN, &right(name)), 401, "INVALID_CREDENTIALS");
    }
    operate("PUT", "bob", json!({"disabled": false}));
    expect_done(&send(&server, LOGIN, &right("bob")), 200);
}
