use super::*;
use crate::disk::{Disk, RealDisk};
use crate::limits::ENTRIES_PER_LOCK_MAX;
use crate::names::{InternalProject, Key, ProjectId};
use crate::storage::embedded::{Home, Project, ProjectQueues, ValueCache};
use crate::store::batch::Op;
use std::sync::Arc;

/// A project of which all keys but a few have expired long ago and were not swept.
fn bucket(keys: usize, live: &[&str]) -> Bucket {
    let id = ProjectId::parse("p").unwrap();
    let bucket = Bucket::Embedded(Arc::new(Project::in_memory(id, ProjectQueues::new(Box::new(|| ())), 1)));
    let put = |name: &str, ttl_ms: Option<u64>| {
        let key = Key::parse(name).unwrap();
        bucket.write_one(1, Op::put(key, b"1", ttl_ms)).unwrap();
    };
    (0..keys).for_each(|number| put(&format!("k{number:05}"), Some(1_000)));
    live.iter().for_each(|name| put(name, None));
    bucket
}

/// The body of a listing of names, and in how many pieces it came.
fn listed(bucket: &Bucket, limit: Option<usize>, after: Option<&str>) -> (String, usize) {
    listed_as(bucket, Show::Names, limit, after)
}

fn listed_as(bucket: &Bucket, show: Show, limit: Option<usize>, after: Option<&str>) -> (String, usize) {
    let mut position = Position {
        after: after.map(str::to_owned),
        left: limit,
        count: 0,
        opened: false,
        continuation: Continuation::default(),
    };
    let listing = Listing { bucket: bucket.clone(), prefix: String::new(), show };
    let mut body = Vec::new();
    for pieces in 1.. {
        let mut out = Vec::new();
        let piece = listing.piece(&mut position, &mut out).unwrap();
        body.extend(out);
        match piece {
            Piece::More(_) => {}
            Piece::Last(_) => return (String::from_utf8(body).unwrap(), pieces),
            Piece::Broken(_) => panic!("after {pieces} pieces"),
        }
    }
    unreachable!("the loop has no end")
}

#[test]
fn expired_keys_count_as_looked_at_under_a_hold_of_the_lock() {
    let bucket = bucket(10 * ENTRIES_PER_LOCK_MAX, &["a", "z"]);
    let (body, pieces) = listed(&bucket, None, None);
    assert_eq!(body, "{\"project\":\"p\",\"keys\":[\"a\",\"z\"],\"count\":2,\"cursor\":null}\n");
    assert_eq!(pieces, 11);
}

#[test]
fn a_page_has_a_cursor_only_if_a_key_follows() {
    let bucket = bucket(3 * ENTRIES_PER_LOCK_MAX, &["a", "z"]);
    let (body, pieces) = listed(&bucket, Some(1), None);
    let cursor = body.split('"').rev().nth(1).unwrap();
    assert!(body.starts_with("{\"project\":\"p\",\"keys\":[\"a\"],\"count\":1,\"cursor\":\""), "{body}");
    let after = Cursor::decode(cursor).unwrap().after;
    assert!(pieces > 3, "all that has expired was passed to find out: {pieces}");
    let (body, pieces) = listed(&bucket, Some(1), Some(&after));
    assert_eq!(body, "{\"project\":\"p\",\"keys\":[\"z\"],\"count\":1,\"cursor\":null}\n");
    assert_eq!(pieces, 1, "none of it is passed again");
    let (body, _) = listed(&bucket, Some(2), None);
    assert!(body.ends_with("\"count\":2,\"cursor\":null}\n"), "{body}");
}

/// A change that waits for its sync is in memory. Others lie in the journal.
#[test]
fn values_come_in_key_order_whether_they_are_written_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let home = Home::new(&disk, &ProjectQueues::new(Box::new(|| ())), directory.path().to_owned()).unwrap();
    let bucket = Bucket::Embedded(home.open(InternalProject::Sessions, ValueCache::Disk).unwrap());
    let put = |name: &str, value: &[u8]| {
        let put = Op::put(Key::parse(name).unwrap(), value, None);
        bucket.write_one(1, put).unwrap().commit
    };
    let commits = ["b", "d", "e"].map(|name| put(name, b"[1]"));
    bucket.wait(commits[2].as_ref()).unwrap();
    ["a", "c", "e", "f"].iter().for_each(|name| drop(put(name, b"2")));
    let expected =
        "\"keys\":{\"a\":2,\"b\":[1],\"c\":2,\"d\":[1],\"e\":2,\"f\":2},\"count\":6,\"cursor\":null}\n";
    let (body, pieces) = listed_as(&bucket, Show::Values, None, None);
    assert!(body.ends_with(expected) && pieces == 1, "{body}");
}
