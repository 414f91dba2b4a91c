//! `GET /keys`: order, prefix, pages, forms; `DELETE /keys`.

use crate::harness::kv::{BATCH, Caller, KEYS, Kv, encoded, key_path};
use crate::harness::wait_until;
use serde_json::{Value, json};

fn names(listing: &Value) -> Vec<String> {
    if let Some(names) = listing["keys"].as_array() {
        return names.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    }
    listing["keys"].as_object().unwrap().keys().cloned().collect()
}

/// Writes the keys, each with its place as its value.
fn fill(kv: &Kv, keys: &[String]) {
    for (batch, keys) in keys.chunks(1_000).enumerate() {
        let set =
            |(place, key): (usize, &String)| json!({"op": "set", "key": key, "value": batch * 1_000 + place});
        let operations: Vec<Value> = keys.iter().enumerate().map(set).collect();
        kv.project().post(BATCH, &json!({"operations": operations}).to_string()).expect(200);
    }
}

/// All pages, as lists of names.
fn pages(caller: &Caller, query: &str, mut between: impl FnMut(usize)) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = caller.get(&format!("{KEYS}?values=false&{query}{cursor}")).expect(200).json();
        assert_eq!(page["count"], names(&page).len());
        pages.push(names(&page));
        match page["cursor"].as_str() {
            Some(text) => cursor = format!("&cursor={}", encoded(text)),
            None => return pages,
        }
        between(pages.len());
    }
}

#[test]
fn pages_together_are_the_listing() {
    let keys: Vec<String> = (0..25).map(|number| format!("k/{number:02} é")).collect();
    let kv = Kv::new();
    fill(&kv, &keys);
    for limit in [1, 2, 7, 24, 25, 26] {
        let pages = pages(&kv.project(), &format!("limit={limit}"), |_| {});
        assert_eq!(pages.concat(), keys, "limit {limit}");
        assert!(pages.iter().all(|page| page.len() <= limit));
        assert!(pages.len() <= 25usize.div_ceil(limit) + 1);
    }
    assert_eq!(pages(&kv.project(), "limit=3&prefix=k%2F1", |_| {}).concat(), keys[10..20]);
    let page = kv.project().get(&format!("{KEYS}?limit=25")).expect(200).json();
    assert_eq!(page["cursor"], Value::Null, "nothing is behind the last key");
}

#[test]
fn unchanged_keys_are_listed_exactly_once_while_others_are_created_and_deleted() {
    let stay: Vec<String> = (0..60).map(|number| format!("{number:02}-stays")).collect();
    let kv = Kv::new();
    fill(&kv, &stay);
    let go: Vec<String> = (0..60).map(|number| format!("{number:02}-goes")).collect();
    fill(&kv, &go);
    let pages = pages(&kv.project(), "limit=7", |page| {
        for number in (page * 5 % 60..60).step_by(7) {
            kv.project().put(&key_path(&format!("{number:02}-new{page}")), "1").expect(201);
            let deleted = kv.project().delete(&key_path(&format!("{number:02}-goes")));
            assert!(matches!(deleted.status, 204 | 404));
        }
    });
    let all = pages.concat();
    assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    let stayed: Vec<String> = all.into_iter().filter(|key| key.ends_with("stays")).collect();
    assert_eq!(stayed, stay);
}

#[test]
fn a_hundred_thousand_keys_are_streamed_in_bounded_memory() {
    let kv = Kv::edited(|config| config["projects"][0]["storage"]["sync"] = "interval".into());
    let keys: Vec<String> = (0..100_000).map(|number| format!("key-{number:06}")).collect();
    fill(&kv, &keys);
    let before_kb = resident_kb(&kv);
    let answer = kv.project().get(KEYS).expect(200);
    let after_kb = resident_kb(&kv);
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    let listing = answer.json();
    assert_eq!(listing["count"], 100_000);
    assert_eq!(names(&listing).len(), 100_000);
    assert_eq!(listing["keys"]["key-099999"], 99_999);
    assert!(
        after_kb < before_kb + 1_500,
        "the answer has {} bytes, memory went from {before_kb} to {after_kb} kB",
        answer.body.len()
    );
    let pages = pages(&kv.project(), "limit=10000", |_| {});
    assert_eq!(pages.concat(), keys);
    assert_eq!(kv.project().head(KEYS).expect(200).body.len(), 0);
}

/// Memory of the server in use, in units of 1,024 bytes.
fn resident_kb(kv: &Kv) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", kv.server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_listing_that_is_not_read_delays_no_other_client() {
    let kv = Kv::edited(|config| config["projects"][0]["storage"]["sync"] = "interval".into());
    fill(&kv, &(0..50_000).map(|number| format!("key-{number:06}-{}", "x".repeat(200))).collect::<Vec<_>>());
    let mut idle = kv.project().connect();
    let request = format!("GET {KEYS} HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", kv.project_key);
    idle.connection.send(request.as_bytes());
    for number in 0..20 {
        kv.project().put(&key_path(&format!("after-{number}")), "1").expect(201);
        kv.project()
            .delete(&key_path(&format!("key-{:06}-{}", 49_999 - number, "x".repeat(200))))
            .expect(204);
    }
    let listing = idle.connection.read_response().expect(200).json();
    let listed = names(&listing);
    assert_eq!(listing["count"], listed.len());
    assert!(listed.iter().filter(|name| name.starts_with("key-")).count() >= 49_980);
}

#[test]
fn a_deletion_of_a_hundred_thousand_keys_is_one_step() {
    let mut kv = Kv::edited(|config| config["projects"][0]["storage"]["sync"] = "interval".into());
    fill(&kv, &(0..100_000).map(|number| format!("{number}")).collect::<Vec<_>>());
    assert_eq!(kv.project().delete(KEYS).expect(200).json()["deleted"], 100_000);
    kv.restart();
    wait_until("the project answers", || kv.project().get(KEYS).status == 200);
    assert_eq!(kv.project().get(KEYS).json()["count"], 0);
}

#[test]
fn a_project_without_cache_lists_the_same() {
    let mut kv = Kv::edited(|config| config["projects"][0]["storage"]["cache_in_memory"] = false.into());
    fill(&kv, &(0..2_500).map(|number| format!("k{number:04}")).collect::<Vec<_>>());
    let before = kv.project().get(&format!("{KEYS}?meta=true")).expect(200).json();
    assert_eq!(before["count"], 2_500);
    assert_eq!(before["keys"]["k2499"]["value"], 2_499);
    kv.crash_and_start();
    assert_eq!(kv.project().get(&format!("{KEYS}?meta=true")).expect(200).json(), before);
    kv.restart();
    assert_eq!(kv.project().get(&format!("{KEYS}?meta=true")).expect(200).json(), before);
}
