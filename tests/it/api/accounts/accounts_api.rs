//! `/api/v1/accounts`: who runs the server looks after accounts.

use crate::harness::people::{Person, people_config};
use crate::harness::{GLOBAL_KEY, Response, Server};
use serde_json::{Value, json};

const ACCOUNTS: &str = "/api/v1/accounts";

fn send(server: &Server, method: &str, target: &str, body: &Value) -> Response {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    server.request(method, target, Some(GLOBAL_KEY), &[("content-type", "application/json")], text.as_bytes())
}

#[test]
fn a_new_account_gets_nothing_of_a_deleted_one_with_the_same_name() {
    let mut server = Server::start_with(people_config());
    let bob = Person::register(&server, "b+b");
    bob.post(&server, "/api/data", "{\"key\":\"secret-of-bob\",\"value\":1}").expect(201);
    send(&server, "DELETE", &format!("{ACCOUNTS}/b%2Bb"), &Value::Null).expect(204);
    bob.get(&server, "/api/data").expect(401);
    let second = Person::register(&server, "b+b");
    second.get(&server, "/api/data/secret-of-bob").expect(404);
    bob.get(&server, "/api/data").expect(401);
    server.terminate();
    for name in ["_account_data.json", "_account_data.journal"] {
        let text = std::fs::read_to_string(server.data_path(name)).unwrap();
        assert!(!text.contains("secret-of-bob"), "{name}");
    }
}

#[test]
fn a_server_without_accounts_answers_accounts_disabled() {
    let mut config = people_config();
    config["accounts"] = json!({ "enabled": false });
    let server = Server::start_with(config);
    send(&server, "GET", ACCOUNTS, &Value::Null).expect_problem(404, "accounts_disabled");
    assert!(!server.data_path("_accounts.json").exists());
    let login = b"{\"username\":\"a\",\"password\":\"b\"}";
    assert_eq!(server.request("POST", "/login", None, &[], login).status, 404);
}
