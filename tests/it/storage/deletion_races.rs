//! Writes that race with the deletion of their project: they come before it, or the project is missing.

use crate::harness::Writes as _;
use crate::harness::kv::{Kv, PROJECTS};
use crate::harness::project_of;
use crate::harness::sim_disk::SimDisk;
use crate::harness::wait_until;
use crate::harness::workload::{START_MS, key};
use crate::simulation::catalog_faults::{NO_AUTHENTICATION, NO_STORAGE, id, start};
use pikv::testing::api::error::ApiError;
use pikv::testing::persist::live::project::{Health, Project};
use pikv::testing::store::commit::{Commit, CommitState};
use pikv::testing::store::error::StorageError;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn write(project: &Arc<Project>) -> Result<Option<Commit>, StorageError> {
    let put = project.write(START_MS, |t| Ok::<_, ()>(t.put(key("a"), b"1", None)));
    put.map(|answered| answered.commit)
}

/// Checks that a client is told that the project `again` was deleted.
#[track_caller]
fn check_missing(result: Result<(), ApiError>) {
    let error = result.unwrap_err();
    let text = "Project `again` was deleted. POST /api/v1/projects creates a new one.";
    assert_eq!((error.status(), error.detail().as_str()), (404, text));
}

#[test]
fn a_write_to_a_deleted_project_reports_it_as_deleted() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    let served = Arc::clone(&catalog.registry().projects[&id("again")]);
    let project = Arc::clone(project_of(&served).unwrap());
    catalog.delete(&id("again")).unwrap();
    let refused = write(&project).unwrap_err();
    assert_eq!(refused, StorageError::Deleted(id("again")));
    check_missing(Err(ApiError::from(refused)));
    assert_eq!(project.health(), Health::Deleted);
    assert!(served.is_ready(), "a deletion is no failure");
    threads.stop();
}

#[test]
fn a_write_that_waits_while_its_project_is_deleted_reports_it_as_deleted() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    threads.stop(); // nobody writes what is pending
    let served = Arc::clone(&catalog.registry().projects[&id("again")]);
    let commit = write(project_of(&served).unwrap()).unwrap().expect("it waits");
    catalog.delete(&id("again")).unwrap();
    assert_eq!(commit.outcome(), CommitState::Deleted(id("again")));
    check_missing(commit.failure().map_or(Ok(()), |error| Err(error.into())));
}

#[test]
fn project_is_missing_while_its_files_are_removed() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    let catalog = Arc::new(catalog);
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    let looks = Arc::new(AtomicU64::new(0));
    let (looked, counted, handle) = (Arc::clone(&catalog), Arc::clone(&looks), disk.clone());
    disk.set_between(Some(Box::new(move || {
        if handle.operation(handle.operations() - 1).starts_with("remove /storage_data/again.") {
            let registry = looked.registry();
            if let Some(served) = registry.projects.get(&id("again")) {
                check_missing(served.bucket().map(drop).map_err(ApiError::from));
                assert!(served.is_ready());
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    })));
    catalog.delete(&id("again")).unwrap();
    disk.set_between(None);
    assert!(looks.load(Ordering::Relaxed) > 0);
    threads.stop();
}

#[test]
fn clients_that_write_while_a_project_is_deleted_and_created_never_get_a_failure() {
    let kv = Kv::new();
    let settings = json!({"id": "s", "authentication": {"enabled": false}});
    kv.create_project(&settings);
    let (is_over, written, missing) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (kv, is_over, written, missing) = (&kv, &is_over, &written, &missing);
            scope.spawn(move || {
                let mut connection = kv.global().connect();
                let target = format!("{PROJECTS}/s/keys/{writer}");
                while !is_over.load(Ordering::Relaxed) {
                    let put = connection.send("PUT", &target, &[("Content-Type", "application/json")], b"1");
                    match put.status {
                        200 | 201 => written.fetch_add(1, Ordering::Relaxed),
                        404 => missing.fetch_add(1, Ordering::Relaxed),
                        _ => panic!("{put:?}"),
                    };
                }
            });
        }
        for _ in 0..40 {
            let before = written.load(Ordering::Relaxed);
            wait_until("something is written", || written.load(Ordering::Relaxed) > before);
            kv.global().delete(&format!("{PROJECTS}/s")).expect(204);
            kv.create_project(&settings);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(missing.load(Ordering::Relaxed) > 0, "none met a deletion");
}
