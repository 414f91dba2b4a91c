//! Histories of clients on two instances, recorded while the leader is killed, are linearizable.

use super::checker::{Answer, Call, Event, REGISTERS, check};
use super::writers::rounds;
use crate::harness::etcd::EtcdCluster;
use crate::harness::instances::{Effect, start_instances, try_request};
use crate::harness::sim_disk::Random;
use crate::harness::{GLOBAL_KEY, Response, Server, environment, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

const CLIENTS: usize = 8;
/// Calls of each client.
const CALLS: usize = 40;
const PROJECT: &str = "/api/v1/projects/registers";
/// Two registers have one prefix and three another one.
const KEYS: [&str; REGISTERS] = ["a/0", "a/1", "b/2", "b/3", "b/4"];

/// A client on one instance, and what it has recorded.
struct Client<'s> {
    port: u16,
    /// The history begins with an empty prefix of its own.
    prefix: String,
    random: Random,
    began: Instant,
    calls: &'s AtomicUsize,
    /// The number of the next write. Clients have different ones.
    next: u64,
    /// The number and the ETag of each register, as this client saw them last.
    seen: [Option<(u64, String)>; REGISTERS],
    events: Vec<Event>,
    /// Registers, numbers and revisions that were found together.
    revisions: Vec<(usize, u64, u64)>,
}

impl Client<'_> {
    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn choose(&mut self) -> Call {
        let register = self.random.below(REGISTERS as u64) as usize;
        let other = (register + 1 + self.random.below(REGISTERS as u64 - 1) as usize) % REGISTERS;
        match (self.random.below(12), &self.seen[register]) {
            (0..3, _) => Call::Get(register),
            (3..5, _) => Call::GetBoth([register, other]),
            (5..8, Some((seen, _))) => {
                let seen = *seen;
                Call::Swap(register, seen, self.number())
            }
            (5..9, _) => Call::Put(register, self.number()),
            (9..11, _) => Call::PutBoth([register, other], self.number()),
            _ => Call::Clear([0..2, 2..REGISTERS, 0..REGISTERS][self.random.below(3) as usize].clone()),
        }
    }

    fn target(&self, register: usize) -> String {
        format!("{PROJECT}/keys/{}{}", self.prefix, KEYS[register])
    }

    fn send(&self, call: &Call) -> Response {
        let request = |method: &str, target: &str, fields: &[(&str, &str)], body: &str| {
            try_request(self.port, (method, target), GLOBAL_KEY, fields, body).unwrap()
        };
        let batch = |registers: &[usize; 2], operation: &dyn Fn(String) -> Value| {
            let operations: Vec<Value> = registers
                .iter()
                .map(|&register| operation(format!("{}{}", self.prefix, KEYS[register])))
                .collect();
            let body = json!({"operations": operations}).to_string();
            request("POST", &format!("{PROJECT}/batch"), &[], &body)
        };
        match call {
            Call::Get(register) => request("GET", &self.target(*register), &[], ""),
            Call::Put(register, number) => request("PUT", &self.target(*register), &[], &number.to_string()),
            Call::Swap(register, _, number) => {
                let etag = self.seen[*register].as_ref().map_or("", |(_, etag)| etag);
                request("PUT", &self.target(*register), &[("If-Match", etag)], &number.to_string())
            }
            Call::GetBoth(registers) => batch(registers, &|key| json!({"op": "get", "key": key})),
            Call::PutBoth(registers, number) => {
                batch(registers, &|key| json!({"op": "set", "key": key, "value": number}))
            }
            Call::Clear(registers) => {
                let below = match (registers.start, registers.end) {
                    (0, REGISTERS) => "",
                    (0, _) => "a/",
                    _ => "b/",
                };
                let target = format!("{PROJECT}/keys?prefix={}{below}", self.prefix);
                request("DELETE", &target, &[], "")
            }
        }
    }

    /// The number in an answer about one register. Notes its revision.
    fn found(&mut self, register: usize, number: Option<u64>, answer: &Value) -> Option<u64> {
        let (number, revision) = (number?, answer["revision"].as_u64().unwrap());
        self.revisions.push((register, number, revision));
        self.seen[register] = Some((number, format!("\"{revision}\"")));
        Some(number)
    }

    fn read(&mut self, call: &Call, response: &Response) -> Answer {
        let json = response.json();
        match (call, response.status) {
            (Call::Get(_), 404) => Answer::Found(None),
            (Call::Get(register), 200) => Answer::Found(self.found(*register, json["value"].as_u64(), &json)),
            (Call::Put(register, number) | Call::Swap(register, _, number), 200 | 201) => {
                self.found(*register, Some(*number), &json);
                Answer::Done
            }
            (Call::Swap(..), 412) => Answer::Refused,
            (Call::GetBoth([first, second]), 200) => {
                let [one, other] = [&json["results"][0], &json["results"][1]];
                let one = self.found(*first, one["value"].as_u64(), one);
                Answer::FoundBoth([one, self.found(*second, other["value"].as_u64(), other)])
            }
            (Call::PutBoth([first, second], number), 200) => {
                self.found(*first, Some(*number), &json["results"][0]);
                self.found(*second, Some(*number), &json["results"][1]);
                Answer::Done
            }
            (Call::Clear(_), 200) => Answer::Cleared(json["deleted"].as_u64().unwrap() as usize),
            _ => panic!("{call:?}: {response:?}"),
        }
    }

    fn call(&mut self) {
        let call = self.choose();
        let from = self.now();
        let response = self.send(&call);
        let to = self.now();
        self.calls.fetch_add(1, Ordering::Relaxed);
        let is_read = matches!(call, Call::Get(_) | Call::GetBoth(_));
        let answer = match response.status {
            503 if is_read || response.effect() == Effect::None => return,
            503 => None,
            _ => Some(self.read(&call, &response)),
        };
        self.events.push(Event { call, answer, from, to });
    }
}

