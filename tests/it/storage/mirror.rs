//! Every operation of a `Bucket` beside a map that does the same in the plainest way, with both answers compared.
//!
//! `SIM_SEED=42 cargo test --test it mirror` runs one seed, whose number a failure prints.

use crate::harness::etcd::{EtcdCluster, bucket_on};
use crate::harness::sim_disk::{Random, SimDisk};
use crate::harness::workload::{START_MS, open};
use pikv::testing::clock;
use pikv::testing::config::schema::SyncMode;
use pikv::testing::names::{Key, ProjectId};
use pikv::testing::storage::embedded::{Project, ProjectQueues, ValueCache, values_of};
use pikv::testing::storage::etcd::sweep;
use pikv::testing::storage::{Bucket, Outcome, Read, Scan, ScanEnd};
use pikv::testing::store::batch::{Act, Batch, Op, Otherwise, Revisions, When};
use pikv::testing::store::change::{EntryMeta, Revision};
use pikv::testing::store::decide::{Conflict, Step};
use std::collections::BTreeMap;
use std::sync::Arc;

const SEEDS: u64 = 40;
const STEPS: u64 = 200;
const NAMES: [&str; 8] = ["a", "a/1", "a/2", "a/b/1", "b", "c", "é", "🔑/x"];
const PREFIXES: [&str; 5] = ["", "a/", "a/b/", "c", "nothing"];

/// An entry as the map has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    value: Vec<u8>,
    revision: Revision,
    created_ms: u64,
    updated_ms: u64,
    expires_ms: Option<u64>,
}

/// What an operation asks for, owned.
#[derive(Debug)]
struct Wish {
    name: &'static str,
    /// Revisions that have to match; empty for any, `None` without a condition.
    matches: Option<Vec<Revision>>,
    matches_none: Option<Vec<Revision>>,
    act: WishedAct,
}

#[derive(Debug)]
enum WishedAct {
    Get,
    Put(Vec<u8>, Option<u64>),
    Delete,
    Restore(Vec<u8>, EntryMeta),
}

/// What an operation is expected to do. Revisions are the bucket's to choose.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Skipped,
    Absent,
    Found(Vec<u8>),
    Put { created: bool },
    Deleted,
}

/// What happens to a bucket between operations, at an instant: files, expired entries.
type Maintain<'m> = &'m dyn Fn(u64);

struct Mirror<'m> {
    bucket: Bucket,
    maintain: Maintain<'m>,
    map: BTreeMap<String, Known>,
    now_ms: u64,
    latest: Revision,
}

fn revisions(listed: Option<&Vec<Revision>>) -> Option<Revisions<'_>> {
    listed.map(|listed| if listed.is_empty() { Revisions::Any } else { Revisions::Of(listed) })
}

impl Known {
    fn meta(&self) -> EntryMeta {
        let Known { revision, created_ms, updated_ms, expires_ms, .. } = *self;
        EntryMeta { revision, created_ms, updated_ms, expires_ms }
    }
}

impl Wish {
    fn op(&self) -> Op<'_> {
        let when = When {
            matches: revisions(self.matches.as_ref()),
            matches_none: revisions(self.matches_none.as_ref()),
        };
        let act = match &self.act {
            WishedAct::Get => Act::Get,
            WishedAct::Put(value, ttl_ms) => Act::Put { value, ttl_ms: *ttl_ms },
            WishedAct::Delete => Act::Delete,
            WishedAct::Restore(value, meta) => Op::restore(Key::parse(self.name).unwrap(), value, *meta).act,
        };
        Op { key: Key::parse(self.name).unwrap(), when, act }
    }

    fn holds(&self, known: Option<&Known>) -> bool {
        let is_listed = |listed: &Vec<Revision>| {
            known.is_some_and(|known| listed.is_empty() || listed.contains(&known.revision))
        };
        self.matches.as_ref().is_none_or(is_listed) && !self.matches_none.as_ref().is_some_and(is_listed)
    }
}

