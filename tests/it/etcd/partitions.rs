//! Partitions of the network between the members of a cell and an instance, also in one direction only.

use super::faults::finish;
use super::writers::{Writers, create_projects, rounds};
use crate::faults::Tally;
use crate::harness::etcd::namespaces::{PartitionableCluster, Side};
use crate::harness::instances::options_on;
use crate::harness::{Server, environment};
use serde_json::json;
use std::thread;
use std::time::Duration;

const WRITERS: usize = 8;
const READERS: usize = 2;
const WRITES: usize = 60;
/// Longer than a request waits and than the members need for another leader.
const CUT: Duration = Duration::from_secs(3);

/// The cuts of a partition around the leader and its peers.
type Cuts = fn(leader: Side, peers: [Side; 2]) -> Vec<(Side, Side)>;

fn both(one: Side, other: Side) -> Vec<(Side, Side)> {
    vec![(one, other), (other, one)]
}

const PARTITIONS: [(&str, Cuts); 6] = [
    ("the leader is cut from its peers", |leader, [one, other]| {
        [both(leader, one), both(leader, other)].concat()
    }),
    ("the leader is cut from the instances", |leader, _| both(leader, Side::Test)),
    ("the leader is cut from everyone", |leader, [one, other]| {
        [both(leader, one), both(leader, other), both(leader, Side::Test)].concat()
    }),
    ("the leader does not hear its peers", |leader, [one, other]| vec![(one, leader), (other, leader)]),
    ("the peers do not hear the leader", |leader, [one, other]| vec![(leader, one), (leader, other)]),
    ("the instances do not hear the leader", |leader, _| vec![(leader, Side::Test)]),
];

#[test]
fn no_acknowledged_write_is_lost_and_no_failure_is_late_in_a_partition() {
    let Some(partitionable) = PartitionableCluster::start() else { return };
    let PartitionableCluster { cluster, network } = &partitionable;
    let mut options = options_on(&[("home", cluster.authorities())]);
    options.config.as_mut().unwrap()["engine"]["insecure_network"] = json!(true);
    let servers: Vec<Server> = (0..2).map(|_| Server::start_as(options.clone())).collect();
    let ports: Vec<u16> = servers.iter().map(|server| server.port).collect();
    create_projects(&servers[0]);
    let seed = environment::number("PIKV_FAULT_SEED").unwrap_or(u64::from(std::process::id()));
    println!("PIKV_FAULT_SEED={seed}");
    let writers = &mut Writers::new(WRITERS, READERS, seed);
    for (name, cuts) in PARTITIONS {
        let mut tally = Tally::of(name);
        for round in 0..rounds() {
            // The instances send their requests to the first member as long as it answers.
            cluster.make_leader(round % 3);
            writers.perform(&ports, |stage| {
                stage.await_writes(WRITES);
                let leader = cluster.leader();
                let peers = [(leader + 1) % 3, (leader + 2) % 3].map(Side::Member);
                let cuts = cuts(Side::Member(leader), peers);
                cuts.iter().for_each(|(from, to)| network.cut(*from, *to));
                thread::sleep(CUT); // the fault itself
                cuts.iter().for_each(|(from, to)| network.heal(*from, *to));
                stage.await_writes(WRITES);
            });
            cluster.await_agreement();
            writers.check(&servers[round % servers.len()], &mut tally);
        }
        finish(name, rounds(), &std::mem::take(&mut writers.sight), &tally);
    }
}
