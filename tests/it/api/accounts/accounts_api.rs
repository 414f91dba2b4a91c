//! `/api/v1/accounts`: who runs the server looks after accounts.

use crate::harness::people::{PASSWORD, Person, people_config, registration, send_json};
use crate::harness::{DEMO_KEY, GLOBAL_KEY, Response, Server};
use serde_json::{Value, json};

const ACCOUNTS: &str = "/api/v1/accounts";

fn send(server: &Server, method: &str, target: &str, body: &Value) -> Response {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    server.request(method, target, Some(GLOBAL_KEY), &[("content-type", "application/json")], text.as_bytes())
}

fn add(server: &Server, username: &str) -> Response {
    send(server, "POST", ACCOUNTS, &json!({ "username": username, "password": PASSWORD }))
}

#[test]
fn an_account_is_made_with_a_name_and_a_password_and_shows_no_hash() {
    let server = Server::start_with(people_config());
    let made = add(&server, "Mavi").expect(201);
    assert_eq!(made.field("location"), Some("/api/v1/accounts/mavi"));
    let account = made.json();
    let created_at = account["created_at"].as_str().unwrap().to_owned();
    let expected = json!({
        "username": "Mavi", "email": null, "full_name": null, "age": null, "gender": null,
        "disabled": false, "created_at": created_at,
    });
    assert_eq!(account, expected);
    let all = send(&server, "GET", ACCOUNTS, &Value::Null).expect(200).json();
    assert_eq!(all, json!({ "accounts": [expected], "cursor": null }));
    Person::sign_in(&server, "mavi").get(&server, "/api/data").expect(200);
    let everything = json!({
        "username": "bob", "password": PASSWORD, "email": "bob@example.com",
        "full_name": "Bob B", "age": 5, "gender": "male",
    });
    let bob = send(&server, "POST", ACCOUNTS, &everything).expect(201).json();
    assert_eq!((&bob["email"], &bob["age"]), (&json!("bob@example.com"), &json!(5)));
}

