//! Writers that keep a ledger each, readers that note what they saw, and the check after a restart.

use super::Tally;
use super::ledger::{Ledger, Padding, Seen};
use crate::harness::sim_disk::Random;
use crate::harness::{
    Connection, GLOBAL_KEY, Options, Response, Server, encode_request, known_config, wait_until,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Two with their values in memory and two with them in files only.
pub const PROJECTS: [&str; 4] = ["memory-a", "files-a", "memory-b", "files-b"];

/// [`PROJECTS`], no line of log for each request, and the key [`GLOBAL_KEY`].
pub fn config() -> Value {
    let mut config = known_config();
    config["log"] = json!({"level": "warn"});
    let project = |id: &&str| {
        let storage = json!({"on_disk": true, "cache_in_memory": id.starts_with("memory")});
        json!({"id": id, "storage": storage, "authentication": {"enabled": false}})
    };
    config["projects"] = PROJECTS.iter().map(project).collect();
    config
}

pub fn options() -> Options {
    Options { config: Some(config()), ..Options::default() }
}

pub fn keys_of(project: &str) -> String {
    format!("/api/v1/projects/{project}/keys")
}

/// A request with [`GLOBAL_KEY`] whose connection may break.
pub fn try_request(
    connection: &mut Connection,
    method: &str,
    target: &str,
    body: &[u8],
) -> io::Result<Response> {
    connection.try_send(&encode_request(method, target, Some(GLOBAL_KEY), &[], body))?;
    connection.try_read_response(method)
}

/// Writers and readers, between and during the lives of a server.
#[derive(Clone)]
pub struct Crowd {
    padding: Padding,
    pub ledgers: Vec<Ledger>,
    readers: usize,
    seed: u64,
    cycle: u64,
    seen: BTreeMap<String, Seen>,
    /// Reads that were answered with something that cannot be, while the server ran.
    pub failed_reads: Vec<String>,
    pub reads: usize,
}

/// What writers and readers go by while a server runs.
pub struct Stage {
    port: u16,
    is_over: AtomicBool,
    writes: AtomicUsize,
    answers: AtomicUsize,
    writers_left: AtomicUsize,
}

impl Stage {
    /// Ends writing and reading.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Where the server listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Writes that were acknowledged so far.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// Answers to writes so far, of whatever kind.
    pub fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    /// Lets everybody work until the writers have so many answers, or are all told that no more is taken.
    pub fn end_after(&self, answers: usize) {
        wait_until("the writers have their answers", || {
            self.answers() >= answers || self.writers_left.load(Ordering::Relaxed) == 0
        });
        self.end();
    }
}

impl Crowd {
    pub fn new(writers: usize, readers: usize, seed: u64) -> Crowd {
        let ledgers = (0..writers).map(|writer| Ledger::new(PROJECTS[writer % PROJECTS.len()]));
        Crowd {
            padding: Padding(150),
            ledgers: ledgers.collect(),
            readers,
            seed,
            cycle: 0,
            seen: BTreeMap::new(),
            failed_reads: Vec::new(),
            reads: 0,
        }
    }

    /// The same with larger values: each project's journal is checkpointed after some hundred writes.
    pub fn with_large_values(mut self) -> Crowd {
        self.padding = Padding(1_200);
        self
    }

    /// Writes and reads until `direct` has ended it, or killed the server.
    pub fn perform(&mut self, port: u16, direct: impl FnOnce(&Stage)) {
        self.cycle += 1;
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(self.cycle);
        let stage = &Stage {
            port,
            is_over: AtomicBool::new(false),
            writes: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            writers_left: AtomicUsize::new(self.ledgers.len()),
        };
        self.ledgers.iter_mut().for_each(Ledger::continue_working);
        let names = self.ledgers.iter().map(|ledger| (ledger.project.clone(), ledger.life));
        let names: &Vec<_> = &names.collect();
        let padding = self.padding;
        thread::scope(|scope| {
            for (writer, ledger) in self.ledgers.iter_mut().enumerate() {
                let random = Random(seed.wrapping_mul(257).wrapping_add(writer as u64));
                scope.spawn(move || {
                    write(ledger, (writer, padding), random, stage);
                    stage.writers_left.fetch_sub(1, Ordering::Relaxed);
                });
            }
            let readers: Vec<_> = (0..self.readers)
                .map(|reader| {
                    let random = Random(seed.wrapping_mul(509).wrapping_add(reader as u64));
                    scope.spawn(move || read(names, random, stage))
                })
                .collect();
            let ends = EndsStage(stage);
            direct(stage);
            drop(ends);
            for reader in readers {
                let Reads { seen, failed, count } = reader.join().unwrap();
                self.reads += count;
                self.failed_reads.extend(failed);
                for (key, seen) in seen {
                    let all = self.seen.entry(key).or_default();
                    all.number_max = all.number_max.max(seen.number_max);
                    all.absent_asked = all.absent_asked.max(seen.absent_asked);
                }
            }
        });
    }

    /// Looks at everything after a restart.
    pub fn check(&mut self, server: &Server, tally: &mut Tally) {
        for project in PROJECTS {
            let from = Instant::now();
            let listed = server.request("GET", &keys_of(project), Some(GLOBAL_KEY), &[], b"");
            let to = Instant::now();
            if listed.status != 200 {
                tally.failed_starts.push(format!("{project} is not served: {listed:?}"));
                continue;
            }
            let found = self.padding.numbers(&listed.json(), tally);
            let mut known = BTreeSet::new();
            for ledger in self.ledgers.iter_mut().filter(|ledger| ledger.project == project) {
                known.extend(ledger.keys().cloned());
                ledger.check(&found, (from, to), &self.seen, tally);
            }
            let invented = found.keys().filter(|key| !known.contains(*key));
            tally.lost.extend(invented.map(|key| format!("{project}/{key} was never written")));
        }
        self.seen.clear();
    }

    /// Answers of 507 and of 503 so far.
    pub fn refused(&self) -> (u64, u64) {
        let sum = |count: fn(&Ledger) -> u64| self.ledgers.iter().map(count).sum();
        (sum(|ledger| ledger.refused_507), sum(|ledger| ledger.refused_503))
    }
}

/// Ends a stage however what directs it ends: nobody waits for ever behind a panic.
struct EndsStage<'a>(&'a Stage);

