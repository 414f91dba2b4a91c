//! What config.json holds after a change that was refused, and what a later change, a reload, a clean shutdown and a
//! start do then.

use crate::harness::sim_disk::{ENOSPC, Failure, Lasting, SimDisk};
use crate::simulation::catalog_faults::{
    CHANGES, Change, NO_AUTHENTICATION, NO_STORAGE, id, start, start_with_both,
};
use pikv::testing::api::error::ApiError;
use pikv::testing::catalog::{ChangeError, FileCatalog};
use pikv::testing::config::file;
use pikv::testing::config::schema::{Config, ProjectConfig};
use pikv::testing::persist::live::worker_threads::WorkerThreads;
use std::path::{Path, PathBuf};

const CONFIG: &str = "/config.json";
/// More operations, and more files opened, than any change of these tests takes.
const OPERATIONS_MAX: u64 = 80;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Operation(Failure, Lasting),
    Open(Lasting),
}

const FAULTS: [Fault; 6] = [
    Fault::Operation(Failure::Eio, Lasting::Once),
    Fault::Operation(Failure::Eio, Lasting::ForGood),
    Fault::Operation(Failure::Enospc, Lasting::Once),
    Fault::Operation(Failure::Enospc, Lasting::ForGood),
    Fault::Open(Lasting::Once),
    Fault::Open(Lasting::ForGood),
];

/// What ends the state that a refused change leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Change,
    ReloadAndChange,
    CleanShutdown,
}

impl Fault {
    fn begin(self, disk: &SimDisk, at: u64) {
        match self {
            Fault::Operation(failure, lasting) => disk.fail_at(disk.operations() + at, failure, lasting),
            Fault::Open(lasting) => disk.fail_open(disk.opens() + at, lasting),
        }
    }
}

fn on_file(disk: &SimDisk) -> Config {
    file::load(disk, Path::new(CONFIG)).unwrap().unwrap()
}

/// A catalog whose keys are all generated, so that no reload changes config.json.
fn start_complete(disk: &SimDisk) -> (FileCatalog, WorkerThreads) {
    let (catalog, threads) = start_with_both(disk);
    catalog.reload().unwrap();
    (catalog, threads)
}

fn check_not_edited(result: Result<(), ChangeError>, what: &str) {
    assert!(!matches!(result, Err(ChangeError::ConfigEdited)), "{what}: nobody edited config.json");
    assert!(result.is_ok(), "{what}: {result:?}");
}

fn create(catalog: &FileCatalog, project: &str) -> Result<(), ChangeError> {
    catalog.create(id(project), NO_STORAGE, NO_AUTHENTICATION).map(drop)
}

/// Returns whether the change met the fault.
fn check_refused(change: Change, fault: Fault, at: u64, next: Next, what: &str) -> bool {
    let disk = SimDisk::default();
    let (catalog, threads) = start_complete(&disk);
    let before = on_file(&disk);
    let begin = (disk.operations(), disk.opens());
    fault.begin(&disk, at);
    let refused = change(&catalog).is_err();
    let met = match fault {
        Fault::Operation(..) => disk.operations() > begin.0 + at,
        Fault::Open(_) => disk.opens() > begin.1 + at,
    };
    let _ = catalog.reload();
    disk.heal();
    // A deletion whose mark was saved stays begun; nothing else is kept of a change that was refused.
    let is_mark = |path: &PathBuf| path.extension().is_some_and(|end| end == "deleted" || end == "removed");
    let is_begun = disk.names().iter().any(is_mark);
    if next == Next::ReloadAndChange {
        catalog.reload().unwrap();
    }
    if next != Next::CleanShutdown {
        check_not_edited(create(&catalog, "later"), what);
    }
    catalog.close();
    threads.stop();
    let disk = disk.after_kill();
    let mut after = on_file(&disk);
    after.remove_project(&id("later"));
    assert!(!refused || is_begun || after == before, "{what}: the refused change is in config.json");
    let (catalog, threads) = start(&disk);
    let mut served: Vec<_> = catalog.registry().projects.keys().cloned().collect();
    served.retain(|project| *project != id("later"));
    let mut listed: Vec<_> = before.projects().iter().map(|project| project.id.clone()).collect();
    listed.sort();
    assert!(!refused || is_begun || served == listed, "{what}: {served:?} is served");
    check_not_edited(create(&catalog, "last"), what);
    threads.stop();
    met
}

#[test]
fn a_refused_change_is_not_an_edit_and_never_takes_effect() {
    for (name, change) in CHANGES {
        for fault in FAULTS {
            for at in 0..OPERATIONS_MAX {
                let nexts = [Next::Change, Next::ReloadAndChange, Next::CleanShutdown];
                let check = |next| {
                    check_refused(change, fault, at, next, &format!("{name}, {fault:?} at {at}, {next:?}"))
                };
                if !nexts.map(check).contains(&true) {
                    break;
                }
            }
        }
    }
}

