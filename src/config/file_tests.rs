use super::super::engine::tests::engines;
use super::super::members::CUT_OFF;
use super::super::mistake::EMPTY;
use super::super::schema::{
    Accounts, ItemApi, LogFormat, LogLevel, Origin, PublicHost, RateLimit, Registration, StoredKey, SyncMode,
};
use super::super::setting::{Owner, Setting};
use super::super::settings::{CELL_SETTINGS, PROJECT_SETTINGS};
use super::*;
use crate::disk::RealDisk;
use crate::limits::*;
use crate::network::Network;
use crate::secret::{KeyHash, Secret};
use proptest::prelude::*;
use std::net::IpAddr;
use std::path::PathBuf;

/// The configuration of the design document, but for its trailing comma.
const SEED: &str = r#"{
    "version": 1,
    "server_port": 23849,
    "default": {
        "storage": {
            "persistent_file_path": "storage_data/"
        },
        "authentication": {
            "enabled": true,
            "save_api_key_to_file": false,
            "api_key": null,
            "api_key_hash": "[Will be generated and stored here if api_key is null during first run]"
        }
    },
    "projects": [
        {
            "id": "first_project",
            "storage": {
                "on_disk": true,
                "cache_in_memory": true
            },
            "authentication": {
                "enabled": true,
                "save_api_key_to_file": false,
                "api_key": null,
                "api_key_hash": "[Will be generated and stored here if api_key is null during first run]"
            }
        }
    ]
}
"#;
const EXAMPLE: &str = include_str!("../../config.json.example");
const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn project_id(text: &str) -> ProjectId {
    ProjectId::parse(text).unwrap()
}

/// The message for `SEED` with its first `from` replaced by `to`.
fn complaint(from: &str, to: &str) -> String {
    assert!(SEED.contains(from), "{from}");
    parse(SEED.replacen(from, to, 1).as_bytes()).unwrap_err().to_string()
}

#[test]
fn the_documented_configuration_loads_as_it_stands() {
    assert_eq!(parse(SEED.as_bytes()).unwrap(), default_config());
}

#[test]
fn the_default_configuration_is_written_as_documented() {
    let placeholder = "\"[Will be generated and stored here if api_key is null during first run]\"";
    let text = String::from_utf8(encode(&default_config())).unwrap();
    assert_eq!(text, SEED.replace(placeholder, "null"));
}

#[test]
fn a_first_start_writes_the_sections_that_people_edit() {
    let first = first_config();
    let text = encode(&first);
    assert_eq!(parse(&text).unwrap(), first);
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["accounts"], serde_json::json!({"enabled": true, "registration": "open"}));
    assert_eq!(
        (&value["server_host"], &value["trusted_proxies"]),
        (&"127.0.0.1".into(), &serde_json::json!([]))
    );
    assert_eq!(Config { written: Default::default(), ..first }, default_config());
}

#[test]
fn a_trailing_comma_is_refused_with_its_place() {
    let text = SEED.replacen("        }\n    },\n", "        },\n    },\n", 1);
    let mistake = parse(text.as_bytes()).unwrap_err();
    assert_eq!((mistake.line, mistake.column, &mistake.problem), (13, 10, &"trailing comma".to_owned()));
    assert!(mistake.to_string().starts_with("trailing comma at line 13, column 10;"), "{mistake}");
    let in_array = parse(SEED.replacen("        }\n    ]", "        },\n    ]", 1).as_bytes()).unwrap_err();
    assert_eq!((in_array.line, in_array.column, in_array.problem), (28, 10, "trailing comma".to_owned()));
}

#[test]
fn a_file_cut_off_at_any_byte_is_refused() {
    for text in [SEED, EXAMPLE] {
        // Without the last line end nothing is lost, and many editors leave it out.
        let whole = text.trim_end();
        assert!(parse(whole.as_bytes()).is_ok());
        assert_eq!(parse(b"").unwrap_err().problem, EMPTY);
        for cut in 1..whole.len() {
            let mistake = parse(&whole.as_bytes()[..cut]).unwrap_err();
            assert_eq!(mistake.problem, CUT_OFF, "cut at {cut}");
        }
    }
}

