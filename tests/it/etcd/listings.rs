//! Listings of a project on a cell, and reads of many keys: they show one moment, whatever the sizes of the values are.

use crate::harness::etcd::{EtcdCluster, bucket_on};
use pikv::testing::names::Key;
use pikv::testing::storage::etcd::cell::Cell;
use pikv::testing::storage::etcd::gateway::{Bytes, Range};
use pikv::testing::storage::{Bucket, BucketTotals, Continuation, Item, Parts, Scan, ScanEnd};
use pikv::testing::store::batch::{Batch, Op, Otherwise, Require};
use pikv::testing::store::decide::{Conflict, Step};
use pikv::testing::store::error::StorageError;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NOW_MS: u64 = 1_800_000_000_000;
/// Bytes of a large value.
const LARGE_BYTES: usize = 640 * 1024;
/// So many of them are more than one answer of a cell may have.
const LARGE: usize = 12;

fn key(text: &str) -> Key<'_> {
    Key::parse(text).unwrap()
}

fn open(cell: &Arc<Cell>) -> Bucket {
    Bucket::Etcd(Arc::new(bucket_on(cell, "p")))
}

fn put(bucket: &Bucket, name: &str, value: &[u8], ttl_ms: Option<u64>) {
    bucket.write_one(NOW_MS, Op::put(key(name), value, ttl_ms)).unwrap().answer.unwrap();
}

fn put_all(bucket: &Bucket, names: &[String], value: &[u8]) {
    let ops = names.iter().map(|name| Op::put(key(name), value, None)).collect();
    bucket.write(NOW_MS, &Batch::many(ops, Otherwise::Abort)).unwrap().answer.map(drop).unwrap();
}

fn text(value: &[u8]) -> String {
    String::from_utf8(value.to_vec()).unwrap()
}

/// A listing, page by page.
struct Listing<'b> {
    bucket: &'b Bucket,
    bytes_max: usize,
    after: Option<String>,
    continuation: Continuation,
    found: BTreeMap<String, String>,
}

impl Listing<'_> {
    fn of(bucket: &Bucket, bytes_max: usize) -> Listing<'_> {
        let (after, continuation, found) = (None, Continuation::default(), BTreeMap::new());
        Listing { bucket, bytes_max, after, continuation, found }
    }

    /// Reads a page. Returns whether there may be more.
    fn next(&mut self) -> bool {
        let Listing { bytes_max, continuation, .. } = *self;
        let scan = Scan { after: self.after.as_deref(), bytes_max, continuation, ..Scan::under("") };
        let found = &mut self.found;
        let mut sink = |item: Item<'_>| {
            let before = found.insert(item.key.to_owned(), text(item.value));
            assert_eq!(before, None, "{} is listed again", item.key);
        };
        let scanned = self.bucket.scan(NOW_MS, &scan, &mut sink).unwrap().answer;
        (self.after, self.continuation) = (scanned.last, scanned.continuation);
        scanned.end != ScanEnd::Exhausted
    }

    fn finish(mut self) -> BTreeMap<String, String> {
        while self.next() {}
        self.found
    }
}

fn names_of(bucket: &Bucket, now_ms: u64) -> Vec<String> {
    let mut names = Vec::new();
    let scan = Scan { parts: Parts::Names, ..Scan::under("") };
    bucket.scan_through(now_ms, &scan, &mut |item| names.push(item.key.to_owned())).unwrap();
    names
}

#[test]
fn all_pages_of_a_listing_show_one_moment() {
    let Some(cluster) = EtcdCluster::start(1, &["--max-txn-ops", "4096"]) else { return };
    let cell = Arc::new(cluster.cell());
    let (bucket, writer, is_over) = (open(&cell), open(&cell), AtomicBool::new(false));
    let names: Vec<String> = (0..400).map(|number| format!("k{number:03}")).collect();
    put_all(&bucket, &names, b"0");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                put_all(&writer, &names, number.to_string().as_bytes());
            }
        });
        let listings: Vec<_> = (0..20).map(|_| Listing::of(&bucket, 500).finish()).collect();
        is_over.store(true, Ordering::Relaxed);
        for found in listings {
            assert_eq!(found.len(), names.len());
            let first = &found["k000"];
            assert!(found.values().all(|value| value == first), "{found:?}");
        }
    });
}

