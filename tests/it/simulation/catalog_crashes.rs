//! Projects created, moved to disk and deleted while the process is killed or the power fails at each operation
//! of the disk: config.json lists whatever has files, and nothing of a cut change stays or comes back.

use crate::harness::Writes as _;
use crate::harness::project_of;
use crate::harness::sim_disk::{ENOSPC, Failure, Lasting, SimDisk};
use crate::harness::wait_until;
use pikv::testing::catalog::{ChangeError, FileCatalog};
use pikv::testing::clock;
use pikv::testing::config::file;
use pikv::testing::config::schema::{AuthenticationChoice, StorageChoice, SyncMode};
use pikv::testing::names::{Key, ProjectId};
use pikv::testing::persist::files::deletion::SPARE_FILE;
use pikv::testing::persist::files::watermark;
use pikv::testing::persist::live::project::Project;
use pikv::testing::persist::live::worker_threads::{ProjectQueues, WorkerThreads};
use pikv::testing::store::commit::CommitState;
use pikv::testing::store::error::StorageError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const STORED: StorageChoice =
    StorageChoice { on_disk: None, cache_in_memory: None, sync: None, sync_interval_seconds: None };
const IN_MEMORY: StorageChoice = StorageChoice { on_disk: Some(false), ..STORED };
const ON_DISK: StorageChoice = StorageChoice { on_disk: Some(true), ..STORED };
const KEYS: AuthenticationChoice = AuthenticationChoice { enabled: None, save_api_key_to_file: None };
const DIRECTORY: &str = "/storage_data";
const EIO: i32 = 5;
/// Seed 0 loses all that was not synced, seed 1 nothing; the others keep parts.
const SEEDS: u64 = 4;

fn id(text: &str) -> ProjectId {
    ProjectId::parse(text).unwrap()
}

struct Server {
    catalog: FileCatalog,
    threads: WorkerThreads,
}

impl Server {
    fn start(disk: &SimDisk) -> Server {
        let path = Path::new("/config.json");
        let config = file::load(disk, path).unwrap().unwrap_or_else(file::default_config);
        let engine = ProjectQueues::new(Box::new(|| {}));
        let threads = engine.start().unwrap();
        let catalog = FileCatalog::open(Arc::new(disk.clone()), engine, path.to_owned(), config).unwrap();
        Server { catalog, threads }
    }

    fn stop(self) {
        self.catalog.close();
        self.threads.stop();
        self.catalog.release_revisions();
    }

    /// Writes a key. Returns its revision.
    fn put(&self, project: &str, key: &str) -> u64 {
        let served = Arc::clone(&self.catalog.registry().projects[&id(project)]);
        let key = Key::parse(key).unwrap();
        let put = |transaction: &mut pikv::testing::persist::live::transaction::Transaction<'_>| {
            transaction.put(key, b"1", None);
            Ok::<(), ()>(())
        };
        let written = project_of(&served).unwrap().write(clock::wall_ms(), put).unwrap();
        while written.commit.as_ref().is_some_and(|commit| commit.is_pending()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(written.commit.is_none_or(|commit| commit.outcome() == CommitState::Committed));
        self.revision(project)
    }

    fn revision(&self, project: &str) -> u64 {
        let served = Arc::clone(&self.catalog.registry().projects[&id(project)]);
        project_of(&served).unwrap().read(0, |view| (view.revision().get(), view.revision())).unwrap().answer
    }

    fn keys(&self, project: &str) -> u64 {
        let served = Arc::clone(&self.catalog.registry().projects[&id(project)]);
        project_of(&served).unwrap().read(0, |view| (view.totals().keys, view.revision())).unwrap().answer
    }

    fn has(&self, project: &str) -> bool {
        self.catalog.registry().projects.contains_key(&id(project))
    }

    fn create(&self, project: &str) {
        self.catalog.create(id(project), STORED, KEYS).unwrap();
    }
}

