//! README.md and the documents beside it against the real server, so that they cannot go stale.
//!
//! Every block marked `sh` is run, in order, beside a server on its first start, with `KEY` (of
//! `first_project`), `GLOBAL` and `URL` in its environment. Where a block marked `text` follows at
//! once, that is what has to be printed, but for what differs from run to run: see [`normalised`].
//! `UPDATE_GOLDEN=1` writes what was printed into README.md instead.

use super::harness::Server;
use pikv::cli::help::{self, Topic};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A fenced block of a Markdown file, by line numbers that begin with 0.
struct Block {
    language: String,
    text: String,
    /// The line of the opening fence.
    opens: usize,
    /// The line of the closing fence.
    closes: usize,
}

fn package_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(package_file(path)).unwrap()
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in markdown.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => {
                let language = language.to_owned();
                open = Some(Block { language, text: String::new(), opens: number, closes: number });
            }
            (Some(_), Some(block)) => blocks.push(Block { closes: number, ..block }),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// The block of output right behind `block`, with nothing but empty lines in between.
fn output_of<'b>(block: &Block, blocks: &'b [Block], markdown: &str) -> Option<&'b Block> {
    let next = blocks.iter().find(|other| other.opens > block.closes)?;
    let mut between = markdown.lines().skip(block.closes + 1).take(next.opens - block.closes - 1);
    (next.language == "text" && between.all(str::is_empty)).then_some(next)
}

/// `text` without what differs between two runs: times, revisions, keys, ports, request ids.
fn normalised(text: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let mut out = String::new();
    for line in text.lines() {
        match line.split_once(": ") {
            Some((name @ ("date" | "x-request-id"), _)) => out.push_str(name),
            Some(_) | None => {
                for word in line.split_inclusive(|c| !is_of_word(c)) {
                    let bare = word.trim_end_matches(|c| !is_of_word(c));
                    out.push_str(&normalised_word(bare));
                    out.push_str(&word[bare.len()..]);
                }
            }
        }
        out.push('\n');
    }
    out
}

fn normalised_word(word: &str) -> String {
    // `"revision":17` has no quotes behind its colon.
    if let Some(rest) = word.strip_prefix(':') {
        return format!(":{}", normalised_word(rest));
    }
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    match shape.as_str() {
        "9999-99-99T99:99:99.999Z" => "TIME".to_owned(),
        "9999999999999" => "REVISION".to_owned(),
        _ if word.starts_with("pikv_") && word.len() == 54 => "KEY".to_owned(),
        _ if word.starts_with("127.0.0.1:") => "ADDRESS".to_owned(),
        _ => word.to_owned(),
    }
}

/// What the start prints, without the directory of config.json.
fn without_paths(banner: &str) -> String {
    let cut = |line: &str| match (line.find(" /"), line.rfind("/config.json"), line.rfind("/storage_data")) {
        (Some(start), Some(end), _) | (Some(start), None, Some(end)) => {
            format!("{}{}\n", &line[..start], &line[end..])
        }
        (_, _, _) => format!("{line}\n"),
    };
    banner.lines().map(cut).collect()
}

/// Runs `script` as a reader of README.md would and returns what it prints.
fn run(script: &str, server: &Server) -> String {
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .env("KEY", server.printed_key("first_project key"))
        .env("GLOBAL", server.printed_key("global key"))
        .env("URL", format!("http://127.0.0.1:{}", server.port))
        .current_dir(server.directory())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
}

