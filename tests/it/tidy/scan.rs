//! Just enough of Rust's grammar to tell code from text: comments and literals are blanked, what is
//! left is cut into names and punctuation.

/// A name, `::`, or one other character, and its line from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    pub line: usize,
}

/// `source` with every comment, string and character literal made of spaces; lines stay.
pub fn code_only(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let (mut code, mut at) = (String::with_capacity(source.len()), 0);
    while at < characters.len() {
        let end = blank_end(&characters, at);
        if end == at {
            code.push(characters[at]);
            at += 1;
        } else {
            let blank = &characters[at..end.min(characters.len())];
            code.extend(blank.iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment or literal ends that begins at `at`; `at` itself if none does.
fn blank_end(characters: &[char], at: usize) -> usize {
    let next = characters.get(at + 1).copied();
    match characters[at] {
        '/' if next == Some('/') => find(characters, at, |rest| rest[0] == '\n'),
        '/' if next == Some('*') => block_comment_end(characters, at),
        '"' => quoted_end(characters, at),
        // `'a'` and `'\n'` are characters, `'a` is a lifetime.
        '\'' if next == Some('\\') || characters.get(at + 2) == Some(&'\'') => quoted_end(characters, at),
        'r' if !continues_name(characters, at) => raw_string_end(characters, at),
        _ => at,
    }
}

/// The first place from `at` on where `is_end` holds, or the end of the text.
fn find(characters: &[char], at: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (at..characters.len()).find(|&place| is_end(&characters[place..])).unwrap_or(characters.len())
}

fn block_comment_end(characters: &[char], at: usize) -> usize {
    let (mut depth, mut place) = (0, at);
    while place < characters.len() {
        match characters[place..] {
            ['/', '*', ..] => (depth, place) = (depth + 1, place + 2),
            ['*', '/', ..] => (depth, place) = (depth - 1, place + 2),
            _ => place += 1,
        }
        if depth == 0 {
            break;
        }
    }
    place
}

/// The end of a string or character that begins and ends with the same quote.
fn quoted_end(characters: &[char], at: usize) -> usize {
    let mut place = at + 1;
    while place < characters.len() && characters[place] != characters[at] {
        place += if characters[place] == '\\' { 2 } else { 1 };
    }
    place + 1
}

/// Whether the `r` at `at` is a later letter of a name; the `r` of `br"` and `cr"` is not.
fn continues_name(characters: &[char], at: usize) -> bool {
    let is_name = |place: usize| characters[place].is_alphanumeric() || characters[place] == '_';
    let prefix = usize::from(at > 0 && matches!(characters[at - 1], 'b' | 'c'));
    at > prefix && is_name(at - prefix - 1)
}

fn raw_string_end(characters: &[char], at: usize) -> usize {
    let hashes = characters[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if characters.get(open) != Some(&'"') {
        return at;
    }
    let is_end =
        |rest: &[char]| rest[0] == '"' && rest[1..].iter().take_while(|&&c| c == '#').count() >= hashes;
    find(characters, open + 1, is_end) + 1 + hashes
}

/// The tokens of `code`, which has neither comments nor literals with text in them.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = match name {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                _ => name,
            };
            tokens.push(Token { text: &rest[..length], line: index + 1 });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The first two names of every path, as (line, first, second); a group `first::{a::b, c}` gives one
/// for each of its members. A chain of `super` that leads to the root of the crate is `crate`; `depth`
/// is the number of `super` that does so at the top of the file.
pub fn path_heads<'a>(tokens: &[Token<'a>], depth: usize) -> Vec<(usize, &'a str, &'a str)> {
    let mut heads = Vec::new();
    let mut is_module_of_braces = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let text = |place: usize| tokens.get(place).map_or("", |token| token.text);
        match token.text {
            "{" => is_module_of_braces.push(at >= 2 && text(at - 2) == "mod"),
            "}" => drop(is_module_of_braces.pop()),
            _ => {}
        }
        let is_inside_path = at > 0 && text(at - 1) == "::" && is_name(text(at.wrapping_sub(2)));
        let is_path_start = is_name(token.text) && text(at + 1) == "::" && !is_inside_path;
        if !is_path_start {
            continue;
        }
        let supers =
            (0..).take_while(|n| text(at + 2 * n) == "super" && text(at + 2 * n + 1) == "::").count();
        let modules_here = is_module_of_braces.iter().filter(|is_module| **is_module).count();
        let (first, members) = match supers {
            0 => (token.text, at + 2),
            _ if supers == depth + modules_here => ("crate", at + 2 * supers),
            _ => continue,
        };
        heads.extend(
            members_at(&tokens[members..]).into_iter().map(|member| (member.line, first, member.text)),
        );
    }
    heads
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The name at the start of `tokens`, or the first name of each member of the group there.
fn members_at<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    if tokens.first().is_none_or(|token| token.text != "{") {
        return tokens.first().copied().into_iter().collect();
    }
    let (mut members, mut depth) = (Vec::new(), 0);
    for pair in tokens.windows(2) {
        match pair[0].text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(pair[0].text, "{" | ",") && pair[1].text != "}" {
            members.push(pair[1]);
        }
    }
    members
}

/// Every function with a body: its name, its first line and its lines from `fn` to the last brace.
pub fn function_lengths<'a>(tokens: &[Token<'a>]) -> Vec<(&'a str, usize, usize)> {
    let mut lengths = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        // `fn(u8) -> u8` is a type, `fn $name` a part of a macro.
        if pair[0].text == "fn"
            && is_name(pair[1].text)
            && let Some(end) = body_end(&tokens[at..])
        {
            lengths.push((pair[1].text, pair[0].line, end.line - pair[0].line + 1));
        }
    }
    lengths
}

