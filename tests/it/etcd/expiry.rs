//! Times to live on several instances: with clocks that differ, and with a sweeper that is killed.

use super::writers::rounds;
use crate::harness::etcd::EtcdCluster;
use crate::harness::faketime::shifted;
use crate::harness::instances::{options_on, start_instances};
use crate::harness::sim_disk::Random;
use crate::harness::{GLOBAL_KEY, Response, Server, holds_within, wait_until};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

const HOUR_SECONDS: i64 = 3_600;
/// How much later a key may expire on an instance whose clock is wrong: it learns the cell's clock every 2 s.
const WINDOW: Duration = Duration::from_secs(5);

fn put(server: &Server, key: &str, ttl_seconds: u64) -> Response {
    server.manage("PUT", "timed", &format!("/keys/{key}?ttl={ttl_seconds}"), "1")
}

/// An instance with the right time, one whose clock differs by so many seconds, and the project `timed`.
fn start(seconds: i64) -> Option<(EtcdCluster, Server, Server)> {
    let cluster = EtcdCluster::start(1, &[])?;
    let options = options_on(&[("home", cluster.authorities())]);
    let wrong = shifted(&options, seconds)?;
    let right = Server::start_as(options);
    right.create_project("timed");
    wait_until("the cell has a clock", || count(&cluster, "s/clock") == Some(1));
    Some((cluster, right, Server::start_as(wrong)))
}

/// How many keys of etcd begin with `prefix`.
fn count(cluster: &EtcdCluster, prefix: &str) -> Option<u64> {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut end = prefix.as_bytes().to_vec();
    *end.last_mut().unwrap() += 1;
    let range = json!({"key": encode(prefix.as_bytes()), "range_end": encode(&end), "count_only": true});
    let found = cluster.call(0, "/v3/kv/range", &range)?;
    found["count"].as_str().unwrap_or("0").parse().ok()
}

/// Every way to read `key` must find nothing.
fn expect_absent(server: &Server, key: &str) {
    server.get_key("timed", key).problem(404, "key_not_found");
    let listed = server.manage("GET", "timed", "/keys", "").expect(200).json();
    assert!(listed["keys"].get(key).is_none(), "{listed}");
    let body = json!({"operations": [{"op": "get", "key": key}]}).to_string();
    let read = server.manage("POST", "timed", "/batch", &body).expect(200).json();
    assert_eq!(read["results"][0]["found"], false, "{read}");
    let target = format!("/api/v1/projects/timed/keys/{key}");
    let conditional = server.request("PUT", &target, Some(GLOBAL_KEY), &[("If-Match", "*")], b"2");
    conditional.problem(412, "precondition_failed");
}

/// Once `key` has expired on `right`, it expires on `other` soon, and is absent there in every way.
fn expect_expiry(right: &Server, other: &Server, key: &str) {
    wait_until("the key expires", || right.get_key("timed", key).status == 404);
    let expired = Instant::now();
    wait_until("it expires on the other instance", || other.get_key("timed", key).status == 404);
    assert!(expired.elapsed() < WINDOW, "{:?}", expired.elapsed());
    expect_absent(other, key);
    expect_absent(right, key);
}

#[test]
fn an_instance_whose_clock_is_an_hour_slow_serves_nothing_that_has_expired() {
    let Some((_cluster, right, slow)) = start(-HOUR_SECONDS) else { return };
    put(&right, "a", 1).expect(201);
    slow.get_key("timed", "a").expect(200);
    expect_expiry(&right, &slow, "a");
    // What the slow instance stores has not expired on the right one, and expires there.
    put(&slow, "a", 6).expect(201);
    right.get_key("timed", "a").expect(200);
    slow.get_key("timed", "a").expect(200);
    expect_expiry(&right, &slow, "a");
}