#[test]
fn what_is_wrong_with_a_new_account_is_said_and_nothing_is_made() {
    let server = Server::start_with(people_config());
    send(&server, "POST", ACCOUNTS, &json!({ "username": "bob", "password": PASSWORD, "email": "b@x" }))
        .expect(201);
    for (body, status, code) in [
        (json!({ "username": "eve" }), 400, "invalid_request"),
        (json!({ "password": PASSWORD }), 400, "invalid_request"),
        (json!({ "username": "e/ve", "password": PASSWORD }), 400, "invalid_request"),
        (json!({ "username": "eve", "password": "password" }), 400, "invalid_password"),
        (json!({ "username": "eve", "password": PASSWORD, "age": 0 }), 400, "invalid_age"),
        (json!({ "username": "eve", "password": PASSWORD, "admin": true }), 400, "invalid_body"),
        (json!(["eve", PASSWORD]), 400, "invalid_body"),
        (json!({ "username": "BOB", "password": PASSWORD }), 409, "username_exists"),
        (json!({ "username": "eve", "password": PASSWORD, "email": "B@X" }), 409, "email_exists"),
    ] {
        send(&server, "POST", ACCOUNTS, &body).expect_problem(status, code);
    }
    let all = send(&server, "GET", ACCOUNTS, &Value::Null).json();
    assert_eq!(all["accounts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_weak_password_needs_a_member_that_says_so_and_has_the_other_rules_all_the_same() {
    let server = Server::start_with(people_config());
    let admin = |password: &str, weak: Value| json!({ "username": "admin", "password": password, "weak_password": weak });
    let create = |body: &Value| send(&server, "POST", ACCOUNTS, body);
    create(&admin("password", json!(false))).expect_problem(400, "invalid_password");
    for weak in [json!("true"), json!(1), json!(null)] {
        create(&admin("password", weak)).expect_problem(400, "invalid_body");
    }
    for password in [&"x".repeat(73), "line\nend"] {
        create(&admin(password, json!(true))).expect_problem(400, "invalid_password");
    }
    create(&admin("", json!(true))).expect_problem(400, "invalid_request");
    let login = |password: &str| {
        let body = json!({ "username": "admin", "password": password }).to_string();
        send_json(&server, "POST", "/login", &[], &body).status
    };
    create(&admin("password", json!(true))).expect(201);
    assert_eq!(login("password"), 200);
    let account = format!("{ACCOUNTS}/admin");
    let change = |body: Value| send(&server, "PUT", &account, &body);
    change(json!({ "password": "x" })).expect_problem(400, "invalid_password");
    change(json!({ "password": "x", "weak_password": false })).expect_problem(400, "invalid_password");
    change(json!({ "password": "", "weak_password": true })).expect_problem(400, "invalid_password");
    change(json!({ "password": "x", "weak_password": true })).expect(200);
    assert_eq!((login("x"), login("password")), (200, 401));
    // Nobody else can do it.
    let mut body = registration("eve");
    (body["password"], body["weak_password"]) = (json!("password"), json!(true));
    send_json(&server, "POST", "/api/register", &[], &body.to_string()).expect(400);
}

#[test]
fn only_the_global_key_looks_after_accounts() {
    let server = Server::start_with(people_config());
    let bob = Person::register(&server, "bob");
    let account = format!("{ACCOUNTS}/bob");
    for (method, target) in [("GET", ACCOUNTS), ("POST", ACCOUNTS), ("PUT", &account), ("DELETE", &account)] {
        let body: &[u8] = if method == "GET" || method == "DELETE" { b"" } else { b"{}" };
        server.request(method, target, None, &[], body).expect_problem(401, "api_key_missing");
        server.request(method, target, Some(DEMO_KEY), &[], body).expect_problem(403, "global_key_required");
        server.request(method, target, Some(&bob.token), &[], body).expect_problem(401, "api_key_wrong");
    }
    let wrong = server.request("PATCH", &account, Some(GLOBAL_KEY), &[], b"");
    assert_eq!((wrong.status, wrong.field("allow")), (405, Some("PUT, DELETE, OPTIONS")));
    bob.get(&server, "/api/data").expect(200);
}

#[test]
fn accounts_are_listed_page_by_page_in_the_order_of_their_names() {
    let server = Server::start_with(people_config());
    for name in ["d", "B", "a", "e", "C"] {
        add(&server, name).expect(201);
    }
    let mut names = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = send(&server, "GET", &format!("{ACCOUNTS}{query}"), &Value::Null).expect(200).json();
        let accounts = page["accounts"].as_array().unwrap();
        assert!(accounts.len() <= 2);
        names.extend(accounts.iter().map(|account| account["username"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["a", "B", "C", "d", "e"]);
    send(&server, "GET", &format!("{ACCOUNTS}?limit=0"), &Value::Null).expect_problem(400, "invalid_limit");
    for cursor in ["x", "1.6162"] {
        let target = format!("{ACCOUNTS}?cursor={cursor}");
        send(&server, "GET", &target, &Value::Null).expect_problem(400, "invalid_cursor");
    }
    send(&server, "GET", &format!("{ACCOUNTS}?page=2"), &Value::Null).expect_problem(400, "invalid_query");
}

#[test]
fn a_change_ends_tokens_only_where_it_has_to() {
    let server = Server::start_with(people_config());
    let bob = Person::register(&server, "bob");
    let account = format!("{ACCOUNTS}/BOB");
    let change = |body: Value| send(&server, "PUT", &account, &body);
    change(json!({})).expect(200);
    assert_eq!(change(json!({ "disabled": false })).expect(200).json()["disabled"], false);
    bob.get(&server, "/api/data").expect(200);
    assert_eq!(change(json!({ "disabled": true })).expect(200).json()["disabled"], true);
    bob.get(&server, "/api/data").expect(401);
    change(json!({ "disabled": false })).expect(200);
    bob.get(&server, "/api/data").expect(401);
    let again = Person::sign_in(&server, "bob");
    change(json!({ "password": "Other@123" })).expect(200);
    again.get(&server, "/api/data").expect(401);
    for (body, code) in [
        (json!({ "password": "weak" }), "invalid_password"),
        (json!({ "password": null }), "invalid_body"),
        (json!({ "disabled": "yes" }), "invalid_body"),
        (json!({ "username": "eve" }), "invalid_body"),
    ] {
        change(body).expect_problem(400, code);
    }
    let nobody = format!("{ACCOUNTS}/nobody");
    for body in [json!({}), json!({ "password": PASSWORD })] {
        send(&server, "PUT", &nobody, &body).expect_problem(404, "account_not_found");
    }
    send(&server, "DELETE", &nobody, &Value::Null).expect_problem(404, "account_not_found");
}

#[test]
fn a_deleted_account_leaves_nothing_to_who_gets_its_name() {
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
fn a_server_without_accounts_says_so() {
    let mut config = people_config();
    config["accounts"] = json!({ "enabled": false });
    let server = Server::start_with(config);
    send(&server, "GET", ACCOUNTS, &Value::Null).expect_problem(404, "accounts_disabled");
    assert!(!server.data_path("_accounts.json").exists());
    let login = b"{\"username\":\"a\",\"password\":\"b\"}";
    assert_eq!(server.request("POST", "/login", None, &[], login).status, 404);
}
