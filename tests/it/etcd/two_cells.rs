//! Two cells: what fails on one of them neither stops nor slows the projects of the other.

use super::writers::answer_max;
use crate::harness::etcd::EtcdCluster;
use crate::harness::instances::{ANSWER_MAX, key_target, options_on};
use crate::harness::kv::PROJECTS;
use crate::harness::{Connection, GLOBAL_KEY, Response, Server, encode_request, wait_until};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clients of the failing cell: more than it has threads.
const CROWD: usize = 40;
/// Requests to the other cell, one after another.
const REQUESTS: usize = 600;
/// For how long they are sent at most.
const MEASURED_MAX: Duration = Duration::from_secs(10);
/// What a busy machine may add to the slowest requests.
const SLACK: Duration = Duration::from_millis(50);

struct Cells {
    home: EtcdCluster,
    far: EtcdCluster,
    server: Server,
}

/// An instance on two cells, with the project `near` on home and `far` on the other one.
fn start() -> Option<Cells> {
    let (home, far) = (EtcdCluster::start(1, &[])?, EtcdCluster::start(1, &[])?);
    let options = options_on(&[("home", home.authorities()), ("far", far.authorities())]);
    let server = Server::start_as(options);
    server.create_project_as(&json!({"id": "near", "cell": "home"}));
    server.create_project_as(&json!({"id": "far", "cell": "far"}));
    let _ = ["near", "far"].map(|project| server.put_key(project, "a", "1").expect(201));
    Some(Cells { home, far, server })
}

fn write(connection: &mut Connection, project: &str) -> Response {
    let target = key_target(project, "a");
    connection.send(&encode_request("PUT", &target, Some(GLOBAL_KEY), &[], b"1"));
    connection.read_response_to("PUT")
}

/// The time that 99 of 100 writes to `project` take at most. All of them must succeed.
fn p99(server: &Server, project: &str) -> Duration {
    let (mut connection, mut times, since) = (server.connect(), Vec::new(), Instant::now());
    while times.len() < REQUESTS && since.elapsed() < MEASURED_MAX {
        let began = Instant::now();
        write(&mut connection, project).expect(200);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Clients that write to `project`, which fails, until `work` returns. Returns its result, the time that the slowest
/// failure took, and how many there were.
fn beside_failures<R>(server: &Server, project: &str, work: impl FnOnce() -> R) -> (R, Duration, usize) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let fail = || {
            let mut connection = server.connect();
            let mut slowest = (Duration::ZERO, 0);
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answer = write(&mut connection, project);
                answer.effect();
                slowest = (slowest.0.max(began.elapsed()), slowest.1 + 1);
            }
            slowest
        };
        let crowd: Vec<_> = (0..CROWD).map(|_| scope.spawn(fail)).collect();
        thread::sleep(ANSWER_MAX); // until requests wait for a thread
        let result = work();
        is_over.store(true, Ordering::Relaxed);
        let failures: Vec<(Duration, usize)> = crowd.into_iter().map(|each| each.join().unwrap()).collect();
        let slowest = failures.iter().map(|failure| failure.0).max().unwrap_or_default();
        (result, slowest, failures.iter().map(|failure| failure.1).sum())
    })
}

/// `failing` fails. The project of the other cell must not notice, and that of the failing one is answered in time.
fn check_isolation(cells: &Cells, failing: &str, other: &str, what: &str) {
    let before = p99(&cells.server, other);
    let (after, slowest, failures) = beside_failures(&cells.server, failing, || p99(&cells.server, other));
    eprintln!(
        "{what}: p99 of the other cell {before:?} before, {after:?} after; {failures} failures, slowest {slowest:?}"
    );
    assert!(after < before * 4 + SLACK, "{what}: p99 {before:?} before, {after:?} after");
    assert!(failures >= CROWD, "{what}: {failures} failures");
    assert!(slowest < answer_max(), "{what}: a failure took {slowest:?}");
}

/// Projects are listed and created although a cell other than home fails.
fn check_management(server: &Server, new: &str) {
    let began = Instant::now();
    let created =
        server.request("POST", PROJECTS, Some(GLOBAL_KEY), &[], json!({"id": new}).to_string().as_bytes());
    created.expect(201);
    assert!(began.elapsed() < 2 * answer_max(), "{:?}", began.elapsed());
    server.put_key(new, "a", "1").expect(201);
    let began = Instant::now();
    let listed = server.request("GET", PROJECTS, Some(GLOBAL_KEY), &[], b"");
    assert!(began.elapsed() < 2 * answer_max(), "{:?}", began.elapsed());
    let projects = listed.expect(200).json();
    assert_eq!(projects["projects"].as_array().unwrap().len(), 3, "{projects}");
    server.manage("DELETE", new, "", "").expect(204);
}

#[test]
fn a_cell_that_fails_does_not_slow_the_projects_of_another_one() {
    let Some(mut cells) = start() else { return };
    p99(&cells.server, "near"); // so that both measurements are of a warm server
    cells.far.signal(0, "STOP");
    check_isolation(&cells, "far", "near", "a cell hangs");
    check_management(&cells.server, "while_it_hangs");
    cells.far.signal(0, "CONT");
    cells.far.kill(0);
    check_isolation(&cells, "far", "near", "a cell is down");
    check_management(&cells.server, "while_it_is_down");
    cells.far.start_member(0);
    wait_until("the cell is back", || cells.server.put_key("far", "a", "2").status == 200);
}

#[test]
fn without_the_home_cell_known_projects_of_other_cells_continue() {
    let Some(mut cells) = start() else { return };
    p99(&cells.server, "far");
    cells.home.kill(0);
    check_isolation(&cells, "near", "far", "the home cell is down");
    let create = cells.server.request("POST", PROJECTS, Some(GLOBAL_KEY), &[], br#"{"id":"new"}"#);
    assert_eq!(create.status, 503, "{create:?}");
    cells.home.start_member(0);
    wait_until("the cell is back", || cells.server.put_key("near", "a", "2").status == 200);
}
