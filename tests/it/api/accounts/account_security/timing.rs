//! How long a login takes that fails, measured where somebody asks for it: the figures are of that
//! machine and that moment, so nothing is asserted of them.
//!
//! `PIKV_LOGIN_TIMING=200 cargo test --release --test it account_security::timing -- --nocapture`

use super::members::{PASSWORD, attempt, config, register, update};
use crate::harness::Server;
use serde_json::json;
use std::time::Instant;

/// bcrypt's cost in the measurement.
const COST: u32 = 10;

/// Name, password, and what that is.
const KINDS: [(&str, &str, &str); 4] = [
    ("one", "Wrong-Guess-1", "wrong password"),
    ("nobody", "Wrong-Guess-1", "unknown user"),
    ("off", "Wrong-Guess-1", "disabled account, wrong password"),
    ("off", PASSWORD, "disabled account, right password"),
];

/// Microseconds of each attempt, for each of [`KINDS`]; their order changes from round to round.
fn measure(server: &Server, rounds: usize) -> [Vec<u128>; 4] {
    let mut micros: [Vec<u128>; 4] = Default::default();
    for round in 0..rounds {
        for turn in 0..KINDS.len() {
            let kind = (round + turn) % KINDS.len();
            let (name, password, _) = KINDS[kind];
            // Each attempt from an address of its own, so that no counter refuses it; the counter of the
            // account does after 100 of them, from strangers.
            let address = format!("10.{}.{}.{kind}", 100 + round / 250, round % 250);
            let begun = Instant::now();
            let answer = attempt(server, "/login", name, password, &address);
            micros[kind].push(begun.elapsed().as_micros());
            assert_eq!(answer.status, 401, "{answer:?}");
        }
    }
    micros.map(|mut micros| {
        micros.sort_unstable();
        micros
    })
}

/// The shortest of a few attempts with a wrong password, in milliseconds.
fn shortest_ms(server: &Server, name: &str, password: &str) -> u128 {
    let once = |number| {
        let begun = Instant::now();
        let address = format!("10.5.{}.{number}", name.len() + password.len());
        assert_eq!(attempt(server, "/login", name, password, &address).status, 401);
        begun.elapsed().as_millis()
    };
    (0..8).map(once).min().unwrap()
}

/// The shortest of several attempts hardly depends on what else the machine does, so that this much is
/// asserted: cheap hashes and expensive ones differ by a factor of 16 here.
#[test]
fn a_refusal_takes_equally_long_for_any_cost_of_the_hash_and_for_unknown_names() {
    let (cheap, expensive) = (8, 12);
    let mut config = config();
    config["accounts"]["bcrypt_cost"] = json!(cheap);
    let mut server = Server::start_with(config.clone());
    for name in ["old", "older", "disabled"] {
        register(&server, name);
    }
    update(&server, "disabled", &json!({ "disabled": true }));
    config["accounts"]["bcrypt_cost"] = json!(expensive);
    std::fs::write(server.config_path(), config.to_string()).unwrap();
    server.restart();
    let long = &"x".repeat(73);
    let check = |server: &Server| {
        let unknown = shortest_ms(server, "nobody", "Wrong-Guess-1");
        let others = [
            ("old", "Wrong-Guess-1"),
            ("nobody-else", "Wrong-Guess-1"),
            ("not a name", "Wrong-Guess-1"),
            ("disabled", PASSWORD),
            ("old", long),
            ("nobody", long),
        ];
        for (name, password) in others {
            let took = shortest_ms(server, name, password);
            let (less, more) = (took.min(unknown), took.max(unknown));
            assert!(
                more <= 3 * less + 60,
                "{name} with {} bytes: {took} ms, nobody {unknown} ms",
                password.len()
            );
        }
        unknown
    };
    let before = check(&server);
    assert_eq!(attempt(&server, "/login", "older", PASSWORD, "10.5.0.1").status, 200);
    let after = check(&server);
    assert!(after > 2 * before, "one hash of the new cost: {before} ms before, {after} ms after");
    server.restart();
    assert!(check(&server) > 2 * before, "stored costs are found at the start");
}

/// In the ordinary run a few attempts, which only have to be refused in the same words.
#[test]
fn unknown_users_and_disabled_accounts_are_refused_like_wrong_passwords() {
    let rounds: Option<usize> =
        crate::harness::environment::variable("PIKV_LOGIN_TIMING").map(|rounds| rounds.parse().unwrap());
    let mut config = config();
    config["accounts"]["bcrypt_cost"] = json!(if rounds.is_some() { COST } else { 4 });
    let server = Server::start_with(config);
    register(&server, "one");
    register(&server, "off");
    assert_eq!(update(&server, "off", &json!({ "disabled": true })).status, 200);
    let bodies = KINDS.map(|(name, password, _)| {
        ["/login", "/api/token", "/api/login"].map(|way| {
            let answer = attempt(&server, way, name, password, "10.4.0.1");
            (answer.status, answer.text().to_owned(), answer.fields.len())
        })
    });
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    let rounds = rounds.unwrap_or(3).min(40);
    for ((_, _, what), micros) in KINDS.iter().zip(measure(&server, rounds)) {
        let at = |percent: usize| micros[(micros.len() - 1) * percent / 100];
        println!("{what}: median {} us, 10% {} us, 90% {} us of {}", at(50), at(10), at(90), micros.len());
    }
}
