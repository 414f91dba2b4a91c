//! Writers on several instances that keep a ledger each, and readers that note what they saw.
//!
//! A writer that does not learn the outcome of a write continues with other keys, so that each key has at most one
//! write that is open. It changes the instance after each failure.

use crate::faults::Tally;
use crate::faults::crowd::{PROJECTS, keys_of, slot, try_request, write_once};
use crate::faults::ledger::{Ledger, Padding, Seen};
use crate::harness::instances::{ANSWER_MAX, Effect};
use crate::harness::sim_disk::Random;
use crate::harness::{Connection, GLOBAL_KEY, Response, Server, environment, wait_until};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PADDING: Padding = Padding(150);
/// Before the next attempt on an instance that is down.
const PAUSE: Duration = Duration::from_millis(10);

/// How often chance decides in each test of this folder: `PIKV_CELL_ROUNDS`, or once.
pub fn rounds() -> usize {
    environment::number("PIKV_CELL_ROUNDS").map_or(1, |rounds| rounds as usize)
}

/// Every answer arrives within this time. A sample runs beside all the other tests, so it allows for more.
pub fn answer_max() -> Duration {
    match environment::variable("PIKV_CELL_ROUNDS") {
        Some(_) => ANSWER_MAX,
        None => ANSWER_MAX + Duration::from_secs(1),
    }
}

/// What the clients saw of a fault.
#[derive(Default)]
pub struct Sight {
    pub refused: u64,
    pub unknown: u64,
    /// Connections that were refused, or that ended without an answer.
    pub broken: u64,
    pub reads: u64,
    /// Reads that were answered with something that cannot be.
    pub wrong_reads: Vec<String>,
    /// The longest time until an answer, whatever it is.
    pub slowest: Duration,
    /// The longest time between two acknowledged writes of anyone.
    pub gap: Duration,
}

impl Sight {
    pub fn add(&mut self, other: Sight) {
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.broken += other.broken;
        self.reads += other.reads;
        self.wrong_reads.extend(other.wrong_reads);
        self.slowest = self.slowest.max(other.slowest);
        self.gap = self.gap.max(other.gap);
    }
}

/// Writers and readers of one cluster.
pub struct Writers {
    ledgers: Vec<Ledger>,
    readers: usize,
    seed: u64,
    seen: BTreeMap<String, Seen>,
    pub sight: Sight,
}

/// What everybody goes by while the fault happens.
pub struct Stage {
    instances: Vec<Instance>,
    is_over: AtomicBool,
    acknowledged: AtomicUsize,
    last: Mutex<(Instant, Duration)>,
    /// The present life of each writer, for the readers.
    lives: Vec<(String, AtomicU64)>,
}

/// Where an instance listens, and whether connections to it may break.
struct Instance {
    port: AtomicU16,
    may_break: AtomicBool,
}

impl Stage {
    /// Waits until `count` more writes are acknowledged.
    pub fn await_writes(&self, count: usize) {
        let target = self.acknowledged.load(Ordering::Relaxed) + count;
        wait_until("writes continue", || self.acknowledged.load(Ordering::Relaxed) >= target);
    }

    /// From now on connections to this instance may break.
    pub fn expect_breaks(&self, instance: usize) {
        self.instances[instance].may_break.store(true, Ordering::Relaxed);
    }

    /// An instance listens again.
    pub fn moved(&self, instance: usize, port: u16) {
        self.instances[instance].port.store(port, Ordering::Relaxed);
    }

    fn note_acknowledged(&self) {
        let mut last = self.last.lock().unwrap();
        let now = Instant::now();
        *last = (now, last.1.max(now - last.0));
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// Creates the projects of the writers.
pub fn create_projects(server: &Server) {
    for project in PROJECTS {
        server.create_project_as(&json!({"id": project}));
    }
}

impl Writers {
    pub fn new(writers: usize, readers: usize, seed: u64) -> Writers {
        let ledgers = (0..writers).map(|writer| Ledger::new(PROJECTS[writer % PROJECTS.len()]));
        let ledgers = ledgers.collect();
        Writers { ledgers, readers, seed, seen: BTreeMap::new(), sight: Sight::default() }
    }

    /// Writes and reads until `direct` returns.
    pub fn perform(&mut self, servers: &[u16], direct: impl FnOnce(&Stage)) {
        self.seed = self.seed.wrapping_mul(1_000_003).wrapping_add(1);
        let seed = self.seed;
        self.ledgers.iter_mut().for_each(Ledger::continue_working);
        let instance =
            |port: &u16| Instance { port: AtomicU16::new(*port), may_break: AtomicBool::new(false) };
        let stage = &Stage {
            instances: servers.iter().map(instance).collect(),
            is_over: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
            last: Mutex::new((Instant::now(), Duration::ZERO)),
            lives: self
                .ledgers
                .iter()
                .map(|each| (each.project.clone(), AtomicU64::new(each.life)))
                .collect(),
        };
        let (sight, seen) = (&mut self.sight, &mut self.seen);
        thread::scope(|scope| {
            let random = |salt: usize| Random(seed.wrapping_mul(257).wrapping_add(salt as u64));
            let mut clients = Vec::new();
            for (writer, ledger) in self.ledgers.iter_mut().enumerate() {
                let random = random(writer);
                clients
                    .push(scope.spawn(move || {
                        (write_until_the_end(ledger, writer, random, stage), BTreeMap::new())
                    }));
            }
            for reader in 0..self.readers {
                let random = random(1_000 + reader);
                clients.push(scope.spawn(move || read_until_the_end(reader, random, stage)));
            }
            let ends = EndsStage(stage);
            direct(stage);
            drop(ends);
            for client in clients {
                let (own, keys): (Sight, BTreeMap<String, Seen>) = client.join().unwrap();
                sight.add(own);
                for (key, of_key) in keys {
                    let all = seen.entry(key).or_default();
                    all.number_max = all.number_max.max(of_key.number_max);
                    all.absent_asked = all.absent_asked.max(of_key.absent_asked);
                }
            }
        });
        self.sight.gap = self.sight.gap.max(stage.last.lock().unwrap().1);
    }

    /// Compares everything that `server` has with the ledgers.
    pub fn check(&mut self, server: &Server, tally: &mut Tally) {
        for project in PROJECTS {
            let from = Instant::now();
            let listed = server.request("GET", &keys_of(project), Some(GLOBAL_KEY), &[], b"").expect(200);
            let to = Instant::now();
            let found = PADDING.numbers(&listed.json(), tally);
            let mut known = BTreeSet::new();
            for ledger in self.ledgers.iter_mut().filter(|ledger| ledger.project == project) {
                known.extend(ledger.keys().cloned());
                ledger.check(&found, (from, to), &self.seen, tally);
            }
            let invented = found.keys().filter(|key| !known.contains(*key));
            tally.lost.extend(invented.map(|key| format!("{project}/{key} was never written")));
        }
        self.seen.clear();
        tally.unsynced.append(&mut self.sight.wrong_reads);
    }
}

/// Ends a stage also if what directs it panics.
struct EndsStage<'a>(&'a Stage);

impl Drop for EndsStage<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// A client's connection to one of the instances.
struct Client<'s> {
    stage: &'s Stage,
    instance: usize,
    connection: Option<Connection>,
    sight: Sight,
}

