//! JSON with places: objects, arrays and values that know where in the text they stand.
//!
//! serde_json checks the grammar and finds the borders; every piece stays a slice of the source,
//! so its place is the distance between two addresses.

use super::mistake::{Mistake, Problem};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// One JSON value of `source`, called `member` in messages.
#[derive(Clone)]
pub(super) struct Node<'a> {
    source: &'a str,
    text: &'a str,
    pub(super) member: String,
}

/// The members of an object, all of them known and none twice.
pub(super) struct Members<'a> {
    object: Node<'a>,
    members: Vec<(String, Node<'a>)>,
}

impl<'a> Node<'a> {
    /// Takes `source`, all of it, as one JSON value.
    pub(super) fn parse(source: &'a str) -> Result<Node<'a>, Mistake> {
        if source.trim_ascii().is_empty() {
            return Err(mistake_at(source, 0, Problem::Empty));
        }
        let raw: &RawValue =
            serde_json::from_str(source).map_err(|error| syntax_mistake(source, source, &error))?;
        Ok(Node { source, text: raw.get(), member: String::new() })
    }

    /// Takes `source`, all of it, as the JSON value of the member `name`.
    pub(super) fn of_value(source: &'a str, name: &str) -> Result<Node<'a>, Mistake> {
        Node::parse(source).map(|node| Node { member: name.to_owned(), ..node })
    }

    /// A mistake in this value.
    pub(super) fn mistake(&self, problem: Problem) -> Mistake {
        mistake_at(self.source, offset(self.source, self.text), problem)
    }

    pub(super) fn is_null(&self) -> bool {
        self.text == "null"
    }

    pub(super) fn boolean(&self) -> Result<bool, Mistake> {
        match self.text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    pub(super) fn string(&self) -> Result<String, Mistake> {
        if !self.text.starts_with('"') {
            return Err(self.wrong_type("a text in quotes"));
        }
        serde_json::from_str(self.text).map_err(|error| syntax_mistake(self.source, self.text, &error))
    }

    /// A whole number from `min` to `max`.
    pub(super) fn number(&self, min: u64, max: u64) -> Result<u64, Mistake> {
        if !self.text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return Err(self.wrong_type("a whole number"));
        }
        match self.text.parse() {
            Ok(number) if (min..=max).contains(&number) => Ok(number),
            Ok(_) | Err(_) => Err(self.mistake(Problem::OutOfRange {
                member: self.member.clone(),
                text: self.text.to_owned(),
                min,
                max,
            })),
        }
    }

    /// One of the texts of `choices`.
    pub(super) fn choice<T: Copy>(
        &self,
        known: &'static [&'static str],
        parse: fn(&str) -> Option<T>,
    ) -> Result<T, Mistake> {
        let text = self.string()?;
        parse(&text).ok_or_else(|| {
            self.mistake(Problem::UnknownText { member: self.member.clone(), text: text.clone(), known })
        })
    }

    /// The elements of an array, each called by its position from 0.
    pub(super) fn elements(&self) -> Result<Vec<Node<'a>>, Mistake> {
        if !self.text.starts_with('[') {
            return Err(self.wrong_type("an array [ … ]"));
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

    /// Refuses everything but an object.
    pub(super) fn check_object(&self) -> Result<(), Mistake> {
        if self.text.starts_with('{') { Ok(()) } else { Err(self.wrong_type("an object { … }")) }
    }

    /// The first member `name` of an object, whatever its others are.
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
                return Err(key.mistake(Problem::UnknownMember {
                    name,
                    parent: key.member.clone(),
                    known: known.to_vec(),
                }));
            }
            let member = self.name_of(&name);
            if members.iter().any(|(other, _)| *other == name) {
                return Err(key.mistake(Problem::Twice { member }));
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
            Some(b'"') => "a text",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            Some(_) | None => "a number",
        };
        let member = if self.member.is_empty() { "the file".to_owned() } else { self.member.clone() };
        self.mistake(Problem::WrongType { member, wanted, found })
    }
}

impl<'a> Members<'a> {
    /// The member `name`, where there is one.
    pub(super) fn take(&mut self, name: &str) -> Option<Node<'a>> {
        let position = self.members.iter().position(|(other, _)| other == name)?;
        Some(self.members.swap_remove(position).1)
    }

    /// The member `name`, which has to be there.
    pub(super) fn require(&mut self, name: &str) -> Result<Node<'a>, Mistake> {
        let member = self.object.name_of(name);
        self.take(name).ok_or_else(|| self.object.mistake(Problem::Missing { member }))
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

/// Where `part`, a slice of `source`, begins in it, in bytes.
fn offset(source: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(source.as_ptr().addr())
}

/// The mistake `problem` at byte `at` of `source`.
pub(super) fn mistake_at(source: &str, at: usize, problem: Problem) -> Mistake {
    let before = source.get(..character_start(source, at)).unwrap_or(source);
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Mistake { line, column, problem }
}

/// Where the character of `source` begins that byte `at` belongs to.
fn character_start(source: &str, at: usize) -> usize {
    (0..=at.min(source.len())).rev().find(|&start| source.is_char_boundary(start)).unwrap_or(0)
}

/// Where the word begins that byte `at` belongs to, if there is one there; numbers are none.
fn word_start(source: &str, at: usize) -> Option<usize> {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let start = source.get(..at)?.trim_end_matches(is_of_word).len();
    source.get(start..)?.starts_with(char::is_alphabetic).then_some(start)
}

/// What a version control system writes where two edits of a line met.
const CONFLICT_MARKERS: [&str; 3] = ["<<<<<<<", "=======", ">>>>>>>"];

/// What serde_json found wrong in `part` of `source`, with a better reason where there is one.
fn syntax_mistake(source: &str, part: &str, error: &serde_json::Error) -> Mistake {
    let lines_before: usize =
        part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = offset(source, part) + lines_before + error.column().saturating_sub(1);
    let at = character_start(source, at);
    if error.is_eof() {
        return mistake_at(source, source.trim_ascii_end().len(), Problem::CutOff);
    }
    let (before, rest) = source.split_at_checked(at).unwrap_or((source, ""));
    // The parser may stop at the offending byte or one behind it.
    let rest_trimmed = rest.trim_ascii_start();
    let before = before.trim_ascii_end();
    if rest_trimmed.starts_with(['}', ']']) && before.ends_with(',') {
        return mistake_at(source, before.len() - 1, Problem::TrailingComma);
    }
    if rest_trimmed.starts_with(['/', '#']) {
        return mistake_at(source, source.len() - rest_trimmed.len(), Problem::Comment);
    }
    if rest.starts_with('\0') {
        return mistake_at(source, at, Problem::Nul);
    }
    let line_start = before.rfind('\n').map_or(0, |line_feed| line_feed + 1);
    let line = source.get(line_start..).unwrap_or_default().trim_ascii_start();
    if CONFLICT_MARKERS.iter().any(|marker| line.starts_with(marker) || rest_trimmed.starts_with(marker)) {
        return mistake_at(source, at, Problem::MergeConflict);
    }
    // The message ends with serde_json's own " at line 1 column 2", counted in bytes.
    let message = error.to_string();
    let is_of_token = ["expected value", "expected ident", "key must be a string"];
    let is_of_token = is_of_token.into_iter().any(|reason| message.starts_with(reason));
    if let Some(start) = word_start(source, at).filter(|_| is_of_token) {
        return mistake_at(source, start, Problem::Word);
    }
    if message.starts_with("trailing characters") {
        return mistake_at(source, at, Problem::AfterTheEnd);
    }
    let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason).to_owned();
    mistake_at(source, at, Problem::Syntax { reason })
}
