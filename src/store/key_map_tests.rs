use super::*;
use crate::store::batch::{Batch, Op};
use crate::store::decide::{At, changes, decide};

const NOW: u64 = 1_000_000;

fn key(text: &str) -> Key<'_> {
    Key::parse(text).unwrap()
}

fn put(key_map: &mut KeyMap, name: &str, value: &str, ttl_ms: Option<u64>, now_ms: u64) -> Undo {
    let batch = Batch::one(Op::put(key(name), value.as_bytes(), ttl_ms));
    let steps = decide(&batch, &At { key_map, now_ms }, now_ms).unwrap();
    key_map.apply(&changes(&batch, &steps).next().unwrap())
}

fn delete(key_map: &mut KeyMap, name: &str) -> Undo {
    let revision = key_map.revision().advanced(1).unwrap();
    key_map.apply(&Change::Delete { key: key(name), revision })
}

fn clear(key_map: &mut KeyMap, prefix: &str) -> Undo {
    let revision = key_map.revision().advanced(1).unwrap();
    key_map.apply(&Change::Clear { prefix, revision })
}

fn reclaim(key_map: &mut KeyMap, entries_max: usize) -> usize {
    key_map.reclaim(entries_max, Revision::MAX)
}

fn keys(key_map: &KeyMap, now_ms: u64) -> Vec<String> {
    key_map.range("", None, now_ms).map(|entry| entry.key().to_owned()).collect()
}

#[test]
fn put_key_reads_back_until_it_is_deleted() {
    let mut key_map = KeyMap::default();
    put(&mut key_map, "a", "1", None, NOW);
    assert_eq!(key_map.get(key("a"), NOW).unwrap().value(), Value::Text(b"1"));
    assert_eq!(key_map.totals(NOW), Totals { keys: 1, bytes: 2 });
    delete(&mut key_map, "a");
    assert!(key_map.get(key("a"), NOW).is_none());
    assert_eq!(key_map.totals(NOW), Totals { keys: 0, bytes: 0 });
}

#[test]
fn replaced_key_keeps_its_creation_time_and_loses_its_expiry() {
    let mut key_map = KeyMap::default();
    put(&mut key_map, "a", "1", Some(50), NOW);
    put(&mut key_map, "a", "2", None, NOW + 10);
    let meta = key_map.get(key("a"), NOW + 99).unwrap().meta();
    assert_eq!((meta.created_ms, meta.updated_ms, meta.expires_ms), (NOW, NOW + 10, None));
    assert_eq!(key_map.next_expiry_ms(), None);
}

#[test]
fn expired_key_reads_as_missing_at_that_instant_and_a_new_one_is_created() {
    let mut key_map = KeyMap::default();
    put(&mut key_map, "a", "1", Some(50), NOW);
    assert!(key_map.get(key("a"), NOW + 49).is_some());
    assert!(key_map.get(key("a"), NOW + 50).is_none());
    assert_eq!(key_map.totals(NOW + 50).keys, 0);
    assert!(keys(&key_map, NOW + 50).is_empty());
    put(&mut key_map, "a", "2", None, NOW + 60);
    assert_eq!(key_map.get(key("a"), NOW + 60).unwrap().meta().created_ms, NOW + 60);
}

#[test]
fn expired_key_stays_missing_when_the_clock_is_set_back() {
    let mut key_map = KeyMap::default();
    put(&mut key_map, "a", "1", Some(50), NOW);
    assert_eq!(key_map.decide_expiry(NOW + 49), None);
    let clock = key_map.decide_expiry(NOW + 70).unwrap();
    key_map.apply(&clock);
    assert!(key_map.get(key("a"), NOW).is_none());
    assert_eq!(key_map.decide_expiry(NOW + 80), None, "nothing more expires");
    assert_eq!(reclaim(&mut key_map, 10), 1);
    assert_eq!(key_map.totals(NOW), Totals { keys: 0, bytes: 0 });
}

