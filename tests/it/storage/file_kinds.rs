//! What stands at the names of the server's files: only regular files are opened, no link in the data
//! directory is followed, and a file that is replaced keeps the permissions that its owner gave it.

use crate::harness::kv::{KEYS, Kv, PROJECTS, key_path};
use crate::harness::{Options, Server, refused_start, wait_until};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// A group that is not the one of the tests; only root may give a file to it.
const OTHER_GROUP: u32 = 54_321;

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Calls `check` with each kind of file that is none, at `path`, and the words that name it.
fn for_each_kind(path: &Path, mut check: impl FnMut(&str)) {
    make_fifo(path);
    check("it is a FIFO, not a regular file; move it away");
    std::fs::remove_file(path).unwrap();
    std::fs::create_dir(path).unwrap();
    check("it is a directory, not a regular file; move it away");
    std::fs::remove_dir(path).unwrap();
    let socket = UnixListener::bind(path).unwrap();
    check("it is a socket, not a regular file; move it away");
    drop(socket);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_config_that_is_not_a_regular_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    for_each_kind(&path, |words| {
        let refused = refused_start(directory.path());
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    });
    symlink("/dev/zero", &path).unwrap();
    let refused = refused_start(directory.path());
    assert!(refused.stderr.contains("it is a device"), "{refused:?}");
}

#[test]
fn reload_of_a_config_that_is_not_a_regular_file_is_refused_and_blocks_no_thread() {
    let kv = Kv::new();
    let path = kv.server.config_path();
    std::fs::rename(&path, path.with_extension("kept")).unwrap();
    for_each_kind(&path, |words| {
        kv.server.signal("HUP");
        kv.server.await_stderr(words);
        kv.project().put(&key_path("a"), "1");
        kv.global().delete("/api/v1/projects/first_project").expect(500);
    });
    std::fs::rename(path.with_extension("kept"), &path).unwrap();
    kv.server.signal("HUP");
    kv.server.await_stderr("INFO reloaded");
    kv.project().get(KEYS).expect(200);
}

#[test]
fn link_to_the_config_stays_a_link_and_its_target_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("dotfiles")).unwrap();
    symlink("dotfiles/pikv.json", directory.path().join("config.json")).unwrap();
    let kv = Kv::in_directory(directory);
    kv.create_project(&serde_json::json!({"id": "more"}));
    assert!(kv.server.config_path().is_symlink());
    let target = kv.server.directory().join("dotfiles/pikv.json");
    assert!(std::fs::read_to_string(target).unwrap().contains("more"));
}

#[test]
fn link_at_the_name_of_a_temporary_file_is_not_followed() {
    let kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    let victim = kv.server.directory().join("victim");
    std::fs::write(&victim, "mine").unwrap();
    let data = ["first_project.json.tmp", "first_project.journal.tmp", "more.json.tmp"];
    let names = data.map(|name| kv.data_path(name));
    for name in names.iter().chain([&kv.server.directory().join("config.json.tmp")]) {
        symlink(&victim, name).unwrap();
    }
    let values = kv.data_path("first_project.json");
    wait_until("a checkpoint is written", || std::fs::read_to_string(&values).unwrap().contains("\"a\""));
    kv.create_project(&serde_json::json!({"id": "more"}));
    kv.global().delete(&format!("{PROJECTS}/more")).expect(204);
    assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
}

#[test]
fn link_at_the_name_of_a_deletion_mark_is_neither_followed_nor_replaced() {
    let kv = Kv::new();
    kv.create_project(&serde_json::json!({"id": "more"}));
    let (victim, link) = (kv.server.directory().join("victim"), kv.data_path("more.deleted"));
    std::fs::write(&victim, "mine").unwrap();
    symlink(&victim, &link).unwrap();
    kv.global().delete(&format!("{PROJECTS}/more")).expect(500);
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
    std::fs::remove_file(&link).unwrap();
    kv.global().delete(&format!("{PROJECTS}/more")).expect(204);
}

#[test]
fn a_data_file_that_is_not_a_regular_file_stops_only_its_project() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    kv.server.terminate();
    for name in ["first_project.json", "first_project.journal"] {
        let (path, kept) = (kv.data_path(name), kv.data_path("kept"));
        std::fs::rename(&path, &kept).unwrap();
        for_each_kind(&path, |words| {
            kv.server.start_again();
            kv.project().get(KEYS).problem(503, "project_unavailable");
            kv.server.await_stderr(&format!("{name}: {words}"));
            kv.server.terminate();
        });
        symlink(&kept, &path).unwrap();
        kv.server.start_again();
        kv.server.await_stderr(&format!("{name}: it is a symbolic link"));
        kv.server.terminate();
        std::fs::rename(&kept, &path).unwrap();
    }
    kv.server.start_again();
    assert_eq!(kv.project().get(&key_path("a")).expect(200).json()["value"], 1);
}

/// Creates a directory at `path`, runs `act`, and waits for a line of the log that names the directory.
fn with_directory(kv: &mut Kv, path: &Path, act: impl FnOnce(&mut Kv)) {
    // A checkpoint may have a file there for a moment.
    wait_until("the name is free", || std::fs::create_dir(path).is_ok());
    act(kv);
    let name = path.file_name().unwrap().to_str().unwrap();
    kv.server.await_stderr(&format!("{name} is a directory, and a file must be created with that name"));
    std::fs::remove_dir(path).unwrap();
}

