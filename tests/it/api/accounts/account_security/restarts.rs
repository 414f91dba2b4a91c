//! What of accounts outlives a restart and kill -9, and what a damaged file of theirs does.

use super::members::{
    PASSWORD, attempt, config, cookie_of, delete, register, registration, send, server, session, token,
    with_token, with_token_on,
};
use crate::harness::people::{Person, registration as typed};
use crate::harness::{Connection, DEMO_KEY, GLOBAL_KEY, Options, Server, encode_request};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

fn read_with_cookie(server: &Server, cookie: &str, path: &str) -> crate::harness::Response {
    server.request("GET", path, None, &[("Cookie", cookie)], b"")
}

#[test]
fn accounts_data_sessions_and_tokens_outlive_restarts_and_what_ended_stays_ended() {
    let mut server = server();
    ["one", "gone"].iter().for_each(|name| register(&server, name));
    let (good, cookie, of_gone) = (token(&server, "one"), session(&server, "one"), token(&server, "gone"));
    let ended = session(&server, "one");
    assert_eq!(read_with_cookie(&server, &ended, "/api/logout").status, 302);
    assert_eq!(delete(&server, "gone").status, 204);
    let put = with_token(&server, &good, "PUT", "/item/a", "{\"value\":[1]}");
    assert_eq!(put.status, 200, "{put:?}");
    for round in 0..3 {
        if round == 1 {
            server.kill();
            server.start_again();
        } else {
            server.restart();
        }
        assert_eq!(with_token(&server, &good, "GET", "/item/a", "").json(), json!({ "a": [1] }));
        assert_eq!(read_with_cookie(&server, &cookie, "/api/data/a").status, 200);
        assert_eq!(read_with_cookie(&server, &ended, "/api/data/a").status, 401);
        assert_eq!(with_token(&server, &of_gone, "GET", "/item/a", "").status, 403);
        assert_eq!(attempt(&server, "/login", "gone", PASSWORD, "10.0.0.1").status, 401);
        drop(token(&server, "one"));
    }
}

/// What was acknowledged before the end.
#[derive(Default)]
struct Acknowledged {
    names: Vec<String>,
    keys: Vec<(String, String)>,
    cookies: Vec<String>,
    ended: Vec<String>,
    deleted: Vec<String>,
}

