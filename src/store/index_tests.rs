use super::*;
use crate::limits::{DEAD_PART_MAX, RUN_ENTRIES_MAX};
use crate::names::Key;
use crate::store::change::{EntryMeta, Revision, Value};
use crate::store::entry::{Entries, Entry, OwnedEntry, pack};
use std::collections::BTreeMap;

fn entry(name: &str, value: &str, expires_ms: Option<u64>) -> OwnedEntry {
    let meta = EntryMeta { revision: Revision::default(), created_ms: 1, updated_ms: 1, expires_ms };
    let mut packed = Vec::new();
    pack(Key::parse(name).unwrap(), Value::Text(value.as_bytes()), &meta, &mut packed);
    OwnedEntry::of(packed.into())
}

/// Numbers that look random (SplitMix64).
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) >> 1).unwrap()
}

/// What keys begin with that are longer than what a run has of its first key.
const LONG: &str = "b/long/longer/the/longest/of/all";

type Map = BTreeMap<String, (String, bool)>;

fn sums<'m>(entries: impl Iterator<Item = (&'m String, &'m (String, bool))>) -> Sums {
    entries.fold(Sums::default(), |sums, (name, (value, is_timed))| {
        let bytes = (name.len() + value.len()) as u64;
        let timed = u64::from(*is_timed);
        sums.with(Sums { keys: 1, bytes, timed, timed_bytes: timed * bytes })
    })
}

fn check(index: &Index<Entries>, map: &Map) {
    assert!(index.runs.iter().all(|run| (1..=RUN_ENTRIES_MAX).contains(&run.len())));
    for run in &index.runs {
        assert_eq!(run.sums(), run.entries().map(Packed::sums).fold(Sums::default(), Sums::with));
        assert_eq!(run.live_bytes(), run.entries().map(slot_bytes).sum::<usize>());
    }
    assert_eq!(index.sums(), sums(map.iter()));
    assert!(index.range(Start::At(b"")).map(|entry| entry.key()).eq(map.keys()));
    let timed = map.iter().filter(|(_, (_, is_timed))| *is_timed).map(|(name, _)| name.as_str());
    assert!(index.timed().map(Entry::key).eq(timed));
    for prefix in ["", "a", "b/", "b/1", "b/12", "b/long/", LONG, "c", "zzz"] {
        let of_prefix = map.iter().filter(|(name, _)| name.starts_with(prefix));
        assert_eq!(index.sums_of(prefix.as_bytes()), sums(of_prefix), "{prefix}");
        let after = |entry: &&Entry<'_>| entry.key() > prefix;
        assert!(index.range(Start::After(prefix.as_bytes())).all(|entry| after(&&entry)));
        let from = index.range(Start::At(prefix.as_bytes())).map(Entry::key);
        assert!(from.eq(map.range(prefix.to_owned()..).map(|(name, _)| name)));
    }
}

fn name(state: &mut u64) -> String {
    let folder = ["a", "b/", "b/1", "c", LONG, &LONG[..25]][random(state) % 6];
    format!("{folder}{}", random(state) % 2_000)
}

