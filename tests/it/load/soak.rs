//! A long mixed load with `kill -9` again and again: nothing acknowledged is lost, no start fails, and
//! memory, descriptors, threads and files stay flat.
//!
//! A few seconds in the ordinary run. An hour, with a kill every five minutes and a summary at the end:
//! `PIKV_SOAK_SECONDS=3600 cargo test --release --test it soak:: -- --nocapture`
//! `PIKV_SOAK_LIFE_SECONDS` says how long it lives between two kills, five minutes without it.
//! `PIKV_SOAK_SEED` repeats the choices of a run that failed, though not its timing.

mod core_client;
mod keys;
mod misbehaving_client;
mod operator_client;
mod person_client;
mod samples;
mod summary;
mod work;

use crate::harness::environment::number;
use crate::harness::people::people_config;
use crate::harness::{DEMO_KEY, Options, Server};
use core_client::CoreClient;
use keys::{Ended, Promise};
use misbehaving_client::MisbehavingClient;
use operator_client::OperatorClient;
use person_client::PersonClient;
use samples::{Life, Sample};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use summary::Summary;
use work::{Client, Orders, Talk, Worker};

/// How long everything takes.
struct Plan {
    seed: u64,
    lives: u32,
    life: Duration,
    /// The end of a life, in which clients do not wait between requests.
    rush: Duration,
    sample_every: Duration,
    hangup_every: Duration,
}

impl Plan {
    fn from_environment() -> Plan {
        let seed = number("PIKV_SOAK_SEED").unwrap_or_else(pikv::testing::clock::wall_ms);
        match number("PIKV_SOAK_SECONDS") {
            None => Plan {
                seed,
                lives: 2,
                life: Duration::from_secs(2),
                rush: Duration::from_millis(300),
                sample_every: Duration::from_millis(200),
                hangup_every: Duration::from_millis(500),
            },
            Some(seconds) => {
                let life_seconds = number("PIKV_SOAK_LIFE_SECONDS").unwrap_or(300).max(1);
                let lives = (seconds / life_seconds).max(2) as u32;
                Plan {
                    seed,
                    lives,
                    life: Duration::from_secs(seconds) / lives,
                    rush: Duration::from_secs(1),
                    sample_every: Duration::from_secs(10),
                    hangup_every: Duration::from_secs(20),
                }
            }
        }
    }
}