#[test]
fn directory_at_the_name_of_a_temporary_file_is_named_itself() {
    let mut kv = Kv::new();
    let config = kv.server.directory().join("config.json.tmp");
    with_directory(&mut kv, &config, |kv| {
        let problem = kv.global().post(PROJECTS, "{\"id\": \"more\"}").problem(500, "disk_error");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("Move the file or directory away that has its name with `.tmp`"), "{detail}");
    });
    for name in ["pikv.revision.tmp", "first_project.json.tmp", "first_project.journal.tmp"] {
        let path = kv.data_path(name);
        with_directory(&mut kv, &path, |kv| {
            kv.project().put(&key_path("a"), "1");
            kv.server.terminate();
        });
        kv.server.start_again();
    }
    for name in ["first_project.json.tmp", "first_project.journal.tmp"] {
        kv.server.terminate();
        std::fs::create_dir(kv.data_path(name)).unwrap();
        kv.server.start_again();
        kv.server.await_stderr(&format!("storage_data/{name}: Is a directory"));
        std::fs::remove_dir(kv.data_path(name)).unwrap();
    }
    kv.restart();
    kv.project().put(&key_path("a"), "2").expect(200);
    kv.server.kill();
    let path = kv.data_path("first_project.journal.new");
    with_directory(&mut kv, &path, |kv| kv.server.start_again());
    kv.server.terminate();
    std::fs::remove_file(kv.data_path("jwt.key")).unwrap();
    let path = kv.data_path("jwt.key.tmp");
    with_directory(&mut kv, &path, |kv| kv.server.start_again());
    kv.server.terminate();
    std::fs::create_dir(kv.data_path("pikv.revision.tmp")).unwrap();
    let refused = refused_start(kv.server.directory());
    assert!(
        refused.stderr.contains("pikv.revision.tmp is a directory, and a file must be created"),
        "{refused:?}"
    );
}

/// `pikv account` alone needs it.
#[test]
fn start_continues_without_an_address_file() {
    let mut kv = Kv::new();
    kv.server.terminate();
    for (name, obstacle) in [
        ("pikv.address.tmp", "pikv.address.tmp is a directory"),
        ("pikv.address", "pikv.address: Is a directory"),
    ] {
        std::fs::create_dir(kv.data_path(name)).unwrap();
        kv.server.start_again();
        kv.server.await_stderr(obstacle);
        let log = kv.server.stderr_text();
        let is_warning = |line: &&str| line.contains("WARN") && line.contains("`pikv account` cannot find");
        assert_eq!(log.lines().filter(is_warning).count(), 1, "{log}");
        kv.project().get(KEYS).expect(200);
        kv.server.terminate();
        std::fs::remove_dir(kv.data_path(name)).unwrap();
    }
    kv.server.start_again();
    assert!(kv.data_path("pikv.address").is_file());
}

#[test]
fn lock_file_that_is_a_link_is_refused_and_its_target_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("storage_data")).unwrap();
    let victim = directory.path().join("victim");
    std::fs::write(&victim, "mine").unwrap();
    symlink(&victim, directory.path().join("storage_data/pikv.lock")).unwrap();
    let refused = refused_start(directory.path());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("pikv.lock: it is a symbolic link"), "{refused:?}");
    assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
}

/// Mode and group of a file, and whether the group could be set.
fn set_permissions(path: &Path, mode: u32) -> (u32, u32) {
    let _ = chown(path, None, Some(OTHER_GROUP)); // only root may
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    permissions(path)
}

fn permissions(path: &Path) -> (u32, u32) {
    let metadata = std::fs::metadata(path).unwrap();
    (metadata.mode() & 0o777, metadata.gid())
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

#[test]
fn files_keep_the_mode_and_the_group_that_were_set() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    let paths = ["first_project.json", "first_project.journal"].map(|name| kv.data_path(name));
    for (path, mode) in paths.iter().zip([0o640, 0o660]) {
        let set = set_permissions(path, mode);
        // Open, so that no other file gets its number.
        let before = std::fs::File::open(path).unwrap();
        kv.project().put(&key_path("a"), "2").expect(200);
        kv.restart();
        assert_ne!(inode(path), before.metadata().unwrap().ino(), "a checkpoint has replaced it");
        assert_eq!(permissions(path), set, "{}", path.display());
    }
    // A journal with changes, which a start writes again.
    let set = permissions(&paths[1]);
    kv.project().put(&key_path("a"), "3").expect(200);
    let before = std::fs::File::open(&paths[1]).unwrap();
    kv.crash_and_start();
    assert_ne!(inode(&paths[1]), before.metadata().unwrap().ino());
    assert_eq!(permissions(&paths[1]), set);
    // An edit that a start imports.
    std::fs::write(&paths[0], "{\"b\": 1}").unwrap();
    kv.server.terminate();
    std::fs::write(&paths[0], "{\"b\": 1}").unwrap();
    kv.server.start_again();
    assert_eq!(permissions(&paths[0]).0, 0o640);
}

#[test]
fn config_keeps_mode_and_group_unless_all_users_may_read_it() {
    let config = crate::harness::known_config();
    let server = Server::start_as(Options { config: Some(config), ..Options::default() });
    let path = server.config_path();
    assert_eq!(permissions(&path).0, 0o600, "what an editor left readable for everybody");
    let set = set_permissions(&path, 0o640);
    let created =
        server.request("POST", PROJECTS, Some(crate::harness::GLOBAL_KEY), &[], b"{\"id\": \"more\"}");
    assert_eq!(created.status, 201);
    assert_eq!(permissions(&path), set);
}
