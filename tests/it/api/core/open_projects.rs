//! Projects without authentication: who may do what with them, and how they come to be open.

use crate::harness::kv::{Caller, Kv, PROJECT, PROJECTS, key_path};
use serde_json::{Value, json};

const OPEN: &str = "/api/v1/projects/open";
const OFF: &str = r#"{"authentication":{"enabled":false}}"#;
const ON: &str = r#"{"authentication":{"enabled":true}}"#;
const OFF_DISK: &str = r#"{"storage":{"on_disk":false,"discard_files":true}}"#;
const BATCH: &str = r#"{"operations":[{"op":"set","key":"a","value":1},{"op":"get","key":"a"}]}"#;

/// Method, path, body, and what the route needs in a project without authentication.
const ROUTES: [(&str, &str, &str, Needs); 19] = [
    ("GET", OPEN, "", Needs::Nothing),
    ("HEAD", OPEN, "", Needs::Nothing),
    ("PUT", "/api/v1/projects/open/keys/a", "1", Needs::Nothing),
    ("GET", "/api/v1/projects/open/keys/a", "", Needs::Nothing),
    ("HEAD", "/api/v1/projects/open/keys/a", "", Needs::Nothing),
    ("POST", "/api/v1/projects/open/keys/b", r#"{"value":1}"#, Needs::Nothing),
    ("DELETE", "/api/v1/projects/open/keys/b", "", Needs::Nothing),
    ("GET", "/api/v1/projects/open/keys", "", Needs::Nothing),
    ("POST", "/api/v1/projects/open/batch", BATCH, Needs::Nothing),
    ("DELETE", "/api/v1/projects/open/keys", "", Needs::Nothing),
    ("PUT", OPEN, "{}", Needs::Global),
    ("PUT", OPEN, r#"{"storage":{"sync":"always"}}"#, Needs::Global),
    ("PUT", OPEN, r#"{"authentication":{"save_api_key_to_file":false}}"#, Needs::Global),
    ("PUT", OPEN, OFF, Needs::Global),
    ("PUT", "/api/v1/projects/op%65n", "{}", Needs::Global),
    ("GET", PROJECTS, "", Needs::Global),
    ("POST", PROJECTS, r#"{"id":"made"}"#, Needs::Global),
    ("DELETE", "/api/v1/projects/made", "", Needs::Global),
    ("POST", "/api/v1/projects/made2/api-key/regenerate", "", Needs::Global),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    Global,
}

/// Every kind of credential, and how a route that needs the global key answers it.
fn credentials(kv: &Kv, own_key: &str) -> Vec<(&'static str, Caller, u16, &'static str)> {
    let mut mistyped = own_key.to_owned();
    let last = mistyped.pop();
    mistyped.push(if last == Some('A') { 'B' } else { 'A' });
    vec![
        ("no key", kv.anonymous(), 401, "api_key_missing"),
        ("a wrong key", kv.caller("some-other-key-by-hand"), 401, "api_key_wrong"),
        ("a mistyped key", kv.caller(&mistyped), 401, "api_key_mistyped"),
        ("another project's key", kv.project(), 403, "global_key_required"),
        ("its own key", kv.caller(own_key), 403, "global_key_required"),
        ("the global key", kv.global(), 200, ""),
    ]
}

/// A server with the project `open`, which had a key before it was opened.
fn with_open_project() -> (Kv, String) {
    let kv = Kv::new();
    let key = kv.create_project(&json!({"id": "open"}));
    kv.create_project(&json!({"id": "made2"}));
    kv.caller(&key).put(OPEN, OFF).expect(200);
    (kv, key)
}

#[test]
fn every_credential_may_use_the_data_of_an_open_project_and_only_the_global_key_its_settings() {
    let (kv, own_key) = with_open_project();
    for (name, caller, status, code) in credentials(&kv, &own_key) {
        for (method, path, body, needs) in ROUTES {
            let what = format!("{method} {path} {body} with {name}");
            let answer = caller.send(method, path, &[], body.as_bytes());
            if needs == Needs::Nothing || name == "the global key" {
                assert!((200..300).contains(&answer.status), "{what}: {answer:?}");
            } else {
                assert_eq!(answer.status, status, "{what}: {answer:?}");
                let detail = answer.problem(status, code)["detail"].clone();
                let names_the_need = detail.as_str().unwrap().contains("global API key");
                assert!(names_the_need || code == "api_key_mistyped", "{what}: {detail}");
            }
        }
    }
    let settings = kv.global().get(OPEN).expect(200).json();
    assert_eq!(settings["authentication"]["enabled"], false, "nobody changed it");
}

#[test]
fn a_stranger_does_not_take_an_open_project_over() {
    let kv = Kv::new();
    kv.create_project(&json!({"id": "open", "authentication": {"enabled": false}}));
    let refused = kv.anonymous().put(OPEN, ON).problem(401, "api_key_missing");
    assert!(refused.get("api_key").is_none(), "{refused}");
    for body in
        [ON, OFF_DISK, r#"{"storage":{"sync":"interval"}}"#, r#"{"storage":{"cache_in_memory":false}}"#]
    {
        kv.anonymous().put(OPEN, body).problem(401, "api_key_missing");
    }
    let key = kv.global().put(OPEN, ON).expect(200).json()["api_key"].as_str().unwrap().to_owned();
    kv.anonymous().get(OPEN).problem(401, "api_key_missing");
    kv.caller(&key).get(OPEN).expect(200);
}

#[test]
fn with_authentication_off_for_all_anyone_may_change_settings() {
    let kv = Kv::edited(|config| config["default"]["authentication"]["enabled"] = false.into());
    kv.anonymous().put(PROJECT, r#"{"storage":{"sync":"interval"}}"#).expect(200);
    kv.caller("x").put(PROJECT, r#"{"storage":{"sync":"always"}}"#).expect(200);
}

#[test]
fn regenerate_closes_a_project_that_the_holder_of_a_leaked_key_opened() {
    let mut kv = Kv::new();
    kv.project().put(PROJECT, OFF).expect(200);
    kv.anonymous().get(PROJECT).expect(200);
    let answer = kv.global().post(&format!("{PROJECT}/api-key/regenerate"), "").expect(200).json();
    let key = answer["api_key"].as_str().unwrap().to_owned();
    for is_after_a_crash in [false, true] {
        if is_after_a_crash {
            kv.crash_and_start();
        }
        kv.anonymous().get(PROJECT).problem(401, "api_key_missing");
        kv.project().get(PROJECT).problem(401, "api_key_wrong");
        let settings = kv.caller(&key).get(PROJECT).expect(200).json();
        assert_eq!(settings["authentication"]["enabled"], true);
    }
}

#[test]
fn a_change_that_waited_while_its_key_was_replaced_changes_nothing() {
    for _ in 0..5 {
        let kv = Kv::new();
        let caller = kv.project();
        let attacks = || {
            let mut connection = caller.connect();
            // Until the key is refused.
            (0..10_000).any(|_| connection.send("PUT", PROJECT, &[], OFF.as_bytes()).status == 401)
        };
        std::thread::scope(|scope| {
            let attackers: Vec<_> = (0..8).map(|_| scope.spawn(attacks)).collect();
            kv.global().post(&format!("{PROJECT}/api-key/regenerate"), "").expect(200);
            assert!(attackers.into_iter().all(|attacker| attacker.join().unwrap()));
        });
        let settings = kv.global().get(PROJECT).expect(200).json();
        assert_eq!(settings["authentication"]["enabled"], true, "{settings}");
    }
}

#[test]
fn opening_closing_and_giving_up_files_are_logged_with_who_did_it() {
    let kv = Kv::new();
    kv.project().put(PROJECT, OFF).expect(200);
    kv.server.await_stderr(
        "WARN project first_project: authentication switched off by 127.0.0.1 with the project's key",
    );
    kv.global().post(&format!("{PROJECT}/api-key/regenerate"), "").expect(200);
    kv.server.await_stderr("WARN project first_project: new key generated by 127.0.0.1 with the global key");
    kv.server.await_stderr("authentication was off and is on again");
    kv.global().put(PROJECT, OFF).expect(200);
    kv.server.await_stderr("authentication switched off by 127.0.0.1 with the global key");
    kv.global().put(PROJECT, OFF_DISK).expect(200);
    kv.server
        .await_stderr("WARN project first_project: on_disk switched off by 127.0.0.1 with the global key");
    kv.create_project(&json!({"id": "open", "authentication": {"enabled": false}}));
    kv.server.await_stderr("WARN project open: created without authentication by 127.0.0.1");
    assert!(!kv.server.stderr_text().contains("pikv_"));
}

#[test]
fn an_edit_of_config_json_that_opens_a_project_or_gives_up_its_files_is_logged() {
    let kv = Kv::new();
    kv.edit_config(|config| {
        config["projects"][0]["authentication"]["enabled"] = false.into();
        config["projects"][0]["storage"]["on_disk"] = false.into();
    });
    kv.server.signal("HUP");
    kv.server.await_stderr("WARN project first_project: authentication switched off in config.json");
    kv.server.await_stderr("WARN project first_project: on_disk switched off in config.json");
}

/// Sends `body` to `target`; the answer must be a 400 that names the member.
fn check_discard_refused(caller: &Caller, method: &str, target: &str, body: &str) {
    let problem = caller.send(method, target, &[], body.as_bytes()).problem(400, "invalid_settings");
    assert!(problem["detail"].as_str().unwrap().contains("discard_files"), "{body}: {problem}");
}

#[test]
fn on_disk_is_switched_off_only_beside_discard_files() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    for caller in [kv.project(), kv.global()] {
        for body in [
            r#"{"storage":{"on_disk":false}}"#,
            r#"{"storage":{"on_disk":false,"discard_files":false}}"#,
            r#"{"storage":{"on_disk":false},"discard_files":false}"#,
            r#"{"storage":{"on_disk":false,"sync":"interval"},"authentication":{"enabled":true}}"#,
            r#"{"storage":{"discard_files":true}}"#,
            r#"{"storage":{"on_disk":true,"discard_files":true}}"#,
            r#"{"discard_files":true}"#,
            r#"{"storage":{"sync":"interval"},"discard_files":true}"#,
        ] {
            check_discard_refused(&caller, "PUT", PROJECT, body);
        }
    }
    kv.restart();
    assert_eq!(kv.project().get(&key_path("a")).expect(200).json()["value"], 1);
    for body in [OFF_DISK, r#"{"storage":{"on_disk":false},"discard_files":true}"#] {
        let settings: Value = kv.project().put(PROJECT, body).expect(200).json();
        assert_eq!(
            settings["storage"],
            json!({"on_disk": false, "cache_in_memory": true, "sync": "always", "sync_interval_seconds": 1})
        );
    }
    assert!(!kv.config_text().contains("discard_files"), "it is no setting");
}

#[test]
fn a_new_project_in_memory_does_not_hide_files_of_its_name_unless_it_says_so() {
    let kv = Kv::new();
    std::fs::write(kv.data_path("open.json"), r#"{"kept":1}"#).unwrap();
    let in_memory = r#"{"id":"open","storage":{"on_disk":false}}"#;
    check_discard_refused(&kv.global(), "POST", PROJECTS, in_memory);
    kv.global().post(PROJECTS, r#"{"id":"other","storage":{"on_disk":false}}"#).expect(201);
    let agreed = r#"{"id":"open","storage":{"on_disk":false,"discard_files":true}}"#;
    kv.global().post(PROJECTS, agreed).expect(201);
    kv.global().post(PROJECTS, in_memory).problem(409, "project_exists");
    assert_eq!(std::fs::read_to_string(kv.data_path("open.json")).unwrap(), r#"{"kept":1}"#);
}
