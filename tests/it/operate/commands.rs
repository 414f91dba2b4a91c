//! The commands beside `serve`, and configurations that are refused.

use crate::harness::kv::{Kv, PROJECT, PROJECTS, documented_config, key_path};
use crate::harness::tool::Tool;
use crate::harness::{Finished, Options, key_in, refused_start, run_to_end};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

fn run(directory: &TempDir, words: &[&str]) -> Finished {
    let config = directory.path().join("config.json");
    run_to_end(directory.path(), &[words, &["--config", config.to_str().unwrap()]].concat())
}

fn directory_with(config: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), config).unwrap();
    directory
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn init_writes_a_configuration_whose_printed_keys_work() {
    let directory = tempfile::tempdir().unwrap();
    let made = run(&directory, &["init"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let global = key_in(&made.stdout, "global key").unwrap_or_else(|| panic!("{made:?}"));
    let project = key_in(&made.stdout, "first_project key").unwrap();
    assert!(!made.stdout.contains("listening"));
    let kv = Kv::in_directory(directory);
    assert!(!kv.server.stdout_text().contains("pikv_"));
    assert!(!kv.server.stderr_text().contains("WARN"), "{}", kv.server.stderr_text());
    kv.caller(&global).get(PROJECTS).expect(200);
    kv.caller(&project).get(PROJECT).expect(200);
}

#[test]
fn init_whose_keys_cannot_be_printed_fails_and_states_how_to_get_new_ones() {
    let missing = (!Path::new("/dev/full").exists()).then(|| "/dev/full does not exist".to_owned());
    if !Tool::DevFull.is_usable(missing) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.json");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("exec \"$0\" init --config \"$1\" >/dev/full");
    let ended = shell.arg(env!("CARGO_BIN_EXE_pikv")).arg(&config).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for part in ["pikv: ", "could not be printed", config.to_str().unwrap(), "remove", "`pikv init`"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("pikv_"), "no key where logs are kept: {said}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left");
    assert_eq!(run(&directory, &["init"]).code, Some(0));
}

/// The command line `words` in a shell, with standard output redirected by `output`.
fn redirected(directory: &TempDir, words: &str, output: &str) -> std::process::Output {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("\"$0\" {words} {output}")).arg(env!("CARGO_BIN_EXE_pikv"));
    shell.current_dir(directory.path()).output().unwrap()
}

