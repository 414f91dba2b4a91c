//! Texts with placeholders: expanded in a request, matched against an answer.
//!
//! `{{name}}` is the text of a variable, `{{repeat 3 ab}}` is `ababab`, `{{hex ff00}}` is two bytes, `{{lf}}` is a line
//! feed. In an answer, `{{kind}}` matches a text of that [`Kind`], `{{kind name}}` keeps it as a variable, and
//! `{{kind > other}}` and `{{kind name > other}}` require a greater number than that of the variable `other`.

use std::collections::BTreeMap;

pub type Variables = BTreeMap<String, String>;

/// What differs from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything up to the text that follows.
    Any,
    /// Digits.
    Revision,
    /// The digits of a revision in the quotes of an entity tag.
    Etag,
    /// As in `2026-11-28T03:29:58.091Z`.
    Time,
    Uuid,
    /// A generated API key.
    Key,
    /// An access token or what a session cookie holds.
    Token,
}

const KINDS: [(&str, Kind); 7] = [
    ("any", Kind::Any),
    ("revision", Kind::Revision),
    ("etag", Kind::Etag),
    ("time", Kind::Time),
    ("uuid", Kind::Uuid),
    ("key", Kind::Key),
    ("token", Kind::Token),
];

/// Kinds that are found in an answer, the surest first.
const RECOGNISED: [Kind; 6] = [Kind::Time, Kind::Uuid, Kind::Key, Kind::Token, Kind::Etag, Kind::Revision];

/// A kind in a template, with what it is kept as and what it must exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    pub kind: Kind,
    pub name: Option<String>,
    exceeds: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Variable(String),
    Capture(Capture),
}

impl Kind {
    pub fn named(name: &str) -> Option<Kind> {
        KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).unwrap().0
    }

    /// How many bytes at the start of `text` are of this kind; `None` if there are none.
    fn length_in(self, text: &[u8]) -> Option<usize> {
        let run = |is_of: fn(&u8) -> bool| text.iter().take_while(|byte| is_of(byte)).count();
        let shaped = |shape: &str| {
            let fits = |(expected, found): (u8, &u8)| match expected {
                b'0' => found.is_ascii_digit(),
                b'x' => found.is_ascii_hexdigit(),
                other => *found == other,
            };
            let is_whole = text.len() >= shape.len() && shape.bytes().zip(text).all(fits);
            is_whole.then_some(shape.len())
        };
        let some = |length: usize| (length > 0).then_some(length);
        match self {
            Kind::Any => Some(0),
            Kind::Revision => some(run(u8::is_ascii_digit)),
            Kind::Etag => {
                let digits =
                    text.strip_prefix(b"\"")?.iter().take_while(|byte| byte.is_ascii_digit()).count();
                (digits > 0 && text.get(digits + 1) == Some(&b'"')).then_some(digits + 2)
            }
            Kind::Time => shaped("0000-00-00T00:00:00.000Z"),
            Kind::Uuid => shaped("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
            Kind::Key => {
                let is_key =
                    text.starts_with(b"pikv_") && run(|b| b.is_ascii_alphanumeric() || *b == b'_') == 54;
                is_key.then_some(54)
            }
            Kind::Token => some(run(|b| b.is_ascii_alphanumeric() || b"_-.".contains(b))),
        }
    }

    /// Whether `text` is so surely of this kind that a new answer gets a placeholder for it.
    fn is_recognised(self, text: &str) -> bool {
        match self {
            Kind::Any => false,
            Kind::Revision => text.len() == 16,
            Kind::Etag => text.len() == 18,
            Kind::Time | Kind::Uuid | Kind::Key => true,
            Kind::Token => text.len() == 43 || (text.len() > 100 && text.starts_with("eyJ")),
        }
    }
}

/// The parts of `template`. Panics if a placeholder is none.
fn parts(template: &str) -> Vec<Part> {
    let (mut parts, mut rest) = (Vec::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, after) =
            after.split_once("}}").unwrap_or_else(|| panic!("`{{{{` is not closed in {template}"));
        parts.push(Part::Text(before.as_bytes().to_vec()));
        parts.push(placeholder(inner));
        rest = after;
    }
    parts.push(Part::Text(rest.as_bytes().to_vec()));
    parts.retain(|part| *part != Part::Text(Vec::new()));
    parts
}

