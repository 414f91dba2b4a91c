//! What was acknowledged is there after kill -9, whatever kind of write it was.

use crate::harness::kv::{BATCH, KEYS, Kv, PROJECT, PROJECTS, key_path};
use crate::harness::wait_until;
use serde_json::json;

#[test]
fn every_kind_of_write_survives_a_crash() {
    let mut kv = Kv::new();
    let mut expected = json!({});
    for round in 0..4 {
        kv.project().put(&key_path(&format!("put{round}")), &round.to_string()).expect(201);
        expected[format!("put{round}")] = round.into();
        kv.crash_and_start();
        kv.project().post(&key_path("post"), &format!("{{\"value\":[{round}]}}")).expect(if round == 0 {
            201
        } else {
            200
        });
        expected["post"] = json!([round]);
        kv.crash_and_start();
        let batch = json!({"operations": [
            {"op": "set", "key": "batch", "value": round},
            {"op": "delete", "key": format!("put{round}")},
        ]});
        kv.project().post(BATCH, &batch.to_string()).expect(200);
        expected["batch"] = round.into();
        expected.as_object_mut().unwrap().remove(&format!("put{round}"));
        kv.crash_and_start();
        assert_eq!(kv.project().get(KEYS).expect(200).json()["keys"], expected);
    }
    kv.project().delete(&key_path("post")).expect(204);
    kv.crash_and_start();
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"batch": 3}));
    kv.project().delete(&format!("{KEYS}?prefix=b")).expect(200);
    kv.crash_and_start();
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({}));
}

#[test]
fn the_old_key_is_refused_after_a_crash_that_follows_its_regeneration() {
    let mut kv = Kv::new();
    let mut key = kv.project_key.clone();
    for _ in 0..3 {
        let answer = kv.global().post(&format!("{PROJECT}/api-key/regenerate"), "").expect(200).json();
        kv.crash_and_start();
        kv.caller(&key).get(PROJECT).problem(401, "api_key_wrong");
        key = answer["api_key"].as_str().unwrap().to_owned();
        kv.caller(&key).get(PROJECT).expect(200);
    }
}

#[test]
fn a_deleted_project_stays_deleted_after_a_crash() {
    let mut kv = Kv::new();
    for round in 0..3 {
        let id = format!("notes{round}");
        kv.create_project(&json!({"id": id}));
        kv.global().put(&format!("{PROJECTS}/{id}/keys/a"), "1").expect(201);
        kv.global().delete(&format!("{PROJECTS}/{id}")).expect(204);
        kv.crash_and_start();
        kv.global().get(&format!("{PROJECTS}/{id}")).problem(404, "project_not_found");
        let names = std::fs::read_dir(kv.data_path(".")).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().contains(&id)));
        kv.create_project(&json!({"id": id}));
        assert_eq!(kv.global().get(&format!("{PROJECTS}/{id}/keys")).json()["count"], 0);
    }
}

#[test]
fn writes_acknowledged_at_once_survive_a_clean_shutdown() {
    for seconds in [1, 3_600] {
        let mut kv = Kv::edited(|config| {
            config["projects"][0]["storage"] = json!({"sync": "interval", "sync_interval_seconds": seconds});
        });
        for number in 0..100 {
            kv.project().put(&key_path(&format!("{number}")), &number.to_string()).expect(201);
        }
        kv.restart();
        assert_eq!(kv.project().get(KEYS).json()["count"], 100, "{seconds}");
    }
}

#[test]
fn writes_continue_during_checkpoints_of_a_growing_project() {
    let mut kv = Kv::new();
    let value = format!("\"{}\"", "x".repeat(20_000));
    let mut connection = kv.project().connect();
    for number in 0..200 {
        let target = key_path(&format!("k{}", number % 20));
        let answer =
            connection.send("PUT", &target, &[], value.replace('x', &(number % 10).to_string()).as_bytes());
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }
    wait_until("the journal is folded", || {
        std::fs::metadata(kv.data_path("first_project.journal")).unwrap().len() < 2_000_000
    });
    kv.crash_and_start();
    for key in 0..20 {
        let last = (180 + key) % 10;
        let read = kv.project().get(&format!("{}?raw", key_path(&format!("k{key}")))).expect(200);
        assert_eq!(read.text(), last.to_string().repeat(20_000));
    }
}
