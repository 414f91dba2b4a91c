//! The threads that watch over cells, beside real members.

use crate::harness::etcd::{EtcdCluster, bucket_on};
use crate::harness::wait_until;
use pikv::testing::clock;
use pikv::testing::names::Key;
use pikv::testing::storage::Bucket;
use pikv::testing::storage::etcd::cell::{Cell, CellError};
use pikv::testing::storage::etcd::gateway::{Bytes, Operation, Range, Refused, Transaction};
use pikv::testing::storage::etcd::state::CellState;
use pikv::testing::storage::etcd::{Caretaker, Cells};
use pikv::testing::store::batch::{Batch, Op, Otherwise};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const HOUR_MS: u64 = 3_600_000;

fn started(cluster: &EtcdCluster) -> (Arc<Cells>, Caretaker) {
    let cells = Cells::new(cluster.cell(), Vec::new());
    cells.prepare().unwrap();
    let cells = Arc::new(cells);
    let caretaker = Caretaker::start(&cells).unwrap();
    (cells, caretaker)
}

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.as_bytes())
}

fn put(cell: &Cell, key: &str, value: &str) -> Result<i64, CellError> {
    let success = vec![Operation::Put { key: bytes(key), value: bytes(value) }];
    cell.commit(&Transaction { success, ..Transaction::default() }).map(|put| put.header.revision)
}

fn clock_of(cell: &Cell) -> Option<u64> {
    let found = cell.range(&Range::key(bytes("s/clock"))).unwrap();
    found.kvs.first().map(|stored| str::from_utf8(&stored.value.0).unwrap().parse().unwrap())
}

fn count(cell: &Cell, prefix: &str) -> u64 {
    cell.range(&Range { count_only: true, ..Range::prefix(bytes(prefix)) }).unwrap().count
}

#[test]
fn a_cell_is_unreachable_while_its_members_are_down() {
    let Some(mut cluster) = EtcdCluster::start(3, &[]) else { return };
    let (cells, caretaker) = started(&cluster);
    let is_ready = || cells.home().state() == CellState::Ready;
    wait_until("the cell is checked", || clock_of(cells.home()).is_some());
    cluster.kill(0);
    wait_until("the member is missed", || cells.home().silent_members() == 1);
    assert!(is_ready(), "a majority runs: {:?}", cells.home().state());
    cluster.kill(1);
    wait_until("there is no majority", || !cells.home().state().answers());
    cluster.kill(2);
    wait_until("no member answers", || cells.home().silent_members() == 3);
    wait_until("the cell is unreachable", || matches!(cells.home().state(), CellState::Unreachable { .. }));
    (0..3).for_each(|index| cluster.start_member(index));
    wait_until("the cell is ready again", || is_ready() && cells.home().silent_members() == 0);
    let began = Instant::now();
    drop(caretaker);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn one_member_of_three_has_no_leader() {
    let Some(mut cluster) = EtcdCluster::start(3, &[]) else { return };
    let (cells, _caretaker) = started(&cluster);
    (1..3).for_each(|index| cluster.kill(index));
    wait_until("there is no leader", || cells.home().state() == CellState::NoLeader);
    cluster.start_member(1);
    wait_until("the cell is ready again", || cells.home().state() == CellState::Ready);
}

#[test]
fn used_up_space_shows_until_it_is_freed() {
    let Some(cluster) = EtcdCluster::start(1, &["--quota-backend-bytes", "500000"]) else { return };
    let (cells, _caretaker) = started(&cluster);
    let cell = cells.home();
    let text = "x".repeat(1_000);
    let full = (0..2_000).find_map(|n| put(cell, &format!("t/{n}"), &text).err());
    // The put that exceeds the quota compares nothing, so it is not known whether it was applied.
    assert_eq!(full, Some(CellError::Unconfirmed { reason: Refused::NoSpace.to_string() }));
    wait_until("it is noticed", || cell.state() == CellState::NoSpace);
    assert!(cell.state().answers() && !cell.state().is_ready());
    let clear = Operation::DeleteRange { key: bytes("t/"), range_end: Some(bytes("t0")) };
    let cleared = cell.commit(&Transaction { success: vec![clear], ..Transaction::default() }).unwrap();
    let status = cluster.call(0, "/v3/maintenance/status", &json!({})).unwrap();
    let member = &status["header"]["member_id"];
    for (path, body) in [
        ("/v3/kv/compaction", json!({"revision": cleared.header.revision.to_string(), "physical": true})),
        ("/v3/maintenance/defragment", json!({})),
        ("/v3/maintenance/alarm", json!({"action": "DEACTIVATE", "memberID": member, "alarm": "NOSPACE"})),
    ] {
        let done = cluster.call(0, path, &body).unwrap();
        assert!(done["error"].is_null(), "{path}: {done}");
    }
    wait_until("the cell is ready again", || cell.state() == CellState::Ready);
    put(cell, "t/1", "1").unwrap();
}

#[test]
fn many_expired_keys_are_swept_and_a_stop_does_not_wait_for_them() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    let bucket = Bucket::Etcd(Arc::new(bucket_on(&cell, "p")));
    let names: Vec<String> = (0..3_000).map(|n| format!("k{n}")).collect();
    for names in names.chunks(60) {
        let ops = names.iter().map(|name| Op::put(Key::parse(name).unwrap(), b"1", Some(1)));
        let batch = Batch::many(ops.collect(), Otherwise::Abort);
        bucket.write(clock::wall_ms() - HOUR_MS, &batch).unwrap().answer.unwrap();
    }
    let kept = Op::put(Key::parse("kept").unwrap(), b"1", Some(HOUR_MS));
    bucket.write_one(clock::wall_ms(), kept).unwrap().answer.unwrap();
    assert_eq!((count(&cell, "v/p/"), count(&cell, "x/")), (3_001, 3_001));
    forget_record(&cell);
    let (_cells, caretaker) = started(&cluster);
    wait_until("the sweep has begun", || count(&cell, "x/") < 3_001);
    let began = Instant::now();
    drop(caretaker);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let (_cells, _caretaker) = started(&cluster);
    wait_until("all are swept", || count(&cell, "x/") == 1);
    assert_eq!(count(&cell, "v/p/"), 1);
}

