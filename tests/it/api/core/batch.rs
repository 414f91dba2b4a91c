//! `POST /batch`: all or nothing, in order.

use crate::harness::kv::{BATCH, KEYS, Kv};
use serde_json::{Value, json};

fn batch(kv: &Kv, operations: Value) -> crate::harness::Response {
    kv.project().post(BATCH, &json!({"operations": operations}).to_string())
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
    assert!(problem["detail"].as_str().unwrap().contains("1,000"), "{problem}");
    assert_eq!(kv.project().get(KEYS).json()["count"], 0);
    let results = batch(&kv, operations(1_000)).expect(200).json();
    assert_eq!(results["results"].as_array().unwrap().len(), 1_000);
    kv.crash_and_start();
    assert_eq!(kv.project().get(KEYS).json()["count"], 1_000);
}
