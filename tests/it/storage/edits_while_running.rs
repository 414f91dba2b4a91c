//! Data files that somebody edits while the server runs, which is not how it is meant: nothing of it
//! is lost, and no value is ever read from where another one lies now.

use crate::harness::kv::{KEYS, Kv, PROJECT, key_path};
use crate::harness::{run_to_end, wait_until};
use serde_json::json;

const FILE: &str = "first_project.json";

fn on_disk(kv: &Kv) -> String {
    std::fs::read_to_string(kv.data_path(FILE)).unwrap()
}

fn preserved_copy(kv: &Kv) -> Vec<String> {
    let names = std::fs::read_dir(kv.data_path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let texts = names.map(|name| name.into_string().unwrap());
    texts.filter(|name| name.starts_with("first_project.json.edited-")).collect()
}

#[test]
fn an_edit_while_the_values_are_in_memory_is_kept_as_a_copy_when_they_are_written() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("one"), "11").expect(201);
    wait_until("the file has the key", || on_disk(&kv).contains("11"));
    std::fs::write(kv.data_path(FILE), r#"{"one": "edited while running"}"#).unwrap();
    kv.project().put(&key_path("two"), "2").expect(201);
    kv.server.terminate();
    kv.server.await_stderr("was edited while the server was running");
    let aside = preserved_copy(&kv);
    assert_eq!(aside.len(), 1, "{aside:?}");
    let edit = std::fs::read_to_string(kv.data_path(&aside[0])).unwrap();
    assert_eq!(edit, r#"{"one": "edited while running"}"#);
    kv.server.start_again();
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"one": 11, "two": 2}));
}

