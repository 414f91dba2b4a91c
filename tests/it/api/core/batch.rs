//! `POST /batch`: all or nothing, in order.

use crate::harness::kv::{BATCH, KEYS, Kv, key_path};
use serde_json::{Value, json};

fn batch(kv: &Kv, operations: Value) -> crate::harness::Response {
    kv.project().post(BATCH, &json!({"operations": operations}).to_string())
}

#[test]
fn results_come_in_the_order_of_the_operations() {
    let kv = Kv::new();
    let answer = batch(
        &kv,
        json!([
            {"op": "set", "key": "a", "value": 1},
            {"op": "get", "key": "a"},
            {"op": "set", "key": "a", "value": {"x": [2]}, "ttl": 60},
            {"op": "get", "key": "a"},
            {"op": "delete", "key": "a"},
            {"op": "get", "key": "a"},
            {"op": "delete", "key": "a"},
            {"op": "set", "key": "b", "value": null},
        ]),
    );
    let answer = answer.expect(200).json();
    assert_eq!(answer.as_object().unwrap().len(), 1);
    let results = answer["results"].as_array().unwrap();
    let expected = ["set", "get", "set", "get", "delete", "get", "delete", "set"];
    assert_eq!(results.iter().map(|result| result["op"].as_str().unwrap()).collect::<Vec<_>>(), expected);
    assert_eq!((&results[0]["created"], &results[2]["created"]), (&json!(true), &json!(false)));
    assert_eq!((&results[1]["value"], &results[1]["found"]), (&json!(1), &json!(true)));
    assert_eq!(results[1]["revision"], results[0]["revision"]);
    assert_eq!((&results[3]["value"], &results[3]["found"]), (&json!({"x": [2]}), &json!(true)));
    assert!(results[3]["expires_at"].is_string() && results[0]["expires_at"].is_null());
    assert_eq!(results[4], json!({"op": "delete", "key": "a", "deleted": true}));
    assert_eq!(results[5], json!({"op": "get", "key": "a", "found": false}));
    assert_eq!(results[6], json!({"op": "delete", "key": "a", "deleted": false}));
    assert!(results[7]["revision"].as_u64() > results[2]["revision"].as_u64());
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"b": null}));
}

#[test]
fn a_result_of_set_is_its_receipt_and_of_get_its_entry() {
    let kv = Kv::new();
    let results =
        batch(&kv, json!([{"op": "set", "key": "a", "value": 1}, {"op": "get", "key": "a"}])).json();
    let mut entry = kv.project().get(&key_path("a")).json();
    entry["op"] = "get".into();
    entry["found"] = true.into();
    assert_eq!(results["results"][1], entry);
    let receipt = entry.as_object_mut().unwrap();
    receipt.remove("value");
    receipt.remove("found");
    receipt.insert("type".to_owned(), "number".into());
    receipt["op"] = "set".into();
    receipt.insert("created".to_owned(), true.into());
    assert_eq!(results["results"][0], entry);
}

