//! Starts with many projects: their files are opened by several threads.

use crate::harness::sim_disk::SimDisk;
use crate::harness::{Options, Server, known_config, wait_until};
use crate::simulation::catalog_faults::{id, keys, put, start};
use pikv::testing::config::file;
use pikv::testing::config::schema::{AuthenticationChoice, ProjectConfig, StorageChoice};
use pikv::testing::limits::PROJECTS_PER_OPENING_THREAD_MIN;
use pikv::testing::store::commit::CommitState;
use serde_json::json;
use std::path::Path;
use std::thread;

/// Enough for four threads.
const PROJECTS: usize = 4 * PROJECTS_PER_OPENING_THREAD_MIN;
const NO_STORAGE: StorageChoice =
    StorageChoice { on_disk: None, cache_in_memory: None, sync: None, sync_interval_seconds: None };
const NO_AUTHENTICATION: AuthenticationChoice =
    AuthenticationChoice { enabled: None, save_api_key_to_file: None };

/// A disk with a config.json that lists `p0` to `p{PROJECTS - 1}`.
fn disk() -> SimDisk {
    let disk = SimDisk::default();
    let mut config = file::default_config();
    for number in 0..PROJECTS {
        let project = ProjectConfig::new(id(&format!("p{number}")), NO_STORAGE, NO_AUTHENTICATION);
        config.add_project(project).unwrap();
    }
    file::save(&disk, Path::new("/config.json"), &config).unwrap();
    disk
}

fn has_file(disk: &SimDisk, name: &str) -> bool {
    disk.names().iter().any(|path| path.file_name().is_some_and(|file| file == name))
}

#[test]
fn a_file_that_is_slow_to_open_does_not_delay_the_other_projects_of_a_start() {
    let disk = disk();
    let directory = file::default_config().data_directory(Path::new("/config.json"));
    disk.hold(&format!("create {}", directory.join("p0.json.tmp").display()));
    thread::scope(|scope| {
        let started = scope.spawn(|| start(&disk));
        wait_until("the others are open", || {
            (1..PROJECTS).all(|number| has_file(&disk, &format!("p{number}.journal")))
        });
        assert_eq!(disk.held(), 1);
        assert!(!started.is_finished(), "a start ends once all projects are open");
        disk.let_go();
        let (catalog, threads) = started.join().unwrap();
        assert!(catalog.registry().projects.values().all(|served| served.bucket().is_ok()));
        threads.stop();
    });
}

#[test]
fn each_of_many_projects_is_opened_with_its_own_files() {
    let disk = disk();
    let (catalog, threads) = start(&disk);
    for number in (0..PROJECTS).step_by(7) {
        assert_eq!(put(&catalog, &format!("p{number}"), &format!("key{number}")), CommitState::Committed);
    }
    threads.stop();
    let (catalog, threads) = start(&disk.after_crash(0));
    for number in 0..PROJECTS {
        let name = format!("p{number}");
        assert_eq!(keys(&catalog, &name), u64::from(number % 7 == 0), "{name}");
        if number % 7 == 0 {
            put(&catalog, &name, &format!("key{number}"));
            assert_eq!(keys(&catalog, &name), 1, "{name} has the key of that number");
        }
    }
    threads.stop();
}

#[test]
fn a_panic_while_a_project_is_opened_refuses_that_one_and_nothing_hangs() {
    let disk = disk();
    let mut operations = 0;
    disk.set_between(Some(Box::new(move || {
        operations += 1;
        assert_ne!(operations, 500, "on purpose");
    })));
    let (catalog, threads) = start(&disk);
    let registry = catalog.registry();
    let refused = registry.projects.values().filter(|served| served.bucket().is_err()).count();
    assert_eq!((refused, registry.projects.len()), (1, PROJECTS + 1));
    threads.stop();
}

#[test]
fn projects_that_cannot_be_opened_are_logged_in_the_order_of_the_configuration() {
    let mut config = known_config();
    config["projects"] = (0..PROJECTS).map(|number| json!({"id": format!("p{number}")})).collect();
    let mut server = Server::start_as(Options { config: Some(config), ..Options::default() });
    server.terminate();
    let damaged: Vec<_> = (0..PROJECTS).step_by(5).map(|number| format!("p{number}")).collect();
    for name in &damaged {
        std::fs::write(server.data_path(&format!("{name}.json")), "{").unwrap();
    }
    server.start_again();
    server.await_stderr("listening on");
    let text = server.stderr_text();
    let errors = text.lines().filter_map(|line| line.split_once(" ERROR project ")?.1.split_once(':'));
    assert_eq!(errors.map(|(name, _)| name).collect::<Vec<_>>(), damaged);
}
