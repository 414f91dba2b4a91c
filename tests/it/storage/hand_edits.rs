//! Data files that their owner edits, drops in, breaks or loses while the server is stopped.

use crate::harness::kv::{KEYS, Kv, PROJECT, key_path};
use crate::harness::{Finished, run_to_end};
use serde_json::{Value, json};

const FILE: &str = "first_project.json";
const JOURNAL: &str = "first_project.journal";

fn written(keys: &[(&str, &str)]) -> Kv {
    let kv = Kv::new();
    for (key, value) in keys {
        kv.project().put(&key_path(key), value).expect(201);
    }
    kv
}

fn write(kv: &Kv, text: &str) {
    std::fs::write(kv.data_path(FILE), text).unwrap();
}

fn read(kv: &Kv, name: &str) -> String {
    std::fs::read_to_string(kv.data_path(name)).unwrap()
}

fn keys(kv: &Kv) -> Value {
    kv.project().get(KEYS).expect(200).json()["keys"].clone()
}

fn recover(kv: &Kv, choice: &str) -> Finished {
    let config = kv.server.config_path();
    let words = ["recover", "first_project", "--journal", choice, "--config", config.to_str().unwrap()];
    run_to_end(kv.server.directory(), &words)
}

/// The project answers 503 and says so where an operator looks; everything else goes on.
#[track_caller]
fn assert_unavailable(kv: &Kv, named: &[&str]) {
    for target in [KEYS, &key_path("a")] {
        let answer = kv.project().get(target);
        assert!(answer.field("retry-after").is_some(), "{answer:?}");
        answer.problem(503, "project_unavailable");
    }
    kv.project().put(&key_path("a"), "1").problem(503, "project_unavailable");
    let ready = kv.anonymous().get("/readyz").expect(503);
    assert!(!ready.text().contains("first_project"), "{}", ready.text());
    kv.anonymous().get("/healthz").expect(200);
    for part in named {
        kv.server.await_stderr(part);
    }
    kv.create_project(&json!({"id": "other"}));
    kv.global().put("/api/v1/projects/other/keys/a", "1").expect(201);
    kv.global().delete("/api/v1/projects/other").expect(204);
}

#[test]
fn an_edited_file_is_imported_and_the_log_reports_it() {
    let mut kv = written(&[("a", "1"), ("b", "2")]);
    let old = kv.project().get(&key_path("b"));
    kv.server.terminate();
    write(&kv, "{\n  \"c\" : {\"x\": 1e400, \"x\": 2},\n  \"b\" : 22\n}\n");
    kv.server.start_again();
    assert_eq!(
        kv.project().get(&format!("{}?raw", key_path("c"))).expect(200).text(),
        r#"{"x":1e400,"x":2}"#
    );
    assert_eq!(kv.project().get(&key_path("b")).json()["value"], 22);
    kv.project().get(&key_path("a")).problem(404, "key_not_found");
    kv.server.await_stderr(FILE);
    let new = kv.project().get(&key_path("b"));
    assert!(new.revision() > old.revision(), "no tag from before fits what may have changed");
    assert_eq!(new.json()["created_at"], old.json()["created_at"]);
    kv.crash_and_start();
    assert_eq!(kv.project().get(&key_path("b")).json()["value"], 22);
}

#[test]
fn an_edited_file_with_changes_that_are_not_in_it_waits_for_a_decision() {
    for (choice, expected) in
        [("replay", json!({"a": 1, "c": 3, "d": 4})), ("discard", json!({"a": 1, "d": 4}))]
    {
        let mut kv = written(&[("a", "1"), ("b", "2")]);
        kv.restart();
        kv.project().put(&key_path("c"), "3").expect(201);
        kv.server.kill();
        write(&kv, "{\"a\": 1, \"d\": 4}");
        let journal = read(&kv, JOURNAL);
        kv.server.start_again();
        let way_out =
            "If you edited it, stop the server and decide with `pikv recover first_project --journal replay`";
        assert_unavailable(&kv, &[way_out, "`pikv recover first_project --journal discard`", FILE]);
        let beside = recover(&kv, choice);
        assert_eq!(beside.code, Some(1), "{beside:?}");
        assert!(beside.stderr.contains("is in use by the server with process id"), "{beside:?}");
        assert!(!beside.stderr.contains("persistent_file_path"), "no way out here: {beside:?}");
        kv.server.terminate();
        assert_eq!((read(&kv, FILE).as_str(), read(&kv, JOURNAL)), ("{\"a\": 1, \"d\": 4}", journal));
        let recovered = recover(&kv, choice);
        assert_eq!(recovered.code, Some(0), "{recovered:?}");
        kv.server.start_again();
        assert_eq!(keys(&kv), expected, "{choice}");
        kv.project().put(&key_path("e"), "5").expect(201);
    }
}

