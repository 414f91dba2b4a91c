//! The known name that is nearest to a mistyped one.

use crate::limits::NEAREST_BYTES_MAX;

/// The name among `known` that is nearest to `text`; `None` if none is near.
///
/// The distance counts insertions, deletions, replacements and swaps of neighbours (the optimal string alignment
/// distance). A word of a name is sufficient: `prot` finds `server_port`.
pub(crate) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    if text.len() > NEAREST_BYTES_MAX {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let tolerated = (text.chars().count() / 3).max(1);
    known
        .iter()
        .filter_map(|name| Some((score(&text, name, tolerated)?, *name)))
        .min_by_key(|(score, _)| *score)
        .map(|(_, name)| name)
}

/// Twice the distance, plus one if only a word of `name` is near; `None` above `tolerated`.
fn score(text: &str, name: &str, tolerated: usize) -> Option<usize> {
    let whole = Some(distance(text, name)).filter(|&d| d <= tolerated && d < name.len()).map(|d| 2 * d);
    let words = name.split(['_', '-']).filter(|word| word.len() > 2);
    let word = words.map(|word| distance(text, word)).min().filter(|&d| d <= tolerated).map(|d| 2 * d + 1);
    whole.into_iter().chain(word).min()
}

/// The optimal string alignment distance, row by row.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, character) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, &other) in b.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(character != other);
            let mut cost = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let neighbour = j.checked_sub(1).and_then(|before| b.get(before));
            if neighbour == Some(&character) && previous == Some(other) {
                cost = cost.min(at(&before_last, j - 1) + 1);
            }
            row.push(cost);
        }
        (before_last, last, previous) = (last, row, Some(character));
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_single_edits_and_swaps() {
        let table = [("", "", 0), ("a", "", 1), ("", "abc", 3), ("abc", "abc", 0), ("prot", "port", 1)];
        let more = [("kitten", "sitting", 3), ("enabeld", "enabled", 1), ("ca", "abc", 3)];
        for (a, b, expected) in table.into_iter().chain(more) {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_typo_finds_its_name_and_another_word_finds_none() {
        let known = ["version", "server_port", "server_host", "default", "projects"];
        let table = [("prot", Some("server_port")), ("serverport", Some("server_port"))];
        let more = [("host", Some("server_host")), ("Projects", Some("projects")), ("tls", None), ("", None)];
        for (text, expected) in table.into_iter().chain(more) {
            assert_eq!(nearest(text, &known), expected, "{text}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), &known), None);
    }
}
