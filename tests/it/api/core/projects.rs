//! Projects over HTTP: list, create, read, delete, regenerate a key.

use crate::harness::kv::{KEYS, Kv, PROJECT, PROJECTS};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn member_names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_describes_a_project(project: &Value, id: &str) {
    assert_eq!(
        member_names(project),
        ["id", "storage", "authentication", "keys", "bytes"].into(),
        "{project}"
    );
    assert_eq!(project["id"], id);
    assert_eq!(
        member_names(&project["storage"]),
        ["on_disk", "cache_in_memory", "sync", "sync_interval_seconds"].into()
    );
    assert_eq!(member_names(&project["authentication"]), ["enabled", "save_api_key_to_file"].into());
    assert!(project["keys"].is_u64() && project["bytes"].is_u64(), "{project}");
}

#[test]
fn projects_are_listed_in_order_of_their_ids() {
    let kv = Kv::new();
    for id in ["zebra", "0", "a-b", "a_b", "ab"] {
        kv.create_project(&json!({"id": id}));
    }
    let list = kv.global().get(PROJECTS).expect(200).json();
    assert_eq!(member_names(&list), ["projects"].into());
    let projects = list["projects"].as_array().unwrap();
    let ids: Vec<&str> = projects.iter().map(|project| project["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["0", "a-b", "a_b", "ab", "first_project", "zebra"]);
    for (project, id) in projects.iter().zip(ids) {
        assert_describes_a_project(project, id);
    }
}

#[test]
fn a_project_is_described_without_key_and_hash() {
    let kv = Kv::edited(|config| {
        config["default"]["authentication"]["save_api_key_to_file"] = true.into();
        config["projects"][0]["authentication"]["save_api_key_to_file"] = true.into();
    });
    for answer in [kv.project().get(PROJECT), kv.global().get(PROJECT), kv.global().get(PROJECTS)] {
        let text = answer.expect(200).text().to_owned();
        assert!(
            !text.contains("pikv_") && !text.contains("sha256:") && !text.contains("\"api_key"),
            "{text}"
        );
    }
    let project = kv.project().get(PROJECT).json();
    assert_describes_a_project(&project, "first_project");
    assert_eq!(
        project["storage"],
        json!({"on_disk": true, "cache_in_memory": true, "sync": "always", "sync_interval_seconds": 1})
    );
    assert_eq!(project["authentication"], json!({"enabled": true, "save_api_key_to_file": true}));
}

#[test]
fn a_project_counts_its_keys_and_bytes() {
    let kv = Kv::new();
    let count = || {
        let project = kv.project().get(PROJECT).json();
        (project["keys"].as_u64().unwrap(), project["bytes"].as_u64().unwrap())
    };
    assert_eq!(count(), (0, 0));
    kv.project().put(&format!("{KEYS}/a"), &format!("\"{}\"", "x".repeat(1_000))).expect(201);
    let (keys, bytes) = count();
    assert_eq!(keys, 1);
    assert!((1_000..2_000).contains(&bytes), "{bytes}");
    kv.project().put(&format!("{KEYS}/b"), "1").expect(201);
    assert_eq!(count().0, 2);
    kv.project().delete(&format!("{KEYS}/a")).expect(204);
    let (keys, bytes) = count();
    assert_eq!(keys, 1);
    assert!(bytes < 200, "{bytes}");
}

#[test]
fn a_created_project_comes_with_location_and_a_key_that_works() {
    let kv = Kv::new();
    let reply = kv.global().post(PROJECTS, r#"{"id":"notes"}"#).expect(201);
    assert_eq!(reply.field("location"), Some("/api/v1/projects/notes"));
    let created = reply.json();
    assert_eq!(member_names(&created), ["project", "api_key"].into());
    assert_describes_a_project(&created["project"], "notes");
    let key = created["api_key"].as_str().unwrap();
    assert!(key.starts_with("pikv_") && key.len() == 54, "{key}");
    kv.caller(key).put("/api/v1/projects/notes/keys/a", "1").expect(201);
    assert_eq!(kv.caller(key).get("/api/v1/projects/notes").json()["keys"], 1);
}

#[test]
fn a_created_project_has_the_settings_that_were_sent() {
    let kv = Kv::new();
    let storage =
        json!({"on_disk": false, "cache_in_memory": true, "sync": "interval", "sync_interval_seconds": 60});
    let settings = json!({"id": "notes", "storage": storage, "authentication": {"enabled": false}});
    let created = kv.global().post(PROJECTS, &settings.to_string()).expect(201).json();
    assert_eq!(created["api_key"], Value::Null);
    assert_eq!(created["project"]["storage"], storage);
    assert_eq!(created["project"]["authentication"]["enabled"], false);
    kv.anonymous().put("/api/v1/projects/notes/keys/a", "1").expect(201);
}

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
fn a_created_project_and_its_key_are_there_after_a_crash() {
    let mut kv = Kv::new();
    let key = kv.create_project(&json!({"id": "notes", "storage": {"sync": "interval"}}));
    kv.crash_and_start();
    let project = kv.caller(&key).get("/api/v1/projects/notes").expect(200).json();
    assert_eq!(project["storage"]["sync"], "interval");
}

#[test]
fn no_key_in_the_settings_of_a_new_project_is_a_key_of_the_server() {
    let kv = Kv::new();
    let bodies = [
        json!({"id": "n1", "api_key": null}),
        json!({"id": "n2", "api_key": null, "api_key_hash": null}),
        json!({"id": "n3", "authentication": {"enabled": true, "api_key": null, "api_key_hash": null}}),
    ];
    for body in bodies {
        let key = kv.create_project(&body);
        let project = format!("{PROJECTS}/{}", body["id"].as_str().unwrap());
        kv.caller(&key).get(&project).expect(200);
    }
}

#[test]
fn an_id_that_exists_is_a_conflict() {
    let kv = Kv::new();
    kv.project().put(&format!("{KEYS}/a"), "1").expect(201);
    kv.global().post(PROJECTS, r#"{"id":"first_project"}"#).problem(409, "project_exists");
    assert_eq!(kv.project().get(&format!("{KEYS}/a")).expect(200).json()["value"], 1);
}

#[test]
fn ids_are_file_names_on_every_disk() {
    let kv = Kv::new();
    let longest = "x".repeat(63);
    for id in ["0", "a-_", &longest] {
        kv.global().post(PROJECTS, &json!({"id": id}).to_string()).expect(201);
    }
    let too_long = "x".repeat(64);
    for id in ["", "A", "-a", "_a", "a.b", "a/b", "..", "é", "con", "nul", "com1", "lpt9", &too_long] {
        let problem = kv.global().post(PROJECTS, &json!({"id": id}).to_string());
        problem.problem(400, "invalid_project_id");
    }
    for id in ["A", "a.b", "%2e%2e", "con", &too_long] {
        kv.global().get(&format!("{PROJECTS}/{id}")).problem(400, "invalid_project_id");
    }
}

#[test]
fn a_project_is_created_from_an_object_with_an_id_and_settings_only() {
    let kv = Kv::new();
    let bodies = [
        r#"{}"#,
        r#"[]"#,
        r#""notes""#,
        r#"{"id":1}"#,
        r#"{"id":null}"#,
        r#"{"id":"notes","name":"x"}"#,
        r#"{"id":"notes","api_key":"pikv_x"}"#,
        r#"{"id":"notes","api_key_hash":"sha256:00"}"#,
        r#"{"id":"notes","authentication":{"api_key":"0123456789abcdef"}}"#,
        r#"{"id":"notes","authentication":{"enabled":"yes"}}"#,
        r#"{"id":"notes","storage":{"on_disk":1}}"#,
        r#"{"id":"notes","storage":{"sync":"sometimes"}}"#,
        r#"{"id":"notes","storage":{"path":"/"}}"#,
        r#"{"id":"notes","storage":[]}"#,
    ];
    for body in bodies {
        let problem = kv.global().post(PROJECTS, body).expect(400).json();
        let code = problem["code"].as_str().unwrap().to_owned();
        assert!(
            ["invalid_body", "invalid_settings", "invalid_project_id"].contains(&code.as_str()),
            "{body}: {problem}"
        );
    }
    kv.global().post(PROJECTS, r#"{"id":"notes""#).problem(400, "invalid_json");
    kv.global().post(PROJECTS, "").problem(400, "invalid_json");
    kv.global().get(&format!("{PROJECTS}/notes")).problem(404, "project_not_found");
}

#[test]
fn a_misspelt_setting_is_answered_with_the_right_one() {
    let kv = Kv::new();
    let problem =
        kv.global().post(PROJECTS, r#"{"id":"notes","storage":{"on_dsik":true}}"#).expect(400).json();
    assert!(problem["detail"].as_str().unwrap().contains("on_disk"), "{problem}");
}

#[test]
fn curl_may_create_a_project_with_its_default_type() {
    let kv = Kv::new();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    kv.global().send("POST", PROJECTS, &form, br#"{"id":"notes"}"#).expect(201);
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

#[test]
fn an_id_that_was_deleted_begins_empty_and_with_higher_revisions() {
    let kv = Kv::new();
    kv.create_project(&json!({"id": "notes"}));
    let before = kv.global().put("/api/v1/projects/notes/keys/a", "1").expect(201).revision();
    kv.global().delete("/api/v1/projects/notes").expect(204);
    kv.create_project(&json!({"id": "notes"}));
    kv.global().get("/api/v1/projects/notes/keys/a").problem(404, "key_not_found");
    assert!(kv.global().put("/api/v1/projects/notes/keys/a", "1").expect(201).revision() > before);
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
fn revisions_of_a_deleted_project_are_not_used_again_however_many_there_were() {
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
fn the_last_project_may_be_deleted_and_stays_deleted() {
    let mut kv = Kv::new();
    kv.global().delete(PROJECT).expect(204);
    kv.restart();
    assert_eq!(kv.global().get(PROJECTS).expect(200).json(), json!({"projects": []}));
}

#[test]
fn a_project_key_manages_no_projects() {
    let kv = Kv::new();
    let project = kv.project();
    project.get(PROJECTS).problem(403, "global_key_required");
    project.post(PROJECTS, r#"{"id":"notes"}"#).problem(403, "global_key_required");
    project.delete(PROJECT).problem(403, "global_key_required");
    project.post(&format!("{PROJECT}/api-key/regenerate"), "").problem(403, "global_key_required");
    kv.project().get(PROJECT).expect(200);
    kv.global().get(&format!("{PROJECTS}/notes")).problem(404, "project_not_found");
}

#[test]
fn a_regenerated_key_replaces_the_old_one_at_once() {
    let kv = Kv::new();
    let target = format!("{PROJECT}/api-key/regenerate");
    let answer = kv.global().send("POST", &target, &[], b"").expect(200).json();
    assert_eq!(member_names(&answer), ["id", "api_key"].into());
    assert_eq!(answer["id"], "first_project");
    let key = answer["api_key"].as_str().unwrap();
    assert!(key.starts_with("pikv_") && key.len() == 54 && key != kv.project_key, "{key}");
    kv.project().get(PROJECT).problem(401, "api_key_wrong");
    kv.caller(key).get(PROJECT).expect(200);
    kv.global().get(PROJECT).expect(200);
    let again = kv.global().post(&target, "").expect(200).json();
    assert_ne!(again["api_key"], key);
    kv.caller(key).get(PROJECT).problem(401, "api_key_wrong");
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

#[test]
fn a_key_is_regenerated_only_for_a_project_that_exists() {
    let kv = Kv::new();
    kv.global().post("/api/v1/projects/notes/api-key/regenerate", "").problem(404, "project_not_found");
    // The seed has this one with a slip of the finger.
    kv.global().post(&format!("{PROJECT}/api-key/regeneratez"), "").problem(404, "not_found");
}

#[test]
fn head_of_projects_is_their_get_without_a_body() {
    let kv = Kv::new();
    for target in [PROJECTS, PROJECT] {
        let (get, head) = (kv.global().get(target).expect(200), kv.global().head(target).expect(200));
        assert_eq!(head.field("content-length"), Some(get.body.len().to_string().as_str()));
        assert_eq!(head.field("content-type"), get.field("content-type"));
        assert_eq!(get.field("content-type"), Some("application/json"));
    }
}
