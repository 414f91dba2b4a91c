//! `/item` (seed 002): what its clients send, and exactly what they get.

use crate::harness::kv::encoded;
use crate::harness::people::{PASSWORD, Person, people_config, send_json};
use crate::harness::{DEMO_KEY, DEMO_KEYS, GLOBAL_KEY, Response, Server};
use serde_json::{Value, json};

const ITEM: &str = "/item/example";
const OTHER_KEY: &str = "my.other.key-0123456789";
const UNAUTHORIZED: &str = r#"{"error":"Unauthorized"}"#;
const MISSING: &str = r#"{"error":"Item not found"}"#;

/// The keys of `demo`, and a second project whose key has two dots like a token.
fn two_projects() -> Value {
    let mut config = people_config();
    let other = json!({"id": "other", "authentication": {"api_key": OTHER_KEY}});
    config["projects"].as_array_mut().unwrap().push(other);
    config
}

fn path(key: &str) -> String {
    format!("/item/{}", encoded(key))
}

/// A request with `X-API-KEY`, as the seed has it.
fn send(server: &Server, key: &str, method: &str, target: &str, body: &str) -> Response {
    send_json(server, method, target, &[("X-API-KEY", key)], body)
}

/// Stores `value` as the item `target` with `fields`, and expects it.
fn store(server: &Server, target: &str, fields: &[(&str, &str)], value: &str) {
    let (name, body) = (target.rsplit('/').next().unwrap(), format!("{{\"value\":{value}}}"));
    send_json(server, "PUT", target, fields, &body).exactly(200, &format!("{{\"{name}\":{value}}}"));
}