#[test]
fn a_discarded_journal_is_kept_as_a_copy() {
    let mut kv = written(&[("a", "1")]);
    kv.restart();
    kv.project().put(&key_path("lost"), "\"but not gone\"").expect(201);
    kv.server.kill();
    write(&kv, "{}");
    assert_eq!(recover(&kv, "discard").code, Some(0));
    let files = std::fs::read_dir(kv.data_path(".")).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<_> = files.filter(|path| path.to_string_lossy().contains("discarded")).collect();
    assert_eq!(aside.len(), 1);
    assert!(std::fs::read_to_string(&aside[0]).unwrap().contains("but not gone"));
}

#[test]
fn an_invalid_edited_file_is_left_unchanged_until_it_is_corrected() {
    for (text, place) in [
        ("{\"a\": 1,}", "line 1"),
        ("{\"a\": 1\n\"b\": 2}", "line 2"),
        ("[1]", "object"),
        ("", FILE),
        ("{\"a\": 1, \"a\": 2}", "a duplicate"),
        ("{\"..\": 1}", ".."),
    ] {
        let mut kv = written(&[("a", "1")]);
        kv.server.terminate();
        write(&kv, text);
        kv.server.start_again();
        assert_unavailable(&kv, &[FILE, place]);
        kv.server.terminate();
        assert_eq!(read(&kv, FILE), text);
        write(&kv, "{\"a\": 1}");
        kv.server.start_again();
        assert_eq!(keys(&kv), json!({"a": 1}), "{text}");
    }
}

/// What the API refuses is refused at the import, and both files stay as they are, byte for byte.
#[test]
fn an_edit_that_the_api_would_refuse_is_refused_with_its_position_and_changes_nothing() {
    let (long, deep) = ("x".repeat(1025), format!("{}{}", "[".repeat(101), "]".repeat(101)));
    for (text, place) in [
        (
            format!("{{\"a\": 1,\n\"{long}\": 2}}"),
            "at line 2, column 1 is 1,025 bytes long; the maximum is 1,024",
        ),
        (format!("{{\"a\": 1,\n\"b\": {deep}}}"), "at line 2, column 106"),
        ("{\"a\": 1, \"b\\ud800\": 2}".to_owned(), "at line 1, column 10"),
        ("{\"a\": 1, \"b\\u0000\": 2}".to_owned(), "has the control character U+0000; remove it"),
    ] {
        for journal in ["beside it", "gone"] {
            let mut kv = written(&[("a", "1")]);
            kv.server.terminate();
            write(&kv, &text);
            if journal == "gone" {
                std::fs::remove_file(kv.data_path(JOURNAL)).unwrap();
            }
            let before = (read(&kv, FILE), std::fs::read(kv.data_path(JOURNAL)).ok());
            kv.server.start_again();
            assert_unavailable(&kv, &[FILE, place, "correct the file, it was left as it is"]);
            kv.server.terminate();
            assert_eq!((read(&kv, FILE), std::fs::read(kv.data_path(JOURNAL)).ok()), before);
        }
    }
}

#[test]
fn imported_values_can_be_read_overwritten_and_deleted_and_are_loaded_again() {
    let mut kv = written(&[("a", "1")]);
    kv.server.terminate();
    let (key, value) = ("é".repeat(512), format!("[\"{}\"]", "x".repeat(100_000)));
    write(&kv, &format!("{{\"{key}\": {value},\n \"deep\": {}1{}}}", "[".repeat(100), "]".repeat(100)));
    kv.server.start_again();
    for round in ["imported", "loaded", "overwritten"] {
        assert_eq!(kv.project().get(&format!("{}?raw", key_path(&key))).expect(200).text(), value, "{round}");
        match round {
            "imported" => kv.crash_and_start(),
            _ => drop(kv.project().put(&key_path(&key), &value).expect(200)),
        }
    }
    kv.project().delete(&key_path(&key)).expect(204);
    kv.project().delete(&key_path("deep")).expect(204);
    kv.crash_and_start();
    assert_eq!(keys(&kv), json!({}));
}