#[test]
fn an_instance_whose_clock_is_an_hour_fast_expires_nothing_early_and_keeps_nothing_for_an_hour() {
    let Some((_cluster, right, fast)) = start(HOUR_SECONDS) else { return };
    put(&right, "long", 1_800).expect(201);
    // At its start it cannot tell a clock that others keep from one that stands still.
    assert!(holds_within(WINDOW, || fast.get_key("timed", "long").status == 200));
    put(&right, "a", 3).expect(201);
    fast.get_key("timed", "a").expect(200);
    expect_expiry(&right, &fast, "a");
    put(&fast, "a", 3).expect(201);
    right.get_key("timed", "a").expect(200);
    expect_expiry(&right, &fast, "a");
    fast.get_key("timed", "long").expect(200);
    right.get_key("timed", "long").expect(200);
}

#[test]
fn what_expired_on_the_only_instance_whose_clock_is_fast_stays_absent_after_it() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let options = options_on(&[("home", cluster.authorities())]);
    let Some(wrong) = shifted(&options, HOUR_SECONDS) else { return };
    let mut fast = Server::start_as(wrong);
    fast.create_project("timed");
    put(&fast, "short", 1).expect(201);
    put(&fast, "long", 1_800).expect(201);
    wait_until("the key expires", || fast.get_key("timed", "short").status == 404);
    thread::sleep(WINDOW); // until the cell's clock has passed it as well
    fast.kill();
    let mut right = Server::start_as(options);
    for _ in 0..2 {
        expect_absent(&right, "short");
        right.get_key("timed", "long").expect(200);
        put(&right, "short", 600);
        right.get_key("timed", "short").expect(200);
        right.manage("DELETE", "timed", "/keys/short", "").expect(204);
        right.restart();
    }
    fast.start_again();
    expect_absent(&fast, "short");
    fast.get_key("timed", "long").expect(200);
}

/// Gives the keys `first..first + 100` a value, for ever or for some seconds.
fn put_100(server: &Server, first: usize, ttl_seconds: Option<u64>) {
    let operation = |number: usize| {
        let mut operation = json!({"op": "set", "key": format!("k{number:05}"), "value": number});
        if let Some(seconds) = ttl_seconds {
            operation["ttl"] = json!(seconds);
        }
        operation
    };
    let body = json!({"operations": (first..first + 100).map(operation).collect::<Vec<Value>>()});
    server.manage("POST", "timed", "/batch", &body.to_string()).expect(200);
}

#[test]
fn what_a_killed_sweeper_leaves_is_swept_by_another_instance() {
    const KEYS: usize = 2_000;
    let Some(cluster) = EtcdCluster::start(1, &["--max-txn-ops", "4096"]) else { return };
    let mut servers = start_instances(&cluster, 1);
    servers[0].create_project("timed");
    let mut random = Random(u64::from(std::process::id()));
    for _ in 0..rounds() {
        (0..KEYS).step_by(100).for_each(|first| put_100(&servers[0], first, Some(3)));
        // Every fifth hundred is written again without a time to live, before it expires or after that.
        let kept: Vec<usize> = (0..KEYS).step_by(500).collect();
        kept.iter().for_each(|&first| put_100(&servers[0], first, None));
        let all = count(&cluster, "v/timed/").unwrap();
        wait_until("the sweeper has begun", || count(&cluster, "v/timed/").is_some_and(|left| left < all));
        thread::sleep(Duration::from_millis(random.below(30))); // the moment is what is tested
        servers[0].kill();
        let mut other = start_instances(&cluster, 1).remove(0);
        let kept_keys = 100 * kept.len() as u64;
        wait_until("all is swept", || {
            count(&cluster, "v/timed/") == Some(kept_keys) && count(&cluster, "x/") == Some(0)
        });
        let listed = other.manage("GET", "timed", "/keys?limit=2000", "").expect(200).json();
        assert_eq!(listed["count"], kept_keys, "{listed}");
        let deleted = other.manage("DELETE", "timed", "/keys?prefix=k", "").expect(200).json();
        assert_eq!(deleted["deleted"], kept_keys);
        std::mem::swap(&mut servers[0], &mut other);
    }
}
