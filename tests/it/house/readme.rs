//! README.md and the documents beside it against the real server, so that they cannot go stale.

use crate::harness::Server;
use crate::house::markdown::{blocks, check_shell_blocks, normalised, output_of, package_file, read};
use pikv::cli::command::{COMMANDS, CommandRow};
use pikv::cli::help;
use pikv::testing::config::field::Kind;
use pikv::testing::config::field::Value::{List, Text};
use pikv::testing::config::file;
use pikv::testing::config::setting::Presence;
use pikv::testing::config::settings::{PROJECT_SETTINGS, SETTINGS};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn shell_blocks_print_what_readme_says() {
    check_shell_blocks("README.md");
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
fn first_start_prints_what_readme_says() {
    let markdown = read("README.md");
    let blocks = blocks(&markdown);
    let is_start = |block: &&crate::house::markdown::Block| block.text == "cargo run --release\n";
    let start = blocks.iter().find(is_start).expect("a block with the first start");
    let expected = &output_of(start, &blocks, &markdown).expect("its output").text;
    let server = Server::start();
    let whole = |text: &str| normalised(&without_paths(text));
    crate::harness::wait_until("the curl lines are printed", || {
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
        let value = (setting.get)(&config).expect("a default");
        let is_text = matches!(&value, Text(_) | List(_));
        let default = if is_text { format!("`{value}`") } else { value.to_string() };
        let required = if setting.presence == Presence::Required { " (required)" } else { "" };
        let default = format!("{default}{required}");
        rows.push(row(setting.path, &default, &setting.kind, setting.doc));
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
        Kind::Nullable | Kind::Projects => unreachable!("no row"),
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

/// Compares the table under `head` of README.md. `UPDATE_GOLDEN=1` writes it.
#[track_caller]
fn check_table(head: &str, expected: &str) {
    let readme = read("README.md");
    let (before, rest) = readme.split_once(head).expect("the table");
    let end = rest.find("\n\n").expect("an end of the table") + 1;
    let (found, after) = rest.split_at(end);
    if crate::harness::environment::variable("UPDATE_GOLDEN").is_some() {
        fs::write(package_file("README.md"), format!("{before}{head}{expected}{after}")).unwrap();
        return;
    }
    assert_eq!(found, expected);
}

/// One test, because both tables may be written.
#[test]
fn settings_and_commands_in_readme_are_those_of_their_tables() {
    check_table(SETTINGS_HEAD, &settings_table());
    check_table(COMMANDS_HEAD, &commands_table());
}

#[test]
fn every_flag_and_variable_is_in_readme() {
    let readme = read("README.md");
    let help = help::text(None);
    for word in help.split_whitespace().filter(|word| word.starts_with("--") || word.starts_with("PIKV_")) {
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
