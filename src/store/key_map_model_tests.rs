//! Random changes beside a map that does the same: many keys cleared together, changes that are rolled back
//! or finalized, clocks that go ahead and back, and freeing in between.

use super::*;
use crate::store::batch::{Batch, Op};
use crate::store::decide::{At, changes, decide};
use std::collections::BTreeMap;

const SEEDS: u64 = 20;
const STEPS: u64 = 220;
/// More keys with a time to live than a clear removes the timers of at once.
const MANY: u64 = ENTRIES_PER_LOCK_MAX as u64 + 30;
const PREFIXES: [&str; 6] = ["", "a/", "a/b/", "a/b/1", "c", "nothing"];

type Keys = BTreeMap<String, EntryMeta>;

/// A change that may yet be rolled back, and what there was before it.
struct Open {
    undo: Undo,
    revision: Revision,
    before: Keys,
}

struct Run {
    key_map: KeyMap,
    keys: Keys,
    open: Vec<Open>,
    finalized: Revision,
    now_ms: u64,
    random: u64,
}

impl Run {
    /// A number below `bound` that looks random (SplitMix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn index_below(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    fn apply(&mut self, change: &Change<'_>) {
        let before = self.keys.clone();
        match *change {
            Change::Put { key, meta, .. } => drop(self.keys.insert(key.as_str().to_owned(), meta)),
            Change::Delete { key, .. } => drop(self.keys.remove(key.as_str())),
            Change::Clear { prefix, .. } => self.keys.retain(|name, _| !name.starts_with(prefix)),
            Change::ExpireUntil { at_ms, .. } => self.keys.retain(|_, meta| exists(meta, at_ms)),
        }
        let undo = self.key_map.apply(change);
        self.open.push(Open { undo, revision: change.revision(), before });
    }

    /// Records the clock as every write does.
    fn clock(&mut self) {
        if let Some(change) = self.key_map.decide_expiry(self.now_ms) {
            self.apply(&change);
        }
    }

    fn next(&self) -> Revision {
        self.key_map.revision().advanced(1).unwrap()
    }

    fn put(&mut self, name: &str, ttl_ms: Option<u64>) {
        let key = Key::parse(name).unwrap();
        let batch = Batch::one(Op::put(key, b"12", ttl_ms));
        let at = At { key_map: &self.key_map, now_ms: self.now_ms };
        let steps = decide(&batch, &at, self.now_ms).unwrap();
        self.apply(&changes(&batch, &steps).next().unwrap());
    }

    fn put_many(&mut self) {
        let folder = ["a/", "a/b/", "c"][self.index_below(3)];
        let timed = self.below(3) > 0;
        for number in 0..MANY {
            let ttl_ms = timed.then(|| 100 + self.below(3_000));
            self.put(&format!("{folder}{number}"), ttl_ms);
        }
    }

    fn clear(&mut self) {
        let prefix = PREFIXES[self.index_below(6)];
        let there =
            |(name, meta): &(&String, &EntryMeta)| name.starts_with(prefix) && exists(meta, self.now_ms);
        let count = self.keys.iter().filter(there).count() as u64;
        assert_eq!(self.key_map.count(prefix, self.now_ms), Some(count), "{prefix}");
        let revision = self.next();
        self.apply(&Change::Clear { prefix, revision });
    }

    fn rollback_all(&mut self) {
        while let Some(Open { undo, before, .. }) = self.open.pop() {
            self.key_map.rollback(undo);
            self.keys = before;
        }
    }

    fn finalize_all(&mut self) {
        for Open { undo, revision, .. } in self.open.drain(..) {
            self.key_map.finalize(undo);
            self.finalized = revision;
        }
    }

    fn step(&mut self) {
        match self.below(16) {
            0..=3 => {
                self.clock();
                let name = format!("{}{}", PREFIXES[self.index_below(5)], self.below(40));
                let ttl_ms = (self.below(2) == 0).then(|| 50 + self.below(2_000));
                self.put(&name, ttl_ms);
            }
            4 => self.put_many(),
            5 | 6 => {
                if self.below(2) == 0 {
                    self.clock();
                }
                self.clear();
            }
            7 => {
                let live = self.keys.iter().find(|(_, meta)| exists(meta, self.now_ms));
                let Some(name) = live.map(|(name, _)| name.clone()) else { return };
                let revision = self.next();
                self.apply(&Change::Delete { key: Key::parse(&name).unwrap(), revision });
            }
            8 => self.now_ms = (self.now_ms + self.below(1_500)).saturating_sub(500),
            9 => self.clock(),
            10 => self.finalize_all(),
            11 => self.rollback_all(),
            12 | 13 => {
                let entries_max = self.index_below(200);
                self.key_map.reclaim(entries_max, self.finalized);
            }
            _ => drop(self.key_map.free_some()),
        }
    }

    fn check(&self, context: &str) {
        let live = || self.keys.iter().filter(|(_, meta)| exists(meta, self.now_ms));
        let found = self.key_map.range("", None, self.now_ms).map(|entry| (entry.key(), entry.meta()));
        assert!(found.eq(live().map(|(name, meta)| (name.as_str(), *meta))), "{context}");
        let keys = live().count() as u64;
        let bytes = live().map(|(name, _)| name.len() as u64 + 2).sum::<u64>();
        let totals = self.key_map.totals(self.now_ms);
        if self.key_map.times.ended(self.now_ms).0 <= ENDED_COUNTED_MAX {
            assert_eq!(totals, Totals { keys, bytes }, "{context}");
        } else {
            assert!(totals.keys >= keys && totals.bytes >= bytes, "{context}");
        }
    }
}

fn exists(meta: &EntryMeta, now_ms: u64) -> bool {
    meta.expires_ms.is_none_or(|expires_ms| expires_ms > now_ms)
}

#[test]
fn key_map_equals_a_model_map_while_changes_are_rolled_back() {
    for seed in 0..SEEDS {
        let mut run = Run {
            key_map: KeyMap::default(),
            keys: Keys::new(),
            open: Vec::new(),
            finalized: Revision::default(),
            now_ms: 1_000_000,
            random: seed,
        };
        for step in 0..STEPS {
            run.step();
            run.check(&format!("seed {seed}, step {step}"));
        }
        run.finalize_all();
        run.now_ms += 10_000;
        run.clock();
        run.finalize_all();
        while run.key_map.free_some().is_some() {}
        while run.key_map.reclaim(100, run.finalized) > 0 {}
        let (key_map, keys) = (&run.key_map, run.keys.len());
        assert_eq!(key_map.entries.sums().keys, keys as u64, "seed {seed}: nothing that is gone is left");
        assert_eq!((key_map.times.ended(u64::MAX), key_map.times.stale()), ((0, 0), (0, 0)), "seed {seed}");
    }
}