/// A clock that was years ahead for a moment: what expired by it is gone, what is written once it is
/// right counts from the right time.
#[test]
fn time_to_live_counts_from_the_present_after_the_clock_was_ahead() {
    const AHEAD: u64 = NOW + 10 * 365 * 86_400_000;
    for reclaimed in [0, 10] {
        let mut key_map = KeyMap::default();
        put(&mut key_map, "old", "1", Some(50), NOW);
        put(&mut key_map, "older", "1", Some(60), NOW);
        let clock = key_map.decide_expiry(AHEAD).unwrap();
        key_map.apply(&clock);
        assert_eq!(reclaim(&mut key_map, reclaimed), reclaimed.min(2));
        put(&mut key_map, "new", "1", Some(40), NOW + 5);
        let meta = key_map.get(key("new"), NOW + 5).unwrap().meta();
        assert_eq!((meta.created_ms, meta.updated_ms, meta.expires_ms), (NOW + 5, NOW + 5, Some(NOW + 45)));
        assert_eq!(keys(&key_map, NOW + 5), ["new"], "what has expired stays absent");
        assert_eq!(key_map.totals(NOW + 5), Totals { keys: 1, bytes: 4 });
        assert_eq!(key_map.next_expiry_ms(), Some(NOW + 45));
        assert_eq!(key_map.decide_expiry(NOW + 44), None);
        let clock = key_map.decide_expiry(NOW + 45).unwrap();
        let undo = key_map.apply(&clock);
        assert!(keys(&key_map, 0).is_empty(), "neither comes back");
        assert_eq!(key_map.totals(0), Totals { keys: 0, bytes: 0 });
        key_map.rollback(undo);
        assert_eq!(keys(&key_map, NOW), ["new"], "but for the one whose end was rolled back");
        assert_eq!(key_map.next_expiry_ms(), Some(NOW + 45));
        key_map.apply(&clock);
        reclaim(&mut key_map, usize::MAX);
        assert_eq!(key_map.stored_range("", None).count(), 0);
    }
}

#[test]
fn key_that_expired_is_written_again_with_the_same_expiry_as_before() {
    let mut key_map = KeyMap::default();
    put(&mut key_map, "a", "1", Some(50), NOW);
    key_map.apply(&key_map.decide_expiry(NOW + 90).unwrap());
    put(&mut key_map, "a", "22", Some(50), NOW);
    assert_eq!(key_map.totals(NOW), Totals { keys: 1, bytes: 3 });
    assert_eq!(reclaim(&mut key_map, 10), 0);
    assert_eq!(key_map.get(key("a"), NOW + 49).unwrap().value(), Value::Text(b"22"));
    assert!(key_map.get(key("a"), NOW + 50).is_none());
}

#[test]
fn range_starts_after_the_cursor_and_stays_in_the_prefix() {
    let mut key_map = KeyMap::default();
    for name in ["a", "ab", "abc", "b", "B", "é"] {
        put(&mut key_map, name, "1", None, NOW);
    }
    assert_eq!(keys(&key_map, NOW), ["B", "a", "ab", "abc", "b", "é"]);
    let page = |prefix, after| -> Vec<&str> { key_map.range(prefix, after, NOW).map(Entry::key).collect() };
    assert_eq!(page("a", None), ["a", "ab", "abc"]);
    assert_eq!(page("a", Some("ab")), ["abc"]);
    assert_eq!(page("ab", Some("B")), ["ab", "abc"]);
    assert_eq!(page("a", Some("b")), Vec::<&str>::new());
}

#[test]
fn every_change_is_reverted_by_its_undo() {
    let mut key_map = KeyMap::default();
    put(&mut key_map, "a", "1", Some(500), NOW);
    put(&mut key_map, "b", "2", None, NOW);
    let before = (key_map.totals(NOW), keys(&key_map, NOW), key_map.next_expiry_ms());
    let undos = [
        put(&mut key_map, "c", "3", Some(9), NOW),
        put(&mut key_map, "a", "33", None, NOW),
        delete(&mut key_map, "b"),
        clear(&mut key_map, "a"),
        put(&mut key_map, "d", "4", None, NOW),
        clear(&mut key_map, ""),
        put(&mut key_map, "b", "5", None, NOW),
        key_map.apply(&Change::ExpireUntil { at_ms: NOW + 900, revision: Revision::new(99).unwrap() }),
    ];
    undos.into_iter().rev().for_each(|undo| key_map.rollback(undo));
    assert_eq!((key_map.totals(NOW), keys(&key_map, NOW), key_map.next_expiry_ms()), before);
    assert_eq!(key_map.get(key("a"), NOW).unwrap().value(), Value::Text(b"1"));
    assert_eq!(key_map.revision().get(), 99, "revisions are not used twice");
}

