//! Deletions of many keys of a project on a cell.

use crate::harness::etcd::{EtcdCluster, bucket_on, record_of};
use pikv::testing::limits::CELL_CLEARED_AT_ONCE_MAX;
use pikv::testing::names::Key;
use pikv::testing::storage::Bucket;
use pikv::testing::storage::etcd::cell::Cell;
use pikv::testing::storage::etcd::gateway::{Bytes, Operation, Range, Transaction};
use pikv::testing::store::batch::Op;
use pikv::testing::store::error::StorageError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NOW_MS: u64 = 1_800_000_000_000;
const KEYS: u64 = CELL_CLEARED_AT_ONCE_MAX + 20_000;

fn open(cell: &Arc<Cell>) -> Bucket {
    Bucket::Etcd(Arc::new(bucket_on(cell, "p")))
}

fn commit(cell: &Cell, success: Vec<Operation>) {
    cell.commit(&Transaction { success, ..Transaction::default() }).unwrap();
}

/// Puts entries as an instance would, but many at once.
fn fill(cell: &Cell) {
    let mut value = vec![1];
    value.extend([NOW_MS, NOW_MS, 0].iter().flat_map(|instant_ms| instant_ms.to_be_bytes()));
    value.push(b'1');
    let numbers: Vec<u64> = (0..KEYS).collect();
    for numbers in numbers.chunks(1_000) {
        let put = |number: &u64| Operation::Put {
            key: Bytes::from(format!("v/p/k{number:06}")),
            value: Bytes(value.clone()),
        };
        commit(cell, numbers.iter().map(put).collect());
    }
}

fn count(cell: &Cell) -> u64 {
    let range = Range { count_only: true, ..Range::prefix(Bytes::from(&b"v/p/"[..])) };
    cell.range(&range).unwrap().count
}

fn clear(bucket: &Bucket) -> Result<u64, StorageError> {
    bucket.clear(NOW_MS, "k").map(|cleared| cleared.wait().unwrap().answer)
}

#[test]
fn very_many_keys_are_deleted_while_one_is_written() {
    let Some(cluster) = EtcdCluster::start(1, &["--max-txn-ops", "4096"]) else { return };
    let cell = Arc::new(cluster.cell());
    let (bucket, is_over) = (open(&cell), AtomicBool::new(false));
    fill(&cell);
    let key = Key::parse("k050000").unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (bucket, mut written) = (open(&cell), 0);
            while !is_over.load(Ordering::Relaxed) {
                bucket.write_one(NOW_MS, Op::put(key, b"2", None)).unwrap().answer.unwrap();
                written += 1;
            }
            written
        });
        let deleted = clear(&bucket);
        is_over.store(true, Ordering::Relaxed);
        let (deleted, written) = (deleted.unwrap(), writer.join().unwrap());
        assert!((KEYS..KEYS + written).contains(&deleted), "{deleted} of {KEYS}, {written} written");
    });
    // The write after its step.
    assert!(count(&cell) <= 1, "{}", count(&cell));
    clear(&bucket).unwrap();
    assert_eq!((count(&cell), clear(&bucket)), (0, Ok(0)));
}

#[test]
fn a_deletion_that_cannot_continue_states_how_many_keys_it_removed() {
    let Some(cluster) = EtcdCluster::start(1, &["--max-txn-ops", "4096"]) else { return };
    let cell = Arc::new(cluster.cell());
    let bucket = open(&cell);
    fill(&cell);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while count(&cell) == KEYS && !is_over.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            commit(&cell, vec![Operation::Put { key: record_of("p"), value: Bytes::default() }]);
        });
        let partly = clear(&bucket);
        is_over.store(true, Ordering::Relaxed);
        let partly = partly.unwrap_err();
        let StorageError::PartlyCleared { removed, .. } = partly else { panic!("{partly:?}") };
        assert_eq!(removed, KEYS - count(&cell));
        assert!(removed > 0 && removed < KEYS);
    });
    assert!(matches!(clear(&bucket), Err(StorageError::Stale(_))));
    let left = count(&cell);
    assert_eq!((clear(&open(&cell)), count(&cell)), (Ok(left), 0));
}
