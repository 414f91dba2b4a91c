//! README.md and the documents beside it against the real server and the tables of the source.

use crate::harness::Server;
use crate::harness::environment::variable;
use crate::house::markdown::{
    Block, DEFAULT_URL, blocks, check_shell_blocks, normalised, package_file, read,
};
use pikv::cli::command::{COMMANDS, CommandRow};
use pikv::cli::help;
use pikv::testing::config::field::Kind;
use pikv::testing::config::field::Value::{List, Text};
use pikv::testing::config::file;
use pikv::testing::config::setting::{Presence, TakesEffect};
use pikv::testing::config::settings::{CELL_SETTINGS, PROJECT_SETTINGS, SETTINGS};
use std::collections::BTreeSet;
use std::fs;

const CONFIGURATION: &str = "docs/CONFIGURATION.md";

/// The commands of README.md that its test does not type: it is such a server, or such a test.
const COMMANDS_OF_CI: [&str; 3] =
    ["cargo run --release\n", "cargo install --locked --path .\n", "cargo test\n"];

const README_LINES_MAX: usize = 150;
/// The first value is written and read in the first lines.
const FIRST_GET_LINE_MAX: usize = 20;

#[test]
fn shell_blocks_of_readme_print_its_output() {
    check_shell_blocks("README.md");
}

#[test]
fn every_command_of_readme_is_run_by_a_test_in_its_order() {
    let markdown = read("README.md");
    let blocks = blocks(&markdown);
    let of_ci = blocks.iter().filter(|block| block.language == "console");
    assert_eq!(of_ci.map(|block| block.text.as_str()).collect::<Vec<_>>(), COMMANDS_OF_CI);
    assert_eq!(blocks[0].text, COMMANDS_OF_CI[0], "the server runs before the first request");
    let ci = read(".ci/run");
    for command in COMMANDS_OF_CI {
        assert!(ci.contains(command.trim()), "{command} is in .ci/run");
    }
    for block in &blocks {
        assert!(["sh", "text", "console"].contains(&block.language.as_str()), "{}", block.text);
    }
}

#[test]
fn readme_is_short_and_begins_with_a_first_value() {
    let markdown = read("README.md");
    assert!(markdown.lines().count() <= README_LINES_MAX, "{} lines", markdown.lines().count());
    let first = blocks(&markdown).into_iter().find(|block| block.language == "sh").expect("a block");
    assert!(first.text.contains("curl -X PUT") && first.text.contains("\ncurl -H"), "{}", first.text);
    assert!(first.closes < FIRST_GET_LINE_MAX, "line {}", first.closes + 1);
}

/// A figure goes stale in one of two documents, unless the other one has to have it, too.
#[test]
fn figures_of_readme_are_those_of_the_measurements() {
    let (markdown, measured) = (read("README.md"), read("docs/PERFORMANCE.md"));
    let (_, section) = markdown.split_once("\n## How fast it is\n").expect("the section");
    let facts = section.lines().filter(|line| line.starts_with("- "));
    let words: Vec<&str> = facts.flat_map(|fact| fact.split([' ', '('])).collect();
    let is_figure = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains(['.', ',']);
    let figures: Vec<&str> = words.into_iter().filter(is_figure).collect();
    assert!(figures.len() >= 6, "{figures:?}");
    for figure in figures {
        assert!(measured.contains(figure), "{figure} is not in docs/PERFORMANCE.md");
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

#[test]
fn first_start_prints_what_readme_shows() {
    let markdown = read("README.md");
    let blocks = blocks(&markdown);
    let start = blocks.iter().find(|block| block.text.starts_with("pikv ")).expect("the output of a start");
    let server = Server::start();
    crate::harness::wait_until("the banner is printed", || server.stdout_text().contains("Ctrl-C"));
    let printed = server.stdout_text();
    if variable("UPDATE_GOLDEN").is_some() {
        return update_start(&markdown, start, &printed, &server);
    }
    let whole = |text: &str| normalised(&without_paths(text));
    assert_eq!(whole(&printed), whole(&start.text));
}

/// Puts what was printed into README.md, with a directory and a port that a reader may have.
fn update_start(markdown: &str, start: &Block, printed: &str, server: &Server) {
    let directory = server.directory().canonicalize().unwrap();
    let printed = printed
        .replace(directory.to_str().unwrap(), "/home/pi/pikv")
        .replace(&format!("http://127.0.0.1:{}", server.port), DEFAULT_URL);
    let mut lines: Vec<&str> = markdown.lines().collect();
    lines.splice(start.opens + 1..start.closes, printed.trim_end().lines());
    fs::write(package_file("README.md"), lines.join("\n") + "\n").unwrap();
}

/// The first cells of the table rows that begin with a code, without their backticks, and the second cells.
fn table(markdown: &str) -> Vec<(String, String)> {
    let rows = markdown.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().to_owned());
        let first = cells.next().unwrap();
        (first.trim_matches('`').to_owned(), cells.next().unwrap())
    })
    .collect()
}

