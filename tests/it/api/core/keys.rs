//! Values in the data file and bodies at their limit. The scripts in `tests/scripts/core` have what clients see.

use crate::harness::encode_request;
use crate::harness::kv::{Kv, key_path};

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

#[test]
fn the_data_file_has_values_as_they_were_sent() {
    for cached in [true, false] {
        let mut kv = Kv::edited(|config| config["projects"][0]["storage"]["cache_in_memory"] = cached.into());
        for (index, (sent, _)) in ODD_VALUES.iter().enumerate() {
            kv.project().put(&key_path(&format!("k{index:02}")), sent).expect(201);
        }
        kv.restart();
        let file = std::fs::read_to_string(kv.data_path("first_project.json")).unwrap();
        for (index, (_, kept)) in ODD_VALUES.iter().enumerate() {
            assert!(file.contains(&format!("\"k{index:02}\": {kept}")), "{kept} in {file}");
        }
    }
}

#[test]
fn a_body_one_byte_above_the_limit_is_refused_before_it_is_sent() {
    let kv = Kv::new();
    let body = format!("\"{}\" ", "x".repeat(1024 * 1024 - 2));
    let request = encode_request("PUT", &key_path("big"), Some(&kv.project_key), &[], body.as_bytes());
    let mut connection = kv.server.connect();
    connection.send(&request[..request.len() - body.len()]);
    let problem = connection.read_response().problem(413, "body_too_large");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("1,048,576") && detail.contains("1,048,577"), "{detail}");
}