fn placeholder(inner: &str) -> Part {
    if let Some(rest) = inner.strip_prefix("repeat ") {
        let (count, text) = rest.split_once(' ').unwrap_or_else(|| panic!("{inner}"));
        return Part::Text(text.repeat(count.parse().unwrap()).into_bytes());
    }
    let words: Vec<&str> = inner.split(' ').collect();
    let capture = |kind: Kind, name: Option<&str>, exceeds: Option<&str>| {
        Part::Capture(Capture { kind, name: name.map(str::to_owned), exceeds: exceeds.map(str::to_owned) })
    };
    match (Kind::named(words[0]), words.as_slice()) {
        (None, ["empty"]) => Part::Text(Vec::new()),
        (None, ["end"]) => Part::Text(b"{{end}}".to_vec()),
        (None, ["lf"]) => Part::Text(b"\n".to_vec()),
        (None, ["hex", digits]) => {
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            Part::Text((0..digits.len()).step_by(2).map(byte).collect())
        }
        (None, [name]) => Part::Variable((*name).to_owned()),
        (Some(kind), [_]) => capture(kind, None, None),
        (Some(kind), [_, name]) => capture(kind, Some(name), None),
        (Some(kind), [_, ">", other]) => capture(kind, None, Some(other)),
        (Some(kind), [_, name, ">", other]) => capture(kind, Some(name), Some(other)),
        _ => panic!("`{{{{{inner}}}}}` is no placeholder"),
    }
}

/// The bytes that `template` stands for in a request.
pub fn expand(template: &str, variables: &Variables) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts(template) {
        match part {
            Part::Text(text) => out.extend(text),
            // The text of a variable may have placeholders of its own.
            Part::Variable(name) => out.extend(expand(value_of(&name, variables), variables)),
            Part::Capture(capture) => {
                panic!("`{}` matches and says nothing to send: {template}", capture.kind.name())
            }
        }
    }
    out
}

fn value_of<'v>(name: &str, variables: &'v Variables) -> &'v str {
    variables.get(name).unwrap_or_else(|| panic!("no variable `{name}`"))
}

/// Whether `template` matches all of `text`. Adds what it keeps to `variables` if so.
pub fn matches(template: &str, text: &[u8], variables: &mut Variables) -> bool {
    let (mut found, mut rest) = (variables.clone(), text);
    let parts = parts(template);
    for (at, part) in parts.iter().enumerate() {
        let length = match part {
            Part::Text(text) => rest.starts_with(text).then_some(text.len()),
            Part::Variable(name) => {
                let Some(value) = found.get(name) else { return false };
                let expected = expand(value, &found);
                rest.starts_with(&expected).then_some(expected.len())
            }
            Part::Capture(capture) if capture.kind == Kind::Any => match parts.get(at + 1) {
                Some(Part::Text(next)) => rest.windows(next.len()).position(|window| window == next),
                Some(Part::Variable(_) | Part::Capture(_)) => Some(0),
                None => Some(rest.len()),
            },
            Part::Capture(capture) => capture.kind.length_in(rest),
        };
        let Some((own, behind)) = length.and_then(|length| rest.split_at_checked(length)) else {
            return false;
        };
        if let Part::Capture(capture) = part
            && !keep(capture, &String::from_utf8_lossy(own), &mut found)
        {
            return false;
        }
        rest = behind;
    }
    if rest.is_empty() {
        *variables = found;
    }
    rest.is_empty()
}

/// Keeps `text` as `capture` says. Returns whether it is as large as it must be.
fn keep(capture: &Capture, text: &str, variables: &mut Variables) -> bool {
    let number =
        |text: &str| text.trim_matches('"').parse::<u64>().unwrap_or_else(|_| panic!("{text} is no number"));
    if let Some(other) = &capture.exceeds
        && number(text) <= number(value_of(other, variables))
    {
        return false;
    }
    if let Some(name) = &capture.name {
        variables.insert(name.clone(), text.to_owned());
    }
    true
}

/// The captures of `template` in order.
pub fn captures(template: &str) -> Vec<Capture> {
    let capture = |part| if let Part::Capture(capture) = part { Some(capture) } else { None };
    parts(template).into_iter().filter_map(capture).collect()
}

