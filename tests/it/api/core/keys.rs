//! One key: write, read, delete, and what a key may look like.

use crate::harness::kv::{BATCH, KEYS, Kv, PROJECTS, encoded, key_path};
use crate::harness::{Response, encode_request};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn member_names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value}"));
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
}

/// An entry without its value, as writes answer it.
#[track_caller]
fn assert_is_receipt(answer: &Response, key: &str) {
    let entry = answer.json();
    let members = ["key", "type", "revision", "created_at", "updated_at", "expires_at"];
    assert_eq!(member_names(&entry), members.into(), "{entry}");
    assert_eq!(entry["key"], key);
    assert_eq!(entry["revision"], answer.revision());
    assert_is_time(&entry["created_at"]);
    assert_is_time(&entry["updated_at"]);
    assert_eq!(answer.field("content-type"), Some("application/json"));
}

#[test]
fn put_creates_with_201_and_replaces_with_200() {
    let kv = Kv::new();
    let created = kv.project().put(&key_path("a"), "1").expect(201);
    assert_is_receipt(&created, "a");
    let replaced = kv.project().put(&key_path("a"), "2").expect(200);
    assert_is_receipt(&replaced, "a");
    assert!(replaced.revision() > created.revision());
    assert_eq!(replaced.json()["created_at"], created.json()["created_at"]);
    assert!(replaced.json()["updated_at"].as_str() >= created.json()["updated_at"].as_str());
    assert_eq!(replaced.json()["expires_at"], Value::Null);
}

