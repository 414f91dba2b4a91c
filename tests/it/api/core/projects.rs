//! Projects over HTTP: list, create, read, delete, regenerate a key.

use crate::harness::kv::{Kv, PROJECT};
use serde_json::{Value, json};

#[test]
fn a_created_project_is_in_the_configuration_with_its_hash_only() {
    let kv = Kv::new();
    let key = kv.create_project(&json!({"id": "notes"}));
    let config = kv.config();
    let project = config["projects"].as_array().unwrap().iter().find(|project| project["id"] == "notes");
    let authentication = &project.unwrap()["authentication"];
    assert_eq!(authentication["api_key"], Value::Null);
    let hash = authentication["api_key_hash"].as_str().unwrap();
    assert!(hash.starts_with("sha256:") && hash.len() == 7 + 64, "{hash}");
    assert!(!kv.config_text().contains(&key));
}

#[test]
fn a_created_project_that_saves_its_key_has_it_in_the_configuration() {
    let kv = Kv::new();
    let key = kv.create_project(&json!({"id": "notes", "authentication": {"save_api_key_to_file": true}}));
    let config = kv.config();
    let project = config["projects"].as_array().unwrap().iter().find(|project| project["id"] == "notes");
    assert_eq!(project.unwrap()["authentication"]["api_key"], key.as_str());
}

#[test]
fn a_deleted_project_is_gone_with_its_files_and_its_key() {
    let kv = Kv::new();
    let key = kv.create_project(&json!({"id": "notes"}));
    kv.caller(&key).put("/api/v1/projects/notes/keys/a", "1").expect(201);
    assert!(kv.data_path("notes.json").exists() && kv.data_path("notes.journal").exists());
    let reply = kv.global().delete("/api/v1/projects/notes").expect(204);
    assert!(reply.body.is_empty());
    let left: Vec<_> =
        std::fs::read_dir(kv.data_path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("notes")), "{left:?}");
    kv.global().get("/api/v1/projects/notes").problem(404, "project_not_found");
    kv.global().get("/api/v1/projects/notes/keys/a").problem(404, "project_not_found");
    kv.global().delete("/api/v1/projects/notes").problem(404, "project_not_found");
    kv.caller(&key).get("/api/v1/projects/notes").problem(401, "api_key_wrong");
    assert!(!kv.config_text().contains("notes"));
}

/// Makes 3,000 changes at once, more than one for each millisecond, and returns the revision of the last.
fn make_many_changes(kv: &Kv, project: &str) -> u64 {
    let operations = vec![json!({"op": "set", "key": "a", "value": 1}); 1000];
    let body = json!({ "operations": operations }).to_string();
    let path = format!("/api/v1/projects/{project}");
    (0..3).for_each(|_| drop(kv.global().post(&format!("{path}/batch"), &body).expect(200)));
    kv.global().get(&format!("{path}/keys/a")).expect(200).revision()
}

#[test]
fn revisions_of_a_deleted_project_are_not_reused_even_if_there_were_many() {
    let kv = Kv::new();
    kv.create_project(&json!({"id": "notes"}));
    let before = make_many_changes(&kv, "notes");
    kv.global().delete("/api/v1/projects/notes").expect(204);
    kv.create_project(&json!({"id": "notes"}));
    assert!(kv.global().put("/api/v1/projects/notes/keys/a", "1").expect(201).revision() > before);
}

#[test]
fn revisions_of_a_project_in_memory_are_not_used_again_after_a_restart() {
    let mut kv = Kv::new();
    kv.create_project(&json!({"id": "notes", "storage": {"on_disk": false}}));
    let before = make_many_changes(&kv, "notes");
    kv.restart();
    assert!(kv.global().put("/api/v1/projects/notes/keys/a", "1").expect(201).revision() > before);
}

#[test]
fn a_key_is_regenerated_by_a_post_without_a_body_or_its_length() {
    let kv = Kv::new();
    let mut connection = kv.global().connect().connection;
    let target = format!("{PROJECT}/api-key/regenerate");
    let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", kv.global_key);
    connection.send(head.as_bytes());
    connection.read_response().expect(200);
    connection.still_open();
}
