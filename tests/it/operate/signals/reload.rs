//! SIGHUP: config.json is read again; what is wrong with it is said and changes nothing.

use crate::harness::{DEMO_KEY, DEMO_KEYS, GLOBAL_KEY, Server, known_config, wait_until};
use serde_json::{Value, json};

const OTHER_KEY: &str = "other-key-0123456789abcdef";

fn rewrite(server: &Server, config: &Value) {
    std::fs::write(server.config_path(), config.to_string()).unwrap();
    server.signal("HUP");
}

fn status_of(server: &Server, path: &str, key: &str) -> u16 {
    server.request("GET", path, Some(key), &[], b"").status
}

#[test]
fn a_project_added_to_the_file_is_served_after_sighup() {
    let server = Server::start_known();
    assert_eq!(server.put_demo("a", "1").status, 201);
    let mut config = known_config();
    let second = json!({ "id": "second", "authentication": { "api_key": OTHER_KEY } });
    config["projects"].as_array_mut().unwrap().push(second);
    rewrite(&server, &config);
    wait_until("the project `second` is there", || {
        status_of(&server, "/api/v1/projects/second/keys", OTHER_KEY) == 200
    });
    assert_eq!(status_of(&server, "/api/v1/projects/second/keys", DEMO_KEY), 401, "its own key only");
    assert_eq!(server.get_demo("a").text(), "1");
}

#[test]
fn a_mode_of_older_versions_is_read_as_an_hour_and_the_log_states_how_to_write_it() {
    let mut config = known_config();
    config["projects"][0]["storage"]["sync"] = json!("never");
    let mut server = Server::start_with(config.clone());
    let warnings = |server: &Server| {
        let log = server.stderr_text();
        let is_ours = |line: &&str| {
            let parts = ["WARN ", "config.json: project demo has", "\"sync_interval_seconds\": 3600"];
            parts.iter().all(|part| line.contains(part))
        };
        log.lines().filter(is_ours).count()
    };
    assert_eq!(warnings(&server), 1, "{}", server.stderr_text());
    rewrite(&server, &config);
    server.await_stderr("INFO reloaded");
    assert_eq!(warnings(&server), 2, "{}", server.stderr_text());
    let demo = server.request("GET", "/api/v1/projects/demo", Some(DEMO_KEY), &[], b"").json();
    assert_eq!(demo["storage"]["sync"], "interval");
    assert_eq!(demo["storage"]["sync_interval_seconds"], 3_600);
    server.terminate();
}

#[test]
fn a_key_changed_in_the_file_replaces_the_old_one_after_sighup() {
    let server = Server::start_known();
    let mut connection = server.connect();
    assert_eq!(connection.request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"").status, 200);
    let mut config = known_config();
    config["projects"][0]["authentication"]["api_key"] = json!(OTHER_KEY);
    rewrite(&server, &config);
    wait_until("the new key is taken", || status_of(&server, DEMO_KEYS, OTHER_KEY) == 200);
    let refused = connection.request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"");
    refused.expect_problem(401, "api_key_wrong");
    assert_eq!(status_of(&server, DEMO_KEYS, GLOBAL_KEY), 200);
}

#[test]
fn a_key_that_was_changed_next_to_its_old_hash_is_used() {
    let mut server = Server::start_known();
    server.restart();
    let written: Value = serde_json::from_slice(&std::fs::read(server.config_path()).unwrap()).unwrap();
    let mut config = written.clone();
    assert!(config["projects"][0]["authentication"]["api_key_hash"].is_string(), "the server wrote a hash");
    config["projects"][0]["authentication"]["api_key"] = json!(OTHER_KEY);
    rewrite(&server, &config);
    wait_until("the new key is taken", || status_of(&server, DEMO_KEYS, OTHER_KEY) == 200);
    wait_until("the hash follows", || {
        let text = std::fs::read(server.config_path()).unwrap();
        let now: Value = serde_json::from_slice(&text).unwrap();
        let hash = |config: &Value| config["projects"][0]["authentication"]["api_key_hash"].clone();
        hash(&now) != hash(&written)
    });
    assert_eq!(status_of(&server, DEMO_KEYS, DEMO_KEY), 401);
}

