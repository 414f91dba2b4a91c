//! Tokens that somebody made or bent, sent to each API: refused, and without effect. The whole table
//! is beside `auth/jwt.rs`; this one sees that every API asks there.

use super::members::{claims, expired, register, server, signing_key, token, with_token_on};
use crate::harness::{Connection, Server};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pikv::testing::auth::jwt::{Claims, SigningKey, issue};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn part(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// What somebody could make who has `key`.
fn signed(key: &SigningKey, header: &str, payload: &str) -> String {
    let parts = format!("{}.{}", part(header), part(payload));
    let signature = key.mac("jwt", parts.as_bytes());
    format!("{parts}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Bent without the key.
fn unsigned_forgeries(good: &str, of_other: &str) -> Vec<(String, String)> {
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let [_, other_payload, other_signature] = of_other.split('.').collect::<Vec<_>>().try_into().unwrap();
    let none = part(r#"{"alg":"none","typ":"JWT"}"#);
    let zeros = BASE64_URL_SAFE_NO_PAD.encode([0; 32]);
    let mut forgeries = vec![
        ("no signature", format!("{header}.{payload}.")),
        ("no signature and no dot", format!("{header}.{payload}")),
        ("alg none", format!("{none}.{payload}.")),
        ("alg none with a signature", format!("{none}.{payload}.{signature}")),
        ("another's payload", format!("{header}.{other_payload}.{signature}")),
        ("another's signature", format!("{header}.{payload}.{other_signature}")),
        ("a signature of zeros", format!("{header}.{payload}.{zeros}")),
        ("parts swapped", format!("{payload}.{header}.{signature}")),
        ("five parts", format!("{header}.a.b.{payload}.{signature}")),
        ("a fourth part", format!("{good}.{signature}")),
        ("padding", format!("{good}=")),
        ("a dot before", format!(".{good}")),
        ("quotes around", format!("\"{good}\"")),
        ("twice", format!("{good},{good}")),
        ("half", good[..good.len() / 2].to_owned()),
        ("without its last digit", good[..good.len() - 1].to_owned()),
        ("only dots", "..".to_owned()),
        ("the payload alone", payload.to_owned()),
        ("longer than 8 KiB", format!("{header}.{}.{signature}", "A".repeat(7_900))),
        ("signed with an empty key", String::new()),
    ];
    for at in [0, header.len() + 5, good.len() - 3] {
        let mut bent = good.as_bytes().to_vec();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        forgeries.push(("a digit changed", String::from_utf8(bent).unwrap()));
    }
    forgeries.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}

/// Made with the server's own key, and yet no access token.
fn signed_forgeries(key: &SigningKey, good: &str) -> Vec<(String, String)> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap();
    let payload = String::from_utf8(payload).unwrap();
    assert_eq!(signed(key, HEADER, &payload), good, "this is how tokens are made");
    let mut forgeries = Vec::new();
    for (old, new) in [
        ("\"iss\":\"pikv\"", "\"iss\":\"other\""),
        ("\"aud\":\"pikv\"", "\"aud\":[\"pikv\"]"),
        ("\"sub\":\"one\"", "\"sub\":\"two\""),
        ("\"sub\":\"one\"", "\"sub\":\"ONE \""),
        ("\"sub\":\"one\"", "\"sub\":\"\""),
        ("\"sub\":\"one\"", "\"sub\":\"../account/one\""),
        ("\"sub\":\"one\"", "\"sub\":\"one\\u0000\""),
        ("\"cid\":\"", "\"cid\":\"0"),
        ("\"exp\":", "\"exp\":1.0,\"x\":"),
        ("\"exp\":", "\"exp\":\"9999999999\",\"x\":"),
        ("\"exp\":", "\"nope\":"),
        ("\"iat\":", "\"iat\":9"),
        ("{", "{\"nbf\":9999999999,"),
        ("{", "{\"admin\":true,"),
        ("{", "{\"sub\":\"one\","),
        ("{", "[{"),
        ("}", "}{}"),
    ] {
        assert!(payload.contains(old), "{old} in {payload}");
        forgeries.push((format!("{old} -> {new}"), signed(key, HEADER, &payload.replacen(old, new, 1))));
    }
    for header in [
        r#"{"alg":"none","typ":"JWT"}"#,
        r#"{"alg":"HS384","typ":"JWT"}"#,
        r#"{"alg":"hs256","typ":"JWT"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"../../dev/null"}"#,
        r#"{"alg":"HS256","typ":"JWT","jku":"http://localhost/"}"#,
        r#"{"alg":"HS256","typ":"JWT","crit":[]}"#,
        r#"["HS256","JWT"]"#,
    ] {
        forgeries.push((header.to_owned(), signed(key, header, &payload)));
    }
    let form = format!("{}.{}", part(HEADER), part(&payload));
    let mac = BASE64_URL_SAFE_NO_PAD.encode(key.mac("form", form.as_bytes()));
    forgeries.push(("signed as a form".to_owned(), format!("{form}.{mac}")));
    let other_key = SigningKey::new([7; 32]);
    forgeries.push(("signed with another key".to_owned(), signed(&other_key, HEADER, &payload)));
    forgeries
}

fn check_refused(connection: &mut Connection, what: &str, forged: &str) {
    for (method, path, body, status) in [
        ("GET", "/api/object/mark", "", 401),
        ("POST", "/api/object", "{\"key\":\"forged\",\"data\":1}", 401),
        ("GET", "/item/mark", "", 403),
        ("PUT", "/item/mark", "{\"value\":\"forged\"}", 403),
        ("DELETE", "/item/mark", "", 403),
        ("GET", "/api/data/mark", "", 401),
        ("POST", "/api/data", "{\"key\":\"forged\",\"value\":1}", 401),
        ("DELETE", "/api/data/mark", "", 401),
    ] {
        let response = with_token_on(connection, forged, method, path, body);
        assert_eq!(response.status, status, "{what}: {method} {path}: {response:?}");
    }
}

fn put_mark(server: &Server, token: &str) {
    let put = with_token_on(&mut server.connect(), token, "PUT", "/item/mark", "{\"value\":\"kept\"}");
    assert_eq!(put.status, 200, "{put:?}");
}

#[test]
fn forged_tokens_are_refused_by_every_api_and_change_nothing() {
    let server = server();
    ["one", "two"].iter().for_each(|name| register(&server, name));
    let (good, of_other) = (token(&server, "one"), token(&server, "two"));
    put_mark(&server, &good);
    put_mark(&server, &of_other);
    let key = signing_key(&server);
    let mut forgeries = unsigned_forgeries(&good, &of_other);
    forgeries.extend(signed_forgeries(&key, &good));
    forgeries.push(("past its time".to_owned(), expired(&server, &good)));
    let of_nobody = Claims { subject: "nobody".to_owned(), ..claims(&good) };
    forgeries.push(("of nobody".to_owned(), issue(&key, &of_nobody).reveal().to_owned()));
    assert!(forgeries.len() >= 40, "{}", forgeries.len());
    let mut connection = server.connect();
    for (what, forged) in &forgeries {
        check_refused(&mut connection, what, forged);
    }
    for token in [&good, &of_other] {
        let listed = with_token_on(&mut connection, token, "GET", "/api/data", "").json();
        assert_eq!(listed["data"]["keys"], serde_json::json!(["mark"]));
        let kept = with_token_on(&mut connection, token, "GET", "/item/mark", "").json();
        assert_eq!(kept["mark"], "kept");
    }
}