/// A disk with a project on disk and one in memory, both with a key, and the server that has them.
fn begin() -> (SimDisk, Server) {
    let disk = SimDisk::default();
    let server = Server::start(&disk);
    server.catalog.create(id("light"), IN_MEMORY, KEYS).unwrap();
    for project in ["first_project", "light"] {
        server.put(project, "a");
    }
    (disk, server)
}

/// All files but those of projects that config.json has on disk, and the server's own. The next save of config.json
/// removes its temporary file.
fn strays(disk: &SimDisk) -> Vec<PathBuf> {
    let config = file::load(disk, Path::new("/config.json")).unwrap().unwrap();
    let is_listed = |path: &Path| {
        let on_disk = config.projects().iter().filter(|project| config.storage_of(project).on_disk);
        on_disk.map(|project| project.id.as_str()).any(|id| {
            let names = [format!("{id}.json"), format!("{id}.journal")];
            names.iter().any(|name| path == Path::new(DIRECTORY).join(name))
        })
    };
    let own = [SPARE_FILE, "pikv.revision"].map(|name| Path::new(DIRECTORY).join(name));
    let is_own = |path: &PathBuf| own.contains(path) || path.parent() != Some(Path::new(DIRECTORY));
    disk.names().into_iter().filter(|path| !is_own(path) && !is_listed(path)).collect()
}

type Change = fn(&FileCatalog) -> Result<(), ChangeError>;

const CREATE: Change = |catalog| catalog.create(id("new"), STORED, KEYS).map(drop);
const MOVE: Change = |catalog| catalog.update(&id("light"), ON_DISK, KEYS).map(drop);
const DELETE: Change = |catalog| catalog.delete(&id("first_project"));

/// Cuts `change` off at each operation, by a kill and by power cuts, and has `check` look at the next start. It
/// is told whether the change was acknowledged. `prepare` may put files there that are to stay.
fn cut_everywhere(prepare: fn(&SimDisk), change: Change, check: fn(&Server, bool, &str)) {
    for at in 0.. {
        let (disk, server) = begin();
        prepare(&disk);
        let placed = strays(&disk);
        disk.crash_at(disk.operations() + at);
        let is_done = change(&server.catalog).is_ok();
        server.threads.stop();
        let kill = std::iter::once(("kill".to_owned(), disk.after_kill()));
        let power = (0..SEEDS).map(|seed| (format!("power cut, seed {seed}"), disk.after_crash(seed)));
        for (how, disk) in kill.chain(power) {
            let what = format!("{how} at operation {at}");
            let server = Server::start(&disk);
            // The first checkpoint of the next process has temporary files of its own for a moment.
            wait_until(&format!("nothing is left: {what}"), || {
                strays(&disk).iter().all(|path| placed.contains(path))
            });
            assert!(server.catalog.registry().projects.values().all(|served| served.is_ready()), "{what}");
            check(&server, is_done, &what);
            server.stop();
        }
        if is_done {
            return;
        }
    }
}

#[test]
fn creation_that_is_cut_off_leaves_an_empty_project_or_nothing() {
    cut_everywhere(
        |_| {},
        CREATE,
        |server, is_done, what| {
            assert!(!is_done || server.has("new"), "{what}");
            if !server.has("new") {
                server.create("new");
            }
            assert_eq!(server.keys("new"), 0, "{what}");
        },
    );
}

#[test]
fn move_to_disk_that_is_cut_off_leaves_files_only_if_config_has_them() {
    cut_everywhere(
        |_| {},
        MOVE,
        |server, is_done, what| {
            let is_on_disk = server.catalog.registry().projects[&id("light")].storage.on_disk;
            assert!(is_on_disk || !is_done, "{what}");
            let keys = server.keys("light");
            assert!(if is_done { keys == 1 } else { keys == 0 || is_on_disk }, "{what}: {keys} keys");
        },
    );
}