/// One project of each kind, beside those that come and go.
const KINDS: [(&str, Promise, &str); 6] = [
    ("demo", Promise::All, r#"{}"#),
    ("indexed", Promise::All, r#"{"cache_in_memory": false}"#),
    ("interval", Promise::AllButTheEnd, r#"{"sync": "interval"}"#),
    // Without values in memory an answer waits for the write, though not for the sync.
    ("indexed-interval", Promise::AllButTheEnd, r#"{"cache_in_memory": false, "sync": "interval"}"#),
    ("hourly", Promise::AllButTheEnd, r#"{"sync": "interval", "sync_interval_seconds": 3600}"#),
    ("memory", Promise::Nothing, r#"{"on_disk": false}"#),
];

fn config() -> Value {
    let mut config = people_config();
    let project = |(id, _, storage): &(&str, Promise, &str)| {
        let storage: Value = serde_json::from_str(storage).unwrap();
        let authentication =
            json!({ "enabled": true, "save_api_key_to_file": true, "api_key": project_key(id) });
        json!({ "id": id, "storage": storage, "authentication": authentication })
    };
    config["projects"] = KINDS.iter().map(project).collect();
    config
}

fn project_key(id: &str) -> String {
    if id == "demo" { DEMO_KEY.to_owned() } else { format!("{id}-key-0123456789abcdef") }
}

/// All clients, each with a seed of its own. Together they send about 220 requests a second.
fn workers(server: &Server, seed: u64) -> Vec<Worker> {
    let mut workers = Vec::new();
    let mut add = |talk: Option<Talk>, client: Box<dyn Client>, period_ms: u64| {
        let number = workers.len() as u64;
        let talk = talk.unwrap_or_else(|| Talk::new(seed.wrapping_mul(1_000).wrapping_add(number)));
        workers.push(Worker { client, talk, period: Duration::from_millis(period_ms) });
    };
    for (id, promise, _) in KINDS {
        // What one of them loses at a kill the other one may have behind it.
        let prefixes: &[&str] = if promise == Promise::All { &["a-", "b-"] } else { &["a-"] };
        for prefix in prefixes {
            add(None, Box::new(CoreClient::new(id, &project_key(id), prefix, promise)), 50);
        }
    }
    for username in ["ann", "bob"] {
        let mut talk = Talk::new(seed ^ u64::from(username.as_bytes()[0]));
        talk.turn_to(server.port);
        let person = PersonClient::register(&mut talk, username).unwrap();
        add(Some(talk), Box::new(person), 80);
    }
    add(None, Box::new(OperatorClient::new()), 250);
    add(None, Box::new(MisbehavingClient), 150);
    workers
}

/// Watches a life until its end, or until a client has something to say.
fn watch(
    server: &Server,
    threads: &[JoinHandle<Worker>],
    plan: &Plan,
    started: Instant,
    life: &mut Life,
) -> u64 {
    let data = server.data_path("");
    let (mut samples, mut hangups) = (0, 0);
    while started.elapsed() < plan.life && !threads.iter().any(JoinHandle::is_finished) {
        std::thread::sleep(Duration::from_millis(100));
        if started.elapsed() >= plan.sample_every * (samples + 1) {
            samples += 1;
            life.samples.extend(Sample::take(server.pid(), &data, started.elapsed()));
        }
        if started.elapsed() >= plan.hangup_every * (hangups + 1) {
            hangups += 1;
            server.signal("HUP");
        }
    }
    u64::from(hangups)
}

fn join(threads: Vec<JoinHandle<Worker>>) -> Vec<Worker> {
    threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
}

/// A life of the server: clients work, it is killed amid their work, it starts, all is checked.
fn live(server: &mut Server, workers: Vec<Worker>, plan: &Plan, summary: &mut Summary) -> Vec<Worker> {
    let orders = Arc::new(Orders::default());
    let port = server.port;
    let start = |mut worker: Worker| {
        worker.talk.turn_to(port);
        worker.start(&orders)
    };
    let started = Instant::now();
    let threads: Vec<_> = workers.into_iter().map(start).collect();
    let life = summary.lives.last_mut().expect("it was begun");
    summary.hangups += watch(server, &threads, plan, started, life);
    orders.rush.store(true, Ordering::SeqCst);
    std::thread::sleep(plan.rush);
    orders.killing.store(true, Ordering::SeqCst);
    let killed = Ended::Killed(Instant::now());
    server.kill();
    summary.kills += 1;
    let mut workers = join(threads);
    workers.iter_mut().for_each(|worker| summary.tally.add(&mut worker.talk.tally));
    start_again(server, summary);
    summary.lost_as_allowed += settle(&mut workers, server, killed);
    summary.recoveries += 1;
    println!(
        "{} s: life {} is over, everything is there; {} requests so far",
        summary.elapsed.as_secs() + started.elapsed().as_secs(),
        summary.kills,
        summary.tally.requests,
    );
    workers
}

fn start_again(server: &mut Server, summary: &mut Summary) {
    let since = Instant::now();
    summary.failed_starts += 1;
    server.start_again();
    summary.failed_starts -= 1;
    summary.lives.push(Life { start: since.elapsed(), ..Life::default() });
}

fn settle(workers: &mut [Worker], server: &Server, ended: Ended) -> u64 {
    workers.iter_mut().map(|worker| worker.settle(server.port, ended)).sum()
}

fn run(plan: &Plan, summary: &mut Summary) {
    let since = Instant::now();
    let mut server = Server::start_as(Options { config: Some(config()), ..Options::default() });
    summary.lives.push(Life { start: since.elapsed(), ..Life::default() });
    let mut workers = workers(&server, plan.seed);
    for _ in 0..plan.lives {
        summary.elapsed = since.elapsed();
        workers = live(&mut server, workers, plan, summary);
    }
    // The last start is only there to be checked, and so is an orderly one.
    summary.lives.pop();
    assert_eq!(server.terminate().code(), Some(0), "an orderly end");
    start_again(&mut server, summary);
    summary.lives.pop();
    let lost = settle(&mut workers, &server, Ended::Stopped);
    assert_eq!(lost, 0, "an orderly end loses nothing");
    summary.elapsed = since.elapsed();
    assert!(workers.len() as u64 * 10 < summary.tally.requests, "everybody did something");
    samples::judge(&summary.lives).unwrap_or_else(|growth| panic!("{growth}"));
}

#[test]
fn a_mixed_load_with_kills_loses_nothing_and_leaves_memory_flat() {
    let plan = Plan::from_environment();
    println!("PIKV_SOAK_SEED={}: {} lives of {} s", plan.seed, plan.lives, plan.life.as_secs());
    let mut summary = Summary { seed: plan.seed, ..Summary::default() };
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&plan, &mut summary)));
    if let Err(panic) = &outcome {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        summary.failure = Some(text.unwrap_or("a panic").lines().next().unwrap_or_default().to_owned());
    }
    println!("{}", summary.render());
    if let Err(panic) = outcome {
        println!("failed with PIKV_SOAK_SEED={}", plan.seed);
        resume_unwind(panic);
    }
}
