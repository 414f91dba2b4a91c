//! Projects created, changed and deleted while the disk fails or the process ends halfway.

use crate::harness::Writes as _;
use crate::harness::project_of;
use crate::harness::sim_disk::{ENOSPC, Failure, Lasting, SimDisk};
use pikv::testing::api::error::ApiError;
use pikv::testing::catalog::{ChangeError, FileCatalog};
use pikv::testing::clock;
use pikv::testing::config::file;
use pikv::testing::config::schema::{AuthenticationChoice, ProjectConfig, StorageChoice, SyncMode};
use pikv::testing::disk::{Disk, Open, write_all_at};
use pikv::testing::names::{Key, ProjectId};
use pikv::testing::persist::files::guard::DirectoryGuard;
use pikv::testing::persist::live::project::Project;
use pikv::testing::persist::live::worker_threads::{ProjectQueues, WorkerThreads};
use pikv::testing::store::commit::CommitState;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

pub const NO_STORAGE: StorageChoice =
    StorageChoice { on_disk: None, cache_in_memory: None, sync: None, sync_interval_seconds: None };
const INTERVAL: StorageChoice = StorageChoice { sync: Some(SyncMode::Interval), ..NO_STORAGE };
pub const NO_AUTHENTICATION: AuthenticationChoice =
    AuthenticationChoice { enabled: None, save_api_key_to_file: None };

/// Error numbers of Linux.
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const EFBIG: i32 = 27;
const EROFS: i32 = 30;

pub fn id(text: &str) -> ProjectId {
    ProjectId::parse(text).unwrap()
}

pub fn start(disk: &SimDisk) -> (FileCatalog, WorkerThreads) {
    let path = Path::new("/config.json");
    let config = file::load(disk, path).unwrap().unwrap_or_else(file::default_config);
    let engine = ProjectQueues::new(Box::new(|| {}));
    let threads = engine.start().unwrap();
    (FileCatalog::open(Arc::new(disk.clone()), engine, path.to_owned(), config).unwrap(), threads)
}

pub fn put(catalog: &FileCatalog, project: &str, key: &str) -> CommitState {
    put_for(catalog, project, key, None)
}

fn put_for(catalog: &FileCatalog, project: &str, key: &str, ttl_ms: Option<u64>) -> CommitState {
    let served = Arc::clone(&catalog.registry().projects[&id(project)]);
    let written = project_of(&served).unwrap().write(clock::wall_ms(), |transaction| {
        transaction.put(Key::parse(key).unwrap(), b"1", ttl_ms);
        Ok::<(), ()>(())
    });
    let Ok(Some(commit)) = written.map(|answered| answered.commit) else { return CommitState::Failed };
    while commit.is_pending() {
        std::thread::sleep(Duration::from_millis(1));
    }
    commit.outcome()
}

pub fn keys(catalog: &FileCatalog, project: &str) -> u64 {
    let served = Arc::clone(&catalog.registry().projects[&id(project)]);
    project_of(&served).unwrap().read(0, |view| (view.totals().keys, view.revision())).unwrap().answer
}

#[test]
fn a_project_whose_sync_failed_accepts_no_other_storage_settings_until_a_restart() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    assert_eq!(put(&catalog, "first_project", "a"), CommitState::Committed);
    disk.fail_sync(0);
    assert_eq!(put(&catalog, "first_project", "b"), CommitState::Failed);
    disk.heal();
    assert!(catalog.update(&id("first_project"), INTERVAL, NO_AUTHENTICATION).is_err());
    let mut config = file::default_config();
    config.replace_settings(&id("first_project"), INTERVAL, NO_AUTHENTICATION);
    file::save(&disk, Path::new("/config.json"), &config).unwrap();
    catalog.reload().unwrap();
    assert_eq!(put(&catalog, "first_project", "c"), CommitState::Failed);
    assert_eq!(keys(&catalog, "first_project"), 1, "reads go on");
    threads.stop();
}

