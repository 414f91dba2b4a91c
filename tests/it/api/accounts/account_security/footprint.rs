//! What accounts cost while nobody uses them.

use super::members::{config, register, server, session};
use crate::harness::{Server, holds_within};
use serde_json::json;
use std::fs;
use std::time::Duration;

/// What the three projects of the accounts may take while they are empty.
const ACCOUNTS_KIB_MAX: u64 = 256;
const WINDOW: Duration = Duration::from_millis(1_500);

/// How often the threads of `server` have gone to sleep so far; `None` if one has just ended.
fn sleeps(server: &Server) -> Option<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{}/task", server.pid())).ok()? {
        let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        sum += line.trim().parse::<u64>().ok()?;
    }
    Some(sum)
}

/// After somebody has been there the files are brought up to date, and then nothing wakes up: what
/// ticks at least every second and a half leaves no such window.
#[test]
fn a_server_with_accounts_and_sessions_sleeps_without_requests() {
    let server = server();
    register(&server, "one");
    drop(session(&server, "one"));
    let is_still = holds_within(Duration::from_secs(30), || {
        let before = sleeps(&server);
        std::thread::sleep(WINDOW);
        before.is_some() && sleeps(&server) == before
    });
    assert!(is_still, "something goes on waking up: {:?}", sleeps(&server));
}

#[test]
fn unknown_accounts_use_nearly_no_memory() {
    let resident_kib = |is_enabled: bool| {
        let mut config = config();
        config["accounts"]["enabled"] = json!(is_enabled);
        let server = Server::start_with(config);
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let (with, without) = (resident_kib(true), resident_kib(false));
    assert!(with <= without + ACCOUNTS_KIB_MAX, "{with} KiB with accounts, {without} without");
}