#[test]
fn an_index_holds_what_a_map_holds() {
    for seed in 0..8_u64 {
        let (mut index, mut map, mut state) = (Index::<Entries>::default(), Map::new(), seed);
        let mut taken: Option<(Index<Entries>, Map, &str)> = None;
        for step in 0..12_000 {
            let grows = (step / 3_000) % 2 == 0;
            let name = name(&mut state);
            match random(&mut state) % 8 {
                0..=2 if !grows => {
                    assert_eq!(index.take(name.as_bytes()).is_some(), map.remove(&name).is_some());
                }
                7 if step % 40 == 0 && taken.is_none() => {
                    let prefix = ["", "a", "b/", "b/12", "zzz"][random(&mut state) % 5];
                    let (of_prefix, rest) = map.into_iter().partition(|(name, _)| name.starts_with(prefix));
                    map = rest;
                    taken = Some((index.take_range(prefix.as_bytes()), of_prefix, prefix));
                    let (range, of_prefix, _) = taken.as_ref().unwrap();
                    check(range, of_prefix);
                    check(&index, &map);
                }
                _ if taken.as_ref().is_some_and(|(_, _, prefix)| name.starts_with(prefix)) => {
                    let (range, mut of_prefix, _) = taken.take().unwrap();
                    index.put_back(range);
                    map.append(&mut of_prefix);
                    check(&index, &map);
                }
                _ => {
                    let (value, is_timed) = ("x".repeat(step % 9), step % 3 == 0);
                    let replaced =
                        index.replace(entry(&name, &value, is_timed.then_some(step as u64)).view());
                    let before = map.insert(name, (value.clone(), is_timed));
                    assert_eq!(replaced.is_some(), before.is_some());
                }
            }
            let name = self::name(&mut state);
            assert_eq!(index.get(name.as_bytes()).is_some(), map.contains_key(&name), "seed {seed}");
        }
        check(&index, &map);
    }
}

#[test]
fn runs_stay_full_if_keys_come_in_order_and_merge_if_they_are_removed() {
    let mut index = Index::<Entries>::default();
    let count = 10 * RUN_ENTRIES_MAX;
    (0..count).for_each(|number| drop(index.replace(entry(&format!("{number:06}"), "1", None).view())));
    assert_eq!(index.runs.len(), 10);
    for number in (0..count).filter(|number| number % 16 != 0) {
        index.take(format!("{number:06}").as_bytes());
    }
    assert!(index.runs.len() <= 3, "{} runs for {} entries", index.runs.len(), index.sums().keys);
    (0..count).for_each(|number| drop(index.take(format!("{number:06}").as_bytes())));
    assert!(index.runs.is_empty());
}

/// As values become locations when they are written.
#[test]
fn updated_entries_are_found_and_their_runs_join_when_they_become_small() {
    for (before, after) in [(3_000, 20), (40_000, 20), (1, 20), (100, 100), (20, 600)] {
        let (mut index, mut map) = (Index::<Entries>::default(), Map::new());
        let name = |number: usize| format!("{:05}", number * 7_919 % 2_003);
        for number in 0..2_003 {
            index.replace(entry(&name(number), &"x".repeat(before), None).view());
        }
        for number in 0..2_003 {
            let (name, value) = (name(number), "y".repeat(after));
            index.update(entry(&name, &value, None).view());
            map.insert(name, (value, false));
        }
        check(&index, &map);
        let values = index.range(Start::At(b"")).map(Entry::value);
        assert!(values.eq(map.values().map(|(value, _)| Value::Text(value.as_bytes()))));
        let live: usize = index.runs.iter().map(Run::live_bytes).sum();
        let runs_max = 3 + 3 * map.len() / RUN_ENTRIES_MAX + 3 * live / PAGE_BYTES;
        assert!(index.runs.len() <= runs_max, "{before} {after}: {} runs, not {runs_max}", index.runs.len());
        let touched: usize = index.runs.iter().map(Run::touched_bytes).sum();
        assert!(touched <= live + live / 5, "{before} {after}: {touched} bytes for {live}");
        index.update(entry("absent", "1", None).view());
        check(&index, &map);
    }
}

/// A run of `count` entries of `bytes` in its page each, whose keys begin with `folder`.
fn run(folder: &str, count: usize, bytes: usize) -> Run<Entries> {
    let part = bytes * 3 / 4;
    let overhead = slot_bytes(entry(&format!("{folder}000"), &"x".repeat(part), None).view()) - part;
    let value = "x".repeat(bytes - overhead);
    let mut index = Index::<Entries>::default();
    (0..count).for_each(|number| index.push(entry(&format!("{folder}{number:03}"), &value, None).view()));
    let run = index.pop_run().unwrap();
    assert_eq!((run.len(), run.live_bytes()), (count, count * bytes));
    run
}