#[test]
fn an_edit_of_values_that_are_only_on_disk_stops_the_project_and_no_wrong_value_is_read() {
    let mut kv = Kv::new();
    let index_only = json!({"storage": {"cache_in_memory": false}}).to_string();
    kv.project().put(PROJECT, &index_only).expect(200);
    kv.project().put(&key_path("alpha"), "\"first value\"").expect(201);
    kv.project().put(&key_path("beta"), r#"{"n":12345}"#).expect(201);
    kv.restart();
    let edit = "{\n\"alpha\": \"changed by hand to something longer\",\n\"beta\": {\"n\":12345}\n}\n";
    std::fs::write(kv.data_path(FILE), edit).unwrap();
    for key in ["alpha", "beta"] {
        let answer = kv.project().get(&key_path(key));
        assert_eq!(answer.status, 500, "{answer:?}");
    }
    kv.server.await_stderr("was edited while the server was running");
    kv.project().put(&key_path("gamma"), "3").expect(201);
    kv.server.terminate();
    assert_eq!(on_disk(&kv), edit, "the edit is as it was");
    kv.server.start_again();
    kv.project().get(KEYS).problem(503, "project_unavailable");
    kv.server.terminate();
    let config = kv.server.config_path();
    let words = ["recover", "first_project", "--journal", "replay", "--config", config.to_str().unwrap()];
    assert_eq!(run_to_end(kv.server.directory(), &words).code, Some(0));
    kv.server.start_again();
    let expected = json!({"alpha": "changed by hand to something longer", "beta": {"n": 12345}, "gamma": 3});
    assert_eq!(kv.project().get(KEYS).json()["keys"], expected);
}

#[test]
fn settings_of_a_project_that_an_edit_stopped_need_a_restart_and_the_log_states_why() {
    let kv = Kv::new();
    let index_only = json!({"storage": {"cache_in_memory": false}}).to_string();
    kv.project().put(PROJECT, &index_only).expect(200);
    std::fs::write(kv.data_path(FILE), r#"{"one": "edited while running"}"#).unwrap();
    kv.project().put(&key_path("two"), "2").expect(201);
    kv.server.await_stderr("it takes no more writes until the server is restarted");
    kv.edit_config(|config| config["projects"][0]["storage"]["cache_in_memory"] = json!(true));
    kv.server.signal("HUP");
    let said =
        "was edited or cut while the server was running; changing its storage settings requires a restart";
    kv.server.await_stderr(said);
}

#[test]
fn a_file_truncated_beneath_values_on_disk_fails_all_reads_alike_and_the_log_states_the_fix() {
    let mut kv = Kv::new();
    let index_only = json!({"storage": {"cache_in_memory": false}}).to_string();
    kv.project().put(PROJECT, &index_only).expect(200);
    kv.project().put(&key_path("alpha"), "\"first value\"").expect(201);
    kv.restart();
    let file = std::fs::OpenOptions::new().write(true).open(kv.data_path(FILE)).unwrap();
    file.set_len(10).unwrap();
    for target in [KEYS, &format!("{KEYS}?meta=true"), &key_path("alpha")] {
        kv.server.await_stderr("listening on");
        let before = kv.server.stderr_text().len();
        kv.project().get(target).problem(500, "disk_error");
        wait_until("the log names the file and what to do", || {
            let log = kv.server.stderr_text();
            let mut lines = log.get(before..).unwrap_or_default().lines();
            lines.any(|line| {
                ["ERROR project first_project: ", "/first_project.json: ", "stop the server"]
                    .iter()
                    .all(|part| line.contains(part))
            })
        });
    }
    kv.project().put(&key_path("gamma"), "3").expect(201);
    kv.server.await_stderr("it takes no more writes");
    let problem = kv.project().put(&key_path("delta"), "4").problem(503, "project_unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("edited"), "{detail}");
    kv.server.terminate();
    let log = kv.server.stderr_text();
    assert!(!log.contains("taken back"), "{log}");
}

#[test]
fn an_edit_is_logged_and_kept_until_the_next_checkpoint() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("one"), "11").expect(201);
    kv.restart();
    std::fs::write(kv.data_path(FILE), r#"{"one": "edited while running"}"#).unwrap();
    let look = || kv.anonymous().get("/readyz").status == 200;
    wait_until("the edit is logged", || {
        look() && kv.server.stderr_text().contains("edited while the server was running; the next")
    });
    assert_eq!(kv.project().get(&key_path("one")).json()["value"], 11);
    kv.server.terminate();
    assert!(preserved_copy(&kv).is_empty());
    kv.server.start_again();
    assert_eq!(kv.project().get(&key_path("one")).json()["value"], "edited while running");
}

/// Values of 150 KB, so that no checkpoint is due for a while.
#[test]
fn values_file_that_is_removed_is_written_again_before_the_server_is_killed() {
    for in_memory in [true, false] {
        let mut kv = Kv::new();
        let settings = json!({"storage": {"cache_in_memory": in_memory}}).to_string();
        kv.project().put(PROJECT, &settings).expect(200);
        let value = format!("\"{}\"", "v".repeat(15_000));
        for number in 0..10 {
            kv.project().put(&key_path(&format!("big{number}")), &value).expect(201);
        }
        kv.restart();
        std::fs::remove_file(kv.data_path(FILE)).unwrap();
        kv.project().put(&key_path("after"), "1").expect(201);
        kv.server
            .await_stderr("first_project.json was removed while the server was running; it is written again");
        wait_until("the file is written again", || {
            on_disk_now(&kv).is_some_and(|text| text.contains("big9"))
        });
        kv.project().put(&key_path("last"), "1").expect(201);
        kv.crash_and_start();
        let keys = kv.project().get(KEYS).expect(200).json()["keys"].as_object().unwrap().len();
        assert_eq!(keys, 12, "{in_memory}");
    }
}

fn on_disk_now(kv: &Kv) -> Option<String> {
    std::fs::read_to_string(kv.data_path(FILE)).ok()
}

#[test]
fn accounts_file_that_is_removed_is_written_again() {
    let kv = Kv::new();
    let path = kv.data_path("_accounts.json");
    std::fs::remove_file(&path).unwrap();
    wait_until("the file is written again", || {
        kv.anonymous().get("/readyz").expect(200);
        path.exists()
    });
}

#[test]
fn a_removed_or_replaced_journal_accepts_no_writes_and_loses_none() {
    for replacement in [None, Some("of somebody else")] {
        let mut kv = Kv::new();
        kv.project().put(&key_path("kept"), "1").expect(201);
        let journal = kv.data_path("first_project.journal");
        std::fs::remove_file(&journal).unwrap();
        if let Some(text) = replacement {
            std::fs::write(&journal, text).unwrap();
        }
        wait_until("a write is refused", || kv.project().put(&key_path("refused"), "1").status == 503);
        kv.anonymous().get("/readyz").problem(503, "not_ready");
        kv.server.await_stderr("everything that was acknowledged is in new files");
        let written_in_between = kv.project().get(&key_path("refused")).status;
        kv.crash_and_start();
        assert_eq!(kv.project().get(&key_path("kept")).expect(200).json()["value"], 1);
        assert_eq!(kv.project().get(&key_path("refused")).status, written_in_between);
        kv.project().put(&key_path("after"), "1").expect(201);
    }
}

#[test]
fn readyz_detects_a_missing_journal_without_a_write() {
    let kv = Kv::new();
    wait_until("the project is written", || kv.data_path("first_project.journal").exists());
    std::fs::remove_file(kv.data_path("first_project.journal")).unwrap();
    wait_until("/readyz is 503", || kv.anonymous().get("/readyz").status == 503);
    kv.server.await_stderr("first_project.journal: was removed or moved while the server was running");
    wait_until("the journal is back", || kv.data_path("first_project.journal").exists());
}

#[test]
fn lock_that_is_removed_ends_all_writing_and_leaves_the_files_to_the_second_server() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("kept"), "1").expect(201);
    std::fs::remove_file(kv.data_path("pikv.lock")).unwrap();
    wait_until("a write is refused", || kv.project().put(&key_path("late"), "1").status == 503);
    kv.anonymous().get("/readyz").problem(503, "not_ready");
    kv.server.await_stderr("pikv.lock: was removed or replaced while the server was running");
    let before = std::fs::read(kv.data_path(FILE)).unwrap();
    let body = json!({"id": "more"});
    let refused = kv.global().post("/api/v1/projects", &body.to_string());
    refused.problem(503, "project_unavailable");
    kv.global().delete(PROJECT).problem(503, "project_unavailable");
    kv.server.terminate();
    assert_eq!(std::fs::read(kv.data_path(FILE)).unwrap(), before);
    assert!(kv.data_path("pikv.address").exists(), "it may be the second server's");
    kv.server.start_again();
    assert_eq!(kv.project().get(&key_path("kept")).expect(200).json()["value"], 1);
}

#[test]
fn a_recovery_without_a_conflict_is_refused_and_loses_nothing() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    kv.server.kill();
    for choice in ["discard", "replay"] {
        let config = kv.server.config_path();
        let words = ["recover", "first_project", "--journal", choice, "--config", config.to_str().unwrap()];
        let finished = run_to_end(kv.server.directory(), &words);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("there is nothing to recover"), "{finished:?}");
    }
    kv.server.start_again();
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"a": 1}));
}