/// Records a history on `servers`, during which `fault` happens.
fn record(servers: &[Server], prefix: &str, seed: u64, fault: impl FnOnce()) -> Vec<Event> {
    let (calls, began) = (AtomicUsize::new(0), Instant::now());
    let (mut events, mut revisions) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let mut client = Client {
                    port: servers[number % servers.len()].port,
                    prefix: prefix.to_owned(),
                    random: Random(seed.wrapping_mul(257).wrapping_add(number as u64)),
                    began,
                    calls: &calls,
                    next: 1_000 * (number as u64 + 1),
                    seen: [const { None }; REGISTERS],
                    events: Vec::new(),
                    revisions: Vec::new(),
                };
                scope.spawn(move || {
                    (0..CALLS).for_each(|_| client.call());
                    client
                })
            })
            .collect();
        wait_until("a third of the calls", || calls.load(Ordering::Relaxed) >= CLIENTS * CALLS / 3);
        fault();
        for client in clients {
            let client = client.join().unwrap();
            events.extend(client.events);
            revisions.extend(client.revisions);
        }
    });
    check_revisions(&revisions);
    events
}

/// A number in a register has one revision, and no other number there has the same.
fn check_revisions(seen: &[(usize, u64, u64)]) {
    let (mut of_number, mut of_revision) = (BTreeMap::new(), BTreeMap::new());
    for (register, number, revision) in seen {
        let known = *of_number.entry((register, number)).or_insert(revision);
        assert_eq!(known, revision, "revisions of {number}");
        let known = *of_revision.entry((register, revision)).or_insert(number);
        assert_eq!(known, number, "numbers of revision {revision}");
    }
}

fn seed() -> u64 {
    let seed = environment::number("PIKV_FAULT_SEED").unwrap_or(u64::from(std::process::id()));
    println!("PIKV_FAULT_SEED={seed}");
    seed
}

#[test]
fn a_history_over_two_instances_is_linearizable_although_the_leader_is_killed() {
    let Some(mut cluster) = EtcdCluster::start(3, &[]) else { return };
    let servers = start_instances(&cluster, 2);
    servers[0].create_project("registers");
    let (seed, mut counts) = (seed(), [0; 2]);
    for round in 0..rounds() {
        let mut killed = 0;
        cluster.make_leader(round % cluster.size());
        let events = record(&servers, &format!("h{round}/"), seed + round as u64, || {
            killed = cluster.kill_leader();
        });
        cluster.start_member(killed);
        counts[0] += events.len();
        counts[1] += events.iter().filter(|event| event.answer.is_none()).count();
        check(events).unwrap_or_else(|problem| panic!("PIKV_FAULT_SEED={seed}, history {round}: {problem}"));
        cluster.await_agreement();
    }
    eprintln!("{} histories: {} calls, {} of them with an unknown outcome", rounds(), counts[0], counts[1]);
}

#[test]
fn a_history_of_the_embedded_engine_is_linearizable() {
    let server = [Server::start_known()];
    server[0].create_project("registers");
    let seed = seed();
    let events = record(&server, "h/", seed, || ());
    assert_eq!(events.len(), CLIENTS * CALLS);
    check(events).unwrap_or_else(|problem| panic!("PIKV_FAULT_SEED={seed}: {problem}"));
}
