//! Phrases that plain technical English does not use, in everything that a person reads: Markdown, templates of pages,
//! and of a Rust file the comments, the texts and the names of functions. Code in Markdown and code spans are left out.

use super::scan::{code_only, text_only, tokens};
use std::fs;
use std::path::Path;

/// Files and directories that are checked. Of `tests` only the names of functions count.
const ROOTS: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "deploy",
    "fuzz/README.md",
    "tests/README.md",
    ".github",
    ".ci",
    "src/server",
    "src/http",
    "src/cli",
    "src/cli.rs",
    "src/log",
    "src/log.rs",
    "src/json",
    "src/json.rs",
    "src/router.rs",
    "src/network.rs",
    "src/digits.rs",
    "src/lib.rs",
    "src/main.rs",
    "src/testing.rs",
    "src/limits.rs",
    "src/config",
    "src/commands",
    "tests",
    "src/api",
    "src/catalog.rs",
    "src/catalog",
    "src/accounts",
    "src/auth",
    "src/names.rs",
    "src/secret.rs",
    "src/persist",
    "src/store",
    "src/storage",
    "src/disk",
    "src/disk.rs",
    "src/clock.rs",
    "src/descriptors.rs",
    "src/memory.rs",
    "src/entropy.rs",
];

/// A phrase, and what to write. Words are separated by a space, variants of a word by `/`.
const PHRASES: &[(&str, &str)] = &[
    ("take/takes/took/taken/taking back", "roll back, revert"),
    ("take/takes/took/taken/taking it/them/this/that back", "roll back, revert"),
    ("take/takes/took/taken/taking over", "import, replace"),
    ("carry/carries/carried/carrying out", "apply, execute"),
    ("go/goes/went/gone/going on", "continue"),
    ("look/looks/looked/looking after", "maintain, manage"),
    ("give/gives/gave/given/giving way", "yield"),
    ("anew", "again"),
    ("aside", "a copy, preserved"),
    ("mend/mends/mended", "fix"),
    ("whoever", "the client, the operator, anyone who"),
    ("room", "space"),
    ("says", "returns, reports, states"),
    ("the place", "the location, the position"),
    ("in force", "effective, in effect"),
    ("seed 000/001/002/003/004", "form API, object API, item API, data API, core API"),
    ("seed api/apis", "compatibility APIs"),
    ("end/ends/ended/ending in order", "clean shutdown"),
    ("a word too many", "unexpected argument"),
    ("no more fit/fits", "the limit is reached"),
    ("does/do not do", "is not sufficient"),
    ("nobody/nobody's", "no client, no user, nothing"),
    ("somebody/somebody's", "a client, a user, another program"),
    ("everybody/everybody's", "every client, every user, anyone"),
    ("rest/rests/rested/resting on", "depend on"),
    ("left alone", "unchanged"),
    ("leave/leaves/leaving it/them/this/that alone", "not change"),
    ("makes/make/making a/an/the new", "create, write"),
];

/// Whether the word at an index has the wrong sense.
type IsWrong = fn(&Words<'_>, usize) -> bool;

/// A word that is banned in one of its senses, and what to write instead.
const SENSES: &[(&str, IsWrong, &str)] = &[
    ("there", is_existence, "exists"),
    ("made", is_creation, "created, written, caused"),
    ("behind", is_after, "after"),
    ("where", is_if, "if"),
];

/// What stands behind something in a network.
const NETWORK: [&str; 9] =
    ["proxy", "proxies", "nginx", "caddy", "haproxy", "tls", "nat", "router", "firewall"];

/// The words and marks of a text, in lower case, with their lines from 1. A code span is one mark.
struct Words<'a>(Vec<(usize, &'a str)>);

impl Words<'_> {
    fn at(&self, at: usize) -> &str {
        self.0.get(at).map_or("", |(_, word)| word)
    }

    fn before(&self, at: usize) -> &str {
        at.checked_sub(1).map_or("", |at| self.at(at))
    }

    /// The words from `at` to the next mark.
    fn rest(&self, at: usize) -> impl Iterator<Item = &str> {
        self.0[at..].iter().map(|(_, word)| *word).take_while(|word| is_word(word))
    }
}

fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphanumeric())
}

/// "what is there", "keys that were there"; "there is" is plain.
fn is_existence(words: &Words<'_>, at: usize) -> bool {
    matches!(words.before(at), "is" | "are" | "was" | "were")
        && !matches!(words.at(at + 1), "a" | "an" | "any" | "no" | "no-one")
}

/// "made of" is plain.
fn is_creation(words: &Words<'_>, at: usize) -> bool {
    !matches!(words.at(at + 1), "of" | "up")
}

/// "behind a proxy" is plain.
fn is_after(words: &Words<'_>, at: usize) -> bool {
    !words.rest(at).take(6).any(|word| NETWORK.contains(&word))
}

/// After a word that asks for a condition or a value, before "there is", and as the first word of a sentence whose
/// first clause ends with a comma. Questions and places are plain.
fn is_if(words: &Words<'_>, at: usize) -> bool {
    let after_condition = matches!(
        words.before(at),
        "also"
            | "even"
            | "only"
            | "but"
            | "except"
            | "unless"
            | "not"
            | "null"
            | "true"
            | "false"
            | "503"
            | "404"
    );
    let mark = at + words.rest(at).count();
    let is_list = matches!(words.at(mark + 1), "and" | "or" | "for" | "if");
    let is_clause = matches!(words.before(at), "" | ".") && words.at(mark) == "," && !is_list;
    let is_absence = matches!(words.at(at + 1), "there" | "no" | "none" | "nothing" | "nobody" | "neither");
    after_condition || is_clause || is_absence || (words.before(at) == "`" && words.at(at + 1) != "the")
}

/// `text` without fenced blocks; code spans, and what a template or a format puts in, become one mark.
fn readable(text: &str, is_markdown: bool) -> String {
    let (mut out, mut is_fenced) = (String::new(), false);
    for line in text.lines() {
        let is_fence = is_markdown && line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        if !is_fence && !is_fenced {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// The words of `text`. Two line ends in a row, or a mark, end a sequence of words.
fn words(text: &str) -> Words<'_> {
    let (mut words, mut line, mut rest) = (Vec::new(), 1, text);
    while let Some(first) = rest.chars().next() {
        let is_of_word = |c: char| c.is_alphanumeric() || c == '\'';
        let length = match first {
            '`' => rest[1..].find('`').map_or(1, |end| end + 2),
            // The target of a link.
            ']' if rest.starts_with("](") => rest.find(')').map_or(1, |end| end + 1),
            '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ if is_of_word(first) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (piece, after) = rest.split_at(length);
        match first {
            '\\' if piece == "\\\n" => {}
            '\\' => words.push((line, ".")),
            '`' => words.push((line, "`")),
            ']' => words.push((line, "]")),
            '\n' if is_blank(after) => words.push((line, ".")),
            // Of a comment, or the end of a line.
            '/' | '\n' | '_' | '*' => {}
            _ if first.is_whitespace() => {}
            _ => words.push((line, piece)),
        }
        line += piece.matches('\n').count();
        rest = after;
    }
    Words(words)
}

/// Whether the line at the start of `text` is empty, or that of a comment, an item, a heading or a table begins it.
fn is_blank(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default().trim();
    let of_comment = line.trim_start_matches(['/', '!']).trim();
    of_comment.is_empty() || of_comment.starts_with(['-', '#', '|', '*'])
}

fn matches_phrase(words: &Words<'_>, at: usize, phrase: &str) -> bool {
    let is_variant =
        |(index, variants): (usize, &str)| variants.split('/').any(|word| word == words.at(at + index));
    phrase.split(' ').enumerate().all(is_variant)
}

/// Every banned phrase of `text` with its line.
fn banned(text: &str) -> Vec<(usize, String)> {
    let lower = text.to_lowercase();
    let words = words(&lower);
    let mut found = Vec::new();
    for (at, (line, word)) in words.0.iter().enumerate() {
        let phrases = PHRASES.iter().filter(|(phrase, _)| matches_phrase(&words, at, phrase));
        let senses = SENSES.iter().filter(|(sense, is_wrong, _)| sense == word && is_wrong(&words, at));
        let instead = phrases.map(|(_, instead)| instead).chain(senses.map(|(_, _, instead)| instead));
        let seen =
            || words.0[at.saturating_sub(2)..].iter().map(|(_, word)| *word).take(7).collect::<Vec<_>>();
        found.extend(instead.map(|instead| (*line, format!("`{}`: {instead}", seen().join(" ")))));
    }
    found
}

/// Every banned phrase in the file `path` as `path:line: what`.
pub fn banned_phrases(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_rust = path.ends_with(".rs");
    if is_rust {
        for pair in tokens(&code_only(source)).windows(2).filter(|pair| pair[0].text == "fn") {
            let name = pair[1].text.replace('_', " ");
            found.extend(banned(&name).into_iter().map(|(_, what)| (pair[1].line, what)));
        }
    }
    if !path.starts_with("tests/") || path.ends_with(".md") {
        let text = if is_rust { text_only(source) } else { readable(source, path.ends_with(".md")) };
        found.extend(banned(&text));
    }
    found.sort();
    found.iter().map(|(line, what)| format!("{path}:{line}: {what}")).collect()
}

/// Calls `visit` with the path and the text of every file below `path`, which may be a file.
fn visit_files(package: &Path, path: &str, visit: &mut dyn FnMut(&str, &str)) {
    let whole = package.join(path);
    if whole.is_file() {
        if let Ok(text) = fs::read_to_string(whole) {
            visit(path, &text);
        }
        return;
    }
    let entries = fs::read_dir(whole).unwrap_or_else(|error| panic!("{path}: {error}"));
    for entry in entries {
        visit_files(package, &format!("{path}/{}", entry.unwrap().file_name().to_str().unwrap()), visit);
    }
}

#[test]
fn texts_are_plain_technical_english() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut files) = (Vec::new(), 0);
    for root in ROOTS {
        visit_files(package, root, &mut |path, text| {
            found.extend(banned_phrases(path, text));
            files += 1;
        });
    }
    assert!(files > 50, "the documents were found");
    assert!(found.is_empty(), "\n{}\n{} phrases\n", found.join("\n"), found.len());
}

fn check(path: &str, text: &str, expected: &[&str]) {
    let found = banned_phrases(path, text);
    assert_eq!(found.len(), expected.len(), "{text:?}: {found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found} should have {expected}");
    }
}

