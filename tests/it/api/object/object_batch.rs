//! `/api/batch/object`: many keys of an account at once.

use crate::harness::people::{Person, people_config};
use crate::harness::{Server, wait_until};
use serde_json::{Value, json};

const CREATE: &str = "/api/batch/object";
const GET: &str = "/api/batch/object/get";
const DELETE: &str = "/api/batch/object/delete";

fn server_and_ann() -> (Server, Person) {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    (server, ann)
}

fn created(count: usize, skipped: &str) -> String {
    format!("{{\"message\":\"Batch create complete\",\"created\":{count},\"skipped\":{skipped}}}")
}

#[test]
fn a_batch_makes_what_is_not_there_and_names_what_is() {
    let (server, ann) = server_and_ann();
    ann.post(&server, "/api/object", r#"{"key":"b","data":"old"}"#).expect(201);
    let body =
        r#"[{"key":"a","data":1e400},{"key":"b","data":2},{"key":"a","data":3},{"key":"c\n","data":4}]"#;
    let error = ann.post(&server, CREATE, body).expect(400).json();
    assert_eq!(error["index"], 3, "{error}");
    let body = body.replace("\\n", "");
    ann.post(&server, CREATE, &body).exactly(201, &created(2, r#"["b","a"]"#));
    let body = r#"{"keys":["c","x","b","a","x","a"]}"#;
    let objects =
        r#"{"key":"c","data":4},{"key":"b","data":"old"},{"key":"a","data":1e400},{"key":"a","data":1e400}"#;
    ann.post(&server, GET, body)
        .exactly(200, &format!("{{\"objects\":[{objects}],\"missing\":[\"x\",\"x\"]}}"));
    let body = r#"{"keys":["a","x","a","b"]}"#;
    ann.post(&server, DELETE, body).exactly(200, r#"{"deleted":2,"missing":["x","a"]}"#);
    ann.post(&server, GET, r#"{"keys":["a","b"]}"#).exactly(200, r#"{"objects":[],"missing":["a","b"]}"#);
    ann.post(&server, CREATE, "[]").exactly(201, &created(0, "[]"));
    ann.post(&server, GET, r#"{"keys":[]}"#).exactly(200, r#"{"objects":[],"missing":[]}"#);
    ann.post(&server, DELETE, r#"{"keys":[]}"#).exactly(200, r#"{"deleted":0,"missing":[]}"#);
}

#[test]
fn one_bad_element_is_named_and_nothing_is_stored_or_deleted() {
    let (server, ann) = server_and_ann();
    ann.post(&server, CREATE, r#"[{"key":"there","data":1}]"#).expect(201);
    let check = |target: &str, body: &str, index: &Value, problem: &str| {
        let answer = ann.post(&server, target, body).expect(400).json();
        let error = answer["error"].as_str().unwrap();
        assert!(answer["index"] == *index && error.contains(problem), "{body}: {answer}");
        assert!(index.is_null() || error.contains(&index.to_string()), "{body}: {error}");
    };
    for (element, problem) in [
        ("1", "object"),
        (r#"["b",1]"#, "object"),
        (r#"{"key":"b"}"#, "`data` is missing"),
        (r#"{"data":1}"#, "`key` is missing"),
        (r#"{"key":7,"data":1}"#, "not a string"),
        (r#"{"key":"..","data":1}"#, "not keys"),
        (r#"{"key":"b","data":1,"ttl":-1}"#, "315360000"),
        (r#"{"key":"b","data":1,"more":1}"#, "more"),
    ] {
        check(CREATE, &format!("[{{\"key\":\"new\",\"data\":1}},{element}]"), &json!(1), problem);
    }
    for element in ["1", "null", "[]", "\"\"", "\".\"", &format!("\"{}\"", "x".repeat(1025))] {
        for target in [GET, DELETE] {
            check(target, &format!("{{\"keys\":[\"there\",{element}]}}"), &json!(1), "");
        }
    }
    for body in [r#"{"key":"b","data":1}"#, "1", "null", "\"a\""] {
        check(CREATE, body, &Value::Null, "array");
    }
    for body in
        ["[]", "{}", r#"{"keys":null}"#, r#"{"keys":"there"}"#, r#"{"keys":[],"more":1}"#, "[\"there\"]"]
    {
        check(GET, body, &Value::Null, "{\"keys\":[…]}");
        check(DELETE, body, &Value::Null, "{\"keys\":[…]}");
    }
    ann.post(&server, GET, r#"{"keys":["there","new","b"]}"#)
        .exactly(200, r#"{"objects":[{"key":"there","data":1}],"missing":["new","b"]}"#);
}

#[test]
fn a_batch_has_a_thousand_elements_at_most() {
    let (server, ann) = server_and_ann();
    let names = |count: usize| (0..count).map(|number| format!("k{number}")).collect::<Vec<_>>();
    let objects =
        |count| json!(names(count).iter().map(|key| json!({"key": key, "data": key})).collect::<Vec<_>>());
    let keys = |count| json!({"keys": names(count)}).to_string();
    for (target, body) in [(CREATE, objects(1001).to_string()), (GET, keys(1001)), (DELETE, keys(1001))] {
        let error = ann.post(&server, target, &body).error(400);
        assert!(error.contains("1000") && error.contains("1001"), "{error}");
    }
    ann.post(&server, CREATE, &objects(1000).to_string()).exactly(201, &created(1000, "[]"));
    let found = ann.post(&server, GET, &keys(1000)).expect(200).json();
    assert_eq!((&found["objects"], &found["missing"]), (&objects(1000), &json!([])));
    ann.post(&server, DELETE, &keys(1000)).exactly(200, r#"{"deleted":1000,"missing":[]}"#);
}

#[test]
fn the_same_large_value_asked_for_often_makes_no_answer_that_fills_the_memory() {
    let (server, ann) = server_and_ann();
    let large = json!({"key": "large", "data": "x".repeat(1_000_000)}).to_string();
    ann.post(&server, "/api/object", &large).expect(201);
    let keys = |count: usize| json!({"keys": vec!["large"; count]}).to_string();
    let error = ann.post(&server, GET, &keys(1000)).error(400);
    assert!(error.contains("67108864") && error.contains("68000136"), "{error}");
    assert_eq!(ann.post(&server, GET, &keys(2)).expect(200).json()["objects"].as_array().unwrap().len(), 2);
}

#[test]
fn values_that_lie_in_files_are_read_by_every_api() {
    let mut config = people_config();
    config["default"]["storage"]["cache_in_memory"] = false.into();
    config["projects"][0]["storage"]["cache_in_memory"] = false.into();
    let mut server = Server::start_with(config);
    let ann = Person::register(&server, "ann");
    let data = r#"{"b":1e400,"a":-0}"#;
    ann.post(&server, CREATE, &format!("[{{\"key\":\"a\",\"data\":{data}}},{{\"key\":\"b\",\"data\":2}}]"))
        .expect(201);
    let key = ("X-API-Key", crate::harness::DEMO_KEY);
    let sent = crate::harness::people::send_json(
        &server,
        "POST",
        "/item/a",
        &[key],
        &format!("{{\"value\":{data}}}"),
    );
    sent.exactly(201, &format!("{{\"a\":{data}}}"));
    for _ in 0..2 {
        let object = format!("{{\"key\":\"a\",\"data\":{data}}}");
        ann.get(&server, "/api/object/a").exactly(200, &object);
        ann.get(&server, "/item/a").exactly(200, &format!("{{\"a\":{data}}}"));
        let read = ann.get(&server, "/api/data/a").expect(200);
        assert!(read.text().contains(&format!("{{\"key\":\"a\",\"value\":{data}}}")), "{read:?}");
        let read = ann.get(&server, "/api/data/retrieve?key=a").expect(200);
        assert!(read.text().contains(data), "{read:?}");
        let found = format!("{{\"objects\":[{{\"key\":\"b\",\"data\":2}},{object}],\"missing\":[\"x\"]}}");
        ann.post(&server, GET, r#"{"keys":["b","x","a"]}"#).exactly(200, &found);
        let read = crate::harness::people::send_json(&server, "GET", "/item/a", &[key], "");
        read.exactly(200, &format!("{{\"a\":{data}}}"));
        server.restart();
    }
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
