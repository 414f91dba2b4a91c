//! Starts: what is made, printed and kept, and which configuration counts.

use crate::harness::kv::{Kv, PROJECT, PROJECTS, documented_config, key_path};
use crate::harness::tool::Tool;
use crate::harness::{Options, PATIENCE, Server, holds_within, key_in, refused_start, run_to_end};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn hash_of(key: &str) -> String {
    let digits: Vec<String> = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", digits.concat())
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn global_authentication(kv: &Kv) -> Value {
    kv.config()["default"]["authentication"].clone()
}

fn project_authentication(kv: &Kv) -> Value {
    kv.config()["projects"][0]["authentication"].clone()
}

#[test]
fn a_first_start_prints_keys_paths_and_address() {
    let kv = Kv::new();
    let printed = kv.server.stdout_text();
    for key in [&kv.global_key, &kv.project_key] {
        assert!(key.starts_with("pikv_") && key.len() == 54, "{printed}");
        assert_eq!(
            printed.lines().filter(|line| line.contains(key.as_str()) && !line.contains("curl")).count(),
            1
        );
    }
    assert_ne!(kv.global_key, kv.project_key);
    let directory = kv.server.directory().canonicalize().unwrap();
    for path in [directory.join("config.json"), directory.join("storage_data")] {
        assert!(printed.contains(path.to_str().unwrap()), "{} in {printed}", path.display());
    }
    let url = format!("http://127.0.0.1:{}", kv.server.port);
    assert!(printed.lines().any(|line| line.split_whitespace().eq(["listening", "on", &url])));
    kv.global().get(PROJECTS).expect(200);
    kv.project().get(PROJECT).expect(200);
}

#[test]
fn the_banner_is_complete_and_last_and_states_how_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("output");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("exec \"$0\" --config \"$1\" --host 0.0.0.0 --port 0 >\"$2\" 2>&1");
    shell.arg(env!("CARGO_BIN_EXE_pikv")).arg(directory.path().join("config.json")).arg(&output);
    let mut child = shell.current_dir(directory.path()).spawn().unwrap();
    let text = || std::fs::read_to_string(&output).unwrap_or_default();
    let is_printed = holds_within(PATIENCE, || text().contains("Ctrl-C"));
    child.kill().unwrap();
    child.wait().unwrap();
    let text = text();
    assert!(is_printed, "{text}");
    let (log, banner) = text.split_at(text.find("pikv 0").unwrap());
    assert!(log.contains("INFO listening on 0.0.0.0:"), "{text}");
    assert!(banner.ends_with("\nPress Ctrl-C to stop the server.\n"), "{text}");
    assert!(banner.contains("\nOpen a second terminal,"), "{text}");
    // What a browser can open, instead of every address.
    let urls: Vec<&str> =
        banner.lines().filter_map(|line| line.split_once("http://")).map(|(_, url)| url).collect();
    assert!(urls.iter().any(|url| url.starts_with("127.0.0.1:")), "{text}");
    assert!(!banner.contains("0.0.0.0"), "{text}");
    for warning in ["can create an account", "accounts.registration closed", "not encrypted"] {
        assert!(log.contains(warning), "{warning} in {text}");
    }
}

#[test]
fn a_start_without_authentication_prints_no_key() {
    let mut config = documented_config();
    config["default"]["authentication"]["enabled"] = false.into();
    let server = Server::start_with(config);
    let printed = server.stdout_text();
    assert!(printed.contains("listening on"), "{printed}");
    assert!(!printed.contains("pikv_") && !printed.contains("X-API-Key"), "{printed}");
}

