//! `/api/object` and `/login` (seed 001): what its clients send, and exactly what they get.

use crate::harness::kv::encoded;
use crate::harness::people::{Person, people_config};
use crate::harness::{Server, wait_until};
use serde_json::json;

const OBJECT: &str = "/api/object";
const MADE: &str = r#"{"message":"Key-Value pair created"}"#;
const UPDATED: &str = r#"{"message":"Key-Value pair updated"}"#;
const GONE: &str = r#"{"error":"Key not found or expired"}"#;

fn path(key: &str) -> String {
    format!("{OBJECT}/{}", encoded(key))
}

fn server_and_ann() -> (Server, Person) {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    (server, ann)
}

#[test]
fn an_expired_key_is_absent_for_every_request() {
    let (server, ann) = server_and_ann();
    for ttl in ["1.5", "\"5\"", "true", "false", "-0", "0.0", "-1", "315360001", "1e2"] {
        ann.post(&server, OBJECT, &format!("{{\"key\":\"a\",\"data\":1,\"ttl\":{ttl}}}")).error(400);
    }
    for ttl in ["null", "1", "315360000"] {
        let body = format!("{{\"key\":\"ok{ttl}\",\"data\":1,\"ttl\":{ttl}}}");
        ann.post(&server, OBJECT, &body).exactly(201, MADE);
    }
    for key in ["kept", "kept-by-put"] {
        ann.post(&server, OBJECT, &json!({"key": key, "data": 1, "ttl": 1}).to_string()).exactly(201, MADE);
    }
    ann.put(&server, &path("kept"), r#"{"data":2}"#).exactly(200, UPDATED);
    ann.put(&server, &path("kept-by-put"), r#"{"data":2,"ttl":60}"#).exactly(200, UPDATED);
    ann.post(&server, OBJECT, r#"{"key":"put","data":1}"#).exactly(201, MADE);
    ann.put(&server, &path("put"), r#"{"data":2,"ttl":1}"#).exactly(200, UPDATED);
    let batch = json!(["a", "b", "c", "last"].map(|key| json!({"key": key, "data": 1, "ttl": 1})));
    ann.post(&server, "/api/batch/object", &batch.to_string()).expect(201);
    wait_until("the last key expires", || ann.get(&server, &path("last")).status == 404);
    for key in ["ok1", "put", "a", "last"] {
        ann.get(&server, &path(key)).exactly(404, GONE);
    }
    ann.put(&server, &path("a"), r#"{"data":1}"#).exactly(404, GONE);
    ann.delete(&server, &path("a")).exactly(404, r#"{"error":"Key not found"}"#);
    ann.post(&server, OBJECT, r#"{"key":"b","data":2}"#).exactly(201, MADE);
    let body = json!([{"key": "c", "data": 2}, {"key": "b", "data": 3}]).to_string();
    let answer = r#"{"message":"Batch create complete","created":1,"skipped":["b"]}"#;
    ann.post(&server, "/api/batch/object", &body).exactly(201, answer);
    let body = r#"{"keys":["a","last","kept","kept-by-put","ok315360000","oknull"]}"#;
    let answer = ann.post(&server, "/api/batch/object/get", body).expect(200).json();
    assert_eq!(answer["missing"], json!(["a", "last"]));
    let found = answer["objects"].as_array().unwrap();
    assert_eq!(found[0], json!({"key": "kept", "data": 2}));
    assert_eq!((found.len(), &found[1]["data"]), (4, &json!(2)));
    ann.post(&server, "/api/batch/object/delete", r#"{"keys":["a","kept"]}"#)
        .exactly(200, r#"{"deleted":1,"missing":["a"]}"#);
}

#[test]
fn a_ttl_of_zero_means_no_expiry() {
    let (server, ann) = server_and_ann();
    ann.post(&server, OBJECT, r#"{"key":"post","data":1,"ttl":0}"#).exactly(201, MADE);
    ann.post(
        &server,
        "/api/batch/object",
        r#"[{"key":"batch","data":1,"ttl":0},{"key":"one","data":1,"ttl":1}]"#,
    )
    .expect(201);
    ann.post(&server, OBJECT, r#"{"key":"put","data":1,"ttl":1}"#).exactly(201, MADE);
    ann.put(&server, &path("put"), r#"{"data":2,"ttl":0}"#).exactly(200, UPDATED);
    wait_until("the key with a ttl of 1 expires", || ann.get(&server, &path("one")).status == 404);
    for key in ["post", "batch", "put"] {
        ann.get(&server, &path(key)).expect(200);
    }
}

#[test]
fn a_chunked_body_above_the_limit_is_413_in_the_form_of_its_api() {
    let mut config = people_config();
    config["limits"] = json!({"body_bytes_max": 1000});
    let server = Server::start_with(config);
    let mut connection = server.connect();
    let head = "POST /api/object HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(format!("{head}3e9\r\n").as_bytes());
    connection.read_response().error(413);
    connection.expect_closed();
}
