//! `deploy/trial-cluster.sh`: what it starts works, and continues if parts of it are killed.

use crate::harness::tool::{Tool, runs};
use crate::harness::{Connection, Response, holds_within, wait_until};
use crate::house::markdown::package_file;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long five processes may take to start.
const START_PATIENCE: Duration = Duration::from_secs(90);

struct Trial {
    directory: TempDir,
    script: Child,
}

fn script() -> Command {
    let mut command = Command::new("sh");
    command.arg(package_file("deploy/trial-cluster.sh"));
    command
}

impl Trial {
    fn start() -> Option<Trial> {
        let missing = "etcd is not installed; apt-get install etcd-server";
        if !Tool::Etcd.is_usable((!runs("etcd", "--version")).then(|| missing.to_owned())) {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let printed = fs::File::create(directory.path().join("printed")).unwrap();
        let mut command = script();
        command.arg("--dir").arg(directory.path().join("cluster"));
        command.args(["--pikv", env!("CARGO_BIN_EXE_pikv")]);
        let script = command.stdin(Stdio::null()).stdout(printed).spawn().unwrap();
        let trial = Trial { directory, script };
        let is_started = holds_within(START_PATIENCE, || trial.read("printed").contains("Press Ctrl-C"));
        assert!(is_started, "{}", trial.read("printed"));
        Some(trial)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs a sub-command of the script, and returns what it prints.
    fn run(&self, arguments: &[&str]) -> String {
        let ran = script().args(arguments).arg("--dir").arg(self.path("cluster")).output().unwrap();
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// The value of `name` in the file of the cluster.
    fn setting(&self, name: &str) -> String {
        let text = self.read("cluster/trial");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap().to_owned()
    }

    fn port(&self, number: u16) -> u16 {
        self.setting("port").parse::<u16>().unwrap() + number
    }

    /// Sends a request to the instance `number`, with the global key.
    fn send(&self, number: u16, method: &str, target: &str, body: &str) -> Response {
        Connection::open(self.port(number)).request(
            method,
            target,
            Some(&self.setting("key")),
            &[],
            body.as_bytes(),
        )
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg("--dir").arg(self.path("cluster")).output();
        let _ = self.script.wait();
    }
}

#[test]
fn the_trial_cluster_serves_although_a_member_and_an_instance_are_killed() {
    const KEY: &str = "/api/v1/projects/demo/keys/hello";
    let Some(trial) = Trial::start() else { return };
    assert_eq!(trial.send(1, "POST", "/api/v1/projects", r#"{"id":"demo"}"#).status, 201);
    assert_eq!(trial.send(1, "PUT", KEY, "1").status, 201);
    assert_eq!(trial.send(2, "GET", KEY, "").json()["value"], 1);

    trial.run(&["kill-member", "1"]);
    trial.run(&["kill-pikv", "1"]);
    let status = trial.run(&["status"]);
    assert_eq!(status.matches("does not run").count(), 2, "{status}");
    wait_until("the others continue", || trial.send(2, "PUT", KEY, "2").status == 200);

    trial.run(&["start-pikv", "1"]);
    wait_until("the instance runs again", || Connection::try_open(trial.port(1)).is_ok());
    assert_eq!(trial.send(1, "GET", KEY, "").json()["value"], 2);

    trial.run(&["stop"]);
    let status = trial.run(&["status"]);
    assert!(!status.contains(", process "), "{status}");
}