#[test]
fn a_first_start_creates_the_documented_configuration_readable_by_its_owner_only() {
    let kv = Kv::new();
    let mut expected = documented_config();
    expected["server_host"] = "127.0.0.1".into();
    expected["log"] = json!({"level": "info"});
    expected["accounts"] = json!({"enabled": true, "registration": "open"});
    (expected["trusted_proxies"], expected["public_hosts"]) = (json!([]), json!([]));
    expected["cors"] = json!({"origins": []});
    expected["default"]["authentication"]["api_key_hash"] = hash_of(&kv.global_key).into();
    expected["projects"][0]["authentication"]["api_key_hash"] = hash_of(&kv.project_key).into();
    assert_eq!(kv.config(), expected);
    assert_eq!(mode(&kv.server.config_path()), 0o600);
    assert_eq!(mode(&kv.data_path(".")), 0o700);
    kv.project().put(&key_path("a"), "1").expect(201);
    for entry in std::fs::read_dir(kv.data_path(".")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn later_starts_print_no_keys_and_change_nothing() {
    let mut kv = Kv::new();
    let before = kv.config_text();
    kv.restart();
    let printed = kv.server.stdout_text();
    assert!(!printed.contains("pikv_"), "{printed}");
    assert_eq!(kv.config_text(), before);
    kv.global().get(PROJECTS).expect(200);
    kv.project().get(PROJECT).expect(200);
    kv.crash_and_start();
    kv.project().get(PROJECT).expect(200);
}

#[test]
fn a_start_whose_keys_cannot_be_printed_reports_how_to_get_new_ones_and_serves() {
    let missing = (!Path::new("/dev/full").exists()).then(|| "/dev/full does not exist".to_owned());
    if !Tool::DevFull.is_usable(missing) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (config, log_path) = (directory.path().join("config.json"), directory.path().join("log"));
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("exec \"$0\" serve --config \"$1\" --port 0 >/dev/full 2>\"$2\"");
    shell.arg(env!("CARGO_BIN_EXE_pikv")).arg(&config).arg(&log_path);
    let mut child = shell.current_dir(directory.path()).spawn().unwrap();
    let log = || std::fs::read_to_string(&log_path).unwrap_or_default();
    let parts = ["ERROR the new keys (global key, first_project key) could not be printed", "`api_key_hash`"];
    let serves = holds_within(PATIENCE, || {
        log().contains("INFO listening on") && parts.iter().all(|part| log().contains(part))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(serves, "{}", log());
    assert!(!log().contains("pikv_"), "no key where logs are kept: {}", log());
}

#[test]
fn a_project_without_files_begins_empty_and_the_log_reports_it() {
    let mut kv = Kv::new();
    kv.server.await_stderr("INFO project first_project: no files in ");
    kv.restart();
    kv.server.await_stderr("listening on");
    assert!(!kv.server.stderr_text().contains("no files in"), "{}", kv.server.stderr_text());
    kv.edit_config(|config| config["projects"].as_array_mut().unwrap().push(json!({"id": "second"})));
    kv.server.signal("HUP");
    kv.server.await_stderr("INFO project second: no files in ");
    kv.server.terminate();
    for name in ["first_project.json", "first_project.journal"] {
        std::fs::remove_file(kv.data_path(name)).unwrap();
    }
    kv.server.start_again();
    kv.server.await_stderr("INFO project first_project: no files in ");
    assert!(!kv.server.stderr_text().contains("project second: no files"));
}

#[test]
fn too_few_descriptors_for_the_connections_are_reported_with_the_limit_to_raise() {
    let limited = Options { descriptors_max: Some(80), ..Options::default() };
    let server = Server::start_as(limited);
    server.await_stderr("WARN limits.connections_max is 10000, but the limit of 80 file descriptors allows only 19 connections");
    server.await_stderr("`ulimit -n 10068`");
    let mut config = documented_config();
    config["limits"] = json!({"connections_max": 16});
    let enough = Options { descriptors_max: Some(80), config: Some(config), ..Options::default() };
    let server = Server::start_as(enough);
    server.await_stderr("listening on");
    assert!(!server.stderr_text().contains("connections_max"), "{}", server.stderr_text());
}

#[test]
fn the_printed_curl_lines_work_unchanged() {
    let kv = Kv::new();
    let mut printed = String::new();
    crate::harness::wait_until("the curl lines are printed", || {
        printed = kv.server.stdout_text();
        printed.lines().any(|line| line.trim_start().starts_with("curl ")) && printed.ends_with('\n')
    });
    if !Tool::Curl.is_installed() {
        return;
    }
    for line in printed.lines().filter(|line| line.trim_start().starts_with("curl ")) {
        let output = Command::new("sh").arg("-c").arg(format!("{line} -sS --fail")).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn keys_are_kept_in_the_file_if_it_is_configured() {
    let mut kv = Kv::edited(|config| {
        config["default"]["authentication"]["save_api_key_to_file"] = true.into();
        config["projects"][0]["authentication"]["save_api_key_to_file"] = true.into();
    });
    assert_eq!(global_authentication(&kv)["api_key"], kv.global_key.as_str());
    assert_eq!(global_authentication(&kv)["api_key_hash"], hash_of(&kv.global_key));
    assert_eq!(project_authentication(&kv)["api_key"], kv.project_key.as_str());
    assert_eq!(project_authentication(&kv)["api_key_hash"], hash_of(&kv.project_key));
    assert_eq!(mode(&kv.server.config_path()), 0o600);
    kv.restart();
    assert!(!kv.server.stdout_text().contains("pikv_"));
    kv.project().get(PROJECT).expect(200);
}

#[test]
fn a_saved_key_leaves_the_file_when_saving_is_switched_off() {
    let mut kv = Kv::edited(|config| {
        config["default"]["authentication"]["save_api_key_to_file"] = true.into();
    });
    kv.server.terminate();
    kv.edit_config(|config| config["default"]["authentication"]["save_api_key_to_file"] = false.into());
    kv.server.start_again();
    assert_eq!(global_authentication(&kv)["api_key"], Value::Null);
    assert_eq!(global_authentication(&kv)["api_key_hash"], hash_of(&kv.global_key));
    kv.global().get(PROJECTS).expect(200);
}

#[test]
fn a_key_written_by_hand_is_valid_from_the_next_start_and_its_hash_is_saved() {
    let mut kv = Kv::new();
    kv.server.terminate();
    let (global, project) = ("by-hand-global-1", "by hand".replace(' ', "-") + "-project-1234");
    kv.edit_config(|config| {
        config["default"]["authentication"]["api_key"] = global.into();
        config["projects"][0]["authentication"]["api_key"] = project.as_str().into();
        config["projects"][0]["authentication"]["save_api_key_to_file"] = true.into();
    });
    kv.server.start_again();
    kv.caller(global).get(PROJECTS).expect(200);
    kv.caller(&project).get(PROJECT).expect(200);
    kv.global().get(PROJECTS).problem(401, "api_key_wrong");
    kv.project().get(PROJECT).problem(401, "api_key_wrong");
    assert_eq!(global_authentication(&kv)["api_key"], Value::Null);
    assert_eq!(global_authentication(&kv)["api_key_hash"], hash_of(global));
    assert_eq!(project_authentication(&kv)["api_key"], project.as_str());
    assert_eq!(project_authentication(&kv)["api_key_hash"], hash_of(&project));
    assert_eq!(mode(&kv.server.config_path()), 0o600);
}

#[test]
fn a_placeholder_or_missing_hash_is_generated() {
    let text = "[Will be generated and stored here if api_key is null during first run]";
    for hash in [json!(text), Value::Null] {
        let kv = Kv::edited(|config| {
            config["default"]["authentication"]["api_key_hash"] = hash.clone();
            config["projects"][0]["authentication"].as_object_mut().unwrap().remove("api_key_hash");
        });
        assert_eq!(global_authentication(&kv)["api_key_hash"], hash_of(&kv.global_key));
        assert_eq!(project_authentication(&kv)["api_key_hash"], hash_of(&kv.project_key));
    }
}

#[test]
fn a_hash_of_null_generates_a_new_key() {
    let mut kv = Kv::new();
    kv.server.terminate();
    kv.edit_config(|config| config["projects"][0]["authentication"]["api_key_hash"] = Value::Null);
    kv.server.start_again();
    let printed = kv.server.stdout_text();
    let key = key_in(&printed, "first_project key").unwrap();
    assert_eq!(key_in(&printed, "global key"), None);
    kv.caller(&key).get(PROJECT).expect(200);
    kv.project().get(PROJECT).problem(401, "api_key_wrong");
    kv.global().get(PROJECT).expect(200);
}

#[test]
fn a_project_added_by_hand_gets_its_key_and_its_file_at_the_next_start() {
    let mut kv = Kv::new();
    kv.server.terminate();
    kv.edit_config(|config| {
        let projects = config["projects"].as_array_mut().unwrap();
        projects.push(json!({"id": "notes"}));
        projects.push(json!({"id": "open", "authentication": {"enabled": false}}));
    });
    kv.server.start_again();
    let printed = kv.server.stdout_text();
    let key = key_in(&printed, "notes key").unwrap_or_else(|| panic!("{printed}"));
    assert_eq!(printed.matches("pikv_").count(), printed.matches(&key).count(), "{printed}");
    kv.caller(&key).put("/api/v1/projects/notes/keys/a", "1").expect(201);
    kv.anonymous().put("/api/v1/projects/open/keys/a", "1").expect(201);
    assert!(kv.data_path("notes.json").exists());
}

#[test]
fn a_project_removed_by_hand_keeps_its_file_until_it_is_added_again() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    kv.server.terminate();
    let mut taken = Value::Null;
    kv.edit_config(|config| taken = config["projects"].as_array_mut().unwrap().remove(0));
    kv.server.start_again();
    kv.global().get(PROJECT).problem(404, "project_not_found");
    assert!(kv.data_path("first_project.json").exists());
    kv.server.terminate();
    kv.edit_config(|config| config["projects"].as_array_mut().unwrap().push(taken));
    kv.server.start_again();
    assert_eq!(kv.project().get(&key_path("a")).expect(200).json()["value"], 1);
}

#[test]
fn data_files_are_json_named_after_the_project() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("key1"), "\"value1\"").expect(201);
    kv.project().put(&key_path("key2"), "{\"n\": [1]}").expect(201);
    kv.server.terminate();
    let file = std::fs::read_to_string(kv.data_path("first_project.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), json!({"key1": "value1", "key2": {"n": [1]}}));
    assert_eq!(file.lines().count(), 4, "one line a key: {file}");
}

#[test]
fn a_running_server_has_its_data_in_the_file_a_moment_after_the_last_write() {
    let kv = Kv::new();
    kv.project().put(&key_path("a"), "\"today\"").expect(201);
    crate::harness::wait_until("the file has the value", || {
        std::fs::read_to_string(kv.data_path("first_project.json")).unwrap().contains("today")
    });
}

#[test]
fn the_data_directory_is_found_beside_the_configuration() {
    let kv = Kv::edited(|config| config["default"]["storage"]["persistent_file_path"] = "./deep/er/".into());
    kv.project().put(&key_path("a"), "1").expect(201);
    assert!(kv.server.directory().join("deep/er/first_project.json").exists());
    assert_eq!(mode(&kv.server.directory().join("deep/er")), 0o700);
    let elsewhere = tempfile::tempdir().unwrap();
    let absolute = elsewhere.path().join("data");
    let kv = Kv::edited(|config| {
        config["default"]["storage"]["persistent_file_path"] = absolute.to_str().unwrap().into();
    });
    kv.project().put(&key_path("a"), "1").expect(201);
    assert!(absolute.join("first_project.json").exists());
}

#[test]
fn a_file_at_the_path_of_the_data_directory_is_reported_as_a_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("storage_data"), "mine").unwrap();
    let refused = refused_start(directory.path());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("storage_data/ is not a directory. Move it away"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(directory.path().join("storage_data")).unwrap(), "mine");
    let mut config = documented_config();
    config["default"]["storage"]["persistent_file_path"] = "storage_data/deeper".into();
    std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    let refused = refused_start(directory.path());
    assert!(refused.stderr.contains("A part of the path is a file"), "{refused:?}");
}

#[test]
fn the_working_directory_of_a_start_has_no_effect() {
    let kv = Kv::new();
    kv.server.pid();
    let elsewhere = tempfile::tempdir().unwrap();
    let config = kv.server.config_path();
    let checked = run_to_end(elsewhere.path(), &["config", "check", "--config", config.to_str().unwrap()]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let made = tempfile::tempdir().unwrap();
    let path = made.path().join("config.json");
    let made_by = run_to_end(elsewhere.path(), &["init", "--config", path.to_str().unwrap()]);
    assert_eq!(made_by.code, Some(0), "{made_by:?}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn a_project_in_memory_only_has_no_file_and_ends_with_the_server() {
    let mut kv = Kv::edited(|config| config["projects"][0]["storage"]["on_disk"] = false.into());
    let before = kv.project().put(&key_path("a"), "1").expect(201).revision();
    assert_eq!(kv.project().get(&key_path("a")).expect(200).json()["value"], 1);
    kv.restart();
    kv.project().get(&key_path("a")).problem(404, "key_not_found");
    assert!(kv.project().put(&key_path("a"), "1").expect(201).revision() > before, "never used twice");
    let files = std::fs::read_dir(kv.data_path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(files.into_iter().all(|name| !name.to_string_lossy().contains("first_project")));
}

#[test]
fn a_project_without_cache_reads_its_values_from_the_file() {
    let mut kv = Kv::edited(|config| config["projects"][0]["storage"]["cache_in_memory"] = false.into());
    for (key, value) in [("a", "[1]"), ("b", "\"text\""), ("a", "[2]")] {
        let answer = kv.project().put(&key_path(key), value);
        assert!(matches!(answer.status, 200 | 201));
    }
    let check = |kv: &Kv| {
        assert_eq!(kv.project().get(&key_path("a")).expect(200).json()["value"], json!([2]));
        assert_eq!(kv.project().get(&format!("{}?raw", key_path("b"))).expect(200).text(), "text");
        assert_eq!(kv.project().get(PROJECT).json()["storage"]["cache_in_memory"], false);
    };
    check(&kv);
    kv.crash_and_start();
    check(&kv);
    kv.restart();
    check(&kv);
}

#[test]
fn a_server_ends_with_0_on_sigterm_and_sigint() {
    for signal in ["TERM", "INT"] {
        let mut kv = Kv::new();
        kv.project().put(&key_path("a"), "1").expect(201);
        kv.server.signal(signal);
        assert_eq!(kv.server.await_exit().code(), Some(0), "{}", kv.server.stderr_text());
        kv.server.start_again();
        kv.project().get(&key_path("a")).expect(200);
    }
}

#[test]
fn the_port_of_the_configuration_is_used_unless_a_flag_sets_one() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = free.local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let mut config = documented_config();
    config["server_port"] = taken.into();
    std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    let path = directory.path().join("config.json");
    let refused = run_to_end(directory.path(), &["--config", path.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&taken.to_string()), "{refused:?}");
    assert!(!directory.path().join("storage_data/first_project.json").exists(), "data is not touched");
    let server = Server::start_in(directory, Options::default());
    assert_ne!(server.port, taken);
}

#[test]
fn a_second_server_on_the_same_data_names_the_first_and_changes_nothing() {
    let kv = Kv::new();
    let before = kv.config_text();
    let refused = refused_start(kv.server.directory());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&kv.server.pid().to_string()), "{refused:?}");
    assert_eq!(kv.config_text(), before);
    kv.project().put(&key_path("a"), "1").expect(201);
}

#[test]
fn configuration_file_that_a_file_of_the_server_would_replace_is_refused_and_unchanged() {
    let mut config = documented_config();
    config["default"]["storage"]["persistent_file_path"] = "./".into();
    config["projects"] = json!([{"id": "p"}, {"id": "config"}]);
    for name in ["config.json", "p.json", "p.journal", "p.json.tmp", "jwt.key", "pikv.lock", "_accounts.json"]
    {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, config.to_string()).unwrap();
        for command in [&["serve", "--port", "0"][..], &["recover", "p", "--journal", "replay"]] {
            let words = [command, &["--config", path.to_str().unwrap()]].concat();
            let refused = run_to_end(directory.path(), &words);
            assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
            assert!(
                refused.stderr.contains(name) && refused.stderr.contains("configuration file"),
                "{refused:?}"
            );
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), config.to_string(), "{name}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "{name}: nothing was created");
    }
}

#[test]
fn projects_whose_files_are_hard_links_of_each_other_are_refused_by_both_names() {
    let mut kv = Kv::new();
    kv.create_project(&json!({"id": "second"}));
    kv.server.terminate();
    let [first, second] = ["first_project.journal", "second.journal"].map(|name| kv.data_path(name));
    std::fs::remove_file(&second).unwrap();
    std::fs::hard_link(&first, &second).unwrap();
    let refused = refused_start(kv.server.directory());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for part in ["first_project.journal", "second.journal", "are one file", "`cp "] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
}

#[test]
fn a_data_directory_that_is_not_a_directory_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("storage_data"), "a file").unwrap();
    let refused = refused_start(directory.path());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("storage_data"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(directory.path().join("storage_data")).unwrap(), "a file");
}
