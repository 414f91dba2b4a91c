//! `pikv account`: in the files while no server runs, over its operator API while one does.

use crate::harness::people::{PASSWORD, Person, people_config, send_json};
use crate::harness::{DEMO_KEY, Finished, GLOBAL_KEY, Server, known_config, run_with_input};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const KEY: (&str, &str) = ("PIKV_GLOBAL_KEY", GLOBAL_KEY);

fn directory_with(config: &Value) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    directory
}

/// `pikv account` and `words` in `directory`, with `input` on standard input.
fn account(directory: &Path, words: &str, input: &str, environment: &[(&str, &str)]) -> Finished {
    let args: Vec<&str> = ["account"].into_iter().chain(words.split(' ')).collect();
    run_with_input(directory, &args, input, environment)
}

fn done(finished: &Finished, said: &str) {
    assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(0), said, ""));
}

fn refused(finished: &Finished, part: &str) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{finished:?}");
    let lines = finished.stderr.lines().count();
    assert!(lines == 1 && finished.stderr.starts_with("pikv: "), "{finished:?}");
    assert!(finished.stderr.contains(part), "{finished:?}");
}

fn can_sign_in(server: &Server, username: &str, password: &str) -> bool {
    let body = json!({ "username": username, "password": password }).to_string();
    match send_json(server, "POST", "/login", &[], &body).status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn accounts_are_managed_while_no_server_runs() {
    let directory = directory_with(&people_config());
    let run = |words: &str, input: &str| account(directory.path(), words, input, &[]);
    done(&run("add mavi --email mavi@example.com", "Right@123\n"), "Account mavi was added.\n");
    done(&run("add bob", PASSWORD), "Account bob was added.\n");
    refused(&run("add MAVI", "Right@123\n"), "This user name is taken. Choose another one.");
    refused(&run("add eve --email MAVI@example.com", "Right@123\n"), "belongs to another account");
    done(&run("disable bob", ""), "Account bob was disabled. Its tokens and sessions have ended.\n");
    let listed = run("list", "");
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{listed:?}");
    assert!(lines[1].starts_with("bob   -                 disabled  20"), "{listed:?}");
    assert!(lines[2].starts_with("mavi  mavi@example.com  enabled   20"), "{listed:?}");
    let mut server = Server::start_in(directory, Default::default());
    assert!(can_sign_in(&server, "mavi", PASSWORD));
    assert!(!can_sign_in(&server, "bob", PASSWORD));
    server.terminate();
    let run = |words: &str, input: &str| account(server.directory(), words, input, &[]);
    done(
        &run("enable bob", ""),
        "Account bob was enabled. Its earlier tokens and sessions remain invalid.\n",
    );
    let said = "Account mavi has a new password. Its tokens and sessions have ended.\n";
    done(&run("passwd mavi", "Other@123\r\n"), said);
    done(&run("delete bob", ""), "Account bob and its keys were deleted.\n");
    refused(&run("delete bob", ""), "Account `bob` does not exist");
    server.start_again();
    assert!(can_sign_in(&server, "mavi", "Other@123"));
    assert!(!can_sign_in(&server, "mavi", PASSWORD));
    assert!(!can_sign_in(&server, "bob", PASSWORD));
}

fn check_weak_passwords(directory: &Path, name: &str) {
    let run = |words: &str, input: &str| account(directory, &format!("{words} {name}"), input, &[]);
    refused(&run("add", "password\n"), "To accept a weak password, pass --weak-password.");
    done(&run("add --weak-password", "password\n"), &format!("Account {name} was added.\n"));
    refused(&run("passwd", "x\n"), "To accept a weak password, pass --weak-password.");
    let said = format!("Account {name} has a new password. Its tokens and sessions have ended.\n");
    done(&run("passwd --weak-password", "x\n"), &said);
    refused(&run("passwd --weak-password", "\n"), "Enter a password.");
    refused(&run("passwd --weak-password", &"x".repeat(73)), "73 bytes long; the maximum is 72");
}

#[test]
fn a_weak_password_is_accepted_only_on_request_in_the_files_and_by_a_running_server() {
    let directory = directory_with(&people_config());
    check_weak_passwords(directory.path(), "admin");
    let server = Server::start_in(directory, Default::default());
    check_weak_passwords(server.directory(), "guest");
    assert!(can_sign_in(&server, "admin", "x") && can_sign_in(&server, "guest", "x"));
}

#[test]
fn repairs_of_the_files_are_reported() {
    let directory = directory_with(&people_config());
    done(&account(directory.path(), "add mavi", PASSWORD, &[]), "Account mavi was added.\n");
    let mut made =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path().join("jwt.key"));
    std::fs::remove_file(made.find(|path| path.exists()).unwrap()).unwrap();
    let listed = account(directory.path(), "list", "", &[]);
    assert_eq!((listed.code, listed.stdout.lines().count()), (Some(0), 2), "{listed:?}");
    assert_eq!(listed.stderr.lines().count(), 1, "{listed:?}");
    assert!(listed.stderr.contains("existing access tokens are invalid"), "{listed:?}");
    assert_eq!(account(directory.path(), "list", "", &[]).stderr, "");
}

