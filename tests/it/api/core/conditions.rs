//! Conditional requests and revisions.

use crate::harness::Response;
use crate::harness::kv::{BATCH, KEYS, Kv, key_path};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};

/// The entry that a write answered with, as a later refusal shows it.
fn without_type(written: &Response) -> Value {
    let mut entry = written.json();
    entry.as_object_mut().unwrap().remove("type").expect("a type");
    entry
}

#[test]
fn every_read_and_write_of_a_key_names_its_revision() {
    let kv = Kv::new();
    let put = kv.project().put(&key_path("a"), "1").expect(201);
    let get = kv.project().get(&key_path("a")).expect(200);
    let head = kv.project().head(&key_path("a")).expect(200);
    let raw = kv.project().get(&format!("{}?raw", key_path("a"))).expect(200);
    for answer in [&get, &head, &raw] {
        assert_eq!(answer.etag(), put.etag());
    }
    assert_eq!(get.json()["revision"], put.revision());
    let post = kv.project().post(&key_path("a"), r#"{"value":1}"#).expect(200);
    assert!(post.revision() > put.revision());
    assert_eq!(kv.project().get(&key_path("a")).etag(), post.etag());
}

#[test]
fn a_read_that_knows_the_revision_is_304() {
    let kv = Kv::new();
    let etag = kv.project().put(&key_path("a"), "1").expect(201).etag();
    let get = |condition: &str| {
        let answer = kv.project().send("GET", &key_path("a"), &[("If-None-Match", condition)], b"");
        if answer.status == 304 {
            assert_eq!(answer.etag(), etag);
            assert!(answer.body.is_empty());
            assert_eq!(answer.field("content-type"), None);
        }
        let head = kv.project().send("HEAD", &key_path("a"), &[("If-None-Match", condition)], b"");
        assert_eq!(head.status, answer.status);
        answer.status
    };
    assert_eq!(get(&etag), 304);
    assert_eq!(get(&format!("W/{etag}")), 304);
    assert_eq!(get(&format!("\"1\", {etag} ,\"3\"")), 304);
    assert_eq!(get("*"), 304);
    assert_eq!(get("\"1\""), 200);
    assert_eq!(get("\"other\""), 200);
    assert_eq!(get("\"a,b\""), 200);
    assert_eq!(get(&format!("\"a,b\", {etag}")), 304);
    assert_eq!(get(&etag.replacen('"', "\"0", 1)), 200, "another tag, though the same number");
    let raw = format!("{}?raw", key_path("a"));
    kv.project().send("GET", &raw, &[("If-None-Match", &etag)], b"").expect(304);
    kv.project().put(&key_path("a"), "2").expect(200);
    assert_eq!(kv.project().send("GET", &key_path("a"), &[("If-None-Match", &etag)], b"").status, 200);
    let absent = key_path("absent");
    kv.project().send("GET", &absent, &[("If-None-Match", "*")], b"").problem(404, "key_not_found");
}

#[test]
fn a_write_that_expects_a_revision_needs_that_revision() {
    let kv = Kv::new();
    let first = kv.project().put(&key_path("a"), "1").expect(201);
    let write = |method: &str, condition: (&str, &str), body: &str| {
        kv.project().send(method, &key_path("a"), &[condition], body.as_bytes())
    };
    let second = write("PUT", ("If-Match", &first.etag()), "2").expect(200);
    for (method, body) in [("PUT", "3"), ("POST", r#"{"value":3}"#), ("DELETE", "")] {
        let problem = write(method, ("If-Match", &first.etag()), body).problem(412, "precondition_failed");
        assert_eq!(problem["current"], without_type(&second), "{method}");
    }
    assert_eq!(kv.project().get(&key_path("a")).json()["value"], 2);
    write("POST", ("If-Match", &format!("\"1\", {}", second.etag())), r#"{"value":4}"#).expect(200);
    write("PUT", ("If-Match", "*"), "5").expect(200);
    write("DELETE", ("If-Match", "*"), "").expect(204);
}

#[test]
fn a_tag_is_compared_by_its_characters() {
    let kv = Kv::new();
    let etag = kv.project().put(&key_path("a"), "1").expect(201).etag();
    for begin in ["\"0", "\"+"] {
        let other = etag.replacen('"', begin, 1);
        let write = kv.project().send("PUT", &key_path("a"), &[("If-Match", &other)], b"2");
        write.problem(412, "precondition_failed");
    }
}

#[test]
fn nothing_matches_a_key_that_is_not_there() {
    let kv = Kv::new();
    for condition in ["*", "\"1\"", "\"0\""] {
        for (method, body) in [("PUT", "1"), ("POST", r#"{"value":1}"#), ("DELETE", "")] {
            let answer =
                kv.project().send(method, &key_path("a"), &[("If-Match", condition)], body.as_bytes());
            assert_eq!(
                answer.problem(412, "precondition_failed")["current"],
                Value::Null,
                "{method} {condition}"
            );
        }
    }
    kv.project().get(&key_path("a")).expect(404);
}

#[test]
fn a_key_is_created_only_once_where_none_may_match() {
    let kv = Kv::new();
    let none = [("If-None-Match", "*")];
    let created = kv.project().send("PUT", &key_path("a"), &none, b"1").expect(201);
    for (method, body) in [("PUT", &b"2"[..]), ("POST", br#"{"value":2}"#), ("DELETE", b"")] {
        let answer = kv.project().send(method, &key_path("a"), &none, body);
        assert_eq!(answer.problem(412, "precondition_failed")["current"], without_type(&created));
    }
    assert_eq!(kv.project().get(&key_path("a")).json()["value"], 1);
    let listed = format!("\"1\", {}", created.etag());
    kv.project().send("PUT", &key_path("a"), &[("If-None-Match", &listed)], b"2").expect(412);
    kv.project().send("PUT", &key_path("a"), &[("If-None-Match", "\"1\"")], b"2").expect(200);
}

#[test]
fn a_weak_tag_of_a_revision_counts_as_the_revision() {
    let kv = Kv::new();
    let write = |method: &str, conditions: &[(&str, &str)], body: &str| {
        kv.project().send(method, &key_path("a"), conditions, body.as_bytes())
    };
    let weak = || format!("W/{}", kv.project().get(&key_path("a")).expect(200).etag());
    kv.project().put(&key_path("a"), "1").expect(201);
    write("PUT", &[("If-Match", &weak())], "2").expect(200);
    write("POST", &[("If-Match", &weak())], r#"{"value":3}"#).expect(200);
    write("PUT", &[("If-Match", &format!("\"1\", W/\"2\" ,{}", weak()))], "4").expect(200);
    write("PUT", &[("If-Match", "\"1\""), ("If-Match", &weak())], "5").expect(200);
    write("GET", &[("If-Match", &weak())], "").expect(200);
    write("PUT", &[("If-None-Match", &weak())], "6").expect(412);
    write("PUT", &[("If-Match", "W/\"1\"")], "6").expect(412);
    write("PUT", &[("If-Match", "W/\"other\"")], "6").expect(412);
    write("DELETE", &[("If-Match", &weak())], "").expect(204);
}

#[test]
fn a_refusal_names_the_condition_and_what_is_there() {
    let kv = Kv::new();
    let revision = kv.project().put(&key_path("a"), "1").expect(201).revision().to_string();
    let check = |method: &str, key: &str, condition: (&str, &str), expected: &[&str]| {
        let answer = kv.project().send(method, &key_path(key), &[condition], b"2");
        let problem = answer.problem(412, "precondition_failed");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(condition.0), "{detail}");
        assert!(expected.iter().all(|part| detail.contains(part)), "{detail}");
    };
    check("PUT", "a", ("If-Match", "W/\"1\", \"2\""), &["W/\"1\", \"2\"", &revision]);
    check("PUT", "a", ("If-Match", "\"17-gzip\""), &["\"17-gzip\"", &revision]);
    check("GET", "a", ("If-Match", "\"1\""), &["\"1\"", &revision]);
    check("DELETE", "none", ("If-Match", "*"), &["does not exist"]);
    check("PUT", "a", ("If-None-Match", "*"), &["exists", &revision]);
    check("PUT", "a", ("If-None-Match", &format!("\"{revision}\"")), &[&revision]);
    for (key, wanted, expected) in
        [("a", 0, "exists"), ("a", 1, revision.as_str()), ("none", 5, "does not exist")]
    {
        let get =
            format!("{{\"operations\":[{{\"op\":\"get\",\"key\":\"{key}\",\"if_revision\":{wanted}}}]}}");
        let problem = kv.project().post(BATCH, &get).problem(412, "precondition_failed");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("`if_revision`") && detail.contains(expected), "{detail}");
    }
}

#[test]
fn an_asterisk_is_alone_in_all_lines_of_its_field() {
    let kv = Kv::new();
    let etag = kv.project().put(&key_path("a"), "1").expect(201).etag();
    for name in ["If-Match", "If-None-Match"] {
        for lines in [["*", "\"1\""], ["\"1\"", "*"], ["*", "*"], ["*", etag.as_str()], ["*", ""]] {
            let fields = lines.map(|line| (name, line));
            for method in ["PUT", "GET", "DELETE"] {
                let answer = kv.project().send(method, &key_path("a"), &fields, b"2");
                answer.problem(400, "invalid_condition");
            }
        }
    }
    assert_eq!(kv.project().get(&key_path("a")).json()["value"], 1);
}

#[test]
fn both_conditions_have_to_hold() {
    let kv = Kv::new();
    let etag = kv.project().put(&key_path("a"), "1").expect(201).etag();
    let both = [("If-Match", etag.as_str()), ("If-None-Match", etag.as_str())];
    kv.project().send("PUT", &key_path("a"), &both, b"2").expect(412);
    let both = [("If-Match", etag.as_str()), ("If-None-Match", "\"1\"")];
    kv.project().send("PUT", &key_path("a"), &both, b"2").expect(200);
}

#[test]
fn a_condition_that_cannot_be_read_is_refused() {
    let kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    for condition in [
        "5",
        "\"5",
        "5\"",
        "",
        ",",
        "\"1\" \"2\"",
        "*, \"1\"",
        "\"1\", *",
        "*,",
        "**",
        "w/\"1\"",
        "W/1",
        "W/ \"1\"",
        "W/*",
        "WW/\"1\"",
        "\"1 2\"",
        "\"1\"2",
        "\"1\"\"2\"",
        "\"1\", 2",
        "\"\t\"",
    ] {
        for name in ["If-Match", "If-None-Match"] {
            let answer = kv.project().send("PUT", &key_path("a"), &[(name, condition)], b"2");
            let problem = answer.problem(400, "invalid_condition");
            assert!(problem["detail"].as_str().unwrap().contains(name), "{problem}");
        }
    }
    assert_eq!(kv.project().get(&key_path("a")).json()["value"], 1);
}

#[test]
fn revisions_grow_and_are_never_used_twice() {
    let mut kv = Kv::new();
    let mut seen = Vec::new();
    let write = |kv: &Kv, key: &str| kv.project().put(&key_path(key), "1").revision();
    for round in 0..3 {
        seen.push(write(&kv, "a"));
        seen.push(write(&kv, "b"));
        kv.project().delete(&key_path("a")).expect(204);
        seen.push(write(&kv, "a"));
        kv.project().delete(KEYS).expect(200);
        match round {
            0 => kv.crash_and_start(),
            1 => kv.restart(),
            _ => {}
        }
        seen.push(write(&kv, "c"));
        kv.project().delete(&key_path("c")).expect(204);
        kv.restart();
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}

#[test]
fn an_etag_from_before_a_deletion_fits_nothing_afterwards() {
    let mut kv = Kv::new();
    let old = kv.project().put(&key_path("a"), "1").expect(201).etag();
    kv.project().delete(&key_path("a")).expect(204);
    kv.crash_and_start();
    kv.project().put(&key_path("a"), "1").expect(201);
    kv.project().send("PUT", &key_path("a"), &[("If-Match", &old)], b"2").expect(412);
}

#[test]
fn sixteen_clients_count_together_without_losing_one() {
    const CLIENTS: u64 = 16;
    const ROUNDS: u64 = 40;
    let kv = Kv::new();
    let caller = kv.project();
    caller.put(&key_path("counter"), "0").expect(201);
    let (won, lost) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = caller.connect();
                let mut revision_max = 0;
                for _ in 0..ROUNDS {
                    let read = connection.send("GET", &key_path("counter"), &[], b"").expect(200);
                    assert!(read.revision() >= revision_max, "a read went back in time");
                    revision_max = read.revision();
                    let next = (read.json()["value"].as_u64().unwrap() + 1).to_string();
                    let condition = [("If-Match", read.etag())];
                    let condition = condition.each_ref().map(|(name, etag)| (*name, etag.as_str()));
                    let write = connection.send("PUT", &key_path("counter"), &condition, next.as_bytes());
                    match write.status {
                        200 => {
                            won.fetch_add(1, Ordering::Relaxed);
                            revision_max = write.revision();
                        }
                        412 => {
                            lost.fetch_add(1, Ordering::Relaxed);
                            assert!(write.json()["current"]["revision"].as_u64() > Some(revision_max));
                        }
                        other => panic!("{other}: {write:?}"),
                    }
                }
            });
        }
    });
    let (won, lost) = (won.into_inner(), lost.into_inner());
    assert_eq!(won + lost, CLIENTS * ROUNDS);
    assert!(won >= ROUNDS, "somebody wins every round, {won} won");
    assert_eq!(caller.get(&key_path("counter")).json()["value"], won);
}

#[test]
fn a_condition_on_all_keys_at_once_is_refused_and_deletes_nothing() {
    let kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    for target in [KEYS.to_owned(), format!("{KEYS}?prefix=a")] {
        for name in ["If-Match", "If-None-Match"] {
            kv.project().send("DELETE", &target, &[(name, "\"1\"")], b"").problem(400, "invalid_condition");
        }
    }
    kv.project().delete(&format!("{KEYS}?prefix=")).problem(400, "invalid_query");
    kv.project().get(&key_path("a")).expect(200);
}