/// The harness writes records that are none.
fn forget_record(cell: &Cell) {
    let success = vec![Operation::delete(bytes("e/p"))];
    cell.commit(&Transaction { success, ..Transaction::default() }).unwrap();
}

#[test]
fn a_slow_clock_uses_that_of_the_cell() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let ahead_ms = clock::wall_ms() + HOUR_MS;
    put(&cluster.cell(), "s/clock", &ahead_ms.to_string()).unwrap();
    let (cells, _caretaker) = started(&cluster);
    // From the start on.
    assert_eq!(cells.home().now_ms(clock::wall_ms()), ahead_ms);
    assert_eq!(cells.home().now_ms(ahead_ms + 1), ahead_ms + 1);
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(clock_of(cells.home()), Some(ahead_ms), "it is not set back");
    assert_eq!(cells.home().now_ms(clock::wall_ms()), ahead_ms);
}

/// Sets a flag when it is dropped.
struct AtEnd<'f>(&'f AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_clock_that_is_ahead_of_other_servers_expires_nothing_early() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = cluster.cell();
    let is_over = AtomicBool::new(false);
    let others_ms = || clock::wall_ms() - HOUR_MS;
    std::thread::scope(|scope| {
        // Also if an assertion fails: the scope waits for the thread.
        let _end = AtEnd(&is_over);
        // A server whose clock is right, if that of this machine is an hour ahead.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                put(&cell, "s/clock", &others_ms().to_string()).unwrap();
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        wait_until("the other server has begun", || clock_of(&cell).is_some());
        // It expires in half an hour.
        let expiry = format!("x/{:016x}/p/a", others_ms() + HOUR_MS / 2);
        put(&cell, &expiry, "").unwrap();
        let (cells, caretaker) = started(&cluster);
        wait_until("the difference is noticed", || {
            let difference = cells.home().now_ms(clock::wall_ms()).abs_diff(others_ms());
            difference < 10_000
        });
        std::thread::sleep(Duration::from_millis(2_500));
        drop(caretaker);
        assert_eq!(count(&cell, &expiry), 1);
        assert!(clock_of(&cell).unwrap() < others_ms() + 10_000);
    });
}

#[test]
fn a_server_alone_sets_a_clock_that_stood_still() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    put(&cluster.cell(), "s/clock", &(clock::wall_ms() - HOUR_MS).to_string()).unwrap();
    let (cells, _caretaker) = started(&cluster);
    wait_until("it is set", || clock_of(cells.home()).unwrap() + 10_000 > clock::wall_ms());
}
