//! What caches may keep: nothing that a credential guards. And browsers guess no type.

use crate::api::accounts::account_security::ROUTES;
use crate::harness::people::{people_config, register};
use crate::harness::visitors::{Browser, HTML};
use crate::harness::{DEMO_KEY, GLOBAL_KEY, Response, Server};

#[track_caller]
fn check_is_not_cached(what: &str, answer: &Response) {
    let values = |wanted: &str| {
        let fields = answer.fields.iter().filter(|(name, _)| name == wanted);
        fields.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(values("cache-control"), ["no-store"], "{what}: {answer:?}");
    assert_eq!(values("x-content-type-options"), ["nosniff"], "{what}: {answer:?}");
}

#[test]
fn answers_of_every_route_are_not_cached() {
    let server = Server::start_with(people_config());
    for route in ROUTES.iter().filter(|route| route.pattern != "/static/pikv.css") {
        let path = route.path().replace("{}", "demo");
        for key in [None, Some("wrong-key-0123456789"), Some(DEMO_KEY), Some(GLOBAL_KEY)] {
            for accept in [HTML, ("Accept", "*/*")] {
                let answer = server.request(route.method, &path, key, &[accept], route.body.as_bytes());
                check_is_not_cached(&format!("{} {path} {key:?} {}", route.method, answer.status), &answer);
            }
        }
    }
}

#[test]
fn refusals_of_a_connection_are_not_cached() {
    let server = Server::start_with(people_config());
    for (wire, status) in [
        ("GET /healthz HTTP/1.1\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET /api/data/%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("PUT /item/a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413),
        ("PUT /item/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("PUT /item/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: x\r\n\r\n", 417),
        ("GET /item/a HTTP/1.0\r\n\r\n", 403),
    ] {
        let mut connection = server.connect();
        connection.send(wire.as_bytes());
        let answer = connection.read_response();
        assert_eq!(answer.status, status, "{wire}");
        check_is_not_cached(wire, &answer);
    }
    let mut connection = server.connect();
    connection.send(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9_000)).as_bytes());
    check_is_not_cached("414", &connection.read_response());
}

#[test]
fn pages_of_a_session_are_not_cached() {
    let server = Server::start_with(people_config());
    register(&server, "ann");
    let mut browser = Browser::signed_in(&server, "ann");
    for target in
        ["/dashboard", "/api/data", "/api/data/retrieve?key=none", "/api/data/update", "/api/logout"]
    {
        check_is_not_cached(target, &browser.get(&server, target));
    }
}