#[test]
fn a_project_that_is_created_again_after_any_crash_of_its_deletion_stays() {
    for at in 0.. {
        let disk = SimDisk::default();
        let (catalog, threads) = start(&disk);
        catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
        assert_eq!(put(&catalog, "again", "old"), CommitState::Committed);
        let begin = disk.operations();
        disk.crash_at(begin + at);
        let deleted = catalog.delete(&id("again")).is_ok();
        threads.stop();
        let disk = disk.after_kill();
        let (catalog, threads) = start(&disk);
        if catalog.registry().projects.contains_key(&id("again")) {
            assert_eq!(keys(&catalog, "again"), 1, "operation {at}: not deleted, or whole");
            catalog.delete(&id("again")).unwrap();
        }
        catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
        assert_eq!(keys(&catalog, "again"), 0, "operation {at}");
        assert_eq!(put(&catalog, "again", "new"), CommitState::Committed);
        threads.stop();
        let (catalog, threads) = start(&disk.after_kill());
        assert_eq!(keys(&catalog, "again"), 1, "operation {at}: what was acknowledged is there");
        threads.stop();
        if deleted {
            return;
        }
    }
}

#[test]
fn a_deletion_that_failed_halfway_can_be_repeated() {
    for at in 0.. {
        let disk = SimDisk::default();
        let (catalog, threads) = start(&disk);
        catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
        disk.fail_at(disk.operations() + at, Failure::Eio, Lasting::Once);
        let deleted = catalog.delete(&id("again")).is_ok();
        disk.heal();
        catalog.reload().unwrap();
        if let Some(served) = catalog.registry().projects.get(&id("again")).cloned() {
            assert!(!deleted);
            let serves = served.bucket().is_ok();
            assert!(!serves || put(&catalog, "again", "kept") == CommitState::Committed, "operation {at}");
            catalog.delete(&id("again")).unwrap();
        }
        catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
        assert_eq!(put(&catalog, "again", "new"), CommitState::Committed, "operation {at}");
        threads.stop();
        let (catalog, threads) = start(&disk.after_kill());
        assert_eq!(keys(&catalog, "again"), 1, "operation {at}");
        threads.stop();
        if deleted {
            return;
        }
    }
}

/// Wherever a deletion is cut off, it is undone or finished; what is put back after its files were removed
/// stays, whether the owner writes the project into config.json too or has it made anew.
#[test]
fn files_restored_after_a_deletion_stay_at_any_point_of_its_interruption() {
    let (values, config_path) = (Path::new("/storage_data/again.json"), Path::new("/config.json"));
    for (at, listed) in (0..).flat_map(|at| [(at, false), (at, true)]) {
        let disk = SimDisk::default();
        let (catalog, threads) = start(&disk);
        catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
        let before = file::load(&disk, config_path).unwrap().unwrap();
        disk.crash_at(disk.operations() + at);
        let deleted = catalog.delete(&id("again")).is_ok();
        threads.stop();
        let disk = disk.after_kill();
        let is_removed = !disk.names().iter().any(|name| name.ends_with("again.deleted") || name == values);
        if is_removed {
            disk.place(values, br#"{"kept":1}"#);
            if listed {
                file::save(&disk, config_path, &before).unwrap();
            }
            let (catalog, threads) = start(&disk);
            let marks = disk
                .names()
                .into_iter()
                .filter(|name| name.ends_with("again.deleted") || name.ends_with("again.removed"));
            assert_eq!(marks.count(), 0, "operation {at}");
            if !catalog.registry().projects.contains_key(&id("again")) {
                catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
            }
            assert_eq!(keys(&catalog, "again"), 1, "operation {at}");
            threads.stop();
        }
        if deleted && listed {
            return;
        }
    }
}

#[test]
fn leftovers_of_a_deletion_do_not_appear_in_the_next_project_of_that_name() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    assert_eq!(put(&catalog, "again", "old"), CommitState::Committed);
    let without = file::default_config();
    // The first file is gone, the second is not.
    let begun = || disk.names().iter().any(|name| name.ends_with("again.deleted"));
    disk.refuse("remove /storage_data/again.json", EIO);
    catalog.delete(&id("again")).unwrap_err();
    disk.heal();
    assert!(begun() && disk.names().iter().any(|name| name.ends_with("again.json")), "{:?}", disk.names());
    file::save(&disk, Path::new("/config.json"), &without).unwrap();
    catalog.reload().unwrap();
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    assert_eq!(keys(&catalog, "again"), 0);
    threads.stop();
}

