//! Records and placements, which several instances create and change at the same time.

use crate::harness::etcd::EtcdCluster;
use pikv::testing::config::schema::{AuthenticationChoice, ProjectConfig, StorageChoice};
use pikv::testing::names::{InternalProject, ProjectId};
use pikv::testing::secret::{KeyHash, Secret};
use pikv::testing::storage::etcd::cell::Cell;
use pikv::testing::storage::etcd::gateway::{Bytes, Operation, Transaction};
use pikv::testing::storage::etcd::placement::{self, Addition, Placement, PlacementState};
use pikv::testing::storage::etcd::record::{self, Creation, Record, RecordError, Versioned};
use std::sync::{Arc, Barrier};

const NOW_MS: u64 = 1_800_000_000_000;

fn id(text: &str) -> ProjectId {
    ProjectId::parse(text).unwrap()
}

fn project(name: &str, key: &[u8]) -> ProjectConfig {
    let mut project = ProjectConfig::new(id(name), StorageChoice::default(), AuthenticationChoice::default());
    project.key.hash = Some(KeyHash::of(key));
    project
}

fn placed(state: PlacementState) -> Placement {
    Placement { cell: "home".to_owned(), state, other: None, fence: 0, record: None }
}

/// The results of `act` on instances that begin at the same moment.
fn race<T: Send>(cluster: &EtcdCluster, instances: usize, act: impl Fn(usize, &Cell) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(instances);
    std::thread::scope(|scope| {
        let run = |number: usize| {
            let (cell, barrier, act) = (cluster.cell(), &barrier, &act);
            scope.spawn(move || {
                barrier.wait();
                act(number, &cell)
            })
        };
        let threads: Vec<_> = (0..instances).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn of_instances_that_create_a_record_one_wins_and_all_see_its_record() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    for name in ["a", "b", "c"] {
        let created = race(&cluster, 8, |number, cell| {
            let mut project = project(name, number.to_string().as_bytes());
            project.key.text = Some(Secret::new("canary_of_sixteen".to_owned()));
            record::create(cell, &id(name), Some(project), NOW_MS + number as u64).unwrap()
        });
        let winners = created.iter().filter(|creation| matches!(creation, Creation::Created(_))).count();
        assert_eq!(winners, 1);
        let stored = record::read(&cluster.cell(), &id(name)).unwrap().unwrap();
        for creation in created {
            let (Creation::Created(seen) | Creation::Existing(seen)) = creation;
            assert_eq!(seen, stored);
        }
    }
    assert_eq!(record::read(&cluster.cell(), &id("d")), Ok(None));
}

#[test]
fn a_record_is_replaced_and_removed_only_at_the_revision_that_was_seen() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = cluster.cell();
    let Ok(Creation::Created(first)) = record::create(&cell, &id("a"), Some(project("a", b"0")), NOW_MS)
    else {
        panic!()
    };
    let replaced = race(&cluster, 8, |number, cell| {
        let project = Some(project("a", number.to_string().as_bytes()));
        record::replace(cell, &id("a"), &Record { project, ..first.value.clone() }, first.mod_revision)
            .unwrap()
    });
    let winners: Vec<i64> = replaced.into_iter().flatten().collect();
    let stored = record::read(&cell, &id("a")).unwrap().unwrap();
    assert_eq!(winners, [stored.mod_revision]);
    assert_eq!(record::remove(&cell, &id("a"), first.mod_revision), Ok(false));
    assert_eq!(record::remove(&cell, &id("a"), stored.mod_revision), Ok(true));
    assert_eq!(record::remove(&cell, &id("a"), stored.mod_revision), Ok(false));
    assert_eq!(record::replace(&cell, &id("a"), &first.value, stored.mod_revision), Ok(None));
    // A project of the same id that is created later has later revisions.
    let Ok(Creation::Created(again)) = record::create(&cell, &id("a"), None, NOW_MS + 1) else { panic!() };
    assert!(again.value.base as i64 + again.mod_revision > first.value.base as i64 + stored.mod_revision);
}

#[test]
fn instances_that_start_together_share_the_signing_key_and_their_own_projects() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let keys = race(&cluster, 8, |number, cell| {
        record::signing_key(cell, &Secret::new(number.to_string())).unwrap()
    });
    assert_eq!(keys.iter().filter(|(_, is_new)| *is_new).count(), 1);
    assert!(keys.iter().all(|(key, _)| *key == keys[0].0));
    for project in InternalProject::ALL {
        race(&cluster, 4, |_, _| record::open_internal(&Arc::new(cluster.cell()), project).map(drop))
            .into_iter()
            .for_each(Result::unwrap);
        let stored = record::read(&cluster.cell(), &project.into()).unwrap().unwrap();
        assert_eq!(stored.value.project, None);
    }
}

#[test]
fn instances_that_add_projects_do_not_exceed_the_bound() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let added = race(&cluster, 8, |number, cell| {
        let names = [format!("own-{number}"), "shared".to_owned()];
        names
            .map(|name| placement::add_up_to(cell, &id(&name), &placed(PlacementState::Creating), 5).unwrap())
    });
    let count =
        |wanted: fn(&Addition) -> bool| added.iter().flatten().filter(|addition| wanted(addition)).count();
    assert_eq!(count(|addition| matches!(addition, Addition::Added { .. })), 5);
    assert!(count(|addition| *addition == Addition::Full) > 0);
    let shared = added.iter().filter(|[_, shared]| matches!(shared, Addition::Added { .. })).count();
    assert!(shared <= 1, "{added:?}");
    assert_eq!(placement::load(&cluster.cell()).unwrap().projects.len(), 5);
}

