use super::*;

fn set(config: &mut Config, path: &str, value: &str) -> Result<Change, EditError> {
    edit(config, path, &Act::Set(value.to_owned()))
}

fn text_of(config: &Config) -> String {
    String::from_utf8(file::encode(config)).unwrap()
}

/// A configuration with `members` at its top and the project `shop` with `project` in it.
fn config_with(members: &str, project: &str) -> Config {
    let text = format!(
        r#"{{"version": 1, "server_port": 80, {members}
            "default": {{"storage": {{"persistent_file_path": "d/"}},
                        "authentication": {{"enabled": true, "save_api_key_to_file": false}}}},
            "projects": [{{"id": "shop"{project}}}]}}"#
    );
    file::parse(text.as_bytes()).unwrap()
}

#[track_caller]
fn check_set(path: &str, value: &str, written: &str, needs_restart: bool) {
    let mut config = file::first_config();
    let change = set(&mut config, path, value).unwrap();
    let text = text_of(&config);
    assert!(text.contains(written), "{written} in {text}");
    assert_eq!(change.needs_restart, needs_restart, "{path}");
    let [asked, ..] = &change.settings[..] else { panic!("{change:?}") };
    assert_eq!(asked.path, path);
    assert_ne!(asked.before, asked.after, "{path}");
}