#[test]
fn a_mark_that_cannot_be_removed_deletes_nothing_of_the_next_project_of_that_name() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    let begin = disk.operations();
    catalog.delete(&id("again")).unwrap();
    let removed = (begin..disk.operations())
        .rfind(|at| disk.operation(*at).contains("remove /storage_data/again.removed"))
        .unwrap();
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    let listed = file::load(&disk, Path::new("/config.json")).unwrap().unwrap();
    disk.fail_at(disk.operations() + (removed - begin), Failure::Eio, Lasting::Once);
    catalog.delete(&id("again")).unwrap();
    assert!(disk.names().iter().any(|name| name.ends_with("again.removed")), "the test has met the mark");
    disk.heal();
    disk.place(Path::new("/storage_data/again.json"), br#"{"kept":1}"#);
    file::save(&disk, Path::new("/config.json"), &listed).unwrap();
    catalog.reload().unwrap();
    assert_eq!(keys(&catalog, "again"), 1);
    threads.stop();
}

#[test]
fn a_file_with_the_name_of_a_mark_that_is_not_empty_is_not_a_mark() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    assert_eq!(put(&catalog, "first_project", "a"), CommitState::Committed);
    threads.stop();
    disk.place(Path::new("/storage_data/first_project.deleted"), br#"{"kept":1}"#);
    let (catalog, threads) = start(&disk.after_kill());
    assert_eq!(keys(&catalog, "first_project"), 1);
    threads.stop();
}

fn copies(disk: &SimDisk) -> Vec<Vec<u8>> {
    let is_copy = |path: &PathBuf| path.to_string_lossy().contains(".replaced-");
    disk.names().into_iter().filter(is_copy).map(|path| disk.content(&path)).collect()
}

