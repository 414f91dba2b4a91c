//! Other storage settings for a project whose files were taken: they do not drop values that only memory has.

use crate::harness::kv::{Kv, PROJECT, key_path};
use crate::harness::sim_disk::{ENOSPC, SimDisk};
use crate::harness::{holds_within, wait_until};
use crate::simulation::catalog_faults::{NO_AUTHENTICATION, NO_STORAGE, id, keys, put, start};
use pikv::testing::catalog::ChangeError;
use pikv::testing::config::file;
use pikv::testing::config::schema::{StorageChoice, SyncMode};
use pikv::testing::store::commit::CommitState;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SYNC_INTERVAL: &str = r#"{"storage":{"sync":"interval"}}"#;
const INTERVAL: StorageChoice = StorageChoice { sync: Some(SyncMode::Interval), ..NO_STORAGE };
const JSON: &str = "/storage_data/first_project.json";
const JOURNAL: &str = "/storage_data/first_project.journal";

/// A server whose project has a key in its `.json`, and another one in its journal if `has_changes`.
fn written(has_changes: bool) -> Kv {
    let mut kv = Kv::new();
    kv.project().put(&key_path("old"), "1").expect(201);
    if !has_changes {
        kv.project().put(&key_path("new"), "1").expect(201);
    }
    kv.restart();
    if has_changes {
        kv.project().put(&key_path("new"), "1").expect(201);
    }
    kv
}

fn replace_by_directory(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
}

