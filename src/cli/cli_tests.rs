use super::effective::{Options, Source, Sourced, resolve};
use super::flag::{self, Flag};
use super::*;
use crate::config::edit::Act;
use crate::config::file::{default_config, encode, parse as parse_config};
use crate::config::schema::{Config, EngineType, LogFormat, LogLevel, StoredKey};
use crate::secret::{KeyHash, Secret};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

fn parsed_with(line: &str, environment: &[(&str, &str)]) -> Result<Command, UsageError> {
    let value =
        |name: &str| environment.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).into());
    parse(line.split_whitespace().map(OsString::from), &value)
}

fn parsed(line: &str) -> Result<Command, UsageError> {
    parsed_with(line, &[])
}

/// The default configuration with `members`.
fn config_with(members: &str) -> Config {
    let text = String::from_utf8(encode(&default_config())).unwrap();
    parse_config(text.replacen('{', &format!("{{{members},"), 1).as_bytes()).unwrap()
}

fn options_of(line: &str, environment: &[(&str, &str)]) -> Options {
    let command = parsed_with(line, environment).unwrap();
    let (Command::Serve(options) | Command::ConfigShow(options)) = command else { panic!("{command:?}") };
    options
}

fn error_of(line: &str) -> String {
    parsed(line).unwrap_err().to_string()
}

#[test]
fn no_arguments_serve_with_the_defaults() {
    assert_eq!(parsed("").unwrap(), Command::Serve(Options::default()));
    assert_eq!(parsed("serve").unwrap(), Command::Serve(Options::default()));
    assert_eq!(Options::default().config_path.value, PathBuf::from("config.json"));
}

#[test]
fn every_command_is_found_by_its_words() {
    assert_eq!(parsed("init").unwrap(), Command::Init(Options::default()));
    assert_eq!(parsed("config check").unwrap(), Command::ConfigCheck(Options::default()));
    assert_eq!(parsed("config show").unwrap(), Command::ConfigShow(Options::default()));
    let edit = |act, discards_files| Command::ConfigEdit {
        options: Options::default(),
        setting: "server_port".to_owned(),
        act,
        discards_files,
    };
    let set = |value: &str| Act::Set(value.to_owned());
    assert_eq!(parsed("config set server_port 80").unwrap(), edit(set("80"), false));
    assert_eq!(parsed("config set --discard-files server_port 80").unwrap(), edit(set("80"), true));
    assert_eq!(parsed("config set server_port -1").unwrap(), edit(set("-1"), false));
    assert_eq!(parsed("config set -- server_port -1").unwrap(), edit(set("-1"), false));
    assert_eq!(parsed("config unset server_port").unwrap(), edit(Act::Unset, false));
    assert_eq!(parsed("config unset server_port --discard-files").unwrap(), edit(Act::Unset, true));
    error_of("config unset server_port 80");
    assert!(error_of("config set").contains("needs the name of a setting"), "{}", error_of("config set"));
    assert!(error_of("config set server_port").contains("needs its value"));
    error_of("config set server_port 80 81");
    for (text, wanted) in [
        ("--journal replay", RecoverAct::Replay),
        ("--journal discard", RecoverAct::Discard),
        ("--salvage", RecoverAct::Salvage),
    ] {
        let command = parsed(&format!("recover notes {text} --config c")).unwrap();
        let Command::Recover { options, project, act } = command else { panic!("{command:?}") };
        assert_eq!((project.as_str(), act), ("notes", wanted));
        assert_eq!(options.config_path, Sourced { value: PathBuf::from("c"), source: Source::Flag });
    }
}

#[test]
fn moves_and_migrations_have_a_target() {
    let Ok(Command::ProjectMove { project, cell, .. }) = parsed("project move shop --to cell-2") else {
        panic!()
    };
    assert_eq!((project.as_str(), cell.as_str()), ("shop", "cell-2"));
    for (line, wanted) in
        [("migrate --to etcd", EngineType::Etcd), ("migrate --to embedded", EngineType::Embedded)]
    {
        assert_eq!(parsed(line).unwrap(), Command::Migrate { options: Options::default(), to: wanted });
    }
    for (line, part) in [
        ("project move shop", "needs `--to CELL`"),
        ("project move --to home", "needs the id of a project"),
        ("project move _accounts --to home", "Project id \"_accounts\""),
        ("project move shop --to Home", "must be the name of a cell"),
        ("migrate", "needs `--to etcd` or `--to embedded`"),
        ("migrate --to files", "must be one of embedded, etcd"),
        ("migrate shop --to etcd", "Unexpected argument `shop`"),
    ] {
        assert!(error_of(line).contains(part), "{line}: {}", error_of(line));
    }
}