/// The brace that ends the function at the start of `tokens`; `None` where it has no body.
fn body_end<'a>(tokens: &[Token<'a>]) -> Option<Token<'a>> {
    let (mut brackets, mut braces) = (0, 0);
    for token in tokens {
        match token.text {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets -= 1,
            ";" if brackets == 0 && braces == 0 => return None,
            "{" => braces += 1,
            "}" => braces -= 1,
            _ => {}
        }
        if token.text == "}" && braces == 0 && brackets == 0 {
            return Some(*token);
        }
    }
    None
}

fn words(source: &str) -> Vec<String> {
    tokens(&code_only(source)).iter().map(|token| token.text.to_owned()).collect()
}

#[test]
fn comments_and_literals_are_no_code() {
    let check = |source: &str, expected: &[&str]| assert_eq!(words(source), expected, "{source}");
    check("a // b\nc /* d /* e */ f */ g", &["a", "c", "g"]);
    check(r#"a "b \" c" d"#, &["a", "d"]);
    check(r###"a r#"b " c"# d r"e\" f br##"g"# h"## i"###, &["a", "d", "f", "b", "i"]);
    check("a 'b' '\\'' '\"' '{' 'c d", &["a", "'", "c", "d"]);
    check("<'a>(&'a str) '}'", &["<", "'", "a", ">", "(", "&", "'", "a", "str", ")"]);
    check("r#fn for bar\"x\"", &["r", "#", "fn", "for", "bar"]);
    assert_eq!(code_only("\"a\nb\"\nc").lines().count(), 3, "lines stay");
    check("\"open", &[]);
    check("/* open", &[]);
}

#[test]
fn functions_are_measured_from_fn_to_their_last_brace() {
    let check = |source: &str, expected: &[(&str, usize, usize)]| {
        assert_eq!(function_lengths(&tokens(&code_only(source))), expected, "{source}");
    };
    check("fn a() {}", &[("a", 1, 1)]);
    check("\nfn a(\n  b: [u8; 2],\n) -> [u8; 2]\n{\n  b\n}\n", &[("a", 2, 6)]);
    check("trait T { fn a(&self) -> [u8; 4]; fn b() {\n} }", &[("b", 1, 2)]);
    check("fn a() {\n let b = \"}\"; // }\n let c = '}';\n /* } */ if d { e() }\n}", &[("a", 1, 5)]);
    check("fn a() {\n fn b() {\n }\n}", &[("a", 1, 4), ("b", 2, 2)]);
    check("let f: fn(u8) -> u8 = g;", &[]);
    check("fn a() { r#\"\n}\n\"# }", &[("a", 1, 3)]);
}

#[test]
fn heads_of_paths_are_found_in_groups_too() {
    let heads = |source: &str| {
        let code = code_only(source);
        let found = path_heads(&tokens(&code), 1);
        found.iter().map(|(line, first, second)| format!("{line} {first} {second}")).collect::<Vec<_>>()
    };
    assert_eq!(heads("use a::b::c;\nd::e()"), ["1 a b", "2 d e"]);
    assert_eq!(heads("::a::b; f(::c::d)"), ["1 a b", "1 c d"]);
    assert_eq!(heads("use a::{b::{x, y}, c, d::z};"), ["1 a b", "1 a c", "1 a d", "1 b x", "1 b y", "1 d z"]);
    assert_eq!(heads("super::b; mod m { super::c; super::super::d }"), ["1 crate b", "1 crate d"]);
}
