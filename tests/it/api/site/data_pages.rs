//! The pages of `/api/data` (seed 000), and that nothing on any page is what somebody typed as HTML.

use crate::harness::Server;
use crate::harness::people::{Person, people_config, register};
use crate::harness::visitors::{Browser, HTML, SAME_ORIGIN, encoded, expect_done, expect_page};
use serde_json::{Value, json};

const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";

fn signed_in() -> (Server, Browser) {
    let server = Server::start_with(people_config());
    register(&server, "ann");
    let browser = Browser::signed_in(&server, "ann");
    (server, browser)
}

#[test]
fn a_key_is_stored_read_updated_and_deleted_with_forms() {
    let (server, mut browser) = signed_in();
    let mut post = |target: &str, fields: &[(&str, &str)], status| {
        expect_page(&browser.post(&server, target, fields), status)
    };
    let page = post("/api/data", &[("key", "k"), ("value", "one\r\ntwo")], 200);
    assert!(page.contains("role=\"status\">Stored under <bdi>k</bdi>"), "{page}");
    let page = post("/api/data", &[("key", "k"), ("value", "again")], 409);
    assert!(
        page.contains("value=\"k\"") && page.contains(">\nagain</textarea>"),
        "what was typed is kept: {page}"
    );
    let page = post("/api/data/update", &[("key", "k"), ("value", "three")], 200);
    assert!(page.contains("role=\"status\""), "{page}");
    let page = expect_page(&browser.get(&server, "/api/data/retrieve?key=k"), 200);
    assert!(page.contains("three") && page.contains("value=\"k\""), "{page}");
    let page = expect_page(&browser.get(&server, "/api/data/k"), 200);
    assert!(page.contains("three"), "{page}");
    let page = expect_page(&browser.post(&server, "/api/data/delete", &[("key", "k")]), 200);
    assert!(page.contains("role=\"status\""), "{page}");
    let page = expect_page(&browser.get(&server, "/api/data/retrieve?key=k"), 404);
    assert!(page.contains("value=\"k\"") && page.contains("id=\"key-error\""), "{page}");
}

#[test]
fn mistakes_of_a_form_are_shown_at_their_fields_and_its_input_is_kept() {
    let (server, mut browser) = signed_in();
    browser.post(&server, "/api/data", &[("key", "there"), ("value", "v")]).expect(200);
    let long = "k".repeat(1_025);
    for (target, key, value, status, field) in [
        ("/api/data", "", "typed", 400, "key"),
        ("/api/data", &*long, "typed", 400, "key"),
        ("/api/data", "new", "", 400, "value"),
        ("/api/data", "there", "typed", 409, "key"),
        ("/api/data/update", "", "typed", 400, "key"),
        ("/api/data/update", "there", "", 400, "value"),
        ("/api/data/update", "gone", "typed", 404, "key"),
        ("/api/data/delete", "", "", 400, "key"),
        ("/api/data/delete", "gone", "", 404, "key"),
    ] {
        let page = expect_page(&browser.post(&server, target, &[("key", key), ("value", value)]), status);
        assert!(page.contains(&format!("id=\"{field}-error\"")), "{target} {key:?}: {page}");
        assert!(page.contains(&format!("value=\"{key}\"")), "{target}: the key {key:?} is kept: {page}");
        assert!(
            value.is_empty() || page.contains(">\ntyped</textarea>"),
            "{target}: the value is kept: {page}"
        );
    }
    for (target, status) in [
        (format!("/api/data/retrieve?key={long}"), 400),
        ("/api/data/retrieve?key=..".to_owned(), 400),
        ("/api/data/%01".to_owned(), 400),
        ("/api/data/gone".to_owned(), 404),
    ] {
        let page = expect_page(&browser.get(&server, &target), status);
        assert!(
            page.contains("id=\"key-error\"") && page.contains("there"),
            "with the keys that there are: {page}"
        );
        let key = target.rsplit(['=', '/']).next().unwrap();
        assert!(key == "%01" || page.contains(&format!("value=\"{key}\"")), "the key is kept: {page}");
    }
}

