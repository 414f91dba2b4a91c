//! `pikv migrate`: an installation in files is copied to etcd, and back.

use crate::harness::etcd::EtcdCluster;
use crate::harness::people::{PASSWORD, Person, people_config, register, send_json};
use crate::harness::{DEMO_KEY, DEMO_KEYS, Finished, GLOBAL_KEY, Options, Server, run_to_end, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const KEYS: usize = 1_500;

/// [`people_config`] with a project that needs no key, and the cells of `cluster`, but on files.
fn config(cluster: &EtcdCluster) -> Value {
    let mut config = people_config();
    config["engine"] = cluster.engine();
    config["engine"]["type"] = json!("embedded");
    let open = json!({ "id": "open", "authentication": { "enabled": false } });
    config["projects"].as_array_mut().unwrap().push(open);
    config
}

fn pikv(directory: &Path, words: &str) -> Finished {
    run_to_end(directory, &words.split(' ').collect::<Vec<_>>())
}

fn migrated(directory: &Path, to: &str) -> String {
    let finished = pikv(directory, &format!("migrate --to {to}"));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(!finished.stderr.contains(" ERROR "), "{finished:?}");
    finished.stdout
}

fn refused(directory: &Path, words: &str, parts: &[&str]) {
    let finished = pikv(directory, words);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{finished:?}");
    for part in parts {
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
}

/// Starts the server on this engine.
fn served(directory: TempDir, engine: &str) -> Server {
    let set = pikv(directory.path(), &format!("config set engine.type {engine}"));
    assert_eq!(set.code, Some(0), "{set:?}");
    Server::start_in(directory, Options::default())
}

/// Ends the server and returns its directory.
fn stopped(mut server: Server) -> TempDir {
    assert_eq!(server.terminate().code(), Some(0), "{}", server.stderr_text());
    let kept = tempfile::tempdir().unwrap();
    copy_directory(server.directory(), kept.path());
    kept
}

fn copy_directory(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy_directory(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// What a client sees of everything, without revisions.
#[derive(Debug, PartialEq)]
struct Seen {
    demo: Value,
    open: Value,
    data: Value,
}

/// Reads all keys, with the credentials that clients have had from the beginning.
fn seen(server: &Server, person: &Person, cookie: &str) -> Seen {
    let listed =
        server.request("GET", &format!("{DEMO_KEYS}?meta=true"), Some(DEMO_KEY), &[], b"").expect(200);
    let mut demo = listed.json()["keys"].clone();
    for entry in demo.as_object_mut().unwrap().values_mut() {
        entry.as_object_mut().unwrap().remove("revision");
    }
    let mut open = server.request("GET", "/api/v1/projects/open/keys/a", None, &[], b"").json();
    open.as_object_mut().unwrap().remove("revision");
    let data = person.get(server, "/api/data/note");
    assert_eq!(data.status, 200, "{}", data.text());
    let by_cookie = send_json(server, "GET", "/api/data/note", &[("Cookie", cookie)], "");
    assert_eq!(by_cookie.status, 200, "{}", by_cookie.text());
    Seen { demo, open, data: data.json() }
}

fn signed_in(server: &Server) -> String {
    let body = json!({ "username": "mavi", "password": PASSWORD }).to_string();
    let answer = send_json(server, "POST", "/api/login", &[], &body);
    let cookie = answer.field("set-cookie").unwrap_or_else(|| panic!("{}", answer.text()));
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn an_installation_is_copied_to_etcd_and_back_and_all_credentials_stay_valid() {
    let Some(cluster) = EtcdCluster::start(1, &["--max-txn-ops", "4096"]) else { return };
    let server = Server::start_with(config(&cluster));
    server.put_demo("plain", "{\"n\":[1,2.50,\"é\"]}").expect(201);
    server.put_demo("plain", "{\"n\":[1,2.50,\"è\"]}").expect(200);
    let path = format!("{DEMO_KEYS}/temporary?ttl=5000");
    server.request("PUT", &path, Some(DEMO_KEY), &[], b"1").expect(201);
    server.request("PUT", "/api/v1/projects/open/keys/a", None, &[], b"true").expect(201);
    let person = Person::register(&server, "mavi");
    person.post(&server, "/api/data", "{\"key\":\"note\",\"value\":\"mine\"}").expect(201);
    let cookie = signed_in(&server);
    let before = seen(&server, &person, &cookie);
    assert_eq!(before.demo.as_object().unwrap().len(), 2, "{before:?}");
    let etag = server.get_demo("plain").field("etag").unwrap().to_owned();

    let directory = stopped(server);
    let table = migrated(directory.path(), "etcd");
    for part in
        ["demo              2  ", "_account_data     2  ", "_sessions         1  ", "copied and compared"]
    {
        assert!(table.contains(part), "{part}: {table}");
    }
    let again = migrated(directory.path(), "etcd");
    assert_eq!(again, table.replace("copied and compared", "is the same"));

    let server = served(directory, "etcd");
    assert_eq!(seen(&server, &person, &cookie), before);
    assert!(Person::sign_in(&server, "mavi").get(&server, "/api/data/note").status == 200);
    let fields = [("If-Match", etag.as_str())];
    let stale = server.request("PUT", &format!("{DEMO_KEYS}/plain"), Some(DEMO_KEY), &fields, b"1");
    assert_eq!(stale.status, 412, "no revision is used twice: {}", stale.text());
    server.put_demo("more", "7").expect(201);
    register(&server, "bob");
    let after = seen(&server, &person, &cookie);
    let etag = server.get_demo("plain").field("etag").unwrap().to_owned();

    let directory = stopped(server);
    let (data, old) = (directory.path().join("storage_data"), directory.path().join("old_data"));
    refused(
        directory.path(),
        "migrate --to embedded",
        &["_accounts", "is not the same", "It was not changed"],
    );
    fs::rename(&data, &old).unwrap();
    let table = migrated(directory.path(), "embedded");
    assert!(table.contains("demo              3  "), "{table}");
    let again = migrated(directory.path(), "embedded");
    assert_eq!(again, table.replace("copied and compared", "is the same"));

    let server = served(directory, "embedded");
    assert_eq!(seen(&server, &person, &cookie), after);
    assert!(Person::sign_in(&server, "bob").get(&server, "/api/data/note").status == 404);
    let fields = [("If-Match", etag.as_str())];
    let stale = server.request("PUT", &format!("{DEMO_KEYS}/plain"), Some(DEMO_KEY), &fields, b"1");
    assert_eq!(stale.status, 412, "{}", stale.text());
    let wrong =
        server.request("GET", &format!("{DEMO_KEYS}/plain"), Some("another-key-0123456789"), &[], b"");
    assert_eq!(wrong.status, 401, "{}", wrong.text());
}

/// Starts the command and kills it once `is_due`.
fn killed(directory: &Path, to: &str, is_due: impl Fn() -> bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pikv"));
    command.args(["migrate", "--to", to]).current_dir(directory);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the migration is under way", || is_due() || child.try_wait().unwrap().is_some());
    child.kill().unwrap();
    child.wait().unwrap();
}

fn filled(cluster: &EtcdCluster) -> TempDir {
    let server = Server::start_with(config(cluster));
    for part in 0..KEYS / 100 {
        let put = |number: usize| {
            let (key, value) = (format!("k{:05}", 100 * part + number), "x".repeat(number));
            let mut set = json!({ "op": "set", "key": key, "value": value });
            if number.is_multiple_of(2) {
                set["ttl"] = json!(9_000);
            }
            set
        };
        let operations: Vec<Value> = (0..100).map(put).collect();
        let body = json!({ "operations": operations }).to_string();
        let path = "/api/v1/projects/demo/batch";
        server.request("POST", path, Some(DEMO_KEY), &[], body.as_bytes()).expect(200);
    }
    let person = Person::register(&server, "mavi");
    person.post(&server, "/api/data", "{\"key\":\"note\",\"value\":\"mine\"}").expect(201);
    stopped(server)
}

#[test]
fn a_migration_that_is_killed_is_repeated() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let directory = filled(&cluster);
    let count = || {
        let range = json!({ "key": "di9kZW1vLw==", "range_end": "di9kZW1vMA==", "count_only": true }); // v/demo/
        let found = cluster.call(0, "/v3/kv/range", &range).unwrap_or_default();
        found["count"].as_str().map_or(0, |count| count.parse().unwrap())
    };
    for keys in [1, KEYS / 2, KEYS] {
        killed(directory.path(), "etcd", || count() >= keys);
    }
    let table = migrated(directory.path(), "etcd");
    assert!(table.contains(&format!("demo           {KEYS}  ")), "{table}");
    let files = ["demo.json.tmp", "demo.json", "demo.journal"];
    let (data, old) = (directory.path().join("storage_data"), directory.path().join("old_data"));
    fs::rename(&data, &old).unwrap();
    for name in files {
        killed(directory.path(), "embedded", || data.join(name).exists());
    }
    let back = migrated(directory.path(), "embedded");
    assert!(back.contains(&format!("demo           {KEYS}  ")), "{back}");
    let server = Server::start_in(directory, Options::default());
    let totals = server.request("GET", "/api/v1/projects/demo", Some(GLOBAL_KEY), &[], b"").json();
    assert_eq!(totals["keys"], json!(KEYS), "{totals}");
    assert_eq!(Person::sign_in(&server, "mavi").get(&server, "/api/data/note").status, 200);
}

#[test]
fn a_migration_is_refused_while_a_server_runs_and_if_a_project_differs() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let server = Server::start_with(config(&cluster));
    server.put_demo("a", "1").expect(201);
    for to in ["etcd", "embedded"] {
        refused(server.directory(), &format!("migrate --to {to}"), &["server", "process id"]);
    }
    let directory = stopped(server);
    migrated(directory.path(), "etcd");

    // Of another machine.
    let mut elsewhere = config(&cluster);
    elsewhere["engine"]["type"] = json!("etcd");
    let mut other = Server::start_with(elsewhere);
    other.put_demo("a", "2").expect(200);
    for to in ["etcd", "embedded"] {
        refused(
            directory.path(),
            &format!("migrate --to {to}"),
            &["A server uses cell `home`", "Stop the servers"],
        );
    }
    other.terminate();
    refused(
        directory.path(),
        "migrate --to etcd",
        &["Project `demo` exists in cell `home`", "key `a` differs"],
    );
    refused(
        directory.path(),
        "migrate --to embedded",
        &["Project `demo` exists in ", "demo.json", "key `a` differs"],
    );

    // The same keys, and another API key.
    let path = directory.path().join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut changed: Value = serde_json::from_str(&text).unwrap();
    changed["projects"][0]["authentication"] =
        json!({ "enabled": true, "api_key": "another-key-0123456789" });
    changed["projects"][0]["id"] = json!("open");
    changed["projects"].as_array_mut().unwrap().truncate(1);
    fs::write(&path, changed.to_string()).unwrap();
    refused(
        directory.path(),
        "migrate --to etcd",
        &["Project `open` exists on its cell with other settings"],
    );

    let without_cells = tempfile::tempdir().unwrap();
    fs::write(without_cells.path().join("config.json"), people_config().to_string()).unwrap();
    refused(without_cells.path(), "migrate --to etcd", &["engine.cells"]);
}
