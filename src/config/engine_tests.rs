use super::super::schema::{Engine, EngineType};
use super::*;
use crate::disk::RealDisk;
use crate::limits::{CELL_THREADS_MAX, CELL_THREADS_MIN};
use proptest::prelude::*;

pub(in crate::config) fn engines() -> impl Strategy<Value = Engine> {
    let kind = proptest::sample::select(vec![EngineType::Embedded, EngineType::Etcd]);
    let user = proptest::option::of(("[a-z]{1,9}", "[a-z/]{1,9}"));
    let threads = CELL_THREADS_MIN..=CELL_THREADS_MAX;
    (kind, any::<bool>(), threads, proptest::collection::vec((1..=3_u16, user), 0..4)).prop_map(
        |(kind, insecure_network, threads, cells)| {
            let mut port = 0;
            let cell = |(index, (endpoints, user)): (usize, (u16, Option<(String, String)>))| {
                let name = if index == 0 { "home".to_owned() } else { format!("c-{index}") };
                let mut endpoint = || {
                    port += 1;
                    let host = if insecure_network { "10.0.0.1" } else { "[::1]" };
                    Endpoint::parse(&format!("http://{host}:{port}")).unwrap()
                };
                let (username, password_file) = user.unzip();
                CellConfig {
                    name: CellName::parse(&name).unwrap(),
                    endpoints: (0..endpoints).map(|_| endpoint()).collect(),
                    username,
                    password_file,
                }
            };
            let cells = cells.into_iter().enumerate().map(cell).collect();
            Engine { kind, threads, insecure_network, cells }
        },
    )
}

/// What is read of a password file with `content`.
fn password_in(content: &[u8]) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    disk::replace(&RealDisk, &directory.path().join("secret"), content).unwrap();
    let cell = CellConfig {
        username: Some("a".to_owned()),
        password_file: Some("secret".to_owned()),
        ..CellConfig::new(CellName::parse("home").unwrap())
    };
    let read = cell.load_password(&RealDisk, &directory.path().join("config.json"));
    read.map(|password| password.unwrap().reveal().to_owned()).map_err(|error| {
        let text = error.to_string();
        assert!(text.contains("secret: the password of cell `home`"), "{text}");
        text
    })
}

#[test]
fn a_password_is_the_line_of_its_file_beside_config_json() {
    for (content, password) in
        [("secret", "secret"), ("secret\n", "secret"), ("secret\r\n", "secret"), (" a b \n", " a b ")]
    {
        assert_eq!(password_in(content.as_bytes()).as_deref(), Ok(password));
    }
    let longest = "x".repeat(1_024);
    assert_eq!(password_in(format!("{longest}\r\n").as_bytes()), Ok(longest.clone()));
    for (content, problem) in [
        (&b""[..], "it is empty"),
        (b"\n", "it is empty"),
        (b"a\nb", "more than one line"),
        (b"a\n\n", "more than one line"),
        (b"a\0b", "a NUL"),
        (b"\xff\xfe", "it is not UTF-8"),
        (format!("{longest}x").as_bytes(), "it is longer than 1024 bytes"),
        ("x".repeat(100_000).as_bytes(), "it is longer than 1024 bytes"),
    ] {
        let error = password_in(content).unwrap_err();
        assert!(error.contains(problem) && error.contains("`password_file` must name a file"), "{error}");
        assert!(!error.contains("xx"), "no part of the password: {error}");
    }
}

#[test]
fn a_missing_password_file_is_named() {
    let cell = CellConfig {
        password_file: Some("/nowhere/secret".to_owned()),
        ..CellConfig::new(CellName::parse("home").unwrap())
    };
    let error = cell.load_password(&RealDisk, Path::new("/etc/pikv/config.json")).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/secret: the password of cell `home` cannot be read: "), "{error}");
    let none = CellConfig::new(CellName::parse("home").unwrap());
    assert_eq!(none.load_password(&RealDisk, Path::new("config.json")).unwrap(), None);
}

#[test]
fn only_addresses_of_this_machine_are_loopback() {
    let is_loopback = |text: &str| Endpoint::parse(text).unwrap().is_loopback();
    for own in ["http://127.0.0.1:1", "http://127.255.0.9:1", "http://[::1]:1", "http://localhost:1"] {
        assert!(is_loopback(own), "{own}");
    }
    for other in [
        "http://0.0.0.0:1",
        "http://[::]:1",
        "http://128.0.0.1:1",
        "http://10.0.0.1:1",
        "http://[fe80::1]:1",
        "http://localhost.lan:1",
        "http://127.0.0.1.lan:1",
    ] {
        assert!(!is_loopback(other), "{other}");
    }
}
