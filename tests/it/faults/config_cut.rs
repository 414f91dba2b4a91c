//! config.json cut off at every byte: refused with its place, and nothing is touched.

use super::{Tally, sampled};
use crate::harness::files::Files;
use crate::harness::{GLOBAL_KEY, Server, known_config, refused_start};

#[test]
fn a_config_truncated_at_any_byte_is_refused_with_the_position_and_left_unchanged() {
    let mut tally = Tally::of("config.json cut at every byte");
    let mut server = Server::start_with(known_config());
    assert_eq!(server.put_demo("a", "1").status, 201);
    assert_eq!(server.terminate().code(), Some(0));
    let whole = std::fs::read_to_string(server.config_path()).unwrap();
    let cuts = sampled((0..whole.trim_end().len()).collect(), 24);
    for &cut in &cuts {
        std::fs::write(server.config_path(), &whole[..cut]).unwrap();
        let before = Files::of(server.directory());
        let refused = refused_start(server.directory());
        assert_eq!(refused.code, Some(1), "cut at {cut}: {refused:?}");
        assert!(!refused.stdout.contains("listening"), "cut at {cut}: {refused:?}");
        let (line, column) = place_in(&refused.stderr);
        let lines = whole[..cut].matches('\n').count() + 1;
        assert!((lines - 1..=lines).contains(&line), "cut at {cut}, line {lines}: {}", refused.stderr);
        assert!(column <= whole.len(), "cut at {cut}: {}", refused.stderr);
        assert!(refused.stderr.contains("config.json"), "cut at {cut}: {}", refused.stderr);
        assert!(!refused.stderr.contains(GLOBAL_KEY), "cut at {cut}: {}", refused.stderr);
        before.assert_same(&Files::of(server.directory()));
    }
    std::fs::write(server.config_path(), &whole).unwrap();
    server.start_again();
    tally.acknowledged = 1;
    if server.get_demo("a").status != 200 {
        tally.lost.push("the value from before".to_owned());
    }
    tally.cycles = cuts.len();
    tally.notes = "each refused with code 1, line and column, no file changed".to_owned();
    tally.finish();
}

/// The line and the column that a message names.
fn place_in(message: &str) -> (usize, usize) {
    let number_behind = |word: &str| {
        let (_, rest) = message.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {message}"));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|error| panic!("{error} behind {word:?} in {message}"))
    };
    (number_behind("line "), number_behind("column "))
}
