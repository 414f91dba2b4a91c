//! A project whose record changed since an instance read it: nothing is answered from it, and nothing is applied to it.

use crate::harness::etcd::{EtcdCluster, bucket_on, fence_of, record_of};
use pikv::testing::names::{Key, ProjectId};
use pikv::testing::storage::etcd::EtcdBucket;
use pikv::testing::storage::etcd::cell::Cell;
use pikv::testing::storage::etcd::gateway::{Bytes, Operation, Range, Transaction};
use pikv::testing::storage::{Blocks, Bucket, Item, Read, Scan};
use pikv::testing::store::batch::{Batch, Op, Otherwise, When};
use pikv::testing::store::change::Revision;
use pikv::testing::store::decide::Step;
use pikv::testing::store::error::StorageError;
use std::sync::Arc;

const NOW_MS: u64 = 1_800_000_000_000;

fn key(text: &str) -> Key<'_> {
    Key::parse(text).unwrap()
}

fn put(bucket: &Bucket, name: &str) -> Result<(), StorageError> {
    let written = bucket.write_one(NOW_MS, Op::put(key(name), b"1", None))?;
    written.answer.unwrap();
    Ok(())
}

fn revision_of(bucket: &Bucket, name: &str) -> Option<Revision> {
    let read = bucket.get(NOW_MS, key(name), When::ALWAYS, |read| match read {
        Read::Found(item) => Some(item.meta.revision),
        Read::Absent | Read::Refused(_) => None,
    });
    read.unwrap().wait().unwrap().answer
}

/// The result of every kind of operation.
fn results(bucket: &Bucket) -> Vec<(&'static str, Result<(), StorageError>)> {
    let all = [Op::get(key("a")), Op::put(key("b"), b"2", Some(1_000)), Op::delete(key("a"))];
    let ignore = &mut |_: Item<'_>| ();
    vec![
        ("get", bucket.get(NOW_MS, key("a"), When::ALWAYS, |_| ()).map(drop)),
        ("get absent", bucket.get(NOW_MS, key("z"), When::ALWAYS, |_| ()).map(drop)),
        ("get_first", bucket.get_first(NOW_MS, &[key("a")], 1_000).map(drop)),
        ("put", bucket.write_one(NOW_MS, all[1]).map(drop)),
        ("put absent", bucket.write_one(NOW_MS, Op::put(key("z"), b"2", None).when(When::ABSENT)).map(drop)),
        ("delete", bucket.write_one(NOW_MS, all[2]).map(drop)),
        ("conflict", bucket.write_one(NOW_MS, all[2].when(When::ABSENT)).map(drop)),
        ("batch", bucket.write_and_read(NOW_MS, &Batch::many(all.to_vec(), Otherwise::Abort)).map(drop)),
        ("read", bucket.write_and_read(NOW_MS, &Batch::one(all[0])).map(drop)),
        ("clear", bucket.clear(NOW_MS, "a").map(drop)),
        ("clear all", bucket.clear(NOW_MS, "").map(drop)),
        ("scan", bucket.scan(NOW_MS, &Scan::under(""), ignore).map(drop)),
        ("scan_through", bucket.scan_through(NOW_MS, &Scan::under(""), ignore).map(drop)),
        ("totals", bucket.totals(NOW_MS).map(drop)),
    ]
}

/// All that the cell has of projects, with the revisions.
fn content(cell: &Cell) -> Vec<(Bytes, i64)> {
    let prefixes = ["r/", "v/", "x/"].map(|prefix| Bytes::from(prefix.as_bytes()));
    let found = prefixes.map(|prefix| cell.range(&Range::prefix(prefix)).unwrap().kvs);
    found.into_iter().flatten().map(|stored| (stored.key, stored.mod_revision)).collect()
}

fn check_stale(cell: &Cell, bucket: &Bucket) {
    let before = content(cell);
    for (name, result) in results(bucket) {
        assert!(matches!(result, Err(StorageError::Stale(_))), "{name}: {result:?}");
    }
    assert_eq!(content(cell), before);
}

