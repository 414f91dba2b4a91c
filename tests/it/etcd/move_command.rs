//! `pikv project move`, killed at any moment, while two servers are used.

use super::moves::End;
use crate::harness::etcd::EtcdCluster;
use crate::harness::sim_disk::Random;
use crate::harness::{Connection, DEMO_KEY, DEMO_KEYS, Finished, Server, known_config, run_to_end};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Otherwise the command would warn.
const OPERATIONS: &[&str] = &["--max-txn-ops", "4096"];

/// The cell `home`, and the cell `away`.
fn config(home: &EtcdCluster, away: &EtcdCluster) -> Value {
    let mut config = known_config();
    config["engine"] = home.engine();
    let mut cell = away.engine()["cells"][0].clone();
    cell["name"] = json!("away");
    config["engine"]["cells"].as_array_mut().unwrap().push(cell);
    config
}

fn moved(directory: &Path, to: &str) -> Finished {
    run_to_end(directory, &["project", "move", "demo", "--to", to])
}

fn killed(directory: &Path, to: &str, after: Duration) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pikv"));
    command.args(["project", "move", "demo", "--to", to]).current_dir(directory);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Writes growing numbers to a key, on the two servers in turn.
fn write(
    servers: &[&Server; 2],
    key: &str,
    acknowledged: &AtomicU64,
    refused: &AtomicU64,
    is_over: &AtomicBool,
) {
    let mut connections = servers.map(Server::connect);
    for number in 1.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let connection = &mut connections[(number % 2) as usize];
        let (path, body) = (format!("{DEMO_KEYS}/{key}"), number.to_string());
        let answer = connection.request("PUT", &path, Some(DEMO_KEY), &[], body.as_bytes());
        match answer.status {
            200 | 201 => acknowledged.store(number, Ordering::Release),
            503 => drop(refused.fetch_add(1, Ordering::Relaxed)),
            _ => panic!("{answer:?}"),
        }
    }
}

/// Reads the key that [`write`] writes.
fn read(servers: &[&Server; 2], key: &str, acknowledged: &AtomicU64, is_over: &AtomicBool) {
    let mut connections = servers.map(Server::connect);
    let mut seen = 0;
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let least = acknowledged.load(Ordering::Acquire).max(seen);
        let connection: &mut Connection = &mut connections[number % 2];
        let answer = connection.request("GET", &format!("{DEMO_KEYS}/{key}?raw"), Some(DEMO_KEY), &[], b"");
        seen = match answer.status {
            200 => answer.text().trim().parse().unwrap(),
            404 => 0,
            _ => panic!("{answer:?}"),
        };
        assert!(seen >= least, "{key}: {seen} after {least}");
    }
}

#[test]
fn a_project_moves_under_load_although_the_command_is_killed_again_and_again() {
    let (Some(home), Some(away)) = (EtcdCluster::start(1, OPERATIONS), EtcdCluster::start(1, OPERATIONS))
    else {
        return;
    };
    let config = config(&home, &away);
    home.store_projects(&known_config());
    let (one, other) = (Server::start_with(config.clone()), Server::start_with(config));
    let servers = [&one, &other];
    for part in 0..5 {
        let set = |number: u64| json!({ "op": "set", "key": format!("k{part}-{number}"), "value": number });
        let body = json!({ "operations": (0..100).map(set).collect::<Vec<_>>() }).to_string();
        one.request("POST", "/api/v1/projects/demo/batch", Some(DEMO_KEY), &[], body.as_bytes()).expect(200);
    }
    let acknowledged: Vec<AtomicU64> = (0..2).map(|_| AtomicU64::new(0)).collect();
    let (is_over, refused) = (&AtomicBool::new(false), &AtomicU64::new(0));
    std::thread::scope(|scope| {
        for (number, acknowledged) in acknowledged.iter().enumerate() {
            let (key, servers) = (format!("w{number}"), &servers);
            let read_key = key.clone();
            scope.spawn(move || write(servers, &key, acknowledged, refused, is_over));
            scope.spawn(move || read(servers, &read_key, acknowledged, is_over));
        }
        let _end = End(is_over);
        let mut random = Random(11);
        for to in ["away", "home", "away"] {
            for _ in 0..4 {
                killed(one.directory(), to, Duration::from_millis(random.below(1_500)));
            }
            let finished = moved(one.directory(), to);
            assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
            assert!(finished.stdout.ends_with(&format!("Project demo is on cell {to}.\n")), "{finished:?}");
        }
    });
    for (number, acknowledged) in acknowledged.iter().enumerate() {
        let last = acknowledged.load(Ordering::Relaxed);
        assert!(last > 5, "the writers wrote");
        for server in servers {
            assert_eq!(server.get_demo(&format!("w{number}")).text().trim(), last.to_string());
        }
    }
    assert!(refused.load(Ordering::Relaxed) > 0, "writes were refused while keys were copied");
    let listed = other.request("GET", &format!("{DEMO_KEYS}?limit=1000"), Some(DEMO_KEY), &[], b"").json();
    assert_eq!(listed["count"], json!(502), "{listed}");
}

#[test]
fn a_move_states_where_the_project_is_or_why_it_is_not_moved() {
    let (Some(home), Some(away)) = (EtcdCluster::start(1, OPERATIONS), EtcdCluster::start(1, OPERATIONS))
    else {
        return;
    };
    let mut config = config(&home, &away);
    home.store_projects(&known_config());
    let directory = tempfile::tempdir().unwrap();
    let save =
        |config: &Value| std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    save(&config);
    let stays = moved(directory.path(), "home");
    assert_eq!(
        (stays.code, stays.stdout.as_str()),
        (Some(0), "Project demo is on cell home.\n"),
        "{stays:?}"
    );
    let unknown = moved(directory.path(), "moon");
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("Cell `moon` does not exist."), "{unknown:?}");
    let done = moved(directory.path(), "away");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("Copied 0 keys and compared them"), "{done:?}");
    config["engine"]["type"] = json!("embedded");
    save(&config);
    let embedded = moved(directory.path(), "home");
    assert!(embedded.stderr.contains("engine.type is embedded, so there are no cells."), "{embedded:?}");
}
