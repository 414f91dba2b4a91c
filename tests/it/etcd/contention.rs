//! Many writers with one ETag, spread over two instances: one of them wins.

use super::writers::rounds;
use crate::harness::etcd::EtcdCluster;
use crate::harness::instances::{Effect, key_target, start_instances, try_request};
use crate::harness::{Connection, GLOBAL_KEY, Server, encode_request, wait_until};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const WRITERS: usize = 100;

/// Statuses of writers that send their numbers with `etag` at the same time.
fn race(servers: &[Server], target: &str, etag: &str) -> Vec<u16> {
    let barrier = Barrier::new(WRITERS);
    let write = |writer: usize| {
        let mut connection = Connection::open(servers[writer % servers.len()].port);
        let number = writer.to_string();
        let fields = [("If-Match", etag)];
        let request = encode_request("PUT", target, Some(GLOBAL_KEY), &fields, number.as_bytes());
        barrier.wait();
        connection.send(&request);
        connection.read_response_to("PUT").status
    };
    thread::scope(|scope| {
        let write = &write;
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    })
}

#[test]
fn of_100_writers_with_one_etag_on_two_instances_one_wins() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let servers = start_instances(&cluster, 2);
    servers[0].create_project("race");
    let target = key_target("race", "n");
    let mut etag = servers[0].put_key("race", "n", "0").expect(201).etag();
    for round in 0..5 * rounds() {
        let statuses = race(&servers, &target, &etag);
        let won: Vec<usize> = (0..WRITERS).filter(|&writer| statuses[writer] == 200).collect();
        assert_eq!(won.len(), 1, "round {round}: {statuses:?}");
        let lost = statuses.iter().filter(|&&status| status == 412).count();
        assert_eq!(lost, WRITERS - 1, "round {round}: {statuses:?}");
        for server in &servers {
            let found = server.get_key("race", "n");
            assert_eq!(found.text(), won[0].to_string(), "round {round}");
            assert!(found.etag() > etag, "round {round}");
        }
        etag = servers[0].get_key("race", "n").etag();
    }
}

/// Increments of a counter by one client, each with the ETag that it read, until `is_over`.
fn increment(port: u16, target: &str, is_over: &AtomicBool) -> (u64, u64) {
    let (mut acknowledged, mut unknown) = (0, 0);
    while !is_over.load(Ordering::Relaxed) {
        let found = try_request(port, ("GET", target), GLOBAL_KEY, &[], "").unwrap();
        if found.status != 200 {
            assert_eq!(found.status, 503, "{found:?}");
            continue;
        }
        let next = (found.json()["value"].as_u64().unwrap() + 1).to_string();
        let fields = [("If-Match", &*found.etag())];
        let written = try_request(port, ("PUT", target), GLOBAL_KEY, &fields, &next).unwrap();
        match written.status {
            200 => acknowledged += 1,
            412 => {}
            _ => unknown += u64::from(written.effect() == Effect::Unknown),
        }
    }
    (acknowledged, unknown)
}

#[test]
fn a_counter_has_what_was_acknowledged_and_at_most_what_is_unknown_beside_it() {
    let Some(mut cluster) = EtcdCluster::start(3, &[]) else { return };
    let servers = start_instances(&cluster, 2);
    servers[0].create_project("race");
    servers[0].put_key("race", "n", "0").expect(201);
    let (target, count) = (key_target("race", "n"), || {
        let found = servers[1].get_key("race", "n");
        (found.status == 200).then(|| found.text().parse::<u64>().unwrap())
    });
    for _ in 0..rounds() {
        let before = count().unwrap();
        let is_over = AtomicBool::new(false);
        let client = |number: usize| increment(servers[number % 2].port, &target, &is_over);
        let (acknowledged, unknown) = thread::scope(|scope| {
            let client = &client;
            let clients: Vec<_> = (0..8).map(|number| scope.spawn(move || client(number))).collect();
            wait_until("increments", || count().is_some_and(|count| count > before + 50));
            let killed = cluster.kill_leader();
            let at_the_kill = before + 50;
            wait_until("increments continue", || count().is_some_and(|count| count > at_the_kill + 100));
            is_over.store(true, Ordering::Relaxed);
            cluster.start_member(killed);
            let sums = clients.into_iter().map(|client| client.join().unwrap());
            sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        });
        cluster.await_agreement();
        let added = count().unwrap() - before;
        eprintln!("a counter: {acknowledged} acknowledged, {unknown} unknown, {added} found");
        assert!((acknowledged..=acknowledged + unknown).contains(&added), "{acknowledged} {unknown} {added}");
    }
}
