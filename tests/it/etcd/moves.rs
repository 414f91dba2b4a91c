//! Projects that are moved between two cells, by commands that end anywhere, while instances use them.

use crate::harness::etcd::EtcdCluster;
use crate::harness::sim_disk::Random;
use pikv::testing::clock;
use pikv::testing::config::schema::{AuthenticationChoice, ProjectConfig, StorageChoice};
use pikv::testing::names::{Key, ProjectId};
use pikv::testing::secret::KeyHash;
use pikv::testing::storage::etcd::EtcdBucket;
use pikv::testing::storage::etcd::cell::Cell;
use pikv::testing::storage::etcd::cells::Cells;
use pikv::testing::storage::etcd::claim::ClaimError;
use pikv::testing::storage::etcd::gateway::{Bytes, Range};
use pikv::testing::storage::etcd::moving::{self, Begun, Move, MoveError, Step};
use pikv::testing::storage::etcd::placement::{self, Addition, Placement, PlacementState};
use pikv::testing::storage::etcd::record::{self, Creation, Record, Versioned};
use pikv::testing::storage::{Bucket, Item, Read, Scan};
use pikv::testing::store::batch::{Op, When};
use pikv::testing::store::change::{EntryMeta, Revision};
use pikv::testing::store::decide::Step as Done;
use pikv::testing::store::error::StorageError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// More steps than a move has.
const STEPS_MAX: usize = 9;

struct TwoCells {
    home: EtcdCluster,
    away: EtcdCluster,
}

impl TwoCells {
    fn start() -> Option<TwoCells> {
        Some(TwoCells { home: EtcdCluster::start(1, &[])?, away: EtcdCluster::start(1, &[])? })
    }

    /// Cells with connections of their own.
    fn cells(&self) -> Cells {
        let away = Cell::new(1, "away".to_owned(), self.away.authorities(), None);
        let cells = Cells::new(self.home.cell(), vec![away]);
        cells.prepare().unwrap();
        cells
    }
}

fn id(text: &str) -> ProjectId {
    ProjectId::parse(text).unwrap()
}

fn key(text: &str) -> Key<'_> {
    Key::parse(text).unwrap()
}

/// Creates a project on the cell `name`, as an instance does.
fn create(cells: &Cells, name: &str, project: &str) {
    let cell = cells.find(name).unwrap();
    let mut config =
        ProjectConfig::new(id(project), StorageChoice::default(), AuthenticationChoice::default());
    config.key.hash = Some(KeyHash::of(project.as_bytes()));
    let Ok(Creation::Created(created)) = record::create(cell, &id(project), Some(config), clock::wall_ms())
    else {
        panic!("{project} exists")
    };
    let placement = Placement {
        cell: name.to_owned(),
        state: PlacementState::Live,
        other: None,
        fence: created.mod_revision,
        record: Some(created.value),
    };
    assert!(matches!(placement::add(cells.home(), &id(project), &placement), Ok(Addition::Added { .. })));
}

/// A server: it remembers the cell and the record of the project until a transaction finds another record.
struct Instance<'c> {
    cells: &'c Cells,
    project: ProjectId,
    known: Option<Bucket>,
}

