//! The answer that came beside the one that a script has.

use super::script::Answer;
use super::template::{Variables, captures, expand, generalised, matches};
use crate::harness::Response;
use std::fmt::Write as _;

/// Fields that an answer may have unlisted: they differ from run to run, or frame the body.
const UNLISTED: [&str; 4] = ["date", "x-request-id", "content-length", "transfer-encoding"];
/// Fields that every answer has exactly once with this value, unless the script lists the field.
const EXPECTED: [(&str, &str); 2] = [("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
/// What the answers of [`super::Storage::Cached`] have where others have other settings.
const STORAGE: &str = r#""on_disk":true,"cache_in_memory":true"#;
const STORAGE_TEMPLATE: &str = r#""on_disk":{{on_disk}},"cache_in_memory":{{cache_in_memory}}"#;
/// At the end of a body: no line feed follows.
const END: &str = "{{end}}";

/// What a server answered.
pub struct Received {
    status: String,
    /// Without those that need not be listed.
    fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn of(response: Response, method: &str) -> Received {
        let mut fields = response.fields;
        // Nothing else shows the length of the body that GET has.
        let is_listed =
            |name: &str| !UNLISTED.contains(&name) || (method == "HEAD" && name == "content-length");
        fields.retain(|(name, _)| is_listed(name));
        Received { status: response.status.to_string(), fields, body: response.body }
    }
}

/// The fields that an answer with `body` and these `listed` ones must have.
fn expected_fields(status: &str, body: &str, listed: &[(String, String)]) -> Vec<(String, String)> {
    let content_type = if body.is_empty() || body.ends_with(END) {
        None
    } else if body.starts_with("{\"type\":\"about:blank\"") && status >= "400" {
        Some(("content-type", "application/problem+json"))
    } else {
        Some(("content-type", "application/json"))
    };
    let implied = EXPECTED.into_iter().chain(content_type);
    let unlisted = implied.filter(|(name, _)| !listed.iter().any(|(other, _)| other == name));
    let mut fields: Vec<_> = unlisted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    fields.extend(listed.iter().cloned());
    fields.retain(|(_, value)| value != "-");
    fields
}

/// How `received` differs from `answer`, line by line. Keeps what the answer names in `variables` if it does not.
pub fn difference(answer: &Answer, received: &Received, variables: &mut Variables) -> Option<String> {
    let mut found = variables.clone();
    let mut lines = String::new();
    let expected_status = String::from_utf8_lossy(&expand_or_raw(&answer.status, &found)).into_owned();
    if !matches(&answer.status, received.status.as_bytes(), &mut found) {
        let _ = write!(lines, "- {expected_status}\n+ {}\n", received.status);
    }
    if answer.is_inline {
        lines.push_str(&body_difference(&answer.body, &received.body, &mut found));
    }
    let expected = expected_fields(&received.status, &answer.body, &answer.fields);
    let mut left = received.fields.clone();
    for (name, value) in &expected {
        let place = left
            .iter()
            .position(|(other, text)| other == name && matches(value, text.as_bytes(), &mut found));
        match place {
            Some(place) => drop(left.remove(place)),
            None => _ = writeln!(lines, "- {name}: {value}"),
        }
    }
    left.iter().for_each(|(name, value)| _ = writeln!(lines, "+ {name}: {value}"));
    if !answer.is_inline {
        lines.push_str(&body_difference(&answer.body, &received.body, &mut found));
    }
    if lines.is_empty() {
        *variables = found;
        return None;
    }
    Some(lines)
}

fn expand_or_raw(template: &str, variables: &Variables) -> Vec<u8> {
    if captures(template).is_empty() { expand(template, variables) } else { template.as_bytes().to_vec() }
}

/// `body` as scripts have it: without the line feed at its end, or with what shows that there is none.
fn shown(body: &[u8]) -> Vec<u8> {
    match body.strip_suffix(b"\n") {
        Some(text) if !text.is_empty() => text.to_vec(),
        None if !body.is_empty() => [body, END.as_bytes()].concat(),
        Some(_) | None => body.to_vec(),
    }
}

/// The lines that differ.
fn body_difference(body: &str, received: &[u8], variables: &mut Variables) -> String {
    let received = shown(received);
    let mut lines = String::new();
    // A body without a byte has no line feed either.
    let body = if body == END { "" } else { body };
    if matches(body, &received, variables) {
        return lines;
    }
    let received = String::from_utf8_lossy(&received);
    let (mut old, mut new) = (body.split('\n'), received.split('\n'));
    loop {
        match (old.next(), new.next()) {
            (None, None) => return lines,
            (Some(old), Some(new)) if matches(old, new.as_bytes(), variables) => {}
            (old, new) => {
                old.iter().for_each(|line| _ = writeln!(lines, "- {line}"));
                new.iter().for_each(|line| _ = writeln!(lines, "+ {line}"));
            }
        }
    }
}

/// `received` as the lines of an answer in a script, with the captures of the `old` answer.
pub fn rendered(old: &Answer, received: &Received, variables: &mut Variables) -> String {
    let mut captures = captures(&old.body);
    captures.extend(old.fields.iter().flat_map(|(_, value)| super::template::captures(value)));
    let mut generalise = |text: &str, variables: &mut Variables| generalised(text, &mut captures, variables);
    let text = String::from_utf8_lossy(&shown(&received.body)).replace(STORAGE, STORAGE_TEMPLATE);
    let mut out = format!("< {}", received.status);
    let is_inline = !text.is_empty() && !text.contains('\n');
    if is_inline {
        let _ = write!(out, " {}", generalise(&text, variables));
    }
    let implied = expected_fields(&received.status, &text, &[]);
    for (name, value) in received.fields.iter().filter(|field| !implied.contains(field)) {
        let _ = write!(out, "\n{name}: {}", generalise(value, variables));
    }
    for (name, _) in
        implied.iter().filter(|(name, _)| !received.fields.iter().any(|(other, _)| other == name))
    {
        let _ = write!(out, "\n{name}: -");
    }
    if !is_inline && !text.is_empty() {
        let _ = write!(out, "\n\n{}", generalise(&text, variables));
    }
    out
}

fn check(answer: &[&str], expected: Option<&str>) {
    let script = [&["### A claim.", "> GET /a"], answer].concat().join("\n");
    let script = super::script::Script::parse(&script);
    let super::script::Act::Exchange(exchange) = &script.steps[0].acts[0] else { panic!("no exchange") };
    let fields = [
        ("date", "today"),
        ("content-length", "8"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "application/json"),
        ("etag", "\"15\""),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let response = Response { status: 200, interim: Vec::new(), fields, body: b"{\"a\":1}\n".to_vec() };
    let received = Received::of(response, "GET");
    let found = difference(&exchange.answer, &received, &mut Variables::new());
    assert_eq!(found.as_deref(), expected, "{answer:?}");
}

#[test]
fn an_answer_that_matches_the_script_passes() {
    check(&["< 200 {\"a\":1}", "etag: {{etag}}"], None);
    check(&["< 200", "etag: \"15\"", "", "{\"a\":{{revision}}}"], None);
    check(
        &["< 200 {\"a\":1}", "ETag: \"15\"", "content-type: application/json", "cache-control: no-store"],
        None,
    );
}

#[test]
fn a_wrong_status_body_or_field_is_found() {
    check(&["< 201 {\"a\":1}", "etag: {{etag}}"], Some("- 201\n+ 200\n"));
    check(&["< 200 {\"a\":2}", "etag: {{etag}}"], Some("- {\"a\":2}\n+ {\"a\":1}\n"));
    check(
        &["< 200 {\"a\":1}{{end}}", "etag: {{etag}}", "content-type: application/json"],
        Some("- {\"a\":1}{{end}}\n+ {\"a\":1}\n"),
    );
    check(&["< 200 {\"a\":1}", "etag: \"16\""], Some("- etag: \"16\"\n+ etag: \"15\"\n"));
    check(
        &["< 200 {\"a\":1}", "etag: {{etag}}", "content-type: text/html"],
        Some("- content-type: text/html\n+ content-type: application/json\n"),
    );
}

#[test]
fn a_missing_or_an_extra_field_is_found() {
    check(&["< 200 {\"a\":1}", "etag: {{etag}}", "allow: GET"], Some("- allow: GET\n"));
    check(&["< 200 {\"a\":1}", "etag: {{etag}}", "etag: {{etag}}"], Some("- etag: {{etag}}\n"));
    check(&["< 200 {\"a\":1}"], Some("+ etag: \"15\"\n"));
    check(&["< 200 {\"a\":1}", "etag: {{etag}}", "cache-control: -"], Some("+ cache-control: no-store\n"));
    check(
        &["< 200 {\"a\":1}", "etag: {{etag}}", "cache-control: public"],
        Some("- cache-control: public\n+ cache-control: no-store\n"),
    );
}
