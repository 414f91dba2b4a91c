use super::super::file::{default_config, encode};
use super::super::schema::{Engine, EngineType, Origin, RateLimit, Registration};
use super::*;
use crate::limits::{CELL_ENDPOINTS_MAX, CELLS_MAX};

/// The text of a configuration that ends with `members`, in line 30 from column 5.
fn text_with(members: &str) -> String {
    let text = String::from_utf8(encode(&default_config())).unwrap();
    format!("{},\n    {members}\n}}\n", text.strip_suffix("\n}\n").unwrap())
}

fn config_with(members: &str) -> Config {
    parse(text_with(members).as_bytes()).unwrap()
}

fn check_refused(members: &str, expected: &str) {
    let message = parse(text_with(members).as_bytes()).unwrap_err().to_string();
    assert!(message.starts_with(expected), "{members}: {message}");
}

#[test]
fn what_was_not_written_is_not_saved_either() {
    for members in [
        r#""accounts": {}"#,
        "\"accounts\": {\n        \"registration\": \"closed\"\n    }",
        "\"accounts\": {\n        \"enabled\": false,\n        \"token_ttl_seconds\": 60\n    }",
        r#""item_api": {}"#,
        "\"item_api\": {\n        \"rate_limit\": null\n    }",
        "\"item_api\": {\n        \"rate_limit\": {}\n    }",
        "\"item_api\": {\n        \"rate_limit\": {\n            \"requests\": 7\n        }\n    }",
        "\"trusted_proxies\": [\n        \"127.0.0.1\",\n        \"10.0.0.0/8\"\n    ]",
        "\"public_origins\": [\n        \"https://kv.example\"\n    ]",
        "\"public_hosts\": [\n        \"kv.example\",\n        \"[::1]:80\"\n    ]",
        r#""cors": {}"#,
        "\"cors\": {\n        \"origins\": [\n            \"https://app.example.com\"\n        ]\n    }",
        r#""engine": {}"#,
        "\"engine\": {\n        \"type\": \"embedded\",\n        \"cells\": []\n    }",
        "\"engine\": {\n        \"threads\": 64\n    }",
        "\"engine\": {\n        \"type\": \"etcd\",\n        \"cells\": [\n            {\n                \
         \"name\": \"home\",\n                \"endpoints\": [\n                    \"http://127.0.0.1:2379\"\n                ],\n                \
         \"username\": \"a\",\n                \"password_file\": \"p\"\n            }\n        ]\n    }",
    ] {
        let saved = String::from_utf8(encode(&config_with(members))).unwrap();
        assert_eq!(saved, text_with(members));
    }
}

