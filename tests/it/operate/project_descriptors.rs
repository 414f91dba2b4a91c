//! Each project on disk holds a file descriptor. What does not fit is refused, before anything has changed.

use crate::harness::files::Files;
use crate::harness::{GLOBAL_KEY, Options, Server, known_config, serve_limited};
use serde_json::{Value, json};

const PROJECTS: &str = "/api/v1/projects";
/// A quarter of these are for projects, of which the accounts take three.
const DESCRIPTORS: u32 = 100;
const PROJECTS_POSSIBLE: usize = 22;

fn config_with(count: usize, storage: &Value) -> Value {
    let mut config = known_config();
    let project = |number| json!({"id": format!("p{number}"), "storage": storage});
    config["projects"] = (0..count).map(project).collect();
    config
}

fn options(count: usize) -> Options {
    Options {
        config: Some(config_with(count, &json!({}))),
        descriptors_max: Some(DESCRIPTORS),
        ..Options::default()
    }
}

fn post(server: &Server, body: &Value) -> (u16, Value) {
    let answer = server.request("POST", PROJECTS, Some(GLOBAL_KEY), &[], body.to_string().as_bytes());
    (answer.status, answer.json())
}

#[test]
fn a_start_with_more_projects_than_descriptors_is_refused_and_touches_nothing() {
    let check = |count: usize, storage: Value, needed: usize| {
        let directory = tempfile::tempdir().unwrap();
        let config = config_with(count, &storage);
        std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        let before = Files::of(directory.path());
        let refused = serve_limited(directory.path(), DESCRIPTORS);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for part in [
            format!("{count} projects on disk need {needed} file descriptors"),
            format!("limit of the process is {DESCRIPTORS}"),
            "`ulimit -n 256`, under systemd LimitNOFILE=256".to_owned(),
        ] {
            assert!(refused.stderr.contains(&part), "no {part:?} in {}", refused.stderr);
        }
        before.assert_same(&Files::of(directory.path()));
    };
    check(PROJECTS_POSSIBLE + 1, json!({}), PROJECTS_POSSIBLE + 1 + 3 + 80);
    // The file of the values is open, too.
    check(PROJECTS_POSSIBLE / 2 + 1, json!({"cache_in_memory": false}), PROJECTS_POSSIBLE + 2 + 3 + 80);
}

#[test]
fn a_server_creates_no_project_that_would_prevent_its_next_start() {
    let mut server = Server::start_as(options(PROJECTS_POSSIBLE - 1));
    assert_eq!(post(&server, &json!({"id": "last"})).0, 201);
    let before = std::fs::read(server.config_path()).unwrap();
    let (status, problem) = post(&server, &json!({"id": "more"}));
    assert_eq!((status, &problem["code"]), (507, &json!("too_few_descriptors")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("23 projects on disk need 106"), "{problem}");
    assert_eq!(std::fs::read(server.config_path()).unwrap(), before);
    assert!(!server.data_path("more.json").exists());
    let in_memory = json!({"id": "memory", "storage": {"on_disk": false}});
    assert_eq!(post(&server, &in_memory).0, 201, "it needs none");
    let put = |server: &Server, id: &str, settings: &Value| {
        let target = format!("{PROJECTS}/{id}");
        server.request("PUT", &target, Some(GLOBAL_KEY), &[], settings.to_string().as_bytes())
    };
    let refused = put(&server, "memory", &json!({"storage": {"on_disk": true}}));
    assert_eq!(refused.status, 507, "{refused:?}");
    let refused = put(&server, "last", &json!({"storage": {"cache_in_memory": false}}));
    assert_eq!(refused.status, 507, "{refused:?}");
    assert_eq!(put(&server, "last", &json!({"storage": {"sync": "interval"}})).status, 200);
    server.restart();
    let deleted = server.request("DELETE", &format!("{PROJECTS}/p0"), Some(GLOBAL_KEY), &[], b"");
    assert_eq!(deleted.status, 204);
    assert_eq!(post(&server, &json!({"id": "more"})).0, 201, "there is one again");
    server.restart();
}

#[test]
fn a_reload_with_more_projects_than_descriptors_is_refused() {
    let server = Server::start_as(options(1));
    let config = config_with(PROJECTS_POSSIBLE + 1, &json!({}));
    let loaded = std::fs::read(server.config_path()).unwrap();
    let mut next: Value = serde_json::from_slice(&loaded).unwrap();
    next["projects"] = config["projects"].clone();
    std::fs::write(server.config_path(), next.to_string()).unwrap();
    server.signal("HUP");
    server.await_stderr("reload failed: 23 projects on disk need 106 file descriptors");
    assert_eq!(server.request("GET", "/readyz", None, &[], b"").status, 200);
    assert!(!server.data_path("p1.journal").exists());
}