#[test]
fn values_of_each_kind_are_set() {
    check_set("accounts.registration", "closed", r#""registration": "closed""#, false);
    check_set("accounts.enabled", "false", r#""enabled": false"#, false);
    check_set("server_port", "80", r#""server_port": 80"#, true);
    check_set("server_host", "0.0.0.0", r#""server_host": "0.0.0.0""#, true);
    check_set("server_threads", "4", r#""server_threads": 4"#, true);
    check_set("timeouts.head_seconds", "7", r#""head_seconds": 7"#, true);
    check_set("limits.body_bytes_max", "7", r#""body_bytes_max": 7"#, true);
    check_set("log.format", "json", r#""format": "json""#, true);
    check_set("log.level", "debug", r#""level": "debug""#, false);
    check_set("item_api.rate_limit", "null", r#""rate_limit": null"#, false);
    check_set("item_api.rate_limit.requests", "9", r#""requests": 9"#, false);
    check_set("cors.origins", r#"["https://a.example"]"#, r#""https://a.example""#, false);
    check_set("projects.first_project.storage.sync", "interval", r#""sync": "interval""#, false);
    check_set("engine.threads", "8", r#""threads": 8"#, true);
    check_set("engine.insecure_network", "true", r#""insecure_network": true"#, true);
    check_set("engine.cells", CELLS, r#""name": "home""#, true);
}

const CELLS: &str = r#"[{"name": "home", "endpoints": ["http://[::1]:1"]}]"#;

#[test]
fn an_engine_is_switched_once_it_has_cells() {
    check_refused(&Act::Set("etcd".to_owned()), "engine.type", &["`engine.cells` is empty"]);
    check_refused(&Act::Set("home".to_owned()), "engine.cells", &["a JSON array of cells"]);
    check_refused(
        &Act::Set("[]".to_owned()),
        "engine.cells.home.endpoints",
        &["`engine.cells`, a JSON array"],
    );
    let mut config = config_with("", "");
    set(&mut config, "engine.cells", CELLS).unwrap();
    assert!(set(&mut config, "engine.type", "etcd").unwrap().needs_restart);
    let before = config.clone();
    for refused in [edit(&mut config, "engine.cells", &Act::Unset), set(&mut config, "engine.cells", "[]")] {
        assert!(refused.unwrap_err().to_string().contains("`engine.cells` is empty"));
    }
    assert_eq!(config, before);
}

#[track_caller]
fn check_refused(act: &Act, path: &str, parts: &[&str]) {
    let mut config = file::first_config();
    let before = config.clone();
    let text = edit(&mut config, path, act).unwrap_err().to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
    assert_eq!(config, before, "{path}");
}

#[test]
fn a_wrong_path_is_refused_with_the_right_one() {
    let check = |path: &str, parts: &[&str]| {
        check_refused(&Act::Set("x".to_owned()), path, parts);
        check_refused(&Act::Unset, path, parts);
    };
    check("accounts.registrations", &["no setting", "mean `accounts.registration`"]);
    check("registration", &["`accounts.registration`", "pikv config show"]);
    check("projects[0].storage.sync", &["named by its id: `projects.ID.storage.sync`."]);
    check("projects[0]", &["named by its id: `projects.ID.SETTING`."]);
    check("limits", &["no setting `limits`", "in it: `limits.body_bytes_max`, `limits.connections_max`, "]);
    check("item_api", &["`item_api.project`", "`item_api.rate_limit.requests`"]);
    check("default.authentication", &["in it: `default.authentication.enabled`"]);
    check("projects.first_project", &["in it: `projects.first_project.storage.on_disk`, "]);
    check("projects.first_project.storage", &["in it: `projects.first_project.storage.on_disk`, "]);
    check("projects.first_project.storage.sink", &["mean `projects.first_project.storage.sync`"]);
    check("projects.other.storage.sync", &["no project `other`"]);
    check("projects.other", &["no project `other`"]);
    check("a\u{1b}b\n", &[r"no setting `a\u{1b}b\n`"]);
    check("projects.a\n.storage.sync", &[r"no project `a\n`"]);
    check("projects.first_project.a\n", &[r"no setting `projects.first_project.a\n`"]);
    check("projects[\n].\n", &[r"projects.ID.\n"]);
    check("projects.first_project.id", &["`projects.first_project.id`: a project keeps its name"]);
    check("projects", &["POST /api/v1/projects"]);
    check("version", &["cannot change `version`"]);
    check("default.storage.persistent_file_path", &["move the data directory"]);
    check("default.authentication.api_key", &["edit the file"]);
    check("projects.first_project.authentication.api_key_hash", &["edit the file"]);
}

#[test]
fn a_wrong_value_is_refused_with_the_fix() {
    let check =
        |path: &str, value: &str, parts: &[&str]| check_refused(&Act::Set(value.to_owned()), path, parts);
    check("accounts.registration", "shut", &["`accounts.registration` is \"shut\"", "open, closed"]);
    check("accounts.enabled", "yes", &["cannot be set to `yes`", "true or false"]);
    check("accounts.enabled", "1", &["a number", "`true` or `false`"]);
    check("server_port", "", &["`server_port` cannot be set to ``", "0 to 65535"]);
    check("server_port", "65536", &["`server_port` is 65536", "0 to 65535"]);
    check("server_port", "-1", &["`server_port` is -1", "0 to 65535"]);
    check("server_port", "null", &["`server_port` is null", "a whole number"]);
    check("server_port", "\u{1b}", &[r"`\u{1b}`"]);
    check("trusted_proxies", "127.0.0.1", &["a JSON array of addresses or networks"]);
    check("item_api.rate_limit", r#"{"requests":2}"#, &["set one of its members"]);
    check("item_api.project", "null", &["cannot be null", "`pikv config unset item_api.project`"]);
    check("server_host", "null", &["`pikv config unset server_host`"]);
    check("trusted_proxies", "null", &["`pikv config unset trusted_proxies`"]);
    check("limits.memory_bytes_max", "1", &["`limits.memory_bytes_max` is 1"]);
    check("default.authentication.api_key", "0123456789abcdef", &["not accepted as arguments"]);
    let of_project = "projects.first_project.storage.";
    check(&format!("{of_project}sync"), "no", &["`projects.first_project.storage.sync` is \"no\""]);
    check(&format!("{of_project}on_disk"), "no", &["`projects.first_project.storage.on_disk` cannot"]);
    check(&format!("{of_project}sync_interval_seconds"), "0", &["`projects.first_project.storage.sync_int"]);
    check(&format!("{of_project}sync"), "null", &["unset projects.first_project.storage.sync`"]);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let mut config = file::first_config();
    set(&mut config, "limits.memory_bytes_max", "16777216").unwrap();
    let before = config.clone();
    assert!(set(&mut config, "limits.body_bytes_max", "16777216").is_err());
    assert!(edit(&mut config, "limits.body_bytes_max", &Act::Unset).is_ok());
    assert_eq!(config, before);
}

/// The settings of a change as `path: before -> after`.
fn changed(change: &Change) -> Vec<String> {
    let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
    let line = |setting: &ChangedSetting| {
        format!("{}: {} -> {}", setting.path, text(&setting.before), text(&setting.after))
    };
    change.settings.iter().map(line).collect()
}

#[test]
fn every_setting_that_changed_is_reported_the_named_one_first() {
    let mut config = config_with("", "");
    let mut check = |path: &str, value: &str, expected: &[&str]| {
        assert_eq!(changed(&set(&mut config, path, value).unwrap()), expected);
    };
    check(
        "projects.shop.storage.sync",
        "never",
        &[
            "projects.shop.storage.sync: - -> interval",
            "projects.shop.storage.sync_interval_seconds: - -> 3600",
        ],
    );
    check(
        "default.storage.sync",
        "never",
        &["default.storage.sync: always -> interval", "default.storage.sync_interval_seconds: 1 -> 3600"],
    );
    check(
        "limits.body_bytes_max",
        "67108864",
        &["limits.body_bytes_max: 1048576 -> 67108864", "limits.memory_bytes_max: 134217728 -> 268435456"],
    );
    check(
        "item_api.rate_limit",
        "null",
        &[
            "item_api.rate_limit: - -> null",
            "item_api.rate_limit.requests: 5 -> -",
            "item_api.rate_limit.window_seconds: 60 -> -",
        ],
    );
    check("server_port", "80", &["server_port: 80 -> 80"]);
    assert!(!set(&mut config, "server_port", "80").unwrap().needs_restart);
}

#[track_caller]
fn check_unset(members: &str, project: &str, path: &str, expected: &[&str]) {
    let mut config = config_with(members, project);
    assert_eq!(changed(&edit(&mut config, path, &Act::Unset).unwrap()), expected);
    assert_eq!(text_of(&config), text_of(&config_with("", "")), "{path}");
}

#[test]
fn an_unset_setting_has_its_default_and_is_not_in_the_file() {
    let limits = r#""limits": {"body_bytes_max": 7},"#;
    check_unset(limits, "", "limits.body_bytes_max", &["limits.body_bytes_max: 7 -> 1048576"]);
    check_unset("", "", "limits.body_bytes_max", &["limits.body_bytes_max: 1048576 -> 1048576"]);
    let host = r#""server_host": "::1","#;
    check_unset(host, "", "server_host", &["server_host: ::1 -> 127.0.0.1"]);
    let item = r#""item_api": {"project": "other"},"#;
    check_unset(item, "", "item_api.project", &["item_api.project: other -> shop"]);
    let unlimited = r#""item_api": {"rate_limit": null},"#;
    let expected = [
        "item_api.rate_limit: null -> -",
        "item_api.rate_limit.requests: - -> 5",
        "item_api.rate_limit.window_seconds: - -> 60",
    ];
    check_unset(unlimited, "", "item_api.rate_limit", &expected);
    let cors = r#""cors": {"origins": ["https://a.example"]},"#;
    check_unset(cors, "", "cors.origins", &["cors.origins: [\"https://a.example\"] -> []"]);
    let sync = r#", "storage": {"sync": "interval"}"#;
    let expected = ["projects.shop.storage.sync: interval -> -"];
    check_unset("", sync, "projects.shop.storage.sync", &expected);
    check_refused(&Act::Unset, "server_port", &["must have `server_port`", "pikv config set server_port"]);
    check_refused(&Act::Unset, "default.authentication.enabled", &["cannot be unset"]);
}

#[test]
fn other_members_of_a_section_stay_when_one_is_unset() {
    let mut config = config_with(r#""log": {"level": "warn", "format": "json"},"#, "");
    let change = edit(&mut config, "log.format", &Act::Unset).unwrap();
    assert!(change.needs_restart, "{change:?}");
    let text = text_of(&config);
    assert!(text.contains(r#""level": "warn""#) && !text.contains("format"), "{text}");
}

#[track_caller]
fn check_losses(project: &str, path: &str, act: &str, leaving: &[&str], losing: &[&str], opens_all: bool) {
    let mut config = config_with("", project);
    let act = if act == "unset" { Act::Unset } else { Act::Set(act.to_owned()) };
    let change = edit(&mut config, path, &act).unwrap();
    let ids = |ids: &[ProjectId]| ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&change.leaving_disk), leaving, "{path}");
    assert_eq!(ids(&change.losing_protection), losing, "{path}");
    assert_eq!(change.opens_all, opens_all, "{path}");
}

#[test]
fn projects_that_lose_their_files_or_their_protection_are_named() {
    let on_disk = "projects.shop.storage.on_disk";
    check_losses("", on_disk, "false", &["shop"], &[], false);
    check_losses("", on_disk, "true", &[], &[], false);
    check_losses("", "default.storage.on_disk", "false", &["shop"], &[], false);
    check_losses(r#", "storage": {"on_disk": true}"#, "default.storage.on_disk", "false", &[], &[], false);
    check_losses(r#", "storage": {"on_disk": false}"#, on_disk, "false", &[], &[], false);
    check_losses(r#", "storage": {"on_disk": false}"#, on_disk, "unset", &[], &[], false);
    let enabled = "projects.shop.authentication.enabled";
    check_losses("", enabled, "false", &[], &["shop"], false);
    check_losses("", "default.authentication.enabled", "false", &[], &["shop"], true);
    let open = r#", "authentication": {"enabled": false}"#;
    check_losses(open, "default.authentication.enabled", "false", &[], &[], true);
    check_losses(open, enabled, "unset", &[], &[], false);
    // A default that is off is what an unset setting has.
    let mut config = config_with("", r#", "storage": {"on_disk": true}"#);
    set(&mut config, "default.storage.on_disk", "false").unwrap();
    assert_eq!(edit(&mut config, on_disk, &Act::Unset).unwrap().leaving_disk.len(), 1);
}