#[test]
fn deletion_that_is_cut_off_leaves_the_whole_project_or_nothing() {
    let no_space: fn(&SimDisk) = |disk| disk.refuse("create /storage_data/first_project.deleted", ENOSPC);
    for prepare in [|_: &SimDisk| {}, no_space] {
        cut_everywhere(prepare, DELETE, |server, is_done, what| {
            assert!(!is_done || !server.has("first_project"), "{what}");
            if server.has("first_project") {
                assert_eq!(server.keys("first_project"), 1, "{what}");
            } else {
                server.create("first_project");
                assert_eq!(server.keys("first_project"), 0, "{what}");
            }
        });
    }
}

#[test]
fn disk_that_creates_no_file_has_a_spare_one_for_each_deletion() {
    let (disk, server) = begin();
    let projects = ["b", "c"];
    projects.iter().for_each(|project| server.create(project));
    disk.refuse("create /storage_data/", ENOSPC);
    for project in projects {
        server.catalog.delete(&id(project)).unwrap();
        assert!(!server.has(project));
    }
    let spare = Path::new(DIRECTORY).join(SPARE_FILE);
    assert!(disk.names().contains(&spare), "it is kept for the next deletion");
    disk.heal();
    disk.take_away(&spare);
    disk.refuse("create /storage_data/", ENOSPC);
    let error = server.catalog.delete(&id("first_project")).unwrap_err();
    assert!(matches!(error, ChangeError::Storage(StorageError::Full)), "{error:?}");
    assert_eq!(server.keys("first_project"), 1, "it is as it was");
    disk.heal();
    disk.place(&spare, b"not empty");
    disk.refuse("create /storage_data/", ENOSPC);
    server.catalog.delete(&id("first_project")).unwrap_err();
    assert_eq!(disk.content(&spare), b"not empty");
    server.stop();
}