impl Drop for EndsStage<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The name of a key of a writer.
pub fn slot(writer: usize, life: u64, name: &str) -> String {
    format!("writer{writer}-{life}-{name}")
}

/// Writes until the end, until the server is gone or until it takes no more.
fn write(ledger: &mut Ledger, writer: (usize, Padding), mut random: Random, stage: &Stage) {
    let Ok(mut connection) = Connection::try_open(stage.port) else { return };
    while !stage.is_over.load(Ordering::Relaxed) {
        let Ok(answer) = write_once(ledger, writer, &mut random, &mut connection) else { return };
        stage.answers.fetch_add(1, Ordering::Relaxed);
        match answer.status {
            200 | 201 | 204 | 404 => {
                ledger.acknowledge();
                stage.writes.fetch_add(1, Ordering::Relaxed);
            }
            507 => {
                ledger.refuse();
                ledger.refused_507 += 1;
            }
            503 => {
                // It may be found after a restart all the same, so nothing is sent behind it.
                ledger.refused_503 += 1;
                return;
            }
            _ => panic!("{answer:?}"),
        }
    }
}

/// One write of some kind, to keys that nobody else writes.
pub fn write_once(
    ledger: &mut Ledger,
    (writer, padding): (usize, Padding),
    random: &mut Random,
    connection: &mut Connection,
) -> io::Result<Response> {
    let keys = keys_of(&ledger.project);
    let life = ledger.life;
    let name = |name: String| slot(writer, life, &name);
    match random.below(10) {
        0 => {
            let key = name(format!("key{}", random.below(4)));
            ledger.begin(std::slice::from_ref(&key), false, None);
            try_request(connection, "DELETE", &format!("{keys}/{key}"), b"")
        }
        1 => {
            let seconds = [1, 3_600][random.below(2) as usize];
            let key = name(format!("ttl{}", random.below(2)));
            let number = ledger.begin(std::slice::from_ref(&key), true, Some(Duration::from_secs(seconds)));
            let target = format!("{keys}/{key}?ttl={seconds}");
            try_request(connection, "PUT", &target, padding.value(number).to_string().as_bytes())
        }
        2 | 3 => {
            let batch: Vec<_> = (0..3).map(|number| name(format!("batch{number}"))).collect();
            let is_there = random.below(4) > 0;
            let number = ledger.begin(&batch, is_there, None);
            let operation = |key: &String| match is_there {
                true => json!({"op": "set", "key": key, "value": padding.value(number)}),
                false => json!({"op": "delete", "key": key}),
            };
            let body = json!({"operations": batch.iter().map(operation).collect::<Vec<_>>()});
            let target = keys.replace("/keys", "/batch");
            try_request(connection, "POST", &target, body.to_string().as_bytes())
        }
        _ => {
            let key = name(format!("key{}", random.below(4)));
            let number = ledger.begin(std::slice::from_ref(&key), true, None);
            try_request(
                connection,
                "PUT",
                &format!("{keys}/{key}"),
                padding.value(number).to_string().as_bytes(),
            )
        }
    }
}

#[derive(Default)]
struct Reads {
    seen: BTreeMap<String, Seen>,
    failed: Vec<String>,
    count: usize,
}

/// Reads keys of all writers until the end or until the server is gone.
fn read(names: &[(String, u64)], mut random: Random, stage: &Stage) -> Reads {
    let mut reads = Reads::default();
    let Ok(mut connection) = Connection::try_open(stage.port) else { return reads };
    while !stage.is_over.load(Ordering::Relaxed) {
        let writer = random.below(names.len() as u64) as usize;
        let (project, life) = &names[writer];
        let of_writer = ["key0", "key1", "key2", "key3", "ttl0", "batch0", "batch2"];
        let key = slot(writer, *life, of_writer[random.below(of_writer.len() as u64) as usize]);
        let target = format!("{}/{key}?raw", keys_of(project));
        let asked = Instant::now();
        let Ok(answer) = try_request(&mut connection, "GET", &target, b"") else { break };
        reads.count += 1;
        let seen = reads.seen.entry(key).or_default();
        match answer.status {
            200 => match serde_json::from_slice::<Value>(&answer.body).map(|read| read["number"].as_u64()) {
                Ok(Some(number)) => seen.number_max = seen.number_max.max(number),
                Ok(None) | Err(_) => reads.failed.push(format!("{target}: no value: {answer:?}")),
            },
            404 => seen.absent_asked = Some(asked),
            _ => reads.failed.push(format!("{target}: {answer:?}")),
        }
    }
    reads
}
