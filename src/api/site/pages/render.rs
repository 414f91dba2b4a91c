//! Templates without logic: `{{name}}` is a text, always escaped; `{{#name}}…{{/name}}` is rendered
//! once for a text that is not empty and for a flag that is true, and once per item of a list;
//! `{{^name}}…{{/name}}` is rendered if that one is not; `{{>name}}` is another template.
//!
//! Nothing is inserted without escaping, and a value is never parsed as a template. Templates quote
//! every attribute. A name without a value and a section that is not closed are bugs: they panic, and
//! the tests render every branch of every template.

use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Flag(bool),
    /// The values of each item, which hide outer ones of the same name.
    List(Vec<Values<'a>>),
}

/// Names and their values.
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

/// The values that are visible at a position in a template.
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

/// The text between `{{` and `}}`.
enum Tag<'t> {
    Text(&'t str),
    Section(&'t str),
    Inverted(&'t str),
    Close(&'t str),
    Part(&'t str),
}

impl<'t> Tag<'t> {
    fn parse(inside: &'t str) -> Tag<'t> {
        let mut name = inside.chars();
        match name.next() {
            Some('#') => Tag::Section(name.as_str()),
            Some('^') => Tag::Inverted(name.as_str()),
            Some('/') => Tag::Close(name.as_str()),
            Some('>') => Tag::Part(name.as_str()),
            Some(_) | None => Tag::Text(inside),
        }
    }
}

/// The text before the first tag, that tag, and the text after it.
fn cut(template: &str) -> Option<(&str, Tag<'_>, &str)> {
    let (before, rest) = template.split_once("{{")?;
    let (inside, after) = rest.split_once("}}")?;
    Some((before, Tag::parse(inside), after))
}

/// The line break at the end of a file is not part of the template, so that a part can be within a line.
fn render_part(name: &str, scope: &Scope<'_>, out: &mut String) {
    let Some((_, template)) = scope.templates.iter().find(|(known, _)| *known == name) else {
        unreachable!("there is no template `{name}`");
    };
    render_block(template.strip_suffix('\n').unwrap_or(template), None, Some(scope), out);
}

/// Renders `template` up to the tag that closes `section` and returns the rest; skips it without a `scope`.
fn render_block<'t>(
    template: &'t str,
    section: Option<&str>,
    scope: Option<&Scope<'_>>,
    out: &mut String,
) -> &'t str {
    let mut left = template;
    while let Some((before, tag, after)) = cut(left) {
        left = after;
        if scope.is_some() {
            out.push_str(before);
        }
        match (tag, scope) {
            (Tag::Close(name), _) => {
                assert_eq!(section, Some(name), "this tag closes the innermost open section");
                return after;
            }
            (Tag::Section(name) | Tag::Inverted(name), None) => {
                left = render_block(after, Some(name), None, out);
            }
            (Tag::Section(name), Some(scope)) => left = render_section(name, after, scope, out),
            (Tag::Inverted(name), Some(scope)) => {
                let shown = (!scope.holds(name)).then_some(scope);
                left = render_block(after, Some(name), shown, out);
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

/// Escaped backticks and `=` are harmless also in attributes without quotes.
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