impl<'c> Instance<'c> {
    fn new(cells: &'c Cells, project: &str) -> Instance<'c> {
        Instance { cells, project: id(project), known: None }
    }

    /// What `request` gives on the present record.
    fn request<T>(
        &mut self,
        request: impl Fn(&Bucket) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        loop {
            let bucket = match &self.known {
                Some(bucket) => bucket.clone(),
                None => self.look_up(),
            };
            let answer = request(&bucket);
            self.known = Some(bucket);
            match answer {
                Err(StorageError::Stale(_)) => self.known = self.renewed(),
                answer => return answer,
            }
        }
    }

    /// The bucket on the cell that it knows, if that still has a record.
    fn renewed(&self) -> Option<Bucket> {
        let Some(Bucket::Etcd(known)) = &self.known else { return None };
        let record = record::read(known.cell(), &self.project).unwrap()?;
        Some(self.bucket(known.cell(), &record))
    }

    fn look_up(&self) -> Bucket {
        for _ in 0..100 {
            let listed = placement::read(self.cells.home(), &self.project).unwrap().unwrap().value;
            for cell in [Some(listed.cell), listed.other].into_iter().flatten() {
                let cell = self.cells.find(&cell).unwrap();
                if let Some(record) = record::read(cell, &self.project).unwrap() {
                    return self.bucket(cell, &record);
                }
            }
        }
        panic!("no cell has {}", self.project)
    }

    fn bucket(&self, cell: &Arc<Cell>, record: &Versioned<Record>) -> Bucket {
        Bucket::Etcd(Arc::new(EtcdBucket::new(Arc::clone(cell), self.project.clone(), record.fence())))
    }

    fn put(&mut self, name: &str, value: &str) -> Result<Revision, StorageError> {
        self.request(|bucket| {
            let written = bucket.write_one(clock::wall_ms(), Op::put(key(name), value.as_bytes(), None))?;
            let Done::Put { meta, .. } = written.answer.unwrap() else { panic!("{name} was not put") };
            Ok(meta.revision)
        })
    }

    fn get(&mut self, name: &str) -> Result<Option<(u64, Revision)>, StorageError> {
        self.request(|bucket| {
            let read = bucket.get(clock::wall_ms(), key(name), When::ALWAYS, |read| match read {
                Read::Found(item) => {
                    Some((str::from_utf8(item.value).unwrap().parse().unwrap(), item.meta.revision))
                }
                Read::Absent | Read::Refused(_) => None,
            });
            Ok(read?.wait()?.answer)
        })
    }

    fn entries(&mut self) -> BTreeMap<String, (String, EntryMeta)> {
        let read = self.request(|bucket| {
            let mut entries = BTreeMap::new();
            let mut sink = |item: Item<'_>| {
                let value = String::from_utf8(item.value.to_vec()).unwrap();
                entries.insert(item.key.to_owned(), (value, item.meta));
            };
            bucket.scan_through(clock::wall_ms(), &Scan::under(""), &mut sink)?;
            Ok(entries)
        });
        read.unwrap()
    }
}

/// Values and times, without revisions.
fn without_revisions(entries: &BTreeMap<String, (String, EntryMeta)>) -> Vec<(String, String, [u64; 3])> {
    let entry = |(key, (value, meta)): (&String, &(String, EntryMeta))| {
        (key.clone(), value.clone(), [meta.created_ms, meta.updated_ms, meta.expires_ms.unwrap_or(0)])
    };
    entries.iter().map(entry).collect()
}

/// Ends the other threads of a test, also if it fails.
pub struct End<'e>(pub &'e AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn begun(cells: &Cells, project: &str, goal: &str) -> Option<Box<Move>> {
    match moving::begin(cells, &id(project), goal).unwrap() {
        Begun::Move(begun) => Some(begun),
        Begun::Done => None,
    }
}

/// Runs a move to its end.
fn run(cells: &Cells, project: &str, goal: &str) -> Vec<Step> {
    let Some(mut begun) = begun(cells, project, goal) else { return Vec::new() };
    let mut steps = Vec::new();
    while steps.last() != Some(&Step::Finished) {
        assert!(steps.len() < 2 * STEPS_MAX, "{steps:?}");
        steps.push(begun.step().unwrap());
    }
    steps
}

/// Whatever the cell has of a project.
fn leftovers(cell: &Cell, project: &str) -> i64 {
    let count = |range: Range| cell.range(&Range { count_only: true, ..range }).unwrap().count as i64;
    let exact = ["e", "m", "r"].map(|kind| Range::key(Bytes::from(format!("{kind}/{project}"))));
    exact.into_iter().map(count).sum::<i64>() + count(Range::prefix(Bytes::from(format!("v/{project}/"))))
}

/// The project is on the cell `name` alone, and takes writes.
fn check_whole(cells: &Cells, project: &str, name: &str) {
    let listed = placement::read(cells.home(), &id(project)).unwrap().unwrap().value;
    let state = (listed.cell.as_str(), listed.state, listed.other.as_deref());
    assert_eq!(state, (name, PlacementState::Live, None));
    let found = record::read(cells.find(name).unwrap(), &id(project)).unwrap().unwrap();
    assert_eq!((listed.fence, listed.record.as_ref()), (found.mod_revision, Some(&found.value)));
    assert!(!found.value.is_sealed);
    let other = if name == "home" { "away" } else { "home" };
    assert_eq!(leftovers(cells.find(other).unwrap(), project), 0);
}