#[test]
fn init_with_output_that_is_discarded_is_refused_and_creates_nothing() {
    for output in [">&-", ">/dev/null", "1</dev/null"] {
        let directory = tempfile::tempdir().unwrap();
        let ended = redirected(&directory, "init", output);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{output}: {said}");
        assert!(said.contains("Standard output is closed or /dev/null"), "{output}: {said}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "{output}");
    }
}

#[test]
fn command_whose_result_cannot_be_printed_fails_and_one_whose_reader_left_does_not() {
    let directory = directory_with(&documented_config().to_string());
    for words in ["--help", "--version", "config check", "config show", "account list"] {
        let ended = redirected(&directory, words, ">/dev/full");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{words}: {said}");
        assert!(said.contains("could not be printed on standard output"), "{words}: {said}");
        let ended = redirected(&directory, words, "| :");
        assert!(ended.stderr.is_empty(), "{words}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(redirected(&directory, words, ">/dev/null").status.code(), Some(0), "{words}");
    }
}

#[test]
fn init_changes_no_existing_file() {
    for text in ["", "nonsense", &documented_config().to_string()] {
        let directory = directory_with(text);
        let refused = run(&directory, &["init"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("config.json"), "{refused:?}");
        assert_eq!(std::fs::read_to_string(directory.path().join("config.json")).unwrap(), text);
    }
}

#[test]
fn config_check_accepts_a_valid_file_and_changes_nothing() {
    let text = documented_config().to_string();
    let directory = directory_with(&text);
    let checked = run(&directory, &["config", "check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(std::fs::read_to_string(directory.path().join("config.json")).unwrap(), text);
    assert_eq!(names_in(directory.path()), ["config.json"]);
}

#[test]
fn config_check_warns_of_a_mode_of_older_versions() {
    let mut config = documented_config();
    config["projects"][0]["storage"]["sync"] = "never".into();
    let directory = directory_with(&config.to_string());
    let checked = run(&directory, &["config", "check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let [warning, right] = checked.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{checked:?}") };
    assert!(warning.starts_with("warning: ") && warning.contains("project first_project"), "{warning}");
    assert!(right.ends_with("config.json is valid."), "{right}");
}

#[test]
fn config_check_reports_the_position_of_the_mistake_and_the_fix() {
    let seed_with_its_comma = "{\n  \"version\": 1,\n  \"server_port\": 1,\n}";
    let table = [
        (seed_with_its_comma.to_owned(), ["line 3", "comma"]),
        (documented_config().to_string().replace("server_port", "server_prot"), ["line 1", "server_port"]),
        (documented_config().to_string().replace("on_disk", "on_dsik"), ["line 1", "on_disk"]),
        (documented_config().to_string().replace("23849", "\"23849\""), ["server_port", "column"]),
        (documented_config().to_string().replace("first_project", "First"), ["First", "a-z"]),
        ("{".to_owned(), ["cut off", "a closing `}` or `]` may be missing"]),
        (String::new(), ["empty", "config.json"]),
    ];
    for (text, parts) in table {
        let directory = directory_with(&text);
        for finished in [run(&directory, &["config", "check"]), refused_start(directory.path())] {
            assert_eq!(finished.code, Some(1), "{finished:?}");
            for part in parts {
                assert!(finished.stderr.contains(part), "{part} in {finished:?}");
            }
        }
        assert_eq!(std::fs::read_to_string(directory.path().join("config.json")).unwrap(), text);
        assert_eq!(names_in(directory.path()), ["config.json"]);
    }
}

#[test]
fn a_configuration_with_a_key_that_cannot_be_used_is_refused() {
    let table = [("short", "16"), ("with space in the key", "api_key"), ("pikv_0123456789abcdef", "pikv_")];
    for (key, part) in table {
        let mut config = documented_config();
        config["default"]["authentication"]["api_key"] = key.into();
        let directory = directory_with(&config.to_string());
        for finished in [run(&directory, &["config", "check"]), refused_start(directory.path())] {
            assert_eq!(finished.code, Some(1), "{finished:?}");
            assert!(finished.stderr.contains(part), "{finished:?}");
            assert!(!finished.stderr.contains(key), "a secret in {finished:?}");
        }
    }
}

#[test]
fn two_owners_of_one_key_are_refused() {
    let mut config = documented_config();
    config["default"]["authentication"]["api_key"] = "the-same-key-twice".into();
    config["projects"][0]["authentication"]["api_key"] = "the-same-key-twice".into();
    let directory = directory_with(&config.to_string());
    for refused in [refused_start(directory.path()), run(&directory, &["config", "check"])] {
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for part in ["config.json: ", "`default.authentication.api_key`", "first_project", "`projects`"] {
            assert!(refused.stderr.contains(part), "{part} in {refused:?}");
        }
        assert!(!refused.stderr.contains("the-same-key"), "{refused:?}");
    }
}

#[test]
fn a_mistyped_key_is_refused_with_its_file_and_member() {
    let mut config = documented_config();
    config["default"]["authentication"]["api_key"] = "pikv_of-my-own-making".into();
    let directory = directory_with(&config.to_string());
    for refused in [refused_start(directory.path()), run(&directory, &["config", "check"])] {
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for part in ["config.json: ", "`default.authentication.api_key`", "begins with `pikv_`"] {
            assert!(refused.stderr.contains(part), "{part} in {refused:?}");
        }
        assert!(!refused.stderr.contains("of-my-own-making"), "{refused:?}");
    }
}

#[test]
fn config_check_of_a_missing_file_creates_none() {
    let directory = tempfile::tempdir().unwrap();
    let checked = run(&directory, &["config", "check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stderr.contains("config.json"), "{checked:?}");
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn the_example_configuration_is_valid_and_serves() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.json.example")).unwrap();
    let directory = directory_with(&text);
    let checked = run(&directory, &["config", "check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let kv = Kv::in_directory(directory);
    kv.project().put(&key_path("a"), "1").expect(201);
    kv.global().get(PROJECTS).expect(200);
}

#[test]
fn config_show_prints_the_effective_settings_and_their_sources_without_secrets() {
    let mut config = documented_config();
    config["default"]["authentication"]["api_key"] = "canary-0123456789".into();
    config["server_host"] = "127.0.0.2".into();
    config["log"] = serde_json::json!({"level": "warn"});
    let directory = directory_with(&config.to_string());
    let show = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pikv"));
        command.env_clear().envs(environment.iter().copied()).current_dir(directory.path());
        let output = command.args(["config", "show"]).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let environment = [("PIKV_PORT", "2222"), ("PIKV_HOST", "127.0.0.3")];
    let shown = show(&["--port", "1111"], &environment);
    for line in [
        "server_port = 1111  (flag)",
        "server_host = 127.0.0.3  (environment)",
        "log.level = warn  (file)",
        "log.format = text  (default)",
        "projects.first_project.storage.on_disk = true  (file)",
    ] {
        assert!(shown.lines().any(|other| other == line), "{line} in {shown}");
    }
    assert!(show(&[], &environment).contains("server_port = 2222  (environment)"));
    assert!(show(&[], &[]).contains("server_port = 23849  (file)"));
    assert!(show(&[], &[]).contains("server_host = 127.0.0.2  (file)"));
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn the_environment_names_the_configuration_if_no_flag_does() {
    let (named, flagged) = (directory_with("{"), directory_with(&documented_config().to_string()));
    let elsewhere = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pikv"));
        command.env_clear().env("PIKV_CONFIG", named.path().join("config.json"));
        command.current_dir(elsewhere.path()).args(["config", "check"]).args(arguments);
        command.output().unwrap().status.code()
    };
    assert_eq!(check(&[]), Some(1));
    assert_eq!(check(&["--config", flagged.path().join("config.json").to_str().unwrap()]), Some(0));
}

#[test]
fn a_flag_takes_precedence_over_the_environment_when_serving() {
    let options = Options {
        environment: vec![
            ("PIKV_PORT".to_owned(), "1".to_owned()),
            ("PIKV_LOG_FORMAT".to_owned(), "json".to_owned()),
        ],
        ..Options::default()
    };
    let server = crate::harness::Server::start_as(options);
    assert_ne!(server.port, 1);
    server.request("GET", "/healthz", None, &[], b"").expect(200);
    let log = || server.stderr_text();
    crate::harness::wait_until("the log has a line", || log().contains('\n'));
    for line in log().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn help_and_version_are_printed_and_nothing_is_created() {
    let directory = tempfile::tempdir().unwrap();
    for words in [&["--help"][..], &["-h"], &["help"], &["serve", "--help"], &["recover", "--help"]] {
        let helped = run_to_end(directory.path(), words);
        assert_eq!(helped.code, Some(0), "{helped:?}");
        assert!(helped.stdout.contains("Usage: pikv") && helped.stderr.is_empty(), "{helped:?}");
    }
    for words in ["--version", "-V"] {
        let version = run_to_end(directory.path(), &[words]);
        assert_eq!(version.code, Some(0));
        assert_eq!(version.stdout, format!("pikv {}\n", env!("CARGO_PKG_VERSION")));
    }
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn an_invalid_command_line_exits_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let table = [
        (&["--prot", "1"][..], "--port"),
        (&["sevre"], "serve"),
        (&["--port", "x"], "65535"),
        (&["--port"], "--port"),
        (&["config"], "check"),
        (&["recover", "first_project"], "--journal"),
        (&["serve", "now"], "now"),
    ];
    for (words, part) in table {
        let refused = run_to_end(directory.path(), words);
        assert_eq!(refused.code, Some(2), "{words:?}: {refused:?}");
        assert!(refused.stderr.contains(part) && refused.stdout.is_empty(), "{words:?}: {refused:?}");
        assert_eq!(refused.stderr.trim_end().lines().count(), 1, "one error: {refused:?}");
    }
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn recover_needs_a_project_that_exists_and_no_running_server() {
    let mut kv = Kv::new();
    let config = kv.server.config_path();
    let recover = |project: &str| {
        let words = ["recover", project, "--journal", "replay", "--config", config.to_str().unwrap()];
        run_to_end(config.parent().unwrap(), &words)
    };
    let refused = recover("first_project");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&kv.server.pid().to_string()), "{refused:?}");
    kv.server.terminate();
    let refused = recover("notes");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("notes"), "{refused:?}");
}
