//! Starts that are refused: at once, with a reason, and without touching a file.

use crate::harness::files::Files;
use crate::harness::{Finished, Options, Server, known_config, refused_start, run_to_end};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn directory_with(config: &Value) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), serde_json::to_string_pretty(config).unwrap())
        .unwrap();
    directory
}

/// Fails unless the start ended with code 1 and a message with all of `texts`, listening nowhere.
fn expect_refusal(finished: &Finished, texts: &[&str]) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(!finished.stdout.contains("listening on"), "{finished:?}");
    for text in texts {
        assert!(finished.stderr.contains(text), "no {text:?} in {}", finished.stderr);
    }
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[test]
fn a_second_server_on_the_same_data_names_the_first_and_changes_nothing() {
    let mut server = Server::start_known();
    assert_eq!(server.put_demo("a", "1").status, 201);
    // After a restart nothing is left to be checkpointed: from here on no file changes by itself.
    server.restart();
    let mut config = known_config();
    let data = server.directory().join("storage_data");
    config["default"]["storage"]["persistent_file_path"] = json!(data);
    let elsewhere = directory_with(&config);
    for directory in [server.directory(), elsewhere.path()] {
        let before = Files::of(directory);
        let since = Instant::now();
        let finished = refused_start(directory);
        assert!(since.elapsed() < Duration::from_secs(5), "at once");
        expect_refusal(&finished, &[&server.pid().to_string()]);
        before.assert_same(&Files::of(directory));
        assert_eq!(server.get_demo("a").text(), "1");
    }
    assert_eq!(server.put_demo("a", "2").status, 200, "the first one goes on");
}

#[test]
fn a_stale_lock_does_not_block() {
    let mut server = Server::start_known();
    assert_eq!(server.put_demo("a", "1").status, 201);
    server.kill();
    server.start_again();
    assert_eq!(server.get_demo("a").text(), "1");
}

#[test]
fn a_port_in_use_is_refused_before_any_data_is_touched() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let serve_at = |directory: &Path| {
        let config = directory.join("config.json");
        run_to_end(directory, &["serve", "--config", config.to_str().unwrap(), "--port", &port])
    };
    let fresh = directory_with(&known_config());
    let before = Files::of(fresh.path());
    expect_refusal(&serve_at(fresh.path()), &[&port]);
    before.assert_same(&Files::of(fresh.path()));

    let mut used = Server::start_known();
    assert_eq!(used.put_demo("a", "1").status, 201);
    used.kill();
    let before = Files::of(used.directory());
    expect_refusal(&serve_at(used.directory()), &[&port]);
    before.assert_same(&Files::of(used.directory()));
}

#[test]
fn a_port_in_use_at_the_first_start_loses_no_printed_key() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.json");
    let finished =
        run_to_end(directory.path(), &["serve", "--config", config.to_str().unwrap(), "--port", &port]);
    expect_refusal(&finished, &[&port]);
    // Either nothing happened, or the keys whose hashes are in the file were shown.
    assert_eq!(config.exists(), finished.stdout.contains("pikv_"), "{finished:?}");
    assert!(!directory.path().join("storage_data").exists());
}

#[test]
fn a_file_at_the_path_of_the_data_directory_is_named() {
    let directory = directory_with(&known_config());
    std::fs::write(directory.path().join("storage_data"), "not a directory").unwrap();
    let before = Files::of(directory.path());
    expect_refusal(&refused_start(directory.path()), &["storage_data"]);
    before.assert_same(&Files::of(directory.path()));
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    let mut config = known_config();
    // Nobody, not even root, makes a directory there.
    config["default"]["storage"]["persistent_file_path"] = json!("/proc/pikv-data");
    let directory = directory_with(&config);
    let before = Files::of(directory.path());
    expect_refusal(&refused_start(directory.path()), &["/proc/pikv-data"]);
    before.assert_same(&Files::of(directory.path()));
}

#[test]
fn a_data_directory_without_permission_to_write_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let directory = directory_with(&known_config());
    let data = directory.path().join("storage_data");
    std::fs::create_dir(&data).unwrap();
    let set = |mode| std::fs::set_permissions(&data, std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o500);
    // Who may write all the same (root) is not refused: there is nothing to test.
    if std::fs::write(data.join("probe"), "").is_err() {
        let finished = refused_start(directory.path());
        set(0o700);
        expect_refusal(&finished, &["storage_data"]);
    }
    set(0o700);
}

#[test]
fn a_misspelt_member_is_reported_with_the_nearest_known_one() {
    let mut config = known_config();
    config["server_prot"] = json!(1);
    let directory = directory_with(&config);
    expect_refusal(&refused_start(directory.path()), &["server_prot", "server_port"]);
}

#[test]
fn a_configuration_that_is_a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("config.json")).unwrap();
    expect_refusal(&refused_start(directory.path()), &["config.json"]);
}

#[test]
fn wrong_usage_exits_with_2() {
    let directory = tempfile::tempdir().unwrap();
    for args in [&["serve", "--nonsense"][..], &["nonsense"], &["serve", "--port", "99999"]] {
        let finished = run_to_end(directory.path(), args);
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        assert!(!finished.stderr.is_empty(), "{args:?}");
    }
    assert!(Files::of(directory.path()).names().next().is_none(), "nothing was made");
}

#[test]
fn a_first_start_shows_working_keys_once() {
    let mut server = Server::start();
    let (global, project) = (server.printed_key("global key"), server.printed_key("first_project key"));
    assert_eq!((global.len(), project.len()), (54, 54), "pikv_ and 49 characters");
    let status =
        |server: &Server, path: &str, key: &str| server.request("GET", path, Some(key), &[], b"").status;
    let keys = "/api/v1/projects/first_project/keys";
    assert_eq!(status(&server, "/api/v1/projects", &global), 200);
    assert_eq!(status(&server, keys, &project), 200);
    assert_eq!(status(&server, "/api/v1/projects", &project), 403);
    let saved = std::fs::read_to_string(server.config_path()).unwrap();
    assert!(!saved.contains(&global) && !saved.contains(&project), "only hashes are saved");
    server.restart();
    assert!(!server.stdout_text().contains("pikv_"), "{}", server.stdout_text());
    assert_eq!(status(&server, "/api/v1/projects", &global), 200);
    assert_eq!(status(&server, keys, &project), 200);
}

#[test]
fn files_and_directories_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let mut server = Server::start_as(Options::default());
    let key = server.printed_key("first_project key");
    let put = server.request("PUT", "/api/v1/projects/first_project/keys/a", Some(&key), &[], b"1");
    assert_eq!(put.status, 201);
    assert_eq!(server.terminate().code(), Some(0));
    for name in Files::of(server.directory()).names() {
        let path = server.directory().join(name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{mode:o} {}", path.display());
    }
}

/// Lines are collected for some milliseconds; a start that ends before that still owes them.
#[test]
fn a_refused_start_writes_all_its_log_lines() {
    let mut config = known_config();
    config["accounts"] = json!({ "enabled": false });
    for authentication in ["/default/authentication", "/projects/0/authentication"] {
        config.pointer_mut(authentication).unwrap()["save_api_key_to_file"] = json!(false);
    }
    // Which of the two threads is first is chance, so it is tried more than once.
    for _ in 0..8 {
        let directory = directory_with(&config);
        // A data directory that cannot be used, which is noticed after the keys were generated.
        let data = directory.path().join("storage_data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("pikv.revision"), "not a number").unwrap();
        let finished = refused_start(directory.path());
        expect_refusal(&finished, &["pikv.revision", "hash of the global key", "hash of the demo key"]);
    }
}