#[test]
fn files_that_a_project_in_memory_replaces_are_kept_until_it_is_deleted() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    let in_memory = StorageChoice { on_disk: Some(false), ..NO_STORAGE };
    catalog.create(id("again"), in_memory, NO_AUTHENTICATION).unwrap();
    disk.place(Path::new("/storage_data/again.json"), br#"{"kept":1}"#);
    disk.place(Path::new("/storage_data/again.journal"), b"changes that the .json does not have");
    disk.place(Path::new("/storage_data/again.json.of-its-owner"), b"");
    let on_disk = StorageChoice { on_disk: Some(true), ..NO_STORAGE };
    catalog.update(&id("again"), on_disk, NO_AUTHENTICATION).unwrap();
    assert_eq!(copies(&disk), [b"changes that the .json does not have".as_slice(), br#"{"kept":1}"#]);
    assert_eq!(keys(&catalog, "again"), 0);
    catalog.delete(&id("again")).unwrap();
    assert!(copies(&disk).is_empty());
    assert!(disk.names().iter().any(|path| path.ends_with("again.json.of-its-owner")));
    threads.stop();
}

/// What is left of a project that was given up, until it is freed; it must be within seconds.
fn await_freed(project: &Weak<Project>) {
    for _ in 0..1_000 {
        if project.strong_count() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the project is still held");
}

#[test]
fn a_closed_project_is_freed_although_one_of_its_keys_expires_in_a_year() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    let held = |catalog: &FileCatalog| {
        let served = Arc::clone(&catalog.registry().projects[&id("again")]);
        Arc::downgrade(project_of(&served).unwrap())
    };
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    let year_ms = 365 * 24 * 60 * 60 * 1_000;
    assert_eq!(put_for(&catalog, "again", "a", Some(year_ms)), CommitState::Committed);
    let first = held(&catalog);
    catalog.update(&id("again"), INTERVAL, NO_AUTHENTICATION).unwrap();
    await_freed(&first);
    let second = held(&catalog);
    assert_eq!(keys(&catalog, "again"), 1);
    catalog.delete(&id("again")).unwrap();
    await_freed(&second);
    threads.stop();
}

fn all_are_ready(catalog: &FileCatalog) -> bool {
    catalog.registry().projects.values().all(|served| served.is_ready())
}

#[test]
fn a_project_being_reopened_or_deleted_does_not_make_the_server_unready_unless_that_fails() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    let catalog = Arc::new(catalog);
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    let looks = Arc::new(Mutex::new(Vec::new()));
    let (looked, looking) = (Arc::clone(&catalog), Arc::clone(&looks));
    disk.set_between(Some(Box::new(move || looking.lock().unwrap().push(all_are_ready(&looked)))));
    catalog.update(&id("again"), INTERVAL, NO_AUTHENTICATION).unwrap();
    catalog.delete(&id("again")).unwrap();
    disk.set_between(None);
    let looks = looks.lock().unwrap();
    assert!(looks.len() > 6 && looks.iter().all(|ready| *ready), "{looks:?}");
    catalog.create(id("again"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
    disk.refuse("remove /storage_data/again.json", EIO);
    catalog.delete(&id("again")).unwrap_err();
    disk.heal();
    assert!(!all_are_ready(&catalog), "a deletion that stopped halfway is no readiness");
    catalog.delete(&id("again")).unwrap();
    assert!(all_are_ready(&catalog));
    threads.stop();
}

#[test]
fn a_change_that_could_not_be_saved_does_not_block_the_next_one() {
    for at in 0.. {
        let disk = SimDisk::default();
        let (catalog, threads) = start(&disk);
        catalog.create(id("before"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
        disk.fail_at(disk.operations() + at, Failure::Eio, Lasting::Once);
        let created = catalog.create(id("a"), NO_STORAGE, NO_AUTHENTICATION).is_ok();
        disk.heal();
        catalog.create(id("b"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
        assert_eq!(
            catalog.create(id("a"), NO_STORAGE, NO_AUTHENTICATION).is_err(),
            created,
            "operation {at}"
        );
        threads.stop();
        if created {
            return;
        }
    }
}

pub const IN_MEMORY: StorageChoice = StorageChoice { on_disk: Some(false), ..NO_STORAGE };
const ON_DISK: StorageChoice = StorageChoice { on_disk: Some(true), ..NO_STORAGE };

pub type Change = fn(&FileCatalog) -> Result<(), ChangeError>;

/// Every change over the API that saves config.json: its name and what does it.
pub const CHANGES: [(&str, Change); 5] = [
    ("create", |catalog| catalog.create(id("new"), NO_STORAGE, NO_AUTHENTICATION).map(drop)),
    ("update", |catalog| catalog.update(&id("first_project"), INTERVAL, NO_AUTHENTICATION).map(drop)),
    ("put on disk", |catalog| catalog.update(&id("light"), ON_DISK, NO_AUTHENTICATION).map(drop)),
    ("regenerate", |catalog| catalog.regenerate(&id("first_project")).map(drop)),
    ("delete", |catalog| catalog.delete(&id("first_project"))),
];

/// A catalog with a project on disk, one in memory and a key in each.
pub fn start_with_both(disk: &SimDisk) -> (FileCatalog, WorkerThreads) {
    let (catalog, threads) = start(disk);
    catalog.create(id("light"), IN_MEMORY, NO_AUTHENTICATION).unwrap();
    assert_eq!(put(&catalog, "first_project", "a"), CommitState::Committed);
    put(&catalog, "light", "a");
    (catalog, threads)
}

/// The configuration, the names of all files, and what is served.
fn picture(disk: &SimDisk, catalog: &FileCatalog) -> (Vec<u8>, Vec<PathBuf>, String) {
    let registry = catalog.registry();
    let served = registry.projects.values().map(|served| {
        let keys =
            project_of(served).map(|project| project.read(0, |view| (view.totals().keys, view.revision())));
        let keys = keys.map(|read| read.unwrap().answer);
        format!("{} {:?} {:?} {keys:?}\n", served.id, served.storage, served.key.map(|key| key.encode()))
    });
    (disk.content(Path::new("/config.json")), disk.names(), served.collect())
}

#[test]
fn a_change_that_cannot_be_saved_has_no_effect_and_names_the_reason() {
    for (what, code, words) in [
        ("rename to /config.json", EBUSY, "Mount its directory instead of the file"),
        ("create /config.json.tmp", EROFS, "mounted read-only"),
        ("create /config.json.tmp", EACCES, "may not create files in its directory"),
        ("create /config.json.tmp", EFBIG, "file-size limit"),
        ("write", EIO, ""),
        ("sync directory", EIO, ""),
    ] {
        for (name, change) in CHANGES {
            let disk = SimDisk::default();
            let (catalog, threads) = start_with_both(&disk);
            let before = picture(&disk, &catalog);
            disk.refuse(what, code);
            let detail = ApiError::from(change(&catalog).unwrap_err()).detail();
            assert!(detail.contains(words), "{name} {what}: {detail}");
            disk.heal();
            if what != "sync directory" {
                assert_eq!(picture(&disk, &catalog), before, "{name}: {what}");
            }
            catalog.create(id("after"), NO_STORAGE, NO_AUTHENTICATION).unwrap();
            threads.stop();
        }
    }
}

#[test]
fn a_change_refused_at_any_operation_leaves_the_state_before() {
    for (name, change) in CHANGES {
        for (failure, at) in
            [Failure::Eio, Failure::Enospc].into_iter().flat_map(|f| (0..40).map(move |at| (f, at)))
        {
            let disk = SimDisk::default();
            let (catalog, threads) = start_with_both(&disk);
            let before = picture(&disk, &catalog);
            disk.fail_at(disk.operations() + at, failure, Lasting::Once);
            let done = change(&catalog).is_ok();
            disk.heal();
            let after = picture(&disk, &catalog);
            // A deletion whose mark was saved stays begun; nothing else is kept of a change that was refused.
            let is_mark =
                |path: &PathBuf| path.extension().is_some_and(|end| end == "deleted" || end == "removed");
            let is_begun = disk.names().iter().any(is_mark);
            if !done && !is_begun {
                assert_eq!(
                    (&after.1, &after.2),
                    (&before.1, &before.2),
                    "{name}: {failure:?} at operation {at}"
                );
                let (found, listed) = (file::parse(&after.0).unwrap(), file::parse(&before.0).unwrap());
                assert_eq!(found, listed, "{name}: {failure:?} at operation {at}");
            }
            threads.stop();
        }
    }
}

#[test]
fn deletion_on_a_full_disk_frees_the_space_that_saving_takes() {
    let disk = SimDisk::default();
    let (catalog, threads) = start_with_both(&disk);
    disk.refuse("create /config.json.tmp", ENOSPC);
    let begin = disk.operations();
    catalog.delete(&id("first_project")).unwrap();
    assert!(!disk.names().iter().any(|path| path.ends_with("first_project.json")));
    let cut = (begin..disk.operations()).filter(|at| disk.operation(*at).starts_with("cut ")).count();
    assert_eq!(cut, 2, "the files are open, so removing them frees nothing");
    threads.stop();
}

#[test]
fn edit_that_was_not_synced_is_on_the_disk_before_it_takes_effect() {
    let path = Path::new("/config.json");
    for replaced in [false, true] {
        let disk = SimDisk::default();
        let (catalog, threads) = start(&disk);
        file::save(&disk, path, &file::default_config()).unwrap();
        let mut edited = file::default_config();
        edited.remove_project(&id("first_project"));
        edited.authentication.enabled = false; // so that no key has to be saved
        let text = file::encode(&edited);
        // As editors do: in place, or by a new file that takes the name.
        if replaced {
            let new = disk.open(Path::new("/new"), Open::Create).unwrap();
            write_all_at(new.as_ref(), &text, 0).unwrap();
            disk.rename(Path::new("/new"), path).unwrap();
        } else {
            let old = disk.open(path, Open::Write).unwrap();
            write_all_at(old.as_ref(), &text, 0).unwrap();
            old.set_length(text.len() as u64).unwrap();
        }
        assert_ne!(disk.after_crash(0).content(path), text, "nobody has synced it");
        let (config, _) = catalog.reload().unwrap();
        assert!(config.projects().is_empty());
        assert_eq!(disk.after_crash(0).content(path), text, "replaced: {replaced}");
        threads.stop();
    }
}

#[test]
fn edit_that_comes_while_the_file_is_synced_takes_effect_too() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    let mut edited = file::default_config();
    edited.authentication.enabled = false; // so that no key has to be saved
    file::save(&disk, Path::new("/config.json"), &edited).unwrap();
    edited.remove_project(&id("first_project"));
    let text = file::encode(&edited);
    let (handle, first) = (disk.clone(), disk.operations());
    disk.set_between(Some(Box::new(move || {
        if handle.operations() == first {
            handle.place(Path::new("/config.json"), &text);
        }
    })));
    let (config, _) = catalog.reload().unwrap();
    assert!(disk.operation(first).starts_with("sync /config.json"), "{}", disk.operation(first));
    assert!(config.projects().is_empty());
    threads.stop();
}

#[test]
fn a_reload_is_refused_if_the_sync_fails_and_not_if_it_is_unsupported() {
    let disk = SimDisk::default();
    let (catalog, threads) = start(&disk);
    let mut edited = file::default_config();
    edited.authentication.enabled = false; // so that no key has to be saved
    file::save(&disk, Path::new("/config.json"), &edited).unwrap();
    disk.refuse("sync /config.json", EIO);
    let reason = catalog.reload().unwrap_err().to_string();
    assert!(reason.contains("/config.json") && reason.contains("cannot be synced"), "{reason}");
    assert_eq!(put(&catalog, "first_project", "still"), CommitState::Committed);
    disk.refuse("sync directory", EIO);
    assert!(catalog.reload().is_err());
    for code in [EINVAL, EROFS] {
        disk.refuse("sync /config.json", code);
        assert!(catalog.reload().is_ok());
    }
    threads.stop();
}

#[test]
fn project_that_would_be_stored_in_the_configuration_file_is_refused_everywhere_and_nothing_changes() {
    let disk = SimDisk::default();
    let mut config = file::default_config();
    config.persistent_file_path = "./".to_owned();
    file::save(&disk, Path::new("/config.json"), &config).unwrap();
    let (catalog, threads) = start(&disk);
    let before = disk.names();
    let text = disk.content(Path::new("/config.json"));
    let refused = catalog.create(id("config"), NO_STORAGE, NO_AUTHENTICATION).err().unwrap();
    assert!(
        matches!(&refused, ChangeError::FilesTaken { id, by: "the configuration file" } if id.as_str() == "config"),
        "{refused:?}"
    );
    assert_eq!((disk.names(), disk.content(Path::new("/config.json"))), (before.clone(), text));
    let (added, authentication) = (id("config"), NO_AUTHENTICATION);
    config.add_project(ProjectConfig::new(added, NO_STORAGE, authentication)).unwrap();
    file::save(&disk, Path::new("/config.json"), &config).unwrap();
    let text = disk.content(Path::new("/config.json"));
    let reason = catalog.reload().unwrap_err().to_string();
    assert!(
        reason.starts_with(
            "Project `config` would be stored in /./config.json, which is the configuration file"
        ),
        "{reason}"
    );
    assert!(catalog.registry().projects.contains_key(&id("first_project")));
    threads.stop();
    let engine = ProjectQueues::new(Box::new(|| {}));
    let path = Path::new("/config.json").to_owned();
    assert!(FileCatalog::open(Arc::new(disk.clone()), engine, path, config).is_err());
    assert_eq!(disk.content(Path::new("/config.json")), text);
}

#[test]
fn nothing_is_created_changed_or_deleted_in_a_directory_of_another_server() {
    let disk = SimDisk::default();
    let (lock, path) = (Path::new("/storage_data/pikv.lock"), Path::new("/config.json"));
    disk.place(lock, b"1\n");
    let locked = disk.status(lock).unwrap().identity;
    let guard = DirectoryGuard::new(Arc::new(disk.clone()), lock, locked).unwrap();
    let engine = ProjectQueues::guarding(Some(guard), Box::new(|| {}));
    let threads = engine.start().unwrap();
    let mut config = file::default_config();
    file::save(&disk, path, &config).unwrap();
    let catalog = FileCatalog::open(Arc::new(disk.clone()), engine, path.to_owned(), config.clone()).unwrap();
    assert_eq!(put(&catalog, "first_project", "a"), CommitState::Committed);
    disk.mount_over(Path::new("/storage_data"));
    let unavailable = |result: Result<(), ChangeError>| {
        assert!(matches!(result, Err(ChangeError::Storage(_))), "{result:?}")
    };
    let first = id("first_project");
    unavailable(catalog.create(id("new"), NO_STORAGE, NO_AUTHENTICATION).map(drop));
    unavailable(catalog.update(&first, INTERVAL, NO_AUTHENTICATION).map(drop));
    unavailable(catalog.regenerate(&first).map(drop));
    unavailable(catalog.delete(&first));
    // A reload takes effect as far as it needs no file there.
    config.replace_settings(
        &first,
        NO_STORAGE,
        AuthenticationChoice { enabled: Some(false), ..NO_AUTHENTICATION },
    );
    config
        .add_project(ProjectConfig::new(
            id("new"),
            NO_STORAGE,
            AuthenticationChoice { enabled: Some(false), ..NO_AUTHENTICATION },
        ))
        .unwrap();
    config.authentication.enabled = false;
    file::save(&disk, path, &config).unwrap();
    catalog.reload().unwrap();
    assert!(!catalog.registry().projects[&first].authentication.enabled);
    assert!(!catalog.registry().projects[&id("new")].is_ready());
    catalog.close();
    threads.stop();
    assert_eq!(disk.names(), [path], "nothing was written over the mount");
}
