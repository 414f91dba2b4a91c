//! JSON with positions: objects, arrays and values that know their position in the text.
//!
//! serde_json checks the grammar and splits the text. Each part is a slice of the source, so its position is the
//! distance between two addresses.

use super::mistake::{EMPTY, Mistake, nearest_advice, shown};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// One JSON value of `source`, with the name `member` in messages: `default.storage.sync`.
#[derive(Clone)]
pub(super) struct Node<'a> {
    source: &'a str,
    text: &'a str,
    pub(super) member: String,
}

/// The members of an object, all of them known and none duplicate.
pub(super) struct Members<'a> {
    object: Node<'a>,
    members: Vec<(String, Node<'a>)>,
}

impl<'a> Node<'a> {
    /// Parses all of `source` as one JSON value.
    pub(super) fn parse(source: &'a str) -> Result<Node<'a>, Mistake> {
        if source.trim_ascii().is_empty() {
            return Err(mistake_at(source, 0, EMPTY, "remove the file to have a new one written"));
        }
        let raw: &RawValue =
            serde_json::from_str(source).map_err(|error| syntax_mistake(source, source, &error))?;
        Ok(Node { source, text: raw.get(), member: String::new() })
    }

    /// Parses all of `source` as the JSON value of the member `name`.
    pub(super) fn of_value(source: &'a str, name: &str) -> Result<Node<'a>, Mistake> {
        Node::parse(source).map(|node| Node { member: name.to_owned(), ..node })
    }

    /// A mistake in this value.
    pub(super) fn mistake(&self, problem: impl Into<String>, advice: impl Into<String>) -> Mistake {
        mistake_at(self.source, offset(self.source, self.text), problem, advice)
    }

    pub(super) fn is_null(&self) -> bool {
        self.text == "null"
    }

    pub(super) fn boolean(&self) -> Result<bool, Mistake> {
        match self.text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong_type("`true` or `false`")),
        }
    }

    pub(super) fn string(&self) -> Result<String, Mistake> {
        if !self.text.starts_with('"') {
            return Err(self.wrong_type("a string in double quotes"));
        }
        serde_json::from_str(self.text).map_err(|error| syntax_mistake(self.source, self.text, &error))
    }

    /// A whole number from `min` to `max`.
    pub(super) fn number(&self, min: u64, max: u64) -> Result<u64, Mistake> {
        match self.number_text()?.parse() {
            Ok(number) if (min..=max).contains(&number) => Ok(number),
            Ok(_) | Err(_) => {
                let problem = format!("`{}` is {}", self.member, shown(self.text));
                Err(self.mistake(problem, format!("it must be a whole number, {min} to {max}")))
            }
        }
    }

    /// The text of a number.
    pub(super) fn number_text(&self) -> Result<&'a str, Mistake> {
        let is_number = self.text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if is_number { Ok(self.text) } else { Err(self.wrong_type("a whole number")) }
    }

    /// One of the texts of `choices`.
    pub(super) fn choice<T: Copy>(
        &self,
        known: &'static [&'static str],
        parse: fn(&str) -> Option<T>,
    ) -> Result<T, Mistake> {
        let text = self.string()?;
        parse(&text).ok_or_else(|| self.wrong_text(&text, nearest_advice(&text, known, "possible")))
    }

    /// A mistake in this text.
    pub(super) fn wrong_text(&self, text: &str, advice: String) -> Mistake {
        self.mistake(format!("`{}` is \"{}\"", self.member, shown(text)), advice)
    }

    /// The elements of an array, each named by its position from 0.
    pub(super) fn elements(&self) -> Result<Vec<Node<'a>>, Mistake> {
        if !self.text.starts_with('[') {
            return Err(self.wrong_type("an array"));
        }
        let raw: Vec<&'a RawValue> = serde_json::from_str(self.text)
            .map_err(|error| syntax_mistake(self.source, self.text, &error))?;
        let node = |(index, raw): (usize, &'a RawValue)| Node {
            source: self.source,
            text: raw.get(),
            member: format!("{}[{index}]", self.member),
        };
        Ok(raw.into_iter().enumerate().map(node).collect())
    }

    /// Refuses any other value than an object.
    pub(super) fn check_object(&self) -> Result<(), Mistake> {
        if self.text.starts_with('{') { Ok(()) } else { Err(self.wrong_type("a JSON object")) }
    }

    /// The first member `name` of an object, which may have unknown members.
    pub(super) fn member(&self, name: &str) -> Result<Option<Node<'a>>, Mistake> {
        let quoted = format!("\"{name}\"");
        let found = self.raw_members()?.0.into_iter().find(|(key, _)| key.get() == quoted);
        let node = |(_, value): (&RawValue, &'a RawValue)| Node {
            source: self.source,
            text: value.get(),
            member: self.name_of(name),
        };
        Ok(found.map(node))
    }

    fn raw_members(&self) -> Result<RawMembers<'a>, Mistake> {
        self.check_object()?;
        serde_json::from_str(self.text).map_err(|error| syntax_mistake(self.source, self.text, &error))
    }

    /// The members of an object that may have the members `known`.
    pub(super) fn members(self, known: &[&'static str]) -> Result<Members<'a>, Mistake> {
        let raw = self.raw_members()?;
        let mut members: Vec<(String, Node<'a>)> = Vec::new();
        for (key, value) in raw.0 {
            let key = Node { source: self.source, text: key.get(), member: self.member.clone() };
            let name = key.string()?;
            if !known.contains(&name.as_str()) {
                let of =
                    if self.member.is_empty() { String::new() } else { format!(" of `{}`", self.member) };
                let advice = nearest_advice(&name, known, "known here");
                return Err(key.mistake(format!("unknown member `{}`{of}", shown(&name)), advice));
            }
            let member = self.name_of(&name);
            if members.iter().any(|(other, _)| *other == name) {
                return Err(key.mistake(format!("duplicate member `{member}`"), "keep one of the two"));
            }
            members.push((name, Node { source: self.source, text: value.get(), member }));
        }
        Ok(Members { object: self, members })
    }

    fn name_of(&self, name: &str) -> String {
        if self.member.is_empty() { name.to_owned() } else { format!("{}.{name}", self.member) }
    }

    fn wrong_type(&self, wanted: &'static str) -> Mistake {
        let found = match self.text.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            Some(_) | None => "a number",
        };
        let member =
            if self.member.is_empty() { "the file".to_owned() } else { format!("`{}`", self.member) };
        self.mistake(format!("{member} is {found}"), format!("it must be {wanted}"))
    }
}

impl<'a> Members<'a> {
    /// Removes and returns the member `name`, if it exists.
    pub(super) fn take(&mut self, name: &str) -> Option<Node<'a>> {
        let position = self.members.iter().position(|(other, _)| other == name)?;
        Some(self.members.swap_remove(position).1)
    }

    /// The same for a required member.
    pub(super) fn require(&mut self, name: &str) -> Result<Node<'a>, Mistake> {
        let member = self.object.name_of(name);
        self.take(name)
            .ok_or_else(|| self.object.mistake(format!("`{member}` is missing in the object"), "add it"))
    }
}