#[test]
fn revisions_of_a_data_file_without_a_journal_begin_at_the_clock() {
    let mut kv = written(&[("a", "1")]);
    let before = kv.project().put(&key_path("a"), "2").expect(200).revision();
    kv.server.terminate();
    std::fs::remove_file(kv.data_path(JOURNAL)).unwrap();
    write(&kv, "{\"key1\": \"value1\", \"key2\": [1, 2]}");
    let now_ms =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    kv.server.start_again();
    assert_eq!(keys(&kv), json!({"key1": "value1", "key2": [1, 2]}));
    let revision = kv.project().get(&key_path("key1")).revision();
    assert!(revision > before && revision >= now_ms, "{revision} {before} {now_ms}");
}

/// A clock that was set back, as `pikv.revision` shows.
#[test]
fn a_decision_about_an_edited_file_begins_revisions_after_the_number_in_pikv_revision() {
    for choice in ["replay", "discard"] {
        let mut kv = written(&[("a", "1")]);
        kv.restart();
        kv.project().put(&key_path("b"), "2").expect(201);
        kv.server.kill();
        write(&kv, "{\"a\": 2}");
        let ahead: u64 = 5_000_000_000_000_000;
        std::fs::write(kv.data_path("pikv.revision"), format!("{ahead}\n")).unwrap();
        assert_eq!(recover(&kv, choice).code, Some(0));
        kv.server.start_again();
        let revision = kv.project().get(&key_path("a")).revision();
        assert!(revision > ahead, "{choice}: {revision}");
    }
}

#[test]
fn a_file_without_its_journal_has_no_times_to_live_and_the_log_reports_it() {
    let mut kv = written(&[("a", "1")]);
    kv.project().put(&format!("{}?ttl=1000", key_path("short")), "2").expect(201);
    kv.server.terminate();
    std::fs::remove_file(kv.data_path(JOURNAL)).unwrap();
    kv.server.start_again();
    assert_eq!(kv.project().get(&key_path("short")).json()["expires_at"], Value::Null);
    kv.server.await_stderr(
        "first_project.json: had no journal beside it, so it was imported as of its last checkpoint",
    );
}

#[test]
fn lost_values_with_an_existing_journal_are_not_replaced_by_an_empty_file() {
    let mut kv = written(&[("a", "1")]);
    kv.server.terminate();
    std::fs::remove_file(kv.data_path(FILE)).unwrap();
    kv.server.start_again();
    assert_unavailable(&kv, &[FILE, "missing"]);
    kv.server.terminate();
    assert!(!kv.data_path(FILE).exists());
}

#[test]
fn a_damaged_journal_is_refused_with_the_position() {
    let mut kv = Kv::new();
    for number in 0..5 {
        kv.project().put(&key_path(&format!("k{number}")), "\"value\"").expect(201);
    }
    kv.server.kill();
    let mut bytes = std::fs::read(kv.data_path(JOURNAL)).unwrap();
    let place = bytes.windows(2).position(|window| window == b"k1").unwrap();
    bytes[place] ^= 1;
    std::fs::write(kv.data_path(JOURNAL), &bytes).unwrap();
    kv.server.start_again();
    assert_unavailable(&kv, &[JOURNAL, "byte", "`pikv recover first_project --salvage`"]);
    kv.server.terminate();
    assert_eq!(std::fs::read(kv.data_path(JOURNAL)).unwrap(), bytes);
}

#[test]
fn a_torn_end_is_cut_off_and_logged() {
    let mut kv = written(&[("a", "1")]);
    kv.server.kill();
    let mut bytes = std::fs::read(kv.data_path(JOURNAL)).unwrap();
    bytes.extend_from_slice(b"deadbeef [1,\"half a rec");
    std::fs::write(kv.data_path(JOURNAL), &bytes).unwrap();
    kv.server.start_again();
    assert_eq!(keys(&kv), json!({"a": 1}));
    kv.server.await_stderr("torn");
    kv.project().put(&key_path("b"), "2").expect(201);
    kv.crash_and_start();
    assert_eq!(keys(&kv), json!({"a": 1, "b": 2}));
}

#[test]
fn an_unavailable_project_may_be_deleted_by_the_operator() {
    let mut kv = written(&[("a", "1")]);
    kv.server.terminate();
    write(&kv, "nonsense");
    kv.server.start_again();
    kv.project().get(KEYS).problem(503, "project_unavailable");
    kv.global().delete(PROJECT).expect(204);
    assert!(!kv.data_path(FILE).exists() && !kv.data_path(JOURNAL).exists());
    kv.anonymous().get("/readyz").expect(200);
}
