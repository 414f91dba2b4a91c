use super::*;
use crate::store::batch::{Require, Revisions, When};

const NOW: u64 = 1_000;

/// Entries that are given as key, revision and bytes of the value.
struct Given(Vec<(&'static str, u64, usize)>);

fn revision(number: u64) -> Revision {
    Revision::new(number).unwrap()
}

fn meta(number: u64) -> EntryMeta {
    EntryMeta { revision: revision(number), created_ms: number, updated_ms: number, expires_ms: None }
}

impl Entries for Given {
    fn get(&self, key: Key<'_>) -> Option<Existing> {
        let found = self.0.iter().find(|(name, ..)| *name == key.as_str());
        found.map(|(_, number, value_bytes)| Existing { meta: meta(*number), value_bytes: *value_bytes })
    }

    fn keys(&self) -> u64 {
        self.0.len() as u64
    }

    fn revision(&self) -> Revision {
        revision(100)
    }
}

fn key(text: &str) -> Key<'_> {
    Key::parse(text).unwrap()
}

fn given() -> Given {
    Given(vec![("a", 7, 10), ("b", 8, 20)])
}

fn decided(ops: Vec<Op<'_>>, otherwise: Otherwise) -> Result<Vec<Step>, Conflict> {
    decide(&Batch::many(ops, otherwise), &given(), NOW).map(|steps| steps.to_vec())
}

fn put_step(number: u64, created_ms: u64, created: bool) -> Step {
    let meta = EntryMeta { revision: revision(number), created_ms, updated_ms: NOW, expires_ms: None };
    Step::Put { meta, created }
}

#[test]
fn a_put_keeps_the_creation_time_of_a_key_that_exists() {
    for (name, created_ms, created) in [("a", 7, false), ("new", NOW, true)] {
        let steps = decide(&Batch::one(Op::put(key(name), b"1", None)), &given(), NOW).unwrap();
        assert_eq!(*steps, [put_step(101, created_ms, created)]);
    }
    let steps = decide(&Batch::one(Op::put(key("a"), b"1", Some(5))), &given(), NOW).unwrap();
    assert!(matches!(steps[0], Step::Put { meta, .. } if meta.expires_ms == Some(NOW + 5)));
}

#[test]
fn a_restored_entry_keeps_its_times_and_gets_a_new_revision() {
    let meta = |expires_ms| EntryMeta { revision: revision(3), created_ms: 1, updated_ms: 2, expires_ms };
    for (name, created) in [("a", false), ("new", true)] {
        for expires_ms in [None, Some(NOW + 1)] {
            let batch = Batch::one(Op::restore(key(name), b"1", meta(expires_ms)));
            let steps = decide(&batch, &given(), NOW).unwrap();
            let meta = EntryMeta { revision: revision(101), ..meta(expires_ms) };
            assert_eq!(*steps, [Step::Put { meta, created }]);
            let [Change::Put { value: Value::Text(b"1"), meta: stored, .. }] =
                *changes(&batch, &steps).collect::<Vec<_>>()
            else {
                panic!()
            };
            assert_eq!(stored, meta);
        }
    }
}

#[test]
fn restoring_an_entry_that_has_expired_deletes_it() {
    let expired = EntryMeta { expires_ms: Some(NOW), ..meta(3) };
    let restore = |name| Op::restore(key(name), b"1", expired);
    let ops = vec![restore("a"), Op::get(key("a")), restore("new")];
    assert_eq!(
        decided(ops, Otherwise::Abort).unwrap(),
        [Step::Deleted(revision(101)), Step::Absent, Step::Absent]
    );
}

#[test]
fn a_condition_is_about_the_revision_of_the_key() {
    let (seven, eight) = ([revision(7)], [revision(7), revision(8)]);
    let not = |revisions| When { matches: None, matches_none: Some(Revisions::Of(revisions)) };
    for (name, when, holds) in [
        ("a", When::ALWAYS, true),
        ("new", When::ALWAYS, true),
        ("a", When::PRESENT, true),
        ("new", When::PRESENT, false),
        ("a", When::ABSENT, false),
        ("new", When::ABSENT, true),
        ("a", When::revision_in(&seven), true),
        ("b", When::revision_in(&seven), false),
        ("b", When::revision_in(&eight), true),
        ("a", When::revision_in(&[]), false),
        ("new", When::revision_in(&seven), false),
        ("a", not(&seven), false),
        ("b", not(&seven), true),
        ("new", not(&seven), true),
    ] {
        let decided = decide(&Batch::one(Op::delete(key(name)).when(when)), &given(), NOW);
        assert_eq!(decided.is_ok(), holds, "{name} {when:?}");
    }
}

#[test]
fn the_first_condition_that_does_not_hold_is_the_conflict() {
    let ops = vec![Op::put(key("c"), b"1", None), Op::delete(key("b")).when(When::ABSENT)];
    let conflict = decided(ops, Otherwise::Abort).unwrap_err();
    assert_eq!(conflict, Conflict::Condition { index: 1, current: Some(meta(8)) });
}

#[test]
fn a_skipped_operation_leaves_the_others() {
    let create = |name| Op::put(key(name), b"1", None).when(When::ABSENT);
    let steps = decided(vec![create("a"), create("new"), create("new")], Otherwise::Skip).unwrap();
    assert_eq!(steps, [Step::Skipped, put_step(101, NOW, true), Step::Skipped]);
}

#[test]
fn operations_see_what_those_before_them_do() {
    let ops = vec![
        Op::delete(key("a")),
        Op::get(key("a")),
        Op::put(key("a"), b"1", None).when(When::ABSENT),
        Op::get(key("a")),
        Op::delete(key("a")),
        Op::delete(key("a")),
    ];
    let steps = decided(ops, Otherwise::Abort).unwrap();
    let put = put_step(102, NOW, true);
    let Step::Put { meta, .. } = put else { unreachable!() };
    let deleted = |number| Step::Deleted(revision(number));
    let found = Step::Found(meta, Source::Op(2));
    assert_eq!(steps, [deleted(101), Step::Absent, put, found, deleted(103), Step::Absent]);
}

#[test]
fn no_batch_adds_keys_beyond_its_bound() {
    let put = |name| Op::put(key(name), b"1", None);
    for (ops, fits) in [
        (vec![put("a"), put("b")], true),
        (vec![put("c")], true),
        (vec![put("c"), put("d")], false),
        (vec![put("c"), put("d"), Op::delete(key("a"))], true),
        (vec![put("c"), put("c")], true),
    ] {
        let mut batch = Batch::many(ops, Otherwise::Abort);
        batch.require.keys_max = Some(3);
        assert_eq!(decide(&batch, &given(), NOW).is_ok(), fits);
    }
    let mut batch = Batch::one(put("a"));
    batch.require.keys_max = Some(1);
    assert!(decide(&batch, &given(), NOW).is_ok(), "it adds none");
}

#[test]
fn a_required_key_has_to_exist() {
    for (name, exists) in [("b", true), ("new", false)] {
        let mut batch = Batch::one(Op::get(key("a")));
        batch.require.present = Some(key(name));
        let conflict = decide(&batch, &given(), NOW).err();
        assert_eq!(conflict, (!exists).then_some(Conflict::NotPresent), "{name}");
    }
}

#[test]
fn reads_are_bounded_and_the_first_by_memory_only() {
    let check = |read_bytes_max, memory_bytes_max, conflict| {
        let mut batch = Batch::many(vec![Op::get(key("a")), Op::get(key("b"))], Otherwise::Abort);
        batch.require = Require { read_bytes_max, memory_bytes_max, ..Require::NOTHING };
        assert_eq!(decide(&batch, &given(), NOW).err(), conflict);
    };
    let too_large = |index, bytes| Some(Conflict::ReadTooLarge { index, bytes });
    check(30, 30, None);
    check(29, 30, too_large(1, 30));
    check(30, 29, too_large(1, 30));
    check(5, 30, too_large(1, 30));
    check(30, 9, too_large(0, 10));
}

#[test]
fn changes_are_those_of_the_steps_that_change_something() {
    let ops =
        vec![Op::get(key("a")), Op::put(key("a"), b"1", None), Op::delete(key("b")), Op::delete(key("c"))];
    let batch = Batch::many(ops, Otherwise::Abort);
    let steps = decide(&batch, &given(), NOW).unwrap();
    let changes: Vec<Change<'_>> = changes(&batch, &steps).collect();
    let meta = EntryMeta { revision: revision(101), created_ms: 7, updated_ms: NOW, expires_ms: None };
    let put = Change::Put { key: key("a"), value: Value::Text(b"1"), meta };
    assert_eq!(changes, [put, Change::Delete { key: key("b"), revision: revision(102) }]);
}
