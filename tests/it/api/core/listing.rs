//! `GET /keys`: order, prefix, pages, forms; `DELETE /keys`.

use crate::harness::kv::{BATCH, Caller, KEYS, Kv, PROJECT, encoded, key_path};
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

fn filled(keys: &[&str]) -> Kv {
    let kv = Kv::new();
    fill(&kv, &keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
    kv
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
fn an_empty_project_lists_no_keys() {
    let kv = Kv::new();
    let listing = kv.project().get(KEYS).expect(200);
    let expected = json!({"project": "first_project", "count": 0, "keys": {}, "cursor": null});
    assert_eq!(listing.json(), expected);
    assert_eq!(listing.field("content-type"), Some("application/json"));
    assert_eq!(kv.project().get(&format!("{KEYS}?values=false")).json()["keys"], json!([]));
    assert_eq!(kv.project().get(&format!("{KEYS}?meta=true")).json()["keys"], json!({}));
}

#[test]
fn keys_are_listed_with_their_values_in_byte_order() {
    let keys =
        ["b", "a", "B", "a/b", "a b", "aa", "é", "e\u{301}", "~", "10", "9", "\u{ffff}", "😀", "a\"\\"];
    let kv = filled(&keys);
    let mut sorted: Vec<&str> = keys.into();
    sorted.sort_unstable();
    let answer = kv.project().get(KEYS).expect(200);
    let listing = answer.json();
    assert_eq!(listing["project"], "first_project");
    assert_eq!(listing["count"], keys.len());
    assert_eq!(listing["cursor"], Value::Null);
    for (place, key) in keys.iter().enumerate() {
        assert_eq!(listing["keys"][key], place, "{key}");
    }
    let quoted = |key: &&str| format!("{}:", serde_json::to_string(key).unwrap());
    let places: Vec<_> = sorted.iter().map(|key| answer.text().find(&quoted(key)).unwrap()).collect();
    assert!(places.is_sorted(), "{}", answer.text());
    assert_eq!(names(&kv.project().get(&format!("{KEYS}?values=false")).json()), sorted);
}

#[test]
fn a_prefix_narrows_the_listing() {
    let kv = filled(&["a", "ab", "abc", "b", "a/x", "a/y", "a+", "a b", "é1", "é2"]);
    let listed = |prefix: &str| {
        names(&kv.project().get(&format!("{KEYS}?values=false&prefix={prefix}")).expect(200).json())
    };
    assert_eq!(listed("ab"), ["ab", "abc"]);
    assert_eq!(listed("a/"), ["a/x", "a/y"]);
    assert_eq!(listed("a%2F"), ["a/x", "a/y"]);
    assert_eq!(listed("a%2B"), ["a+"]);
    assert_eq!(listed("a+"), ["a b"]);
    assert_eq!(listed("%C3%A9"), ["é1", "é2"]);
    assert_eq!(listed("").len(), 10);
    assert_eq!(listed("zzz"), [""; 0]);
    kv.project().get(&format!("{KEYS}?prefix=%C3")).expect(400);
}

#[test]
fn metadata_comes_where_it_is_asked_for() {
    let kv = filled(&["a"]);
    kv.project().put(&format!("{}?ttl=60", key_path("b")), "[2]").expect(201);
    let listing = kv.project().get(&format!("{KEYS}?meta=true")).expect(200).json();
    for key in ["a", "b"] {
        let mut entry = kv.project().get(&key_path(key)).json();
        entry.as_object_mut().unwrap().remove("key");
        assert_eq!(listing["keys"][key], entry);
    }
    assert_eq!(
        kv.project().get(&format!("{KEYS}?meta=false&values=true")).json()["keys"],
        json!({"a": 0, "b": [2]})
    );
}

#[test]
fn parameters_that_are_none_are_refused() {
    let kv = filled(&["a", "b"]);
    for limit in ["0", "10001", "-1", "x", "", "1.5", "%2B5", "%205", "05", "1e1", "99999999999999999999"] {
        let problem = kv.project().get(&format!("{KEYS}?limit={limit}")).problem(400, "invalid_limit");
        assert!(problem["detail"].as_str().unwrap().contains("10000"), "{problem}");
    }
    kv.project().get(&format!("{KEYS}?limit=1")).expect(200);
    kv.project().get(&format!("{KEYS}?limit=10000")).expect(200);
    for cursor in ["x", "", "%00", "AAAA", "a%2Fb", "61", "5.61", "0.6", "00.61"] {
        kv.project().get(&format!("{KEYS}?cursor={cursor}")).problem(400, "invalid_cursor");
    }
    for query in ["values=maybe", "meta=1", "limit=1&limit=2", "perfix=a", "key=a", "raw"] {
        kv.project().get(&format!("{KEYS}?{query}")).problem(400, "invalid_query");
    }
    let problem = kv.project().get(&format!("{KEYS}?perfix=a")).problem(400, "invalid_query");
    assert!(problem["detail"].as_str().unwrap().contains("prefix"), "{problem}");
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
fn a_cursor_is_good_after_its_key_is_gone_and_after_a_restart() {
    let mut kv = filled(&["a", "b", "c", "d"]);
    let page = kv.project().get(&format!("{KEYS}?limit=2")).expect(200).json();
    let cursor = encoded(page["cursor"].as_str().unwrap());
    for key in ["a", "b"] {
        kv.project().delete(&key_path(key)).expect(204);
    }
    let rest = |kv: &Kv| names(&kv.project().get(&format!("{KEYS}?cursor={cursor}")).expect(200).json());
    assert_eq!(rest(&kv), ["c", "d"]);
    kv.restart();
    assert_eq!(rest(&kv), ["c", "d"]);
}

#[test]
fn a_cursor_alone_continues_within_its_prefix() {
    let mut kv = filled(&["page/1", "page/2", "page/3", "page/4", "page/5", "pag", "qqq"]);
    let page = |kv: &Kv, query: &str| kv.project().get(&format!("{KEYS}?{query}")).expect(200).json();
    let first = page(&kv, "prefix=page/&limit=2");
    let cursor = encoded(first["cursor"].as_str().unwrap());
    let second = page(&kv, &format!("cursor={cursor}&limit=2"));
    assert_eq!(names(&second), ["page/3", "page/4"]);
    let last = page(&kv, &format!("cursor={}&meta=true", encoded(second["cursor"].as_str().unwrap())));
    assert_eq!((names(&last), &last["cursor"]), (vec!["page/5".to_owned()], &Value::Null));
    kv.project().delete(&key_path("page/2")).expect(204);
    kv.restart();
    for beside in ["", "&prefix=page/", "&prefix=page%2F", "&values=false", "&limit=100"] {
        let rest = page(&kv, &format!("cursor={cursor}{beside}"));
        assert_eq!(names(&rest), ["page/3", "page/4", "page/5"], "{beside}");
    }
}

#[test]
fn a_prefix_that_is_not_the_one_of_the_cursor_is_refused() {
    let kv = filled(&["page/1", "page/2", "q"]);
    let cursor = |query: &str| {
        let page = kv.project().get(&format!("{KEYS}?limit=1{query}")).expect(200).json();
        encoded(page["cursor"].as_str().unwrap())
    };
    let (of_page, of_all) = (cursor("&prefix=page/"), cursor(""));
    for (cursor, prefix) in
        [(&of_page, "q"), (&of_page, ""), (&of_page, "page"), (&of_page, "page/1"), (&of_all, "page/")]
    {
        let target = format!("{KEYS}?cursor={cursor}&prefix={prefix}");
        let problem = kv.project().get(&target).problem(400, "invalid_cursor");
        assert!(problem["detail"].as_str().unwrap().contains("prefix"), "{problem}");
    }
    kv.project().get(&format!("{KEYS}?cursor={of_all}&prefix=")).expect(200);
}

#[test]
fn a_cursor_of_an_earlier_version_is_refused_since_it_has_no_prefix() {
    let kv = filled(&["page/1", "page/2", "q"]);
    let old: String = "page/1".bytes().map(|byte| format!("{byte:02x}")).collect();
    kv.project().get(&format!("{KEYS}?cursor={old}")).problem(400, "invalid_cursor");
}

#[test]
fn keys_that_stay_come_exactly_once_while_others_come_and_go() {
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
fn a_listing_that_is_not_read_holds_up_nobody() {
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
fn all_keys_are_deleted_at_once() {
    let mut kv = filled(&["a", "b", "c"]);
    assert_eq!(kv.project().delete(KEYS).expect(200).json(), json!({"deleted": 3}));
    assert_eq!(kv.project().delete(KEYS).expect(200).json(), json!({"deleted": 0}));
    kv.crash_and_start();
    assert_eq!(kv.project().get(KEYS).json()["count"], 0);
    assert_eq!(kv.project().get(PROJECT).json()["bytes"], 0);
}

#[test]
fn a_prefix_narrows_what_is_deleted() {
    let mut kv = filled(&["a", "a/1", "a/2", "ab", "b"]);
    let deleted = kv.project().delete(&format!("{KEYS}?prefix=a%2F")).expect(200).json();
    assert_eq!(deleted, json!({"deleted": 2}));
    kv.crash_and_start();
    assert_eq!(names(&kv.project().get(KEYS).json()), ["a", "ab", "b"]);
    kv.project().delete(&format!("{KEYS}?perfix=a")).problem(400, "invalid_query");
    kv.project().delete(&format!("{KEYS}?prefix=a&prefix=b")).problem(400, "invalid_query");
    kv.project().delete(&format!("{KEYS}?limit=1")).problem(400, "invalid_query");
    assert_eq!(names(&kv.project().get(KEYS).json()), ["a", "ab", "b"]);
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
