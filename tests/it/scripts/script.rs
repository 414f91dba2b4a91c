//! The format of a script, which tests/README.md describes, as data.

use serde_json::Value;

/// A file of `tests/scripts`.
#[derive(Default)]
pub struct Script {
    /// Merged into the configuration of the server.
    pub config: Option<Value>,
    /// The names of the storage kinds it runs on; all if there are none.
    pub kinds: Vec<String>,
    /// Sent with every request that has no field of the same name.
    pub fields: Vec<(String, String)>,
    pub steps: Vec<Step>,
}

/// A claim and what shows it.
pub struct Step {
    pub claim: String,
    pub acts: Vec<Act>,
    /// The names of the columns of its table.
    pub columns: Vec<String>,
    /// The acts run once with each row.
    pub rows: Vec<Row>,
}

pub struct Row {
    pub line: usize,
    pub cells: Vec<String>,
}

pub enum Act {
    Exchange(Exchange),
    Restart,
    Crash,
}

/// A request and the answer that it must get.
pub struct Exchange {
    /// Of the request, from 0.
    pub line: usize,
    pub method: String,
    pub target: String,
    /// A field without a value takes the default one away.
    pub fields: Vec<(String, Option<String>)>,
    pub body: String,
    pub answer: Answer,
}

impl Exchange {
    /// With `cells` in place of the variables that `columns` names.
    pub fn with(&self, columns: &[String], cells: &[String]) -> Exchange {
        let text = |text: &String| {
            let insert = |text: String, (name, cell): (&String, &String)| {
                text.replace(&format!("{{{{{name}}}}}"), cell)
            };
            columns.iter().zip(cells).fold(text.clone(), insert)
        };
        Exchange {
            line: self.line,
            method: text(&self.method),
            target: text(&self.target),
            fields: self
                .fields
                .iter()
                .map(|(name, value)| (text(name), value.as_ref().map(text).filter(|text| !text.is_empty())))
                .collect(),
            body: text(&self.body),
            answer: Answer {
                lines: self.answer.lines.clone(),
                status: text(&self.answer.status),
                fields: self.answer.fields.iter().map(|(name, value)| (text(name), text(value))).collect(),
                body: text(&self.answer.body),
                is_inline: self.answer.is_inline,
            },
        }
    }
}

/// A template of an answer.
#[derive(Default)]
pub struct Answer {
    /// Its lines in the file, from 0 and without the end.
    pub lines: std::ops::Range<usize>,
    pub status: String,
    pub fields: Vec<(String, String)>,
    pub body: String,
    /// The body is on the line of the status, so it comes before the fields.
    pub is_inline: bool,
}

