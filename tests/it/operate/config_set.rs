//! `pikv config set` and `unset`, without a server, beside one, and beside one that has to restart.

use crate::harness::kv::{Kv, documented_config};
use crate::harness::{Finished, run_to_end, wait_until};
use serde_json::{Value, json};
use std::path::Path;

fn run(directory: &Path, words: &[&str]) -> Finished {
    let config = directory.join("config.json");
    let words: Vec<&str> =
        ["config"].iter().chain(words).chain(&["--config", config.to_str().unwrap()]).copied().collect();
    run_to_end(directory, &words)
}

fn set(directory: &Path, setting: &str, value: &str) -> Finished {
    run(directory, &["set", setting, value])
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
fn changes_over_http_and_by_the_command_do_not_disturb_each_other() {
    const ROUNDS: u64 = 25;
    let kv = Kv::new();
    let directory = kv.server.directory();
    let global = kv.global();
    std::thread::scope(|scope| {
        // The second one needs a restart. The server has to read the file all the same.
        for (setting, first) in [("accounts.token_ttl_seconds", 100), ("limits.connections_max", 300)] {
            scope.spawn(move || {
                for value in first..first + ROUNDS {
                    let done = set(directory, setting, &value.to_string());
                    assert_eq!(done.code, Some(0), "{done:?}");
                }
            });
        }
        scope.spawn(|| {
            for round in 0..ROUNDS {
                let (kept, deleted) = (format!("kept{round}"), format!("deleted{round}"));
                for id in [&kept, &deleted] {
                    let body = json!({"id": id}).to_string();
                    global.post("/api/v1/projects", &body).expect(201);
                }
                global.delete(&format!("/api/v1/projects/{deleted}")).expect(204);
            }
        });
    });
    let config = config_in(directory);
    assert_eq!(config["accounts"]["token_ttl_seconds"], 99 + ROUNDS, "{config}");
    assert_eq!(config["limits"]["connections_max"], 299 + ROUNDS, "{config}");
    let ids: Vec<&str> = config["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| project["id"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (0..ROUNDS).map(|round| format!("kept{round}")).collect();
    assert_eq!(ids[0], "first_project");
    assert_eq!(ids[1..], expected);
}

#[test]
fn a_lock_of_another_process_is_waited_for() {
    let kv = Kv::new();
    let held = std::fs::File::open(kv.server.directory()).unwrap();
    held.lock().unwrap();
    std::thread::scope(|scope| {
        let setting = scope.spawn(|| set(kv.server.directory(), "accounts.registration", "closed"));
        let global = kv.global();
        let creating = scope.spawn(move || global.post("/api/v1/projects", r#"{"id":"later"}"#));
        let before = kv.config();
        // Each of the two has opened the directory and would have changed the file long ago.
        let ended = || setting.is_finished() || creating.is_finished();
        let deadline = std::time::Instant::now() + std::time::Duration::from_millis(300);
        while std::time::Instant::now() < deadline {
            assert!(!ended(), "neither holds the lock");
            std::thread::yield_now();
        }
        assert_eq!(kv.config(), before);
        held.unlock().unwrap();
        assert_eq!(setting.join().unwrap().code, Some(0));
        creating.join().unwrap().expect(201);
    });
    assert_eq!(kv.config()["accounts"]["registration"], "closed");
    assert_eq!(kv.config()["projects"][1]["id"], "later");
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
        ("server_port", "-1", "`server_port` is -1; it must be a whole number, 0 to 65535"),
        ("\u{1b}[1m", "1", r"no setting `\u{1b}[1m`"),
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
fn an_unset_setting_has_its_default_again() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), documented_config().to_string()).unwrap();
    let before = config_in(directory.path());
    let done = set(directory.path(), "default.storage.sync", "never");
    let expected = "default.storage.sync = interval  (before: always)\n\
                    default.storage.sync_interval_seconds = 3600  (before: 1)\n";
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), expected), "{done:?}");
    let done = run(directory.path(), &["unset", "default.storage.sync"]);
    assert_eq!(done.stdout, "default.storage.sync = always  (before: interval)\n", "{done:?}");
    let done = run(directory.path(), &["unset", "default.storage.sync_interval_seconds"]);
    assert_eq!(done.stdout, "default.storage.sync_interval_seconds = 1  (before: 3600)\n", "{done:?}");
    assert_eq!(config_in(directory.path()), before);
    let refused = run(directory.path(), &["unset", "server_port"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
}

#[test]
fn a_change_by_which_projects_lose_their_files_needs_a_flag() {
    let mut kv = Kv::new();
    kv.project().put(KEY, "1").expect(201);
    for (setting, project) in
        [("projects.first_project.storage.on_disk", "first_project"), ("default.storage.on_disk", "other")]
    {
        if project == "other" {
            kv.create_project(&json!({"id": "other"}));
        }
        let before = kv.config_text();
        let refused = set(kv.server.directory(), setting, "false");
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let text = format!("The values of project `{project}` would be lost when the server stops");
        assert!(refused.stderr.contains(&text), "{refused:?}");
        assert!(refused.stderr.contains("add `--discard-files`"), "{refused:?}");
        assert_eq!(kv.config_text(), before);
        let done = run(kv.server.directory(), &["set", setting, "false", "--discard-files"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        let text = format!("warning: The values of project `{project}` are lost when the server stops");
        assert!(done.stdout.contains(&text), "{done:?}");
    }
    // What the warning states.
    kv.project().put(KEY, "2").expect(200);
    kv.restart();
    kv.project().get(KEY).expect(404);
    let done = set(kv.server.directory(), "projects.first_project.storage.on_disk", "true");
    assert_eq!(done.code, Some(0), "no flag for the way back: {done:?}");
}

const KEY: &str = "/api/v1/projects/first_project/keys/a";

#[test]
fn a_change_that_opens_projects_to_every_client_prints_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), documented_config().to_string()).unwrap();
    let own = "projects.first_project.authentication.enabled";
    for (setting, value, warning) in [
        (own, "false", "can read and write project `first_project`, because authentication is off."),
        (own, "true", ""),
        (
            "default.authentication.enabled",
            "false",
            "can read and write every project, and create and delete",
        ),
        ("default.authentication.enabled", "false", ""),
    ] {
        let done = set(directory.path(), setting, value);
        assert_eq!(done.code, Some(0), "{done:?}");
        let warnings: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("warning: ")).collect();
        assert_eq!(warnings.len(), usize::from(!warning.is_empty()), "{done:?}");
        assert!(warnings.concat().contains(warning), "{done:?}");
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