/// With as many dead bytes in the first run as it may have, and with as many entries and bytes as are merged.
#[test]
fn runs_of_the_largest_size_that_is_merged_fit_one_run() {
    for first_part in 1..16 {
        let count = MERGED_ENTRIES_MAX * first_part / 16;
        let bytes = MERGED_BYTES_MAX / MERGED_ENTRIES_MAX;
        let removed = count / (DEAD_PART_MAX - 1);
        let mut first = run("a", count + removed, bytes);
        for _ in 0..removed {
            first.remove(0);
        }
        let second = run("b", MERGED_ENTRIES_MAX - count, bytes);
        let index = &mut Index { sums: first.sums().with(second.sums()), runs: [first, second].into() };
        index.merge(0);
        assert_eq!((index.runs.len(), index.runs[0].len()), (1, MERGED_ENTRIES_MAX), "{first_part}");
        assert_eq!(index.runs[0].sums(), index.sums);
    }
}

#[test]
#[should_panic(expected = "two merged runs fit a run")]
fn appending_more_than_fits_loses_no_entry_in_silence() {
    run("a", 30, 2_000).append(&run("b", 3, 2_000));
}

#[test]
fn pushed_entries_are_found_in_any_order() {
    let mut index = Index::<Entries>::default();
    for name in ["a", "c", "b", "c", "d"] {
        index.push(entry(name, "1", None).view());
    }
    assert!(index.range(Start::At(b"")).map(Entry::key).eq(["a", "b", "c", "d"]));
    assert_eq!(index.sums().keys, 4);
    assert_eq!(index.pop_run().unwrap().len(), 4);
    assert_eq!((index.sums(), index.pop_run().is_some()), (Sums::default(), false));
}

/// Values of all sizes, in place and not, alone in a page and not.
#[test]
fn pages_hold_little_that_is_dead_whatever_was_written_before() {
    const LENGTHS: [usize; 8] = [1, 30, 100, 126, 2_000, 9_000, 20_000, 90_000];
    for sizes in [1..4, 0..5, 4..8, 0..8] {
        let (mut index, mut map, mut state) = (Index::<Entries>::default(), BTreeMap::new(), 1);
        for step in 0..6_000 {
            let name = format!("{:05}", random(&mut state) % if sizes.end > 5 { 150 } else { 2_500 });
            if step % 5 == 4 {
                assert_eq!(index.remove(name.as_bytes()), map.remove(&name).is_some());
                continue;
            }
            let lengths = &LENGTHS[sizes.clone()];
            let value = format!("{}", step % 10).repeat(lengths[random(&mut state) % lengths.len()]);
            let replaced = index.replace(entry(&name, &value, None).view());
            let before: Option<String> = map.insert(name.clone(), value);
            let text = |entry: Box<[u8]>| match Entry::of(&entry).value() {
                Value::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                Value::Stored(_) => unreachable!("values are text here"),
            };
            assert_eq!(replaced.map(text), before);
        }
        let values = index.range(Start::At(b"")).map(|entry| match entry.value() {
            Value::Text(text) => (entry.key().to_owned(), String::from_utf8(text.to_vec()).unwrap()),
            Value::Stored(_) => unreachable!("values are text here"),
        });
        assert!(values.eq(map.clone()), "{sizes:?}");
        let (live, touched): (usize, usize) = index
            .runs
            .iter()
            .map(|run| (run.live_bytes(), run.touched_bytes()))
            .fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
        assert!(touched <= live + live / 5, "{sizes:?}: {touched} bytes for {live}");
        let long = map.values().filter(|value| value.len() > PAGE_BYTES / 4).count();
        let runs_max = 2 + 2 * long + 3 * live / PAGE_BYTES + 3 * map.len() / RUN_ENTRIES_MAX;
        assert!(index.runs.len() <= runs_max, "{sizes:?}: {} runs, not {runs_max}", index.runs.len());
    }
}
