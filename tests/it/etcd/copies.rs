//! Keys that are copied between engines.

use crate::harness::etcd::{EtcdCluster, bucket_on};
use crate::harness::sim_disk::SimDisk;
use crate::harness::workload::{START_MS, open};
use pikv::testing::config::schema::SyncMode;
use pikv::testing::names::Key;
use pikv::testing::storage::copy::{CopyError, compare, copy};
use pikv::testing::storage::embedded::ValueCache;
use pikv::testing::storage::etcd::sweep;
use pikv::testing::storage::{Bucket, Item, Scan};
use pikv::testing::store::batch::Op;
use pikv::testing::store::change::{EntryMeta, Revision};
use pikv::testing::store::error::StorageError;
use std::sync::Arc;

/// More than one transaction of etcd with its default flags takes.
const KEYS: u64 = 300;
/// Almost as large as a request to etcd may be.
const LARGE: usize = 1_500_000;

fn embedded() -> Bucket {
    Bucket::Embedded(
        open(Arc::new(SimDisk::default()), ValueCache::Disk, SyncMode::Always, START_MS).unwrap().0,
    )
}

fn restore(bucket: &Bucket, name: &str, value: &[u8], created_ms: u64, expires_ms: Option<u64>) {
    let meta = EntryMeta { revision: Revision::ZERO, created_ms, updated_ms: created_ms + 5, expires_ms };
    let written = bucket.write_one(START_MS, Op::restore(Key::parse(name).unwrap(), value, meta)).unwrap();
    written.answer.unwrap();
    bucket.wait(written.commit.as_ref()).unwrap();
}

/// A third of the keys expires while the test runs, another third later.
fn fill(bucket: &Bucket) {
    for number in 0..KEYS {
        let expires_ms = [None, Some(START_MS + 1), Some(START_MS + 100_000)][(number % 3) as usize];
        restore(bucket, &format!("é/{number:04}"), format!("[{number}]").as_bytes(), number, expires_ms);
    }
    for name in ["large 1", "large 2"] {
        restore(bucket, name, &[b"\"".as_slice(), &vec![b'x'; LARGE], b"\""].concat(), 7, None);
    }
}

/// Keys, values and times, and the latest revision.
fn entries(bucket: &Bucket, now_ms: u64) -> (Vec<(String, Vec<u8>, EntryMeta)>, Revision) {
    let (mut entries, mut latest) = (Vec::new(), Revision::ZERO);
    let mut sink = |item: Item<'_>| {
        latest = latest.max(item.meta.revision);
        let meta = EntryMeta { revision: Revision::ZERO, ..item.meta };
        entries.push((item.key.to_owned(), item.value.to_vec(), meta));
    };
    bucket.scan_through(now_ms, &Scan::under(""), &mut sink).unwrap();
    (entries, latest)
}

fn check(from: &Bucket, to: &Bucket) {
    let now_ms = START_MS + 1;
    let keys = copy(from, to, &|| now_ms).unwrap();
    assert_eq!(keys, KEYS / 3 * 2 + 2);
    let (copied, _) = entries(to, now_ms);
    assert!(copied == entries(from, now_ms).0);
    assert!(copied.iter().any(|(_, _, meta)| meta.expires_ms == Some(START_MS + 100_000)));
    assert_eq!(compare(from, to, &|| now_ms).unwrap().keys, keys);
    restore(to, "é/0000", b"[1]", 0, None);
    let different = CopyError::Different { key: "é/0000".to_owned() };
    assert_eq!(compare(from, to, &|| now_ms), Err(different));
}

#[test]
fn keys_are_copied_between_buckets_on_disk() {
    let from = embedded();
    fill(&from);
    check(&from, &embedded());
}

#[test]
fn keys_are_copied_to_etcd_and_back_in_transactions_that_its_default_flags_allow() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    let (from, there, back) = (embedded(), bucket_on(&cell, "p"), embedded());
    fill(&from);
    let there = Bucket::Etcd(Arc::new(there));
    check(&from, &there);
    // The other copy of the cell has the expiries listed, or this would remove nothing.
    restore(&there, "é/0000", b"[0]", 0, None);
    check(&there, &back);
    assert_eq!(sweep::sweep(&cell, START_MS + 100_000).unwrap(), KEYS / 3);
}

#[test]
fn a_value_that_a_cell_does_not_take_is_named() {
    let Some(cluster) = EtcdCluster::start(1, &["--max-request-bytes", "100000"]) else { return };
    let to = Bucket::Etcd(Arc::new(bucket_on(&Arc::new(cluster.cell()), "p")));
    let from = embedded();
    restore(&from, "a", b"1", 1, None);
    restore(&from, "b", &[b"\"".as_slice(), &vec![b'x'; 200_000], b"\""].concat(), 1, None);
    restore(&from, "c", b"1", 1, None);
    match copy(&from, &to, &|| START_MS) {
        Err(CopyError::Write { key, error: StorageError::TooLarge }) => assert_eq!(key, "b"),
        other => panic!("{other:?}"),
    }
}
