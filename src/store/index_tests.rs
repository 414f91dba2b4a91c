use super::*;
use crate::names::Key;
use crate::store::change::{Meta, Revision, Value};
use std::collections::BTreeMap;

fn entry(name: &str, value: &str, expires_ms: Option<u64>) -> Entry {
    let meta = Meta { revision: Revision::default(), created_ms: 1, updated_ms: 1, expires_ms };
    Entry::new(Key::parse(name).unwrap(), Value::Text(value.as_bytes()), &meta)
}

/// Numbers that look random (SplitMix64).
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) >> 1).unwrap()
}

type Map = BTreeMap<String, (String, bool)>;

fn sums<'m>(entries: impl Iterator<Item = (&'m String, &'m (String, bool))>) -> Sums {
    entries.fold(Sums::default(), |sums, (name, (value, is_timed))| {
        let bytes = (name.len() + value.len()) as u64;
        let timed = u64::from(*is_timed);
        sums.with(Sums { keys: 1, bytes, timed, timed_bytes: timed * bytes })
    })
}

fn check(index: &Index, map: &Map) {
    assert!(index.runs.iter().all(|run| (1..=RUN_ENTRIES_MAX).contains(&run.entries.len())));
    for run in &index.runs {
        assert_eq!(run.sums, run.entries.iter().map(Sums::of).fold(Sums::default(), Sums::with));
    }
    assert_eq!(index.sums(), sums(map.iter()));
    assert!(index.range(Start::At(b"")).map(|entry| entry.key()).eq(map.keys()));
    let timed = map.iter().filter(|(_, (_, is_timed))| *is_timed).map(|(name, _)| name.as_str());
    assert!(index.timed().map(Entry::key).eq(timed));
    for prefix in ["", "a", "b/", "b/1", "b/12", "c", "zzz"] {
        let of_prefix = map.iter().filter(|(name, _)| name.starts_with(prefix));
        assert_eq!(index.sums_of(prefix.as_bytes()), sums(of_prefix), "{prefix}");
        let after = |entry: &&Entry| entry.key() > prefix;
        assert!(index.range(Start::After(prefix.as_bytes())).all(|entry| after(&entry)));
        let from = index.range(Start::At(prefix.as_bytes())).map(Entry::key);
        assert!(from.eq(map.range(prefix.to_owned()..).map(|(name, _)| name)));
    }
}

fn name(state: &mut u64) -> String {
    let folder = ["a", "b/", "b/1", "c"][random(state) % 4];
    format!("{folder}{}", random(state) % 2_000)
}

#[test]
fn an_index_holds_what_a_map_holds() {
    for seed in 0..8_u64 {
        let (mut index, mut map, mut state) = (Index::default(), Map::new(), seed);
        let mut taken: Option<(Index, Map, &str)> = None;
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
                    let replaced = index.replace(entry(&name, &value, is_timed.then_some(step as u64)));
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
fn runs_stay_full_where_keys_come_in_order_and_join_where_they_go() {
    let mut index = Index::default();
    let count = 10 * RUN_ENTRIES_MAX;
    (0..count).for_each(|number| drop(index.replace(entry(&format!("{number:06}"), "1", None))));
    assert_eq!(index.runs.len(), 10);
    for number in (0..count).filter(|number| number % 16 != 0) {
        index.take(format!("{number:06}").as_bytes());
    }
    assert!(index.runs.len() <= 3, "{} runs for {} entries", index.runs.len(), index.sums().keys);
    (0..count).for_each(|number| drop(index.take(format!("{number:06}").as_bytes())));
    assert!(index.runs.is_empty());
}

#[test]
fn pushed_entries_are_found_in_any_order() {
    let mut index = Index::default();
    for name in ["a", "c", "b", "c", "d"] {
        index.push(entry(name, "1", None));
    }
    assert!(index.range(Start::At(b"")).map(Entry::key).eq(["a", "b", "c", "d"]));
    assert_eq!(index.sums().keys, 4);
    assert_eq!(index.pop_some().len(), 4);
    assert_eq!((index.sums(), index.pop_some().len()), (Sums::default(), 0));
}