#[test]
fn the_retrieve_page_lists_the_keys_in_pages_with_a_link_to_each() {
    let (server, mut browser) = signed_in();
    let page = expect_page(&browser.get(&server, "/api/data/retrieve"), 200);
    assert!(!page.contains("class=\"keys\""), "there are none: {page}");
    let ann = Person::sign_in(&server, "ann");
    let expected: Vec<String> = (0..99).map(|number| format!("key/{number:03}?&")).collect();
    let objects: Vec<Value> = expected.iter().map(|key| json!({"key": key, "data": key})).collect();
    ann.post(&server, "/api/batch/object", &json!(objects).to_string()).expect(201);
    let (mut targets, mut next) = (Vec::new(), Some("/api/data/retrieve".to_owned()));
    while let Some(target) = next {
        let page = expect_page(&browser.get(&server, &target), 200);
        let links: Vec<String> = page
            .split("href=\"")
            .skip(1)
            .map(|part| part.split('"').next().unwrap().replace("&amp;", "&").replace("&#61;", "="))
            .filter(|link| link.starts_with("/api/data/retrieve?"))
            .collect();
        targets.extend(links.iter().filter(|link| link.contains("?key=")).cloned());
        next = links.into_iter().find(|link| link.contains("cursor="));
        assert!(targets.len() <= expected.len(), "the pages come to an end");
    }
    assert_eq!(targets.len(), expected.len());
    for (target, key) in targets.iter().zip(&expected).step_by(33) {
        let page = expect_page(&browser.get(&server, target), 200);
        assert!(page.contains(&format!("<pre>\n{}</pre>", key.replace('&', "&amp;"))), "{page}");
    }
}

#[test]
fn a_form_without_a_session_is_answered_with_the_login_and_stores_nothing() {
    let (server, mut ann) = signed_in();
    for (target, fields) in [
        ("/api/data", &[("key", "k"), ("value", "v")][..]),
        ("/api/data/update", &[("key", "k"), ("value", "v")]),
        ("/api/data/delete", &[("key", "k")]),
    ] {
        let page = expect_page(&Browser::default().post(&server, target, fields), 401);
        assert!(page.contains("action=\"/api/login\""), "{page}");
    }
    let page = expect_page(&ann.get(&server, "/api/data/retrieve"), 200);
    assert!(!page.contains("class=\"keys\""), "{page}");
}

#[test]
fn input_of_a_form_is_never_rendered_as_html() {
    let (server, mut browser) = signed_in();
    // expect_page() fails on the first script; the others are looked for here.
    let check = |page: String| {
        for html in ["<img", "onerror=alert", "\"'>"] {
            assert!(!page.contains(html), "{html} in {page}");
        }
    };
    for target in
        ["/api/register", "/api/token", "/api/login", "/api/data", "/api/data/update", "/api/data/delete"]
    {
        let names =
            ["username", "email", "password", "full_name", "age", "gender", "access_token", "key", "value"];
        for name in names {
            let fields: Vec<(&str, &str)> =
                names.iter().map(|other| (*other, if *other == name { EVIL } else { "x" })).collect();
            let mut visitor =
                if target.starts_with("/api/data") { browser.clone() } else { Browser::default() };
            let answer = visitor.post(&server, target, &fields);
            check(expect_page(&answer, answer.status));
        }
        let answer = browser.post(&server, target, &[(EVIL, EVIL), (EVIL, EVIL)]);
        check(expect_page(&answer, 400));
        let fields = [HTML, ("Content-Type", "application/json"), SAME_ORIGIN];
        let doubled = format!("{{{0}:1,{0}:2}}", json!(EVIL));
        let answer = browser.send(&server, "POST", target, &fields, &doubled);
        check(expect_page(&answer, 400));
        let answer =
            browser.send(&server, "POST", target, &[HTML, ("Content-Type", "<script>"), SAME_ORIGIN], "x");
        check(expect_page(&answer, 415));
        let answer = browser.get(&server, &format!("{target}?{0}={0}", encoded(EVIL)));
        check(expect_page(&answer, 200));
    }
}

#[test]
fn stored_keys_and_values_are_shown_as_text() {
    let (server, mut browser) = signed_in();
    let ann = Person::sign_in(&server, "ann");
    let target = format!("/api/data/retrieve?key={}", encoded(EVIL));
    for value in [json!(EVIL), json!({EVIL: [EVIL]}), json!("</pre></main>"), json!("\u{0}\u{1b}")] {
        ann.post(&server, "/api/data", &json!({"key": EVIL, "value": value}).to_string()).expect(201);
        for target in [&*target, "/api/data/retrieve", &format!("/api/data/{}", encoded(EVIL))] {
            let page = expect_page(&browser.get(&server, target), 200);
            assert!(!page.contains("<img") && page.matches("</main>").count() == 1, "{page}");
        }
        expect_done(&ann.delete(&server, &format!("/api/data/{}", encoded(EVIL))), 200);
    }
    // Also as JSON nobody can be made to see it as HTML.
    ann.post(&server, "/api/data", &json!({"key": "k", "value": EVIL}).to_string()).expect(201);
    let answer = ann.get(&server, "/api/data/k").expect(200);
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
}