/// One request that the end of the server may interrupt.
fn ask(
    connection: &mut Connection,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Option<crate::harness::Response> {
    connection.try_send(&encode_request(method, path, None, fields, body.as_bytes())).ok()?;
    connection.try_read_response(method).ok()
}

/// Registers, writes, logs in, logs out and deletes until the server is gone.
fn live(
    server_port: u16,
    writer: usize,
    cycle: usize,
    log: &Mutex<Acknowledged>,
    done: &AtomicUsize,
) -> Option<()> {
    let mut connection = Connection::open(server_port);
    let json_type = ("Content-Type", "application/json");
    let address = format!("10.7.{cycle}.{writer}");
    for number in 0.. {
        let name = format!("p{cycle}-{writer}-{number}");
        let made = ask(&mut connection, "POST", "/api/register", &[json_type], &typed(&name).to_string())?;
        assert_eq!(made.status, 201, "{made:?}");
        log.lock().unwrap().names.push(name.clone());
        let body = json!({ "username": name, "password": PASSWORD }).to_string();
        let fields = [json_type, ("X-Forwarded-For", &address)];
        let login = ask(&mut connection, "POST", "/api/login", &fields, &body)?;
        assert_eq!(login.status, 200, "{login:?}");
        let cookie = cookie_of(&login);
        log.lock().unwrap().cookies.push(cookie.clone());
        let fields = [json_type, ("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
        for key in 0..3 {
            let body = json!({ "key": format!("k{key}"), "value": name }).to_string();
            let stored = ask(&mut connection, "POST", "/api/data", &fields, &body)?;
            assert_eq!(stored.status, 201, "{stored:?}");
            log.lock().unwrap().keys.push((name.clone(), format!("k{key}")));
        }
        done.fetch_add(1, Ordering::Relaxed);
        if number % 3 == 1 {
            // Sent, so that it may have ended; acknowledged, so that it has.
            log.lock().unwrap().cookies.retain(|other| *other != cookie);
            let out = ask(&mut connection, "GET", "/api/logout", &[("Cookie", &cookie)], "")?;
            assert_eq!(out.status, 302, "{out:?}");
            log.lock().unwrap().ended.push(cookie);
        } else if number % 3 == 2 {
            let mut log_now = log.lock().unwrap();
            log_now.names.retain(|other| *other != name);
            log_now.keys.retain(|(owner, _)| *owner != name);
            log_now.cookies.retain(|other| *other != cookie);
            drop(log_now);
            let path = format!("/api/v1/accounts/{name}");
            let gone = ask(&mut connection, "DELETE", &path, &[("X-API-Key", GLOBAL_KEY)], "")?;
            assert_eq!(gone.status, 204, "{gone:?}");
            log.lock().unwrap().deleted.push(name);
        }
    }
    None
}

fn check_acknowledged(server: &Server, log: &Acknowledged) {
    let mut connection = server.connect();
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/accounts?limit=100{cursor}");
        let page = connection.request("GET", &path, Some(GLOBAL_KEY), &[], b"").json();
        let accounts = page["accounts"].as_array().unwrap().iter();
        names.extend(accounts.map(|account| account["username"].as_str().unwrap().to_owned()));
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    for name in &log.names {
        assert!(names.contains(name), "{name} was acknowledged and is gone");
    }
    for name in &log.deleted {
        assert!(!names.contains(name), "{name} was deleted and is back");
    }
    for cookie in &log.cookies {
        let read = connection.request("GET", "/api/data", None, &[("Cookie", cookie)], b"");
        assert_eq!(read.status, 200, "a session was acknowledged: {read:?}");
    }
    for cookie in &log.ended {
        let read = connection.request("GET", "/api/data", None, &[("Cookie", cookie)], b"");
        assert_eq!(read.status, 401, "a session was ended: {read:?}");
    }
    let mut last: Option<(String, String)> = None;
    for (name, key) in &log.keys {
        if last.as_ref().is_none_or(|(owner, _)| owner != name) {
            last = Some((name.clone(), Person::sign_in(server, name).token));
        }
        let token = &last.as_ref().unwrap().1;
        let read = with_token_on(&mut connection, token, "GET", &format!("/item/{key}"), "");
        assert_eq!(read.json()[key], json!(name), "{read:?}");
    }
}

/// `PIKV_KILL_CYCLES` says how often.
#[test]
fn kill_9_under_registrations_logins_writes_and_deletions_loses_nothing_acknowledged() {
    const WRITERS: usize = 8;
    let cycles: usize =
        crate::harness::environment::variable("PIKV_KILL_CYCLES").map_or(2, |cycles| cycles.parse().unwrap());
    let mut server = server();
    let log = Mutex::new(Acknowledged::default());
    for cycle in 0..cycles {
        let (port, done) = (server.port, AtomicUsize::new(0));
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (log, done) = (&log, &done);
                scope.spawn(move || live(port, writer, cycle, log, done));
            }
            crate::harness::wait_until("all have done something", || {
                done.load(Ordering::Relaxed) > 6 * WRITERS
            });
            server.kill();
        });
        server.start_again();
        check_acknowledged(&server, &log.lock().unwrap());
    }
    let log = log.into_inner().unwrap();
    assert!(!log.ended.is_empty() && !log.deleted.is_empty(), "there was some of everything");
}

