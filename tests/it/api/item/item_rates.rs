//! How often `/item` may be asked, and that a disk without room is said in its form.

use crate::faults::full_disk::configured_on_a_small_disk;
use crate::harness::people::{Person, people_config, send_json};
use crate::harness::{DEMO_KEY, GLOBAL_KEY, Response, Server, wait_until};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ITEM: &str = "/item/example";

fn limited(rate: Value) -> Value {
    let mut config = people_config();
    config["item_api"]["rate_limit"] = rate;
    config
}

fn unlimited_by_file() -> Value {
    let mut config = people_config();
    config.as_object_mut().unwrap().remove("item_api");
    config
}

/// A request with an API key.
fn send(server: &Server, method: &str) -> Response {
    send_as(server, &[("X-API-KEY", DEMO_KEY)], method)
}

fn send_as(server: &Server, fields: &[(&str, &str)], method: &str) -> Response {
    send_json(server, method, ITEM, fields, body_of(method))
}

fn body_of(method: &str) -> &'static str {
    if matches!(method, "PUT" | "POST") { r#"{"value":1}"# } else { "" }
}

/// A server and an account on it; requests with its token.
fn server_and_ann(config: Value) -> (Server, Person) {
    let server = Server::start_with(config);
    let ann = Person::register(&server, "ann");
    (server, ann)
}

#[track_caller]
fn expect_refused(answer: Response, window_s: u64) {
    let wait: u64 = answer.field("retry-after").unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap();
    assert!((1..=window_s).contains(&wait), "{wait}");
    assert!(answer.error(429).contains("Too many requests"));
}

#[test]
fn five_requests_a_minute_of_each_method_are_accepted_unless_configured() {
    let (server, ann) = server_and_ann(unlimited_by_file());
    let send = |method: &str| ann.send(&server, method, ITEM, body_of(method));
    for _ in 0..5 {
        send("PUT").expect(200);
    }
    expect_refused(send("PUT"), 60);
    for method in ["GET", "HEAD", "GET", "HEAD", "GET"] {
        send(method).expect(200);
    }
    expect_refused(send("GET"), 60);
    assert_eq!(send("HEAD").expect(429).body, b"");
    for status in [400, 400, 400, 400, 400, 429] {
        send("POST").expect(status);
    }
    for status in [200, 404, 404, 404, 404, 429] {
        send("DELETE").expect(status);
    }
    ann.send(&server, "PATCH", ITEM, "").expect(405);
    ann.get(&server, "/api/object/a").expect(404);
}

#[test]
fn a_request_with_a_valid_api_key_has_no_rate_limit() {
    let mut config = unlimited_by_file();
    config["item_api"] = json!({ "project": "demo" });
    let (server, ann) = server_and_ann(config);
    let exhaust = || (0..6).map(|_| ann.get(&server, ITEM).status).collect::<Vec<_>>();
    assert_eq!(exhaust(), [404, 404, 404, 404, 404, 429]);
    let bearer = format!("Bearer {DEMO_KEY}");
    for field in [
        ("X-API-KEY", DEMO_KEY),
        ("Api-Key", DEMO_KEY),
        ("Authorization", DEMO_KEY),
        ("authorization", &bearer),
        ("X-API-Key", GLOBAL_KEY),
    ] {
        for _ in 0..7 {
            send_as(&server, &[field], "PUT").expect(200);
            send_as(&server, &[field], "GET").expect(200);
            send_as(&server, &[field], "HEAD").expect(200);
            send_as(&server, &[field], "POST").expect(400);
            send_as(&server, &[field], "DELETE").expect(200);
        }
    }
    expect_refused(ann.get(&server, ITEM), 60);
    for method in ["PUT", "POST", "DELETE"] {
        assert_ne!(ann.send(&server, method, ITEM, body_of(method)).status, 429, "{method}");
    }
}

#[test]
fn requests_without_a_valid_credential_count_and_are_refused_unread() {
    for fields in [
        &[("X-API-KEY", "a-guess-of-a-key")][..],
        &[("X-API-KEY", "pikv_mistyped")],
        &[("Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x")],
        &[("X-API-KEY", DEMO_KEY), ("Authorization", "Bearer another-key-0123456")],
        &[],
    ] {
        let (server, ann) = server_and_ann(unlimited_by_file());
        for _ in 0..5 {
            send_as(&server, fields, "GET").expect(403);
        }
        expect_refused(send_as(&server, fields, "GET"), 60);
        expect_refused(ann.get(&server, "/item/another"), 60);
        send(&server, "GET").expect(404);
    }
}

#[test]
fn requests_that_need_no_credential_count_too() {
    let mut config = unlimited_by_file();
    config["item_api"] = json!({ "project": "demo" });
    config["projects"][0]["authentication"] = json!({ "enabled": false });
    let server = Server::start_with(config);
    for status in [404, 404, 404, 404, 404, 429] {
        send_as(&server, &[], "GET").expect(status);
    }
}