#[test]
fn a_byte_order_mark_is_skipped_and_white_space_alone_is_empty() {
    assert_eq!(parse(format!("\u{feff}{SEED}").as_bytes()).unwrap(), default_config());
    assert_eq!(parse("\u{feff} \n\t".as_bytes()).unwrap_err().problem, EMPTY);
}

#[test]
fn mistakes_in_the_json_are_told_with_their_place() {
    let not_utf8 = parse(b"{\n  \"\xc3\xa9\xff\"").unwrap_err();
    assert_eq!((not_utf8.line, not_utf8.column), (2, 5));
    let table = [
        ("\"version\": 1,", "\"version\": 1", "not JSON: expected `,` or `}` at line 3, column 5"),
        ("\"version\": 1,", "// no\n\"version\": 1,", "a comment at line 2, column 5;"),
        ("\"version\": 1,", "\"version\": 1, # é", "a comment at line 2, column 19;"),
        (
            "23849",
            "yes",
            "not JSON: a word without quotes at line 3, column 20; write text in double quotes; booleans are true",
        ),
        ("23849", "True", "not JSON: a word without quotes at line 3, column 20;"),
        ("23849", "nope,", "not JSON: a word without quotes at line 3, column 20;"),
        ("23849", "tru,", "not JSON: a word without quotes at line 3, column 20;"),
        ("\"version\": 1,", "version: 1,", "not JSON: a word without quotes at line 2, column 5;"),
        ("23849", "'x'", "not JSON: expected value at line 3, column 20"),
        ("23849", "023849", "not JSON: invalid number at line 3, column 2"),
        ("storage_data/", "\\ud800", "at line 6, column "),
    ];
    for (from, to, expected) in table {
        let message = complaint(from, to);
        assert!(message.contains(expected), "{message}");
    }
    let after = parse(format!("{SEED}x").as_bytes()).unwrap_err().to_string();
    assert!(
        after.starts_with("not JSON: more text after the end of the object at line 31, column 1"),
        "{after}"
    );
}

