//! `/api/data` for scripts (seed 003): the table of the contract, row by row.

use crate::harness::Server;
use crate::harness::people::{Person, people_config, register};
use crate::harness::visitors::{Browser, encoded, expect_done, expect_failed};
use serde_json::{Value, json};

const DATA: &str = "/api/data";

fn server_with_ann() -> (Server, Person) {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    (server, ann)
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
fn answered_writes_survive_a_crash() {
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