fn has_curl() -> bool {
    Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
fn shell_blocks_print_what_readme_says() {
    if !has_curl() {
        println!("skipped: curl is not installed");
        return;
    }
    let markdown = read("README.md");
    let blocks = blocks(&markdown);
    let server = Server::start();
    let mut wrong = Vec::new();
    let mut printed = Vec::new();
    for block in blocks.iter().filter(|block| block.language == "sh") {
        let actual = run(&block.text, &server);
        let Some(expected) = output_of(block, &blocks, &markdown) else { continue };
        // A body that is a bare value has no line feed at its end, where a block always has one.
        if normalised(&actual) != normalised(&expected.text) {
            wrong.push(format!("line {}: {}printed:\n{actual}", block.opens + 1, block.text));
            printed.push((expected, actual));
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return update(&markdown, &printed);
    }
    assert!(wrong.is_empty(), "README.md says something else:\n{}", wrong.join("\n"));
}

fn update(markdown: &str, printed: &[(&Block, String)]) {
    let mut lines: Vec<&str> = markdown.lines().collect();
    for (block, actual) in printed.iter().rev() {
        lines.splice(block.opens + 1..block.closes, actual.lines());
    }
    fs::write(package_file("README.md"), lines.join("\n") + "\n").unwrap();
}

#[test]
fn first_start_prints_what_readme_says() {
    let markdown = read("README.md");
    let blocks = blocks(&markdown);
    let is_start = |block: &&Block| block.text == "cargo run --release\n";
    let start = blocks.iter().find(is_start).expect("a block with the first start");
    let expected = &output_of(start, &blocks, &markdown).expect("its output").text;
    let server = Server::start();
    let whole = |text: &str| normalised(&without_paths(text));
    super::harness::wait_until("the curl lines are printed", || {
        server.stdout_text().trim_end().ends_with("/keys/hello")
    });
    assert_eq!(whole(&server.stdout_text()), whole(expected));
}

/// The first cells of the table rows in the section `title`, without their backticks, and the second cells.
fn table(markdown: &str, title: &str) -> Vec<(String, String)> {
    let section = markdown.split("\n## ").find(|section| section.starts_with(title)).expect(title);
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().to_owned());
        let first = cells.next().unwrap();
        (first.trim_matches('`').to_owned(), cells.next().unwrap())
    })
    .collect()
}

#[test]
fn every_error_code_is_in_readme_and_no_other() {
    let source = read("src/api/error.rs") + &read("src/api/error/account.rs");
    let in_source: BTreeSet<(String, String)> = source
        .split('(')
        .filter_map(|piece| piece.split_once(", \""))
        .filter(|(status, _)| status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|(status, rest)| (rest.split('"').next().unwrap().to_owned(), status.to_owned()))
        .collect();
    assert!(in_source.len() > 40, "{in_source:?}");
    let in_readme: BTreeSet<_> = table(&read("README.md"), "Troubleshooting").into_iter().collect();
    assert_eq!(in_readme, in_source);
}

fn members(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                members(&format!("{path}{dot}{name}"), value, found);
            }
        }
        // A list of texts, which the example leaves empty.
        Value::Array(array) if array.is_empty() => {
            found.insert(path.to_owned());
        }
        Value::Array(array) => array.iter().for_each(|value| members(&format!("{path}[]"), value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn every_member_of_the_configuration_is_in_readme_and_no_other() {
    let example: Value = serde_json::from_str(&read("config.json.example")).unwrap();
    let mut in_example = BTreeSet::new();
    members("", &example, &mut in_example);
    let rows = table(&read("README.md"), "Configuration");
    let in_readme: BTreeSet<String> =
        rows.into_iter().map(|(name, _)| name).filter(|name| !name.starts_with("--")).collect();
    assert_eq!(in_readme, in_example);
}

#[test]
fn every_flag_and_variable_is_in_readme() {
    let readme = read("README.md");
    let named = help::text(Topic::Program).split_whitespace();
    for word in named.filter(|word| word.starts_with("--") || word.starts_with("PIKV_")) {
        assert!(readme.contains(&format!("`{word}")), "{word}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut files = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for directory in ["docs", "docs/decisions"] {
        for entry in fs::read_dir(package_file(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                files.push(format!("{directory}/{name}"));
            }
        }
    }
    for file in files {
        let markdown = read(&file);
        let targets = markdown.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let target = target.split('#').next().unwrap();
            let path = package_file(&file).parent().unwrap().join(target);
            assert!(path.exists(), "{file}: {target}");
        }
    }
}