/// `text` as a template: what is recognised becomes a placeholder, named as the `old` captures of its kind are, which
/// it uses up. What was kept before, in `kept`, becomes its variable.
pub fn generalised(text: &str, old: &mut Vec<Capture>, kept: &mut Variables) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let is_in_word = out.ends_with(|c: char| c.is_ascii_alphanumeric());
        let (placeholder, length) = if is_in_word {
            (first.to_string(), first.len_utf8())
        } else if let Some((name, length)) = known(&out, rest, kept) {
            (format!("{{{{{name}}}}}"), length)
        } else if let Some((kind, length)) = recognised(rest, kept) {
            (new_placeholder(kind, &rest[..length], old, kept), length)
        } else {
            (first.to_string(), first.len_utf8())
        };
        out.push_str(&placeholder);
        rest = &rest[length..];
    }
    out
}

/// The variable that `rest` begins with, and its length, after `before`.
fn known(before: &str, rest: &str, kept: &Variables) -> Option<(String, usize)> {
    let is_time = Kind::Time.length_in(rest.as_bytes()).is_some();
    // Two times may be the same by chance, so `created` is for the time in `created_at` alone.
    let may_be = |name: &str| {
        !is_time || before.ends_with(&format!("{}_at\":\"", name.trim_end_matches(char::is_numeric)))
    };
    let is_known = |(name, value): &(&String, &String)| {
        value.len() > 5 && rest.starts_with(value.as_str()) && may_be(name)
    };
    kept.iter().find(is_known).map(|(name, value)| (name.clone(), value.len()))
}

fn recognised(rest: &str, kept: &Variables) -> Option<(Kind, usize)> {
    let (kind, length) = RECOGNISED.into_iter().find_map(|kind| {
        let length = kind.length_in(rest.as_bytes())?;
        kind.is_recognised(&rest[..length]).then_some((kind, length))
    })?;
    // The revision in an entity tag.
    let is_kept = kind == Kind::Etag && kept.values().any(|value| *value == rest[1..length - 1]);
    (!is_kept).then_some((kind, length))
}

fn new_placeholder(kind: Kind, text: &str, old: &mut Vec<Capture>, kept: &mut Variables) -> String {
    let place = old.iter().position(|capture| capture.kind == kind);
    let capture = place.map(|place| old.remove(place));
    let mut words = vec![kind.name().to_owned()];
    if let Some(Capture { name, exceeds, .. }) = capture {
        if let Some(name) = name {
            kept.insert(name.clone(), text.to_owned());
            words.push(name);
        }
        words.extend(exceeds.map(|other| format!("> {other}")));
    }
    format!("{{{{{}}}}}", words.join(" "))
}

#[test]
fn templates_match_all_of_a_text_and_keep_what_they_name() {
    let check = |template: &str, text: &str, expected: Option<&[(&str, &str)]>| {
        let mut variables = Variables::from([("old".to_owned(), "7".to_owned())]);
        let is_match = matches(template, text.as_bytes(), &mut variables);
        variables.remove("old");
        let found: Vec<(&str, &str)> = variables.iter().map(|(name, text)| (&**name, &**text)).collect();
        assert_eq!(is_match.then_some(&*found), expected, "{template} {text}");
    };
    check("a", "a", Some(&[]));
    check("a", "ab", None);
    check("ab", "a", None);
    check("{{old}}-{{repeat 2 ab}}{{hex 21}}", "7-abab!", Some(&[]));
    check("{{revision r}},{{r}}", "12,12", Some(&[("r", "12")]));
    check("{{revision r}},{{r}}", "12,13", None);
    check("{{revision r > old}}", "8", Some(&[("r", "8")]));
    check("{{revision > old}}", "7", None);
    check("{{etag e}}", "\"15\"", Some(&[("e", "\"15\"")]));
    check("{{etag e > old}}", "\"5\"", None);
    check("{{etag}}", "15", None);
    check("{{time}}", "2026-11-28T03:29:58.091Z", Some(&[]));
    check("{{time}}", "2026-11-28T03:29:58Z", None);
    check("{{uuid}}", "123e4567-e89b-12d3-a456-426614174000", Some(&[]));
    check("{{uuid}}", "123e4567-e89b-12d3-a456-42661417400", None);
    check("{{key}}", "pikv_short", None);
    check("<{{any a}}>{{any}}", "<x>y>", Some(&[("a", "x")]));
    check("{{any}}b", "aaa", None);
}
