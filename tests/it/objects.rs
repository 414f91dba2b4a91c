//! `/api/object` (seed 001): what its clients send, and exactly what they get.

use crate::harness::{Response, Server};
use crate::people::{PASSWORD, Person, people_config, send_json};
use serde_json::json;

const OBJECT: &str = "/api/object";

/// Fails unless the answer is `status` with exactly `body` and a line end, as JSON.
#[track_caller]
fn check(answer: Response, status: u16, body: &str) {
    let answer = answer.expect(status);
    assert_eq!(answer.text(), format!("{body}\n"));
    assert_eq!(answer.field("content-type"), Some("application/json"));
}

#[test]
fn an_object_is_made_read_replaced_and_deleted_with_the_seeds_bodies() {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    let path = "/api/object/exampleKey";
    let made = r#"{"key": "exampleKey", "data": {"info": "exampleData"}, "ttl": 3600}"#;
    check(ann.post(&server, OBJECT, made), 201, r#"{"message":"Key-Value pair created"}"#);
    check(ann.post(&server, OBJECT, made), 409, r#"{"error":"Key already exists"}"#);
    check(ann.get(&server, path), 200, r#"{"key":"exampleKey","data":{"info":"exampleData"}}"#);
    check(ann.put(&server, path, r#"{"data":[1]}"#), 200, r#"{"message":"Key-Value pair updated"}"#);
    check(ann.get(&server, path), 200, r#"{"key":"exampleKey","data":[1]}"#);
    check(ann.delete(&server, path), 200, r#"{"message":"Key-Value pair deleted"}"#);
    check(ann.delete(&server, path), 404, r#"{"error":"Key not found"}"#);
    check(ann.get(&server, path), 404, r#"{"error":"Key not found or expired"}"#);
    check(ann.put(&server, path, r#"{"data":1}"#), 404, r#"{"error":"Key not found or expired"}"#);
}

#[test]
fn login_gives_a_token_that_works() {
    let server = Server::start_with(people_config());
    let ann = Person::register(&server, "ann");
    let body = json!({"username": ann.username, "password": PASSWORD}).to_string();
    let answer = send_json(&server, "POST", "/login", &[], &body).expect(200).json();
    let token = answer["token"].as_str().unwrap();
    let expected = json!({"token": token, "access_token": token, "token_type": "Bearer", "expires_in": 3600});
    assert_eq!(answer, expected);
    let ann = Person { token: token.to_owned(), ..ann };
    ann.post(&server, OBJECT, r#"{"key":"a","data":1}"#).expect(201);
}