#[test]
fn values_in_a_batch_are_kept_as_sent() {
    let mut kv = Kv::new();
    let odd = [r#"{"a":1,"a":2}"#, "1e400", "-0", "12345678901234567890123", r#""\u0041""#];
    let set =
        |(place, value): (usize, &&str)| format!(r#"{{"op":"set","key":"k{place}","value": {value} }}"#);
    let operations: Vec<String> = odd.iter().enumerate().map(set).collect();
    let body = format!(r#"{{"operations":[{}]}}"#, operations.join(","));
    kv.project().post(BATCH, &body).expect(200);
    kv.crash_and_start();
    for (place, value) in odd.iter().enumerate() {
        let entry = kv.project().get(&key_path(&format!("k{place}"))).expect(200);
        assert!(entry.text().contains(&format!("\"value\":{value},")), "{}", entry.text());
    }
    let read = kv.project().post(BATCH, r#"{"operations":[{"op":"get","key":"k0"}]}"#).expect(200);
    assert!(read.text().contains(r#""value":{"a":1,"a":2}"#), "{}", read.text());
}

/// Every way in which one operation may be wrong, and the code that says so.
fn bad_operations() -> Vec<Value> {
    let deep: Value = serde_json::from_str(&("[".repeat(101) + &"]".repeat(101))).unwrap();
    vec![
        json!({"op": "put", "key": "x", "value": 1}),
        json!({"op": "SET", "key": "x", "value": 1}),
        json!({"op": 1, "key": "x", "value": 1}),
        json!({"key": "x", "value": 1}),
        json!({"op": "set", "key": "x"}),
        json!({"op": "set", "value": 1}),
        json!({"op": "set", "key": 1, "value": 1}),
        json!({"op": "set", "key": "", "value": 1}),
        json!({"op": "set", "key": "..", "value": 1}),
        json!({"op": "set", "key": "a\n", "value": 1}),
        json!({"op": "set", "key": "x".repeat(1025), "value": 1}),
        json!({"op": "set", "key": "x", "value": 1, "ttl": 0}),
        json!({"op": "set", "key": "x", "value": 1, "ttl": "1"}),
        json!({"op": "set", "key": "x", "value": 1, "tll": 1}),
        json!({"op": "set", "key": "x", "value": 1, "if_revision": -1}),
        json!({"op": "set", "key": "x", "value": 1, "if_revision": "1"}),
        json!({"op": "set", "key": "x", "value": deep}),
        json!({"op": "get", "key": "x", "value": 1}),
        json!({"op": "get", "key": "x", "ttl": 1}),
        json!({"op": "delete", "key": "x", "value": 1}),
        json!({"op": "delete"}),
        json!("set"),
        json!(null),
        json!([]),
    ]
}

#[test]
fn one_bad_operation_changes_nothing_and_is_named() {
    let kv = Kv::new();
    kv.project().put(&key_path("kept"), "1").expect(201);
    for bad in bad_operations() {
        let operations = json!([
            {"op": "set", "key": "new", "value": 1},
            {"op": "delete", "key": "kept"},
            bad,
            {"op": "nonsense"},
        ]);
        let answer = batch(&kv, operations);
        let problem = answer.clone().expect(400).json();
        assert_eq!(problem["index"], 2, "{bad}: {problem}");
        answer.expect_problem(400, problem["code"].as_str().unwrap());
    }
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"kept": 1}));
}

#[test]
fn a_condition_that_fails_changes_nothing_and_is_named_with_what_is_there() {
    let mut kv = Kv::new();
    let a = kv.project().put(&key_path("a"), "1").expect(201);
    let mut current = a.json();
    current.as_object_mut().unwrap().remove("type");
    let failing = [
        (json!({"op": "set", "key": "a", "value": 2, "if_revision": a.revision() + 1_000}), current.clone()),
        (json!({"op": "set", "key": "a", "value": 2, "if_revision": 0}), current.clone()),
        (json!({"op": "delete", "key": "a", "if_revision": 1}), current),
        (json!({"op": "set", "key": "absent", "value": 2, "if_revision": 5}), Value::Null),
        (json!({"op": "delete", "key": "absent", "if_revision": 5}), Value::Null),
    ];
    for (operation, current) in failing {
        let problem = batch(&kv, json!([{"op": "set", "key": "b", "value": 1}, operation]));
        let problem = problem.problem(412, "precondition_failed");
        assert_eq!((&problem["index"], &problem["current"]), (&json!(1), &current), "{operation}");
    }
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"a": 1}));
    kv.crash_and_start();
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"a": 1}));
    assert_eq!(kv.project().get(&key_path("a")).etag(), a.etag());
}

#[test]
fn conditions_that_hold_let_the_batch_through() {
    let kv = Kv::new();
    let revision = kv.project().put(&key_path("a"), "1").expect(201).revision();
    let operations = json!([
        {"op": "set", "key": "a", "value": 2, "if_revision": revision},
        {"op": "set", "key": "b", "value": 3, "if_revision": 0},
        {"op": "delete", "key": "c", "if_revision": 0},
    ]);
    let results = batch(&kv, operations).expect(200).json();
    assert_eq!(results["results"][2]["deleted"], false);
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"a": 2, "b": 3}));
}