#[test]
fn a_request_is_accepted_again_after_the_window_and_not_before() {
    let (server, ann) = server_and_ann(limited(json!({"requests": 2, "window_seconds": 1})));
    let put = || ann.send(&server, "PUT", ITEM, body_of("PUT"));
    let begun = Instant::now();
    put().expect(200);
    put().expect(200);
    wait_until("the window is over", || {
        let answer = put();
        if answer.status == 429 {
            expect_refused(answer, 1);
            return false;
        }
        answer.expect(200);
        true
    });
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn null_switches_the_rate_off_and_a_reload_switches_it_on() {
    let (server, ann) = server_and_ann(limited(Value::Null));
    let get = || ann.get(&server, ITEM).status;
    for _ in 0..20 {
        ann.send(&server, "PUT", ITEM, body_of("PUT")).expect(200);
    }
    let reload = |rate: Value| {
        std::fs::write(server.config_path(), limited(rate).to_string()).unwrap();
        server.signal("HUP");
    };
    reload(json!({"requests": 1, "window_seconds": 3600}));
    wait_until("one request an hour", || get() == 429);
    reload(json!({"requests": 3, "window_seconds": 3600}));
    wait_until("three an hour", || get() == 200);
    reload(Value::Null);
    // Four at once are more than the rate before lets through.
    wait_until("as many as they like", || (0..4).all(|_| get() == 200));
}

#[test]
fn only_a_configured_proxy_determines_whose_requests_are_counted() {
    let rate = json!({"requests": 2, "window_seconds": 3600});
    let plain = Server::start_with(limited(rate.clone()));
    let get =
        |server: &Server, forwarded: &str| send_as(server, &[("X-Forwarded-For", forwarded)], "GET").status;
    assert_eq!([get(&plain, "1.1.1.1"), get(&plain, "2.2.2.2"), get(&plain, "3.3.3.3")], [403, 403, 429]);
    let mut config = limited(rate);
    config["trusted_proxies"] = json!(["127.0.0.0/8"]);
    let proxied = Server::start_with(config);
    for client in ["1.1.1.1", "2.2.2.2", "9.9.9.9, 3.3.3.3"] {
        assert_eq!([get(&proxied, client), get(&proxied, client), get(&proxied, client)], [403, 403, 429]);
    }
    assert_eq!(get(&proxied, "8.8.8.8, 3.3.3.3"), 429, "what a client claims about itself does not count");
    assert_eq!(get(&proxied, "3.3.3.3, 8.8.8.8"), 403);
}

#[test]
fn a_full_disk_is_507_in_the_format_of_each_api_while_reads_continue() {
    let Some((mut kv, disk)) = configured_on_a_small_disk(&people_config()) else { return };
    let server = &kv.server;
    let ann = Person::register(server, "ann");
    ann.post(server, "/api/object", r#"{"key":"a","data":1}"#).expect(201);
    send(server, "PUT").expect(200);
    disk.fill();
    let large = "y".repeat(100_000);
    let value = json!({"value": large}).to_string();
    let object = json!({"key": "b", "data": large}).to_string();
    send_json(server, "PUT", "/item/b", &[("X-API-KEY", DEMO_KEY)], &value).error(507);
    ann.post(server, "/item/b", &value).error(507);
    ann.post(server, "/api/object", &object).error(507);
    ann.put(server, "/api/object/a", &json!({"data": large}).to_string()).error(507);
    ann.post(server, "/api/batch/object", &format!("[{object}]")).error(507);
    send(server, "GET").exactly(200, r#"{"example":1}"#);
    ann.get(server, "/api/object/a").exactly(200, r#"{"key":"a","data":1}"#);
    ann.get(server, "/api/object/b").expect(404);
    disk.free_space();
    wait_until("writes resume", || ann.post(server, "/api/object", r#"{"key":"c","data":1}"#).status == 201);
    kv.server.kill();
    drop(disk);
}

#[test]
fn a_read_that_is_repeated_because_of_other_writes_counts_once() {
    const READS: usize = 100;
    let config = limited(json!({"requests": READS, "window_seconds": 3600}));
    let Some((kv, disk)) = configured_on_a_small_disk(&config) else { return };
    let server = &kv.server;
    let ann = &Person::register(server, "ann");
    ann.send(server, "PUT", ITEM, body_of("PUT")).expect(200);
    disk.fill();
    let object = json!({"key": "example", "data": "y".repeat(3_000)}).to_string();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let (ended, batch) = (&ended, format!("[{}]", object.replace("example", &format!("w{writer}"))));
            scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    ann.post(server, "/api/batch/object", &batch);
                }
            });
        }
        let statuses: Vec<u16> = (0..=READS)
            .map(|number| {
                let target = if number % 2 == 0 { ITEM } else { "/item/absent" };
                ann.get(server, target).status
            })
            .collect();
        ended.store(true, Ordering::Relaxed);
        let (last, counted) = statuses.split_last().unwrap();
        let expected: Vec<u16> = (0..READS).map(|number| if number % 2 == 0 { 200 } else { 404 }).collect();
        assert_eq!(counted, expected);
        assert_eq!(*last, 429);
    });
}