#[test]
fn an_item_is_made_read_replaced_and_deleted_with_the_seeds_bodies() {
    let server = Server::start_with(people_config());
    let send = |method: &str, body: &str| send(&server, DEMO_KEY, method, ITEM, body);
    let body = r#"{"value": "example_value"}"#;
    send("GET", "").exactly(404, MISSING);
    send("DELETE", "").exactly(404, MISSING);
    send("POST", body).exactly(201, r#"{"example":"example_value"}"#);
    send("POST", body).exactly(400, r#"{"error":"Item already exists"}"#);
    send("GET", "").exactly(200, r#"{"example":"example_value"}"#);
    send("PUT", r#"{"value": "new_value"}"#).exactly(200, r#"{"example":"new_value"}"#);
    send("GET", "").exactly(200, r#"{"example":"new_value"}"#);
    send("DELETE", "").exactly(200, r#"{"message":"Item deleted"}"#);
    send("GET", "").exactly(404, MISSING);
    send("PUT", r#"{"value":null}"#).exactly(200, r#"{"example":null}"#);
    send("POST", body).exactly(400, r#"{"error":"Item already exists"}"#);
}

#[test]
fn a_credential_works_in_every_field_and_says_whose_items_are_meant() {
    let server = Server::start_with(two_projects());
    let ann = Person::register(&server, "ann");
    for (credential, value) in [(DEMO_KEY, "\"demo\""), (OTHER_KEY, "\"other\""), (&*ann.token, "\"ann\"")] {
        let (bearer, shout) = (format!("Bearer {credential}"), format!("BEARER   {credential}"));
        store(&server, ITEM, &[("x-api-key", credential)], value);
        for (name, sent) in [
            ("X-API-KEY", credential),
            ("Api-Key", credential),
            ("API-KEY", credential),
            ("Authorization", credential),
            ("Authorization", &bearer),
            ("authorization", &shout),
        ] {
            let fields = [(name, sent)];
            send_json(&server, "GET", ITEM, &fields, "").exactly(200, &format!("{{\"example\":{value}}}"));
        }
        let twice = [("Authorization", bearer.as_str()), ("X-API-KEY", credential)];
        send_json(&server, "GET", ITEM, &twice, "").expect(200);
    }
    let ben = Person::register(&server, "ben");
    ben.get(&server, ITEM).exactly(404, MISSING);
}

#[test]
fn what_is_no_credential_is_403_for_every_method() {
    let server = Server::start_with(two_projects());
    let ann = Person::register(&server, "ann");
    let mistyped = "pikv_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf05vj4V";
    let (forged, bearer) = (format!("{}x", ann.token), format!("Bearer {}", ann.token));
    let refused: [&[(&str, &str)]; 10] = [
        &[],
        &[("X-API-KEY", "")],
        &[("X-API-KEY", "my_secret_key")],
        &[("X-API-KEY", "my.wrong.key-0123456789")],
        &[("X-API-KEY", mistyped)],
        &[("Authorization", "Basic YTpi")],
        &[("Authorization", &forged)],
        &[("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")],
        &[("Authorization", &bearer), ("X-API-KEY", DEMO_KEY)],
        &[("X-API-KEY", DEMO_KEY), ("Api-Key", OTHER_KEY)],
    ];
    for fields in refused {
        for (method, body) in
            [("GET", ""), ("DELETE", ""), ("POST", r#"{"value":1}"#), ("PUT", "{"), ("POST", "")]
        {
            send_json(&server, method, ITEM, fields, body).exactly(403, UNAUTHORIZED);
        }
        assert!(send_json(&server, "HEAD", ITEM, fields, "").expect(403).body.is_empty());
    }
}

#[test]
fn the_global_key_works_on_the_configured_project_or_the_first_one() {
    let check = |project: Option<&str>, keys: Option<&str>| {
        let mut config = two_projects();
        if let Some(project) = project {
            config["item_api"]["project"] = project.into();
        }
        let server = Server::start_with(config);
        let stored = send(&server, GLOBAL_KEY, "POST", ITEM, r#"{"value":1}"#);
        let Some(keys) = keys else {
            assert!(stored.error(404).contains("item_api.project"));
            assert!(send(&server, GLOBAL_KEY, "GET", ITEM, "").error(404).contains("item_api.project"));
            send_json(&server, "GET", ITEM, &[], "").exactly(403, UNAUTHORIZED);
            return;
        };
        stored.exactly(201, r#"{"example":1}"#);
        let read = send(&server, GLOBAL_KEY, "GET", &format!("/api/v1/projects/{keys}/keys/example?raw"), "");
        assert_eq!(read.expect(200).text(), "1");
    };
    check(None, Some("demo"));
    check(Some("other"), Some("other"));
    check(Some("absent"), None);
}

#[test]
fn without_authentication_no_api_key_is_asked_for_or_looked_at() {
    let mistyped = "pikv_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf05vj4V";
    for global in [true, false] {
        let mut config = two_projects();
        let owner = if global { &mut config["default"] } else { &mut config["projects"][0] };
        owner["authentication"]["enabled"] = false.into();
        let server = Server::start_with(config);
        let ann = Person::register(&server, "ann");
        store(&server, ITEM, &[], "\"demo's\"");
        let sent: [&[(&str, &str)]; 6] = [
            &[],
            &[("X-API-KEY", "my_secret_key")],
            &[("X-API-KEY", "my.secret.key")],
            &[("X-API-KEY", mistyped)],
            &[("X-API-KEY", "one"), ("Api-Key", "another")],
            &[("Authorization", "Basic YTpi")],
        ];
        for fields in sent {
            send_json(&server, "GET", ITEM, fields, "").exactly(200, r#"{"example":"demo's"}"#);
        }
        ann.get(&server, ITEM).exactly(404, MISSING);
        let expired = Person { token: format!("{}x", ann.token), ..ann };
        expired.get(&server, ITEM).exactly(403, UNAUTHORIZED);
    }
}

#[test]
fn a_token_is_no_credential_where_there_are_no_accounts() {
    let mut config = people_config();
    config["accounts"] = json!({"enabled": false});
    let server = Server::start_with(config);
    let fields = [("Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA")];
    send_json(&server, "GET", ITEM, &fields, "").exactly(403, UNAUTHORIZED);
    store(&server, ITEM, &[("X-API-KEY", DEMO_KEY)], "1");
}

#[test]
fn a_browsers_session_is_no_credential_for_scripts() {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    let body = json!({"username": ann.username, "password": PASSWORD}).to_string();
    let fields = [("Sec-Fetch-Site", "same-origin")];
    let signed_in = send_json(&server, "POST", "/api/login", &fields, &body).expect(200);
    let set = |field: &&(String, String)| field.0 == "set-cookie" && field.1.contains("pikv_session_");
    let cookie = signed_in.fields.iter().find(set).unwrap().1.split(';').next().unwrap();
    ann.post(&server, "/api/object", r#"{"key":"example","data":1}"#).expect(201);
    let fields = [("Cookie", cookie), ("Sec-Fetch-Site", "same-origin")];
    assert!(
        send_json(&server, "GET", "/api/data/example", &fields, "")
            .expect(200)
            .text()
            .contains("\"value\":1")
    );
    send_json(&server, "GET", ITEM, &fields, "").exactly(403, UNAUTHORIZED);
    send_json(&server, "GET", "/api/object/example", &fields, "").expect(401);
    send_json(&server, "POST", "/api/object", &fields, r#"{"key":"a","data":1}"#).expect(401);
}

#[test]
fn items_are_the_keys_of_their_project() {
    let server = Server::start_with(people_config());
    let item = |method: &str, body: &str| send(&server, DEMO_KEY, method, "/item/a/b", body);
    item("POST", r#"{"value":[1e400]}"#).exactly(201, r#"{"a/b":[1e400]}"#);
    assert_eq!(server.get_demo("a%2Fb").expect(200).text(), "[1e400]");
    server.put_demo("a%2Fb", "{\"x\":2}").expect(200);
    item("GET", "").exactly(200, r#"{"a/b":{"x":2}}"#);
    item("DELETE", "").expect(200);
    server.get_demo("a%2Fb").expect(404);
    server.request(
        "PUT",
        &format!("{DEMO_KEYS}/t"),
        Some(DEMO_KEY),
        &[("Content-Type", "text/plain")],
        b"a\"b",
    );
    send(&server, DEMO_KEY, "GET", "/item/t", "").exactly(200, r#"{"t":"a\"b"}"#);
}

#[test]
fn the_data_of_an_account_is_one_set_for_all_apis() {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    ann.post(&server, "/api/object", r#"{"key":"object","data":{"a":1}}"#).expect(201);
    ann.post(&server, "/api/data", r#"{"key":"data","value":{"a":1}}"#).expect(201);
    ann.post(&server, "/item/item", r#"{"value":{"a":1}}"#).expect(201);
    for key in ["object", "data", "item"] {
        ann.get(&server, &format!("/item/{key}")).exactly(200, &format!("{{\"{key}\":{{\"a\":1}}}}"));
        let object = format!("{{\"key\":\"{key}\",\"data\":{{\"a\":1}}}}");
        ann.get(&server, &format!("/api/object/{key}")).exactly(200, &object);
        let data = ann.get(&server, &format!("/api/data/{key}")).expect(200).json();
        assert_eq!(data["data"], json!({"key": key, "value": {"a": 1}}));
        let made = json!({"key": key, "data": 2}).to_string();
        ann.post(&server, "/api/object", &made).exactly(409, r#"{"error":"Key already exists"}"#);
        ann.post(&server, &format!("/item/{key}"), r#"{"value":2}"#).error(400);
        let body = json!({"key": key, "value": 2}).to_string();
        assert_eq!(ann.post(&server, "/api/data", &body).expect(409).json()["code"], "KEY_EXISTS");
    }
    ann.delete(&server, "/api/object/item").expect(200);
    ann.get(&server, "/item/item").exactly(404, MISSING);
    ann.put(&server, "/item/object", r#"{"value":3}"#).expect(200);
    ann.get(&server, "/api/object/object").exactly(200, r#"{"key":"object","data":3}"#);
    ann.put(&server, "/api/data/object", r#"{"value":4}"#).expect(200);
    ann.get(&server, "/item/object").exactly(200, r#"{"object":4}"#);
}

#[test]
fn item_keys_and_values_are_kept_as_sent() {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    let (longest, too_long) = ("é".repeat(512), "x".repeat(1025));
    for credential in [DEMO_KEY, &*ann.token] {
        for key in ["a/b", "a%2Fb", "..a", "\"\\", "e\u{301}", "🔑", &*"x".repeat(1024), &longest] {
            let shown = |value: &str| format!("{{{}:{value}}}", json!(key));
            for value in ["12345678901234567890123", "1e400", "-0", r#"{"b":1,"a":2,"b":3}"#, "null", "[]"] {
                let body = format!(" {{ \"value\" : {value} }} ");
                send(&server, credential, "PUT", &path(key), &body).exactly(200, &shown(value));
                send(&server, credential, "GET", &path(key), "").exactly(200, &shown(value));
            }
        }
        for key in [".", "..", "", &too_long, "a\u{7f}"] {
            for (method, body) in
                [("GET", ""), ("DELETE", ""), ("POST", r#"{"value":1}"#), ("PUT", r#"{"value":1}"#)]
            {
                send(&server, credential, method, &path(key), body).error(400);
            }
        }
    }
}

#[test]
fn a_body_without_one_value_is_refused_and_says_what_is_wrong() {
    let server = Server::start_with(people_config());
    for method in ["POST", "PUT"] {
        for (body, problem) in [
            ("", "JSON"),
            ("{", "JSON"),
            ("{}", "`value` is missing"),
            (r#"{"val":1}"#, "`value` is missing"),
            (r#"{"value":1,"more":2}"#, "more"),
            (r#"{"value":1,"value":2}"#, "twice"),
            ("[1]", "object"),
            ("\"v\"", "object"),
            (r#"{"value":nul}"#, "JSON"),
        ] {
            let error = send(&server, DEMO_KEY, method, ITEM, body).error(400);
            assert!(error.contains(problem), "{method} {body}: {error}");
        }
        let fields = [("Content-Type", "text/plain")];
        server.request(method, ITEM, Some(DEMO_KEY), &fields, b"{\"value\":1}").error(415);
    }
    send(&server, DEMO_KEY, "GET", &format!("{ITEM}?raw"), "").error(400);
    send(&server, DEMO_KEY, "GET", ITEM, "").exactly(404, MISSING);
    let fields = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = server.request("POST", ITEM, Some(DEMO_KEY), &fields, b"{\"value\":1}");
    answer.exactly(201, r#"{"example":1}"#);
}

#[test]
fn items_have_four_methods_and_head() {
    let server = Server::start_with(people_config());
    let answer = send(&server, DEMO_KEY, "PATCH", ITEM, "").expect(405);
    assert_eq!(answer.field("allow"), Some("GET, POST, PUT, DELETE, HEAD, OPTIONS"));
    answer.error(405);
    send(&server, DEMO_KEY, "GET", "/item", "").error(404);
    for (method, status) in [("PUT", 200), ("GET", 200)] {
        send(&server, DEMO_KEY, method, ITEM, if method == "PUT" { r#"{"value":1}"# } else { "" })
            .expect(status);
        let head = send(&server, DEMO_KEY, "HEAD", ITEM, "").expect(200);
        assert!(head.body.is_empty());
        assert_eq!(head.field("content-length"), Some("14"));
    }
}
