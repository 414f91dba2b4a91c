//! Every credential in every form against every route: nobody reads, lists, changes or deletes what
//! is not theirs, and who is not let through is told so in the way of that API.

use super::members::{
    self, OTHER_KEY, PASSWORD, delete, expired, register, session, token, update, with_token,
};
use super::routes::{ROUTES, Route, Takes};
use crate::harness::{Connection, DEMO_KEY, GLOBAL_KEY, Response, Server};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

const PROJECTS: [(&str, &str); 2] = [("demo", DEMO_KEY), ("other", OTHER_KEY)];
const PEOPLE: [&str; 2] = ["one", "two"];
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"];

/// What somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Stranger,
    Operator,
    Project(&'static str),
    Account(&'static str),
    /// Of an account, by a session.
    Browser(&'static str),
    /// Somebody with a session that is over.
    FormerBrowser,
}

struct Credential {
    name: String,
    is: Is,
    fields: Vec<(&'static str, String)>,
}

struct World {
    server: Server,
    /// Tokens of [`PEOPLE`].
    tokens: Vec<String>,
}

/// What stands for somebody's data; nobody else may see it.
fn mark_of(whose: &str) -> String {
    format!("MARK-OF-{whose}")
}

impl World {
    fn new() -> World {
        let server = members::server();
        PEOPLE.iter().for_each(|name| register(&server, name));
        let tokens = PEOPLE.iter().map(|name| token(&server, name)).collect();
        let world = World { server, tokens };
        world.restore();
        world
    }

    /// Gives everybody what is theirs.
    fn restore(&self) {
        for (project, key) in PROJECTS {
            let path = format!("/api/v1/projects/{project}/keys/mark");
            let body = format!("\"{}\"", mark_of(project));
            let put = self.server.request("PUT", &path, Some(key), &[], body.as_bytes());
            assert!(matches!(put.status, 200 | 201), "{put:?}");
        }
        for (name, token) in PEOPLE.iter().zip(&self.tokens) {
            let body = json!({ "value": mark_of(name) }).to_string();
            assert_eq!(with_token(&self.server, token, "PUT", "/item/mark", &body).status, 200);
        }
    }

    /// Fails unless everybody but `is` has what is theirs, and nothing else.
    fn check_untouched(&self, is: Is, context: &str) {
        let is_own = |project| is == Is::Operator || is == Is::Project(project);
        for (project, key) in PROJECTS.iter().filter(|(project, _)| !is_own(project)) {
            let path = format!("/api/v1/projects/{project}/keys");
            let listed = self.server.request("GET", &path, Some(key), &[], b"").json();
            assert_eq!(listed["keys"], json!({ "mark": mark_of(project) }), "{context}: {project}");
        }
        for (name, token) in PEOPLE.iter().zip(&self.tokens) {
            if is == Is::Account(name) || is == Is::Browser(name) {
                continue;
            }
            let listed = with_token(&self.server, token, "GET", "/api/data", "").json();
            assert_eq!(listed["data"]["keys"], json!(["mark"]), "{context}: {name}");
            let read = with_token(&self.server, token, "GET", "/item/mark", "").json();
            assert_eq!(read, json!({ "mark": mark_of(name) }), "{context}: {name}");
        }
        let accounts = self.server.request("GET", "/api/v1/accounts", Some(GLOBAL_KEY), &[], b"").json();
        let names = accounts["accounts"].as_array().unwrap().iter();
        let names: Vec<_> =
            names.map(|account| (account["username"].as_str().unwrap(), &account["disabled"])).collect();
        let others = [("changed", false), ("off", true)];
        let people = PEOPLE.map(|name| (name, false));
        assert!(
            people.iter().all(|(name, off)| names.contains(&(*name, &json!(off)))),
            "{context}: {names:?}"
        );
        let is_known = |found: &(&str, &Value)| {
            others.iter().chain(&people).any(|(name, off)| *found == (*name, &json!(off)))
        };
        assert!(names.iter().all(is_known), "{context}: {names:?}");
    }

    /// Credentials of everybody, in every form.
    fn credentials(&self) -> Vec<Credential> {
        let server = &self.server;
        for name in ["gone", "off", "changed"] {
            register(server, name);
        }
        let own_keys =
            ["gone", "off", "changed"].map(|name| (name, token(server, name), session(server, name)));
        assert_eq!(delete(server, "gone").status, 204);
        assert_eq!(update(server, "off", &json!({ "disabled": true })).status, 200);
        assert_eq!(update(server, "changed", &json!({ "password": format!("{PASSWORD}2") })).status, 200);
        let ended = session(server, "one");
        let logout = server.request("GET", "/api/logout", None, &[("Cookie", &ended)], b"");
        assert_eq!(logout.status, 302, "{logout:?}");

        let mistyped = "pikv_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf05vj4V";
        let mut credentials =
            vec![Credential { name: "nothing".to_owned(), is: Is::Stranger, fields: vec![] }];
        let mut add = |name: &str, is: Is, text: &str| credentials.extend(in_headers(name, is, text));
        add("garbage", Is::Stranger, "garbage-0123456789abcdef");
        add("garbage like a token", Is::Stranger, "eyJhbGciOiJub25lIn0.e30.");
        add("a mistyped key", Is::Stranger, mistyped);
        add("nothing in a field", Is::Stranger, "");
        add("the global key", Is::Operator, GLOBAL_KEY);
        add("demo's key", Is::Project("demo"), DEMO_KEY);
        add("other's key", Is::Project("other"), OTHER_KEY);
        for (name, token) in PEOPLE.iter().zip(&self.tokens) {
            add(&format!("token of {name}"), Is::Account(name), token);
        }
        add("expired token", Is::Stranger, &expired(server, &self.tokens[0]));
        for (name, token, _) in &own_keys {
            add(&format!("token of {name}"), Is::Stranger, token);
        }
        let mut add = |name: &str, is: Is, cookie: &str, more: &[(&'static str, String)]| {
            let mut fields =
                vec![("Cookie", cookie.to_owned()), ("Sec-Fetch-Site", "same-origin".to_owned())];
            fields.extend_from_slice(more);
            credentials.push(Credential { name: name.to_owned(), is, fields });
        };
        for name in PEOPLE {
            add(&format!("session of {name}"), Is::Browser(name), &session(server, name), &[]);
        }
        add("logged out", Is::FormerBrowser, &ended, &[]);
        for (name, _, cookie) in &own_keys {
            add(&format!("session of {name}"), Is::FormerBrowser, cookie, &[]);
        }
        let good = session(server, "one");
        let garbage = ("Authorization", "Bearer garbage-0123456789".to_owned());
        add("a good session behind a bad token", Is::Stranger, &good, &[garbage]);
        let digest = ("Authorization", "Digest b25lOnBhc3M=".to_owned());
        add("a good session behind another scheme", Is::Stranger, &good, &[digest]);
        let basic = ("Authorization", "Basic b25lOnBhc3M=".to_owned());
        add("a good session behind a proxy with Basic", Is::Browser("one"), &good, &[basic]);
        add(
            "a good session behind two keys",
            Is::Stranger,
            &good,
            &[("X-API-Key", DEMO_KEY.to_owned()), ("Api-Key", OTHER_KEY.to_owned())],
        );
        let (session_name, session_token) = good.split_once('=').unwrap();
        let token_as_cookie = format!("{session_name}={}", self.tokens[0]);
        add("a token as a session", Is::FormerBrowser, &token_as_cookie, &[]);
        add("two sessions", Is::FormerBrowser, &format!("{good}; {}", session(server, "two")), &[]);
        credentials.extend(in_headers("a session as a token", Is::Stranger, session_token));
        credentials
    }
}

/// `text` in every header field that takes a credential.
fn in_headers(name: &str, is: Is, text: &str) -> Vec<Credential> {
    let forms = [
        ("X-API-Key", text.to_owned()),
        ("api-key", text.to_owned()),
        ("Authorization", format!("Bearer {text}")),
        ("authorization", format!("bEARER  {text}")),
        ("Authorization", text.to_owned()),
        ("Authorization", format!("Basic {}", BASE64_STANDARD.encode(format!("anybody:{text}")))),
    ];
    let each = forms.into_iter().map(|field| {
        let name = format!("{name} as {}: {:.7}", field.0, field.1);
        Credential { name, is, fields: vec![field] }
    });
    each.collect()
}

/// Whether what `route` does for `project` is done for `is`.
fn is_let_through(takes: Takes, is: Is, project: &str) -> bool {
    match (takes, is) {
        (Takes::Nobodys, _) => true,
        (Takes::Global | Takes::Project | Takes::Settings | Takes::Item, Is::Operator) => true,
        (Takes::Project | Takes::Settings, Is::Project(own)) => own == project,
        (Takes::Item, Is::Project(_) | Is::Account(_)) => true,
        (Takes::Token | Takes::TokenOrSession, Is::Account(_)) => true,
        (Takes::TokenOrSession | Takes::Session, Is::Browser(_)) => true,
        (_, _) => false,
    }
}

fn check_refused(route: &Route, is: Is, response: &Response, context: &str) {
    let status = match (route.takes, is) {
        (Takes::Item, _) => 403,
        (Takes::Session, _) => 302,
        (Takes::Global, Is::Project(_)) => 403,
        (_, _) => 401,
    };
    // Two keys at once are a mistake of their own where API keys are taken.
    let is_conflict = response.status == 400 && context.contains("two keys");
    assert!(response.status == status || is_conflict, "{context}: {response:?}");
    if route.method == "HEAD" || is_conflict {
        return;
    }
    match route.takes {
        Takes::Item => assert_eq!(response.json(), json!({ "error": "Unauthorized" }), "{context}"),
        Takes::Token => assert!(response.json()["msg"].is_string(), "{context}: {response:?}"),
        Takes::TokenOrSession => assert_eq!(response.json()["code"], "INVALID_TOKEN", "{context}"),
        Takes::Session => assert_eq!(response.field("location"), Some("/api/login"), "{context}"),
        Takes::Nobodys | Takes::Global | Takes::Project | Takes::Settings => {}
    }
    if status == 401 {
        assert!(response.field("www-authenticate").is_some(), "{context}: {response:?}");
    }
}

/// No answer shows what is somebody else's.
fn check_shows_nothing(is: Is, response: &Response, context: &str) {
    let text = String::from_utf8_lossy(&response.body);
    for whose in PROJECTS.iter().map(|(project, _)| project).chain(&PEOPLE) {
        let own = match is {
            Is::Operator => PROJECTS.iter().any(|(project, _)| project == whose),
            Is::Project(own) | Is::Account(own) | Is::Browser(own) => own == *whose,
            Is::Stranger | Is::FormerBrowser => false,
        };
        assert!(own || !text.contains(&mark_of(whose)), "{context} sees {whose}: {text}");
    }
}

fn walk(world: &World, credential: &Credential, connection: &mut Connection) {
    let fields: Vec<_> = credential.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // Logging out would end the sessions of the walk.
    for route in ROUTES.iter().filter(|route| route.pattern != "/api/logout") {
        // The operator may do what these do.
        if credential.is == Is::Operator && route.takes == Takes::Global && route.method != "GET" {
            continue;
        }
        let projects: &[&str] =
            if route.pattern.contains("{}") { &["demo", "other", "nowhere"] } else { &[""] };
        for project in projects {
            let path = route.path().replace("{}", project);
            let context = format!("{}: {} {path}", credential.name, route.method);
            let response = connection.request(route.method, &path, None, &fields, route.body.as_bytes());
            check_shows_nothing(credential.is, &response, &context);
            if is_let_through(route.takes, credential.is, project) {
                assert!(!matches!(response.status, 403 | 500..), "{context}: {response:?}");
                let is_form = matches!(route.takes, Takes::Nobodys);
                assert!(is_form || response.status != 401, "{context}: {response:?}");
            } else {
                check_refused(route, credential.is, &response, &context);
            }
        }
    }
    world.check_untouched(credential.is, &credential.name);
    world.restore();
}

#[test]
fn no_credential_reaches_data_of_others_on_any_route() {
    let world = World::new();
    let mut connection = world.server.connect();
    for credential in world.credentials() {
        walk(&world, &credential, &mut connection);
    }
}

#[test]
fn an_unsupported_method_of_a_path_does_nothing_for_any_client() {
    let world = World::new();
    drop(world.credentials());
    let mut connection = world.server.connect();
    let token = format!("Bearer {}", world.tokens[0]);
    let credentials: [(Is, &[(&str, &str)]); 4] = [
        (Is::Stranger, &[]),
        (Is::Operator, &[("X-API-Key", GLOBAL_KEY)]),
        (Is::Project("demo"), &[("X-API-Key", DEMO_KEY)]),
        (Is::Account("one"), &[("Authorization", &token)]),
    ];
    for route in ROUTES {
        let path = route.path().replace("{}", "other");
        let same = |other: &&Route| other.pattern == route.pattern;
        let has = |method: &str| ROUTES.iter().filter(same).any(|other| other.method == method);
        // A pattern for all keys also fits the paths with a meaning of their own.
        let is_key = path.starts_with("/api/data/");
        for method in
            METHODS.iter().filter(|method| !(has(method) || is_key && ["PUT", "DELETE"].contains(method)))
        {
            for (is, fields) in credentials {
                let response = connection.request(method, &path, None, fields, route.body.as_bytes());
                let context = format!("{is:?}: {method} {path}");
                let expected: &[u16] = match *method {
                    "OPTIONS" => &[204],
                    "HEAD" if has("GET") => continue,
                    _ => &[405],
                };
                assert!(expected.contains(&response.status), "{context}: {response:?}");
                check_shows_nothing(is, &response, &context);
            }
        }
    }
    world.check_untouched(Is::Stranger, "other methods");
}

/// In every encoding, with every key, and by every way in.
#[test]
fn the_internal_projects_of_accounts_are_not_served() {
    let world = World::new();
    let token = format!("Bearer {}", world.tokens[0]);
    for name in ["_accounts", "_account_data", "_sessions"] {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let once: String = format!("%5f{}", &name[1..]);
        let spellings = [
            name.to_owned(),
            name.to_uppercase(),
            once.clone(),
            once.to_uppercase(),
            encoded,
            format!("%255f{}", &name[1..]),
            format!("demo%2F..%2F{name}"),
            format!("demo/../{name}"),
            format!("./{name}"),
            format!("{name}%00"),
            format!("{name}.json"),
            format!("%20{name}"),
            format!("\u{ff3f}{}", &name[1..]).bytes().map(|byte| format!("%{byte:02X}")).collect(),
        ];
        for spelling in spellings {
            for rest in ["", "/keys", "/keys/account/one", "/batch", "/api-key/regenerate"] {
                for method in ["GET", "PUT", "POST", "DELETE"] {
                    let path = format!("/api/v1/projects/{spelling}{rest}");
                    for fields in [
                        [("X-API-Key", GLOBAL_KEY)],
                        [("X-API-Key", DEMO_KEY)],
                        [("Authorization", token.as_str())],
                    ] {
                        let response = world.server.request(method, &path, None, &fields, b"{}");
                        let is_refused = matches!(response.status, 400 | 401 | 403 | 404 | 405);
                        assert!(is_refused, "{method} {path}: {response:?}");
                        check_shows_nothing(Is::Stranger, &response, &path);
                    }
                }
            }
        }
        let body = json!({ "id": name }).to_string();
        let made = world.server.request("POST", "/api/v1/projects", Some(GLOBAL_KEY), &[], body.as_bytes());
        made.expect_problem(400, "invalid_project_id");
    }
    let listed = world.server.request("GET", "/api/v1/projects", Some(GLOBAL_KEY), &[], b"");
    assert!(!listed.text().contains("\"_"), "{listed:?}");
}

/// The id under which the keys of an account are stored.
fn id_of(server: &Server, name: &str) -> String {
    let mut files = String::new();
    for file in ["_accounts.json", "_accounts.journal"] {
        files.push_str(&std::fs::read_to_string(server.data_path(file)).unwrap_or_default());
    }
    let mark = format!("\"username\":\"{name}\"").replace('"', "");
    let plain = files.replace(['\\', '"'], "");
    let before = &plain[..plain.find(&mark).expect("the account")];
    before[before.rfind("id:").unwrap() + 3..][..16].to_owned()
}

#[test]
fn a_key_that_looks_like_one_of_another_account_stays_in_its_own() {
    let world = World::new();
    let [one, two] = PEOPLE.map(|name| id_of(&world.server, name));
    assert_ne!(one, two);
    let (own, other) = (&world.tokens[0], &world.tokens[1]);
    let keys = [
        format!("{two}/mark"),
        format!("../{two}/mark"),
        format!("/{two}/mark"),
        format!("//{two}//mark"),
        "/".to_owned(),
        "%2F..%2F".to_owned(),
        format!("{one}/mark"),
        "a//b".to_owned(),
        "%2e%2e%2fmark".to_owned(),
    ];
    let again = [format!("{two}%2Fmark"), format!("..%2F{two}%2fmark"), format!("%2f{two}%2Fmark")];
    for key in keys.iter().chain(&again) {
        for base in ["/item", "/api/object", "/api/data"] {
            let path = format!("{base}/{key}");
            let read = with_token(&world.server, own, "GET", &path, "");
            assert_eq!(read.status, 404, "{path}: {read:?}");
        }
    }
    for key in &keys {
        let stored = with_token(&world.server, own, "PUT", &format!("/item/{key}"), "{\"value\":\"mine\"}");
        assert_eq!(stored.status, 200, "{key}: {stored:?}");
        let read = with_token(&world.server, own, "GET", &format!("/api/object/{key}"), "");
        assert_eq!(read.json()["data"], "mine", "{key}");
        let theirs = with_token(&world.server, other, "GET", &format!("/item/{key}"), "");
        assert_eq!(theirs.status, 404, "{key}: {theirs:?}");
    }
    world.check_untouched(Is::Account("one"), "keys that look like others");
    for key in &keys {
        let gone = with_token(&world.server, own, "DELETE", &format!("/api/data/{key}"), "");
        assert_eq!(gone.status, 200, "{key}: {gone:?}");
    }
    let left = with_token(&world.server, own, "GET", "/api/data", "").json();
    assert_eq!(left["data"]["keys"], json!(["mark"]));
}

#[test]
fn a_cursor_of_one_account_lists_only_the_own_keys_of_another() {
    let world = World::new();
    for (name, token) in PEOPLE.iter().zip(&world.tokens) {
        let objects: Vec<_> =
            (0..120).map(|n| json!({ "key": format!("{name}-{n:03}"), "data": n })).collect();
        let made = with_token(&world.server, token, "POST", "/api/batch/object", &json!(objects).to_string());
        assert_eq!(made.status, 201, "{made:?}");
    }
    let page = |token: &str, cursor: &str| {
        with_token(&world.server, token, "GET", &format!("/api/data?cursor={cursor}"), "").json()["data"]
            .take()
    };
    let first = with_token(&world.server, &world.tokens[0], "GET", "/api/data", "").json()["data"].take();
    let cursor = first["cursor"].as_str().unwrap();
    let of_two = page(&world.tokens[1], cursor);
    let names = of_two["keys"].as_array().unwrap();
    assert!(
        names.len() == 50 && names.iter().all(|name| name.as_str().unwrap().starts_with("two-")),
        "{of_two}"
    );
    let [one, two] = PEOPLE.map(|name| id_of(&world.server, name));
    for after in [format!("{two}/"), format!("{one}/mark"), format!("../{two}/two-000"), "zzzz".to_owned()] {
        let cursor: String = after.bytes().map(|byte| format!("{byte:02x}")).collect();
        let cursor = format!("0.{cursor}");
        let found = page(&world.tokens[0], &cursor);
        assert!(!found.to_string().contains("two-"), "{after}: {found}");
    }
}
