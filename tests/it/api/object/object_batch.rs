//! `/api/batch/object`: many keys of an account at once.

use crate::harness::people::{Person, people_config};
use crate::harness::{Server, wait_until};
use serde_json::json;

const CREATE: &str = "/api/batch/object";
const GET: &str = "/api/batch/object/get";

#[test]
fn a_batch_has_at_most_1000_objects() {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    let objects =
        |count: usize| -> Vec<_> { (0..count).map(|i| json!({"key": format!("k{i}"), "data": i})).collect() };
    ann.post(&server, CREATE, &json!(objects(1_001)).to_string()).error(400);
    let created = ann.post(&server, CREATE, &json!(objects(1_000)).to_string()).expect(201).json();
    assert_eq!((&created["created"], &created["skipped"]), (&json!(1_000), &json!([])));
    let keys: Vec<_> = (0..1_000).map(|i| format!("k{i}")).collect();
    let got = ann.post(&server, GET, &json!({"keys": keys}).to_string()).expect(200).json();
    assert_eq!(got, json!({"objects": objects(1_000), "missing": []}));
}

#[test]
fn a_value_that_cannot_be_read_is_500_in_the_form_of_each_api() {
    let mut config = people_config();
    config["default"]["storage"]["cache_in_memory"] = false.into();
    let server = Server::start_with(config);
    let ann = Person::register(&server, "ann");
    ann.post(&server, CREATE, r#"[{"key":"a","data":1},{"key":"b","data":2}]"#).expect(201);
    let emptied = |name: &str| {
        let file = std::fs::OpenOptions::new().write(true).open(server.data_path(name));
        file.is_ok_and(|file| file.set_len(0).is_ok())
    };
    wait_until("its journal is emptied", || emptied("_account_data.journal"));
    ann.get(&server, "/api/object/a").error(500);
    ann.get(&server, "/item/a").error(500);
    ann.post(&server, GET, r#"{"keys":["a"]}"#).error(500);
    let answer = ann.get(&server, "/api/data/a").expect(500).json();
    assert_eq!((&answer["status"], &answer["code"]), (&json!("error"), &json!("DISK_ERROR")), "{answer}");
}
