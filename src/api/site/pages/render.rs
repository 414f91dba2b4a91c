//! Templates without logic: `{{name}}` is a text, always escaped; `{{#name}}…{{/name}}` is there once
//! for a text that is not empty and for a flag that holds, and once for each item of a list;
//! `{{^name}}…{{/name}}` is there where that one would not be; `{{>name}}` is another template.
//!
//! There is no form that does not escape. What comes in as a value is never read as a template.
//! Templates quote every attribute. A name without a value and a section that is not closed are bugs
//! of ours: they panic, and the tests render every branch of every template.

use std::borrow::Cow;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A text; as a section, whether it is not empty.
    Text(Cow<'a, str>),
    /// Whether a section is there.
    Flag(bool),
    /// The items of a section, each with names of its own before those around it.
    List(Vec<Values<'a>>),
}

/// Names and what they stand for.
pub(crate) type Values<'a> = Vec<(&'static str, Value<'a>)>;

/// Templates by name.
pub(crate) type Templates = [(&'static str, &'static str)];

pub(crate) fn text<'a>(text: impl Into<Cow<'a, str>>) -> Value<'a> {
    Value::Text(text.into())
}

/// A list of one item, or of none.
pub(crate) fn optional(item: Option<Values<'_>>) -> Value<'_> {
    Value::List(item.into_iter().collect())
}

/// The template `name` with `values`.
pub(crate) fn render(templates: &Templates, name: &str, values: &Values<'_>) -> String {
    let mut out = String::new();
    render_part(name, &Scope { templates, values, outer: None }, &mut out);
    out
}

/// What can be named at some place of a template.
struct Scope<'s> {
    templates: &'s Templates,
    values: &'s Values<'s>,
    outer: Option<&'s Scope<'s>>,
}

impl<'s> Scope<'s> {
    fn value(&self, name: &str) -> &Value<'s> {
        match (self.values.iter().find(|(known, _)| *known == name), self.outer) {
            (Some((_, value)), _) => value,
            (None, Some(outer)) => outer.value(name),
            (None, None) => unreachable!("a template names `{name}`, which has no value"),
        }
    }

    fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(text) => text,
            Value::Flag(_) | Value::List(_) => unreachable!("`{name}` is no text"),
        }
    }

    fn holds(&self, name: &str) -> bool {
        match self.value(name) {
            Value::Text(text) => !text.is_empty(),
            Value::Flag(holds) => *holds,
            Value::List(items) => !items.is_empty(),
        }
    }
}

/// What stands between `{{` and `}}`.
enum Tag<'t> {
    Text(&'t str),
    Section(&'t str),
    Inverted(&'t str),
    Close(&'t str),
    Part(&'t str),
}

impl<'t> Tag<'t> {
    fn parse(inside: &'t str) -> Tag<'t> {
        let mut behind = inside.chars();
        match behind.next() {
            Some('#') => Tag::Section(behind.as_str()),
            Some('^') => Tag::Inverted(behind.as_str()),
            Some('/') => Tag::Close(behind.as_str()),
            Some('>') => Tag::Part(behind.as_str()),
            Some(_) | None => Tag::Text(inside),
        }
    }
}

/// The text before the first tag, that tag, and the text behind it.
fn cut(template: &str) -> Option<(&str, Tag<'_>, &str)> {
    let (before, rest) = template.split_once("{{")?;
    let (inside, behind) = rest.split_once("}}")?;
    Some((before, Tag::parse(inside), behind))
}

/// A file ends with a line break that is not part of the template, so that parts fit into a line.
fn render_part(name: &str, scope: &Scope<'_>, out: &mut String) {
    let Some((_, template)) = scope.templates.iter().find(|(known, _)| *known == name) else {
        unreachable!("there is no template `{name}`");
    };
    render_block(template.strip_suffix('\n').unwrap_or(template), None, Some(scope), out);
}

/// Renders `template` up to the tag that closes `section` and returns what follows that; without a
/// `scope` it is passed over.
fn render_block<'t>(
    template: &'t str,
    section: Option<&str>,
    scope: Option<&Scope<'_>>,
    out: &mut String,
) -> &'t str {
    let mut left = template;
    while let Some((before, tag, behind)) = cut(left) {
        left = behind;
        if scope.is_some() {
            out.push_str(before);
        }
        match (tag, scope) {
            (Tag::Close(name), _) => {
                assert_eq!(section, Some(name), "a section of a template ends where none or another began");
                return behind;
            }
            (Tag::Section(name) | Tag::Inverted(name), None) => {
                left = render_block(behind, Some(name), None, out);
            }
            (Tag::Section(name), Some(scope)) => left = render_section(name, behind, scope, out),
            (Tag::Inverted(name), Some(scope)) => {
                let shown = (!scope.holds(name)).then_some(scope);
                left = render_block(behind, Some(name), shown, out);
            }
            (Tag::Text(name), Some(scope)) => push_escaped(scope.text(name), out),
            (Tag::Part(name), Some(scope)) => render_part(name, scope, out),
            (Tag::Text(_) | Tag::Part(_), None) => {}
        }
    }
    assert_eq!(section, None, "a section of a template is not closed");
    out.push_str(left);
    ""
}

fn render_section<'t>(name: &str, body: &'t str, scope: &Scope<'_>, out: &mut String) -> &'t str {
    match scope.value(name) {
        Value::Text(_) | Value::Flag(_) => {
            render_block(body, Some(name), scope.holds(name).then_some(scope), out)
        }
        Value::List(items) => {
            for values in items {
                let inner = Scope { templates: scope.templates, values, outer: Some(scope) };
                render_block(body, Some(name), Some(&inner), out);
            }
            render_block(body, Some(name), None, out)
        }
    }
}

/// Backtick and `=` are harmless between quotes; escaped, they are so without them too.
fn push_escaped(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            '=' => out.push_str("&#61;"),
            forbidden if is_forbidden(forbidden) => out.push(char::REPLACEMENT_CHARACTER),
            harmless => out.push(harmless),
        }
    }
}

/// Controls other than white space, and noncharacters (HTML Standard, section 13.1.4).
fn is_forbidden(character: char) -> bool {
    let code = u32::from(character);
    let is_white_space = matches!(character, '\t' | '\n' | '\u{C}' | '\r');
    let is_noncharacter = (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE;
    (character.is_control() && !is_white_space) || is_noncharacter
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
