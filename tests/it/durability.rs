//! What was acknowledged is there after kill -9, and a full disk loses nothing.

use crate::harness::wait_until;
use crate::kv::{BATCH, Caller, KEYS, Kv, PROJECT, PROJECTS, key_path};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn every_kind_of_write_is_there_after_a_crash() {
    let mut kv = Kv::new();
    let mut expected = json!({});
    for round in 0..4 {
        kv.project().put(&key_path(&format!("put{round}")), &round.to_string()).expect(201);
        expected[format!("put{round}")] = round.into();
        kv.crash_and_start();
        kv.project().post(&key_path("post"), &format!("{{\"value\":[{round}]}}")).expect(if round == 0 {
            201
        } else {
            200
        });
        expected["post"] = json!([round]);
        kv.crash_and_start();
        let batch = json!({"operations": [
            {"op": "set", "key": "batch", "value": round},
            {"op": "delete", "key": format!("put{round}")},
        ]});
        kv.project().post(BATCH, &batch.to_string()).expect(200);
        expected["batch"] = round.into();
        expected.as_object_mut().unwrap().remove(&format!("put{round}"));
        kv.crash_and_start();
        assert_eq!(kv.project().get(KEYS).expect(200).json()["keys"], expected);
    }
    kv.project().delete(&key_path("post")).expect(204);
    kv.crash_and_start();
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({"batch": 3}));
    kv.project().delete(&format!("{KEYS}?prefix=b")).expect(200);
    kv.crash_and_start();
    assert_eq!(kv.project().get(KEYS).json()["keys"], json!({}));
}

/// What one writer knows: the numbers that were acknowledged, as ranges from each cycle, and the last
/// one that it sent.
#[derive(Clone, Default)]
struct Written {
    acknowledged: Vec<(u64, u64)>,
    sent: u64,
}

/// Writes `fresh-writer-number` and `last-writer`, both with the next number as their value, until the
/// server is gone.
fn write_until_the_end(caller: &Caller, writer: usize, mut written: Written) -> Written {
    let first = written.sent + 1;
    let mut connection = caller.connect();
    loop {
        written.sent += 1;
        let number = written.sent;
        for target in [format!("{KEYS}/fresh-{writer}-{number}"), format!("{KEYS}/last-{writer}")] {
            match connection.try_put(&target, &number.to_string()) {
                Ok(answer) => assert!(matches!(answer.status, 200 | 201), "{answer:?}"),
                Err(_) => {
                    written.acknowledged.push((first, number - 1));
                    return written;
                }
            }
        }
    }
}

fn check_writer(keys: &Value, writer: usize, written: &Written) {
    let last = keys[format!("last-{writer}")].as_u64().unwrap_or(0);
    let least = written.acknowledged.iter().filter(|(first, end)| first <= end).map(|range| range.1).max();
    let least = least.unwrap_or(0);
    assert!((least..=written.sent).contains(&last), "writer {writer}: {least} <= {last} <= {}", written.sent);
    for (first, end) in &written.acknowledged {
        for number in *first..=*end {
            assert_eq!(keys[format!("fresh-{writer}-{number}")], number, "writer {writer}");
        }
    }
}

/// Every key is one that a writer sent, with the value that it had.
fn check_origin(keys: &Value, progress: &[Written]) {
    for (key, value) in keys.as_object().unwrap() {
        let mut parts = key.split('-').skip(1).map(|part| part.parse::<u64>().unwrap());
        let sent = progress[parts.next().unwrap() as usize].sent;
        let number = parts.next().unwrap_or_else(|| value.as_u64().unwrap());
        assert!(number <= sent && *value == number, "{key}: {value}, sent {sent}");
    }
}

