//! `PUT /projects/{id}`: settings change, nothing else does.

use crate::harness::kv::{Kv, PROJECT, PROJECTS, key_path};
use serde_json::{Value, json};

fn authentication_in_file(kv: &Kv) -> Value {
    kv.config()["projects"][0]["authentication"].clone()
}

#[test]
fn a_setting_that_is_sent_changes_and_the_others_stay() {
    let kv = Kv::new();
    let before = kv.project().get(PROJECT).json();
    let after = kv.project().put(PROJECT, r#"{"storage":{"sync":"interval"}}"#).expect(200).json();
    let mut expected = before;
    expected["storage"]["sync"] = "interval".into();
    assert_eq!(after, expected);
    assert_eq!(kv.project().get(PROJECT).json(), expected);
    assert_eq!(kv.project().put(PROJECT, "{}").expect(200).json(), expected);
}

#[test]
fn settings_are_there_after_a_crash() {
    let mut kv = Kv::new();
    let storage = json!({"sync": "interval", "sync_interval_seconds": 60});
    let settings = json!({"storage": storage, "authentication": {"save_api_key_to_file": true}});
    let after = kv.project().put(PROJECT, &settings.to_string()).expect(200).json();
    kv.crash_and_start();
    let restarted = kv.project().get(PROJECT).expect(200).json();
    assert_eq!(restarted, after);
    assert_eq!(restarted["storage"]["sync"], "interval");
    assert_eq!(restarted["storage"]["sync_interval_seconds"], 60);
    assert_eq!(restarted["authentication"]["save_api_key_to_file"], true);
}

/// A mode of older versions.
#[test]
fn never_is_the_longest_interval_unless_the_body_has_one() {
    let kv = Kv::new();
    let set = |body: &str| {
        let storage = kv.project().put(PROJECT, body).expect(200).json()["storage"].clone();
        assert_eq!(storage["sync"], "interval", "{storage}");
        storage["sync_interval_seconds"].as_u64().unwrap()
    };
    assert_eq!(set(r#"{"storage":{"sync":"never"}}"#), 3_600);
    assert_eq!(kv.config()["projects"][0]["storage"]["sync"], "interval");
    assert_eq!(set(r#"{"storage":{"sync_interval_seconds":2}}"#), 2);
    assert_eq!(set(r#"{"storage":{"sync":"never","sync_interval_seconds":5}}"#), 5);
    let created = kv.global().post(PROJECTS, r#"{"id":"old","storage":{"sync":"never"}}"#).expect(201).json();
    assert_eq!(created["project"]["storage"]["sync_interval_seconds"], 3_600);
}

#[test]
fn identity_and_keys_are_no_settings() {
    let kv = Kv::new();
    let bodies = [
        json!({"id": "first_project"}),
        json!({"id": "other"}),
        json!({"id": null}),
        json!({"api_key": "0123456789abcdef"}),
        json!({"api_key": null}),
        json!({"api_key_hash": "sha256:00"}),
        json!({"authentication": {"api_key": "0123456789abcdef"}}),
        json!({"authentication": {"api_key": null}}),
        json!({"authentication": {"api_key_hash": null}}),
        json!({"storage": {"sync": "interval"}, "id": "x"}),
    ];
    let before = kv.config_text();
    for body in bodies {
        kv.project().put(PROJECT, &body.to_string()).problem(400, "invalid_settings");
    }
    assert_eq!(kv.config_text(), before);
    assert_eq!(kv.project().get(PROJECT).expect(200).json()["storage"]["sync"], "always");
}

#[test]
fn what_is_no_setting_is_refused_and_named() {
    let kv = Kv::new();
    let bodies = [
        (r#"{"storage":{"sync":"sometimes"}}"#, "`sync` is \"sometimes\"; it must be `always` or `interval`"),
        (r#"{"storage":{"sync":1}}"#, "storage"),
        (
            r#"{"storage":{"sync_interval_seconds":0}}"#,
            "`sync_interval_seconds` is 0; it must be a whole number, 1 to",
        ),
        (r#"{"storage":{"sync_interval_seconds":3601}}"#, "is 3601; it must be a whole number, 1 to 3600"),
        (r#"{"storage":{"sync_interval_seconds":1.5}}"#, "storage"),
        (r#"{"storage":{"sync_interval_seconds":null}}"#, "sync_interval_seconds"),
        (r#"{"storage":{"on_disk":"yes"}}"#, "on_disk"),
        (r#"{"storage":{"on_disk":null}}"#, "on_disk"),
        (r#"{"storage":null}"#, "storage"),
        (r#"{"stroage":{}}"#, "storage"),
        (r#"{"authentication":{"enable":true}}"#, "enabled"),
        (r#"{"keys":3}"#, "keys"),
        (r#"[]"#, "settings"),
        (r#"{"storage":[]}"#, "storage"),
        (r#"{"storage":[false]}"#, "storage"),
        (r#"{"authentication":[]}"#, "authentication"),
    ];
    for (body, named) in bodies {
        let problem = kv.project().put(PROJECT, body).expect(400).json();
        assert!(problem["detail"].as_str().unwrap().contains(named), "{body}: {problem}");
    }
    kv.project().put(PROJECT, "{").problem(400, "invalid_json");
}

#[test]
fn settings_of_a_project_that_is_not_there_cannot_be_set() {
    let kv = Kv::new();
    kv.global().put(&format!("{PROJECTS}/notes"), "{}").problem(404, "project_not_found");
}

#[test]
fn switching_authentication_on_without_a_key_returns_a_new_one_once() {
    let kv = Kv::new();
    assert_eq!(kv.create_project(&json!({"id": "notes", "authentication": {"enabled": false}})), "");
    let target = "/api/v1/projects/notes";
    let on = r#"{"authentication":{"enabled":true}}"#;
    let answer = kv.global().put(target, on).expect(200).json();
    let key = answer["api_key"].as_str().unwrap();
    assert!(key.starts_with("pikv_"), "{answer}");
    assert_eq!(answer["id"], "notes");
    kv.anonymous().get(target).problem(401, "api_key_missing");
    assert_eq!(kv.caller(key).put(target, on).expect(200).json().get("api_key"), None);
}

#[test]
fn switching_authentication_off_and_on_keeps_the_key() {
    let mut kv = Kv::new();
    kv.project().put(PROJECT, r#"{"authentication":{"enabled":false}}"#).expect(200);
    kv.anonymous().put(&key_path("a"), "1").expect(201);
    kv.crash_and_start();
    kv.anonymous().get(&key_path("a")).expect(200);
    let answer = kv.global().put(PROJECT, r#"{"authentication":{"enabled":true}}"#).expect(200).json();
    assert_eq!(answer.get("api_key"), None);
    kv.anonymous().get(PROJECT).problem(401, "api_key_missing");
    kv.project().get(PROJECT).expect(200);
}

#[test]
fn a_key_regenerated_while_keys_are_saved_is_in_the_file_until_they_are_not() {
    let kv = Kv::new();
    kv.project().put(PROJECT, r#"{"authentication":{"save_api_key_to_file":true}}"#).expect(200);
    let answer = kv.global().post(&format!("{PROJECT}/api-key/regenerate"), "").expect(200).json();
    assert_eq!(authentication_in_file(&kv)["api_key"], answer["api_key"]);
    let key = answer["api_key"].as_str().unwrap();
    kv.caller(key).put(PROJECT, r#"{"authentication":{"save_api_key_to_file":false}}"#).expect(200);
    assert_eq!(authentication_in_file(&kv)["api_key"], Value::Null);
    assert!(!kv.config_text().contains(key));
    kv.caller(key).get(PROJECT).expect(200);
}

#[test]
fn values_stay_when_the_cache_is_switched_off_and_on() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("a"), "[1,2]").expect(201);
    for cached in [false, true] {
        let body = json!({"storage": {"cache_in_memory": cached}}).to_string();
        let answer = kv.project().put(PROJECT, &body).expect(200).json();
        assert_eq!(answer["storage"]["cache_in_memory"], cached);
        assert_eq!(kv.project().get(&key_path("a")).expect(200).json()["value"], json!([1, 2]));
        kv.project().put(&key_path("b"), "2").expect(if cached { 200 } else { 201 });
        kv.crash_and_start();
        assert_eq!(kv.project().get(&key_path("a")).expect(200).json()["value"], json!([1, 2]));
        assert_eq!(kv.project().get(&key_path("b")).expect(200).json()["value"], 2);
    }
}

#[test]
fn a_project_in_memory_that_is_put_on_disk_keeps_its_values_through_a_crash() {
    let mut kv = Kv::new();
    kv.create_project(&json!({"id": "notes", "storage": {"on_disk": false}}));
    let target = "/api/v1/projects/notes";
    let first = kv.global().put(&format!("{target}/keys/a"), "1").expect(201).revision();
    let answer = kv.global().put(target, r#"{"storage":{"on_disk":true}}"#).expect(200).json();
    assert_eq!(answer["storage"]["on_disk"], true);
    assert!(kv.global().put(&format!("{target}/keys/b"), "2").expect(201).revision() > first);
    kv.crash_and_start();
    for (key, value) in [("a", 1), ("b", 2)] {
        assert_eq!(kv.global().get(&format!("{target}/keys/{key}")).expect(200).json()["value"], value);
    }
}

#[test]
fn a_project_on_disk_that_is_kept_in_memory_only_keeps_its_values_until_the_end() {
    let kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    let answer =
        kv.project().put(PROJECT, r#"{"storage":{"on_disk":false,"discard_files":true}}"#).expect(200).json();
    assert_eq!(answer["storage"]["on_disk"], false);
    assert_eq!(kv.project().get(&key_path("a")).expect(200).json()["value"], 1);
    kv.project().put(&key_path("a"), "2").expect(200);
}

#[test]
fn changed_settings_leave_what_the_user_wrote_in_the_configuration() {
    let kv = Kv::edited(|config| {
        config["server_threads"] = 2.into();
        config["timeouts"] = json!({"idle_seconds": 7});
        config["projects"].as_array_mut().unwrap().push(json!({"id": "silent"}));
    });
    let mut before = kv.config();
    kv.project().put(PROJECT, r#"{"storage":{"sync":"interval"}}"#).expect(200);
    before["projects"][0]["storage"]["sync"] = "interval".into();
    assert_eq!(kv.config(), before);
}