#[test]
fn a_condition_sees_what_the_operations_before_it_did() {
    let kv = Kv::new();
    let operations = json!([
        {"op": "set", "key": "a", "value": 1},
        {"op": "set", "key": "a", "value": 2, "if_revision": 0},
    ]);
    assert_eq!(batch(&kv, operations).problem(412, "precondition_failed")["index"], 1);
    kv.project().get(&key_path("a")).expect(404);
    kv.project().put(&key_path("a"), "1").expect(201);
    let operations = json!([
        {"op": "delete", "key": "a"},
        {"op": "set", "key": "a", "value": 2, "if_revision": 0},
    ]);
    batch(&kv, operations).expect(200);
}

#[test]
fn a_batch_has_up_to_1000_operations() {
    let mut kv = Kv::new();
    let operations = |count: usize| {
        let operations =
            (0..count).map(|number| json!({"op": "set", "key": format!("{number:04}"), "value": number}));
        Value::Array(operations.collect())
    };
    assert_eq!(batch(&kv, json!([])).expect(200).json(), json!({"results": []}));
    let problem = batch(&kv, operations(1_001)).problem(400, "invalid_batch");
    assert!(problem["detail"].as_str().unwrap().contains("1000"), "{problem}");
    assert_eq!(kv.project().get(KEYS).json()["count"], 0);
    let results = batch(&kv, operations(1_000)).expect(200).json();
    assert_eq!(results["results"].as_array().unwrap().len(), 1_000);
    kv.crash_and_start();
    assert_eq!(kv.project().get(KEYS).json()["count"], 1_000);
}

#[test]
fn a_body_that_is_no_batch_is_refused() {
    let kv = Kv::new();
    for body in
        ["[]", "{}", r#"{"operations":{}}"#, r#"{"operations":null}"#, r#"{"operations":[],"x":1}"#, "1"]
    {
        let problem = kv.project().post(BATCH, body).expect(400).json();
        assert!(
            ["invalid_batch", "invalid_body"].contains(&problem["code"].as_str().unwrap()),
            "{body}: {problem}"
        );
    }
    for body in ["", "{", r#"{"operations":[}"#] {
        kv.project().post(BATCH, body).problem(400, "invalid_json");
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    kv.project().send("POST", BATCH, &form, br#"{"operations":[]}"#).expect(200);
    kv.project()
        .send("POST", BATCH, &[("Content-Type", "text/html")], b"{}")
        .problem(415, "unsupported_media_type");
    kv.project().post(&format!("{BATCH}?x=1"), r#"{"operations":[]}"#).problem(400, "invalid_query");
}

#[test]
fn a_batch_of_a_project_without_cache_reads_stored_values() {
    let mut kv = Kv::edited(|config| config["projects"][0]["storage"]["cache_in_memory"] = false.into());
    kv.project().put(&key_path("a"), r#"{"x": 1}"#).expect(201);
    kv.restart();
    let operations = json!([
        {"op": "get", "key": "a"},
        {"op": "set", "key": "a", "value": 2},
        {"op": "get", "key": "a"},
    ]);
    let results = batch(&kv, operations).expect(200).json();
    assert_eq!(results["results"][0]["value"], json!({"x": 1}));
    assert_eq!(results["results"][2]["value"], 2);
}

#[test]
fn values_that_are_too_much_for_one_answer_are_refused_and_nothing_is_changed() {
    let kv = Kv::new();
    kv.project().put(&key_path("big"), &format!("\"{}\"", "x".repeat(1_000_000))).expect(201);
    let mut operations = vec![json!({"op": "set", "key": "before", "value": 1})];
    operations.extend((0..80).map(|_| json!({"op": "get", "key": "big"})));
    let answer = batch(&kv, Value::Array(operations));
    answer.expect_problem(400, "invalid_batch");
    assert_eq!(answer.json()["index"], 9, "8 MiB are 8 of these values");
    kv.project().get(&key_path("before")).expect(404);
}