/// Replaying a suffix of the changes from any earlier point, over the state at any later one,
/// gives the same end: what checkpoints that are written beside traffic rely on.
#[test]
fn replaying_a_suffix_over_a_later_state_changes_nothing() {
    let revision = |number| Revision::new(number).unwrap();
    let meta = |number, expires_ms| EntryMeta {
        revision: revision(number),
        created_ms: NOW,
        updated_ms: NOW,
        expires_ms,
    };
    let put =
        |name, number, ttl| Change::Put { key: key(name), value: Value::Text(b"1"), meta: meta(number, ttl) };
    let changes = [
        put("a", 1, None),
        put("b", 2, Some(NOW + 5)),
        Change::Delete { key: key("a"), revision: revision(3) },
        put("a", 4, None),
        Change::ExpireUntil { at_ms: NOW + 6, revision: revision(5) },
        put("ab", 6, None),
        Change::Clear { prefix: "a", revision: revision(7) },
        put("ab", 8, Some(NOW + 50)),
        Change::Clear { prefix: "", revision: revision(9) },
        put("c", 10, Some(NOW + 40)),
        Change::ExpireUntil { at_ms: NOW + 90, revision: revision(11) },
        put("b", 12, Some(NOW + 30)),
        put("d", 13, Some(NOW + 20)),
        put("e", 14, Some(NOW + 95)),
        Change::ExpireUntil { at_ms: NOW + 20, revision: revision(15) },
        put("c", 16, Some(NOW + 15)),
    ];
    let state = |key_map: &KeyMap| -> Vec<(String, EntryMeta)> {
        key_map.range("", None, NOW + 6).map(|entry| (entry.key().to_owned(), entry.meta())).collect()
    };
    for upto in 0..=changes.len() {
        for from in 0..=upto {
            let mut key_map = KeyMap::default();
            let mut straight = KeyMap::default();
            changes[..upto].iter().for_each(|change| drop(key_map.apply(change)));
            changes.iter().for_each(|change| drop(straight.apply(change)));
            changes[from..].iter().for_each(|change| drop(key_map.apply(change)));
            assert_eq!(state(&key_map), state(&straight), "state after {upto}, replay from {from}");
            assert_eq!(key_map.totals(NOW + 6), straight.totals(NOW + 6));
            assert_eq!(key_map.next_expiry_ms(), straight.next_expiry_ms());
        }
    }
}

/// Keys that the clock has ended are cleared before they are reclaimed, and that is rolled back.
#[test]
fn timers_of_a_clear_that_may_be_rolled_back_are_not_reclaimed() {
    let mut key_map = KeyMap::default();
    let many = 2 * ENTRIES_PER_LOCK_MAX as u64;
    (0..many).for_each(|number| drop(put(&mut key_map, &format!("a/{number}"), "1", Some(50), NOW)));
    put(&mut key_map, "b", "1", Some(900), NOW);
    key_map.apply(&key_map.decide_expiry(NOW + 60).unwrap());
    let undo = clear(&mut key_map, "a/");
    assert_eq!(reclaim(&mut key_map, usize::MAX), 0);
    assert_eq!(key_map.times.stale().0, many);
    key_map.rollback(undo);
    assert_eq!(key_map.totals(NOW), Totals { keys: 1, bytes: 2 });
    assert_eq!(reclaim(&mut key_map, usize::MAX) as u64, many);
    assert_eq!((key_map.entries.sums().keys, key_map.times.ended(NOW)), (1, (0, 0)));
}

#[test]
fn totals_never_lack_a_key_while_timers_of_cleared_keys_are_among_those_that_end() {
    let mut key_map = KeyMap::default();
    let (many, cleared) = (ENDED_COUNTED_MAX + 1, 2 * ENTRIES_PER_LOCK_MAX as u64);
    (0..many).for_each(|number| drop(put(&mut key_map, &format!("a/{number}"), "1", Some(50), NOW)));
    (0..cleared).for_each(|number| drop(put(&mut key_map, &format!("c/{number}"), "1", Some(90), NOW)));
    (0..9).for_each(|number| drop(put(&mut key_map, &format!("d/{number}"), "1", None, NOW)));
    let undo = clear(&mut key_map, "c/");
    for now_ms in [NOW, NOW + 49, NOW + 50, NOW + 89, NOW + 90] {
        let keys = if now_ms < NOW + 50 { many + 9 } else { 9 };
        let totals = key_map.totals(now_ms);
        assert!(totals.keys >= keys && totals.keys <= many + 9, "{totals:?} at {now_ms}");
    }
    key_map.finalize(undo);
    while key_map.free_some().is_some() {}
    assert_eq!(key_map.totals(NOW + 90).keys, 9);
}