#[test]
fn phrases_are_found_in_every_kind_of_text() {
    check(
        "src/a.rs",
        "// It takes\n/// over.\nlet take_over = takes(over);",
        &["src/a.rs:1: `it takes over"],
    );
    check("src/a.rs", "f(\"the server says so\"); // goes on", &["`the server says", "goes on"]);
    check("src/a.rs", "fn reads_go_on() {}", &["src/a.rs:1: `reads go on`"]);
    check("tests/it/a.rs", "// goes on\nfn whoever_asks() { \"anew\" }", &["tests/it/a.rs:2: `whoever"]);
    check("docs/a.md", "No\nroom.\n\n```text\nno room\n```\nThe code `room` goes\non.", &[":2: ", ":7: "]);
    check("docs/a.md", "| it goes | on |\n\nIt goes.\n\nOn it", &[]);
    check("src/a.html", "<p>Whoever</p>", &["a.html:1: `p > whoever"]);
    check("src/a.rs", "f(\"it goes \\\n    on\", \"it goes\", \"on\", \"goes\\non\")", &["it goes on"]);
}

#[test]
fn words_in_their_plain_sense_are_accepted() {
    let plain = [
        "There is a key. Is there a key?",
        "Pages are made of parts.",
        "It runs behind a proxy. Behind the other nginx. See [this](#behind-it).",
        "Where to begin? It reports where the head ends. The head: where it ends, and why. Where it ends, and why.",
        "The location where it is.",
    ];
    plain.iter().for_each(|text| check("docs/a.md", text, &[]));
    for text in [
        "The key is there.",
        "Files that were there already.",
        "A key is made.",
        "The bytes behind the head.",
        "Where the disk is full, it fails.",
        "`None` where it is absent.",
        "It fails where there is none.",
        "It counts only where it is set.",
    ] {
        check("docs/a.md", text, &[""]);
    }
}