#[test]
fn every_error_code_is_in_its_document_and_no_other() {
    let mut source = read("src/api/error.rs");
    for entry in fs::read_dir(package_file("src/api/error")).unwrap() {
        source += &fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    let in_source: BTreeSet<(String, String)> = source
        .split('(')
        .filter_map(|piece| piece.split_once(", \""))
        .filter(|(status, _)| status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|(status, rest)| (rest.split('"').next().unwrap().to_owned(), status.to_owned()))
        // Others are the texts of the item API.
        .filter(|(code, _)| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        .collect();
    assert!(in_source.len() > 40, "{in_source:?}");
    let in_document: BTreeSet<_> = table(&read("docs/ERRORS.md")).into_iter().collect();
    assert_eq!(in_document, in_source);
}

const SETTINGS_HEAD: &str = "| Member | Default | Range | What |\n|---|---|---|---|\n";

/// The table of the settings: a row for each.
fn settings_table() -> String {
    let config = file::default_config();
    let mut rows = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| !matches!(setting.kind, Kind::Nullable)) {
        if let Kind::Projects = setting.kind {
            rows.extend(PROJECT_SETTINGS.iter().map(|setting| {
                let is_inherited =
                    SETTINGS.iter().any(|other| other.path == format!("default.{}", setting.path));
                let is_key = matches!(setting.kind, Kind::Secret(_));
                let of_others = if is_inherited { "as `default`" } else { "none (required)" };
                let default = if is_key { "null" } else { of_others };
                let path = format!("projects[].{}", setting.path);
                row(&path, default, &setting.kind, setting.doc)
            }));
            continue;
        }
        if let Kind::Cells = setting.kind {
            rows.extend(CELL_SETTINGS.iter().map(|setting| {
                let is_optional = ["username", "password_file"].contains(&setting.path);
                let default = if is_optional { "null" } else { "none (required)" };
                let doc = format!("{}. Needs a restart", setting.doc);
                row(&format!("engine.cells[].{}", setting.path), default, &setting.kind, &doc)
            }));
            continue;
        }
        let value = (setting.get)(&config).expect("a default");
        let is_text = matches!(&value, Text(_) | List(_));
        let default = if is_text { format!("`{value}`") } else { value.to_string() };
        let required = if setting.presence == Presence::Required { " (required)" } else { "" };
        let default = format!("{default}{required}");
        let restart = if setting.takes_effect == TakesEffect::AtStart { ". Needs a restart" } else { "" };
        rows.push(row(setting.path, &default, &setting.kind, &format!("{}{restart}", setting.doc)));
    }
    rows.concat()
}

fn row(path: &str, default: &str, kind: &Kind, doc: &str) -> String {
    let range = match *kind {
        Kind::Switch => "true, false".to_owned(),
        Kind::Number(min, max) if min == max => min.to_string(),
        Kind::Number(min, max) => format!("{min} to {max}"),
        Kind::NumberOrNull(min, max) => format!("{min} to {max}, null"),
        Kind::OneOf(names) => format!("`{}`", names.join("`, `")),
        Kind::Text(text) | Kind::Secret(text) => text.to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::List(max, elements) => format!("up to {max} {elements}"),
        Kind::Nullable | Kind::Projects | Kind::Cells => unreachable!("no row"),
    };
    format!("| `{path}` | {default} | {range} | {doc} |\n")
}

const COMMANDS_HEAD: &str = "| Command | What it does |\n|---|---|\n";

/// The table of the commands: a row for each, with the flags that it does not share with others.
fn commands_table() -> String {
    let row = |row: &CommandRow| {
        let usage = row.usage().replace('|', "\\|");
        let (first, rest) = row.summary.split_at(1);
        let summary = first.to_uppercase() + rest;
        format!("| `pikv {usage}` | {summary}. {} |\n", row.details.replace('\n', " "))
    };
    COMMANDS.iter().map(row).collect()
}

/// Compares the table under `head` of docs/CONFIGURATION.md. `UPDATE_GOLDEN=1` writes it.
#[track_caller]
fn check_table(head: &str, expected: &str) {
    let document = read(CONFIGURATION);
    let (before, rest) = document.split_once(head).expect("the table");
    let end = rest.find("\n\n").expect("an end of the table") + 1;
    let (found, after) = rest.split_at(end);
    if variable("UPDATE_GOLDEN").is_some() {
        fs::write(package_file(CONFIGURATION), format!("{before}{head}{expected}{after}")).unwrap();
        return;
    }
    assert_eq!(found, expected);
}

/// One test, because both tables may be written.
#[test]
fn settings_and_commands_in_their_document_are_those_of_their_tables() {
    check_table(SETTINGS_HEAD, &settings_table());
    check_table(COMMANDS_HEAD, &commands_table());
}

#[test]
fn every_flag_and_variable_is_in_the_configuration_document() {
    let document = read(CONFIGURATION);
    let help = help::text(None);
    for word in help.split_whitespace().filter(|word| word.starts_with("--") || word.starts_with("PIKV_")) {
        assert!(document.contains(&format!("`{word}")), "{word}");
    }
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn anchors(markdown: &str) -> BTreeSet<String> {
    let fences = blocks(markdown);
    let is_text = |line: usize| !fences.iter().any(|block| (block.opens..block.closes).contains(&line));
    let headings =
        markdown.lines().enumerate().filter(|(line, text)| text.starts_with('#') && is_text(*line));
    headings.map(|(_, text)| anchor(text.trim_start_matches('#').trim())).collect()
}

#[test]
fn links_between_documents_lead_to_files_and_headings() {
    let mut files: Vec<String> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
        .into_iter()
        .chain(["tests/README.md", "fuzz/README.md"])
        .map(str::to_owned)
        .collect();
    for directory in ["docs", "docs/decisions"] {
        for entry in fs::read_dir(package_file(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                files.push(format!("{directory}/{name}"));
            }
        }
    }
    let mut broken = Vec::new();
    for file in files {
        let markdown = read(&file);
        let targets = markdown.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => package_file(&file),
                path => package_file(&file).parent().unwrap().join(path),
            };
            let leads = match heading {
                "" => path.exists(),
                heading => fs::read_to_string(&path).is_ok_and(|text| anchors(&text).contains(heading)),
            };
            if !leads {
                broken.push(format!("{file}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}
