//! Members of a cell and instances that are killed or hang under 8 writers: no acknowledged write is lost, and every
//! failure is answered in time with what is known of its effect.
//!
//! A sample runs always. All of it, as docs/RELIABILITY.md quotes it, runs with
//!
//! ```text
//! PIKV_CELL_ROUNDS=10 cargo test --release --test it etcd:: -- --nocapture --test-threads=1
//! ```
//! and prints one line of that document's table for each fault.

use super::writers::{Sight, Stage, Writers, answer_max, create_projects, rounds};
use crate::faults::{Tally, first_lines};
use crate::harness::etcd::EtcdCluster;
use crate::harness::instances::start_instances;
use crate::harness::{Server, environment, grouped};
use std::io::Write;
use std::thread;
use std::time::Duration;

const WRITERS: usize = 8;
const READERS: usize = 2;
/// Acknowledged writes before a fault, during it and after it.
const WRITES: usize = 60;
/// For how long a member hangs: longer than a request waits.
const HANG: Duration = Duration::from_millis(2_500);
/// For how long there is no member: longer than [`super::writers::answer_max`].
const DOWN: Duration = Duration::from_secs(4);
/// As in the scenario of the stale replica.
const LONG_HANG: Duration = Duration::from_secs(5);

/// What a fault acts on.
pub struct Scene {
    pub cluster: EtcdCluster,
    pub servers: Vec<Server>,
}

/// Prints a line of the table, then fails if anything of it must not be.
pub fn finish(fault: &str, rounds: usize, sight: &Sight, tally: &Tally) {
    let line = format!(
        "| {fault} | {rounds} | {} | {} | {} | {} | {} | {} | {} | {} ms | {} ms |",
        grouped(tally.acknowledged),
        tally.lost.len(),
        grouped(sight.reads),
        tally.unsynced.len(),
        grouped(sight.refused),
        grouped(sight.unknown),
        grouped(sight.broken),
        sight.slowest.as_millis(),
        sight.gap.as_millis(),
    );
    // `println!` would be hidden by the test runner.
    let _ = writeln!(std::io::stderr(), "{line}");
    for (what, found) in [("lost", &tally.lost), ("contradicted reads", &tally.unsynced)] {
        assert!(found.is_empty(), "{fault}: {what}, {} in all, such as\n{}", found.len(), first_lines(found));
    }
    assert!(tally.acknowledged > 0, "{fault}: nothing was acknowledged");
    assert!(sight.slowest < answer_max(), "{fault}: {:?}", sight.slowest);
}

/// Lets `fault` happen under writers, as often as is wanted, and compares what is found afterwards with the ledgers.
fn under_writers(
    scene: &mut Scene,
    name: &'static str,
    writers: &mut Writers,
    mut fault: impl FnMut(&mut Scene, &Stage),
) {
    let mut tally = Tally::of(name);
    for round in 0..rounds() {
        // The instances send their requests to the first member, so the faults of both kinds of leader are tested.
        scene.cluster.make_leader(round % scene.cluster.size());
        let ports: Vec<u16> = scene.servers.iter().map(|server| server.port).collect();
        writers.perform(&ports, |stage| {
            stage.await_writes(WRITES);
            fault(scene, stage);
            stage.await_writes(WRITES);
        });
        scene.cluster.await_agreement();
        writers.check(&scene.servers[round % scene.servers.len()], &mut tally);
    }
    finish(name, rounds(), &std::mem::take(&mut writers.sight), &tally);
}

/// A member that is not the leader.
fn follower(cluster: &EtcdCluster) -> usize {
    (cluster.leader() + 1) % cluster.size()
}

fn kill_member(scene: &mut Scene, stage: &Stage, member: usize) {
    scene.cluster.kill(member);
    stage.await_writes(WRITES);
    scene.cluster.start_member(member);
}

/// A follower misses writes while it hangs. Then it is the only one that answers: the leader is killed, and the
/// follower that has everything hangs.
fn leave_a_stale_follower_alone(scene: &mut Scene, stage: &Stage) {
    let cluster = &mut scene.cluster;
    let leader = cluster.leader();
    let others: Vec<usize> = (0..cluster.size()).filter(|member| *member != leader).collect();
    let (stale, current) = (others[0], others[1]);
    cluster.signal(stale, "STOP");
    stage.await_writes(4 * WRITES);
    cluster.signal(current, "STOP");
    cluster.kill(leader);
    cluster.signal(stale, "CONT");
    thread::sleep(LONG_HANG); // the fault itself
    cluster.signal(current, "CONT");
    stage.await_writes(WRITES);
    cluster.start_member(leader);
}

#[test]
fn no_acknowledged_write_is_lost_and_no_failure_is_late_when_members_and_instances_fail() {
    let Some(cluster) = EtcdCluster::start(3, &[]) else { return };
    let servers = start_instances(&cluster, 2);
    create_projects(&servers[0]);
    let scene = &mut Scene { cluster, servers };
    let seed = environment::number("PIKV_FAULT_SEED").unwrap_or(u64::from(std::process::id()));
    println!("PIKV_FAULT_SEED={seed}");
    let writers = &mut Writers::new(WRITERS, READERS, seed);
    under_writers(scene, "kill -9 of the leader", writers, |scene, stage| {
        let leader = scene.cluster.leader();
        kill_member(scene, stage, leader);
    });
    under_writers(scene, "kill -9 of a follower", writers, |scene, stage| {
        let follower = follower(&scene.cluster);
        kill_member(scene, stage, follower);
    });
    under_writers(scene, "kill -9 of all three members", writers, |scene, _| {
        (0..3).for_each(|member| scene.cluster.kill(member));
        thread::sleep(DOWN); // so that requests reach their deadline
        (0..3).for_each(|member| scene.cluster.start_member(member));
    });
    under_writers(scene, "kill -9 of one PiKV", writers, |scene, stage| {
        stage.expect_breaks(0);
        scene.servers[0].kill();
        stage.await_writes(WRITES);
        scene.servers[0].start_again();
        stage.moved(0, scene.servers[0].port);
    });
    under_writers(scene, "SIGSTOP of the leader for 2.5 s", writers, |scene, _| {
        let leader = scene.cluster.leader();
        scene.cluster.signal(leader, "STOP");
        thread::sleep(HANG); // the fault itself
        scene.cluster.signal(leader, "CONT");
    });
    let stale = "a follower hangs and misses writes; then kill -9 of the leader, and the other follower hangs for 5 s";
    under_writers(scene, stale, writers, leave_a_stale_follower_alone);
}
