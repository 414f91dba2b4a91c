//! Requests that another site may have made a browser send: which are refused, on every route.

use crate::api::accounts::account_security::ROUTES;
use crate::harness::people::{PASSWORD, Person, people_config, register, registration, send_json};
use crate::harness::visitors::{
    Browser, FORM, HTML, encoded, expect_done, expect_failed, expect_page, expect_redirect,
};
use crate::harness::{DEMO_KEY, GLOBAL_KEY, Response, Server, encode_request};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

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
/// What a browser states of a request that a page of another site sends: over TLS or from this machine,
/// over plain HTTP, from a frame without an origin, from another port of this host.
const FOREIGN: [&[(&str, &str)]; 4] = [
    &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
    &[("Origin", "http://evil.example")],
    &[("Origin", "null")],
    &[("Sec-Fetch-Site", "same-site")],
];

fn server_with_ann() -> Server {
    let server = Server::start_with(people_config());
    register(&server, "ann");
    server
}

/// The rule once more, in another way than the server has it.
fn is_allowed(site: Option<&str>, origin: Option<&str>) -> bool {
    match (site, origin) {
        (Some(site), _) => ["same-origin", "none"].contains(&site),
        (None, Some(origin)) => ["http://localhost", "https://localhost:443"].contains(&origin),
        (None, None) => true,
    }
}

/// Sends every combination on one connection and checks each answer.
fn on_all(server: &Server, routes: &[(&'static str, &'static str, u16)], cookies: &str) {
    let mut connection = server.connect();
    for &(method, target, status) in routes {
        for (site, origin) in SITES.iter().flat_map(|site| ORIGINS.iter().map(move |origin| (*site, *origin)))
        {
            let mut fields = vec![FORM, ("Accept", "application/json")];
            fields.extend((!cookies.is_empty()).then_some(("Cookie", cookies)));
            fields.extend(site.map(|site| ("Sec-Fetch-Site", site)));
            fields.extend(origin.map(|origin| ("Origin", origin)));
            connection.send(&encode_request(method, target, None, &fields, b"a=b"));
            let answer = connection.read_response();
            let what = format!("{method} {target} site {site:?} origin {origin:?}: {answer:?}");
            if is_allowed(site, origin) {
                assert_eq!(answer.status, status, "{what}");
            } else {
                assert_eq!(answer.status, 403, "{what}");
                let message = expect_failed(&answer, 403, "CROSS_SITE_REQUEST");
                let named = if site.is_some() { "Sec-Fetch-Site is " } else { "Origin is " };
                assert!(message.starts_with(named), "{what}");
            }
        }
    }
}

#[test]
fn with_a_session_only_requests_of_this_site_are_accepted() {
    let server = server_with_ann();
    let mut browser = Browser::signed_in(&server, "ann");
    on_all(&server, &DATA_ROUTES, &browser.cookie_field());
    on_all(&server, &OPEN_ROUTES, &browser.cookie_field());
    assert!(browser.is_signed_in(&server));
}

#[test]
fn another_site_cannot_send_a_form_without_a_session() {
    on_all(&server_with_ann(), &OPEN_ROUTES, "");
}

