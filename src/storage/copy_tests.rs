use super::*;
use crate::limits::ENTRIES_PER_LOCK_MAX;
use crate::names::{Key, ProjectId};
use crate::storage::embedded::{Project, ProjectQueues};
use crate::store::change::Revision;
use std::cell::Cell;
use std::sync::Arc;

const NOW_MS: u64 = 10_000;

fn bucket() -> Bucket {
    let id = ProjectId::parse("p").unwrap();
    Bucket::Embedded(Arc::new(Project::in_memory(id, ProjectQueues::new(Box::new(|| ())), 1)))
}

/// Stores a key with its created, updated and expires time.
fn restore(bucket: &Bucket, name: &str, value: &[u8], times: (u64, u64, Option<u64>)) {
    let (created_ms, updated_ms, expires_ms) = times;
    let meta = EntryMeta { revision: Revision::ZERO, created_ms, updated_ms, expires_ms };
    let op = Op::restore(Key::parse(name).unwrap(), value, meta);
    bucket.write_one(1, op).unwrap().answer.unwrap();
}

fn entries(bucket: &Bucket, now_ms: u64) -> Vec<(String, Vec<u8>, [u64; 3])> {
    let mut entries = Vec::new();
    let mut sink = |item: Item<'_>| {
        let EntryMeta { created_ms, updated_ms, expires_ms, .. } = item.meta;
        let times = [created_ms, updated_ms, expires_ms.unwrap_or(0)];
        entries.push((item.key.to_owned(), item.value.to_vec(), times));
    };
    bucket.scan_through(now_ms, &Scan::under(""), &mut sink).unwrap();
    entries
}

#[test]
fn a_copy_has_the_values_and_times_of_every_key_that_has_not_expired() {
    let (from, to) = (bucket(), bucket());
    for number in 0..(3 * COPY_BATCH_KEYS + ENTRIES_PER_LOCK_MAX) as u64 {
        let expires_ms = (number % 3 > 0).then_some(NOW_MS + number % 3 - 1);
        restore(
            &from,
            &format!("k{number:06}"),
            number.to_string().as_bytes(),
            (number, number + 7, expires_ms),
        );
    }
    restore(&from, "large", &vec![b'1'; 2 * COPY_BATCH_BYTES], (1, 2, None));
    let keys = copy(&from, &to, &|| NOW_MS).unwrap();
    let copied = entries(&to, NOW_MS);
    assert_eq!(copied.len() as u64, keys);
    assert!(copied.iter().any(|(_, _, times)| times[2] == NOW_MS + 1), "with a time to live");
    assert!(copied == entries(&from, NOW_MS));
    assert_eq!(compare(&from, &to, &|| NOW_MS).map(|digest| digest.keys), Ok(keys));
}

#[test]
fn buckets_that_differ_in_anything_but_revisions_are_not_the_same() {
    let original = |bucket: &Bucket| {
        restore(bucket, "a", b"1", (1, 2, None));
        restore(bucket, "b", b"2", (3, 4, Some(NOW_MS + 5)));
    };
    let compared = |change: &dyn Fn(&Bucket)| {
        let (one, other) = (bucket(), bucket());
        original(&one);
        original(&other);
        change(&other);
        let (there, back) = (compare(&one, &other, &|| NOW_MS), compare(&other, &one, &|| NOW_MS));
        assert_eq!(there, back);
        there
    };
    let same = compared(&|_| ()).unwrap();
    assert_eq!(same.keys, 2);
    assert_eq!(compared(&|other| original(other)), Ok(same), "with later revisions");
    for (key, value, times) in [
        ("a", "2", (1, 2, None)),
        ("a", "1", (9, 2, None)),
        ("a", "1", (1, 9, None)),
        ("a", "1", (1, 2, Some(NOW_MS + 5))),
        ("b", "2", (3, 4, None)),
        ("b", "2", (3, 4, Some(NOW_MS + 6))),
        ("0", "1", (1, 2, None)),
        ("ab", "1", (1, 2, None)),
        ("c", "1", (1, 2, None)),
    ] {
        let different = Err(CopyError::Different { key: key.to_owned() });
        assert_eq!(compared(&|other| restore(other, key, value.as_bytes(), times)), different, "{times:?}");
    }
    let gone = compared(&|other| drop(other.clear(1, "").unwrap()));
    assert_eq!(gone, Err(CopyError::Different { key: "a".to_owned() }));
}

#[test]
fn a_key_that_expires_while_it_is_compared_makes_no_difference() {
    for names in [["a"], ["b"], ["c"]] {
        let (one, other) = (bucket(), bucket());
        for bucket in [&one, &other] {
            restore(bucket, "b", b"1", (1, 2, None));
        }
        let times = |expires_ms| (1, 2, Some(expires_ms));
        let [name] = names;
        if name == "b" {
            restore(&one, name, b"1", times(NOW_MS + 5));
            restore(&other, name, b"2", times(NOW_MS + 5));
        } else {
            restore(&one, name, b"1", times(NOW_MS + 5));
        }
        let now_ms = Cell::new(NOW_MS);
        // Each look at the clock is later.
        let now = || now_ms.replace(now_ms.get() + 3);
        assert!(compare(&one, &other, &now).is_ok(), "{name}");
        assert!(compare(&one, &other, &|| NOW_MS).is_err(), "{name}");
    }
}

#[test]
fn a_bucket_that_takes_no_writes_ends_the_copy() {
    let (from, to) = (bucket(), bucket());
    restore(&from, "a", b"1", (1, 2, None));
    to.close(1, clock::monotonic());
    let refused = Err(CopyError::Write { key: "a".to_owned(), error: StorageError::Closed });
    assert_eq!(copy(&from, &to, &|| NOW_MS), refused);
}
