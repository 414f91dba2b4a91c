//! A config.json that cannot be replaced: mounted as a single file, or on a read-only file system.

use crate::harness::kv::PROJECTS;
use crate::harness::tool::Tool;
use crate::harness::{DEMO_KEY, DEMO_KEYS, GLOBAL_KEY, Options, Server, known_config, wait_until};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::process::Command;

const BIND: &str = "mount --bind host.json config.json";
const BIND_READ_ONLY: &str = "mount --bind host.json config.json && mount -o remount,bind,ro config.json";

/// The words that run a program after `mounts`, in a mount namespace of its own.
fn mounted(mounts: &str) -> Vec<String> {
    let script = format!("{mounts} && exec \"$0\" \"$@\"");
    ["unshare", "-m", "sh", "-c", &script].map(str::to_owned).to_vec()
}

fn can_mount() -> bool {
    let can = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|done| done.status.success());
    Tool::MountNamespace.is_usable((!can).then(|| "this user may not mount (unshare -m)".to_owned()))
}

/// A configuration whose keys are texts that the server has to replace by their hashes.
fn config_with_texts() -> Value {
    let mut config = known_config();
    config["default"]["authentication"]["save_api_key_to_file"] = false.into();
    config
}

/// A server that was started once with `config`, and is stopped.
fn stopped(config: &Value) -> Server {
    let mut server = Server::start_as(Options { config: Some(known_config()), ..Options::default() });
    server.terminate();
    std::fs::write(server.directory().join("host.json"), config.to_string()).unwrap();
    std::fs::write(server.config_path(), "").unwrap();
    server
}

fn data_names(server: &Server) -> Vec<String> {
    let entries = std::fs::read_dir(server.data_path(".")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The server serves, and every change that has to be saved is refused and leaves nothing.
#[track_caller]
fn assert_changes_are_refused(server: &Server, words: &str) {
    let before = data_names(server);
    let change = |method: &str, path: &str, body: &str| {
        server.request(
            method,
            path,
            Some(GLOBAL_KEY),
            &[("Content-Type", "application/json")],
            body.as_bytes(),
        )
    };
    let demo = format!("{PROJECTS}/demo");
    for (method, path, body) in [
        ("POST", PROJECTS, "{\"id\": \"more\"}"),
        ("PUT", &demo, "{\"storage\": {\"cache_in_memory\": false}}"),
        ("POST", &format!("{demo}/api-key/regenerate"), ""),
        ("DELETE", &demo, ""),
    ] {
        let refused = change(method, path, body).problem(500, "disk_error");
        assert!(refused["detail"].as_str().unwrap().contains(words), "{method}: {refused}");
        assert_eq!(data_names(server), before, "{method}");
    }
    let listed = change("GET", PROJECTS, "").expect(200).json();
    assert_eq!(listed["projects"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(server.request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"").status, 200);
    assert_eq!(server.put_demo("a", "1").status, 201);
}

#[test]
fn server_whose_config_is_a_mount_of_its_own_serves_and_refuses_changes() {
    if !can_mount() {
        return;
    }
    for (mounts, config) in
        [(BIND, config_with_texts()), (BIND_READ_ONLY, config_with_texts()), (BIND, known_config())]
    {
        let mut server = stopped(&config);
        assert!(server.start_again_through(&mounted(mounts)), "{}", server.stderr_text());
        server.await_stderr("Mount its directory instead of the file");
        server.await_stderr("`api_key_hash`");
        assert_changes_are_refused(&server, "Mount its directory instead of the file");
        server.terminate();
        assert!(!server.directory().join("config.json.tmp").exists());
        assert_eq!(
            std::fs::read_to_string(server.directory().join("host.json")).unwrap(),
            config.to_string()
        );
    }
}

#[test]
fn server_whose_directory_is_read_only_serves_and_refuses_changes() {
    if !can_mount() {
        return;
    }
    let mut server = stopped(&config_with_texts());
    std::fs::create_dir(server.directory().join("etc")).unwrap();
    std::fs::rename(server.directory().join("host.json"), server.directory().join("etc/pikv.json")).unwrap();
    std::fs::remove_file(server.config_path()).unwrap();
    symlink("etc/pikv.json", server.config_path()).unwrap();
    let mounts = "mount --bind etc etc && mount -o remount,bind,ro etc";
    assert!(server.start_again_through(&mounted(mounts)), "{}", server.stderr_text());
    server.await_stderr("Mount the directory writable");
    assert_changes_are_refused(&server, "Mount the directory writable");
}

#[test]
fn a_start_that_cannot_save_generated_keys_is_refused_with_the_fix() {
    if !can_mount() {
        return;
    }
    let mut config = known_config();
    config["default"]["authentication"]["api_key"] = Value::Null;
    let mut server = stopped(&config);
    assert!(!server.start_again_through(&mounted(BIND)), "it has keys that nobody will know");
    wait_until("the reason is printed", || server.stderr_text().contains("sha256sum"));
    let text = server.stderr_text();
    assert!(text.contains("Mount its directory instead of the file"), "{text}");
    assert!(!server.stdout_text().contains("pikv_"), "{}", server.stdout_text());
}

#[test]
fn hash_that_the_advice_computes_is_the_one_of_the_key() {
    let script = format!("printf %s {GLOBAL_KEY} | sha256sum");
    if !Tool::Sha256sum.is_installed() {
        return;
    }
    let printed = Command::new("sh").arg("-c").arg(script).output().unwrap();
    let digits = String::from_utf8(printed.stdout).unwrap().split_whitespace().next().unwrap().to_owned();
    let mut config = known_config();
    config["default"]["authentication"] =
        json!({"enabled": true, "save_api_key_to_file": false, "api_key_hash": format!("sha256:{digits}")});
    let server = Server::start_with(config);
    server.request("GET", PROJECTS, Some(GLOBAL_KEY), &[], b"").expect(200);
}