/// Members in the order of the text, names with their quotes.
struct RawMembers<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = RawMembers<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawMembers(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The offset of `part`, a slice of `source`, in it, bytes.
fn offset(source: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(source.as_ptr().addr())
}

/// A mistake at byte `at` of `source`.
pub(super) fn mistake_at(
    source: &str,
    at: usize,
    problem: impl Into<String>,
    advice: impl Into<String>,
) -> Mistake {
    let before = source.get(..character_start(source, at)).unwrap_or(source);
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Mistake { line, column, problem: problem.into(), advice: advice.into() }
}

/// The start of the character of `source` that contains byte `at`.
fn character_start(source: &str, at: usize) -> usize {
    (0..=at.min(source.len())).rev().find(|&start| source.is_char_boundary(start)).unwrap_or(0)
}

/// The start of the word that contains byte `at`, if there is one. A number is not a word.
fn word_start(source: &str, at: usize) -> Option<usize> {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let start = source.get(..at)?.trim_end_matches(is_of_word).len();
    source.get(start..)?.starts_with(char::is_alphabetic).then_some(start)
}

/// The problem of a text that ends before its JSON does.
pub(super) const CUT_OFF: &str = "the file is cut off";

/// The marks that a version control system writes for conflicting edits.
const CONFLICT_MARKERS: [&str; 3] = ["<<<<<<<", "=======", ">>>>>>>"];

/// The error of serde_json in `part` of `source`, with a more specific reason for common mistakes.
fn syntax_mistake(source: &str, part: &str, error: &serde_json::Error) -> Mistake {
    let lines_before: usize =
        part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = offset(source, part) + lines_before + error.column().saturating_sub(1);
    let at = character_start(source, at);
    if error.is_eof() {
        let advice = "a closing `}` or `]` may be missing; add it, or restore the file from a copy";
        return mistake_at(source, source.trim_ascii_end().len(), CUT_OFF, advice);
    }
    let (before, rest) = source.split_at_checked(at).unwrap_or((source, ""));
    // The parser may stop at the offending byte or one after it.
    let rest_trimmed = rest.trim_ascii_start();
    let before = before.trim_ascii_end();
    if rest_trimmed.starts_with(['}', ']']) && before.ends_with(',') {
        let advice = "JSON has no comma before `}` or `]`; remove it";
        return mistake_at(source, before.len() - 1, "trailing comma", advice);
    }
    if rest_trimmed.starts_with(['/', '#']) {
        let advice = "JSON has no comments; remove it";
        return mistake_at(source, source.len() - rest_trimmed.len(), "a comment", advice);
    }
    if rest.starts_with('\0') {
        return mistake_at(source, at, "NUL bytes, as after a power cut,", "restore the file from a copy");
    }
    let line_start = before.rfind('\n').map_or(0, |line_feed| line_feed + 1);
    let line = source.get(line_start..).unwrap_or_default().trim_ascii_start();
    if CONFLICT_MARKERS.iter().any(|marker| line.starts_with(marker) || rest_trimmed.starts_with(marker)) {
        let advice = "resolve the conflict and remove the markers";
        return mistake_at(source, at, "a conflict marker of a merge", advice);
    }
    // The message ends with serde_json's own " at line 1 column 2", counted in bytes.
    let message = error.to_string();
    let is_of_token = ["expected value", "expected ident", "key must be a string"];
    let is_of_token = is_of_token.into_iter().any(|reason| message.starts_with(reason));
    if let Some(start) = word_start(source, at).filter(|_| is_of_token) {
        // The word may be a key, so the message does not contain it.
        let advice = "write text in double quotes; booleans are true or false";
        return mistake_at(source, start, "not JSON: a word without quotes", advice);
    }
    if message.starts_with("trailing characters") {
        let problem = "not JSON: more text after the end of the object";
        return mistake_at(source, at, problem, "the file must have one object; remove the rest");
    }
    let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
    mistake_at(source, at, format!("not JSON: {reason}"), "")
}