fn with_some_keys(cell: &Arc<Cell>) -> EtcdBucket {
    let bucket = Bucket::Etcd(Arc::new(bucket_on(cell, "p")));
    assert_eq!(bucket.blocks(), Blocks::OnCell(0));
    put(&bucket, "a").unwrap();
    bucket.write_one(NOW_MS, Op::put(key("b"), b"1", Some(1_000))).unwrap().answer.unwrap();
    bucket_on(cell, "p")
}

#[test]
fn after_a_change_of_the_record_nothing_is_answered_or_applied() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    for change in
        [Operation::Put { key: record_of("p"), value: Bytes::default() }, Operation::delete(record_of("p"))]
    {
        let bucket = Bucket::Etcd(Arc::new(with_some_keys(&cell)));
        cell.commit(&Transaction { success: vec![change], ..Transaction::default() }).unwrap();
        check_stale(&cell, &bucket);
        put(&Bucket::Etcd(Arc::new(bucket_on(&cell, "p"))), "a").unwrap();
        check_stale(&cell, &bucket);
    }
}

#[test]
fn after_a_change_of_a_guard_nothing_is_answered_or_applied() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    let owners = Arc::new(bucket_on(&cell, "owners"));
    let owner = Bucket::Etcd(Arc::clone(&owners));
    for change in [Op::put(key("o"), b"1", None), Op::delete(key("o"))] {
        put(&owner, "o").unwrap();
        put(&owner, "other").unwrap();
        let revision = revision_of(&owner, "o").unwrap();
        let bucket = with_some_keys(&cell);
        let other = revision_of(&owner, "other").unwrap();
        let guarded = bucket.requiring(&owners, key("other"), other).requiring(&owners, key("o"), revision);
        let guarded = Bucket::Etcd(Arc::new(guarded));
        for (name, result) in results(&guarded) {
            assert_eq!(result, Ok(()), "{name}");
        }
        with_some_keys(&cell);
        owner.write_one(NOW_MS, change).unwrap().answer.unwrap();
        check_stale(&cell, &guarded);
    }
}

#[test]
fn a_guard_at_a_revision_that_no_key_has_never_holds() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    let bucket = with_some_keys(&cell);
    for revision in [1, 1_000, 1_001, 1 << 52] {
        let revision = Revision::new(revision).unwrap();
        // An absent key has the revision 0 in etcd, and the base of this project is 1,000.
        check_stale(&cell, &Bucket::Etcd(Arc::new(bucket.requiring(&bucket, key("absent"), revision))));
    }
}

#[test]
fn no_write_is_applied_after_a_change_of_the_record() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    let touch = Transaction {
        success: vec![Operation::Put { key: record_of("p"), value: Bytes::default() }],
        ..Transaction::default()
    };
    cell.commit(&touch).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut applied, mut stale) = (0, 0);
            while applied < 50 || stale < 50 {
                let fence = fence_of(&cell, "p");
                let id = ProjectId::parse("p").unwrap();
                let bucket = Bucket::Etcd(Arc::new(EtcdBucket::new(Arc::clone(&cell), id, fence)));
                let op = Op::put(key("n"), b"1", None);
                match bucket.write_one(NOW_MS, op) {
                    Ok(written) => {
                        let Ok(Step::Put { meta, .. }) = written.answer else { panic!("not put") };
                        let revision = i64::try_from(meta.revision.get()).unwrap() - 1_000;
                        let then = Range { revision, ..Range::key(record_of("p")) };
                        let record = cell.range(&then).unwrap().kvs[0].mod_revision;
                        assert_eq!(record, fence.mod_revision);
                        applied += 1;
                    }
                    Err(StorageError::Stale(_)) => stale += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
        for pause in (0..8).cycle() {
            if writer.is_finished() {
                break;
            }
            (0..pause).for_each(|_| drop(cell.range(&Range::key(record_of("p"))).unwrap()));
            cell.commit(&touch).unwrap();
        }
        writer.join().unwrap();
    });
}