#[test]
fn kill_9_under_64_writers_loses_nothing_acknowledged_and_invents_nothing() {
    const WRITERS: usize = 64;
    let cycles: u64 = std::env::var("PIKV_KILL_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let mut kv = Kv::new();
    let mut progress = vec![Written::default(); WRITERS];
    for cycle in 0..cycles {
        let caller = kv.project();
        let start = |(writer, written): (usize, Written)| {
            let caller = caller.clone();
            std::thread::spawn(move || write_until_the_end(&caller, writer, written))
        };
        let writers: Vec<_> = progress.into_iter().enumerate().map(start).collect();
        std::thread::sleep(Duration::from_millis(300 + 137 * (cycle % 4)));
        kv.crash_and_start();
        progress = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let keys = kv.project().get(KEYS).expect(200).json()["keys"].clone();
        for (writer, written) in progress.iter().enumerate() {
            check_writer(&keys, writer, written);
        }
        check_origin(&keys, &progress);
    }
    let ranges = progress.iter().flat_map(|written| &written.acknowledged);
    assert!(ranges.map(|(first, end)| end + 1 - first).sum::<u64>() > 0, "somebody was acknowledged");
}

#[test]
fn the_old_key_is_refused_after_a_crash_behind_its_regeneration() {
    let mut kv = Kv::new();
    let mut key = kv.project_key.clone();
    for _ in 0..3 {
        let answer = kv.global().post(&format!("{PROJECT}/api-key/regenerate"), "").expect(200).json();
        kv.crash_and_start();
        kv.caller(&key).get(PROJECT).problem(401, "api_key_wrong");
        key = answer["api_key"].as_str().unwrap().to_owned();
        kv.caller(&key).get(PROJECT).expect(200);
    }
}

#[test]
fn a_deleted_project_stays_deleted_after_a_crash() {
    let mut kv = Kv::new();
    for round in 0..3 {
        let id = format!("notes{round}");
        kv.create_project(&json!({"id": id}));
        kv.global().put(&format!("{PROJECTS}/{id}/keys/a"), "1").expect(201);
        kv.global().delete(&format!("{PROJECTS}/{id}")).expect(204);
        kv.crash_and_start();
        kv.global().get(&format!("{PROJECTS}/{id}")).problem(404, "project_not_found");
        let names = std::fs::read_dir(kv.data_path(".")).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().contains(&id)));
        kv.create_project(&json!({"id": id}));
        assert_eq!(kv.global().get(&format!("{PROJECTS}/{id}/keys")).json()["count"], 0);
    }
}

#[test]
fn writes_that_are_acknowledged_at_once_are_there_after_an_orderly_end() {
    for sync in ["interval", "never"] {
        let mut kv = Kv::edited(|config| config["projects"][0]["storage"]["sync"] = sync.into());
        for number in 0..100 {
            kv.project().put(&key_path(&format!("{number}")), &number.to_string()).expect(201);
        }
        kv.restart();
        assert_eq!(kv.project().get(KEYS).json()["count"], 100, "{sync}");
    }
}

#[test]
fn writes_go_on_through_checkpoints_of_a_growing_project() {
    let mut kv = Kv::new();
    let value = format!("\"{}\"", "x".repeat(20_000));
    let mut connection = kv.project().connect();
    for number in 0..200 {
        let target = key_path(&format!("k{}", number % 20));
        let answer =
            connection.send("PUT", &target, &[], value.replace('x', &(number % 10).to_string()).as_bytes());
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }
    wait_until("the journal is folded", || {
        std::fs::metadata(kv.data_path("first_project.journal")).unwrap().len() < 2_000_000
    });
    kv.crash_and_start();
    for key in 0..20 {
        let last = (180 + key) % 10;
        let read = kv.project().get(&format!("{}?raw", key_path(&format!("k{key}")))).expect(200);
        assert_eq!(read.text(), last.to_string().repeat(20_000));
    }
}

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

    pub fn fill(&self) {
        let mut size = 1 << 20;
        let mut bytes = Vec::new();
        while size >= 4096 {
            let more = [bytes.clone(), vec![b'x'; size]].concat();
            if std::fs::write(self.0.join("balloon"), &more).is_ok() {
                bytes = more;
            } else {
                size /= 2;
            }
        }
        std::fs::write(self.0.join("balloon"), &bytes).unwrap();
    }

    pub fn make_room(&self) {
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
    let data = directory.path().join("storage_data");
    std::fs::create_dir(&data).unwrap();
    let disk = SmallDisk::mount(&data);
    if disk.is_none() {
        println!("not checked: a small disk cannot be mounted here");
    }
    Some((Kv::in_directory(directory), disk?))
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_507_while_reads_go_on_and_writes_resume_with_room() {
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
    disk.make_room();
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
fn a_full_disk_is_507_for_projects_and_costs_none_what_it_has_in_memory() {
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
    kv.global().post(PROJECTS, r#"{"id":"more"}"#).problem(507, "disk_full");
    kv.edit_config(|config| {
        let projects = config["projects"].as_array_mut().unwrap();
        projects.iter_mut().find(|project| project["id"] == "light").unwrap()["storage"]["on_disk"] =
            true.into();
    });
    kv.server.signal("HUP");
    let said = || kv.server.stderr_text().matches("light: stays in memory: not written").count();
    wait_until("the log says so once more", || said() == 2);
    kv.global().put(key, "3").expect(200);
    disk.make_room();
    kv.server.signal("HUP");
    wait_until("it is on disk", || kv.global().get(project).expect(200).json()["storage"]["on_disk"] == true);
    kv.global().post(PROJECTS, r#"{"id":"more"}"#).expect(201);
    kv.crash_and_start();
    assert_eq!(kv.global().get(&format!("{key}?raw")).text(), "3");
    kv.server.kill();
    drop(disk);
}

#[test]
fn deleting_keys_makes_room_on_a_full_disk_that_has_room_for_a_checkpoint() {
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
fn reads_go_on_beside_writes_that_find_no_room() {
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