impl Script {
    /// Panics with the line of what is no script.
    pub fn parse(text: &str) -> Script {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut script = Script::default();
        let first_step =
            lines.iter().position(|line| line.starts_with("### ")).expect("a step, which begins with ###");
        for at in 0..first_step {
            if let Some((name, text)) = lines[at].strip_prefix("let ").and_then(|rest| rest.split_once(" = "))
            {
                let (name, text) = (format!("{{{{{name}}}}}"), text.to_owned());
                lines[at + 1..].iter_mut().for_each(|line| *line = line.replace(&name, &text));
            } else {
                script.preamble(&lines[at]);
            }
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let starts: Vec<usize> =
            (first_step..lines.len()).filter(|at| lines[*at].starts_with("### ")).collect();
        for (index, start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(lines.len());
            script.steps.push(Step::parse(&lines, *start, end));
        }
        script
    }

    fn preamble(&mut self, line: &str) {
        if let Some(config) = line.strip_prefix("config: ") {
            self.config =
                Some(serde_json::from_str(config).unwrap_or_else(|error| panic!("{error}: {line}")));
        } else if let Some(kinds) = line.strip_prefix("storage: ") {
            self.kinds = kinds.split(' ').map(str::to_owned).collect();
        } else if let Some(("with", field)) = line.split_once(' ') {
            let (name, text) = field.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            self.fields.push((name.to_owned(), text.to_owned()));
        } else {
            assert!(line.is_empty() || line.starts_with("# "), "`{line}` is no line of a preamble");
        }
    }
}

impl Step {
    fn parse(lines: &[&str], start: usize, end: usize) -> Step {
        let claim = lines[start].trim_start_matches("### ").to_owned();
        let mut step = Step { claim, acts: Vec::new(), columns: Vec::new(), rows: Vec::new() };
        let mut at = start + 1;
        while at < end {
            let line = lines[at];
            let part_end = (at + 1..end).find(|next| begins_part(lines[*next])).unwrap_or(end);
            if line.starts_with("> ") {
                step.acts.push(Act::Exchange(request(lines, at, part_end)));
            } else if line.starts_with("< ") {
                let Some(Act::Exchange(exchange)) = step.acts.last_mut() else {
                    panic!("line {}: an answer without a request", at + 1)
                };
                exchange.answer = answer(lines, at, part_end);
            } else if let Some(row) = line.strip_prefix('|') {
                match step.columns.is_empty() {
                    true => step.columns = cells(row),
                    false => step.rows.push(Row { line: at, cells: cells(row) }),
                }
            } else {
                match line {
                    "! restart" => step.acts.push(Act::Restart),
                    "! crash" => step.acts.push(Act::Crash),
                    _ => assert!(line.is_empty(), "line {}: `{line}`", at + 1),
                }
            }
            at = part_end;
        }
        for row in &step.rows {
            assert_eq!(row.cells.len(), step.columns.len(), "line {}: cells", row.line + 1);
        }
        step
    }
}

impl Step {
    /// Whether a request has the variable `name` in it.
    pub fn sends(&self, name: &str) -> bool {
        let variable = format!("{{{{{name}}}}}");
        self.acts.iter().any(|act| match act {
            Act::Restart | Act::Crash => false,
            Act::Exchange(exchange) => {
                let fields = exchange.fields.iter().flat_map(|(name, value)| [Some(name), value.as_ref()]);
                let mut texts = fields.flatten().chain([&exchange.method, &exchange.target, &exchange.body]);
                texts.any(|text| text.contains(&variable))
            }
        })
    }
}

fn begins_part(line: &str) -> bool {
    let method = line.strip_prefix("> ").and_then(|rest| rest.split_once(' ')).map(|(method, _)| method);
    let is_request = method
        .is_some_and(|method| method.starts_with("{{") || method.chars().all(|c| c.is_ascii_uppercase()));
    let is_answer = line
        .strip_prefix("< ")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || "?{".contains(c)));
    is_request || is_answer || line.starts_with("! ") || line.starts_with('|')
}

/// A `|` between spaces ends a cell, which may be empty.
fn cells(row: &str) -> Vec<String> {
    let spaced = format!(" {row} ").replace(" | ", " |\u{1e}  ").replace(" | ", " |\u{1e}  ");
    spaced.split("|\u{1e}").map(|cell| cell.trim().to_owned()).collect()
}

/// The fields and the body after the first line of a part.
fn fields_and_body(lines: &[&str]) -> (Vec<(String, Option<String>)>, String) {
    let head = lines.iter().position(|line| line.is_empty()).unwrap_or(lines.len());
    let field = |line: &&str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("`{line}` is no field"));
        let value = value.strip_prefix(' ').unwrap_or(value);
        (name.to_owned(), (!value.is_empty()).then(|| value.to_owned()))
    };
    let body = lines.get(head + 1..).unwrap_or_default().join("\n");
    (lines[..head].iter().map(field).collect(), body.trim_end_matches('\n').to_owned())
}

fn request(lines: &[&str], start: usize, end: usize) -> Exchange {
    let mut words = lines[start][2..].splitn(2, ' ');
    let method = words.next().unwrap_or_default().to_owned();
    let (target, inline) = split_after_word(words.next().unwrap_or_default());
    let (fields, block) = fields_and_body(&lines[start + 1..end]);
    let body = if inline.is_empty() { block } else { inline.to_owned() };
    Exchange { line: start, method, target: target.to_owned(), fields, body, answer: Answer::default() }
}

fn answer(lines: &[&str], start: usize, end: usize) -> Answer {
    let (status, inline) = split_after_word(&lines[start][2..]);
    let (fields, block) = fields_and_body(&lines[start + 1..end]);
    let fields =
        fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.unwrap_or_default()));
    let blank = lines[start..end].iter().rev().take_while(|line| line.is_empty()).count();
    Answer {
        lines: start..end - blank,
        status: status.to_owned(),
        fields: fields.collect(),
        is_inline: !inline.is_empty(),
        body: if inline.is_empty() { block } else { inline.to_owned() },
    }
}

/// `text` up to its first space that is in no placeholder, and what follows the space.
fn split_after_word(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ' ' if depth == 0 => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}
