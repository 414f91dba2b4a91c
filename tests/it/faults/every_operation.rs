//! The server killed in front of every operation on the disk, one after the other: in checkpoints, in
//! starts and clean shutdowns, in the creation and deletion of projects.
//!
//! strace tells which operations there are, then a run for each of them is killed there.

use super::crowd::{Crowd, PROJECTS, config, options, try_request};
use super::strace::{self, Attached, Point, Recording};
use super::{Tally, sampled};
use crate::harness::files::Files;
use crate::harness::{Connection, GLOBAL_KEY, Server, wait_until};
use serde_json::json;
use std::os::unix::process::ExitStatusExt;

const SIGKILL: i32 = 9;
const WRITERS: usize = 8;
const ALL_PROJECTS: &str = "/api/v1/projects";

/// A crowd of a few writers that has written for a moment, and its server, killed meanwhile.
pub fn killed_while_writing(seed: u64) -> (Server, Crowd) {
    let mut server = Server::start_as(options());
    let mut crowd = Crowd::new(WRITERS, 0, seed);
    crowd.perform(server.port, |stage| {
        wait_until("there is something", || stage.writes() > 200);
        server.kill();
    });
    (server, crowd)
}

/// What strace injects at `point` to kill the process before it is done.
fn kill_at(point: &Point) -> String {
    format!("{}:signal=SIGKILL:when={}", point.call, point.nth)
}

/// Whether a call changes something on a disk.
pub fn changes_files(point: &Point, line: &str) -> bool {
    match point.call.as_str() {
        "open" | "openat" => line.contains("O_CREAT"),
        "flock" => false,
        // Neither what is printed nor what wakes another thread.
        "write" => !line.starts_with("write(1,") && !line.contains(r"\0\0"),
        _ => true,
    }
}

/// The first `renames` / 2 checkpoints in a recording.
fn of_checkpoints(recording: &Recording, renames: usize) -> Vec<Point> {
    let mut left = renames + 1;
    let points = recording.points().into_iter().take_while(|(point, _)| {
        left -= usize::from(point.call.starts_with("rename"));
        left > 0
    });
    points.filter(|(point, line)| changes_files(point, line)).map(|(point, _)| point).collect()
}

#[test]
fn a_checkpoint_beside_traffic_may_be_killed_at_every_operation() {
    if !strace::is_usable() {
        return;
    }
    let mut tally = Tally::of("kill -9 at every operation of checkpoints beside traffic");
    let mut crowd = Crowd::new(WRITERS, 2, 1).with_large_values();
    let mut server = Server::start_as(options());
    let attached = Attached::to(&server, "maintenance", None);
    let renames = |attached: &Attached| {
        attached.recording.lines().iter().filter(|line| line.starts_with("rename")).count()
    };
    crowd.perform(server.port, |stage| {
        wait_until("there were some checkpoints", || renames(&attached) > 8);
        stage.end();
    });
    let points = of_checkpoints(&attached.detach(), 8);
    assert!(points.len() > 40, "{points:?}");
    let count = points.len();
    let points = sampled(points, 8);
    for point in &points {
        let attached = Attached::to(&server, "maintenance", Some(&kill_at(point)));
        crowd.perform(server.port, |_| wait_until("it is killed", || server.has_ended()));
        assert_eq!(server.await_exit().signal(), Some(SIGKILL), "{point:?}");
        drop(attached);
        server.start_again();
        crowd.check(&server, &mut tally);
    }
    tally.cycles = points.len();
    tally.notes = format!("{count} operations in 4 checkpoints");
    tally.finish();
}

/// Starts the server through strace, writes for a moment, and ends it in order, all in one main
/// thread. Says whether that went well to the end.
fn live(server: &mut Server, crowd: &mut Crowd, recording: &Recording, fault: Option<&str>) -> bool {
    if server.start_again_through(&recording.wrapper(fault)) {
        crowd.perform(server.port, |stage| {
            let enough = |server: &mut Server| stage.writes() > 4 * WRITERS || server.has_ended();
            wait_until("something was written", || enough(server));
            stage.end();
        });
        if !server.has_ended() {
            server.signal("TERM");
        }
    }
    server.await_exit().code() == Some(0)
}