fn replace_by_fifo(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn assert_readable(kv: &Kv) {
    for name in ["old", "new"] {
        kv.project().get(&key_path(name)).expect(200);
    }
}

/// Asks for other settings over the API and by SIGHUP; both are refused, and the values stay.
#[track_caller]
fn check_kept(kv: &Kv, logged: &str) {
    let problem = kv.project().put(PROJECT, SYNC_INTERVAL).problem(503, "project_unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("Read the values and save them"), "{detail}");
    assert_readable(kv);
    assert_ne!(kv.config()["projects"][0]["storage"]["sync"], "interval");
    kv.edit_config(|config| config["projects"][0]["storage"]["sync"] = "interval".into());
    kv.server.signal("HUP");
    kv.server.await_stderr("INFO reloaded");
    assert_readable(kv);
    let refusals = kv.server.stderr_text().matches("not reopened with other storage settings").count();
    assert_eq!(refusals, 2, "{}", kv.server.stderr_text());
    kv.server.await_stderr(logged); // by the thread that rescues
}

#[test]
fn project_that_could_not_be_rescued_keeps_its_values() {
    let kv = written(true);
    replace_by_directory(&kv.data_path("first_project.journal"));
    wait_until("the journal is missed", || kv.project().put(&key_path("refused"), "1").status == 503);
    check_kept(&kv, "could not be written to new files");
}

#[test]
fn project_whose_journal_is_found_missing_by_the_change_of_settings_keeps_its_values() {
    let kv = written(true);
    replace_by_directory(&kv.data_path("first_project.journal"));
    check_kept(&kv, "could not be written to new files");
}

#[test]
fn a_project_whose_data_file_cannot_be_replaced_keeps_its_values_and_accepts_writes() {
    for replace in [replace_by_directory, replace_by_fifo] {
        for has_changes in [true, false] {
            let kv = written(has_changes);
            replace(&kv.data_path("first_project.json"));
            check_kept(&kv, "first_project.json: is not the file that this server wrote");
            assert!(!kv.server.stderr_text().contains("the journal has all changes"));
            kv.project().put(&key_path("more"), "1").expect(201);
        }
    }
}

#[test]
fn project_can_be_reopened_once_what_replaced_its_values_file_is_moved_away() {
    let mut kv = written(true);
    let path = kv.data_path("first_project.json");
    replace_by_directory(&path);
    kv.project().put(PROJECT, SYNC_INTERVAL).problem(503, "project_unavailable");
    fs::remove_dir(&path).unwrap();
    kv.project().put(PROJECT, SYNC_INTERVAL).expect(200);
    assert_readable(&kv);
    kv.restart();
    assert_readable(&kv);
}

#[test]
fn values_file_that_was_removed_or_edited_is_written_again_before_a_project_is_reopened() {
    for edit in [None, Some("{\"edited\":1}"), Some("no JSON")] {
        for has_changes in [true, false] {
            let kv = written(has_changes);
            let path = kv.data_path("first_project.json");
            match edit {
                None => fs::remove_file(&path).unwrap(),
                Some(text) => fs::write(&path, text).unwrap(),
            }
            kv.project().put(PROJECT, SYNC_INTERVAL).expect(200);
            assert_readable(&kv);
        }
    }
}

#[test]
fn values_that_are_read_from_a_removed_file_stay_readable() {
    let kv = written(false);
    kv.project().put(PROJECT, r#"{"storage":{"cache_in_memory":false}}"#).expect(200);
    fs::remove_file(kv.data_path("first_project.json")).unwrap();
    kv.project().put(PROJECT, SYNC_INTERVAL).expect(200);
    assert_readable(&kv);
}

fn list_project(kv: &Kv, is_listed: bool) {
    kv.edit_config(|config| {
        let projects = config["projects"].as_array_mut().unwrap();
        projects.retain(|project| project["id"] != "first_project");
        if is_listed {
            projects.push(json!({"id": "first_project", "authentication": {"enabled": false}}));
        }
    });
    kv.server.signal("HUP");
}

#[test]
fn project_whose_values_are_only_in_memory_is_not_removed_by_sighup() {
    for has_changes in [true, false] {
        let kv = written(has_changes);
        let path = kv.data_path("first_project.json");
        replace_by_directory(&path);
        list_project(&kv, false);
        kv.server.await_stderr(
            "ERROR reload failed: config.json no longer lists the project first_project, and its",
        );
        assert_readable(&kv);
        kv.project().put(&key_path("more"), "1").expect(201);
        fs::remove_dir(&path).unwrap();
        list_project(&kv, false);
        kv.server.await_stderr(
            "first_project was removed from config.json and is no longer served; its files are kept",
        );
        list_project(&kv, true);
        wait_until("the project is served", || kv.anonymous().get(&key_path("more")).status == 200);
        for name in ["old", "new"] {
            kv.anonymous().get(&key_path(name)).expect(200);
        }
    }
}

#[test]
fn edit_of_a_project_that_sighup_removes_is_left() {
    let kv = written(false);
    fs::write(kv.data_path("first_project.json"), "{\"edited\":1}").unwrap();
    list_project(&kv, false);
    kv.server.await_stderr(
        "first_project was removed from config.json and is no longer served; its files are kept",
    );
    list_project(&kv, true);
    wait_until("the edit is imported", || kv.anonymous().get(&key_path("edited")).status == 200);
}

#[test]
fn a_project_in_memory_that_sighup_removes_is_logged_with_the_loss_of_its_values() {
    let kv = Kv::edited(|config| config["projects"][0]["storage"] = json!({"on_disk": false}));
    list_project(&kv, false);
    kv.server.await_stderr(
        "first_project was removed from config.json and is no longer served; its values were only in memory and are lost",
    );
}

#[test]
fn project_on_a_full_disk_is_reopened_because_its_journal_has_what_the_values_file_does_not() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    assert_eq!(put(&catalog, "first_project", "a"), CommitState::Committed);
    disk.refuse("create /storage_data/first_project.json.tmp", ENOSPC);
    catalog.update(&id("first_project"), INTERVAL, NO_AUTHENTICATION).unwrap();
    assert_eq!(keys(&catalog, "first_project"), 1);
    threads.stop();
}

/// The settings that end with `on_disk`, one after the other.
const MOVES: [&str; 4] = [
    r#"{"storage":{"cache_in_memory":false}}"#,
    r#"{"storage":{"on_disk":false,"discard_files":true}}"#,
    r#"{"storage":{"on_disk":true}}"#,
    SYNC_INTERVAL,
];

#[test]
fn settings_are_refused_while_a_temporary_file_cannot_be_removed_and_no_key_is_lost() {
    for has_changes in [true, false] {
        for name in ["first_project.json.tmp", "first_project.journal.tmp", "first_project.journal.new"] {
            let mut kv = written(has_changes);
            let blocked = kv.data_path(name);
            fs::create_dir(&blocked).unwrap();
            let before = kv.config_text();
            for settings in MOVES {
                let answer = kv.project().put(PROJECT, settings);
                if settings.contains("\"on_disk\":true") {
                    answer.expect(200); // as before
                } else {
                    answer.expect_problem(500, "disk_error");
                }
                assert_readable(&kv);
                assert_eq!(kv.config_text(), before);
            }
            kv.server.await_stderr(&format!("{name}: "));
            kv.edit_config(|config| config["projects"][0]["storage"]["cache_in_memory"] = false.into());
            kv.server.signal("HUP");
            kv.server.await_stderr("INFO reloaded");
            assert_readable(&kv);
            kv.project().put(&key_path("more"), "1").expect(201);
            fs::remove_dir(&blocked).unwrap();
            for settings in MOVES {
                kv.project().put(PROJECT, settings).expect(200);
                assert_readable(&kv);
            }
            kv.restart();
            assert_readable(&kv);
            kv.project().get(&key_path("more")).expect(200);
        }
    }
}

#[test]
fn a_project_that_could_not_be_opened_does_not_become_an_empty_one_in_memory() {
    let mut kv = written(false);
    let path = kv.data_path("first_project.json");
    let moved = kv.data_path("moved");
    kv.server.terminate();
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    kv.server.start_again();
    let before = kv.config_text();
    kv.project().put(PROJECT, MOVES[1]).expect_problem(503, "project_unavailable");
    assert_eq!(kv.config_text(), before);
    fs::remove_dir(&path).unwrap();
    fs::rename(&moved, &path).unwrap();
    kv.project().put(PROJECT, SYNC_INTERVAL).expect(200);
    assert_readable(&kv);
}

/// The files are checked before config.json is saved, and again before they are opened.
#[test]
fn files_that_are_removed_while_the_settings_are_saved_lose_no_value() {
    for name in [JSON, JOURNAL] {
        let disk = SimDisk::default();
        let path = Path::new("/config.json");
        file::save(&disk, path, &file::default_config()).unwrap();
        let (catalog, threads) = start(&disk);
        assert_eq!(put(&catalog, "first_project", "a"), CommitState::Committed);
        let handle = disk.clone();
        disk.set_between(Some(Box::new(move || {
            if handle.operation(handle.operations() - 1) == "rename to /config.json" {
                handle.place(Path::new(name), b"of somebody else");
            }
        })));
        let updated = catalog.update(&id("first_project"), INTERVAL, NO_AUTHENTICATION).map(drop);
        disk.set_between(None);
        if name == JOURNAL {
            assert!(matches!(updated, Err(ChangeError::ValuesUnsaved)), "{updated:?}");
            assert_eq!(file::load(&disk, path).unwrap(), Some(file::default_config()));
        }
        assert_eq!(keys(&catalog, "first_project"), 1, "{name}");
        threads.stop();
    }
}

/// Checkpoints are held up, because they sync, too.
#[test]
fn another_sync_interval_takes_effect_by_update_and_by_reload() {
    for reload in [false, true] {
        let disk = SimDisk::default();
        let path = Path::new("/config.json");
        file::save(&disk, path, &file::default_config()).unwrap();
        let (catalog, threads) = start(&disk);
        let set_interval = |seconds| {
            let interval = StorageChoice { sync_interval_seconds: Some(seconds), ..INTERVAL };
            if reload {
                let mut config = file::load(&disk, path).unwrap().unwrap();
                config.replace_settings(&id("first_project"), interval, NO_AUTHENTICATION);
                file::save(&disk, path, &config).unwrap();
                catalog.reload().unwrap();
            } else {
                catalog.update(&id("first_project"), interval, NO_AUTHENTICATION).unwrap();
            }
            disk.hold("create /storage_data/first_project.json.tmp");
        };
        let is_in_journal = |disk: &SimDisk, key: &str| {
            String::from_utf8_lossy(&disk.content(Path::new(JOURNAL))).contains(&format!("\"{key}\""))
        };
        set_interval(3_600);
        put(&catalog, "first_project", "slow");
        wait_until("it is written", || is_in_journal(&disk, "slow"));
        let is_synced = |key: &str| is_in_journal(&disk.after_crash(0), key);
        assert!(!holds_within(Duration::from_millis(1_500), || is_synced("slow")), "{reload}");
        disk.let_go();
        set_interval(1);
        put(&catalog, "first_project", "quick");
        wait_until("it is synced", || is_synced("quick"));
        disk.let_go();
        threads.stop();
    }
}
