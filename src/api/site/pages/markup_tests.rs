//! Reads the pages as strictly as they are written: every attribute quoted, every element closed.

/// A start or end tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// `p`, or `/p` at the end of an element.
    pub name: String,
    /// Names and decoded values, in order.
    pub attributes: Vec<(String, String)>,
}

impl Tag {
    /// The decoded value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// What does not depend on values: the name, the names of the attributes.
    pub fn shape(&self) -> (String, Vec<String>) {
        (self.name.clone(), self.attributes.iter().map(|(name, _)| name.clone()).collect())
    }
}

/// A page, taken apart.
#[derive(Debug, Default)]
pub struct Markup {
    /// All tags, in order.
    pub tags: Vec<Tag>,
    /// All decoded text outside of tags, in one.
    pub text: String,
}

impl Markup {
    /// The start tags called `name`.
    pub fn all<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Tag> {
        self.tags.iter().filter(move |tag| tag.name == name)
    }

    /// The start tag with this id.
    pub fn with_id(&self, id: &str) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.attribute("id") == Some(id))
    }
}

/// Elements without an end tag, of those that the pages have.
const VOID: [&str; 3] = ["input", "link", "meta"];

/// Takes `page` apart; panics where it is not well formed.
pub fn read(page: &str) -> Markup {
    let mut markup = Markup::default();
    let mut open: Vec<String> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("a doctype");
    while let Some((before, after)) = rest.split_once('<') {
        markup.text.push_str(&decode(before));
        let (tag, after) = read_tag(after);
        rest = after;
        if let Some(ended) = tag.name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(ended), "at {rest:.60}");
        } else if !VOID.contains(&&*tag.name) {
            open.push(tag.name.clone());
        }
        markup.tags.push(tag);
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    markup.text.push_str(&decode(rest));
    markup
}

/// A tag without its `<`, and what follows it.
fn read_tag(text: &str) -> (Tag, &str) {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-/!".contains(c);
    let cut = |text: &str| text.find(|c| !is_of_name(c)).expect("a tag ends");
    let (name, mut rest) = text.split_at(cut(text));
    assert!(!name.is_empty(), "a tag has a name: {text:.60}");
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return (Tag { name: name.to_owned(), attributes }, after);
        }
        let (attribute, after) = rest.split_at(cut(rest));
        assert!(!attribute.is_empty(), "an attribute has a name: {rest:.60}");
        let (value, after) = match after.strip_prefix("=\"") {
            Some(quoted) => quoted.split_once('"').expect("a quoted value ends"),
            None => ("", after),
        };
        assert!(!value.contains(['<', '>']), "escaped: {value}");
        assert!(after.starts_with([' ', '>']), "attributes are apart: {after:.60}");
        attributes.push((attribute.to_owned(), decode(value)));
        rest = after;
    }
}

fn decode(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    assert!(!rest.contains(['<', '>']), "escaped: {rest}");
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').expect("a reference ends");
        decoded.push_str(before);
        decoded.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            "#96" => '`',
            "#61" => '=',
            other => panic!("&{other};"),
        });
        rest = after;
    }
    decoded + rest
}