/// Kills starts that find the files of `server`, and the clean shutdowns after them, at every operation.
fn kill_everywhere(name: &'static str, server: &mut Server, crowd: &Crowd, sample: usize) {
    strike_everywhere(&kill_at, name, server, crowd, sample);
}

/// The same with what `fault` makes of each point as strace's `inject=`. Whatever comes of that, the
/// start behind it, on a well disk, finds everything.
pub fn strike_everywhere(
    fault: &dyn Fn(&Point) -> String,
    name: &'static str,
    server: &mut Server,
    crowd: &Crowd,
    sample: usize,
) {
    let files = Files::of(server.directory());
    let mut tally = Tally::of(name);
    let recording = Recording::new();
    assert!(live(server, &mut crowd.clone(), &recording, None), "{}", server.stderr_text());
    let all = recording.points();
    // Before that it is the loader and the reading of config.json.
    let first = all.iter().position(|(_, line)| line.contains("pikv.lock")).unwrap();
    let points = all.into_iter().skip(first).filter(|(point, line)| changes_files(point, line));
    let points: Vec<_> = points.collect();
    let count = points.len();
    let points = sampled(points, sample);
    let mut whole = 0;
    for (point, _) in &points {
        files.restore(server.directory());
        let mut crowd = crowd.clone();
        let went_well = live(server, &mut crowd, &Recording::new(), Some(&fault(point)));
        whole += usize::from(went_well);
        server.start_again();
        crowd.check(server, &mut tally);
        server.kill();
    }
    tally.cycles = points.len();
    tally.notes = format!("{count} operations, {} of them tried; {whole} shut down cleanly", points.len());
    tally.finish();
}

#[test]
fn a_start_after_a_crash_and_a_clean_shutdown_may_be_killed_at_every_operation() {
    if !strace::is_usable() {
        return;
    }
    let (mut server, crowd) = killed_while_writing(2);
    kill_everywhere(
        "kill -9 at every operation of a start after a crash, and of a clean shutdown",
        &mut server,
        &crowd,
        8,
    );
}

#[test]
fn a_first_start_may_be_killed_at_every_operation() {
    if !strace::is_usable() {
        return;
    }
    let mut server = Server::start_as(options());
    server.kill();
    std::fs::remove_dir_all(server.data_path("")).unwrap();
    std::fs::write(server.config_path(), config().to_string()).unwrap();
    let crowd = Crowd::new(WRITERS, 0, 3);
    kill_everywhere("kill -9 at every operation of a first start", &mut server, &crowd, 5);
}

#[test]
fn a_start_that_cuts_off_a_torn_end_may_be_killed_at_every_operation() {
    if !strace::is_usable() {
        return;
    }
    let (mut server, crowd) = killed_while_writing(4);
    for project in PROJECTS {
        let path = server.data_path(&format!("{project}.journal"));
        let mut journal = std::fs::read(&path).unwrap();
        journal.extend_from_slice(b"01234567 [{\"put\":\"never-acknowledged\",\"val");
        std::fs::write(&path, journal).unwrap();
    }
    kill_everywhere("kill -9 at every operation of a start that cuts torn ends", &mut server, &crowd, 4);
}