#[test]
fn help_and_version_take_precedence() {
    let table = [
        ("--help", None),
        ("-h", None),
        ("help", None),
        ("serve -h", Some("serve")),
        ("--help init", Some("init")),
        ("config --help", Some("config")),
        ("config show --help", Some("config")),
        ("recover --help", Some("recover")),
        ("account add --help", Some("account")),
        ("help recover", Some("recover")),
    ];
    for (line, topic) in table {
        assert_eq!(parsed(line).unwrap(), Command::Help(topic), "{line}");
        assert!(help::text(topic).contains("Usage: pikv") && help::text(topic).ends_with('\n'));
    }
    assert_eq!(parsed("serve -V").unwrap(), Command::Version);
    assert_eq!(help::version(), format!("pikv {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_help_names_every_flag_variable_and_command() {
    let program = help::text(None);
    for row in COMMANDS {
        let text = help::text(row.words.first().copied());
        assert!(program.contains(&row.line()) && text.contains(&row.line()), "{text}");
        for part in [row.summary, row.examples[0]] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        for flag in row.flags {
            assert!(text.contains(&flag.usage()) && text.contains(flag.doc), "{} in\n{text}", flag.name);
            let is_of_all = flag.variable.is_some();
            assert_eq!(program.contains(&flag.usage()), is_of_all, "{} in\n{program}", flag.name);
            assert!(text.contains(flag.variable.unwrap_or_default()), "{} in\n{text}", flag.name);
        }
        let longest = text.lines().chain(program.lines()).map(|line| line.chars().count()).max();
        assert!(longest <= Some(100), "{text}{program}");
    }
    assert!(help::text(Some("account")).contains(account::GLOBAL_KEY_VARIABLE));
    let mut names: Vec<&str> = flag::names();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Flag::ALL.len() + 2);
    assert!(COMMANDS.iter().flat_map(|row| row.flags).all(|flag| Flag::ALL.contains(flag)));
}

/// No row hides another one, and each example is a command line of its row.
#[test]
fn every_example_is_parsed_as_the_command_of_its_row() {
    for row in COMMANDS {
        assert!(!row.examples.is_empty(), "{}", row.name());
        for example in row.examples {
            let line = example.strip_prefix("pikv").unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(
                find(&words[..words.len().min(row.words.len())]).unwrap().0.words,
                row.words,
                "{example}"
            );
            assert!(parsed(line).is_ok(), "{example}: {:?}", parsed(line));
        }
    }
}

#[test]
fn flags_take_precedence_over_environment_file_and_default() {
    let environment =
        [("PIKV_PORT", "2"), ("PIKV_HOST", "::1"), ("PIKV_LOG_LEVEL", "debug"), ("PIKV_CONFIG", "e")];
    let options = options_of("--port 1 --host=0.0.0.0", &environment);
    let config = config_with("\"server_host\": \"10.0.0.1\"");
    let effective = resolve(&options, &config);
    assert_eq!(effective.port, Sourced { value: 1, source: Source::Flag });
    assert_eq!(effective.host.value.to_string(), "0.0.0.0");
    assert_eq!(effective.log_level, Sourced { value: LogLevel::Debug, source: Source::Environment });
    assert_eq!(effective.log_format, Sourced { value: LogFormat::Text, source: Source::Default });
    assert_eq!(options.config_path, Sourced { value: PathBuf::from("e"), source: Source::Environment });

    let effective = resolve(&options_of("", &environment[..1]), &config);
    assert_eq!(effective.port, Sourced { value: 2, source: Source::Environment });
    assert_eq!(
        (effective.host.value.to_string().as_str(), effective.host.source),
        ("10.0.0.1", Source::File)
    );
    let effective = resolve(&Options::default(), &default_config());
    assert_eq!(effective.port, Sourced { value: 23849, source: Source::File });
    assert_eq!(
        (effective.host.value.to_string().as_str(), effective.host.source),
        ("127.0.0.1", Source::Default)
    );
}

#[test]
fn the_last_of_two_equal_flags_counts_and_an_empty_variable_is_ignored() {
    assert_eq!(options_of("--port 1 --port 2", &[]).port.unwrap().value, 2);
    assert_eq!(options_of("", &[("PIKV_PORT", "")]).port, None);
    assert_eq!(options_of("--port 0", &[]).port.unwrap().value, 0);
}

#[test]
fn a_wrong_value_is_refused_with_the_rule() {
    let table = [
        ("--port 65536", "`--port` is \"65536\"; it must be a whole number, 0 to 65535"),
        ("--port +80", "`--port` is \"+80\""),
        ("--port=", "`--port` is \"\""),
        (
            "--host localhost",
            "`--host` is \"localhost\"; it must be an IP address, because names are not looked up",
        ),
        ("--host [::1]", "`--host` is \"[::1]\"; it must be an IP address without brackets: ::1"),
        ("--host [::1]:80", "it must be an IP address without a port"),
        ("--host 127.0.0.1:80", "it must be an IP address without a port"),
        ("--host fe80::1%eth0", "without a zone (`%eth0`); use :: for every network"),
        ("--host [fe80::1%eth0]", "without a zone (`%eth0`); use :: for every network"),
        ("--host fe80::x", "because names are not looked up"),
        ("--port -1", "`--port` is \"-1\"; it must be a whole number"),
        ("--log-level loud", "it must be one of error, warn, info, debug"),
        ("--log-format xml", "it must be one of text, json"),
        ("--config=", "`--config` is \"\"; it must name a file"),
        ("--port", "`--port` needs a value"),
        ("--help=x", "`--help` takes no value"),
        ("recover Notes --journal replay", "Project id \"Notes\" has `N`; use only a-z"),
        ("recover notes --journal both", "it must be one of replay, discard"),
        ("recover notes", "`pikv recover` needs `--journal replay`, `--journal discard` or `--salvage`"),
        ("recover notes --salvage --journal replay", "either `--journal` or `--salvage`, not both"),
        ("recover notes --salvage=x", "`--salvage` takes no value"),
        ("recover", "`pikv recover` needs the id of a project"),
        ("config", "`pikv config` needs `check` or `show` or `set` or `unset`"),
    ];
    for (line, expected) in table {
        let message = error_of(line);
        assert!(message.contains(expected) && message.ends_with(" See `pikv --help`."), "{message}");
    }
    let error = parsed_with("serve", &[("PIKV_PORT", "many")]).unwrap_err().to_string();
    assert!(error.starts_with("`PIKV_PORT` is \"many\""), "{error}");
}

#[test]
fn unknown_flags_and_commands_are_refused_with_the_nearest_name() {
    let table = [
        ("--prot 1", "Unknown flag `--prot`. Did you mean `--port`?"),
        ("--log-levle x", "Did you mean `--log-level`?"),
        ("-x", "Unknown flag `-x`. Possible: --config"),
        ("-x1", "Unknown flag `-x`"),
        ("serve -1", "Unexpected argument `-1`"),
        ("sevre", "Unknown command `sevre`. Did you mean `serve`?"),
        ("config chekc", "Unknown command `chekc`. Did you mean `check`?"),
        ("frobnicate", "Unknown command `frobnicate`. Possible: serve, init, config, recover"),
        ("serve now", "Unexpected argument `now`"),
        ("init --port 1", "`pikv init` does not take `--port`"),
        ("serve --journal replay", "`pikv serve` does not take `--journal`"),
        ("recover a --journal replay --host ::1", "`pikv recover` does not take `--host`"),
        ("help me", "Unknown command `me`"),
    ];
    for (line, expected) in table {
        let message = error_of(line);
        assert!(message.starts_with(expected) || message.contains(expected), "{message}");
    }
}

#[test]
fn a_path_may_be_invalid_utf8_and_a_port_may_not() {
    let odd = || OsString::from_vec(vec![b'c', 0xff]);
    let command = parse(["--config".into(), odd()], &|_| None).unwrap();
    let Command::Serve(options) = command else { panic!("{command:?}") };
    assert_eq!(options.config_path.value, PathBuf::from(odd()));
    let error = parse(["--port".into(), odd()], &|_| None).unwrap_err();
    assert!(error.to_string().contains("it must be UTF-8"), "{error}");
}

#[test]
fn environment_variables_of_other_commands_are_ignored() {
    assert!(parsed_with("init", &[("PIKV_PORT", "many")]).is_ok());
}

#[test]
fn config_show_prints_every_value_with_its_source_and_no_secret() {
    let text = include_str!("../../config.json.example");
    let (before, rest) = text.split_once("    \"limits\": {").unwrap();
    let text = format!("{before}{}", rest.split_once("},\n").unwrap().1);
    let mut config = parse_config(text.as_bytes()).unwrap();
    config.key =
        StoredKey { text: Some(Secret::new("canary".to_owned())), hash: Some(KeyHash::of(b"canary")) };
    let options = options_of("config show --port 1", &[("PIKV_HOST", "::1")]);
    let shown = show::render(&options, &config, &resolve(&options, &config));
    for line in [
        "config = \"config.json\"  (default)",
        "server_port = 1  (flag)",
        "server_host = ::1  (environment)",
        "server_threads = null  (file)",
        "default.storage.sync = always  (file)",
        "default.authentication.api_key = ***  (file)",
        "default.authentication.api_key_hash = ***  (file)",
        "projects.first_project.storage.on_disk = true  (file)",
        "projects.first_project.authentication.api_key = null  (file)",
        "limits.body_bytes_max = 1048576  (default)",
        "timeouts.idle_seconds = 60  (file)",
        "log.level = info  (file)",
        "accounts.registration = open  (file)",
        "item_api.rate_limit.window_seconds = 60  (file)",
        "trusted_proxies = []  (file)",
        "public_origins = []  (file)",
        "public_hosts = []  (file)",
        "cors.origins = []  (file)",
    ] {
        assert!(shown.lines().any(|other| other == line), "{line} in\n{shown}");
    }
    assert!(!shown.contains("canary") && !shown.contains("sha256"), "{shown}");
    // Every number, switch and text of the example appears: one line each, and the path.
    let leaves = include_str!("../../config.json.example").lines().filter(|line| {
        let line = line.trim_end_matches(',');
        line.contains(": ") && !line.ends_with(['{', '['])
    });
    assert_eq!(shown.lines().count(), leaves.count() - "version id".split(' ').count() + 1);
}

#[test]
fn config_show_prints_inherited_settings_but_not_the_global_key() {
    let mut config = config_with("\"limits\": {}");
    config.key = StoredKey { text: None, hash: Some(KeyHash::of(b"canary")) };
    config.authentication.enabled = false;
    let text = String::from_utf8(encode(&config)).unwrap();
    let silent = text.replacen("\"projects\": [", "\"projects\": [{\"id\": \"silent\"},", 1);
    let storage = "\"storage\": {\"on_disk\": false, \"sync_interval_seconds\": 7, \"persistent";
    let silent = silent.replacen("\"storage\": {\n            \"persistent", storage, 1);
    let config = parse_config(silent.as_bytes()).unwrap();
    let options = options_of("config show", &[]);
    let shown = show::render(&options, &config, &resolve(&options, &config));
    let of_project: Vec<&str> =
        shown.lines().filter_map(|line| line.strip_prefix("projects.silent.")).collect();
    let expected = [
        "storage.on_disk = false  (file)",
        "storage.cache_in_memory = true  (default)",
        "storage.sync = always  (default)",
        "storage.sync_interval_seconds = 7  (file)",
        "authentication.enabled = false  (file)",
        "authentication.save_api_key_to_file = false  (file)",
        "authentication.api_key = null  (file)",
        "authentication.api_key_hash = null  (file)",
    ];
    assert_eq!(of_project, expected);
}

#[test]
fn config_show_prints_the_defaults_of_accounts_and_item_api() {
    let show = |config: &Config| {
        let options = options_of("config show", &[]);
        show::render(&options, config, &resolve(&options, config))
    };
    let mut config = default_config();
    let expected = "accounts.enabled = true  (default)\n\
                    accounts.registration = open  (default)\n\
                    accounts.token_ttl_seconds = 3600  (default)\n\
                    accounts.bcrypt_cost = 12  (default)\n\
                    item_api.project = first_project  (default)\n\
                    item_api.rate_limit.requests = 5  (default)\n\
                    item_api.rate_limit.window_seconds = 60  (default)\n\
                    trusted_proxies = []  (default)\n\
                    public_origins = []  (default)\n\
                    public_hosts = []  (default)\n\
                    cors.origins = []  (default)\n\
                    engine.type = embedded  (default)\n\
                    engine.threads = 16  (default)\n\
                    engine.insecure_network = false  (default)\n\
                    engine.cells = []  (default)\n";
    assert!(show(&config).ends_with(expected), "{}", show(&config));
    config = config_with(
        r#""item_api": {"rate_limit": null}, "trusted_proxies": ["10.0.0.0/8"],
           "public_origins": ["https://kv.example"], "public_hosts": ["kv.example", "[::1]:80"],
           "cors": {"origins": ["https://a.example"]},
           "engine": {"type": "etcd", "threads": 8, "cells": [
               {"name": "home", "endpoints": ["http://127.0.0.1:2379"], "username": "pikv", "password_file": "p"}]}"#,
    );
    let expected = "item_api.project = first_project  (default)\n\
                    item_api.rate_limit = null  (file)\n\
                    trusted_proxies = [\"10.0.0.0/8\"]  (file)\n\
                    public_origins = [\"https://kv.example\"]  (file)\n\
                    public_hosts = [\"kv.example\", \"[::1]:80\"]  (file)\n\
                    cors.origins = [\"https://a.example\"]  (file)\n\
                    engine.type = etcd  (file)\n\
                    engine.threads = 8  (file)\n\
                    engine.insecure_network = false  (default)\n\
                    engine.cells = [{\"name\":\"home\",\"endpoints\":[\"http://127.0.0.1:2379\"],\
                    \"username\":\"pikv\",\"password_file\":\"p\"}]  (file)\n";
    assert!(show(&config).ends_with(expected), "{}", show(&config));
}