#[test]
fn a_project_is_whole_wherever_its_mover_ends_and_another_run_completes_or_reverts_the_move() {
    let Some(clusters) = TwoCells::start() else { return };
    let cells = clusters.cells();
    for steps in 0..=STEPS_MAX {
        for (goal, continues) in [("away", "away"), ("away", "home"), ("home", "home"), ("home", "away")] {
            let source = if goal == "away" { "home" } else { "away" };
            let project = format!("p{steps}-{goal}-{continues}");
            create(&cells, source, &project);
            let mut instance = Instance::new(&cells, &project);
            for number in 0..70 {
                let expires_ms = (number % 2 == 0).then(|| clock::wall_ms() + 1_000_000);
                let meta =
                    EntryMeta { revision: Revision::ZERO, created_ms: number, updated_ms: 7, expires_ms };
                let name = format!("k{number:03}");
                let stored = instance.request(|bucket| {
                    bucket.write_one(clock::wall_ms(), Op::restore(key(&name), b"1", meta))
                });
                stored.unwrap().answer.unwrap();
            }
            let before = instance.entries();
            let latest = before.values().map(|(_, meta)| meta.revision).max().unwrap();
            let mut first = begun(&cells, &project, goal).unwrap();
            let mut done = Vec::new();
            while done.len() < steps && done.last() != Some(&Step::Finished) {
                done.push(first.step().unwrap());
                let now = (instance.entries(), Instance::new(&cells, &project).entries());
                assert_eq!(without_revisions(&now.0), without_revisions(&before), "{project}: {done:?}");
                assert_eq!(now.0, now.1, "{project}: {done:?}");
            }
            let is_over = done.last() == Some(&Step::Finished);
            let more = run(&cells, &project, continues);
            assert_eq!(more.is_empty(), is_over && goal == continues, "{project}: {done:?}, {more:?}");
            check_whole(&cells, &project, continues);
            // The first one was only slow.
            if !is_over {
                assert_eq!(first.step(), Err(MoveError::Claim(ClaimError::Overtaken)), "{project}: {done:?}");
            }
            check_whole(&cells, &project, continues);
            let after = instance.entries();
            assert_eq!(without_revisions(&after), without_revisions(&before), "{project}");
            if continues != source {
                let earliest = after.values().map(|(_, meta)| meta.revision).min().unwrap();
                assert!(earliest > latest, "{project}: a revision was used twice");
            }
            assert!(instance.put("new", "1").unwrap() > latest);
        }
    }
}

