//! `pikv config set`, without a server, beside one, and beside one that has to restart.

use crate::harness::kv::{Kv, documented_config};
use crate::harness::{Finished, run_to_end, wait_until};
use serde_json::{Value, json};
use std::path::Path;

fn set(directory: &Path, setting: &str, value: &str) -> Finished {
    let config = directory.join("config.json");
    run_to_end(directory, &["config", "set", setting, value, "--config", config.to_str().unwrap()])
}

fn config_in(directory: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(directory.join("config.json")).unwrap()).unwrap()
}

#[test]
fn one_setting_changes_and_all_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), documented_config().to_string()).unwrap();
    let done = set(directory.path(), "accounts.registration", "closed");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout, "accounts.registration = closed  (before: open)\n");
    let mut expected = documented_config();
    expected["accounts"] = json!({"registration": "closed"});
    assert_eq!(config_in(directory.path()), expected);
    let again = set(directory.path(), "accounts.registration", "closed");
    assert_eq!(again.stdout, "accounts.registration = closed  (as before)\n");
    set(directory.path(), "projects.first_project.storage.cache_in_memory", "false");
    expected["projects"][0]["storage"]["cache_in_memory"] = false.into();
    assert_eq!(config_in(directory.path()), expected);
}

#[test]
fn simultaneous_changes_all_take_effect_and_no_command_is_killed() {
    let mut kv = Kv::new();
    kv.server.terminate();
    let directory = kv.server.directory();
    let settings: [(&str, u64); 4] = [
        ("timeouts.head_seconds", 100),
        ("timeouts.idle_seconds", 200),
        ("limits.connections_max", 300),
        ("accounts.token_ttl_seconds", 400),
    ];
    std::thread::scope(|scope| {
        for (setting, first) in settings {
            scope.spawn(move || {
                for value in first..first + 10 {
                    let done = set(directory, setting, &value.to_string());
                    assert_eq!(done.code, Some(0), "{done:?}");
                    assert!(!done.stdout.contains("The server"), "no server runs: {done:?}");
                }
            });
        }
    });
    let config = config_in(directory);
    for (setting, first) in settings {
        let (section, name) = setting.split_once('.').unwrap();
        assert_eq!(config[section][name], first + 9, "{setting} in {config}");
    }
}

#[test]
fn refused_requests_change_no_byte() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let missing = set(directory.path(), "accounts.registration", "closed");
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("does not exist") && !path.exists(), "{missing:?}");
    let text = documented_config().to_string();
    std::fs::write(&path, &text).unwrap();
    for (setting, value, part) in [
        ("accounts.registrations", "closed", "Did you mean `accounts.registration`?"),
        ("accounts.registration", "shut", "`accounts.registration` is \"shut\""),
        ("server_port", "http", "0 to 65535"),
        ("projects.other.storage.sync", "always", "no project `other`"),
        ("default.authentication.api_key", "0123456789abcdef", "not accepted as arguments"),
    ] {
        let refused = set(directory.path(), setting, value);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(part), "{part} in {refused:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_running_server_uses_the_new_value() {
    let kv = Kv::new();
    let register = || {
        let body = r#"{"username":"ann","email":"ann@example.com","password":"short"}"#;
        kv.anonymous().post("/api/register", body)
    };
    register().expect(400);
    let done = set(kv.server.directory(), "accounts.registration", "closed");
    assert_eq!(done.code, Some(0), "{done:?}");
    let told = format!("The server (process id {}) reloads its configuration", kv.server.pid());
    assert!(done.stdout.contains(&told), "{done:?}");
    wait_until("registration is closed", || register().status == 403);
    assert_eq!(kv.config()["accounts"]["registration"], "closed");
    // The keys that are in use stay in the file.
    kv.project().get("/api/v1/projects/first_project").expect(200);
    let done = set(kv.server.directory(), "limits.connections_max", "77");
    assert!(done.stdout.contains("uses it after a restart"), "{done:?}");
}
