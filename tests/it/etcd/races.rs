//! Several instances that change one project on a cell at the same time.

use crate::harness::etcd::{EtcdCluster, bucket_on};
use pikv::testing::names::Key;
use pikv::testing::storage::etcd::sweep;
use pikv::testing::storage::{Bucket, Read};
use pikv::testing::store::batch::{Batch, Op, Otherwise, When};
use pikv::testing::store::change::Revision;
use pikv::testing::store::decide::Conflict;
use std::sync::Arc;

const NOW_MS: u64 = 1_800_000_000_000;

fn key(text: &str) -> Key<'_> {
    Key::parse(text).unwrap()
}

/// An instance with connections of its own.
fn instance(cluster: &EtcdCluster) -> Bucket {
    Bucket::Etcd(Arc::new(bucket_on(&Arc::new(cluster.cell()), "p")))
}

fn put(bucket: &Bucket, name: &str, value: &[u8]) -> Result<(), Conflict> {
    bucket.write_one(NOW_MS, Op::put(key(name), value, None)).unwrap().answer.map(drop)
}

fn read(bucket: &Bucket, name: &str) -> Option<(u64, Revision)> {
    let read = bucket.get(NOW_MS, key(name), When::ALWAYS, |read| match read {
        Read::Found(item) => Some((str::from_utf8(item.value).unwrap().parse().unwrap(), item.meta.revision)),
        Read::Absent | Read::Refused(_) => None,
    });
    read.unwrap().wait().unwrap().answer
}

#[test]
fn of_writers_that_saw_the_same_revision_one_wins() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    put(&instance(&cluster), "n", b"0").unwrap();
    let increments: Vec<_> = (0..4)
        .map(|_| {
            let bucket = instance(&cluster);
            std::thread::spawn(move || {
                let mut won = 0;
                while won < 25 {
                    let (number, revision) = read(&bucket, "n").unwrap();
                    let (value, seen) = ((number + 1).to_string(), [revision]);
                    let op = Op::put(key("n"), value.as_bytes(), None).when(When::revision_in(&seen));
                    match bucket.write_one(NOW_MS, op).unwrap().answer {
                        Ok(_) => won += 1,
                        Err(Conflict::Condition { current, .. }) => {
                            assert_ne!(current.map(|meta| meta.revision), Some(revision));
                        }
                        Err(conflict) => panic!("{conflict:?}"),
                    }
                }
            })
        })
        .collect();
    increments.into_iter().for_each(|increment| increment.join().unwrap());
    assert_eq!(read(&instance(&cluster), "n").map(|(number, _)| number), Some(100));
}

#[test]
fn a_batch_is_read_as_a_whole_or_not_at_all() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let (writer, reader) = (instance(&cluster), instance(&cluster));
    let write = |number: u64| {
        let value = number.to_string();
        let op = |name| Op::put(key(name), value.as_bytes(), None);
        writer.write(NOW_MS, &Batch::many(vec![op("a"), op("b")], Otherwise::Abort)).unwrap().answer.map(drop)
    };
    write(0).unwrap();
    std::thread::scope(|scope| {
        let reads = scope.spawn(|| {
            for _ in 0..200 {
                let batch = Batch::many(vec![Op::get(key("a")), Op::get(key("b"))], Otherwise::Abort);
                let (_, found) = reader.write_and_read(NOW_MS, &batch).unwrap().answer.unwrap();
                let texts: Vec<Vec<u8>> = found.into_iter().map(|found| found.into_text().unwrap()).collect();
                assert_eq!(texts[0], texts[1]);
            }
        });
        (1..100).for_each(|number| write(number).unwrap());
        reads.join().unwrap();
    });
}

#[test]
fn an_entry_that_is_written_while_its_expiry_is_swept_stays() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let (bucket, cell) = (instance(&cluster), cluster.cell());
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            for _ in 0..300 {
                sweep::sweep(&cell, NOW_MS + 10).unwrap();
            }
        });
        for _ in 0..100 {
            bucket.write_one(NOW_MS, Op::put(key("a"), b"1", Some(1))).unwrap().answer.unwrap();
            put(&bucket, "a", b"2").unwrap();
            assert_eq!(read(&bucket, "a").map(|(value, _)| value), Some(2));
        }
        sweeper.join().unwrap();
    });
    bucket.write_one(NOW_MS, Op::put(key("a"), b"1", Some(1))).unwrap().answer.unwrap();
    assert_eq!(sweep::sweep(&cell, NOW_MS).unwrap(), 0);
    assert_eq!(sweep::sweep(&cell, NOW_MS + 1).unwrap(), 1);
    assert_eq!(bucket.totals(NOW_MS).unwrap().answer.keys, 0);
}