#[test]
fn unknown_names_are_refused_with_the_nearest_right_one() {
    let top = complaint("\"server_port\"", "\"é\": 1, \"prot\"");
    assert!(top.starts_with("unknown member `é` at line 3, column 5; known here: version,"), "{top}");
    let table = [
        (
            "\"server_port\"",
            "\"prot\"",
            "unknown member `prot` at line 3, column 5; did you mean `server_port`?",
        ),
        ("\"on_disk\"", "\"on_disc\"", "unknown member `on_disc` of `projects[0].storage` at line 19"),
        ("\"on_disk\"", "\"on_disc\"", "did you mean `on_disk`? known here: on_disk, cache_in_memory, sync"),
        ("\"storage\"", "\"stroage\"", "unknown member `stroage` of `default` at line 5, column 9; did you"),
        (
            "\"on_disk\": true",
            "\"sync\": \"allways\"",
            "`projects[0].storage.sync` is \"allways\" at line 19, col",
        ),
        ("\"on_disk\": true", "\"sync\": \"allways\"", "did you mean `always`? possible: always, interval"),
        (
            "\"server_port\"",
            "\"log\": {\"level\": \"trace\"}, \"server_port\"",
            "possible: error, warn, info, debug",
        ),
        ("\"server_port\"", "\"log\": {\"format\": \"jsn\"}, \"server_port\"", "did you mean `json`?"),
    ];
    for (from, to, expected) in table {
        let message = complaint(from, to);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn missing_and_double_members_are_refused_by_name() {
    let table = [
        ("\"version\": 1,", "", "`version` is missing in the object at line 1, column 1"),
        ("\"server_port\": 23849,", "", "`server_port` is missing"),
        (
            "\"enabled\": true,",
            "",
            "`default.authentication.enabled` is missing in the object at line 8, column 27",
        ),
        ("\"id\": \"first_project\",", "", "`projects[0].id` is missing in the object at line 16, column 9"),
        (
            "\"version\": 1,",
            "\"version\": 1, \"version\": 1,",
            "duplicate member `version` at line 2, column 19",
        ),
        (
            "\"api_key\": null",
            "\"api_key\": null, \"api_k\\u0065y\": null",
            "duplicate member `default.authentication.api_key`",
        ),
    ];
    for (from, to, expected) in table {
        let message = complaint(from, to);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn values_of_another_type_or_out_of_range_are_refused_with_what_is_right() {
    let top = |member: &str| format!("{member}, \"server_port\": 1");
    let memory = r#""limits": {"memory_bytes_max": 4194303}"#;
    let (limits, timeouts) = (r#""limits": {"body_bytes_max": 0}"#, r#""timeouts": {"idle_seconds": 3601}"#);
    let port = "\"server_port\": 23849";
    let table = [
        (
            "\"version\": 1",
            "\"version\": 2".to_owned(),
            "`version` is 2 at line 2, column 16; the file was written for a later version of PiKV; this is",
        ),
        ("\"version\": 1", "\"version\": -1".to_owned(), "`version` is -1"),
        (
            "\"version\": 1",
            "\"version\": \"1\"".to_owned(),
            "`version` is a string at line 2, column 16; it must be a whole number",
        ),
        (
            "23849",
            "65536".to_owned(),
            "`server_port` is 65536 at line 3, column 20; it must be a whole number, 0 to 65535",
        ),
        ("23849", "-1".to_owned(), "0 to 65535"),
        ("23849", "1e3".to_owned(), "0 to 65535"),
        ("23849", "1.0".to_owned(), "0 to 65535"),
        ("23849", "null".to_owned(), "`server_port` is null at line 3, column 20; it must be a whole number"),
        (
            port,
            top("\"server_host\": \"localhost\""),
            "must be an IP address, because names are not looked up: 127.0.0.1",
        ),
        (
            port,
            top("\"server_threads\": 0"),
            "`server_threads` is 0 at line 3, column 23; it must be a whole number, 1 to 64",
        ),
        (port, top(limits), "`limits.body_bytes_max` is 0 at line 3"),
        (port, top(memory), "`limits.memory_bytes_max` is 4194303 at line 3"),
        (port, top(timeouts), "`timeouts.idle_seconds` is 3601"),
        ("\"storage_data/\"", "\"\"".to_owned(), "`default.storage.persistent_file_path` is empty"),
        ("\"storage_data/\"", "7".to_owned(), "it must be a string in double quotes"),
        ("\"enabled\": true", "\"enabled\": \"true\"".to_owned(), "it must be `true` or `false`"),
        (
            "\"first_project\"",
            "\"First\"".to_owned(),
            "`projects[0].id` is \"First\" at line 17, column 19; the id has `F`; use only a-z",
        ),
        (
            "\"projects\": [",
            "\"projects\": [{\"id\": \"first_project\"},".to_owned(),
            "a second project with the id `first_project` at line 16",
        ),
        (
            "\"projects\": [",
            "\"projects\": [[],".to_owned(),
            "`projects[0]` is an array at line 15, column 18; it must be a JSON object",
        ),
    ];
    for (from, to, expected) in table {
        let message = complaint(from, &to);
        assert!(message.contains(expected), "{message}");
    }
    for whole in ["[]", "7", "\"a\"", "null"] {
        let message = parse(whole.as_bytes()).unwrap_err().to_string();
        assert!(message.ends_with("at line 1, column 1; it must be a JSON object"), "{whole}: {message}");
    }
}

#[test]
fn the_greatest_number_of_projects_is_a_limit() {
    let list = |count: usize| {
        let projects: Vec<String> = (0..count).map(|n| format!("{{\"id\":\"p{n}\"}}")).collect();
        let (before, rest) = SEED.split_once("\"projects\": [").unwrap();
        assert!(rest.len() < SEED.len());
        format!("{before}\"projects\": [{}]}}", projects.join(","))
    };
    assert_eq!(parse(list(PROJECTS_MAX).as_bytes()).unwrap().projects().len(), PROJECTS_MAX);
    assert_eq!(
        parse(list(PROJECTS_MAX + 1).as_bytes()).unwrap_err().problem,
        format!("more than {PROJECTS_MAX} projects")
    );
}

#[test]
fn a_key_written_by_hand_is_16_to_1024_visible_ascii_characters() {
    let with_key = |key: &str| {
        parse(SEED.replacen("\"api_key\": null", &format!("\"api_key\": \"{key}\""), 1).as_bytes())
    };
    for good in ["0123456789abcdef".to_owned(), "~".repeat(1024), "a/b+c=d!{}[]#$%&".to_owned()] {
        assert_eq!(with_key(&good).unwrap().key.text, Some(Secret::new(good)));
    }
    for bad in [
        "",
        "0123456789abcde",
        &"x".repeat(1025),
        "0123456789 abcdef",
        "0123456789abcdé_",
        "0123456789abcde\\u0000",
    ] {
        let message = with_key(bad).unwrap_err().to_string();
        assert!(message.contains("`default.authentication.api_key` has "), "{message}");
        assert!(bad.is_empty() || !message.contains(bad), "{message}");
    }
}

#[test]
fn a_key_hash_is_null_a_hash_or_the_placeholder() {
    let text = |value: &str| {
        SEED.replacen("\"[Will be generated and stored here if api_key is null during first run]\"", value, 1)
    };
    let hash = |value: &str| parse(text(value).as_bytes()).map(|config| config.key.hash);
    assert_eq!(hash("null").unwrap(), None);
    assert_eq!(hash("\"[Will be generated]\"").unwrap(), None);
    assert_eq!(hash(&format!("\"{HASH}\"")).unwrap(), Some(KeyHash::of(b"abc")));
    for bad in ["\"\"", "\"sha256:canary\"", "\"[will be\"", &format!("\"{}\"", HASH.to_uppercase())] {
        let message = hash(bad).unwrap_err().to_string();
        assert!(
            message.starts_with("`default.authentication.api_key_hash` is not a hash at line 12"),
            "{message}"
        );
        assert!(!message.contains("canary"), "{message}");
    }
}

#[test]
fn a_project_without_settings_inherits_and_stays_without_them() {
    let text = SEED
        .replacen("\"storage_data/\"", "\"d\", \"on_disk\": false, \"sync\": \"interval\"", 1)
        .replacen("\"projects\": [", "\"projects\": [{\"id\": \"b\"},", 1);
    let config = parse(text.as_bytes()).unwrap();
    let [silent, first] = config.projects() else { panic!("{config:?}") };
    let settings = config.storage_of(silent);
    assert_eq!(
        (settings.on_disk, settings.cache_in_memory, settings.sync),
        (false, true, SyncMode::Interval)
    );
    assert!(config.storage_of(first).on_disk);
    assert!(config.authentication_enabled(silent));
    assert!(!config.authentication_of(silent).save_api_key_to_file);
    let written = String::from_utf8(encode(&config)).unwrap();
    assert!(written.contains("        {\n            \"id\": \"b\"\n        },\n"), "{written}");
    assert!(!written.contains("server_host") && !written.contains("limits"), "{written}");
}

/// Every setting at its default, as `config.json.example` has it.
fn example() -> Config {
    let mut config = default_config();
    SETTINGS.iter().for_each(|setting| config.mark(setting.path));
    let storage = config.storage;
    config.projects[0].storage = StorageChoice {
        on_disk: Some(storage.on_disk),
        cache_in_memory: Some(storage.cache_in_memory),
        sync: Some(storage.sync),
        sync_interval_seconds: Some(storage.sync_interval_seconds),
    };
    config
}

/// `UPDATE_GOLDEN=1` writes it.
#[test]
fn the_example_has_every_setting_at_its_default_in_the_order_in_which_the_file_is_written() {
    let placeholder = "\"[Will be generated and stored here if api_key is null during first run]\"";
    let written = String::from_utf8(encode(&example())).unwrap();
    let written = written.replace("\"api_key_hash\": null", &format!("\"api_key_hash\": {placeholder}"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.json.example");
        disk::replace(&RealDisk, &path, written.as_bytes()).unwrap();
    }
    assert_eq!(written, EXAMPLE);
    let mut bare = parse(EXAMPLE.as_bytes()).unwrap();
    (bare.written, bare.item_api.project) = Default::default();
    bare.projects[0].storage = default_config().projects[0].storage;
    assert_eq!(bare, default_config());
}

#[test]
fn no_two_rows_have_one_path_and_each_has_a_line_of_documentation() {
    fn check<T: Owner>(settings: &[Setting<T>]) {
        let paths: std::collections::BTreeSet<&str> = settings.iter().map(|setting| setting.path).collect();
        assert_eq!(paths.len(), settings.len());
        for Setting { path, doc, .. } in settings {
            assert!(!doc.is_empty() && !doc.ends_with('.') && !doc.contains(['|', '\n']), "{path}: {doc}");
        }
    }
    check(SETTINGS);
    check(PROJECT_SETTINGS);
    check(CELL_SETTINGS);
}

#[test]
fn enum_names_parse_back_to_their_values() {
    assert!(SyncMode::NAMES.iter().all(|name| SyncMode::parse(name).unwrap().name() == *name));
    assert!(LogLevel::NAMES.iter().all(|name| LogLevel::parse(name).unwrap().name() == *name));
    assert!(Registration::NAMES.iter().all(|name| Registration::parse(name).unwrap().name() == *name));
    assert!(LogFormat::NAMES.iter().all(|name| LogFormat::parse(name).unwrap().name() == *name));
    assert!(
        LogLevel::NAMES
            .iter()
            .all(|name| { LogLevel::parse(name).unwrap().filter().as_str().eq_ignore_ascii_case(name) })
    );
}

#[test]
fn a_change_leaves_the_rest_as_it_was() {
    let before = parse(EXAMPLE.as_bytes()).unwrap();
    let mut config = before.clone();
    let new =
        ProjectConfig::new(project_id("new"), StorageChoice::default(), AuthenticationChoice::default());
    config.add_project(new.clone()).unwrap();
    assert!(config.add_project(new).is_err(), "ids are unique");
    let settings = StorageChoice { sync: Some(SyncMode::Interval), ..StorageChoice::default() };
    assert!(config.replace_settings(&project_id("new"), settings, AuthenticationChoice::default()));
    assert!(!config.replace_settings(&project_id("none"), settings, AuthenticationChoice::default()));
    assert_eq!(config.projects()[1].storage, settings);
    assert_eq!(config.projects()[0], before.projects()[0]);
    assert!(config.remove_project(&project_id("new")).is_some());
    assert!(config.remove_project(&project_id("new")).is_none());
    assert_eq!(config, before);
}

#[test]
fn the_text_of_a_key_goes_when_the_project_stops_saving_it() {
    let mut config = default_config();
    let id = project_id(FIRST_PROJECT);
    let key = StoredKey { text: Some(Secret::new("k".repeat(16))), hash: Some(KeyHash::of(b"k")) };
    config.set_key(&super::super::schema::KeyOwner::Project(id.clone()), key.clone());
    let saved = AuthenticationChoice { enabled: None, save_api_key_to_file: Some(true) };
    config.replace_settings(&id, StorageChoice::default(), saved);
    assert_eq!(config.projects()[0].key, key);
    config.replace_settings(&id, StorageChoice::default(), AuthenticationChoice::default());
    assert_eq!(config.projects()[0].key, StoredKey { text: None, ..key });
}

#[test]
fn the_data_directory_counts_from_the_file() {
    let mut config = default_config();
    assert_eq!(
        config.data_directory(Path::new("/etc/pikv/config.json")),
        PathBuf::from("/etc/pikv/storage_data/")
    );
    assert_eq!(config.data_directory(Path::new("config.json")), PathBuf::from("./storage_data/"));
    config.persistent_file_path = "/var/lib/pikv".to_owned();
    assert_eq!(config.data_directory(Path::new("/etc/pikv/config.json")), PathBuf::from("/var/lib/pikv"));
}

#[test]
fn file_of_a_later_version_is_named_as_one_whatever_else_is_in_it() {
    let later = br#"{"tomorrow": {"members": []}, "version": 2}"#;
    let mistake = parse(later).unwrap_err().to_string();
    assert!(mistake.starts_with("`version` is 2 at line 1, column 42"), "{mistake}");
    assert!(mistake.contains("written for a later version of PiKV"), "{mistake}");
}

#[test]
fn a_saved_file_loads_and_an_invalid_one_is_named_and_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    assert!(load(&RealDisk, &path).unwrap().is_none());
    save(&RealDisk, &path, &default_config()).unwrap();
    assert_eq!(load(&RealDisk, &path).unwrap(), Some(default_config()));
    let wrong = SEED.replacen("23849", "port", 1);
    disk::replace(&RealDisk, &path, wrong.as_bytes()).unwrap();
    let message = load(&RealDisk, &path).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: not JSON", path.display())), "{message}");
    assert!(message.ends_with("correct it, then start again or send SIGHUP"), "{message}");
    assert_eq!(disk::load(&RealDisk, &path, CONFIG_BYTES_MAX).unwrap(), wrong.as_bytes());
    let nowhere = directory.path().join("none").join("config.json");
    assert!(matches!(save(&RealDisk, &nowhere, &default_config()), Err(ConfigError::Write { .. })));
    assert!(matches!(load(&RealDisk, directory.path()), Err(ConfigError::Read { .. })));
}

fn stored_keys() -> impl Strategy<Value = StoredKey> {
    let text = proptest::option::of("[!-~]{16,40}");
    (text, any::<Option<[u8; 4]>>()).prop_map(|(text, hash)| StoredKey {
        text: text.map(Secret::new),
        hash: hash.map(|bytes| KeyHash::of(&bytes)),
    })
}

fn storage_choices() -> impl Strategy<Value = StorageChoice> {
    let sync = proptest::sample::select(vec![None, Some(SyncMode::Interval), Some(SyncMode::Always)]);
    let seconds = proptest::option::of(1..=3_600_u64);
    (any::<Option<bool>>(), any::<Option<bool>>(), sync, seconds).prop_map(
        |(on_disk, cache_in_memory, sync, sync_interval_seconds)| StorageChoice {
            on_disk,
            cache_in_memory,
            sync,
            sync_interval_seconds,
        },
    )
}

fn projects() -> impl Strategy<Value = ProjectConfig> {
    let switches = any::<(Option<bool>, Option<bool>)>()
        .prop_map(|(enabled, save_api_key_to_file)| AuthenticationChoice { enabled, save_api_key_to_file });
    ("[a-z0-9][a-z0-9_-]{5,62}", storage_choices(), switches, stored_keys()).prop_map(
        |(id, storage, authentication, key)| ProjectConfig {
            id: project_id(&id),
            storage,
            authentication,
            key,
        },
    )
}

fn accounts() -> impl Strategy<Value = Accounts> {
    let registration = proptest::sample::select(vec![Registration::Open, Registration::Closed]);
    let token_ttl = TOKEN_TTL_SECONDS_MIN..=TOKEN_TTL_SECONDS_MAX;
    let cost = BCRYPT_COST_MIN..=BCRYPT_COST_MAX;
    (any::<bool>(), registration, token_ttl, cost).prop_map(
        |(enabled, registration, token_ttl_s, bcrypt_cost)| Accounts {
            enabled,
            registration,
            token_ttl_s,
            bcrypt_cost,
        },
    )
}

fn item_apis() -> impl Strategy<Value = ItemApi> {
    let limit = (1..=RATE_LIMIT_REQUESTS_MAX, 1..=RATE_LIMIT_WINDOW_SECONDS_MAX)
        .prop_map(|(requests, seconds)| RateLimit { requests, window_ms: seconds * 1_000 });
    (proptest::option::of("[a-z0-9][a-z0-9_-]{5,62}"), proptest::option::of(limit)).prop_map(
        |(project, rate_limit)| ItemApi { project: project.map(|text| project_id(&text)), rate_limit },
    )
}

/// `public_origins`, `public_hosts`, `trusted_proxies`, `cors.origins`.
type Names = (Vec<Origin>, Vec<PublicHost>, Vec<Network>, Vec<Origin>);

fn names() -> impl Strategy<Value = Names> {
    let origin = "https?://[a-z]{1,9}(:[1-7][0-9]{3})?".prop_map(|text| Origin::parse(&text).unwrap());
    let host = "[a-z]{1,9}(:[1-7][0-9]{3})?".prop_map(|text| PublicHost::parse(&text).unwrap());
    let network = any::<IpAddr>().prop_map(|address| Network::parse(&address.to_string()).unwrap());
    let origins = proptest::collection::vec(origin, 0..4);
    let hosts = proptest::collection::vec(host, 0..4);
    (origins.clone(), hosts, proptest::collection::vec(network, 0..4), origins)
}

/// The file has each optional setting or not; what it does not have is at its default.
fn configs() -> impl Strategy<Value = Config> {
    let top = (any::<u16>(), any::<IpAddr>(), proptest::option::of(1..=LOOPS_MAX), "[^\0]{1,20}");
    let numbers = (1..=BODY_BYTES_MAX_CEILING / 4, 1..=3600_u64, 0..=3600_u64);
    let list = proptest::collection::vec(projects(), 0..4);
    let written = proptest::collection::vec(any::<bool>(), SETTINGS.len());
    let apis = (accounts(), item_apis(), names(), engines());
    (top, storage_choices(), stored_keys(), numbers, apis, list, written).prop_map(
        |((port, host, threads, path), storage, key, numbers, apis, list, written)| {
            let mut config = Config::default();
            (config.server_port, config.server_host, config.persistent_file_path) = (port, host, path);
            (config.server_threads, config.key) = (threads, key);
            let project = ProjectConfig::new(project_id("any"), storage, AuthenticationChoice::default());
            config.storage = config.storage_of(&project);
            config.limits.body_bytes_max = numbers.0;
            (config.timeouts.head_ms, config.timeouts.shutdown_ms) = (numbers.1 * 1_000, numbers.2 * 1_000);
            let (accounts, item_api, names, engine) = apis;
            (config.accounts, config.item_api) = (accounts, item_api);
            (config.public_origins, config.public_hosts, config.trusted_proxies, config.cors_origins) = names;
            for project in list {
                // Two generated ids that are equal are as good as one.
                let _ = config.add_project(project);
            }
            config.engine = engine;
            for (setting, is_written) in SETTINGS.iter().zip(written) {
                // Settings of an engine depend on each other.
                let is_of_engine = setting.path.starts_with("engine.");
                if if is_of_engine { !config.engine.cells.is_empty() } else { is_written } {
                    config.mark(setting.path);
                }
            }
            config
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read_back(config in configs()) {
        let text = encode(&config);
        let read = parse(&text).map_err(|mistake| mistake.to_string()).unwrap();
        prop_assert_eq!(String::from_utf8(encode(&read)), String::from_utf8(text));
        for Setting { path, get, .. } in SETTINGS.iter().filter(|setting| config.is_written(setting.path)) {
            prop_assert!(get(&config).is_none_or(|value| get(&read) == Some(value)), "{}", path);
        }
        prop_assert_eq!((read.listed_projects(), &read.engine.cells), (config.listed_projects(), &config.engine.cells));
    }
}