#[test]
fn a_start_that_imports_edited_values_may_be_killed_at_every_operation() {
    if !strace::is_usable() {
        return;
    }
    let (mut server, mut crowd) = killed_while_writing(5);
    let mut tally = Tally::of("before");
    server.start_again();
    crowd.check(&server, &mut tally);
    assert_eq!(server.terminate().code(), Some(0));
    for project in PROJECTS {
        // The same values, written by another hand.
        let path = server.data_path(&format!("{project}.json"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("{\n", "{\n\n", 1)).unwrap();
    }
    kill_everywhere("kill -9 at every operation of a start that imports edits", &mut server, &crowd, 4);
}

#[test]
fn a_start_between_the_renames_of_a_checkpoint_may_be_killed_at_every_operation() {
    if !strace::is_usable() {
        return;
    }
    let mut server = Server::start_as(options());
    let mut crowd = Crowd::new(WRITERS, 0, 6).with_large_values();
    let between = Point { call: "rename".to_owned(), nth: 2 };
    let attached = Attached::to(&server, "maintenance", Some(&kill_at(&between)));
    crowd.perform(server.port, |_| wait_until("it is killed", || server.has_ended()));
    server.await_exit();
    drop(attached);
    let half = |id: &&str| {
        let there = |name: String| server.data_path(&name).exists();
        !there(format!("{id}.json.tmp")) && there(format!("{id}.journal.tmp"))
    };
    assert!(PROJECTS.iter().any(half), "killed between the two renames");
    kill_everywhere(
        "kill -9 at every operation of a start that finishes a checkpoint",
        &mut server,
        &crowd,
        6,
    );
}

/// Creates the project `guest` and deletes it: whether each was acknowledged. Stops at the first
/// that was not.
fn create_and_delete(server: &Server) -> (bool, bool) {
    let target = format!("{ALL_PROJECTS}/guest");
    let acknowledged = |method: &str, target: &str, body: &[u8]| {
        let answer = Connection::try_open(server.port)
            .and_then(|mut connection| try_request(&mut connection, method, target, body));
        answer.is_ok_and(|answer| matches!(answer.status, 200 | 201 | 204))
    };
    let settings = json!({"id": "guest", "authentication": {"enabled": false}}).to_string();
    let created = acknowledged("POST", ALL_PROJECTS, settings.as_bytes())
        && acknowledged("PUT", &format!("{target}/keys/a"), b"1");
    (created, created && acknowledged("DELETE", &target, b""))
}

#[test]
fn creating_and_deleting_a_project_may_be_killed_at_every_operation() {
    if !strace::is_usable() {
        return;
    }
    let mut tally = Tally::of("kill -9 at every operation of creating and deleting a project");
    let (mut server, mut crowd) = killed_while_writing(7);
    server.start_again();
    crowd.check(&server, &mut tally);
    let attached = Attached::to(&server, "admin-0", None);
    assert_eq!(create_and_delete(&server), (true, true));
    let points = attached.detach().points();
    let points: Vec<_> = points.into_iter().filter(|(point, line)| changes_files(point, line)).collect();
    assert!(points.len() > 25, "{points:?}");
    let points = sampled(points, 8);
    for (point, line) in &points {
        let attached = Attached::to(&server, "admin-0", Some(&kill_at(point)));
        let (created, deleted) = create_and_delete(&server);
        assert_eq!(server.await_exit().signal(), Some(SIGKILL), "{point:?}");
        drop(attached);
        server.start_again();
        tally.acknowledged += u64::from(created) + u64::from(deleted);
        check_guest(&server, created, deleted, line, &mut tally);
        crowd.check(&server, &mut tally);
    }
    tally.cycles = points.len();
    tally.notes =
        "a project exists with what was written to it, or is gone and can be created again".to_owned();
    tally.finish();
}

/// After a kill at `line` the project is there or is not, as a whole, and can be made and deleted.
fn check_guest(server: &Server, created: bool, deleted: bool, line: &str, tally: &mut Tally) {
    let target = format!("{ALL_PROJECTS}/guest");
    let send = |method: &str, target: &str| server.request(method, target, Some(GLOBAL_KEY), &[], b"");
    let keys = send("GET", &format!("{target}/keys"));
    match keys.status {
        404 if created && !deleted && !line.is_empty() => {}
        404 => {}
        200 if deleted => tally.lost.push(format!("{line}: the deletion of the project")),
        200 if created && keys.json()["keys"] != json!({"a": 1}) => {
            tally.lost.push(format!("{line}: {}", keys.text()));
        }
        200 => assert_eq!(send("DELETE", &target).status, 204, "{line}"),
        _ => tally.failed_starts.push(format!("{line}: {keys:?}")),
    }
    assert_eq!(create_and_delete(server), (true, true), "after {line}: {}", server.stderr_text());
    let left = std::fs::read_dir(server.data_path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("guest")).collect();
    assert!(left.is_empty(), "after {line}: {left:?}");
}