impl Mirror<'_> {
    fn live(&self) -> impl Iterator<Item = (&String, &Known)> {
        let is_live = |known: &Known| known.expires_ms.is_none_or(|expires_ms| expires_ms > self.now_ms);
        self.map.iter().filter(move |(_, known)| is_live(known))
    }

    fn random_wish(&self, random: &mut Random) -> Wish {
        let name = NAMES[random.below(8) as usize];
        let mut listed = || match random.below(6) {
            0 => Some(Vec::new()),
            1 => Some(vec![self.map.get(name).map_or(Revision::ZERO, |known| known.revision), self.latest]),
            _ => None,
        };
        let (matches, matches_none) = (listed(), listed());
        let value =
            |random: &mut Random| format!("\"{}\"", "x".repeat(random.below(300) as usize)).into_bytes();
        let act = match random.below(5) {
            0 => WishedAct::Get,
            1 => WishedAct::Delete,
            2 => {
                let created_ms = self.now_ms - 2_000 + random.below(4_000);
                let updated_ms = created_ms + random.below(1_000);
                let expires_ms = (random.below(2) == 0).then(|| self.now_ms - 100 + random.below(5_000));
                let revision = Revision::new(random.below(100)).unwrap();
                let meta = EntryMeta { revision, created_ms, updated_ms, expires_ms };
                WishedAct::Restore(value(random), meta)
            }
            _ => WishedAct::Put(value(random), (random.below(4) == 0).then(|| 1 + random.below(5_000))),
        };
        Wish { name, matches, matches_none, act }
    }

    /// Does `wishes` to the map. `Err` has the index of the wish that stops them, and its key as it is then.
    fn expect(
        &mut self,
        wishes: &[Wish],
        otherwise: Otherwise,
    ) -> Result<Vec<Expected>, (usize, Option<Known>)> {
        let now_ms = self.now_ms;
        self.map.retain(|_, known| known.expires_ms.is_none_or(|expires_ms| expires_ms > now_ms));
        let before = self.map.clone();
        let mut expected = Vec::new();
        for (index, wish) in wishes.iter().enumerate() {
            let known = self.map.get(wish.name).cloned();
            if !wish.holds(known.as_ref()) {
                if otherwise == Otherwise::Skip {
                    expected.push(Expected::Skipped);
                    continue;
                }
                self.map = before;
                return Err((index, known));
            }
            expected.push(match &wish.act {
                WishedAct::Get => known.map_or(Expected::Absent, |known| Expected::Found(known.value)),
                WishedAct::Restore(value, meta) if meta.expires_ms.is_none_or(|ms| ms > now_ms) => {
                    let EntryMeta { created_ms, updated_ms, expires_ms, .. } = *meta;
                    let (value, revision) = (value.clone(), Revision::MAX);
                    let new = Known { value, revision, created_ms, updated_ms, expires_ms };
                    self.map.insert(wish.name.to_owned(), new);
                    Expected::Put { created: known.is_none() }
                }
                WishedAct::Delete | WishedAct::Restore(..) if known.is_none() => Expected::Absent,
                WishedAct::Delete | WishedAct::Restore(..) => {
                    self.map.remove(wish.name);
                    Expected::Deleted
                }
                WishedAct::Put(value, ttl_ms) => {
                    let created_ms = known.as_ref().map_or(now_ms, |known| known.created_ms);
                    let expires_ms = ttl_ms.map(|ttl_ms| now_ms + ttl_ms);
                    // The bucket's revision is filled in once it is known; until then it is one that nobody asks for.
                    let new = Known {
                        value: value.clone(),
                        revision: Revision::MAX,
                        created_ms,
                        updated_ms: now_ms,
                        expires_ms,
                    };
                    self.map.insert(wish.name.to_owned(), new);
                    Expected::Put { created: known.is_none() }
                }
            });
        }
        Ok(expected)
    }

    fn write(&mut self, random: &mut Random) {
        let wishes: Vec<Wish> = (0..1 + random.below(6)).map(|_| self.random_wish(random)).collect();
        let otherwise = if random.below(2) == 0 { Otherwise::Abort } else { Otherwise::Skip };
        let expected = self.expect(&wishes, otherwise);
        let batch = Batch::many(wishes.iter().map(Wish::op).collect(), otherwise);
        let done = self.bucket.write_and_read(self.now_ms, &batch).unwrap();
        self.bucket.wait(done.commit.as_ref()).unwrap();
        match (done.answer, expected) {
            (Err(Conflict::Condition { index, current }), Err((stopped, known))) => {
                assert_eq!(index, stopped, "{wishes:?}");
                assert_eq!(
                    current.map(|meta| meta.created_ms),
                    known.map(|known| known.created_ms),
                    "{wishes:?}"
                );
            }
            (Ok((steps, found)), Ok(expected)) => {
                let mut values = settled(&self.bucket, values_of(found, None)).into_iter();
                let before = self.latest;
                for ((wish, step), expected) in wishes.iter().zip(steps.iter()).zip(expected) {
                    let done = match *step {
                        Step::Skipped => Expected::Skipped,
                        Step::Absent => Expected::Absent,
                        Step::Deleted(revision) => {
                            self.advance(before, revision);
                            Expected::Deleted
                        }
                        Step::Found(..) => Expected::Found(values.next().expect("a value for each")),
                        Step::Put { meta, created } => {
                            self.advance(before, meta.revision);
                            if let Some(known) = self.map.get_mut(wish.name) {
                                known.revision = meta.revision;
                            }
                            Expected::Put { created }
                        }
                    };
                    assert_eq!(done, expected, "{wishes:?}");
                }
            }
            (answer, expected) => panic!("{wishes:?}: {:?} instead of {expected:?}", answer.err()),
        }
    }

    /// Every change has a later revision than all of the batches before it. On a cell, those of one batch are equal.
    fn advance(&mut self, before: Revision, revision: Revision) {
        let is_shared = matches!(self.bucket, Bucket::Etcd(_));
        assert!(revision > self.latest || (is_shared && revision > before && revision == self.latest));
        self.latest = revision;
    }

    fn clear(&mut self, prefix: &str) {
        let live: Vec<String> = self.live().map(|(name, _)| name.clone()).collect();
        let cleared = self.bucket.clear(self.now_ms, prefix).unwrap();
        let removed = live.iter().filter(|name| name.starts_with(prefix)).count();
        assert_eq!(settled(&self.bucket, cleared), removed as u64, "{prefix:?}");
        self.map.retain(|name, _| !name.starts_with(prefix));
    }

    fn check_reads(&self, random: &mut Random) {
        let name = NAMES[random.below(8) as usize];
        let key = Key::parse(name).unwrap();
        let read = self.bucket.get(self.now_ms, key, When::ALWAYS, |read| match read {
            Read::Found(item) => Some((item.value.to_vec(), item.meta)),
            Read::Absent | Read::Refused(_) => None,
        });
        let known = self.live().find(|(other, _)| *other == name).map(|(_, known)| known);
        let known = known.map(|known| (known.value.clone(), known.meta()));
        assert_eq!(settled(&self.bucket, read.unwrap()), known, "{name}");
        let prefix = PREFIXES[random.below(5) as usize];
        let after = (random.below(2) == 0).then(|| NAMES[random.below(8) as usize]);
        let keys_max = (random.below(2) == 0).then(|| random.below(4) as usize);
        let scan = Scan { after, keys_max, bytes_max: 1_000, ..Scan::under(prefix) };
        let mut found = Vec::new();
        let mut sink =
            |item: pikv::testing::storage::Item<'_>| found.push((item.key.to_owned(), text(item.value)));
        let end = self.bucket.scan_through(self.now_ms, &scan, &mut sink).unwrap().answer;
        let wanted = self
            .live()
            .filter(|(name, _)| name.starts_with(prefix) && after.is_none_or(|after| name.as_str() > after));
        let wanted: Vec<_> = wanted.map(|(name, known)| (name.clone(), text(&known.value))).collect();
        let cut = keys_max.unwrap_or(usize::MAX).min(wanted.len());
        assert_eq!(found, wanted[..cut], "{scan:?}", scan = (prefix, after, keys_max));
        assert_eq!(end, if cut < wanted.len() { ScanEnd::Limit } else { ScanEnd::Exhausted });
        if matches!(self.bucket, Bucket::Etcd(_)) {
            (self.maintain)(self.now_ms);
        }
        assert_eq!(self.bucket.totals(self.now_ms).unwrap().answer.keys, self.live().count() as u64);
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8(value.to_vec()).unwrap()
}