#[test]
fn post_creates_with_201_and_replaces_with_200() {
    let kv = Kv::new();
    assert_is_receipt(&kv.project().post(&key_path("a"), r#"{"value":1}"#).expect(201), "a");
    assert_is_receipt(&kv.project().post(&key_path("a"), r#"{"value":{"x":[2]}}"#).expect(200), "a");
    assert_eq!(kv.project().get(&key_path("a")).json()["value"], json!({"x": [2]}));
    kv.project().post(&key_path("n"), r#"{"value":null}"#).expect(201);
    assert_eq!(kv.project().get(&key_path("n")).expect(200).json()["value"], Value::Null);
}

#[test]
fn post_takes_a_value_and_a_ttl_and_nothing_else() {
    let kv = Kv::new();
    for body in [
        r#"{}"#,
        r#"{"ttl":5}"#,
        r#"{"value":1,"vlaue":2}"#,
        r#"{"value":1,"key":"a"}"#,
        r#"{"value":1,"value":2}"#,
        r#"[1]"#,
        r#""text""#,
        "1",
        "null",
    ] {
        kv.project().post(&key_path("a"), body).problem(400, "invalid_body");
    }
    for body in ["", " ", "{", r#"{"value":}"#, r#"{"value":1} x"#, "{'value':1}"] {
        kv.project().post(&key_path("a"), body).problem(400, "invalid_json");
    }
    kv.project().get(&key_path("a")).problem(404, "key_not_found");
}

#[test]
fn post_without_a_value_names_the_put_form() {
    let kv = Kv::new();
    for body in [r#"{"name":"x"}"#, "{}", "5", r#""text""#] {
        let problem = kv.project().post(&key_path("a"), body).problem(400, "invalid_body");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("PUT") && detail.contains("value"), "{detail}");
    }
}

#[test]
fn get_returns_the_entry_with_its_value() {
    let kv = Kv::new();
    let written = kv.project().put(&key_path("a"), r#"{"x":1}"#).expect(201);
    let read = kv.project().get(&key_path("a")).expect(200);
    let entry = read.json();
    let mut expected = written.json();
    expected.as_object_mut().unwrap().remove("type");
    expected["value"] = json!({"x": 1});
    assert_eq!(entry, expected);
    assert_eq!(read.etag(), written.etag());
    assert_eq!(read.field("content-type"), Some("application/json"));
    let text = read.text();
    let order =
        ["\"key\"", "\"value\"", "\"revision\"", "\"created_at\"", "\"updated_at\"", "\"expires_at\""];
    let places: Vec<_> = order.iter().map(|member| text.find(member).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn get_of_a_key_that_is_not_there_is_404() {
    let kv = Kv::new();
    kv.project().get(&key_path("absent key")).problem(404, "key_not_found");
    kv.project().get(&format!("{}?raw", key_path("absent"))).problem(404, "key_not_found");
    assert!(kv.project().head(&key_path("absent")).expect(404).body.is_empty());
}

#[test]
fn raw_is_the_value_alone_and_strings_are_plain_text() {
    let kv = Kv::new();
    let table = [
        (r#""a \"b\" \u00e9\n""#, "a \"b\" é\n", "text/plain; charset=utf-8"),
        (r#""""#, "", "text/plain; charset=utf-8"),
        (r#"{"a": [1, 2]}"#, r#"{"a":[1,2]}"#, "application/json"),
        ("1e400", "1e400", "application/json"),
        ("null", "null", "application/json"),
        ("true", "true", "application/json"),
    ];
    for (index, (sent, raw, content_type)) in table.into_iter().enumerate() {
        let target = key_path(&format!("k{index}"));
        let etag = kv.project().put(&target, sent).expect(201).etag();
        let answer = kv.project().get(&format!("{target}?raw")).expect(200);
        assert_eq!(answer.text(), raw);
        let found = answer.field("content-type").unwrap().to_ascii_lowercase();
        assert!(found.replace(' ', "") == content_type.replace(' ', ""), "{sent}: {found}");
        assert_eq!(answer.etag(), etag);
        let head = kv.project().head(&format!("{target}?raw")).expect(200);
        assert_eq!(head.field("content-length"), Some(raw.len().to_string().as_str()));
    }
}

#[test]
fn head_is_get_without_a_body() {
    let kv = Kv::new();
    kv.project().put(&key_path("a"), "[1,2,3]").expect(201);
    let (get, head) = (kv.project().get(&key_path("a")), kv.project().head(&key_path("a")).expect(200));
    assert!(head.body.is_empty());
    for name in ["etag", "content-type", "content-length"] {
        assert_eq!(head.field(name), get.field(name), "{name}");
    }
}

#[test]
fn delete_answers_204_and_then_404() {
    let mut kv = Kv::new();
    kv.project().put(&key_path("a"), "1").expect(201);
    assert!(kv.project().delete(&key_path("a")).expect(204).body.is_empty());
    kv.project().get(&key_path("a")).problem(404, "key_not_found");
    kv.project().delete(&key_path("a")).problem(404, "key_not_found");
    kv.crash_and_start();
    kv.project().get(&key_path("a")).problem(404, "key_not_found");
    kv.project().put(&key_path("a"), "1").expect(201);
}

#[test]
fn keys_of_different_projects_do_not_meet() {
    let kv = Kv::new();
    kv.create_project(&json!({"id": "other"}));
    kv.global().put(&key_path("a"), "1").expect(201);
    kv.global().get(&format!("{PROJECTS}/other/keys/a")).problem(404, "key_not_found");
    kv.global().put(&format!("{PROJECTS}/other/keys/a"), "2").expect(201);
    assert_eq!(kv.global().get(&key_path("a")).json()["value"], 1);
}

#[test]
fn a_put_body_is_json_unless_it_says_text() {
    let kv = Kv::new();
    let put = |content_type: &str, body: &[u8]| {
        kv.project().send("PUT", &key_path("a"), &[("Content-Type", content_type)], body)
    };
    let value = || kv.project().get(&key_path("a")).json()["value"].clone();
    put("application/json", b"[1]").expect(201);
    assert_eq!(value(), json!([1]));
    for content_type in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "Application/Octet-Stream",
    ] {
        put(content_type, b"{\"x\":2}").expect(200);
        assert_eq!(value(), json!({"x": 2}), "{content_type}");
    }
    kv.project().send("PUT", &key_path("a"), &[], b"3").expect(200);
    assert_eq!(value(), 3);
    for content_type in ["text/plain", "text/plain; charset=utf-8", "TEXT/PLAIN;charset=UTF-8"] {
        put(content_type, "[1] \"é\"\r\n\t\u{1}".as_bytes()).expect(200);
        assert_eq!(value(), "[1] \"é\"\r\n\t\u{1}", "{content_type}");
    }
    put("text/plain", b"").expect(200);
    assert_eq!(value(), "");
    put("text/plain", b"\xff").expect(400);
    put("application/xml", b"<a/>").problem(415, "unsupported_media_type");
    put("multipart/form-data; boundary=x", b"1").problem(415, "unsupported_media_type");
    put("text/html", b"1").problem(415, "unsupported_media_type");
    assert_eq!(value(), "");
}

#[test]
fn a_post_body_may_have_the_default_type_of_curl() {
    let kv = Kv::new();
    for fields in [
        &[("Content-Type", "application/x-www-form-urlencoded")][..],
        &[("Content-Type", "application/octet-stream")],
        &[],
    ] {
        let answer = kv.project().send("POST", &key_path("a"), fields, br#"{"value":"x"}"#);
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }
    let xml = [("Content-Type", "application/xml")];
    kv.project().send("POST", &key_path("a"), &xml, br#"{"value":1}"#).problem(415, "unsupported_media_type");
    let text = [("Content-Type", "text/plain")];
    kv.project()
        .send("POST", &key_path("a"), &text, br#"{"value":1}"#)
        .problem(415, "unsupported_media_type");
}

#[test]
fn an_answer_to_a_write_names_the_type_of_the_value() {
    let kv = Kv::new();
    for (value, name) in [
        ("{\"a\":1}", "object"),
        (" [1]", "array"),
        ("\"1\"", "string"),
        ("-1.5", "number"),
        ("true", "boolean"),
        ("false", "boolean"),
        ("null", "null"),
    ] {
        assert_eq!(kv.project().put(&key_path("a"), value).json()["type"], name);
        let post = kv.project().post(&key_path("a"), &format!("{{\"value\":{value}}}"));
        assert_eq!(post.json()["type"], name);
        let set = format!("{{\"operations\":[{{\"op\":\"set\",\"key\":\"a\",\"value\":{value}}}]}}");
        assert_eq!(kv.project().post(BATCH, &set).json()["results"][0]["type"], name);
        assert_eq!(kv.project().get(&key_path("a")).json().get("type"), None);
    }
    let text = [("Content-Type", "text/plain;charset=UTF-8")];
    let answer = kv.project().send("PUT", &key_path("a"), &text, b"{\"a\":1}").expect(200);
    assert_eq!(answer.json()["type"], "string", "a fetch with a string for its body is noticed");
}

#[test]
fn a_body_in_an_encoding_is_refused_wherever_it_is_named() {
    let kv = Kv::new();
    let put = |fields: &[(&str, &str)]| kv.project().send("PUT", &key_path("a"), fields, b"1");
    let name = "Content-Encoding";
    for fields in [
        &[(name, "gzip")][..],
        &[(name, "identity, gzip")],
        &[(name, "identity"), (name, "br")],
        &[(name, "aws-chunked")],
    ] {
        put(fields).problem(415, "unsupported_media_type");
    }
    kv.project().get(&key_path("a")).expect(404);
    put(&[(name, "identity")]).expect(201);
    put(&[(name, "identity"), (name, "Identity, ")]).expect(200);
}

#[test]
fn a_body_that_is_no_json_is_refused_with_its_place() {
    let kv = Kv::new();
    for body in ["", " ", "{", "[1,]", "{\"a\":1,}", "01", "nul", "'a'", "\"\u{1}\"", "1 2", "hello"] {
        kv.project().put(&key_path("a"), body).problem(400, "invalid_json");
    }
    let problem = kv.project().put(&key_path("a"), "[1,\n 2,\n oops]").problem(400, "invalid_json");
    assert!(problem["detail"].as_str().unwrap().contains("line 3"), "{problem}");
    kv.project().send("PUT", &key_path("a"), &[], b"\"\xff\"").problem(400, "invalid_json");
    kv.project().get(&key_path("a")).problem(404, "key_not_found");
}

#[test]
fn values_nest_up_to_100_levels() {
    let mut kv = Kv::new();
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    kv.project().put(&key_path("deep"), &nested(100)).expect(201);
    let problem = kv.project().put(&key_path("deeper"), &nested(101)).problem(400, "value_too_deep");
    assert!(problem["detail"].as_str().unwrap().contains("100"), "{problem}");
    kv.project().post(&key_path("post"), &format!("{{\"value\":{}}}", nested(100))).expect(201);
    kv.project()
        .post(&key_path("post"), &format!("{{\"value\":{}}}", nested(101)))
        .problem(400, "value_too_deep");
    kv.project().put(&key_path("deepest"), &nested(100_000)).problem(400, "value_too_deep");
    kv.restart();
    assert_eq!(kv.project().get(&format!("{}?raw", key_path("deep"))).text(), nested(100));
}

/// Values as sent and as kept.
const ODD_VALUES: [(&str, &str); 18] = [
    // Half a surrogate pair is JSON by the grammar of RFC 8259, so it is kept like the rest.
    (r#""\ud800""#, r#""\ud800""#),
    ("12345678901234567890123", "12345678901234567890123"),
    ("1e400", "1e400"),
    ("-0", "-0"),
    ("-0.0", "-0.0"),
    ("1E6", "1E6"),
    ("1e-400", "1e-400"),
    ("0.10", "0.10"),
    ("3.14159265358979323846264338327950288", "3.14159265358979323846264338327950288"),
    (r#"{"z":1,"a":2,"m":3}"#, r#"{"z":1,"a":2,"m":3}"#),
    (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
    (r#"{"":{"":{}}}"#, r#"{"":{"":{}}}"#),
    (r#""\u0041\/\u00e9é\ud83d\ude00""#, r#""\u0041\/\u00e9é\ud83d\ude00""#),
    (r#""\u0000\n\\""#, r#""\u0000\n\\""#),
    ("  [ 1 ,\t2 ,\r\n\" a b \" ]  ", r#"[1,2," a b "]"#),
    (r#" { "a" : [ ] , "b" : { } } "#, r#"{"a":[],"b":{}}"#),
    (r#""a,b: {} // \" ""#, r#""a,b: {} // \" ""#),
    ("\"\u{2028}\u{feff}\u{10ffff}\"", "\"\u{2028}\u{feff}\u{10ffff}\""),
];

/// The text between `"value":` and `,"revision"` of an entry.
fn value_text(entry: &str) -> &str {
    let (_, rest) = entry.split_once("\"value\":").unwrap();
    rest.rsplit_once(",\"revision\"").unwrap().0
}

fn assert_odd_values(kv: &Kv, when: &str) {
    for (index, (_, kept)) in ODD_VALUES.iter().enumerate() {
        let answer = kv.project().get(&key_path(&format!("k{index:02}"))).expect(200);
        assert_eq!(value_text(answer.text()), *kept, "{when}");
        let posted = kv.project().get(&key_path(&format!("p{index:02}"))).expect(200);
        assert_eq!(value_text(posted.text()), *kept, "posted, {when}");
    }
    let listing = kv.project().get(KEYS).expect(200).text().to_owned();
    for (index, (_, kept)) in ODD_VALUES.iter().enumerate() {
        assert!(listing.contains(&format!("\"k{index:02}\":{kept}")), "{kept} in {listing}");
    }
}

#[test]
fn values_come_back_byte_for_byte_through_crash_checkpoint_and_restart() {
    for cached in [true, false] {
        let mut kv = Kv::edited(|config| config["projects"][0]["storage"]["cache_in_memory"] = cached.into());
        for (index, (sent, _)) in ODD_VALUES.iter().enumerate() {
            kv.project().put(&key_path(&format!("k{index:02}")), sent).expect(201);
            let body = format!("{{\"value\": {sent} }}");
            kv.project().post(&key_path(&format!("p{index:02}")), &body).expect(201);
        }
        assert_odd_values(&kv, "as written");
        kv.crash_and_start();
        assert_odd_values(&kv, "from the journal");
        kv.restart();
        let file = std::fs::read_to_string(kv.data_path("first_project.json")).unwrap();
        for (index, (_, kept)) in ODD_VALUES.iter().enumerate() {
            assert!(file.contains(&format!("\"k{index:02}\": {kept}")), "{kept} in {file}");
        }
        assert_odd_values(&kv, "from the data file");
    }
}

#[test]
fn everything_behind_keys_is_the_key() {
    let kv = Kv::new();
    let table = [
        ("a%2Fb", "a/b"),
        ("c/d", "c/d"),
        ("e%2fe", "e/e"),
        ("f/", "f/"),
        ("/g", "/g"),
        ("h//h", "h//h"),
        ("i/../j", "i/../j"),
        ("k%2F..%2Fl", "k/../l"),
        ("../m", "../m"),
        ("./n", "./n"),
        ("%2e%2e/o", "../o"),
        ("...", "..."),
        ("p+q", "p+q"),
        ("r%20s", "r s"),
        ("t%2Bu", "t+u"),
        ("v%3Fw%23x%25", "v?w#x%"),
        ("%22%5C%7B%7D%5E%60", "\"\\{}^`"),
        ("key:;@&=$,!'()*~", "key:;@&=$,!'()*~"),
        ("keys/batch", "keys/batch"),
    ];
    for (sent, key) in table {
        let target = format!("{KEYS}/{sent}");
        let answer = kv.project().put(&target, "1").expect(201);
        assert_eq!(answer.json()["key"], key, "{sent}");
        assert_eq!(kv.project().get(&key_path(key)).expect(200).json()["key"], key);
        kv.project().get(&target).expect(200);
        kv.project().delete(&target).expect(204);
        kv.project().get(&key_path(key)).expect(404);
    }
}

#[test]
fn a_slash_is_the_same_key_however_it_is_sent() {
    let kv = Kv::new();
    kv.project().put(&format!("{KEYS}/a%2Fb"), "1").expect(201);
    kv.project().put(&format!("{KEYS}/a/b"), "2").expect(200);
}

#[test]
fn normalisation_forms_are_different_keys_and_survive_a_restart() {
    let mut kv = Kv::new();
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    kv.project().put(&key_path(composed), "1").expect(201);
    kv.project().put(&key_path(decomposed), "2").expect(201);
    kv.project().put(&key_path("🔑 ключ"), "3").expect(201);
    kv.restart();
    assert_eq!(kv.project().get(&key_path(composed)).json()["value"], 1);
    assert_eq!(kv.project().get(&key_path(decomposed)).json()["value"], 2);
    assert_eq!(kv.project().get(&key_path("🔑 ключ")).json()["key"], "🔑 ключ");
}

#[test]
fn keys_without_a_place_in_a_url_are_refused() {
    let kv = Kv::new();
    for key in [".", "..", "%2e", "%2E%2e", "%00", "a%0Ab", "%1f", "%7F", "%C2%85", ""] {
        let target = format!("{KEYS}/{key}");
        kv.project().put(&target, "1").problem(400, "invalid_key");
        kv.project().get(&target).problem(400, "invalid_key");
        kv.project().delete(&target).problem(400, "invalid_key");
        kv.project().post(&target, r#"{"value":1}"#).problem(400, "invalid_key");
    }
    for key in ["%zz", "%4", "%", "%C3", "%FF", "%C0%AF", "%ED%A0%80"] {
        let problem = kv.project().put(&format!("{KEYS}/{key}"), "1").expect(400).json();
        assert!(["invalid_key", "invalid_target"].contains(&problem["code"].as_str().unwrap()), "{problem}");
    }
    assert_eq!(kv.project().get(KEYS).json()["count"], 0);
}

#[test]
fn a_key_has_at_most_1024_bytes_after_decoding() {
    let kv = Kv::new();
    for key in ["x".repeat(1024), "é".repeat(512), "/".repeat(1024)] {
        assert_eq!(kv.project().put(&key_path(&key), "1").expect(201).json()["key"], key);
        kv.project().get(&key_path(&key)).expect(200);
    }
    for key in ["x".repeat(1025), "é".repeat(512) + "x"] {
        let problem = kv.project().put(&format!("{KEYS}/{}", encoded(&key)), "1").problem(400, "invalid_key");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("1024") && detail.contains("1025"), "{detail}");
    }
}

#[test]
fn a_value_may_fill_the_body_limit() {
    let mut kv = Kv::new();
    let value = format!("\"{}\"", "x".repeat(1024 * 1024 - 2));
    kv.project().put(&key_path("big"), &value).expect(201);
    assert_eq!(kv.project().get(&format!("{}?raw", key_path("big"))).body.len(), value.len() - 2);
    kv.crash_and_start();
    assert_eq!(kv.project().get(&format!("{}?raw", key_path("big"))).body.len(), value.len() - 2);
    // The head alone: the server need not take a body that it has refused.
    let body = format!("{value} ");
    let request = encode_request("PUT", &key_path("big"), Some(&kv.project_key), &[], body.as_bytes());
    let mut connection = kv.server.connect();
    connection.send(&request[..request.len() - body.len()]);
    let problem = connection.read_response().problem(413, "body_too_large");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("1048576") && detail.contains("1048577"), "{detail}");
}

#[test]
fn the_body_limit_may_be_configured() {
    let kv = Kv::edited(|config| config["limits"] = json!({"body_bytes_max": 10}));
    kv.project().put(&key_path("a"), "\"12345678\"").expect(201);
    let problem = kv.project().put(&key_path("a"), "\"123456789\"").problem(413, "body_too_large");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("10") && detail.contains("11"), "{detail}");
}

#[test]
fn unknown_parameters_are_refused_with_the_nearest_right_one() {
    let kv = Kv::new();
    let problem = kv.project().put(&format!("{}?tll=5", key_path("a")), "1").problem(400, "invalid_query");
    assert!(problem["detail"].as_str().unwrap().contains("ttl"), "{problem}");
    kv.project().put(&format!("{}?ttl=5&ttl=6", key_path("a")), "1").problem(400, "invalid_query");
    kv.project().get(&format!("{}?rwa", key_path("a"))).problem(400, "invalid_query");
    kv.project().delete(&format!("{}?ttl=5", key_path("a"))).problem(400, "invalid_query");
    kv.project().get(&key_path("a")).problem(404, "key_not_found");
}
