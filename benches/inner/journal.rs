//! Changes: recorded, applied, and read back at a start.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use pikv::testing::names::Key;
use pikv::testing::persist::files::record::{self, Line};
use pikv::testing::persist::files::seed::Seed;
use pikv::testing::store::batch::{Batch, Op};
use pikv::testing::store::change::{Change, EntryMeta, Revision, Value};
use pikv::testing::store::decide::{At, changes, decide};
use pikv::testing::store::key_map::KeyMap;

const NOW_MS: u64 = 1_764_000_000_000;
/// Records of the journal that is replayed.
const RECORDS: usize = 100_000;

/// A JSON string of 100 bytes.
fn value() -> Vec<u8> {
    format!("\"{}\"", "x".repeat(98)).into_bytes()
}

/// `count` keys of 16 bytes.
fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("key/{number:012}")).collect()
}

fn put<'a>(key: &'a str, value: &'a [u8], revision: u64) -> Change<'a> {
    let revision = Revision::new(revision).unwrap();
    let meta = EntryMeta { revision, created_ms: NOW_MS, updated_ms: NOW_MS, expires_ms: None };
    Change::Put { key: Key::parse(key).unwrap(), value: Value::Text(value), meta }
}

fn seed() -> Seed {
    Seed::new(0x9e37_79b9).unwrap()
}

fn encode(change: &Change<'_>, out: &mut Vec<u8>) {
    record::begin_line(out);
    out.push(b'[');
    record::encode_change(change, out);
    out.push(b']');
    record::end_line(out);
}

fn key_map_of(keys: &[String], value: &[u8]) -> KeyMap {
    let mut key_map = KeyMap::default();
    for (revision, key) in (1..).zip(keys) {
        key_map.apply(&put(key, value, revision));
    }
    key_map
}

/// The line of a put of 100 bytes, checksum included.
#[divan::bench(sample_size = 1_000)]
fn encode_and_seal_put(bencher: Bencher<'_, '_>) {
    let value = value();
    let change = put("users/42/profile", &value, 17);
    let mut out = Vec::new();
    encode(&change, &mut out);
    bencher.counter(BytesCount::of_slice(&out)).bench_local(|| {
        out.clear();
        encode(black_box(&change), &mut out);
        record::seal(&mut out, seed());
    });
}

/// A new value for a key that is there, decided and applied. Keys come in no order.
#[divan::bench(args = [1_000, 1_000_000], sample_size = 1_000)]
fn apply_put(bencher: Bencher<'_, '_>, count: usize) {
    let (keys, value) = (keys(count), value());
    let mut key_map = key_map_of(&keys, &value);
    let mut at = 0;
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        // A step that has no factor in common with the counts.
        at = (at + 618_033) % count;
        let key = Key::parse(&keys[at]).unwrap();
        let batch = Batch::one(Op::put(key, &value, None));
        let steps = decide(&batch, &At { key_map: &key_map, now_ms: NOW_MS }, NOW_MS).unwrap();
        let change = changes(&batch, &steps).next().unwrap();
        black_box(key_map.apply(&change))
    });
}

/// A key that is there, looked up. Keys come in no order.
#[divan::bench(args = [1_000, 1_000_000], sample_size = 1_000)]
fn lookup(bencher: Bencher<'_, '_>, count: usize) {
    let (keys, value) = (keys(count), value());
    let key_map = key_map_of(&keys, &value);
    let mut at = 0;
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        at = (at + 618_033) % count;
        key_map.get(Key::parse(&keys[at]).unwrap(), NOW_MS).map(|entry| entry.value().length())
    });
}

/// What a start does with a journal of so many puts of 100 bytes: decode each line and apply it.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn replay(bencher: Bencher<'_, '_>) {
    let (keys, value) = (keys(RECORDS), value());
    let mut journal = Vec::new();
    for (revision, key) in (1..).zip(&keys) {
        encode(&put(key, &value, revision), &mut journal);
    }
    record::seal(&mut journal, seed());
    bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::of_slice(&journal)).bench_local(|| {
        let mut key_map = KeyMap::default();
        for line in black_box(&journal).split_inclusive(|&byte| byte == b'\n') {
            let Some(Line::Changes(recorded)) =
                record::decode_line(line.strip_suffix(b"\n").unwrap(), seed())
            else {
                panic!("not a line of changes")
            };
            for recorded in &recorded {
                key_map.apply(&recorded.change().unwrap());
            }
        }
        key_map
    });
}
