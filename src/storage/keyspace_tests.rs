use super::*;
use crate::limits::ENTRIES_PER_LOCK_MAX;
use crate::names::ProjectId;
use crate::storage::ScanEnd;
use crate::storage::embedded::{Project, ProjectQueues};
use std::sync::Arc;

fn bucket() -> Bucket {
    let id = ProjectId::parse("p").unwrap();
    Bucket::Embedded(Arc::new(Project::in_memory(id, ProjectQueues::new(Box::new(|| ())), 1)))
}

fn key(text: &str) -> Key<'_> {
    Key::parse(text).unwrap()
}

#[test]
fn a_page_passes_no_more_expired_keys_than_one_critical_section_may() {
    let bucket = bucket();
    let put = |name: &str, ttl_ms: Option<u64>| {
        bucket.write_one(1, Op::put(key(name), b"1", ttl_ms)).unwrap().answer.unwrap();
    };
    (0..3 * ENTRIES_PER_LOCK_MAX).for_each(|number| put(&format!("k{number:05}"), Some(1_000)));
    ["a", "b", "y", "z"].iter().for_each(|name| put(name, None));
    let keyspace = Keyspace::of(&bucket);
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let (keys, scanned) = keyspace.list(2_000, after.as_deref(), 1).unwrap().answer;
        pages.push(keys);
        after = scanned.last;
        if scanned.end == ScanEnd::Exhausted {
            break;
        }
    }
    // Two pages are short: too many keys have expired where they begin.
    assert_eq!(pages, [vec!["a"], vec!["b"], vec![], vec![], vec!["y"], vec!["z"]]);
}

#[test]
fn keys_under_a_prefix_are_written_as_long_as_their_marker_exists() {
    let (bucket, owners) = (bucket(), bucket());
    let prefix = "0123456789abcdef/";
    let marker = KeyBuf::own(prefix.to_owned());
    let keyspace = Keyspace::under(marker.clone(), bucket.clone(), &owners, true);
    let put = |name| keyspace.write_one(1, Op::put(key(name), b"1", None)).unwrap().answer;
    assert_eq!(put("a"), Err(Conflict::NotPresent));
    let unsure = Keyspace::under(marker.clone(), bucket.clone(), &owners, false);
    let refused = unsure.write_one(1, Op::put(key("a"), b"1", None));
    assert_eq!(refused.err(), Some(StorageError::Failed), "its owner may exist");
    bucket.write_one(1, Op::put(marker.as_key(), b"true", None)).unwrap().answer.unwrap();
    put("b").unwrap();
    put("a").unwrap();
    bucket.write_one(1, Op::put(key("z"), b"1", None)).unwrap().answer.unwrap();
    assert_eq!(keyspace.list(1, None, 10).unwrap().answer.0, ["a", "b"], "neither the marker nor other keys");
    assert_eq!(keyspace.list(1, Some("a"), 10).unwrap().answer.0, ["b"]);
    bucket.clear(1, prefix).unwrap().wait().unwrap();
    for ops in [vec![Op::put(key("a"), b"1", None)], vec![Op::delete(key("a")), Op::delete(key("b"))]] {
        let batch = Batch::many(ops, crate::store::batch::Otherwise::Skip);
        assert_eq!(keyspace.write(1, &batch).unwrap().answer.err(), Some(Conflict::NotPresent));
    }
    assert_eq!(bucket.totals(1).unwrap().answer.keys, 1);
}
