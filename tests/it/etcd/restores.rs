//! A cell that is restored from a snapshot gives out no revision twice.

use crate::harness::etcd::{EtcdCluster, record_of};
use crate::harness::wait_until;
use pikv::testing::names::{Key, ProjectId};
use pikv::testing::storage::etcd::cell::{Cell, CellError};
use pikv::testing::storage::etcd::gateway::{Bytes, Compare, Operation, Range, Transaction};
use pikv::testing::storage::etcd::state::CellState;
use pikv::testing::storage::etcd::{Caretaker, Cells, EtcdBucket, Fence};
use pikv::testing::storage::{Bucket, Read};
use pikv::testing::store::batch::{Op, When};
use serde_json::json;
use std::sync::Arc;

const NOW_MS: u64 = 1_800_000_000_000;
/// A base that was chosen a while ago.
const BASE: u64 = 1_500_000_000_000_000;

fn started(cluster: &EtcdCluster) -> Arc<Cells> {
    let cells = Cells::new(Cell::new(0, "home".to_owned(), cluster.authorities(), None), Vec::new());
    cells.prepare().unwrap();
    Arc::new(cells)
}

fn create_record(cell: &Cell, id: &str) {
    let value = json!({"base": BASE, "project": {"id": id, "kept": [1.5, 2]}}).to_string();
    let create = Transaction {
        compare: vec![Compare::unchanged(record_of(id), 0)],
        success: vec![Operation::Put { key: record_of(id), value: Bytes::from(value) }],
        failure: Vec::new(),
    };
    assert!(cell.commit(&create).unwrap().succeeded);
}

/// The record of the project `id`, as a server reads it.
fn record(cell: &Cell, id: &str) -> (serde_json::Value, Fence) {
    let found = cell.range(&Range::key(record_of(id))).unwrap();
    let stored = &found.kvs[0];
    let record: serde_json::Value = serde_json::from_slice(&stored.value.0).unwrap();
    let base = record["base"].as_u64().unwrap();
    let fence = Fence { base, mod_revision: stored.mod_revision, is_sealed: false };
    (record, fence)
}

fn bucket(cell: &Arc<Cell>, id: &str) -> Bucket {
    let fence = record(cell, id).1;
    Bucket::Etcd(Arc::new(EtcdBucket::new(Arc::clone(cell), ProjectId::parse(id).unwrap(), fence)))
}

fn put(bucket: &Bucket) -> u64 {
    bucket.write_one(NOW_MS, Op::put(Key::parse("a").unwrap(), b"1", None)).unwrap().answer.unwrap();
    revision(bucket)
}

fn revision(bucket: &Bucket) -> u64 {
    let read = bucket.get(NOW_MS, Key::parse("a").unwrap(), When::ALWAYS, |read| match read {
        Read::Found(item) => item.meta.revision.get(),
        Read::Absent | Read::Refused(_) => panic!("no key"),
    });
    read.unwrap().wait().unwrap().answer
}

/// With the token of etcd's documentation, the cluster has the same id as before.
#[test]
fn a_restored_cell_has_later_revisions_whatever_token_it_has() {
    for (members, token) in [(1, None), (1, Some("another")), (3, None)] {
        let Some(mut cluster) = EtcdCluster::start(members, &[]) else { return };
        let Some(snapshot) = cluster.snapshot() else { return };
        drop(snapshot);
        let cells = started(&cluster);
        let caretaker = Caretaker::start(&cells).unwrap();
        // More than one transaction changes.
        let ids: Vec<String> = (0..130).map(|n| format!("p{n}")).collect();
        ids.iter().for_each(|id| create_record(cells.home(), id));
        let project = bucket(cells.home(), "p7");
        let kept = put(&project);
        wait_until("the clock is kept", || !found(cells.home(), "s/lead").is_empty());
        let snapshot = cluster.snapshot().unwrap();
        let lost: Vec<u64> = (0..20).map(|_| put(&project)).collect();
        drop(caretaker);
        cluster.restore(&snapshot, token);

        let refused = cells.home().range(&Range::key(record_of("p7"))).unwrap_err();
        let is_noticed = matches!(refused, CellError::Restored | CellError::WrongCluster { .. });
        assert!(is_noticed, "a server that ran all the time: {refused:?}");

        let cells = started(&cluster);
        let last = *lost.last().unwrap();
        for id in &ids {
            let (record, fence) = record(cells.home(), id);
            assert!(fence.base > last, "{id}: {}", fence.base);
            assert_eq!(record["project"], json!({"id": id, "kept": [1.5, 2]}));
        }
        let project = bucket(cells.home(), "p7");
        assert!(revision(&project) > last, "{} {last}", revision(&project));
        assert!(kept < last && put(&project) > last);

        let before = record(cells.home(), "p7");
        started(&cluster);
        assert_eq!(record(cells.home(), "p7"), before, "a start without a restore changes nothing");
    }
}

fn found(cell: &Cell, key: &str) -> Vec<u8> {
    let found = cell.range(&Range::key(Bytes::from(key.as_bytes()))).unwrap();
    found.kvs.first().map(|stored| stored.value.0.clone()).unwrap_or_default()
}

#[test]
fn a_cell_that_was_restored_stays_closed_until_a_start() {
    let Some(mut cluster) = EtcdCluster::start(1, &[]) else { return };
    let Some(snapshot) = cluster.snapshot() else { return };
    let cells = started(&cluster);
    let caretaker = Caretaker::start(&cells).unwrap();
    wait_until("the clock is kept", || !found(cells.home(), "s/lead").is_empty());
    (0..20).for_each(|n| create_record(cells.home(), &format!("p{n}")));
    cluster.restore(&snapshot, None);
    wait_until("it is noticed", || cells.home().state() == CellState::Restored);
    let refused = cells.home().range(&Range::key(record_of("p"))).unwrap_err();
    assert!(
        matches!(&refused, CellError::Closed { reason } if reason.contains("Restart this server")),
        "{refused:?}"
    );
    // Another server makes the cell as late as it was.
    let other = started(&cluster);
    (0..40).for_each(|n| create_record(other.home(), &format!("q{n}")));
    assert!(cells.home().range(&Range::key(record_of("p"))).is_err());
    drop(caretaker);
}