#[test]
fn the_command_goes_through_a_running_server_and_ends_tokens_at_once() {
    let server = Server::start_with(people_config());
    let run = |words: &str, input: &str| account(server.directory(), words, input, &[]);
    // config.json has the key, because save_api_key_to_file is true.
    done(&run("add mavi --email mavi@example.com", "Right@123\n"), "Account mavi was added.\n");
    refused(&run("add mavi", "Right@123\n"), "This user name is taken. Choose another one.");
    refused(&run("add bob", "short\n"), "at least 8 characters");
    for (words, input) in [("passwd mavi", PASSWORD), ("disable mavi", ""), ("delete mavi", "")] {
        let mavi = Person::sign_in(&server, "mavi");
        mavi.post(&server, "/api/data", "{\"key\":\"k\",\"value\":1}");
        mavi.get(&server, "/api/data/k").expect(200);
        assert_eq!(run(words, input).code, Some(0), "{words}");
        mavi.get(&server, "/api/data/k").expect(401);
        if words == "disable mavi" {
            refused(&run("disable nobody", ""), "This account does not exist");
            done(
                &run("enable mavi", ""),
                "Account mavi was enabled. Its earlier tokens and sessions remain invalid.\n",
            );
        }
    }
    assert_eq!(run("list", "").stdout.lines().count(), 1);
    let again = run("add mavi", PASSWORD);
    done(&again, "Account mavi was added.\n");
    Person::sign_in(&server, "mavi").get(&server, "/api/data/k").expect(404);
}

#[test]
fn a_list_of_a_running_server_has_all_pages() {
    let mut server = Server::start_with(people_config());
    server.terminate();
    for name in ["a", "b", "c"] {
        let added = account(server.directory(), &format!("add {name}"), PASSWORD, &[]);
        assert_eq!(added.code, Some(0));
    }
    let offline = account(server.directory(), "list", "", &[]).stdout;
    server.start_again();
    assert_eq!(account(server.directory(), "list", "", &[]).stdout, offline);
    assert_eq!(offline.lines().count(), 4);
}

#[test]
fn a_running_server_is_not_contacted_without_the_global_key_and_the_fix_is_stated() {
    let mut config = people_config();
    config["default"]["authentication"]["save_api_key_to_file"] = json!(false);
    let server = Server::start_with(config);
    let run = |environment: &[(&str, &str)]| account(server.directory(), "list", "", environment);
    let without = run(&[]);
    refused(&without, "Set PIKV_GLOBAL_KEY to its global key");
    assert!(without.stderr.contains(&format!("http://127.0.0.1:{}/api/v1/accounts", server.port)));
    for key in ["not-the-global-key", DEMO_KEY, "pikv_mistyped"] {
        let other = run(&[("PIKV_GLOBAL_KEY", key)]);
        refused(&other, "The environment variable PIKV_GLOBAL_KEY is not the global key of the server at");
        assert!(!other.stderr.contains("project") && !other.stderr.contains(key), "{other:?}");
    }
    assert_eq!(run(&[KEY]).code, Some(0));
}

#[test]
fn a_lock_without_an_address_is_reported() {
    let server = Server::start_with(people_config());
    std::fs::remove_file(server.data_path("pikv.address")).unwrap();
    refused(&account(server.directory(), "list", "", &[]), "has not written its address");
    std::fs::write(server.data_path("pikv.address"), "127.0.0.1:1\n").unwrap();
    refused(&account(server.directory(), "list", "", &[]), "Cannot reach the running server");
}

#[test]
fn the_address_file_is_removed_with_the_server_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let mut server = Server::start_with(people_config());
    let path = server.data_path("pikv.address");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("127.0.0.1:{}\n", server.port));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    server.terminate();
    assert!(!path.exists());
}

#[test]
fn the_process_id_in_the_lock_is_removed_or_replaced_with_its_server() {
    let mut server = Server::start_with(people_config());
    let path = server.data_path("pikv.lock");
    let text = || std::fs::read_to_string(&path).unwrap();
    let process_id = |text: &str| text.lines().next().and_then(|line| line.parse().ok());
    assert_eq!(process_id(&text()), Some(server.pid()), "{}", text());
    server.terminate();
    assert_eq!(text(), "\n", "an end in order");
    server.start_again();
    server.kill();
    assert_ne!(text(), "\n", "nobody was there to take it out");
    assert_eq!(account(server.directory(), "list", "", &[]).code, Some(0));
    assert_eq!(text(), "\n", "the command had the lock, and gave it back");
}

#[test]
fn an_address_that_a_killed_server_left_is_gone_once_the_lock_is_taken() {
    let mut server = Server::start_with(people_config());
    let path = server.data_path("pikv.address");
    server.kill();
    assert!(path.exists());
    assert_eq!(account(server.directory(), "list", "", &[]).code, Some(0));
    assert!(!path.exists());
}

#[test]
fn passwords_have_their_limits_on_standard_input_too() {
    let directory = directory_with(&people_config());
    let run = |name: &str, input: &str| account(directory.path(), &format!("add {name}"), input, &[]);
    let of = |bytes: usize| format!("Aa1!{}", "x".repeat(bytes - 4));
    assert_eq!(run("a", &of(71)).code, Some(0));
    assert_eq!(run("b", &(of(72) + "\n")).code, Some(0));
    refused(&run("c", &of(73)), "73 bytes long; the maximum is 72");
    refused(&run("c", &of(1024 * 1024)), "The password is too long; the maximum is 72 bytes");
    refused(&run("c", ""), "Enter a password.");
    refused(&run("c", "\n"), "Enter a password.");
}

#[test]
fn nothing_is_created_without_accounts_or_a_configuration() {
    let mut config = known_config();
    config["accounts"] = json!({ "enabled": false });
    let directory = directory_with(&config);
    refused(&account(directory.path(), "list", "", &[]), "accounts.enabled is false");
    assert!(!directory.path().join("storage_data").exists());
    let empty = tempfile::tempdir().unwrap();
    refused(&account(empty.path(), "list", "", &[]), "does not exist");
}

#[test]
fn a_server_with_public_hosts_answers_the_command() {
    let mut config = people_config();
    config["public_hosts"] = json!(["kv.example:8443", "other.example"]);
    let server = Server::start_with(config);
    done(&account(server.directory(), "add mavi", PASSWORD, &[]), "Account mavi was added.\n");
}