#[test]
fn a_file_of_the_operator_is_kept_by_an_interrupted_creation() {
    let place: fn(&SimDisk) = |disk| disk.place(Path::new("/storage_data/new.json"), br#"{"kept":1}"#);
    cut_everywhere(place, CREATE, |server, is_done, what| {
        assert!(!is_done || server.has("new"), "{what}");
        if !server.has("new") {
            server.create("new");
        }
        assert_eq!(server.keys("new"), 1, "{what}");
    });
}

#[test]
fn creation_whose_files_can_neither_be_completed_nor_removed_is_finished_by_the_next_start() {
    let (disk, server) = begin();
    let first = disk.operations();
    server.create("other");
    let renamed = (first..disk.operations())
        .find(|at| disk.operation(*at).contains("rename to /storage_data/other.journal"))
        .unwrap();
    disk.fail_at(disk.operations() + (renamed - first), Failure::Eio, Lasting::Once);
    disk.refuse("remove /storage_data/new", EIO);
    CREATE(&server.catalog).unwrap_err();
    disk.heal();
    assert!(!server.has("new"));
    assert!(disk.names().iter().any(|path| path.ends_with("new.json")), "the test left a file");
    server.stop();
    let server = Server::start(&disk);
    assert_eq!(strays(&disk), Vec::<PathBuf>::new());
    server.stop();
}

/// What a process left that ended while it wrote, and what an owner may have named alike.
#[test]
fn temporary_files_are_removed_if_they_are_certainly_of_this_server() {
    let (disk, server) = begin();
    server.stop();
    let journal = disk.content(Path::new("/storage_data/first_project.journal"));
    let place = |name: &str, bytes: &[u8]| disk.place(&Path::new(DIRECTORY).join(name), bytes);
    let ours: [(&str, &[u8]); 8] = [
        ("cut.json.tmp", b"{\n\"a\": 1"),
        ("cut.journal.tmp", &journal),
        ("early.json.tmp", b"{\n"),
        ("early.journal.tmp", &[0; 2000]),
        ("first.json.tmp", b""),
        ("any.json.edited-12.tmp", b"{"),
        ("first_project.journal.discarded-3.tmp", b"x"),
        ("_account_data.json.replaced-1795233915619.tmp", b""),
    ];
    let others: [(&str, &[u8]); 8] = [
        ("notes.json.tmp", b"{\n\"a\": 1}"),
        ("theirs.json.tmp", b"{\n"),
        ("theirs.journal.tmp", b"my diary"),
        ("any.json.edited-.tmp", b"{"),
        ("any.json.edited-1x.tmp", b"{"),
        ("Any.json.edited-1.tmp", b"{"),
        ("tmp", b""),
        ("kept.journal.tmp", &journal),
    ];
    ours.iter().chain(&others).for_each(|(name, bytes)| place(name, bytes));
    place("kept.json", b"{}"); // a swap of files that may have to be finished
    Server::start(&disk).stop();
    let names = disk.names();
    let is_there = |name: &str| names.contains(&Path::new(DIRECTORY).join(name));
    for (name, _) in ours {
        assert!(!is_there(name), "{name}");
    }
    for (name, _) in others {
        assert!(is_there(name), "{name}");
    }
}

/// Far ahead of the clock: each start finds the clock before what was given out, as on a board without a clock
/// that begins at the same instant each time.
const AHEAD: u64 = 5_000_000_000_000_000;

fn place_ahead(disk: &SimDisk) {
    disk.place(&watermark_path(), format!("{AHEAD}\n").as_bytes());
}

/// The number that a start finds after a power cut.
fn reserved(disk: &SimDisk) -> u64 {
    let text = String::from_utf8(disk.after_crash(0).content(&watermark_path())).unwrap();
    text.trim().parse().unwrap()
}

fn watermark_path() -> PathBuf {
    watermark::path_in(Path::new(DIRECTORY))
}

type Cut = fn(Server, &SimDisk) -> SimDisk;

/// The ways in which a run may end.
const ENDS: [(&str, Cut); 3] = [
    ("stop", |server, disk| {
        server.stop();
        disk.after_kill()
    }),
    ("kill", |server, disk| {
        server.threads.stop();
        disk.after_kill()
    }),
    ("power cut", |server, disk| {
        server.threads.stop();
        disk.after_crash(0)
    }),
];

#[test]
fn revisions_are_not_reused_although_the_clock_begins_at_the_same_instant() {
    for (end, cut) in ENDS {
        let (disk, server) = begin();
        server.stop();
        place_ahead(&disk);
        let server = Server::start(&disk);
        let mut last = BTreeMap::new();
        let mut check = |disk: &SimDisk, project, revision: u64| {
            let before = last.insert(project, revision).unwrap_or(AHEAD);
            assert!(revision > before, "{end}, {project}: {revision} after {before}");
            assert!(revision <= reserved(disk), "{end}, {project}: {revision} above {}", reserved(disk));
        };
        check(&disk, "light", server.put("light", "in memory"));
        for _ in 0..2 {
            server.create("again");
            check(&disk, "again", server.put("again", "a"));
            server.catalog.delete(&id("again")).unwrap();
        }
        server.catalog.update(&id("first_project"), IN_MEMORY, KEYS).unwrap();
        check(&disk, "first_project", server.put("first_project", "in memory"));
        let disk = cut(server, &disk);
        let server = Server::start(&disk);
        for project in ["light", "first_project"] {
            check(&disk, project, server.put(project, "b"));
        }
        server.create("again");
        check(&disk, "again", server.put("again", "b"));
        let disk = cut(server, &disk);
        // Files whose owner takes the journal away: every key has a new revision.
        disk.take_away(Path::new("/storage_data/again.journal"));
        disk.place(Path::new("/storage_data/again.json"), br#"{"a":2}"#);
        let server = Server::start(&disk);
        let served = Arc::clone(&server.catalog.registry().projects[&id("again")]);
        let revision = project_of(&served).unwrap().read(0, |view| {
            let entry = view.get(Key::parse("a").unwrap()).unwrap();
            (entry.revision().get(), entry.revision())
        });
        check(&disk, "again", revision.unwrap().answer);
        server.stop();
    }
}

#[test]
fn revisions_are_not_reused_after_a_start_is_interrupted_at_any_point() {
    let (disk, server) = begin();
    server.stop();
    place_ahead(&disk);
    let server = Server::start(&disk);
    server.create("again");
    let last = server.put("again", "a");
    assert!(last > AHEAD, "{last}");
    server.catalog.delete(&id("again")).unwrap();
    server.threads.stop();
    let operations = {
        let disk = disk.after_kill();
        let before = disk.operations();
        Server::start(&disk).threads.stop();
        disk.operations() - before
    };
    for at in 0..operations {
        let cut = disk.after_kill();
        cut.crash_at(cut.operations() + at);
        let config = file::load(&disk, Path::new("/config.json")).unwrap().unwrap();
        let engine = ProjectQueues::new(Box::new(|| {}));
        let opened = FileCatalog::open(Arc::new(cut.clone()), engine, "/config.json".into(), config);
        drop(opened);
        let disk = cut.after_crash(0);
        let server = Server::start(&disk);
        server.create("again");
        assert!(server.put("again", "b") > last, "operation {at}");
        server.threads.stop();
    }
}

/// `sync: interval` acknowledges what a power cut loses. The project's own files reach farther than `pikv.revision`.
#[test]
fn revisions_of_changes_that_were_lost_are_not_used_again() {
    let (disk, server) = begin();
    server.stop();
    place_ahead(&disk);
    let server = Server::start(&disk);
    let hourly =
        StorageChoice { sync: Some(SyncMode::Interval), sync_interval_seconds: Some(3_600), ..STORED };
    server.catalog.update(&id("first_project"), hourly, KEYS).unwrap();
    assert!(server.put("first_project", "kept") > AHEAD);
    server.stop();
    disk.place(&watermark_path(), b"1\n");
    let server = Server::start(&disk);
    let lost = server.put("first_project", "lost");
    let crashed = disk.after_crash(0); // an orderly stop syncs
    server.threads.stop();
    let server = Server::start(&crashed);
    assert_eq!(server.keys("first_project"), 2, "a change was lost");
    assert!(server.put("first_project", "after") > lost);
    server.stop();
}

#[test]
fn revisions_of_an_imported_and_deleted_project_are_not_reused() {
    let files = ["again.json", "again.journal"].map(|name| Path::new(DIRECTORY).join(name));
    let (elsewhere, server) = begin();
    server.stop();
    place_ahead(&elsewhere);
    let server = Server::start(&elsewhere);
    server.create("again");
    server.put("again", "a");
    server.stop();
    let (disk, server) = begin();
    files.iter().for_each(|path| disk.place(path, &elsewhere.content(path)));
    server.create("again");
    assert_eq!(server.keys("again"), 1);
    let brought = server.put("again", "b");
    assert!(brought > AHEAD, "{brought}");
    server.catalog.delete(&id("again")).unwrap();
    let disk = disk.after_crash(0);
    server.create("again");
    assert!(server.put("again", "b") > brought, "in the same run");
    server.stop();
    let server = Server::start(&disk);
    server.create("again");
    assert!(server.put("again", "b") > brought, "after a power cut");
    server.stop();
}

/// The clock of a run that takes long leaves behind what is reserved, and may be set back at its end.
#[test]
fn project_that_is_created_late_in_a_run_gives_no_revision_above_the_reserved_ones() {
    let disk = SimDisk::default();
    let engine = ProjectQueues::new(Box::new(|| {}));
    let start_ms = clock::wall_ms();
    engine.watermark.reserve(&disk, Path::new(DIRECTORY), start_ms).unwrap();
    let project = Project::in_memory(id("late"), engine, start_ms + 2 * 60 * 60 * 1000);
    let revision = Arc::new(project).read(0, |view| (view.revision().get(), view.revision())).unwrap().answer;
    assert!(revision < reserved(&disk), "{revision}");
}

#[test]
fn a_revision_file_with_other_content_is_refused_and_left_unchanged() {
    for content in [&b""[..], b"12a", b"-1", b"9007199254740991", b"1\n2"] {
        let disk = SimDisk::default();
        disk.place(&watermark_path(), content);
        let engine = ProjectQueues::new(Box::new(|| {}));
        let opened =
            FileCatalog::open(Arc::new(disk.clone()), engine, "/config.json".into(), file::default_config());
        let error = opened.err().unwrap().to_string();
        assert!(error.starts_with("/storage_data/pikv.revision: it must hold one whole number"), "{error}");
        assert_eq!(disk.content(&watermark_path()), content);
    }
}

#[test]
fn a_full_disk_does_not_prevent_a_start() {
    let (disk, server) = begin();
    server.stop();
    disk.refuse("create /storage_data/", ENOSPC);
    let server = Server::start(&disk);
    assert_eq!(server.keys("first_project"), 1);
    server.stop();
}

/// A disk so full that a project was deleted and config.json, which lists it, could not be saved.
fn deleted_but_listed() -> (SimDisk, Server) {
    let (disk, server) = begin();
    server.catalog.reload().unwrap(); // which makes the keys
    disk.refuse("create /config.json.tmp", ENOSPC);
    DELETE(&server.catalog).unwrap();
    assert!(listed(&disk).is_some() && has_mark(&disk), "config.json could not be saved");
    assert!(!server.has("first_project"));
    (disk, server)
}

/// The key of the first project in config.json, if that lists it.
fn listed(disk: &SimDisk) -> Option<Option<String>> {
    let config = file::load(disk, Path::new("/config.json")).unwrap().unwrap();
    config.project(&id("first_project")).map(|project| project.key.hash.map(|hash| hash.encode()))
}

fn has_mark(disk: &SimDisk) -> bool {
    disk.names().iter().any(|path| path.ends_with("first_project.removed"))
}

#[test]
fn project_deleted_on_a_full_disk_leaves_config_with_the_next_save() {
    let (disk, server) = deleted_but_listed();
    server.catalog.reload().unwrap();
    assert!(!server.has("first_project"));
    disk.heal();
    server.create("other");
    assert!(listed(&disk).is_none() && !has_mark(&disk));
    server.create("first_project");
    assert_eq!(server.keys("first_project"), 0);
    server.stop();
}

#[test]
fn project_deleted_on_a_full_disk_stays_deleted_after_a_start() {
    let (disk, server) = deleted_but_listed();
    server.threads.stop();
    let disk = disk.after_kill();
    for _ in 0..2 {
        disk.refuse("create /config.json.tmp", ENOSPC);
        let server = Server::start(&disk);
        assert!(!server.has("first_project") && listed(&disk).is_some() && has_mark(&disk));
        server.threads.stop();
    }
    disk.heal();
    let server = Server::start(&disk);
    assert!(!server.has("first_project") && listed(&disk).is_none() && !has_mark(&disk));
    server.stop();
}

/// config.json still has the key of the deleted project until the new one is saved.
#[test]
fn project_created_after_a_deletion_on_a_full_disk_never_has_the_old_key() {
    for at in 0..1_000 {
        let (disk, server) = deleted_but_listed();
        let old_key = listed(&disk).unwrap();
        assert!(old_key.is_some());
        disk.heal();
        disk.crash_at(disk.operations() + at);
        let is_created = server.catalog.create(id("first_project"), STORED, KEYS).is_ok();
        server.threads.stop();
        let server = Server::start(&disk.after_kill());
        let served = server.catalog.registry().projects.get(&id("first_project")).cloned();
        let key = served.as_ref().map(|served| served.key.map(|key| key.encode()));
        assert_ne!(key, Some(old_key), "operation {at}");
        assert!(served.is_some() || !is_created, "operation {at}");
        server.threads.stop();
        if is_created {
            return;
        }
    }
    panic!("no creation succeeded");
}