/// A catalog on a disk that is full, and whose config.json lists the refused project `new`.
fn after_refused_creation() -> (SimDisk, FileCatalog, WorkerThreads) {
    for at in 0..OPERATIONS_MAX {
        let disk = SimDisk::default();
        let (catalog, threads) = start_complete(&disk);
        disk.fail_at(disk.operations() + at, Failure::Enospc, Lasting::ForGood);
        if create(&catalog, "new").is_err() && on_file(&disk).project(&id("new")).is_some() {
            return (disk, catalog, threads);
        }
        threads.stop();
    }
    panic!("no failure leaves the project in config.json");
}

#[test]
fn reloads_on_a_full_disk_keep_what_is_known_of_a_refused_change() {
    let (disk, catalog, threads) = after_refused_creation();
    for _ in 0..3 {
        catalog.reload().unwrap();
        assert!(!catalog.registry().projects.contains_key(&id("new")));
    }
    disk.fail_open(disk.opens(), Lasting::ForGood);
    assert!(catalog.reload().is_err());
    assert!(matches!(create(&catalog, "later"), Err(ChangeError::Disk(_))));
    disk.heal();
    catalog.reload().unwrap();
    assert!(on_file(&disk).project(&id("new")).is_none(), "the reload saves the configuration in force");
    assert!(!catalog.registry().projects.contains_key(&id("new")));
    threads.stop();
}

#[test]
fn a_deletion_on_the_still_full_disk_does_not_turn_the_refused_change_into_an_edit() {
    let (disk, catalog, threads) = after_refused_creation();
    disk.refuse("create /config.json.tmp", ENOSPC);
    catalog.delete(&id("first_project")).unwrap();
    catalog.reload().unwrap();
    disk.heal();
    check_not_edited(create(&catalog, "later"), "after a deletion");
    let found = on_file(&disk);
    assert!(found.project(&id("new")).is_none() && found.project(&id("first_project")).is_none());
    threads.stop();
}

#[test]
fn a_clean_shutdown_without_a_descriptor_removes_the_refused_change_after_closing_the_projects() {
    let (disk, catalog, threads) = after_refused_creation();
    disk.heal();
    disk.fail_open(disk.opens(), Lasting::Once);
    catalog.close();
    assert!(on_file(&disk).project(&id("new")).is_none());
    threads.stop();
}

#[test]
fn edit_on_top_of_a_refused_change_is_an_edit_and_takes_effect_as_it_is() {
    for keeps_project in [false, true] {
        let (disk, catalog, threads) = after_refused_creation();
        disk.heal();
        let mut edited = on_file(&disk);
        if !keeps_project {
            edited.remove_project(&id("new"));
        }
        edited.server_port = 3;
        file::save(&disk, Path::new(CONFIG), &edited).unwrap();
        assert!(matches!(create(&catalog, "later"), Err(ChangeError::ConfigEdited)));
        catalog.reload().unwrap();
        assert_eq!(catalog.registry().projects.contains_key(&id("new")), keeps_project);
        check_not_edited(create(&catalog, "later"), "after the reload");
        assert_eq!(on_file(&disk).server_port, edited.server_port);
        catalog.close();
        assert_eq!(on_file(&disk).project(&id("new")).is_some(), keeps_project);
        threads.stop();
    }
}

#[test]
fn keys_of_a_reload_that_could_not_save_them_are_generated_and_shown_by_the_next() {
    for at in 0..OPERATIONS_MAX {
        let disk = SimDisk::default();
        let (catalog, threads) = start_complete(&disk);
        let mut edited = on_file(&disk);
        edited.add_project(ProjectConfig::new(id("added"), NO_STORAGE, NO_AUTHENTICATION)).unwrap();
        file::save(&disk, Path::new(CONFIG), &edited).unwrap();
        let begin = disk.operations();
        disk.fail_at(begin + at, Failure::Eio, Lasting::Once);
        let failed = catalog.reload().is_err();
        let met = disk.operations() > begin + at;
        disk.heal();
        if failed {
            let (_, completed) = catalog.reload().unwrap();
            assert_eq!(completed.issued.len(), 1, "operation {at}: {}", disk.operation(begin + at));
        }
        threads.stop();
        if !met {
            return;
        }
    }
}

#[test]
fn a_change_without_a_file_descriptor_for_saving_names_the_limit() {
    let disk = SimDisk::default();
    let (catalog, threads) = start_complete(&disk);
    disk.fail_open(disk.opens() + 1, Lasting::Once); // the first one reads config.json
    let detail = ApiError::from(create(&catalog, "new").unwrap_err()).detail();
    assert!(detail.contains("`ulimit -n`"), "{detail}");
    threads.stop();
}
