//! A disk that takes half a second for each sync, and a process that is stopped for seconds.

use super::Tally;
use super::crowd::{Crowd, PROJECTS, keys_of, options, try_request};
use super::strace::{self, Attached, Recording};
use crate::harness::{Connection, GLOBAL_KEY, Server, wait_until};
use std::time::{Duration, Instant};

const READS: usize = 400;

/// The syncs of all threads; each line begins with the number of its thread.
fn syncs_in(recording: &Recording) -> usize {
    recording.lines().iter().filter(|line| line.contains(" fdatasync(")).count()
}

#[test]
fn reads_are_prompt_and_writes_acknowledged_in_groups_beside_a_sync_of_half_a_second() {
    if !strace::is_usable() {
        return;
    }
    let mut tally = Tally::of("fdatasync slowed to 500 ms under 64 writers, beside reads");
    let mut server = Server::start_as(options());
    let mut crowd = Crowd::new(64, 0, 21);
    for project in PROJECTS {
        let target = format!("{}/synced", keys_of(project));
        assert_eq!(server.request("PUT", &target, Some(GLOBAL_KEY), &[], b"1").status, 201);
    }
    let attached = Attached::to_all(&server, "fdatasync:delay_exit=500000");
    let mut took = Vec::new();
    let syncs = || syncs_in(&attached.recording);
    let mut writes = 0;
    crowd.perform(server.port, |stage| {
        wait_until("a slow sync is under way", || stage.writes() > 0);
        let mut connection = Connection::open(stage.port());
        for number in 0..READS {
            let target = format!("{}/synced?raw", keys_of(PROJECTS[number % PROJECTS.len()]));
            let since = Instant::now();
            let answer = try_request(&mut connection, "GET", &target, b"").unwrap();
            took.push(since.elapsed());
            assert_eq!(answer.text(), "1", "{answer:?}");
        }
        wait_until("there were some syncs", || syncs() > 6 * PROJECTS.len());
        stage.end();
        writes = stage.writes();
    });
    let syncs = syncs_in(&attached.detach());
    took.sort();
    // One that waited for a sync would take half a second; all of them together take less than ten would.
    let total: Duration = took.iter().sum();
    assert!(total < Duration::from_secs(5), "{READS} reads took {total:?}");
    // Those under way at the end have acknowledged nothing yet, nor have those of a checkpoint.
    let ended = syncs.saturating_sub(2 * PROJECTS.len());
    assert!(writes >= 4 * ended && ended > 0, "{writes} writes acknowledged by {syncs} syncs");
    server.kill();
    server.start_again();
    for project in PROJECTS {
        let target = format!("{}/synced", keys_of(project));
        assert_eq!(server.request("DELETE", &target, Some(GLOBAL_KEY), &[], b"").status, 204);
    }
    crowd.check(&server, &mut tally);
    tally.cycles = 1;
    tally.notes = format!(
        "{READS} reads of synced keys: median {:.1} ms, 99% {:.1} ms, slowest {:.1} ms; {writes} writes \
         acknowledged by {syncs} syncs",
        took[READS / 2].as_secs_f64() * 1e3,
        took[READS * 99 / 100].as_secs_f64() * 1e3,
        took[READS - 1].as_secs_f64() * 1e3,
    );
    tally.finish();
}

#[test]
fn a_process_that_was_stopped_for_seconds_continues_and_expires_by_the_wall_clock() {
    let mut tally = Tally::of("SIGSTOP for 3 s under 8 writers, then SIGCONT");
    let mut server = Server::start_as(options());
    let mut crowd = Crowd::new(8, 2, 22);
    let short = format!("{}/short", keys_of(PROJECTS[0]));
    let long = format!("{}/long", keys_of(PROJECTS[0]));
    let request =
        |server: &Server, method, target: &str| server.request(method, target, Some(GLOBAL_KEY), &[], b"1");
    assert_eq!(request(&server, "PUT", &format!("{short}?ttl=2")).status, 201);
    assert_eq!(request(&server, "PUT", &format!("{long}?ttl=3600")).status, 201);
    let mut answered = Duration::ZERO;
    crowd.perform(server.port, |stage| {
        wait_until("all are at work", || stage.writes() > 50);
        server.signal("STOP");
        std::thread::sleep(Duration::from_secs(3)); // the length of the stop is what is tested
        let before = stage.writes();
        server.signal("CONT");
        let since = Instant::now();
        wait_until("writes go on", || stage.writes() > before + 50);
        answered = since.elapsed();
        stage.end();
    });
    assert_eq!(server.request("GET", &short, Some(GLOBAL_KEY), &[], b"").status, 404, "it has expired");
    assert_eq!(server.request("GET", &long, Some(GLOBAL_KEY), &[], b"").status, 200);
    assert!(crowd.failed_reads.is_empty(), "{:?}", crowd.failed_reads);
    assert_eq!(crowd.refused(), (0, 0), "nobody was turned away");
    assert_eq!(request(&server, "DELETE", &long).status, 204);
    server.kill();
    server.start_again();
    crowd.check(&server, &mut tally);
    tally.cycles = 1;
    tally.notes =
        format!("writes continued {} ms after SIGCONT on the same connections", answered.as_millis());
    tally.finish();
}