/// The result of an outcome whose commit is waited for first, as a server does.
fn settled<T: 'static>(bucket: &Bucket, outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Ready(pending) => {
            bucket.wait(pending.commit.as_ref()).unwrap();
            pending.answer
        }
        Outcome::Blocking(commit, run) => {
            bucket.wait(commit.as_ref()).unwrap();
            run().unwrap()
        }
    }
}

fn check(bucket: &Bucket, maintain: Maintain<'_>, seed: u64) {
    println!("SIM_SEED={seed}");
    let mut random = Random(seed);
    let (bucket, map) = (bucket.clone(), BTreeMap::new());
    let mut mirror = Mirror { bucket, maintain, map, now_ms: START_MS, latest: Revision::ZERO };
    for _ in 0..STEPS {
        match random.below(20) {
            0 => mirror.clear(PREFIXES[random.below(5) as usize]),
            1..=3 => mirror.now_ms += random.below(3_000),
            4 | 5 => maintain(mirror.now_ms),
            6..=10 => mirror.check_reads(&mut random),
            _ => mirror.write(&mut random),
        }
    }
}

fn seeds(count: u64) -> std::ops::RangeInclusive<u64> {
    crate::harness::environment::number("SIM_SEED").map_or(0..=count - 1, |seed| seed..=seed)
}

fn check_embedded(make: impl Fn() -> Arc<Project>) {
    for seed in seeds(SEEDS) {
        let project = make();
        let bucket = Bucket::Embedded(Arc::clone(&project));
        let maintain = |now_ms: u64| {
            if now_ms.is_multiple_of(2) {
                let _ = project.checkpoint(now_ms, clock::monotonic());
            } else {
                let _ = project.expire(now_ms);
            }
        };
        check(&bucket, &maintain, seed);
    }
}

#[test]
fn a_bucket_in_memory_answers_like_a_map() {
    check_embedded(|| {
        let id = ProjectId::parse("p").unwrap();
        Arc::new(Project::in_memory(id, ProjectQueues::new(Box::new(|| ())), START_MS))
    });
}

#[test]
fn a_bucket_on_disk_answers_like_a_map() {
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        check_embedded(|| open(Arc::new(SimDisk::default()), cache, SyncMode::Always, START_MS).unwrap().0);
    }
}

#[test]
fn a_bucket_on_etcd_answers_like_a_map() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    for seed in seeds(SEEDS / 4) {
        let bucket = Bucket::Etcd(Arc::new(bucket_on(&cell, &format!("p{seed}"))));
        let maintain = |now_ms: u64| {
            sweep::sweep(&cell, now_ms).unwrap();
        };
        check(&bucket, &maintain, seed);
    }
}
