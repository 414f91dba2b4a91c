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

/// `source` with all code but its white space made of `|`: comments and literals are left; lines stay.
pub fn text_only(source: &str) -> String {
    let hide = |(c, code): (char, char)| match code {
        _ if c.is_whitespace() => c,
        ' ' => c,
        _ => '|',
    };
    source.chars().zip(code_only(source).chars()).map(hide).collect()
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

/// A path that code names, such as `crate::disk::Disk`.
#[derive(Debug)]
pub struct Path<'a> {
    pub line: usize,
    /// Of `crate`, `super` and `self` as seen from the root of the crate: the first is `crate`.
    pub names: Vec<&'a str>,
    /// In a module of tests.
    pub is_test: bool,
    /// In a `pub use`.
    pub is_published: bool,
}

/// The paths in the module `own`; a group `first::{a::b, c}` gives one for each of its members.
pub fn paths<'a>(tokens: &[Token<'a>], own: &[&'a str]) -> Vec<Path<'a>> {
    let (mut paths, mut braces, mut past) = (Vec::new(), Vec::new(), 0);
    for (at, token) in tokens.iter().enumerate() {
        let text = |place: usize| tokens.get(place).map_or("", |token| token.text);
        match token.text {
            "{" => braces.push((at >= 2 && text(at - 2) == "mod").then(|| text(at - 1))),
            "}" => drop(braces.pop()),
            _ => {}
        }
        if at < past || !is_name(token.text) || text(at + 1) != "::" {
            continue;
        }
        let module: Vec<&str> = own.iter().chain(braces.iter().flatten()).copied().collect();
        let is_test = module.contains(&"tests");
        let is_published = at >= 2 && text(at - 1) == "use" && matches!(text(at - 2), "pub" | ")");
        let mut members = Vec::new();
        past = expand(tokens, at, Vec::new(), &mut members);
        paths.extend(members.into_iter().filter_map(|(line, names)| {
            Some(Path { line, names: absolute(names, &module)?, is_test, is_published })
        }));
    }
    paths
}

/// Adds the path that begins at `at`, after the names of `before`, or each member of a group. Returns where it ends.
fn expand<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    before: Vec<&'a str>,
    found: &mut Vec<(usize, Vec<&'a str>)>,
) -> usize {
    let text = |place: usize| tokens.get(place).map_or("", |token| token.text);
    let mut names = before;
    while is_name(text(at)) || text(at) == "*" {
        names.push(text(at));
        if text(at + 1) != "::" {
            found.push((tokens[at].line, names));
            return at + 1;
        }
        at += 2;
    }
    if text(at) != "{" {
        return at; // `::<u8>`
    }
    at += 1;
    while !matches!(text(at), "}" | "") {
        let is_member = is_name(text(at)) && matches!(text(at - 1), "{" | ",");
        at = if is_member { expand(tokens, at, names.clone(), found) } else { at + 1 };
    }
    at + 1
}

/// `names` from the root of the crate, if they are of this crate. `None` if `super` leads out of it.
fn absolute<'a>(names: Vec<&'a str>, module: &[&'a str]) -> Option<Vec<&'a str>> {
    let supers = names.iter().take_while(|name| **name == "super").count();
    let (kept, rest) = match names.first() {
        Some(&"self") => (module, &names[1..]),
        Some(&"super") => (module.get(..module.len().checked_sub(supers)?)?, &names[supers..]),
        Some(_) | None => return Some(names),
    };
    Some(["crate"].iter().chain(kept).chain(rest).copied().collect())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
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
fn comments_and_literals_are_not_code() {
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
fn comments_and_literals_are_text() {
    assert_eq!(text_only("let a = \"b c\"; // d\n'e'"), "||| | | \"b c\"| // d\n'e'");
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
fn paths_are_found_in_groups_and_seen_from_the_root() {
    let found = |source: &str| {
        let code = code_only(source);
        let found = paths(&tokens(&code), &["x", "y"]);
        found.iter().map(|path| format!("{} {}", path.line, path.names.join("::"))).collect::<Vec<_>>()
    };
    assert_eq!(found("use a::b::c;\nd::e()"), ["1 a::b::c", "2 d::e"]);
    assert_eq!(found("::a::b; f(::c::d); a::<b::C>()"), ["1 a::b", "1 c::d", "1 b::C"]);
    assert_eq!(
        found("use a::{b::{x, y as z}, c,\n d::z};"),
        ["1 a::b::x", "1 a::b::y", "1 a::c", "2 a::d::z"]
    );
    assert_eq!(found("use {a::b, c::*};"), ["1 a::b", "1 c::*"]);
    assert_eq!(
        found("super::b; self::c; super::super::d"),
        ["1 crate::x::b", "1 crate::x::y::c", "1 crate::d"]
    );
    assert_eq!(
        found("mod m { super::c; fn f() { super::super::d } } super::e"),
        ["1 crate::x::y::c", "1 crate::x::d", "1 crate::x::e"]
    );
    assert_eq!(found("super::super::super::a"), [""; 0]);
}

#[test]
fn paths_of_tests_and_published_paths_are_distinguished() {
    let code = code_only("pub use a::b; pub(crate) use a::c; use a::d; mod tests { a::e }");
    let tokens = tokens(&code);
    let kinds: Vec<_> = paths(&tokens, &[]).iter().map(|path| (path.is_published, path.is_test)).collect();
    assert_eq!(kinds, [(true, false), (true, false), (false, false), (false, true)]);
}