#[test]
fn after_a_compaction_a_listing_continues_at_the_present() {
    let Some(cluster) = EtcdCluster::start(1, &["--max-txn-ops", "4096"]) else { return };
    let cell = Arc::new(cluster.cell());
    let bucket = open(&cell);
    let names: Vec<String> = (0..100).map(|number| format!("k{number:03}")).collect();
    put_all(&bucket, &names, b"0");
    let mut listing = Listing::of(&bucket, 50);
    assert!(listing.next());
    put_all(&bucket, &names, b"1");
    let revision = cell.range(&Range::key(Bytes::from(&b"e/p"[..]))).unwrap().header.revision;
    let compaction = json!({"revision": revision, "physical": true});
    assert!(cluster.call(0, "/v3/kv/compaction", &compaction).unwrap()["error"].is_null());
    assert!(listing.next());
    put_all(&bucket, &names, b"2");
    let found = listing.finish();
    assert_eq!(found.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    let values: Vec<&str> = found.values().map(String::as_str).collect();
    let changes = values.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!((values[0], values[99], changes), ("0", "1", 1), "{values:?}");
}

#[test]
fn large_values_are_listed_and_read_in_parts() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    let bucket = open(&cell);
    let value = |number: usize| format!("\"{number}{}\"", "x".repeat(LARGE_BYTES)).into_bytes();
    (0..300).for_each(|number| put(&bucket, &format!("a{number:03}"), b"1", None));
    (0..LARGE).for_each(|number| put(&bucket, &format!("b{number:02}"), &value(number), None));
    (0..300).for_each(|number| put(&bucket, &format!("c{number:03}"), b"1", None));
    for bytes_max in [1_000, 32 * 1024, usize::MAX] {
        let found = Listing::of(&bucket, bytes_max).finish();
        assert_eq!(found.len(), 600 + LARGE);
        assert!((0..LARGE).all(|number| found[&format!("b{number:02}")].as_bytes() == value(number)));
    }
    assert_eq!(names_of(&bucket, NOW_MS).len(), 600 + LARGE);
    let names: Vec<String> = (0..LARGE).map(|number| format!("b{number:02}")).collect();
    let keys: Vec<Key<'_>> = names.iter().map(|name| key(name)).collect();
    for (bytes_max, count) in [(1, 1), (2 * LARGE_BYTES, 2), (100 * LARGE_BYTES, LARGE)] {
        let found = bucket.get_first(NOW_MS, &keys, bytes_max).unwrap().answer;
        assert_eq!(found.len(), count);
        assert!(found.iter().all(Option::is_some));
    }
    let mut batch = Batch::many(keys.iter().map(|key| Op::get(*key)).collect(), Otherwise::Abort);
    let (_, found) = bucket.write_and_read(NOW_MS, &batch).unwrap().answer.unwrap();
    let found: Vec<Vec<u8>> = found.into_iter().map(|found| found.into_text().unwrap()).collect();
    assert_eq!(found.len(), LARGE);
    assert!(found.iter().enumerate().all(|(number, found)| *found == value(number)));
    let bytes_max = 3 * LARGE_BYTES as u64;
    batch.require = Require { read_bytes_max: bytes_max, memory_bytes_max: bytes_max, ..Require::NOTHING };
    let refused = bucket.write_and_read(NOW_MS, &batch).unwrap().answer.err();
    assert!(matches!(refused, Some(Conflict::ReadTooLarge { index: 2, .. })), "{refused:?}");
    batch.require = Require { read_bytes_max: bytes_max, ..Require::NOTHING };
    let refused = bucket.write(NOW_MS, &batch).unwrap().answer.err();
    assert!(matches!(refused, Some(Conflict::ReadTooLarge { index: 2, .. })), "{refused:?}");
}

#[test]
fn a_batch_reads_more_keys_than_one_transaction_may() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    let bucket = open(&cell);
    let names: Vec<String> = (0..300).map(|number| format!("k{number:03}")).collect();
    names.chunks(100).for_each(|names| put_all(&bucket, names, b"1"));
    let gets = names.iter().map(|name| Op::get(key(name))).chain([Op::get(key("absent"))]);
    let (steps, found) = bucket
        .write_and_read(NOW_MS, &Batch::many(gets.collect(), Otherwise::Abort))
        .unwrap()
        .answer
        .unwrap();
    assert_eq!((found.len(), steps.last()), (300, Some(&Step::Absent)));
    let puts = names.iter().map(|name| Op::put(key(name), b"2", None)).collect();
    let refused = bucket.write(NOW_MS, &Batch::many(puts, Otherwise::Abort)).err();
    assert_eq!(refused, Some(StorageError::TooManyOperations));
    assert!(Listing::of(&bucket, 1_000).finish().values().all(|value| value == "1"));
}

#[test]
fn keys_that_have_expired_are_neither_listed_nor_counted() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    let (bucket, other) = (open(&cell), Bucket::Etcd(Arc::new(bucket_on(&cell, "p2"))));
    for number in 0..250 {
        put(&bucket, &format!("k{number:03}"), b"1", Some(1_000 + number));
        put(&other, &format!("k{number:03}"), b"1", (number > 5).then_some(1_000));
    }
    put(&bucket, "k007", b"1", None);
    // Leaves the listing of its expiry.
    bucket.clear(NOW_MS, "k008").unwrap().wait().unwrap();
    put(&bucket, "k008", b"1", None);
    let totals = |bucket: &Bucket, now_ms| bucket.totals(now_ms).unwrap().answer;
    for (passed_ms, count) in [(999, 250), (1_000, 249), (1_007, 243), (1_199, 52), (2_000, 2)] {
        let now_ms = NOW_MS + passed_ms;
        assert_eq!(names_of(&bucket, now_ms).len(), count, "{passed_ms}");
        assert_eq!(totals(&bucket, now_ms), BucketTotals { keys: count as u64, bytes: None }, "{passed_ms}");
    }
    assert_eq!(names_of(&bucket, NOW_MS + 2_000), ["k007", "k008"]);
    assert_eq!(names_of(&other, NOW_MS + 2_000).len(), 6);
    let clear =
        |bucket: &Bucket, prefix| bucket.clear(NOW_MS + 2_000, prefix).unwrap().wait().unwrap().answer;
    assert_eq!(clear(&bucket, "k00"), 2);
    assert_eq!(totals(&bucket, NOW_MS), BucketTotals { keys: 240, bytes: None }, "only the prefix was swept");
    assert_eq!((clear(&bucket, ""), clear(&other, "")), (0, 6));
    assert_eq!(totals(&bucket, NOW_MS).keys + totals(&other, NOW_MS).keys, 0);
}
