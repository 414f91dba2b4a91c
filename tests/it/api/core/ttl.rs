//! Time to live: how it is given, and that what has expired is absent everywhere and for good.

use crate::harness::kv::{BATCH, KEYS, Kv, PROJECT, key_path};
use crate::harness::wait_until;
use serde_json::{Value, json};

/// Milliseconds of an RFC 3339 time since some day of its month; enough to compare two near ones.
fn ms_of(time: &Value) -> u64 {
    let text = time.as_str().unwrap_or_else(|| panic!("{time}"));
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().unwrap();
    let seconds = ((number(8, 10) * 24 + number(11, 13)) * 60 + number(14, 16)) * 60 + number(17, 19);
    seconds * 1_000 + number(20, 23)
}

fn await_absence(kv: &Kv, key: &str) {
    wait_until("the key expires", || kv.project().get(&key_path(key)).status == 404);
}

#[test]
fn a_ttl_sets_when_a_key_expires() {
    let kv = Kv::new();
    let put = kv.project().put(&format!("{}?ttl=60", key_path("a")), "1").expect(201).json();
    let post = kv.project().post(&key_path("b"), r#"{"value":1,"ttl":60}"#).expect(201).json();
    for entry in [put, post] {
        assert_eq!(ms_of(&entry["expires_at"]), ms_of(&entry["updated_at"]) + 60_000, "{entry}");
        let read = kv.project().get(&key_path(entry["key"].as_str().unwrap())).json();
        assert_eq!(read["expires_at"], entry["expires_at"]);
    }
}

#[test]
fn an_expired_key_is_absent_in_every_operation() {
    let mut kv = Kv::new();
    let first = kv.project().put(&format!("{}?ttl=1", key_path("a")), "1").expect(201);
    for key in ["b", "c", "d", "e", "f", "g"] {
        kv.project().put(&format!("{}?ttl=1", key_path(key)), "1").expect(201);
    }
    kv.project().put(&key_path("stays"), "1").expect(201);
    await_absence(&kv, "g");
    let project = kv.project();
    project.get(&key_path("a")).problem(404, "key_not_found");
    project.head(&key_path("a")).expect(404);
    project.get(&format!("{}?raw", key_path("a"))).expect(404);
    project.delete(&key_path("b")).problem(404, "key_not_found");
    assert_eq!(project.get(KEYS).json()["keys"], json!({"stays": 1}));
    assert_eq!(project.get(&format!("{KEYS}?values=false")).json()["keys"], json!(["stays"]));
    let read = project.post(BATCH, r#"{"operations":[{"op":"get","key":"c"},{"op":"delete","key":"c"}]}"#);
    let results = read.expect(200).json()["results"].clone();
    assert_eq!(results[0]["found"], false);
    assert_eq!(results[1]["deleted"], false);
    let absent = [("If-Match", "*")];
    let problem = project.send("PUT", &key_path("d"), &absent, b"2").problem(412, "precondition_failed");
    assert_eq!(problem["current"], Value::Null);
    project.send("PUT", &key_path("d"), &[("If-None-Match", "*")], b"2").expect(201);
    let again = project.put(&key_path("a"), "2").expect(201);
    assert!(again.revision() > first.revision());
    assert!(again.json()["created_at"].as_str() > first.json()["created_at"].as_str());
    assert_eq!(project.get(PROJECT).json()["keys"], 3);
    assert_eq!(project.delete(KEYS).expect(200).json()["deleted"], 3);
    kv.crash_and_start();
    assert_eq!(kv.project().get(KEYS).json()["count"], 0);
}

#[test]
fn an_expiry_outlives_crash_checkpoint_and_restart() {
    let mut kv = Kv::new();
    let long = kv.project().put(&format!("{}?ttl=600", key_path("long")), "1").expect(201).json();
    kv.project().put(&format!("{}?ttl=2", key_path("short")), "1").expect(201);
    kv.crash_and_start();
    assert_eq!(kv.project().get(&key_path("long")).json()["expires_at"], long["expires_at"]);
    kv.restart();
    assert_eq!(kv.project().get(&key_path("long")).json()["expires_at"], long["expires_at"]);
    await_absence(&kv, "short");
    kv.crash_and_start();
    kv.project().get(&key_path("short")).problem(404, "key_not_found");
    kv.restart();
    kv.project().get(&key_path("short")).problem(404, "key_not_found");
    let file = std::fs::read_to_string(kv.data_path("first_project.json")).unwrap();
    assert!(file.contains("long") && !file.contains("short"), "{file}");
}

#[test]
fn a_key_that_expires_while_the_server_is_down_is_absent_at_the_start() {
    let mut kv = Kv::new();
    let written = kv.project().put(&format!("{}?ttl=1", key_path("a")), "1").expect(201).json();
    kv.server.kill();
    let expires_at = written["expires_at"].as_str().unwrap();
    wait_until("the key has expired", || {
        let mut now = Vec::new();
        pikv::testing::clock::render_rfc3339(pikv::testing::clock::wall_ms(), &mut now);
        now.as_slice() > expires_at.as_bytes()
    });
    kv.server.start_again();
    kv.project().get(&key_path("a")).problem(404, "key_not_found");
    assert_eq!(kv.project().get(PROJECT).json()["keys"], 0);
}

/// More than a deletion looks at one by one expire while the server is stopped, so it may have to wait until they
/// are reclaimed.
#[test]
fn keys_that_expired_a_moment_ago_are_not_counted_as_deleted() {
    let kv = Kv::new();
    let put = |from: u32| -> String {
        let put = |number| format!(r#"{{"op":"set","key":"k/{number}","value":1,"ttl":2}}"#);
        let operations: Vec<String> = (from..from + 1_000).map(put).collect();
        format!(r#"{{"operations":[{}]}}"#, operations.join(","))
    };
    (0..6).for_each(|at| drop(kv.project().post(BATCH, &put(1_000 * at)).expect(200)));
    let last = kv.project().get(&key_path("k/5999")).json();
    for key in ["k/a", "k/b", "other"] {
        kv.project().put(&key_path(key), "1").expect(201);
    }
    let mut connection = kv.server.connect();
    kv.server.signal("STOP");
    let path = format!("{KEYS}?prefix=k/");
    connection.send(&crate::harness::encode_request("DELETE", &path, Some(&kv.project_key), &[], b""));
    wait_until("the keys have expired", || {
        let mut now = Vec::new();
        pikv::testing::clock::render_rfc3339(pikv::testing::clock::wall_ms(), &mut now);
        now.as_slice() > last["expires_at"].as_str().unwrap().as_bytes()
    });
    kv.server.signal("CONT");
    assert_eq!(connection.read_response().json()["deleted"], 2);
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"other": 1}));
}