#[test]
fn every_change_of_a_placement_is_noticed() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = cluster.cell();
    assert_eq!(placement::load(&cell).unwrap().revision, 0);
    let Ok(Addition::Added { mod_revision }) =
        placement::add(&cell, &id("a"), &placed(PlacementState::Creating))
    else {
        panic!()
    };
    assert_eq!(placement::revision(&cell), Ok(mod_revision));
    let live = placed(PlacementState::Live);
    let again = placement::add(&cell, &id("a"), &live).unwrap();
    let value = placed(PlacementState::Creating);
    assert_eq!(again, Addition::Existing(Versioned { value, mod_revision }));
    let replaced = placement::replace(&cell, &id("a"), &live, mod_revision).unwrap().unwrap();
    assert_eq!(placement::revision(&cell), Ok(replaced));
    assert_eq!(placement::replace(&cell, &id("a"), &live, mod_revision), Ok(None));
    assert_eq!(placement::remove(&cell, &id("a"), mod_revision), Ok(false));
    assert_eq!(placement::revision(&cell), Ok(replaced), "a change that is refused changes nothing");
    let read = placement::read(&cell, &id("a")).unwrap();
    assert_eq!(read, Some(Versioned { value: live, mod_revision: replaced }));
    assert_eq!(placement::remove(&cell, &id("a"), replaced), Ok(true));
    assert!(placement::revision(&cell).unwrap() > replaced);
    assert_eq!(placement::load(&cell).unwrap().projects.len(), 0);
}

#[test]
fn many_projects_are_loaded_at_one_revision_while_others_change() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = cluster.cell();
    // More than two pages, in transactions of as many operations as etcd allows.
    let value = Bytes::from(&br#"{"cell":"home","state":"live","fence":0}"#[..]);
    let names: Vec<String> = (0..1_100).map(|number| format!("p{number:05}")).collect();
    for names in names.chunks(100) {
        let put =
            |name: &String| Operation::Put { key: Bytes::from(format!("p/{name}")), value: value.clone() };
        let success = names.iter().map(put).collect();
        cell.commit(&Transaction { success, ..Transaction::default() }).unwrap();
    }
    std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            let (first, last) = (id("a"), id("z"));
            for _ in 0..30 {
                for id in [&first, &last] {
                    placement::add(&cell, id, &placed(PlacementState::Live)).unwrap();
                }
                for id in [&last, &first] {
                    let stored = placement::read(&cell, id).unwrap().unwrap();
                    assert!(placement::remove(&cell, id, stored.mod_revision).unwrap());
                }
            }
        });
        for _ in 0..30 {
            let loaded = placement::load(&cluster.cell()).unwrap();
            // `z` exists only while `a` does.
            let has = |name: &str| loaded.projects.contains_key(&id(name));
            assert!(has("a") || !has("z"));
            let others = usize::from(has("a")) + usize::from(has("z"));
            assert_eq!(loaded.projects.len(), names.len() + others);
        }
        changes.join().unwrap();
    });
}

#[test]
fn a_value_of_a_later_version_is_named_and_hides_no_other_project() {
    let Some(cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = cluster.cell();
    placement::add(&cell, &id("a"), &placed(PlacementState::Live)).unwrap();
    let later = Bytes::from(&br#"{"cell":"home","state":"live","fence":0,"region":1}"#[..]);
    for key in ["p/b", "p/_c", "e/b"] {
        let success = vec![Operation::Put { key: Bytes::from(key.as_bytes()), value: later.clone() }];
        cell.commit(&Transaction { success, ..Transaction::default() }).unwrap();
    }
    let loaded = placement::load(&cell).unwrap();
    assert_eq!(loaded.projects.keys().collect::<Vec<_>>(), [&id("a")]);
    let texts: Vec<String> = loaded.unread.iter().map(ToString::to_string).collect();
    assert!(
        matches!(&texts[..], [first, second] if first.contains("`p/_c`") && second.contains("unknown field `region`")),
        "{texts:?}"
    );
    for error in [
        record::read(&cell, &id("b")).unwrap_err(),
        record::create(&cell, &id("b"), None, NOW_MS).unwrap_err(),
        placement::read(&cell, &id("b")).unwrap_err(),
        placement::add(&cell, &id("b"), &placed(PlacementState::Live)).unwrap_err(),
    ] {
        assert!(matches!(error, RecordError::Invalid { .. }), "{error:?}");
    }
}

#[test]
fn a_cell_that_is_down_gives_errors_in_time() {
    let Some(mut cluster) = EtcdCluster::start(1, &[]) else { return };
    let cell = Arc::new(cluster.cell());
    cluster.kill(0);
    let began = std::time::Instant::now();
    assert!(matches!(record::read(&cell, &id("a")), Err(RecordError::Cell(_))));
    assert!(matches!(placement::load(&cell), Err(RecordError::Cell(_))));
    assert!(record::open_internal(&cell, InternalProject::Accounts).is_err());
    let bound = 3 * pikv::testing::limits::CELL_REQUEST_MS + 1_000;
    assert!(began.elapsed().as_millis() < u128::from(bound), "{:?}", began.elapsed());
}
