//! Memory follows what is stored: after any churn of the same live bytes, and after everything is deleted, a
//! server has about as much as one that has just started with the same keys. Beside that it has what the
//! allocator keeps of requests that were under way.
//!
//! 100,000 keys in the ordinary run. More, with a table at the end:
//! `PIKV_MEMORY_KEYS=500000 cargo test --release --test it memory -- --nocapture`

use crate::harness::{DEMO_KEY, DEMO_KEYS, Server, resident_bytes, wait_until};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

const KEYS: u64 = 100_000;
const CONNECTIONS: u64 = 4;
const BATCH: &str = "/api/v1/projects/demo/batch";
const BATCH_BYTES: usize = 64 * 1024;
/// Of what a start has with the same keys, percent.
const PERCENT_MAX: u64 = 125;
/// What the allocator keeps of requests and batches that were under way.
const KEPT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Memory that has not shrunk for so long does not shrink any more.
const SETTLED: Duration = Duration::from_secs(3);

/// A number that looks random, the same for the same arguments (SplitMix64).
fn random(seed: u64, key: u64) -> u64 {
    let state = (seed << 40 | key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Churn {
    server: Server,
    keys: u64,
    seed: u64,
}

impl Churn {
    /// Sends the operations that `operation` returns for the keys, in random order, over several connections.
    fn each(&mut self, operation: impl Fn(u64) -> Option<Value> + Sync) {
        self.seed += 1;
        let (server, seed) = (&self.server, self.seed);
        let mut order: Vec<u64> = (0..self.keys).collect();
        order.sort_by_key(|key| random(seed, *key));
        let send = |part: u64| {
            let mut connection = server.connect();
            let mut operations: Vec<String> = Vec::new();
            let mut flush = |operations: &mut Vec<String>| {
                let body = format!("{{\"operations\":[{}]}}", operations.join(","));
                let answer = connection.request("POST", BATCH, Some(DEMO_KEY), &[], body.as_bytes());
                assert_eq!(answer.status, 200, "{answer:?}");
                operations.clear();
            };
            for key in order.iter().filter(|key| *key % CONNECTIONS == part) {
                operations.extend(operation(*key).map(|operation| operation.to_string()));
                let bytes: usize = operations.iter().map(String::len).sum();
                if operations.len() == 200 || bytes > BATCH_BYTES {
                    flush(&mut operations);
                }
            }
            flush(&mut operations);
        };
        thread::scope(|scope| {
            let send = &send;
            (0..CONNECTIONS).for_each(|part| drop(scope.spawn(move || send(part))));
        });
    }

    fn set(&mut self, length: impl Fn(u64) -> u64 + Sync, more: Value) {
        self.each(|key| {
            let value = "x".repeat(length(key) as usize);
            let mut operation = json!({ "op": "set", "key": format!("k/{key:014}"), "value": value });
            operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Some(operation)
        });
    }

    fn delete(&mut self, is_deleted: impl Fn(u64) -> bool + Sync) {
        let delete = |key| json!({ "op": "delete", "key": format!("k/{key:014}") });
        self.each(|key| is_deleted(key).then(|| delete(key)));
    }

    /// Compares the memory with that of a fresh start, which follows.
    fn check(&mut self, what: &str) {
        let resident = |server: &Server| resident_bytes(server).unwrap();
        // What is freed in the background is freed once memory has not shrunk for a while.
        let (mut least, mut since) = (u64::MAX, Instant::now());
        wait_until("memory does not shrink any more", || {
            let now = resident(&self.server);
            if now < least {
                (least, since) = (now, Instant::now());
            }
            since.elapsed() > SETTLED
        });
        let after = resident(&self.server);
        self.server.restart();
        assert_eq!(self.server.get_demo("probe").status, 200);
        let fresh = resident(&self.server);
        let [after_mib, fresh_mib] = [after, fresh].map(|bytes| bytes as f64 / 1_048_576.0);
        println!("| {what} | {after_mib:.1} MiB | {fresh_mib:.1} MiB | {:.2} × |", after_mib / fresh_mib);
        let bytes_max = fresh * PERCENT_MAX / 100 + KEPT_BYTES_MAX;
        assert!(after <= bytes_max, "{what}: {after} bytes, and {fresh} after a start");
    }

    fn wait_for_keys(&self, count: u64) {
        wait_until("the keys have expired", || {
            let project = self.server.request("GET", "/api/v1/projects/demo", Some(DEMO_KEY), &[], b"");
            project.json()["keys"] == count
        });
    }
}

#[test]
fn memory_use_follows_the_stored_data() {
    let keys =
        crate::harness::environment::variable("PIKV_MEMORY_KEYS").map_or(KEYS, |keys| keys.parse().unwrap());
    let mut churn = Churn { server: Server::start_known(), keys, seed: 0 };
    churn.server.put_demo("probe", "1");
    churn.set(|_| 98, json!({}));
    churn.check("written in random order");
    (0..2).for_each(|_| churn.set(|_| 98, json!({})));
    churn.check("overwritten 2 times, same sizes");
    (0..2).for_each(|round| churn.set(|key| 10 + random(round, key) % 180, json!({})));
    churn.check("overwritten 2 times, 10 to 190 bytes");
    (0..2).for_each(|round| churn.set(|key| if key % 200 == round { 20_000 } else { 50 }, json!({})));
    churn.check("overwritten 2 times, small and large");
    churn.set(|_| 98, json!({}));
    for round in 0..2 {
        churn.delete(|key| random(round, key).is_multiple_of(2));
        churn.set(|_| 98, json!({}));
    }
    churn.check("half deleted and written again, 2 times");
    (0..2).for_each(|_| churn.set(|_| 98, json!({ "ttl": 100_000 })));
    churn.check("overwritten 2 times with a time to live");
    churn.delete(|_| true);
    churn.check("all deleted one by one");
    churn.set(|_| 98, json!({}));
    let cleared = churn.server.request("DELETE", &format!("{DEMO_KEYS}?prefix=k/"), Some(DEMO_KEY), &[], b"");
    assert_eq!(cleared.json()["deleted"], keys);
    churn.check("all deleted by prefix");
    churn.set(|_| 98, json!({ "ttl": 2 }));
    churn.wait_for_keys(1);
    churn.check("all expired");
}
