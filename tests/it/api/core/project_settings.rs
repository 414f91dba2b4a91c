//! `PUT /projects/{id}`: settings change, nothing else does.

use crate::harness::kv::{Kv, PROJECT, PROJECTS};
use serde_json::{Value, json};

fn authentication_in_file(kv: &Kv) -> Value {
    kv.config()["projects"][0]["authentication"].clone()
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
fn permission_to_discard_files_is_not_saved_in_the_configuration() {
    let kv = Kv::new();
    kv.project().put(PROJECT, r#"{"storage":{"on_disk":false}}"#).problem(400, "invalid_settings");
    kv.project().put(PROJECT, r#"{"storage":{"on_disk":false,"discard_files":true}}"#).expect(200);
    assert_eq!(kv.config()["projects"][0]["storage"]["on_disk"], false);
    assert!(!kv.config_text().contains("discard_files"), "{}", kv.config_text());
}

#[test]
fn the_id_and_the_keys_cannot_be_changed_as_settings() {
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