impl Client<'_> {
    /// The answer of a request that `send` sends; `None` if there is none.
    fn ask(&mut self, send: impl FnOnce(&mut Connection) -> io::Result<Response>) -> Option<Response> {
        let instance = &self.stage.instances[self.instance];
        let began = Instant::now();
        let exchange = || {
            if self.connection.is_none() {
                self.connection = Some(Connection::try_open(instance.port.load(Ordering::Relaxed))?);
            }
            send(self.connection.as_mut().unwrap())
        };
        let answer = exchange();
        self.sight.slowest = self.sight.slowest.max(began.elapsed());
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                assert!(instance.may_break.load(Ordering::Relaxed), "no answer: {error}");
                self.sight.broken += 1;
                None
            }
        }
    }

    /// Continues on the next instance.
    fn change_instance(&mut self) {
        self.connection = None;
        self.instance = (self.instance + 1) % self.stage.instances.len();
        thread::sleep(PAUSE); // as a client does that is told to retry
    }
}

fn client(stage: &Stage, number: usize) -> Client<'_> {
    let instance = number % stage.instances.len();
    Client { stage, instance, connection: None, sight: Sight::default() }
}

fn write_until_the_end(ledger: &mut Ledger, writer: usize, mut random: Random, stage: &Stage) -> Sight {
    let mut client = client(stage, writer);
    while !stage.is_over.load(Ordering::Relaxed) {
        let answer = client.ask(|connection| write_once(ledger, (writer, PADDING), &mut random, connection));
        match answer {
            Some(answer) if matches!(answer.status, 200 | 201 | 204 | 404) => {
                ledger.acknowledge();
                stage.note_acknowledged();
                continue;
            }
            Some(answer) => match answer.effect() {
                Effect::None => {
                    ledger.refuse();
                    client.sight.refused += 1;
                }
                Effect::Unknown => client.sight.unknown += 1,
            },
            None => {}
        }
        ledger.continue_working();
        stage.lives[writer].1.store(ledger.life, Ordering::Relaxed);
        client.change_instance();
    }
    client.sight
}

fn read_until_the_end(reader: usize, mut random: Random, stage: &Stage) -> (Sight, BTreeMap<String, Seen>) {
    let (mut client, mut keys) = (client(stage, reader), BTreeMap::<String, Seen>::new());
    while !stage.is_over.load(Ordering::Relaxed) {
        let writer = random.below(stage.lives.len() as u64) as usize;
        let (project, life) = &stage.lives[writer];
        let of_writer = ["key0", "key1", "key2", "key3", "ttl0", "batch0", "batch2"];
        let name = of_writer[random.below(of_writer.len() as u64) as usize];
        let key = slot(writer, life.load(Ordering::Relaxed), name);
        let target = format!("{}/{key}?raw", keys_of(project));
        let asked = Instant::now();
        let Some(answer) = client.ask(|connection| try_request(connection, "GET", &target, b"")) else {
            client.change_instance();
            continue;
        };
        match answer.status {
            200 => {
                let number = answer.json()["number"].as_u64();
                let seen = keys.entry(key).or_default();
                seen.number_max = seen.number_max.max(number.unwrap_or(u64::MAX));
            }
            404 => keys.entry(key).or_default().absent_asked = Some(asked),
            503 => {
                client.sight.refused += 1;
                client.change_instance();
                continue;
            }
            _ => client.sight.wrong_reads.push(format!("{target}: {answer:?}")),
        }
        client.sight.reads += 1;
    }
    (client.sight, keys)
}
