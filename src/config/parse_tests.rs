use super::super::file::{default_config, encode};
use super::super::schema::{Origin, RateLimit, Registration};
use super::*;

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