#[test]
fn a_client_that_states_no_origin_works_with_a_session_alone() {
    let server = server_with_ann();
    let mut client = Browser::default();
    let login = format!("username=ann&password={}", encoded(PASSWORD));
    expect_redirect(&client.send(&server, "POST", "/api/login", &[HTML, FORM], &login), "/dashboard");
    expect_page(&client.send(&server, "POST", "/api/data", &[HTML, FORM], "key=k&value=v"), 200);
    let json = [("Content-Type", "application/json")];
    expect_done(&client.send(&server, "PUT", "/api/data/k", &json, r#"{"value":2}"#), 200);
    expect_page(&client.send(&server, "POST", "/api/data/delete?key=", &[HTML, FORM], "key=k"), 200);
}

#[test]
fn a_refusal_names_both_values_and_the_proxy_in_answer_page_and_log() {
    let server = server_with_ann();
    let named = "Origin is http://kv.lan but Host is localhost; if a proxy is in front, let it pass Host on";
    let origin = ("Origin", "http://kv.lan");
    for target in ["/api/login", "/api/token", "/api/register"] {
        let fields = [FORM, origin, ("Accept", "application/json")];
        let answer = server.request("POST", target, None, &fields, b"username=ann&password=x");
        let message = expect_failed(&answer, 403, "CROSS_SITE_REQUEST");
        assert!(message.starts_with(named), "{message}");
        let answer = server.request("POST", target, None, &[FORM, origin, HTML], b"username=ann");
        let page = expect_page(&answer, 403);
        assert!(page.contains(named) && page.contains("value=\"ann\""), "what was typed is kept: {page}");
    }
    server.await_stderr(&format!("refused a request from 127.0.0.1: {named}"));
}

#[test]
fn the_host_that_a_trusted_proxy_forwards_is_this_server() {
    let mut config = people_config();
    config["trusted_proxies"] = json!(["127.0.0.1"]);
    config["public_origins"] = json!(["https://public.example"]);
    let sent = |server: &Server, fields: &[(&str, &str)]| {
        let fields = [&[FORM, ("Accept", "application/json")], fields].concat();
        server.request("POST", "/api/login", None, &fields, b"username=ann").status
    };
    let forwarded = [("Origin", "http://kv.lan:8080"), ("X-Forwarded-Host", "kv.lan:8080")];
    let https = ("X-Forwarded-Proto", "https");
    let trusting = Server::start_with(config);
    assert_eq!(sent(&trusting, &forwarded), 400);
    assert_eq!(sent(&trusting, &[forwarded[0], forwarded[1], https]), 403, "behind TLS the origin is https");
    assert_eq!(sent(&trusting, &[("Origin", "https://localhost"), https]), 400);
    assert_eq!(sent(&trusting, &[("Origin", "http://localhost"), https]), 403, "another origin than https");
    assert_eq!(sent(&trusting, &[("Origin", "https://public.example")]), 400);
    assert_eq!(sent(&trusting, &[("Origin", "http://public.example")]), 403);
    assert_eq!(sent(&Server::start_with(people_config()), &forwarded), 403, "a stranger's word");
}

#[test]
fn a_request_with_its_own_token_may_come_from_any_site() {
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
fn requests_from_another_site_change_nothing() {
    let server = server_with_ann();
    let mut browser = Browser::signed_in(&server, "ann");
    browser.post(&server, "/api/data", &[("key", "kept"), ("value", "as it was")]).expect(200);
    for foreign in FOREIGN {
        let fields = [&[HTML, FORM], foreign].concat();
        for (method, target, body) in [
            ("POST", "/api/data", "key=new&value=v"),
            ("POST", "/api/data/update", "key=kept&value=changed"),
            ("PUT", "/api/data/kept", "value=changed"),
            ("POST", "/api/data/delete", "key=kept"),
            ("DELETE", "/api/data/kept", ""),
        ] {
            expect_page(&browser.send(&server, method, target, &fields, body), 403);
        }
    }
    let ann = Person::sign_in(&server, "ann");
    assert_eq!(expect_done(&ann.get(&server, "/api/data"), 200)["keys"], json!(["kept"]));
    assert_eq!(expect_done(&ann.get(&server, "/api/data/kept"), 200)["value"], "as it was");
}

#[test]
fn another_site_can_neither_log_in_nor_register_a_user() {
    let server = server_with_ann();
    let cross = [HTML, FORM, ("Origin", "https://evil.example")];
    let login = format!("username=ann&password={}", encoded(PASSWORD));
    for target in ["/api/login", "/api/token"] {
        let mut browser = Browser::default();
        expect_page(&browser.send(&server, "POST", target, &cross, &login), 403);
        assert_eq!(browser.session(), None);
    }
    let body = registration("bob").to_string();
    let answer = send_json(&server, "POST", "/api/register", &[("Sec-Fetch-Site", "same-site")], &body);
    expect_failed(&answer, 403, "CROSS_SITE_REQUEST");
    send_json(&server, "POST", "/api/register", &[], &body).expect(201);
    let login = json!({"username": "ann", "password": PASSWORD}).to_string();
    let answer = send_json(&server, "POST", "/login", &[("Sec-Fetch-Site", "cross-site")], &login);
    assert!(answer.error(403).starts_with("Sec-Fetch-Site is cross-site"));
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

/// A server where no project asks for a key, by its own switch or the global one.
fn open_server(everywhere: bool, more: Value) -> Server {
    let mut config = people_config();
    if everywhere {
        config["default"]["authentication"]["enabled"] = false.into();
    } else {
        config["projects"][0]["authentication"]["enabled"] = false.into();
    }
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    Server::start_with(config)
}

/// Every route that an open project, or an open server, answers without a credential.
fn open_routes(everywhere: bool) -> impl Iterator<Item = (&'static str, String, &'static str)> {
    let is_open = move |pattern: &str| {
        pattern.starts_with("/api/v1/projects/{}/keys")
            || pattern == "/api/v1/projects/{}/batch"
            || pattern.starts_with("/item/")
            || (everywhere && pattern.starts_with("/api/v1/"))
    };
    let open = ROUTES.iter().filter(move |route| is_open(route.pattern));
    open.map(|route| (route.method, route.path().replace("{}", "demo"), route.body))
}

#[track_caller]
fn expect_cross_site(what: &str, answer: &Response) {
    assert_eq!(answer.status, 403, "{what}: {answer:?}");
    let form = if what.contains("/item/") { "application/json" } else { "application/problem+json" };
    assert_eq!(answer.field("content-type"), Some(form), "{what}");
    if !what.contains("/item/") {
        assert_eq!(answer.code(), "cross_site_request", "{what}");
    }
}

#[test]
fn a_page_of_another_site_cannot_use_routes_without_a_key() {
    for everywhere in [false, true] {
        let server = open_server(everywhere, json!({}));
        for foreign in FOREIGN {
            for (method, path, body) in open_routes(everywhere) {
                // Only this type needs no question before it; the core API reads it as JSON.
                let fields = [&[FORM], foreign].concat();
                let answer = server.request(method, &path, None, &fields, body.as_bytes());
                expect_cross_site(&format!("{method} {path} {foreign:?}"), &answer);
                let wrong = [&fields[..], &[("X-API-Key", "wrong-key-0123456789")]].concat();
                let answer = server.request(method, &path, None, &wrong, body.as_bytes());
                expect_cross_site(&format!("{method} {path} {foreign:?} with a wrong key"), &answer);
            }
        }
        let listed = server.request("GET", "/api/v1/projects/demo/keys", None, &[], b"").json();
        assert_eq!(listed["count"], 0, "{listed}");
    }
}

#[test]
fn programs_and_pages_of_this_server_reach_an_open_project() {
    let server = open_server(false, json!({}));
    let put = |fields: &[(&str, &str)], key: Option<&str>| {
        let fields = [&[FORM], fields].concat();
        server.request("PUT", "/api/v1/projects/demo/keys/a", key, &fields, b"1").status
    };
    assert_eq!(put(&[], None), 201, "curl");
    for own in [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "none"), ("Origin", "http://localhost")]
    {
        assert_eq!(put(&[own], None), 200, "{own:?}");
    }
    for foreign in FOREIGN {
        for key in [DEMO_KEY, GLOBAL_KEY] {
            assert_eq!(put(foreign, Some(key)), 200, "{foreign:?} with a valid key");
        }
    }
}

#[test]
fn configured_origins_reach_an_open_project() {
    let server = open_server(
        false,
        json!({"cors": {"origins": ["https://app.example"]}, "public_origins": ["https://kv.example"]}),
    );
    for (origin, status) in [
        ("https://app.example", 200),
        ("https://kv.example", 200),
        ("https://evil.example", 403),
        ("http://app.example", 403),
    ] {
        for site in [&[][..], &[("Sec-Fetch-Site", "cross-site")]] {
            let fields = [&[("Origin", origin)], site].concat();
            let answer = server.request("GET", "/api/v1/projects/demo/keys", None, &fields, b"");
            assert_eq!(answer.status, status, "{fields:?}");
        }
    }
}

#[test]
fn a_followed_link_shows_what_is_open_and_a_frame_does_not() {
    let server = open_server(false, json!({}));
    let read = |method: &str, mode: &str, dest: &str| {
        let fields = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)];
        server.request(method, "/api/v1/projects/demo/keys", None, &fields, b"").status
    };
    assert_eq!(read("GET", "navigate", "document"), 200);
    for (method, mode, dest) in [
        ("GET", "navigate", "iframe"),
        ("GET", "no-cors", "image"),
        ("GET", "no-cors", "script"),
        ("GET", "cors", "empty"),
        ("DELETE", "navigate", "document"),
    ] {
        assert_eq!(read(method, mode, dest), 403, "{method} {mode} {dest}");
    }
    let link = [HTML, ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    for page in ["/api/login", "/api/register", "/api/token", "/healthz"] {
        server.request("GET", page, None, &link, b"").expect(200);
    }
}

#[test]
fn basic_credentials_that_a_browser_adds_do_not_authorize_another_site() {
    let server = server_with_ann();
    let ann = Person::sign_in(&server, "ann");
    let basic = |key: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("x:{key}")));
    let (demo, global, token) = (basic(DEMO_KEY), basic(GLOBAL_KEY), basic(&ann.token));
    for (key, method, path, body) in [
        (&demo, "PUT", "/api/v1/projects/demo/keys/a", "1"),
        (&global, "POST", "/api/v1/projects", r#"{"id":"x"}"#),
        (&demo, "PUT", "/item/a", r#"{"value":1}"#),
        (&token, "PUT", "/item/a", r#"{"value":1}"#),
        (&token, "POST", "/api/object", r#"{"key":"k","data":1}"#),
        (&token, "POST", "/api/data", r#"{"key":"l","value":1}"#),
    ] {
        let own = [FORM, ("Authorization", key.as_str())];
        for foreign in FOREIGN {
            let fields = [&own, foreign].concat();
            let answer = server.request(method, path, None, &fields, body.as_bytes());
            assert_eq!(answer.status, 403, "{method} {path} {foreign:?}: {answer:?}");
        }
        let status = server.request(method, path, None, &own, body.as_bytes()).status;
        assert!((200..300).contains(&status), "{method} {path}: {status}");
    }
}

#[test]
fn the_core_api_requires_a_key_even_with_a_session() {
    let server = server_with_ann();
    let mut browser = Browser::signed_in(&server, "ann");
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!(":{DEMO_KEY}")));
    let keys = "/api/v1/projects/demo/keys";
    let answer = browser.send(&server, "GET", keys, &[("Authorization", &basic)], "");
    // Not asked for Basic: a browser would show its dialog again and again.
    assert_eq!(answer.field("www-authenticate"), Some("Bearer realm=\"pikv\""));
    assert_eq!(answer.fields.iter().filter(|(name, _)| name == "www-authenticate").count(), 1);
    let problem = answer.problem(401, "api_key_missing");
    assert!(problem["detail"].as_str().unwrap().contains("X-API-Key"), "{problem}");
    let both = [("Authorization", basic.as_str()), ("X-API-Key", DEMO_KEY)];
    browser.send(&server, "GET", keys, &both, "").expect(200);
}

#[test]
fn only_the_hosts_of_public_hosts_are_served() {
    let mut config = people_config();
    config["public_hosts"] = json!(["kv.example", "[::1]:5000"]);
    config["trusted_proxies"] = json!(["127.0.0.1"]);
    let server = Server::start_with(config);
    let ask = |host: &str, path: &str, more: &str| {
        let mut connection = server.connect();
        connection.send(
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {DEMO_KEY}\r\n{more}\r\n").as_bytes(),
        );
        connection.read_response()
    };
    let keys = "/api/v1/projects/demo/keys";
    for host in ["kv.example", "KV.example:23849", "[::1]:5000"] {
        ask(host, keys, "").expect(200);
    }
    for host in ["evil.example", "kv.example.evil", "127.0.0.1", "localhost:23849", "[::1]"] {
        let problem = ask(host, keys, "").problem(403, "host_not_allowed");
        assert!(problem["detail"].as_str().unwrap().contains(host), "{problem}");
        assert!(ask(host, "/item/a", "").error(403).contains(host));
        ask(host, "/api/object/a", "").expect(403);
        expect_failed(&ask(host, "/api/data", ""), 403, "HOST_NOT_ALLOWED");
        ask(host, "/nowhere", "").expect(403);
        ask(host, "/static/pikv.css", "").expect(403);
        ask(host, "/healthz", "").expect(200);
        ask(host, "/readyz", "").expect(200);
    }
    ask("127.0.0.1:1", keys, "X-Forwarded-Host: kv.example\r\n").expect(200);
    ask("127.0.0.1:1", keys, "X-Forwarded-Host: evil.example\r\n").expect(403);
    let mut connection = server.connect();
    connection.send(b"GET /api/login HTTP/1.0\r\nAccept: text/html\r\n\r\n");
    expect_page(&connection.read_response(), 403);
    let mut connection = server.connect();
    connection.send(b"GET http://kv.example/api/login HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    connection.read_response().expect(200);
}
