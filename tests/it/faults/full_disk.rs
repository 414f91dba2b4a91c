//! A disk that is full: writes are answered 507, reads and starts go on, and writes come back by themselves.

use super::crowd::{Crowd, config};
use super::{Tally, cycles_or};
use crate::harness::kv::{KEYS, Kv, PROJECT, PROJECTS as ALL_PROJECTS, key_path};
use crate::harness::tool::Tool;
use crate::harness::{Options, Server, grouped, wait_until};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A small file system of its own; unmounted when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path) -> Option<SmallDisk> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "none"])
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| SmallDisk(path.to_owned()))
    }

    /// Takes what room there is. Others may write meanwhile.
    pub fn fill(&self) {
        let balloon = std::fs::OpenOptions::new().create(true).append(true).open(self.0.join("balloon"));
        let mut balloon = balloon.unwrap();
        while balloon.write(&[b'x'; 4096]).is_ok_and(|count| count > 0) {}
    }

    pub fn free_space(&self) {
        std::fs::remove_file(self.0.join("balloon")).unwrap();
    }
}

/// A server whose data directory is a disk of 1 MiB; `None`, and a plain message, where none can be mounted.
fn on_a_small_disk() -> Option<(Kv, SmallDisk)> {
    in_directory_on_a_small_disk(tempfile::tempdir().unwrap())
}

/// The same with `config` as config.json.
pub fn configured_on_a_small_disk(config: &Value) -> Option<(Kv, SmallDisk)> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    in_directory_on_a_small_disk(directory)
}

fn in_directory_on_a_small_disk(directory: TempDir) -> Option<(Kv, SmallDisk)> {
    let disk = small_disk_in(directory.path())?;
    Some((Kv::in_directory(directory), disk))
}

fn small_disk_in(directory: &Path) -> Option<SmallDisk> {
    let data = directory.join("storage_data");
    std::fs::create_dir(&data).unwrap();
    let disk = SmallDisk::mount(&data);
    let missing = disk.is_none().then(|| "this user may not mount a small disk (mount -t tmpfs)".to_owned());
    Tool::SmallDisk.is_usable(missing);
    disk
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_507_while_reads_continue_and_writes_resume_with_free_space() {
    let Some((mut kv, disk)) = on_a_small_disk() else { return };
    kv.project().put(&key_path("before"), "1").expect(201);
    disk.fill();
    let value = format!("\"{}\"", "y".repeat(50_000));
    let mut acknowledged = vec!["before".to_owned()];
    let mut refused = 0;
    for number in 0..20 {
        let key = format!("full{number}");
        let answer = kv.project().put(&key_path(&key), &value);
        if answer.status == 201 {
            acknowledged.push(key);
        } else {
            answer.problem(507, "disk_full");
            kv.project().get(&key_path(&key)).problem(404, "key_not_found");
            refused += 1;
        }
    }
    assert!(refused > 15, "{refused} of 20 were refused");
    for key in &acknowledged {
        kv.project().get(&key_path(key)).expect(200);
    }
    kv.project().get(KEYS).expect(200);
    kv.anonymous().get("/healthz").expect(200);
    disk.free_space();
    wait_until("writes resume", || matches!(kv.project().put(&key_path("after"), "2").status, 200 | 201));
    acknowledged.push("after".to_owned());
    kv.anonymous().get("/readyz").expect(200);
    kv.crash_and_start();
    let mut keys: Vec<String> =
        kv.project().get(KEYS).expect(200).json()["keys"].as_object().unwrap().keys().cloned().collect();
    keys.sort();
    acknowledged.sort();
    assert_eq!(keys, acknowledged);
    kv.server.kill();
    drop(disk);
}

#[test]
fn a_full_disk_is_507_for_projects_and_loses_nothing_in_memory() {
    let Some((mut kv, disk)) = on_a_small_disk() else { return };
    let key = "/api/v1/projects/light/keys/a";
    kv.create_project(&json!({"id": "light", "storage": {"on_disk": false}}));
    kv.global().put(key, "1").expect(201);
    disk.fill();
    let project = "/api/v1/projects/light";
    let on_disk = r#"{"storage":{"on_disk":true}}"#;
    kv.global().put(project, on_disk).problem(507, "disk_full");
    assert_eq!(kv.global().get(project).expect(200).json()["storage"]["on_disk"], false);
    kv.global().get(key).expect(200);
    kv.global().put(key, "2").expect(200);
    kv.global().post(ALL_PROJECTS, r#"{"id":"more"}"#).problem(507, "disk_full");
    kv.edit_config(|config| {
        let projects = config["projects"].as_array_mut().unwrap();
        projects.iter_mut().find(|project| project["id"] == "light").unwrap()["storage"]["on_disk"] =
            true.into();
    });
    kv.server.signal("HUP");
    let said = || kv.server.stderr_text().matches("light: stays in memory: not written").count();
    wait_until("the log says so once more", || said() == 2);
    kv.global().put(key, "3").expect(200);
    disk.free_space();
    kv.server.signal("HUP");
    wait_until("it is on disk", || kv.global().get(project).expect(200).json()["storage"]["on_disk"] == true);
    kv.global().post(ALL_PROJECTS, r#"{"id":"more"}"#).expect(201);
    kv.crash_and_start();
    assert_eq!(kv.global().get(&format!("{key}?raw")).text(), "3");
    kv.server.kill();
    drop(disk);
}

#[test]
fn deleting_keys_frees_space_on_a_full_disk_with_space_for_a_checkpoint() {
    let Some((kv, _disk)) = on_a_small_disk() else { return };
    let kept_free = kv.server.data_path("kept-free");
    std::fs::write(&kept_free, [0; 32 * 1024]).unwrap();
    let value = format!("\"{}\"", "y".repeat(100_000));
    let stored = (0..20).take_while(|n| kv.project().put(&key_path(&format!("k{n}")), &value).status == 201);
    let stored = stored.count();
    assert!((1..20).contains(&stored), "{stored} of 1 MiB");
    std::fs::remove_file(kept_free).unwrap();
    for n in 0..stored {
        kv.project().delete(&key_path(&format!("k{n}"))).expect(204);
    }
    wait_until("there is room again", || kv.project().put(&key_path("last"), &value).status == 201);
}

#[test]
fn reads_continue_during_writes_without_disk_space() {
    let Some((kv, disk)) = on_a_small_disk() else { return };
    kv.project().put(&key_path("there"), "1").expect(201);
    disk.fill();
    let value = format!("\"{}\"", "y".repeat(3_000));
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut connection = kv.project().connect();
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    connection.send("PUT", &key_path("there"), &[], value.as_bytes());
                }
            });
        }
        let mut connection = kv.project().connect();
        let mut failed = Vec::new();
        for _ in 0..150 {
            for target in [&key_path("there"), &key_path("absent"), KEYS, PROJECT] {
                let answer = connection.send("GET", target, &[], b"");
                if answer.status >= 500 {
                    failed.push((target.to_owned(), answer.status));
                }
            }
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(failed.is_empty(), "{} of 600: {:?}", failed.len(), failed.first());
    });
}

