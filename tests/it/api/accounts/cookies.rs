//! Session cookies: what they look like, where they count, what is kept of them, and when they end.

use crate::harness::Server;
use crate::harness::people::{PASSWORD, Person, people_config, register, send_json};
use crate::harness::visitors::{Browser, HTML, SESSION, expect_failed, expect_redirect};
use pikv::testing::secret::KeyHash;
use serde_json::{Value, json};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Of a session without TLS.
const ATTRIBUTES: &str = "; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax";
const HTTPS: (&str, &str) = ("X-Forwarded-Proto", "https");

fn server_with_ann(config: Value) -> Server {
    let server = Server::start_with(config);
    register(&server, "ann");
    server
}

fn login(server: &Server, fields: &[(&str, &str)]) -> String {
    let body = json!({"username": "ann", "password": PASSWORD}).to_string();
    let answer = send_json(server, "POST", "/api/login", fields, &body).expect(200);
    let cookies: Vec<_> = answer.fields.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies.len(), 1, "{answer:?}");
    cookies[0].1.clone()
}

/// Whether a cookie field signs somebody in.
fn opens(server: &Server, cookie: &str, fields: &[(&str, &str)]) -> bool {
    let fields = [&[("Cookie", cookie)], fields].concat();
    match server.request("GET", "/api/data", None, &fields, b"").status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

/// Name and token of a cookie that has exactly these attributes and a name that begins with `prefix`.
fn parts_of<'c>(cookie: &'c str, prefix: &str, attributes: &str) -> (&'c str, &'c str) {
    let parts = cookie.strip_suffix(attributes).and_then(|pair| pair.split_once('='));
    let (name, token) = parts.unwrap_or_else(|| panic!("{cookie}"));
    let installation = name.strip_prefix(prefix).unwrap_or_else(|| panic!("{cookie}"));
    assert_eq!(installation.len(), 8, "{cookie}");
    assert!(installation.bytes().all(|byte| byte.is_ascii_hexdigit()), "{cookie}");
    assert_eq!(token.len(), 43, "32 bytes of base64url: {cookie}");
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{cookie}");
    (name, token)
}

fn token_of(cookie: &str) -> &str {
    parts_of(cookie, SESSION, ATTRIBUTES).1
}

#[test]
fn a_session_cookie_has_exactly_the_attributes_that_it_needs() {
    let server = server_with_ann(people_config());
    assert_ne!(token_of(&login(&server, &[])), token_of(&login(&server, &[])));
    let form = Browser::default().get(&server, "/api/login");
    assert_eq!(form.field("set-cookie"), None, "nobody is signed in yet");
}