fn mode(server: &Server, file: &str) -> u32 {
    fs::metadata(server.data_path(file)).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_with_secrets_are_readable_by_their_owner_only() {
    let mut server = server();
    register(&server, "one");
    drop(session(&server, "one"));
    server.restart();
    let names: Vec<String> = fs::read_dir(server.data_path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in &names {
        assert_eq!(mode(&server, name), 0o600, "{name}");
    }
    for name in ["jwt.key", "_accounts.json", "_accounts.journal", "_sessions.json", "_account_data.journal"]
    {
        assert!(names.iter().any(|other| other == name), "{name} in {names:?}");
    }
}

/// Stops the server, has `damage` done to its files, and starts it again.
fn with_damage(server: &mut Server, damage: impl FnOnce(&Server)) {
    assert_eq!(server.terminate().code(), Some(0));
    damage(server);
    server.start_again();
}

/// Accounts cannot be used and projects can; the log names `file`.
fn check_accounts_refused(server: &Server, file: &str) {
    server.await_stderr(file);
    let login = attempt(server, "/login", "one", PASSWORD, "10.0.0.1");
    assert_eq!(login.status, 503, "{login:?}");
    let body = registration("new", "new@example.com");
    assert_eq!(send(&mut server.connect(), "POST", "/api/register", &body).status, 503);
    let listed = server.request("GET", "/api/v1/accounts", Some(GLOBAL_KEY), &[], b"");
    assert_eq!(listed.status, 503, "{listed:?}");
    assert_eq!(server.request("GET", "/readyz", None, &[], b"").status, 503);
    assert_eq!(server.request("GET", "/healthz", None, &[], b"").status, 200);
    assert_eq!(server.get_demo("a").text(), "1", "projects are served");
    assert!(matches!(server.put_demo("b", "2").status, 200 | 201));
    let item = server.request("GET", "/item/a", Some(DEMO_KEY), &[], b"");
    assert_eq!(item.status, 200, "a project's keys are there for its key: {item:?}");
}

#[test]
fn a_damaged_signing_key_disables_accounts_and_is_left_unchanged() {
    let mut server = server();
    register(&server, "one");
    server.put_demo("a", "1");
    let good = token(&server, "one");
    let key = fs::read(server.data_path("jwt.key")).unwrap();
    for damaged in [&b""[..], b"SECRETish", &key[..20], &[0xff; 44], &vec![b'A'; 5_000]] {
        with_damage(&mut server, |server| fs::write(server.data_path("jwt.key"), damaged).unwrap());
        check_accounts_refused(&server, "jwt.key");
        assert!(!server.stderr_text().contains("SECRETish"), "what is in it is not shown");
        assert_eq!(fs::read(server.data_path("jwt.key")).unwrap(), damaged);
    }
    with_damage(&mut server, |server| fs::write(server.data_path("jwt.key"), &key).unwrap());
    assert_eq!(with_token(&server, &good, "GET", "/api/object/a", "").status, 404, "the right file is back");
}

#[test]
fn a_missing_signing_key_is_created_and_all_tokens_end() {
    let mut server = server();
    register(&server, "one");
    let (old, cookie) = (token(&server, "one"), session(&server, "one"));
    let key = fs::read(server.data_path("jwt.key")).unwrap();
    assert!(!server.stderr_text().contains("jwt.key"), "nobody had a token before");
    with_damage(&mut server, |server| fs::remove_file(server.data_path("jwt.key")).unwrap());
    server.await_stderr("jwt.key; existing access tokens are invalid");
    assert_ne!(fs::read(server.data_path("jwt.key")).unwrap(), key);
    assert_eq!(mode(&server, "jwt.key"), 0o600);
    assert_eq!(with_token(&server, &old, "GET", "/api/object/a", "").status, 401);
    assert_eq!(read_with_cookie(&server, &cookie, "/api/data").status, 200, "sessions rest on no key");
    let new = token(&server, "one");
    assert_eq!(with_token(&server, &new, "GET", "/api/object/a", "").status, 404);
}

#[test]
fn sessions_whose_end_is_lost_with_the_journal_are_over() {
    let mut server = server();
    register(&server, "one");
    let cookie = session(&server, "one");
    with_damage(&mut server, |server| {
        assert!(fs::read_to_string(server.data_path("_sessions.json")).unwrap().contains("sha256:"));
        fs::remove_file(server.data_path("_sessions.journal")).unwrap();
    });
    server.await_stderr("_sessions.json: had no journal beside it");
    assert_eq!(read_with_cookie(&server, &cookie, "/api/data").status, 401);
    let new = session(&server, "one");
    server.restart();
    assert_eq!(read_with_cookie(&server, &new, "/api/data").status, 200);
    assert_eq!(read_with_cookie(&server, &cookie, "/api/data").status, 401);
    let sessions = fs::read_to_string(server.data_path("_sessions.json")).unwrap();
    assert_eq!(sessions.matches("sha256:").count(), 1, "{sessions}");
}

#[test]
fn unreadable_accounts_are_503_while_projects_are_served() {
    let mut server = Server::start_as(Options { config: Some(config()), ..Options::default() });
    register(&server, "one");
    server.put_demo("a", "1");
    server.restart();
    for file in ["_accounts.json", "_sessions.json", "_account_data.json"] {
        let mut whole = Vec::new();
        with_damage(&mut server, |server| {
            whole = fs::read(server.data_path(file)).unwrap();
            fs::write(server.data_path(file), b"{\"account/one\": SECRETish \"$2b$04$").unwrap();
        });
        check_accounts_refused(&server, file);
        let log = server.stderr_text();
        assert!(!log.contains("SECRETish") && !log.contains("$2b$"), "{log}");
        with_damage(&mut server, |server| fs::write(server.data_path(file), &whole).unwrap());
        drop(token(&server, "one"));
    }
}