#[test]
fn a_broken_file_is_reported_and_the_old_configuration_stays() {
    let server = Server::start_known();
    assert_eq!(server.put_demo("a", "1").status, 201);
    for broken in ["{\"version\": 1,", "", "{\"version\": 1, \"server_prot\": 1}", "\u{0}"] {
        let before = server.stderr_text().len();
        std::fs::write(server.config_path(), broken).unwrap();
        server.signal("HUP");
        wait_until("the mistake is in the log", || {
            server.stderr_text()[before..].lines().any(|line| line.contains("config.json"))
        });
        assert_eq!(server.get_demo("a").text(), "1");
        assert_eq!(std::fs::read_to_string(server.config_path()).unwrap(), broken, "left untouched");
    }
    // Once it is whole again, it is taken.
    let mut config = known_config();
    config["projects"][0]["authentication"]["api_key"] = json!(OTHER_KEY);
    rewrite(&server, &config);
    wait_until("the new key is taken", || status_of(&server, DEMO_KEYS, OTHER_KEY) == 200);
}

#[test]
fn connections_and_requests_survive_sighup() {
    let server = Server::start_known();
    let mut idle = server.connect();
    idle.still_open();
    let mut half = server.connect();
    half.send(b"GET /healthz HTTP/1.1\r\nHo");
    server.connect().still_open();
    let mut config = known_config();
    config["projects"][0]["authentication"]["api_key"] = json!(OTHER_KEY);
    rewrite(&server, &config);
    wait_until("the new key is taken", || status_of(&server, DEMO_KEYS, OTHER_KEY) == 200);
    idle.still_open();
    half.send(b"st: a\r\n\r\n");
    assert_eq!(half.read_response().status, 200);
}

#[test]
fn a_project_created_over_http_is_in_the_file_and_survives_sighup() {
    let server = Server::start_known();
    let created = server.request("POST", "/api/v1/projects", Some(GLOBAL_KEY), &[], b"{\"id\":\"made\"}");
    assert_eq!(created.status, 201, "{created:?}");
    let key = created.json()["api_key"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(server.config_path()).unwrap();
    assert!(text.contains("\"made\""), "{text}");
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["projects"][0]["authentication"]["api_key"] = json!(OTHER_KEY);
    rewrite(&server, &config);
    wait_until("the new key is taken", || status_of(&server, DEMO_KEYS, OTHER_KEY) == 200);
    assert_eq!(status_of(&server, "/api/v1/projects/made/keys", &key), 200);
}

#[test]
fn an_edit_that_was_not_reloaded_is_not_overwritten() {
    let server = Server::start_known();
    let mut config = known_config();
    let second = json!({ "id": "second", "authentication": { "api_key": OTHER_KEY } });
    config["projects"].as_array_mut().unwrap().push(second);
    std::fs::write(server.config_path(), config.to_string()).unwrap();
    let create = || {
        let fields = [("Content-Type", "application/json")];
        server.request("POST", "/api/v1/projects", Some(GLOBAL_KEY), &fields, br#"{"id":"third"}"#)
    };
    create().expect_problem(409, "config_edited");
    let text = std::fs::read_to_string(server.config_path()).unwrap();
    assert_eq!(text, config.to_string(), "the edit is as it was");
    server.signal("HUP");
    wait_until("the project `second` is there", || {
        status_of(&server, "/api/v1/projects/second/keys", OTHER_KEY) == 200
    });
    assert_eq!(create().status, 201);
    assert!(std::fs::read_to_string(server.config_path()).unwrap().contains("\"second\""));
}

#[test]
fn projects_created_while_the_file_is_reloaded_stay() {
    let server = Server::start_known();
    let keys = |id: &str| format!("/api/v1/projects/{id}/keys");
    for round in 0..40 {
        let id = format!("made{round}");
        let body = json!({ "id": id }).to_string();
        server.signal("HUP");
        let created = server.request("POST", "/api/v1/projects", Some(GLOBAL_KEY), &[], body.as_bytes());
        assert_eq!(created.status, 201, "round {round}: {created:?}");
        server.signal("HUP");
        assert_eq!(status_of(&server, &keys(&id), GLOBAL_KEY), 200, "round {round}");
    }
    let reloaded = |text: &str| text.lines().filter(|line| line.contains("INFO reloaded")).count();
    wait_until("the file was reloaded often", || reloaded(&server.stderr_text()) > 10);
    assert!((0..40).all(|round| status_of(&server, &keys(&format!("made{round}")), GLOBAL_KEY) == 200));
}