/// Writes growing numbers to the key `name`.
fn write_numbers(
    cells: &Cells,
    name: &str,
    acknowledged: &AtomicU64,
    closed: &AtomicU64,
    is_over: &AtomicBool,
) {
    let mut instance = Instance::new(cells, "p");
    let (mut value, mut latest) = (0, Revision::ZERO);
    while !is_over.load(Ordering::Relaxed) {
        value += 1;
        match instance.put(name, &value.to_string()) {
            Ok(revision) => {
                assert!(revision > latest, "{revision} after {latest}");
                latest = revision;
                acknowledged.store(value, Ordering::Release);
            }
            Err(StorageError::Closed) => drop(closed.fetch_add(1, Ordering::Relaxed)),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Reads what [`write_numbers`] writes.
fn read_numbers(cells: &Cells, name: &str, acknowledged: &AtomicU64, is_over: &AtomicBool) {
    let (mut instance, mut seen) = (Instance::new(cells, "p"), (0, Revision::ZERO));
    while !is_over.load(Ordering::Relaxed) {
        let least = acknowledged.load(Ordering::Acquire).max(seen.0);
        let Some((value, revision)) = instance.get(name).unwrap() else {
            assert_eq!(least, 0, "{name}");
            continue;
        };
        assert!(value >= least, "{name}: {value} after {least}");
        assert!(revision >= seen.1, "{name}: {revision} after {}", seen.1);
        seen = (value, revision);
    }
}

#[test]
fn a_project_is_read_and_written_while_it_moves_and_no_acknowledged_write_is_lost() {
    let Some(clusters) = TwoCells::start() else { return };
    let cells = clusters.cells();
    create(&cells, "home", "p");
    (0..200).for_each(|number| drop(Instance::new(&cells, "p").put(&format!("k{number}"), "0")));
    let acknowledged: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
    let (is_over, closed) = (&AtomicBool::new(false), &AtomicU64::new(0));
    std::thread::scope(|scope| {
        for (number, acknowledged) in acknowledged.iter().enumerate() {
            let (cells, name) = (clusters.cells(), format!("w{number}"));
            scope.spawn(move || write_numbers(&cells, &name, acknowledged, closed, is_over));
            let (cells, name) = (clusters.cells(), format!("w{number}"));
            scope.spawn(move || read_numbers(&cells, &name, acknowledged, is_over));
        }
        let _end = End(is_over);
        let mut random = Random(7);
        let mut goal = "away";
        for _ in 0..6 {
            // Some commands end early, and the next one has another goal.
            for _ in 0..random.below(3) {
                let mut interrupted = begun(&cells, "p", ["home", "away"][random.below(2) as usize]);
                let steps = random.below(STEPS_MAX as u64);
                let steps = (0..steps).map_while(|_| interrupted.as_mut().map(|begun| begun.step().unwrap()));
                steps.take_while(|step| *step != Step::Finished).for_each(drop);
            }
            run(&cells, "p", goal);
            check_whole(&cells, "p", goal);
            goal = if goal == "away" { "home" } else { "away" };
        }
    });
    let mut instance = Instance::new(&cells, "p");
    for (number, acknowledged) in acknowledged.iter().enumerate() {
        let (value, _) = instance.get(&format!("w{number}")).unwrap().unwrap();
        assert_eq!(value, acknowledged.load(Ordering::Relaxed), "w{number}");
        assert!(value > 10, "the writers wrote");
    }
    assert!(closed.load(Ordering::Relaxed) > 0, "writes were refused while the keys were copied");
    assert_eq!(instance.entries().len(), 204);
}

#[test]
fn a_record_that_changes_while_its_project_moves_is_moved_by_the_next_run() {
    let Some(clusters) = TwoCells::start() else { return };
    let cells = clusters.cells();
    for steps in 0..5 {
        let project = format!("p{steps}");
        create(&cells, "home", &project);
        Instance::new(&cells, &project).put("a", "1").unwrap();
        let mut first = begun(&cells, &project, "away").unwrap();
        assert!((0..steps).all(|_| first.step().is_ok()));
        let Some(found) = record::read(cells.home(), &id(&project)).unwrap() else { break };
        let mut changed = found.value.clone();
        changed.project.as_mut().unwrap().key.hash = Some(KeyHash::of(b"new"));
        record::replace(cells.home(), &id(&project), &changed, found.mod_revision).unwrap().unwrap();
        let end = (0..STEPS_MAX).map(|_| first.step()).find_map(Result::err);
        assert_eq!(end, Some(MoveError::Claim(ClaimError::Overtaken)), "{steps}");
        run(&cells, &project, "away");
        check_whole(&cells, &project, "away");
        let moved = record::read(cells.find("away").unwrap(), &id(&project)).unwrap().unwrap();
        assert_eq!(moved.value.project.unwrap().key.hash, Some(KeyHash::of(b"new")), "{steps}");
    }
}

#[test]
fn a_move_that_cannot_begin_states_why() {
    let Some(clusters) = TwoCells::start() else { return };
    let cells = clusters.cells();
    create(&cells, "home", "p");
    let refused =
        |project: &str, goal: &str| moving::begin(&cells, &id(project), goal).unwrap_err().to_string();
    assert!(refused("absent", "away").contains("Project `absent` does not exist."));
    assert!(refused("p", "moon").contains("`engine.cells` in config.json has: home, away."));
    assert!(begun(&cells, "p", "home").is_none(), "it is there");
    for (state, part) in [
        (PlacementState::Creating, "is being created or deleted"),
        (PlacementState::Deleting, "is being created or deleted"),
        (PlacementState::Moving, "is being moved from `home` to `third`. Complete that first with"),
    ] {
        let listed = placement::read(cells.home(), &id("p")).unwrap().unwrap();
        let other = (state == PlacementState::Moving).then(|| "third".to_owned());
        let placed = Placement { state, other, ..listed.value };
        placement::replace(cells.home(), &id("p"), &placed, listed.mod_revision).unwrap().unwrap();
        assert!(refused("p", "away").contains(part), "{state:?}");
    }
}
