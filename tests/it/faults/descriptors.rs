//! No descriptor is left while the server runs: what is connected is served and written on, and the
//! others get their turn once there are some again.

use super::Tally;
use super::crowd::{Crowd, PROJECTS, options};
use crate::harness::tool::Tool;
use crate::harness::{Connection, Server, grouped, wait_until};
use std::process::Command;

/// Sets how many descriptors a running server may have; whether that is possible here.
fn limit(server: &Server, descriptors: usize) -> bool {
    let limited = Command::new("prlimit")
        .args([format!("--pid={}", server.pid()), format!("--nofile={descriptors}:")])
        .output();
    limited.is_ok_and(|output| output.status.success())
}

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).map_or(0, Iterator::count)
}

fn journal_bytes(server: &Server) -> u64 {
    let length = |id: &str| std::fs::metadata(server.data_path(&format!("{id}.journal"))).unwrap().len();
    PROJECTS.iter().map(|id| length(id)).sum()
}

#[test]
fn writes_continue_without_descriptors_and_checkpoints_and_clients_resume_with_them() {
    let mut tally = Tally::of("out of file descriptors under 8 writers, then not any more");
    let mut server = Server::start_as(options());
    let mut crowd = Crowd::new(8, 2, 31);
    let mut is_possible = true;
    let (mut grown, mut after) = (0, 0);
    crowd.perform(server.port, |stage| {
        wait_until("all are at work", || stage.writes() > 50);
        is_possible = limit(&server, 8);
        let before = stage.writes();
        wait_until("much is written without", || stage.writes() > before + 2_000);
        grown = journal_bytes(&server);
        let mut late = Connection::open(stage.port());
        late.send(b"GET /healthz HTTP/1.1\r\nHost: late\r\n\r\n");
        assert_ne!(is_possible, late.has_input_within(std::time::Duration::from_millis(200)));
        limit(&server, 4_096);
        assert_eq!(late.read_response().status, 200, "served once there are descriptors");
        if is_possible {
            wait_until("checkpoints are written again", || {
                after = journal_bytes(&server);
                after < grown / 2
            });
        }
        stage.end();
    });
    let missing = (!is_possible).then(|| "prlimit cannot limit a running process here".to_owned());
    if !Tool::Prlimit.is_usable(missing) {
        return;
    }
    assert!(crowd.failed_reads.is_empty(), "{:?}", crowd.failed_reads);
    assert_eq!(crowd.refused(), (0, 0), "nobody was turned away");
    let left = descriptors(&server);
    server.kill();
    server.start_again();
    crowd.check(&server, &mut tally);
    tally.cycles = 1;
    tally.notes = format!(
        "{} reads, none failed; journals grew to {} bytes and were checkpointed to {} bytes; {left} \
         descriptors at the end",
        grouped(crowd.reads),
        grouped(grown),
        grouped(after)
    );
    tally.finish();
}