#[test]
fn accounts_are_as_written_up_to_their_bounds() {
    for (ttl, cost) in [(60, 4), (86_400, 16)] {
        let members = format!(r#""accounts": {{"token_ttl_seconds": {ttl}, "bcrypt_cost": {cost}}}"#);
        let accounts = config_with(&members).accounts;
        assert_eq!((accounts.token_ttl_s, accounts.bcrypt_cost), (ttl, cost));
        assert!(accounts.enabled && accounts.registration == Registration::Open);
    }
    let closed = config_with(r#""accounts": {"enabled": false, "registration": "closed"}"#).accounts;
    assert!(!closed.enabled && closed.registration == Registration::Closed);
}

#[test]
fn the_item_api_has_the_project_that_is_named_else_the_first() {
    let named = config_with(r#""item_api": {"project": "not_there"}"#);
    assert_eq!(named.item_project().unwrap().as_str(), "not_there");
    let mut silent = config_with(r#""item_api": {}"#);
    let first = silent.projects()[0].id.clone();
    assert_eq!(silent.item_project(), Some(&first));
    silent.remove_project(&first);
    assert_eq!(silent.item_project(), None);
}

#[test]
fn the_rate_limit_is_off_if_it_is_null_and_five_a_minute_by_default() {
    let limit = |requests, window_ms| Some(RateLimit { requests, window_ms });
    for (written, expected) in [
        ("{}", limit(5, 60_000)),
        (r#"{"rate_limit": {}}"#, limit(5, 60_000)),
        (r#"{"rate_limit": null}"#, None),
        (r#"{"rate_limit": {"requests": 1000}}"#, limit(1_000, 60_000)),
        (r#"{"rate_limit": {"requests": 1, "window_seconds": 86400}}"#, limit(1, 86_400_000)),
    ] {
        assert_eq!(
            config_with(&format!("\"item_api\": {written}")).item_api.rate_limit,
            expected,
            "{written}"
        );
    }
    assert_eq!(default_config().item_api.rate_limit, limit(5, 60_000));
}

#[test]
fn proxies_and_origins_are_in_the_order_of_the_file() {
    let config = config_with(
        r#""trusted_proxies": ["::1", "10.0.0.0/8"], "cors": {"origins": ["http://b", "http://a"]}"#,
    );
    let proxies: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["::1", "10.0.0.0/8"]);
    let origins: Vec<&str> = config.cors_origins.iter().map(Origin::as_str).collect();
    assert_eq!(origins, ["http://b", "http://a"]);
}

#[test]
fn mistakes_in_accounts_are_refused_with_what_is_right() {
    for (written, expected) in [
        ("[]", "`accounts` is an array at line 30, column 17; it must be a JSON object"),
        (
            r#"{"enable": true}"#,
            "unknown member `enable` of `accounts` at line 30, column 18; did you mean `enabled`? known here: enabled, registration, token_ttl_seconds, bcrypt_cost",
        ),
        (
            r#"{"enabled": "yes"}"#,
            "`accounts.enabled` is a string at line 30, column 29; it must be `true` or `false`",
        ),
        (
            r#"{"registration": "opne"}"#,
            "`accounts.registration` is \"opne\" at line 30, column 34; did you mean `open`? possible: open, closed",
        ),
        (
            r#"{"token_ttl_seconds": 59}"#,
            "`accounts.token_ttl_seconds` is 59 at line 30, column 39; it must be a whole number, 60 to 86400",
        ),
        (r#"{"token_ttl_seconds": 86401}"#, "`accounts.token_ttl_seconds` is 86401 at"),
        (
            r#"{"bcrypt_cost": 3}"#,
            "`accounts.bcrypt_cost` is 3 at line 30, column 33; it must be a whole number, 4 to 16",
        ),
        (r#"{"bcrypt_cost": 4294967300}"#, "`accounts.bcrypt_cost` is 4294967300 at"),
        (
            r#"{"bcrypt_cost": null}"#,
            "`accounts.bcrypt_cost` is null at line 30, column 33; it must be a whole number",
        ),
    ] {
        check_refused(&format!("\"accounts\": {written}"), expected);
    }
    check_refused(
        r#""acounts": {}"#,
        "unknown member `acounts` at line 30, column 5; did you mean `accounts`?",
    );
}

#[test]
fn mistakes_in_the_item_api_are_refused_with_what_is_right() {
    for (written, expected) in [
        (
            r#"{"projects": "a"}"#,
            "unknown member `projects` of `item_api` at line 30, column 18; did you mean `project`?",
        ),
        (
            r#"{"project": "A"}"#,
            "`item_api.project` is \"A\" at line 30, column 29; the id has `A`; use only a-z, 0-9",
        ),
        (
            r#"{"project": null}"#,
            "`item_api.project` is null at line 30, column 29; it must be a string in double quotes",
        ),
        (
            r#"{"rate_limit": 5}"#,
            "`item_api.rate_limit` is a number at line 30, column 32; it must be a JSON object",
        ),
        (
            r#"{"rate_limit": {"request": 5}}"#,
            "unknown member `request` of `item_api.rate_limit` at line 30, column 33; did you mean `requests`? known here: requests, window_seconds",
        ),
        (
            r#"{"rate_limit": {"requests": 0}}"#,
            "`item_api.rate_limit.requests` is 0 at line 30, column 45; it must be a whole number, 1 to 1000",
        ),
        (r#"{"rate_limit": {"requests": 1001}}"#, "`item_api.rate_limit.requests` is 1001 at"),
        (r#"{"rate_limit": {"window_seconds": 0}}"#, "`item_api.rate_limit.window_seconds` is 0 at"),
        (
            r#"{"rate_limit": {"window_seconds": 86401}}"#,
            "`item_api.rate_limit.window_seconds` is 86401 at line 30, column 51; it must be a whole number, 1 to 86400",
        ),
    ] {
        check_refused(&format!("\"item_api\": {written}"), expected);
    }
}

#[test]
fn mistakes_in_proxies_and_origins_are_refused_with_their_element() {
    for (members, expected) in [
        (
            r#""trusted_proxy": []"#,
            "unknown member `trusted_proxy` at line 30, column 5; did you mean `trusted_proxies`?",
        ),
        (
            r#""trusted_proxies": "127.0.0.1""#,
            "`trusted_proxies` is a string at line 30, column 24; it must be an array",
        ),
        (
            r#""trusted_proxies": ["::1", "proxy"]"#,
            "`trusted_proxies[1]` is \"proxy\" at line 30, column 32; it must be an IP address or a network",
        ),
        (
            r#""trusted_proxies": [1]"#,
            "`trusted_proxies[0]` is a number at line 30, column 25; it must be a string in double quotes",
        ),
        (
            r#""cors": {"origin": []}"#,
            "unknown member `origin` of `cors` at line 30, column 14; did you mean `origins`?",
        ),
        (r#""cors": {"origins": null}"#, "`cors.origins` is null at line 30, column 25; it must be an array"),
        (
            r#""cors": {"origins": ["*"]}"#,
            "`cors.origins[0]` is \"*\" at line 30, column 26; `*` is not supported; name each origin",
        ),
        (
            r#""cors": {"origins": ["http://a", "https://b/"]}"#,
            "`cors.origins[1]` is \"https://b/\" at line 30, column 38; an origin ends after its host or port",
        ),
        (
            r#""cors": {"origins": ["https://b:443"]}"#,
            "`cors.origins[0]` is \"https://b:443\" at line 30, column 26; browsers omit the default port of the scheme; remove `:443`",
        ),
        (
            r#""public_origins": ["https://kv.lan/"]"#,
            "`public_origins[0]` is \"https://kv.lan/\" at line 30, column 24; an origin ends",
        ),
        (
            r#""public_origin": []"#,
            "unknown member `public_origin` at line 30, column 5; did you mean `public_origins`?",
        ),
        (
            r#""public_hosts": "kv.lan""#,
            "`public_hosts` is a string at line 30, column 21; it must be an array",
        ),
        (
            r#""public_hosts": ["kv.lan", "http://kv.lan"]"#,
            "`public_hosts[1]` is \"http://kv.lan\" at line 30, column 32; a host is a name or an address in lower case",
        ),
    ] {
        check_refused(members, expected);
    }
}

#[test]
fn the_greatest_number_of_proxies_and_origins_is_a_limit() {
    let list = |element: &str, count: usize| format!("[{}]", vec![element; count].join(", "));
    let proxies = |count| format!("\"trusted_proxies\": {}", list("\"::1\"", count));
    let origins = |count| format!("\"cors\": {{\"origins\": {}}}", list("\"http://a\"", count));
    assert_eq!(config_with(&proxies(64)).trusted_proxies.len(), 64);
    check_refused(
        &proxies(65),
        "`trusted_proxies` has 65 elements at line 30, column 24; the maximum is 64; remove some",
    );
    assert_eq!(config_with(&origins(64)).cors_origins.len(), 64);
    check_refused(
        &origins(65),
        "`cors.origins` has 65 elements at line 30, column 25; the maximum is 64; remove some",
    );
    let hosts = |count| format!("\"public_hosts\": {}", list("\"a\"", count));
    assert_eq!(config_with(&hosts(64)).public_hosts.len(), 64);
    check_refused(
        &hosts(65),
        "`public_hosts` has 65 elements at line 30, column 21; the maximum is 64; remove some",
    );
}

#[test]
fn authentication_is_on_where_both_switches_are() {
    for (global, own, expected) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
    {
        let mut config = default_config();
        config.authentication.enabled = global;
        config.projects[0].authentication.enabled = Some(own);
        assert_eq!(config.authentication_enabled(&config.projects()[0]), expected, "{global} {own}");
    }
}

/// An `engine` with `cells` and the members `others`.
fn engine(cells: &str, others: &str) -> String {
    format!(r#""engine": {{"type": "etcd", "cells": [{cells}]{others}}}"#)
}

fn home(members: &str) -> String {
    format!(r#"{{"name": "home", "endpoints": ["http://127.0.0.1:2379"]{members}}}"#)
}

#[test]
fn cells_are_as_written() {
    let second = r#"{"name": "b-2", "endpoints": ["http://localhost:1", "http://[::1]:65535", "http://127.9.9.9:80"]}"#;
    let user = r#", "username": "pikv", "password_file": "secrets/etcd""#;
    let config = config_with(&engine(&format!("{}, {second}", home(user)), r#", "threads": 64"#));
    let Engine { kind, threads, insecure_network, cells } = config.engine;
    assert_eq!((kind, threads, insecure_network), (EngineType::Etcd, 64, false));
    let [home, second] = &cells[..] else { panic!("{cells:?}") };
    assert_eq!((home.name.as_str(), second.name.as_str()), ("home", "b-2"));
    assert_eq!(home.endpoints[0].authority(), "127.0.0.1:2379");
    assert_eq!(home.username.as_deref(), Some("pikv"));
    assert_eq!(home.password_file.as_deref(), Some("secrets/etcd"));
    assert_eq!((second.endpoints.len(), &second.username), (3, &None));
    let null = config_with(&engine(&self::home(r#", "username": null, "password_file": null"#), ""));
    assert_eq!(null.engine.cells[0].username, None);
    let far = r#"{"name": "home", "endpoints": ["http://10.0.0.1:2379", "http://etcd.lan:2379"]}"#;
    let far = config_with(&engine(far, r#", "insecure_network": true"#));
    assert_eq!(far.engine.cells[0].endpoints.len(), 2);
}

fn cell(name: &str, endpoints: &str) -> String {
    format!(r#"{{"name": "{name}", "endpoints": [{endpoints}]}}"#)
}

#[track_caller]
fn check_engine_refused(members: &str, parts: &[&str]) {
    let message = parse(text_with(members).as_bytes()).unwrap_err().to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "{members}: {message}");
}

#[test]
fn an_engine_that_is_wrong_is_refused_with_the_fix() {
    for (members, parts) in [
        (r#""engine": {"type": "redis"}"#, &["`engine.type` is \"redis\"", "embedded, etcd"][..]),
        (r#""engine": {"type": "etcd"}"#, &["`engine.cells` is empty at line 30, column 15", "2379"]),
        (r#""engine": {"threads": 7}"#, &["`engine.threads` is 7", "8 to 64"]),
        (r#""engine": {"threads": 65}"#, &["`engine.threads` is 65", "8 to 64"]),
        (r#""engine": {"cells": {}}"#, &["`engine.cells` is an object", "an array"]),
        (r#""engine": {"cell": []}"#, &["unknown member `cell` of `engine`", "`cells`"]),
    ] {
        check_engine_refused(members, parts);
    }
    let user = "only one of `username` and `password_file`";
    for (cells, parts) in [
        ("", &["`engine.cells` is empty at line 30"][..]),
        (r#"{"endpoints": []}"#, &["`engine.cells[0].name` is missing", "add it"]),
        (r#"{"name": "home"}"#, &["`engine.cells[0].endpoints` is missing"]),
        (r#"{"name": "home", "url": 1}"#, &["unknown member `url` of `engine.cells[0]`"]),
        (&cell("first", r#""http://[::1]:1""#), &["name` is \"first\"", "must be `home`"]),
        (&cell("home", ""), &["`engine.cells[0].endpoints` is empty", "http://127.0.0.1:2379"]),
        (&home(r#", "username": "a""#), &[user, "add the other"]),
        (&home(r#", "password_file": "a""#), &[user]),
        (&home(r#", "username": """#), &["username` is \"\"", "must be null, or 1 to 1024 bytes"]),
    ] {
        check_engine_refused(&engine(cells, ""), parts);
    }
    for (second, parts) in [
        ("Far", &["`engine.cells[1].name` is \"Far\"", "1 to 32 characters of a-z, 0-9 and -"][..]),
        ("", &["1 to 32 characters"]),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &["1 to 32 characters"]),
        ("home", &["a second cell `home`", "its own name"]),
    ] {
        let cells = format!("{}, {}", home(""), cell(second, r#""http://[::1]:1""#));
        check_engine_refused(&engine(&cells, ""), parts);
    }
}

#[test]
fn an_endpoint_that_is_wrong_is_refused_with_the_fix() {
    for (endpoint, parts) in [
        ("https://127.0.0.1:2379", &["is \"https://127", "has no TLS", "same machine", "write http://"][..]),
        ("127.0.0.1:2379", &["`engine.cells[0].endpoints[0]` is \"127", "http://HOST:PORT"]),
        ("http://127.0.0.1", &["http://HOST:PORT"]),
        ("http://127.0.0.1:2379/", &["without a path"]),
        ("http://127.0.0.1:0", &["http://HOST:PORT"]),
        ("http://[::1]", &["http://HOST:PORT"]),
        ("http://a:b@127.0.0.1:1", &["http://HOST:PORT"]),
        ("http://10.0.0.1:2379", &["\"http://10.0.0.1:2379\"", "`engine.insecure_network`"]),
        ("http://etcd.lan:2379", &["`engine.insecure_network`"]),
        ("http://localhost.evil.com:1", &["`engine.insecure_network`"]),
        ("http://0.0.0.0:2379", &["`engine.insecure_network`"]),
    ] {
        check_engine_refused(&engine(&cell("home", &format!("\"{endpoint}\"")), ""), parts);
    }
    let twice = cell("home", r#""http://[::1]:1", "http://[::1]:1""#);
    let parts = ["`engine.cells[0].endpoints[1]`", "this cell has that endpoint already"];
    check_engine_refused(&engine(&twice, ""), &parts);
    let shared = format!("{}, {}", home(""), cell("b", r#""http://127.0.0.1:2379""#));
    let parts = ["`engine.cells[1].endpoints[0]`", "cell `home` has that endpoint already"];
    check_engine_refused(&engine(&shared, ""), &parts);
}

#[test]
fn cells_and_endpoints_are_accepted_up_to_their_bounds() {
    let endpoint = |port: usize| format!("\"http://[::1]:{port}\"");
    let cells = |count: usize| {
        let name = |n: usize| if n == 1 { "home".to_owned() } else { format!("c{n}") };
        let cells: Vec<String> = (1..=count).map(|n| cell(&name(n), &endpoint(n))).collect();
        engine(&cells.join(", "), "")
    };
    let endpoints = |count: usize| {
        let endpoints: Vec<String> = (1..=count).map(endpoint).collect();
        engine(&cell("home", &endpoints.join(", ")), "")
    };
    config_with(&cells(CELLS_MAX));
    config_with(&endpoints(CELL_ENDPOINTS_MAX));
    check_engine_refused(&cells(CELLS_MAX + 1), &["`engine.cells` has 33 cells", "the maximum is 32"]);
    let parts = ["endpoints` has 17 elements", "the maximum is 16"];
    check_engine_refused(&endpoints(CELL_ENDPOINTS_MAX + 1), &parts);
}
