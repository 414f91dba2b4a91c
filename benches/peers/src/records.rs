//! The keys and values that every server is given.

/// Keys that a load of writes or of reads goes round.
pub const LOAD_KEYS: u64 = 1_000;

/// Key number `number`, 16 bytes.
pub fn key(number: u64) -> String {
    format!("key{number:013}")
}

/// A JSON string of 100 bytes, quotes included. The letters differ by `version`, so that a value that
/// was written can be told from the one before.
pub fn value(version: u64) -> String {
    format!("\"{version:08}{}\"", "v".repeat(90))
}

/// The numbers of the keys that a load of writes goes round where `stored` keys are there: evenly
/// spread over them.
pub fn load_keys(stored: u64) -> impl Iterator<Item = u64> {
    let count = stored.clamp(1, LOAD_KEYS);
    (0..count).map(move |index| index * (stored.max(1) / count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_have_the_size_that_the_table_says() {
        assert_eq!(key(0).len(), 16);
        assert_eq!(key(1_000_000).len(), 16);
        assert_eq!(value(0).len(), 100);
        assert_eq!(value(99_999_999).len(), 100);
    }

    #[test]
    fn a_load_goes_round_keys_that_are_stored() {
        assert_eq!(load_keys(10).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        let spread: Vec<u64> = load_keys(1_000_000).collect();
        assert_eq!((spread.len(), spread[1], spread[999]), (1000, 1000, 999_000));
    }
}