#[test]
fn cookies_over_tls_are_secure_and_bound_to_the_host() {
    let mut config = people_config();
    config["trusted_proxies"] = json!(["127.0.0.1"]);
    let server = server_with_ann(config);
    let attributes = "; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax; Secure";
    let cookie = login(&server, &[HTTPS]);
    let (name, token) = parts_of(&cookie, "__Host-pikv_session_", attributes);
    let bound = format!("{name}={token}");
    assert!(opens(&server, &bound, &[HTTPS]));
    // Whoever answers in clear text could have set the other one.
    assert!(!opens(&server, bound.trim_start_matches("__Host-"), &[HTTPS]));
    assert!(!opens(&server, &bound, &[]));
    let answer = server.request("GET", "/api/logout", None, &[HTTPS, ("Cookie", &bound)], b"");
    let cleared = format!("{name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(answer.field("set-cookie"), Some(cleared.as_str()));
    assert!(!opens(&server, &bound, &[HTTPS]));
    assert!(login(&server, &[]).starts_with(SESSION), "the proxy says nothing of TLS");
    assert!(login(&server, &[("X-Forwarded-Proto", "https, http")]).starts_with(SESSION));
}

#[test]
fn an_untrusted_client_cannot_claim_that_it_used_tls() {
    let mut config = people_config();
    config["trusted_proxies"] = json!(["192.0.2.0/24"]);
    for config in [people_config(), config] {
        let server = server_with_ann(config);
        let cookie = login(&server, &[HTTPS, ("X-Forwarded-For", "192.0.2.1")]);
        token_of(&cookie);
    }
}

#[test]
fn two_cookies_with_one_name_are_both_ignored() {
    let server = server_with_ann(people_config());
    let cookie = login(&server, &[]);
    let (name, token) = parts_of(&cookie, SESSION, ATTRIBUTES);
    let good = format!("{name}={token}");
    for alone in
        [good.clone(), format!("a=b; {good}; c"), format!("other_{good}; {good}"), format!("{good};")]
    {
        assert!(opens(&server, &alone, &[]), "{alone}");
    }
    for doubled in [format!("{good}; {name}=x"), format!("{name}=x; {good}"), format!("{good}; {good}")] {
        assert!(!opens(&server, &doubled, &[]), "{doubled}");
    }
    assert!(opens(&server, &good, &[("Cookie", "a=b")]), "of two fields");
    assert!(!opens(&server, &good, &[("Cookie", &format!("{name}=x"))]), "in two fields");
    for none in [
        name.to_owned(),
        format!("{name}="),
        format!("{good}x"),
        good.to_uppercase(),
        good.replace(SESSION, "Pikv_session_"),
    ] {
        assert!(!opens(&server, &none, &[]), "{none}");
    }
    for former in [format!("pikv_session={token}"), format!("{SESSION}00000000={token}; a=b")] {
        assert!(opens(&server, &former, &[]), "a session that began under another name: {former}");
        assert!(opens(&server, &format!("{former}; {good}"), &[]), "our own name counts: {former}");
        assert!(!opens(&server, &format!("{former}; {name}=x"), &[]), "our own name counts: {former}");
        assert!(!opens(&server, &format!("{former}; {SESSION}1={token}"), &[]), "{former}");
    }
    expect_redirect(
        &server.request("GET", "/dashboard", None, &[HTML, ("Cookie", &format!("{good}; {good}"))], b""),
        "/api/login",
    );
}

#[test]
fn a_valid_cookie_never_replaces_an_invalid_credential() {
    let server = server_with_ann(people_config());
    let mut browser = Browser::signed_in(&server, "ann");
    let cookie = browser.cookie_field();
    for field in [
        ("X-API-Key", "wrong-key-0123456789"),
        ("Api-Key", "wrong-key-0123456789"),
        ("Authorization", "Bearer a.b.c"),
        ("Authorization", "a.b.c"),
        ("Authorization", "Digest YTpi"),
        ("X-API-Key", ""),
        ("Authorization", ""),
        ("x-api-key", crate::harness::GLOBAL_KEY),
    ] {
        let answer = server.request("GET", "/api/data", None, &[("Cookie", &cookie), field], b"");
        expect_failed(&answer, 401, "INVALID_TOKEN");
        let fields = [("Cookie", &*cookie), field, crate::harness::visitors::SAME_ORIGIN];
        let answer = send_json(&server, "POST", "/api/data", &fields, r#"{"key":"k","value":1}"#);
        expect_failed(&answer, 401, "INVALID_TOKEN");
        expect_redirect(
            &server.request("GET", "/dashboard", None, &[("Cookie", &cookie), field, HTML], b""),
            "/api/login",
        );
    }
    assert!(browser.is_signed_in(&server));
    // A good credential decides whose data it is, whatever the cookie says.
    register(&server, "bob");
    let bob = Person::sign_in(&server, "bob");
    bob.post(&server, "/api/data", r#"{"key":"bobs","value":1}"#).expect(201);
    let bearer = format!("Bearer {}", bob.token);
    let answer =
        server.request("GET", "/api/data", None, &[("Cookie", &cookie), ("Authorization", &bearer)], b"");
    assert_eq!(answer.json()["data"]["keys"], json!(["bobs"]));
}

/// Everything in the data directory.
fn stored(server: &Server) -> String {
    let files = fs::read_dir(server.directory().join("storage_data")).unwrap();
    let text = |entry: fs::DirEntry| fs::read(entry.path()).unwrap_or_default();
    files.map(|entry| String::from_utf8_lossy(&text(entry.unwrap())).into_owned()).collect()
}

#[test]
fn only_hashes_of_sessions_and_passwords_are_on_the_disk() {
    let mut server = server_with_ann(people_config());
    let cookie = login(&server, &[]);
    let token = token_of(&cookie);
    let hash = KeyHash::of(token.as_bytes()).encode();
    let check = |text: &str, when: &str| {
        assert!(text.contains(&hash), "{when}: no session in {text}");
        assert!(!text.contains(token), "{when}: the token is there");
        assert!(!text.contains(PASSWORD), "{when}: the password is there");
    };
    check(&stored(&server), "in the journal");
    assert!(server.terminate().success());
    check(&stored(&server), "in the files");
    let text = fs::read_to_string(server.data_path("_sessions.json")).unwrap();
    assert!(text.contains(&hash), "{text}");
    assert!(!server.stderr_text().contains(token) && !server.stderr_text().contains(PASSWORD));
}

#[test]
fn a_session_ends_when_its_time_is_up() {
    let mut server = server_with_ann(people_config());
    let cookie = login(&server, &[]);
    let cookie = cookie.split(';').next().unwrap();
    server.restart();
    assert!(opens(&server, cookie, &[]), "a restart ends no session");
    assert!(server.terminate().success());
    let path = server.data_path("_sessions.journal");
    let (moved, lives_s) = expired(&fs::read_to_string(&path).unwrap());
    assert!(matches!(lives_s[..], [86_000..=86_400]), "one session, one day: {lives_s:?}");
    fs::write(&path, moved).unwrap();
    server.start_again();
    assert!(!opens(&server, cookie, &[]));
    let browser = server.request("GET", "/dashboard", None, &[HTML, ("Cookie", cookie)], b"");
    expect_redirect(&browser, "/api/login");
}

/// A journal whose keys expired a second ago, and how long each of them would have lived from now, seconds.
fn expired(journal: &str) -> (String, Vec<u64>) {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let mut lives_s = Vec::new();
    let mut moved = String::new();
    // The checksum of the header is a plain one; those of the other lines continue from the seed that it names.
    let (_, behind) = journal.split_once("\"seed\":\"").unwrap();
    let mut seed = 0;
    for line in journal.lines() {
        let (_, payload) = line.split_once(' ').unwrap();
        let mut payload = payload.to_owned();
        if let Some((before, behind)) = payload.clone().split_once("\"expires\":") {
            let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap();
            lives_s.push((behind[..end].parse::<u64>().unwrap() - now_ms) / 1_000);
            payload = format!("{before}\"expires\":{}{}", now_ms - 1_000, &behind[end..]);
        }
        let mut checksum = crc32fast::Hasher::new_with_initial(seed);
        checksum.update(payload.as_bytes());
        moved += &format!("{:08x} {payload}\n", checksum.finalize());
        seed = u32::from_str_radix(&behind[..8], 16).unwrap();
    }
    (moved, lives_s)
}

#[test]
fn two_servers_on_one_host_do_not_end_the_sessions_of_each_other() {
    let (one, two) = (server_with_ann(people_config()), server_with_ann(people_config()));
    // A browser sends the cookies of a host to all of its ports.
    let mut browser = Browser::signed_in(&one, "ann");
    browser.log_in(&two, "ann").expect(302);
    assert!(browser.is_signed_in(&one) && browser.is_signed_in(&two));
    expect_redirect(&browser.get(&two, "/api/logout"), "/api/login");
    assert!(browser.is_signed_in(&one) && !browser.is_signed_in(&two));
}

#[test]
fn a_restart_keeps_the_name_of_the_cookie() {
    let mut server = server_with_ann(people_config());
    let mut browser = Browser::signed_in(&server, "ann");
    server.restart();
    assert!(browser.is_signed_in(&server));
}