#[test]
fn deleting_a_project_frees_space_on_a_completely_full_disk() {
    let Some((mut kv, disk)) = on_a_small_disk() else { return };
    kv.project().put(&key_path("kept"), "1").expect(201);
    kv.create_project(&json!({"id": "guest"}));
    let value = format!("\"{}\"", "y".repeat(200_000));
    kv.global().put(&format!("{ALL_PROJECTS}/guest/keys/a"), &value).expect(201);
    disk.fill();
    let value = format!("\"{}\"", "y".repeat(60_000));
    kv.project().put(&key_path("more"), &value).problem(507, "disk_full");
    kv.global().delete(&format!("{ALL_PROJECTS}/guest")).expect(204);
    // Its files take their room until the last thread that was at work on them has let go.
    wait_until("there is room", || kv.project().put(&key_path("more"), &value).status == 201);
    kv.crash_and_start();
    kv.project().get(&key_path("kept")).expect(200);
    kv.project().get(&key_path("more")).expect(200);
    kv.server.kill();
    drop(disk);
}

#[test]
fn writers_on_a_disk_that_fills_up_lose_nothing_and_continue_with_free_space() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), config().to_string()).unwrap();
    let Some(disk) = small_disk_in(directory.path()) else { return };
    let mut tally = Tally::of("a full tmpfs under 16 writers and 4 readers, freed again");
    tally.cycles = cycles_or(2).min(40);
    let mut crowd = Crowd::new(16, 4, 41);
    let mut server = Server::start_in(directory, Options::default());
    let mut starts_on_a_full_disk = 0;
    for cycle in 0..tally.cycles {
        let refused = crowd.refused().0;
        crowd.perform(server.port, |stage| {
            wait_until("all are at work", || stage.writes() > 100);
            disk.fill();
            stage.end_after(stage.answers() + 2_000);
        });
        assert!(crowd.refused().0 > refused, "some writes found no room");
        // After an orderly end there is not even the address file to be replaced.
        if cycle % 2 == 0 {
            server.kill();
        } else {
            assert_eq!(server.terminate().code(), Some(0), "{}", server.stderr_text());
        }
        disk.fill();
        server.start_again();
        starts_on_a_full_disk += 1;
        crowd.check(&server, &mut tally);
        crowd.perform(server.port, |stage| {
            disk.free_space();
            wait_until("writes resume", || stage.writes() > 200);
            stage.end();
        });
        server.kill();
        server.start_again();
        crowd.check(&server, &mut tally);
    }
    assert!(crowd.failed_reads.is_empty(), "{:?}", crowd.failed_reads);
    let (full, failed) = crowd.refused();
    assert_eq!(failed, 0, "no project takes no more");
    tally.notes = format!(
        "{} writes answered 507, none 503; {} reads, none failed; {starts_on_a_full_disk} starts on the \
         full disk",
        grouped(full),
        grouped(crowd.reads)
    );
    server.kill();
    drop(disk);
    tally.finish();
}
