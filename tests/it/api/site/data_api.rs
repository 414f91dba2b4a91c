//! `/api/data` for scripts (seed 003): the table of the contract, row by row.

use crate::harness::people::{Person, people_config, register, send_json};
use crate::harness::visitors::{Browser, FORM, HTML, SAME_ORIGIN, encoded, expect_done, expect_failed};
use crate::harness::{Response, Server};
use serde_json::{Value, json};

const DATA: &str = "/api/data";

fn server_with_ann() -> (Server, Person) {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    (server, ann)
}

fn stored(server: &Server, person: &Person, key: &str) -> Value {
    let data = expect_done(&person.get(server, &format!("{DATA}/{}", encoded(key))), 200);
    assert_eq!(data["key"], key);
    assert_eq!(data.as_object().unwrap().len(), 2, "{data}");
    data["value"].clone()
}

#[test]
fn a_key_is_stored_read_updated_and_deleted() {
    let (server, ann) = server_with_ann();
    let store = |value: &str| ann.post(&server, DATA, &format!(r#"{{"key":"k","value":{value}}}"#));
    expect_done(&store("\"one\""), 201);
    expect_failed(&store("2"), 409, "KEY_EXISTS");
    assert_eq!(stored(&server, &ann, "k"), "one");
    assert_eq!(
        expect_done(&ann.get(&server, "/api/data/retrieve?key=k"), 200),
        json!({"key": "k", "value": "one"})
    );
    expect_done(&ann.put(&server, "/api/data/k", r#"{"value":[2]}"#), 200);
    assert_eq!(stored(&server, &ann, "k"), json!([2]));
    expect_done(&ann.post(&server, "/api/data/update", r#"{"key":"k","value":{"three":3}}"#), 200);
    assert_eq!(stored(&server, &ann, "k"), json!({"three": 3}));
    expect_done(&ann.delete(&server, "/api/data/k"), 200);
    expect_failed(&ann.get(&server, "/api/data/k"), 404, "KEY_NOT_FOUND");
    expect_done(&store("4"), 201);
    expect_done(&ann.post(&server, "/api/data/delete", r#"{"key":"k"}"#), 200);
    assert_eq!(expect_done(&ann.get(&server, DATA), 200)["keys"], json!([]));
}

#[test]
fn what_is_not_there_is_not_found_and_not_made() {
    let (server, ann) = server_with_ann();
    for answer in [
        ann.get(&server, "/api/data/gone"),
        ann.get(&server, "/api/data/retrieve?key=gone"),
        ann.put(&server, "/api/data/gone", r#"{"value":1}"#),
        ann.post(&server, "/api/data/update", r#"{"key":"gone","value":1}"#),
        ann.delete(&server, "/api/data/gone"),
        ann.post(&server, "/api/data/delete", r#"{"key":"gone"}"#),
    ] {
        expect_failed(&answer, 404, "KEY_NOT_FOUND");
    }
    assert_eq!(expect_done(&ann.get(&server, DATA), 200), json!({"keys": [], "cursor": null}));
}

#[test]
fn keys_and_values_that_are_none_have_their_codes() {
    let (server, ann) = server_with_ann();
    ann.post(&server, DATA, r#"{"key":"k","value":1}"#).expect(201);
    let long = "k".repeat(1_025);
    for key in [
        json!(""),
        json!(null),
        json!(1),
        json!(["k"]),
        json!("a\u{1}"),
        json!("."),
        json!(".."),
        json!(long),
    ] {
        for target in [DATA, "/api/data/update", "/api/data/delete"] {
            let body = json!({"key": key, "value": 1}).to_string();
            expect_failed(&ann.post(&server, target, &body), 400, "INVALID_KEY");
        }
    }
    for target in [DATA, "/api/data/update", "/api/data/delete"] {
        expect_failed(&ann.post(&server, target, r#"{"value":1}"#), 400, "INVALID_KEY");
    }
    for key in ["", "%01", long.as_str()] {
        let target = format!("{DATA}/{key}");
        expect_failed(&ann.get(&server, &target), 400, "INVALID_KEY");
        expect_failed(&ann.put(&server, &target, r#"{"value":1}"#), 400, "INVALID_KEY");
        expect_failed(&ann.delete(&server, &target), 400, "INVALID_KEY");
        expect_failed(&ann.get(&server, &format!("/api/data/retrieve?key={key}")), 400, "INVALID_KEY");
    }
    let deep = format!("{}1{}", "[".repeat(101), "]".repeat(101));
    for value in ["", r#","value":null"#, &format!(r#","value":{deep}"#)] {
        expect_failed(&ann.post(&server, DATA, &format!(r#"{{"key":"new"{value}}}"#)), 400, "INVALID_VALUE");
        let update = format!(r#"{{"key":"k"{value}}}"#);
        expect_failed(&ann.post(&server, "/api/data/update", &update), 400, "INVALID_VALUE");
        expect_failed(&ann.put(&server, "/api/data/k", &update), 400, "INVALID_VALUE");
    }
    expect_failed(&ann.put(&server, "/api/data/k", ""), 400, "INVALID_VALUE");
    for broken in [r#"{"key":"new","value":}"#, "[]", "1", r#"{"key":"new","value":1} "#.repeat(2).as_str()] {
        expect_failed(&ann.post(&server, DATA, broken), 400, "INVALID_REQUEST");
    }
    expect_failed(&ann.post(&server, DATA, r#"{"key":"new","key":"k","value":1}"#), 400, "INVALID_REQUEST");
    expect_failed(&ann.post(&server, DATA, r#"{"key":"new","value":1,"value":2}"#), 400, "INVALID_REQUEST");
    assert_eq!(stored(&server, &ann, "k"), 1);
    assert_eq!(expect_done(&ann.get(&server, DATA), 200)["keys"], json!(["k"]));
}

#[test]
fn values_come_back_as_they_were_sent() {
    let (server, ann) = server_with_ann();
    for value in [
        "12345678901234567890123",
        "1e400",
        "-0",
        "\"\"",
        "false",
        r#"{"b":1,"a":2,"b":3}"#,
        "\"\\ud83d\\ude00\"",
        "[]",
    ] {
        ann.post(&server, DATA, &format!(r#"{{"key":"v","value": {value} }}"#)).expect(201);
        let answer = ann.get(&server, "/api/data/v").expect(200);
        assert!(answer.text().contains(&format!("\"value\":{value}}}")), "{value}: {}", answer.text());
        ann.delete(&server, "/api/data/v").expect(200);
    }
}

#[test]
fn keys_may_have_any_text_and_the_names_of_pages() {
    let (server, ann) = server_with_ann();
    let names = [
        "retrieve", "update", "delete", "a/b", "/", "a//b/", "%2F", "?a=b&c#d", "ü 😀", "../x", "<b>", "a+b",
        "login",
    ];
    for name in names {
        let body = json!({"key": name, "value": name}).to_string();
        expect_done(&ann.post(&server, DATA, &body), 201);
    }
    for name in names {
        assert_eq!(stored(&server, &ann, name), name);
        let target = format!("/api/data/retrieve?key={}", encoded(name));
        assert_eq!(expect_done(&ann.get(&server, &target), 200), json!({"key": name, "value": name}));
        let target = format!("{DATA}/{}", encoded(name));
        expect_done(&ann.put(&server, &target, r#"{"value":"new"}"#), 200);
        assert_eq!(stored(&server, &ann, name), "new");
        expect_done(&ann.delete(&server, &target), 200);
        expect_failed(&ann.get(&server, &target), 404, "KEY_NOT_FOUND");
    }
    ann.post(&server, DATA, r#"{"key":"a/b","value":1}"#).expect(201);
    assert_eq!(
        expect_done(&ann.get(&server, "/api/data/a/b"), 200)["key"],
        "a/b",
        "a slash need not be encoded"
    );
}

#[test]
fn the_names_of_pages_are_keys_for_scripts_alone() {
    let (server, ann) = server_with_ann();
    let mut browser = Browser::signed_in(&server, "ann");
    for name in ["retrieve", "update", "delete"] {
        let target = format!("{DATA}/{name}");
        expect_failed(&ann.get(&server, &target), 404, "KEY_NOT_FOUND");
        ann.post(&server, DATA, &json!({"key": name, "value": "script's"}).to_string()).expect(201);
        assert_eq!(expect_done(&ann.get(&server, &target), 200), json!({"key": name, "value": "script's"}));
        expect_done(&ann.put(&server, &target, r#"{"value":"new"}"#), 200);
        let page = browser.get(&server, &target).expect(200);
        assert!(page.text().contains("<form"), "{target} is a page for browsers");
        expect_done(&ann.delete(&server, &target), 200);
    }
    // With a key, retrieve is seed 000's for everybody; an empty one is none.
    ann.post(&server, DATA, r#"{"key":"retrieve","value":1}"#).expect(201);
    expect_failed(&ann.get(&server, "/api/data/retrieve?key=other"), 404, "KEY_NOT_FOUND");
    expect_failed(&ann.get(&server, "/api/data/retrieve?key="), 400, "INVALID_KEY");
    expect_failed(&ann.get(&server, "/api/data/retrieve?key=a&key=b"), 400, "INVALID_QUERY");
}

#[test]
fn the_names_of_all_keys_come_in_pages_each_once() {
    let (server, ann) = server_with_ann();
    let mut expected: Vec<String> = (0..120).map(|number| format!("key {number:03}")).collect();
    expected.push("\u{1F600}".to_owned());
    for chunk in expected.chunks(100) {
        let objects: Vec<Value> = chunk.iter().map(|key| json!({"key": key, "data": 1})).collect();
        ann.post(&server, "/api/batch/object", &json!(objects).to_string()).expect(201);
    }
    let (mut found, mut pages, mut target) = (Vec::new(), 0, DATA.to_owned());
    loop {
        let data = expect_done(&ann.get(&server, &target), 200);
        found.extend(data["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()));
        pages += 1;
        let Some(cursor) = data["cursor"].as_str() else { break };
        target = format!("{DATA}?cursor={}", encoded(cursor));
    }
    assert_eq!((found, pages), (expected, 3));
    for cursor in ["nonsense!", "1.6162"] {
        expect_failed(&ann.get(&server, &format!("/api/data?cursor={cursor}")), 400, "INVALID_CURSOR");
    }
}

#[test]
fn everybody_has_keys_of_their_own_and_the_same_ones_in_every_api() {
    let (server, ann) = server_with_ann();
    let bob = Person::register(&server, "bob");
    for (person, value) in [(&ann, "ann's"), (&bob, "bob's")] {
        expect_done(&person.post(&server, DATA, &json!({"key": "k", "value": value}).to_string()), 201);
    }
    bob.delete(&server, "/api/data/k").expect(200);
    assert_eq!(stored(&server, &ann, "k"), "ann's");
    expect_failed(&bob.get(&server, "/api/data/k"), 404, "KEY_NOT_FOUND");
    assert_eq!(ann.get(&server, "/api/object/k").expect(200).json(), json!({"key": "k", "data": "ann's"}));
    assert_eq!(ann.get(&server, "/item/k").expect(200).json(), json!({"k": "ann's"}));
}

/// Every request that needs somebody, as [`Person::send`] takes it.
const NEEDING: [(&str, &str, &str); 10] = [
    ("GET", "/api/data", ""),
    ("POST", "/api/data", r#"{"key":"k","value":1}"#),
    ("GET", "/api/data/k", ""),
    ("GET", "/api/data/retrieve", ""),
    ("GET", "/api/data/retrieve?key=k", ""),
    ("GET", "/api/data/update", ""),
    ("PUT", "/api/data/k", r#"{"value":1}"#),
    ("POST", "/api/data/update", r#"{"key":"k","value":1}"#),
    ("DELETE", "/api/data/k", ""),
    ("POST", "/api/data/delete", r#"{"key":"k"}"#),
];

#[test]
fn without_a_valid_token_there_is_nothing() {
    let (server, ann) = server_with_ann();
    ann.post(&server, DATA, r#"{"key":"k","value":"kept"}"#).expect(201);
    let check = |answer: Response| {
        expect_failed(&answer, 401, "INVALID_TOKEN");
    };
    let mut forged = ann.token.clone();
    forged.replace_range(forged.len() - 5..forged.len() - 4, if forged.contains('x') { "y" } else { "x" });
    for (method, target, body) in NEEDING {
        check(send_json(&server, method, target, &[], body));
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a.b.c",
            &forged,
            crate::harness::GLOBAL_KEY,
            crate::harness::DEMO_KEY,
        ] {
            check(send_json(&server, method, target, &[("Authorization", value)], body));
        }
        let other = format!("Token {}", ann.token);
        check(send_json(&server, method, target, &[("Authorization", &other)], body));
        let two = [("Authorization", ann.token.as_str()), ("X-API-Key", "another-key-0123456789")];
        check(send_json(&server, method, target, &two, body));
    }
    assert_eq!(stored(&server, &ann, "k"), "kept");
    for header in ["X-API-Key", "Api-Key", "authorization"] {
        expect_done(&send_json(&server, "GET", DATA, &[(header, &ann.token)], ""), 200);
    }
}

#[test]
fn a_session_does_all_that_a_token_does() {
    let (server, ann) = server_with_ann();
    let mut browser = Browser::signed_in(&server, "ann");
    let fields = [("Content-Type", "application/json"), SAME_ORIGIN];
    let mut send = |method, target, body| browser.send(&server, method, target, &fields, body);
    expect_done(&send("POST", DATA, r#"{"key":"k","value":1}"#), 201);
    expect_done(&send("PUT", "/api/data/k", r#"{"value":2}"#), 200);
    expect_done(&send("POST", "/api/data/update", r#"{"key":"k","value":3}"#), 200);
    assert_eq!(expect_done(&send("GET", "/api/data/k", ""), 200), json!({"key": "k", "value": 3}));
    assert_eq!(stored(&server, &ann, "k"), 3);
    expect_done(&send("POST", "/api/data/delete", r#"{"key":"k"}"#), 200);
    expect_failed(&send("DELETE", "/api/data/k", ""), 404, "KEY_NOT_FOUND");
}

#[test]
fn what_was_answered_survives_a_crash() {
    let (mut server, ann) = server_with_ann();
    let mut browser = Browser::signed_in(&server, "ann");
    browser.post(&server, DATA, &[("key", "form"), ("value", "v")]).expect(200);
    ann.post(&server, DATA, r#"{"key":"script","value":1}"#).expect(201);
    register(&server, "bob");
    server.kill();
    server.start_again();
    assert!(browser.is_signed_in(&server));
    assert_eq!(expect_done(&ann.get(&server, DATA), 200)["keys"], json!(["form", "script"]));
    Browser::signed_in(&server, "bob");
}

#[test]
fn forms_of_scripts_are_answered_with_json_whatever_they_accept() {
    let (server, ann) = server_with_ann();
    let bearer = format!("Bearer {}", ann.token);
    let send = |fields: &[(&str, &str)], body: &str| {
        let fields = [&[("Authorization", &*bearer), FORM], fields].concat();
        server.request("POST", DATA, None, &fields, body.as_bytes())
    };
    expect_done(&send(&[("Accept", "application/json")], "key=a&value=1"), 201);
    assert_eq!(stored(&server, &ann, "a"), "1", "a form has texts");
    expect_done(&send(&[], "key=b&value=1"), 201);
    expect_failed(&send(&[HTML], "key=b&value=1"), 409, "KEY_EXISTS");
}
